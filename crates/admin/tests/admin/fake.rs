//! A pooler that is not there: fixed rows, and a record of what was asked of it.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use futures_util::FutureExt;
use howdah_admin::pooler::{PrimaryChange, SetEffect, Shutdown};
use howdah_admin::rows::*;
use howdah_admin::{ActionError, Outcome, Pooler, UnixMicros};

/// 2026-11-27 00:00:00 UTC.
pub const NOW: UnixMicros = UnixMicros(1_795_737_600_000_000);

#[derive(Default)]
pub struct Fake {
    pub state: Mutex<PoolerState>,
    pub calls: Mutex<Vec<String>>,
    /// What every action fails with, if it does.
    pub refuse: Option<ActionError>,
    pub no_clusters: bool,
    pub unwritable: bool,
    /// Makes the counters, the clients and the failovers of a busy day: for looking at the dashboard.
    pub busy_since: Option<Instant>,
}

impl Fake {
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn hold(&self, pause: PauseState) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).pause = pause;
    }

    fn busy_us(&self) -> u64 {
        self.busy_since.map_or(0, |since| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn act<T: Send + 'static>(&self, call: String, value: T) -> Outcome<'_, T> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        let result = match &self.refuse {
            Some(error) => Err(error.clone()),
            None => Ok(value),
        };
        async move { result }.boxed()
    }
}

fn db(database: Option<&str>) -> &str {
    database.unwrap_or("*")
}

pub fn client(id: u64, state: ClientState) -> ClientRow {
    ConnectionRow {
        id,
        user: Some("alice".into()),
        database: Some("app".into()),
        replication: Replication::None,
        state,
        addr: "10.0.3.9".into(),
        port: 40_000,
        local_addr: "10.0.3.1".into(),
        local_port: 6432,
        connect_time: UnixMicros(NOW.0 - 60_000_000),
        request_time: UnixMicros(NOW.0 - 1_500_000),
        wait_us: 0,
        close_needed: false,
        link: 0,
        remote_pid: 0,
        tls: String::new(),
        application_name: "psql".into(),
        prepared_statements: 3,
        pinned: None,
        unprotected: false,
        node: None,
        buffers: Buffers::default(),
    }
}

pub fn server(id: u64, state: ServerState) -> ServerRow {
    ConnectionRow {
        id,
        user: Some("app".into()),
        database: Some("app".into()),
        replication: Replication::None,
        state,
        addr: "10.0.3.200".into(),
        port: 5432,
        local_addr: "10.0.3.1".into(),
        local_port: 51_000,
        connect_time: UnixMicros(NOW.0 - 30_000_000),
        request_time: UnixMicros(NOW.0 - 1_500_000),
        wait_us: 0,
        close_needed: true,
        link: 2,
        remote_pid: 4711,
        tls: "TLSv1.3/TLS_AES_256_GCM_SHA384".into(),
        application_name: String::new(),
        prepared_statements: 1,
        pinned: None,
        unprotected: false,
        node: Some("node1".into()),
        buffers: Buffers {
            recv_pos: 7,
            pkt_pos: 6,
            pkt_remain: 5,
            send_pos: 4,
            send_remain: 0,
            pkt_avail: 2,
            send_avail: 1,
        },
    }
}

pub fn node(name: &str, role: Role, lag: Option<u64>) -> NodeRow {
    let last = name.trim_start_matches("node");
    NodeRow {
        cluster: "main".into(),
        node: name.into(),
        host: format!("10.0.3.20{last}"),
        port: 5432,
        role,
        state: NodeState::Up,
        sync: (role == Role::Replica).then_some(SyncState::Sync),
        timeline: Some(2),
        lsn: Some("0/3000060".into()),
        lag_bytes: lag,
        lag_us: lag.map(|lag| lag * 10),
        fresh_as_of: lag.map(|_| NOW),
        latency_us: Some(350),
        connections: 4,
        reason: None,
    }
}

pub fn counted(n: u64) -> Totals {
    Totals {
        server_assignment_count: n,
        xact_count: n + 1,
        query_count: n + 2,
        received: n + 3,
        sent: n + 4,
        xact_time: n + 5,
        query_time: n + 6,
        wait_time: n + 7,
        client_parse_count: n + 8,
        server_parse_count: n + 9,
        bind_count: n + 10,
        client_login_count: n + 11,
    }
}

pub fn pool(database: &str, user: &str, mode: PoolMode) -> PoolRow {
    PoolRow {
        database: database.into(),
        user: user.into(),
        cl_active: 1,
        cl_waiting: 2,
        cl_active_cancel_req: 3,
        cl_waiting_cancel_req: 4,
        sv_active: 5,
        sv_active_cancel: 6,
        sv_being_canceled: 7,
        sv_idle: 8,
        sv_used: 9,
        sv_tested: 10,
        sv_login: 11,
        maxwait_us: 2_500_000,
        pool_mode: mode,
        load_balance_hosts: None,
    }
}

impl Pooler for Fake {
    fn version(&self) -> String {
        "PgBouncer 1.25.2 (Howdah 0.1.0)".into()
    }
    fn now(&self) -> UnixMicros {
        UnixMicros(NOW.0 + i64::try_from(self.busy_us()).unwrap_or(0))
    }
    fn state(&self) -> PoolerState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn clients(&self) -> Vec<ClientRow> {
        let mut waiting = client(2, ClientState::Waiting);
        waiting.wait_us = 1_500_000;
        let mut login = client(4, ClientState::Login);
        (login.user, login.database) = (None, None);
        let mut active = client(3, ClientState::Active);
        active.link = 5;
        active.pinned = Some("temporary table".into());
        let mut rows = vec![client(1, ClientState::Idle), waiting, active, login];
        if self.busy_since.is_some() {
            rows.extend(
                (10..60)
                    .map(|id| client(id, if id % 3 == 0 { ClientState::Active } else { ClientState::Idle })),
            );
        }
        rows
    }
    fn servers(&self) -> Vec<ServerRow> {
        vec![server(5, ServerState::Active), server(6, ServerState::BeingCanceled)]
    }
    fn databases(&self) -> Vec<DatabaseRow> {
        let app = DatabaseRow {
            name: "app".into(),
            host: Some("a,b".into()),
            port: 5432,
            database: "app".into(),
            force_user: None,
            pool_size: 20,
            min_pool_size: 1,
            reserve_pool_size: 2,
            server_lifetime: 3600,
            pool_mode: Some(PoolMode::Transaction),
            load_balance_hosts: Some(LoadBalanceHosts::RoundRobin),
            max_connections: 7,
            current_connections: 3,
            max_client_connections: 9,
            current_client_connections: 4,
            paused: true,
            disabled: false,
        };
        let console = DatabaseRow {
            name: "pgbouncer".into(),
            host: None,
            port: 6432,
            database: "pgbouncer".into(),
            force_user: Some("pgbouncer".into()),
            pool_size: 2,
            pool_mode: None,
            load_balance_hosts: None,
            paused: false,
            ..app.clone()
        };
        vec![app, console]
    }
    fn users(&self) -> Vec<UserRow> {
        let alice = UserRow {
            name: "alice".into(),
            pool_size: Some(12),
            reserve_pool_size: None,
            pool_mode: Some(PoolMode::Session),
            max_user_connections: 5,
            current_connections: 1,
            max_user_client_connections: 6,
            current_client_connections: 2,
        };
        let bob = UserRow { name: "bob".into(), pool_size: None, pool_mode: None, ..alice.clone() };
        vec![alice, bob]
    }
    fn pools(&self) -> Vec<PoolRow> {
        vec![pool("app", "app", PoolMode::Transaction), pool("pgbouncer", "pgbouncer", PoolMode::Statement)]
    }
    fn stats(&self) -> Vec<StatsRow> {
        // A rate that swings: its integral over the time.
        let seconds = self.busy_us() as f64 / 1e6;
        let n = (9000.0 * seconds + 4000.0 * (1.0 - (seconds / 3.0).cos())) as u64;
        let mut totals = counted(100);
        totals.query_count += n;
        totals.xact_count += n / 3;
        totals.query_time += n * 180;
        totals.wait_time += n * 7;
        totals.server_assignment_count += n / 3;
        totals.received += n * 90;
        totals.sent += n * 410;
        vec![
            StatsRow { database: "app".into(), totals, averages: counted(10), unprotected_commits: 0 },
            StatsRow {
                database: "pgbouncer".into(),
                totals: counted(1),
                averages: Averages::default(),
                unprotected_commits: 0,
            },
        ]
    }
    fn lists(&self) -> ListCounts {
        ListCounts {
            databases: 1,
            users: 2,
            peers: 3,
            pools: 4,
            peer_pools: 5,
            free_clients: 6,
            used_clients: 7,
            login_clients: 8,
            free_servers: 9,
            used_servers: 10,
            dns_names: 11,
            dns_zones: 12,
            dns_queries: 13,
            dns_pending: 14,
        }
    }
    fn settings(&self) -> Vec<ConfigRow> {
        vec![
            ConfigRow {
                key: "admin_users".into(),
                value: Some("alice".into()),
                default: Some(String::new()),
                changeable: true,
            },
            ConfigRow { key: "auth_file".into(), value: None, default: None, changeable: true },
            ConfigRow {
                key: "listen_port".into(),
                value: Some("6432".into()),
                default: Some("6432".into()),
                changeable: false,
            },
        ]
    }
    fn memory(&self) -> Vec<MemRow> {
        vec![MemRow { name: "client".into(), size: 100, used: 3, free: 2 }]
    }
    fn dns_hosts(&self) -> Vec<DnsHostRow> {
        vec![DnsHostRow {
            hostname: "db".into(),
            ttl: 15,
            addrs: vec!["10.0.3.200:0".into(), "10.0.3.201:0".into()],
        }]
    }
    fn dns_zones(&self) -> Vec<DnsZoneRow> {
        vec![DnsZoneRow { zonename: "example".into(), serial: 5_000_000_000, count: 1 }]
    }
    fn peers(&self) -> Vec<PeerRow> {
        vec![PeerRow { peer_id: 2, host: "/tmp/2".into(), port: 6432, pool_size: 20 }]
    }
    fn peer_pools(&self) -> Vec<PeerPoolRow> {
        let row = PeerPoolRow {
            peer_id: 2,
            cl_active_cancel_req: 1,
            cl_waiting_cancel_req: 2,
            sv_active_cancel: 3,
            sv_login: 4,
        };
        vec![row]
    }
    fn fds(&self) -> Outcome<'_, Vec<FdRow>> {
        let client = FdRow {
            fd: 9,
            task: "client",
            user: Some("alice".into()),
            addr: "unix".into(),
            cancel: 7_000_000_000,
            scram_client_key: Some(vec![0, 171]),
            ..FdRow::default()
        };
        Box::pin(std::future::ready(Ok(vec![client])))
    }
    fn clusters(&self) -> Vec<ClusterRow> {
        if self.no_clusters {
            return Vec::new();
        }
        vec![ClusterRow {
            name: "main".into(),
            mode: Mode::Manage,
            epoch: 7,
            primary: (!self.unwritable).then(|| "node0".into()),
            writable: !self.unwritable,
            held_clients: 0,
            maintenance: false,
            failovers: 1,
            doing: "the primary answers".into(),
        }]
    }
    fn nodes(&self) -> Vec<NodeRow> {
        if self.no_clusters {
            return Vec::new();
        }
        let mut far = node("node2", Role::Replica, Some(50_000_000));
        far.sync = Some(SyncState::Potential);
        vec![node("node0", Role::Primary, None), node("node1", Role::Replica, Some(1000)), far]
    }
    fn failovers(&self) -> Vec<FailoverRow> {
        if self.no_clusters {
            return Vec::new();
        }
        let step = |name: &str, took_us| Step { name: name.into(), took_us };
        let mut rows = vec![FailoverRow {
            cluster: "main".into(),
            started: UnixMicros(NOW.0 - if self.busy_since.is_some() { 0 } else { 3_600_000_000 }),
            epoch: 7,
            kind: "failover".into(),
            reason: "the primary does not answer and no standby hears of it".into(),
            decided_by: "howdah-1".into(),
            old_primary: Some("node3".into()),
            new_primary: Some("node0".into()),
            outcome: "done".into(),
            lost_bytes: Some(8192),
            lost_slots: Some("cdc".into()),
            steps: vec![step("suspect", 51_200), step("votes", 3_100), step("promote", 40_000)],
        }];
        if self.busy_since.is_some() {
            let mut older = rows[0].clone();
            older.started = UnixMicros(NOW.0 - 9_000_000_000);
            older.kind = "switchover".into();
            older.reason = "asked for on the console".into();
            older.decided_by = "admin".into();
            (older.old_primary, older.new_primary) = (Some("node0".into()), Some("node3".into()));
            let all = [("suspect", 61_200), ("votes", 4_100), ("fence", 9_300), ("elect", 800)];
            older.steps = all.into_iter().map(|(name, us)| step(name, us)).collect();
            older.steps.extend([step("repoint", 12_400), step("promote", 71_000), step("publish", 300)]);
            rows.push(older);
        }
        rows
    }
    fn latencies(&self) -> Vec<LatencyRow> {
        vec![LatencyRow {
            database: "app".into(),
            phase: Phase::Wait,
            sum_us: 5_000,
            buckets: vec![(100, 3), (1000, 2)],
            above: 1,
        }]
    }
    fn pause<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        self.act(format!("pause {}", db(database)), ())
    }
    fn resume<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        self.act(format!("resume {}", db(database)), ())
    }
    fn suspend(&self) -> Outcome<'_> {
        self.act("suspend".into(), ())
    }
    fn disable<'a>(&'a self, database: &'a str) -> Outcome<'a> {
        self.act(format!("disable {database}"), ())
    }
    fn enable<'a>(&'a self, database: &'a str) -> Outcome<'a> {
        self.act(format!("enable {database}"), ())
    }
    fn reconnect<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        self.act(format!("reconnect {}", db(database)), ())
    }
    fn kill<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        self.act(format!("kill {}", db(database)), ())
    }
    fn kill_client(&self, id: u64) -> Outcome<'_> {
        self.act(format!("kill_client {id}"), ())
    }
    fn wait_close<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        self.act(format!("wait_close {}", db(database)), ())
    }
    fn shutdown(&self, how: Shutdown) -> Outcome<'_> {
        self.act(format!("shutdown {how:?}"), ())
    }
    fn reload(&self) -> Outcome<'_, Vec<String>> {
        let kept =
            self.busy_since.is_some().then(|| "cluster main: dbname is taken over at a restart".to_owned());
        self.act("reload".into(), kept.into_iter().collect())
    }
    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> Outcome<'a, SetEffect> {
        let effect = if key.contains("_tls_") { SetEffect::TlsKept } else { SetEffect::Applied };
        self.act(format!("set {key}={value}"), effect)
    }
    fn explain_route(&self, sql: &str) -> Result<RouteRow, ActionError> {
        Ok(RouteRow { route: "replica".into(), reason: format!("reads only: {sql}") })
    }
    fn change_primary<'a>(&'a self, change: PrimaryChange<'a>) -> Outcome<'a> {
        let PrimaryChange { cluster, to, planned, force } = change;
        self.act(format!("change {cluster} to {} planned={planned} force={force}", db(to)), ())
    }
    fn maintenance<'a>(&'a self, cluster: &'a str, on: bool) -> Outcome<'a> {
        self.act(format!("maintenance {cluster} {on}"), ())
    }
}
