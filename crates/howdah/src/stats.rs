//! The counters behind SHOW STATS, one set a database entry. Every thread adds to the same ones, so that the
//! very next SHOW is right (PGBOUNCER_BEHAVIOUR.md section 16, point 1).

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters of one database entry since the process started.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $($(#[$doc])* pub(crate) $name: Counter),+ }

        /// Their values at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(crate) struct Totals { $($(#[$doc])* pub(crate) $name: u64),+ }

        impl Counters {
            pub(crate) fn totals(&self) -> Totals {
                Totals { $($name: self.$name.get()),+ }
            }

            /// Their values in order, for a process that takes over.
            pub(crate) fn carry(&self) -> Vec<u64> {
                vec![$(self.$name.get()),+]
            }

            /// Goes on from another process's.
            pub(crate) fn adopt(&self, carried: &[u64]) {
                let mut carried = carried.iter().copied();
                $(self.$name.add(carried.next().unwrap_or(0));)+
            }
        }
    };
}

counters! {
    /// Times that a client was given a server.
    assignments,
    /// Transactions that ended.
    transactions,
    /// SQL commands that were answered.
    queries,
    /// Bytes from clients.
    received,
    /// Bytes to clients.
    sent,
    /// Time in transactions (µs).
    transaction_time,
    /// Time of queries (µs).
    query_time,
    /// Time that clients waited for a server (µs).
    wait_time,
    /// Named Parse messages from clients.
    client_parses,
    /// Parse messages of named statements to servers.
    server_parses,
    /// Bind messages of named statements.
    binds,
    /// Logins that succeeded.
    logins,
    /// Transactions whose commit waited for no standby, where it should.
    unprotected,
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Takes back what the caller has added.
    pub(crate) fn take_back(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
