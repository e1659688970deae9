//! `howdah top`: nodes, pools and traffic of a running Howdah in a terminal, drawn anew each second.
//!
//! It asks the console and knows nothing that SHOW does not say; a PgBouncer can be looked at as well.

use std::process::ExitCode;
use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use crate::args::{say, warn};
use crate::table::{Row, chosen, show, text_of};

/// How often it is drawn anew (time).
const REDRAW: Duration = Duration::from_secs(1);

/// What is shown: the SHOW, its heading, its columns.
const PARTS: [(&str, &str, &[&str]); 4] = [
    (
        "NODES",
        "Nodes",
        &["node", "role", "state", "sync", "lag_bytes", "latency_us", "connections", "reason"],
    ),
    ("POOLS", "Pools", &["database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "maxwait"]),
    (
        "STATS",
        "Traffic, averages of the last period",
        &[
            "database",
            "avg_xact_count",
            "avg_query_count",
            "avg_query_time",
            "avg_wait_time",
            "avg_recv",
            "avg_sent",
        ],
    ),
    (
        "FAILOVERS",
        "Failovers",
        &["started", "kind", "old_primary", "new_primary", "outcome", "lost_bytes", "duration_us", "reason"],
    ),
];

/// What `howdah top` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The console: `host=127.0.0.1 port=6432 user=… password=…`; the database is `pgbouncer` unless said.
    conninfo: String,
    /// Print it once and leave.
    #[arg(long)]
    once: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            warn(&format!("howdah top: {error}\n"));
            return ExitCode::from(1);
        }
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = watch(options) => ended,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = error.as_db_error().map(|told| told.message().to_owned());
            warn(&format!("howdah top: {}\n", told.unwrap_or_else(|| error.to_string())));
            ExitCode::from(1)
        }
    }
}

async fn watch(options: &Options) -> Result<(), tokio_postgres::Error> {
    let mut config: Config = options.conninfo.parse()?;
    if config.get_dbname().is_none() {
        config.dbname(howdah_config::CONSOLE_DATABASE);
    }
    config.ssl_mode(SslMode::Disable);
    let (console, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    loop {
        let text = picture(&console).await?;
        if options.once {
            say(&text);
            return Ok(());
        }
        // Home, the text, and nothing of the last picture below it; each line ends what was behind it.
        let text = text.replace('\n', "\x1b[K\n");
        say(&format!("\x1b[H{text}\x1b[J"));
        tokio::time::sleep(REDRAW).await;
    }
}

/// All parts under one another. A part that the console does not know (PgBouncer has no nodes) is left out.
async fn picture(console: &Client) -> Result<String, tokio_postgres::Error> {
    let mut text = String::new();
    for (what, heading, columns) in PARTS {
        let rows = match show(console, what).await {
            Ok(rows) => rows,
            Err(error) if error.as_db_error().is_some() => continue,
            Err(error) => return Err(error),
        };
        if !rows.is_empty() {
            text.push_str(&part(heading, &rows, columns));
        }
    }
    Ok(text)
}

fn part(heading: &str, rows: &[Row], columns: &[&str]) -> String {
    format!("{heading}\n{}\n", text_of(&chosen(rows, columns)))
}
