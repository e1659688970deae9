//! Whatever clients say: each is answered to the byte as by a server of its own, although several share few servers
//! that may hold few prepared statements, and bytes arrive in any pieces and order.

use std::collections::HashSet;

use howdah_session::RouteMode;
use proptest::prelude::*;

use crate::backend::Backend;
use crate::wire::{Say, answers};
use crate::world::{Pieces, Setup, World};

/// Few texts, so that clients share them.
const TEXTS: [&str; 12] = [
    "select 1",
    "select 2",
    "select 3",
    "select 4",
    "select rows 3 40",
    "select fail",
    "bad text",
    "insert a",
    "select 5 from noisy",
    "select 6 from missing",
    "commit",
    "show TimeZone",
];

const NAMES: [&str; 5] = ["a", "b", "c", "d", "a name that is longer than those that servers are given"];

const SIMPLE: [&str; 16] = [
    "select 1",
    "begin",
    "begin",
    "commit",
    "commit",
    "rollback",
    "commit and chain",
    "select fail",
    "bad text",
    "set TimeZone = 'here'",
    "set DateStyle = 'ISO'",
    "set application_name = 'it''s me'",
    "show application_name",
    "insert a; select 2; select fail; insert b",
    "",
    "discard all",
];

/// What a client may say, as numbers that choose.
type Choice = (u8, u8, u8);

/// Writes a client's words, with a server of its own that hears them at once: what that server answers is what the
/// client must be answered.
struct Author {
    said: Vec<u8>,
    direct: Backend,
    /// The names that are in use if nothing of the group fails. A name that is not, or is, makes a pooler end the
    /// client's connection where a server only refuses (PGBOUNCER_BEHAVIOUR.md section 10), so that is left out.
    names: HashSet<&'static str>,
}

impl Author {
    fn new() -> Self {
        Self { said: Vec::new(), direct: Backend::new(false), names: HashSet::new() }
    }

    fn say(&mut self, say: Say) {
        self.direct.feed(&say.0);
        self.said.extend(say.0);
    }

    /// A group has ended: now it is known what became of the names.
    fn settle_names(&mut self) {
        if !self.direct.is_skipping() {
            self.names = NAMES.into_iter().filter(|name| self.direct.has_statement(name)).collect();
        }
    }

    fn sync(&mut self) {
        self.say(Say::default().sync());
        self.settle_names();
    }

    fn choose(&mut self, (what, a, b): Choice) {
        let name = NAMES[usize::from(a) % NAMES.len()];
        let text = TEXTS[usize::from(b) % TEXTS.len()];
        let say = Say::default();
        match what % 16 {
            0 | 1 => {
                if !self.names.insert(name) {
                    self.say(say.clone().close(name));
                }
                self.say(say.parse(name, text));
            }
            2..=4 if self.names.contains(name) => {
                self.say(say.bind_value(name, &vec![b; usize::from(a) * 3]).describe_portal().execute());
            }
            5 if self.names.contains(name) => self.say(say.describe(name)),
            6 => {
                self.names.remove(name);
                self.say(say.close(name));
            }
            7 => self.say(say.run(text)),
            8 => self.say(say.flush()),
            9 | 10 => {
                self.say(say.query(SIMPLE[usize::from(b) % SIMPLE.len()]));
                self.settle_names();
            }
            11 => self.copy(a, b),
            12 => {
                self.say(say.query("deallocate all"));
                self.settle_names();
            }
            13 => {
                self.names.clear();
                self.say(say.run("deallocate all"));
            }
            14 => self.refused_on_a_replica(a, b),
            _ => self.sync(),
        }
    }

    /// A read that a replica refuses, and the primary, as one's own server, does not. It has its batch to itself:
    /// what an earlier statement of the batch has answered cannot be taken back.
    fn refused_on_a_replica(&mut self, a: u8, b: u8) {
        self.sync();
        let text = ["select 7 from fresh", "select 8 from conflict", "select 9 from writing_view"]
            [usize::from(b) % 3];
        let name = NAMES[usize::from(a) % NAMES.len()];
        let say = Say::default();
        match a % 3 {
            0 => self.say(say.query(text)),
            1 => self.say(say.run(text)),
            _ => {
                self.names.remove(name);
                self.say(say.close(name).parse("", text).describe("").bind("").describe_portal().execute());
            }
        }
        self.sync();
    }

    /// COPY by a client that waits for nothing.
    fn copy(&mut self, a: u8, b: u8) {
        let text =
            ["copy t from stdin", "copy picky from stdin", "copy missing from missing", "copy t to stdout"]
                [usize::from(b) % 4];
        let data = |say: Say| say.copy_data(b"one").copy_data(&[b'x'; 300]).copy_data(b"");
        let end = |say: Say| if a & 4 == 0 { say.copy_done() } else { say.copy_fail() };
        let say = Say::default();
        match a % 4 {
            0 => self.say(end(data(say.query(text)))),
            1 => self.say(end(data(say.run(text)))),
            2 => self.say(end(data(say.run(text).sync().sync()))),
            _ => self.say(end(data(say.query(&format!("insert a; {text}; select 1"))))),
        }
        self.settle_names();
        self.sync();
    }

    fn finish(mut self) -> (Vec<u8>, Vec<u8>) {
        self.sync();
        // No transaction is left open, so that every client gets its turn.
        self.say(Say::default().query("rollback"));
        (self.said, self.direct.output)
    }
}

fn pieces() -> impl Strategy<Value = Pieces> {
    prop_oneof![Just(Pieces::Any), (1_usize..30).prop_map(Pieces::Of), Just(Pieces::Of(1 << 20))]
}

fn compare(setup: Setup, clients: &[Vec<Choice>]) {
    let mut world = World::new(setup);
    let mut wanted = Vec::new();
    for (number, choices) in clients.iter().enumerate() {
        let mut author = Author::new();
        choices.iter().for_each(|choice| author.choose(*choice));
        let (said, answered) = author.finish();
        world.say(number, Say(said));
        wanted.push(answered);
    }
    world.settle();
    for (number, wanted) in wanted.iter().enumerate() {
        let client = &world.clients[number];
        assert_eq!(client.end, None, "client {number}");
        assert_eq!(answers(&client.seen), answers(wanted), "client {number}");
        assert_eq!(&client.seen, wanted, "client {number}");
        assert_eq!(world.server_of(number), None, "client {number} keeps a server");
    }
    let limit = world.limit();
    for server in 0..world.servers() {
        let most = world.backend(server).most_statements;
        assert!(limit == 0 || most <= limit, "server {server} had {most} statements, {limit} are allowed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Several clients, few servers.
    #[test]
    fn shared_servers_answer_as_ones_own(
        clients in prop::collection::vec(prop::collection::vec(any::<Choice>(), 0..40), 1..5),
        primaries in 1_usize..4,
        max_prepared_statements in 1_usize..6,
        pieces in pieces(),
        seed in any::<u64>(),
    ) {
        let setup = Setup { clients: clients.len(), primaries, max_prepared_statements, pieces, seed, ..Setup::default() };
        compare(setup, &clients);
    }

    /// The same on an entry of a cluster, where reads go to replicas.
    #[test]
    fn a_cluster_answers_as_one_server(
        clients in prop::collection::vec(prop::collection::vec(any::<Choice>(), 0..40), 1..4),
        replicas in 1_usize..3,
        max_prepared_statements in 1_usize..6,
        pieces in pieces(),
        promotes in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let setup = Setup {
            clients: clients.len(),
            replicas,
            cluster: Some(RouteMode::Auto),
            max_prepared_statements,
            pieces,
            seed,
            ..Setup::default()
        };
        compare(setup.promoting(promotes), &clients);
    }
}
