//! Which names the list of synchronous standbys should have (FAILOVER_PROTOCOL.md §2). Read next: [`crate::plan`], which
//! changes it.

use howdah_topology::NodeId;

use crate::machine::Machine;
use crate::members::{Method, SyncNames};
use crate::quorum;
use crate::sample::{Attached, Sample, StreamState};
use crate::spec::OnLastNode;

/// So long the first list waits for the standbys that stream but were not checked yet.
const FIRST_LIST_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// What the list should become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// One name or one step of k less, and why.
    Shorter(SyncNames, String),
    /// One name or one step of k more, and why.
    Longer(SyncNames, String),
}

impl Machine {
    /// The list that takes the place of `*`, or the one that the operator has written, to be kept on every node from now on.
    /// `None` while nobody streams, and for a cluster that was set up asynchronous.
    pub(crate) fn first_list(&self, primary: (NodeId, &Sample)) -> Option<SyncNames> {
        let set = &primary.1.sync_names;
        if set.is_async() {
            return None;
        }
        if !set.is_wildcard() {
            return Some(set.clone());
        }
        let names: Vec<String> = self.joinable(primary, &SyncNames::none()).map(|(_, name)| name).collect();
        // Whoever streams is to be in the first list, and may not have been asked yet: a list of one name cannot take
        // a second one without a step of k (the old quorum would not meet every acknowledging set).
        let streaming = self.spec.nodes.iter().filter(|n| {
            let row =
                |r: &&Attached| r.application_name == n.application_name && r.state == StreamState::Streaming;
            !n.cascade && primary.1.replication.iter().any(|r| row(&r))
        });
        if streaming.count() > names.len() && self.now.since(self.enthroned) < FIRST_LIST_PATIENCE {
            return None;
        }
        if names.is_empty() {
            // Under `*` a diverged node that streams would go on acknowledging what it does not have.
            return self.diverged_streams(primary).then(|| self.or_last(SyncNames::none()));
        }
        Some(SyncNames { method: set.method, k: set.k.min(names.len()), names })
    }

    /// Whether a node streams whose history is not the primary's.
    fn diverged_streams(&self, primary: (NodeId, &Sample)) -> bool {
        self.spec.by_id().any(|(id, node)| {
            let streams = primary.1.replication.iter().any(|r| r.application_name == node.application_name);
            let answers = self.facts.node(id).is_some_and(|f| f.live().is_some_and(|s| s.in_recovery));
            streams && answers && !self.is_prefix(id)
        })
    }

    /// What should become of the list now; `None`: it is right.
    pub(crate) fn target(&self, primary: (NodeId, &Sample), list: &SyncNames) -> Option<Target> {
        self.shorter(primary, list).or_else(|| self.longer(primary, list))
    }

    fn shorter(&self, primary: (NodeId, &Sample), list: &SyncNames) -> Option<Target> {
        let own = &self.node_spec(primary.0)?.application_name;
        if list.is_nobody() {
            return None;
        }
        if list.contains(own) {
            let why = format!("{own} is the primary and acknowledges nothing");
            return Some(Target::Shorter(self.or_last(self.checked(primary, &list.without(own))), why));
        }
        let name = list.names.iter().find(|n| self.absent(primary, n))?;
        let why = format!("{name} was absent for member_timeout");
        let names = list.without(name);
        if names.is_async() {
            let degrade = self.spec.on_last_node == OnLastNode::Degrade;
            return degrade.then_some(Target::Shorter(names, why));
        }
        quorum::change_is_safe(list, &names).then_some(Target::Shorter(names, why))
    }

    /// Of a list that a new primary has inherited: the names that it was promoted with and whose history is known. The
    /// others enter again when they stream: a diverged node would acknowledge what it does not have.
    fn checked(&self, primary: (NodeId, &Sample), list: &SyncNames) -> SyncNames {
        let used = &primary.1.sync_names;
        let known = |name: &String| {
            let node = self.spec.nodes.iter().position(|n| n.application_name == *name);
            let id = node.and_then(|at| u16::try_from(at).ok()).map(NodeId);
            let prefix = |id| self.facts.node(id).is_some_and(|f| f.live().is_some()) && self.is_prefix(id);
            id.is_some_and(prefix) && (used.is_wildcard() || used.contains(name))
        };
        let names: Vec<String> = list.names.iter().filter(|n| known(n)).cloned().collect();
        SyncNames { method: list.method, k: list.k.min(names.len()), names }
    }

    fn longer(&self, primary: (NodeId, &Sample), list: &SyncNames) -> Option<Target> {
        let mut names = list.clone();
        let why;
        if let Some((_, name)) = self.joinable(primary, list).next() {
            if list.is_nobody() || list.is_async() {
                names = SyncNames { method: Method::First, k: 1, names: vec![name.clone()] };
            } else {
                names.names.push(name.clone());
            }
            why = format!("{name} streams and its history is the primary's");
        } else if list.k < self.spec.sync_standbys
            && list.k < list.names.len()
            && !list.is_nobody()
            && list.k > 0
        {
            names.k += 1;
            why = "there are enough standbys to wait for one more".to_owned();
        } else {
            return None;
        }
        let first = list.is_async() || list.is_nobody();
        if first || quorum::growth_is_safe(list, &names) {
            return Some(Target::Longer(names, why));
        }
        // A greater k may make the quorum smaller: then it is used before the voters are told, like a shorter list.
        quorum::change_is_safe(list, &names).then_some(Target::Shorter(names, why))
    }

    /// Whether nobody of this name has streamed for `member_timeout`.
    fn absent(&self, primary: (NodeId, &Sample), name: &str) -> bool {
        if primary.1.replication.iter().any(|r| r.application_name == name) {
            return false;
        }
        let node = self.spec.nodes.iter().position(|n| n.application_name == name);
        let since = match node.and_then(|at| self.facts.nodes.get(at)) {
            Some(facts) => facts.absent,
            // A name that is no node's has no facts: it is absent since the primary was published.
            None => Some(self.enthroned),
        };
        since.is_some_and(|at| self.now.since(at) >= self.spec.limits.member_timeout)
    }

    /// Nodes that stream and may enter the list, in the order of the node list.
    fn joinable<'a>(
        &'a self,
        primary: (NodeId, &'a Sample),
        list: &'a SyncNames,
    ) -> impl Iterator<Item = (NodeId, String)> + 'a {
        let (id, sample) = primary;
        let streams = move |name: &str| {
            sample.replication.iter().any(|r| r.application_name == name && r.state == StreamState::Streaming)
        };
        self.spec
            .by_id()
            .filter(move |(node, spec)| {
                let checked = self.facts.node(*node).and_then(|f| f.live()).is_some_and(|s| {
                    s.in_recovery && s.fence.is_none() && s.timeline == sample.timeline && !s.delayed
                });
                *node != id
                    && !spec.cascade
                    && checked
                    && self.is_prefix(*node)
                    && !list.contains(&spec.application_name)
                    && streams(&spec.application_name)
            })
            .map(|(node, spec)| (node, spec.application_name.clone()))
    }
}
