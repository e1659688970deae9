//! What is read from Patroni's answers, as versions 3.0 (Debian 12) and 4.0 give them.

use howdah_failover::Advice;

use crate::config::NodeConfig;
use crate::patroni::members::read;

/// As Patroni 3.0.2 answers, shortened.
const ANSWER: &str = r#"{"members": [
  {"name": "a", "role": "leader", "state": "running", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1",
   "port": 5432, "timeline": 3},
  {"name": "b", "role": "sync_standby", "state": "streaming", "host": "10.0.0.2", "port": 5433, "timeline": 3,
   "tags": {"noloadbalance": true}, "lag": 16},
  {"name": "c", "role": "replica", "state": "crashed", "host": "elsewhere", "port": 5432, "lag": "unknown",
   "tags": {"failover_priority": 0, "noloadbalance": "false"}}],
  "scope": "main", "pause": true}"#;

fn nodes() -> Vec<NodeConfig> {
    vec![
        NodeConfig::new("first", "10.0.0.1", 5432),
        NodeConfig::new("second", "10.0.0.2", 5433),
        NodeConfig::new("c", "10.0.0.3", 5432),
        NodeConfig::new("fourth", "10.0.0.4", 5432),
    ]
}

#[test]
fn members_are_found_by_address_and_else_by_name() {
    let said = read(ANSWER.as_bytes(), &nodes()).unwrap();
    let first = Advice { leader: Some(true), running: Some(true), ..Advice::default() };
    assert_eq!(said[0], Some(first));
    let standby = Advice {
        leader: Some(false),
        running: Some(true),
        noloadbalance: true,
        lag_bytes: Some(16),
        ..Advice::default()
    };
    assert_eq!(said[1], Some(standby));
    let crashed = Advice { leader: Some(false), running: Some(false), nofailover: true, ..Advice::default() };
    assert_eq!(said[2], Some(crashed), "by its name; a priority of 0 is nofailover, \"false\" is no tag");
    assert_eq!(said[3], None, "Patroni has no such member");
}

#[test]
fn the_head_of_a_standby_cluster_takes_no_writes() {
    let answer = r#"{"members": [{"name": "first", "role": "standby_leader", "state": "running"}]}"#;
    let said = read(answer.as_bytes(), &nodes()).unwrap();
    assert_eq!(said[0].and_then(|advice| advice.leader), Some(false));
}

#[test]
fn what_is_no_answer_is_refused() {
    for body in ["", "{}", "[]", "<html>", r#"{"members": [{"role": "leader"}]}"#, r#"{"members": 3}"#] {
        let error = read(body.as_bytes(), &nodes()).unwrap_err().to_string();
        assert!(error.starts_with("its answer cannot be read"), "{body:?}: {error}");
    }
}
