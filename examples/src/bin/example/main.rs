//! An application with one connection string: it writes a row and reads it back, once a second, in one session.
//!
//! ```text
//! example "host=127.0.0.1 port=6432 user=app password=app dbname=app" [--once ROWS] [--every MILLISECONDS]
//! ```
//!
//! It knows neither replicas nor failovers. What it does for its own sake is what every program with a pooler or a
//! database far away should do: a write that was interrupted is tried again, in the same session, and each row has
//! a key of the program's own, so that trying twice does no harm. `session.rs` is the connection, `rows.rs` the SQL.

mod rows;
mod session;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rows::Rows;
use session::Session;

type Error = Box<dyn std::error::Error>;

/// How long an interrupted statement is tried again before the program gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause before an interrupted statement is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// A statement that took so long had to wait for somebody, which is worth a line.
const NOTABLE: Duration = Duration::from_millis(250);

const USAGE: &str = "usage: example CONNECTION_STRING [--once ROWS] [--every MILLISECONDS]";

/// The command line.
struct Options {
    conninfo: String,
    /// Ends after so many rows; goes on for ever without.
    rows: Option<u64>,
    /// The time from one row to the next.
    every: Duration,
}

fn options() -> Result<Options, Error> {
    let mut given = std::env::args().skip(1);
    let conninfo = given.next().ok_or(USAGE)?;
    let mut options = Options { conninfo, rows: None, every: Duration::from_secs(1) };
    while let Some(flag) = given.next() {
        let value: u64 = given.next().ok_or(USAGE)?.parse()?;
        match flag.as_str() {
            "--once" => options.rows = Some(value),
            "--every" => options.every = Duration::from_millis(value),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match options() {
        Ok(options) => run(&options).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("The program ends: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Error> {
    let session = Session::open(&options.conninfo).await?;
    let rows = insist(&session, "preparing", async || Rows::prepare(&session).await).await?;
    let mut acknowledged = 0;
    let mut timer = tokio::time::interval(options.every);
    while options.rows.is_none_or(|rows| acknowledged < rows) {
        timer.tick().await;
        let number = acknowledged + 1;
        let made = insist(&session, "the write", async || rows.create(&session, number).await).await?;
        acknowledged = number;
        say(&format!("Create Data :\n{}\nIP DB Master: {}", made.row, made.server));
        let (read, there) = insist(&session, "the read", async || rows.read(&session, number).await).await?;
        say(&format!("Read Data :\n{}\nIP DB Slave : {}", read.row, read.server));
        say(&format!("Session {}: {acknowledged} rows acknowledged, {there} there", session.marker()));
        if there != acknowledged {
            return Err(format!("{} acknowledged rows are missing", acknowledged.abs_diff(there)).into());
        }
    }
    Ok(())
}

/// Runs a statement until it succeeds, in the same session. What cannot be cured by trying again ends it, and so
/// does the loss of the session.
async fn insist<T>(
    session: &Session,
    what: &str,
    run: impl AsyncFn() -> Result<T, tokio_postgres::Error>,
) -> Result<T, Error> {
    let began = Instant::now();
    loop {
        let error = match run().await {
            Ok(done) if began.elapsed() > NOTABLE => {
                say(&format!("{what} took {} ms", began.elapsed().as_millis()));
                return Ok(done);
            }
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if session.is_lost() {
            return Err(format!("the session is lost: {}", session::sentence(&error)).into());
        }
        if !session::may_try_again(&error) || began.elapsed() > PATIENCE {
            return Err(session::sentence(&error).into());
        }
        say(&format!("{what} was interrupted ({}); trying again", session::sentence(&error)));
        tokio::time::sleep(PAUSE).await;
    }
}

/// To standard output, line by line; a reader that has gone is no reason to fail.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
