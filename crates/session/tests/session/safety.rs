//! The safety net: what a replica refuses before the client has seen anything of the answer runs again on the primary
//! (DESIGN.md section 5). Server 0 is the primary, 1 the replica.

use howdah_session::RouteMode;

use crate::wire::Say;
use crate::world::{Pieces, Setup, World};

fn say() -> Say {
    Say::default()
}

/// A text by every protocol, and the answer.
fn ways(text: &str) -> Vec<(Say, String)> {
    let row = |value: usize| format!("D({text}|{value}) C(SELECT 1)");
    vec![
        (say().query(text), format!("T {} Z(I)", row(0))),
        (say().run(text).sync(), format!("1 2 {} Z(I)", row(10))),
        (
            say().parse("", text).describe("").bind("").describe_portal().execute().sync(),
            format!("1 t T 2 T {} Z(I)", row(10)),
        ),
    ]
}

#[test]
fn a_refused_read_runs_on_the_primary_and_the_client_notices_nothing() {
    for text in ["select 1 from writing_view", "select 1 from fresh", "select 1 from conflict"] {
        for (words, answer) in ways(text).into_iter() {
            Setup::cluster().each(|world| {
                assert_eq!(world.ask(words.clone()), answer);
                assert_eq!(world.clients[0].retries, 1);
                assert_eq!(world.clients[0].checkouts, [1, 0]);
                // The next read goes to a replica again.
                world.ask(say().query("select 2"));
                assert_eq!(world.clients[0].checkouts, [1, 0, 1]);
            });
        }
    }
}

#[test]
fn a_named_statement_is_tried_again_too() {
    for (text, checkouts) in [
        ("select 1 from writing_view", &[1, 1, 0][..]),
        // Not there yet: its Parse is refused, too.
        ("select 1 from fresh", &[1, 0, 1, 0]),
        ("select 1 from conflict", &[1, 1, 0]),
    ] {
        Setup::cluster().each(|world| {
            world.ask(say().parse("s", text).sync());
            assert_eq!(world.ask(say().run_named("s").sync()), format!("2 D({text}|10) C(SELECT 1) Z(I)"));
            assert_eq!(world.clients[0].checkouts, checkouts);
        });
    }
}

#[test]
fn a_name_of_the_batch_that_runs_again_is_made_again() {
    for text in ["select 1 from writing_view", "select 1 from fresh", "select 1 from conflict"] {
        Setup::cluster().each(|world| {
            let row = format!("2 D({text}|10) C(SELECT 1)");
            let batch = say().parse("t", "select 1").parse("s", text).close("t").run_named("s").sync();
            assert_eq!(world.ask(batch), format!("1 1 3 {row} Z(I)"));
            assert_eq!(world.clients[0].checkouts, [1, 0]);
            // The name is there, and only it.
            assert_eq!(world.ask(say().run_named("s").sync()), format!("{row} Z(I)"));
            assert_eq!(world.ask(say().parse("t", "select 1").sync()), "1 Z(I)");
        });
    }
}

#[test]
fn what_follows_the_first_row_is_passed_on() {
    Setup::cluster().each(|world| {
        let answer = world.ask(say().query("select 1 from late"));
        assert_eq!(answer, "T D(select 1 from late|0) E(40001) Z(I)");
        // The first statement of the batch has been answered.
        let answer = world.ask(say().run("select 1").run("select 1 from fresh").sync());
        assert_eq!(answer, "1 2 D(select 1|10) C(SELECT 1) E(42P01) Z(I)");
        assert_eq!(world.clients[0].retries, 0);
    });
}

#[test]
fn what_the_client_itself_called_for_is_passed_on() {
    Setup::cluster().each(|world| {
        // A cancel request, or statement_timeout.
        assert_eq!(world.ask(say().query("select 1 from canceled")), "T E(57014) Z(I)");
        assert_eq!(world.ask(say().query("select fail")), "T E(22012) Z(I)");
        // Its own read-only transaction.
        world.ask(say().query("begin read only"));
        assert_eq!(world.ask(say().query("select 1 from fresh")), "E(42P01) Z(E)");
        world.ask(say().query("rollback"));
        assert_eq!(world.clients[0].retries, 0);
        // All at once: the transaction was opened while the read was on its way.
        let answer = world.ask(say().query("begin read only").query("select 1 from fresh").query("rollback"));
        assert_eq!(answer, "C(BEGIN) Z(T) E(42P01) Z(E) C(ROLLBACK) Z(I)");
        assert_eq!(world.clients[0].retries, 0);
    });
}

#[test]
fn an_error_of_both_is_told_once() {
    Setup::cluster().each(|world| {
        assert_eq!(world.ask(say().query("select 1 from missing")), "E(42P01) Z(I)");
        assert_eq!(world.ask(say().run("select 1 from missing").sync()), "E(42P01) Z(I)");
        assert_eq!(world.clients[0].retries, 2);
    });
}

#[test]
fn the_batches_behind_a_refused_one_run_again_with_it() {
    for refused in 0..3 {
        Setup::cluster().each(|world| {
            let (mut words, mut answers) = (Vec::new(), Vec::new());
            for number in 0..3 {
                let text = if number == refused { "select 7 from fresh" } else { "select 1" };
                words.extend(say().run(text).close("never").sync().0);
                answers.push(format!("1 2 D({text}|10) C(SELECT 1) 3 Z(I)"));
            }
            assert_eq!(world.ask(Say(words)), answers.join(" "));
            assert_eq!(world.clients[0].retries, 1);
        });
    }
}

#[test]
fn a_set_of_our_own_in_flight_changes_nothing() {
    Setup { clients: 0, ..Setup::cluster() }.each(|world| {
        let client = world.add_client(&[("application_name", "me")]);
        let answer = world.ask_as(client, say().query("select 1 from fresh"));
        assert_eq!(answer, "T D(select 1 from fresh|0) C(SELECT 1) Z(I)");
        assert_eq!(world.clients[client].retries, 1);
        assert_eq!(world.ran(1), ["SET application_name='me'"]);
        assert_eq!(world.ran(0), ["SET application_name='me'", "select 1 from fresh"]);
    });
}

#[test]
fn replies_of_our_own_are_held_back_with_the_rest() {
    Setup::cluster().each(|world| {
        world.ask(say().parse("s", "select 2").sync());
        let words = say().close("x").run("select 1 from fresh").close("s").sync();
        assert_eq!(world.ask(words), "3 1 2 D(select 1 from fresh|10) C(SELECT 1) 3 Z(I)");
        assert_eq!(world.clients[0].retries, 1);
        assert_eq!(world.clients[0].session.prepared_statements(), 0);
    });
}

#[test]
fn nothing_is_seen_before_the_first_row() {
    let mut world = World::new(Setup { pieces: Pieces::Of(1 << 20), ..Setup::cluster() });
    world.servers_heard = false;
    world.ask(say().parse("", "select 1 from noisy").bind("").describe_portal().execute().sync());
    let all = world.unheard(0);
    // ParseComplete, BindComplete, RowDescription; then three notices of which the last is not whole.
    world.hear(0, all - 80);
    assert!(world.clients[0].seen.is_empty());
    world.servers_heard = true;
    world.settle();
    assert_eq!(world.heard(0), "1 2 T N(00000) N(00000) N(00000) D(select 1 from noisy|10) C(SELECT 1) Z(I)");
}

#[test]
fn what_is_held_back_has_a_bound() {
    let mut world = World::new(Setup { pieces: Pieces::Of(4_000), ..Setup::cluster() });
    let answer = world.ask(say().query("select 1 from flooded"));
    assert_eq!(answer.matches("N(00000)").count(), 3_000);
    assert!(answer.ends_with("E(40001) Z(I)"));
    assert_eq!(world.clients[0].retries, 0);
}

#[test]
fn a_text_that_was_refused_for_good_goes_to_the_primary_from_then_on() {
    Setup { clients: 2, ..Setup::cluster() }.each(|world| {
        let text = "select 1 from writing_view";
        world.ask(say().query(text));
        world.ask(say().query(text));
        world.ask(say().run(text).sync());
        assert_eq!(world.clients[0].checkouts, [1, 0, 0, 0]);
        // So does a statement of another client.
        world.ask_as(1, say().parse("s", text).sync());
        world.ask_as(1, say().run_named("s").sync());
        assert_eq!(world.clients[1].checkouts, [0, 0]);
        // What is only not replayed yet is not remembered.
        world.ask(say().query("select 1 from fresh"));
        world.ask(say().query("select 1 from fresh"));
        assert_eq!(world.clients[0].retries, 3);
    });
}

#[test]
fn a_prepared_statement_that_was_refused_for_good_is_remembered() {
    Setup::cluster().each(|world| {
        world.ask(say().parse("s", "select 2 from writing_view").sync());
        world.ask(say().run_named("s").sync());
        world.ask(say().run_named("s").sync());
        assert_eq!(world.clients[0].checkouts, [1, 1, 0, 0]);
    });
}

#[test]
fn where_only_replicas_serve_a_refusal_is_the_clients() {
    Setup { cluster: Some(RouteMode::Replica), ..Setup::cluster() }.each(|world| {
        assert_eq!(world.ask(say().query("select 1 from writing_view")), "T E(25006) Z(I)");
        assert_eq!(world.ask(say().run("select 1 from fresh").sync()), "E(42P01) Z(I)");
        assert_eq!(world.clients[0].retries, 0);
        // Another replica may have no conflict; but not for ever.
        assert_eq!(world.ask(say().query("select 1 from conflict")), "T E(40001) Z(I)");
        assert_eq!(world.clients[0].retries, 1);
    });
}

#[test]
fn a_replica_that_is_lost_or_ends_before_the_first_row_is_replaced() {
    for polite in [true, false] {
        Setup::cluster().each(|world| {
            world.servers_read = false;
            world.ask(say().run("select 1").sync().query("select 2"));
            if polite {
                world.backend(1).shut_down();
            } else {
                world.crash(1);
            }
            world.servers_read = true;
            world.settle();
            let answer = "1 2 D(select 1|10) C(SELECT 1) Z(I) T D(select 2|0) C(SELECT 1) Z(I)";
            assert_eq!(world.heard(0), answer);
            assert_eq!(world.clients[0].retries, 1);
        });
    }
}

#[test]
fn a_replica_that_ends_in_the_middle_of_what_is_held_back_is_replaced() {
    for heard in [3, 6, 15, 20] {
        let mut world = World::new(Setup::cluster());
        world.servers_heard = false;
        world.ask(say().run("select 1").sync());
        let row = world.backend(1).output.clone();
        world.hear(0, heard.min(10));
        world.backend(1).output.clear();
        world.crash(1);
        assert!(row.len() > 20);
        world.servers_heard = true;
        world.settle();
        assert_eq!(world.heard(0), "1 2 D(select 1|10) C(SELECT 1) Z(I)");
        assert_eq!(world.clients[0].retries, 1);
    }
}

#[test]
fn a_refusal_and_then_the_end_of_the_replica_is_one_retry() {
    for pieces in [Pieces::Of(1), Pieces::Of(1 << 20)] {
        let mut world = World::new(Setup { pieces, ..Setup::cluster() });
        world.servers_heard = false;
        world.ask(say().run("select 1 from fresh").sync().query("select 2"));
        world.backend(1).output.truncate(60);
        world.crash(1);
        world.servers_heard = true;
        world.settle();
        let answer = "1 2 D(select 1 from fresh|10) C(SELECT 1) Z(I) T D(select 2|0) C(SELECT 1) Z(I)";
        assert_eq!(world.heard(0), answer);
        assert_eq!(world.clients[0].retries, 1);
    }
}
