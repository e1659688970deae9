//! Which batch goes where on an entry of a cluster (DESIGN.md section 5). Server 0 is the primary, 1 the replica.

use howdah_session::{Fatal, Plan, RouteMode};

use crate::wire::Say;
use crate::world::{Pieces, Setup, World, policy};

fn say() -> Say {
    Say::default()
}

const PRIMARY: usize = 0;
const REPLICA: usize = 1;

/// Says something and checks where it went at last.
fn goes_to(world: &mut World, server: usize, words: Say) -> String {
    let answer = world.ask(words);
    assert_eq!(world.clients[0].checkouts.last(), Some(&server), "{answer}");
    answer
}

fn target(mode: RouteMode) -> Setup {
    Setup { cluster: Some(mode), ..Setup::cluster() }
}

#[test]
fn reads_go_to_a_replica_and_the_rest_to_the_primary() {
    Setup::cluster().each(|world| {
        for read in [
            say().query("select 1"),
            say().query("select 1; select 2"),
            say().run("select 1").sync(),
            say().run("select 1").run("select 2").sync(),
            say().parse("", "select 1").describe("").sync(),
            say().parse("named", "select 1").describe("named").sync(),
            say().sync(),
            say().query("copy t to stdout"),
        ] {
            goes_to(world, REPLICA, read);
        }
        for other in [
            say().query("insert a"),
            say().query("select 1; insert a"),
            say().run("insert a").sync(),
            say().run("select 1").run("insert a").sync(),
            say().parse("write", "insert a").sync(),
            say().run("select 1").flush().sync(),
            say().function_call(),
            say().bind("").sync(),
            say().run("select 1").query("select 2"),
        ] {
            goes_to(world, PRIMARY, other);
        }
    });
}

#[test]
fn a_prepared_statement_goes_by_its_text() {
    Setup::cluster().each(|world| {
        goes_to(world, PRIMARY, say().parse("r", "select 1").parse("w", "insert a").sync());
        let row = "2 D(select 1|10) C(SELECT 1)";
        assert_eq!(goes_to(world, REPLICA, say().run_named("r").sync()), format!("{row} Z(I)"));
        assert_eq!(goes_to(world, PRIMARY, say().run_named("w").sync()), "2 C(INSERT) Z(I)");
        let both = say().run_named("r").run_named("w").sync();
        assert_eq!(goes_to(world, PRIMARY, both), format!("{row} 2 C(INSERT) Z(I)"));
        assert_eq!(goes_to(world, REPLICA, say().describe("w").sync()), "t n Z(I)");
    });
}

#[test]
fn an_unknown_name_goes_to_the_primary_and_ends_the_client() {
    Setup::cluster().each(|world| {
        world.ask(say().bind("s").sync());
        assert_eq!(world.clients[0].end, Some(crate::world::End::Fatal(Fatal::UnknownStatement)));
    });
}

#[test]
fn reads_in_a_pipeline_wait_for_nothing_and_a_write_behind_them_goes_to_the_primary() {
    Setup::cluster().each(|world| {
        let pipeline = say().query("select 1").run("select 2").sync().query("insert a").query("select 3");
        let answer = world.ask(pipeline);
        assert_eq!(
            answer,
            "T D(select 1|0) C(SELECT 1) Z(I) 1 2 D(select 2|10) C(SELECT 1) Z(I) C(INSERT) Z(I) \
             T D(select 3|0) C(SELECT 1) Z(I)"
        );
        assert!(world.ran(PRIMARY).contains(&"insert a".to_owned()));
        let reads = world.ran(REPLICA);
        assert!(reads.contains(&"select 1".to_owned()) && reads.contains(&"select 2".to_owned()));
    });
    // All at once: one checkout for both reads.
    let mut world = World::new(Setup { pieces: Pieces::Of(1 << 20), ..Setup::cluster() });
    world.ask(say().query("select 1").query("select 2").query("insert a"));
    assert_eq!(world.clients[0].checkouts, [REPLICA, PRIMARY]);
}

#[test]
fn a_transaction_goes_to_the_primary_and_a_read_only_one_to_a_replica() {
    Setup::cluster().each(|world| {
        goes_to(world, PRIMARY, say().query("begin"));
        goes_to(world, PRIMARY, say().query("select 1"));
        world.ask(say().query("commit"));
        goes_to(world, REPLICA, say().query("begin read only"));
        goes_to(world, REPLICA, say().query("select 1"));
        // The client's own wish: the refusal is its to hear.
        assert_eq!(goes_to(world, REPLICA, say().query("insert a")), "E(25006) Z(E)");
        assert_eq!(goes_to(world, REPLICA, say().query("rollback")), "C(ROLLBACK) Z(I)");
        assert_eq!(world.clients[0].retries, 0);
    });
}

#[test]
fn what_follows_a_read_only_transaction_in_a_pipeline_is_routed_anew() {
    Setup::cluster().each(|world| {
        let pipeline = say().query("begin read only").query("select 1").query("commit").query("insert a");
        let rows = "T D(select 1|0) C(SELECT 1)";
        assert_eq!(world.ask(pipeline), format!("C(BEGIN) Z(T) {rows} Z(T) C(COMMIT) Z(I) C(INSERT) Z(I)"));
        // The same when the transaction is known to be open before its end is said.
        world.ask(say().query("begin read only"));
        assert_eq!(
            world.ask(say().run("commit").sync().query("insert a")),
            "1 2 C(COMMIT) Z(I) C(INSERT) Z(I)"
        );
    });
}

#[test]
fn a_batch_that_is_too_long_to_look_at_goes_to_the_primary() {
    let long = format!("select '{}'", "x".repeat(70_000));
    for pieces in [Pieces::Of(4_000), Pieces::Of(1 << 20)] {
        let mut world = World::new(Setup { pieces, ..Setup::cluster() });
        assert_eq!(goes_to(&mut world, PRIMARY, say().query(&long)), "T D(70011 bytes) C(SELECT 1) Z(I)");
        assert_eq!(goes_to(&mut world, REPLICA, say().query("select 1")), "T D(select 1|0) C(SELECT 1) Z(I)");
    }
}

#[test]
fn a_text_of_which_nobody_knows_the_end_keeps_the_session_on_the_primary() {
    let mut world = World::new(Setup { pieces: Pieces::Of(100_000), ..Setup::cluster() });
    goes_to(&mut world, PRIMARY, say().query(&format!("select '{}'", "x".repeat(1 << 20))));
    goes_to(&mut world, PRIMARY, say().query("select 1"));
    goes_to(&mut world, PRIMARY, say().query("discard all"));
    goes_to(&mut world, REPLICA, say().query("select 1"));
}

#[test]
fn hints_win() {
    Setup::cluster().each(|world| {
        goes_to(world, PRIMARY, say().query("/* howdah:primary */ select 1"));
        goes_to(world, REPLICA, say().query("select 1"));
        world.ask(say().query("set howdah.route = 'primary'"));
        goes_to(world, PRIMARY, say().query("select 1"));
        world.ask(say().query("set howdah.route = 'replica'"));
        assert_eq!(goes_to(world, REPLICA, say().query("insert a")), "E(25006) Z(I)");
        world.ask(say().query("set howdah.route = 'auto'"));
        assert_eq!(goes_to(world, PRIMARY, say().query("insert a")), "C(INSERT) Z(I)");
        goes_to(world, REPLICA, say().query("select 1"));
    });
}

#[test]
fn a_session_with_a_temporary_table_reads_on_the_primary_until_discard_all() {
    for create in [
        say().query("create temp table t (a int)"),
        // Not the first batch of its link.
        say().query("begin").query("create temp table t (a int)").query("commit"),
        say().query("begin").run("create temp table t (a int)").sync().query("commit"),
    ] {
        Setup::cluster().each(|world| {
            goes_to(world, PRIMARY, create.clone());
            goes_to(world, PRIMARY, say().query("select 1"));
            goes_to(world, PRIMARY, say().run("select 1").sync());
            // One that fails changes nothing.
            goes_to(world, PRIMARY, say().query("begin").query("discard all").query("rollback"));
            goes_to(world, PRIMARY, say().query("select 1"));
            goes_to(world, PRIMARY, say().query("discard all"));
            goes_to(world, REPLICA, say().query("select 1"));
        });
    }
}

#[test]
fn a_prepared_statement_that_marks_the_session_is_noticed_where_it_runs() {
    Setup::cluster().each(|world| {
        world.ask(say().parse("c", "create temp table t (a int)").sync());
        world.ask(say().query("discard all"));
        world.ask(say().parse("c", "create temp table t (a int)").sync());
        goes_to(world, PRIMARY, say().query("begin").run_named("c").sync().query("commit"));
        goes_to(world, PRIMARY, say().query("select 1"));
    });
}

#[test]
fn names_prove_nothing_once_the_search_path_was_touched() {
    for set in [
        say().query("set search_path = 'x'"),
        say().query("begin").query("set search_path = 'x'").query("commit"),
    ] {
        Setup { clients: 2, ..Setup::cluster() }.each(|world| {
            let read = "select length('a')";
            goes_to(world, REPLICA, say().query(read));
            // Another session's verdict on a shared statement is not this one's.
            world.ask_as(1, say().parse("s", read).sync());
            world.ask_as(1, say().run_named("s").sync());
            assert_eq!(world.clients[1].checkouts.last(), Some(&REPLICA));
            world.ask(set.clone());
            goes_to(world, PRIMARY, say().query(read));
            world.ask(say().parse("s", read).sync());
            goes_to(world, PRIMARY, say().run_named("s").sync());
            goes_to(world, REPLICA, say().query("select 1"));
            world.ask_as(1, say().run_named("s").sync());
            assert_eq!(world.clients[1].checkouts.last(), Some(&REPLICA));
        });
    }
}

#[test]
fn an_entry_for_the_primary_reads_there() {
    target(RouteMode::Primary).each(|world| {
        goes_to(world, PRIMARY, say().query("select 1"));
        goes_to(world, PRIMARY, say().run("select 1").sync());
    });
}

#[test]
fn an_entry_for_replicas_sends_everything_there() {
    let long = format!("select '{}'", "x".repeat(70_000));
    target(RouteMode::Replica).each(|world| {
        goes_to(world, REPLICA, say().query("select 1"));
        assert_eq!(goes_to(world, REPLICA, say().query("insert a")), "E(25006) Z(I)");
        assert_eq!(
            goes_to(world, REPLICA, say().query("begin").query("select 1").query("commit"))
                .matches('Z')
                .count(),
            3
        );
        assert_eq!(goes_to(world, REPLICA, say().run("select 1").flush()), "1 2 D(select 1|10) C(SELECT 1)");
        assert_eq!(goes_to(world, REPLICA, say().run("insert a").sync()), "1 2 E(25006) Z(I)");
        assert_eq!(goes_to(world, REPLICA, say().run("insert a").flush()), "1 2 E(25006)");
        assert_eq!(goes_to(world, REPLICA, say().sync().function_call()), "Z(I) V Z(I)");
        assert_eq!(goes_to(world, REPLICA, say().parse("s", "select 1").sync()), "1 Z(I)");
        assert_eq!(world.clients[0].retries, 0);
    });
    let mut world = World::new(Setup { pieces: Pieces::Of(4_000), ..target(RouteMode::Replica) });
    assert_eq!(goes_to(&mut world, REPLICA, say().query(&long)), "T D(70011 bytes) C(SELECT 1) Z(I)");
    let both = Say([say().query("select 1").0, say().query(&long).0].concat());
    assert_eq!(goes_to(&mut world, REPLICA, both).matches("Z(I)").count(), 2);
}

#[test]
fn strong_consistency_reads_on_the_primary() {
    Setup::cluster().each(|world| {
        let strong =
            howdah_session::ReadPolicy { consistency: howdah_session::Consistency::Strong, ..policy() };
        world.clients[0].session.set_routing(RouteMode::Auto, strong);
        goes_to(world, PRIMARY, say().query("select 1"));
    });
}

#[test]
fn plans_of_what_is_there_so_far() {
    let mut world = World::new(Setup::cluster());
    let mut plan = |words: &[u8]| world.plan(0, words);
    let read = say().run("select 1").sync().0;
    assert_eq!(plan(&read), Ok(Plan::Read { batch: read.len() }));
    assert_eq!(
        plan(&Say([read.clone(), say().query("insert a").0].concat()).0),
        Ok(Plan::Read { batch: read.len() })
    );
    for end in 0..read.len() {
        assert_eq!(plan(&read[..end]), Ok(Plan::NeedMore), "{end}");
    }
    assert_eq!(plan(&say().run("insert a").sync().0), Ok(Plan::Primary));
    assert_eq!(plan(&say().parse("", "insert a").0), Ok(Plan::Primary));
    assert_eq!(plan(&say().flush().0), Ok(Plan::Ignore { bytes: 5 }));
    assert_eq!(plan(&say().copy_data(&[0; 100]).0[..20]), Ok(Plan::Ignore { bytes: 105 }));
    assert_eq!(plan(&say().copy_done().0), Ok(Plan::Ignore { bytes: 5 }));
    assert_eq!(plan(b"X\0\0\0\x04"), Ok(Plan::Terminate));
    assert!(matches!(plan(b"\0\0\0\0\x04"), Err(Fatal::Frame(_))));
    assert!(matches!(plan(b"P\0\0\0\x08abcd"), Err(Fatal::Body(_) | Fatal::Frame(_))));

    let mut plain = World::new(Setup::default());
    let mut plan = |words: &[u8]| plain.plan(0, words);
    assert_eq!(plan(&read), Ok(Plan::Anywhere));
    let first = say().parse("", "select 1").0.len();
    assert_eq!(plan(&read[..first]), Ok(Plan::Anywhere));
    assert_eq!(plan(&read[..first - 1]), Ok(Plan::NeedMore));
    let long = say().query(&"x".repeat(20_000)).0;
    assert_eq!(plan(&long[..5]), Ok(Plan::Anywhere));
    assert_eq!(plan(&long[..4]), Ok(Plan::NeedMore));
}
