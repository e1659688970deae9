//! What SHOW shows of a pooler at work.

use howdah_testkit::{DEFAULT_DEADLINE, wait_until};

use crate::{Site, cell, cells};

/// Waits until a cell of a row has a value.
pub(crate) async fn until_cell(
    console: &crate::Connected,
    (sql, key, name): (&str, &str, &str),
    column: &str,
    value: &str,
) {
    let what = format!("{sql}: {column} = {value} where {key} = {name}");
    wait_until(&what, DEFAULT_DEADLINE, || async {
        let rows = console.rows(sql).await;
        rows.iter().any(|row| cell(row, key) == name && cell(row, column) == value)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn clients_and_servers_have_one_counter_and_point_at_each_other() {
    let site = Site::start("").await;
    let console = site.console().await;
    let own = console.row("SHOW CLIENTS", "database", "pgbouncer").await;
    assert_eq!(cells(&own, &["id", "user", "state", "application_name"]), ["1", "adm", "idle", "adm-app"]);
    // The client takes 2, and the server that greets it 3.
    let bob = site.connect("p0", "bob").await;
    let row = console.row("SHOW CLIENTS", "database", "p0").await;
    assert_eq!(cells(&row, &["type", "id", "user", "state", "link"]), ["C", "2", "bob", "idle", ""]);
    assert_eq!(
        cells(&row, &["addr", "local_addr", "replication", "tls"]),
        ["127.0.0.1", "127.0.0.1", "none", ""]
    );
    assert_eq!(cell(&row, "local_port"), site.port().to_string());
    let server = console.row("SHOW SERVERS", "database", "p0").await;
    assert_eq!(cells(&server, &["type", "id", "user", "state", "link"]), ["S", "3", "postgres", "idle", ""]);
    assert_eq!(cell(&server, "port"), site.postgres.port().to_string());

    bob.run("BEGIN").await;
    let pid = bob.value("SELECT pg_backend_pid()").await;
    let (client, server) =
        (console.row("SHOW CLIENTS", "id", "2").await, console.row("SHOW SERVERS", "id", "3").await);
    assert_eq!(cells(&client, &["state", "link"]), ["active", cell(&server, "ptr")]);
    assert_eq!(cells(&server, &["state", "link", "remote_pid"]), ["active", cell(&client, "ptr"), &pid]);
    assert_eq!(cell(&server, "application_name"), "bob-app");
    assert_eq!(cell(&console.row("SHOW SOCKETS", "id", "2").await, "state"), "cl_active");
    assert_eq!(cell(&console.row("SHOW SOCKETS", "id", "3").await, "state"), "sv_active");
    let pool = console.row("SHOW POOLS", "database", "p0").await;
    let counts = ["user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_login", "pool_mode"];
    assert_eq!(cells(&pool, &counts), ["postgres", "1", "0", "1", "0", "0", "transaction"]);
    bob.run("COMMIT").await;
    let pool = console.row("SHOW POOLS", "database", "p0").await;
    assert_eq!(cells(&pool, &["cl_active", "sv_active", "sv_idle"]), ["1", "0", "1"]);

    // Consoles take consecutive numbers, and nothing inside takes one.
    let second = site.console().await;
    let third = site.console().await;
    assert_eq!(cells(&third.rows("SHOW CLIENTS").await[3], &["id", "database"]), ["5", "pgbouncer"]);
    let pool = second.row("SHOW POOLS", "database", "pgbouncer").await;
    assert_eq!(cells(&pool, &["user", "cl_active", "pool_mode"]), ["pgbouncer", "3", "statement"]);
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn databases_and_users_say_what_is_in_effect() {
    let site = Site::start("max_client_conn = 50\nmax_user_client_connections = 9").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    bob.run("SELECT 1").await;
    let rows = console.rows("SHOW DATABASES").await;
    let names: Vec<_> = rows.iter().map(|row| cell(row, "name")).collect();
    assert_eq!(names, ["p0", "p1", "pgbouncer"]);
    let p0 = &rows[0];
    assert_eq!(
        cells(p0, &["host", "database", "force_user", "pool_size"]),
        ["127.0.0.1", "postgres", "postgres", "2"]
    );
    assert_eq!(cells(p0, &["current_connections", "current_client_connections", "paused"]), ["0", "0", "0"]);
    assert_eq!((&p0["pool_mode"], &p0["load_balance_hosts"]), (&None, &None));
    assert_eq!(cells(&rows[1], &["current_connections", "current_client_connections"]), ["1", "1"]);
    assert_eq!(rows[1]["force_user"], None);
    let own = &rows[2];
    assert_eq!(cells(own, &["force_user", "pool_size", "pool_mode"]), ["pgbouncer", "2", "statement"]);
    assert_eq!((cell(own, "port"), &own["host"]), (&*site.port().to_string(), &None));

    let users = console.rows("SHOW USERS").await;
    let names: Vec<_> = users.iter().map(|row| cell(row, "name")).collect();
    assert_eq!(names, ["adm", "bob", "eve", "pgbouncer", "stat"]);
    let limits = ["pool_size", "max_user_connections", "current_connections", "max_user_client_connections"];
    assert_eq!(cells(&users[1], &limits), ["        3", "7", "1", "9"]);
    assert_eq!(cell(&users[1], "current_client_connections"), "1");
    assert_eq!(cells(&users[2], &limits), ["", "0", "0", "9"]);
    assert!(site.try_connect("p1", "nobody").await.is_err());
    assert_eq!(console.rows("SHOW USERS").await.len(), 5, "who fails to log in is not known");
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn lists_count_what_there_is() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    bob.run("SELECT 1").await;
    let lists = console.rows("SHOW LISTS").await;
    let lists: Vec<_> =
        lists.iter().map(|row| format!("{} {}", cell(row, "list"), cell(row, "items"))).collect();
    let expected = [
        "databases 3",
        "users 5",
        "peers 0",
        "pools 2",
        "peer_pools 0",
        "free_clients 0",
        "used_clients 2",
        "login_clients 0",
        "free_servers 0",
        "used_servers 1",
        "dns_names 0",
        "dns_zones 0",
        "dns_queries 0",
        "dns_pending 0",
    ];
    assert_eq!(lists, expected);
    for (sql, column) in
        [("SHOW MEM", "memtotal"), ("SHOW CONFIG", "changeable"), ("SHOW VERSION", "version")]
    {
        let rows = console.rows(sql).await;
        assert!(rows.iter().all(|row| row.contains_key(column)) && !rows.is_empty(), "{sql}: {rows:?}");
    }
    assert_eq!(console.value("SHOW VERSION").await, "PgBouncer 1.25.2");
    for empty in
        ["SHOW DNS_HOSTS", "SHOW DNS_ZONES", "SHOW PEERS", "SHOW PEER_POOLS", "SHOW NODES", "SHOW FAILOVERS"]
    {
        assert_eq!(console.rows(empty).await, [], "{empty}");
    }
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn statistics_are_right_in_the_very_next_show() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    for sql in ["SELECT 1", "BEGIN", "SELECT 2", "COMMIT"] {
        bob.run(sql).await;
    }
    let counts = ["query_count", "xact_count", "server_assignment_count", "client_login_count"];
    let rows = console.rows("SHOW STATS_TOTALS").await;
    let names: Vec<_> = rows.iter().map(|row| cell(row, "database")).collect();
    assert_eq!(names, ["p1", "pgbouncer"], "p0 has had no pool");
    assert_eq!(cells(&rows[0], &counts), ["4", "2", "2", "1"]);
    // The console's commands count, but for the one that is being answered.
    assert_eq!(cells(&rows[1], &counts), ["0", "0", "0", "1"]);
    let row = console.row("SHOW STATS", "database", "pgbouncer").await;
    assert_eq!(cells(&row, &["total_query_count", "total_xact_count", "total_received"]), ["1", "1", "0"]);
    let total = console.row("SHOW TOTALS", "name", "total_query_count").await;
    assert_eq!(cell(&total, "value"), "6");
    let averages = console.row("SHOW STATS_AVERAGES", "database", "p1").await;
    assert!(averages.contains_key("avg_client_login_count"));
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn averages_are_of_the_last_period() {
    let site = Site::start("stats_period = 1").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    for _ in 0..50 {
        bob.run("SELECT 1").await;
    }
    // While the samples are not two periods old the average is above zero; then nothing has happened any more.
    let average =
        || async { cell(&console.row("SHOW STATS", "database", "p1").await, "avg_query_count").to_owned() };
    assert_ne!(average().await, "0");
    wait_until("the average to fall to zero", DEFAULT_DEADLINE, || async { average().await == "0" })
        .await
        .unwrap();
    let row = console.row("SHOW STATS", "database", "p1").await;
    assert_eq!(cells(&row, &["total_query_count", "avg_query_time"]), ["50", "0"]);
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn a_login_in_flight_is_a_new_server() {
    // An address that takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let site = Site::start("").await;
    site.rewrite(&format!("mute = host=127.0.0.1 port={port}"), "");
    let console = site.console().await;
    console.run("RELOAD").await;
    let (client, _) = tokio::join!(
        async { tokio::time::timeout(DEFAULT_DEADLINE, site.try_connect("mute", "bob")).await },
        async {
            until_cell(&console, ("SHOW POOLS", "database", "mute"), "sv_login", "1").await;
            let pool = console.row("SHOW POOLS", "database", "mute").await;
            assert_eq!(cells(&pool, &["cl_waiting", "cl_active"]), ["1", "0"]);
            let server = console.row("SHOW SERVERS", "database", "mute").await;
            assert_eq!(cells(&server, &["state", "id", "port"]), ["new", "3", &port.to_string()]);
            assert_eq!(cell(&console.row("SHOW CLIENTS", "database", "mute").await, "state"), "waiting");
            console.run("KILL mute").await;
        }
    );
    let error = client.expect("KILL ends the wait").err().expect("KILL closes the client");
    assert_eq!(crate::database_error(&error), crate::refused("database removed"));
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn a_server_waits_for_the_cancel_requests_that_are_meant_for_it() {
    let site = Site::start("").await;
    let console = site.console().await;
    let bob = site.connect("p1", "bob").await;
    bob.run("BEGIN").await;
    // Sessions go on, but the request is not taken off the socket.
    site.postgres.freeze_postmaster().unwrap();
    let token = bob.client.cancel_token();
    let cancel = tokio::spawn(async move { token.cancel_query(tokio_postgres::NoTls).await });
    until_cell(&console, ("SHOW POOLS", "database", "p1"), "cl_active_cancel_req", "1").await;
    let counts = ["sv_active_cancel", "sv_active", "sv_being_canceled", "sv_tested", "sv_idle"];
    assert_eq!(cells(&console.row("SHOW POOLS", "database", "p1").await, &counts), ["1", "1", "0", "0", "0"]);
    bob.run("COMMIT").await;
    assert_eq!(cells(&console.row("SHOW POOLS", "database", "p1").await, &counts), ["1", "0", "1", "0", "0"]);
    assert_eq!(cell(&console.row("SHOW SERVERS", "database", "p1").await, "state"), "being_canceled");
    site.postgres.thaw();
    cancel.await.unwrap().unwrap();
    until_cell(&console, ("SHOW POOLS", "database", "p1"), "sv_idle", "1").await;
    assert_eq!(cells(&console.row("SHOW POOLS", "database", "p1").await, &counts), ["0", "0", "0", "0", "1"]);
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn the_http_side_shows_the_same() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let site = Site::start("http_listen = 127.0.0.1:0").await;
    let bob = site.connect("p1", "bob").await;
    bob.run("SELECT 1").await;
    let address = site.howdah.http_address().unwrap();
    let get = async |path: &str| {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let metrics = get("/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    for line in ["howdah_queries_total{database=\"p1\"} 1.0", "howdah_database_clients{database=\"p1\"} 1.0"]
    {
        assert!(metrics.lines().any(|there| there == line), "{line} is not in {metrics}");
    }
    assert!(get("/nothing-here").await.starts_with("HTTP/1.1 404"));
    site.howdah.shutdown().await;
}
