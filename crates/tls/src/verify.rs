//! How certificates are checked: by webpki, and by `legacy.rs` where webpki has no opinion because PostgreSQL's own
//! manual makes certificates that it does not know (version 1, or the authority's own as a server's).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

use crate::legacy::Legacy;
use crate::provider;
use crate::setup::{SetupError, Verify};

fn store(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| SetupError::Ca(error.to_string()))?;
    }
    Ok(roots)
}

/// The signature over the handshake, whatever the certificate's version.
fn tls12_signature(
    legacy: &Legacy,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if legacy.is_old(certificate) {
        return legacy.handshake_signature(message, certificate, dss);
    }
    verify_tls12_signature(message, certificate, dss, legacy.algorithms())
}

/// The same for TLS 1.3, which binds the scheme to the curve: of its mapping only the first is taken.
fn tls13_signature(
    legacy: &Legacy,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if legacy.is_old(certificate) {
        return legacy.handshake_signature_13(message, certificate, dss);
    }
    verify_tls13_signature(message, certificate, dss, legacy.algorithms())
}

/// Checks the certificates of clients.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    /// `None`: there is no authority, and so no certificate that would be right.
    webpki: Option<Arc<dyn ClientCertVerifier>>,
    legacy: Legacy,
}

impl ClientVerifier {
    pub(crate) fn new(authorities: &[CertificateDer<'static>]) -> Result<Self, SetupError> {
        let legacy = Legacy::new(authorities);
        if authorities.is_empty() {
            return Ok(Self { webpki: None, legacy });
        }
        let roots = Arc::new(store(authorities)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::new(provider::provider()));
        let webpki = builder.build().map_err(|error| SetupError::Ca(error.to_string()))?;
        Ok(Self { webpki: Some(webpki), legacy })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.as_ref().map_or(&[], |webpki| webpki.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(judged) = self.legacy.judge(end_entity, now) {
            return judged.map(|()| ClientCertVerified::assertion());
        }
        match &self.webpki {
            Some(webpki) => webpki.verify_client_cert(end_entity, intermediates, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12_signature(&self.legacy, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls13_signature(&self.legacy, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.legacy.algorithms().supported_schemes()
    }
}

/// Checks the certificates of servers.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    verify: Verify,
    roots: RootCertStore,
    legacy: Legacy,
}

impl ServerVerifier {
    pub(crate) fn new(authorities: &[CertificateDer<'static>], verify: Verify) -> Result<Self, SetupError> {
        Ok(Self { verify, roots: store(authorities)?, legacy: Legacy::new(authorities) })
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        self.legacy.algorithms()
    }

    fn check_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if let Some(judged) = self.legacy.judge(end_entity, now) {
            return judged;
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms().all,
        )
    }

    /// By the names in the certificate; by its CN where it has none, as libpq does.
    fn check_name(&self, end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
        let by_webpki = if self.legacy.is_old(end_entity) {
            Err(CertificateError::NotValidForName.into())
        } else {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)
        };
        match by_webpki {
            Err(_) if crate::legacy::common_name_is(end_entity, &name.to_str()) => Ok(()),
            other => other,
        }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.verify != Verify::Nothing {
            self.check_chain(end_entity, intermediates, now)?;
        }
        if self.verify == Verify::Name {
            self.check_name(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12_signature(&self.legacy, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls13_signature(&self.legacy, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
