//! What the rest of Howdah sees of a controller: snapshots to read, and three small things to tell it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use howdah_failover::{Command, Report};
use howdah_topology::{FailoverRecord, NodeId, Topology};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::config::ControllerConfig;
use crate::horizon::EndOfLog;

/// Reports of unreachable nodes that may wait; more are dropped, for they say the same.
pub(crate) const REPORTS_WAITING: usize = 64;
/// Operator's commands that may wait.
pub(crate) const COMMANDS_WAITING: usize = 8;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The machine refuses; one sentence.
    #[error("{0}")]
    Refused(String),
    /// Too many commands wait already.
    #[error("the controller is busy with other commands")]
    Busy,
    /// The controller has shut down.
    #[error("the controller has shut down")]
    ShutDown,
}

pub(crate) type CommandAnswer = oneshot::Sender<Result<String, CommandError>>;

/// What both sides share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) topology: Arc<ArcSwap<Topology>>,
    pub(crate) version: watch::Sender<u64>,
    pub(crate) history: Mutex<Vec<FailoverRecord>>,
    /// What fenced standbys had seen at the end of their log.
    pub(crate) ends: Mutex<HashMap<NodeId, EndOfLog>>,
    pub(crate) wrote: AtomicBool,
    pub(crate) wrote_notify: Notify,
    /// The settings in force.
    pub(crate) settings: watch::Sender<ControllerConfig>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) stopped: watch::Sender<bool>,
}

/// A handle on a running controller; clones speak to the same one. The controller runs until
/// [`ControllerHandle::shutdown`] or until its runtime ends.
#[derive(Clone)]
pub struct ControllerHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reports: mpsc::Sender<(NodeId, Report)>,
    pub(crate) commands: mpsc::Sender<(Command, CommandAnswer)>,
}

impl ControllerHandle {
    /// The present snapshot.
    #[must_use]
    pub fn topology(&self) -> Arc<Topology> {
        self.shared.topology.load_full()
    }

    /// The cell that snapshots are swapped into, for readers that load it without this handle.
    #[must_use]
    pub fn topology_cell(&self) -> Arc<ArcSwap<Topology>> {
        Arc::clone(&self.shared.topology)
    }

    /// Follows the snapshots' versions: `changed().await` returns when a newer snapshot than the one last looked at
    /// was swapped in. For the gate and for reads that wait for a fresh replica.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// The clock of all times in the snapshots.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// The data path could not use a node. Causes a probe at once; never waits.
    pub fn report(&self, node: NodeId, report: Report) {
        // Full: 64 such reports wait already and each causes the same probe.
        let _ = self.reports.try_send((node, report));
    }

    /// A write was acknowledged, or may have been: sample positions soon. Cheap enough for every write.
    pub fn note_write(&self) {
        if !self.shared.wrote.swap(true, Ordering::Relaxed) {
            self.shared.wrote_notify.notify_one();
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> ControllerConfig {
        self.shared.settings.borrow().clone()
    }

    /// Takes over other settings of the same cluster (RELOAD); a sentence for everything that needs a restart. What is known of
    /// the nodes stays, the epoch included, and a failover under way comes to its end.
    pub fn reload(&self, config: &ControllerConfig) -> Vec<String> {
        let mut kept = Vec::new();
        self.shared.settings.send_if_modified(|settings| {
            let before = settings.clone();
            kept = settings.take_over(config);
            *settings != before
        });
        for sentence in &kept {
            tracing::warn!("{sentence}");
        }
        kept
    }

    /// Gives an operator's command; the answer is a sentence for the console.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn command(&self, command: Command) -> Result<String, CommandError> {
        let (answer, receive) = oneshot::channel();
        self.commands.try_send((command, answer)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::ShutDown,
        })?;
        receive.await.unwrap_or(Err(CommandError::ShutDown))
    }

    /// The failovers of this process, oldest first, the running one included.
    #[must_use]
    pub fn failovers(&self) -> Vec<FailoverRecord> {
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the controller: votes are released, connections closed. Returns when that is done.
    pub async fn shutdown(&self) {
        self.shared.stop.send_replace(true);
        let mut stopped = self.shared.stopped.subscribe();
        // An error means that the sender is gone, which the handle itself holds.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

impl fmt::Debug for ControllerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerHandle").field("cluster", &self.topology().cluster).finish_non_exhaustive()
    }
}
