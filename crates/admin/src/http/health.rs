//! Status codes for load balancers and orchestrators: `/healthz`, `/readyz`, `/primary`, `/replica` and the names
//! that clients of Patroni's REST interface ask by. 200 means yes, 503 no, 404 that there is no such cluster or
//! node; the body is JSON and says why. HEAD and OPTIONS get the code alone, as HAProxy's checks want it.
//!
//! - `/healthz` (`/liveness`): the process answers.
//! - `/readyz` (`/readiness`): it takes clients: neither paused, suspended nor shutting down.
//! - `/primary` (`/leader`, `/master`, `/read-write`): writes are admitted; with `node=`, that node is the primary
//!   and they are.
//! - `/replica`: a replica is up; with `node=`, that node is one; with `lag=BYTES` (a suffix kB, MB, GB, TB is
//!   understood), one that lags no more.
//! - `/read-only`: either of the two.
//!
//! `cluster=` names the cluster; without it there must be one only.

use axum::extract::{Query, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use crate::rows::{ClusterRow, NodeRow, NodeState, PauseState, Role};

/// The routes of this file.
pub(super) fn routes() -> Router<Shared> {
    let checked = MethodFilter::GET.or(MethodFilter::OPTIONS);
    let live = || on(checked, healthz);
    let ready = || on(checked, readyz);
    let primary = || on(checked, primary);
    Router::new()
        .route("/healthz", live())
        .route("/liveness", live())
        .route("/readyz", ready())
        .route("/readiness", ready())
        .route("/primary", primary())
        .route("/leader", primary())
        .route("/master", primary())
        .route("/read-write", primary())
        .route("/replica", on(checked, replica))
        .route("/read-only", on(checked, read_only))
}

/// What a check may ask.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    cluster: Option<String>,
    node: Option<String>,
    lag: Option<String>,
}

/// The answer: yes or no, and the body.
type Verdict = Result<(bool, Value), (StatusCode, String)>;

fn respond(method: &Method, verdict: Verdict) -> Response {
    let (code, body) = match verdict {
        Ok((true, body)) => (StatusCode::OK, body),
        Ok((false, body)) => (StatusCode::SERVICE_UNAVAILABLE, body),
        Err((code, text)) => (code, json!({ "error": text })),
    };
    if method == Method::OPTIONS { code.into_response() } else { (code, Json(body)).into_response() }
}

async fn healthz(method: Method) -> Response {
    respond(&method, Ok((true, json!({ "status": "ok" }))))
}

async fn readyz(State(pooler): State<Shared>, method: Method) -> Response {
    let state = pooler.state();
    let status = match state.pause {
        _ if state.shutting_down => "shutting down",
        PauseState::Paused => "paused",
        PauseState::Suspended => "suspended",
        PauseState::Active => "ok",
    };
    respond(&method, Ok((status == "ok", json!({ "status": status }))))
}

async fn primary(State(pooler): State<Shared>, method: Method, Query(asked): Query<Asked>) -> Response {
    respond(&method, of(&pooler, &asked, |cluster, nodes| Ok(is_primary(cluster, nodes))))
}

async fn replica(State(pooler): State<Shared>, method: Method, Query(asked): Query<Asked>) -> Response {
    respond(&method, of(&pooler, &asked, |_, nodes| has_replica(nodes, &asked)))
}

async fn read_only(State(pooler): State<Shared>, method: Method, Query(asked): Query<Asked>) -> Response {
    let either = |cluster: &ClusterRow, nodes: &[NodeRow]| {
        Ok(is_primary(cluster, nodes) || has_replica(nodes, &asked)?)
    };
    respond(&method, of(&pooler, &asked, either))
}

/// Finds the cluster and nodes that are asked about, and the answer's body.
fn of(
    pooler: &Shared,
    asked: &Asked,
    judge: impl FnOnce(&ClusterRow, &[NodeRow]) -> Result<bool, (StatusCode, String)>,
) -> Verdict {
    let missing = |text: String| (StatusCode::NOT_FOUND, text);
    let mut clusters = pooler.clusters();
    let at = match &asked.cluster {
        Some(name) => clusters
            .iter()
            .position(|cluster| cluster.name == *name)
            .ok_or_else(|| missing(format!("no such cluster: {name}")))?,
        None if clusters.len() == 1 => 0,
        None if clusters.is_empty() => return Err(missing("no cluster is configured".to_owned())),
        None => {
            let text = "there are several clusters: say which with ?cluster=".to_owned();
            return Err((StatusCode::BAD_REQUEST, text));
        }
    };
    let cluster = clusters.swap_remove(at);
    let mut nodes = pooler.nodes();
    nodes.retain(|node| node.cluster == cluster.name);
    if let Some(name) = &asked.node {
        nodes.retain(|node| node.node == *name);
        if nodes.is_empty() {
            return Err(missing(format!("no such node: {name}")));
        }
    }
    let yes = judge(&cluster, &nodes)?;
    Ok((yes, json!({ "cluster": cluster, "nodes": nodes })))
}

/// Whether writes are admitted, and to one of these nodes.
fn is_primary(cluster: &ClusterRow, nodes: &[NodeRow]) -> bool {
    let is = |node: &NodeRow| node.role == Role::Primary && Some(&node.node) == cluster.primary.as_ref();
    cluster.writable && nodes.iter().any(is)
}

/// Whether one of these nodes is a replica that may be read.
fn has_replica(nodes: &[NodeRow], asked: &Asked) -> Result<bool, (StatusCode, String)> {
    let most = match &asked.lag {
        None => None,
        Some(text) => Some(
            bytes(text)
                .ok_or_else(|| (StatusCode::BAD_REQUEST, format!("lag is not a number of bytes: {text}")))?,
        ),
    };
    let near = |node: &NodeRow| most.is_none_or(|most| node.lag_bytes.is_some_and(|lag| lag <= most));
    let is = |node: &NodeRow| node.role == Role::Replica && node.state == NodeState::Up && near(node);
    Ok(nodes.iter().any(is))
}

/// A number of bytes with PostgreSQL's suffixes, `10MB`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1 << 10,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        "tb" => 1 << 40,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(factor)
}
