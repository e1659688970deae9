//! What a client is told beside its answers, and where it comes from (PGBOUNCER_BEHAVIOUR.md section 8).

use crate::support::{Binary, Bouncer, Seen, entry, postgres, tags, within};

/// The sentence of a NoticeResponse.
fn notice(frame: &(u8, Vec<u8>)) -> String {
    let fields: Vec<&[u8]> = frame.1.split(|byte| *byte == 0).collect();
    assert!(fields.contains(&&b"SNOTICE"[..]) && fields.contains(&&b"C00000"[..]), "{frame:?}");
    let message = fields.iter().find_map(|field| field.strip_prefix(b"M")).unwrap();
    String::from_utf8(message.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn login_notify_message_comes_before_ready_and_without_it_nothing_does() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "login_notify_message = maintenance at noon").await;
    for _ in 0..2 {
        let mut raw = bouncer.raw().await;
        let frames = raw.log_in("postgres", "postgres").await;
        assert!(tags(&frames).ends_with("KNZ"), "{}", tags(&frames));
        assert_eq!(notice(&frames[frames.len() - 2]), "maintenance at noon");
    }
    let bouncer = Bouncer::on(&pg, "").await;
    let frames = bouncer.raw().await.log_in("postgres", "postgres").await;
    assert!(!tags(&frames).contains('N'), "{}", tags(&frames));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_the_queue_is_told_once_a_wait_and_never_before_its_login_is_over() {
    const QUEUED: &str = "No server connection available in postgres backend, client being queued";
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1\nquery_wait_notify = 0.3").await;
    let mut holder = bouncer.raw_session().await;
    let mut waiting = bouncer.raw_session().await;
    for _ in 0..2 {
        holder.query("BEGIN").await;
        waiting.send_query("SELECT 7").await;
        let frame = within("the notice", waiting.frame()).await.unwrap();
        assert_eq!((frame.0, notice(&frame).as_str()), (b'N', QUEUED));
        bouncer.pool_becomes("cl_waiting", 1).await;
        holder.query("COMMIT").await;
        assert_eq!(tags(&waiting.until_ready().await), "TDCZ", "one notice a wait");
        // A short wait is told nothing of.
        assert_eq!(tags(&waiting.query("SELECT 7").await), "TDCZ");
    }
    // The first login of a pool waits for a server: nothing may come before the authentication.
    let databases = format!("postgres = {}", entry(&pg, ""));
    let bouncer = Bouncer::with(&databases, "query_wait_notify = 0.1").await;
    let console = bouncer.console().await;
    console.simple_query("PAUSE").await.unwrap();
    let mut raw = bouncer.raw().await;
    raw.startup(&[("user", "postgres"), ("database", "postgres")]).await;
    bouncer.pool_becomes("cl_waiting", 1).await;
    let begun = std::time::Instant::now();
    crate::support::until("the time of the notice", || async { begun.elapsed().as_millis() > 500 }).await;
    console.simple_query("RESUME").await.unwrap();
    let frames = raw.until_ready().await;
    assert!(tags(&frames).starts_with("RS") && !tags(&frames).contains('N'), "{}", tags(&frames));
}

#[tokio::test(flavor = "multi_thread")]
async fn application_name_add_host_says_where_a_client_comes_from() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "application_name_add_host = 1").await;
    for (given, begins) in [("application_name=foo", "foo - 127.0.0.1:"), ("", "app - 127.0.0.1:")] {
        let client = bouncer.try_connect(given).await.unwrap();
        let row = client.query_one("SHOW application_name", &[]).await.unwrap();
        let name: String = row.get(0);
        assert!(name.starts_with(begins), "{name}");
        let rows = bouncer.show("SHOW CLIENTS").await;
        assert!(rows.iter().any(|row| row["application_name"] == name), "{name} in {rows:?}");
        // Only the login's name is changed.
        client.batch_execute("SET application_name = 'bar'").await.unwrap();
        let row = client.query_one("SHOW application_name", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), "bar");
    }
    let rows = bouncer.show("SHOW CLIENTS").await;
    let own = rows.iter().find(|row| row["database"] == "pgbouncer").unwrap();
    let name = &own["application_name"];
    assert!(name.starts_with(&format!("app - unix({}@", std::process::id())), "{name}");
    assert!(name.ends_with(&format!("):{}", bouncer.address().port())), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_statistics_of_each_period() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, "logfile = @DIR@/log\nstats_period = 1").await;
    let client = crate::support::connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    let begun = std::time::Instant::now();
    while begun.elapsed().as_millis() < 1500 {
        client.batch_execute("SELECT pg_sleep(0.01)").await.unwrap();
    }
    let busy = || {
        let log = std::fs::read_to_string(binary.dir().join("log")).unwrap();
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains(" LOG stats: ")).map(str::to_owned).collect();
        lines.into_iter().find(|line| !line.contains("stats: 0 xacts/s"))
    };
    crate::support::until("a line", || async { busy().is_some() }).await;
    let line = busy().unwrap();
    let text = line.split(" LOG stats: ").nth(1).unwrap();
    let units: Vec<String> =
        text.split(", ").map(|part| part.replace(|c: char| c.is_ascii_digit(), "#")).collect();
    let units = units.join(", ").replace("##", "#").replace("##", "#").replace("##", "#");
    assert_eq!(
        units,
        "# xacts/s, # queries/s, # client parses/s, # server parses/s, # binds/s, in # B/s, out # B/s, \
         xact # us, query # us, wait # us"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_automatic_database_is_said_in_the_log_once() {
    let pg = postgres().await;
    let seen = Seen::with(&format!("* = {}", entry(&pg, "")), "").await;
    for _ in 0..2 {
        seen.connect("postgres", "template1").await.unwrap();
    }
    seen.connect("postgres", "postgres").await.unwrap();
    assert_eq!(seen.lines("registered new auto-database: db=template1"), 1, "{}", seen.log());
    assert_eq!(seen.lines("registered new auto-database"), 2, "{}", seen.log());
}
