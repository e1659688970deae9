//! The grammar: PgBouncer's, with its quirks, and ours.

use howdah_admin::console::command::{Action, Command, Show};
use howdah_admin::console::{ConsoleError, parse};
use proptest::prelude::*;

fn set(key: &str, value: &str) -> Command {
    Command::Set { key: key.into(), value: value.into() }
}

#[test]
fn show_in_all_its_forms() {
    for query in [
        "SHOW POOLS",
        "show pools;",
        " \t\r\nShow\n pools ; \n",
        "\"show\" \"pools\"",
        "SELECT pools",
        "show pools\0junk",
    ] {
        assert_eq!(parse(query.as_bytes()), Ok(Command::Show(Show::Pools)), "{query}");
    }
    for show in Show::ALL {
        assert_eq!(
            parse(format!("SHOW {}", show.word().to_uppercase()).as_bytes()),
            Ok(Command::Show(*show))
        );
    }
}

#[test]
fn what_is_no_command() {
    for query in [
        "",
        ";",
        " ",
        "SHOW",
        "SHOW;",
        "SHOW nonsense",
        "FROB",
        "SHOW pools; SHOW pools",
        "SHOW pools;;",
        "SHOW pools now",
        "SHOW\"pools\"",
        "SHOW po-ols",
        "RELOAD now",
        "SUSPEND now",
        "SHUTDOWN now",
        "SET",
        "SET x",
        "SET x y",
        "SET x =",
        "SET x = 1.5",
        "SET x = -1",
        "SET x = 'a",
        "SET x = \"a",
        "SETx = 1",
        "SET 'x' = 1",
        "\"SET\" x = 1",
        "SHOW \"pools",
        "FAILOVER",
        "FAILOVER main TO",
        "FAILOVER main FORCE",
        "FAILOVER main TO a TO b",
        "SWITCHOVER main x",
        "MAINTENANCE",
        "MAINTENANCE main",
        "MAINTENANCE main maybe",
        "MAINTENANCE main on off",
        "EXPLAIN",
        "EXPLAIN ROUTE",
        "EXPLAIN ROUTE  ",
        "EXPLAIN SELECT 1",
    ] {
        let expected = Err(ConsoleError::Invalid(query.into()));
        assert_eq!(parse(query.as_bytes()), expected, "{query}");
    }
    let error = parse(b"FROB x").unwrap_err();
    assert_eq!(error.to_string(), "invalid command 'FROB x', use SHOW HELP;");
}

#[test]
fn set_in_all_its_forms() {
    for (query, key, value) in [
        ("SET x = 1", "x", "1"),
        ("set x=1", "x", "1"),
        ("SET x TO on;", "x", "on"),
        ("SET x to 'a b'", "x", "a b"),
        ("SET x = 'it''s'", "x", "it's"),
        ("SET x = ''", "x", ""),
        ("SET \"a b\" = \"c \"\"d\"", "a b", "c \"d"),
        // The grammar wants no blank around TO, and takes the longest name that leaves one.
        ("SET key tovalue", "key", "value"),
        ("SET keyto value", "key", "value"),
        ("SET totoo to x", "totoo", "x"),
        ("SET to to to", "to", "to"),
        ("SET x TO'v'", "x", "v"),
    ] {
        assert_eq!(parse(query.as_bytes()), Ok(set(key, value)), "{query}");
    }
}

#[test]
fn words_have_limits() {
    let long = |n: usize| "a".repeat(n);
    let bad = Err(ConsoleError::BadArguments);
    assert_eq!(parse(format!("{} x", long(16)).as_bytes()), bad);
    assert!(matches!(parse(format!("{} x", long(15)).as_bytes()), Err(ConsoleError::Invalid(_))));
    assert_eq!(parse(format!("PAUSE {}", long(64)).as_bytes()), bad);
    assert_eq!(
        parse(format!("PAUSE {}", long(63)).as_bytes()),
        Ok(Command::Act(Action::Pause(Some(long(63)))))
    );
    // The quotes count.
    assert_eq!(parse(format!("PAUSE \"{}\"", long(62)).as_bytes()), bad);
    assert_eq!(parse(format!("SET {} = 1", long(64)).as_bytes()), bad);
    assert_eq!(parse(format!("SET x = {}", long(256)).as_bytes()), bad);
    assert_eq!(parse(format!("SET x = {}", long(255)).as_bytes()), Ok(set("x", &long(255))));
    assert_eq!(parse(b"SET \"\" = 1"), bad);
    assert_eq!(parse(b"SET \"\" = 1").unwrap_err().to_string(), "bad arguments");
}

#[test]
fn an_empty_argument_is_none() {
    assert_eq!(parse(b"PAUSE \"\""), Ok(Command::Act(Action::Pause(None))));
    assert_eq!(parse(b"RELOAD \"\""), Ok(Command::Act(Action::Reload)));
}

#[test]
fn an_error_does_not_grow_with_the_question() {
    let text = parse("é".repeat(5000).as_bytes()).unwrap_err().to_string();
    assert!(text.len() <= 1023 && text.starts_with("invalid command 'éé"), "{}", text.len());
}

#[test]
fn a_long_hostile_set_is_cheap() {
    let query = format!("SET {} x", "to".repeat(500_000));
    let began = std::time::Instant::now();
    assert!(parse(query.as_bytes()).is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn anything_like_a_command_is_answered(
        text in "(?i)(set|show|pause|failover|explain route|maintenance|kill_client)?[ \t\n;]{0,3}[a-z_\"'=é]{0,12}[ ;]{0,2}(to|=|on)?[ ]{0,2}[\"'a-z0-9;]{0,9}"
    ) {
        if let Err(error) = parse(text.as_bytes()) {
            prop_assert!(error.to_string().len() <= 1023);
        }
    }

    #[test]
    fn quoted_names_come_back(name in "[^\"\0]{1,20}") {
        prop_assume!(name.len() <= 61);
        let query = format!("PAUSE \"{name}\";");
        prop_assert_eq!(parse(query.as_bytes()), Ok(Command::Act(Action::Pause(Some(name)))));
    }
}
