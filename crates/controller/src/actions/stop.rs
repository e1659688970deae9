//! What a switchover does on the primary that it leaves: a checkpoint, and the order to its supervisor
//! (FAILOVER_PROTOCOL.md §10).

use howdah_failover::{ActionError, Done};
use tokio::time::Instant;

use crate::actions::settings;
use crate::ask::Ask;
use crate::link::NodeLink;

/// Writes the order for the supervisor, or nothing in its place.
pub(crate) async fn order<A: Ask>(on: &mut A, text: &str, deadline: Instant) -> Result<Done, ActionError> {
    settings::alter_custom(on, "howdah.switchover", text, deadline).await?;
    Ok(Done::Written)
}

/// A checkpoint, while work goes on.
pub(crate) async fn checkpoint(link: &NodeLink, deadline: Instant) -> Result<Done, ActionError> {
    let mut second = link.second().await?;
    second.ask("CHECKPOINT", deadline).await?;
    Ok(Done::Written)
}
