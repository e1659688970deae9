//! The kinds of values that settings have: how each is read from text and printed again.
//!
//! A row of a table (`table.rs`) names a kind and a field. A refusal is the end of the sentence "`x` is not a valid
//! value: expected …". Read `table.rs` next.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::{ClusterNode, MaxReplicaLag};
use crate::list::List;
use crate::secret::Secret;
use crate::units;

/// How a value looks in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A string.
    Text,
    /// A bare number.
    Number,
    /// `true` or `false`.
    Truth,
    /// An array of strings.
    Array,
}

/// A kind of value.
pub(crate) trait Kind {
    /// How it looks in TOML.
    const SHAPE: Shape = Shape::Text;

    /// The words that it may be, if it is one of a list.
    const WORDS: &'static [&'static str] = &[];

    /// What a field of this kind holds.
    type Value;

    /// Reads the value; the error is what was expected.
    fn parse(text: &str) -> Result<Self::Value, String>;

    /// Prints the value so that it parses back to the same; `None` when it is unset.
    fn print(value: &Self::Value) -> Option<String>;
}

/// An enum of words (`keyword!` in `keyword.rs`).
pub(crate) trait Word: Copy + Sized {
    const WORDS: &'static [&'static str];
    fn read(word: &str) -> Option<Self>;
    fn word(self) -> &'static str;
}

/// One of the words of `W`.
pub(crate) struct OneOf<W>(PhantomData<W>);

impl<W: Word> Kind for OneOf<W> {
    const WORDS: &'static [&'static str] = W::WORDS;
    type Value = W;

    fn parse(text: &str) -> Result<W, String> {
        W::read(text).ok_or_else(|| match W::WORDS.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => W::WORDS.join(", "),
        })
    }

    fn print(value: &W) -> Option<String> {
        Some(value.word().to_owned())
    }
}

/// A value that may be unset. PgBouncer writes "unset" as -1 where the value is a number.
pub(crate) struct Maybe<K>(PhantomData<K>);

impl<K: Kind> Kind for Maybe<K> {
    const SHAPE: Shape = K::SHAPE;
    const WORDS: &'static [&'static str] = K::WORDS;
    type Value = Option<K::Value>;

    fn parse(text: &str) -> Result<Self::Value, String> {
        match K::parse(text) {
            Ok(value) => Ok(Some(value)),
            Err(_) if text == "-1" && K::SHAPE == Shape::Number => Ok(None),
            Err(expected) => Err(expected),
        }
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.as_ref().and_then(K::print)
    }
}

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

/// Any text; empty is a value.
pub(crate) struct Text;

impl Kind for Text {
    type Value = String;

    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    fn print(value: &String) -> Option<String> {
        Some(value.clone())
    }
}

/// Any text; empty is unset.
pub(crate) struct Name;

impl Kind for Name {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, String> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn print(value: &Option<String>) -> Option<String> {
        value.clone()
    }
}

/// A file; empty is unset.
pub(crate) struct File;

impl Kind for File {
    type Value = Option<PathBuf>;

    fn parse(text: &str) -> Result<Option<PathBuf>, String> {
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn print(value: &Option<PathBuf>) -> Option<String> {
        value.as_ref().map(|path| path.to_string_lossy().into_owned())
    }
}

/// A comma separated list.
pub(crate) struct Items;

impl Kind for Items {
    const SHAPE: Shape = Shape::Array;
    type Value = List;

    fn parse(text: &str) -> Result<List, String> {
        Ok(List::new(text))
    }

    fn print(value: &List) -> Option<String> {
        Some(value.as_str().to_owned())
    }
}

/// A comma separated list of which only the items count (hosts).
pub(crate) struct Hosts;

impl Kind for Hosts {
    const SHAPE: Shape = Shape::Array;
    type Value = Vec<String>;

    fn parse(text: &str) -> Result<Vec<String>, String> {
        Ok(List::new(text).iter().map(str::to_owned).collect())
    }

    fn print(value: &Vec<String>) -> Option<String> {
        (!value.is_empty()).then(|| value.join(","))
    }
}

/// The nodes of a cluster: `host:port` or `name@host:port`, comma separated; an IPv6 address in brackets.
pub(crate) struct Nodes;

impl Kind for Nodes {
    const SHAPE: Shape = Shape::Array;
    type Value = Vec<ClusterNode>;

    fn parse(text: &str) -> Result<Vec<ClusterNode>, String> {
        List::new(text).iter().map(node).collect()
    }

    fn print(value: &Vec<ClusterNode>) -> Option<String> {
        let items = value.iter().map(|node| match node.address() {
            address if address == node.name => address,
            address => format!("{}@{address}", node.name),
        });
        (!value.is_empty()).then(|| items.collect::<Vec<_>>().join(","))
    }
}

/// PostgreSQL's port, for a node that is written without one.
const DEFAULT_PORT: u16 = 5432;

fn node(item: &str) -> Result<ClusterNode, String> {
    let expected = || format!("nodes as host:port or name@host:port, which {item} is not");
    // An abstract socket's name begins with @: only what stands before an @ is a name.
    let (name, address) = match item.split_once('@') {
        Some((name, address)) if !name.is_empty() => (Some(name), address),
        _ => (None, item),
    };
    let (host, port) = split_port(address).ok_or_else(expected)?;
    let mut node = ClusterNode::new(host, port);
    if let Some(name) = name {
        node.name = name.to_owned();
    }
    Ok(node)
}

fn split_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else if let Some((host, port)) = address.rsplit_once(':') {
        // Without brackets an IPv6 address cannot be told from its port.
        (!host.contains(':')).then_some((host, Some(port)))?
    } else {
        (address, None)
    };
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok().filter(|port| *port > 0))?;
    (!host.is_empty()).then_some((host, port))
}

/// A password.
pub(crate) struct Hidden;

impl Kind for Hidden {
    type Value = Secret;

    fn parse(text: &str) -> Result<Secret, String> {
        Ok(Secret::new(text))
    }

    fn print(value: &Secret) -> Option<String> {
        Some(value.expose().to_owned())
    }
}

/// `server_check_query`: `<empty>` is an empty query, nothing at all is no check.
pub(crate) struct CheckQuery;

/// How the empty query is written.
const EMPTY_QUERY: &str = "<empty>";

impl Kind for CheckQuery {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, String> {
        Ok(match text {
            "" => None,
            EMPTY_QUERY => Some(String::new()),
            query => Some(query.to_owned()),
        })
    }

    fn print(value: &Option<String>) -> Option<String> {
        Some(match value.as_deref() {
            None => String::new(),
            Some("") => EMPTY_QUERY.to_owned(),
            Some(query) => query.to_owned(),
        })
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
