//! The three PostgreSQL servers: the reference installation on loopback addresses.

use howdah_testkit::{Cluster, ClusterBuilder, Node, Prepared, Supervisor};

use super::Broken;
use super::show::Screen;
use crate::table::Table;

/// The nodes' names, the first primary's first.
const NAMES: [&str; 3] = ["database-master", "database-slave-1", "database-slave-2"];

/// Their addresses, as far as loopback allows the reference installation's.
const ADDRESSES: [&str; 3] = ["127.0.3.200", "127.0.3.201", "127.0.3.202"];

/// The password of Howdah's own role and of the application's, on loopback and for a minute.
pub(crate) const PASSWORD: &str = "demo";

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

/// Starts `howdah rejoin --supervise` beside every node, as a service would run it.
///
/// # Errors
/// One does not come up.
pub(crate) async fn supervise(cluster: &Cluster) -> Result<Vec<Supervisor>, Broken> {
    let program = std::env::current_exe().map_err(|error| Broken::new(error.to_string()))?;
    cluster.supervise(&program).await.map_err(|error| Broken::new(error.to_string()))
}

/// Shows what a supervisor has said since it had said so many bytes. A line of progress is written over itself: its last
/// state is enough.
pub(crate) fn quote(supervisor: &Supervisor, since: usize, screen: &Screen) {
    let said = supervisor.said();
    for line in said.get(since..).unwrap_or_default().lines() {
        if let Some(state) = line.rsplit('\r').find(|state| !state.trim().is_empty()) {
            screen.quote(state);
        }
    }
}
