//! What one probe reads of a node, in one round trip. Read next: [`crate::event`].
//!
//! Everything is as the server said it at one moment. What was said when is the machine's to know: an answer
//! proves the state at some moment after the probe was sent.

pub use howdah_topology::TimelineStart;

use howdah_topology::Lsn;

use crate::demands::Checks;
use crate::fence::FenceRecord;
use crate::members::{Members, SyncNames};

/// The row of `pg_stat_wal_receiver`. That there is one means that WAL can be received; `status = streaming`
/// proves nothing (it said so 4 s into a freeze, FAILOVER_PROTOCOL.md §3), so it is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// `sender_host`.
    pub sender_host: String,
    /// `sender_port`.
    pub sender_port: u16,
    /// `last_msg_receipt_time` in microseconds of the standby's own clock; compares with itself only.
    pub last_message: i64,
    /// `latest_end_lsn`.
    pub latest_end: Lsn,
    /// `received_tli`.
    pub timeline: u32,
}

/// How far `pg_stat_replication` says a standby's stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// `streaming`: it has caught up and follows.
    Streaming,
    /// `catchup`, `startup`, `backup` or `stopping`.
    Other,
}

/// A row of `pg_stat_replication`, on any node (a standby may have cascading ones).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// `application_name`.
    pub application_name: String,
    /// `state`.
    pub state: StreamState,
    /// `reply_time` in microseconds of the standby's own clock, 0 for NULL; compares with itself only. That there is a row
    /// proves nothing: it stays for `wal_sender_timeout` when the standby is cut off, and in a server that was frozen.
    pub reply_time: i64,
    /// `sync_state`.
    pub sync: howdah_topology::SyncState,
    /// `flush_lsn`.
    pub flushed: Lsn,
    /// `replay_lsn`.
    pub replayed: Lsn,
}

/// What one probe reads of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// `pg_is_in_recovery()`.
    pub in_recovery: bool,
    /// `pg_postmaster_start_time()` in microseconds of the node's own clock; compares with itself only. A promotion
    /// that was asked for before a restart and has not happened after it never will (PostgreSQL removes the
    /// request when it starts).
    pub started_at: i64,
    /// `system_identifier` of `pg_control_system()`.
    pub system_id: u64,
    /// The timeline. Out of recovery: of `pg_walfile_name(pg_current_wal_lsn())` or `IDENTIFY_SYSTEM`. In
    /// recovery: `received_tli` of the receiver, or the last one remembered by the controller for this node in
    /// this process, or, when there is none, `timeline_id` of `pg_control_checkpoint()`, which may be too old
    /// but never too new (FAILOVER_PROTOCOL.md §6).
    pub timeline: u32,
    /// The beginnings of the timelines from 2 up to `timeline`, ascending, as in `pg_wal/%08X.history`; empty on
    /// timeline 1 and where it cannot be read.
    pub history: Vec<TimelineStart>,
    /// Out of recovery: `pg_current_wal_insert_lsn()`.
    pub inserted: Option<Lsn>,
    /// Out of recovery: `pg_current_wal_flush_lsn()`.
    pub flushed: Option<Lsn>,
    /// In recovery: `pg_last_wal_receive_lsn()`; NULL after a restart of the standby.
    pub received: Option<Lsn>,
    /// In recovery: `pg_last_wal_replay_lsn()`.
    pub replayed: Option<Lsn>,
    /// Names of its logical replication slots that are neither temporary nor lost already. In recovery: only those that are
    /// kept in step with the primary's (17 and later) and would serve after a promotion.
    pub logical_slots: Vec<String>,
    /// The WAL receiver, if one runs.
    pub receiver: Option<Receiver>,
    /// `pg_stat_replication`.
    pub replication: Vec<Attached>,
    /// `synchronous_standby_names`, parsed by [`SyncNames`]'s `FromStr`.
    pub sync_names: SyncNames,
    /// `howdah.members`, parsed; `None` when unset or empty.
    pub members: Option<Members>,
    /// `howdah.fence`, parsed; `None` when unset or empty.
    pub fence: Option<FenceRecord>,
    /// `primary_conninfo`, as set (the password is in it: it is never logged).
    pub primary_conninfo: String,
    /// In recovery: `pg_is_wal_replay_paused()`.
    pub replay_paused: bool,
    /// In recovery: the startup process waits in `RecoveryConflict*` (`pg_stat_activity`).
    pub recovery_conflict: bool,
    /// In recovery: `recovery_min_apply_delay` is not 0.
    pub delayed: bool,
    /// `default_transaction_read_only` of the system-wide settings (`pg_settings.reset_val`), so that the
    /// probing session's own value does not matter.
    pub read_only: bool,
    /// Out of recovery: client backends that are in a transaction or run a statement, the control plane's excepted.
    pub busy: u32,
    /// The supervisor beside this server has a session on it (`application_name` [`crate::stop::SUPERVISOR`]).
    pub supervised: bool,
    /// `howdah.switchover` is set.
    pub stop_ordered: bool,
    /// `wal_retrieve_retry_interval` and `wal_receiver_timeout` have Howdah's values
    /// (FAILOVER_PROTOCOL.md §1).
    pub tuned: bool,
    /// `howdah.tuned` is set: Howdah has changed these two, and the node knows what they were.
    pub times_kept: bool,
    /// The `application_name` of its `primary_conninfo`, else its `cluster_name`, else [`crate::UNNAMED`]; `None` where it
    /// has no `primary_conninfo`, or a fence has emptied it.
    pub streams_as: Option<String>,
    /// What was found of what `manage` demands; `None`: not looked at yet.
    pub checks: Option<Checks>,
}

impl Sample {
    /// A word of `primary_conninfo`, without its quotes.
    #[must_use]
    pub(crate) fn conninfo_word(&self, key: &str) -> Option<&str> {
        let words = self.primary_conninfo.split_whitespace();
        let mut values = words.filter_map(|w| w.strip_prefix(key)?.strip_prefix('='));
        values.next().map(|value| value.trim_matches('\''))
    }

    /// The name under which it streams, if its `primary_conninfo` has one.
    #[must_use]
    pub fn streams_as(&self) -> Option<&str> {
        self.conninfo_word("application_name")
    }

    /// The position that counts in an election: the greater of received and replayed on a standby, the flush
    /// position out of recovery.
    #[must_use]
    pub fn position(&self) -> Lsn {
        let standby = self.received.max(self.replayed);
        if self.in_recovery { standby } else { self.flushed }.unwrap_or(Lsn::INVALID)
    }
}
