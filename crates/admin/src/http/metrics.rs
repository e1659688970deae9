//! `/metrics`: OpenMetrics text, made at each scrape out of the same snapshots as SHOW.
//!
//! Every metric is a block of [`table::METRICS`]: its name, help, unit, labels and figures. `docs/metrics.md` is
//! made of it ([`documentation`]).

mod snapshot;
mod table;

use std::fmt::{self, Write as _};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::Shared;
use crate::pooler::Pooler;
use crate::rows::LatencyRow;
use snapshot::Snapshot;
use table::{Kind, METRICS, Metric};

/// The type of what `/metrics` answers.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What all names begin with.
const PREFIX: &str = "howdah";

/// The histogram's name without prefix and unit.
const PHASES: &str = "phase";
/// The histogram's help.
const PHASES_HELP: &str = "Time of queries by phase: wait for a server, route, server, client";

pub(super) async fn scrape(State(pooler): State<Shared>) -> Response {
    match text(pooler.as_ref()) {
        Ok(body) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// All metrics as text.
///
/// # Errors
/// Only what the encoder reports of itself.
pub fn text(pooler: &dyn Pooler) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Snapshot::of(pooler)));
    let mut body = String::new();
    encode(&mut body, &registry)?;
    Ok(body)
}

/// The list of all metrics as Markdown: the whole of `docs/metrics.md`.
#[must_use]
pub fn documentation() -> String {
    let mut page = String::from(
        "# Metrics\n\nMade from `crates/admin/src/http/metrics/table.rs` by `howdah_admin::http::documentation`; a test \
         compares.\n`GET /metrics` on `http_listen`; the figures are those of the console's SHOW at the moment of the \
         scrape.\n\n| name | type | labels | what |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let unit = metric.unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        let (suffix, kind) = match metric.kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
        };
        let labels = metric.labels.join(", ");
        // proof: writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{PREFIX}_{}{unit}{suffix}` | {kind} | {labels} | {} |",
            metric.name, metric.help
        );
    }
    let _ = writeln!(page, "| `{PREFIX}_{PHASES}_seconds` | histogram | database, phase | {PHASES_HELP} |");
    page
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        METRICS.iter().try_for_each(|metric| family(metric, self, &mut encoder))?;
        histograms(&self.latencies, &mut encoder)
    }
}

/// One metric with all its samples; nothing at all when it has none.
fn family(metric: &Metric, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let samples = (metric.samples)(snapshot);
    if samples.is_empty() {
        return Ok(());
    }
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
    };
    let mut family = encoder.encode_descriptor(metric.name, metric.help, metric.unit.as_ref(), kind)?;
    for (values, figure) in samples {
        debug_assert_eq!(values.len(), metric.labels.len(), "a value for each label of {}", metric.name);
        let labels: Vec<(&str, String)> = metric.labels.iter().copied().zip(values).collect();
        let mut sample = family.encode_family(&labels)?;
        match metric.kind {
            Kind::Counter => sample.encode_counter(&figure, None::<&Exemplar<NoLabelSet, f64>>)?,
            Kind::Gauge => sample.encode_gauge(&figure)?,
        }
    }
    Ok(())
}

fn histograms(rows: &[LatencyRow], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let unit = prometheus_client::registry::Unit::Seconds;
    let mut family = encoder.encode_descriptor(PHASES, PHASES_HELP, Some(&unit), MetricType::Histogram)?;
    for row in rows {
        let labels = [("database", row.database.as_str()), ("phase", row.phase.word())];
        let bounds = row.buckets.iter().map(|&(bound, count)| (bound as f64 / 1e6, count));
        let buckets: Vec<(f64, u64)> = bounds.chain([(f64::INFINITY, row.above)]).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let mut sample = family.encode_family(&labels)?;
        sample.encode_histogram::<NoLabelSet>(row.sum_us as f64 / 1e6, count, &buckets, None)?;
    }
    Ok(())
}
