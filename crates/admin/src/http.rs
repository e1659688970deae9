//! The HTTP side: health for load balancers and orchestrators, metrics, topology, and the dashboard.
//!
//! Read-only: nothing here changes the pooler, so it needs no login; it listens only where `http_listen` says.
//! `health` has the status codes, `metrics` the names of all metrics, `api` the JSON, `guard` the bounds on
//! connections.

mod api;
mod guard;
mod health;
mod metrics;

pub use metrics::{documentation, text as metrics_text};

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::pooler::Pooler;

/// The dashboard: one file, nothing external.
const DASHBOARD: &str = include_str!("http/dashboard.html");

/// What the dashboard's page may load: itself, and JSON from here.
const DASHBOARD_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:";

/// How long requests in progress may hold up the end. Answers take milliseconds; what takes longer is a client
/// that does not read.
const GRACE: Duration = Duration::from_secs(2);

type Shared = Arc<dyn Pooler>;

/// Serves until `shutdown` is ready, then lets the requests in progress end, for at most `GRACE`.
///
/// # Errors
/// What the listener fails with; failures of single connections are not errors.
pub async fn serve(
    listener: TcpListener,
    pooler: Arc<dyn Pooler>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (ending, mut ended) = watch::channel(false);
    let until = async move {
        shutdown.await;
        ending.send_replace(true);
    };
    let patience = async move {
        // An error means that the sender is gone, which it is only when the server is.
        let _ = ended.wait_for(|ending| *ending).await;
        tokio::time::sleep(GRACE).await;
    };
    let server = axum::serve(guard::Bounded::new(listener), router(pooler)).with_graceful_shutdown(until);
    tokio::select! {
        done = server.into_future() => done,
        () = patience => Ok(()),
    }
}

/// The routes, for those who have a server of their own.
pub fn router(pooler: Arc<dyn Pooler>) -> Router {
    Router::new()
        .route("/", get(dashboard))
        .merge(health::routes())
        .merge(api::routes())
        .route("/metrics", get(metrics::scrape))
        .with_state(pooler)
}

async fn dashboard() -> impl IntoResponse {
    let headers = [(header::CONTENT_SECURITY_POLICY, DASHBOARD_POLICY), (header::CACHE_CONTROL, "no-cache")];
    (headers, Html(DASHBOARD))
}
