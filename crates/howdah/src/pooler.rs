//! Everything that clients, servers and the console share. Nothing here is global: a test may run ten of them.
//! The parts: `directory.rs` (entries and users, RELOAD), `pools.rs` (servers), `registry.rs` (clients),
//! `maintain.rs` (what happens by time), `console.rs` (what the operator sees).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use howdah_config::Config;
use howdah_controller::{Clock, ControlTls};
use howdah_pool::GroupId;
use howdah_protocol::auth::{Credential, Entropy};
use howdah_session::{LastWrite, SessionOptions, Shared, Vars};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::entry::{Cluster, Entry};
use crate::intern::Interned;
use crate::pools::SharedPools;
use crate::registry::Registry;
use crate::secrets::Secrets;
use crate::tls::Tls;

/// How far a shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Everything runs.
    Running,
    /// No new clients; ends when the last one has left (SHUTDOWN WAIT_FOR_CLIENTS).
    WaitForClients,
    /// No new clients and no new servers; ends when the last server is released.
    WaitForServers,
    /// Everything closes now.
    Stopping,
}

/// What is told of changed settings.
type TellSettings = Box<dyn Fn(&howdah_config::Settings) + Send + Sync>;

/// What holds everything still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    /// Nothing.
    None,
    /// SUSPEND.
    Suspended,
    /// SUSPEND, and another process has been given the sockets.
    HandingOver,
}

/// Who is told of changed settings.
#[derive(Default)]
pub(crate) struct OnSettings(pub(crate) Option<TellSettings>);

impl std::fmt::Debug for OnSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnSettings").field("set", &self.0.is_some()).finish()
    }
}

/// An entry and a server user.
pub(crate) type Login = (Arc<str>, Arc<str>);

/// The state of one running pooler.
#[derive(Debug)]
pub(crate) struct Pooler {
    pub(crate) clock: Clock,
    pub(crate) config: ArcSwap<Config>,
    /// The TLS settings in force, which may be older than the configuration.
    pub(crate) tls: ArcSwap<Tls>,
    /// The same for the controllers.
    pub(crate) control_tls: ControlTls,
    /// Where the configuration came from, for RELOAD.
    pub(crate) config_file: Option<PathBuf>,
    /// Grows with every RELOAD and SET, so that clients take the new values over.
    pub(crate) generation: AtomicU64,
    pub(crate) clusters: BTreeMap<String, Arc<Cluster>>,
    pub(crate) entries: Mutex<BTreeMap<String, Arc<Entry>>>,
    /// Pools of one server user under `max_user_connections`.
    pub(crate) user_groups: Mutex<HashMap<Arc<str>, GroupId>>,
    /// What logs a pool's servers in, as the last login of a client has proved it.
    pub(crate) credentials: Mutex<HashMap<Login, Credential>>,
    /// Numbers for an entry and server user, within which prepared statements are shared.
    scopes: Mutex<HashMap<Login, u64>>,
    pub(crate) pools: SharedPools,
    pub(crate) session: Shared,
    pub(crate) clients: Registry,
    pub(crate) cancels: crate::cancel::requests::Cancels,
    pub(crate) consoles: crate::console::session::Consoles,
    /// Servers by their number in the account.
    pub(crate) roll: crate::roll::Roll,
    /// What clients share because it is equal.
    pub(crate) users: Interned<str>,
    pub(crate) names: Interned<[u8]>,
    pub(crate) vars: Interned<Vars>,
    pub(crate) options: Interned<SessionOptions>,
    /// Clients that are logged in, by user.
    pub(crate) user_clients: Mutex<HashMap<Arc<str>, u32>>,
    /// By cluster and server database.
    pub(crate) last_writes: Mutex<HashMap<(String, String), Arc<LastWrite>>>,
    last_id: AtomicU64,
    process_secret: [u8; 32],
    pub(crate) secrets: Secrets,
    /// Users whom `auth_query` has found.
    pub(crate) found: crate::found::Found,
    pub(crate) stage: watch::Sender<Stage>,
    /// Turns of round robin over all clients.
    pub(crate) tickets: AtomicU64,
    /// The console's own statistics.
    pub(crate) console_counters: crate::stats::Counters,
    /// Sessions of the console that are logged in.
    pub(crate) console_clients: AtomicU32,
    /// Clients that found no place under `max_client_conn` and are asked once more.
    pub(crate) second_words: Mutex<u32>,
    pub(crate) averages: Mutex<crate::console::Averages>,
    /// PAUSE of everything is in force.
    pub(crate) paused: std::sync::atomic::AtomicBool,
    /// SUSPEND.
    pub(crate) hold: watch::Sender<Hold>,
    /// What is listened on, while it is.
    pub(crate) listeners: Mutex<Vec<std::sync::Weak<crate::listener::Listening>>>,
    /// Since when pools and entries are without clients and servers.
    pub(crate) unused: Mutex<crate::unused::Unused>,
    pub(crate) on_settings: OnSettings,
    pub(crate) dns: crate::dns::Dns,
}

/// What a pooler is made of.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) tls: Arc<Tls>,
    pub(crate) control_tls: ControlTls,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) clusters: BTreeMap<String, Arc<Cluster>>,
    pub(crate) session: Shared,
    pub(crate) process_secret: [u8; 32],
    pub(crate) on_settings: OnSettings,
}

impl Pooler {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let stats_period = parts.config.settings.stats_period;
        let pooler = Arc::new(Self {
            clock: parts.clock,
            config: ArcSwap::from_pointee(Config::default()),
            tls: ArcSwap::new(parts.tls),
            control_tls: parts.control_tls,
            config_file: parts.config_file,
            generation: AtomicU64::new(0),
            clusters: parts.clusters,
            entries: Mutex::default(),
            user_groups: Mutex::default(),
            credentials: Mutex::default(),
            scopes: Mutex::default(),
            pools: SharedPools::new(),
            session: parts.session,
            clients: Registry::default(),
            cancels: crate::cancel::requests::Cancels::default(),
            consoles: crate::console::session::Consoles::default(),
            roll: crate::roll::Roll::default(),
            users: Interned::default(),
            names: Interned::default(),
            vars: Interned::default(),
            options: Interned::default(),
            user_clients: Mutex::default(),
            last_writes: Mutex::default(),
            last_id: AtomicU64::new(0),
            process_secret: parts.process_secret,
            secrets: Secrets::default(),
            found: crate::found::Found::default(),
            stage: watch::Sender::new(Stage::Running),
            tickets: AtomicU64::new(0),
            console_counters: crate::stats::Counters::default(),
            console_clients: AtomicU32::new(0),
            second_words: Mutex::new(0),
            averages: Mutex::new(crate::console::Averages::new(stats_period)),
            paused: std::sync::atomic::AtomicBool::new(false),
            hold: watch::Sender::new(Hold::None),
            listeners: Mutex::default(),
            unused: Mutex::default(),
            on_settings: parts.on_settings,
            dns: crate::dns::Dns::default(),
        });
        // Nothing runs yet that could keep what it had.
        drop(pooler.apply(parts.config));
        pooler
    }

    /// The next number for a client or server: one counter for both, from 1, without gaps.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of an entry and server user.
    pub(crate) fn scope(&self, entry: &Arc<str>, user: &Arc<str>) -> u64 {
        let mut scopes = self.scopes.lock();
        let next = scopes.len() as u64 + 1;
        *scopes.entry((Arc::clone(entry), Arc::clone(user))).or_insert(next)
    }

    /// Randomness for one login.
    ///
    /// # Errors
    /// The system has none.
    pub(crate) fn entropy(&self) -> Result<Entropy, getrandom::Error> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random)?;
        Ok(Entropy { random, process_secret: self.process_secret })
    }

    /// The last number that was given.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id.load(Ordering::Relaxed)
    }

    /// Numbers go on behind another process's.
    pub(crate) fn count_from(&self, last_id: u64) {
        self.last_id.fetch_max(last_id, Ordering::Relaxed);
    }

    /// Whether SUSPEND is in force.
    pub(crate) fn is_suspended(&self) -> bool {
        *self.hold.borrow() > Hold::None
    }

    /// Whether another process has everything, and this one only has to go.
    pub(crate) fn is_handed_over(&self) -> bool {
        *self.hold.borrow() == Hold::HandingOver && self.stage() == Stage::Stopping
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// A shutdown only ever goes on, never back.
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.send_if_modified(|present| {
            let further = stage > *present;
            if further {
                *present = stage;
            }
            further
        });
    }
}
