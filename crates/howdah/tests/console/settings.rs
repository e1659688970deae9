//! RELOAD and SET.

use crate::rows::until_cell;
use crate::{Site, cell, cells, refused};

fn entry(site: &Site, name: &str, more: &str) -> String {
    format!("{name} = host=127.0.0.1 port={} dbname=postgres {more}\n", site.postgres.port())
}

#[tokio::test]
async fn set_changes_what_is_in_effect() {
    let site = Site::start("default_pool_size = 1").await;
    let console = site.console().await;
    let (bob, other) = (site.connect("p1", "bob").await, site.connect("p1", "bob").await);
    console.run("SET default_pool_size = 4").await;
    assert_eq!(cell(&console.row("SHOW CONFIG", "key", "default_pool_size").await, "value"), "4");
    assert_eq!(cell(&console.row("SHOW DATABASES", "name", "p1").await, "pool_size"), "4");
    // Limits follow at once: bob's own pool_size is 3, so that it is his two clients that have a server each.
    bob.run("BEGIN").await;
    other.run("BEGIN").await;
    assert_eq!(cell(&console.row("SHOW POOLS", "database", "p1").await, "sv_active"), "2");
    console.run("SET pool_mode = 'session'").await;
    assert_eq!(cell(&console.row("SHOW POOLS", "database", "p1").await, "pool_mode"), "session");
    assert_eq!(console.error("SET nonsense = 1").await, refused("SET failed"));
    assert_eq!(console.error("SET default_pool_size = many").await, refused("SET failed"));
    // Read at the start only: the value is taken note of, and nothing else happens.
    console.run("SET listen_port = 1").await;
    assert_eq!(
        cell(&console.row("SHOW CONFIG", "key", "listen_port").await, "value"),
        site.port().to_string()
    );
    console.run("SET client_encoding = 'UTF8'").await;
    console.run("RELOAD").await;
    assert_eq!(cell(&console.row("SHOW CONFIG", "key", "default_pool_size").await, "value"), "1");
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn a_waiting_client_gets_the_server_that_a_larger_pool_allows() {
    let site = Site::start("").await;
    let console = site.console().await;
    site.rewrite(&entry(&site, "small", "user=postgres"), "default_pool_size = 1");
    console.run("RELOAD").await;
    let (bob, other) = (site.connect("small", "bob").await, site.connect("small", "bob").await);
    bob.run("BEGIN").await;
    let (rows, ()) = tokio::join!(other.rows("SELECT 5 AS x"), async {
        until_cell(&console, ("SHOW POOLS", "database", "small"), "cl_waiting", "1").await;
        console.run("SET default_pool_size = 2").await;
    });
    assert_eq!(cell(&rows[0], "x"), "5");
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn reload_adds_removes_and_leaves_the_rest_alone() {
    let site = Site::start("").await;
    let console = site.console().await;
    let (stays, goes) = (site.connect("p1", "bob").await, site.connect("p0", "bob").await);
    let pid = stays.value("SELECT pg_backend_pid()").await;
    console.run("RELOAD").await;
    assert_eq!(stays.value("SELECT pg_backend_pid()").await, pid, "nothing has changed");

    let databases = entry(&site, "p1", "") + &entry(&site, "p2", "user=postgres");
    site.rewrite(&databases, "");
    console.run("RELOAD").await;
    assert_eq!(goes.fate().await, refused("database removed"));
    let names: Vec<_> =
        console.rows("SHOW DATABASES").await.iter().map(|row| cell(row, "name").to_owned()).collect();
    assert_eq!(names, ["p1", "p2", "pgbouncer"]);
    site.connect("p2", "eve").await.run("SELECT 1").await;
    assert_eq!(stays.value("SELECT pg_backend_pid()").await, pid);

    // Another connection string: the servers are replaced.
    site.rewrite(&entry(&site, "p1", "application_name=other"), "");
    console.run("RELOAD").await;
    assert_ne!(stays.value("SELECT pg_backend_pid()").await, pid);
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn a_file_with_mistakes_changes_nothing() {
    let site = Site::start("default_pool_size = 5").await;
    let console = site.console().await;
    let failed = ("F0000".to_owned(), "RELOAD failed, see logs for additional details".to_owned());
    for extra in ["default_pool_size = many", "nonsense = 1", "pool_mode = sometimes"] {
        site.rewrite(&entry(&site, "p9", ""), extra);
        assert_eq!(console.error("RELOAD").await, failed, "{extra}");
    }
    let row = console.row("SHOW DATABASES", "name", "p1").await;
    assert_eq!(cells(&row, &["pool_size", "database"]), ["5", "postgres"]);
    site.connect("p1", "bob").await.run("SELECT 1").await;
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn commands_register_entries_of_the_fallback() {
    let site = Site::start("").await;
    let console = site.console().await;
    site.rewrite(&entry(&site, "*", "user=postgres"), "");
    console.run("RELOAD").await;
    assert_eq!(console.error("RESUME any").await, refused("no such database: any"));
    console.run("PAUSE any").await;
    assert_eq!(cell(&console.row("SHOW DATABASES", "name", "any").await, "paused"), "1");
    console.run("RESUME any").await;
    site.connect("any", "bob").await.run("SELECT 1").await;
    site.howdah.shutdown().await;
}

#[tokio::test]
async fn explain_route_says_where_and_why() {
    let site = Site::start("").await;
    let console = site.console().await;
    let read = console.rows("EXPLAIN ROUTE SELECT 1").await;
    assert_eq!(cell(&read[0], "route"), "replica");
    let write = console.rows("EXPLAIN ROUTE UPDATE t SET a = 1").await;
    assert_eq!(cell(&write[0], "route"), "primary");
    assert_ne!(cell(&write[0], "reason"), "");
    for command in ["FAILOVER main", "SWITCHOVER main", "MAINTENANCE main ON"] {
        assert_eq!(console.error(command).await, refused("no such cluster: main"), "{command}");
    }
    site.howdah.shutdown().await;
}
