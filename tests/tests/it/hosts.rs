//! Several hosts in one entry (PGBOUNCER_BEHAVIOUR.md section 9). Which name a certificate has to have is in `tls/servers.rs`.

use std::collections::BTreeSet;

use howdah_testkit::{Options, Postgres};

use crate::support::{Raw, Seen, tags, until};

/// Which address the server was connected to by.
const ADDRESS: &str = "SELECT host(inet_server_addr())";

/// A server on three addresses, which trusts everybody from here.
async fn server() -> Postgres {
    let options = Options::default()
        .setting("listen_addresses", "127.0.0.1, 127.0.0.2, ::1")
        .hba_line("host all all 127.0.0.0/8 trust")
        .hba_line("host all all ::1/128 trust");
    Postgres::single(options).await.unwrap()
}

/// As many sessions as asked for, each in a transaction, and the address of each one's server.
async fn addresses(seen: &Seen, number: usize) -> (Vec<Raw>, Vec<String>) {
    let (mut sessions, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..number {
        let mut raw = seen.raw_session("postgres", "postgres").await;
        assert_eq!(tags(&raw.query("BEGIN").await), "CZ");
        addresses.push(raw.value(ADDRESS).await);
        sessions.push(raw);
    }
    (sessions, addresses)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_new_connection_goes_to_the_next_host() {
    let pg = server().await;
    let databases = format!("postgres = host=127.0.0.1,127.0.0.2 port={}", pg.port());
    let seen = Seen::with(&databases, "").await;
    let (sessions, at) = addresses(&seen, 4).await;
    assert_ne!(at[0], at[1]);
    assert_eq!((&at[0], &at[1]), (&at[2], &at[3]), "in turn");
    drop(sessions);
    let row = seen.row("SHOW DATABASES", ("name", "postgres")).await;
    assert_eq!(
        (row["host"].as_str(), row["load_balance_hosts"].as_str()),
        ("127.0.0.1,127.0.0.2", "round-robin")
    );
    let shown: BTreeSet<String> =
        seen.show("SHOW SERVERS").await.into_iter().map(|row| row["addr"].clone()).collect();
    assert!(shown.is_subset(&["127.0.0.1".to_owned(), "127.0.0.2".to_owned()].into()), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_both_families_in_one_list_are_both_used() {
    let pg = server().await;
    let databases = format!("postgres = host=127.0.0.1,::1 port={}", pg.port());
    let seen = Seen::with(&databases, "").await;
    let (sessions, at) = addresses(&seen, 2).await;
    assert_eq!(at.into_iter().collect::<BTreeSet<_>>(), ["127.0.0.1".to_owned(), "::1".to_owned()].into());
    assert_eq!(seen.lines("new connection to server (from 127.0.0.1:"), 1, "{}", seen.log());
    assert_eq!(seen.lines("new connection to server (from [::1]:"), 1, "{}", seen.log());
    drop(sessions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_down_takes_its_turn_all_the_same() {
    let pg = server().await;
    // Nobody listens on the second.
    let databases = format!("postgres = host=127.0.0.1,127.0.0.9 port={}", pg.port());
    let seen = Seen::with(&databases, "server_login_retry = 0.2").await;
    let (sessions, at) = addresses(&seen, 3).await;
    assert_eq!(at, ["127.0.0.1"; 3]);
    assert_eq!(seen.lines("closing because: connect failed (age=0s)"), 2, "{}", seen.log());
    drop(sessions);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_load_balancing_the_next_host_comes_when_a_connect_fails() {
    let pg = server().await;
    let list = |hosts: &str| format!("postgres = host={hosts} port={} load_balance_hosts=disable", pg.port());
    let seen = Seen::with(&list("127.0.0.1,127.0.0.2"), "").await;
    let (sessions, at) = addresses(&seen, 3).await;
    assert_eq!(at, ["127.0.0.1"; 3], "it stays on one host");
    let row = seen.row("SHOW DATABASES", ("name", "postgres")).await;
    assert_eq!(row["load_balance_hosts"], "disable");
    let row = seen.row("SHOW POOLS", ("database", "postgres")).await;
    assert_eq!(row["load_balance_hosts"], "disable");
    drop(sessions);
    for (bad, line) in [
        ("no.such.host.invalid", "server DNS lookup failed"),
        ("127.0.0.9", "closing because: connect failed"),
    ] {
        let seen = Seen::with(&list(&format!("{bad},127.0.0.2")), "server_login_retry = 0.2").await;
        let (sessions, at) = addresses(&seen, 2).await;
        assert_eq!(at, ["127.0.0.2"; 2], "{bad}");
        assert_eq!(seen.lines(line), 1, "{bad}: {}", seen.log());
        drop(sessions);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_how_hosts_are_chosen() {
    let pg = server().await;
    let list = |more: &str| format!("postgres = host=127.0.0.1,127.0.0.2 port={} {more}", pg.port());
    let settings = "server_lifetime = 0\nlogfile = @DIR@/log";
    let seen = Seen::with(&list("load_balance_hosts=disable"), "server_lifetime = 0").await;
    let both = || async {
        let (sessions, at) = addresses(&seen, 4).await;
        drop(sessions);
        seen.pool_becomes("postgres", "sv_active", 0).await;
        at.into_iter().collect::<BTreeSet<_>>().len() == 2
    };
    assert!(!both().await);
    for (more, expected) in
        [("", true), ("load_balance_hosts=disable", false), ("load_balance_hosts=round-robin", true)]
    {
        seen.binary.rewrite(&list(more), settings);
        seen.console.simple_query("RELOAD").await.unwrap();
        assert_eq!(both().await, expected, "{more:?}");
    }
    // One host is no list.
    seen.binary.rewrite(&format!("postgres = host=127.0.0.1 port={}", pg.port()), settings);
    seen.console.simple_query("RELOAD").await.unwrap();
    let row = seen.row("SHOW DATABASES", ("name", "postgres")).await;
    assert_eq!(row["load_balance_hosts"], "");
    until("the log", || async { seen.lines("RELOAD command issued") == 4 }).await;
}
