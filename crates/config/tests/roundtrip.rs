//! The readers never panic whatever the bytes, and what is written reads back as the same.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use howdah_config::{
    AuthType, Balance, Cluster, ClusterNode, Config, Consistency, Database, Format, List, MaxReplicaLag,
    Peer, PoolMode, ReadRouting, Secret, Settings, Target, User, parse, to_toml,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Lines that look like a configuration, so that more than the first check is reached.
fn likely_line() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\[(pgbouncer|databases|users|peers|clusters|nodes|x)\\]?",
        "[ \t]*[a-z_*\"]{0,12} ?=? ?[ a-z0-9_='\",@:\\[\\]./-]{0,40}",
        "(pool_mode|query_timeout|listen_port|server_check_query) = .{0,12}",
        "[;#%].{0,20}",
        "[a-z\"]{1,4} = (host|port|pool_size|nodes|user|cluster)='?.{0,12}'?",
        "\\PC{0,20}",
    ]
}

/// A text without what a line cannot hold.
fn text() -> impl Strategy<Value = String> {
    "[^\n\r\0]{0,12}"
}

/// A name: not empty, not the console's.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{1,6}", "[^\n\r\0]{1,6}"]
        .prop_filter("reserved", |name| name != "pgbouncer" && name != "*")
}

fn micros() -> impl Strategy<Value = Duration> {
    (0..10_u64.pow(13)).prop_map(Duration::from_micros)
}

fn database() -> impl Strategy<Value = Database> {
    let first =
        (name(), option::of("[^\n\r\0]{1,9}"), vec("[a-z/@.]{1,6}", 0..3), any::<u16>(), option::of(text()));
    let second = (option::of(0..100_u32), option::of(micros()), option::of(any::<bool>()), any::<bool>());
    (first, second).prop_map(|((name, query, host, port, password), (size, lifetime, tracking, session))| {
        Database {
            connect_query: query,
            host,
            port,
            password: password.map(Secret::new),
            pool_size: size,
            server_lifetime: lifetime,
            state_tracking: tracking,
            pool_mode: session.then_some(PoolMode::Session),
            ..Database::new(name)
        }
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    // An empty query is written <empty>, and an empty text is no check: the text <empty> itself cannot be said.
    let query = option::of(text().prop_filter("not a query", |query| query != "<empty>"));
    let first = (query, text(), any::<bool>(), 0..1000_u32, option::of("[^\n\r\0]{1,9}"));
    (first, micros(), 0..0o1000_u32).prop_map(|((query, users, flag, size, file), time, mode)| Settings {
        server_check_query: query,
        admin_users: List::new(users),
        log_stats: flag,
        state_tracking: flag,
        default_pool_size: size,
        logfile: file.map(Into::into),
        query_timeout: time,
        unix_socket_mode: mode,
        auth_type: AuthType::Trust,
        ..Settings::default()
    })
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let node = ("[a-c]", option::of("[a-z-]{1,5}"), 1..9_u16, -3..3_i32, any::<bool>());
    (name(), vec(node, 1..4), micros(), any::<u64>(), any::<bool>()).prop_map(
        |(name, nodes, time, bytes, flag)| {
            let nodes =
                nodes.into_iter().enumerate().map(|(index, (host, name, port, priority, nofailover))| {
                    let mut node =
                        ClusterNode::new(format!("{name:?}{host}{index}").replace(['"', '(', ')'], ""), port);
                    if let Some(name) = name {
                        node.name = format!("{name}{index}");
                    }
                    ClusterNode { priority, nofailover, ..node }
                });
            Cluster {
                nodes: nodes.collect(),
                user: Some("u".to_owned()),
                failover_hold: time,
                max_replica_lag: if flag {
                    MaxReplicaLag::Bytes(bytes.max(1))
                } else {
                    MaxReplicaLag::Time(time)
                },
                max_lost_bytes: bytes,
                bootstrap: flag,
                balance: Balance::Random,
                ..Cluster::new(name)
            }
        },
    )
}

/// A configuration that could have come from a file. Its single cluster keeps node names apart.
fn config() -> impl Strategy<Value = Config> {
    (settings(), vec(database(), 0..4), option::of(cluster()), vec(name(), 0..3)).prop_map(
        |(settings, databases, cluster, users)| {
            let mut config = Config { settings, ..Config::default() };
            for mut database in databases {
                if let Some(cluster) = &cluster {
                    database = Database {
                        host: Vec::new(),
                        port: 5432,
                        cluster: Some(cluster.name.clone()),
                        target: Target::Replica,
                        consistency: Some(Consistency::Strong),
                        read_routing: Some(ReadRouting::Off),
                        ..database
                    };
                }
                config.databases.insert(database.name.clone(), database);
            }
            for name in users {
                let user = User {
                    pool_size: Some(3),
                    query_timeout: Some(Duration::ZERO),
                    ..User::new(name.clone())
                };
                config.users.insert(name, user);
            }
            config.clusters.extend(cluster.map(|cluster| (cluster.name.clone(), cluster)));
            config.autodb = Some(Database { dbname: Some("x".to_owned()), ..Database::new("*") });
            config.peers.insert(9, Peer { id: 9, host: "h".to_owned(), ..Peer::default() });
            config
        },
    )
}

/// A name as an ini file has it.
fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A pair as an ini file has it.
fn pair(key: &str, value: &str) -> String {
    format!("{key}='{}'", value.replace('\'', "''"))
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        for format in [Format::Ini, Format::Toml] {
            let _ = parse("f", &bytes, format);
        }
    }

    #[test]
    fn no_lines_make_a_reader_panic(lines in vec(likely_line(), 0..12)) {
        let text = lines.join("\n");
        for format in [Format::Ini, Format::Toml] {
            let found = parse("f", text.as_bytes(), format).map_or_else(|errors| errors, |loaded| loaded.notes);
            for finding in found.iter().filter(|finding| finding.line > 0) {
                // A place is one that the text has; the end of a line is one more.
                let line = text.split('\n').nth(finding.line as usize - 1).unwrap();
                prop_assert!((1..=line.chars().count() + 1).contains(&(finding.column as usize)), "{finding}");
            }
        }
    }

    #[test]
    fn what_convert_writes_loads_as_the_same(config in config()) {
        let text = to_toml(&config);
        let loaded = parse("f.toml", text.as_bytes(), Format::Toml);
        let loaded = loaded.map_err(|errors| TestCaseError::fail(format!("{errors:?}\n{text}")))?;
        prop_assert_eq!(loaded.config, config, "{}", text);
    }

    #[test]
    fn quoting_is_undone_by_reading(name in name(), query in "[^\n\r\0]{1,12}", password in text()) {
        let pairs = [pair("connect_query", &query), pair("password", &password)].join(" ");
        let text = format!("[databases]\n{} = {pairs}\n", quoted_name(&name));
        let config = parse("f", text.as_bytes(), Format::Ini).unwrap().config;
        let database = &config.databases[&name];
        prop_assert_eq!(database.connect_query.as_ref(), Some(&query));
        prop_assert_eq!(database.password.as_ref().unwrap().expose(), &password);
    }

    #[test]
    fn a_time_set_and_shown_and_set_again_stays(text in "[0-9]{1,6}(\\.[0-9]{0,9})?") {
        let mut settings = Settings::default();
        settings.set("query_timeout", &text).unwrap();
        let shown = settings.get("query_timeout").unwrap();
        let before = settings.query_timeout;
        settings.set("query_timeout", &shown).unwrap();
        prop_assert_eq!(settings.query_timeout, before);
    }
}
