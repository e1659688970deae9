//! The choice of the crypto provider: `ring`, which the SCRAM code uses already, and which builds with a C compiler
//! alone. Nothing else of the workspace names it for TLS.

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use std::sync::Arc;

/// Everything that the provider can do.
pub(crate) fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// The signatures that it can check.
pub(crate) fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// A private key that it can sign with.
pub(crate) fn signing_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
    ring::sign::any_supported_type(key)
}
