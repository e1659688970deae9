//! SUSPEND, SHOW FDS, and `-R`: a running process is taken over by the next one with all that is under way
//! (PGBOUNCER_BEHAVIOUR.md sections 4 and 14), over io_uring and over epoll.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::support::{
    self, Bench, Binary, Bouncer, Raw, Row, connect, entry, load_time, postgres, sentence, until, within,
};

/// Both ways of serving sockets.
const WAYS: [&str; 3] = ["worker_threads = 1", "worker_threads = 1\nio_uring = off", "worker_threads = 2"];

/// The rows of a console command, in a session of its own.
async fn rows(binary: &Binary, command: &str) -> Vec<Row> {
    let host = binary.dir().display();
    let conninfo = format!("host={host} port={} user=pgbouncer dbname=pgbouncer", binary.port());
    // TCP is listened on first, and that is what the start waits for.
    until("the Unix socket", || async { connect(&conninfo).await.is_ok() }).await;
    support::rows(&connect(&conninfo).await.unwrap(), command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn suspend_holds_answers_back_until_resume_or_the_consoles_end() {
    let pg = postgres().await;
    for way in WAYS {
        let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), way).await;
        let host = binary.dir().display().to_string();
        let admin = format!("host={host} port={} user=pgbouncer dbname=pgbouncer", binary.port());
        for by_resume in [true, false] {
            let mut running = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
            running.log_in("postgres", "postgres").await;
            let mut idle = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
            idle.log_in("postgres", "postgres").await;
            running.send_query("SELECT 11, pg_sleep(0.3)").await;
            until("the query to run", || async {
                rows(&binary, "SHOW POOLS").await.iter().any(|row| row["sv_active"] == "1")
            })
            .await;
            let console = connect(&admin).await.unwrap();
            within("SUSPEND", console.simple_query("SUSPEND")).await.unwrap();
            let error = console.simple_query("SUSPEND").await.unwrap_err();
            assert_eq!(sentence(&error), "already suspended/paused");
            let state = rows(&binary, "SHOW STATE").await;
            assert!(state.iter().any(|row| row["key"] == "suspended" && row["value"] == "yes"), "{state:?}");
            idle.send_query("SELECT 12").await;
            until("the server to be done", || async {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT 11%' AND state = 'active'";
                pg.value(sql).await.unwrap() == "0"
            })
            .await;
            for held in [&mut running, &mut idle] {
                let early = tokio::time::timeout(Duration::from_millis(200), held.stream.readable());
                assert!(early.await.is_err(), "nothing comes while it is suspended");
            }
            if by_resume {
                console.simple_query("RESUME").await.unwrap();
            } else {
                drop(console);
            }
            let first = |frames: Vec<(u8, Vec<u8>)>| {
                frames.into_iter().map(|(tag, _)| char::from(tag)).collect::<String>()
            };
            assert_eq!(first(running.until_ready().await), "TDCZ");
            assert_eq!(first(idle.until_ready().await), "TDCZ");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn show_fds_has_its_columns_and_is_for_admins_only() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let bouncer =
        Bouncer::with(&databases, "admin_users = alice\nstats_users = bob\nauth_type = trust").await;
    let client = bouncer.connect().await;
    client.batch_execute("BEGIN").await.unwrap();
    let columns = "fd,task,user,database,addr,port,cancel,link,client_encoding,std_strings,datestyle,timezone,\
                   password,scram_client_key,scram_server_key";
    let admin = connect(&bouncer.conninfo("alice", "pgbouncer")).await.unwrap();
    let answer = within("SHOW FDS", admin.simple_query("SHOW FDS")).await.unwrap();
    let seen: Vec<_> = answer
        .iter()
        .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None })
        .collect();
    let names: Vec<_> = seen[0].columns().iter().map(|column| column.name().to_owned()).collect();
    assert_eq!(names.join(","), columns);
    let of =
        |task: &str| seen.iter().filter(|row| row.get("task") == Some(task)).copied().collect::<Vec<_>>();
    assert_eq!((of("pooler").len(), of("client").len(), of("server").len()), (2, 1, 1));
    assert_eq!(of("client")[0].get("link"), of("server")[0].get("fd"));
    assert_eq!(of("client")[0].get("database"), Some("postgres"));
    assert_eq!(of("client")[0].get("std_strings"), Some("on"));
    let stats = connect(&bouncer.conninfo("bob", "pgbouncer")).await.unwrap();
    assert_eq!(sentence(&stats.simple_query("SHOW FDS").await.unwrap_err()), "admin access needed");
    for other in [&admin, &stats] {
        let error = other.simple_query("SHOW HANDOVER;").await.unwrap_err();
        assert!(sentence(&error).starts_with("invalid command 'SHOW HANDOVER;'"), "{error}");
    }
    // It was suspended for the rows only.
    client.batch_execute("COMMIT").await.unwrap();
}

/// A running program that is taken over again and again.
async fn taken_over(binary: &mut Binary) {
    let before = binary.pid();
    let old = std::sync::Mutex::new(binary.restart(&["-R"]).await);
    assert_ne!(binary.pid(), before);
    let status = std::sync::Mutex::new(None);
    until("the old process to end", || async {
        *status.lock().unwrap() = old.lock().unwrap().try_wait().unwrap();
        status.lock().unwrap().is_some()
    })
    .await;
    let status = status.into_inner().unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_takeovers_under_pgbench_fail_no_transaction() {
    let pg = postgres().await;
    for way in WAYS {
        for protocol in ["simple", "prepared"] {
            let settings = format!(
                "{way}\nmax_client_conn = 200\ndefault_pool_size = 20\npidfile = @DIR@/pid\nlogfile = @DIR@/log"
            );
            let mut binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
            let bench =
                Bench::start(binary.dir(), binary.port(), protocol, load_time(Duration::from_secs(3)));
            until("traffic", || async {
                rows(&binary, "SHOW STATS")
                    .await
                    .iter()
                    .any(|row| row["database"] == "postgres" && row["total_query_count"] != "0")
            })
            .await;
            for _ in 0..5 {
                taken_over(&mut binary).await;
                let done = || async {
                    let rows = rows(&binary, "SHOW STATS").await;
                    let row = rows.into_iter().find(|row| row["database"] == "postgres").unwrap();
                    row["total_query_count"].parse::<u64>().unwrap()
                };
                let at = done().await;
                until("traffic behind the takeover", || async { done().await > at }).await;
            }
            bench.nothing_failed(way);
            let pid = std::fs::read_to_string(binary.dir().join("pid")).unwrap();
            assert_eq!(pid.trim(), binary.pid().to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_a_transaction_and_a_cancel_key_survive() {
    let pg = postgres().await;
    for way in WAYS {
        let settings = format!("{way}\nlogfile = @DIR@/log");
        let mut binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
        let conninfo = binary.conninfo("postgres", "postgres");
        let (running, open, idle) = (
            connect(&conninfo).await.unwrap(),
            connect(&conninfo).await.unwrap(),
            connect(&conninfo).await.unwrap(),
        );
        open.batch_execute("BEGIN; CREATE TEMP TABLE kept (x int); INSERT INTO kept VALUES (5)")
            .await
            .unwrap();
        idle.batch_execute("SET application_name = 'one of mine'; SET DateStyle = 'SQL, DMY'").await.unwrap();
        let statement = idle.prepare("SELECT $1::int4 + 1").await.unwrap();
        assert_eq!(idle.query_one(&statement, &[&1]).await.unwrap().get::<_, i32>(0), 2);
        let before = rows(&binary, "SHOW CLIENTS").await;
        let token = running.cancel_token();
        let finished = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&finished);
        let query = tokio::spawn(async move {
            let row = running.query_one("SELECT 7, pg_sleep(1.5)", &[]).await.unwrap();
            done.store(true, Ordering::SeqCst);
            (running, row.get::<_, i32>(0))
        });
        until("the query to run", || async {
            pg.value(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT 7%' AND state = 'active'",
            )
            .await
            .unwrap()
                == "1"
        })
        .await;
        taken_over(&mut binary).await;
        assert!(!finished.load(Ordering::SeqCst), "the query outlived the process");
        let (running, seven) = within("the query", query).await.unwrap();
        assert_eq!(seven, 7);
        assert_eq!(open.query_one("SELECT x FROM kept", &[]).await.unwrap().get::<_, i32>(0), 5);
        open.batch_execute("COMMIT").await.unwrap();
        assert_eq!(idle.query_one(&statement, &[&2]).await.unwrap().get::<_, i32>(0), 3);
        let value = idle
            .query_one("SELECT current_setting('application_name') || current_setting('DateStyle')", &[])
            .await
            .unwrap();
        assert_eq!(value.get::<_, String>(0), "one of mineSQL, DMY");
        let after = rows(&binary, "SHOW CLIENTS").await;
        let ids = |rows: &[std::collections::BTreeMap<String, String>]| -> Vec<String> {
            rows.iter().filter(|row| row["database"] == "postgres").map(|row| row["id"].clone()).collect()
        };
        assert_eq!(ids(&before), ids(&after), "clients keep their numbers");
        // The key that the old process gave.
        let sleeping = tokio::spawn(async move { running.batch_execute("SELECT pg_sleep(20)").await });
        until("the sleep", || async {
            pg.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(20)%' AND state = 'active'").await.unwrap() == "1"
        })
        .await;
        token.cancel_query(NoTls).await.unwrap();
        let error = within("the cancel", sleeping).await.unwrap().unwrap_err();
        assert_eq!(error.code().unwrap().code(), "57014");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_without_a_running_process_is_a_start() {
    let pg = postgres().await;
    let mut binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), "").await;
    binary.signal("QUIT");
    assert!(binary.ended().await.success());
    drop(binary.restart(&["-R"]).await);
    connect(&binary.conninfo("postgres", "postgres")).await.unwrap().batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn suspend_and_resume_under_traffic_lose_no_query() {
    let pg = postgres().await;
    for way in WAYS {
        let binary = Arc::new(Binary::start(&format!("postgres = {}", entry(&pg, "")), way).await);
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let mut clients = Vec::new();
        for _ in 0..8 {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
            clients.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.query_one("SELECT count(*) FROM generate_series(1, 1000)", &[]).await.unwrap();
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        let host = binary.dir().display().to_string();
        let console = connect(&format!("host={host} port={} user=pgbouncer dbname=pgbouncer", binary.port()))
            .await
            .unwrap();
        for verb in ["PAUSE", "SUSPEND", "PAUSE", "SUSPEND", "SUSPEND"] {
            within(verb, console.simple_query(verb)).await.unwrap();
            let at = answered.load(Ordering::Relaxed);
            within("RESUME", console.simple_query("RESUME")).await.unwrap();
            until("traffic again", || async { answered.load(Ordering::Relaxed) > at + 50 }).await;
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            within("the last query", client).await.unwrap();
        }
    }
}
