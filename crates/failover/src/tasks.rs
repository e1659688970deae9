//! Orders under way: which are unanswered, which results are in. A lost result is asked for again a bounded number of
//! times and is then a failure; it is never taken for a success. Read next: [`crate::attempt`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use howdah_topology::{NodeId, Time};

use crate::action::{Action, ActionError, ActionId, Done, Order};

/// What came of an action on a node.
pub(crate) type Outcome = Result<Done, ActionError>;

/// An order without an answer yet.
#[derive(Debug, Clone)]
struct Task {
    node: NodeId,
    action: Action,
    sent: Time,
    within: Duration,
    retries: u32,
}

/// Orders under way and the results of this step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    next_id: u64,
    pending: BTreeMap<ActionId, Task>,
    /// The newest result by node and action name.
    results: BTreeMap<(NodeId, &'static str), Outcome>,
    /// Results that have come in and were not looked at yet.
    pub(crate) settled: VecDeque<(NodeId, Action, Outcome)>,
    /// A planted fault: what is lost is taken for done.
    pub(crate) assume_done: bool,
    /// To be carried out, not polled yet. Bounded: every step orders at most a few actions a node.
    pub(crate) out: VecDeque<Order>,
}

impl Tasks {
    /// A number never given before.
    pub(crate) fn new_id(&mut self) -> ActionId {
        self.next_id += 1;
        ActionId(self.next_id)
    }

    /// A new step begins: what is still under way is not waited for, and its answers will be ignored.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.results.clear();
        self.settled.clear();
    }

    /// Orders an action; an earlier result of the same action on the node is forgotten.
    pub(crate) fn order(&mut self, now: Time, node: NodeId, action: Action, limit: Limit) {
        self.results.remove(&(node, action.name()));
        let id = self.new_id();
        let task =
            Task { node, action: action.clone(), sent: now, within: limit.within, retries: limit.retries };
        self.pending.insert(id, task);
        self.out.push_back(Order { id, node, action, within: limit.within });
    }

    /// Takes an answer; the node, the action and the time at which it was ordered, or `None` for one that is not
    /// waited for (any more).
    pub(crate) fn done(
        &mut self,
        now: Time,
        id: ActionId,
        outcome: Outcome,
    ) -> Option<(NodeId, Action, Time)> {
        let task = self.pending.remove(&id)?;
        let (node, action, sent) = (task.node, task.action.clone(), task.sent);
        self.settle(now, task, outcome);
        Some((node, action, sent))
    }

    /// Takes every order for lost whose time has run out.
    pub(crate) fn expire(&mut self, now: Time) {
        let lost: Vec<ActionId> =
            self.pending.iter().filter(|(_, t)| t.sent + t.within <= now).map(|(id, _)| *id).collect();
        for task in lost.into_iter().filter_map(|id| self.pending.remove(&id)).collect::<Vec<_>>() {
            self.settle(now, task, Err(ActionError::Unanswered));
        }
    }

    fn settle(&mut self, now: Time, task: Task, outcome: Outcome) {
        if outcome == Err(ActionError::Unanswered) && task.retries > 0 && !self.assume_done {
            let limit = Limit { within: task.within, retries: task.retries - 1 };
            self.order(now, task.node, task.action, limit);
            return;
        }
        let outcome = if self.assume_done { assumed(&task.action, outcome) } else { outcome };
        self.results.insert((task.node, task.action.name()), outcome.clone());
        self.settled.push_back((task.node, task.action, outcome));
    }

    /// When the next order is lost.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.pending.values().map(|t| t.sent + t.within).min()
    }

    /// Whether nothing is under way.
    pub(crate) fn idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// The result of an action on a node in this step.
    pub(crate) fn result(&self, node: NodeId, action: &'static str) -> Option<&Outcome> {
        self.results.get(&(node, action))
    }

    /// Forgets the results of these actions on a node; whether there was one.
    pub(crate) fn take_results(&mut self, node: NodeId, actions: &[&'static str]) -> bool {
        let before = self.results.len();
        for action in actions {
            self.results.remove(&(node, *action));
        }
        self.results.len() < before
    }

    /// All results of an action in this step.
    pub(crate) fn results_of(&self, action: &'static str) -> impl Iterator<Item = (NodeId, &Outcome)> {
        self.results.iter().filter(move |((_, name), _)| *name == action).map(|((node, _), o)| (*node, o))
    }
}

/// The planted fault: the answer that a lost one would have been at best.
fn assumed(action: &Action, outcome: Outcome) -> Outcome {
    if outcome != Err(ActionError::Unanswered) {
        return outcome;
    }
    match action {
        Action::Fence { .. } => {
            Ok(Done::Fenced { receiver_gone: true, replay_paused: false, recovery_conflict: false })
        }
        Action::CheckVote => Ok(Done::Vote(true)),
        Action::Lock | Action::ReadPosition | Action::AwaitPromoted | Action::Probe { .. } => outcome,
        Action::WriteNames { .. } => Ok(Done::Names { inserted: None }),
        _ => Ok(Done::Written),
    }
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// For each try.
    pub(crate) within: Duration,
    /// Tries after the first.
    pub(crate) retries: u32,
}
