//! The SQL of the role: what each version and mode gets. That it suffices is tried on a server in `actions_tests`.

use howdah_topology::Mode;

use crate::setup_sql::setup_sql;

#[test]
fn follow_only_looks() {
    let sql = setup_sql(15, Mode::Follow, "howdah");
    assert!(sql.contains("CREATE ROLE howdah LOGIN NOSUPERUSER"));
    assert!(sql.contains("GRANT pg_monitor TO howdah"));
    assert!(!sql.contains("ALTER SYSTEM"), "{sql}");
}

#[test]
fn before_15_manage_is_a_superuser_and_says_why() {
    for major in [13, 14] {
        let sql = setup_sql(major, Mode::Manage, "howdah");
        assert!(sql.contains("LOGIN SUPERUSER") && sql.contains("before PostgreSQL 15"), "{sql}");
        assert!(!sql.contains("ON PARAMETER"), "{major} has no GRANT ON PARAMETER");
        assert!(setup_sql(major, Mode::Follow, "howdah").contains("NOSUPERUSER"));
    }
    assert!(!setup_sql(12, Mode::Manage, "howdah").contains("CREATE ROLE"), "12 is not supported");
}

#[test]
fn every_parameter_that_an_action_alters_is_granted() {
    let sql = setup_sql(18, Mode::Manage, "howdah");
    for name in [
        "primary_conninfo",
        "synchronous_standby_names",
        "wal_receiver_timeout",
        "howdah.fence",
        "howdah.switchover",
    ] {
        assert!(sql.contains(&format!("GRANT ALTER SYSTEM ON PARAMETER {name} TO howdah;")), "{name}: {sql}");
    }
}

#[test]
fn a_strange_name_is_quoted() {
    assert!(setup_sql(15, Mode::Follow, "Mein \"Haus\"").contains(r#"CREATE ROLE "Mein ""Haus""" LOGIN"#));
}
