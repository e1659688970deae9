//! Times: PgBouncer's decimal seconds and Howdah's with a unit.

use std::time::Duration;

use super::{Count, Kind, Shape};
use crate::cluster::MaxReplicaLag;
use crate::units;

/// A time in decimal seconds, PgBouncer's way.
pub(crate) struct Seconds;

impl Kind for Seconds {
    const SHAPE: Shape = Shape::Number;
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, String> {
        units::parse_seconds(text).ok_or_else(|| "seconds, a fraction allowed".to_owned())
    }

    fn print(value: &Duration) -> Option<String> {
        Some(units::print_seconds(*value))
    }
}

/// A time in whole seconds.
pub(crate) struct WholeSeconds;

impl Kind for WholeSeconds {
    const SHAPE: Shape = Shape::Number;
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, String> {
        let seconds = Count::<0>::parse(text).map_err(|_| "whole seconds".to_owned())?;
        Ok(Duration::from_secs(u64::from(seconds)))
    }

    fn print(value: &Duration) -> Option<String> {
        Some(value.as_secs().to_string())
    }
}

/// A time in whole milliseconds (`tcp_user_timeout`).
pub(crate) struct Milliseconds;

impl Kind for Milliseconds {
    const SHAPE: Shape = Shape::Number;
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, String> {
        let millis = Count::<0>::parse(text).map_err(|_| "whole milliseconds".to_owned())?;
        Ok(Duration::from_millis(u64::from(millis)))
    }

    fn print(value: &Duration) -> Option<String> {
        Some(value.as_millis().to_string())
    }
}

/// A time with a unit, for Howdah's own keys.
pub(crate) struct Time;

impl Kind for Time {
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, String> {
        units::parse_time(text)
            .ok_or_else(|| "a time such as 250ms, 30s or 2min (a bare number is seconds)".to_owned())
    }

    fn print(value: &Duration) -> Option<String> {
        Some(units::print_time(*value))
    }
}

/// A time with a unit that may not be zero (intervals and limits that would otherwise spin or never succeed).
pub(crate) struct PositiveTime;

impl Kind for PositiveTime {
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, String> {
        let time = Time::parse(text).ok().filter(|time| *time >= Duration::from_millis(1));
        time.ok_or_else(|| "a time of at least 1ms, such as 250ms, 30s or 2min".to_owned())
    }

    fn print(value: &Duration) -> Option<String> {
        Time::print(value)
    }
}

/// A lag, in bytes or time.
pub(crate) struct Lag;

impl Kind for Lag {
    type Value = MaxReplicaLag;

    fn parse(text: &str) -> Result<MaxReplicaLag, String> {
        units::parse_lag(text)
            .ok_or_else(|| "a size or a time with its unit, such as 16MB or 5s, or 0 for no limit".to_owned())
    }

    fn print(value: &MaxReplicaLag) -> Option<String> {
        Some(value.to_string())
    }
}
