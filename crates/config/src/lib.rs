//! Reads pgbouncer.ini, userlist.txt and howdah.toml into checked settings, with file, line and column for every mistake.
//!
//! Two stages, with the line between them documented: the readers (`ini`, `toml_file`) yield what was *written*, each key
//! and value with its place; `build` turns that into what *runs*, a [`Config`] of plain typed structs. Every key is one
//! row of a table (`table`), from which parsing, SHOW CONFIG, `convert`, docs/settings.md and the list of settings that
//! have no effect yet all come. Read [`Config`] first, then `table.rs`, then `ini.rs`.

#[macro_use]
mod keyword;
#[macro_use]
mod table;
mod build;
mod cluster;
mod config;
mod convert;
mod database;
mod diagnostic;
mod docs;
mod hba_files;
mod ini;
mod kind;
mod list;
mod load;
mod pairs;
mod secret;
mod settings;
mod show;
mod toml_file;
mod units;
mod userlist;
mod validate;
mod written;

pub use cluster::{Cluster, ClusterNode, MaxReplicaLag, RestAddress};
pub use config::{Config, Routing};
pub use convert::to_toml;
pub use database::{Database, Peer, User};
pub use diagnostic::{Diagnostic, Severity};
pub use docs::{example_toml, settings_markdown};
pub use keyword::{
    AuthType, Balance, Consistency, Failover, LoadBalanceHosts, LogFormat, OnLastNode, PoolMode, ReadRouting,
    ReadsWithoutReplica, SslMode, SyslogFacility, Target, UnsafeCommits,
};
pub use list::List;
pub use load::{Format, Loaded, Report, check, load, logfile, parse};
pub use secret::Secret;
pub use settings::Settings;
pub use show::{ConfigRow, SetError, SetOutcome, SettingInfo};
pub use table::Effect;
pub use userlist::{MAX_SECRET, UserList};
pub use validate::reread;

/// The database name behind which the console is; no entry may have it.
pub const CONSOLE_DATABASE: &str = "pgbouncer";
