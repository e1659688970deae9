//! Bytes that no client and no server would send: an error or an answer, and never a panic, a loop without an end or
//! more consumed than there was.

use std::sync::Arc;

use howdah_classifier::Classifier;
use howdah_protocol::frame::Limits;
use howdah_session::{
    Outputs, Plan, PoolMode, Registry, RouteMode, Routing, ServerSide, Session, SessionOptions, Shared,
    Tracked, Vars, context,
};
use howdah_topology::Time;
use proptest::prelude::*;

use crate::backend::{Backend, reported};
use crate::wire::Say;
use crate::world::policy;

/// Words of a client in which a byte here and there is another one.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        Say::default().query("select 1 from fresh").0,
        Say::default().query("begin").0,
        Say::default().query("commit").0,
        Say::default().query("copy t from stdin").copy_data(b"1").copy_done().0,
        Say::default().run("select 1").close("x").sync().0,
        Say::default().parse("s", "select 1").describe("s").run_named("s").flush().sync().0,
        Say::default().query("discard all").function_call().0,
    ]);
    let parts = prop::collection::vec(part, 1..8).prop_map(|parts| parts.concat());
    (parts, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(
        |(mut bytes, changes)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

struct Pair {
    session: Session,
    server: ServerSide,
    shared: Shared,
    seen: Vec<u8>,
}

fn pair(cluster: bool, is_replica: bool) -> Pair {
    let shared = Shared {
        registry: Registry::default(),
        classifier: Classifier::new(howdah_classifier::Options::default()),
        tracked: Tracked::new([]),
    };
    let options = Arc::new(SessionOptions {
        pool_mode: PoolMode::Transaction,
        max_prepared_statements: 2,
        limits: Limits::default(),
        disable_simple_query: false,
        acknowledgements: Default::default(),
    });
    let routing = cluster.then(|| Box::new(Routing::new(RouteMode::Auto, policy(), context(true))));
    let mut server = ServerSide::new(&shared.tracked, reported(), is_replica);
    server.set_replica(is_replica);
    let mut session = Session::new(options, Arc::new(Vars::default()), routing);
    session.link(&shared, &mut server, &mut Vec::new());
    Pair { session, server, shared, seen: Vec::new() }
}

impl Pair {
    /// Says a piece; returns what is left of the input, or nothing when the client is ended.
    fn say(&mut self, input: &mut Vec<u8>, to: &mut Vec<u8>) -> bool {
        let mut to_server = Vec::new();
        let out = Outputs { to_server: &mut to_server, to_client: &mut self.seen };
        let Ok(turn) = self.session.from_client(&mut self.server, (&self.shared, &|| None), input, out)
        else {
            return false;
        };
        assert!(turn.consumed <= input.len());
        to.extend_from_slice(if to_server.is_empty() { &input[turn.pass] } else { &to_server });
        input.drain(..turn.consumed);
        !turn.terminate
    }

    fn hear(&mut self, input: &mut Vec<u8>) -> bool {
        let mut to_client = Vec::new();
        let moment = (&self.shared, Time::ZERO);
        let Ok(turn) = self.session.from_server(&mut self.server, moment, input, &mut to_client) else {
            return false;
        };
        assert!(turn.consumed <= input.len());
        self.seen.extend_from_slice(if to_client.is_empty() { &input[turn.pass] } else { &to_client });
        input.drain(..turn.consumed);
        turn.fault.is_none()
    }

    /// The server is lost, and the client goes on with whatever it says.
    fn lose(&mut self, input: &mut Vec<u8>) {
        self.session.server_lost(&mut self.server, &mut self.seen);
        self.server.take_retry();
        for _ in 0..input.len() + 2 {
            let dropped = self.session.drop_rest(input);
            input.drain(..dropped);
            if self.session.is_local() {
                let Ok(turn) = self.session.answer_locally(&self.shared, input, &mut self.seen) else {
                    return;
                };
                assert!(turn.consumed <= input.len());
                input.drain(..turn.consumed);
                if turn.consumed == 0 || turn.terminate {
                    return;
                }
            } else if self.session.answer_known(&self.shared, input, &mut self.seen) > 0
                || !matches!(self.session.plan(&self.shared, input), Ok(Plan::Read { .. } | Plan::Primary))
            {
                return;
            } else {
                let done = self.session.refuse_batch(input, ("57P03", "nobody"), &mut self.seen);
                input.drain(..done);
            }
        }
        panic!("no end: {input:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_of_a_client_or_a_server_break_anything(
        words in words(),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        (cluster, is_replica) in (any::<bool>(), any::<bool>()),
        piece in 1_usize..60,
    ) {
        let mut pair = pair(cluster, is_replica);
        let mut backend = Backend::new(is_replica);
        let (mut input, mut to_server, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for said in words.chunks(piece) {
            input.extend_from_slice(said);
            if !pair.say(&mut input, &mut to_server) {
                break;
            }
            // A model server cannot read garbage: what cannot be one of its messages is where it ends.
            let fed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| backend.feed(&std::mem::take(&mut to_server))));
            answers.append(&mut backend.output);
            for (at, byte) in &noise {
                if !answers.is_empty() {
                    let at = at.index(answers.len() * 8);
                    if let Some(place) = answers.get_mut(at) {
                        *place = *byte;
                    }
                }
            }
            if fed.is_err() || !pair.hear(&mut answers) {
                break;
            }
        }
        pair.lose(&mut input);
    }
}
