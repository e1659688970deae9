//! Reads the answer of `GET /cluster`: which member is which node, and what is said of it.

use std::collections::BTreeMap;

use howdah_failover::Advice;
use serde::Deserialize;
use serde_json::Value;

use crate::config::NodeConfig;

/// The answer; what else is in it differs from version to version.
#[derive(Debug, Deserialize)]
struct Cluster {
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    name: String,
    /// `leader`, `standby_leader`, `sync_standby`, `quorum_standby` or `replica`.
    role: String,
    /// `running`, `streaming`, `in archive recovery`, `stopped`, `starting`, `crashed` and others.
    #[serde(default)]
    state: String,
    host: Option<String>,
    port: Option<u16>,
    /// A number of bytes, or `"unknown"`.
    lag: Option<Value>,
    #[serde(default)]
    tags: BTreeMap<String, Value>,
}

/// The body is no answer of Patroni's.
#[derive(Debug, thiserror::Error)]
#[error("its answer cannot be read: {0}")]
pub(crate) struct MembersError(#[from] serde_json::Error);

/// What is said of each node, in the order of the nodes; `None`: Patroni has no such member.
pub(crate) fn read(body: &[u8], nodes: &[NodeConfig]) -> Result<Vec<Option<Advice>>, MembersError> {
    let cluster: Cluster = serde_json::from_slice(body)?;
    Ok(nodes.iter().map(|node| member_of(&cluster.members, node).map(Member::advice)).collect())
}

/// By its address; where Patroni has another address for it than Howdah, by its name.
fn member_of<'a>(members: &'a [Member], node: &NodeConfig) -> Option<&'a Member> {
    let at_address = |m: &&Member| {
        m.host.as_deref().is_some_and(|host| host.eq_ignore_ascii_case(&node.host))
            && m.port.unwrap_or(DEFAULT_PORT) == node.port
    };
    let named =
        |m: &&Member| m.name == node.name || node.application_name.as_deref() == Some(m.name.as_str());
    members.iter().find(at_address).or_else(|| members.iter().find(named))
}

/// Left out of a member where it is PostgreSQL's own.
const DEFAULT_PORT: u16 = 5432;

impl Member {
    fn advice(&self) -> Advice {
        Advice {
            // The leader of a standby cluster is in recovery: it takes no writes.
            leader: Some(matches!(self.role.as_str(), "leader" | "master" | "primary")),
            running: Some(matches!(self.state.as_str(), "running" | "streaming" | "in archive recovery")),
            nofailover: self.tag("nofailover") || self.never_by_priority(),
            noloadbalance: self.tag("noloadbalance"),
            lag_bytes: self.lag.as_ref().and_then(Value::as_u64),
        }
    }

    /// Whether a tag is set; Patroni takes its values as YAML has them, quoted or not.
    fn tag(&self, name: &str) -> bool {
        match self.tags.get(name) {
            Some(Value::Bool(set)) => *set,
            Some(Value::String(text)) => {
                matches!(text.to_ascii_lowercase().as_str(), "true" | "on" | "yes" | "1")
            }
            Some(Value::Number(number)) => number.as_i64() != Some(0),
            _ => false,
        }
    }

    /// Patroni 3.2 and later: a `failover_priority` of 0 or less means the same as `nofailover`.
    fn never_by_priority(&self) -> bool {
        self.tags.get("failover_priority").and_then(Value::as_i64).is_some_and(|priority| priority <= 0)
    }
}
