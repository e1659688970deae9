//! Log lines in PgBouncer's format: `YYYY-MM-DD HH:MM:SS.mmm TZ [pid] LEVEL text`, or JSON.
//!
//! A line is written before its effect can be seen, and at once: no buffer, no thread of its own
//! (PGBOUNCER_BEHAVIOUR.md section 1).

use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io;
use std::sync::Arc;

use howdah_config::{LogFormat, Settings};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// PgBouncer's line.
struct Line;

/// The text of an event, and fields behind it.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "LOG",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "NOISE",
        };
        let mut text = Text::default();
        event.record(&mut text);
        let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S%.3f %Z").to_string();
        writeln!(writer, "{now} [{}] {level} {}{}", std::process::id(), text.message, text.fields)
    }
}

/// Starts logging as the settings say.
///
/// # Errors
/// The log file cannot be opened.
pub(crate) fn start(settings: &Settings, quiet: bool, verbose: u8) -> io::Result<()> {
    let level = match u32::from(verbose).max(settings.verbose) {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let writer = match &settings.logfile {
        Some(file) => BoxMakeWriter::new(Arc::new(OpenOptions::new().create(true).append(true).open(file)?)),
        None if quiet => BoxMakeWriter::new(io::sink),
        None => BoxMakeWriter::new(io::stderr),
    };
    // Other crates' debug lines are not PgBouncer's.
    let filter = tracing_subscriber::EnvFilter::new(format!("warn,howdah={level}"))
        .add_directive(directive(&format!("howdah_controller={level}"))?)
        .add_directive(directive(&format!("howdah_admin={level}"))?);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer);
    let started = match settings.log_format {
        LogFormat::Json => builder.json().try_init(),
        _ => builder.event_format(Line).try_init(),
    };
    started.map_err(|error| io::Error::other(error.to_string()))
}

fn directive(text: &str) -> io::Result<tracing_subscriber::filter::Directive> {
    text.parse().map_err(|error: tracing_subscriber::filter::ParseError| io::Error::other(error.to_string()))
}
