//! `http_listen`: metrics, health, topology and dashboard.

use std::net::SocketAddr;
use std::sync::Arc;

use howdah_config::Settings;
use tokio::net::TcpListener;

use crate::error::StartError;
use crate::pooler::{Pooler, Stage};

/// Opens the address, if one is set.
///
/// # Errors
/// It is taken or not ours.
pub(crate) async fn open(settings: &Settings) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = &settings.http_listen else { return Ok(None) };
    let failed = |error| StartError::Listen { address: address.clone(), error };
    Ok(Some(TcpListener::bind(address.as_str()).await.map_err(failed)?))
}

/// Serves until the pooler stops; returns the address.
pub(crate) fn start(pooler: &Arc<Pooler>, listener: TcpListener) -> Option<SocketAddr> {
    let address = listener.local_addr().ok();
    let mut stage = pooler.stage.subscribe();
    let stopped = async move {
        // The sender lives as long as the pooler; its end is an end too.
        drop(stage.wait_for(|stage| *stage == Stage::Stopping).await);
    };
    let operator = super::operator(pooler);
    tokio::spawn(async move {
        if let Err(error) = howdah_admin::http::serve(listener, operator, stopped).await {
            tracing::error!("http: {error}");
        }
    });
    address
}
