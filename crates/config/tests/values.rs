//! What a good file comes to: every kind of value, and who wins where several places say something.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use howdah_config::{
    AuthType, Config, Consistency, Database, Format, MaxReplicaLag, PoolMode, ReadRouting, SetError,
    SetOutcome, Settings, Target, User, parse,
};

fn ini(text: &str) -> Config {
    parse("f.ini", text.as_bytes(), Format::Ini).unwrap().config
}

fn toml(text: &str) -> Config {
    parse("f.toml", text.as_bytes(), Format::Toml).unwrap().config
}

fn setting(line: &str) -> Settings {
    ini(&format!("[pgbouncer]\n{line}\n")).settings
}

fn database(line: &str) -> Database {
    ini(&format!("[databases]\na = {line}\n")).databases["a"].clone()
}

#[test]
fn an_empty_file_is_pgbouncers_defaults() {
    assert_eq!(ini(""), Config::default());
    assert_eq!(ini("; nothing\n\n   # here\n[pgbouncer]\n[databases]"), Config::default());
    assert_eq!(toml("").settings, Settings::toml_default());
}

#[test]
fn sections_add_and_a_later_key_wins() {
    let text = "[pgbouncer]\nverbose=1\n  listen_port = 1\r\n[databases]\na = port=1 port=2 pool_size=9\n[pgbouncer]\nverbose = 2\n[databases]\nb =\na = port=3";
    let config = ini(text);
    assert_eq!((config.settings.verbose, config.settings.listen_port), (2, 1));
    assert_eq!(config.databases["a"].port, 3);
    assert_eq!(config.databases["a"].pool_size, None);
    assert_eq!(config.databases["b"], Database::new("b"));
}

#[test]
fn a_comment_starts_a_line_and_nothing_else() {
    assert_eq!(
        setting("auth_query = select ';', '#' ; # all of it").auth_query,
        "select ';', '#' ; # all of it"
    );
    assert_eq!(database("password=a#b;c").password.unwrap().expose(), "a#b;c");
    assert_eq!(setting("logfile = C:\\tmp\\new").logfile.unwrap().to_str().unwrap(), "C:\\tmp\\new");
}

#[test]
fn names_may_be_quoted() {
    let config =
        ini("[databases]\n\"a = \"\"b\"\"\" = port=1\ni.n-t =\n[users]\n\"x y\" = pool_size=3\ntest2 =");
    assert_eq!(config.databases.keys().collect::<Vec<_>>(), ["a = \"b\"", "i.n-t"]);
    assert_eq!(config.pool_size(&config.databases["i.n-t"], "x y"), 3);
    assert_eq!(config.users["test2"], User::new("test2"));
}

#[test]
fn values_in_single_quotes() {
    let entry = database(" connect_query = 'set a=''b''; set b=off'  dbname=x'y user='' host='a b,c' ");
    assert_eq!(entry.connect_query.as_deref(), Some("set a='b'; set b=off"));
    assert_eq!(entry.dbname.as_deref(), Some("x'y"));
    assert_eq!(entry.user, None);
    assert_eq!(entry.host, ["a b", "c"]);
}

#[test]
fn numbers_as_c_reads_them() {
    assert_eq!(setting("max_client_conn = 0x10").max_client_conn, 16);
    assert_eq!(setting("max_client_conn = 0100").max_client_conn, 64);
    assert!(!setting("log_stats = 0").log_stats);
    assert!(setting("syslog = 7").syslog);
    assert_eq!(setting("unix_socket_mode = 0700").unix_socket_mode, 0o700);
    assert_eq!(setting("unix_socket_mode = 700").unix_socket_mode, 0o700);
    assert_eq!(setting("auth_type = SCRAM-SHA-256").auth_type, AuthType::ScramSha256);
}

#[test]
fn times_are_seconds_with_a_fraction() {
    let micros = Duration::from_micros;
    assert_eq!(setting("query_timeout = 1.5").query_timeout, micros(1_500_000));
    assert_eq!(setting("query_timeout = .25").query_timeout, micros(250_000));
    assert_eq!(setting("query_timeout = 0.0000014").query_timeout, micros(1));
    assert_eq!(setting("query_timeout = 1e2").query_timeout, micros(100_000_000));
    assert_eq!(setting("tcp_user_timeout = 1500").tcp_user_timeout, micros(1_500_000));
    assert_eq!(database("server_lifetime=0").server_lifetime, Some(Duration::ZERO));
    assert_eq!(database("query_wait_timeout=-1 pool_size=-1"), Database::new("a"));
}

#[test]
fn other_values() {
    assert_eq!(setting("server_check_query = <empty>").server_check_query, Some(String::new()));
    assert_eq!(setting("server_check_query =").server_check_query, None);
    assert_eq!(setting("server_check_query = select 1").server_check_query.as_deref(), Some("select 1"));
    assert_eq!(setting("pidfile =").pidfile, None);
    let list = setting("admin_users = a,, b c ,d").admin_users;
    assert_eq!(list.iter().collect::<Vec<_>>(), ["a", "b c", "d"]);
    assert_eq!(list.as_str(), "a,, b c ,d");
    assert!(list.contains("b c") && !list.contains("D") && list.contains_ignoring_case("D"));
    assert_eq!(database("reserve_pool=4").reserve_pool_size, Some(4));
    let peers = ini("[peers]\n7 = host=/tmp port=99 pool_size=2").peers;
    assert_eq!((peers[&7].host.as_str(), peers[&7].port, peers[&7].pool_size), ("/tmp", 99, Some(2)));
}

#[test]
fn a_star_is_every_other_name() {
    let config = ini("[databases]\na = port=1\n* = port=2");
    assert_eq!(config.database("a").unwrap().port, 1);
    assert_eq!(config.database("z").unwrap().port, 2);
    assert!(ini("[databases]\na =").database("z").is_none());
}

#[test]
fn the_user_wins_then_the_database_then_the_process() {
    let config = ini(
        "[pgbouncer]\npool_mode=statement\ndefault_pool_size=1\nquery_wait_timeout=1\nquery_timeout=4\nclient_idle_timeout=5\nreserve_pool_size=6\nmax_user_connections=7\n\
         [databases]\nplain =\nown = pool_mode=transaction pool_size=2 query_wait_timeout=2 reserve_pool_size=5 max_db_connections=8\n\
         [users]\nu = pool_mode=session pool_size=3 query_wait_timeout=3 query_timeout=0 client_idle_timeout=0 max_user_connections=0",
    );
    let (plain, own) = (&config.databases["plain"], &config.databases["own"]);
    let of = |database, user| {
        let wait = config.query_wait_timeout(database, user).as_secs();
        (config.pool_mode(database, user), config.pool_size(database, user), wait)
    };
    assert_eq!(of(plain, "x"), (PoolMode::Statement, 1, 1));
    assert_eq!(of(own, "x"), (PoolMode::Transaction, 2, 2));
    assert_eq!(of(own, "u"), (PoolMode::Session, 3, 3));
    assert_eq!(of(plain, "u"), (PoolMode::Session, 3, 3));
    // A limit of 0 is none of its own.
    assert_eq!((config.query_timeout("x").as_secs(), config.query_timeout("u").as_secs()), (4, 4));
    assert_eq!(
        (config.client_idle_timeout("x").as_secs(), config.client_idle_timeout("u").as_secs()),
        (5, 5)
    );
    assert_eq!((config.max_user_connections("x"), config.max_user_connections("u")), (7, 7));
    assert_eq!((config.reserve_pool_size(plain, "u"), config.reserve_pool_size(own, "u")), (6, 5));
    assert_eq!((config.max_db_connections(plain), config.max_db_connections(own)), (0, 8));
}

const CLUSTER: &str = "[clusters]\nmain = nodes=10.0.3.200:5432,b@[::1]:6000,/run/pg:1,plain user=howdah password=secret \
                       failover=manage max_replica_lag=16MB causal_wait=20ms\n";

#[test]
fn patroni_is_asked_under_each_address() {
    let config = ini("[clusters]\nmain = nodes=a user=u patroni=a,http://b:8009/,[::1]:8010\n");
    let shown: Vec<_> = config.clusters["main"].patroni.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["a:8008", "b:8009", "[::1]:8010"]);
    assert!(ini(CLUSTER).clusters["main"].patroni.is_empty());
}

#[test]
fn a_cluster_and_its_nodes() {
    let config = ini(&format!(
        "{CLUSTER}[nodes]\nb = priority=-3 nofailover=on\n10.0.3.200:5432 = weight=0 slot=s cascade_of=b\n"
    ));
    let cluster = &config.clusters["main"];
    let nodes: Vec<_> =
        cluster.nodes.iter().map(|node| (node.name.as_str(), node.host.as_str(), node.port)).collect();
    let expected = [
        ("10.0.3.200:5432", "10.0.3.200", 5432),
        ("b", "::1", 6000),
        ("/run/pg:1", "/run/pg", 1),
        ("plain:5432", "plain", 5432),
    ];
    assert_eq!(nodes, expected);
    let described = cluster.node("b").unwrap();
    assert_eq!((described.priority, described.nofailover, described.weight), (-3, true, 1));
    let first = &cluster.nodes[0];
    assert_eq!((first.weight, first.slot.as_deref(), first.cascade_of.as_deref()), (0, Some("s"), Some("b")));
    assert_eq!(cluster.max_replica_lag, MaxReplicaLag::Bytes(16 << 20));
    assert_eq!(cluster.causal_wait, Duration::from_millis(20));
    assert_eq!(
        (cluster.probe_interval, cluster.probe_timeout),
        (Duration::from_millis(250), Duration::from_millis(500))
    );
    assert_eq!(
        (cluster.failover_hold, cluster.member_timeout),
        (Duration::from_secs(30), Duration::from_secs(10))
    );
    assert_eq!(
        (cluster.restart_grace, cluster.primary_lease),
        (Duration::from_secs(2), Duration::from_secs(2))
    );
    assert_eq!(cluster.dbname, "postgres");
}

#[test]
fn an_entry_may_route_otherwise_than_its_cluster() {
    let config = ini(&format!(
        "{CLUSTER}[databases]\na = cluster=main\nb = cluster=main target=replica consistency=eventual max_replica_lag=5s read_routing=session state_tracking=off\nplain = host=x\n"
    ));
    let (a, b) = (&config.databases["a"], &config.databases["b"]);
    let routing = config.routing(a).unwrap();
    assert_eq!((routing.consistency, routing.read_routing), (Consistency::Session, ReadRouting::On));
    let routing = config.routing(b).unwrap();
    assert_eq!((routing.consistency, routing.read_routing), (Consistency::Eventual, ReadRouting::Session));
    assert_eq!(routing.max_replica_lag, MaxReplicaLag::Time(Duration::from_secs(5)));
    assert_eq!(b.target, Target::Replica);
    assert!(config.routing(&config.databases["plain"]).is_none());
    let tracking = |name: &str| config.state_tracking(&config.databases[name]);
    assert_eq!((tracking("a"), tracking("b"), tracking("plain")), (true, false, false));
}

#[test]
fn toml_says_the_same_in_its_own_forms() {
    let written = toml(
        "settings.admin_users = [\"a\", \"b\"]\nsettings.log_stats = false\nsettings.query_timeout = 1.5\n\
         settings.max_client_conn = 0x10\nsettings.state_tracking = false\n\
         [databases.\"a b\"]\nconnect_query = \"set a='b'\"\nhost = [\"x\", \"y\"]\n[databases.\"*\"]\nport = 1\n[peers.3]\nhost = \"h\"\n",
    );
    let same = ini("[pgbouncer]\nadmin_users=a,b\nlog_stats=0\nquery_timeout=1.5\nmax_client_conn=16\n\
         [databases]\n\"a b\" = connect_query='set a=''b''' host=x,y\n* = port=1\n[peers]\n3 = host=h\n");
    assert_eq!(written, same);
}

#[test]
fn the_user_list() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    let long = "p".repeat(65530);
    let text = format!(
        "; comment\n\n\"b\" \"plain\" \"more\" of it\r\n  \"a\"\"x\" \" \"\" # \"\n\"c\" \"\"\n\"long\" \"{long}\"\n\"b\" \"again\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let users = ini(&format!("[pgbouncer]\nauth_file = {}\n", file.display())).auth_users;
    let entries: Vec<_> = users.iter().map(|(name, secret)| (name, secret.expose())).collect();
    assert_eq!(entries, [("b", "again"), ("a\"x", " \" # "), ("c", ""), ("long", long.as_str())]);
    assert!(users.get("c").unwrap().is_empty());
    assert!(users.get("nobody").is_none());
    assert!(!format!("{users:?}").contains("again"));
}

#[test]
fn files_are_included_relative_to_the_working_directory() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner.ini");
    std::fs::write(&inner, "[pgbouncer]\nverbose = 2\n").unwrap();
    let config = ini(&format!("[databases]\n  %include {}\nx = port=1\n", inner.display()));
    assert_eq!(config.settings.verbose, 2);
    // The section of the outer file goes on behind the included one.
    assert_eq!(config.databases["x"].port, 1);
}

#[test]
fn set_changes_what_reload_changes() {
    let mut settings = Settings::default();
    assert_eq!(settings.set("default_pool_size", "7"), Ok(SetOutcome::Changed));
    assert_eq!(settings.default_pool_size, 7);
    assert_eq!(settings.get("default_pool_size").as_deref(), Some("7"));
    assert_eq!(settings.set("listen_port", "7"), Ok(SetOutcome::NeedsRestart));
    assert_eq!(settings.listen_port, 6432);
    let before = settings.clone();
    assert_eq!(settings.set("nonsense", "1"), Err(SetError::Unknown("nonsense".to_owned())));
    assert_eq!(
        settings.set("nonsense", "1").unwrap_err().to_string(),
        "unknown parameter: pgbouncer/nonsense"
    );
    assert!(matches!(settings.set("query_timeout", "abc"), Err(SetError::Invalid { .. })));
    assert!(matches!(settings.set("listen_port", "abc"), Err(SetError::Invalid { .. })));
    assert_eq!(settings, before);
}

/// The names of PGBOUNCER.md §2 in SHOW CONFIG's order.
const PGBOUNCER_NAMES: &str = "\
admin_users application_name_add_host auth_dbname auth_file auth_hba_file auth_ident_file auth_ldap_options auth_query \
auth_type auth_user autodb_idle_timeout cancel_wait_timeout client_idle_timeout client_login_timeout \
client_tls13_ciphers client_tls_ca_file client_tls_cert_file client_tls_ciphers client_tls_dheparams \
client_tls_ecdhcurve client_tls_key_file client_tls_protocols client_tls_sslmode conffile default_pool_size \
disable_pqexec dns_max_ttl dns_nxdomain_ttl dns_zone_check_period idle_transaction_timeout \
ignore_startup_parameters job_name listen_addr listen_backlog listen_port log_connections log_disconnections \
log_pooler_errors log_stats logfile login_notify_message max_client_conn max_db_client_connections \
max_db_connections max_packet_size max_prepared_statements max_user_client_connections max_user_connections \
min_pool_size peer_id pidfile pkt_buf pool_mode pool_idle_timeout query_timeout query_wait_notify \
query_wait_timeout reserve_pool_size reserve_pool_timeout resolv_conf sbuf_loopcnt scram_iterations \
server_check_delay server_check_query server_connect_timeout server_fast_close server_idle_timeout \
server_lifetime server_login_retry server_reset_query server_reset_query_always server_round_robin \
server_tls13_ciphers server_tls_ca_file server_tls_cert_file server_tls_ciphers server_tls_key_file \
server_tls_protocols server_tls_sslmode so_reuseport stats_period stats_users suspend_timeout syslog \
syslog_facility syslog_ident tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl \
tcp_socket_buffer tcp_user_timeout track_extra_parameters transaction_timeout unix_socket_dir unix_socket_group \
unix_socket_mode user verbose";

#[test]
fn show_config_has_pgbouncers_names_in_its_order() {
    let config = ini("[pgbouncer]\nquery_timeout=1.50\nadmin_users = a, b\n");
    let rows = config.show_config();
    assert_eq!(rows.iter().map(|row| row.key).collect::<Vec<_>>().join(" "), PGBOUNCER_NAMES);
    let row = |key: &str| {
        let row = rows.iter().find(|row| row.key == key).unwrap();
        (row.value.as_deref(), row.default.as_deref(), row.changeable)
    };
    assert_eq!(row("query_timeout"), (Some("1.5"), Some("0"), true));
    assert_eq!(row("admin_users"), (Some("a, b"), Some(""), true));
    assert_eq!(row("listen_port"), (Some("6432"), Some("6432"), false));
    assert_eq!(row("auth_file"), (None, None, true));
    assert_eq!(row("pidfile"), (Some(""), Some(""), false));
    assert_eq!(row("unix_socket_mode"), (Some("0777"), Some("0777"), false));
    assert_eq!(row("server_check_query"), (Some("<empty>"), Some("<empty>"), true));
    assert_eq!(row("log_stats"), (Some("1"), Some("1"), true));
}

#[test]
fn show_config_has_our_own_names_beside_a_cluster() {
    let rows = ini(CLUSTER).show_config();
    let own = rows.iter().filter(|row| ["http_listen", "worker_threads"].contains(&row.key)).count();
    assert_eq!(own, 2);
}

/// The R marks of PGBOUNCER.md §2.
#[test]
fn only_a_restart_changes_these() {
    let mut fixed: Vec<_> =
        Settings::table().iter().filter(|row| !row.reloadable && !row.own).map(|row| row.name).collect();
    fixed.sort_unstable();
    let expected = "disable_pqexec job_name listen_addr listen_backlog listen_port pidfile pkt_buf resolv_conf \
                    so_reuseport track_extra_parameters unix_socket_dir unix_socket_group unix_socket_mode user";
    assert_eq!(fixed.join(" "), expected);
}

/// The defaults of PGBOUNCER.md §2 that are not zero or empty.
#[test]
fn defaults_are_pgbouncers() {
    let settings = Settings::default();
    for (key, value) in [
        ("listen_port", "6432"),
        ("listen_backlog", "128"),
        ("unix_socket_dir", "/tmp"),
        ("unix_socket_mode", "0777"),
        ("pool_mode", "session"),
        ("max_client_conn", "100"),
        ("default_pool_size", "20"),
        ("reserve_pool_timeout", "5"),
        ("track_extra_parameters", "IntervalStyle"),
        ("job_name", "pgbouncer"),
        ("service_name", "pgbouncer"),
        ("stats_period", "60"),
        ("max_prepared_statements", "200"),
        ("scram_iterations", "4096"),
        ("auth_type", "md5"),
        ("syslog_ident", "pgbouncer"),
        ("syslog_facility", "daemon"),
        ("log_connections", "1"),
        ("log_disconnections", "1"),
        ("log_pooler_errors", "1"),
        ("log_stats", "1"),
        ("server_reset_query", "DISCARD ALL"),
        ("server_check_delay", "30"),
        ("server_check_query", "<empty>"),
        ("server_lifetime", "3600"),
        ("server_idle_timeout", "600"),
        ("server_connect_timeout", "15"),
        ("server_login_retry", "15"),
        ("client_login_timeout", "60"),
        ("autodb_idle_timeout", "3600"),
        ("dns_max_ttl", "15"),
        ("dns_nxdomain_ttl", "15"),
        ("query_wait_notify", "5"),
        ("query_wait_timeout", "120"),
        ("cancel_wait_timeout", "10"),
        ("suspend_timeout", "10"),
        ("client_tls_sslmode", "disable"),
        ("client_tls_protocols", "secure"),
        ("client_tls_ciphers", "default"),
        ("client_tls_ecdhcurve", "auto"),
        ("client_tls_dheparams", "auto"),
        ("server_tls_sslmode", "prefer"),
        ("server_tls_protocols", "secure"),
        ("server_tls_ciphers", "default"),
        ("pkt_buf", "4096"),
        ("max_packet_size", "2147483647"),
        ("sbuf_loopcnt", "5"),
        ("tcp_defer_accept", "1"),
        ("tcp_keepalive", "1"),
    ] {
        assert_eq!(settings.get(key).as_deref(), Some(value), "{key}");
    }
    let rest = [
        "query_timeout",
        "idle_transaction_timeout",
        "max_db_connections",
        "verbose",
        "so_reuseport",
        "syslog",
    ];
    for key in rest {
        assert_eq!(settings.get(key).as_deref(), Some("0"), "{key}");
    }
}
