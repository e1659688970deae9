//! Prepared statements by name: one name in the whole process, prepared where they are missing, forgotten and
//! remembered as the server answers (PGBOUNCER_BEHAVIOUR.md sections 10 and 17, fault 3).

use howdah_session::{Fatal, PoolMode};

use crate::wire::Say;
use crate::world::{End, Pieces, Setup, World};

fn say() -> Say {
    Say::default()
}

fn limited(max_prepared_statements: usize) -> Setup {
    Setup { max_prepared_statements, ..Setup::default() }
}

#[test]
fn texts_are_shared_under_one_name() {
    Setup { clients: 2, ..Setup::default() }.each(|world| {
        assert_eq!(world.ask(say().parse("mine", "select 1").sync()), "1 Z(I)");
        assert_eq!(world.ask_as(1, say().parse("yours", "select 1").sync()), "1 Z(I)");
        assert_eq!(world.ask_as(1, say().run_named("yours").sync()), "2 D(select 1|10) C(SELECT 1) Z(I)");
        assert_eq!(world.ran(0), ["parse PGBOUNCER_1", "select 1"]);
        assert_eq!(world.clients[1].tally.client_parses, 1);
        assert_eq!(world.clients[1].tally.server_parses, 0);
        assert_eq!(world.clients[1].tally.binds, 1);
    });
}

#[test]
fn a_server_that_lacks_a_statement_is_given_it() {
    Setup { clients: 2, primaries: 2, ..Setup::default() }.each(|world| {
        world.ask(say().parse("s", "select 1").sync());
        // The other client holds server 0.
        world.ask_as(1, say().query("begin"));
        assert_eq!(world.ask(say().describe("s").sync()), "t T Z(I)");
        assert_eq!(world.ask(say().run_named("s").sync()), "2 D(select 1|10) C(SELECT 1) Z(I)");
        assert_eq!(world.ran(1), ["parse PGBOUNCER_1", "select 1"]);
        assert_eq!(world.clients[0].tally.server_parses, 2);
    });
}

#[test]
fn an_unknown_statement_ends_the_client() {
    for unknown in [say().bind("s"), say().describe("s")] {
        Setup::default().each(|world| {
            world.ask(unknown.clone().sync());
            assert_eq!(world.clients[0].end, Some(End::Fatal(Fatal::UnknownStatement)));
        });
    }
    assert_eq!(Fatal::UnknownStatement.message(), "prepared statement did not exist");
}

#[test]
fn a_name_in_use_ends_the_client() {
    for twice in [
        say().parse("s", "select 1").sync().parse("s", "select 2").sync(),
        say().parse("s", "select 1").parse("s", "select 1").sync(),
        // Answered, but the batch is still open.
        say().parse("s", "select 1").flush().parse("s", "select 1").sync(),
    ] {
        Setup::default().each(|world| {
            assert!(world.ask(twice.clone()).starts_with('1'));
            let in_use = Fatal::StatementInUse { name: (*b"s").into() };
            assert_eq!(world.clients[0].end, Some(End::Fatal(in_use)));
        });
    }
    let in_use = Fatal::StatementInUse { name: (*b"s").into() };
    assert_eq!(in_use.message(), "prepared statement name is already in use");
    assert_eq!(in_use.detail().as_deref(), Some("prepared statement 's' was already prepared"));
}

#[test]
fn a_failed_parse_is_not_remembered() {
    Setup::default().each(|world| {
        assert_eq!(world.ask(say().parse("s", "bad").sync()), "E(42601) Z(I)");
        assert_eq!(world.ask(say().parse("s", "select 1").sync()), "1 Z(I)");
        assert_eq!(world.clients[0].session.prepared_statements(), 1);
    });
}

#[test]
fn a_parse_that_was_skipped_is_not_remembered() {
    Setup::default().each(|world| {
        let pipeline = say().run("select fail").parse("s", "select 1").run_named("s").sync();
        assert_eq!(world.ask(pipeline), "1 2 E(22012) Z(I)");
        assert_eq!(world.clients[0].session.prepared_statements(), 0);
        assert_eq!(world.side(0).prepared_statements(), 0);
        let again = say().parse("s", "select 1").run_named("s").sync();
        assert_eq!(world.ask(again), "1 2 D(select 1|10) C(SELECT 1) Z(I)");
    });
}

#[test]
fn a_pipeline_behind_a_failed_one_prepares_again() {
    // The first group would have prepared the statement on the server, and fails before.
    Setup { clients: 2, primaries: 2, ..Setup::default() }.each(|world| {
        world.ask(say().parse("s", "select 1").sync());
        world.ask_as(1, say().query("begin"));
        let first = say().run("select fail").run_named("s").sync();
        let both = Say([first.0, say().run_named("s").sync().0].concat());
        assert_eq!(world.ask(both), "1 2 E(22012) Z(I) 2 D(select 1|10) C(SELECT 1) Z(I)");
    });
}

#[test]
fn a_close_that_was_skipped_is_undone() {
    Setup::default().each(|world| {
        world.ask(say().parse("s", "select 1").sync());
        assert_eq!(world.ask(say().run("select fail").close("s").sync()), "1 2 E(22012) Z(I)");
        assert_eq!(world.ask(say().run_named("s").sync()), "2 D(select 1|10) C(SELECT 1) Z(I)");
    });
}

#[test]
fn close_of_any_name_is_answered() {
    Setup::default().each(|world| {
        assert_eq!(world.ask(say().close("never").sync()), "3 Z(I)");
        world.ask(say().parse("s", "select 1").sync());
        assert_eq!(world.ask(say().close("s").parse("s", "select 2").sync()), "3 1 Z(I)");
        assert_eq!(world.ask(say().run_named("s").sync()), "2 D(select 2|10) C(SELECT 1) Z(I)");
        // A close of the unnamed statement is the server's.
        assert_eq!(world.ask(say().close("").sync()), "3 Z(I)");
    });
}

#[test]
fn a_server_holds_no_more_than_the_limit() {
    limited(3).each(|world| {
        for number in 0..8 {
            let name = format!("s{number}");
            world.ask(say().parse(&name, &format!("select {number}")).sync());
        }
        for number in 0..8 {
            let answer = world.ask(say().run_named(&format!("s{number}")).sync());
            assert_eq!(answer, format!("2 D(select {number}|10) C(SELECT 1) Z(I)"));
        }
        assert_eq!(world.backend(0).most_statements, 3);
        assert_eq!(world.clients[0].session.prepared_statements(), 8);
    });
}

#[test]
fn the_least_recently_used_goes_first() {
    limited(2).each(|world| {
        world.ask(say().parse("a", "select 1").sync());
        world.ask(say().parse("b", "select 2").sync());
        world.ask(say().run_named("a").sync());
        world.ran(0);
        world.ask(say().parse("c", "select 3").sync());
        assert_eq!(world.ran(0), ["close PGBOUNCER_2", "parse PGBOUNCER_3"]);
    });
}

#[test]
fn a_lower_limit_takes_effect_at_the_next_statement() {
    limited(5).each(|world| {
        for number in 0..5 {
            world.ask(say().parse(&format!("s{number}"), &format!("select {number}")).sync());
        }
        world.set_max_prepared_statements(2);
        assert_eq!(world.backend(0).named_statements(), 5);
        assert_eq!(world.ask(say().parse("s5", "select 5").sync()), "1 Z(I)");
        assert_eq!(world.backend(0).named_statements(), 2);
    });
}

#[test]
fn eviction_in_a_failing_pipeline_is_consistent() {
    limited(1).each(|world| {
        world.ask(say().parse("a", "select 1").sync());
        let pipeline = say().run_named("a").run("select fail").parse("b", "select 2").run_named("b").sync();
        assert_eq!(world.ask(pipeline), "2 D(select 1|10) C(SELECT 1) 1 2 E(22012) Z(I)");
        // The Close of "a" was skipped with the rest.
        assert_eq!(world.ask(say().run_named("a").sync()), "2 D(select 1|10) C(SELECT 1) Z(I)");
        let good = say().parse("b", "select 2").run_named("b").run_named("a").run_named("b").sync();
        let row = |n| format!("2 D(select {n}|10) C(SELECT 1)");
        assert_eq!(world.ask(good), format!("1 {} {} {} Z(I)", row(2), row(1), row(2)));
        assert_eq!(world.backend(0).most_statements, 1);
    });
}

#[test]
fn without_a_limit_names_pass_as_they_are() {
    limited(0).each(|world| {
        assert_eq!(
            world.ask(say().parse("s", "select 1").run_named("s").sync()),
            "1 2 D(select 1|10) C(SELECT 1) Z(I)"
        );
        assert_eq!(world.ran(0), ["parse s", "select 1"]);
        // What the server says is the client's to hear.
        assert_eq!(world.ask(say().parse("s", "select 1").sync()), "E(42P05) Z(I)");
        assert_eq!(world.ask(say().bind("other").sync()), "E(26000) Z(I)");
        assert_eq!(world.ask(say().close("s").sync()), "3 Z(I)");
        assert_eq!(world.clients[0].end, None);
        assert_eq!(world.clients[0].tally.client_parses, 0);
    });
}

#[test]
fn discard_all_and_deallocate_all_forget_the_clients_names() {
    for forget in
        [say().query("discard all"), say().query("deallocate all"), say().run("deallocate all").sync()]
    {
        Setup { clients: 2, ..Setup::default() }.each(|world| {
            world.ask(say().parse("s", "select 1").sync());
            world.ask_as(1, say().parse("t", "select 1").sync());
            world.ask(forget.clone());
            assert_eq!(world.clients[0].session.prepared_statements(), 0);
            assert_eq!(world.side(0).prepared_statements(), 0);
            // The other client's name is prepared anew.
            assert_eq!(world.ask_as(1, say().run_named("t").sync()), "2 D(select 1|10) C(SELECT 1) Z(I)");
            world.ask(say().run_named("s").sync());
            assert_eq!(world.clients[0].end, Some(End::Fatal(Fatal::UnknownStatement)));
        });
    }
}

#[test]
fn statements_behind_deallocate_all_in_a_pipeline_are_prepared_after_it() {
    for forget in [say().query("deallocate all"), say().run("  deallocate all").sync()] {
        Setup::default().each(|world| {
            world.ask(say().parse("s", "select 1").sync());
            let behind = say().parse("s", "select 1").run_named("s").sync();
            let answer = world.ask(Say([forget.clone().0, behind.0].concat()));
            assert!(answer.ends_with("Z(I) 1 2 D(select 1|10) C(SELECT 1) Z(I)"), "{answer}");
            assert_eq!(world.clients[0].session.prepared_statements(), 1);
        });
    }
}

#[test]
fn a_discard_that_fails_forgets_nothing() {
    Setup::default().each(|world| {
        world.ask(say().parse("s", "select 1").sync());
        world.ask(say().query("begin"));
        assert_eq!(world.ask(say().query("discard all")), "E(25001) Z(E)");
        world.ask(say().query("rollback"));
        assert_eq!(world.ask(say().run_named("s").sync()), "2 D(select 1|10) C(SELECT 1) Z(I)");
    });
}

#[test]
fn a_known_text_fails_in_a_failed_transaction() {
    Setup::default().each(|world| {
        world.ask(say().parse("s", "select 1").sync());
        world.ask(say().query("begin"));
        world.ask(say().query("select fail"));
        assert_eq!(world.ask(say().parse("t", "select 1").sync()), "E(25P02) Z(E)");
        world.ask(say().query("rollback"));
        assert_eq!(
            world.ask(say().parse("t", "select 1").run_named("t").sync()),
            "1 2 D(select 1|10) C(SELECT 1) Z(I)"
        );
    });
}

#[test]
fn a_known_text_fails_behind_what_fails_the_transaction() {
    Setup::default().each(|world| {
        world.ask(say().parse("s", "select 1").sync());
        world.ask(say().query("begin"));
        let both = say().run("select fail").sync().parse("t", "select 1").sync();
        assert_eq!(world.ask(both), "1 2 E(22012) Z(E) E(25P02) Z(E)");
        assert_eq!(world.ask(say().query("rollback")), "C(ROLLBACK) Z(I)");
    });
}

#[test]
fn a_proven_text_needs_no_server() {
    // A batch that comes in pieces may have asked for a server before it is whole.
    let mut world = World::new(Setup { clients: 2, pieces: Pieces::Of(1 << 20), ..Setup::default() });
    world.ask(say().parse("s", "select 1").sync());
    world.ask(say().query("begin"));
    // The only server is taken.
    assert_eq!(world.ask_as(1, say().parse("t", "select 1").close("u").sync()), "1 3 Z(I)");
    assert_eq!(world.ask_as(1, say().run_named("t").sync()), "");
    world.ask(say().query("commit"));
    assert_eq!(world.heard(1), "2 D(select 1|10) C(SELECT 1) Z(I)");
}

#[test]
fn what_was_not_proven_needs_one() {
    Setup { clients: 2, ..Setup::default() }.each(|world| {
        world.ask(say().query("begin"));
        assert_eq!(world.ask_as(1, say().parse("t", "select 1").sync()), "");
        // Nothing overtakes it.
        assert_eq!(world.ask_as(1, say().close("u").sync()), "");
        world.ask(say().query("commit"));
        assert_eq!(world.heard(1), "1 Z(I) 3 Z(I)");
    });
}

#[test]
fn in_session_pooling_names_are_followed_too() {
    Setup { mode: PoolMode::Session, ..Setup::default() }.each(|world| {
        assert_eq!(world.ask(say().parse("s", "select 1").sync()), "1 Z(I)");
        assert_eq!(world.ask(say().run_named("s").sync()), "2 D(select 1|10) C(SELECT 1) Z(I)");
        assert_eq!(world.ran(0), ["parse PGBOUNCER_1", "select 1"]);
        assert_eq!(world.server_of(0), Some(0));
    });
}

#[test]
fn sizes_around_a_packet_buffer_and_far_above_work() {
    for size in [2_048, 4_096, 8_192, 16_384, 40_960, 100_000] {
        let pieces = |world: &mut World| {
            let name = "n".repeat(size.min(60_000));
            let text = format!("select '{}'", "x".repeat(size));
            let all = say().parse(&name, &text).bind_value(&name, &vec![7; size]).execute().sync();
            let answer = world.ask(all);
            assert!(answer.starts_with("1 2 D(") && answer.ends_with(" bytes) C(SELECT 1) Z(I)"), "{answer}");
        };
        let setup = Setup::default();
        pieces(&mut World::new(Setup { pieces: Pieces::Of(1_000), ..setup.clone() }));
        pieces(&mut World::new(Setup { pieces: Pieces::Of(1 << 20), ..setup }));
    }
}
