//! The three PostgreSQL servers: the reference installation on loopback addresses.

use std::process::Stdio;
use std::time::Duration;

use howdah_testkit::{Cluster, ClusterBuilder, Node, Prepared};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use super::Broken;
use super::show::Screen;
use crate::table::Table;

/// The nodes' names, the first primary's first.
const NAMES: [&str; 3] = ["database-master", "database-slave-1", "database-slave-2"];

/// Their addresses, as far as loopback allows the reference installation's.
const ADDRESSES: [&str; 3] = ["127.0.3.200", "127.0.3.201", "127.0.3.202"];

/// The password of Howdah's own role and of the application's, on loopback and for a minute.
pub(crate) const PASSWORD: &str = "demo";

/// How long a rejoin may take (time).
const REJOIN_LIMIT: Duration = Duration::from_secs(120);

/// What the standbys' rows in `pg_stat_replication` are to say.
const REPLICATION: &str = "SELECT application_name, client_addr, state, sync_state FROM pg_stat_replication ORDER BY application_name";

fn builder(screen: &Screen) -> ClusterBuilder {
    let screen = *screen;
    Cluster::builder()
        .replicas(2)
        .names(NAMES)
        .nodes_on(ADDRESSES)
        .synchronous("*")
        // The kit leaves these two off for the sake of tests; an acknowledged row shall be on the disk here, and
        // pg_rewind wants the second.
        .setting("fsync", "on")
        .setting("full_page_writes", "on")
        .sql(&format!("CREATE ROLE howdah LOGIN SUPERUSER PASSWORD '{PASSWORD}'"))
        .sql(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'"))
        .sql("CREATE DATABASE app OWNER app")
        .progress(move |step| screen.line(step))
}

/// Chooses ports and a directory; nothing runs yet.
///
/// # Errors
/// There is no port, or no directory can be made.
pub(crate) fn prepare(screen: &Screen) -> Result<Prepared, Broken> {
    builder(screen).prepare().map_err(|error| Broken::new(error.to_string()))
}

/// The rows of `pg_stat_replication`, with a heading.
///
/// # Errors
/// The node does not answer.
pub(crate) async fn replication(primary: &Node) -> Result<Table, Broken> {
    let rows = primary.psql(REPLICATION).await.map_err(|error| Broken::new(error.to_string()))?;
    let heading = ["application_name", "client_addr", "state", "sync_state"].map(str::to_owned).to_vec();
    Ok(std::iter::once(heading).chain(rows).collect())
}

/// Runs `howdah rejoin` beside a node, as its service would.
///
/// # Errors
/// It failed or took too long; what it printed is on the screen.
pub(crate) async fn rejoin(
    cluster: &Cluster,
    index: usize,
    primary: &Node,
    screen: &Screen,
) -> Result<(), Broken> {
    let node = cluster.node(index);
    let program = std::env::current_exe().map_err(|error| Broken::new(error.to_string()))?;
    let mut command = Command::new(program);
    command.arg("rejoin").arg("--pgdata").arg(node.pgdata());
    command.arg("--primary").arg(cluster.conninfo_to(index, primary));
    command.arg("--rewind-as").arg(primary.conninfo("postgres"));
    command.arg("--name").arg(node.name()).arg("--log").arg(node.log_path());
    command.env("HOWDAH_PG_BIN", node.binaries().dir());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    screen.line(&format!("howdah rejoin --pgdata {} …", node.pgdata().display()));
    let mut child = command.spawn().map_err(|error| Broken::new(format!("howdah rejoin: {error}")))?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let all = async {
        tokio::join!(quote(output, screen), quote(errors, screen));
        child.wait().await
    };
    let status = tokio::time::timeout(REJOIN_LIMIT, all).await;
    let status = status
        .map_err(|_| Broken::new(format!("howdah rejoin took more than {} s", REJOIN_LIMIT.as_secs())))?
        .map_err(|error| Broken::new(format!("howdah rejoin: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Broken::new(format!("howdah rejoin failed ({status})")))
}

/// Shows what a program writes, as it comes. A line of progress is written over itself: its last state is enough.
async fn quote(output: Option<impl AsyncRead + Unpin>, screen: &Screen) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(state) = line.rsplit('\r').find(|state| !state.trim().is_empty()) {
            screen.quote(state);
        }
    }
}
