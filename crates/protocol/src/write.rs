//! Writers: each appends one whole message to a buffer.
//!
//! What a 16- or 32-bit word cannot count, and a text with a NUL inside, is an error, and then the buffer is
//! left as it was: nothing is cut in silence. Messages of a client are in `client.rs` (with those that have no
//! tag: startup, cancel, SSL request), those of a server in `server.rs`, results in `rows.rs`, errors in
//! `report.rs`.

mod builder;
mod client;
mod report;
mod rows;
mod server;

pub use client::{
    NO_TYPES, bind, cancel_request, close, copy_data, copy_done, copy_fail, describe, execute, flush,
    gss_request, parse, password, query, sasl_initial_response, sasl_response, ssl_request, startup_message,
    sync, terminate,
};
pub use report::{Report, error_response, notice_response};
pub use rows::{Column, data_row, row_description};
pub use server::{
    authentication_cleartext_password, authentication_md5, authentication_ok, authentication_sasl,
    authentication_sasl_continue, authentication_sasl_final, backend_key_data, bind_complete, close_complete,
    command_complete, empty_query_response, negotiate_protocol_version, no_data, notification_response,
    parameter_status, parse_complete, portal_suspended, ready_for_query,
};

/// A message that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// More of something than the message can count.
    #[error("{field} of a message: {count} is more than the {max} that it can hold")]
    TooMany {
        /// What there is too much of.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// How many there can be.
        max: usize,
    },
    /// A text with a NUL inside, which would end it there.
    #[error("{field} of a message has a NUL byte inside")]
    Nul {
        /// Which text.
        field: &'static str,
    },
}

#[cfg(test)]
mod write_tests;
