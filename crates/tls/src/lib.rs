//! TLS for both sides of the pooler, over rustls and without sockets.
//!
//! [`Settings`] are what PgBouncer's `client_tls_*` and `server_tls_*` say, in OpenSSL's words (`suites.rs`,
//! `protocols.rs`); [`Acceptor`] and [`Connector`] are made of them once, at start, RELOAD and SET
//! (`setup.rs`). [`Channel`] is one connection's TLS: it reads and writes through a [`Raw`] socket that its owner
//! lends it, and holds no buffer while nothing is under way (`channel.rs`). [`PeerCertificate`] is what a login may
//! know of a client's certificate, [`end_point`] what SCRAM binds to (`certificate.rs`). How certificates are checked,
//! beyond what webpki does, is in `verify.rs` and `legacy.rs`. The crypto provider is chosen in `provider.rs` and nowhere
//! else.

mod certificate;
mod channel;
mod end;
mod files;
mod legacy;
mod negotiated;
mod protocols;
mod provider;
mod setup;
mod suites;
mod verify;

#[cfg(test)]
mod channel_tests;
#[cfg(test)]
mod setup_tests;
#[cfg(test)]
mod suites_tests;
#[cfg(test)]
mod verify_tests;

pub use certificate::{PeerCertificate, end_point};
pub use channel::{Channel, ClientChannel, ServerChannel};
pub use end::{End, HandshakeError, Raw};
pub use negotiated::Negotiated;
pub use setup::{Acceptor, Connector, Prepared, Settings, SetupError, Verify};

/// The ALPN protocol of PostgreSQL; a client that begins with TLS at once must ask for it.
pub const ALPN: &[u8] = b"postgresql";

/// The first byte of a TLS connection: a handshake record.
pub const FIRST_BYTE: u8 = 0x16;
