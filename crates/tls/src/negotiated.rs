//! What two sides have agreed on, as PgBouncer writes it: the log's `tls=` and the column `tls` of SHOW.

use std::fmt;

use rustls::{CipherSuite, CommonState, NamedGroup, ProtocolVersion};

use crate::suites;

/// Version, suite and, where it says more than the suite, the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    version: ProtocolVersion,
    suite: CipherSuite,
    group: Option<NamedGroup>,
}

impl Negotiated {
    /// Of a connection whose handshake is done.
    pub(crate) fn of(connection: &CommonState) -> Option<Self> {
        Some(Self {
            version: connection.protocol_version()?,
            suite: connection.negotiated_cipher_suite()?.suite(),
            group: connection.negotiated_key_exchange_group().map(|group| group.name()),
        })
    }
}

impl fmt::Display for Negotiated {
    /// `TLSv1.3/TLS_AES_256_GCM_SHA384`, `TLSv1.2/ECDHE-RSA-AES256-GCM-SHA384/ECDH=X25519`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suite = suites::name(self.suite);
        if self.version == ProtocolVersion::TLSv1_3 {
            return write!(f, "TLSv1.3/{suite}");
        }
        write!(f, "TLSv1.2/{suite}")?;
        match self.group {
            Some(group) => write!(f, "/ECDH={}", suites::curve_name(group)),
            None => Ok(()),
        }
    }
}
