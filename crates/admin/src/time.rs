//! A moment as the console shows it. Next: [`crate::rows`], whose time columns are made of these.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

/// A moment of the wall clock in microseconds since 1970-01-01 00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct UnixMicros(pub i64);

impl UnixMicros {
    /// The moment as PgBouncer writes times on its console: `YYYY-MM-DD HH:MM:SS TZ` in local time
    /// (PGBOUNCER.md section 7, type `T`). A moment outside the calendar shows as the epoch.
    #[must_use]
    pub fn local(self) -> String {
        self.in_zone(TimeZone::system())
    }

    /// As [`UnixMicros::local`], in UTC.
    #[must_use]
    pub fn utc(self) -> String {
        self.in_zone(TimeZone::UTC)
    }

    fn in_zone(self, zone: TimeZone) -> String {
        let at = Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// Seconds since the epoch, with the fraction: what Prometheus wants of a timestamp.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl From<SystemTime> for UnixMicros {
    /// A clock set before 1970 reads as the epoch.
    fn from(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
