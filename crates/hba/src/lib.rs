//! Who may log in from where and how: PgBouncer's HBA file and its ident maps, read and matched
//! (PGBOUNCER.md section 1, PGBOUNCER_BEHAVIOUR.md section 5).
//!
//! Pure: texts come in, and what an `@file` holds is brought by the caller. A line that cannot be read is told and left
//! out, as PgBouncer does; nothing that matches means that the login is rejected. Read `rules.rs` (the lines, and which of
//! them decides), then `parse.rs`, `token.rs`, `address.rs`, `ident.rs`, `ldap.rs`.

mod address;
mod ident;
mod ldap;
mod parse;
mod rules;
mod token;

pub use ident::IdentMaps;
pub use ldap::{BindPassword, Find, Ldap, LdapScope, LdapSearch};
pub use parse::parse;
pub use rules::{Asked, Login, Method, Rule, Rules, Transport};

/// Something that is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong, without the file and line.
    pub sentence: String,
    /// The line is left out; else it is in force as far as it goes.
    pub is_skipped: bool,
}

#[cfg(test)]
mod ident_tests;
#[cfg(test)]
mod ldap_tests;
#[cfg(test)]
mod parse_tests;
#[cfg(test)]
mod rules_tests;
