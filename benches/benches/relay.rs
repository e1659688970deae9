//! A query end to end: a raw client on a blocking socket, Howdah in this process, a PostgreSQL of the test kit, all on
//! loopback; and the same with the client on PostgreSQL itself. What Howdah adds is the difference.
//!
//! The client is raw so that its own work does not hide ours: it writes bytes made beforehand, and reads as many as the
//! first answer had.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use howdah::{Handle, Howdah, config};
use howdah_protocol::frame::{self, Direction, Limits, Step};
use howdah_protocol::write;
use howdah_testkit::{Options, PortLease, Postgres};
use tokio::sync::oneshot;

/// Nothing here takes longer, unless something is broken (time).
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Servers in Howdah's pool; more than clients, so that nobody waits.
const POOL_SIZE: usize = 20;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let site = Site::start();
    let mut group = criterion.benchmark_group("relay");
    for (name, address) in [("direct", site.postgres), ("howdah", site.howdah)] {
        let load = || Load { address, clients: 1, parse: Vec::new(), request: Vec::new() };
        load().simple("select 1").bench(&mut group, &format!("{name}, simple, 1 client"));
        load().simple("select 1").clients(16).bench(&mut group, &format!("{name}, simple, 16 clients"));
        load().prepared("select 1").bench(&mut group, &format!("{name}, prepared, 1 client"));
        load().prepared("select 1").clients(16).bench(&mut group, &format!("{name}, prepared, 16 clients"));
        load().simple(MEGABYTE).bench(&mut group, &format!("{name}, 1 MB in 1000 rows"));
    }
    group.finish();
    criterion.final_summary();
    site.stop();
}

/// A result of a megabyte.
const MEGABYTE: &str = "select repeat('x', 1000) from generate_series(1, 1000)";

/// A PostgreSQL and a Howdah before it, in a thread of their own.
struct Site {
    postgres: SocketAddr,
    howdah: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Site {
    /// One thread, as the `howdah` command has it on two cores: a client and PostgreSQL need the other.
    fn start() -> Self {
        let (tell, told) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let port = PortLease::reserve().unwrap();
                let postgres = Postgres::single(Options::default()).await.unwrap();
                let howdah = howdah_before(&postgres, port.port()).await;
                tell.send((postgres.address(), howdah.addresses()[0])).unwrap();
                // An error is a benchmark that has panicked: the end, too.
                let _ = stopped.await;
                howdah.shutdown().await;
            });
        });
        let (postgres, howdah) = told.recv().unwrap();
        Self { postgres, howdah, stop, thread }
    }

    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Transaction pooling before this server, for anybody.
async fn howdah_before(postgres: &Postgres, port: u16) -> Handle {
    let ini = format!(
        "[databases]\npostgres = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nauth_type = any\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\npool_mode = transaction\n\
         default_pool_size = {POOL_SIZE}\n",
        postgres.port(),
    );
    let loaded = config::parse("relay.ini", ini.as_bytes(), config::Format::Ini).unwrap();
    Howdah::builder().config(loaded.config).start().await.unwrap()
}

/// Who asks what.
struct Load {
    address: SocketAddr,
    clients: usize,
    /// What is sent once.
    parse: Vec<u8>,
    /// What is sent each time.
    request: Vec<u8>,
}

impl Load {
    fn simple(mut self, sql: &str) -> Self {
        write::query(&mut self.request, sql.as_bytes()).unwrap();
        self
    }

    fn prepared(mut self, sql: &str) -> Self {
        write::parse(&mut self.parse, b"P_0", sql.as_bytes(), b"\0\0").unwrap();
        write::sync(&mut self.parse);
        // No parameters, results in text form.
        write::bind(&mut self.request, b"", b"P_0", b"\0\0\0\0\0\0").unwrap();
        write::execute(&mut self.request, b"", 0).unwrap();
        write::sync(&mut self.request);
        self
    }

    /// So many connections, each with one query under way.
    fn clients(mut self, count: usize) -> Self {
        assert!(count <= POOL_SIZE);
        self.clients = count;
        self
    }

    fn bench(self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
        group.throughput(Throughput::Elements(self.clients as u64));
        group.bench_function(name, |bencher| {
            let mut clients: Vec<Client> = (0..self.clients).map(|_| Client::connect(self.address)).collect();
            for client in &mut clients {
                if !self.parse.is_empty() {
                    client.first_answer(&self.parse);
                }
                client.first_answer(&self.request);
            }
            bencher.iter(|| {
                for client in &mut clients {
                    client.stream.write_all(&self.request).unwrap();
                }
                for client in &mut clients {
                    client.same_answer();
                }
            });
        });
    }
}

/// One connection, and room for the answer that it expects.
struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// How an answer ends outside a transaction.
const READY: &[u8] = b"Z\0\0\0\x05I";

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        let mut client = Self { stream, answer: Vec::new() };
        let mut hello = Vec::new();
        write::startup_message(&mut hello, (3, 0), [(&b"user"[..], &b"postgres"[..])]).unwrap();
        client.first_answer(&hello);
        client
    }

    /// Asks, and learns how long the answer is.
    fn first_answer(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        self.answer.clear();
        let mut seen = 0;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = self.stream.read(&mut chunk).unwrap();
            assert!(read > 0, "closed");
            self.answer.extend_from_slice(&chunk[..read]);
            while let Step::Complete(frame) =
                frame::next(Direction::FromServer, &Limits::default(), &self.answer[seen..]).unwrap()
            {
                assert_ne!(frame.tag, b'E', "{}", String::from_utf8_lossy(frame.body));
                seen += frame.bytes.len();
                if frame.tag == b'Z' {
                    return assert_eq!(seen, self.answer.len());
                }
            }
        }
    }

    /// Reads an answer that is as long as the first one.
    fn same_answer(&mut self) {
        self.stream.read_exact(&mut self.answer).unwrap();
        assert!(self.answer.ends_with(READY));
    }
}
