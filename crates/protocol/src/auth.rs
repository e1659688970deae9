//! Logins, on both sides, as small machines that take one message and append the answer.
//!
//! [`ClientLogin`] is the server's side, towards our clients; [`ServerLogin`] the client's side, towards
//! PostgreSQL. What is known of a user is a [`Secret`]. A client that logs in by SCRAM leaves its [`ScramKeys`]
//! behind, with which the same user can log in to a server that has the same secret: pass-through. Randomness is
//! an argument, and no secret shows in `Debug`. The rules are those of PGBOUNCER_BEHAVIOUR.md §5; SCRAM-SHA-256
//! is RFC 5802 and RFC 7677, in `scram.rs`.

mod client_login;
mod credential;
mod error;
mod md5;
mod password;
mod scram;
mod secret;
mod server_login;

pub use client_login::{ClientLogin, Entropy, Method, Proved};
pub use credential::Credential;
pub use error::AuthError;
pub use password::Password;
pub use scram::{
    DEFAULT_ITERATIONS, MAX_ITERATIONS, MECHANISM, MECHANISM_PLUS, ScramKeys, ScramSecret, stable_salt,
};
pub use secret::{Md5Hash, Secret};
pub use server_login::ServerLogin;

/// Longest password of a client, in bytes; a longer one is a wrong one.
pub const MAX_PASSWORD: usize = 65_530;

/// What a login wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// Send what was appended, and bring the next message.
    Continue,
    /// The login has succeeded. What was appended, if anything, is still to be sent.
    Done(T),
}

#[cfg(test)]
mod auth_tests;
