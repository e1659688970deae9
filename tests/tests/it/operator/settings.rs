//! The file, RELOAD and SET: what is in force, and what the log says of it.

use super::{admin, log, log_end, rows, value};
use crate::support::{Binary, Raw, connect, entry, postgres, sentence, until};

#[tokio::test(flavor = "multi_thread")]
async fn reload_says_why_servers_close_and_closes_no_other() {
    let pg = postgres().await;
    let one =
        |more: &str| format!("postgres = {}\nother = {}", entry(&pg, more), entry(&pg, "dbname=postgres"));
    let settings = "logfile = @DIR@/log";
    let binary = Binary::start(&one(""), settings).await;
    let console = admin(&binary).await;
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    let other = connect(&binary.conninfo("postgres", "other")).await.unwrap();
    let pid = |client| value(client, "SELECT pg_backend_pid()");
    let (first, kept) = (pid(&client).await, pid(&other).await);

    let from = log_end(&binary);
    console.simple_query("RELOAD").await.unwrap();
    assert_eq!((pid(&client).await, pid(&other).await), (first.clone(), kept.clone()));
    assert!(!log(&binary, from).contains("closing because"), "{}", log(&binary, from));

    // An idle one goes at once.
    binary.rewrite(&one("application_name=second"), settings);
    console.simple_query("RELOAD").await.unwrap();
    assert_ne!(pid(&client).await, first);
    assert_eq!(pid(&other).await, kept);
    let said = log(&binary, from);
    assert_eq!(said.matches("closing because: database configuration changed (age=").count(), 1, "{said}");

    // One in use, when it is released.
    client.batch_execute("BEGIN").await.unwrap();
    let second = pid(&client).await;
    binary.rewrite(&one("application_name=third"), settings);
    console.simple_query("RELOAD").await.unwrap();
    assert_eq!(pid(&client).await, second);
    let said = log(&binary, from);
    assert_eq!(said.matches("closing because: database configuration changed (age=").count(), 1, "{said}");
    client.batch_execute("COMMIT").await.unwrap();
    assert_ne!(pid(&client).await, second);
    let said = log(&binary, from);
    assert_eq!(said.matches("closing because: database configuration changed (age=").count(), 2, "{said}");

    // An entry that is gone.
    binary.rewrite(&format!("other = {}", entry(&pg, "dbname=postgres")), settings);
    console.simple_query("RELOAD").await.unwrap();
    // The driver may see the end before it asks.
    let error = client.simple_query("SELECT 1").await.unwrap_err();
    assert!(error.is_closed() || sentence(&error) == "database removed", "{error}");
    assert_eq!(pid(&other).await, kept);
    let said = log(&binary, from);
    let dropped =
        "WARNING dropping database 'postgres' as it does not exist anymore or inactive auto-database";
    assert!(said.contains(dropped), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_a_file_are_logged_in_pgbouncers_words() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = "logfile = @DIR@/log\ndefault_pool_size = 4";
    let mut binary = Binary::start(&databases, settings).await;
    let console = admin(&binary).await;
    let from = log_end(&binary);
    binary.rewrite(&databases, &format!("{settings}\nnonsense = 1\ndefault_pool_size = many"));
    let error = console.simple_query("RELOAD").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "F0000");
    assert_eq!(sentence(&error), "RELOAD failed, see logs for additional details");
    let said = log(&binary, from);
    assert!(said.contains(" ERROR unknown parameter: pgbouncer/nonsense\n"), "{said}");
    assert!(
        said.contains(" ERROR invalid value \"many\" for parameter default_pool_size in configuration ("),
        "{said}"
    );
    let size = rows(&console, "SHOW CONFIG").await.into_iter().find(|row| row[0] == "default_pool_size");
    assert_eq!(size.unwrap()[1], "4");
    connect(&binary.conninfo("postgres", "postgres")).await.unwrap();

    // The same at the start, where --quiet leaves the log file only.
    binary.signal("QUIT");
    binary.ended().await;
    let from = log_end(&binary);
    let file = binary.file();
    let arguments = ["--quiet", file.to_str().unwrap()];
    let output =
        std::process::Command::new(crate::support::howdah_program()).args(arguments).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len(), output.stdout.len()), (Some(1), 0, 0));
    // As root it makes no log file, but there is one.
    let said = log(&binary, from);
    assert!(said.contains(" ERROR unknown parameter: pgbouncer/nonsense\n"), "{said}");
    assert!(said.trim_end().ends_with(" FATAL cannot load config file"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_setting_wins_over_the_entrys_and_that_over_the_general_one() {
    let pg = postgres().await;
    let databases = format!(
        "plain = {}\nown = {}",
        entry(&pg, "dbname=postgres"),
        entry(&pg, "dbname=postgres pool_size=3 pool_mode=session")
    );
    let users = "[users]\nalice = pool_size=1 pool_mode=statement";
    let settings = |size: u32| format!("logfile = @DIR@/log\ndefault_pool_size = {size}\n{users}");
    let binary = Binary::start(&databases, &settings(5)).await;
    let console = admin(&binary).await;
    for database in ["plain", "own"] {
        connect(&binary.conninfo("postgres", database)).await.unwrap();
        // The server has no such role; the pool is there all the same.
        let _ = connect(&binary.conninfo("alice", database)).await;
    }
    let modes = || async {
        let all = rows(&console, "SHOW POOLS").await;
        let shown = all.iter().map(|row| format!("{} {} {}", row[0], row[1], row[row.len() - 2]));
        shown.filter(|line| !line.starts_with("pgbouncer")).collect::<Vec<_>>()
    };
    let of = |general: &str| {
        [
            "own alice statement".to_owned(),
            "own postgres session".to_owned(),
            "plain alice statement".to_owned(),
            format!("plain postgres {general}"),
        ]
    };
    let mut seen = modes().await;
    seen.sort();
    assert_eq!(seen, of("transaction"));
    // At once, for those without a setting of their own only.
    console.simple_query("SET pool_mode = statement").await.unwrap();
    let mut seen = modes().await;
    seen.sort();
    assert_eq!(seen, of("statement"));
    let sizes = || async {
        let all = rows(&console, "SHOW DATABASES").await;
        all.iter().map(|row| format!("{} {}", row[0], row[5])).collect::<Vec<_>>()
    };
    assert_eq!(sizes().await, ["own 3", "pgbouncer 2", "plain 5"].map(str::to_owned));
    console.simple_query("SET default_pool_size = 7").await.unwrap();
    assert_eq!(sizes().await, ["own 3", "pgbouncer 2", "plain 7"].map(str::to_owned));
    // Until the next RELOAD of a file that says otherwise.
    binary.rewrite(&databases, &settings(6));
    console.simple_query("RELOAD").await.unwrap();
    assert_eq!(sizes().await, ["own 3", "pgbouncer 2", "plain 6"].map(str::to_owned));
    // A text, empty when unset, and of its own row only.
    let users = rows(&console, "SHOW USERS").await;
    let sizes: Vec<_> = users.iter().map(|row| format!("{}|{}|{}", row[0], row[1], row[3])).collect();
    assert!(sizes.contains(&"alice|        1|statement".to_owned()), "{sizes:?}");
    assert!(sizes.contains(&"bob||~".to_owned()), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_entries_with_forced_users_come_and_go() {
    const ROUNDS: usize = 14;
    const ENTRIES: usize = 200;
    let pg = postgres().await;
    let binary = Binary::start("", "logfile = @DIR@/log").await;
    let console = admin(&binary).await;
    let used = |round: usize, at: usize| at % 20 == round % 20;
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", binary.pid())).unwrap().count();
    let before = descriptors();
    for round in 0..ROUNDS {
        let definition = entry(&pg, "dbname=postgres user=postgres");
        let databases: Vec<String> = (0..ENTRIES).map(|at| format!("d{round}_{at} = {definition}")).collect();
        binary.rewrite(&databases.join("\n"), "logfile = @DIR@/log");
        console.simple_query("RELOAD").await.unwrap();
        assert_eq!(rows(&console, "SHOW DATABASES").await.len(), ENTRIES + 1);
        for at in (0..ENTRIES).filter(|at| used(round, *at)) {
            let client = connect(&binary.conninfo("postgres", &format!("d{round}_{at}"))).await.unwrap();
            assert_eq!(value(&client, "SELECT 1").await, "1");
        }
    }
    binary.rewrite("", "logfile = @DIR@/log");
    console.simple_query("RELOAD").await.unwrap();
    assert_eq!(rows(&console, "SHOW DATABASES").await.len(), 1);
    assert_eq!(rows(&console, "SHOW POOLS").await.len(), 1);
    until("all servers and clients to be gone", || async {
        rows(&console, "SHOW SERVERS").await.is_empty() && rows(&console, "SHOW CLIENTS").await.len() == 1
    })
    .await;
    until("their descriptors to be closed", || async { descriptors() <= before }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_read_as_pgbouncer_reads_it() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let one = entry(&pg, "dbname='postgres' connect_query='set a.a=off; set b.b=''x y'''");
    let more = format!(
        "logfile = @DIR@/log\n   ; a comment behind blanks\n  # another\n   max_client_conn   =    77\n\
         max_client_conn=78\npidfile =\n[databases]\n  quoted = {one}\n\"with-sign\" = {}\n[users]\ntest2 =\n\
         [pgbouncer]\nserver_reset_query =\n%include @DIR@/included\n",
        entry(&pg, "dbname=postgres")
    );
    let included = format!("[databases]\nincluded = {}\n", entry(&pg, "dbname=postgres"));
    let binary = Binary::start_with(&databases, &more, &[("included", &included)]).await;
    let console = admin(&binary).await;
    let names: Vec<String> =
        rows(&console, "SHOW DATABASES").await.into_iter().map(|mut row| row.remove(0)).collect();
    for name in ["postgres", "quoted", "with-sign", "included"] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
        let client = connect(&binary.conninfo("postgres", name)).await.unwrap();
        assert_eq!(value(&client, "SELECT current_database()").await, "postgres");
    }
    let client = connect(&binary.conninfo("postgres", "quoted")).await.unwrap();
    assert_eq!(value(&client, "SELECT current_setting('b.b')").await, "x y");
    let config = rows(&console, "SHOW CONFIG").await;
    let of = |key: &str| config.iter().find(|row| row[0] == key).unwrap()[1].clone();
    assert_eq!(
        (of("max_client_conn"), of("server_reset_query"), of("pidfile")),
        ("78".into(), "".into(), "".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_size_of_a_forced_user_is_in_force() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, "user=postgres"));
    let settings = "logfile = @DIR@/log\n[users]\npostgres = pool_size=2\nbob = pool_size=1";
    let binary = Binary::start(&databases, settings).await;
    let console = admin(&binary).await;
    let mut clients = Vec::new();
    for at in 0..3 {
        let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
        raw.log_in("bob", "postgres").await;
        raw.send_query("BEGIN").await;
        if at < 2 {
            raw.until_ready().await;
        }
        clients.push(raw);
    }
    until("two servers and one that waits", || async {
        let pools = rows(&console, "SHOW POOLS").await;
        let pool = pools.iter().find(|row| row[0] == "postgres").unwrap();
        (pool[1].as_str(), pool[2].as_str(), pool[3].as_str(), pool[6].as_str())
            == ("postgres", "2", "1", "2")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_dbname_is_used_by_the_next_query() {
    let pg = postgres().await;
    let definition = |dbname: &str| format!("postgres = {}", entry(&pg, &format!("dbname={dbname}")));
    let binary = Binary::start(&definition("postgres"), "logfile = @DIR@/log").await;
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    assert_eq!(value(&client, "SELECT current_database()").await, "postgres");
    binary.rewrite(&definition("template1"), "logfile = @DIR@/log");
    admin(&binary).await.simple_query("RELOAD").await.unwrap();
    assert_eq!(value(&client, "SELECT current_database()").await, "template1");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_relative_to_the_working_directory() {
    let pg = postgres().await;
    let (of_the_file, working) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let port = howdah_testkit::PortLease::reserve().unwrap();
    std::fs::write(working.path().join("users"), "\"postgres\" \"\"\n").unwrap();
    std::fs::write(working.path().join("hba"), "host all all 127.0.0.1/32 trust\n").unwrap();
    std::fs::write(
        working.path().join("more"),
        format!("[databases]\nmore = {}\n", entry(&pg, "dbname=postgres")),
    )
    .unwrap();
    let file = of_the_file.path().join("p.ini");
    let text = format!(
        "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir = {}\nauth_type = hba\n\
         auth_hba_file = hba\nauth_file = users\nlogfile = log\n%include more\n",
        port.port(),
        working.path().display()
    );
    std::fs::write(&file, text).unwrap();
    let child = std::process::Command::new(crate::support::howdah_program())
        .args(["--quiet", file.to_str().unwrap()])
        .current_dir(working.path())
        .spawn()
        .unwrap();
    let child = std::sync::Mutex::new(child);
    let conninfo = format!("host=127.0.0.1 port={} user=postgres dbname=more", port.port());
    until("a login, or the program's end", || async {
        connect(&conninfo).await.is_ok() || child.lock().unwrap().try_wait().unwrap().is_some()
    })
    .await;
    let served = connect(&conninfo).await;
    let mut child = child.into_inner().unwrap();
    let _ = child.kill();
    child.wait().unwrap();
    served.unwrap();
    assert!(working.path().join("log").exists());
}
