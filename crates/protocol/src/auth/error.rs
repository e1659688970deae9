//! Why a login failed: the text for the client, and more of it for the log.

use crate::{read::ReadError, write::WriteError};

/// A login that has failed. It displays as PgBouncer's text, which is all that a client may learn;
/// [`AuthError::detail`] says more, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// `trust` for a user that is not known.
    #[error("\"trust\" authentication failed")]
    Trust,
    /// A wrong password, or a user that is not known.
    #[error("password authentication failed")]
    Password,
    /// A wrong proof, a user that is not known or cannot log in by SCRAM, or a broken SCRAM message.
    #[error("SASL authentication failed")]
    Sasl {
        /// For the log.
        detail: &'static str,
    },
    /// The client chose a mechanism that was not on offer.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// What we know of the user cannot serve the method that the server asks for.
    #[error("wrong password type")]
    WrongPasswordType {
        /// For the log.
        detail: &'static str,
    },
    /// The server asks for a method that we do not speak.
    #[error("server asks for authentication method {code}, which is not supported")]
    Unsupported {
        /// The method's number in the protocol chapter.
        code: u32,
    },
    /// The server offers no SASL mechanism that we speak.
    #[error("server offers no SASL mechanism that is supported")]
    NoMechanism,
    /// The server broke the SCRAM exchange, or does not know the user's secret.
    #[error("SCRAM authentication of the server failed: {detail}")]
    Server {
        /// What was wrong.
        detail: &'static str,
    },
    /// The server wants more iterations than [`super::MAX_ITERATIONS`].
    #[error("server asks for {iterations} SCRAM iterations, more than are allowed")]
    Iterations {
        /// How many it wants.
        iterations: u64,
    },
    /// A message that has no place at this point of the login.
    #[error("unexpected authentication message")]
    Unexpected,
    /// A message that cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An answer that cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl AuthError {
    /// The SQLSTATE that PgBouncer gives to all of these.
    pub const fn sqlstate(&self) -> &'static str {
        crate::PROTOCOL_VIOLATION
    }

    /// What the log should say beside the text, if there is more to say. Never a secret.
    pub const fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Sasl { detail } | Self::WrongPasswordType { detail } => Some(detail),
            _ => None,
        }
    }
}
