//! The `[pgbouncer]` section (`[settings]` in howdah.toml) as it runs: one block a setting (PGBOUNCER.md §2, then
//! Howdah's own).
//!
//! A time of zero means "off" and a count of zero "no limit" unless the sentence says otherwise, as in PgBouncer. Files
//! are relative to the working directory. What a block is made of: `table.rs`.

use std::path::PathBuf;
use std::time::Duration;

use crate::keyword::{AuthType, LogFormat, PoolMode, SslMode, SyslogFacility};
use crate::kind::{
    CheckQuery, Count, File, Flag, Items, Milliseconds, Mode, Name, OneOf, Port, Seconds, Switch, Text,
    WholeSeconds,
};
use crate::list::List;
use crate::table::{LIVE, START};

/// The default `auth_query`: name and secret of a role that may log in, no secret once its validity has passed.
const AUTH_QUERY: &str = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END \
                          FROM pg_authid WHERE rolname=$1 AND rolcanlogin";

const DNS: &str =
    "names are looked up by the system's resolver, which reads its own files and tells no zone's serial";
/// Why `state_tracking` does nothing yet, wherever it is said.
pub(crate) const STATE_TRACKING: &str = "session state is not replayed yet";

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

keys! {
    /// Everything that is set for the whole process.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Settings {}

    ["Generic"]
    /// File that log lines are appended to; unset: standard error only.
    logfile: Option<PathBuf> as File = None, LIVE;
    /// File that holds the process id while running.
    pidfile: Option<PathBuf> as File = None, START;
    /// TCP addresses to listen on, comma separated; `*` is every address, unset none (Unix socket only).
    listen_addr: List as Items = List::default(), START;
    /// TCP port, and the number in the Unix socket's name.
    listen_port: u16 as Port = 6432, START;
    /// Length of the kernel's queue of connections not yet accepted.
    listen_backlog: u32 as Count = 128, START;
    /// Directory of the Unix socket; `@name` is an abstract one, empty none.
    unix_socket_dir: String as Text = "/tmp".to_owned(), START;
    /// Permission bits of the Unix socket.
    unix_socket_mode: u32 as Mode = 0o777, START;
    /// Group that owns the Unix socket.
    unix_socket_group: Option<String> as Name = None, START;
    /// User that the process becomes after the start.
    user: Option<String> as Name = None, START.null();
    /// Pooling mode where neither user nor database has its own.
    pool_mode: PoolMode as OneOf<PoolMode> = PoolMode::Session, LIVE;
    /// Most clients at one time.
    max_client_conn: u32 as Count = 100, LIVE;
    /// Servers a pool may have, where neither user nor database has its own; 0: no limit.
    default_pool_size: u32 as Count = 20, LIVE;
    /// Servers that a pool with clients is kept at.
    min_pool_size: u32 as Count = 0, LIVE;
    /// Servers that a pool may have beyond its size when clients wait.
    reserve_pool_size: u32 as Count = 0, LIVE;
    /// How long a client must have waited before the reserve is used.
    reserve_pool_timeout: Duration as Seconds = seconds(5), LIVE;
    /// Servers a database may have over all its pools; 0: no limit.
    max_db_connections: u32 as Count = 0, LIVE;
    /// Clients a database may have; 0: no limit.
    max_db_client_connections: u32 as Count = 0, LIVE;
    /// Servers a user may have over all databases; 0: no limit.
    max_user_connections: u32 as Count = 0, LIVE;
    /// Clients a user may have; 0: no limit.
    max_user_client_connections: u32 as Count = 0, LIVE;
    /// Use the server that has been idle longest rather than the one used last.
    server_round_robin: bool as Flag = false, LIVE;
    /// PostgreSQL parameters tracked for each client beyond the standard five.
    track_extra_parameters: List as Items = List::new("IntervalStyle"), START;
    /// Startup parameters that are accepted and dropped.
    ignore_startup_parameters: List as Items = List::default(), LIVE;
    /// This process's number among its peers, which its cancel keys carry; 0: no peering.
    peer_id: u32 as Count<0, 16383> = 0, LIVE;
    /// Refuse the simple query protocol.
    disable_pqexec: bool as Flag = false, START;
    /// Append the client's address to its application_name.
    application_name_add_host: bool as Flag = false, LIVE;
    /// The file that RELOAD reads.
    conffile: Option<PathBuf> as File = None, LIVE.null();
    /// Name of the service (Windows).
    job_name: String as Text = "pgbouncer".to_owned(), START.alias("service_name").never("there is no Windows service");
    /// How often averages are made and the statistics line is logged.
    stats_period: Duration as Seconds = seconds(60), LIVE;
    /// Prepared statements kept on a server in transaction and statement pooling; 0: not tracked.
    max_prepared_statements: u32 as Count = 200, LIVE;
    /// Iterations of SCRAM secrets made from plain passwords.
    scram_iterations: u32 as Count<1> = 4096, LIVE;

    ["Authentication"]
    /// How clients prove who they are.
    auth_type: AuthType as OneOf<AuthType> = AuthType::Md5, LIVE;
    /// The user list.
    auth_file: Option<PathBuf> as File = None, LIVE.null();
    /// The HBA file, for `auth_type = hba`.
    auth_hba_file: Option<PathBuf> as File = None, LIVE;
    /// The ident map file.
    auth_ident_file: Option<PathBuf> as File = None, LIVE;
    /// User that runs `auth_query`.
    auth_user: Option<String> as Name = None, LIVE.null();
    /// Query that yields name and secret of a user who is not in `auth_file`.
    auth_query: String as Text = AUTH_QUERY.to_owned(), LIVE;
    /// Database that `auth_query` runs in; unset: the client's own.
    auth_dbname: Option<String> as Name = None, LIVE.null();
    /// Options of `auth_type = ldap`.
    auth_ldap_options: Option<String> as Name = None, LIVE.null();

    ["Logging"]
    /// Log to syslog.
    syslog: bool as Flag = false, LIVE;
    /// Name in syslog.
    syslog_ident: String as Text = "pgbouncer".to_owned(), LIVE;
    /// Facility in syslog.
    syslog_facility: SyslogFacility as OneOf<SyslogFacility> = SyslogFacility::Daemon, LIVE;
    /// Log successful logins.
    log_connections: bool as Flag = true, LIVE;
    /// Log disconnections with their reason.
    log_disconnections: bool as Flag = true, LIVE;
    /// Log the errors that the pooler itself sends to clients.
    log_pooler_errors: bool as Flag = true, LIVE;
    /// Log the statistics line every `stats_period`.
    log_stats: bool as Flag = true, LIVE;
    /// How much more is logged, 0 to 3.
    verbose: u32 as Count = 0, LIVE;

    ["Console"]
    /// Users who may do everything on the console.
    admin_users: List as Items = List::default(), LIVE;
    /// Users who may use SHOW on the console.
    stats_users: List as Items = List::default(), LIVE;

    ["Server health and timeouts"]
    /// Query that resets a server before its next client, in session pooling.
    server_reset_query: String as Text = "DISCARD ALL".to_owned(), LIVE;
    /// Run it in every pooling mode.
    server_reset_query_always: bool as Flag = false, LIVE;
    /// A server idle for longer is checked before use; 0: always.
    server_check_delay: Duration as Seconds = seconds(30), LIVE;
    /// Query of that check; `<empty>` is an empty query, an empty text no check.
    server_check_query: Option<String> as CheckQuery = Some(String::new()), LIVE;
    /// Close servers that must go at the end of the transaction even in session pooling.
    server_fast_close: bool as Flag = false, LIVE;
    /// A server older than this is closed when unused; 0: used once.
    server_lifetime: Duration as Seconds = seconds(3600), LIVE;
    /// A server idle for longer is closed; 0: never.
    server_idle_timeout: Duration as Seconds = seconds(600), LIVE;
    /// Longest time to connect and log in to a server.
    server_connect_timeout: Duration as Seconds = seconds(15), LIVE;
    /// Pause after a failed connect or login to a server.
    server_login_retry: Duration as Seconds = seconds(15), LIVE;
    /// Longest time for a client's login.
    client_login_timeout: Duration as Seconds = seconds(60), LIVE;
    /// An automatic database (of `*`) unused for longer is forgotten.
    autodb_idle_timeout: Duration as Seconds = seconds(3600), LIVE;
    /// A pool without clients and servers for longer is forgotten; 0: never.
    pool_idle_timeout: Duration as Seconds = Duration::ZERO, LIVE;
    /// Longest life of a DNS answer.
    dns_max_ttl: Duration as Seconds = seconds(15), LIVE;
    /// Life of a DNS failure.
    dns_nxdomain_ttl: Duration as Seconds = seconds(15), LIVE;
    /// How often a zone's serial is looked at; 0: never.
    dns_zone_check_period: Duration as Seconds = Duration::ZERO, LIVE.never(DNS);
    /// resolv.conf for look-ups; unset: the system's.
    resolv_conf: Option<PathBuf> as File = None, START.never(DNS);
    /// A waiting client gets a NOTICE after this; 0: never.
    query_wait_notify: Duration as Seconds = seconds(5), LIVE;
    /// NOTICE for every login.
    login_notify_message: String as Text = String::new(), LIVE;

    ["Dangerous timeouts"]
    /// A query that runs for longer ends with its client; 0: never.
    query_timeout: Duration as Seconds = Duration::ZERO, LIVE;
    /// A client that waits for a server for longer is disconnected; 0: waits for ever.
    query_wait_timeout: Duration as Seconds = seconds(120), LIVE;
    /// A cancel request that waits for longer for a connection to carry it is closed; 0: it waits.
    cancel_wait_timeout: Duration as Seconds = seconds(10), LIVE;
    /// A client idle for longer, outside a transaction, is disconnected; 0: never.
    client_idle_timeout: Duration as Seconds = Duration::ZERO, LIVE;
    /// A client idle inside a transaction for longer is disconnected; 0: never.
    idle_transaction_timeout: Duration as Seconds = Duration::ZERO, LIVE;
    /// A client whose transaction lasts longer is disconnected; 0: never.
    transaction_timeout: Duration as Seconds = Duration::ZERO, LIVE;
    /// Longest time for SUSPEND and `-R`; then connections that cannot be flushed are dropped.
    suspend_timeout: Duration as Seconds = seconds(10), LIVE;

    ["TLS towards clients"]
    /// What is demanded of TLS.
    client_tls_sslmode: SslMode as OneOf<SslMode> = SslMode::Disable, LIVE;
    /// Private key.
    client_tls_key_file: Option<PathBuf> as File = None, LIVE;
    /// Certificate.
    client_tls_cert_file: Option<PathBuf> as File = None, LIVE;
    /// Authorities for the clients' certificates.
    client_tls_ca_file: Option<PathBuf> as File = None, LIVE;
    /// Versions, in OpenSSL's words.
    client_tls_protocols: String as Text = "secure".to_owned(), LIVE;
    /// Cipher suites up to TLS 1.2, in OpenSSL's words.
    client_tls_ciphers: String as Text = "default".to_owned(), LIVE;
    /// Cipher suites of TLS 1.3, in OpenSSL's words.
    client_tls13_ciphers: String as Text = String::new(), LIVE;
    /// Curve for the key exchange.
    client_tls_ecdhcurve: String as Text = "auto".to_owned(), LIVE;
    /// Parameters of the DHE key exchange.
    client_tls_dheparams: String as Text = "auto".to_owned(), LIVE.not_yet("there is no DHE key exchange, only ECDHE");

    ["TLS towards servers"]
    /// What is demanded of TLS.
    server_tls_sslmode: SslMode as OneOf<SslMode> = SslMode::Prefer, LIVE;
    /// Authorities for the servers' certificates.
    server_tls_ca_file: Option<PathBuf> as File = None, LIVE;
    /// Private key.
    server_tls_key_file: Option<PathBuf> as File = None, LIVE;
    /// Certificate.
    server_tls_cert_file: Option<PathBuf> as File = None, LIVE;
    /// Versions, in OpenSSL's words.
    server_tls_protocols: String as Text = "secure".to_owned(), LIVE;
    /// Cipher suites up to TLS 1.2, in OpenSSL's words.
    server_tls_ciphers: String as Text = "default".to_owned(), LIVE;
    /// Cipher suites of TLS 1.3, in OpenSSL's words.
    server_tls13_ciphers: String as Text = String::new(), LIVE;

    ["Low level"]
    /// Size of a buffer, in bytes.
    pkt_buf: u32 as Count<1> = 4096, START.never("buffers have sizes of their own, and a message of any size passes");
    /// Largest packet let through, in bytes.
    max_packet_size: u32 as Count<1> = i32::MAX.unsigned_abs(), LIVE;
    /// How many buffers of one connection are handled before the others have their turn; 0: no limit.
    sbuf_loopcnt: u32 as Count = 5, LIVE.never("the runtime shares out turns by itself");
    /// Let several processes listen on one port.
    so_reuseport: bool as Flag = false, START;
    /// Accept a connection only once it has sent something (Linux); 0: at once.
    tcp_defer_accept: u32 as Count = 1, LIVE;
    /// Kernel socket buffer in bytes; 0: the system's.
    tcp_socket_buffer: u32 as Count = 0, LIVE;
    /// TCP keepalive.
    tcp_keepalive: bool as Flag = true, LIVE;
    /// Lost keepalives until the connection is dead; 0: the system's.
    tcp_keepcnt: u32 as Count = 0, LIVE;
    /// Seconds idle until the first keepalive; 0: the system's.
    tcp_keepidle: Duration as WholeSeconds = Duration::ZERO, LIVE;
    /// Seconds between keepalives; 0: the system's.
    tcp_keepintvl: Duration as WholeSeconds = Duration::ZERO, LIVE;
    /// Milliseconds that sent data may stay unacknowledged; 0: the system's.
    tcp_user_timeout: Duration as Milliseconds = Duration::ZERO, LIVE;

    ["Howdah's own"]
    /// Address and port of metrics, health, topology and dashboard; unset: off.
    http_listen: Option<String> as Name = None, START.own();
    /// Threads that serve connections; 0: half of the cores, at least one.
    worker_threads: u32 as Count<0, 1024> = 0, START.own();
    /// Sockets over io_uring where the system allows it and one thread serves; off: epoll.
    io_uring: bool as Switch = true, START.own();
    /// Track and replay session state outside session pooling, where neither database nor cluster says otherwise; howdah.toml has it on by default.
    state_tracking: bool as Switch = false, LIVE.own().not_yet(STATE_TRACKING);
    /// Form of the log lines.
    log_format: LogFormat as OneOf<LogFormat> = LogFormat::Pgbouncer, START.own();
}

impl Settings {
    /// The defaults of howdah.toml: PgBouncer's, with state tracking on (DESIGN.md §7).
    #[must_use]
    pub fn toml_default() -> Self {
        Self { state_tracking: true, ..Self::default() }
    }
}
