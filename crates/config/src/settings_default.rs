//! The defaults of `Settings`, PgBouncer's (PGBOUNCER.md §2). A test holds them against the texts of the table.

use std::time::Duration;

use crate::keyword::{AuthType, LogFormat, PoolMode, SslMode, SyslogFacility};
use crate::list::List;
use crate::settings::{ClientTls, ServerTls, Settings};

/// The default `auth_query`: name and secret of a role that may log in, no secret once its validity has passed.
pub(crate) const AUTH_QUERY: &str = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END \
                                     FROM pg_authid WHERE rolname=$1 AND rolcanlogin";

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Settings {
    /// The defaults of howdah.toml: PgBouncer's, with state tracking on (DESIGN.md §7).
    #[must_use]
    pub fn toml_default() -> Self {
        Self { state_tracking: true, ..Self::default() }
    }
}

impl Default for Settings {
    #[allow(clippy::too_many_lines)]
    fn default() -> Self {
        Self {
            logfile: None,
            pidfile: None,
            listen_addr: List::default(),
            listen_port: 6432,
            listen_backlog: 128,
            unix_socket_dir: "/tmp".to_owned(),
            unix_socket_mode: 0o777,
            unix_socket_group: None,
            user: None,
            pool_mode: PoolMode::Session,
            max_client_conn: 100,
            default_pool_size: 20,
            min_pool_size: 0,
            reserve_pool_size: 0,
            reserve_pool_timeout: seconds(5),
            max_db_connections: 0,
            max_db_client_connections: 0,
            max_user_connections: 0,
            max_user_client_connections: 0,
            server_round_robin: false,
            track_extra_parameters: List::new("IntervalStyle"),
            ignore_startup_parameters: List::default(),
            peer_id: 0,
            disable_pqexec: false,
            application_name_add_host: false,
            conffile: None,
            job_name: "pgbouncer".to_owned(),
            stats_period: seconds(60),
            max_prepared_statements: 200,
            scram_iterations: 4096,
            auth_type: AuthType::Md5,
            auth_file: None,
            auth_hba_file: None,
            auth_ident_file: None,
            auth_user: None,
            auth_query: AUTH_QUERY.to_owned(),
            auth_dbname: None,
            auth_ldap_options: None,
            syslog: false,
            syslog_ident: "pgbouncer".to_owned(),
            syslog_facility: SyslogFacility::Daemon,
            log_connections: true,
            log_disconnections: true,
            log_pooler_errors: true,
            log_stats: true,
            verbose: 0,
            admin_users: List::default(),
            stats_users: List::default(),
            server_reset_query: "DISCARD ALL".to_owned(),
            server_reset_query_always: false,
            server_check_delay: seconds(30),
            server_check_query: Some(String::new()),
            server_fast_close: false,
            server_lifetime: seconds(3600),
            server_idle_timeout: seconds(600),
            server_connect_timeout: seconds(15),
            server_login_retry: seconds(15),
            client_login_timeout: seconds(60),
            autodb_idle_timeout: seconds(3600),
            pool_idle_timeout: Duration::ZERO,
            dns_max_ttl: seconds(15),
            dns_nxdomain_ttl: seconds(15),
            dns_zone_check_period: Duration::ZERO,
            resolv_conf: None,
            query_wait_notify: seconds(5),
            login_notify_message: String::new(),
            query_timeout: Duration::ZERO,
            query_wait_timeout: seconds(120),
            cancel_wait_timeout: seconds(10),
            client_idle_timeout: Duration::ZERO,
            idle_transaction_timeout: Duration::ZERO,
            transaction_timeout: Duration::ZERO,
            suspend_timeout: seconds(10),
            client_tls: ClientTls::default(),
            server_tls: ServerTls::default(),
            pkt_buf: 4096,
            max_packet_size: i32::MAX.unsigned_abs(),
            sbuf_loopcnt: 5,
            so_reuseport: false,
            tcp_defer_accept: 1,
            tcp_socket_buffer: 0,
            tcp_keepalive: true,
            tcp_keepcnt: 0,
            tcp_keepidle: Duration::ZERO,
            tcp_keepintvl: Duration::ZERO,
            tcp_user_timeout: Duration::ZERO,
            http_listen: None,
            worker_threads: 0,
            state_tracking: false,
            log_format: LogFormat::Pgbouncer,
        }
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        Self {
            sslmode: SslMode::Disable,
            key_file: None,
            cert_file: None,
            ca_file: None,
            protocols: "secure".to_owned(),
            ciphers: "default".to_owned(),
            tls13_ciphers: String::new(),
            ecdhcurve: "auto".to_owned(),
            dheparams: "auto".to_owned(),
        }
    }
}

impl Default for ServerTls {
    fn default() -> Self {
        Self {
            sslmode: SslMode::Prefer,
            ca_file: None,
            key_file: None,
            cert_file: None,
            protocols: "secure".to_owned(),
            ciphers: "default".to_owned(),
            tls13_ciphers: String::new(),
        }
    }
}
