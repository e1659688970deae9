//! A database entry at run time: its definition, its limits, its counters, and what its servers say at login.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

use arc_swap::ArcSwap;
use howdah_backend::Parameter;
use howdah_config::Database;
use howdah_controller::ControllerHandle;
use howdah_failover::Report;
use howdah_pool::GroupId;
use howdah_topology::{NodeId, Topology};
use parking_lot::Mutex;

use crate::stats::Counters;

/// A cluster that is being watched.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) handle: ControllerHandle,
    /// Somebody waits at the gate with a server, or did since it was last opened.
    pub(crate) holds: AtomicBool,
}

/// What a client is greeted with: the parameters that a server of the pool reported.
pub(crate) type Welcome = Arc<[Parameter]>;

/// One database entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    database: ArcSwap<Database>,
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) counters: Counters,
    /// Its pools under `max_db_connections`.
    pub(crate) group: GroupId,
    /// Clients that are logged in.
    pub(crate) clients: AtomicU32,
    pub(crate) paused: AtomicBool,
    pub(crate) disabled: AtomicBool,
    /// Made from the fallback entry `*`.
    pub(crate) is_auto: bool,
    /// The next host of a list.
    pub(crate) host_turn: AtomicUsize,
    welcome: Mutex<HashMap<Arc<str>, Welcome>>,
}

impl Entry {
    pub(crate) fn new(
        name: &str,
        database: Database,
        cluster: Option<Arc<Cluster>>,
        group: GroupId,
        is_auto: bool,
    ) -> Self {
        Self {
            name: name.into(),
            database: ArcSwap::from_pointee(database),
            cluster,
            counters: Counters::default(),
            group,
            clients: AtomicU32::new(0),
            paused: AtomicBool::new(false),
            disabled: AtomicBool::new(false),
            is_auto,
            host_turn: AtomicUsize::new(0),
            welcome: Mutex::new(HashMap::new()),
        }
    }

    /// What the data path saw of a node, for the cluster's controller.
    pub(crate) fn report(&self, node: Option<NodeId>, report: Report) {
        if let (Some(node), Some(cluster)) = (node, &self.cluster) {
            cluster.handle.report(node, report);
        }
    }

    /// The present snapshot of the cluster.
    pub(crate) fn topology(&self) -> Option<Arc<Topology>> {
        self.cluster.as_ref().map(|cluster| cluster.handle.topology())
    }

    /// Positions are to be sampled soon.
    pub(crate) fn sample(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.handle.note_write();
        }
    }

    /// The definition in force.
    pub(crate) fn database(&self) -> Arc<Database> {
        self.database.load_full()
    }

    /// RELOAD brought another definition.
    pub(crate) fn define(&self, database: Database) {
        self.database.store(Arc::new(database));
    }

    /// Takes note of what a server of this user reported at login.
    pub(crate) fn learn_welcome(&self, user: &Arc<str>, parameters: &[Parameter]) {
        self.welcome.lock().insert(Arc::clone(user), parameters.into());
    }

    /// All of them, by server user.
    pub(crate) fn welcomes(&self) -> Vec<(Arc<str>, Welcome)> {
        self.welcome.lock().iter().map(|(user, welcome)| (Arc::clone(user), Arc::clone(welcome))).collect()
    }

    /// The pool of this user is gone: the next client of its waits for a server's word again.
    pub(crate) fn forget_welcome(&self, user: &str) {
        self.welcome.lock().remove(user);
    }

    /// What clients of this server user are greeted with, once a server has logged in.
    pub(crate) fn welcome(&self, user: &str) -> Option<Welcome> {
        self.welcome.lock().get(user).cloned()
    }
}
