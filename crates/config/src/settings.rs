//! The `[pgbouncer]` section (`[settings]` in howdah.toml) as it runs: one public field a setting, typed.
//!
//! What each is called in a file, how it is parsed and printed, whether RELOAD changes it and what it means in a
//! sentence is in the table (`table/`), from which SHOW CONFIG and docs/settings.md are generated. A time of zero means
//! "off" and a count of zero means "no limit" unless the field says otherwise, as in PgBouncer.

use std::path::PathBuf;
use std::time::Duration;

use crate::keyword::{AuthType, LogFormat, PoolMode, SslMode, SyslogFacility};
use crate::list::List;

/// Everything that is set for the whole process. The fields follow PGBOUNCER.md §2, then Howdah's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    // Generic.
    /// File that log lines are appended to; `None`: standard error only.
    pub logfile: Option<PathBuf>,
    /// File that holds the process id while running.
    pub pidfile: Option<PathBuf>,
    /// TCP addresses to listen on; `*` is every address, an empty list none (Unix socket only).
    pub listen_addr: List,
    /// TCP port, and the number in the Unix socket's name. 0: no TCP.
    pub listen_port: u16,
    /// Length of the kernel's queue of connections not yet accepted.
    pub listen_backlog: u32,
    /// Directory of the Unix socket; `@name` is an abstract one, empty none.
    pub unix_socket_dir: String,
    /// Permission bits of the Unix socket.
    pub unix_socket_mode: u32,
    /// Group that owns the Unix socket.
    pub unix_socket_group: Option<String>,
    /// User that the process becomes after the start.
    pub user: Option<String>,
    /// Pooling mode where neither user nor database has its own.
    pub pool_mode: PoolMode,
    /// Most clients at one time.
    pub max_client_conn: u32,
    /// Servers a pool may have, where neither user nor database has its own. 0: no limit.
    pub default_pool_size: u32,
    /// Servers that a pool with clients is kept at.
    pub min_pool_size: u32,
    /// Servers that a pool may have beyond its size when clients wait.
    pub reserve_pool_size: u32,
    /// How long a client must have waited before the reserve is used.
    pub reserve_pool_timeout: Duration,
    /// Servers a database may have over all its pools. 0: no limit.
    pub max_db_connections: u32,
    /// Clients a database may have. 0: no limit.
    pub max_db_client_connections: u32,
    /// Servers a user may have over all databases. 0: no limit.
    pub max_user_connections: u32,
    /// Clients a user may have. 0: no limit.
    pub max_user_client_connections: u32,
    /// Use the server that has been idle longest rather than the one used last.
    pub server_round_robin: bool,
    /// PostgreSQL parameters tracked for each client beyond the standard five.
    pub track_extra_parameters: List,
    /// Startup parameters that are accepted and dropped.
    pub ignore_startup_parameters: List,
    /// This process's number among its peers; 0: no peering.
    pub peer_id: u32,
    /// Refuse the simple query protocol.
    pub disable_pqexec: bool,
    /// Append the client's address to its application_name.
    pub application_name_add_host: bool,
    /// The file that RELOAD reads.
    pub conffile: Option<PathBuf>,
    /// Name of the service (Windows, and syslog).
    pub job_name: String,
    /// How often averages are made and the statistics line is logged.
    pub stats_period: Duration,
    /// Prepared statements kept on a server in transaction and statement pooling. 0: not tracked.
    pub max_prepared_statements: u32,
    /// Iterations of SCRAM secrets made from plain passwords.
    pub scram_iterations: u32,

    // Authentication.
    /// How clients prove who they are.
    pub auth_type: AuthType,
    /// The user list, relative to the working directory.
    pub auth_file: Option<PathBuf>,
    /// The HBA file, for `auth_type = hba`.
    pub auth_hba_file: Option<PathBuf>,
    /// The ident map file.
    pub auth_ident_file: Option<PathBuf>,
    /// User that runs `auth_query`.
    pub auth_user: Option<String>,
    /// Query that yields name and secret of a user who is not in `auth_file`.
    pub auth_query: String,
    /// Database that `auth_query` runs in; `None`: the client's own.
    pub auth_dbname: Option<String>,
    /// Options of `auth_type = ldap`.
    pub auth_ldap_options: Option<String>,

    // Logging.
    /// Log to syslog.
    pub syslog: bool,
    /// Name in syslog.
    pub syslog_ident: String,
    /// Facility in syslog.
    pub syslog_facility: SyslogFacility,
    /// Log successful logins.
    pub log_connections: bool,
    /// Log disconnections with their reason.
    pub log_disconnections: bool,
    /// Log the errors that the pooler itself sends to clients.
    pub log_pooler_errors: bool,
    /// Log the statistics line every `stats_period`.
    pub log_stats: bool,
    /// 0 to 3: how much more is logged.
    pub verbose: u32,

    // Console.
    /// Users who may do everything on the console.
    pub admin_users: List,
    /// Users who may use SHOW on the console.
    pub stats_users: List,

    // Server health and timeouts.
    /// Query that resets a server before its next client, in session pooling.
    pub server_reset_query: String,
    /// Run it in every pooling mode.
    pub server_reset_query_always: bool,
    /// A server idle for longer is checked before use. Zero: always.
    pub server_check_delay: Duration,
    /// Query of that check: `None` no check, `Some("")` an empty query.
    pub server_check_query: Option<String>,
    /// Close servers that must go at the end of the transaction even in session pooling.
    pub server_fast_close: bool,
    /// A server older than this is closed when unused. Zero: used once.
    pub server_lifetime: Duration,
    /// A server idle for longer is closed. Zero: never.
    pub server_idle_timeout: Duration,
    /// Longest time to connect and log in to a server.
    pub server_connect_timeout: Duration,
    /// Pause after a failed connect or login to a server.
    pub server_login_retry: Duration,
    /// Longest time for a client's login.
    pub client_login_timeout: Duration,
    /// An automatic database (of `*`) unused for longer is forgotten.
    pub autodb_idle_timeout: Duration,
    /// A pool without clients and servers for longer is forgotten. Zero: never.
    pub pool_idle_timeout: Duration,
    /// Longest life of a DNS answer.
    pub dns_max_ttl: Duration,
    /// Life of a DNS failure.
    pub dns_nxdomain_ttl: Duration,
    /// How often a zone's serial is looked at. Zero: never.
    pub dns_zone_check_period: Duration,
    /// resolv.conf for look-ups; `None`: the system's.
    pub resolv_conf: Option<PathBuf>,
    /// A waiting client gets a NOTICE after this. Zero: never.
    pub query_wait_notify: Duration,
    /// NOTICE for every login.
    pub login_notify_message: String,

    // Dangerous timeouts.
    /// A query that runs for longer ends with its client. Zero: never.
    pub query_timeout: Duration,
    /// A client that waits for a server for longer is disconnected. Zero: waits for ever.
    pub query_wait_timeout: Duration,
    /// A cancel request that waits for longer is dropped.
    pub cancel_wait_timeout: Duration,
    /// A client idle for longer, outside a transaction, is disconnected. Zero: never.
    pub client_idle_timeout: Duration,
    /// A client idle inside a transaction for longer is disconnected. Zero: never.
    pub idle_transaction_timeout: Duration,
    /// A client whose transaction lasts longer is disconnected. Zero: never.
    pub transaction_timeout: Duration,
    /// Longest time for SUSPEND and `-R`; then connections that cannot be flushed are dropped.
    pub suspend_timeout: Duration,

    // TLS.
    /// TLS towards clients.
    pub client_tls: ClientTls,
    /// TLS towards servers.
    pub server_tls: ServerTls,

    // Low level.
    /// Size of a buffer, in bytes.
    pub pkt_buf: u32,
    /// Largest packet let through, in bytes.
    pub max_packet_size: u32,
    /// How many buffers of one connection are handled before the others have their turn.
    pub sbuf_loopcnt: u32,
    /// Let several processes listen on one port.
    pub so_reuseport: bool,
    /// Accept a connection only once it has sent something; seconds for the kernel, 0: off.
    pub tcp_defer_accept: u32,
    /// Kernel socket buffer in bytes. 0: the system's.
    pub tcp_socket_buffer: u32,
    /// TCP keepalive on.
    pub tcp_keepalive: bool,
    /// Lost keepalives until the connection is dead. 0: the system's.
    pub tcp_keepcnt: u32,
    /// Idle time until the first keepalive, whole seconds. Zero: the system's.
    pub tcp_keepidle: Duration,
    /// Time between keepalives, whole seconds. Zero: the system's.
    pub tcp_keepintvl: Duration,
    /// Longest time that sent data may stay unacknowledged (written in milliseconds). Zero: the system's.
    pub tcp_user_timeout: Duration,

    // Howdah's own.
    /// Address of metrics, health, topology and dashboard; `None`: off.
    pub http_listen: Option<String>,
    /// Threads that serve connections. 0: one a core.
    pub worker_threads: u32,
    /// Track and replay session state outside session pooling, where neither database nor cluster says otherwise.
    pub state_tracking: bool,
    /// Form of the log lines.
    pub log_format: LogFormat,
}

/// The `client_tls_*` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// `client_tls_sslmode`
    pub sslmode: SslMode,
    /// `client_tls_key_file`
    pub key_file: Option<PathBuf>,
    /// `client_tls_cert_file`
    pub cert_file: Option<PathBuf>,
    /// `client_tls_ca_file`
    pub ca_file: Option<PathBuf>,
    /// `client_tls_protocols`, in OpenSSL's words
    pub protocols: String,
    /// `client_tls_ciphers`, in OpenSSL's words
    pub ciphers: String,
    /// `client_tls13_ciphers`, in OpenSSL's words
    pub tls13_ciphers: String,
    /// `client_tls_ecdhcurve`
    pub ecdhcurve: String,
    /// `client_tls_dheparams`
    pub dheparams: String,
}

/// The `server_tls_*` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// `server_tls_sslmode`
    pub sslmode: SslMode,
    /// `server_tls_ca_file`
    pub ca_file: Option<PathBuf>,
    /// `server_tls_key_file`
    pub key_file: Option<PathBuf>,
    /// `server_tls_cert_file`
    pub cert_file: Option<PathBuf>,
    /// `server_tls_protocols`, in OpenSSL's words
    pub protocols: String,
    /// `server_tls_ciphers`, in OpenSSL's words
    pub ciphers: String,
    /// `server_tls13_ciphers`, in OpenSSL's words
    pub tls13_ciphers: String,
}
