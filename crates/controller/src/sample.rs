//! One probe's SQL and how its answer is read into a [`Sample`]: one round trip, the same text on primary and
//! standby. What a version lacks is asked in a way that does not fail there (`current_setting(…, true)`).

use std::collections::HashMap;
use std::time::Duration;

use howdah_failover::{
    Attached, Checks, Receiver, Sample, StreamState, SyncNames, TimelineStart, UNNAMED, VOTE_KEY,
};
use howdah_topology::{Lsn, SyncState};
use tokio::time::Instant;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

/// `wal_retrieve_retry_interval` under Howdah's care (FAILOVER_PROTOCOL.md §1).
pub(crate) const RETRY_INTERVAL: &str = "200ms";
/// `wal_receiver_timeout` under Howdah's care.
pub(crate) const RECEIVER_TIMEOUT: &str = "1s";

/// Size of a WAL page; PostgreSQL's default, which packages do not change.
const WAL_PAGE: u64 = 8192;
/// Sizes of the header of a WAL page: short, and long at the start of a segment.
const PAGE_HEADERS: [u64; 2] = [24, 40];

/// The first half of a sample: the node itself.
pub(crate) const NODE_SQL: &str = "\
SELECT r AS in_recovery,
       (SELECT system_identifier FROM pg_control_system()) AS system_id,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS started,
       current_setting('server_version_num') AS version,
       CASE WHEN NOT r THEN pg_walfile_name(pg_current_wal_lsn()) END AS walfile,
       CASE WHEN r THEN (SELECT timeline_id FROM pg_control_checkpoint()) END AS checkpoint_timeline,
       CASE WHEN r THEN (SELECT min_recovery_end_timeline FROM pg_control_recovery()) END AS recovery_timeline,
       CASE WHEN NOT r THEN pg_current_wal_insert_lsn() END AS inserted,
       CASE WHEN NOT r THEN pg_current_wal_flush_lsn() END AS flushed,
       pg_last_wal_receive_lsn() AS received,
       pg_last_wal_replay_lsn() AS replayed,
       w.sender_host, w.sender_port, w.latest_end_lsn, w.received_tli, w.pid IS NOT NULL AS receives,
       (extract(epoch FROM w.last_msg_receipt_time) * 1000000)::bigint AS last_message,
       current_setting('synchronous_standby_names') AS sync_names,
       current_setting('howdah.members', true) AS members,
       current_setting('howdah.fence', true) AS fence,
       current_setting('primary_conninfo') AS primary_conninfo,
       current_setting('cluster_name') AS cluster_name,
       CASE WHEN r THEN pg_is_wal_replay_paused() END AS replay_paused,
       r AND EXISTS (SELECT FROM pg_stat_activity
                     WHERE backend_type = 'startup' AND wait_event LIKE 'RecoveryConflict%') AS recovery_conflict,
       r AND current_setting('recovery_min_apply_delay') NOT IN ('0', '0ms') AS delayed,
       CASE WHEN NOT r THEN (
         SELECT count(*) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()
           AND application_name <> 'howdah_supervisor'
           AND NOT (application_name = 'howdah' AND usename = current_user)) END AS busy,
       EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'howdah_supervisor') AS supervised,
       (SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots s
        WHERE slot_type = 'logical' AND NOT temporary AND coalesce(wal_status, '') <> 'lost'
          AND to_jsonb(s) ->> 'invalidation_reason' IS NULL
          AND (NOT r OR coalesce(to_jsonb(s) ->> 'synced', 'false') = 'true')) AS logical_slots,
       coalesce(current_setting('howdah.switchover', true), '') <> '' AS stop_ordered,
       current_setting('default_transaction_read_only') AS read_only,
       coalesce(current_setting('howdah.tuned', true), '') <> '' AS times_kept,
       current_setting('wal_retrieve_retry_interval') AS retry_interval,
       current_setting('wal_receiver_timeout') AS receiver_timeout
FROM (SELECT pg_is_in_recovery() AS r) node LEFT JOIN pg_stat_wal_receiver w ON true";

/// The second half: its `pg_stat_replication`.
pub(crate) const ATTACHED_SQL: &str = "\
SELECT application_name, state, sync_state, flush_lsn, replay_lsn,
       (extract(epoch FROM reply_time) * 1000000)::bigint AS reply_time
  FROM pg_stat_replication";

/// Takes the vote unless this session has it; for the front of a sample.
pub(crate) fn lock_sql() -> String {
    let (high, low) = VOTE_KEY;
    format!(
        "SELECT CASE WHEN EXISTS ({}) THEN true ELSE pg_try_advisory_lock({high}, {low}) END AS granted",
        vote_sql()
    )
}

/// A row when this session holds the vote.
pub(crate) fn vote_sql() -> String {
    let (high, low) = VOTE_KEY;
    format!(
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = {high} AND objid = {low} AND objsubid = 2 \
         AND pid = pg_backend_pid() AND granted"
    )
}

/// Who else holds the vote of this node, but for sessions of this `application_name`; a prepared transaction has no `pid`.
pub(crate) fn holders_sql(application_name: &str) -> String {
    let (high, low) = VOTE_KEY;
    format!(
        "SELECT l.pid, nullif(a.application_name, '') AS application, a.usename AS role, \
         coalesce(host(a.client_addr), 'a local socket') AS client \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.classid = {high} AND l.objid = {low} AND l.objsubid = 2 AND l.granted \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.pid IS DISTINCT FROM pg_backend_pid() AND a.application_name IS DISTINCT FROM '{application_name}'"
    )
}

/// What the controller remembers of a node from one sample to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// `pg_postmaster_start_time()`: another one means that what follows may be of another data directory.
    started: i64,
    /// The greatest timeline that the receiver named.
    timeline: u32,
    /// The history of a timeline, once read.
    history: Option<(u32, Vec<TimelineStart>)>,
    /// `server_version_num`, 150020 for example.
    pub(crate) version: u32,
    /// The `application_name` under which the node streams, or would.
    pub(crate) application_name: Option<String>,
    /// The role in its `primary_conninfo`.
    pub(crate) replicates_as: Option<String>,
    /// What was found of what `manage` demands, and when.
    pub(crate) checks: Option<(Checks, Instant)>,
    /// What was received and replayed as of the last question for a position, and since when.
    stands: Option<((Option<Lsn>, Lsn), Instant)>,
}

impl Memory {
    /// The history of `timeline`, if it is known; timeline 1 has none.
    pub(crate) fn history(&self, timeline: u32) -> Option<Vec<TimelineStart>> {
        if timeline <= 1 {
            return Some(Vec::new());
        }
        self.history.as_ref().filter(|(of, _)| *of == timeline).map(|(_, history)| history.clone())
    }

    /// The greater of `control` and the timeline that the receiver last named.
    pub(crate) fn timeline_at_least(&self, control: u32) -> u32 {
        self.timeline.max(control)
    }

    /// How long a standby is seen to have received and replayed as much as now.
    pub(crate) fn stood_at(&mut self, at: (Option<Lsn>, Lsn)) -> Duration {
        let same = self.stands.filter(|(stood, _)| *stood == at);
        let (_, since) = *self.stands.insert(same.unwrap_or((at, Instant::now())));
        since.elapsed()
    }

    pub(crate) fn keep_history(&mut self, timeline: u32, history: Vec<TimelineStart>) {
        if !history.is_empty() {
            self.history = Some((timeline, history));
        }
    }
}

/// The answer is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the probe's answer has no usable {0}")]
pub(crate) struct SampleError(pub(crate) &'static str);

/// The rows of each statement of an answer.
pub(crate) fn result_sets(messages: Vec<SimpleQueryMessage>) -> Vec<Vec<SimpleQueryRow>> {
    let mut sets = Vec::new();
    let mut rows = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => rows.push(row),
            SimpleQueryMessage::CommandComplete(_) => sets.push(std::mem::take(&mut rows)),
            _ => {}
        }
    }
    sets
}

/// One row by its columns' names.
pub(crate) struct Fields<'a> {
    values: HashMap<&'a str, &'a str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(row: &'a SimpleQueryRow) -> Self {
        let names = row.columns().iter().map(tokio_postgres::SimpleColumn::name);
        let values = names.enumerate().filter_map(|(i, name)| Some((name, row.get(i)?))).collect();
        Self { values }
    }

    /// The text of a column; `None` for NULL.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).copied()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("t")
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    pub(crate) fn lsn(&self, name: &str) -> Option<Lsn> {
        self.number(name)
    }
}

/// Reads the two result sets of a sample. The history is what `memory` has: empty when it must be read.
pub(crate) fn read(
    node: &[SimpleQueryRow],
    replication: &[SimpleQueryRow],
    memory: &mut Memory,
) -> Result<Sample, SampleError> {
    let fields = Fields::of(node.first().ok_or(SampleError("row"))?);
    remember(&fields, memory);
    let in_recovery = fields.flag("in_recovery");
    let timeline = timeline_of(&fields, in_recovery, memory).ok_or(SampleError("timeline"))?;
    let sync_names = fields.text("sync_names").unwrap_or_default();
    let flushed = fields.lsn("flushed");
    let streams = fields.text("primary_conninfo").is_some_and(|conninfo| !conninfo.is_empty());
    Ok(Sample {
        in_recovery,
        system_id: fields.number("system_id").ok_or(SampleError("system_identifier"))?,
        started_at: memory.started,
        timeline,
        history: memory.history(timeline).unwrap_or_default(),
        inserted: fields.lsn("inserted").map(|inserted| end_of_records(inserted, flushed)),
        flushed,
        received: fields.lsn("received").filter(|_| in_recovery),
        replayed: fields.lsn("replayed").filter(|_| in_recovery),
        logical_slots: words(fields.text("logical_slots")),
        receiver: receiver(&fields),
        replication: replication.iter().map(|row| attached(&Fields::of(row))).collect(),
        sync_names: sync_names.parse::<SyncNames>().map_err(|_| SampleError("synchronous_standby_names"))?,
        // What was written by hand and cannot be read counts as nothing: it is no record of a Howdah.
        members: fields.text("members").and_then(|text| text.parse().ok()),
        fence: fields.text("fence").and_then(|text| text.parse().ok()),
        primary_conninfo: fields.text("primary_conninfo").unwrap_or_default().to_owned(),
        replay_paused: fields.flag("replay_paused"),
        recovery_conflict: fields.flag("recovery_conflict"),
        delayed: fields.flag("delayed"),
        busy: fields.number("busy").unwrap_or(0),
        supervised: fields.flag("supervised"),
        stop_ordered: fields.flag("stop_ordered"),
        read_only: fields.text("read_only") == Some("on"),
        tuned: fields.text("retry_interval") == Some(RETRY_INTERVAL)
            && fields.text("receiver_timeout") == Some(RECEIVER_TIMEOUT),
        times_kept: fields.flag("times_kept"),
        streams_as: memory.application_name.clone().filter(|_| streams),
        checks: memory.checks.as_ref().map(|(checks, _)| checks.clone()),
    })
}

/// The insert position of an idle primary that stands at the start of a page counts the page's header, which is no
/// record: a standby that has replayed everything stands before it. Then the flush position is the end.
pub(crate) fn end_of_records(inserted: Lsn, flushed: Option<Lsn>) -> Lsn {
    match flushed {
        Some(flushed)
            if flushed.0 % WAL_PAGE == 0 && PAGE_HEADERS.contains(&inserted.bytes_since(flushed)) =>
        {
            flushed
        }
        _ => inserted,
    }
}

/// The words of a text; none of NULL.
fn words(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn remember(fields: &Fields<'_>, memory: &mut Memory) {
    let started = fields.number("started").unwrap_or(0);
    if memory.started != started {
        // Another start: the directory may have been made anew meanwhile, so nothing old may be believed.
        *memory = Memory { started, ..Memory::default() };
    }
    memory.version = fields.number("version").unwrap_or(0);
    let conninfo = fields.text("primary_conninfo").unwrap_or_default();
    if conninfo.is_empty() {
        return;
    }
    let Ok(conninfo) = crate::conninfo::Conninfo::parse(conninfo) else { return };
    let name = conninfo.get("application_name");
    let cluster_name = fields.text("cluster_name").filter(|name| !name.is_empty());
    memory.application_name = Some(name.or(cluster_name).unwrap_or(UNNAMED).to_owned());
    memory.replicates_as = conninfo.get("user").map(str::to_owned);
}

/// The rules of [`Sample::timeline`].
fn timeline_of(fields: &Fields<'_>, in_recovery: bool, memory: &mut Memory) -> Option<u32> {
    if !in_recovery {
        let walfile = fields.text("walfile")?;
        return u32::from_str_radix(walfile.get(..8)?, 16).ok();
    }
    if let Some(received) = fields.number::<u32>("received_tli").filter(|tli| *tli > 0) {
        memory.timeline = memory.timeline.max(received);
    }
    let control = fields.number::<u32>("checkpoint_timeline").max(fields.number("recovery_timeline"))?;
    Some(memory.timeline_at_least(control))
}

fn receiver(fields: &Fields<'_>) -> Option<Receiver> {
    fields.flag("receives").then(|| Receiver {
        sender_host: fields.text("sender_host").unwrap_or_default().to_owned(),
        sender_port: fields.number("sender_port").unwrap_or(0),
        last_message: fields.number("last_message").unwrap_or(0),
        latest_end: fields.lsn("latest_end_lsn").unwrap_or_default(),
        timeline: fields.number("received_tli").unwrap_or(0),
    })
}

fn attached(fields: &Fields<'_>) -> Attached {
    Attached {
        application_name: fields.text("application_name").unwrap_or_default().to_owned(),
        state: match fields.text("state") {
            Some("streaming") => StreamState::Streaming,
            _ => StreamState::Other,
        },
        reply_time: fields.number("reply_time").unwrap_or(0),
        sync: match fields.text("sync_state") {
            Some("sync") => SyncState::Sync,
            Some("potential") => SyncState::Potential,
            Some("quorum") => SyncState::Quorum,
            _ => SyncState::Async,
        },
        flushed: fields.lsn("flush_lsn").unwrap_or_default(),
        replayed: fields.lsn("replay_lsn").unwrap_or_default(),
    }
}

/// The SQL that reads a timeline's history file; `NULL` when there is none.
pub(crate) fn history_sql(timeline: u32) -> String {
    format!("SELECT pg_read_file('pg_wal/{timeline:08X}.history', 0, 65536, true) AS history")
}

/// Reads a `.history` file of `timeline`: each line has a parent timeline, the position at which it was left, and a
/// reason. The timeline that began there is the next line's parent, and at the end `timeline` itself.
pub(crate) fn parse_history(timeline: u32, text: &str) -> Vec<TimelineStart> {
    let lines: Vec<(u32, Lsn)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        })
        .collect();
    let children = lines.iter().skip(1).map(|(parent, _)| *parent).chain([timeline]);
    lines
        .iter()
        .zip(children)
        .map(|((_, began_at), timeline)| TimelineStart { timeline, began_at: *began_at })
        .collect()
}
