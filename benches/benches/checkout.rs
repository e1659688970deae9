//! What the accounting of servers costs a transaction: [`Pools`] without lock, sockets and clock. One turn is the end of
//! one transaction and the beginning of the next: a server comes back, and a client asks for one.

use std::collections::VecDeque;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use howdah_pool::{Checkout, Effect, Lease, PoolId, PoolSettings, Pools, Return, Time};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("checkout");
    Site::of(20).clients(1).bench(&mut group, "1 client, 20 servers");
    Site::of(20).clients(20).bench(&mut group, "20 clients, 20 servers");
    Site::of(20).clients(64).bench(&mut group, "64 clients, 20 servers (hand-over)");
    Site::of(20).clients(10_000).bench(&mut group, "10000 clients, 20 servers (hand-over)");
    Site::of(20).others(1_000).clients(64).bench(&mut group, "64 clients, 20 servers, 1000 other pools");
    group.finish();
    criterion.final_summary();
}

/// Servers and waiters are numbers.
type Account = Pools<usize, u32, u32, String>;

/// A pool whose clients are all in a transaction or waiting for a server.
struct Site {
    pools: Account,
    pool: PoolId,
    /// Servers in use, the one that comes back next first.
    leased: VecDeque<Lease<u32>>,
    now: u64,
}

impl Site {
    /// A pool with so many servers, all of them idle.
    fn of(servers: u32) -> Self {
        let mut pools = Pools::new();
        let (database, user) = (pools.add_group(0), pools.add_group(0));
        let settings = PoolSettings { size: servers, ..PoolSettings::default() };
        let pool = pools.add_pool(0, database, user, settings);
        let mut site = Self { pools, pool, leased: VecDeque::new(), now: 1 };
        // As many clients as servers make the pool log all of them in, one after the other.
        for client in 0..servers {
            site.ask(client);
            site.perform();
        }
        for lease in std::mem::take(&mut site.leased) {
            site.pools.give_back(Time::from_micros(site.now), lease.server, lease.conn, Return::Reusable);
        }
        site
    }

    /// So many pools beside it.
    fn others(mut self, count: usize) -> Self {
        for key in 1..=count {
            let (database, user) = (self.pools.add_group(0), self.pools.add_group(0));
            self.pools.add_pool(key, database, user, PoolSettings::default());
        }
        self
    }

    fn clients(mut self, count: u32) -> Self {
        for client in 0..count {
            self.ask(client);
        }
        self
    }

    fn ask(&mut self, client: u32) {
        match self.pools.checkout(Time::from_micros(self.now), self.pool, client) {
            Checkout::Ready(lease) => self.leased.push_back(lease),
            Checkout::Waiting(_) => {}
            Checkout::Refused(..) => panic!("a checkout was refused"),
        }
    }

    fn perform(&mut self) {
        while let Some(effect) = self.pools.poll_effect() {
            match effect {
                Effect::Connect { login, .. } => {
                    self.pools.login_succeeded(Time::from_micros(self.now), login, 0);
                }
                Effect::HandOver { lease, .. } => self.leased.push_back(lease),
                _ => panic!("an effect that no step asks for"),
            }
        }
    }

    /// The server that has been in use for longest comes back; its client asks again at once.
    fn turn(&mut self) {
        // A transaction a millisecond; the pool's lifetime of servers never comes into it.
        self.now = self.now % 1_000_000 + 1_000;
        let Some(lease) = self.leased.pop_front() else { panic!("no server is in use") };
        self.pools.give_back(Time::from_micros(self.now), lease.server, lease.conn, Return::Reusable);
        self.perform();
        self.ask(0);
    }

    fn bench(mut self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
        let in_use = self.leased.len();
        group.bench_function(name, |bencher| bencher.iter(|| self.turn()));
        assert_eq!(self.leased.len(), in_use, "every turn ends as it began");
    }
}
