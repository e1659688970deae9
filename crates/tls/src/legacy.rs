//! Certificates that webpki refuses to look at, and that PostgreSQL installations are full of because its manual makes
//! them: of version 1 (`openssl x509 -req` without extensions), signed by an authority of the CA file; and one that
//! is in the CA file itself (a server's self-signed certificate, copied to whoever connects). Nothing else is judged
//! here, and no chain longer than one link.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use x509_cert::certificate::Version;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::{Certificate, TbsCertificate};

use crate::certificate::common_name;
use crate::provider;

/// The judge of such certificates.
#[derive(Debug)]
pub(crate) struct Legacy {
    authorities: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The contents of an AlgorithmIdentifier, without the header of its sequence.
fn contents(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    Some(AnyRef::from_der(&der).ok()?.value().to_vec())
}

/// The bytes that a certificate's signature is over.
fn signed_part(der: &[u8]) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(der).ok()?;
    let signed = reader.sequence(|inner| {
        let signed = inner.tlv_bytes()?.to_vec();
        while !inner.is_finished() {
            inner.tlv_bytes()?;
        }
        Ok(signed)
    });
    signed.ok()
}

fn is_valid(certificate: &TbsCertificate, now: UnixTime) -> Result<(), CertificateError> {
    let (from, to) = (certificate.validity.not_before, certificate.validity.not_after);
    if now.as_secs() < from.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet);
    }
    if now.as_secs() > to.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

/// Whether an authority may sign: one of version 3 must say so itself.
fn may_sign(authority: &TbsCertificate) -> bool {
    match authority.get::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => authority.version == Version::V1,
        Err(_) => false,
    }
}

/// Whether a certificate without any name of a host is for this one by its CN; `*.` stands for one label.
pub(crate) fn common_name_is(der: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(certificate) = Certificate::from_der(der) else { return false };
    if !matches!(certificate.tbs_certificate.get::<SubjectAltName>(), Ok(None)) {
        return false;
    }
    let Some(name) = common_name(&certificate.tbs_certificate.subject) else { return false };
    match name.strip_prefix("*.") {
        Some(rest) if rest.contains('.') => {
            host.split_once('.').is_some_and(|(label, of)| !label.is_empty() && of.eq_ignore_ascii_case(rest))
        }
        _ => name.eq_ignore_ascii_case(host),
    }
}

impl Legacy {
    pub(crate) fn new(authorities: &[CertificateDer<'static>]) -> Self {
        Self { authorities: authorities.to_vec(), algorithms: provider::algorithms() }
    }

    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// Whether webpki does not read this certificate.
    pub(crate) fn is_old(&self, der: &CertificateDer<'_>) -> bool {
        Certificate::from_der(der).is_ok_and(|certificate| certificate.tbs_certificate.version != Version::V3)
    }

    /// The judgement on a peer's certificate; `None`: it is webpki's to judge.
    pub(crate) fn judge(&self, der: &CertificateDer<'_>, now: UnixTime) -> Option<Result<(), Error>> {
        let known = self.authorities.iter().any(|authority| authority.as_ref() == der.as_ref());
        if !known && !self.is_old(der) {
            return None;
        }
        let judged = match Certificate::from_der(der) {
            Ok(certificate) if known => is_valid(&certificate.tbs_certificate, now),
            Ok(certificate) => self.is_signed(der, &certificate, now),
            Err(_) => Err(CertificateError::BadEncoding),
        };
        Some(judged.map_err(Error::from))
    }

    /// By one of the authorities, directly.
    fn is_signed(
        &self,
        der: &CertificateDer<'_>,
        certificate: &Certificate,
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        is_valid(&certificate.tbs_certificate, now)?;
        let message = signed_part(der).ok_or(CertificateError::BadEncoding)?;
        let signature = certificate.signature.as_bytes().ok_or(CertificateError::BadEncoding)?;
        let scheme = contents(&certificate.signature_algorithm).ok_or(CertificateError::BadEncoding)?;
        let mut outcome = Err(CertificateError::UnknownIssuer);
        for authority in self.authorities.iter().filter_map(|der| Certificate::from_der(der).ok()) {
            let authority = authority.tbs_certificate;
            if authority.subject != certificate.tbs_certificate.issuer || !may_sign(&authority) {
                continue;
            }
            let algorithms =
                self.algorithms.all.iter().filter(|known| known.signature_alg_id().as_ref() == scheme);
            match check(&authority, algorithms.copied(), &message, signature) {
                Ok(()) => return is_valid(&authority, now),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// The signature over a handshake of TLS 1.2.
    pub(crate) fn handshake_signature(
        &self,
        message: &[u8],
        der: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = self.of_scheme(dss.scheme)?;
        signed_by(der, algorithms, message, dss)
    }

    /// The signature over a handshake of TLS 1.3.
    pub(crate) fn handshake_signature_13(
        &self,
        message: &[u8],
        der: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RSASSA-PKCS1-v1_5 has no place in it (RFC 8446 section 4.2.3).
        let pkcs1 = [
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
        ];
        if pkcs1.contains(&dss.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let algorithms = self.of_scheme(dss.scheme)?;
        signed_by(der, algorithms.get(..1).unwrap_or_default(), message, dss)
    }

    fn of_scheme(
        &self,
        scheme: SignatureScheme,
    ) -> Result<&'static [&'static dyn SignatureVerificationAlgorithm], Error> {
        let found = self.algorithms.mapping.iter().find(|(known, _)| *known == scheme);
        let (_, algorithms) =
            found.ok_or(Error::from(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme))?;
        Ok(algorithms)
    }
}

fn signed_by(
    der: &CertificateDer<'_>,
    algorithms: &[&'static dyn SignatureVerificationAlgorithm],
    message: &[u8],
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding)?;
    check(&certificate.tbs_certificate, algorithms.iter().copied(), message, dss.signature())?;
    Ok(HandshakeSignatureValid::assertion())
}

/// Whether the owner of a key has signed this, by an algorithm that is for keys of its kind.
fn check(
    owner: &TbsCertificate,
    algorithms: impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CertificateError> {
    let info = &owner.subject_public_key_info;
    let kind = contents(&info.algorithm).ok_or(CertificateError::BadEncoding)?;
    let key = info.subject_public_key.as_bytes().ok_or(CertificateError::BadEncoding)?;
    let mut fitting = algorithms.filter(|known| known.public_key_alg_id().as_ref() == kind);
    let right = fitting.any(|known| known.verify_signature(key, message, signature).is_ok());
    if right { Ok(()) } else { Err(CertificateError::BadSignature) }
}
