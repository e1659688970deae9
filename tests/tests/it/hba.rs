//! `auth_type = hba`: which line decides, what each method demands, ident maps, and RELOAD
//! (PGBOUNCER_BEHAVIOUR.md section 5). Which lines can be read is tested in the crate `hba`.

use std::process::Command;

use howdah_testkit::{Options, Postgres};

use crate::support::{Binary, Seen, connect, entry, error_of, sentence, within};

/// A server that trusts everybody who comes from here.
async fn server() -> Postgres {
    let options = Options::default()
        .hba_line("host all all 127.0.0.1/32 trust")
        .sql("CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE root LOGIN");
    Postgres::single(options).await.unwrap()
}

const SETTINGS: &str = "auth_type = hba\nauth_hba_file = @DIR@/hba.conf\nauth_ident_file = @DIR@/ident.conf\n\
                        admin_users = bob\nlogfile = @DIR@/log";

/// A pooler with these lines in its HBA and ident files.
async fn pooler(pg: &Postgres, hba: &str, ident: &str) -> Binary {
    let databases = format!("postgres = {}\nother = {}", entry(pg, ""), entry(pg, "dbname=postgres"));
    Binary::start_with(&databases, SETTINGS, &[("hba.conf", hba), ("ident.conf", ident)]).await
}

async fn who(conninfo: &str) -> Result<String, String> {
    let client = connect(conninfo).await.map_err(|error| sentence(&error))?;
    let rows = within("an answer", client.simple_query("SELECT current_user::text")).await;
    let rows = rows.map_err(|error| sentence(&error))?;
    let row = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(row.unwrap_or_default().to_owned())
}

/// The name of the user that this test runs as.
fn own_name() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_decides_for_every_method() {
    let pg = server().await;
    let hba = "# who may what\n\
        host  postgres  alice  127.0.0.1/32  reject   # not here\n\
        host  other  alice  127.0.0.0 255.0.0.0  md5\n\
        host  pgbouncer  all  all  password\n\
        host  all  bob, \"carol\"  127.0.0.1/32  scram-sha-256\n\
        host  sameuser  all  all  trust\n\
        hostssl  all  postgres  all  trust\n\
        host  all  postgres  ::1/128  trust\n\
        host  all  nobody  all  md5\n\
        host  all  ghost  all  trust\n\
        host  all  sealed  all  cert\n\
        host  all  peer  all  peer\n";
    let front = pooler(&pg, hba, "").await;
    let login = |user: &'static str, dbname: &'static str, password: &'static str| {
        let conninfo = format!("{} password={password}", front.conninfo(user, dbname));
        async move { who(&conninfo).await }
    };
    let ok = |name: &str| Ok(name.to_owned());
    let no = |sentence: &str| Err(sentence.to_owned());
    assert_eq!(login("alice", "postgres", "secret").await, no("login rejected"));
    assert_eq!(login("alice", "other", "secret").await, ok("alice"));
    assert_eq!(login("alice", "other", "wrong").await, no("password authentication failed"));
    assert_eq!(login("bob", "postgres", "hidden").await, ok("bob"));
    assert_eq!(login("bob", "postgres", "wrong").await, no("SASL authentication failed"));
    assert_eq!(login("carol", "postgres", "x").await, no("SASL authentication failed"));
    assert_eq!(login("postgres", "postgres", "x").await, ok("postgres"));
    assert_eq!(login("postgres", "other", "x").await, no("login rejected"));
    // Who is not known is asked all the same, and a database that is not there comes last.
    assert_eq!(login("nobody", "other", "x").await, no("password authentication failed"));
    assert_eq!(login("ghost", "other", "x").await, no("\"trust\" authentication failed"));
    assert_eq!(login("bob", "nowhere", "hidden").await, no("no such database: nowhere"));
    assert_eq!(login("bob", "nowhere", "wrong").await, no("SASL authentication failed"));
    assert_eq!(login("sealed", "other", "x").await, no("certificate authentication failed"));
    assert_eq!(login("peer", "other", "x").await, no("unix socket login rejected"));
    let console = format!("{} password=hidden", front.conninfo("bob", "pgbouncer"));
    let console = connect(&console).await.unwrap();
    within("SHOW", console.simple_query("SHOW VERSION")).await.unwrap();
    assert_eq!(login("bob", "pgbouncer", "wrong").await, no("password authentication failed"));
    let log = std::fs::read_to_string(front.dir().join("log")).unwrap();
    assert!(log.contains("postgres/alice@127.0.0.1:"), "{log}");
    assert!(log.contains("closing because: login rejected (age="), "{log}");
    assert!(log.contains("TLS connection required"), "{log}");
    assert!(log.contains("SCRAM authentication failed: user has MD5 secret"), "carol: {log}");
    assert!(!log.contains("secret\"") && !log.contains("hidden"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_who_the_system_says() {
    let pg = server().await;
    let me = own_name();
    let hba = "local all bob peer map=m1\nlocal all alice peer map=m2\nlocal other all peer\nlocal postgres postgres peer map=nomap\n";
    let ident = format!("m1 {me} all\nm2 somebody alice\n");
    let front = pooler(&pg, hba, &ident).await;
    let listed = format!("\"alice\" \"\"\n\"bob\" \"\"\n\"postgres\" \"\"\n\"{me}\" \"\"\n");
    std::fs::write(front.dir().join("userlist.txt"), listed).unwrap();
    let local = |user: &str, dbname: &str| {
        format!("host={} port={} user={user} dbname={dbname}", front.dir().display(), front.port())
    };
    // The console is for the same user, whatever the lines say; it takes the list over.
    let console = connect(&local("pgbouncer", "pgbouncer")).await.unwrap();
    console.simple_query("RELOAD").await.unwrap();
    assert_eq!(who(&local("bob", "postgres")).await.as_deref(), Ok("bob"));
    let refusal = Err("unix socket login rejected".to_owned());
    assert_eq!(who(&local("alice", "postgres")).await, refusal);
    assert_eq!(who(&local("postgres", "postgres")).await, refusal);
    assert_eq!(who(&local("postgres", "other")).await, refusal);
    let own = who(&local(&me, "other")).await;
    assert_ne!(own, refusal, "{me} is who it says");
    assert_eq!(who(&local("unheard", "other")).await, refusal);
    let log = std::fs::read_to_string(front.dir().join("log")).unwrap();
    assert!(log.contains("ident map m2 cannot be matched"), "{log}");
    assert!(log.contains("ident map nomap cannot be matched"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_brings_other_lines_and_mistakes_are_told_with_their_line() {
    let pg = server().await;
    let front = pooler(&pg, "host all postgres all trust\n", "").await;
    let login = || {
        let conninfo = front.conninfo("postgres", "postgres");
        async move { who(&conninfo).await }
    };
    let local =
        format!("host={} port={} user=pgbouncer dbname=pgbouncer", front.dir().display(), front.port());
    let console = connect(&local).await.unwrap();
    let reload = |hba: &'static str| {
        std::fs::write(front.dir().join("hba.conf"), hba).unwrap();
        let console = &console;
        async move { console.simple_query("RELOAD").await.unwrap() }
    };
    let log = || std::fs::read_to_string(front.dir().join("log")).unwrap();
    for _ in 0..3 {
        assert_eq!(login().await.as_deref(), Ok("postgres"));
        reload("host all all nonsense trust\n\nhost all postgres all reject\nhost all @none all trust").await;
        assert_eq!(login().await.unwrap_err(), "login rejected");
        console.simple_query("SET auth_type = 'trust'").await.unwrap();
        assert_eq!(login().await.as_deref(), Ok("postgres"));
        console.simple_query("SET auth_type = 'hba'").await.unwrap();
        assert_eq!(login().await.unwrap_err(), "login rejected");
        std::fs::write(front.dir().join("names"), "alice postgres").unwrap();
        reload("host all @names all trust\n").await;
    }
    let text = log();
    for line in [
        "hba.conf:1:1: warning: hba line 1: failed to parse address - nonsense; the line is left out",
        "hba.conf:4:1: warning: hba line 4: could not open file none: ",
    ] {
        assert_eq!(text.matches(line).count(), 3, "{text}");
    }
    // Without a file nobody comes in.
    std::fs::remove_file(front.dir().join("hba.conf")).unwrap();
    console.simple_query("RELOAD").await.unwrap();
    assert_eq!(login().await.unwrap_err(), "login rejected");
    assert!(log().contains("could not open hba config file "), "{}", log());
}

/// Whether the startup packet of this user is let in.
async fn is_let_in(seen: &Seen, replication: Option<&str>, user: &str) -> Result<(), String> {
    let mut raw = seen.raw().await;
    let mut parameters = vec![("user", user), ("database", "postgres")];
    parameters.extend(replication.map(|kind| ("replication", kind)));
    raw.startup(&parameters).await;
    let first = raw.frame().await.unwrap();
    if first.0 == b'R' { Ok(()) } else { Err(error_of(&first).1) }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_for_replication_are_for_replication_alone() {
    let options = Options::default()
        .hba_line("host all all 127.0.0.1/32 trust")
        .hba_line("host replication all 127.0.0.1/32 trust")
        .sql("CREATE ROLE alice LOGIN REPLICATION; CREATE ROLE bob LOGIN REPLICATION");
    let pg = Postgres::single(options).await.unwrap();
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = "auth_type = hba\nauth_hba_file = @DIR@/hba.conf";
    let rejected = Err("login rejected".to_owned());
    for (hba, normal, replicating) in [
        ("host all all all trust\n", true, false),
        ("host replication all all trust\n", false, true),
        ("host postgres alice all trust\n", true, false),
        ("host replication alice all trust\nhost all all all reject\n", false, true),
        // In quotes it is the name of a database.
        ("host \"replication\" all all trust\n", false, false),
    ] {
        let seen = Seen::with_files(&databases, settings, &[("hba.conf", hba)]).await;
        for kind in [None, Some("true"), Some("database")] {
            let expected = if kind.is_some() { replicating } else { normal };
            let expected = if expected { Ok(()) } else { rejected.clone() };
            assert_eq!(is_let_in(&seen, kind, "alice").await, expected, "{hba} {kind:?}");
        }
    }
    let hba = ("hba.conf", "host replication alice all trust\n");
    let seen = Seen::with_files(&databases, settings, &[hba]).await;
    assert_eq!(is_let_in(&seen, Some("true"), "bob").await, rejected);
}
