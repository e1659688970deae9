//! Parameters that follow a client from server to server, and what a client may ask for at its start
//! (PGBOUNCER_BEHAVIOUR.md section 8).

use howdah_testkit::{Options, Postgres};

use crate::support::{Bouncer, Raw, Seen, entry, error_of, postgres, tags};

/// Logs in with these parameters beside user and database.
async fn session(bouncer: &Bouncer, more: &[(&str, &str)]) -> Raw {
    let mut raw = bouncer.raw().await;
    let mut parameters = vec![("user", "postgres"), ("database", "postgres")];
    parameters.extend(more);
    raw.startup(&parameters).await;
    raw.until_ready().await;
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn tracked_parameters_follow_their_client() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut a =
        session(&bouncer, &[("application_name", "a"), ("DateStyle", "German"), ("TimeZone", "UTC")]).await;
    let mut b = session(&bouncer, &[("application_name", "b"), ("timezone", "Asia/Tokyo")]).await;
    let mut c = session(&bouncer, &[]).await;
    for _ in 0..2 {
        assert_eq!(a.value("SHOW application_name").await, "a");
        assert_eq!(b.value("SHOW application_name").await, "b");
        assert_eq!(c.value("SHOW application_name").await, "");
        assert_eq!(a.value("SHOW datestyle").await, "German, DMY");
        assert_eq!(b.value("SHOW datestyle").await, "ISO, MDY");
        assert_eq!(a.value("SHOW timezone").await, "UTC");
        assert_eq!(b.value("SHOW timezone").await, "Asia/Tokyo");
    }
    // SET is followed, and so are RESET and what a rolled back transaction takes back.
    a.query("SET client_encoding = 'LATIN1'").await;
    b.query("SET standard_conforming_strings = off").await;
    a.query("SET IntervalStyle = 'iso_8601'").await;
    for _ in 0..2 {
        assert_eq!(a.value("SHOW client_encoding").await, "LATIN1");
        assert_eq!(b.value("SHOW client_encoding").await, "UTF8");
        assert_eq!(b.value("SHOW standard_conforming_strings").await, "off");
        assert_eq!(c.value("SHOW standard_conforming_strings").await, "on");
        assert_eq!(a.value("SHOW IntervalStyle").await, "iso_8601");
        assert_eq!(c.value("SHOW IntervalStyle").await, "postgres");
    }
    b.query("BEGIN").await;
    b.query("SET application_name = 'changed'").await;
    b.query("ROLLBACK").await;
    assert_eq!(a.value("SHOW application_name").await, "a");
    assert_eq!(b.value("SHOW application_name").await, "b");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_its_own_values_and_each_change() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let status = |frames: &[(u8, Vec<u8>)], name: &str| {
        let prefix = [name.as_bytes(), &[0]].concat();
        let found = frames.iter().filter(|(tag, body)| *tag == b'S' && body.starts_with(&prefix));
        found
            .map(|(_, body)| String::from_utf8_lossy(&body[prefix.len()..body.len() - 1]).into_owned())
            .collect::<Vec<_>>()
    };
    for _ in 0..2 {
        let mut raw = bouncer.raw().await;
        raw.startup(&[("user", "postgres"), ("database", "postgres"), ("application_name", "me")]).await;
        let frames = raw.until_ready().await;
        assert_eq!(status(&frames, "application_name"), ["me"]);
        assert_eq!(status(&frames, "server_version").len(), 1);
        let frames = raw.query("SET application_name = 'you'").await;
        assert_eq!(status(&frames, "application_name"), ["you"]);
    }
    // What the pooler sets for a client is not told to it again.
    let mut a = session(&bouncer, &[("application_name", "a")]).await;
    let mut b = session(&bouncer, &[("application_name", "b")]).await;
    for _ in 0..3 {
        assert_eq!(tags(&a.query("SELECT 1").await), "TDCZ");
        assert_eq!(tags(&b.query("SELECT 1").await), "TDCZ");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn discard_all_takes_the_parameters_back() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut a = session(&bouncer, &[]).await;
    let mut b = session(&bouncer, &[("application_name", "b")]).await;
    a.query("SET application_name = 'a'").await;
    assert_eq!(b.value("SHOW application_name").await, "b");
    a.query("DISCARD ALL").await;
    assert_eq!(a.value("SHOW application_name").await, "");
    assert_eq!(b.value("SHOW application_name").await, "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn startup_options_are_parsed() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    for options in [
        "-c application_name=x\\ y",
        "-capplication_name=x\\ y",
        "--application_name=x\\ y",
        "  -c  application_name=x\\ y ",
    ] {
        let mut raw = session(&bouncer, &[("options", options)]).await;
        assert_eq!(raw.value("SHOW application_name").await, "x y", "{options}");
    }
    let mut raw = session(&bouncer, &[("options", "-c datestyle=German -c timezone=UTC")]).await;
    assert_eq!(raw.value("SHOW datestyle").await, "German, DMY");
    for (options, sentence) in [
        ("-c work_mem=1MB", "unsupported startup parameter in options: work_mem"),
        (
            "-B 100",
            "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
        ),
        (
            "-c nonsense",
            "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
        ),
    ] {
        let mut raw = bouncer.raw().await;
        raw.startup(&[("user", "postgres"), ("database", "postgres"), ("options", options)]).await;
        raw.is_refused(sentence).await;
    }
    let mut raw = bouncer.raw().await;
    raw.startup(&[("user", "postgres"), ("database", "postgres"), ("extra_float_digits", "3")]).await;
    raw.is_refused("unsupported startup parameter: extra_float_digits").await;
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_startup_parameters_are_dropped() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "ignore_startup_parameters = extra_float_digits, options").await;
    let options = "-c work_mem=1MB -c application_name=known";
    let mut raw = session(&bouncer, &[("Extra_Float_Digits", "3"), ("options", options)]).await;
    assert_eq!(raw.value("SHOW application_name").await, "known", "known ones still apply");
    assert_ne!(raw.value("SHOW work_mem").await, "1MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn further_parameters_are_tracked_on_request() {
    let pg = postgres().await;
    let bouncer =
        Bouncer::on(&pg, "default_pool_size = 1\ntrack_extra_parameters = IntervalStyle, Search_Path").await;
    let mut a = session(&bouncer, &[("search_path", "one")]).await;
    // PostgreSQL reports search_path from version 18 on only, so the client's start decides for older ones.
    assert_eq!(a.value("SHOW search_path").await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_set_parameters_of_their_servers() {
    let pg = postgres().await;
    let own = "client_encoding=LATIN1 datestyle='German' timezone='Asia/Tokyo'";
    let bouncer = Bouncer::with(&format!("postgres = {}", entry(&pg, own)), "").await;
    let mut raw = session(&bouncer, &[]).await;
    assert_eq!(raw.value("SHOW client_encoding").await, "LATIN1");
    assert_eq!(raw.value("SHOW datestyle").await, "German, DMY");
    assert_eq!(raw.value("SHOW timezone").await, "Asia/Tokyo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_server_refuses_is_an_error_of_that_client() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut good = session(&bouncer, &[]).await;
    let mut bad = session(&bouncer, &[("timezone", "Nowhere/Atall")]).await;
    bad.send_query("SELECT 1").await;
    let frames = bad.until_closed().await;
    let (_, message) = error_of(frames.last().unwrap());
    assert!(message.contains("Nowhere/Atall") || message.contains("server conn crashed"), "{message}");
    assert_eq!(good.value("SELECT 1").await, "1");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_for_a_client_is_in_the_log_and_its_spelling_is_learned_once() {
    let pg = postgres().await;
    let seen = Seen::on(&pg, "default_pool_size = 1").await;
    let ask = async |verbose: &str, options: &str| {
        seen.console.simple_query(&format!("SET verbose = {verbose}")).await.unwrap();
        let mut raw = seen.raw().await;
        raw.startup(&[("user", "postgres"), ("database", "postgres"), ("options", options)]).await;
        raw.until_ready().await;
        for _ in 0..3 {
            raw.query("SELECT 1").await;
        }
    };
    ask("0", "-c DateStyle=ISO").await;
    assert_eq!(seen.lines("varcache_"), 0, "{}", seen.log());
    for (round, verbose) in ["1", "2", "3"].iter().enumerate() {
        ask(verbose, "-c DateStyle=ISO").await;
        let log = seen.log();
        let applied = log.lines().filter_map(|line| line.split_once("varcache_apply: "));
        assert_eq!(
            applied.filter(|(_, sql)| sql.contains("SET DateStyle='ISO'")).count(),
            round + 1,
            "{log}"
        );
        let line = "varcache_set_canonical: setting DateStyle to its canonical version ISO -> ISO, MDY";
        assert_eq!(seen.lines(line), round + 1, "{log}");
    }
    // Where the server tells the new value it is learned as well.
    ask("1", "-c DateStyle=German").await;
    let line = "varcache_set_canonical: setting DateStyle to its canonical version German -> German, DMY";
    assert_eq!(seen.lines(line), 1, "{}", seen.log());
    assert_eq!(seen.lines("SET DateStyle='German'"), 1, "{}", seen.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_application_name_is_a_value_too() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, "application_name=servers"));
    let bouncer = Bouncer::with(&databases, "default_pool_size = 1").await;
    let mut none = session(&bouncer, &[]).await;
    let mut empty = session(&bouncer, &[("application_name", "")]).await;
    let mut named = session(&bouncer, &[("application_name", "named")]).await;
    for _ in 0..2 {
        assert_eq!(named.value("SHOW application_name").await, "named");
        assert_eq!(empty.value("SHOW application_name").await, "");
        assert_eq!(none.value("SHOW application_name").await, "servers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_read_as_postgresql_reads_them() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1\nignore_startup_parameters = work_mem").await;
    for (options, name) in [
        ("-c application_name=one", "one"),
        ("-capplication_name=two", "two"),
        ("--application_name=three", "three"),
        ("-c APPLICATION_NAME=four", "four"),
        ("\t -c\tapplication_name=five\n", "five"),
        ("-c application_name=a\\ b", "a b"),
        ("-c application_name=a\\\\b", "a\\b"),
        ("-c application_name=it's", "it's"),
        ("-c application_name=a=b", "a=b"),
        ("-c work_mem=1MB -c application_name=six --work_mem=2MB", "six"),
        ("-c application_name=first -c application_name=last", "last"),
        ("-c application_name=", ""),
    ] {
        let mut raw = session(&bouncer, &[("options", options)]).await;
        assert_eq!(raw.value("SHOW application_name").await, name, "{options:?}");
    }
    let syntax = "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed";
    for (options, sentence) in [
        ("-c", syntax),
        ("-c application_name", syntax),
        ("-d 5", syntax),
        ("application_name=x", syntax),
        ("-c application_name=x -e", syntax),
        ("--nonsense", syntax),
        ("-c nonsense=1", "unsupported startup parameter in options: nonsense"),
        ("--geqo=off", "unsupported startup parameter in options: geqo"),
    ] {
        let mut raw = bouncer.raw().await;
        raw.startup(&[("user", "postgres"), ("database", "postgres"), ("options", options)]).await;
        raw.is_refused(sentence).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_pkt_buf_serves_long_packets_of_both_sides() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let query = format!("connect_query='SELECT length($${}$$)'", "y".repeat(3000));
    let databases = format!("postgres = {}", entry(&pg, &query));
    let settings = "pkt_buf = 75\nauth_type = scram-sha-256\nignore_startup_parameters = nonsense";
    let bouncer = Bouncer::with(&databases, settings).await;
    let options = format!("--nonsense={}", "x".repeat(2000));
    let conninfo = format!("{} password=secret options='{options}'", bouncer.conninfo("alice", "postgres"));
    let client = crate::support::connect(&conninfo).await.unwrap();
    let long = "z".repeat(50_000);
    let row = client.query_one("SELECT $1::text, current_user::text", &[&long]).await.unwrap();
    assert_eq!((row.get::<_, String>(0), row.get::<_, String>(1)), (long, "alice".to_owned()));
}
