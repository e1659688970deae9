//! JSON: `/topology`, and `/api/…` with the same rows as the console's SHOW.
//!
//! `/api/snapshot` is what the dashboard draws; `/api/{what}` is any of `clients servers databases users pools stats
//! lists state nodes failovers clusters`. Settings are not here: HTTP has no login, and SHOW CONFIG has one.

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::Shared;
use crate::rows::{ClientState, ServerState};

/// Clients, and servers, in a snapshot at most; the counts are of all.
const SNAPSHOT_ROWS_MAX: usize = 200;

/// The routes of this file.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/topology", get(topology))
        .route("/api/snapshot", get(snapshot))
        .route("/api/{what}", get(one))
}

fn fresh(body: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Clusters with their nodes, and what changed.
async fn topology(State(pooler): State<Shared>) -> Response {
    let nodes = pooler.nodes();
    let clusters: Vec<Value> = pooler
        .clusters()
        .iter()
        .map(|cluster| {
            let nodes: Vec<_> = nodes.iter().filter(|node| node.cluster == cluster.name).collect();
            let mut body = json!(cluster);
            body["nodes"] = json!(nodes);
            body
        })
        .collect();
    fresh(json!({ "now": pooler.now(), "clusters": clusters, "failovers": pooler.failovers() }))
}

/// All that the dashboard draws.
async fn snapshot(State(pooler): State<Shared>) -> Response {
    let mut clients = pooler.clients();
    let mut servers = pooler.servers();
    let counts = json!({
        "clients": clients.len(),
        "clients_active": clients.iter().filter(|row| row.state == ClientState::Active).count(),
        "clients_waiting": clients.iter().filter(|row| row.state == ClientState::Waiting).count(),
        "servers": servers.len(),
        "servers_active": servers.iter().filter(|row| row.state == ServerState::Active).count(),
    });
    // Those that wait first, then those that work: what an operator looks for must not be cut off.
    clients.sort_by_key(|row| match row.state {
        ClientState::Waiting => 0,
        ClientState::Active => 1,
        _ => 2,
    });
    clients.truncate(SNAPSHOT_ROWS_MAX);
    servers.truncate(SNAPSHOT_ROWS_MAX);
    fresh(json!({
        "version": pooler.version(),
        "now": pooler.now(),
        "state": pooler.state(),
        "counts": counts,
        "clusters": pooler.clusters(),
        "nodes": pooler.nodes(),
        "failovers": pooler.failovers(),
        "databases": pooler.databases(),
        "pools": pooler.pools(),
        "stats": pooler.stats(),
        "clients": clients,
        "servers": servers,
    }))
}

/// One SHOW's rows.
async fn one(State(pooler): State<Shared>, Path(what): Path<String>) -> Response {
    fresh(match what.as_str() {
        "clients" => json!(pooler.clients()),
        "servers" => json!(pooler.servers()),
        "databases" => json!(pooler.databases()),
        "users" => json!(pooler.users()),
        "pools" => json!(pooler.pools()),
        "stats" => json!(pooler.stats()),
        "lists" => json!(pooler.lists()),
        "state" => json!(pooler.state()),
        "nodes" => json!(pooler.nodes()),
        "failovers" => json!(pooler.failovers()),
        "clusters" => json!(pooler.clusters()),
        _ => {
            let body = json!({ "error": format!("no such thing: {what}") });
            return (StatusCode::NOT_FOUND, Json(body)).into_response();
        }
    })
}
