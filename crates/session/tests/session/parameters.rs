//! Tracked parameters: each client has its own, whatever server it is given (PGBOUNCER_BEHAVIOUR.md section 8).

use std::sync::Arc;

use howdah_session::{Registry, ServerSide, Session, SessionOptions, Shared, Tracked, Vars};

use crate::wire::Say;
use crate::world::{End, Setup};

fn say() -> Say {
    Say::default()
}

fn value(value: &str) -> String {
    format!("T D({value}) C(SELECT 1) Z(I)")
}

fn none() -> Setup {
    Setup { clients: 0, ..Setup::default() }
}

#[test]
fn what_was_asked_for_at_login_is_set_once() {
    none().each(|world| {
        let client = world.add_client(&[("application_name", "it's\\me"), ("TimeZone", "Here")]);
        assert_eq!(world.ask_as(client, say().query("show TimeZone")), value("Here"));
        assert_eq!(
            world.ran(0),
            ["SET TimeZone='Here'", "SET application_name=E'it''s\\\\me'", "show TimeZone"]
        );
        assert_eq!(world.ask_as(client, say().run("select 1").sync()), "1 2 D(select 1|10) C(SELECT 1) Z(I)");
        assert_eq!(world.ran(0), ["select 1"]);
        // Only the client's own requests count.
        assert_eq!(world.clients[client].tally.queries, 2);
    });
}

#[test]
fn clients_of_one_server_keep_their_own() {
    none().each(|world| {
        let (here, there) =
            (world.add_client(&[("TimeZone", "Here")]), world.add_client(&[("TimeZone", "There")]));
        let neither = world.add_client(&[]);
        for _ in 0..2 {
            assert_eq!(world.ask_as(here, say().query("show TimeZone")), value("Here"));
            assert_eq!(world.ask_as(there, say().query("show TimeZone")), value("There"));
            assert_eq!(world.ask_as(neither, say().query("show TimeZone")), value("UTC"));
        }
    });
}

#[test]
fn what_the_client_sets_follows_it_to_another_server() {
    Setup { clients: 2, primaries: 2, ..Setup::default() }.each(|world| {
        assert_eq!(world.ask(say().query("set TimeZone = 'Here'")), "C(SET) S(TimeZone=Here) Z(I)");
        world.ask_as(1, say().query("begin"));
        assert_eq!(world.ask(say().query("show TimeZone")), value("Here"));
        assert_eq!(world.clients[0].checkouts, [0, 1]);
        world.ask_as(1, say().query("commit"));
        // Empty is a value, too.
        world.ask(say().query("set application_name = 'x'"));
        world.ask(say().query("set application_name = ''"));
        world.ask_as(1, say().query("begin"));
        assert_eq!(world.ask(say().query("show application_name")), value(""));
    });
}

#[test]
fn what_was_rolled_back_is_not_kept() {
    Setup { clients: 2, primaries: 2, ..Setup::default() }.each(|world| {
        world.ask(say().query("begin").query("set TimeZone = 'Here'"));
        assert_eq!(world.ask(say().query("rollback")), "C(ROLLBACK) S(TimeZone=UTC) Z(I)");
        world.ask_as(1, say().query("begin"));
        assert_eq!(world.ask(say().query("show TimeZone")), value("UTC"));
        assert_eq!(world.ran(1), ["show TimeZone"]);
    });
}

#[test]
fn the_servers_spelling_is_remembered() {
    none().each(|world| {
        let short = world.add_client(&[("DateStyle", "ISO")]);
        let usual = world.add_client(&[]);
        assert_eq!(world.ask_as(short, say().query("show DateStyle")), value("ISO, MDY"));
        assert_eq!(world.ran(0), ["SET DateStyle='ISO'", "show DateStyle"]);
        for client in [usual, short, usual, short] {
            assert_eq!(world.ask_as(client, say().query("show DateStyle")), value("ISO, MDY"));
            assert_eq!(world.ran(0), ["show DateStyle"]);
        }
    });
}

#[test]
fn a_value_that_the_server_refuses_ends_the_client() {
    none().each(|world| {
        let client = world.add_client(&[("TimeZone", "nonsense")]);
        assert_eq!(world.ask_as(client, say().query("show TimeZone")), "");
        assert_eq!(world.clients[client].end, Some(End::ServerLost));
        let other = world.add_client(&[]);
        assert_eq!(world.ask_as(other, say().query("show TimeZone")), value("UTC"));
    });
}

#[test]
fn discard_all_brings_the_defaults_back() {
    Setup::default().each(|world| {
        world.ask(say().query("set TimeZone = 'Here'"));
        assert_eq!(world.ask(say().query("discard all")), "C(DISCARD ALL) S(TimeZone=UTC) Z(I)");
        assert_eq!(world.ask(say().query("show TimeZone")), value("UTC"));
        assert_eq!(world.ran(0).last().unwrap(), "show TimeZone");
    });
}

/// A parameter that is tracked by wish and not reported: what one client has set on a server is not another's.
#[test]
fn a_client_takes_nothing_over_from_the_last_one() {
    let shared = Shared {
        registry: Registry::default(),
        classifier: howdah_classifier::Classifier::new(howdah_classifier::Options::default()),
        tracked: Tracked::new(["work_mem"]),
    };
    let position = shared.tracked.position(b"work_mem").unwrap();
    let mut server = ServerSide::new(&shared.tracked, [(&b"TimeZone"[..], &b"UTC"[..])], false);
    let options = Arc::new(SessionOptions {
        pool_mode: howdah_session::PoolMode::Transaction,
        max_prepared_statements: 0,
        limits: howdah_protocol::frame::Limits::default(),
        disable_simple_query: false,
        acknowledgements: Default::default(),
    });
    let client = |work_mem: &[u8]| {
        let mut vars = Vars::default();
        if !work_mem.is_empty() {
            vars.set(position, work_mem);
        }
        Session::new(Arc::clone(&options), Arc::new(vars), None)
    };
    let set = b"C\0\0\0\x08SET\0Z\0\0\0\x05I";
    for (work_mem, sql) in [
        (&b"1MB"[..], &b"SET work_mem='1MB';\0"[..]),
        (b"", b""),
        (b"1MB", b""),
        (b"2MB", b"SET work_mem='2MB';\0"),
    ] {
        let mut session = client(work_mem);
        let mut to_server = Vec::new();
        session.link(&shared, &mut server, &mut to_server);
        assert_eq!(to_server.get(5..).unwrap_or_default(), sql);
        if !sql.is_empty() {
            let now = howdah_topology::Time::ZERO;
            let mut to_client = Vec::new();
            let turn = session.from_server(&mut server, (&shared, now), set, &mut to_client).unwrap();
            assert_eq!((turn.consumed, to_client.as_slice(), turn.pass.len()), (set.len(), &b""[..], 0));
        }
        assert_eq!(session.vars().get(position).unwrap_or_default(), work_mem);
        assert!(server.is_clean());
    }
}
