//! What follows from what a node says: each demand of FAILOVER_PROTOCOL.md §1, met and not.

use crate::checks::{Facts, Peer, Verdict, for_machine, judge};
use crate::hba::Line;

fn complete() -> Facts {
    Facts {
        major: 17,
        hot_standby: true,
        rewindable: true,
        monitors: true,
        signals: true,
        wal_senders: 10,
        role: "howdah".to_owned(),
        hba: Some(vec![Line {
            kind: "host".to_owned(),
            users: vec!["all".to_owned()],
            address: "all".to_owned(),
            netmask: None,
            method: "scram-sha-256".to_owned(),
        }]),
        replicators: vec!["rep".to_owned()],
        ..Facts::default()
    }
}

fn peers() -> Vec<Peer> {
    let peer = |name: &str, user: Option<&str>| Peer {
        name: name.to_owned(),
        host: "10.0.3.7".to_owned(),
        user: user.map(str::to_owned),
    };
    vec![peer("node1", Some("rep")), peer("node2", None)]
}

/// The only lack of these facts.
fn lack(change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = complete();
    change(&mut facts);
    let checks = for_machine(&judge(&facts, &peers()));
    assert_eq!(checks.lacks.len(), 1, "{checks:?}");
    checks.lacks[0].clone()
}

#[test]
fn a_node_with_everything_lacks_nothing() {
    let findings = judge(&complete(), &peers());
    assert!(findings.iter().all(|f| f.verdict == Verdict::Good), "{findings:?}");
    assert!(findings.iter().any(|f| f.check == "replication of node1"));
}

#[test]
fn each_demand_that_is_not_met_is_a_sentence() {
    assert!(lack(|f| f.hot_standby = false).contains("hot_standby is off"));
    assert!(lack(|f| f.alter_system_off = true).contains("allow_alter_system is off"));
    assert!(lack(|f| f.major = 14).contains("howdah is no superuser"));
    assert!(
        lack(|f| f.missing_parameters = vec!["howdah.fence".to_owned()])
            .contains("ALTER SYSTEM howdah.fence")
    );
    assert!(lack(|f| f.missing_functions = vec!["pg_reload_conf()".to_owned()]).contains("pg_reload_conf()"));
    assert!(lack(|f| f.signals = false).contains("pg_signal_backend"));
    assert!(lack(|f| f.monitors = false).contains("pg_monitor"));
    assert!(lack(|f| f.wal_senders = 0).contains("max_wal_senders is 0"));
    let given = lack(|f| f.on_command_line = vec!["primary_conninfo".to_owned()]);
    assert!(given.contains("primary_conninfo is given on the server's command line"));
}

#[test]
fn replication_is_reachable_or_refused() {
    assert!(
        lack(|f| f.replicators.clear()).contains("rep, the role of node1, may not log in for replication")
    );
    let only_rep = |f: &mut Facts| f.hba.as_mut().unwrap()[0].users = vec!["other".to_owned()];
    assert!(lack(only_rep).contains("no line of pg_hba.conf lets rep in, so node1"));
    let mut facts = complete();
    facts.hba = Some(Vec::new());
    assert_eq!(
        for_machine(&judge(&facts, &peers())).lacks.len(),
        2,
        "the present primary has to get in as well"
    );
}

#[test]
fn what_is_not_certain_is_a_warning() {
    let mut facts = complete();
    facts.rewindable = false;
    facts.hba = None;
    let checks = for_machine(&judge(&facts, &peers()));
    assert_eq!((checks.lacks.len(), checks.warnings.len()), (0, 3), "{checks:?}");
    facts = complete();
    let line = &mut facts.hba.as_mut().unwrap()[0];
    (line.address, line.netmask) = ("10.9.0.0".to_owned(), "255.255.0.0".parse().ok());
    let checks = for_machine(&judge(&facts, &peers()));
    assert_eq!((checks.lacks.len(), checks.warnings.len()), (0, 2), "{checks:?}");
    assert!(checks.warnings[0].contains("from 10.0.3.7, the address of node1"));
}

#[test]
fn a_superuser_may_do_everything_by_any_version() {
    let mut facts = complete();
    (facts.superuser, facts.major, facts.signals, facts.monitors) = (true, 13, false, false);
    facts.missing_parameters = vec!["primary_conninfo".to_owned()];
    assert_eq!(for_machine(&judge(&facts, &peers())).lacks, Vec::<String>::new());
}
