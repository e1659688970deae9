//! Learns under which `application_name` each node streams, where the settings do not say.
//!
//! The synchronous names are `application_name`s (FAILOVER_PROTOCOL.md §2); the machine must know them from its
//! first moment. A node that cannot be asked, or has none (a primary from initdb), goes by its own name.

use std::collections::HashSet;
use std::time::Duration;

use howdah_failover::{Report, UNNAMED};
use howdah_topology::NodeId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ask::{Ask as _, Line};
use crate::config::ControllerConfig;
use crate::connect::Target;
use crate::conninfo::Conninfo;
use crate::sample::Fields;

/// Rounds in which nodes that do not answer at once are asked again, one probe interval apart.
const ROUNDS: usize = 2;

/// Fills in every node's `application_name`.
pub(crate) async fn learn(config: &mut ControllerConfig, reports: &mpsc::Sender<(NodeId, Report)>) {
    for round in 0..ROUNDS {
        let missing: Vec<usize> =
            (0..config.nodes.len()).filter(|i| config.nodes[*i].application_name.is_none()).collect();
        if missing.is_empty() {
            break;
        }
        if round > 0 {
            tokio::time::sleep(config.probe_interval.min(Duration::from_secs(1))).await;
        }
        let learnt = futures_util::future::join_all(missing.iter().map(|i| ask(config, *i, reports))).await;
        for (i, name) in missing.into_iter().zip(learnt) {
            config.nodes[i].application_name = name;
        }
    }
    keep_distinct(config);
}

/// What is no name of its own is forgotten: the node goes by its name in the settings until the machine learns more.
fn keep_distinct(config: &mut ControllerConfig) {
    let mut seen = HashSet::new();
    for node in &mut config.nodes {
        node.application_name =
            node.application_name.take().filter(|name| name != UNNAMED && seen.insert(name.clone()));
    }
}

/// The name in a node's `primary_conninfo`, or its `cluster_name`. An empty text means that it has none.
async fn ask(
    config: &ControllerConfig,
    index: usize,
    reports: &mpsc::Sender<(NodeId, Report)>,
) -> Option<String> {
    let id = NodeId(u16::try_from(index).ok()?);
    let target = Target::new(config, id, config.nodes.get(index)?, reports.clone());
    let mut line = Line::new(target.open().await.ok()?);
    let sql =
        "SELECT current_setting('primary_conninfo') AS conninfo, current_setting('cluster_name') AS cluster";
    let sets = line.ask(sql, Instant::now() + target.limit()).await.ok()?;
    let fields = Fields::of(sets.first()?.first()?);
    let conninfo = Conninfo::parse(fields.text("conninfo")?).ok()?;
    let named = conninfo.get("application_name").map(str::to_owned);
    named.or_else(|| fields.text("cluster").filter(|name| !name.is_empty()).map(str::to_owned))
}
