//! Clients, sessions and servers in one place without a clock: bytes move in pieces, in an order that a seed
//! decides, and the links begin and end as in crates/howdah/src/client/{task,intake,linked}.rs.
//!
//! Whenever a server is let go of, the model server must be at rest: nothing asked, nothing owed, no transaction.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use howdah_classifier::Classifier;
use howdah_protocol::frame::Limits;
use howdah_session::{
    Acknowledgements, Commit, Consistency, Fatal, Fate, Guards, Level, Lost, Outputs, Plan, PoolMode,
    ReadPolicy, Registry, RouteMode, Routing, ServerSide, Session, SessionOptions, Shared, Signal, Tally,
    Tracked, Vars, WithoutReplica, context,
};
use howdah_topology::{Balance, NodeId, Time, Topology};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::backend::{Backend, reported};
use crate::wire::{Say, answers};

/// How many bytes move at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pieces {
    Of(usize),
    Any,
}

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) mode: PoolMode,
    pub(crate) max_prepared_statements: usize,
    pub(crate) max_packet_size: usize,
    pub(crate) disable_simple_query: bool,
    pub(crate) clients: usize,
    pub(crate) primaries: usize,
    pub(crate) replicas: usize,
    /// An entry of a cluster, and its target.
    pub(crate) cluster: Option<RouteMode>,
    /// Howdah promotes, and servers begin with these values.
    pub(crate) guards: Option<Guards>,
    pub(crate) acknowledgements: Acknowledgements,
    pub(crate) pieces: Pieces,
    pub(crate) seed: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            mode: PoolMode::Transaction,
            max_prepared_statements: 200,
            max_packet_size: Limits::default().max_frame,
            disable_simple_query: false,
            clients: 1,
            primaries: 1,
            replicas: 0,
            cluster: None,
            guards: None,
            acknowledgements: Acknowledgements::default(),
            pieces: Pieces::Any,
            seed: 1,
        }
    }
}

impl Setup {
    /// An entry of a cluster with one primary and one replica, routed by text.
    pub(crate) fn cluster() -> Self {
        Self { cluster: Some(RouteMode::Auto), replicas: 1, ..Self::default() }
    }

    /// The same where Howdah promotes and asks for what became of commits, if `promotes`.
    pub(crate) fn promoting(self, promotes: bool) -> Self {
        let guards = promotes.then_some(Guards { level: Level::Notice, commit: Commit::On });
        let acknowledgements = Acknowledgements { resolve: promotes, ..self.acknowledgements };
        Self { guards, acknowledgements, ..self }
    }

    /// Runs the script with pieces of several sizes.
    pub(crate) fn each(&self, script: impl Fn(&mut World)) {
        let fixed = [1, 2, 3, 7, 64, 1 << 20].map(Pieces::Of);
        let any = (1..=8).map(|seed| (Pieces::Any, seed));
        for (pieces, seed) in fixed.into_iter().map(|pieces| (pieces, 1)).chain(any) {
            // Shown when the script fails.
            eprintln!("pieces {pieces:?}, seed {seed}");
            script(&mut World::new(Setup { pieces, seed, ..self.clone() }));
        }
    }
}

/// Why a client's connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Fatal(Fatal),
    TransactionRefused,
    ServerLost,
    HalfRow,
    Terminated,
}

struct Server {
    backend: Backend,
    side: ServerSide,
    /// Read from the server and not understood yet.
    input: Vec<u8>,
    /// Written to the server and not arrived yet.
    pipe: VecDeque<u8>,
    taken: bool,
}

struct Link {
    server: usize,
    input_ready: bool,
    client_waits: bool,
}

pub(crate) struct Client {
    pub(crate) session: Session,
    /// Said and not arrived yet.
    pipe: VecDeque<u8>,
    input: Vec<u8>,
    /// What the client has been sent.
    pub(crate) seen: Vec<u8>,
    link: Option<Link>,
    waiting: Option<Plan>,
    /// The input is to be looked at although nothing new has come.
    look: bool,
    pub(crate) end: Option<End>,
    pub(crate) tally: Tally,
    /// Which servers it had, in order.
    pub(crate) checkouts: Vec<usize>,
    pub(crate) retries: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Idle(usize),
    Acquire(usize),
    FromClient(usize),
    ServerReads(usize),
    FromServer(usize),
}

pub(crate) struct World {
    setup: Setup,
    shared: Shared,
    options: Arc<SessionOptions>,
    servers: Vec<Server>,
    pub(crate) clients: Vec<Client>,
    rng: StdRng,
    pub(crate) now: Time,
    /// Servers read what is sent to them.
    pub(crate) servers_read: bool,
    /// The most bytes that were written to a server in one turn.
    pub(crate) most_at_once: usize,
    /// How likely a server dies before a step, while its client has it.
    pub(crate) crashes: f64,
    /// What dead servers had committed.
    pub(crate) committed: Vec<String>,
    /// What servers say is taken.
    pub(crate) servers_heard: bool,
    /// What is known of the cluster.
    pub(crate) topology: Option<Arc<Topology>>,
    /// What is said of commits in doubt; `None`: the truth. And which were.
    pub(crate) fate: Option<Fate>,
    pub(crate) doubts: Vec<u64>,
}

pub(crate) fn policy() -> ReadPolicy {
    ReadPolicy {
        consistency: Consistency::Session,
        balance: Balance::RoundRobin,
        max_lag_bytes: None,
        max_lag_time: None,
        causal_wait: std::time::Duration::ZERO,
        without_replica: WithoutReplica::Primary,
    }
}

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        let shared = Shared {
            registry: Registry::default(),
            classifier: Classifier::new(howdah_classifier::Options::default()),
            tracked: Tracked::new(["IntervalStyle"]),
        };
        let options = Arc::new(SessionOptions {
            pool_mode: setup.mode,
            max_prepared_statements: setup.max_prepared_statements,
            limits: Limits { max_frame: setup.max_packet_size },
            disable_simple_query: setup.disable_simple_query,
            acknowledgements: setup.acknowledgements,
        });
        let mut world = Self {
            shared,
            options,
            servers: Vec::new(),
            clients: Vec::new(),
            rng: StdRng::seed_from_u64(setup.seed),
            now: Time::from_millis(1),
            servers_read: true,
            most_at_once: 0,
            crashes: 0.0,
            committed: Vec::new(),
            servers_heard: true,
            topology: None,
            fate: None,
            doubts: Vec::new(),
            setup,
        };
        for number in 0..world.setup.primaries + world.setup.replicas {
            let server = world.new_server(number >= world.setup.primaries);
            world.servers.push(server);
        }
        for _ in 0..world.setup.clients {
            world.add_client(&[]);
        }
        world
    }

    fn new_server(&self, is_replica: bool) -> Server {
        let side = ServerSide::new(&self.shared.tracked, reported(), is_replica);
        let (side, level) = match self.setup.guards {
            Some(guards) => (side.with_guards(guards), guards.level.as_str()),
            None => (side, "notice"),
        };
        Server {
            backend: Backend::new(is_replica).at_level(level),
            side,
            input: Vec::new(),
            pipe: VecDeque::new(),
            taken: false,
        }
    }

    /// A client that asked for this level at its login.
    pub(crate) fn add_client_at(&mut self, level: Level) -> usize {
        let number = self.add_client(&[]);
        let client = self.clients.remove(number);
        self.clients.push(Client { session: client.session.with_level(Some(level)), ..client });
        number
    }

    /// A client that asked for these parameters at its login.
    pub(crate) fn add_client(&mut self, parameters: &[(&str, &str)]) -> usize {
        let tracked = &self.shared.tracked;
        let mut vars = Vars::default();
        for (name, value) in parameters {
            vars.set(tracked.position(name.as_bytes()).unwrap(), value.as_bytes());
        }
        let mut of_server = Vars::default();
        for (name, value) in reported() {
            if let Some(position) = tracked.position(name) {
                of_server.set(position, value);
            }
        }
        vars.fill_from(&of_server);
        let routing = self.setup.cluster.map(|mode| Box::new(Routing::new(mode, policy(), context(true))));
        self.clients.push(Client {
            session: Session::new(Arc::clone(&self.options), Arc::new(vars), routing).with_scope(1),
            pipe: VecDeque::new(),
            input: Vec::new(),
            seen: Vec::new(),
            link: None,
            waiting: None,
            look: false,
            end: None,
            tally: Tally::default(),
            checkouts: Vec::new(),
            retries: 0,
        });
        self.clients.len() - 1
    }

    /// The configuration is loaded anew.
    pub(crate) fn set_max_prepared_statements(&mut self, max: usize) {
        let options = Arc::new(SessionOptions { max_prepared_statements: max, ..(*self.options).clone() });
        for client in &mut self.clients {
            client.session.set_options(Arc::clone(&options));
        }
        self.options = options;
    }

    /// The client says something; nothing moves yet.
    pub(crate) fn say(&mut self, client: usize, say: Say) {
        self.clients[client].pipe.extend(say.0);
    }

    /// Client 0 says something, everything moves, and this is what it has been answered.
    pub(crate) fn ask(&mut self, say: Say) -> String {
        self.ask_as(0, say)
    }

    pub(crate) fn ask_as(&mut self, client: usize, say: Say) -> String {
        self.say(client, say);
        self.settle();
        self.heard(client)
    }

    /// What the client has been answered since it was asked last.
    pub(crate) fn heard(&mut self, client: usize) -> String {
        answers(&std::mem::take(&mut self.clients[client].seen))
    }

    pub(crate) fn backend(&mut self, server: usize) -> &mut Backend {
        &mut self.servers[server].backend
    }

    pub(crate) fn side(&self, server: usize) -> &ServerSide {
        &self.servers[server].side
    }

    pub(crate) fn servers(&self) -> usize {
        self.servers.len()
    }

    pub(crate) fn limit(&self) -> usize {
        self.setup.max_prepared_statements
    }

    /// The server that the client has.
    pub(crate) fn server_of(&self, client: usize) -> Option<usize> {
        self.clients[client].link.as_ref().map(|link| link.server)
    }

    /// Texts that ran on the server since it was asked last.
    pub(crate) fn ran(&mut self, server: usize) -> Vec<String> {
        std::mem::take(&mut self.servers[server].backend.log)
    }

    /// The server dies. What it had said still arrives.
    pub(crate) fn crash(&mut self, server: usize) {
        self.servers[server].backend.gone = true;
    }

    /// What all servers have committed, the dead ones too.
    pub(crate) fn all_committed(&self) -> HashSet<String> {
        let living = self.servers.iter().flat_map(|server| &server.backend.committed);
        living.chain(&self.committed).cloned().collect()
    }

    /// Takes exactly so many bytes of what the client's server has said.
    pub(crate) fn hear(&mut self, client: usize, bytes: usize) {
        self.take_from_server(client, bytes);
    }

    /// How much the client's server has said that was not taken yet.
    pub(crate) fn unheard(&mut self, client: usize) -> usize {
        let server = self.server_of(client).expect("a link");
        self.servers[server].backend.output.len()
    }

    /// The server is this node of the cluster, and had logged in at this moment.
    pub(crate) fn is_node(&mut self, server: usize, node: NodeId, since: Time) {
        let is_replica = self.servers[server].side.is_replica();
        let side = ServerSide::new(&self.shared.tracked, reported(), is_replica);
        self.servers[server].side = side.with_node(Some(node), since);
    }

    /// Where a client without a server would go with this input.
    pub(crate) fn plan(&mut self, client: usize, input: &[u8]) -> Result<Plan, Fatal> {
        self.clients[client].session.plan(&self.shared, input)
    }

    /// The batch at the beginning of the client's words cannot be served.
    pub(crate) fn refuse(&mut self, client: usize) {
        let client = &mut self.clients[client];
        client.waiting = None;
        client.look = true;
        let input = std::mem::take(&mut client.input);
        let done = client.session.refuse_batch(&input, ("57P03", "nobody is there"), &mut client.seen);
        client.input = input[done..].to_vec();
    }

    /// Moves bytes until nothing can move any more.
    pub(crate) fn settle(&mut self) {
        let mut steps = 0_u64;
        loop {
            let possible = self.possible();
            if possible.is_empty() {
                return;
            }
            self.maybe_crash();
            let step = possible[self.rng.random_range(0..possible.len())];
            self.step(step);
            steps += 1;
            assert!(steps < 20_000_000, "the same steps for ever: {possible:?}");
        }
    }

    /// A server dies, with or without a word, and what it had said may be lost.
    fn maybe_crash(&mut self) {
        if self.crashes == 0.0 || !self.rng.random_bool(self.crashes) {
            return;
        }
        let number = self.rng.random_range(0..self.servers.len());
        let (polite, silent) = (self.rng.random_bool(0.5), self.rng.random_bool(0.3));
        let server = &mut self.servers[number];
        if !server.taken || server.backend.gone {
            return;
        }
        if polite {
            server.backend.shut_down();
        } else {
            server.backend.gone = true;
        }
        if silent {
            server.backend.output.clear();
        }
    }

    fn possible(&self) -> Vec<Step> {
        let mut possible = Vec::new();
        for (number, client) in self.clients.iter().enumerate().filter(|(_, client)| client.end.is_none()) {
            let Some(link) = &client.link else {
                if client.look || !client.pipe.is_empty() {
                    possible.push(Step::Idle(number));
                }
                if client.waiting.is_some_and(|plan| self.free(plan).is_some()) {
                    possible.push(Step::Acquire(number));
                }
                continue;
            };
            let server = &self.servers[link.server];
            if link.input_ready || (!link.client_waits && !client.pipe.is_empty()) {
                possible.push(Step::FromClient(number));
            }
            if self.servers_read && !server.pipe.is_empty() && !server.backend.gone {
                possible.push(Step::ServerReads(number));
            }
            if self.servers_heard && (!server.backend.output.is_empty() || server.backend.gone) {
                possible.push(Step::FromServer(number));
            }
        }
        possible
    }

    fn free(&self, plan: Plan) -> Option<usize> {
        let replica = matches!(plan, Plan::Read { .. }) && self.setup.replicas > 0;
        self.servers.iter().position(|server| !server.taken && server.side.is_replica() == replica)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Idle(client) => self.idle(client),
            Step::Acquire(client) => self.acquire(client),
            Step::FromClient(client) => self.take_from_client(client),
            Step::ServerReads(client) => {
                let server = self.clients[client].link.as_ref().unwrap().server;
                let pipe_length = self.servers[server].pipe.len();
                let bytes = self.piece(pipe_length);
                let server = &mut self.servers[server];
                let piece: Vec<u8> = server.pipe.drain(..bytes).collect();
                server.backend.feed(&piece);
            }
            Step::FromServer(client) => {
                let available = self.unheard(client);
                let bytes = self.piece(available);
                self.take_from_server(client, bytes);
            }
        }
        self.count(step);
    }

    fn count(
        &mut self,
        (Step::Idle(client)
        | Step::Acquire(client)
        | Step::FromClient(client)
        | Step::ServerReads(client)
        | Step::FromServer(client)): Step,
    ) {
        let client = &mut self.clients[client];
        let tally = client.session.take_tally();
        client.tally.queries += tally.queries;
        client.tally.transactions += tally.transactions;
        client.tally.client_parses += tally.client_parses;
        client.tally.server_parses += tally.server_parses;
        client.tally.binds += tally.binds;
        client.tally.unprotected += tally.unprotected;
    }

    fn piece(&mut self, available: usize) -> usize {
        let bytes = match self.setup.pieces {
            Pieces::Of(bytes) => bytes,
            Pieces::Any if self.rng.random_bool(0.3) => available,
            Pieces::Any => self.rng.random_range(1..=40),
        };
        bytes.min(available)
    }

    fn arrive(&mut self, client: usize) -> Vec<u8> {
        let bytes = self.piece(self.clients[client].pipe.len());
        self.clients[client].pipe.drain(..bytes).collect()
    }

    /// The client has no server: `task.rs`, `poll_idle`, and while it waits for one, `acquire.rs`, `meanwhile`.
    fn idle(&mut self, number: usize) {
        if !std::mem::take(&mut self.clients[number].look) {
            let piece = self.arrive(number);
            self.clients[number].input.extend(piece);
        }
        let client = &mut self.clients[number];
        if client.waiting.is_some() {
            return;
        }
        match client.take_in(&self.shared, self.topology.as_deref()) {
            Ok(Plan::NeedMore) => {}
            Ok(Plan::Ignore { .. }) => client.look = true,
            Ok(Plan::Terminate) => client.end = Some(End::Terminated),
            Ok(plan) => client.waiting = Some(plan),
            Err(fatal) => client.end = Some(End::Fatal(fatal)),
        }
    }

    fn acquire(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let plan = client.waiting.take().unwrap();
        let free = self.free(plan).unwrap();
        let client = &mut self.clients[number];
        let server = &mut self.servers[free];
        server.taken = true;
        client.checkouts.push(free);
        let mut to_server = Vec::new();
        client.session.link(&self.shared, &mut server.side, &mut to_server);
        server.pipe.extend(to_server);
        client.look = false;
        client.link = Some(Link { server: free, input_ready: true, client_waits: false });
    }

    fn take_from_client(&mut self, number: usize) {
        let ready = std::mem::take(&mut self.clients[number].link.as_mut().unwrap().input_ready);
        let piece = if ready { Vec::new() } else { self.arrive(number) };
        let client = &mut self.clients[number];
        client.input.extend(piece);
        let link = client.link.as_mut().unwrap();
        let server = &mut self.servers[link.server];
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        let out = Outputs { to_server: &mut to_server, to_client: &mut to_client };
        let look = || self.topology.clone();
        let turn =
            match client.session.from_client(&mut server.side, (&self.shared, &look), &client.input, out) {
                Ok(turn) => turn,
                Err(fatal) => return self.end(number, End::Fatal(fatal)),
            };
        let bytes = if to_server.is_empty() { &client.input[turn.pass.clone()] } else { &to_server[..] };
        assert!(to_server.is_empty() || turn.pass.is_empty(), "the range would be lost");
        server.pipe.extend(bytes);
        self.most_at_once = self.most_at_once.max(bytes.len());
        client.input.drain(..turn.consumed);
        client.seen.extend(to_client);
        link.client_waits = turn.stalled;
        if turn.terminate {
            self.end(number, End::Terminated);
        } else if turn.idle && (turn.stalled || self.setup.mode != PoolMode::Session) {
            self.release(number);
        }
    }

    fn take_from_server(&mut self, number: usize, bytes: usize) {
        let client = &mut self.clients[number];
        let link = client.link.as_mut().unwrap();
        let server = &mut self.servers[link.server];
        if server.backend.output.is_empty() {
            return self.lost(number);
        }
        server.input.extend(server.backend.output.drain(..bytes));
        let mut to_client = Vec::new();
        let (shared, now) = (&self.shared, self.now);
        let turn = client.session.from_server(&mut server.side, (shared, now), &server.input, &mut to_client);
        let Ok(turn) = turn else { return self.lost(number) };
        assert!(to_client.is_empty() || turn.pass.is_empty(), "the range would be lost");
        let bytes = if to_client.is_empty() { &server.input[turn.pass] } else { &to_client[..] };
        client.seen.extend(bytes);
        server.input.drain(..turn.consumed);
        link.input_ready |= link.client_waits;
        if turn.fault.is_some() {
            return self.lost(number);
        }
        match turn.signal {
            Signal::None => {}
            Signal::TransactionRefused => self.end(number, End::TransactionRefused),
            Signal::Retry => {
                self.run_again(number);
                assert!(!self.clients[number].input.is_empty(), "nothing to run again");
                self.release(number);
            }
            Signal::Idle if self.setup.mode == PoolMode::Session => {}
            Signal::Idle => self.release(number),
        }
    }

    fn run_again(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let server = &mut self.servers[client.link.as_ref().unwrap().server];
        let mut bytes = server.side.take_retry();
        bytes.append(&mut client.input);
        client.input = bytes;
        client.session.refused_by_replica();
        client.retries += 1;
    }

    fn release(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let taken = client.link.take().unwrap().server;
        let server = &mut self.servers[taken];
        assert!(server.side.is_clean(), "let go of too early: {:?}", server.backend.log);
        assert!(!client.session.is_mid_frame());
        if server.backend.gone {
            // The driver sees that before it gives the server to anybody.
            client.look = true;
            return self.renew(taken);
        }
        assert!(server.input.is_empty(), "an answer is only half read");
        // Only the rest of a COPY that failed may still be on its way.
        let late: Vec<u8> = server.pipe.drain(..).collect();
        server.backend.feed(&late);
        assert!(server.backend.is_at_rest(), "let go of before it was at rest: {:?}", server.backend.log);
        let limit = self.setup.max_prepared_statements;
        assert!(limit == 0 || server.side.prepared_statements() == server.backend.named_statements());
        server.taken = false;
        client.look = true;
    }

    fn lost(&mut self, number: usize) {
        if self.setup.cluster.is_none() {
            return self.end(number, End::ServerLost);
        }
        let client = &mut self.clients[number];
        let link = client.link.as_ref().unwrap();
        let server = &mut self.servers[link.server];
        let lost = client.session.server_lost(&mut server.side, &mut client.seen);
        match lost {
            Lost::Retry => self.run_again(number),
            Lost::GoesOn => {}
            Lost::InDoubt(xid) => {
                self.doubts.push(xid);
                assert_eq!(client.session.doubt(), Some(xid));
                let truth = if server.backend.has_committed(xid) { Fate::Committed } else { Fate::Aborted };
                client.session.resolve(self.fate.unwrap_or(truth), self.now, &mut client.seen);
            }
            Lost::Broken => self.clients[number].end = Some(End::HalfRow),
        }
        self.replace_server(number);
    }

    /// The client's server is closed and another one takes its place.
    fn replace_server(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(link) = client.link.take() else { return };
        client.look = true;
        self.renew(link.server);
    }

    fn renew(&mut self, server: usize) {
        let new = self.new_server(self.servers[server].side.is_replica());
        let mut old = std::mem::replace(&mut self.servers[server], new);
        self.committed.append(&mut old.backend.committed);
    }

    fn end(&mut self, number: usize, end: End) {
        self.clients[number].end = Some(end);
        self.replace_server(number);
    }
}

impl Client {
    /// `intake.rs`.
    fn take_in(&mut self, shared: &Shared, topology: Option<&Topology>) -> Result<Plan, Fatal> {
        let mut at = self.session.drop_rest(&self.input);
        let input = std::mem::take(&mut self.input);
        let plan = self.look_at((shared, topology), &input, &mut at);
        self.input = input[at..].to_vec();
        plan
    }

    fn look_at(
        &mut self,
        (shared, topology): (&Shared, Option<&Topology>),
        input: &[u8],
        at: &mut usize,
    ) -> Result<Plan, Fatal> {
        if self.session.is_local() {
            let turn = self.session.answer_locally(shared, &input[*at..], &mut self.seen)?;
            *at += turn.consumed;
            if turn.terminate {
                return Ok(Plan::Terminate);
            }
            let nothing = turn.consumed == 0 || *at == input.len();
            return Ok(if nothing { Plan::NeedMore } else { Plan::Ignore { bytes: 0 } });
        }
        let known = self.session.answer_known(shared, &input[*at..], &mut self.seen);
        if known > 0 {
            *at += known;
            return Ok(Plan::Ignore { bytes: 0 });
        }
        let plan = self.session.plan(shared, &input[*at..])?;
        if let (Plan::Sets { batch }, Some(topology)) = (plan, topology) {
            let batch = &input[*at..*at + batch];
            let answered = self.session.answer_sets(shared, topology, batch, &mut self.seen);
            *at += if answered { batch.len() } else { 0 };
            return Ok(if answered { Plan::Ignore { bytes: 0 } } else { Plan::Primary });
        }
        if let Plan::Ignore { bytes } = plan {
            self.session.ignore(bytes);
            *at += self.session.drop_rest(&input[*at..]);
            if *at == input.len() {
                return Ok(Plan::NeedMore);
            }
        }
        Ok(plan)
    }
}
