//! What Howdah's own work costs a query, without sockets: the bytes of a client to the bytes for a server, and the answer
//! back, until the server may go. The difference to `relay` is system calls, wake-ups and PostgreSQL.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use howdah_benches::{Changing, PGBENCH_SELECT, Template};
use howdah_classifier::{Classifier, Options};
use howdah_protocol::frame::Limits;
use howdah_protocol::write;
use howdah_session::{
    Consistency, Outputs, Plan, PoolMode, ReadPolicy, Registry, RouteMode, Routing, ServerSide, Session,
    SessionOptions, Shared, Signal, Tracked, TransactionStatus, WithoutReplica, context,
};
use howdah_topology::{Balance, Time};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("session");
    Link::plain().simple().bench(&mut group, "simple");
    Link::plain().prepared().bench(&mut group, "prepared");
    Link::plain().simple().rows(1_000).bench(&mut group, "simple, 1000 rows");
    Link::routed().simple().bench(&mut group, "simple, routed to a replica");
    Link::routed().prepared().bench(&mut group, "prepared, routed to a replica");
    group.finish();
    criterion.final_summary();
}

/// A client and a server, what the one asks each time and the other answers.
struct Link {
    shared: Shared,
    session: Session,
    server: ServerSide,
    request: Vec<u8>,
    answer: Vec<u8>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Link {
    /// Transaction pooling with one place to go to.
    fn plain() -> Self {
        Self::new(None)
    }

    /// An entry of a cluster: the batch is classified, and the answer of a replica can still be taken back.
    fn routed() -> Self {
        let policy = ReadPolicy {
            consistency: Consistency::Session,
            balance: Balance::LeastLoaded,
            max_lag_bytes: None,
            max_lag_time: None,
            causal_wait: Duration::ZERO,
            without_replica: WithoutReplica::Primary,
        };
        Self::new(Some(Box::new(Routing::new(RouteMode::Auto, policy, context(true)))))
    }

    fn new(routing: Option<Box<Routing>>) -> Self {
        let shared = Shared {
            registry: Registry::default(),
            classifier: Classifier::new(Options::default()),
            tracked: Tracked::new([]),
        };
        let options = SessionOptions {
            pool_mode: PoolMode::Transaction,
            max_prepared_statements: 200,
            limits: Limits::default(),
            disable_simple_query: false,
            acknowledgements: Default::default(),
        };
        let server = ServerSide::new(&shared.tracked, [], routing.is_some());
        let session = Session::new(options.into(), Arc::default(), routing);
        let (request, answer, to_server, to_client) = Default::default();
        Self { shared, session, server, request, answer, to_server, to_client }
    }

    /// `pgbench -S`.
    fn simple(mut self) -> Self {
        write::query(&mut self.request, Template::new(PGBENCH_SELECT, Changing::Nothing).next_text())
            .unwrap();
        self.rows(1)
    }

    /// `pgbench -S -M prepared`, after its first query.
    fn prepared(mut self) -> Self {
        write::parse(
            &mut self.request,
            b"P_0",
            b"SELECT abalance FROM pgbench_accounts WHERE aid = $1",
            b"\0\0",
        )
        .unwrap();
        write::sync(&mut self.request);
        write::parse_complete(&mut self.answer);
        write::ready_for_query(&mut self.answer, TransactionStatus::Idle);
        self.server.set_replica(false);
        self.turn();
        self.server.set_replica(self.session.routing().is_some());
        self.request.clear();
        // One parameter in text form; results in text form.
        write::bind(&mut self.request, b"", b"P_0", b"\0\0\0\x01\0\0\0\x0511111\0\0").unwrap();
        write::execute(&mut self.request, b"", 0).unwrap();
        write::sync(&mut self.request);
        self.answer.clear();
        write::bind_complete(&mut self.answer);
        self.result(1)
    }

    /// The answer has so many rows.
    fn rows(mut self, count: usize) -> Self {
        self.answer.clear();
        write::row_description(&mut self.answer, &[write::Column::int4("abalance")]).unwrap();
        self.result(count)
    }

    fn result(mut self, rows: usize) -> Self {
        for _ in 0..rows {
            write::data_row(&mut self.answer, &[Some(b"-1234")]).unwrap();
        }
        write::command_complete(&mut self.answer, b"SELECT 1").unwrap();
        write::ready_for_query(&mut self.answer, TransactionStatus::Idle);
        self
    }

    /// One query from the client's bytes to the end of the link; returns what the two peers are sent (bytes).
    fn turn(&mut self) -> (usize, usize) {
        self.to_server.clear();
        self.to_client.clear();
        let plan = self.session.plan(&self.shared, &self.request).unwrap();
        assert!(matches!(plan, Plan::Anywhere | Plan::Primary | Plan::Read { .. }));
        self.session.link(&self.shared, &mut self.server, &mut self.to_server);
        let out = Outputs { to_server: &mut self.to_server, to_client: &mut self.to_client };
        let asked = self
            .session
            .from_client(&mut self.server, (&self.shared, &|| None), black_box(&self.request), out)
            .unwrap();
        assert_eq!(asked.consumed, self.request.len());
        let to_server = asked.pass.len() + self.to_server.len();
        let at = (&self.shared, Time::ZERO);
        let answered = self
            .session
            .from_server(&mut self.server, at, black_box(&self.answer), &mut self.to_client)
            .unwrap();
        assert_eq!((answered.consumed, answered.signal), (self.answer.len(), Signal::Idle));
        (to_server, answered.pass.len() + self.to_client.len())
    }

    fn bench(mut self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
        let (to_server, to_client) = self.turn();
        assert!(to_server >= self.request.len(), "the server is asked all of it");
        assert_eq!(to_client, self.answer.len(), "the client reads what the server says");
        group.bench_function(name, |bencher| bencher.iter(|| self.turn()));
    }
}
