//! What is read of certificates: whom they name, and what SCRAM binds a channel to.

use ring::digest::{self, SHA256, SHA384, SHA512};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;

/// `commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A peer's certificate that was asked for and has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The first CN of its subject, if it has one that is text without a NUL: the user, for `auth_type = cert`.
    pub common_name: Option<String>,
    /// Its subject as RFC 4514 writes it (`CN=alice,O=Org1,C=QQ`).
    pub dn: String,
    /// Its issuer, written likewise.
    pub issuer: String,
    /// Its serial number in hexadecimal.
    pub serial: String,
}

impl PeerCertificate {
    /// Reads a certificate; `None`: it is none.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        let serial = certificate.serial_number.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
        Some(Self {
            common_name: common_name(&certificate.subject),
            dn: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            serial,
        })
    }
}

/// The first CN. One with a NUL in it is none: programs in C would read a part of it.
pub(crate) fn common_name(subject: &x509_cert::name::Name) -> Option<String> {
    let value = subject.0.iter().flat_map(|rdn| rdn.0.iter()).find(|value| value.oid == COMMON_NAME)?;
    let text = std::str::from_utf8(value.value.value()).ok()?;
    (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
}

/// The algorithms that sign certificates, by the hash that `tls-server-end-point` takes of them.
const SIGNATURES: [(&str, &digest::Algorithm); 10] = [
    // MD5 and SHA-1 are replaced by SHA-256.
    ("1.2.840.113549.1.1.4", &SHA256),
    ("1.2.840.113549.1.1.5", &SHA256),
    ("1.2.840.10045.4.1", &SHA256),
    ("1.2.840.113549.1.1.11", &SHA256),
    ("1.2.840.10045.4.3.2", &SHA256),
    ("1.2.840.113549.1.1.12", &SHA384),
    ("1.2.840.10045.4.3.3", &SHA384),
    ("1.2.840.113549.1.1.13", &SHA512),
    ("1.2.840.10045.4.3.4", &SHA512),
    ("2.16.840.1.101.3.4.3.2", &SHA256),
];

/// The channel binding data `tls-server-end-point` of a server's certificate (RFC 5929 section 4). `None`: its
/// signature algorithm defines none (Ed25519), or the hash is one that peers do not agree on (RSASSA-PSS).
#[must_use]
pub fn end_point(der: &[u8]) -> Option<Box<[u8]>> {
    let oid = Certificate::from_der(der).ok()?.signature_algorithm.oid.to_string();
    let (_, hash) = SIGNATURES.iter().find(|(known, _)| *known == oid)?;
    Some(digest::digest(hash, der).as_ref().into())
}
