//! Ident maps: which names outside (a certificate's common name, a user of the system) may be which users.

use std::collections::HashMap;

use crate::Warning;
use crate::token::{Token, tokens};

/// The user that a line of a map allows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    /// `all`
    Everybody,
    /// This one.
    User(String),
}

/// The maps of an ident file, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentMaps {
    maps: HashMap<String, Vec<(String, Allowed)>>,
}

impl IdentMaps {
    /// Reads the text of an ident file: `map system-user user` a line. Good lines are in force, the others are told.
    pub fn parse(text: &str) -> (Self, Vec<Warning>) {
        let (mut maps, mut warnings) = (Self::default(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            match read_line(line) {
                Ok(None) => {}
                Ok(Some((map, system, user))) => maps.maps.entry(map).or_default().push((system, user)),
                Err(sentence) => {
                    let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
                    warnings.push(Warning { line, sentence: sentence.to_owned(), is_skipped: true });
                }
            }
        }
        (maps, warnings)
    }

    /// Whether there is a map of this name.
    #[must_use]
    pub fn contains(&self, map: &str) -> bool {
        self.maps.contains_key(map)
    }

    /// Whether `system`, a name outside, may be `user`.
    #[must_use]
    pub fn allows(&self, map: &str, system: &str, user: &str) -> bool {
        self.maps.get(map).is_some_and(|lines| {
            lines.iter().any(|(name, allowed)| {
                name == system
                    && match allowed {
                        Allowed::Everybody => true,
                        Allowed::User(name) => name == user,
                    }
            })
        })
    }
}

/// A map's name, and one of its pairs.
type Line = (String, String, Allowed);

fn read_line(line: &str) -> Result<Option<Line>, &'static str> {
    let tokens = tokens(line).map_err(|()| "a quote is not closed")?;
    match tokens.as_slice() {
        [] => Ok(None),
        [map, system, user] => {
            let word = |token: &Token| token.word().map(str::to_owned).ok_or(EXPECTED);
            let allowed = match user {
                Token::Bare(all) if all == "all" => Allowed::Everybody,
                user => Allowed::User(word(user)?),
            };
            Ok(Some((word(map)?, word(system)?, allowed)))
        }
        _ => Err(EXPECTED),
    }
}

const EXPECTED: &str = "expected a map's name, a system user and a user";
