//! Everything but SHOW: what reaches the pooler, what the client reads, who may.

use howdah_admin::pooler::OnAdmin;
use howdah_admin::rows::PauseState;
use howdah_admin::{Access, ActionError, Console, ConsoleOutcome};

use super::fake::Fake;
use super::wire::{Message, ask, done, error, messages};

/// The query, what the pooler is asked and the command tag.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("PAUSE", "pause *", "PAUSE"),
    ("pause app;", "pause app", "PAUSE"),
    ("PAUSE \"a \"\"b\"\"\"", "pause a \"b\"", "PAUSE"),
    ("RESUME", "resume *", "RESUME"),
    ("RESUME app", "resume app", "RESUME"),
    ("SUSPEND", "suspend", "SUSPEND"),
    ("DISABLE app", "disable app", "DISABLE"),
    ("ENABLE app", "enable app", "ENABLE"),
    ("RECONNECT", "reconnect *", "RECONNECT"),
    ("RECONNECT app", "reconnect app", "RECONNECT"),
    ("KILL", "kill *", "KILL"),
    ("KILL app", "kill app", "KILL"),
    ("KILL_CLIENT 12", "kill_client 12", "KILL_CLIENT"),
    ("KILL_CLIENT 12abc", "kill_client 12", "KILL_CLIENT"),
    ("WAIT_CLOSE", "wait_close *", "WAIT_CLOSE"),
    ("WAIT_CLOSE app", "wait_close app", "WAIT_CLOSE"),
    ("RELOAD", "reload", "RELOAD"),
    ("SHUTDOWN WAIT_FOR_SERVERS", "shutdown WaitForServers", "SHUTDOWN"),
    ("shutdown wait_for_clients", "shutdown WaitForClients", "SHUTDOWN"),
    ("SET verbose = 2", "set verbose=2", "SET verbose=2"),
    ("set log_stats to '0'", "set log_stats=0", "SET log_stats=0"),
    ("FAILOVER main", "change main to * planned=false force=false", "FAILOVER"),
    (
        "FAILOVER main TO 10.0.3.201:5432;",
        "change main to 10.0.3.201:5432 planned=false force=false",
        "FAILOVER",
    ),
    ("switchover \"main\" to node1 force", "change main to node1 planned=true force=true", "SWITCHOVER"),
    ("MAINTENANCE main ON", "maintenance main true", "MAINTENANCE"),
    ("MAINTENANCE main off", "maintenance main false", "MAINTENANCE"),
];

#[tokio::test]
async fn actions_reach_the_pooler() {
    for (query, call, tag) in ACTIONS {
        let fake = Fake::default();
        let (answer, outcome) = ask(&fake, Access::Admin, query).await;
        assert_eq!(answer, done(tag), "{query}");
        assert_eq!(outcome, ConsoleOutcome::Continue);
        assert_eq!(fake.calls(), [*call], "{query}");
    }
}

#[tokio::test]
async fn actions_need_an_admin() {
    for (query, ..) in ACTIONS {
        let fake = Fake::default();
        let (answer, outcome) = ask(&fake, Access::Stats, query).await;
        assert_eq!(answer, error("08P01", "admin access needed"), "{query}");
        assert_eq!(outcome, ConsoleOutcome::Refused("admin access needed".to_owned()));
        assert!(fake.calls().is_empty(), "{query}");
    }
}

#[tokio::test]
async fn shutdown_at_once_is_not_answered() {
    let fake = Fake::default();
    assert_eq!(ask(&fake, Access::Admin, "SHUTDOWN").await, (Vec::new(), ConsoleOutcome::Continue));
    assert_eq!(fake.calls(), ["shutdown Immediate"]);
}

#[tokio::test]
async fn refusals_have_pgbouncers_texts() {
    for (failure, code, text) in [
        (ActionError::AlreadyPaused, "08P01", "already suspended/paused"),
        (ActionError::NotPaused, "08P01", "pooler is not paused/suspended"),
        (ActionError::DatabaseNotPaused("p0".into()), "08P01", "database p0 is not paused"),
        (ActionError::PausedDatabases, "08P01", "cannot suspend with paused databases"),
        (ActionError::ShuttingDown, "08P01", "pooler is shutting down"),
        (ActionError::NoSuchDatabase("x".into()), "08P01", "no such database: x"),
        (ActionError::ClientNotFound, "08P01", "client not found"),
        (ActionError::SetFailed, "08P01", "SET failed"),
        (ActionError::ReloadFailed, "F0000", "RELOAD failed, see logs for additional details"),
        (
            ActionError::AdminDatabase { action: OnAdmin::Wait, name: "pgbouncer".into() },
            "08P01",
            "cannot wait in admin db: pgbouncer",
        ),
        (
            ActionError::Refused("no supervisor answers there.".into()),
            "08P01",
            "no supervisor answers there.",
        ),
    ] {
        let fake = Fake { refuse: Some(failure), ..Fake::default() };
        assert_eq!(ask(&fake, Access::Admin, "RELOAD").await.0, error(code, text));
    }
}

#[tokio::test]
async fn the_console_refuses_by_itself() {
    let fake = Fake::default();
    for (query, text) in [
        ("PAUSE pgbouncer", "cannot pause admin db: pgbouncer"),
        ("KILL pgbouncer", "cannot kill admin db: pgbouncer"),
        ("RECONNECT pgbouncer", "cannot reconnect admin db: pgbouncer"),
        ("DISABLE pgbouncer", "cannot disable admin db: pgbouncer"),
        ("ENABLE pgbouncer", "cannot enable admin db: pgbouncer"),
        ("WAIT_CLOSE pgbouncer", "cannot wait in admin db: pgbouncer"),
        ("DISABLE", "a database is required"),
        ("ENABLE", "a database is required"),
        ("KILL_CLIENT", "invalid client pointer supplied"),
        ("KILL_CLIENT x7", "invalid client pointer supplied"),
        ("KILL_CLIENT 99999999999999999999999", "client not found"),
    ] {
        assert_eq!(ask(&fake, Access::Admin, query).await.0, error("08P01", text), "{query}");
    }
    fake.hold(PauseState::Paused);
    for query in ["PAUSE", "PAUSE app", "SUSPEND", "KILL", "KILL app"] {
        let (answer, _) = ask(&fake, Access::Admin, query).await;
        assert_eq!(answer, error("08P01", "already suspended/paused"), "{query}");
    }
    fake.hold(PauseState::Active);
    fake.state.lock().unwrap().paused_databases = 1;
    assert_eq!(
        ask(&fake, Access::Admin, "SUSPEND").await.0,
        error("08P01", "cannot suspend with paused databases")
    );
    assert!(fake.calls().is_empty(), "{:?}", fake.calls());
}

#[tokio::test]
async fn a_console_may_kill_itself() {
    let fake = Fake::default();
    let (answer, outcome) = ask(&fake, Access::Admin, "KILL_CLIENT 1").await;
    let close = ConsoleOutcome::Close { refused: None, reason: "admin forced disconnect" };
    assert_eq!((answer, outcome), (Vec::new(), close));
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn tls_settings_that_cannot_be_applied_are_noticed() {
    let (answer, _) = ask(&Fake::default(), Access::Admin, "SET client_tls_sslmode = 'require'").await;
    let text = "TLS settings could not be applied, still using old configuration";
    assert!(matches!(&answer[0], Message::Notice(fields) if fields[2].1 == text));
    assert_eq!(answer[1..], done("SET client_tls_sslmode=require"));
}

#[tokio::test]
async fn settings_that_need_a_restart_are_noticed_at_a_reload() {
    let fake = Fake { busy_since: Some(std::time::Instant::now()), ..Fake::default() };
    let (answer, _) = ask(&fake, Access::Admin, "RELOAD").await;
    let text = "cluster main: dbname is taken over at a restart";
    assert!(matches!(&answer[0], Message::Notice(fields) if fields[2].1 == text), "{answer:?}");
    assert_eq!(answer[1..], done("RELOAD"));
}

#[tokio::test]
async fn explain_route_needs_no_admin() {
    let (answer, _) = ask(&Fake::default(), Access::Stats, "EXPLAIN ROUTE SELECT 'a;b' FROM t;").await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(answer[1], Message::Row(vec![text("replica"), text("reads only: SELECT 'a;b' FROM t;")]));
    assert_eq!(answer[2..], done("EXPLAIN"));
}

#[tokio::test]
async fn a_suspended_pooler_resumes_when_the_session_goes() {
    let fake = Fake::default();
    let mut console = Console::new(Access::Admin, 1);
    let mut out = Vec::new();
    console.answer(&fake, b"SUSPEND\0", &mut out).await;
    assert_eq!(messages(&out), done("SUSPEND"));
    fake.hold(PauseState::Suspended);
    console.closed(&fake).await;
    assert_eq!(fake.calls(), ["suspend", "resume *"]);

    // One that had resumed, or whose suspend was another's, does nothing.
    let fake = Fake::default();
    let mut console = Console::new(Access::Admin, 1);
    console.answer(&fake, b"SUSPEND", &mut out).await;
    console.answer(&fake, b"RESUME", &mut out).await;
    fake.hold(PauseState::Suspended);
    console.closed(&fake).await;
    Console::new(Access::Admin, 2).closed(&fake).await;
    assert_eq!(fake.calls(), ["suspend", "resume *"]);
}

#[tokio::test]
async fn a_cancel_request_resumes() {
    let fake = Fake::default();
    let mut console = Console::new(Access::Admin, 1);
    console.cancelled(&fake).await;
    assert!(fake.calls().is_empty(), "nothing is held");
    fake.hold(PauseState::Paused);
    console.cancelled(&fake).await;
    assert_eq!(fake.calls(), ["resume *"]);
    fake.state.lock().unwrap().shutting_down = true;
    console.cancelled(&fake).await;
    assert_eq!(fake.calls(), ["resume *"], "not while it shuts down");
}
