//! What the machine asks for: each action's exact meaning, in SQL, and what its result says. This is the
//! contract with the controller (and with the simulator's model of PostgreSQL).
//!
//! - **Sessions.** For each node the controller keeps one *control session* in database `postgres`, outside any
//!   pool, opened when the node is first seen, with `idle_session_timeout` (14+), TCP keepalives and
//!   `tcp_user_timeout`, a heartbeat at a third of it, `synchronous_commit = local`, `statement_timeout` at the
//!   order's limit. Standing probes and every action marked **(control)** go through it, so that a pooler that
//!   was frozen, and whose session the server ended, does nothing on that node. An action marked **(second)** goes
//!   through another connection, because the control session must not be blocked by a poll.
//! - **The voting session.** The session in which a [`Action::Lock`] was granted is the only one for every later
//!   (control) action on that node but `Probe`, `Lock` and `Unlock`, until the next `Lock`. When it has ended, those
//!   are answered [`ActionError::SessionLost`], also when a probe has opened a new control session since: nothing is
//!   in the new one that kept others away in between.
//! - **Answers.** Every order is answered once, by [`crate::Event::ActionDone`] (probes by their own two events).
//!   An order not answered within [`Order::within`] is lost to the machine: it asks again under a new id or
//!   halts, and a late answer is ignored. An order may therefore be carried out twice, also at the same time, and
//!   every action is idempotent. If the control session had ended before the statement was sent, the answer is
//!   [`ActionError::SessionLost`]: never open a new session to carry it out, the votes are in the old one. If it
//!   ended after the statement was sent and before its answer, that is [`ActionError::Unanswered`]: it may have
//!   been carried out.
//! - **Settings** are written with `ALTER SYSTEM SET …` (values as quoted literals) followed by
//!   `SELECT pg_reload_conf()`, and *read back*: an action is done when `pg_settings`/`current_setting` of a
//!   session shows the new value. A custom setting (`howdah.members`, `howdah.fence`) is first `SET` in the same
//!   session, which makes ALTER SYSTEM accept the name; that session's own value then hides the file's, so read
//!   it back from `pg_file_settings` or on the second connection.
//!
//! Read next: [`crate::machine`].

use std::time::Duration;

use howdah_topology::{Lsn, NodeId};

use crate::event::Path;
use crate::fence::FenceRecord;
use crate::members::{Members, SyncNames};
use crate::sample::Sample;
use crate::stop::StopOrder;

/// The two integers of the advisory lock that is a vote: `pg_try_advisory_lock(4810324, 1)` in database
/// `postgres`. Fixed and documented, so that an operator finds it in `pg_locks` and every Howdah means the same.
pub const VOTE_KEY: (i32, i32) = (4_810_324, 1);

/// An order's number; never used twice by one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub u64);

/// One thing to do on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its number, to be given back with the answer.
    pub id: ActionId,
    /// Where.
    pub node: NodeId,
    /// What.
    pub action: Action,
    /// The time for it: after that its result is lost to the machine.
    pub within: Duration,
}

/// What to do. The answers named here are variants of [`Done`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Read a [`Sample`]: on [`Path::Standing`] through the control session (opened if there is none), on
    /// [`Path::Fresh`] through a connection opened for it. Answered by `ProbeAnswered` or `ProbeFailed`. A
    /// control session that stood and has ended answers `Eof` (or `StartingOrStopping`, by its last error) once,
    /// and is opened anew for the next probe.
    Probe {
        /// By which connection.
        path: Path,
    },
    /// **(control)** Take this node's vote: `SELECT pg_try_advisory_lock(4810324, 1)` unless this session holds
    /// it already (`pg_locks` with `pid = pg_backend_pid()`; session locks count, and one unlock must suffice),
    /// and a [`Sample`] in the same flight, after the lock. Where someone holds it who is no Howdah (a session of another
    /// `application_name` than Howdah's), that is reported, its session is ended by `pg_terminate_backend`, and the lock is
    /// taken then. Answer: [`Done::Locked`].
    Lock,
    /// **(control)** Whether this session still holds this node's vote (`pg_locks`). Answer: [`Done::Vote`].
    CheckVote,
    /// **(control)** Give the vote back: `SELECT pg_advisory_unlock_all()`. Answer: [`Done::Written`]; done also
    /// when the session is gone, since the server has then released it (answer `SessionLost`).
    Unlock,
    /// **(control)** Stop this standby's WAL receiver. Write `howdah.fence = record`, read it back, then
    /// `primary_conninfo = ''`, reload; then poll **(second)** `pg_stat_wal_receiver` each millisecond or two. Answer
    /// [`Done::Fenced`] as soon as the receiver is gone, or as soon as replay is seen paused or in a recovery conflict
    /// while it is not (the machine then asks for the remedy and orders the fence again), or when `within` is
    /// nearly over. On a repeated order `primary_conninfo` is empty already: the record is written as given. A primary that is
    /// left has no receiver, and of the order only the record matters (`crate::leave`).
    Fence {
        /// What to write first: the only memory of the old `primary_conninfo`.
        record: FenceRecord,
    },
    /// **(control)** `SELECT pg_wal_replay_resume()`. Answer: [`Done::Written`].
    ResumeReplay,
    /// **(second)** End the client backends of this standby with a snapshot or a lock that replay waits for: Howdah's
    /// own first, then `pg_terminate_backend(pid)` for `backend_type = 'client backend'`, the control sessions
    /// excepted, until the startup process waits in `RecoveryConflict*` no more. Answer: [`Done::Written`].
    EndConflictingReads,
    /// **(second)** Wait until this fenced standby has replayed all WAL that it has, and read where that is:
    /// `pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()`; where received is NULL, until the startup process
    /// waits for new WAL (`wait_event` `RecoveryWalStream` or `RecoveryRetrieveRetryInterval`) and the replayed
    /// position stands still between two reads; where what was received ends within a record, the same once it has stood
    /// still for two rounds of the startup process. Answered with `at_end: false` when replay is seen to go on being paused
    /// or in a conflict, or when `within` is nearly over (the machine then asks for the remedy, if one is needed, and reads
    /// again). Answer: [`Done::Position`].
    ReadPosition,
    /// **(control)** `synchronous_standby_names = names` (the text is [`SyncNames`]'s `Display`), reload. Answer:
    /// [`Done::Names`] with this node's insert position read *after* the setting was in force (out of recovery).
    WriteNames {
        /// The list.
        names: SyncNames,
    },
    /// **(control)** `howdah.members = members` (its `Display`), reload. Answer: [`Done::Written`].
    WriteMembers {
        /// The list, k and version.
        members: Members,
    },
    /// **(control)** Let this standby stream from `to`: `primary_conninfo` is the node's own present one, or when that
    /// is empty the one of `howdah.fence`, with `host` and `port` replaced by those of `to` and
    /// `application_name` by this node's; if it has a `primary_slot_name`, the slot is made on `to` first
    /// (`pg_create_physical_replication_slot`, if not exists). Reload. Do not wait for it to stream. Answer:
    /// [`Done::Written`].
    Repoint {
        /// The node to stream from.
        to: NodeId,
    },
    /// **(control, no other)** `SELECT pg_promote(wait => false)`. The one step that cannot be undone. Answer:
    /// [`Done::Written`]. If the node is out of recovery already: the same, and nothing is called.
    Promote,
    /// **(second)** Poll each millisecond or two until `NOT pg_is_in_recovery()`, then read. Answer:
    /// [`Done::Promoted`].
    AwaitPromoted,
    /// **(control)** Call the fence off: `primary_conninfo` from `howdah.fence` (as it is on the node, else `record`),
    /// read back, then `ALTER SYSTEM RESET "howdah.fence"`, reload. Without a record on the node: nothing.
    /// Answer: [`Done::Written`].
    Undo {
        /// The record as the machine knows it.
        record: FenceRecord,
    },
    /// **(control)** `ALTER SYSTEM RESET "howdah.fence"`, reload: the failover is over and `primary_conninfo` stays as it
    /// is. Answer: [`Done::Written`].
    ClearFence,
    /// **(control)** `on`: a former primary of an older epoch, or one that is being left: `default_transaction_read_only = on`,
    /// reload, and `pg_terminate_backend` for all client backends except control sessions; off: the setting is RESET, reload.
    /// Answer: [`Done::Written`].
    SetReadOnly {
        /// Set or put back.
        on: bool,
    },
    /// **(second)** `CHECKPOINT`, so that the clean stop that follows has little to write. A role that may not do that is
    /// no obstacle: the machine goes on without. Answer: [`Done::Written`].
    Checkpoint,
    /// **(control)** `howdah.switchover = order` (its `Display`), reload: the supervisor beside this primary stops it
    /// cleanly. Answer: [`Done::Written`] when the setting is in force; that it stops is seen by the probes.
    Stop {
        /// What the supervisor reads.
        order: StopOrder,
    },
    /// **(control)** `howdah.switchover` is emptied, reload: the order to stop is withdrawn. A supervisor that has read it
    /// already obeys all the same. Answer: [`Done::Written`].
    Recall,
    /// **(control)** `on`: what `ALTER SYSTEM` had set for the two is written to `howdah.tuned`, unless that is there already,
    /// then `wal_retrieve_retry_interval = '200ms'` and `wal_receiver_timeout = '1s'`; off: both are as `howdah.tuned` says,
    /// and that is emptied. Reload. Answer: [`Done::Written`].
    Tune {
        /// Set or put back.
        on: bool,
    },
}

impl Action {
    /// Its name in logs and in the explanation of a decision.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Action::Probe { .. } => "probe",
            Action::Lock => "lock",
            Action::CheckVote => "check vote",
            Action::Unlock => "unlock",
            Action::Fence { .. } => "fence",
            Action::ResumeReplay => "resume replay",
            Action::EndConflictingReads => "end conflicting reads",
            Action::ReadPosition => "read position",
            Action::WriteNames { .. } => "write names",
            Action::WriteMembers { .. } => "write members",
            Action::Repoint { .. } => "repoint",
            Action::Promote => "promote",
            Action::AwaitPromoted => "await promoted",
            Action::Undo { .. } => "undo",
            Action::ClearFence => "clear fence",
            Action::SetReadOnly { .. } => "set read only",
            Action::Checkpoint => "checkpoint",
            Action::Stop { .. } => "stop",
            Action::Recall => "recall",
            Action::Tune { .. } => "tune",
        }
    }
}

/// What an action that was carried out has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Carried out and, where it is a setting, read back.
    Written,
    /// [`Action::Lock`].
    Locked {
        /// Whether this session holds the vote now.
        granted: bool,
        /// Who holds it that is no Howdah and could not be ended, in a few words.
        foreign: Option<String>,
        /// The node as it is after the lock.
        sample: Box<Sample>,
    },
    /// [`Action::CheckVote`]: whether this session still holds it.
    Vote(bool),
    /// [`Action::Fence`].
    Fenced {
        /// `pg_stat_wal_receiver` is empty: the only proof.
        receiver_gone: bool,
        /// `pg_is_wal_replay_paused()`.
        replay_paused: bool,
        /// The startup process waits in `RecoveryConflict*`.
        recovery_conflict: bool,
    },
    /// [`Action::ReadPosition`].
    Position {
        /// As [`Sample::timeline`].
        timeline: u32,
        /// `pg_last_wal_receive_lsn()`.
        received: Option<Lsn>,
        /// `pg_last_wal_replay_lsn()`.
        replayed: Lsn,
        /// Replay has reached the end of the local WAL.
        at_end: bool,
        /// It has not, and `pg_is_wal_replay_paused()`.
        replay_paused: bool,
        /// It has not, and the startup process waits in `RecoveryConflict*`.
        recovery_conflict: bool,
    },
    /// [`Action::WriteNames`].
    Names {
        /// Out of recovery: the insert position after the list was in force.
        inserted: Option<Lsn>,
    },
    /// [`Action::AwaitPromoted`]: the node as it is, out of recovery.
    Promoted {
        /// Read after it left recovery.
        sample: Box<Sample>,
    },
}

/// Why an action was not carried out, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The control session had ended before anything was sent: its vote is gone, and nothing was done.
    #[error("the control session had ended")]
    SessionLost,
    /// The server said no.
    #[error("the server refused: {0}")]
    Refused(String),
    /// No answer: it may have been carried out or not.
    #[error("no answer")]
    Unanswered,
}
