//! The actions of the failover machine in SQL, one module a purpose. Each is exactly what
//! [`howdah_failover::Action`] says of it, idempotent, and over before its deadline.
//!
//! Read next: `settings.rs` (how a setting is written and read back), then `fence.rs`.

pub(crate) mod demote;
pub(crate) mod fence;
pub(crate) mod names;
pub(crate) mod position;
pub(crate) mod promote;
pub(crate) mod repoint;
pub(crate) mod settings;
pub(crate) mod stop;
pub(crate) mod vote;
