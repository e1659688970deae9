//! Certificates, keys and what is said of them.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use x509_cert::der::Decode;

use crate::{Acceptor, PeerCertificate, Settings, SetupError, Verify, end_point};

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests_data").join(name)
}

/// The settings' defaults.
pub(crate) fn settings() -> Settings {
    Settings {
        protocols: "secure".to_owned(),
        ciphers: "default".to_owned(),
        ecdhcurve: "auto".to_owned(),
        dheparams: "auto".to_owned(),
        ..Settings::default()
    }
}

fn own(dir: &Path, algorithm: &'static rcgen::SignatureAlgorithm) -> (Settings, Vec<u8>) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert_file, key_file) = (dir.join("s.crt"), dir.join("s.key"));
    std::fs::write(&cert_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let settings = Settings { cert_file: Some(cert_file), key_file: Some(key_file), ..settings() };
    (settings, certificate.der().to_vec())
}

#[test]
fn the_end_point_is_hashed_as_the_certificate_is_signed() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, der) = own(dir.path(), &rcgen::PKCS_ECDSA_P256_SHA256);
    let acceptor = Acceptor::build(&settings, Verify::Nothing).unwrap().value;
    let sha256 = ring::digest::digest(&ring::digest::SHA256, &der);
    assert_eq!(acceptor.end_point().unwrap().as_ref(), sha256.as_ref());
    let (_, der) = own(dir.path(), &PKCS_ECDSA_P384_SHA384);
    assert_eq!(end_point(&der).unwrap().len(), 48);
    let (settings, der) = own(dir.path(), &PKCS_ED25519);
    assert_eq!(end_point(&der), None, "no hash is defined");
    assert!(Acceptor::build(&settings, Verify::Nothing).is_ok());
    assert_eq!(end_point(b"nonsense"), None);
}

#[test]
fn a_certificate_of_version_1_serves() {
    let settings =
        Settings { cert_file: Some(data("old.crt")), key_file: Some(data("old.key")), ..settings() };
    assert!(Acceptor::build(&settings, Verify::Nothing).is_ok());
    let other = Settings { cert_file: Some(data("old-ca.crt")), ..settings };
    let error = Acceptor::build(&other, Verify::Nothing).unwrap_err();
    assert!(matches!(&error, SetupError::Key { reason, .. } if reason == "key values mismatch"), "{error}");
}

#[test]
fn old_versions_and_missing_suites_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    let (own, _) = own(dir.path(), &rcgen::PKCS_ECDSA_P256_SHA256);
    let notes =
        |settings: &Settings| Acceptor::build(settings, Verify::Nothing).map(|prepared| prepared.notes);
    assert_eq!(notes(&own), Ok(Vec::new()));
    let old = Settings { protocols: "tlsv1.0".to_owned(), ..own.clone() };
    assert!(notes(&old).unwrap()[0].contains("not spoken any more"));
    let few = Settings { ciphers: "AES128-SHA".to_owned(), ..own.clone() };
    assert!(notes(&few).unwrap()[0].contains("no allowed cipher suite of TLS 1.2"));
    let none = Settings { protocols: "tlsv1.2".to_owned(), ..few };
    assert_eq!(notes(&none), Err(SetupError::NoSuite));
    let curve = Settings { ecdhcurve: "secp521r1".to_owned(), ..own };
    assert!(notes(&curve).unwrap()[0].contains("secp521r1 is not there"));
}

#[test]
fn a_peers_certificate_is_read() {
    let pem = std::fs::read(data("old.crt")).unwrap();
    let der = rustls::pki_types::pem::PemObject::from_pem_slice(&pem);
    let der: rustls::pki_types::CertificateDer<'_> = der.unwrap();
    let read = PeerCertificate::read(&der).unwrap();
    assert_eq!(read.common_name.as_deref(), Some("db.example"));
    assert_eq!((read.dn.as_str(), read.issuer.as_str()), ("CN=db.example,O=Org1,C=QQ", "CN=old ca"));
    assert!(x509_cert::Certificate::from_der(&der).is_ok() && !read.serial.is_empty());
    assert_eq!(PeerCertificate::read(b"nonsense"), None);
    // A CN with a NUL is none: others would read a part of it.
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "alice\0mallory");
    let certificate = params.self_signed(&key).unwrap();
    assert_eq!(PeerCertificate::read(certificate.der()).unwrap().common_name, None);
}
