//! The monotonic clock's moments as the console's wall clock has them, and other small conversions of its rows.

use std::time::{Duration, SystemTime};

use howdah_admin::UnixMicros;
use howdah_admin::rows;
use howdah_topology::Time;

use crate::pooler::Pooler;

/// One look at both clocks: all rows of one SHOW are of the same moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) now: Time,
    wall: SystemTime,
}

impl Moments {
    pub(super) fn of(pooler: &Pooler) -> Self {
        Self { now: pooler.clock.now(), wall: SystemTime::now() }
    }

    /// The wall clock at a moment of the past.
    pub(super) fn wall(&self, at: Time) -> UnixMicros {
        (self.wall.checked_sub(self.now.since(at)).unwrap_or(SystemTime::UNIX_EPOCH)).into()
    }

    /// Microseconds since a moment.
    pub(super) fn micros_since(&self, at: Time) -> u64 {
        micros(self.now.since(at))
    }
}

/// A moment of the account, which counts from the same start.
pub(super) fn from_pool(at: howdah_pool::Time) -> Time {
    Time(at.as_micros())
}

/// Whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A count for a column of four bytes.
pub(super) fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

pub(super) fn pool_mode(mode: howdah_config::PoolMode) -> rows::PoolMode {
    match mode {
        howdah_config::PoolMode::Session => rows::PoolMode::Session,
        howdah_config::PoolMode::Transaction => rows::PoolMode::Transaction,
        howdah_config::PoolMode::Statement => rows::PoolMode::Statement,
    }
}

/// How the entry uses its list of hosts, if it has one.
pub(super) fn load_balance(database: &howdah_config::Database) -> Option<rows::LoadBalanceHosts> {
    let has_list = database.host.len() > 1;
    has_list.then_some(match database.load_balance_hosts {
        Some(howdah_config::LoadBalanceHosts::Disable) => rows::LoadBalanceHosts::Disable,
        Some(howdah_config::LoadBalanceHosts::RoundRobin) | None => rows::LoadBalanceHosts::RoundRobin,
    })
}
