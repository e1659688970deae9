//! What of a cluster's settings a running controller takes over (RELOAD), and what it says of the rest.
//!
//! A node's place in the list is its id, by which pools, sessions and everything known of it are kept: the list of nodes,
//! and what their sessions were opened with, change at a restart only. Read next: `run.rs`.

use crate::config::{ControllerConfig, NodeConfig};

impl ControllerConfig {
    /// Takes over what can change at run time; a sentence for everything that cannot and differs.
    pub(crate) fn take_over(&mut self, new: &ControllerConfig) -> Vec<String> {
        let mut kept = self.nodes_kept(new);
        let same: [(&str, bool); 4] = [
            ("user", self.user == new.user),
            ("password", self.password == new.password),
            ("dbname", self.dbname == new.dbname),
            ("action_timeout", self.action_timeout == new.action_timeout),
        ];
        let differ = same.iter().filter(|(_, same)| !same).map(|(name, _)| *name);
        kept.extend(differ.map(|name| self.needs_restart(name)));
        *self = ControllerConfig {
            cluster: self.cluster.clone(),
            nodes: std::mem::take(&mut self.nodes),
            user: std::mem::take(&mut self.user),
            password: self.password.take(),
            dbname: std::mem::take(&mut self.dbname),
            action_timeout: self.action_timeout,
            freshness_interval: self.freshness_interval,
            ..new.clone()
        };
        kept
    }

    fn needs_restart(&self, what: &str) -> String {
        format!("cluster {}: {what} is taken over at a restart", self.cluster)
    }

    /// The same for the nodes: priority, weight and bars of the nodes that stay where they are.
    fn nodes_kept(&mut self, new: &ControllerConfig) -> Vec<String> {
        let place = |n: &NodeConfig| (n.name.clone(), n.host.clone(), n.port);
        let (before, after): (Vec<_>, Vec<_>) =
            (self.nodes.iter().map(place).collect(), new.nodes.iter().map(place).collect());
        if before != after {
            let names = |of: &[(String, String, u16)], not: &[(String, String, u16)]| {
                let only = of.iter().filter(|n| !not.contains(n)).map(|(name, ..)| name.clone());
                only.collect::<Vec<_>>().join(", ")
            };
            let changes = [("added", names(&after, &before)), ("gone", names(&before, &after))];
            let said = changes.iter().filter(|(_, names)| !names.is_empty());
            let said: Vec<String> = said.map(|(what, names)| format!("{names} {what}")).collect();
            let said = if said.is_empty() { "another order".to_owned() } else { said.join(", ") };
            return vec![
                self.needs_restart(&format!(
                    "the list of nodes ({said}), with all that is said of its nodes,"
                )),
            ];
        }
        let mut kept = Vec::new();
        for (old, new) in self.nodes.iter_mut().zip(&new.nodes) {
            if (&old.slot, &old.application_name) != (&new.slot, &new.application_name) {
                kept.push(format!("slot or application_name of node {}", old.name));
            }
            (old.priority, old.weight) = (new.priority, new.weight);
            (old.nofailover, old.cascade) = (new.nofailover, new.cascade);
        }
        kept.into_iter().map(|what| self.needs_restart(&what)).collect()
    }
}
