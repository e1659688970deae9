//! `SHOW howdah.causal_token` and `SET howdah.read_after`: what the client is answered, with and without a server, what
//! the server is sent, and which node a token admits (DESIGN.md section 6, FAILOVER_PROTOCOL.md section 8).

use std::sync::Arc;

use howdah_session::{Chosen, Moment, NoNode, Plan, PoolMode, RouteMode, choose};
use howdah_topology::{
    Epoch, Gate, Lsn, Mode, Node, NodeId, NodeState, Role, Time, TimelineStart, TokenFault, Topology,
};

use crate::wire::Say;
use crate::world::{Setup, World};

const NOW: Time = Time::from_millis(1_000);

fn say() -> Say {
    Say::default()
}

/// Timeline 2 of system 7, which left timeline 1 at 0/200; node 1 has replayed 0/300, node 2 0/150.
fn topology() -> Topology {
    let mut nodes = Vec::new();
    for (id, replayed) in [(0, None), (1, Some(0x300)), (2, Some(0x150))] {
        let mut node = Node::unseen(NodeId(id), &format!("node-{id}"), "127.0.0.1", 5432 + id);
        node.role = if id == 0 { Role::Primary } else { Role::Replica };
        (node.state, node.prefix) = (NodeState::Up, true);
        node.replayed_lsn = replayed.map(Lsn);
        node.asked_at = replayed.map(|_| Time::from_millis(500));
        nodes.push(node);
    }
    let mut topology = Topology::unseen("main", Mode::Follow, nodes, Time::ZERO);
    (topology.primary, topology.gate) = (Some(NodeId(0)), Gate::Open);
    topology.epoch = Some(Epoch { system_id: 7, timeline: 2, began_at: Lsn(0x200) });
    topology.history = vec![TimelineStart { timeline: 2, began_at: Lsn(0x200) }];
    topology
}

fn knowing(world: &mut World) {
    world.topology = Some(Arc::new(topology()));
}

/// Runs the script with pieces of several sizes on a cluster that is known.
fn each(setup: &Setup, script: impl Fn(&mut World)) {
    setup.each(|world| {
        knowing(world);
        script(world);
    });
}

fn primary() -> Setup {
    Setup { cluster: Some(RouteMode::Primary), replicas: 0, ..Setup::cluster() }
}

/// The token in force, as the primary is told to show it.
fn shown(world: &mut World) -> String {
    world.ran(0);
    let answer = world.ask(say().query("show howdah.read_after"));
    let ran = world.ran(0);
    let value =
        ran.iter().find_map(|text| text.strip_prefix("SELECT '")?.split_once('\'')).map(|(value, _)| value);
    value.unwrap_or_else(|| panic!("{answer}: {ran:?}")).to_owned()
}

/// All that a read may go to.
fn readers(world: &World, topology: &Topology) -> Vec<Result<Chosen, NoNode>> {
    let mut all = Vec::new();
    for ticket in 0..4 {
        let at = Moment { now: NOW, ticket, waited: false };
        let chosen = choose(topology, world.clients[0].session.routing().unwrap(), true, at, |_| 0);
        if !all.contains(&chosen) {
            all.push(chosen);
        }
    }
    all
}

/// A session that has set this and done nothing else.
fn behind(token: &str) -> World {
    let mut world = World::new(Setup::cluster());
    knowing(&mut world);
    let set = format!("set howdah.read_after = '{token}'");
    assert_eq!(world.ask(say().query(&set)), "C(SET) Z(I)");
    assert!(world.clients[0].checkouts.is_empty(), "no server was needed");
    world
}

fn replica(id: u16) -> Result<Chosen, NoNode> {
    Ok(Chosen::Replica(NodeId(id), Some(Time::from_millis(500))))
}

#[test]
fn a_replica_answers_once_it_has_replayed_the_token() {
    let primary = [Ok(Chosen::Primary(NodeId(0)))];
    assert_eq!(readers(&behind("7:2:0/150"), &topology()), [replica(1), replica(2)]);
    assert_eq!(readers(&behind("7:2:0/151"), &topology()), [replica(1)]);
    assert_eq!(readers(&behind("7:2:0/301"), &topology()), primary);
    // Of the old timeline, up to the fork.
    assert_eq!(readers(&behind("7:1:0/150"), &topology()), [replica(1), replica(2)]);
    assert_eq!(readers(&behind("7:1:0/200"), &topology()), [replica(1)]);
    // A connection made after the replica was asked proves nothing: asked once more it does.
    let mut world = behind("7:2:0/150");
    world.clients[0].session.is_too_young(Time::from_millis(501));
    assert_eq!(readers(&world, &topology()), primary);
    let mut asked = topology();
    asked.nodes[2].asked_at = Some(Time::from_millis(501));
    let chosen = Ok(Chosen::Replica(NodeId(2), Some(Time::from_millis(501))));
    assert_eq!(readers(&world, &asked), [chosen]);
}

#[test]
fn a_later_timeline_is_waited_for_and_a_lost_position_is_refused() {
    let world = behind("7:3:0/100");
    let at = Moment { now: NOW, ticket: 0, waited: false };
    let routing = world.clients[0].session.routing().unwrap();
    for read in [true, false] {
        let error = choose(&topology(), routing, read, at, |_| 0).unwrap_err();
        assert!(matches!(error, NoNode::ReadAfter { fault: TokenFault::Ahead, .. }), "{error:?}");
        assert!(error.may_pass() && error.words().0 == "57P03", "{error:?}");
    }
    // It was set before the failover, which it turned out to be lost in.
    let world = behind("7:2:0/300");
    let mut later = topology();
    later.epoch = Some(Epoch { system_id: 7, timeline: 3, began_at: Lsn(0x2FF) });
    later.history.push(TimelineStart { timeline: 3, began_at: Lsn(0x2FF) });
    let errors = readers(&world, &later);
    let Err(error) = &errors[0] else { panic!("{errors:?}") };
    assert!(!error.may_pass() && error.words().0 == "55000", "{error:?}");
    assert!(
        error.words().1.contains("0/300 of timeline 2") && error.words().1.contains("0/2FF"),
        "{error:?}"
    );
}

#[test]
fn what_cannot_be_is_refused_where_it_is_set() {
    for (value, code) in [
        ("'x'", "22023"),
        ("E'7:2:0/100'", "22023"),
        ("'8:2:0/100'", "22023"),
        ("'7:1:0/201'", "55000"),
        ("'7:2:0/100', 'y'", "22023"),
    ] {
        let set = format!("set howdah.read_after = {value}");
        // Without a server, and with one in a transaction, which fails by it.
        each(&Setup::cluster(), |world| {
            world.ask(say().query("set howdah.read_after = '7:2:0/99'"));
            assert_eq!(world.ask(say().query(&set)), format!("E({code}) Z(I)"));
            assert_eq!(world.ask(say().run_bare(&set).sync()), format!("1 2 E({code}) Z(I)"));
            assert!(world.clients[0].checkouts.is_empty());
            world.ask(say().query("begin"));
            assert_eq!(world.ask(say().query(&set)), format!("E({code}) Z(E)"));
            assert_eq!(world.ask(say().query("select 1")), "E(25P02) Z(E)");
            assert_eq!(world.ask(say().query("rollback")), "C(ROLLBACK) Z(I)");
            world.ask(say().query("begin"));
            assert_eq!(world.ask(say().run_bare(&set).sync()), format!("1 2 E({code}) Z(E)"));
            world.ask(say().query("rollback"));
            assert_eq!(shown(world), "7:2:0/99");
        });
    }
}

#[test]
fn a_token_of_a_later_timeline_waits_without_a_server_and_is_refused_with_one() {
    each(&Setup::cluster(), |world| {
        world.ask(say().query("begin"));
        assert_eq!(world.ask(say().query("set howdah.read_after = '7:3:0/1'")), "E(55000) Z(E)");
        world.ask(say().query("rollback"));
        assert_eq!(world.ask(say().query("set howdah.read_after = '7:3:0/1'")), "C(SET) Z(I)");
    });
}

#[test]
fn set_and_reset_need_no_server_in_either_protocol() {
    each(&Setup::cluster(), |world| {
        let set = "set howdah.read_after = '7:2:0/a'";
        assert_eq!(world.ask(say().query(set)), "C(SET) Z(I)");
        assert_eq!(world.ask(say().run_bare(set).sync()), "1 2 C(SET) Z(I)");
        let described = say().parse("", set).describe("").bind_bare("").describe_portal().execute().sync();
        assert_eq!(world.ask(described), "1 t n 2 n C(SET) Z(I)");
        // As drivers prepare: one batch for the statement, one for each use.
        assert_eq!(world.ask(say().parse("s", set).describe("s").sync()), "1 t n Z(I)");
        assert_eq!(world.ask(say().bind_bare("s").execute().sync()), "2 C(SET) Z(I)");
        assert_eq!(world.ask(say().query("reset howdah.read_after")), "C(RESET) Z(I)");
        assert_eq!(world.ask(say().query("set local howdah.read_after = '7:2:0/b'")), "N(25P01) C(SET) Z(I)");
        assert!(world.clients[0].checkouts.is_empty());
        assert_eq!(shown(world), "");
        world.ask(say().bind_bare("s").execute().sync());
        assert_eq!(shown(world), "7:2:0/A");
        // A statement that stays unnamed for a later batch has to be on a server.
        world.clients[0].checkouts.clear();
        assert_eq!(world.ask(say().parse("", set).sync()), "1 Z(I)");
        assert_eq!(world.clients[0].checkouts, [0]);
    });
}

#[test]
fn in_a_transaction_it_lives_as_a_setting_does() {
    each(&primary(), |world| {
        let set = |position: &str| format!("set howdah.read_after = '7:2:0/{position}'");
        let local = |position: &str| format!("set local howdah.read_after = '7:2:0/{position}'");
        world.ask(say().query(&set("1")));
        for (script, after) in [
            (vec![set("2"), "commit".to_owned()], "7:2:0/2"),
            (vec![set("3"), "rollback".to_owned()], "7:2:0/2"),
            (vec![local("4"), "commit".to_owned()], "7:2:0/2"),
            (vec![set("5"), local("6"), "commit".to_owned()], "7:2:0/5"),
            (vec![local("7"), set("8"), "commit".to_owned()], "7:2:0/8"),
            (vec![set("9"), "select fail".to_owned(), "commit".to_owned()], "7:2:0/8"),
            (vec![set("A"), "commit and chain".to_owned(), set("B"), "rollback".to_owned()], "7:2:0/A"),
            (vec!["reset howdah.read_after".to_owned(), "rollback".to_owned()], "7:2:0/A"),
            (vec!["reset howdah.read_after".to_owned(), "commit".to_owned()], ""),
        ] {
            world.ask(say().query("begin"));
            for text in &script {
                world.ask(say().query(text));
            }
            assert_eq!(world.server_of(0), None, "{script:?}");
            assert_eq!(shown(world), after, "{script:?}");
        }
        world.ask(say().query("begin").query(&local("C")));
        assert_eq!(shown(world), "7:2:0/C", "inside");
        assert_eq!(world.ask(say().query("commit")), "C(COMMIT) Z(I)");
        assert_eq!(shown(world), "");
        // In one pipelined batch.
        world.ask(say().run("begin").run(&set("D")).run("rollback").sync());
        assert_eq!(shown(world), "");
        world.ask(say().run("begin").run(&set("E")).run("commit").sync());
        assert_eq!(shown(world), "7:2:0/E");
        world.ask(say().run("select fail").run(&set("F")).sync());
        assert_eq!(shown(world), "7:2:0/E", "skipped behind an error");
        world.ask(say().query("begin").query(&set("10")));
        world.crash(0);
        world.settle();
        world.ask(say().query("rollback"));
        assert_eq!(shown(world), "7:2:0/E", "gone with its transaction");
    });
}

#[test]
fn all_that_clears_a_session_clears_the_token() {
    for clears in
        ["discard all", "reset all", "set howdah.read_after to default", "set howdah.read_after = ''"]
    {
        each(&primary(), |world| {
            world.ask(say().query("set howdah.read_after = '7:2:0/1'"));
            assert_eq!(shown(world), "7:2:0/1");
            world.ask(say().query(clears));
            assert_eq!(shown(world), "", "{clears}");
        });
    }
    // A token that nobody can be behind does not stand in the way of that.
    for clears in ["discard all", "reset all", "reset howdah.read_after; select 1"] {
        let mut world = behind("7:2:0/300");
        let mut later = topology();
        later.epoch = Some(Epoch { system_id: 7, timeline: 3, began_at: Lsn(0x2FF) });
        later.history.push(TimelineStart { timeline: 3, began_at: Lsn(0x2FF) });
        let mut go = |text: &str| {
            let mut bytes = Vec::new();
            howdah_protocol::write::query(&mut bytes, text.as_bytes()).unwrap();
            let plan = world.plan(0, &bytes).unwrap();
            assert!(matches!(plan, Plan::Primary | Plan::Sets { .. }), "{plan:?}");
            let at = Moment { now: NOW, ticket: 0, waited: false };
            choose(&later, world.clients[0].session.routing().unwrap(), false, at, |_| 0)
        };
        assert!(go("insert a").is_err());
        assert_eq!(go(clears), Ok(Chosen::Primary(NodeId(0))), "{clears}");
        assert!(go("insert a").is_err());
    }
}

#[test]
fn the_token_is_asked_of_the_server_in_either_protocol() {
    each(&primary(), |world| {
        let mut asks = |words: Say, before: &str, after: &str| {
            let answer = world.ask(words);
            assert!(answer.starts_with(before) && answer.ends_with(after), "{answer}");
            let ran = world.ran(0);
            let text = ran.last().unwrap();
            assert!(
                text.contains("pg_current_wal_insert_lsn") && text.contains("AS \"howdah.causal_token\""),
                "{ran:?}"
            );
        };
        asks(say().query("SHOW howdah.causal_token;"), "T D(", "C(SELECT 1) Z(I)");
        asks(say().run("show howdah.causal_token").sync(), "1 2 D(", "C(SELECT 1) Z(I)");
        let prepared = say().parse("t", "show howdah.causal_token").describe("t").run_named("t").sync();
        asks(prepared, "1 t T 2 D(", "C(SELECT 1) Z(I)");
        for _ in 0..3 {
            asks(say().run_named("t").sync(), "2 D(", "C(SELECT 1) Z(I)");
        }
        asks(
            say().query("begin").query("show howdah.causal_token"),
            "C(BEGIN) Z(T) T D(",
            "C(SELECT 1) Z(T)",
        );
        asks(say().run("show howdah.causal_token").sync(), "1 2 D(", "C(SELECT 1) Z(T)");
    });
}

#[test]
fn a_token_among_other_statements_is_refused_and_they_with_it() {
    each(&primary(), |world| {
        let texts = ["set howdah.read_after = '7:2:0/1'; insert a", "insert a; reset howdah.read_after"];
        for text in texts {
            world.ask(say().query("set howdah.read_after = '7:2:0/9'"));
            assert_eq!(world.ask(say().query(text)), "E(0A000) Z(I)", "{text}");
            assert_eq!(shown(world), "7:2:0/9");
        }
        // Messages of their own in one batch are none.
        let batch = say().run("set howdah.read_after = '7:2:0/1'").run("insert a").sync();
        assert_eq!(world.ask(batch), "1 2 C(SET) 1 2 C(INSERT) Z(I)");
        assert_eq!(shown(world), "7:2:0/1");
    });
}

#[test]
fn nothing_of_the_setting_stays_on_the_server() {
    each(&primary(), |world| {
        world.ask(say().query("begin"));
        world.ask(say().query("set howdah.read_after = '7:2:0/1'"));
        world.ask(say().parse("s", "set local howdah.read_after = '7:2:0/2'").run_named("s").sync());
        world.ask(say().query("commit"));
        let ran = world.ran(0);
        assert!(ran.contains(&"SET howdah.read_after TO DEFAULT".to_owned()), "{ran:?}");
        assert!(ran.contains(&"SET LOCAL howdah.read_after TO DEFAULT".to_owned()), "{ran:?}");
        assert!(!ran.iter().any(|text| text.contains("7:2:0")), "{ran:?}");
    });
}

#[test]
fn a_transaction_on_a_replica_takes_only_what_the_replica_has() {
    each(&Setup { mode: PoolMode::Transaction, ..Setup::cluster() }, |world| {
        // The model's replica is the node that is named nowhere: nothing is shown of it.
        world.ask(say().query("begin read only"));
        assert_eq!(world.clients[0].checkouts, [1], "on the replica");
        assert_eq!(world.ask(say().query("reset howdah.read_after")), "C(RESET) Z(T)");
        assert_eq!(world.ask(say().query("set howdah.read_after = '7:2:0/1'")), "E(55000) Z(E)");
        world.ask(say().query("rollback"));
        assert_eq!(shown(world), "");
    });
    // The same one, known as node 2.
    let mut setup = World::new(Setup::cluster());
    knowing(&mut setup);
    setup.is_node(1, NodeId(2), Time::from_millis(500));
    setup.ask(say().query("begin read only"));
    assert_eq!(setup.ask(say().query("set howdah.read_after = '7:2:0/150'")), "C(SET) Z(T)");
    assert_eq!(setup.ask(say().query("set howdah.read_after = '7:2:0/151'")), "E(55000) Z(E)");
    setup.ask(say().query("rollback"));
    setup.is_node(1, NodeId(2), Time::from_millis(501));
    setup.ask(say().query("begin read only"));
    assert_eq!(setup.ask(say().query("set howdah.read_after = '7:2:0/150'")), "E(55000) Z(E)");
}
