//! Whether an LDAP server knows a user's password: a simple bind, or a search for the user's entry and a bind as that
//! (PGBOUNCER_BEHAVIOUR.md section 5; PostgreSQL's manual 21.10 for what each option means).
//!
//! Everything is asynchronous, and the certificates' files are read on a blocking thread, so that a server that hangs
//! costs nobody but the client that waits for it. Read `login.rs`, then `certificates.rs` (what of the system's LDAP
//! configuration is followed).

mod certificates;
mod login;

pub use login::{LdapError, log_in};

#[cfg(test)]
mod certificates_tests;
#[cfg(test)]
mod login_tests;
