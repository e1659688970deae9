//! One PostgreSQL server, as far as a failover meets it. Read next: [`crate::stream`].

use std::collections::{BTreeMap, BTreeSet};

use howdah_failover::{
    ActionId, Attached, FenceRecord, Members, NodeSpec, ProbeFailure, Receiver, Sample, StreamState,
    SyncNames,
};
use howdah_topology::{Lsn, SyncState};

use crate::message::Message;
use crate::net::Peer;
use crate::wal::{Wal, lsn};

/// Whether it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    Up,
    /// It starts, and answers 57P03 until then (microseconds).
    Starting(u64),
    /// It does not run: a connect is refused, or, where the machine is gone, not answered.
    Down {
        /// Nothing is answered at all.
        silent: bool,
    },
}

/// A control session of a pooler on the server.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// The pooler.
    pub pooler: usize,
    /// When the server last heard from it.
    pub heard: u64,
    /// It waits for the disk: until that is over it does not end and keeps its vote.
    pub stuck: bool,
    /// Its connection has ended meanwhile.
    pub ended: bool,
}

/// A standby's WAL receiver.
#[derive(Debug, Clone)]
pub struct Recv {
    /// The stream's number, the same on both sides.
    pub stream: u64,
    /// The node it receives from.
    pub sender: usize,
    /// Last message, microseconds.
    pub last_message: u64,
    /// When it last asked for an answer.
    pub pinged: u64,
    /// It attached with a history that is not the sender's: it copies nothing, and reports its own position.
    pub lying: bool,
}

/// A sender's stream to a standby.
#[derive(Debug, Clone)]
pub struct Send {
    /// The stream's number.
    pub stream: u64,
    /// Entries flushed there.
    pub flushed: usize,
    /// Entries replayed there.
    pub replayed: usize,
    /// Entries sent.
    pub sent: usize,
    /// When it last heard from the standby.
    pub heard: u64,
    /// When the standby sent its last reply, by its own clock.
    pub replied: i64,
}

/// A commit that waits for its standbys.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    /// The client.
    pub client: usize,
    /// Its write.
    pub write: u64,
    /// Entries that must be flushed.
    pub len: usize,
}

/// An order that polls until something has happened.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The pooler that asks, and its life in which it asks.
    pub asker: (usize, u32),
    /// The order.
    pub id: ActionId,
    /// Its action's name.
    pub name: &'static str,
    /// What it waits for.
    pub kind: WaitKind,
    /// It answers with what it has at this moment.
    pub until: u64,
}

/// What an order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitKind {
    /// The receiver to be gone.
    Fenced,
    /// Replay to reach the end.
    Replayed,
    /// The end of recovery.
    Promoted,
}

/// One server.
#[derive(Debug, Clone)]
pub struct Pg {
    /// Its name as a standby.
    pub name: String,
    /// Whether it runs.
    pub power: Power,
    /// It is stopped by a signal: it does nothing and its sockets fill.
    pub frozen: u32,
    /// When it was started: `pg_postmaster_start_time`.
    pub started_at: u64,
    /// Its log.
    pub wal: Wal,
    /// Its timeline.
    pub timeline: u32,
    /// It is a standby.
    pub in_recovery: bool,
    /// Entries replayed (a standby).
    pub replayed: usize,
    /// Nothing was received since the start: `pg_last_wal_receive_lsn()` is NULL.
    pub received_null: bool,
    /// Replay is paused.
    pub paused: bool,
    /// Replay waits for a long read.
    pub conflict: bool,
    /// The receiver is stalled: it stays, and receives nothing (a laggard).
    pub stalled: u32,
    /// The disk does not answer, by so many faults: what has to be flushed waits.
    pub disk: u32,
    /// What waits for it, in order.
    pub behind_disk: Vec<(Peer, Message)>,
    /// How far its clock is off, microseconds.
    pub clock: i64,
    /// Transactions that are open beside the clients' writes.
    pub open_transactions: u32,
    /// Standbys that have a replication slot here, where the cluster uses slots.
    pub slots: BTreeSet<usize>,
    /// A promotion takes so much longer, microseconds.
    pub slow: u64,
    /// When the promotion that was asked for will be done.
    pub promote_at: Option<u64>,
    /// `primary_conninfo`.
    pub conninfo: String,
    /// When the startup process will have seen that it changed.
    pub conninfo_seen_at: Option<u64>,
    /// No receiver is started before this.
    pub connect_at: u64,
    /// The action that it refuses, and how many times more.
    pub refuses: Option<(&'static str, u32)>,
    /// `synchronous_standby_names`.
    pub sync_names: SyncNames,
    /// `howdah.members`.
    pub members: Option<Members>,
    /// `howdah.fence`.
    pub fence: Option<FenceRecord>,
    /// `default_transaction_read_only`.
    pub read_only: bool,
    /// Howdah's receiver times are set.
    pub tuned: bool,
    /// The receiver.
    pub receiver: Option<Recv>,
    /// Streams to standbys, by node.
    pub senders: BTreeMap<usize, Send>,
    /// Commits that wait.
    pub commits: Vec<Commit>,
    /// The poolers' sessions.
    pub sessions: BTreeMap<u64, Session>,
    /// The session that holds the vote.
    pub vote: Option<u64>,
    /// Orders that poll.
    pub waits: Vec<Wait>,
    /// Its supervisor has a session on it.
    pub supervised: bool,
    /// `howdah.switchover`: the start that is meant.
    pub stop_order: Option<i64>,
    /// When its supervisor obeys.
    pub stop_at: Option<u64>,
    /// When its supervisor has stopped it.
    pub ordered_down: Option<u64>,
    /// When the supervisor will rejoin it, and whether it rewinds.
    pub rejoin: Option<(u64, bool)>,
}

impl Pg {
    /// Whether this action is refused now.
    pub fn refuse(&mut self, action: &str) -> bool {
        match &mut self.refuses {
            Some((name, left)) if *name == action && *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// A fresh copy of a new cluster; the first one is its primary.
    #[must_use]
    pub fn new(spec: &NodeSpec, primary: Option<&NodeSpec>, sync_names: SyncNames) -> Pg {
        Pg {
            name: spec.application_name.clone(),
            power: Power::Up,
            frozen: 0,
            started_at: 1,
            wal: Wal::default(),
            timeline: 1,
            in_recovery: primary.is_some(),
            replayed: 0,
            received_null: true,
            paused: false,
            conflict: false,
            stalled: 0,
            disk: 0,
            behind_disk: Vec::new(),
            clock: 0,
            open_transactions: 0,
            slots: BTreeSet::new(),
            slow: 0,
            promote_at: None,
            conninfo: primary.map_or_else(String::new, |p| conninfo(p, &spec.application_name)),
            conninfo_seen_at: None,
            refuses: None,
            connect_at: 0,
            sync_names,
            members: None,
            fence: None,
            read_only: false,
            tuned: false,
            receiver: None,
            senders: BTreeMap::new(),
            commits: Vec::new(),
            sessions: BTreeMap::new(),
            vote: None,
            waits: Vec::new(),
            supervised: true,
            stop_order: None,
            stop_at: None,
            ordered_down: None,
            rejoin: None,
        }
    }

    /// A moment by this server's own clock.
    #[must_use]
    pub fn reads_clock(&self, moment: u64) -> i64 {
        i64::try_from(moment).unwrap_or(i64::MAX).saturating_add(self.clock)
    }

    /// Whether it runs and is not stopped by a signal.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.power == Power::Up && self.frozen == 0
    }

    /// How a connect fails; `None`: it does not. `Some(None)`: nothing is answered.
    #[must_use]
    pub fn refuses(&self) -> Option<Option<ProbeFailure>> {
        match self.power {
            Power::Up => None,
            Power::Starting(_) => Some(Some(ProbeFailure::StartingOrStopping)),
            Power::Down { silent: false } => Some(Some(ProbeFailure::Refused)),
            Power::Down { silent: true } => Some(None),
        }
    }

    /// The processes are gone, and with them everything that is not on disk.
    pub fn stop(&mut self, silent: bool) {
        self.power = Power::Down { silent };
        self.receiver = None;
        self.senders.clear();
        self.commits.clear();
        self.sessions.clear();
        self.vote = None;
        self.waits.clear();
        self.behind_disk.clear();
        self.open_transactions = 0;
        self.promote_at = None;
        self.paused = false;
        self.conflict = false;
        self.conninfo_seen_at = None;
        self.stop_at = None;
    }

    /// It begins to start.
    pub fn start(&mut self, now: u64, takes: u64) {
        self.power = Power::Starting(now + takes);
        self.ordered_down = None;
        self.started_at = now;
        self.received_null = true;
        // Replay begins again at the last restart point.
        self.replayed = self.replayed.saturating_sub(20).min(self.wal.len());
    }

    /// The streams of which it is the sender, as `pg_stat_replication`.
    fn attached(&self, nodes: &[NodeSpec]) -> Vec<Attached> {
        let row = |(node, s): (&usize, &Send)| {
            let name = nodes.get(*node)?.application_name.clone();
            let named = self.sync_names.contains(&name) || self.sync_names.is_wildcard();
            let sync = if named { SyncState::Sync } else { SyncState::Async };
            Some(Attached {
                application_name: name,
                state: StreamState::Streaming,
                reply_time: s.replied,
                sync,
                flushed: lsn(s.flushed),
                replayed: lsn(s.replayed),
            })
        };
        self.senders.iter().filter_map(row).collect()
    }

    /// What a probe reads.
    #[must_use]
    pub fn sample(&self, nodes: &[NodeSpec]) -> Sample {
        let end = self.wal.end();
        let standby = |l: Lsn| self.in_recovery.then_some(l);
        let primary = |l: Lsn| (!self.in_recovery).then_some(l);
        let receiver = self.receiver.as_ref().and_then(|r| {
            let sender = nodes.get(r.sender)?;
            Some(Receiver {
                sender_host: sender.host.clone(),
                sender_port: sender.port,
                last_message: self.reads_clock(r.last_message),
                latest_end: end,
                timeline: self.timeline,
            })
        });
        Sample {
            in_recovery: self.in_recovery,
            started_at: i64::try_from(self.started_at).unwrap_or(i64::MAX),
            system_id: 7,
            timeline: self.timeline,
            history: self.wal.history.iter().filter(|t| t.timeline <= self.timeline).copied().collect(),
            inserted: primary(end),
            flushed: primary(end),
            received: standby(end).filter(|_| !self.received_null),
            replayed: standby(lsn(self.replayed)),
            logical_slots: Vec::new(),
            receiver,
            replication: self.attached(nodes),
            sync_names: self.sync_names.clone(),
            members: self.members.clone(),
            fence: self.fence.clone(),
            primary_conninfo: self.conninfo.clone(),
            replay_paused: self.paused,
            recovery_conflict: self.conflict,
            delayed: false,
            busy: u32::try_from(self.commits.len())
                .unwrap_or(u32::MAX)
                .saturating_add(self.open_transactions),
            supervised: self.supervised,
            stop_ordered: self.stop_order.is_some(),
            read_only: self.read_only,
            tuned: self.tuned,
            times_kept: self.tuned,
            streams_as: (!self.conninfo.is_empty()).then(|| self.name.clone()),
            checks: Some(howdah_failover::Checks::default()),
        }
    }
}

/// A connection string to a node.
#[must_use]
pub fn conninfo(to: &NodeSpec, name: &str) -> String {
    format!("host={} port={} application_name={name}", to.host, to.port)
}

/// The node that a connection string names.
#[must_use]
pub fn target(nodes: &[NodeSpec], conninfo: &str) -> Option<usize> {
    let host = conninfo.split_whitespace().find_map(|w| w.strip_prefix("host="))?;
    nodes.iter().position(|n| n.host == host)
}
