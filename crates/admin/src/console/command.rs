//! The console's commands as values. Next: [`super::parse`], which makes them out of text.

use crate::pooler::Shutdown;

/// What a client may ask of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `SHOW x` (or `SELECT x`).
    Show(Show),
    /// `SHOW` of a variable that drivers ask for.
    ShowVariable(Variable),
    /// `SET key = value`.
    Set {
        /// The setting, as written.
        key: String,
        /// The value, unquoted.
        value: String,
    },
    /// `EXPLAIN ROUTE sql`.
    ExplainRoute(String),
    /// What only an admin may do.
    Act(Action),
}

/// What an admin may do beside SHOW and SET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `PAUSE [db]`.
    Pause(Option<String>),
    /// `RESUME [db]`.
    Resume(Option<String>),
    /// `DISABLE db`; without a database it is refused when it runs, after the check of privilege.
    Disable(Option<String>),
    /// `ENABLE db`.
    Enable(Option<String>),
    /// `RECONNECT [db]`.
    Reconnect(Option<String>),
    /// `KILL [db]`.
    Kill(Option<String>),
    /// `KILL_CLIENT id`, as written: what is no number is refused after the check of privilege.
    KillClient(String),
    /// `WAIT_CLOSE [db]`.
    WaitClose(Option<String>),
    /// `SUSPEND`.
    Suspend,
    /// `SHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]`.
    Shutdown(Shutdown),
    /// `RELOAD`.
    Reload,
    /// `FAILOVER cluster [TO node]` or `SWITCHOVER cluster [TO node] [FORCE]`.
    ChangePrimary {
        /// The cluster.
        cluster: String,
        /// The node that is to be the primary.
        to: Option<String>,
        /// Whether it is a SWITCHOVER.
        planned: bool,
        /// Whether FORCE was given.
        force: bool,
    },
    /// `MAINTENANCE cluster ON|OFF`.
    Maintenance {
        /// The cluster.
        cluster: String,
        /// On or off.
        on: bool,
    },
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$item])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word, in small letters.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What the word means, whatever its case.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.word().eq_ignore_ascii_case(word))
            }
        }
    };
}

words! {
    /// What SHOW lists.
    Show {
        /// The usage.
        Help = "help",
        /// The version.
        Version = "version",
        /// Settings.
        Config = "config",
        /// Database entries.
        Databases = "databases",
        /// Users.
        Users = "users",
        /// Pools.
        Pools = "pools",
        /// Clients.
        Clients = "clients",
        /// Servers.
        Servers = "servers",
        /// Both, with their buffers.
        Sockets = "sockets",
        /// Those of them whose buffers hold something.
        ActiveSockets = "active_sockets",
        /// Counters and averages.
        Stats = "stats",
        /// Counters.
        StatsTotals = "stats_totals",
        /// Averages.
        StatsAverages = "stats_averages",
        /// Counters and averages over all databases.
        Totals = "totals",
        /// Counts of what there is.
        Lists = "lists",
        /// Whether the pooler is paused.
        State = "state",
        /// Memory.
        Mem = "mem",
        /// The DNS cache by name.
        DnsHosts = "dns_hosts",
        /// The DNS cache by zone.
        DnsZones = "dns_zones",
        /// Peers.
        Peers = "peers",
        /// Pools to peers.
        PeerPools = "peer_pools",
        /// Sockets for a takeover; admins only.
        Fds = "fds",
        /// Nodes of the clusters.
        Nodes = "nodes",
        /// Changes of the primary.
        Failovers = "failovers",
    }
}

words! {
    /// A variable that drivers ask for or set without need, and that the console therefore pretends to have.
    Variable {
        /// `client_encoding`.
        ClientEncoding = "client_encoding",
        /// `default_transaction_isolation`.
        DefaultTransactionIsolation = "default_transaction_isolation",
        /// `standard_conforming_strings`.
        StandardConformingStrings = "standard_conforming_strings",
        /// `datestyle`.
        DateStyle = "datestyle",
        /// `timezone`.
        TimeZone = "timezone",
    }
}

impl Variable {
    /// What SHOW says.
    #[must_use]
    pub const fn value(self) -> &'static str {
        match self {
            Self::ClientEncoding => "UTF-8",
            Self::DefaultTransactionIsolation => "read committed",
            Self::StandardConformingStrings => "on",
            Self::DateStyle => "ISO",
            Self::TimeZone => "GMT",
        }
    }
}
