//! Samples positions while there are writes, so that a session may read its own writes from a replica soon
//! (DESIGN.md §6). On an idle cluster nothing is sampled beyond the health probes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use howdah_failover::Event;
use howdah_topology::{Time, Topology};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::ask::{Ask as _, AskError};
use crate::handle::Shared;
use crate::link::NodeLink;
use crate::questions::Question;
use crate::sample::{Fields, end_of_records};

/// Without a further write, sampling ends when every replica has the last one, or after this.
const CHASE: Duration = Duration::from_secs(1);

/// A sample is answered within this, or the next one is sent.
const SAMPLE_LIMIT: Duration = Duration::from_millis(200);

/// An answer waits so long for the other replicas'.
const TOGETHER: Duration = Duration::from_millis(3);

/// What moves, the same text on primary and standby. The receiver's timeline says whose WAL was replayed.
pub(crate) const POSITION_SQL: &str = "\
SELECT r AS in_recovery,
       CASE WHEN NOT r THEN pg_walfile_name(pg_current_wal_lsn()) END AS walfile,
       CASE WHEN NOT r THEN pg_current_wal_insert_lsn() END AS inserted,
       CASE WHEN NOT r THEN pg_current_wal_flush_lsn() END AS flushed,
       CASE WHEN r THEN pg_last_wal_replay_lsn() END AS replayed,
       (SELECT received_tli FROM pg_stat_wal_receiver) AS received_tli
FROM (SELECT pg_is_in_recovery() AS r) node";

/// The task that samples.
pub(crate) struct Sampler {
    pub(crate) shared: Arc<Shared>,
    pub(crate) links: Arc<[Arc<NodeLink>]>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) interval: Duration,
}

impl Sampler {
    /// Waits for writes and follows them until every replica has them.
    pub(crate) async fn run(self) {
        loop {
            self.shared.wrote_notify.notified().await;
            self.follow().await;
        }
    }

    async fn follow(&self) {
        let mut wrote_at = self.shared.clock.now();
        loop {
            let next = Instant::now() + self.interval;
            if self.shared.wrote.swap(false, Ordering::Relaxed) {
                wrote_at = self.shared.clock.now();
            }
            self.sample_all().await;
            sleep_until(next).await;
            let now = self.shared.clock.now();
            let written = self.shared.wrote.load(Ordering::Relaxed);
            if !written && (now.since(wrote_at) > CHASE || caught_up(&self.shared.topology.load(), wrote_at))
            {
                return;
            }
        }
    }

    /// The primary first: what it had inserted is what the replicas are then measured by.
    ///
    /// The replicas' answers are told together: sessions wait for the first replica that has their write, and told
    /// one by one it would always be the same.
    async fn sample_all(&self) {
        let topology = self.shared.topology.load_full();
        let Some(primary) = topology.primary else { return };
        self.tell(self.sample(usize::from(primary.0)).await);
        let replicas = topology.nodes.iter().filter(|node| node.id != primary && node.prefix);
        let mut asked: FuturesUnordered<_> =
            replicas.map(|node| self.sample(usize::from(node.id.0))).collect();
        let (mut held, mut until) = (Vec::new(), None);
        loop {
            let answer = match until {
                None => asked.next().await,
                Some(at) => match timeout_at(at, asked.next()).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        self.tell(std::mem::take(&mut held));
                        until = None;
                        continue;
                    }
                },
            };
            let Some(answer) = answer else { break };
            held.extend(answer);
            until.get_or_insert_with(|| Instant::now() + TOGETHER);
        }
        self.tell(held);
    }

    fn tell(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            // Full: the machine has enough to do, and the next sample says more.
            drop(self.events.try_send(event));
        }
    }

    async fn sample(&self, index: usize) -> Option<Event> {
        let link = self.links.get(index)?;
        self.read(link).await.unwrap_or_else(|e| {
            tracing::debug!(node = %link.config.name, error = ?e, "no freshness sample");
            None
        })
    }

    async fn read(&self, link: &NodeLink) -> Result<Option<Event>, AskError> {
        let Ok(mut second) = link.second().await else { return Ok(None) };
        let sent = self.shared.clock.now();
        let sets = second.question(Question::Position, Instant::now() + SAMPLE_LIMIT).await?;
        let Some(row) = sets.first().and_then(|rows| rows.first()) else { return Ok(None) };
        let fields = Fields::of(row);
        let timeline = match fields.text("walfile") {
            Some(file) => file.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()),
            None => fields.number("received_tli"),
        };
        let flushed = fields.lsn("flushed");
        Ok(timeline.map(|timeline| Event::Moved {
            node: link.id,
            sent,
            timeline,
            flushed,
            inserted: fields.lsn("inserted").map(|inserted| end_of_records(inserted, flushed)),
            replayed: fields.lsn("replayed"),
        }))
    }
}

/// Whether every replica that reads may go to has all that was acknowledged before `wrote_at`.
fn caught_up(topology: &Topology, wrote_at: Time) -> bool {
    let primary = topology.primary;
    topology
        .nodes
        .iter()
        .filter(|node| Some(node.id) != primary && node.is_routable_replica())
        .all(|node| node.fresh_as_of.is_some_and(|fresh| fresh >= wrote_at))
}
