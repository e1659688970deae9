//! COPY by every way: Sync that the server ignores, errors before and after the end of the data, late data, and the
//! server that goes back afterwards (PGBOUNCER_BEHAVIOUR.md section 10).

use crate::wire::Say;
use crate::world::{Setup, World};

fn say() -> Say {
    Say::default()
}

/// Nothing is left over: another client gets the only server.
fn is_free(world: &mut World) {
    assert_eq!(world.server_of(0), None);
    assert_eq!(world.ask_as(1, say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
}

fn two() -> Setup {
    Setup { clients: 2, ..Setup::default() }
}

#[test]
fn copy_in_by_simple_query() {
    two().each(|world| {
        assert_eq!(world.ask(say().query("copy t from stdin")), "G");
        assert_eq!(world.ask(say().copy_data(b"1").copy_data(b"2")), "");
        assert_eq!(world.ask(say().copy_done()), "C(COPY 2) Z(I)");
        is_free(world);
    });
}

#[test]
fn copy_in_by_execute_with_the_sync_before_and_behind_the_data() {
    for start in [
        say().run("copy t from stdin"),
        // The server ignores Sync while it copies.
        say().run("copy t from stdin").sync(),
        say().run("copy t from stdin").sync().sync(),
        say().parse("c", "copy t from stdin").run_named("c").flush(),
    ] {
        two().each(|world| {
            world.say(0, start.clone().flush());
            world.settle();
            assert_eq!(world.heard(0), "1 2 G");
            assert_eq!(world.ask(say().copy_data(b"1").sync().copy_data(b"2").copy_done()), "");
            assert_eq!(world.ask(say().sync()), "C(COPY 2) Z(I)");
            is_free(world);
        });
    }
}

#[test]
fn copy_in_by_a_client_that_waits_for_nothing() {
    let data = |say: Say| say.copy_data(b"1").copy_done();
    for (words, answer) in [
        (data(say().query("copy t from stdin")), "G C(COPY 1) Z(I)"),
        (data(say().run("copy t from stdin")).sync(), "1 2 G C(COPY 1) Z(I)"),
        (data(say().run("copy t from stdin").sync()).sync(), "1 2 G C(COPY 1) Z(I)"),
        (data(data(say().query("copy t from stdin; copy t from stdin"))), "G C(COPY 1) G C(COPY 1) Z(I)"),
        (data(say().query("copy picky from stdin")), "G E(22P04) Z(I)"),
        (data(say().run("copy picky from stdin")).sync(), "1 2 G E(22P04) Z(I)"),
        (data(say().query("copy a from missing from stdin")), "E(42P01) Z(I)"),
        (data(say().run("copy a from missing from stdin")).sync(), "E(42P01) Z(I)"),
    ] {
        two().each(|world| {
            assert_eq!(world.ask(words.clone()), answer);
            is_free(world);
            assert_eq!(world.ask(say().query("select 2")), "T D(select 2|0) C(SELECT 1) Z(I)");
        });
    }
}

#[test]
fn a_reply_of_ours_between_execute_and_sync_changes_nothing() {
    two().each(|world| {
        let answer =
            world.ask(say().run("copy t from stdin").close("s").sync().copy_data(b"1").copy_done().sync());
        assert_eq!(answer, "1 2 G C(COPY 1) 3 Z(I)");
        is_free(world);
    });
}

#[test]
fn copy_fail_is_answered_by_an_error() {
    two().each(|world| {
        world.ask(say().query("copy t from stdin"));
        assert_eq!(world.ask(say().copy_data(b"1").copy_fail()), "E(57014) Z(I)");
        world.ask(say().run("copy t from stdin").sync());
        assert_eq!(world.ask(say().copy_fail().sync()), "E(57014) Z(I)");
        is_free(world);
    });
}

#[test]
fn data_that_come_after_the_error_hold_no_server() {
    for late in [say().copy_done(), say().copy_fail(), say().copy_data(&[b'x'; 50_000]).copy_done()] {
        two().each(|world| {
            world.ask(say().query("copy picky from stdin"));
            assert_eq!(world.ask(say().copy_data(b"1")), "E(22P04) Z(I)");
            is_free(world);
            assert_eq!(world.ask(late.clone()), "");
            is_free(world);
            assert_eq!(world.ask(say().query("select 2")), "T D(select 2|0) C(SELECT 1) Z(I)");
        });
    }
}

#[test]
fn data_that_are_on_their_way_when_the_error_comes_hold_no_server() {
    two().each(|world| {
        world.ask(say().query("copy picky from stdin"));
        // The error is there before the last row has been said.
        let row = say().copy_data(&[b'x'; 30_000]).0;
        world.say(0, say().copy_data(b"1"));
        world.say(0, Say(row[..10_000].to_vec()));
        world.settle();
        assert_eq!(world.heard(0), "E(22P04) Z(I)");
        world.say(0, Say(row[10_000..].to_vec()));
        world.settle();
        is_free(world);
        assert_eq!(world.ask(say().copy_done()), "");
        is_free(world);
    });
}

#[test]
fn late_data_in_a_transaction_pass_or_not_and_the_transaction_goes_on() {
    two().each(|world| {
        world.ask(say().query("begin"));
        world.ask(say().query("copy picky from stdin"));
        assert_eq!(world.ask(say().copy_data(b"1").copy_data(b"2").copy_done()), "E(22P04) Z(E)");
        assert_eq!(world.ask(say().copy_done()), "");
        assert_eq!(world.ask(say().query("rollback")), "C(ROLLBACK) Z(I)");
        is_free(world);
    });
}

#[test]
fn after_an_error_everything_up_to_sync_is_dropped() {
    two().each(|world| {
        world.ask(say().run("copy picky from stdin").flush());
        assert_eq!(world.ask(say().copy_data(b"1")), "E(22P04)");
        assert_eq!(world.ask(say().copy_data(b"2").copy_done().run("select 1").query("select 2")), "");
        assert_eq!(world.ask(say().sync()), "Z(I)");
        is_free(world);
    });
}

#[test]
fn a_message_that_has_no_place_in_a_copy_ends_it() {
    two().each(|world| {
        world.ask(say().query("copy t from stdin"));
        assert_eq!(world.ask(say().query("select 1")), "E(08P01) Z(I)");
        is_free(world);
        world.ask(say().run("copy t from stdin").flush());
        assert_eq!(world.ask(say().parse("s", "select 1").bind("").sync()), "E(08P01) Z(I)");
        is_free(world);
        assert_eq!(world.ask(say().parse("s", "select 1").sync()), "1 Z(I)");
    });
}

#[test]
fn copy_out_by_every_way() {
    two().each(|world| {
        let rows = "H d(a\n) d(b\n) c C(COPY 2)";
        assert_eq!(world.ask(say().query("copy t to stdout")), format!("{rows} Z(I)"));
        assert_eq!(world.ask(say().run("copy t to stdout").sync()), format!("1 2 {rows} Z(I)"));
        let named = say().parse("c", "copy t to stdout").run_named("c").run_named("c").sync();
        assert_eq!(world.ask(named), format!("1 2 {rows} 2 {rows} Z(I)"));
        is_free(world);
    });
}

#[test]
fn several_statements_around_a_copy() {
    two().each(|world| {
        let text = "insert a; copy t from stdin; select 1";
        assert_eq!(world.ask(say().query(text)), "C(INSERT) G");
        assert_eq!(
            world.ask(say().copy_data(b"1").copy_done()),
            "C(COPY 1) T D(select 1|0) C(SELECT 1) Z(I)"
        );
        is_free(world);
    });
}

#[test]
fn copy_in_is_answered_without_sync_or_flush_on_a_cluster_too() {
    for setup in [two(), Setup { clients: 2, ..Setup::cluster() }] {
        setup.each(|world| {
            assert_eq!(world.ask(say().run("copy t from stdin")), "1 2 G");
            assert_eq!(world.ask(say().copy_data(b"1").copy_done().sync()), "C(COPY 1) Z(I)");
            is_free(world);
        });
    }
}

#[test]
fn a_copy_that_fails_before_it_reads_leaves_sync_its_meaning() {
    for (words, answer) in [
        (say().query("copy a_view from stdin"), "G E(42809) Z(I)"),
        (say().run("copy a_view from stdin").sync(), "1 2 G E(42809) Z(I)"),
        (say().run("copy a_view from stdin").copy_data(b"1").copy_done().sync(), "1 2 G E(42809) Z(I)"),
    ] {
        two().each(|world| {
            assert_eq!(world.ask(words.clone()), answer);
            is_free(world);
            assert_eq!(world.ask(say().copy_data(b"1").copy_fail()), "");
            assert_eq!(world.ask(say().query("select 2")), "T D(select 2|0) C(SELECT 1) Z(I)");
        });
    }
}
