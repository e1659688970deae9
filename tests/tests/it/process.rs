//! The process: its command line, its background, its user, its sockets and systemd (PGBOUNCER.md section 6,
//! PGBOUNCER_BEHAVIOUR.md sections 1 and 14). `program.rs` has signals and the log.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use howdah_testkit::PortLease;

use crate::support::{Binary, entry, howdah_program, postgres, until};

fn howdah(arguments: &[&str]) -> Output {
    Command::new(howdah_program()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file with these settings in a directory of its own; `@DIR@` and `@PORT@` stand for themselves.
fn ini(dir: &Path, port: u16, settings: &str) -> String {
    let file = dir.join("p.ini");
    let settings = settings.replace("@DIR@", &dir.to_string_lossy());
    let text = format!(
        "[databases]\npostgres = host=127.0.0.1\n[pgbouncer]\nlisten_port = {port}\nauth_type = trust\n{settings}\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_string_lossy().into_owned()
}

#[test]
fn mistakes_are_told_as_getopt_tells_them() {
    for (arguments, first) in [
        (&["--nonsense", "a.ini"][..], "PROG: unrecognized option '--nonsense'"),
        (&["-x", "a.ini"], "PROG: invalid option -- 'x'"),
        (&[], "PROG: no configuration file specified"),
        (&["-q"], "PROG: no configuration file specified"),
        (&["a.ini", "b.ini"], "PROG: no configuration file specified"),
        (&["-u"], "PROG: option requires an argument -- 'u'"),
        (&["--user"], "PROG: option '--user' requires an argument"),
        (&["--verbose=1", "a.ini"], "PROG: option '--verbose' doesn't allow an argument"),
    ] {
        let output = howdah(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let program = howdah_program().display().to_string();
        let expected =
            format!("{first}\nTry \"PROG --help\" for more information.\n").replace("PROG", &program);
        assert_eq!(text(&output.stderr), expected, "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_and_version() {
    for flag in ["-h", "--help"] {
        let output = howdah(&[flag]);
        assert!(output.status.success());
        let help = text(&output.stdout);
        assert!(
            help.starts_with(
                "howdah is a connection pooler for PostgreSQL.\n\nUsage:\n  howdah [OPTION]... CONFIG_FILE\n"
            ),
            "{help}"
        );
        assert!(help.contains("  -u, --user=USERNAME  assume identity of USERNAME\n"), "{help}");
        assert!(help.contains("\n  doctor "), "{help}");
    }
    let output = howdah(&["-V"]);
    assert!(output.status.success() && text(&output.stdout).starts_with("PgBouncer 1.25.2\n"));
    // A long option may be cut short, and stand behind the file.
    let output = howdah(&["/no/such/file.ini", "--qui"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), String::new()));
    let output = howdah(&["/no/such/file.ini"]);
    let lines = text(&output.stderr);
    assert!(lines.trim_end().ends_with("] FATAL cannot load config file"), "{lines}");
}

#[test]
fn what_keeps_it_from_starting_is_told_in_pgbouncers_words() {
    let dir = tempfile::tempdir().unwrap();
    let port = PortLease::reserve().unwrap();
    let unix = "unix_socket_dir = @DIR@\n";
    std::fs::write(dir.path().join("taken"), "1\n").unwrap();
    for (settings, arguments, expected) in [
        ("unix_socket_dir =".to_owned(), &[][..], "nowhere to listen on"),
        (format!("{unix}unix_socket_group = no-such-group"), &[], "could not find group 'no-such-group'"),
        (format!("{unix}pidfile = @DIR@/taken"), &[], "pidfile exists, another instance running?"),
        (format!("{unix}user = no-such-user"), &[], "could not find user 'no-such-user' to switch to"),
        (unix.to_owned(), &["-u", "no-such-user"], "could not find user 'no-such-user' to switch to"),
        (unix.to_owned(), &["-d"], "daemon needs pidfile configured"),
    ] {
        let file = ini(dir.path(), port.port(), &settings);
        let output = howdah(&[arguments, &[&file]].concat());
        assert_eq!(output.status.code(), Some(1), "{settings}");
        let said = text(&output.stderr);
        assert!(said.contains(&format!("] FATAL {expected}\n")), "{settings}: {said}");
        let quiet = howdah(&[arguments, &["-q", &file]].concat());
        assert_eq!((quiet.status.code(), text(&quiet.stderr)), (Some(1), String::new()), "{settings}");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("taken")).unwrap(), "1\n", "another's pid file stays");
    assert!(!dir.path().join(format!(".s.PGSQL.{}", port.port())).exists());
}

/// The process that a pid file names, ended with its owner.
struct Daemon(u32);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-s", "QUIT", &self.0.to_string()]).status();
    }
}

/// A program that the test has started itself; ended with its owner.
struct Spawned(std::process::Child);

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_listens_when_its_parent_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let port = PortLease::reserve().unwrap();
    let settings = "unix_socket_dir = @DIR@\npidfile = @DIR@/pid\nlogfile = @DIR@/log";
    let file = ini(dir.path(), port.port(), settings);
    let output = howdah(&["-d", &file]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let pid: u32 = std::fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap();
    let daemon = Daemon(pid);
    let socket = dir.path().join(format!(".s.PGSQL.{}", port.port()));
    assert!(UnixStream::connect(&socket).is_ok(), "it listens already");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().to_owned();
    assert_eq!(session, pid.to_string(), "a session of its own");
    for stream in 0..3 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap();
        assert_eq!(target, Path::new("/dev/null"));
    }
    // A second one says why it does not start, by its exit code too.
    let second = howdah(&["-d", &file]);
    assert_eq!(second.status.code(), Some(1));
    let why = text(&second.stderr);
    assert!(why.contains("FATAL pidfile exists, another instance running?"), "{why}");
    drop(daemon);
    until("the pid file to go", || async { !dir.path().join("pid").exists() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_gives_root_up_with_its_groups() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let port = PortLease::reserve().unwrap();
    let settings = "unix_socket_dir = @DIR@\npidfile = @DIR@/pid\nlogfile = @DIR@/log";
    let file = ini(dir.path(), port.port(), settings);
    let output = howdah(&["-d", "--user=postgres", &file]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let pid: u32 = std::fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap();
    let _daemon = Daemon(pid);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let ids = |name: &str| -> Vec<String> {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("postgres:")).unwrap();
    let fields: Vec<_> = line.split(':').collect();
    assert_eq!(ids("Uid:"), [fields[2]; 4]);
    assert_eq!(ids("Gid:"), [fields[3]; 4]);
    assert!(!ids("Groups:").contains(&"0".to_owned()), "{status}");
    for name in ["log", "pid", &format!(".s.PGSQL.{}", port.port())] {
        let owner = std::fs::metadata(dir.path().join(name)).unwrap().uid();
        assert_eq!(owner.to_string(), fields[2], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unix_socket_has_its_mode_group_and_length() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let dir = tempfile::tempdir().unwrap();
    // As long as an address of a socket may be (107 bytes), with a port of five digits.
    let room = 107 - "//.s.PGSQL.65535".len() - dir.path().as_os_str().len();
    let long = "d".repeat(room);
    let deep = dir.path().join(&long);
    std::fs::create_dir(&deep).unwrap();
    let settings = format!(
        "unix_socket_dir = {}\nunix_socket_mode = 0640\nunix_socket_group = {}\nlogfile = @DIR@/log",
        deep.display(),
        std::fs::metadata("/proc/self").unwrap().gid()
    );
    let binary = Binary::start(&databases, &settings).await;
    let socket = deep.join(format!(".s.PGSQL.{}", binary.port()));
    // It comes a moment after the TCP port, and its mode a moment after it.
    let up =
        || std::fs::read_to_string(binary.dir().join("log")).unwrap_or_default().contains(" process up: ");
    until("the start", || async { up() }).await;
    let metadata = std::fs::metadata(&socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    let log = std::fs::read_to_string(binary.dir().join("log")).unwrap();
    assert!(log.contains(&format!(" LOG listening on unix:{}\n", socket.display())), "{log}");
    assert!(log.contains(&format!(" LOG listening on 127.0.0.1:{}\n", binary.port())), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abstract_socket_serves_and_is_in_use_for_a_second_process() {
    use std::os::linux::net::SocketAddrExt;
    let dir = tempfile::tempdir().unwrap();
    let port = PortLease::reserve().unwrap();
    let file = ini(dir.path(), port.port(), "unix_socket_dir = @howdah-test\nlogfile = @DIR@/log");
    let child = Command::new(howdah_program()).args(["-q", &file]).stdin(Stdio::null()).spawn();
    let _program = Spawned(child.unwrap());
    let name = format!("howdah-test/.s.PGSQL.{}", port.port());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    until("the abstract socket", || async { UnixStream::connect_addr(&address).is_ok() }).await;
    let second = howdah(&[&file]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("FATAL unix socket is in use, cannot continue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_of_every_state() {
    let dir = tempfile::tempdir().unwrap();
    let port = PortLease::reserve().unwrap();
    let notify = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
    let file = ini(dir.path(), port.port(), "unix_socket_dir = @DIR@\nlogfile = @DIR@/log");
    let mut child = Command::new(howdah_program())
        .args(["-q", &file])
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let daemon = Daemon(child.id());
    let said = || {
        let mut buffer = [0; 4096];
        let length = notify.recv(&mut buffer).unwrap();
        text(&buffer[..length])
    };
    assert_eq!(said().trim(), "READY=1");
    assert!(Command::new("kill").args(["-s", "HUP", &daemon.0.to_string()]).status().unwrap().success());
    let reloading = said();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(said().trim(), "READY=1");
    assert!(Command::new("kill").args(["-s", "TERM", &daemon.0.to_string()]).status().unwrap().success());
    assert_eq!(said().trim(), "STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_systemd_has_opened_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let port = PortLease::reserve().unwrap();
    let file = ini(dir.path(), port.port(), "unix_socket_dir = /nowhere\nlogfile = @DIR@/log");
    // Python stands for systemd: it opens a socket as descriptor 3 and becomes the program.
    let script = "import os, socket, sys\n\
        s = socket.socket(socket.AF_UNIX)\n\
        s.bind(sys.argv[1]); s.listen()\n\
        os.dup2(s.fileno(), 3)\n\
        os.set_inheritable(3, True)\n\
        os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
        os.execv(sys.argv[2], [sys.argv[2], '-q', sys.argv[3]])\n";
    let socket = dir.path().join("given");
    let child = Command::new("python3")
        .args(["-c", script, socket.to_str().unwrap(), howdah_program().to_str().unwrap(), &file])
        .spawn();
    let _program = Spawned(child.unwrap());
    let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    until("the start", || async { log().contains("process up") }).await;
    assert!(log().contains(&format!("listening on unix:{}\n", socket.display())), "{}", log());
    assert!(!log().contains("/nowhere"), "{}", log());
    assert!(UnixStream::connect(&socket).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_opens_the_log_anew_and_set_verbose_says_more() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, "logfile = @DIR@/log").await;
    let log = binary.dir().join("log");
    std::fs::rename(&log, binary.dir().join("log.1")).unwrap();
    binary.signal("HUP");
    until("a new log", || async { log.exists() }).await;
    crate::support::connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    assert!(std::fs::read_to_string(&log).unwrap().contains("login attempt: db=postgres user=postgres"));
    let old = std::fs::read_to_string(binary.dir().join("log.1")).unwrap();
    assert!(!old.contains("login attempt"), "{old}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_that_waits_leaves_the_console_only() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = "logfile = @DIR@/log\nadmin_users = postgres";
    let mut binary = Binary::start(&databases, settings).await;
    let client = crate::support::connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    binary.signal("TERM");
    until("TCP to be closed", || async {
        tokio::net::TcpStream::connect(("127.0.0.1", binary.port())).await.is_err()
    })
    .await;
    let unix = |user: &str, dbname: &str| {
        format!("host={} port={} user={user} dbname={dbname}", binary.dir().display(), binary.port())
    };
    let error = crate::support::connect(&unix("postgres", "postgres")).await.err().unwrap();
    assert_eq!(crate::support::sentence(&error), "pooler is shutting down");
    let console = crate::support::connect(&unix("pgbouncer", "pgbouncer")).await.unwrap();
    for command in ["RESUME", "PAUSE", "SUSPEND"] {
        let error = console.simple_query(command).await.unwrap_err();
        assert_eq!(crate::support::sentence(&error), "pooler is shutting down", "{command}");
    }
    binary.signal("USR2");
    let log = || std::fs::read_to_string(binary.dir().join("log")).unwrap();
    until("the line", || async { log().contains("got SIGUSR2 while shutting down, ignoring") }).await;
    client.batch_execute("SELECT 1").await.unwrap();
    binary.signal("TERM");
    assert!(binary.ended().await.success(), "the second one is at once");
    assert!(std::fs::read_to_string(binary.dir().join("log")).unwrap().contains("got SIGTERM, fast exit"));
    assert!(!binary.dir().join(format!(".s.PGSQL.{}", binary.port())).exists());
}
