//! Lets a standby stream from another node.

use howdah_failover::{ActionError, Done, FenceRecord, UNNAMED};
use howdah_topology::NodeId;
use std::sync::Arc;
use tokio::time::Instant;

use crate::actions::{fence, settings};
use crate::ask::{Ask, AskError};
use crate::conninfo::Conninfo;
use crate::link::NodeLink;

/// Writes a `primary_conninfo` that names `to` and is otherwise the node's own.
pub(crate) async fn repoint<A: Ask>(
    on: &mut A,
    link: &NodeLink,
    all: &[Arc<NodeLink>],
    to: NodeId,
    deadline: Instant,
) -> Result<Done, ActionError> {
    let upstream = all
        .get(usize::from(to.0))
        .ok_or_else(|| ActionError::Refused(format!("{to} is not in the list of nodes")))?;
    let [conninfo, fence, slot] = present(on, deadline).await?;
    let own = own_conninfo(conninfo, &fence)?;
    let mut conninfo = Conninfo::parse(&own).map_err(|e| ActionError::Refused(e.to_string()))?;
    conninfo.remove("hostaddr");
    conninfo.set("host", &upstream.config.host);
    conninfo.set("port", &upstream.config.port.to_string());
    name_receiver(&mut conninfo, link);
    prepare_slot(on, (link, &slot), upstream, deadline).await?;
    settings::alter(on, "primary_conninfo", &conninfo.to_string(), deadline).await?;
    Ok(Done::Written)
}

/// Under which name the node streams: the one of the settings; else its own, unless it has none.
fn name_receiver(conninfo: &mut Conninfo, link: &NodeLink) {
    let own = conninfo.get("application_name").filter(|name| *name != UNNAMED);
    match (&link.config.application_name, own) {
        (Some(name), _) => conninfo.set("application_name", name),
        (None, Some(_)) => {}
        (None, None) => conninfo.set("application_name", &link.config.name),
    }
}

/// What a node has now: its `primary_conninfo`, its fence record, its `primary_slot_name`; one round trip.
async fn present<A: Ask>(on: &mut A, deadline: Instant) -> Result<[String; 3], AskError> {
    let sql = format!(
        "SELECT current_setting('primary_conninfo'), current_setting('{}', true), current_setting('primary_slot_name')",
        fence::FENCE
    );
    let sets = on.ask(&sql, deadline).await?;
    let row = sets.first().and_then(|rows| rows.first());
    Ok([0, 1, 2].map(|column| row.and_then(|row| row.get(column)).unwrap_or_default().to_owned()))
}

/// The node's own `primary_conninfo`: the present one, or the one that its fence record keeps.
fn own_conninfo(present: String, fence: &str) -> Result<String, ActionError> {
    if !present.is_empty() {
        return Ok(present);
    }
    let record = fence.parse::<FenceRecord>().ok();
    record.map(|record| record.old_conninfo).filter(|conninfo| !conninfo.is_empty()).ok_or_else(|| {
        ActionError::Refused("the node has no primary_conninfo to derive the new one from".to_owned())
    })
}

/// Makes the node's replication slot on its new upstream, if it uses one, and lets the node use the one that the
/// settings name.
async fn prepare_slot<A: Ask>(
    on: &mut A,
    (link, present): (&NodeLink, &str),
    upstream: &NodeLink,
    deadline: Instant,
) -> Result<(), ActionError> {
    let slot = link.config.slot.as_deref().unwrap_or(present);
    if slot.is_empty() {
        return Ok(());
    }
    let quoted = settings::literal(slot)?;
    let make = format!(
        "SELECT pg_create_physical_replication_slot({quoted}, true) \
         WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {quoted})"
    );
    let mut second = upstream.second().await?;
    second.ask(&make, deadline).await?;
    if slot != present {
        settings::alter(on, "primary_slot_name", slot, deadline).await?;
    }
    Ok(())
}
