//! Sends each order to where it is carried out: the node's control session, or a task beside it.

use std::sync::Arc;

use howdah_failover::{Action, ActionError, Done, Event, Order, Path, ProbeFailure};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::actions;
use crate::ask::{self, Line};
use crate::clock::Clock;
use crate::handle::{ControllerHandle, Shared};
use crate::horizon::EndOfLog;
use crate::link::{NodeLink, Timed};

/// Carries orders out, or has them carried out.
pub(crate) struct Executor {
    pub(crate) links: Arc<[Arc<NodeLink>]>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Executor {
    /// Begins an order and returns at once.
    pub(crate) fn begin(&self, order: Order) {
        let Some(link) = self.links.get(usize::from(order.node.0)).map(Arc::clone) else { return };
        let deadline = Instant::now() + order.within;
        let (events, shared) = (self.events.clone(), Arc::clone(&self.shared));
        let clock = shared.clock;
        match order.action {
            Action::Probe { path: Path::Fresh } => {
                tokio::spawn(async move {
                    let _ = events.send(fresh_probe(&link, clock, order.id).await).await;
                });
            }
            Action::EndConflictingReads
            | Action::ReadPosition
            | Action::AwaitPromoted
            | Action::Checkpoint => {
                tokio::spawn(async move {
                    let result = match order.action {
                        Action::EndConflictingReads => {
                            actions::position::end_conflicting_reads(&link, deadline).await
                        }
                        Action::Checkpoint => actions::stop::checkpoint(&link, deadline).await,
                        Action::ReadPosition => position(&link, &shared, deadline).await,
                        _ => actions::promote::await_promoted(&link, deadline).await,
                    };
                    let _ = events.send(Event::ActionDone { id: order.id, result }).await;
                });
            }
            _ => self.to_control(&link, Timed { order, deadline }),
        }
    }

    /// Hands an order to the control session; one that finds no place is answered as not answered.
    fn to_control(&self, link: &NodeLink, timed: Timed) {
        let Err(refused) = link.control.try_send(timed) else { return };
        let order = refused.into_inner().order;
        let event = match order.action {
            Action::Probe { .. } => Event::ProbeFailed {
                id: order.id,
                sent: self.shared.clock.now(),
                failure: ProbeFailure::Silent,
            },
            _ => Event::ActionDone { id: order.id, result: Err(ActionError::Unanswered) },
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            let _ = events.send(event).await;
        });
    }
}

/// Reads a position, and at the end of the log what the node has seen by then. Without that nothing is wrong but that
/// commits in doubt stay so.
async fn position(link: &NodeLink, shared: &Shared, deadline: Instant) -> Result<Done, ActionError> {
    let position = actions::position::read(link, deadline).await?;
    if let Done::Position { at_end: true, replayed, .. } = position
        && let Ok(Some(next_xid)) =
            actions::position::next_xid(link, replayed, ask::last_look(deadline)).await
    {
        ControllerHandle::note_end(shared, link.id, EndOfLog { replayed, next_xid });
    }
    Ok(position)
}

/// A probe by a connection of its own.
async fn fresh_probe(link: &NodeLink, clock: Clock, id: howdah_failover::ActionId) -> Event {
    let sent = clock.now();
    let deadline = Instant::now() + link.target.limit();
    let session = match link.target.open().await {
        Ok(session) => session,
        Err(failure) => return Event::ProbeFailed { id, sent, failure },
    };
    match ask::sample(&mut Line::new(session), link, None, deadline).await {
        Ok((_, sample)) => Event::ProbeAnswered { id, sent, sample: Box::new(sample) },
        Err(e) => Event::ProbeFailed { id, sent, failure: e.into() },
    }
}
