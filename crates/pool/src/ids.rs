//! Names of things and the time: what the owner holds in its hands. See `pools.rs` for what they name.

use std::time::Duration;

/// A moment, in microseconds since a start that the owner chooses (the process's start, say). The crate has no clock:
/// every call that depends on time takes one of these. They should not go backwards from call to call; a small step back (the time was
/// taken before the lock) does no harm: a wait that would be negative is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The owner's start.
    pub const ZERO: Time = Time(0);

    /// The moment `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Time(micros)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `wait` more; the end of time when that overflows.
    pub fn after(self, wait: Duration) -> Time {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(micros))
    }
}

/// A place in an arena and the serial number of what stands there. Serials are never used twice, so an old name never
/// means a new thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) index: u32,
    pub(crate) serial: u64,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) Id);

        impl $name {
            /// A small number, used again once the thing is gone: an index for a table beside this one, whose rows
            /// then keep the whole name to compare with.
            pub const fn index(self) -> usize {
                self.0.index as usize
            }

            /// A number that is never used twice in one `Pools`.
            pub const fn serial(self) -> u64 {
                self.0.serial
            }
        }
    };
}

id! {
    /// One pool: servers that any waiter of the pool may use.
    PoolId
}
id! {
    /// A set of pools under one limit: a database entry (`max_db_connections`) or a server user (`max_user_connections`).
    GroupId
}
id! {
    /// One server connection, from the start of its login to its end.
    ServerId
}
id! {
    /// One place in the queue of a pool.
    WaiterId
}

/// A login in flight. The server that comes of it keeps its name: see [`LoginId::server`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginId(pub(crate) ServerId);

impl LoginId {
    /// The name that the server has now and will have once it is logged in.
    pub const fn server(self) -> ServerId {
        self.0
    }
}
