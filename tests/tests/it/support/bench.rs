//! pgbench at work on a pooler while something is done to it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A transaction of several statements, and a statement outside of one.
const SCRIPT: &str =
    "BEGIN;\nSELECT generate_series(1, 20);\nSELECT count(*) FROM pg_class;\nCOMMIT;\nSELECT :client_id;\n";

/// The variable that says how long such a test is under load (seconds); issue 5 asks for 60.
const SECONDS: &str = "HOWDAH_LOAD_SECONDS";

/// pgbench with twenty clients.
pub(crate) struct Bench {
    child: Child,
    what: String,
}

/// How long to be under load: what the variable says, else this.
pub(crate) fn load_time(otherwise: Duration) -> Duration {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    seconds.map_or(otherwise, Duration::from_secs)
}

impl Bench {
    /// Begins, as `postgres` in database `postgres`, by the simple, extended or prepared protocol. Its script is kept
    /// in `dir`.
    pub(crate) fn start(dir: &Path, port: u16, protocol: &str, time: Duration) -> Self {
        let script = dir.join("script.sql");
        std::fs::write(&script, SCRIPT).unwrap();
        let (port, seconds) = (port.to_string(), time.as_secs().to_string());
        let child = Command::new("pgbench")
            .args(["-n", "-c", "20", "-T", &seconds, "-M", protocol])
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-f"])
            .arg(&script)
            .arg("postgres")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, what: format!("pgbench -M {protocol} for {seconds} s") }
    }

    /// Whether it is at work.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and holds it to that no transaction failed and no client gave up.
    pub(crate) fn nothing_failed(self, beside: &str) {
        let output = self.child.wait_with_output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let what = format!("{} beside {beside}", self.what);
        assert!(output.status.success(), "{what}: {text}");
        assert!(text.contains("number of failed transactions: 0 (0.000%)"), "{what}: {text}");
        let done = text.lines().find(|line| line.starts_with("number of transactions actually processed"));
        let _ = writeln!(std::io::stdout(), "{what}: {}", done.unwrap_or_default());
    }
}
