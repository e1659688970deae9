//! The kinds of values that settings have: how each is read from text and printed again.
//!
//! A row of a table (`table.rs`) names a kind and a field. A refusal is the end of the sentence "expected …, and not …".
//! Here are the trait and the kinds made of others; numbers, times and texts have a file each. Read `table.rs` next.

mod number;
mod text;
mod time;

use std::marker::PhantomData;

pub(crate) use number::{Bytes, Count, Flag, Integer, Mode, Port, Switch};
pub(crate) use text::{CheckQuery, File, Hidden, Hosts, Items, Name, Nodes, RestAddresses, Text};
pub(crate) use time::{Lag, Milliseconds, PositiveTime, Seconds, Time, WholeSeconds};

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
