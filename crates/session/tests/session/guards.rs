//! `client_min_messages` and `synchronous_commit` where Howdah promotes: the server always says when a commit is on no
//! standby, the client hears what it wants to hear, and both parameters follow their client (FAILOVER_PROTOCOL.md
//! section 9).

use howdah_session::{Acknowledgements, Commit, Guards, Level, PoolMode, RouteMode};

use crate::wire::Say;
use crate::world::{Setup, World};

fn say() -> Say {
    Say::default()
}

const NOTICES: &str = "N(00000) N(00000) N(00000)";

/// A primary of a cluster where Howdah promotes, whose sessions begin at this level.
fn primary(level: Level) -> Setup {
    let guards = Some(Guards { level, commit: Commit::On });
    Setup { cluster: Some(RouteMode::Primary), replicas: 0, guards, ..Setup::cluster() }
}

fn hears_notices(world: &mut World, client: usize) -> bool {
    let answer = world.ask_as(client, say().query("select 1 from noisy"));
    assert!(answer.ends_with("D(select 1 from noisy|0) C(SELECT 1) Z(I)"), "{answer}");
    answer.contains(NOTICES)
}

/// A commit that is on no standby is told as such.
fn is_told(world: &mut World, client: usize) {
    assert_eq!(world.ask_as(client, say().query("insert alone")), "E(08007) Z(I)");
    assert_eq!(world.ask_as(client, say().run("insert alone").sync()), "1 2 C(INSERT) E(08007) Z(I)");
    let words = say().query("begin").query("insert alone").query("commit");
    assert_eq!(world.ask_as(client, words), "C(BEGIN) Z(T) C(INSERT) Z(T) E(08007) Z(I)");
}

fn shown(world: &mut World, client: usize) -> String {
    let answer = world.ask_as(client, say().query("show client_min_messages"));
    let (_, value) = answer.split_once("SELECT '").unwrap_or_else(|| panic!("{answer}"));
    value.split('\'').next().unwrap().to_owned()
}

#[test]
fn a_client_that_wants_errors_only_is_told_of_a_commit_that_no_standby_has() {
    for words in [
        say().query("set client_min_messages = error"),
        say().query("SET client_min_messages='ERROR'"),
        say().run("set client_min_messages = error").sync(),
        say().parse("s", "set client_min_messages = error").run_named("s").sync(),
    ] {
        primary(Level::Notice).each(|world| {
            world.ask(words.clone());
            assert!(!world.ran(0).iter().any(|text| text.to_lowercase().contains("= error")));
            is_told(world, 0);
            assert!(!hears_notices(world, 0));
            assert_eq!(shown(world, 0), "error");
            assert_eq!(world.backend(0).param("client_min_messages"), "warning");
        });
    }
}

#[test]
fn the_level_has_the_life_of_a_setting() {
    primary(Level::Notice).each(|world| {
        let words = "C(BEGIN) Z(T) C(SET) Z(T) C(ROLLBACK) Z(I)";
        let set = "set client_min_messages = error";
        assert_eq!(world.ask(say().query("begin").query(set).query("rollback")), words);
        assert_eq!(shown(world, 0), "notice");
        assert!(hears_notices(world, 0));
        world.ask(say().query("begin").query("set local client_min_messages = error"));
        assert_eq!(shown(world, 0), "error");
        world.ask(say().query("insert alone"));
        assert_eq!(world.ask(say().query("commit")), "E(08007) Z(I)");
        assert_eq!(shown(world, 0), "notice");
        for reset in ["reset client_min_messages", "discard all"] {
            world.ask(say().query("begin").query(set).query("commit"));
            assert_eq!(shown(world, 0), "error");
            assert!(!hears_notices(world, 0));
            world.ask(say().query(reset));
            assert_eq!(shown(world, 0), "notice", "{reset}");
            assert!(hears_notices(world, 0), "{reset}");
        }
        // What failed has set nothing.
        world.ask(say().query("set client_min_messages = nonsense"));
        assert_eq!(shown(world, 0), "notice");
    });
}

#[test]
fn each_client_hears_what_it_wants_on_the_same_server() {
    Setup { clients: 2, ..primary(Level::Notice) }.each(|world| {
        let loud = world.add_client_at(Level::Debug1);
        let quiet = world.add_client_at(Level::Error);
        for _ in 0..2 {
            world.ask_as(0, say().query("set client_min_messages = warning"));
            assert!(!hears_notices(world, 0));
            assert!(hears_notices(world, 1));
            assert!(!hears_notices(world, quiet));
            assert!(hears_notices(world, loud));
            assert!(!hears_notices(world, 0));
            for client in 0..4 {
                is_told(world, client);
            }
        }
        assert_eq!(
            [0, 1, quiet, loud].map(|client| shown(world, client)),
            ["warning", "notice", "error", "debug1"]
        );
    });
}

#[test]
fn a_level_that_something_else_has_raised_is_lowered_before_the_next_commit() {
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        Setup { mode, ..primary(Level::Notice) }.each(|world| {
            assert_eq!(world.ask(say().query("call quiet")), "C(CALL) Z(I)");
            is_told(world, 0);
            assert_eq!(
                world.ask(say().query("begin").query("call quiet").query("insert alone").query("commit")),
                "C(BEGIN) Z(T) C(CALL) Z(T) C(INSERT) Z(T) E(08007) Z(I)"
            );
            world.ask(say().query("begin").query("call quiet").query("rollback"));
            is_told(world, 0);
            assert!(hears_notices(world, 0));
            // In one pipeline, and after a transaction that failed in it.
            world.ask(say().query("call quiet").query("begin").query("bad").query("commit"));
            is_told(world, 0);
            assert_eq!(
                world.ask(say().query("call quiet").query("insert alone").query("insert alone")),
                "C(CALL) Z(I) E(08007) Z(I) E(08007) Z(I)"
            );
        });
    }
}

#[test]
fn a_role_that_wants_errors_only_is_told_too() {
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        Setup { mode, ..primary(Level::Error) }.each(|world| {
            for words in
                ["select 1", "discard all", "reset client_min_messages", "set client_min_messages to default"]
            {
                world.ask(say().query(words));
                is_told(world, 0);
                assert!(!hears_notices(world, 0));
                assert_eq!(shown(world, 0), "error");
            }
            world.ask(say().query("set client_min_messages = notice"));
            assert!(hears_notices(world, 0));
        });
    }
}

#[test]
fn nothing_is_added_for_those_who_set_nothing() {
    primary(Level::Notice).each(|world| {
        world.ask(say().query("begin").query("insert a").query("commit").run("select 1").sync());
        assert_eq!(world.ran(0), ["begin", "insert a", "commit", "select 1"]);
    });
}

#[test]
fn where_howdah_does_not_promote_the_level_is_the_servers() {
    Setup { cluster: Some(RouteMode::Primary), replicas: 0, ..Setup::cluster() }.each(|world| {
        world.ask(say().query("set client_min_messages = error"));
        assert_eq!(world.ran(0), ["set client_min_messages = error"]);
        assert_eq!(world.ask(say().query("show client_min_messages")), "T D(error) C(SELECT 1) Z(I)");
    });
}

#[test]
fn unprotected_commits_are_counted_and_do_not_spread() {
    Setup { clients: 2, ..primary(Level::Notice) }.each(|world| {
        let unprotected =
            |world: &World, client: usize| world.clients[client].session.is_unprotected(world.side(0));
        world.ask(say().query("set synchronous_commit = off"));
        assert!(unprotected(world, 0) && !unprotected(world, 1));
        world.ask_as(1, say().query("insert a"));
        assert_eq!(world.backend(0).param("synchronous_commit"), "on");
        assert_eq!(world.clients[1].tally.unprotected, 0);
        let before = world.clients[0].tally.unprotected;
        world.ask(say().query("insert a").query("begin").query("insert a").query("commit"));
        world.ask(say().query("select 1"));
        assert_eq!(world.backend(0).param("synchronous_commit"), "off");
        assert_eq!(world.clients[0].tally.unprotected - before, 2);
        world.ask(say().query("begin").query("set synchronous_commit = on").query("rollback"));
        assert!(unprotected(world, 0));
        world.ask(say().query("reset synchronous_commit"));
        assert!(!unprotected(world, 0));
        world.ask_as(1, say().query("begin").query("set local synchronous_commit = local").query("insert a"));
        assert!(unprotected(world, 1));
        world.ask_as(1, say().query("commit"));
        assert!(!unprotected(world, 1));
        assert_eq!(world.clients[1].tally.unprotected, 1);
    });
}

#[test]
fn unprotected_commits_are_refused_where_they_are_to_be() {
    let acknowledgements = Acknowledgements { refuse_unsafe: true, ..Acknowledgements::default() };
    Setup { acknowledgements, ..primary(Level::Notice) }.each(|world| {
        for words in [
            "set synchronous_commit = off",
            "SET SESSION synchronous_commit TO 'local'",
            "set work_mem = 1; set synchronous_commit = false",
        ] {
            assert_eq!(world.ask(say().query(words)), "E(55P02) Z(I)", "{words}");
            assert_eq!(world.ask(say().run(words).sync()), "1 2 E(55P02) Z(I)", "{words}");
        }
        assert_eq!(
            world.ask(say().query("begin").query("set local synchronous_commit = off").query("commit")),
            "C(BEGIN) Z(T) E(55P02) Z(E) C(ROLLBACK) Z(I)"
        );
        assert_eq!(world.ask(say().query("set synchronous_commit = remote_apply")), "C(SET) Z(I)");
        assert_eq!(world.backend(0).param("synchronous_commit"), "remote_apply");
    });
}
