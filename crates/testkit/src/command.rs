//! Runs one of PostgreSQL's programs to its end, as the servers' account, within a time limit.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::account::Account;
use crate::error::Error;

/// The longest that `initdb` or `pg_basebackup` may take on a loaded machine.
const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

/// The end of a program's output that goes into an error, in bytes.
const OUTPUT_SHOWN: usize = 4000;

/// Runs `program` with `args` in `dir`; gives what it printed.
pub(crate) async fn run(
    account: Account,
    dir: &Path,
    program: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<String, Error> {
    let name = program.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut command = std::process::Command::new(program);
    command
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .env("PGCONNECT_TIMEOUT", "10");
    account.apply(&mut command);
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let output = tokio::time::timeout(PROGRAM_LIMIT, command.output())
        .await
        .map_err(|_| Error::Deadline { what: name.clone(), waited: PROGRAM_LIMIT })?
        .map_err(Error::io("run", program))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(text);
    }
    Err(Error::Program {
        program: name,
        status: output.status.to_string(),
        output: tail(&text, OUTPUT_SHOWN),
    })
}

/// The last `limit` bytes of a text, cut at a line where there is one.
pub(crate) fn tail(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut start = text.len() - limit;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let rest = &text[start..];
    rest.split_once('\n').map_or(rest, |(_, whole_lines)| whole_lines).to_owned()
}
