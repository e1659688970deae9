//! Log lines in PgBouncer's format: `YYYY-MM-DD HH:MM:SS.mmm TZ [pid] LEVEL text`, or JSON, to the log file, to
//! standard error and to syslog, as the settings say; they may change while the process runs, and a RELOAD opens the
//! file anew, so that it can be rotated.
//!
//! A line is written before its effect can be seen, and at once: no buffer, no thread of its own
//! (PGBOUNCER_BEHAVIOUR.md section 1).

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use howdah_config::{LogFormat, Settings};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::MakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::syslog::Syslog;

/// The target of lines that say why the process ends (PgBouncer's level FATAL).
pub(crate) const FATAL: &str = "howdah::fatal";

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
            Level::ERROR if event.metadata().target() == FATAL => "FATAL",
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "LOG",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "NOISE",
        };
        let mut text = Text::default();
        event.record(&mut text);
        writeln!(writer, "{} {level} {}{}", prefix(), text.message, text.fields)
    }
}

/// Where lines go.
#[derive(Debug, Default)]
struct Places {
    file: Option<File>,
    stderr: bool,
    syslog: Option<Syslog>,
}

/// The places behind a lock: one line at a time.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Places>>);

/// One line on its way.
struct Writing<'a> {
    sink: &'a Sink,
    level: Level,
}

impl Write for Writing<'_> {
    /// A whole line comes in one call. What cannot be written is lost: there is nowhere to say so.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut places = self.sink.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut places.file {
            let _ = file.write_all(line);
        }
        if places.stderr {
            let _ = io::stderr().write_all(line);
        }
        if let Some(syslog) = &mut places.syslog {
            syslog.send(self.level, text_of(&String::from_utf8_lossy(line)));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What syslog gets of a line, since it has a time and a process id of its own.
pub(crate) fn text_of(line: &str) -> &str {
    let line = line.trim_end();
    let text = line.split_once("] ").and_then(|(_, rest)| rest.split_once(' '));
    text.filter(|_| !line.starts_with('{')).map_or(line, |(_level, text)| text)
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Writing<'a>;

    fn make_writer(&'a self) -> Writing<'a> {
        Writing { sink: self, level: Level::INFO }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Writing<'a> {
        Writing { sink: self, level: *event.level() }
    }
}

impl Sink {
    /// # Errors
    /// The file cannot be opened; then lines go where they went before.
    fn aim(&self, settings: &Settings, stderr: bool) -> io::Result<()> {
        let file = settings.logfile.as_deref().map(open).transpose();
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.stderr = stderr;
        places.syslog = settings
            .syslog
            .then(|| Syslog::new(crate::syslog::SOCKET, &settings.syslog_ident, settings.syslog_facility));
        places.file = file?;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Changes the level that is let through.
type SetFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// The running log.
pub(crate) struct Logs {
    sink: Sink,
    filter: SetFilter,
    /// Nothing goes to standard error.
    quiet: AtomicBool,
    verbose: u8,
}

/// A line before there is a log, in its form: to standard error, and to the log file if that is known.
pub(crate) fn early((quiet, file): (bool, Option<&Path>), level: &str, text: &str) {
    let line = format!("{} {level} {text}\n", prefix());
    // One that root made, the user who is to run it could not write to.
    let create = !rustix::process::geteuid().is_root();
    let opened = file.and_then(|file| OpenOptions::new().create(create).append(true).open(file).ok());
    if let Some(mut file) = opened {
        // What cannot be written is lost: there is nowhere to say so.
        let _ = file.write_all(line.as_bytes());
    }
    if !quiet {
        crate::args::warn(&line);
    }
}

/// How each line begins.
fn prefix() -> String {
    let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S%.3f %Z");
    format!("{now} [{}]", std::process::id())
}

impl Logs {
    /// Starts logging as the settings say; `verbose` is what the command line adds.
    ///
    /// # Errors
    /// The log file cannot be opened; there is a log in this process already.
    pub(crate) fn start(settings: &Settings, quiet: bool, verbose: u8) -> io::Result<Self> {
        let sink = Sink::default();
        sink.aim(settings, !quiet)?;
        let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(sink.clone());
        let first = filter(settings, verbose)?;
        let (filter, started): (SetFilter, _) = match settings.log_format {
            LogFormat::Json => {
                let builder = builder.json().with_env_filter(first).with_filter_reloading();
                let handle = builder.reload_handle();
                (Box::new(move |filter| drop(handle.reload(filter))), builder.try_init())
            }
            LogFormat::Pgbouncer => {
                let builder = builder.event_format(Line).with_env_filter(first).with_filter_reloading();
                let handle = builder.reload_handle();
                (Box::new(move |filter| drop(handle.reload(filter))), builder.try_init())
            }
        };
        started.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { sink, filter, quiet: AtomicBool::new(quiet), verbose })
    }

    /// Nothing goes to standard error any more.
    pub(crate) fn leave_terminal(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        self.sink.0.lock().unwrap_or_else(PoisonError::into_inner).stderr = false;
    }

    /// RELOAD or SET: the settings are these now. The file is opened anew.
    pub(crate) fn follow(&self, settings: &Settings) {
        if let Err(error) = self.sink.aim(settings, !self.quiet.load(Ordering::Relaxed)) {
            tracing::error!("cannot open the log file: {error}");
        }
        if let Ok(filter) = filter(settings, self.verbose) {
            (self.filter)(filter);
        }
    }
}

/// Other crates' debug lines are not PgBouncer's.
fn filter(settings: &Settings, verbose: u8) -> io::Result<EnvFilter> {
    let level = match u32::from(verbose).max(settings.verbose) {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::new(format!("warn,howdah={level}"))
        .add_directive(directive(&format!("howdah_controller={level}"))?)
        .add_directive(directive(&format!("howdah_admin={level}"))?);
    Ok(filter)
}

fn directive(text: &str) -> io::Result<tracing_subscriber::filter::Directive> {
    text.parse().map_err(|error: tracing_subscriber::filter::ParseError| io::Error::other(error.to_string()))
}
