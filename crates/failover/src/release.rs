//! Letting go: what Howdah has changed on the nodes for as long as it watches them is put back, when it ends and where it
//! does not promote any more (FAILOVER_PROTOCOL.md §1). What a Howdah that crashed has left is found by the record on the
//! node. Read next: [`crate::plan`].

use howdah_topology::{Mode, NodeId};

use crate::action::Action;
use crate::facts::NodeFacts;
use crate::job::Job;
use crate::machine::Machine;
use crate::rows::State;

impl Machine {
    /// Everyone is asked at once: what an older answer shows may have changed.
    pub(crate) fn let_go(&mut self) {
        self.leaving = Some(self.now);
        for id in self.spec.ids() {
            self.reported(id);
        }
    }

    /// After [`crate::Event::LettingGo`]: whether nothing is left to put back, or that cannot be done now. A failover under
    /// way is not over yet.
    #[must_use]
    pub fn has_let_go(&self) -> bool {
        let Some(since) = self.leaving.filter(|_| self.spec.mode == Mode::Manage) else { return true };
        let since = since.max(self.job_ended);
        let done = |(id, f): (NodeId, &NodeFacts)| {
            let kept = f.sample.as_ref().is_some_and(|s| s.times_kept) && !self.released.contains(&id);
            !f.reachable() || (f.sampled >= since && !kept)
        };
        match self.state {
            State::Start | State::Follow => self.facts.iter().all(done),
            State::Suspect | State::BackOff | State::Halted => true,
            _ => false,
        }
    }

    /// The times of the receivers, on every node where they are Howdah's. Tried once on each: another Howdah that promotes
    /// sets them again, and the two would go on for ever.
    pub(crate) fn plan_release(&self) -> Option<Job> {
        let kept =
            |id: &NodeId| !self.released.contains(id) && self.answer(*id).is_some_and(|s| s.times_kept);
        let nodes: Vec<NodeId> = self.spec.ids().filter(kept).collect();
        if nodes.is_empty() {
            return None;
        }
        let job = Job::new("the times of the receivers are put back".to_owned(), nodes.iter().copied());
        Some(nodes.into_iter().fold(job, |job, id| job.then(id, Action::Tune { on: false })))
    }

    /// What was ordered is not ordered again, whatever comes of it.
    pub(crate) fn note_release(&mut self, node: NodeId, action: &Action) {
        match action {
            Action::Tune { on: false } => _ = self.released.insert(node),
            Action::Tune { on: true } => _ = self.released.remove(&node),
            _ => {}
        }
    }
}
