//! Several poolers behind one address: whose cancel request it is stands in the key, and one process after the other may
//! be replaced (PGBOUNCER_BEHAVIOUR.md section 13).

use howdah_protocol::write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::NoTls;

use crate::support::{Binary, Bouncer, Raw, connect, entry, error_of, postgres, rows, until, within};

/// How many processes share the port.
const FLEET: usize = 3;

/// The peer that a key is of: the layout is PgBouncer's.
fn peer_of(key: &(u32, Vec<u8>)) -> usize {
    let [_, low, high, _] = key.0.to_be_bytes();
    usize::from(low) | (usize::from(high) << 8)
}

/// The same key with so many hops left.
fn with_hops(key: &(u32, Vec<u8>), hops: u8) -> (u32, Vec<u8>) {
    let mut secret = key.1.clone();
    secret[3] = (secret[3] & !3) | hops;
    (key.0, secret)
}

/// A key of this peer, with so many hops left.
fn key_of(peer: u8, hops: u8) -> (u32, Vec<u8>) {
    (u32::from_be_bytes([0x12, peer, 0, 0x34]), vec![5, 6, 7, 0xa8 | hops])
}

fn packet((pid, secret): &(u32, Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write::cancel_request(&mut out, *pid, secret).unwrap();
    out
}

/// Sends a cancel request to a process by its own socket, and waits until the connection is closed.
async fn cancel_at(binary: &Binary, key: &(u32, Vec<u8>)) {
    let socket = binary.dir().join(format!(".s.PGSQL.{}", binary.port()));
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(&packet(key)).await.unwrap();
    let mut answer = Vec::new();
    within("the end of the request", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty(), "a cancel request is answered by nothing");
}

/// Processes on one port, each with its own directory, that know each other.
struct Fleet {
    members: Vec<Binary>,
    databases: String,
}

impl Fleet {
    async fn start(pg: &howdah_testkit::Node, size: usize) -> Self {
        let databases = format!("postgres = {}", entry(pg, ""));
        let first = Binary::start(&databases, &settings(1, "")).await;
        let mut members = vec![first];
        for peer_id in 2..=size {
            let next = members[0].beside(&databases, &settings(peer_id, "")).await;
            members.push(next);
        }
        // The same section for all: a line for oneself does nothing.
        let line = |(at, member): (usize, &Binary)| {
            format!("{} = host={} port={}\n", at + 1, member.dir().display(), member.port())
        };
        let peers: String = members.iter().enumerate().map(line).collect();
        for (at, member) in members.iter().enumerate() {
            member.rewrite(&databases, &settings(at + 1, &peers));
            connect(&member.local_conninfo("pgbouncer", "pgbouncer"))
                .await
                .unwrap()
                .simple_query("RELOAD")
                .await
                .unwrap();
        }
        Self { members, databases }
    }

    /// The process of this peer.
    fn member(&self, peer_id: usize) -> &Binary {
        &self.members[peer_id - 1]
    }

    fn port(&self) -> u16 {
        self.members[0].port()
    }

    /// A session by the shared port.
    async fn session(&self) -> Raw {
        let mut raw = Raw::connect(([127, 0, 0, 1], self.port()).into()).await;
        raw.log_in("postgres", "postgres").await;
        raw
    }

    /// A session by the shared port that this peer has.
    async fn session_of(&self, peer_id: usize) -> Raw {
        let found = async {
            loop {
                let raw = self.session().await;
                if peer_of(&raw.key) == peer_id {
                    return raw;
                }
            }
        };
        within("a session of that peer", found).await
    }
}

fn settings(peer_id: usize, peers: &str) -> String {
    format!("so_reuseport = 1\npeer_id = {peer_id}\nlogfile = @DIR@/log\n[peers]\n{peers}")
}

/// Whether a session runs this, as the server sees it.
async fn runs(pg: &howdah_testkit::Node, sql: &str) {
    let question =
        format!("SELECT count(*) FROM pg_stat_activity WHERE query = '{sql}' AND state = 'active'");
    until("the query to run", || async { pg.value(&question).await.unwrap() == "1" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_lands_on_the_wrong_process_is_forwarded_to_the_one_in_its_key() {
    let pg = postgres().await;
    let fleet = Fleet::start(&pg, FLEET).await;
    for (owner, asked) in [(1, 2), (2, 3), (3, 1), (1, 1)] {
        let mut session = fleet.session_of(owner).await;
        session.send_query("SELECT pg_sleep(20)").await;
        runs(&pg, "SELECT pg_sleep(20)").await;
        cancel_at(fleet.member(asked), &session.key).await;
        let frames = session.until_ready().await;
        let error = frames.iter().find(|(tag, _)| *tag == b'E').expect("it was cancelled");
        assert_eq!(error_of(error).0, "57014");
        assert_eq!(session.value("SELECT 2").await, "2");
    }
    let forwarded =
        fleet.member(2).logged("S-0x").into_iter().filter(|line| line.contains("(nodb)/(nouser)"));
    let forwarded: Vec<String> = forwarded.collect();
    let sent = "closing because: successfully sent cancel request (age=0s)";
    assert_eq!(forwarded.iter().filter(|line| line.contains(sent)).count(), 1, "{forwarded:?}");
    let client = fleet.member(2).logged("C-0x").into_iter().filter(|line| line.contains(sent)).count();
    assert_eq!(client, 2, "its own peer's, and the one that came to it for itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_shared_port_leads_every_cancel_finds_its_query() {
    let pg = postgres().await;
    let fleet = Fleet::start(&pg, FLEET).await;
    let conninfo = fleet.members[0].conninfo("postgres", "postgres");
    let forwarded = || -> usize {
        let of = |member: &Binary| member.logged("(nodb)/(nouser)@unix:").len();
        fleet.members.iter().map(of).sum()
    };
    let (mut rounds, mut seen) = (0, 0);
    while seen < 2 || rounds < 6 {
        assert!(rounds < 100, "of 100 cancels none came to another process");
        rounds += 1;
        let client = connect(&conninfo).await.unwrap();
        let token = client.cancel_token();
        let (answer, ()) = tokio::join!(client.query("SELECT pg_sleep(20)", &[]), async {
            runs(&pg, "SELECT pg_sleep(20)").await;
            within("the cancel", token.cancel_query(NoTls)).await.unwrap();
        });
        assert_eq!(answer.unwrap_err().code().unwrap().code(), "57014");
        seen = forwarded();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_shows_its_peers() {
    let pg = postgres().await;
    let fleet = Fleet::start(&pg, 2).await;
    let console = connect(&fleet.member(1).local_conninfo("pgbouncer", "pgbouncer")).await.unwrap();
    // In the order of the columns' names.
    let cells = async |sql: &str| -> Vec<Vec<String>> {
        rows(&console, sql).await.into_iter().map(|row| row.into_values().collect()).collect()
    };
    let line = |peer_id: usize| -> Vec<String> {
        let dir = fleet.member(peer_id).dir().display().to_string();
        vec![dir, peer_id.to_string(), "20".to_owned(), fleet.port().to_string()]
    };
    assert_eq!(cells("SHOW PEERS").await, [line(1), line(2)]);
    assert_eq!(cells("SHOW PEER_POOLS").await, [["0", "0", "1", "0", "0"], ["0", "0", "2", "0", "0"]]);
    let lists = cells("SHOW LISTS").await;
    for list in ["peers", "peer_pools"] {
        assert!(lists.contains(&vec!["2".to_owned(), list.to_owned()]), "{lists:?}");
    }
    // A peer that is gone from the file is gone at once, and a mistake keeps what was.
    let member = fleet.member(1);
    member.rewrite(&fleet.databases, &settings(1, "2 = host=h pool_size=x\n"));
    let error = console.simple_query("RELOAD").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "F0000");
    let mistake = member.logged("error: pool_size: expected");
    assert!(mistake.len() == 1 && mistake[0].contains("howdah.ini:"), "{mistake:?}");
    assert_eq!(cells("SHOW PEERS").await.len(), 2);
    member.rewrite(&fleet.databases, &settings(1, ""));
    console.simple_query("RELOAD").await.unwrap();
    assert!(cells("SHOW PEERS").await.is_empty());
    let other = fleet.session_of(2).await;
    cancel_at(member, &other.key).await;
    let line = "closing because: could not find peer to forward request to (age=0s)";
    assert_eq!(member.logged(line).len(), 1);
}

/// A peer that only this test plays; the first packet of each who connects.
async fn first_packet(listener: &TcpListener) -> (TcpStream, Vec<u8>) {
    let taken = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut packet = vec![0; 16];
        stream.read_exact(&mut packet).await.unwrap();
        (stream, packet)
    };
    within("a forwarded request", taken).await
}

/// A pooler with number 1 that knows one peer, number 2.
async fn with_peer(pg: &howdah_testkit::Node, more: &str) -> (Bouncer, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings =
        format!("peer_id = 1\ncancel_wait_timeout = 1\n[peers]\n2 = host=127.0.0.1 port={port} {more}");
    (Bouncer::on(pg, &settings).await, listener)
}

async fn request(bouncer: &Bouncer, key: &(u32, Vec<u8>)) -> Raw {
    let mut raw = bouncer.raw().await;
    raw.send(&packet(key)).await;
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_goes_on_as_it_is_but_for_one_hop_and_the_client_is_closed_afterwards() {
    let pg = postgres().await;
    let (bouncer, listener) = with_peer(&pg, "").await;
    for hops in [3, 2, 1] {
        let mut raw = request(&bouncer, &key_of(2, hops)).await;
        let (peer, forwarded) = first_packet(&listener).await;
        assert_eq!(forwarded, packet(&key_of(2, hops - 1)));
        let pools = bouncer.show("SHOW PEER_POOLS").await;
        assert_eq!(
            (pools[0]["cl_active_cancel_req"].as_str(), pools[0]["sv_active_cancel"].as_str()),
            ("1", "1")
        );
        let clients = bouncer.show("SHOW CLIENTS").await;
        let client = clients.iter().find(|row| row["state"] == "active_cancel_req").unwrap();
        assert_eq!((client["user"].as_str(), client["database"].as_str()), ("(nouser)", "(nodb)"));
        let servers = bouncer.show("SHOW SERVERS").await;
        let server = servers.iter().find(|row| row["state"] == "active_cancel").unwrap();
        assert_eq!((server["user"].as_str(), server["database"].as_str()), ("(nouser)", "(nodb)"));
        assert_eq!((&server["link"], &client["link"]), (&client["ptr"], &server["ptr"]));
        // Until the peer closes, so does nobody: the query may not be cancelled yet.
        drop(peer);
        assert!(raw.until_closed().await.is_empty());
    }
    let pools = bouncer.show("SHOW PEER_POOLS").await;
    assert_eq!(
        (pools[0]["cl_active_cancel_req"].as_str(), pools[0]["sv_active_cancel"].as_str()),
        ("0", "0")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_over_three_hops_and_no_further() {
    let pg = postgres().await;
    let fleet = Fleet::start(&pg, 2).await;
    // Each believes that number 9 is the other.
    for (own, other) in [(1, 2), (2, 1)] {
        let peers = format!("9 = host={} port={}\n", fleet.member(other).dir().display(), fleet.port());
        fleet.member(own).rewrite(&fleet.databases, &settings(own, &peers));
        let console = connect(&fleet.member(own).local_conninfo("pgbouncer", "pgbouncer")).await.unwrap();
        console.simple_query("RELOAD").await.unwrap();
    }
    cancel_at(fleet.member(1), &key_of(9, 3)).await;
    let counts = |text: &str| [1, 2].map(|peer_id| fleet.member(peer_id).logged(text).len());
    let line = "closing because: failed to forward cancel request because its TTL was exhausted (age=0s)";
    // From 1 to 2, back to 1, and to 2 again.
    assert_eq!(counts(line), [0, 1]);
    assert_eq!(counts("(nodb)/(nouser)@unix:"), [4, 2], "two lines a hop");
    cancel_at(fleet.member(1), &key_of(9, 0)).await;
    assert_eq!(counts(line), [1, 1]);
    cancel_at(fleet.member(1), &key_of(8, 3)).await;
    assert_eq!(counts("could not find peer to forward request to"), [1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_gets_as_many_at_once_as_its_pool_size_says_and_the_next_waits() {
    let pg = postgres().await;
    let (bouncer, listener) = with_peer(&pg, "pool_size=1").await;
    let mut first = request(&bouncer, &key_of(2, 3)).await;
    let (peer, _) = first_packet(&listener).await;
    let mut second = request(&bouncer, &key_of(2, 3)).await;
    until("the second to wait", || async {
        let pools = bouncer.show("SHOW PEER_POOLS").await;
        pools[0]["cl_waiting_cancel_req"] == "1" && pools[0]["cl_active_cancel_req"] == "1"
    })
    .await;
    // cancel_wait_timeout is for those who wait, and for them alone.
    assert!(second.until_closed().await.is_empty());
    let pools = bouncer.show("SHOW PEER_POOLS").await;
    assert_eq!(
        (pools[0]["cl_waiting_cancel_req"].as_str(), pools[0]["sv_active_cancel"].as_str()),
        ("0", "1")
    );
    drop(peer);
    assert!(first.until_closed().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_before_a_change_of_the_number_is_still_ones_own() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut old = bouncer.raw_session().await;
    let console = bouncer.console().await;
    console.simple_query("SET peer_id = 16383").await.unwrap();
    let mut new = bouncer.raw_session().await;
    assert_eq!((peer_of(&new.key), new.key.1[3] & 3), (16383, 3));
    assert_eq!(new.key.0 >> 31, 0, "a process id is positive");
    // One that another pooler has sent on is found too.
    let come = with_hops(&new.key, 0);
    for (session, key) in [(&mut old, None), (&mut new, Some(come))] {
        session.send_query("SELECT pg_sleep(20)").await;
        runs(&pg, "SELECT pg_sleep(20)").await;
        let key = key.unwrap_or_else(|| session.key.clone());
        assert!(request(&bouncer, &key).await.until_closed().await.is_empty());
        assert!(session.until_ready().await.iter().any(|(tag, _)| *tag == b'E'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_after_the_other_is_replaced_and_nobody_is_cut_off() {
    let pg = postgres().await;
    let mut fleet = Fleet::start(&pg, 2).await;
    let mut old = fleet.session_of(1).await;
    old.query("BEGIN").await;
    fleet.member(1).signal("TERM");
    // It has closed its port at once, so nobody comes to it any more.
    let line = "got SIGTERM, shutting down, waiting for all clients disconnect";
    until("the signal", || async { fleet.member(1).logged(line).len() == 1 }).await;
    let console = connect(&fleet.member(1).local_conninfo("pgbouncer", "pgbouncer")).await.unwrap();
    console.simple_query("SHUTDOWN WAIT_FOR_CLIENTS").await.unwrap();
    for _ in 0..20 {
        assert_eq!(peer_of(&fleet.session().await.key), 2);
    }
    // Who is there works on, and is found by a cancel that only the other can take.
    assert_eq!(old.value("SELECT 7").await, "7");
    old.query("COMMIT").await;
    old.send_query("SELECT pg_sleep(20)").await;
    runs(&pg, "SELECT pg_sleep(20)").await;
    let mut raw = Raw::connect(([127, 0, 0, 1], fleet.port()).into()).await;
    raw.send(&packet(&old.key)).await;
    let outcome = old.until_ready().await;
    assert!(fleet.members[0].is_running(), "a client is there");
    drop((old, raw, console));
    assert!(fleet.members[0].ended().await.success());
    assert_eq!(fleet.member(1).logged("client connections dropped, exiting").len(), 1);
    assert!(outcome.iter().any(|(tag, _)| *tag == b'E'), "{outcome:?}");
    // And a new one in its place serves new clients.
    let next = fleet.member(2).beside(&fleet.databases, &settings(1, "")).await;
    fleet.members[0] = next;
    let mut new = fleet.session_of(1).await;
    assert_eq!(new.value("SELECT 8").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_alone_on_the_port_refuses_at_once_and_ends_after_its_last_client() {
    let pg = postgres().await;
    let mut binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings(1, "")).await;
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    let console = connect(&binary.local_conninfo("pgbouncer", "pgbouncer")).await.unwrap();
    console.simple_query("SHUTDOWN WAIT_FOR_CLIENTS").await.unwrap();
    let error = TcpStream::connect(("127.0.0.1", binary.port())).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    client.batch_execute("SELECT 1").await.unwrap();
    assert!(binary.is_running());
    drop((client, console));
    assert!(binary.ended().await.success());
}
