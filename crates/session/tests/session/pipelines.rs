//! Simple queries and pipelines: what is answered, when, and when the server goes back
//! (PGBOUNCER_BEHAVIOUR.md section 10).

use howdah_session::Fatal;

use crate::wire::Say;
use crate::world::{End, Pieces, Setup, World};

fn say() -> Say {
    Say::default()
}

#[test]
fn a_simple_query_is_answered_and_the_server_goes_back() {
    Setup::default().each(|world| {
        assert_eq!(world.ask(say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
        assert_eq!(world.server_of(0), None);
        assert_eq!(world.ask(say().query("")), "I Z(I)");
        assert_eq!(world.ask(say().query("bad")), "E(42601) Z(I)");
        assert_eq!(world.ask(say().function_call()), "V Z(I)");
        assert_eq!(world.server_of(0), None);
        assert_eq!(world.clients[0].tally.queries, 4);
    });
}

#[test]
fn a_transaction_keeps_its_server() {
    Setup::default().each(|world| {
        assert_eq!(world.ask(say().query("begin")), "C(BEGIN) Z(T)");
        assert_eq!(world.server_of(0), Some(0));
        assert_eq!(world.ask(say().query("select fail")), "T E(22012) Z(E)");
        assert_eq!(world.ask(say().query("select 1")), "E(25P02) Z(E)");
        assert_eq!(world.ask(say().query("commit")), "C(ROLLBACK) Z(I)");
        assert_eq!(world.server_of(0), None);
        assert_eq!(world.clients[0].tally.transactions, 1);
    });
}

#[test]
fn queries_may_follow_each_other_without_a_wait() {
    Setup { clients: 2, ..Setup::default() }.each(|world| {
        let three = say().query("select 1").query("bad").query("select 2");
        let answer = world.ask(three);
        assert_eq!(answer, "T D(select 1|0) C(SELECT 1) Z(I) E(42601) Z(I) T D(select 2|0) C(SELECT 1) Z(I)");
    });
}

#[test]
fn after_an_error_messages_that_come_later_are_dropped_too() {
    Setup::default().each(|world| {
        assert_eq!(world.ask(say().run("select fail").flush()), "1 2 E(22012)");
        assert_eq!(world.ask(say().run("select 1").close("s").flush().query("select 2")), "");
        assert_eq!(world.ask(say().sync()), "Z(I)");
        assert_eq!(world.server_of(0), None);
    });
}

#[test]
fn a_simple_query_in_a_batch_that_failed_is_skipped() {
    Setup::default().each(|world| {
        assert_eq!(world.ask(say().run("bad").query("select 1").run("select 2").sync()), "E(42601) Z(I)");
        assert_eq!(
            world.ask(say().run("select 3").query("select 1")),
            "1 2 D(select 3|10) C(SELECT 1) T D(select 1|0) C(SELECT 1) Z(I)"
        );
        assert_eq!(world.server_of(0), None);
    });
}

#[test]
fn flush_without_sync_is_forwarded_and_keeps_the_server() {
    Setup::default().each(|world| {
        assert_eq!(world.ask(say().run("select 1").flush()), "1 2 D(select 1|10) C(SELECT 1)");
        assert_eq!(world.server_of(0), Some(0));
        assert_eq!(world.ask(say().sync()), "Z(I)");
        assert_eq!(world.server_of(0), None);
        // With nothing to flush no server is asked.
        assert_eq!(world.ask(say().flush()), "");
        assert_eq!(world.clients[0].checkouts, [0]);
    });
}

#[test]
fn a_server_stays_while_a_message_has_no_answer() {
    Setup::default().each(|world| {
        assert_eq!(
            world.ask(say().run("select 1").sync().parse("", "select 2")),
            "1 2 D(select 1|10) C(SELECT 1) Z(I)"
        );
        assert_eq!(world.server_of(0), Some(0));
        assert_eq!(world.ask(say().bind("").execute().sync()), "1 2 D(select 2|10) C(SELECT 1) Z(I)");
        assert_eq!(world.server_of(0), None);
    });
}

#[test]
fn replies_of_our_own_stand_where_the_servers_would() {
    Setup::default().each(|world| {
        world.ask(say().parse("s", "select 1").sync());
        let all =
            say().run("select rows 2 3").close("x").parse("t", "select 1").run_named("t").close("y").sync();
        assert_eq!(world.ask(all), "1 2 D(xxx) D(xxx) C(SELECT 2) 3 1 2 D(select 1|10) C(SELECT 1) 3 Z(I)");
    });
}

#[test]
fn a_reply_behind_a_long_answer_comes_as_soon_as_that_is_whole() {
    Setup::default().each(|world| {
        // Nothing follows that could bring it along.
        assert_eq!(world.ask(say().parse("s", "select 1").describe("s").close("x").flush()), "1 t T 3");
        assert_eq!(world.ask(say().sync()), "Z(I)");
    });
}

#[test]
fn a_frame_reaches_the_server_whole_or_not_at_all() {
    Setup::default().each(|world| {
        world.ask(say().query("begin"));
        let execute = say().run("commit").0;
        for cut in 1..=4 {
            let said = &execute[..execute.len() - cut];
            world.say(0, Say(said.to_vec()));
            world.settle();
            assert!(!world.backend(0).has_half_a_frame());
            assert!(!world.clients[0].session.is_mid_frame());
            world.say(0, Say(execute[said.len()..].to_vec()));
            assert_eq!(world.ask(say().sync().query("begin")), "1 2 C(COMMIT) Z(I) C(BEGIN) Z(T)");
        }
    });
}

#[test]
fn a_frame_that_is_begun_must_be_ended() {
    let mut world = World::new(Setup { pieces: Pieces::Of(1_000), ..Setup::default() });
    let query = say().query(&format!("select '{}'", "x".repeat(50_000))).0;
    world.say(0, Say(query[..40_000].to_vec()));
    world.settle();
    assert!(world.clients[0].session.is_mid_frame());
    assert!(world.backend(0).has_half_a_frame());
    world.say(0, Say(query[40_000..].to_vec()));
    world.settle();
    assert_eq!(world.heard(0), "T D(50011 bytes) C(SELECT 1) Z(I)");
    assert_eq!(world.server_of(0), None);
}

#[test]
fn long_rows_pass_as_they_come() {
    let mut world = World::new(Setup { pieces: Pieces::Of(1_000), ..Setup::default() });
    world.servers_heard = false;
    world.ask(say().query("select rows 2 100000"));
    // RowDescription, and the beginning of a row.
    world.hear(0, 10_000);
    assert_eq!(world.clients[0].seen.len(), 10_000);
    world.servers_heard = true;
    world.settle();
    assert_eq!(world.heard(0), "T D(100000 bytes) D(100000 bytes) C(SELECT 2) Z(I)");
}

#[test]
fn many_messages_without_sync_are_flushed_on_the_way() {
    let mut world = World::new(Setup { pieces: Pieces::Of(1 << 20), ..Setup::default() });
    let mut words = say().parse("s", "select 1");
    for _ in 0..40_000 {
        words = words.close("x");
    }
    let answer = world.ask(words.run_named("s").sync());
    assert!(answer.starts_with("1 3 3 ") && answer.ends_with("3 2 D(select 1|10) C(SELECT 1) Z(I)"));
    assert_eq!(answer.matches('3').count(), 40_000);
}

#[test]
fn long_texts_to_prepare_do_not_fill_the_memory() {
    let setup = Setup { clients: 2, primaries: 2, pieces: Pieces::Of(1 << 20), ..Setup::default() };
    let mut world = World::new(setup);
    for number in 0..60 {
        let text = format!("select '{number} {}'", "x".repeat(10_000));
        world.ask(say().parse(&number.to_string(), &text).sync());
    }
    world.ask_as(1, say().query("begin"));
    let all = (0..60).fold(say(), |say, number| say.run_named(&number.to_string()));
    let answer = world.ask(all.sync());
    assert_eq!(answer.matches("C(SELECT 1)").count(), 60);
    assert_eq!(world.backend(1).named_statements(), 60);
    assert!(world.most_at_once < 300_000, "{} bytes at once", world.most_at_once);
}

#[test]
fn a_message_above_max_packet_size_ends_the_client() {
    Setup { max_packet_size: 1_000, ..Setup::default() }.each(|world| {
        assert_eq!(world.ask(say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
        world.ask(say().query("begin"));
        world.ask(say().query(&"x".repeat(2_000)));
        assert!(matches!(world.clients[0].end, Some(End::Fatal(Fatal::Frame(_)))));
    });
}

#[test]
fn simple_queries_can_be_switched_off() {
    Setup { disable_simple_query: true, ..Setup::default() }.each(|world| {
        assert_eq!(world.ask(say().run("select 1").sync()), "1 2 D(select 1|10) C(SELECT 1) Z(I)");
        world.ask(say().query("select 1"));
        assert_eq!(world.clients[0].end, Some(End::Fatal(Fatal::SimpleQueryDisallowed)));
    });
}

#[test]
fn terminate_ends_the_client_wherever_it_is() {
    let leave = || Say(b"X\0\0\0\x04".to_vec());
    Setup::default().each(|world| {
        world.ask(say().query("begin"));
        world.ask(leave());
        assert_eq!(world.clients[0].end, Some(End::Terminated));
        let other = world.add_client(&[]);
        world.ask_as(other, leave());
        assert_eq!(world.clients[other].end, Some(End::Terminated));
    });
}

#[test]
fn garbage_ends_the_client() {
    for garbage in
        [&b"q\0\0\0\x04"[..], b"Q\0\0\0\x03", b"S\0\0\0\x05x", b"D\0\0\0\x06Zs\0", b"P\0\0\0\x08abcd"]
    {
        Setup::default().each(|world| {
            world.ask(say().query("begin"));
            world.ask(Say(garbage.to_vec()));
            assert!(matches!(world.clients[0].end, Some(End::Fatal(_))), "{garbage:?}");
        });
    }
}
