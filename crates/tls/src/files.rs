//! Keys and certificates from PEM files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use crate::provider;
use crate::setup::SetupError;

/// What the system says of a file, without the number of the error, as C programs print it.
fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

fn pem_text(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => system_text(&error),
        pem::Error::NoItemsFound => "no start line".to_owned(),
        other => other.to_string(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| system_text(&error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let list = list.map_err(pem_text)?;
    if list.is_empty() { Err("no start line".to_owned()) } else { Ok(list) }
}

/// The authorities of a `*_ca_file`.
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    certificates(path).map_err(SetupError::Ca)
}

/// The authorities that the system trusts: Debian's bundle, used where a check is asked for and no file is named.
pub(crate) fn system_authorities() -> Result<Vec<CertificateDer<'static>>, SetupError> {
    certificates(Path::new("/etc/ssl/certs/ca-certificates.crt")).map_err(SetupError::Ca)
}

/// A certificate with its chain, and its key.
pub(crate) fn certified_key(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, SetupError> {
    let chain = certificates(certificate)
        .map_err(|reason| SetupError::Certificate { file: certificate.to_owned(), reason })?;
    let failed = |reason: String| SetupError::Key { file: key.to_owned(), reason };
    let bytes = read(key).map_err(failed)?;
    let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| failed(pem_text(error)))?;
    let signing = provider::signing_key(&private).map_err(|error| failed(error.to_string()))?;
    let own = public_key(&chain[0]).map_err(|reason| SetupError::Certificate {
        file: certificate.to_owned(),
        reason: reason.to_owned(),
    })?;
    if signing.public_key().is_some_and(|public| public.as_ref() != own) {
        return Err(failed("key values mismatch".to_owned()));
    }
    Ok(Arc::new(CertifiedKey::new(chain, signing)))
}

/// The SubjectPublicKeyInfo of a certificate. Not rustls's own way, which knows no certificates of version 1.
fn public_key(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, &'static str> {
    let certificate = Certificate::from_der(certificate).map_err(|_| "it is not an X.509 certificate")?;
    let info = certificate.tbs_certificate.subject_public_key_info.to_der();
    info.map_err(|_| "its public key cannot be read")
}
