//! Says of a SQL text whether it may run on a replica, by permission, and why (DESIGN.md section 5).
//!
//! The rule: a text may go to a replica only if *every* node of *every* statement in it is known to be
//! safe there. Everything else, and everything that is not understood, goes to the primary. The answer
//! also says what the text means for the session ([`Effects`]).
//!
//! Reading order: `verdict.rs` (the answer), `classifier.rs` (cache and context), `judge.rs` (the path of
//! one text), then the readers below it.
//!
//! Pure: no clock, no socket, no runtime.

mod classifier;
mod command;
mod control;
mod explain;
mod guarded;
#[cfg(test)]
mod guarded_tests;
mod jsonl;
mod judge;
mod lexer;
#[cfg(test)]
mod lexer_tests;
mod outcome;
mod own;
#[cfg(test)]
mod own_tests;
mod reason;
mod settings;
mod shape;
mod survey;
mod tables;
#[cfg(test)]
mod tables_tests;
mod verdict;
mod walk;
mod words;

pub use classifier::{Classifier, Context, Options};
pub use explain::explain;
pub use guarded::{Assignment, Assignments, Guarded, assignments};
pub use jsonl::classify_jsonl_line;
pub use own::{Own, Value, own};
pub use reason::Reason;
pub use verdict::{Discard, Effects, Modes, Route, RouteSetting, Switch, Transaction, Verdict};
