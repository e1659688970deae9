//! PAUSE, RESUME, SUSPEND, KILL, DISABLE, RECONNECT, WAIT_CLOSE and SHUTDOWN, and who may give them.

use howdah_testkit::{DEFAULT_DEADLINE, wait_until};
use tokio_postgres::{Config, NoTls};

use crate::rows::until_cell;
use crate::{Site, cell, cells, connect, database_error, refused};

#[tokio::test]
async fn pause_waits_for_transactions_and_holds_what_comes_after() {
    let site = Site::start("").await;
    let (console, watcher) = (site.console().await, site.console().await);
    let (bob, other) = (site.connect("p0", "bob").await, site.connect("p0", "bob").await);
    bob.run("BEGIN").await;
    let pause = tokio::spawn(async move {
        console.run("PAUSE p0").await;
        console
    });
    until_cell(&watcher, ("SHOW DATABASES", "name", "p0"), "paused", "1").await;
    let query = tokio::spawn(async move {
        other.run("SELECT 1").await;
        other
    });
    until_cell(&watcher, ("SHOW POOLS", "database", "p0"), "cl_waiting", "1").await;
    assert!(!pause.is_finished(), "a transaction is open");
    bob.run("COMMIT").await;
    let console = pause.await.unwrap();
    assert!(!query.is_finished(), "paused");
    let pool = console.row("SHOW POOLS", "database", "p0").await;
    assert_eq!(cells(&pool, &["cl_active", "cl_waiting", "sv_active", "sv_idle"]), ["1", "1", "0", "0"]);
    let waiting = console.row("SHOW CLIENTS", "state", "waiting").await;
    assert_ne!(cell(&waiting, "wait_us"), "0");
    // Twice is no mistake for one entry; the state of the whole does not tell.
    console.run("PAUSE p0").await;
    assert_eq!(cell(&console.row("SHOW STATE", "key", "active").await, "value"), "yes");
    console.run("RESUME p0").await;
    query.await.unwrap();
    assert_eq!(console.error("RESUME p0").await, refused("database p0 is not paused"));
    assert_eq!(console.error("RESUME").await, refused("pooler is not paused/suspended"));
    assert_eq!(console.error("PAUSE nope").await, refused("no such database: nope"));
    assert_eq!(console.error("PAUSE pgbouncer").await, refused("cannot pause admin db: pgbouncer"));
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn pause_of_everything_is_a_state() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    bob.run("SELECT 1").await;
    for _ in 0..5 {
        console.run("PAUSE").await;
        assert_eq!(cell(&console.row("SHOW STATE", "key", "paused").await, "value"), "yes");
        assert_eq!(console.error("PAUSE").await, refused("already suspended/paused"));
        assert_eq!(console.error("SUSPEND").await, refused("already suspended/paused"));
        assert_eq!(console.rows("SHOW SERVERS").await, [], "PAUSE closes servers");
        // A pool that comes up in the meantime is paused too.
        let late = async { site.connect("p0", "bob").await.run("SELECT 1").await };
        tokio::join!(late, async {
            until_cell(&console, ("SHOW POOLS", "database", "p0"), "cl_waiting", "1").await;
            console.run("RESUME").await;
        });
        bob.run("SELECT 1").await;
    }
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn resuming_an_entry_leaves_the_pause_of_everything_alone() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    console.run("PAUSE p1").await;
    console.run("PAUSE").await;
    console.run("RESUME p1").await;
    tokio::join!(bob.run("SELECT 1"), async {
        until_cell(&console, ("SHOW POOLS", "database", "p1"), "cl_waiting", "1").await;
        assert_eq!(console.error("PAUSE p1").await, refused("already suspended/paused"));
        console.run("RESUME").await;
    });
    // And the other way round.
    console.run("PAUSE p1").await;
    console.run("PAUSE").await;
    console.run("RESUME").await;
    tokio::join!(bob.run("SELECT 1"), async {
        until_cell(&console, ("SHOW POOLS", "database", "p1"), "cl_waiting", "1").await;
        console.run("RESUME p1").await;
    });
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn a_console_that_waits_can_cancel_and_can_go_away() {
    let site = Site::start("").await;
    let watcher = site.console().await;
    let bob = site.connect("p1", "bob").await;
    bob.run("BEGIN").await;
    let console = site.console().await;
    let token = console.client.cancel_token();
    let pause = tokio::spawn(async move { console.error("PAUSE").await });
    until_cell(&watcher, ("SHOW STATE", "key", "paused"), "value", "yes").await;
    token.cancel_query(NoTls).await.unwrap();
    assert_eq!(pause.await.unwrap().0, "57014");
    assert_eq!(
        cell(&watcher.row("SHOW STATE", "key", "active").await, "value"),
        "yes",
        "a cancel is a RESUME"
    );

    let console = site.console().await;
    let socket = console.end.abort_handle();
    let pause = tokio::spawn(async move { console.client.simple_query("PAUSE p1").await.map(drop) });
    until_cell(&watcher, ("SHOW DATABASES", "name", "p1"), "paused", "1").await;
    socket.abort();
    assert!(pause.await.unwrap().is_err());
    let gone = || async { watcher.rows("SHOW CLIENTS").await.len() == 2 };
    wait_until("the console to be gone", DEFAULT_DEADLINE, gone).await.unwrap();
    assert_eq!(cell(&watcher.row("SHOW DATABASES", "name", "p1").await, "paused"), "1", "the pause stays");
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn suspend_holds_everything_until_resume_or_the_consoles_end() {
    let site = Site::start("suspend_timeout = 1").await;
    let (console, watcher) = (site.console().await, site.console().await);
    let bob = site.connect("p1", "bob").await;
    for round in 0..5 {
        console.run("SUSPEND").await;
        assert_eq!(cell(&watcher.row("SHOW STATE", "key", "suspended").await, "value"), "yes");
        let query = bob.rows("SELECT 7 AS x");
        let (rows, ()) = tokio::join!(query, async {
            if round == 0 {
                assert_eq!(watcher.error("SUSPEND").await, refused("already suspended/paused"));
            }
            console.run("RESUME").await;
        });
        assert_eq!(cell(&rows[0], "x"), "7");
    }
    console.run("SUSPEND").await;
    drop(console);
    until_cell(&watcher, ("SHOW STATE", "key", "active"), "value", "yes").await;
    bob.run("SELECT 1").await;
    // Who is in a transaction holds still in it.
    bob.run("BEGIN").await;
    watcher.run("SUSPEND").await;
    assert_eq!(cell(&watcher.row("SHOW STATE", "key", "suspended").await, "value"), "yes");
    watcher.run("RESUME").await;
    bob.run("COMMIT").await;
    watcher.client.simple_query("PAUSE p0").await.unwrap();
    assert_eq!(watcher.error("SUSPEND").await, refused("cannot suspend with paused databases"));
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn kill_closes_and_pauses() {
    let site = Site::start("").await;
    let console = site.console().await;
    let (bob, idle) = (site.connect("p0", "bob").await, site.connect("p0", "bob").await);
    let spared = site.connect("p1", "bob").await;
    bob.run("BEGIN").await;
    console.run("KILL p0").await;
    assert_eq!(bob.fate().await, refused("database removed"));
    assert_eq!(idle.fate().await, refused("database removed"));
    let row = console.row("SHOW DATABASES", "name", "p0").await;
    assert_eq!(cells(&row, &["paused", "current_client_connections"]), ["1", "0"]);
    wait_until("its servers to close", DEFAULT_DEADLINE, || async {
        console.rows("SHOW SERVERS").await.iter().all(|row| cell(row, "database") != "p0")
    })
    .await
    .unwrap();
    spared.run("SELECT 1").await;
    console.run("RESUME p0").await;
    site.connect("p0", "bob").await.run("SELECT 1").await;
    console.run("KILL").await;
    assert_eq!(spared.fate().await, refused("database removed"));
    for name in ["p0", "p1"] {
        console.run(&format!("RESUME {name}")).await;
    }
    assert_eq!(console.error("KILL pgbouncer").await, refused("cannot kill admin db: pgbouncer"));
    assert_eq!(console.error("KILL nope").await, refused("no such database: nope"));
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn kill_client_closes_one() {
    let site = Site::start("").await;
    let (console, other) = (site.console().await, site.console().await);
    let (bob, spared) = (site.connect("p1", "bob").await, site.connect("p1", "bob").await);
    let id = cell(&console.row("SHOW CLIENTS", "database", "p1").await, "id").to_owned();
    console.run(&format!("KILL_CLIENT {id}")).await;
    assert_eq!(bob.fate().await, refused("admin forced disconnect"));
    spared.run("SELECT 1").await;
    assert_eq!(console.error(&format!("KILL_CLIENT {id}")).await, refused("client not found"));
    assert_eq!(console.error("KILL_CLIENT x").await, refused("invalid client pointer supplied"));
    // A console is a client too, even while it waits.
    spared.run("BEGIN").await;
    let pause = tokio::spawn(async move { other.client.simple_query("PAUSE p1").await });
    until_cell(&console, ("SHOW DATABASES", "name", "p1"), "paused", "1").await;
    console.run("KILL_CLIENT 2").await;
    let error = pause.await.unwrap().unwrap_err();
    assert_eq!(database_error(&error), refused("admin forced disconnect"));
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn disable_refuses_logins_only() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p0", "bob").await;
    console.run("DISABLE p0").await;
    assert_eq!(cell(&console.row("SHOW DATABASES", "name", "p0").await, "disabled"), "1");
    let error = site.try_connect("p0", "bob").await.err().unwrap();
    assert_eq!(database_error(&error), refused("database \"p0\" is disabled"));
    bob.run("SELECT 1").await;
    console.run("ENABLE p0").await;
    site.connect("p0", "bob").await.run("SELECT 1").await;
    assert_eq!(console.error("DISABLE").await, refused("a database is required"));
    assert_eq!(console.error("ENABLE nope").await, refused("no such database: nope"));
    assert_eq!(console.error("DISABLE pgbouncer").await, refused("cannot disable admin db: pgbouncer"));
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn reconnect_replaces_servers_and_wait_close_waits_for_it() {
    let site = Site::start("").await;
    let (console, watcher) = (site.console().await, site.console().await);
    let bob = site.connect("p1", "bob").await;
    let pid = || async { bob.value("SELECT pg_backend_pid()").await };
    let first = pid().await;
    assert_eq!(pid().await, first);
    console.run("RECONNECT p1").await;
    let second = pid().await;
    assert_ne!(second, first);
    bob.run("BEGIN").await;
    console.run("RECONNECT").await;
    assert_eq!(pid().await, second, "in a transaction the server stays");
    assert_eq!(cell(&console.row("SHOW SERVERS", "state", "active").await, "close_needed"), "1");
    let closed = tokio::spawn(async move { console.run("WAIT_CLOSE p1").await });
    // Two answers of another console later it would have answered, if it did not wait.
    watcher.rows("SHOW SERVERS").await;
    watcher.rows("SHOW SERVERS").await;
    assert!(!closed.is_finished());
    bob.run("COMMIT").await;
    closed.await.unwrap();
    assert_ne!(pid().await, second);
    watcher.run("WAIT_CLOSE").await;
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn fast_close_ends_sessions_between_transactions() {
    let site = Site::start("pool_mode = session\nserver_fast_close = 1").await;
    let console = site.console().await;
    let (idle, busy) = (site.connect("p1", "bob").await, site.connect("p1", "bob").await);
    idle.run("SELECT 1").await;
    busy.run("BEGIN").await;
    console.run("RECONNECT p1").await;
    assert_eq!(idle.fate().await, refused("database configuration changed"));
    busy.run("SELECT 1").await;
    // (The answer may be cut off by the close that follows it.)
    let _ = busy.client.simple_query("COMMIT").await;
    assert_eq!(busy.fate().await, refused("database configuration changed"));
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn who_may_do_what() {
    let site = Site::start("").await;
    let stat = site.connect("pgbouncer", "stat").await;
    assert_ne!(stat.rows("SHOW POOLS").await, []);
    for command in ["PAUSE", "RELOAD", "KILL p0", "SHUTDOWN", "SHOW FDS", "SET default_pool_size = 3"] {
        assert_eq!(stat.error(command).await, refused("admin access needed"), "{command}");
    }
    for user in ["eve", "pgbouncer"] {
        let error = site.try_connect("pgbouncer", user).await.err().unwrap();
        assert_eq!(error.as_db_error().unwrap().code().code(), "08P01", "{user}");
    }
    // Over the Unix socket the pooler's own user is an admin without being listed.
    let mut config = Config::new();
    config.host_path(site.dir()).port(site.port()).dbname("pgbouncer").user("pgbouncer");
    let local = connect(&config).await.unwrap();
    let row = local.row("SHOW CLIENTS", "user", "pgbouncer").await;
    let port = site.port().to_string();
    assert_eq!(
        cells(&row, &["addr", "port", "local_addr", "remote_pid"]),
        ["unix", &port, "unix", &std::process::id().to_string()]
    );
    local.run("PAUSE").await;
    local.run("RESUME").await;
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn shutdown_waits_for_clients() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    console.run("SHUTDOWN WAIT_FOR_CLIENTS").await;
    assert!(site.try_connect("p1", "bob").await.is_err(), "no new clients");
    assert_eq!(console.error("RESUME").await, refused("pooler is shutting down"));
    bob.run("SELECT 1").await;
    drop(bob);
    tokio::time::timeout(DEFAULT_DEADLINE, site.howdah.stopped()).await.unwrap();
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn shutdown_waits_for_servers() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    bob.run("BEGIN").await;
    console.run("SHUTDOWN WAIT_FOR_SERVERS").await;
    assert_eq!(cell(&console.row("SHOW STATE", "key", "paused").await, "value"), "yes");
    bob.run("SELECT 1").await;
    bob.run("COMMIT").await;
    tokio::time::timeout(DEFAULT_DEADLINE, site.howdah.stopped()).await.unwrap();
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn shutdown_at_once_closes_everything() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    bob.run("BEGIN").await;
    assert!(console.client.simple_query("SHUTDOWN").await.is_err(), "there is no answer");
    tokio::time::timeout(DEFAULT_DEADLINE, site.howdah.stopped()).await.unwrap();
    assert!(bob.client.simple_query("SELECT 1").await.is_err());
    tokio::time::timeout(DEFAULT_DEADLINE, site.howdah.shutdown()).await.unwrap();
}
