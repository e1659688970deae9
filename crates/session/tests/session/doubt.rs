//! A commit whose answer never came: its transaction's number went with it, and the client is told what became of it
//! (FAILOVER_PROTOCOL.md section 6).

use howdah_session::{Acknowledgements, Fate, RouteMode};

use crate::wire::{Say, frames};
use crate::world::{Setup, World};

const XID: &str = "SELECT pg_catalog.pg_current_xact_id_if_assigned()";

fn say() -> Say {
    Say::default()
}

fn primary() -> Setup {
    Setup { cluster: Some(RouteMode::Primary), replicas: 0, ..Setup::cluster() }.promoting(true)
}

/// The server has read the words and answered the question; it dies before the client hears of the rest.
fn in_doubt(world: &mut World, words: Say, fate: Fate) -> String {
    world.fate = Some(fate);
    world.servers_heard = false;
    world.say(0, words);
    world.settle();
    // The row with the number, and the ReadyForQuery behind it.
    let output = world.backend(0).output.clone();
    let (found, _) = frames(&output);
    let answered = found.iter().position(|(tag, _)| *tag == b'Z').unwrap();
    world.hear(0, found[..=answered].iter().map(|(_, body)| 5 + body.len()).sum());
    world.backend(0).output.clear();
    world.crash(0);
    world.servers_heard = true;
    world.settle();
    world.heard(0)
}

fn goes_on(world: &mut World) {
    assert_eq!(world.ask(say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
    assert_eq!(world.ask(say().run("select 1").sync()), "1 2 D(select 1|10) C(SELECT 1) Z(I)");
    assert!(!world.clients[0].session.is_local());
    assert_eq!(world.clients[0].end, None);
}

#[test]
fn a_commit_in_doubt_is_told_as_what_it_was() {
    for (fate, simple, extended) in [
        (Fate::Committed, "C(COMMIT) Z(I)", "1 2 n C(COMMIT) Z(I)"),
        (Fate::Aborted, "E(40001) Z(I)", "E(40001) Z(I)"),
        (Fate::Unknown, "E(08007) Z(I)", "E(08007) Z(I)"),
    ] {
        for (words, answer) in [
            (say().query("commit"), simple),
            (say().parse("", "commit").bind("").describe_portal().execute().sync(), extended),
            (say().query("commit work"), simple),
        ] {
            primary().each(|world| {
                world.ask(say().query("begin").query("insert a"));
                assert_eq!(in_doubt(world, words.clone(), fate), answer);
                assert_eq!(std::mem::take(&mut world.doubts), [731]);
                goes_on(world);
            });
        }
    }
}

#[test]
fn what_was_said_behind_a_commit_in_doubt_is_unknown() {
    for (fate, answer) in
        [(Fate::Committed, "C(COMMIT) Z(I) E(08007) Z(I)"), (Fate::Aborted, "E(40001) Z(I) E(08007) Z(I)")]
    {
        primary().each(|world| {
            world.ask(say().query("begin").query("insert a"));
            assert_eq!(in_doubt(world, say().query("commit").query("insert b"), fate), answer);
            goes_on(world);
        });
    }
}

#[test]
fn a_name_that_was_parsed_with_a_commit_in_doubt_is_remembered() {
    primary().each(|world| {
        world.ask(say().query("begin").query("insert a"));
        let words = say().parse("c", "commit").run_named("c").sync();
        assert_eq!(in_doubt(world, words, Fate::Committed), "1 2 C(COMMIT) Z(I)");
        world.ask(say().query("begin").query("insert a"));
        assert_eq!(world.ask(say().run_named("c").sync()), "2 C(COMMIT) Z(I)");
        world.ask(say().query("begin").query("insert a"));
        assert_eq!(in_doubt(world, say().run_named("c").sync(), Fate::Committed), "2 C(COMMIT) Z(I)");
    });
}

#[test]
fn a_commit_of_which_the_number_is_not_known_is_unknown() {
    primary().each(|world| {
        // The question's answer is lost with the server.
        world.ask(say().query("begin").query("insert a"));
        world.servers_heard = false;
        world.say(0, say().query("commit"));
        world.settle();
        world.backend(0).output.clear();
        world.crash(0);
        world.servers_heard = true;
        world.settle();
        assert_eq!(world.heard(0), "E(08007) Z(I)");
        assert!(world.doubts.is_empty());
        goes_on(world);
        // Nothing was written.
        world.ask(say().query("begin").query("select 1"));
        assert_eq!(in_doubt(world, say().query("commit"), Fate::Committed), "E(08007) Z(I)");
        // There are others in its group.
        world.ask(say().query("begin").query("insert a"));
        let words = say().run("commit").run("insert b").sync();
        assert_eq!(in_doubt(world, words, Fate::Committed), "E(08007) Z(I)");
        assert!(world.doubts.is_empty());
        goes_on(world);
    });
}

#[test]
fn only_a_commit_is_preceded_by_the_question() {
    primary().each(|world| {
        world.ask(
            say().query("begin").query("insert a").query("rollback").query("insert b").run("insert c").sync(),
        );
        assert!(!world.ran(0).contains(&XID.to_owned()));
        // In the middle of a group there is no room for it.
        let words = say().run("begin").run("insert a").run("commit").sync();
        assert_eq!(world.ask(words), "1 2 C(BEGIN) 1 2 C(INSERT) 1 2 C(COMMIT) Z(I)");
        assert!(!world.ran(0).contains(&XID.to_owned()));
        // A transaction that has failed does not answer it.
        world.ask(say().query("begin").query("bad"));
        assert_eq!(world.ask(say().query("commit")), "C(ROLLBACK) Z(I)");
        // In a pipeline it is asked on the chance that a transaction is open.
        let words = say().query("begin").query("insert a").query("commit").query("commit");
        assert_eq!(world.ask(words), "C(BEGIN) Z(T) C(INSERT) Z(T) C(COMMIT) Z(I) C(COMMIT) Z(I)");
        goes_on(world);
    });
    let off = Acknowledgements::default();
    Setup { acknowledgements: off, ..primary() }.each(|world| {
        world.ask(say().query("begin").query("insert a").query("commit"));
        assert_eq!(world.ran(0), ["begin", "insert a", "commit"]);
    });
}
