//! SHOW CONFIG.

use super::{Known, new, other};

pub(super) const KNOWN: &[Known] = &[
    new(&["quiet"], "CONFIG auth_dbname *", "1.19.0"),
    new(&["quiet"], "CONFIG auth_ident_file *", "1.23.0: user name maps"),
    new(&["quiet"], "CONFIG auth_ldap_options *", "1.25.0: LDAP"),
    new(&["quiet"], "CONFIG cancel_wait_timeout *", "1.18.0 has it, but does not show it"),
    new(&["quiet"], "CONFIG client_tls13_ciphers *", "not known"),
    new(&["quiet"], "CONFIG server_tls13_ciphers *", "not known"),
    new(&["quiet"], "CONFIG login_notify_message *", "after 1.25.2"),
    new(&["quiet"], "CONFIG max_db_client_connections *", "1.24.0"),
    new(&["quiet"], "CONFIG max_user_client_connections *", "1.24.0"),
    new(&["quiet"], "CONFIG max_prepared_statements *", "1.21.0, on since 1.24.0"),
    new(&["quiet"], "CONFIG peer_id *", "1.19.0: peering"),
    new(&["quiet"], "CONFIG pool_idle_timeout *", "after 1.25.2"),
    new(&["quiet"], "CONFIG query_wait_notify *", "not known"),
    new(&["quiet"], "CONFIG scram_iterations *", "1.25.0"),
    new(&["quiet"], "CONFIG track_extra_parameters *", "1.20.0"),
    new(&["quiet"], "CONFIG transaction_timeout *", "1.25.0"),
    other(&["quiet"], "CONFIG client_tls_ciphers *", ("\"fast\"", "\"default\""), "not known"),
    other(&["quiet"], "CONFIG server_tls_ciphers *", ("\"fast\"", "\"default\""), "not known"),
    other(&["quiet"], "CONFIG server_check_query *", ("\"select 1\"", "\"<empty>\""), "not known"),
    other(&["quiet"], "CONFIG server_tls_sslmode *", ("\"disable\"", "\"prefer\""), "not known"),
    other(&["quiet"], "CONFIG unix_socket_mode value", ("\"511\"", "\"0777\""), "not known"),
];
