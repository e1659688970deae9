//! Pool modes: when the server goes back (PGBOUNCER_BEHAVIOUR.md section 2), and servers that end.

use howdah_session::{Fatal, PoolMode};

use crate::wire::Say;
use crate::world::{End, Setup};

fn say() -> Say {
    Say::default()
}

fn two(mode: PoolMode) -> Setup {
    Setup { mode, clients: 2, ..Setup::default() }
}

#[test]
fn statement_pooling_gives_the_server_back_after_each_statement() {
    two(PoolMode::Statement).each(|world| {
        for client in [0, 1, 0] {
            assert_eq!(world.ask_as(client, say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
            assert_eq!(
                world.ask_as(client, say().run("select 1").sync()),
                "1 2 D(select 1|10) C(SELECT 1) Z(I)"
            );
        }
    });
}

#[test]
fn statement_pooling_ends_a_client_that_begins_a_transaction() {
    for begin in [say().query("begin"), say().run("begin").sync()] {
        two(PoolMode::Statement).each(|world| {
            world.ask(begin.clone());
            assert_eq!(world.clients[0].end, Some(End::TransactionRefused));
            assert!(!world.heard(0).contains('Z'), "it does not hear that it is in a transaction");
            // The server went with it.
            assert_eq!(world.ask_as(1, say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
        });
    }
    let words = Fatal::TransactionInStatementMode.message();
    assert_eq!(words, "transaction blocks not allowed in statement pooling mode");
}

#[test]
fn session_pooling_keeps_the_server_until_the_client_leaves() {
    two(PoolMode::Session).each(|world| {
        assert_eq!(world.ask(say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
        assert_eq!(world.server_of(0), Some(0));
        assert_eq!(world.ask_as(1, say().query("select 2")), "");
        assert_eq!(world.ask(say().run("select 3").sync()), "1 2 D(select 3|10) C(SELECT 1) Z(I)");
        world.ask(Say(b"X\0\0\0\x04".to_vec()));
        world.settle();
        assert_eq!(world.heard(1), "T D(select 2|0) C(SELECT 1) Z(I)");
        assert_eq!(world.clients[0].checkouts, [0]);
    });
}

#[test]
fn what_a_server_says_when_it_ends_is_passed_on() {
    two(PoolMode::Transaction).each(|world| {
        world.ask(say().query("begin"));
        world.backend(0).shut_down();
        world.settle();
        assert_eq!(world.heard(0), "E(57P01)");
        assert_eq!(world.clients[0].end, Some(End::ServerLost));
    });
}

#[test]
fn numbers_for_the_statistics() {
    two(PoolMode::Transaction).each(|world| {
        world.ask(say().query("begin").query("select 1").query("commit").query("select 2"));
        assert_eq!((world.clients[0].tally.queries, world.clients[0].tally.transactions), (4, 2));
        world.ask(say().parse("s", "select 1").bind("s").execute().bind("s").execute().sync());
        let tally = world.clients[0].tally;
        assert_eq!((tally.queries, tally.client_parses, tally.server_parses, tally.binds), (5, 1, 1, 2));
    });
}
