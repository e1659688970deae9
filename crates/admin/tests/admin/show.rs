//! Every SHOW: names, wire types, order, NULLs and values (PGBOUNCER.md section 7).

use howdah_admin::console::greeting;
use howdah_admin::rows::{Averages, StatsRow, totals};
use howdah_admin::{Access, Console, ConsoleOutcome, UnixMicros};

use super::fake::{Fake, NOW, counted};
use super::wire::{Message, ask, done, error, messages};

/// Asserts the columns (name and one letter for the type: `s` text, `i` int4, `q` int8, `N` numeric, `b` bytea) and
/// the rows, in which `~` is NULL and `|` separates the values.
async fn shows(query: &str, columns: &str, rows: &[&str]) {
    let (answer, outcome) = ask(&Fake::default(), Access::Admin, query).await;
    assert_eq!(outcome, ConsoleOutcome::Continue);
    let typed = |column: &str| {
        let (name, letter) = column.split_once(':').unwrap();
        let (oid, length) = match letter {
            "s" => (25, -1),
            "i" => (23, 4),
            "q" => (20, 8),
            "N" => (1700, -1),
            "b" => (17, -1),
            other => panic!("no type {other}"),
        };
        (name.to_owned(), oid, length)
    };
    let row = |row: &&str| {
        Message::Row(row.split('|').map(|value| (value != "~").then(|| value.to_owned())).collect())
    };
    let mut expected = vec![Message::Columns(columns.split_whitespace().map(typed).collect())];
    expected.extend(rows.iter().map(row));
    expected.extend(done("SHOW"));
    assert_eq!(answer, expected, "{query}");
}

const CONNECTION: &str = "type:s user:s database:s replication:s state:s addr:s port:i local_addr:s local_port:i \
     connect_time:s request_time:s wait:i wait_us:i close_needed:i ptr:s link:s remote_pid:i tls:s \
     application_name:s prepared_statements:i id:i";
const BUFFERS: &str = "recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i pkt_avail:i send_avail:i";

fn times(ago_us: i64) -> (String, String) {
    (UnixMicros(NOW.0 - ago_us).local(), UnixMicros(NOW.0 - 1_500_000).local())
}

fn client(user_database: &str, state: &str, rest: &str) -> String {
    let (connected, requested) = times(60_000_000);
    format!("C|{user_database}|none|{state}|10.0.3.9|40000|10.0.3.1|6432|{connected}|{requested}|{rest}")
}

fn server(state: &str, id: &str) -> String {
    let (connected, requested) = times(30_000_000);
    format!(
        "S|app|app|none|{state}|10.0.3.200|5432|10.0.3.1|51000|{connected}|{requested}|0|0|1|0x{id}|0x2|4711|\
         TLSv1.3/TLS_AES_256_GCM_SHA384||1|{id}"
    )
}

#[tokio::test]
async fn clients_and_servers() {
    let clients = [
        client("alice|app", "idle", "0|0|0|0x1||0||psql|3|1"),
        client("alice|app", "waiting", "1|500000|0|0x2||0||psql|3|2"),
        client("alice|app", "active", "0|0|0|0x3|0x5|0||psql|3|3"),
    ];
    shows("SHOW CLIENTS", CONNECTION, &clients.each_ref().map(String::as_str)).await;
    let servers = [server("active", "5"), server("being_canceled", "6")];
    shows("show servers;", CONNECTION, &servers.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn sockets_have_prefixed_states_and_buffers() {
    let columns = format!("{CONNECTION} {BUFFERS}");
    let empty = "0|0|0|0|0|0|0";
    let rows = [
        format!("{}|{empty}", client("alice|app", "cl_active", "0|0|0|0x1||0||psql|3|1")),
        format!("{}|{empty}", client("alice|app", "cl_waiting", "1|500000|0|0x2||0||psql|3|2")),
        format!("{}|{empty}", client("alice|app", "cl_active", "0|0|0|0x3|0x5|0||psql|3|3")),
        format!("{}|{empty}", client("(nouser)|(nodb)", "cl_login", "0|0|0|0x4||0||psql|3|4")),
        format!("{}|7|6|5|4|0|2|1", server("sv_active", "5")),
    ];
    shows("SHOW SOCKETS", &columns, &rows.each_ref().map(String::as_str)).await;
    shows("SHOW ACTIVE_SOCKETS", &columns, &[&rows[4]]).await;
}

#[tokio::test]
async fn databases_and_users() {
    shows(
        "SHOW DATABASES",
        "name:s host:s port:i database:s force_user:s pool_size:i min_pool_size:i reserve_pool_size:i \
         server_lifetime:i pool_mode:s load_balance_hosts:s max_connections:i current_connections:i \
         max_client_connections:i current_client_connections:i paused:i disabled:i",
        &[
            "app|a,b|5432|app|~|20|1|2|3600|transaction|round-robin|7|3|9|4|1|0",
            "pgbouncer|~|6432|pgbouncer|pgbouncer|2|1|2|3600|~|~|7|3|9|4|0|0",
        ],
    )
    .await;
    shows(
        "SHOW USERS",
        "name:s pool_size:s reserve_pool_size:s pool_mode:s max_user_connections:i current_connections:i \
         max_user_client_connections:i current_client_connections:i",
        &["alice|       12||session|5|1|6|2", "bob|||~|5|1|6|2"],
    )
    .await;
}

#[tokio::test]
async fn pools() {
    shows(
        "SHOW POOLS",
        "database:s user:s cl_active:i cl_waiting:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active:i \
         sv_active_cancel:i sv_being_canceled:i sv_idle:i sv_used:i sv_tested:i sv_login:i maxwait:i maxwait_us:i \
         pool_mode:s load_balance_hosts:s",
        &[
            "app|app|1|2|3|4|5|6|7|8|9|10|11|2|500000|transaction|~",
            "pgbouncer|pgbouncer|1|2|3|4|5|6|7|8|9|10|11|2|500000|statement|~",
        ],
    )
    .await;
}

const TWELVE: &str = "server_assignment_count:N xact_count:N query_count:N bytes_received:N bytes_sent:N \
     xact_time:N query_time:N wait_time:N";

#[tokio::test]
async fn stats() {
    shows(
        "SHOW STATS",
        "database:s total_server_assignment_count:N total_xact_count:N total_query_count:N total_received:N \
         total_sent:N total_xact_time:N total_query_time:N total_wait_time:N total_client_parse_count:N \
         total_server_parse_count:N total_bind_count:N total_client_login_count:N avg_server_assignment_count:N \
         avg_xact_count:N avg_query_count:N avg_recv:N avg_sent:N avg_xact_time:N avg_query_time:N avg_wait_time:N \
         avg_client_parse_count:N avg_server_parse_count:N avg_bind_count:N avg_client_login_count:N",
        &[
            "app|100|101|102|103|104|105|106|107|108|109|110|111|10|11|12|13|14|15|16|17|18|19|20|21",
            "pgbouncer|1|2|3|4|5|6|7|8|9|10|11|12|0|0|0|0|0|0|0|0|0|0|0|0",
        ],
    )
    .await;
    shows(
        "SHOW STATS_TOTALS",
        &format!(
            "database:s {TWELVE} client_parse_count:N server_parse_count:N bind_count:N client_login_count:N"
        ),
        &["app|100|101|102|103|104|105|106|107|108|109|110|111", "pgbouncer|1|2|3|4|5|6|7|8|9|10|11|12"],
    )
    .await;
    shows(
        "SHOW STATS_AVERAGES",
        &format!(
            "database:s {TWELVE} avg_client_parse_count:N avg_server_parse_count:N avg_bind_count:N \
             avg_client_login_count:N"
        ),
        &["app|10|11|12|13|14|15|16|17|18|19|20|21", "pgbouncer|0|0|0|0|0|0|0|0|0|0|0|0"],
    )
    .await;
}

#[tokio::test]
async fn totals_are_over_all_databases() {
    shows(
        "SHOW TOTALS",
        "name:s value:N",
        &[
            "total_server_assignment_count|101",
            "total_xact_count|103",
            "total_query_count|105",
            "total_client_bytes|107",
            "total_server_bytes|109",
            "total_xact_time|111",
            "total_query_time|113",
            "total_wait_time|115",
            "total_ps_client_parse_count|117",
            "total_ps_server_parse_count|119",
            "total_ps_bind_count|121",
            "total_client_login_count|123",
            "avg_server_assignment_count|10",
            "avg_xact_count|11",
            "avg_query_count|12",
            "avg_client_bytes|13",
            "avg_server_bytes|14",
            "avg_xact_time|15",
            "avg_query_time|16",
            "avg_wait_time|17",
            "avg_ps_client_parse_count|18",
            "avg_ps_server_parse_count|19",
            "avg_ps_bind_count|20",
            "avg_client_login_count|21",
        ],
    )
    .await;
}

#[test]
fn a_mean_over_databases_is_weighed_by_their_events() {
    let row = |query_time, query_count| StatsRow {
        database: "d".into(),
        totals: counted(0),
        averages: Averages { query_time, query_count, ..Averages::default() },
        unprotected_commits: 0,
    };
    let mean =
        |rows: &[StatsRow]| totals(rows).iter().find(|row| row.name == "avg_query_time").unwrap().value;
    assert_eq!(mean(&[row(100, 9), row(1100, 1)]), 200);
    // A rate below one a second shows as 0, but its events took their time.
    assert_eq!(mean(&[row(700, 0)]), 700);
    assert_eq!(mean(&[row(0, 0)]), 0);
}

#[tokio::test]
async fn the_process() {
    shows(
        "SHOW LISTS",
        "list:s items:i",
        &[
            "databases|1",
            "users|2",
            "peers|3",
            "pools|4",
            "peer_pools|5",
            "free_clients|6",
            "used_clients|7",
            "login_clients|8",
            "free_servers|9",
            "used_servers|10",
            "dns_names|11",
            "dns_zones|12",
            "dns_queries|13",
            "dns_pending|14",
        ],
    )
    .await;
    shows("SHOW STATE", "key:s value:s", &["active|yes", "paused|no", "suspended|no"]).await;
    shows(
        "SHOW CONFIG",
        "key:s value:s default:s changeable:s",
        &["admin_users|alice||yes", "auth_file|~|~|yes", "listen_port|6432|6432|no"],
    )
    .await;
    shows("SHOW MEM", "name:s size:i used:i free:i memtotal:i", &["client|100|3|2|500"]).await;
    shows("SHOW VERSION", "version:s", &["PgBouncer 1.25.2 (Howdah 0.1.0)"]).await;
    shows("SHOW DNS_HOSTS", "hostname:s ttl:q addrs:s", &["db|15|10.0.3.200:0,10.0.3.201:0"]).await;
    shows("SHOW DNS_ZONES", "zonename:s serial:q count:i", &["example|5000000000|1"]).await;
    shows("SHOW PEERS", "peer_id:i host:s port:i pool_size:i", &["2|/tmp/2|6432|20"]).await;
    shows(
        "SHOW PEER_POOLS",
        "peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active_cancel:i sv_login:i",
        &["2|1|2|3|4"],
    )
    .await;
    shows(
        "SHOW FDS",
        "fd:i task:s user:s database:s addr:s port:i cancel:q link:i client_encoding:s std_strings:s datestyle:s \
         timezone:s password:s scram_client_key:b scram_server_key:b",
        &["9|client|alice|~|unix|0|7000000000|0|~|~|~|~|~|\\x00ab|~"],
    )
    .await;
}

#[tokio::test]
async fn clusters() {
    let fresh = NOW.local();
    shows(
        "SHOW NODES",
        "cluster:s node:s host:s port:i role:s state:s sync:s timeline:i lsn:s lag_bytes:q lag_us:q fresh_as_of:s \
         latency_us:q connections:i reason:s",
        &[
            "main|node0|10.0.3.200|5432|primary|up|~|2|0/3000060|~|~|~|350|4|~",
            &format!("main|node1|10.0.3.201|5432|replica|up|sync|2|0/3000060|1000|10000|{fresh}|350|4|~"),
            &format!("main|node2|10.0.3.202|5432|replica|up|potential|2|0/3000060|50000000|500000000|{fresh}|350|4|~"),
        ],
    )
    .await;
    let started = UnixMicros(NOW.0 - 3_600_000_000).local();
    shows(
        "SHOW FAILOVERS",
        "cluster:s started:s epoch:q kind:s reason:s by:s old_primary:s new_primary:s outcome:s lost_bytes:q lost_slots:s duration_us:q steps:s",
        &[&format!(
            "main|{started}|7|failover|the primary does not answer and no standby hears of it|howdah-1|node3|node0|\
             done|8192|cdc|94300|suspect 51.2 ms, votes 3.1 ms, promote 40.0 ms"
        )],
    )
    .await;
}

#[test]
fn times_have_pgbouncers_form() {
    assert_eq!(NOW.utc(), "2026-11-27 00:00:00 UTC");
    assert_eq!(UnixMicros(i64::MAX).utc(), "1970-01-01 00:00:00 UTC");
    let local = NOW.local();
    let (date, zone) = local.split_at(19);
    assert!(date.starts_with("2026-11-2") && zone.len() > 1 && zone.starts_with(' '), "{local}");
}

#[tokio::test]
async fn select_is_show_and_variables_are_faked() {
    let fake = Fake::default();
    let (select, _) = ask(&fake, Access::Stats, "SELECT version").await;
    let (show, _) = ask(&fake, Access::Stats, "show version").await;
    assert_eq!(select, show);
    for (name, value) in [
        ("client_encoding", "UTF-8"),
        ("default_transaction_isolation", "read committed"),
        ("standard_conforming_strings", "on"),
        ("datestyle", "ISO"),
        ("timezone", "GMT"),
    ] {
        shows(&format!("SHOW {}", name.to_uppercase()), &format!("{name}:s"), &[value]).await;
        let (answer, _) = ask(&fake, Access::Stats, &format!("SET {name} TO 'x'")).await;
        assert!(
            matches!(&answer[0], Message::Notice(fields) if fields.contains(&('M', "SET ignored".to_owned()))),
            "{answer:?}"
        );
        assert_eq!(answer[1..], done("SET"));
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn help_is_a_notice() {
    let (answer, _) = ask(&Fake::default(), Access::Stats, "SHOW HELP").await;
    let Message::Notice(fields) = &answer[0] else { panic!("{answer:?}") };
    let letters: Vec<char> = fields.iter().map(|(letter, _)| *letter).collect();
    assert_eq!(letters, ['S', 'C', 'M', 'D']);
    let texts: Vec<&str> = fields.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts[..3], ["NOTICE", "00000", "Console usage"]);
    assert!(
        texts[3]
            .starts_with("\n\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION\n\tSHOW PEERS|")
    );
    assert!(texts[3].contains("\n\tWAIT_CLOSE [<db>]"));
    assert_eq!(answer[1..], done("SHOW"));
}

#[tokio::test]
async fn stats_users_may_show_all_but_fds() {
    let fake = Fake::default();
    for show in howdah_admin::console::command::Show::ALL {
        let (answer, _) = ask(&fake, Access::Stats, &format!("SHOW {}", show.word())).await;
        if show.word() == "fds" {
            assert_eq!(answer, error("08P01", "admin access needed"));
        } else {
            assert_eq!(answer[answer.len() - 2..], done("SHOW"), "{}", show.word());
        }
    }
}

#[tokio::test]
async fn a_number_too_large_for_int4_is_capped() {
    let mut row = super::fake::pool("d", "u", howdah_admin::rows::PoolMode::Session);
    row.maxwait_us = u64::MAX;
    let mut out = Vec::new();
    howdah_admin::table::encode(&mut out, [row]).unwrap();
    let Message::Row(values) = &messages(&out)[1] else { panic!() };
    assert_eq!(values[13].as_deref(), Some("2147483647"));
}

#[test]
fn the_greeting() {
    let mut out = Vec::new();
    greeting("1.25.2", &mut out).unwrap();
    let text = String::from_utf8_lossy(&out).replace(|c: char| c.is_control(), " ");
    for pair in [
        "server_version 1.25.2/bouncer ",
        "client_encoding UTF8 ",
        "server_encoding UTF8 ",
        "DateStyle ISO ",
        "TimeZone GMT ",
        "standard_conforming_strings on ",
        "is_superuser on ",
    ] {
        assert!(text.contains(pair), "{pair} in {text}");
    }
    assert_eq!(
        out.iter().filter(|&&byte| byte == b'S').count() - 2,
        7,
        "seven ParameterStatus, two S in DateStyle and ISO"
    );
}

#[test]
fn other_messages_end_the_session() {
    for (tag, text) in [
        (b'P', "extended query protocol not supported by admin console"),
        (b'B', "extended query protocol not supported by admin console"),
        (b'E', "extended query protocol not supported by admin console"),
        (b'S', "unsupported packet type for admin console: 83"),
    ] {
        let mut out = Vec::new();
        let close = ConsoleOutcome::Close { refused: Some(text.to_owned()), reason: "bad packet" };
        assert_eq!(Console::new(Access::Admin, 1).refuse(tag, &mut out), close);
        assert_eq!(messages(&out), error("08P01", text));
    }
}
