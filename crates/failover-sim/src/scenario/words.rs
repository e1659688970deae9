//! The words of a line with their columns, and what each kind of word means. Read next: [`super::script`].

use std::fmt;

use howdah_failover::State;

use crate::net::Peer;

/// A mistake in a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.what)
    }
}

impl std::error::Error for ScriptError {}

/// Where a word stands and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

/// A result on the way to a [`ScriptError`].
pub type Read<T> = Result<T, Wrong>;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its text.
    pub text: String,
    /// Its column, from 1.
    pub column: usize,
}

/// The words of a line that are left to be read.
#[derive(Debug, Clone)]
pub struct Words {
    words: Vec<Word>,
    next: usize,
    end: usize,
}

impl Words {
    /// The words of a line; what follows a `#` is a comment.
    #[must_use]
    pub fn of(line: &str) -> Words {
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        let mut words = Vec::new();
        let mut at = 0;
        for text in line.split(' ') {
            if !text.trim().is_empty() {
                words.push(Word { text: text.trim().to_owned(), column: at + 1 });
            }
            at += text.chars().count() + 1;
        }
        Words { words, next: 0, end: line.trim_end().chars().count() + 1 }
    }

    /// The same words with others in the place of some.
    #[must_use]
    pub fn with(&self, put: &[(String, String)]) -> Words {
        let mut all = self.clone();
        for word in &mut all.words {
            if let Some((_, text)) = put.iter().find(|(name, _)| *name == word.text) {
                word.text.clone_from(text);
            }
        }
        all
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next >= self.words.len()
    }

    /// The next word, which stays.
    #[must_use]
    pub fn peek(&self) -> Option<&str> {
        self.words.get(self.next).map(|w| w.text.as_str())
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, text: &str) -> bool {
        let there = self.peek() == Some(text);
        self.next += usize::from(there);
        there
    }

    /// The next word; `what` says what should stand here.
    ///
    /// # Errors
    /// There is none.
    pub fn word(&mut self, what: &str) -> Read<Word> {
        let word = self.words.get(self.next).cloned();
        self.next += 1;
        word.ok_or_else(|| Wrong { column: self.end, what: format!("{what} is missing") })
    }

    /// All words that are left.
    pub fn rest(&mut self) -> Vec<Word> {
        let rest = self.words.get(self.next..).map(<[Word]>::to_vec).unwrap_or_default();
        self.next = self.words.len();
        rest
    }

    /// Nothing more may follow.
    ///
    /// # Errors
    /// A word is left.
    pub fn end(&self) -> Read<()> {
        let Some(word) = self.words.get(self.next) else { return Ok(()) };
        Err(Wrong { column: word.column, what: format!("{:?} is too much here", word.text) })
    }

    fn parsed<T>(&mut self, what: &str, parse: impl Fn(&str) -> Option<T>) -> Read<T> {
        let word = self.word(what)?;
        let wrong = || Wrong { column: word.column, what: format!("{:?} is not {what}", word.text) };
        parse(&word.text).ok_or_else(wrong)
    }

    /// A number.
    ///
    /// # Errors
    /// The word is none.
    pub fn number(&mut self) -> Read<u64> {
        self.parsed("a number", |w| w.parse().ok())
    }

    /// A time (`250ms`, `2s`), in microseconds.
    ///
    /// # Errors
    /// The word is none.
    pub fn time(&mut self) -> Read<u64> {
        self.parsed("a time like 250ms or 2s", time)
    }

    /// A node (`n0`).
    ///
    /// # Errors
    /// The word is none.
    pub fn node(&mut self) -> Read<usize> {
        self.parsed("a node like n0", |w| w.strip_prefix('n')?.parse().ok())
    }

    /// A pooler (`pooler0`).
    ///
    /// # Errors
    /// The word is none.
    pub fn pooler(&mut self) -> Read<usize> {
        self.parsed("a pooler like pooler0", pooler)
    }

    /// A node or a pooler.
    ///
    /// # Errors
    /// The word is neither.
    pub fn peer(&mut self) -> Read<Peer> {
        self.parsed("a node like n0 or a pooler like pooler0", |w| {
            let node = w.strip_prefix('n').and_then(|n| n.parse().ok());
            pooler(w).map(Peer::Pooler).or(node.map(Peer::Node))
        })
    }

    /// A pooler if one stands here, else the first.
    pub fn pooler_or_first(&mut self) -> usize {
        let named = self.peek().and_then(pooler);
        self.next += usize::from(named.is_some());
        named.unwrap_or(0)
    }

    /// A state of the machine, by its name.
    ///
    /// # Errors
    /// No state has this name.
    pub fn state(&mut self) -> Read<State> {
        self.parsed("a state of the machine", |w| {
            howdah_failover::ROWS.iter().flat_map(|r| [r.from, r.to]).find(|s| s.name() == w)
        })
    }

    /// The name of an action, with hyphens for its spaces.
    ///
    /// # Errors
    /// No action has this name.
    pub fn action(&mut self) -> Read<&'static str> {
        self.parsed("an action like check-vote", |w| {
            crate::faults::ACTIONS.iter().copied().find(|a| a.replace(' ', "-") == w)
        })
    }
}

fn pooler(word: &str) -> Option<usize> {
    word.strip_prefix("pooler")?.parse().ok()
}

fn time(word: &str) -> Option<u64> {
    let (number, unit) = match word.strip_suffix("ms") {
        Some(number) => (number, 1_000),
        None => (word.strip_suffix('s')?, 1_000_000),
    };
    number.parse::<u64>().ok().map(|n| n * unit)
}
