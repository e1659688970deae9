//! A cluster that Patroni manages with etcd, both Debian's: for following what Howdah does not manage.
//!
//! Each node has an agent, which makes, starts and promotes its server. The [`Node`]s are there to be asked and killed;
//! starting them is the agent's. Everything lives under one directory and goes with it (`workdir.rs`).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::binaries::{Binaries, find_binaries};
use crate::command::tail;
use crate::error::Error;
use crate::node::Node;
use crate::ports::PortLease;
use crate::wait::wait_until;
use crate::workdir::WorkDir;

/// What an agent's first start, with `initdb` or a base backup, may take on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The longest that a switchover may take until Patroni answers.
const SWITCHOVER_LIMIT: Duration = Duration::from_secs(60);

/// The end of an agent's log that goes into an error, in bytes.
const LOG_SHOWN: usize = 3000;

/// A running cluster. The first node is the first leader, replication is synchronous.
#[derive(Debug)]
pub struct PatroniCluster {
    // The order of the fields is that of the end: no agent may live that would start a server again.
    agents: Vec<Agent>,
    nodes: Vec<Node>,
    etcd: Process,
    workdir: Arc<WorkDir>,
}

/// Patroni beside one node.
#[derive(Debug)]
struct Agent {
    process: Process,
    rest: SocketAddr,
    _port: PortLease,
}

/// A process that is killed with its owner.
#[derive(Debug)]
struct Process {
    child: Mutex<Child>,
}

impl Process {
    fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl PatroniCluster {
    /// Starts etcd and an agent for each item: the tags of its node, as lines of YAML (`noloadbalance: true`). Returns
    /// when the first node leads, all others stream from it and one of them is synchronous.
    ///
    /// # Errors
    /// [`Error::Program`] where the packages are missing, [`Error::Deadline`] with the end of the agents' logs.
    pub async fn start(tags: &[&str]) -> Result<Self, Error> {
        let workdir = Arc::new(WorkDir::new()?);
        let binaries = find_binaries()?;
        workdir.make_dir("agents")?;
        let (etcd, store) = start_etcd(&workdir).await?;
        let mut cluster = Self { agents: Vec::new(), nodes: Vec::new(), etcd, workdir };
        for (index, tags) in tags.iter().enumerate() {
            cluster.add(index, &binaries, (store, tags))?;
            if index == 0 {
                // Or another would be faster and the leader.
                let leads = || async { cluster.nodes[0].is_standby().await.is_ok_and(|standby| !standby) };
                cluster.wait("the first node to lead", leads).await?;
            }
        }
        cluster.wait_synchronous(0, tags.len()).await?;
        Ok(cluster)
    }

    /// The nodes, in the order of their tags.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Where the agent of a node answers by HTTP.
    #[must_use]
    pub fn rest(&self, index: usize) -> SocketAddr {
        self.agents[index].rest
    }

    /// Waits until `leader` has all the others of `members` nodes as standbys, one of them synchronous, and Patroni has
    /// noted which: before that it neither switches over nor fails over.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the end of the agents' logs.
    pub async fn wait_synchronous(&self, leader: usize, members: usize) -> Result<(), Error> {
        let sql = "SELECT count(*) FILTER (WHERE state = 'streaming') || ' ' || \
                   count(*) FILTER (WHERE sync_state = 'sync') FROM pg_stat_replication";
        let expected = format!("{} 1", members - 1);
        let node = &self.nodes[leader];
        let rest = self.agents[leader].rest;
        self.wait("the standbys to stream, one of them synchronous", || async {
            let noted = ask(rest, "GET /cluster", "").await.is_ok_and(|all| all.contains("sync_standby"));
            noted && node.value(sql).await.is_ok_and(|seen| seen == expected)
        })
        .await
    }

    /// Asks Patroni for a switchover; its answer, when it is over.
    ///
    /// # Errors
    /// [`Error::Program`] when Patroni refuses, [`Error::Deadline`] when it does not answer.
    pub async fn switchover(&self, from: usize, to: usize) -> Result<String, Error> {
        let names = (self.nodes[from].name(), self.nodes[to].name());
        let body = format!(r#"{{"leader": "{}", "candidate": "{}"}}"#, names.0, names.1);
        let rest = self.agents[from].rest;
        let answer = tokio::time::timeout(SWITCHOVER_LIMIT, ask(rest, "POST /switchover", &body)).await;
        let answer = answer
            .map_err(|_| self.late("an answer to the switchover", SWITCHOVER_LIMIT))?
            .map_err(Error::io("ask Patroni by", rest.to_string()))?;
        match answer.split_whitespace().nth(1) {
            Some("200") => Ok(answer),
            _ => Err(Error::Program {
                program: "patroni's switchover".to_owned(),
                status: "refused".to_owned(),
                output: answer,
            }),
        }
    }

    /// Kills a node's agent and its whole server with SIGKILL, the agent first.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when the server does not run.
    pub fn kill9(&self, index: usize) -> Result<(), Error> {
        self.agents[index].process.kill();
        self.nodes[index].kill9()
    }

    fn add(&mut self, index: usize, binaries: &Binaries, more: (SocketAddr, &str)) -> Result<(), Error> {
        let last = u8::try_from(200 + index).unwrap_or(u8::MAX);
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        let node = Node::new(format!("node{index}"), address, binaries.clone(), Arc::clone(&self.workdir))?;
        let port = PortLease::reserve()?;
        let rest = SocketAddr::new(address, port.port());
        let agents = self.workdir.path().join("agents");
        let file = agents.join(format!("{}.yml", node.name()));
        self.workdir.write(&file, &settings(&node, rest, more, &agents))?;
        let process = spawn(&self.workdir, "patroni", [file.as_os_str()], "agents")?;
        self.agents.push(Agent { process, rest, _port: port });
        self.nodes.push(node);
        Ok(())
    }

    async fn wait<F, Fut>(&self, what: &str, condition: F) -> Result<(), Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = bool>,
    {
        wait_until(what, START_LIMIT, condition).await.map_err(|_| self.late(what, START_LIMIT))
    }

    fn late(&self, what: &str, waited: Duration) -> Error {
        let log = std::fs::read(self.workdir.path().join("agents/patroni.log")).unwrap_or_default();
        let log = tail(&String::from_utf8_lossy(&log), LOG_SHOWN);
        Error::Deadline { what: format!("{what}; the agents' log ends with\n{log}\n"), waited }
    }
}

impl Drop for PatroniCluster {
    fn drop(&mut self) {
        for agent in &self.agents {
            agent.process.kill();
        }
        for node in &self.nodes {
            // One that was killed already is no error.
            let _ = node.kill9();
        }
        self.etcd.kill();
    }
}

/// Starts etcd; where it answers clients.
async fn start_etcd(workdir: &WorkDir) -> Result<(Process, SocketAddr), Error> {
    let (client, peer) = (PortLease::reserve()?, PortLease::reserve()?);
    let url = |port: &PortLease| format!("http://127.0.0.1:{}", port.port());
    let data = workdir.path().join("agents/etcd");
    let cluster = format!("default={}", url(&peer));
    let args = [
        ("--data-dir", data.to_string_lossy().into_owned()),
        ("--listen-client-urls", url(&client)),
        ("--advertise-client-urls", url(&client)),
        ("--listen-peer-urls", url(&peer)),
        ("--initial-advertise-peer-urls", url(&peer)),
        ("--initial-cluster", cluster),
    ];
    let args = args.iter().flat_map(|(name, value)| [*name, value.as_str()]);
    let process = spawn(workdir, "etcd", args.chain(["--unsafe-no-fsync"]), "agents")?;
    let address = SocketAddr::from(([127, 0, 0, 1], client.port()));
    wait_until("etcd to listen", START_LIMIT, || async { TcpStream::connect(address).await.is_ok() }).await?;
    Ok((process, address))
}

/// Starts a program in `folder` of the directory, its output in a log there.
fn spawn(
    workdir: &WorkDir,
    program: &str,
    args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
    folder: &str,
) -> Result<Process, Error> {
    let folder = workdir.path().join(folder);
    let path = folder.join(format!("{program}.log"));
    let log = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let log = log.map_err(Error::io("open", &path))?;
    let errors = log.try_clone().map_err(Error::io("open", &path))?;
    let mut command = Command::new(program);
    command.args(args).current_dir(&folder).env("HOME", &folder).env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    workdir.account().apply(&mut command);
    let child = command.spawn().map_err(|error| Error::Program {
        program: program.to_owned(),
        status: error.to_string(),
        output: "Debian: apt-get install patroni python3-etcd etcd-server".to_owned(),
    })?;
    Ok(Process { child: Mutex::new(child) })
}

/// An agent's settings. The times are as short as Patroni's own margins allow: its timeouts towards etcd are made of
/// `retry_timeout`, and with less than 2 s it gives up before it has asked.
fn settings(node: &Node, rest: SocketAddr, (store, tags): (SocketAddr, &str), agents: &Path) -> String {
    let (name, address) = (node.name(), node.address());
    let mut text = format!(
        "scope: main\nname: {name}\nrestapi: {{listen: '{rest}', connect_address: '{rest}'}}\n\
         etcd3: {{host: '{store}'}}\n\
         bootstrap:\n  dcs:\n    {{ttl: 5, loop_wait: 1, retry_timeout: 2, synchronous_mode: true}}\n  \
         initdb: [{{encoding: UTF8}}, {{locale: C}}, no-sync, {{auth: trust}}]\n\
         postgresql:\n  listen: '{address}'\n  connect_address: '{address}'\n  data_dir: {}\n  bin_dir: {}\n  \
         pgpass: {}/{name}.pgpass\n  \
         authentication: {{superuser: {{username: postgres}}, replication: {{username: postgres}}}}\n  \
         basebackup: [{{checkpoint: fast}}, no-sync]\n  remove_data_directory_on_diverged_timelines: true\n  \
         parameters: {{fsync: 'off', shared_buffers: 32MB, max_connections: 100, unix_socket_directories: '', \
         dynamic_shared_memory_type: mmap, wal_retrieve_retry_interval: 200ms}}\n  \
         pg_hba: [host all all 127.0.0.0/8 trust, host replication all 127.0.0.0/8 trust]\n",
        node.pgdata().display(),
        node.binaries().dir().display(),
        agents.display(),
    );
    if !tags.is_empty() {
        let _ = writeln!(text, "tags:\n  {tags}");
    }
    text
}

/// One request by HTTP/1.0; the whole answer, head and body.
async fn ask(to: SocketAddr, what: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(to).await?;
    let request = format!(
        "{what} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
