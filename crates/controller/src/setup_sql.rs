//! The role and the grants that Howdah's own connections need, as SQL, per PostgreSQL version.
//!
//! From 15 on a role without superuser suffices: `ALTER SYSTEM` on single parameters can be granted. On 13 and 14
//! only a superuser may run `ALTER SYSTEM`, so `manage` needs one there; `follow` does not.

use std::fmt::Write as _;

use howdah_topology::Mode;

/// First version in which `GRANT … ON PARAMETER` exists.
pub(crate) const GRANT_ON_PARAMETER: u32 = 15;
/// The oldest version that Howdah supports.
const OLDEST: u32 = 13;

/// What `manage` alters on a node (FAILOVER_PROTOCOL.md §§1, 2, 5).
pub(crate) const ALTERED_PARAMETERS: [&str; 6] = [
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "wal_retrieve_retry_interval",
    "wal_receiver_timeout",
    "default_transaction_read_only",
];

/// Howdah's own settings, kept on every node by `ALTER SYSTEM`.
pub(crate) const CUSTOM_PARAMETERS: [&str; 4] =
    ["howdah.fence", "howdah.members", "howdah.switchover", "howdah.tuned"];

/// Functions whose use must be granted.
pub(crate) const FUNCTIONS: [&str; 4] = [
    "pg_promote(boolean, integer)",
    "pg_reload_conf()",
    "pg_wal_replay_resume()",
    "pg_read_file(text, bigint, bigint, boolean)",
];

/// The function behind the view of the same name, by which it is seen whether the nodes let each other in.
pub(crate) const HBA_RULES: &str = "pg_hba_file_rules()";

/// Why `manage` needs a superuser on old versions.
pub(crate) const NO_ALTER_SYSTEM: &str =
    "before PostgreSQL 15 only a superuser may run ALTER SYSTEM, which failover = manage needs";

/// The SQL that makes `role` and grants it what `mode` needs on PostgreSQL `major`; to be run once, on the primary,
/// in database `postgres`. The password is left to the operator: no statement here holds one.
#[must_use]
pub fn setup_sql(major: u32, mode: Mode, role: &str) -> String {
    let role = quote_identifier(role);
    let mut sql = format!("-- Howdah's own role, PostgreSQL {major}, failover = {mode}\n");
    if major < OLDEST {
        let _ = writeln!(
            sql,
            "-- PostgreSQL {major} is older than {OLDEST}, the oldest version that Howdah supports."
        );
        return sql;
    }
    let superuser = mode == Mode::Manage && major < GRANT_ON_PARAMETER;
    if superuser {
        let _ = writeln!(sql, "-- A superuser: {NO_ALTER_SYSTEM}.");
    }
    let attribute = if superuser { "SUPERUSER" } else { "NOSUPERUSER" };
    let _ = writeln!(sql, "CREATE ROLE {role} LOGIN {attribute} CONNECTION LIMIT 20;");
    let _ = writeln!(sql, "-- then: \\password {role}");
    let _ = writeln!(sql, "GRANT pg_monitor TO {role};");
    if mode != Mode::Manage || superuser {
        return sql;
    }
    let _ = writeln!(sql, "GRANT pg_signal_backend TO {role};");
    sql.push_str("-- Only where the standbys use replication slots, which Howdah makes on the node that is promoted:\n");
    let _ = writeln!(sql, "-- ALTER ROLE {role} REPLICATION;");
    for function in FUNCTIONS {
        let _ = writeln!(sql, "GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {role};");
    }
    let _ = writeln!(sql, "GRANT SELECT ON pg_catalog.pg_hba_file_rules TO {role};");
    let _ = writeln!(sql, "GRANT EXECUTE ON FUNCTION pg_catalog.{HBA_RULES} TO {role};");
    for parameter in ALTERED_PARAMETERS.iter().chain(&CUSTOM_PARAMETERS) {
        let _ = writeln!(sql, "GRANT ALTER SYSTEM ON PARAMETER {parameter} TO {role};");
    }
    for parameter in CUSTOM_PARAMETERS {
        let _ = writeln!(sql, "GRANT SET ON PARAMETER {parameter} TO {role};");
    }
    sql
}

/// A name in double quotes, where it needs them.
fn quote_identifier(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit());
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
