//! Numbers: PgBouncer's booleans and integers, ports, permission bits, sizes.

use super::{Kind, Shape};
use crate::units;

/// PgBouncer's booleans: 0 or 1.
pub(crate) struct Flag;

impl Kind for Flag {
    const SHAPE: Shape = Shape::Truth;
    type Value = bool;

    fn parse(text: &str) -> Result<bool, String> {
        match (integer(text), Switch::parse(text)) {
            (Some(number), _) => Ok(number != 0),
            (None, Ok(value)) => Ok(value),
            (None, Err(_)) => Err("0 or 1".to_owned()),
        }
    }

    fn print(value: &bool) -> Option<String> {
        Some(u8::from(*value).to_string())
    }
}

/// Howdah's booleans: on or off.
pub(crate) struct Switch;

impl Kind for Switch {
    const SHAPE: Shape = Shape::Truth;
    type Value = bool;

    fn parse(text: &str) -> Result<bool, String> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok(true),
            "off" | "false" | "no" | "0" => Ok(false),
            _ => Err("on or off".to_owned()),
        }
    }

    fn print(value: &bool) -> Option<String> {
        Some(if *value { "on" } else { "off" }.to_owned())
    }
}

/// A whole number from `MIN` to `MAX`.
pub(crate) struct Count<const MIN: u32 = 0, const MAX: u32 = { i32::MAX as u32 }>;

impl<const MIN: u32, const MAX: u32> Kind for Count<MIN, MAX> {
    const SHAPE: Shape = Shape::Number;
    type Value = u32;

    fn parse(text: &str) -> Result<u32, String> {
        let number = integer(text).and_then(|number| u32::try_from(number).ok());
        number.filter(|number| (MIN..=MAX).contains(number)).ok_or_else(|| {
            if MAX == i32::MAX.unsigned_abs() {
                format!("a whole number, {MIN} or more")
            } else {
                format!("a whole number from {MIN} to {MAX}")
            }
        })
    }

    fn print(value: &u32) -> Option<String> {
        Some(value.to_string())
    }
}

/// A whole number that may be negative.
pub(crate) struct Integer;

impl Kind for Integer {
    const SHAPE: Shape = Shape::Number;
    type Value = i32;

    fn parse(text: &str) -> Result<i32, String> {
        integer(text).and_then(|n| i32::try_from(n).ok()).ok_or_else(|| "a whole number".to_owned())
    }

    fn print(value: &i32) -> Option<String> {
        Some(value.to_string())
    }
}

/// A TCP port.
pub(crate) struct Port;

impl Kind for Port {
    const SHAPE: Shape = Shape::Number;
    type Value = u16;

    fn parse(text: &str) -> Result<u16, String> {
        integer(text).and_then(|n| u16::try_from(n).ok()).ok_or_else(|| "a port from 0 to 65535".to_owned())
    }

    fn print(value: &u16) -> Option<String> {
        Some(value.to_string())
    }
}

/// Permission bits, in octal.
pub(crate) struct Mode;

impl Kind for Mode {
    type Value = u32;

    fn parse(text: &str) -> Result<u32, String> {
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o777);
        bits.ok_or_else(|| "permission bits in octal, 0 to 0777".to_owned())
    }

    fn print(value: &u32) -> Option<String> {
        Some(format!("{value:#o}").replacen("0o", "0", 1))
    }
}

/// A size with a unit.
pub(crate) struct Bytes;

impl Kind for Bytes {
    type Value = u64;

    fn parse(text: &str) -> Result<u64, String> {
        units::parse_bytes(text).ok_or_else(|| "a size such as 16MB (a bare number is bytes)".to_owned())
    }

    fn print(value: &u64) -> Option<String> {
        Some(units::print_bytes(*value))
    }
}

/// A whole number in C's notation (PgBouncer reads with base 0): decimal, `0x` hexadecimal, a leading 0 octal.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    number.checked_mul(sign)
}
