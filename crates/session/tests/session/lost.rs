//! A server of a cluster is lost: what the client is told, and that its session goes on with one ReadyForQuery for
//! each of its requests (DESIGN.md section 8).

use std::collections::HashSet;

use howdah_session::{PoolMode, RouteMode};
use proptest::prelude::*;

use crate::wire::{Say, frames, short};
use crate::world::{End, Pieces, Setup, World};

fn say() -> Say {
    Say::default()
}

/// Everything on the primary, where only reads are tried again.
fn primary() -> Setup {
    Setup { cluster: Some(RouteMode::Primary), replicas: 0, ..Setup::cluster() }
}

/// The words are on their way when the server dies before it reads them.
fn in_flight(world: &mut World, words: Say) -> String {
    world.servers_read = false;
    world.say(0, words);
    world.settle();
    world.crash(0);
    world.settle();
    world.servers_read = true;
    world.settle();
    world.heard(0)
}

/// The session goes on as if nothing had been.
fn goes_on(world: &mut World) {
    assert_eq!(world.ask(say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
    assert_eq!(world.ask(say().run("select 1").sync()), "1 2 D(select 1|10) C(SELECT 1) Z(I)");
    assert_eq!(world.server_of(0), None);
    assert!(!world.clients[0].session.is_local());
    assert_eq!(world.clients[0].end, None);
}

#[test]
fn a_commit_that_no_standby_has_is_not_answered_as_a_success() {
    for (words, answer) in [
        (say().query("insert alone"), "E(08007) Z(I)"),
        (say().query("insert alone").query("insert b"), "E(08007) Z(I) C(INSERT) Z(I)"),
        // Sync is what commits.
        (say().run("insert alone").sync(), "1 2 C(INSERT) E(08007) Z(I)"),
        (
            say().query("begin").query("insert alone").query("commit"),
            "C(BEGIN) Z(T) C(INSERT) Z(T) E(08007) Z(I)",
        ),
        (
            say().run("begin").run("insert alone").run("commit").run("select 1").sync(),
            "1 2 C(BEGIN) 1 2 C(INSERT) 1 2 E(08007) Z(I)",
        ),
        (
            say().query("begin").query("insert alone").query("rollback"),
            "C(BEGIN) Z(T) C(INSERT) Z(T) C(ROLLBACK) Z(I)",
        ),
    ] {
        primary().each(|world| {
            assert_eq!(world.ask(words.clone()), answer);
            goes_on(world);
        });
    }
    // Where Howdah promises nothing PostgreSQL's own words go through.
    Setup::default().each(|world| {
        assert_eq!(world.ask(say().query("insert alone")), "N(01000) C(INSERT) Z(I)");
    });
}

#[test]
fn a_request_in_flight_is_unknown() {
    for (words, answer) in [
        (say().query("insert a"), "E(08007) Z(I)"),
        (say().run("insert a").sync(), "E(08007) Z(I)"),
        (say().function_call(), "E(08007) Z(I)"),
        (say().parse("s", "insert a").sync(), "E(08007) Z(I)"),
        (say().run("insert a").close("x").sync(), "E(08007) Z(I)"),
        (
            say().query("insert a").run("insert b").sync().query("insert c"),
            "E(08007) Z(I) E(08007) Z(I) E(08007) Z(I)",
        ),
    ] {
        primary().each(|world| {
            assert_eq!(in_flight(world, words.clone()), answer);
            goes_on(world);
        });
    }
}

#[test]
fn a_read_in_flight_on_the_primary_runs_again() {
    let row = "T D(select 1|0) C(SELECT 1) Z(I)";
    let two = format!("{row} T D(select 2|0) C(SELECT 1) Z(I)");
    for (words, answer) in [
        (say().query("select 1"), row),
        (say().run("select 1").sync(), "1 2 D(select 1|10) C(SELECT 1) Z(I)"),
        (say().parse("s", "select 1").describe("s").sync(), "1 t T Z(I)"),
        (say().parse("s", "select 1").run_named("s").sync(), "1 2 D(select 1|10) C(SELECT 1) Z(I)"),
        (say().query("select 1").query("select 2"), two.as_str()),
        (say().query("begin read only"), "C(BEGIN) Z(T)"),
    ] {
        for setup in [primary(), Setup { cluster: Some(RouteMode::Auto), ..primary() }] {
            setup.each(|world| {
                assert_eq!(in_flight(world, words.clone()), answer);
                assert_eq!(world.clients[0].end, None);
            });
        }
    }
}

#[test]
fn only_a_read_of_which_nothing_was_seen_runs_again_and_only_once() {
    let unknown = "E(08007) Z(I)";
    let both = format!("{unknown} {unknown}");
    for (words, answer) in [
        (say().query("select 1").query("insert a"), both.as_str()),
        (say().query("insert a").query("select 1"), both.as_str()),
        (say().run("select 1").sync().run("insert a").sync(), both.as_str()),
        (say().run("select 1").run("insert a").sync(), unknown),
        (say().run("select 1").flush().sync(), unknown),
        (say().query("begin read only").query("insert a"), both.as_str()),
        (say().query("/* howdah:replica */ insert a"), unknown),
        (say().run("/* howdah:replica */ insert a").sync(), unknown),
    ] {
        primary().each(|world| {
            assert_eq!(in_flight(world, words.clone()), answer);
            assert!(world.ran(0).is_empty());
            goes_on(world);
        });
    }
    // The session's state was the server's, or may have been.
    for setup in [Setup { mode: PoolMode::Session, ..primary() }, primary()] {
        let marks = setup.mode == PoolMode::Transaction;
        setup.each(|world| {
            if marks {
                world.ask(say().query("create temp table t ()"));
            }
            assert_eq!(in_flight(world, say().query("select 1")), unknown);
        });
    }
    // A replica was preferred, and there is none.
    Setup { cluster: Some(RouteMode::PreferReplica), ..primary() }.each(|world| {
        assert_eq!(in_flight(world, say().query("insert a")), unknown);
        assert!(world.ran(0).is_empty());
    });
    primary().each(|world| {
        world.servers_read = false;
        world.say(0, say().query("select 1"));
        for _ in 0..2 {
            world.settle();
            world.crash(0);
        }
        world.servers_read = true;
        world.settle();
        assert_eq!(world.heard(0), unknown);
        goes_on(world);
    });
}

#[test]
fn a_batch_without_its_sync_is_skipped_up_to_it() {
    primary().each(|world| {
        world.ask(say().query("begin"));
        assert_eq!(in_flight(world, say().run("insert a")), "E(40001)");
        assert_eq!(world.ask(say().run("rollback").close("x").flush().query("insert c")), "");
        assert_eq!(world.ask(say().sync()), "Z(E)");
        assert!(world.ran(0).is_empty());
        world.ask(say().query("rollback"));
        // Outside a transaction a batch is sent before its end only if it asks for answers.
        assert_eq!(in_flight(world, say().run("insert a").flush()), "E(08007)");
        assert_eq!(world.ask(say().run("insert b").close("x").flush().query("insert c")), "");
        assert_eq!(world.ask(say().sync()), "Z(I)");
        assert!(world.ran(0).is_empty());
        goes_on(world);
    });
}

#[test]
fn a_name_that_was_parsed_in_flight_is_not_remembered() {
    primary().each(|world| {
        in_flight(world, say().parse("s", "insert a").sync());
        assert_eq!(world.ask(say().parse("s", "select 1").sync()), "1 Z(I)");
        in_flight(world, say().run("insert a").close("s").sync());
        assert_eq!(world.ask(say().run_named("s").sync()), "2 D(select 1|10) C(SELECT 1) Z(I)");
    });
}

#[test]
fn a_set_of_our_own_has_no_answer_for_the_client() {
    Setup { clients: 0, ..primary() }.each(|world| {
        world.add_client(&[("TimeZone", "Here")]);
        assert_eq!(in_flight(world, say().query("insert a")), "E(08007) Z(I)");
        assert_eq!(world.ask(say().query("show TimeZone")), "T D(Here) C(SELECT 1) Z(I)");
    });
}

#[test]
fn a_transaction_in_flight_is_gone() {
    for (words, answer) in [
        (say().query("insert a"), "E(40001) Z(E)"),
        (say().run("insert a").sync(), "E(40001) Z(E)"),
        (say().run("insert a").sync().query("insert b"), "E(40001) Z(E) E(25P02) Z(E)"),
    ] {
        primary().each(|world| {
            world.ask(say().query("begin"));
            assert_eq!(in_flight(world, words.clone()), answer);
            assert_eq!(world.ask(say().query("select 1")), "E(25P02) Z(E)");
            assert_eq!(world.ask(say().run("select 1").sync()), "E(25P02) Z(E)");
            assert_eq!(world.ask(say().query("rollback")), "C(ROLLBACK) Z(I)");
            goes_on(world);
        });
    }
}

#[test]
fn a_close_in_flight_is_not_where_the_loss_of_a_transaction_is_told() {
    for (words, answer, next) in [
        (say().close("s").sync(), "3 Z(E)", "E(40001) Z(E)"),
        (say().close("s").sync().query("insert b"), "3 Z(E) E(40001) Z(E)", "E(25P02) Z(E)"),
        (say().close("s").run("insert a").sync(), "3 E(40001) Z(E)", "E(25P02) Z(E)"),
    ] {
        primary().each(|world| {
            world.ask(say().parse("s", "select 1").sync().query("begin"));
            assert_eq!(in_flight(world, words.clone()), answer);
            assert_eq!(world.ask(say().query("insert c")), next);
            assert_eq!(world.ask(say().query("rollback")), "C(ROLLBACK) Z(I)");
            // It was closed: its name is free.
            assert_eq!(world.ask(say().parse("s", "select 1").sync()), "1 Z(I)");
            goes_on(world);
        });
    }
}

#[test]
fn a_commit_in_flight_is_unknown_however_it_was_sent() {
    let unknown = "E(08007) Z(I)";
    for (before, words, answer) in [
        (say(), say().query("commit"), unknown.to_owned()),
        (say(), say().query("insert a; commit; begin"), unknown.to_owned()),
        (say(), say().run("commit").sync(), unknown.to_owned()),
        (say(), say().query("insert a").query("commit"), format!("{unknown} {unknown}")),
        // Parsed in one batch and run in another.
        (say().parse("", "commit").sync(), say().bind("").execute().sync(), unknown.to_owned()),
        (say().parse("c", "commit").sync(), say().run_named("c").sync(), unknown.to_owned()),
        // A portal of an earlier batch of the transaction.
        (say().parse("", "commit").bind("").sync(), say().execute().sync(), unknown.to_owned()),
        (say(), say().query("commit and chain"), unknown.to_owned()),
    ] {
        primary().each(|world| {
            world.ask(say().query("begin").query("insert a"));
            assert_eq!(world.ask(before.clone()).matches('E').count(), 0);
            assert_eq!(in_flight(world, words.clone()), answer);
            goes_on(world);
        });
    }
}

#[test]
fn a_whole_transaction_in_flight_is_unknown() {
    primary().each(|world| {
        // BEGIN was answered, the rest was not.
        world.servers_heard = false;
        world.ask(say().query("begin"));
        world.servers_read = false;
        world.say(0, say().query("insert a").query("commit"));
        world.settle();
        world.crash(0);
        world.servers_heard = true;
        world.settle();
        world.servers_read = true;
        world.settle();
        assert_eq!(world.heard(0), "C(BEGIN) Z(T) E(08007) Z(I) E(08007) Z(I)");
        goes_on(world);
    });
}

#[test]
fn a_statement_behind_commit_and_chain_is_gone_with_the_new_transaction() {
    primary().each(|world| {
        world.ask(say().query("begin").query("commit and chain"));
        assert_eq!(in_flight(world, say().query("insert a")), "E(40001) Z(E)");
        assert_eq!(world.ask(say().query("rollback")), "C(ROLLBACK) Z(I)");
        goes_on(world);
    });
}

#[test]
fn a_client_that_was_idle_in_its_transaction_is_told_at_its_next_statement() {
    for (words, answer) in [
        (say().query("select 1"), "E(40001) Z(E)"),
        (say().run("select 1").sync(), "E(40001) Z(E)"),
        (say().sync().query("select 1"), "Z(E) E(40001) Z(E)"),
        (say().query("rollback; select 1"), "E(40001) Z(E)"),
        (say().query("rollback and chain"), "E(40001) Z(E)"),
        (say().query("commit and chain"), "E(40001) Z(E)"),
        (say().function_call(), "E(40001) Z(E)"),
    ] {
        primary().each(|world| {
            world.ask(say().query("begin").query("insert a"));
            world.crash(0);
            world.settle();
            assert_eq!(world.heard(0), "");
            assert_eq!(world.ask(words.clone()), answer);
            assert_eq!(world.ask(say().query("select 1")), "E(25P02) Z(E)");
            assert_eq!(world.ask(say().run("rollback").sync()), "1 2 C(ROLLBACK) Z(I)");
            goes_on(world);
        });
    }
}

#[test]
fn a_commit_of_a_lost_transaction_does_not_look_like_success() {
    for (words, answer) in [
        (say().query("commit"), "E(40001) Z(I)"),
        (say().run("commit").sync(), "1 2 E(40001) Z(I)"),
        (say().parse("c", "commit").describe("c").run_named("c").sync(), "1 t n 2 E(40001) Z(I)"),
        (say().query("rollback"), "C(ROLLBACK) Z(I)"),
        (say().run("rollback").run("select 1").sync(), "1 2 C(ROLLBACK) E(25P02) Z(I)"),
    ] {
        primary().each(|world| {
            world.ask(say().query("begin").query("insert a"));
            world.crash(0);
            world.settle();
            assert_eq!(world.ask(words.clone()), answer);
            goes_on(world);
        });
    }
}

#[test]
fn a_transaction_that_had_failed_before_is_no_news() {
    primary().each(|world| {
        world.ask(say().query("begin").query("select fail"));
        world.crash(0);
        world.settle();
        assert_eq!(world.ask(say().query("select 1")), "E(25P02) Z(E)");
        assert_eq!(world.ask(say().query("commit")), "C(ROLLBACK) Z(I)");
        goes_on(world);
    });
}

#[test]
fn names_are_kept_in_a_lost_transaction() {
    primary().each(|world| {
        world.ask(say().parse("old", "select 1").parse("end", "rollback").sync());
        world.ask(say().query("begin"));
        assert_eq!(in_flight(world, say().query("insert a")), "E(40001) Z(E)");
        assert_eq!(world.ask(say().parse("new", "select 2").sync()), "E(25P02) Z(E)");
        assert_eq!(world.ask(say().close("old").close("never").sync()), "3 3 Z(E)");
        assert_eq!(world.ask(say().parse("c", "commit").sync()), "1 Z(E)");
        assert_eq!(world.ask(say().run_named("end").sync()), "2 C(ROLLBACK) Z(I)");
        assert_eq!(
            world.ask(say().parse("old", "select 3").run_named("old").sync()),
            "1 2 D(select 3|10) C(SELECT 1) Z(I)"
        );
        assert_eq!(
            world.ask(say().run_named("c").sync()),
            "2 C(ROLLBACK) Z(I)".replace("ROLLBACK", "COMMIT")
        );
        goes_on(world);
    });
}

#[test]
fn a_batch_that_was_flushed_and_not_synced_is_not_forgotten_in_silence() {
    for (words, answer) in [
        (say().sync(), "E(08007) Z(I)"),
        (say().run("insert b").sync(), "E(08007) Z(I)"),
        (say().close("x").sync(), "3 E(08007) Z(I)"),
    ] {
        primary().each(|world| {
            assert_eq!(world.ask(say().run("insert a").flush()), "1 2 C(INSERT)");
            world.crash(0);
            world.settle();
            assert_eq!(world.ask(words.clone()), answer);
            assert!(world.ran(0).is_empty());
            goes_on(world);
        });
    }
}

#[test]
fn an_error_is_followed_by_no_second_one() {
    primary().each(|world| {
        assert_eq!(world.ask(say().run("select fail").flush()), "1 2 E(22012)");
        world.crash(0);
        world.settle();
        assert_eq!(world.ask(say().run("insert a").sync()), "Z(I)");
        goes_on(world);
    });
    // The server had said ReadyForQuery, too, but that was lost.
    for words in [say().query("bad"), say().parse("", "bad").sync()] {
        let mut world = World::new(primary());
        world.servers_heard = false;
        world.ask(words);
        let all = world.unheard(0);
        world.backend(0).output.truncate(all - 6);
        world.crash(0);
        world.servers_heard = true;
        world.settle();
        assert_eq!(world.heard(0), "E(42601) Z(I)");
        goes_on(&mut world);
    }
}

#[test]
fn half_a_short_row_is_not_passed_on_and_half_a_long_one_ends_the_client() {
    for cut in 40..120 {
        let mut world = World::new(primary());
        world.servers_heard = false;
        world.ask(say().query("select rows 3 40"));
        world.backend(0).output.truncate(cut);
        world.crash(0);
        world.servers_heard = true;
        world.settle();
        let answer = world.heard(0);
        assert!(answer.starts_with('T') && answer.ends_with("E(08007) Z(I)"), "{answer}");
        goes_on(&mut world);
    }
    let mut world = World::new(primary());
    world.servers_heard = false;
    world.ask(say().query("select rows 1 100000"));
    world.backend(0).output.truncate(30_000);
    world.crash(0);
    world.servers_heard = true;
    world.settle();
    assert_eq!(world.clients[0].end, Some(End::HalfRow));
}

#[test]
fn a_copy_in_flight_is_unknown_and_its_data_are_dropped() {
    primary().each(|world| {
        assert_eq!(world.ask(say().query("copy t from stdin").copy_data(b"1")), "G");
        world.crash(0);
        world.settle();
        assert_eq!(world.heard(0), "E(08007) Z(I)");
        assert_eq!(world.ask(say().copy_data(b"2").copy_done()), "");
        goes_on(world);
        assert_eq!(world.ask(say().run("copy t from stdin").sync().copy_data(b"1")), "1 2 G");
        world.crash(0);
        world.settle();
        assert_eq!(world.heard(0), "E(08007)");
        assert_eq!(world.ask(say().copy_data(b"2").copy_done().sync()), "Z(I)");
        goes_on(world);
    });
}

#[test]
fn the_rest_of_a_message_that_was_begun_is_dropped() {
    let mut world = World::new(Setup { pieces: Pieces::Of(1_000), ..primary() });
    world.ask(say().query("copy t from stdin"));
    let row = say().copy_data(&[b'x'; 50_000]).copy_done().0;
    world.say(0, Say(row[..20_000].to_vec()));
    world.settle();
    assert!(world.clients[0].session.is_mid_frame());
    world.crash(0);
    world.settle();
    assert_eq!(world.heard(0), "E(08007) Z(I)");
    world.say(0, Say(row[20_000..].to_vec()));
    goes_on(&mut world);
}

#[test]
fn a_server_that_ends_politely_is_not_heard() {
    primary().each(|world| {
        // Idle in a transaction.
        world.ask(say().query("begin"));
        world.backend(0).shut_down();
        world.settle();
        assert_eq!(world.heard(0), "");
        assert_eq!(world.ask(say().query("commit")), "E(40001) Z(I)");
        // Right behind an answer.
        world.servers_heard = false;
        world.ask(say().query("begin").query("select 1"));
        world.backend(0).shut_down();
        world.servers_heard = true;
        world.settle();
        assert_eq!(world.heard(0), "C(BEGIN) Z(T) T D(select 1|0) C(SELECT 1) Z(T)");
        assert_eq!(world.ask(say().query("rollback")), "C(ROLLBACK) Z(I)");
        goes_on(world);
    });
}

#[test]
fn a_batch_that_nobody_can_serve_is_refused_and_the_session_goes_on() {
    let refused = "E(57P03) Z(I)";
    for (words, answer) in [
        (say().query("insert a"), refused),
        (say().run("insert a").sync(), refused),
        (say().parse("s", "insert a").sync(), refused),
        (say().function_call(), refused),
        (say().sync(), refused),
    ] {
        Setup { clients: 2, ..primary() }.each(|world| {
            world.ask_as(1, say().query("begin"));
            assert_eq!(world.ask(words.clone()), "");
            world.refuse(0);
            world.settle();
            assert_eq!(world.heard(0), answer);
            world.ask_as(1, say().query("commit"));
            goes_on(world);
        });
    }
    // Only the beginning is there.
    let mut world = World::new(Setup { clients: 2, pieces: Pieces::Of(1 << 20), ..primary() });
    world.ask_as(1, say().query("begin"));
    let long = say().query(&format!("insert {}", "x".repeat(100_000))).0;
    world.say(0, Say(long[..70_000].to_vec()));
    world.settle();
    world.refuse(0);
    world.settle();
    assert_eq!(world.heard(0), refused);
    world.say(0, Say(long[70_000..].to_vec()));
    world.settle();
    world.ask_as(1, say().query("commit"));
    goes_on(&mut world);
    assert!(world.ran(0).iter().all(|text| !text.starts_with("insert")));
}

/// A request with one ReadyForQuery as its answer.
#[derive(Debug, Clone, Copy)]
enum Request {
    Begin,
    Insert,
    InsertExtended,
    Read,
    ReadNamed,
    Commit,
    CommitExtended,
    Rollback,
    Fail,
    Copy,
    CopyExtended,
}

fn request() -> impl Strategy<Value = Request> {
    use Request::*;
    prop::sample::select(vec![
        Begin,
        Begin,
        Insert,
        Insert,
        InsertExtended,
        Read,
        Read,
        ReadNamed,
        Commit,
        Commit,
        CommitExtended,
        Rollback,
        Fail,
        Copy,
        CopyExtended,
    ])
}

fn words(request: Request, number: usize) -> Say {
    let insert = format!("insert {number}");
    match request {
        Request::Begin => say().query("begin"),
        Request::Insert => say().query(&insert),
        Request::InsertExtended => say().run(&insert).sync(),
        Request::Read => say().query("select 1"),
        Request::ReadNamed => say().run_named("s").sync(),
        Request::Commit => say().query("commit"),
        Request::CommitExtended => say().run("commit").sync(),
        Request::Rollback => say().query("rollback"),
        Request::Fail => say().query("select fail"),
        Request::Copy => say().query("copy t from stdin").copy_data(b"1").copy_data(&[b'x'; 200]).copy_done(),
        Request::CopyExtended => {
            say().run("copy picky from stdin").copy_data(b"1").copy_data(b"2").copy_done().sync()
        }
    }
}

/// The answers, cut behind each ReadyForQuery.
fn by_request(seen: &[u8]) -> Vec<String> {
    let (found, length) = frames(seen);
    assert_eq!(length, seen.len(), "half a frame");
    let all: Vec<String> = found.iter().map(|(tag, body)| short(*tag, body)).collect();
    let mut groups: Vec<String> =
        all.split_inclusive(|word| word.starts_with('Z')).map(|group| group.join(" ")).collect();
    if groups.last().is_some_and(|last| !last.contains('Z')) {
        groups.push("no end".to_owned());
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// What the client may believe is true: nothing that was acknowledged is lost, nothing that is said to be gone is there.
fn is_true(requests: &[(usize, Request)], answers: &[String], committed: &HashSet<String>) {
    // Inserts of the open transaction.
    let mut open: Option<Vec<usize>> = None;
    for ((number, request), answer) in requests.iter().zip(answers) {
        let there = |number: usize| committed.contains(&format!("insert {number}"));
        let is_insert = matches!(request, Request::Insert | Request::InsertExtended);
        if is_insert && answer.contains("C(INSERT)") && !answer.contains("E(") {
            match &mut open {
                Some(open) => open.push(*number),
                None => assert!(there(*number), "insert {number} was acknowledged and is lost"),
            }
        }
        if is_insert && (answer.contains("E(40001)") || answer.contains("E(25P02)")) {
            assert!(!there(*number), "insert {number} was said to be gone and is there");
        }
        if answer.contains("C(COMMIT)") {
            for number in open.take().unwrap_or_default() {
                assert!(there(number), "insert {number} was committed and is lost");
            }
        }
        if answer.contains("E(40001)") || answer.contains("C(ROLLBACK)") {
            for number in open.take().unwrap_or_default() {
                assert!(!there(number), "insert {number} was said to be gone and is there");
            }
        }
        open = match answer.as_bytes().get(answer.len() - 2) {
            Some(b'I') => None,
            _ => Some(open.unwrap_or_default()),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Servers die at any moment, with and without a word: each request is answered by one ReadyForQuery, what the
    /// client is told is true, and the session goes on.
    #[test]
    fn sessions_survive_their_servers(
        clients in prop::collection::vec(prop::collection::vec(request(), 1..25), 1..4),
        primaries in 1_usize..3,
        replicas in 0_usize..3,
        crashes in prop_oneof![Just(0.001), Just(0.01), Just(0.05)],
        at_once in any::<bool>(),
        promotes in any::<bool>(),
        piece in prop_oneof![Just(Pieces::Any), Just(Pieces::Of(1 << 20)), Just(Pieces::Of(5))],
        seed in any::<u64>(),
    ) {
        let setup = Setup { clients: clients.len(), primaries, replicas, pieces: piece, seed, ..Setup::cluster() };
        let mut world = World::new(setup.promoting(promotes));
        let mut said = vec![Vec::new(); clients.len()];
        for client in 0..clients.len() {
            world.ask_as(client, say().parse("s", "select 1").sync());
        }
        world.crashes = crashes;
        let mut number = 0;
        for (client, requests) in clients.iter().enumerate() {
            for request in requests {
                number += 1;
                said[client].push((number, *request));
                world.say(client, words(*request, number));
                if !at_once {
                    world.settle();
                }
            }
            said[client].push((0, Request::Rollback));
            world.say(client, words(Request::Rollback, 0));
        }
        world.settle();
        world.crashes = 0.0;
        let committed: HashSet<String> = world.all_committed();
        for (client, said) in said.iter().enumerate() {
            prop_assert_eq!(&world.clients[client].end, &None);
            let answers = by_request(&std::mem::take(&mut world.clients[client].seen));
            prop_assert_eq!(answers.len(), said.len(), "{:?}", answers);
            is_true(said, &answers, &committed);
        }
        for client in 0..clients.len() {
            let answer = world.ask_as(client, say().query("rollback").query("select 1").run_named("s").sync());
            let rows = "D(select 1|0) C(SELECT 1) Z(I)";
            let named = "2 D(select 1|10) C(SELECT 1) Z(I)";
            prop_assert_eq!(answer, format!("C(ROLLBACK) Z(I) T {rows} {named}"));
        }
    }
}
