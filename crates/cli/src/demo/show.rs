//! What the demo prints: headings, lines with the time, tables.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::args::say;
use crate::table::{Table, text_of};

/// The terminal, and the time since the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    began: Instant,
    is_terminal: bool,
}

impl Screen {
    /// Begins to count the time.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), is_terminal: std::io::stdout().is_terminal() }
    }

    /// Whether a person may be looking at it live.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// A step begins.
    pub(crate) fn heading(&self, text: &str) {
        let (bold, plain) = if self.is_terminal { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        say(&format!("\n{bold}{text}{plain}\n"));
    }

    /// A line of the demo's own, with the time.
    pub(crate) fn line(&self, text: &str) {
        say(&format!("[{:6.2} s] {text}\n", self.began.elapsed().as_secs_f64()));
    }

    /// A line of somebody else's.
    pub(crate) fn quote(&self, text: &str) {
        say(&format!("           | {text}\n"));
    }

    /// A table.
    pub(crate) fn table(&self, table: &Table) {
        say(&text_of(table));
    }

    /// The same table again, over the one that is there.
    pub(crate) fn table_again(&self, table: &Table) {
        say(&format!("\x1b[{}A\x1b[J{}", table.len(), text_of(table)));
    }
}

/// A duration for people.
pub(crate) fn millis(duration: Duration) -> String {
    match duration.as_micros() {
        micros if micros < 10_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        micros if micros < 10_000_000 => format!("{} ms", duration.as_millis()),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
