//! Other settings while it runs (RELOAD). Read next: [`crate::spec`].

use crate::machine::Machine;
use crate::spec::{ClusterSpec, NodeSpec};

impl Machine {
    /// Takes over new settings when there are some. Not while a failover or a change of settings is under way: it ends by
    /// the rules that it began with, or a quorum might be counted by two.
    pub(crate) fn reconfigure(&mut self) {
        if self.attempt.is_none()
            && self.job.is_none()
            && let Some(new) = self.reconfiguration.take()
        {
            self.take_over(*new);
        }
    }

    /// Takes over what can change without anything known becoming wrong: the nodes' ids are their places in the list, so
    /// the list itself stays.
    fn take_over(&mut self, new: ClusterSpec) {
        let place = |n: &NodeSpec| (n.name.clone(), n.host.clone(), n.port);
        if !new.nodes.iter().map(place).eq(self.spec.nodes.iter().map(place)) {
            return;
        }
        for (old, new) in self.spec.nodes.iter_mut().zip(&new.nodes) {
            (old.priority, old.weight) = (new.priority, new.weight);
            (old.nofailover, old.cascade) = (new.nofailover, new.cascade);
        }
        if self.spec.mode != new.mode {
            // What `manage` demands is looked at anew.
            self.accepted = false;
        }
        self.spec = ClusterSpec {
            mode: new.mode,
            on_last_node: new.on_last_node,
            sync_standbys: new.sync_standbys,
            bootstrap: new.bootstrap,
            limits: new.limits,
            ..std::mem::replace(&mut self.spec, new)
        };
    }
}
