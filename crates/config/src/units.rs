//! Times and sizes as text: PgBouncer's decimal seconds, and Howdah's `250ms`, `30s`, `1MB`.
//!
//! A bare number is seconds or bytes, so PgBouncer's way of writing works for Howdah's keys too. Everything is kept in
//! microseconds, PgBouncer's resolution; printing gives a text that parses back to the same value.

use std::time::Duration;

use crate::cluster::MaxReplicaLag;

/// Longest time that is accepted: ten years. Deadlines are computed as `now + time`, which must not overflow.
const MAX_TIME: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Units of time with their length in microseconds.
const TIME_UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// Units of size with their length in bytes; as in PostgreSQL, kB is 1024 bytes.
const BYTE_UNITS: [(&str, u64); 5] =
    [("B", 1), ("kB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40)];

/// Reads a decimal number of seconds.
pub(crate) fn parse_seconds(text: &str) -> Option<Duration> {
    let number = decimal(text)?;
    let time = Duration::try_from_secs_f64(number).ok()?;
    // PgBouncer keeps microseconds; rounding here makes what is printed the same as what runs.
    let micros = u64::try_from(time.as_nanos().saturating_add(500) / 1000).ok()?;
    Some(Duration::from_micros(micros)).filter(|time| *time <= MAX_TIME)
}

/// Reads a time with a unit; a bare number is seconds.
pub(crate) fn parse_time(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text);
    if unit.is_empty() {
        return parse_seconds(number);
    }
    let (_, length) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
    let micros = decimal(number)? * to_f64(*length);
    Some(Duration::from_micros(whole(micros)?)).filter(|time| *time <= MAX_TIME)
}

/// Reads a size with a unit; a bare number is bytes.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text);
    if unit.is_empty() {
        return number.parse().ok();
    }
    let (_, length) = BYTE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    match number.parse::<u64>() {
        Ok(count) => count.checked_mul(*length),
        Err(_) => whole(decimal(number)? * to_f64(*length)),
    }
}

/// Reads a lag: a size or a time, which only the unit can tell; `0` is no limit.
pub(crate) fn parse_lag(text: &str) -> Option<MaxReplicaLag> {
    let (number, unit) = split_unit(text);
    if unit.is_empty() {
        return (decimal(number)? == 0.0).then_some(MaxReplicaLag::Unlimited);
    }
    if TIME_UNITS.iter().any(|(name, _)| *name == unit) {
        return parse_time(text).map(MaxReplicaLag::Time);
    }
    parse_bytes(text).map(MaxReplicaLag::Bytes)
}

/// Prints a time as decimal seconds without needless zeros.
pub(crate) fn print_seconds(time: Duration) -> String {
    let (seconds, micros) = (time.as_secs(), time.subsec_micros());
    if micros == 0 {
        return seconds.to_string();
    }
    format!("{seconds}.{micros:06}").trim_end_matches('0').to_owned()
}

/// Prints a time with the largest unit of us, ms and s that it is a whole number of.
pub(crate) fn print_time(time: Duration) -> String {
    let micros = time.as_micros();
    if micros.is_multiple_of(1_000_000) {
        return format!("{}s", micros / 1_000_000);
    }
    if micros.is_multiple_of(1_000) { format!("{}ms", micros / 1_000) } else { format!("{micros}us") }
}

/// Prints a size with the largest unit that it is a whole number of.
pub(crate) fn print_bytes(bytes: u64) -> String {
    let fits = BYTE_UNITS.iter().rev().find(|(_, length)| bytes >= *length && bytes.is_multiple_of(*length));
    let (name, length) = fits.unwrap_or(&BYTE_UNITS[0]);
    format!("{}{name}", bytes / length)
}

fn split_unit(text: &str) -> (&str, &str) {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    (number.trim_end(), unit)
}

/// A decimal number that is not negative. C's `strtod`, which PgBouncer uses, takes an exponent too; `inf`, `nan` and
/// hexadecimal are no times.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    let number: f64 = if plain { text.parse().ok()? } else { return None };
    (number.is_finite() && number >= 0.0).then_some(number.abs())
}

#[allow(clippy::cast_precision_loss)]
fn to_f64(length: u64) -> f64 {
    length as f64
}

/// The nearest whole number, if it can be one exactly enough.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> Option<u64> {
    // 2^53: beyond it a float has no fraction and rounding would invent digits.
    (number.is_finite() && number <= 9_007_199_254_740_992.0).then(|| number.round() as u64)
}
