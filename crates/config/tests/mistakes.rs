//! Every mistake has its line, its column and its sentence, and PgBouncer's own text where it has one.

#![allow(clippy::unwrap_used)]

use howdah_config::{Format, Severity, check, load, parse};

/// The findings of an ini text, one a line.
fn ini(text: &str) -> String {
    findings(text.as_bytes(), "f.ini")
}

/// The findings of a TOML text.
fn toml(text: &str) -> String {
    findings(text.as_bytes(), "f.toml")
}

fn findings(text: &[u8], name: &str) -> String {
    let list =
        parse(name, text, Format::of(name.as_ref())).map_or_else(|errors| errors, |loaded| loaded.notes);
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What PgBouncer logs for the only mistake of an ini text.
fn pgbouncer(text: &str) -> String {
    let mut errors = parse("f.ini", text.as_bytes(), Format::Ini).unwrap_err();
    errors.retain(|finding| finding.severity == Severity::Error);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0).pgbouncer.unwrap()
}

#[test]
fn lines() {
    for (text, expected) in [
        (
            "[pgbouncer]\njust words",
            "f.ini:2:1: error: a line is [section], key = value, %include file, or a comment",
        ),
        ("[pgbouncer]\n\t= 1", "f.ini:2:2: error: there is no name before the ="),
        ("a = 1", "f.ini:1:1: error: a key must stand in a section, and there is none yet"),
        ("[pgbouncer", "f.ini:1:1: error: the name of a section ends with ]"),
        ("[users] x", "f.ini:1:1: error: nothing may stand behind the ] of a section"),
        ("[databases]\n\"a = b", "f.ini:2:1: error: the closing \" of a name is missing"),
        ("[pgbouncer]\nuser = a\0b", "f.ini:2:9: error: a zero byte cannot stand in a configuration"),
        (
            " [nosuch]\na = b",
            "f.ini:1:3: error: there is no section [nosuch]: there are [pgbouncer], [databases], [users], [peers], \
             [clusters] and [nodes]",
        ),
        (
            "\n%include nofile.ini",
            "f.ini:2:1: error: cannot include nofile.ini: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(ini(text), expected);
    }
}

#[test]
fn bytes_that_are_no_text_are_a_mistake_except_in_a_comment() {
    assert_eq!(findings(b"; caf\xe9\n# \xff\n", "f.ini"), "");
    assert_eq!(
        findings(b"[pgbouncer]\n user = \xc3\xa9\xff", "f.ini"),
        "f.ini:2:10: error: this is not UTF-8 text"
    );
    assert_eq!(
        findings(b"[settings]\nuser = \"\xff\"", "f.toml"),
        "f.toml:2:9: error: this is not UTF-8 text"
    );
}

#[test]
fn settings() {
    for (line, expected) in [
        ("nonsense = 1", "2:1: error: there is no setting called nonsense"),
        ("  pol_mode = session", "2:3: error: there is no setting called pol_mode; did you mean pool_mode?"),
        ("Pool_Mode = session", "2:1: error: there is no setting called Pool_Mode; did you mean pool_mode?"),
        (
            "pool_mode = foo",
            "2:13: error: pool_mode: expected session, transaction or statement, and not \"foo\"",
        ),
        (
            "max_client_conn = 5x",
            "2:19: error: max_client_conn: expected a whole number, 0 or more, and not \"5x\"",
        ),
        (
            "max_client_conn =",
            "2:18: error: max_client_conn: expected a whole number, 0 or more, and not \"\"",
        ),
        (
            "max_client_conn = -1",
            "2:19: error: max_client_conn: expected a whole number, 0 or more, and not \"-1\"",
        ),
        (
            "peer_id = 16384",
            "2:11: error: peer_id: expected a whole number from 0 to 16383, and not \"16384\"",
        ),
        (
            "query_timeout=5s",
            "2:15: error: query_timeout: expected seconds, a fraction allowed, and not \"5s\"",
        ),
        (
            "query_timeout=-1",
            "2:15: error: query_timeout: expected seconds, a fraction allowed, and not \"-1\"",
        ),
        (
            "query_timeout=inf",
            "2:15: error: query_timeout: expected seconds, a fraction allowed, and not \"inf\"",
        ),
        ("tcp_keepidle = 1.5", "2:16: error: tcp_keepidle: expected whole seconds, and not \"1.5\""),
        (
            "listen_port = 65536",
            "2:15: error: listen_port: expected a port from 0 to 65535, and not \"65536\"",
        ),
        ("log_stats = maybe", "2:13: error: log_stats: expected 0 or 1, and not \"maybe\""),
        (
            "unix_socket_mode = 0888",
            "2:20: error: unix_socket_mode: expected permission bits in octal, 0 to 0777, and not \"0888\"",
        ),
        ("http_listen = 9187", "2:15: error: http_listen: expected address:port, and not \"9187\""),
        (
            "auth_dbname = pgbouncer",
            "2:15: error: cannot use the reserved \"pgbouncer\" database as an auth_dbname",
        ),
        (
            "auth_file = no/file",
            "2:13: error: cannot read auth_file no/file: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(ini(&format!("[pgbouncer]\n{line}\n")), format!("f.ini:{expected}"));
    }
}

#[test]
fn lists_of_pairs() {
    for (line, expected) in [
        ("a = host", "2:5: error: expected key=value, and not \"host\""),
        ("a = host=x port", "2:12: error: expected key=value, and not \"port\""),
        ("a = =x", "2:5: error: expected key=value, and not \"=x\""),
        ("a = host=", "2:10: error: host has no value (an empty one is written '')"),
        ("a = host='x", "2:10: error: the closing ' of host is missing"),
        ("a = host='x'y", "2:13: error: a blank must follow the closing ' of host"),
        ("ä = dbname='é' foo=1", "2:16: error: there is no key of a database called foo"),
        (
            "a = pol_size=1",
            "2:5: error: there is no key of a database called pol_size; did you mean pool_size?",
        ),
        ("a = port = x", "2:12: error: port: expected a port from 0 to 65535, and not \"x\""),
        (
            "a = pool_mode=-1",
            "2:15: error: pool_mode: expected session, transaction or statement, and not \"-1\"",
        ),
        ("pgbouncer = host=x", "2:1: error: pgbouncer is the console's name"),
    ] {
        assert_eq!(ini(&format!("[databases]\n{line}\n")), format!("f.ini:{expected}"));
    }
}

#[test]
fn names_that_refer_to_nothing_and_nodes_that_come_twice() {
    for (text, expected) in [
        ("[databases]\na = cluster=x", "2:13: error: database a: there is no cluster called x"),
        (
            "[databases]\na = target=replica",
            "2:12: error: database a: target needs a cluster, and there is none",
        ),
        (
            "[clusters]\nm = user=u nodes=a\n[databases]\na = cluster=m host=x",
            "4:20: error: database a has a cluster: host says nothing more",
        ),
        ("[clusters]\nm = user=u nodes=a,b,a:5432", "2:18: error: cluster m has the node a:5432 twice"),
        ("[clusters]\nm = user=u nodes=n@a,n@b", "2:18: error: cluster m has two nodes called n"),
        ("[clusters]\nm = user=u", "2:1: error: cluster m needs nodes=host:port,…"),
        (
            "[clusters]\nm = nodes=a",
            "2:1: error: cluster m needs user=: Howdah asks the nodes for their role with it",
        ),
        (
            "[clusters]\nm = user=u nodes=a:x",
            "2:18: error: nodes: expected nodes as host:port or name@host:port, which a:x is not, and not \"a:x\"",
        ),
        (
            "[clusters]\nm = user=u nodes=a failover=manage primary_lease=500ms",
            "2:50: error: cluster m: primary_lease must be longer than probe_interval and probe_timeout together",
        ),
        (
            "[clusters]\nm = user=u nodes=a failover=manage patroni=a",
            "2:44: error: cluster m: patroni needs failover=follow: what Patroni manages Howdah follows",
        ),
        (
            "[clusters]\nm = user=u nodes=a patroni=https://a",
            "2:28: error: patroni: expected addresses of plain HTTP (there is no TLS towards Patroni yet), which \
             https://a is not, and not \"https://a\"",
        ),
        (
            "[clusters]\nm = user=u nodes=a patroni=a:8008/cluster",
            "2:28: error: patroni: expected addresses as host:port or http://host:port, which a:8008/cluster is not, \
             and not \"a:8008/cluster\"",
        ),
        ("[nodes]\na:1 = weight=2", "2:1: error: no cluster has a node called a:1"),
        (
            "[clusters]\nm = user=u nodes=a\n[nodes]\na:5432 = cascade_of=b",
            "2:1: error: node a:5432: cascade_of must name another node of cluster m",
        ),
        ("[peers]\n1 = port=2", "2:1: error: peer 1 needs a host"),
        ("[peers]\n0 = host=''", "2:1: error: 0 is not the number of a peer, 1 to 16383"),
    ] {
        let expected = expected.split('\n').map(|line| line.trim_start_matches("f.ini:"));
        let mut expected: Vec<_> = expected.map(|line| format!("f.ini:{line}")).collect();
        expected.sort();
        let text = ini(text);
        let mut found: Vec<_> = text.split('\n').collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[test]
fn all_mistakes_at_once_and_in_the_order_of_the_file() {
    let text = "[databases]\na = cluster=x\n[pgbouncer]\npool_mode = x\nnonsense = 1\nauth_file = /no/file\n";
    let places: Vec<_> = ini(text).lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(places, ["f.ini:2:13:", "f.ini:4:13:", "f.ini:5:1:", "f.ini:6:13:"]);
}

#[test]
fn toml_mistakes() {
    for (text, expected) in [
        ("[settings]\n  nonsense = 1", "2:3: error: there is no setting called nonsense"),
        (
            "[settings]\npool_mode = \"x\"",
            "2:13: error: pool_mode: expected session, transaction or statement, and not \"x\"",
        ),
        (
            "[settings]\nlisten_port = true",
            "2:15: error: listen_port: expected a port from 0 to 65535, and not \"on\"",
        ),
        (
            "[settings]\nuser = 1979-05-27",
            "2:8: error: user must be a text, a number, true, false, or an array of those",
        ),
        (
            "[pgbouncer]\nuser = 1",
            "1:2: error: there is no section [pgbouncer]: there are [settings], [databases], [users], [peers], \
             [clusters] and [nodes]",
        ),
        ("settings = 1", "1:1: error: settings must be a table: [settings]"),
        ("[databases]\na = 1", "2:1: error: a must be a table of keys"),
        ("[databases.a]\ncluster = \"x\"", "2:11: error: database a: there is no cluster called x"),
        (
            "[clusters.m]\nnodes = []\nuser = \"u\"",
            "2:9: error: nodes: expected at least one host:port, and not \"\"",
        ),
    ] {
        assert_eq!(toml(text), format!("f.toml:{expected}"));
    }
    let found = toml("[settings]\nverbose = = 1\npool_mode = 3");
    assert!(found.starts_with("f.toml:2:11: error: not TOML: "), "{found}");
    assert!(found.contains("\nf.toml:3:13: error: pool_mode: "), "{found}");
}

#[test]
fn in_pgbouncers_words() {
    for (text, expected) in [
        ("[pgbouncer]\nnonsense = 1", "unknown parameter: pgbouncer/nonsense"),
        (
            "[pgbouncer]\npool_mode = x",
            "invalid value \"x\" for parameter pool_mode in configuration (f.ini:2)",
        ),
        ("[databases]\na = b=c", "unrecognized connection parameter: b"),
        ("[users]\na = b=c", "unrecognized user parameter: b"),
        ("[databases]\na = b", "syntax error in connection string"),
        ("[databases]\na", "syntax error in configuration (f.ini:2), stopping loading"),
        ("[x]", "invalid section \"x\" in configuration (f.ini:1)"),
        ("[databases]\npgbouncer = host=1", "database name \"pgbouncer\" is reserved"),
    ] {
        assert_eq!(pgbouncer(text), expected);
    }
}

#[test]
fn what_has_no_effect_yet_is_a_note_only_where_it_would_change_something() {
    assert_eq!(ini("[pgbouncer]\nclient_tls_sslmode = disable\ntcp_defer_accept = 1"), "");
    assert_eq!(
        ini("[pgbouncer]\nclient_tls_dheparams = legacy"),
        "f.ini:2:1: note: client_tls_dheparams has no effect yet: there is no DHE key exchange, only ECDHE"
    );
    assert_eq!(ini("[pgbouncer]\nauth_type = pam"), "");
    assert_eq!(
        ini(
            "[clusters]\nm = user=u nodes=a consistency=monotonic\n[databases]\nd = cluster=m state_tracking=off"
        ),
        "f.ini:4:15: note: state_tracking has no effect yet: session state is not replayed yet"
    );
}

#[test]
fn a_user_list_names_the_line_and_never_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    let long = format!("\"long\" \"{}\"", "x".repeat(65531));
    let text = format!(
        "\"a\" \"hunter2\"\nhunter2\n \"b\" hunter2\n\"c\" \"hunter2\n\"\" \"hunter2\"\n\"d\"\n{long}\n"
    );
    std::fs::write(&users, text).unwrap();
    let found = ini(&format!("[pgbouncer]\nauth_file = {}", users.display()));
    assert!(!found.contains("hunter2"));
    let expected = [
        "2:1: error: expected the user name in double quotes",
        "3:6: error: expected the secret in double quotes",
        "4:5: error: the closing \" of the secret is missing",
        "5:1: error: the user name is empty",
        "6:4: error: expected the secret in double quotes",
        "7:8: error: the secret is longer than 65530 bytes",
    ];
    let expected: Vec<_> = expected.iter().map(|line| format!("{}:{line}", users.display())).collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_that_is_not_there() {
    let errors = load("/no/such/file.ini").unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "/no/such/file.ini: error: cannot read the file: No such file or directory (os error 2)"
    );
    let report = check("/no/such/file.toml");
    assert!(!report.usable);
    assert!(report.text.ends_with("\n/no/such/file.toml: 1 mistake\n"), "{}", report.text);
}

#[test]
fn a_file_that_includes_itself_ends() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("loop.ini");
    let line = format!("%include {}\n", file.display());
    std::fs::write(&file, line.repeat(2)).unwrap();
    let errors = load(&file).unwrap_err();
    assert!(errors.iter().any(|error| error.message.starts_with("files are included 16 deep")), "{errors:?}");
    assert!(errors.iter().any(|error| error.message == "more than 1024 files are included"), "{errors:?}");
}

#[test]
fn a_report_says_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("good.ini");
    std::fs::write(&file, "[databases]\na =\n* =\n[pgbouncer]\nsbuf_loopcnt = 1\n").unwrap();
    let report = check(&file);
    let name = file.display();
    assert!(report.usable);
    assert_eq!(
        report.text,
        format!(
            "{name}:5:1: note: sbuf_loopcnt has no effect: the runtime shares out turns by itself\n\
             {name}: good: 2 databases, 0 clusters, 0 users\n"
        )
    );
}
