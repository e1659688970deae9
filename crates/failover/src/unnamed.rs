//! A failover before the list of names was written: under `*`, or a list that the operator has set and that is on no node
//! yet (FAILOVER_PROTOCOL.md §§2, 4).
//!
//! Who has acknowledged is then not on record. What is known is the list that the primary was last seen to use and who
//! streamed from it then. Under `*` any of these may alone have a commit, so **every** other node must be held and fenced:
//! whatever was acknowledged is on one of them, and nobody else can promote. If anyone streams who is no node (a
//! `pg_receivewal`), it may have been the one that acknowledged, and nobody is promoted. A list of names counts as it would
//! on record. A pooler that has never seen the primary alive knows neither and promotes nobody. Read next:
//! [`crate::votes`].

use howdah_topology::NodeId;

use crate::machine::Machine;
use crate::members::SyncNames;
use crate::spec::NodeSpec;
use crate::votes::{self, Electorate};

impl Machine {
    /// The list that the primary was last seen to use, while none is on record; names in the place of `*`.
    pub(crate) fn list_in_use(&self) -> Option<SyncNames> {
        let list = &self.reign.as_ref()?.sample.sync_names;
        if self.facts.members.is_some() || list.is_async() {
            return None;
        }
        if !list.is_wildcard() {
            return Some(list.clone());
        }
        let names = self.others().map(|id| self.node_spec(id).map(|n| n.application_name.clone()));
        Some(SyncNames { names: names.flatten().collect(), ..list.clone() })
    }

    /// Who votes while no list is on record; `None`: that cannot be known.
    pub(crate) fn electorate_in_use(&self) -> Option<Electorate> {
        let list = self.list_in_use()?;
        if self.diverged_node().is_some() {
            return None;
        }
        if !self.reign.as_ref()?.sample.sync_names.is_wildcard() {
            return votes::electorate_of(&self.facts, &self.spec, Some(&list));
        }
        if self.stranger().is_some() {
            return None;
        }
        let voters: Vec<NodeId> = self.others().collect();
        let total = voters.len();
        Some(Electorate { voters, total, quorum: total.max(1), asynchronous: false })
    }

    /// Every node but the published primary, and but cascading ones that streamed from others: these acknowledge nothing.
    fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        let primary = self.reign.as_ref().map(|r| r.node);
        let rows = self.reign.iter().flat_map(|r| &r.sample.replication);
        let streams = move |name: &str| rows.clone().any(|r| r.application_name == name);
        let counts = move |n: &NodeSpec| !n.cascade || streams(&n.application_name);
        self.spec.by_id().filter(move |(id, n)| Some(*id) != primary && counts(n)).map(|(id, _)| id)
    }

    /// A node that answers and whose history is not the primary's: it may have acknowledged what it does not have, and its
    /// position says nothing.
    fn diverged_node(&self) -> Option<NodeId> {
        let strange =
            |id: &NodeId| self.facts.node(*id).is_some_and(|f| f.live().is_some()) && !self.is_prefix(*id);
        self.others().find(strange)
    }

    /// Who streamed from the primary and is no node.
    fn stranger(&self) -> Option<&str> {
        let rows = &self.reign.as_ref()?.sample.replication;
        let known = |name: &str| self.spec.nodes.iter().any(|n| n.application_name == name);
        rows.iter().map(|r| r.application_name.as_str()).find(|name| !known(name))
    }

    /// Why nobody can vote.
    pub(crate) fn why_no_electorate(&self) -> String {
        let stranger = self.stranger().filter(|_| self.list_in_use().is_some());
        if let Some(id) = self.diverged_node().filter(|_| self.list_in_use().is_some()) {
            let name = self.name(id);
            return format!(
                "the names of the synchronous standbys were not written yet, and {name}, whose history is not the \
                 primary's, may have acknowledged commits"
            );
        }
        match (stranger, &self.reign) {
            (Some(name), _) => format!(
                "the names of the synchronous standbys were not written yet, and {name}, which is no node, may have \
                 acknowledged commits"
            ),
            (None, Some(_)) => {
                "the list of synchronous names is not known on any node that answers".to_owned()
            }
            (None, None) => "the list of synchronous names is not known on any node that answers, and this Howdah has not \
                             seen the primary alive"
                .to_owned(),
        }
    }
}
