//! Checked readers of frame bodies, for the few messages that a pooler looks into.
//!
//! Each takes the body of one whole frame (see [`crate::frame`]) and gives slices of it: text stays the bytes
//! that came, in whatever encoding. A reader never looks beyond its slice, allocates nothing, and unless it says
//! otherwise the message must end exactly where the body ends. Messages of clients are in `client.rs`, those of
//! servers in `server.rs`, `fields.rs` (errors), `rows.rs` (results) and `authentication.rs`.

mod authentication;
mod client;
mod cursor;
mod fields;
mod rows;
mod server;

pub use authentication::{Authentication, Mechanisms, authentication};
pub use client::{
    Bind, BindNames, Execute, Parse, SaslInitialResponse, Target, TargetKind, bind, bind_names_prefix, close,
    copy_data, copy_fail, describe, execute, parse, password, query, sasl_initial_response,
};
pub use fields::{ErrorFields, Field, Fields, error_or_notice};
pub use rows::{Column, Columns, DataRow, RowDescription, Values, data_row, row_description};
pub use server::{
    BackendKeyData, Negotiation, Notification, ParameterStatus, TransactionStatus, backend_key_data,
    command_complete, negotiate_protocol_version, notification, parameter_status, ready_for_query,
};

/// A body that is not what its tag says. The connection it came from ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The body ends inside a field.
    #[error("{message} message ends inside its {field}")]
    Truncated {
        /// The message's name in the protocol manual.
        message: &'static str,
        /// The field that is not all there.
        field: &'static str,
    },
    /// A text without its terminating NUL.
    #[error("{message} message has no end of its {field}")]
    Unterminated {
        /// The message's name in the protocol manual.
        message: &'static str,
        /// The text that does not end.
        field: &'static str,
    },
    /// Bytes behind the last field.
    #[error("{message} message has {left} bytes more than its fields")]
    Trailing {
        /// The message's name in the protocol manual.
        message: &'static str,
        /// Bytes left over.
        left: usize,
    },
    /// A field holds a value that it cannot have.
    #[error("{message} message has an invalid {field}")]
    Invalid {
        /// The message's name in the protocol manual.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl ReadError {
    /// `protocol_violation`, for the ErrorResponse that says so.
    pub const fn sqlstate(&self) -> &'static str {
        crate::PROTOCOL_VIOLATION
    }
}

#[cfg(test)]
mod read_tests;
