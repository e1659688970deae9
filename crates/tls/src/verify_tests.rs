//! Which certificates are right.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use crate::Verify;
use crate::setup_tests::data;
use crate::verify::{ClientVerifier, ServerVerifier};

type Der = CertificateDer<'static>;

fn read(path: &Path) -> Der {
    CertificateDer::from_pem_file(path).unwrap()
}

fn judge(authority: &Der, verify: Verify, certificate: &Der, host: &str) -> Result<(), rustls::Error> {
    let verifier = ServerVerifier::new(std::slice::from_ref(authority), verify).unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).map(drop)
}

fn params(common_name: &str, hosts: &[&str]) -> CertificateParams {
    let mut params =
        CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn authority(common_name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(common_name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn certificates_of_version_1_are_judged() {
    let (ca, old) = (read(&data("old-ca.crt")), read(&data("old.crt")));
    assert!(judge(&ca, Verify::Authority, &old, "elsewhere").is_ok());
    assert!(judge(&ca, Verify::Name, &old, "db.example").is_ok(), "by its CN");
    assert!(judge(&ca, Verify::Name, &old, "other.example").is_err());
    let stranger = authority("old ca");
    assert!(
        judge(stranger.der(), Verify::Authority, &old, "db.example").is_err(),
        "the name alone is not enough"
    );
    let clients = ClientVerifier::new(&[ca]).unwrap();
    assert!(clients.verify_client_cert(&old, &[], UnixTime::now()).is_ok());
    let then = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_000_000));
    assert!(clients.verify_client_cert(&old, &[], then).is_err(), "not valid yet");
    assert!(ClientVerifier::new(&[]).unwrap().verify_client_cert(&old, &[], UnixTime::now()).is_err());
    // One bit of the signed part.
    let mut bytes = old.to_vec();
    let place = bytes.windows(10).position(|window| window == b"db.example").unwrap();
    bytes[place] = b'c';
    assert!(clients.verify_client_cert(&bytes.into(), &[], UnixTime::now()).is_err());
}

#[test]
fn the_servers_own_certificate_may_be_the_authority() {
    // As `openssl req -x509` makes it: an authority by itself.
    let own = authority("localhost");
    assert!(judge(own.der(), Verify::Authority, own.der(), "localhost").is_ok());
    assert!(judge(own.der(), Verify::Name, own.der(), "localhost").is_ok());
    assert!(judge(own.der(), Verify::Name, own.der(), "elsewhere").is_err());
    assert!(judge(authority("localhost").der(), Verify::Authority, own.der(), "localhost").is_err());
    let mut late = params("localhost", &[]);
    late.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let late = late.self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert!(judge(late.der(), Verify::Authority, late.der(), "localhost").is_err(), "expired");
}

#[test]
fn names_of_hosts_come_before_the_cn() {
    let ca = authority("ca");
    let sign = |common_name: &str, hosts: &[&str]| {
        params(common_name, hosts).signed_by(&KeyPair::generate().unwrap(), &ca).unwrap().der().clone()
    };
    for (certificate, host, right) in [
        (sign("localhost", &[]), "localhost", true),
        (sign("LOCALHOST", &[]), "localhost", true),
        (sign("127.0.0.1", &[]), "127.0.0.1", true),
        (sign("*.example.com", &[]), "db.example.com", true),
        (sign("*.example.com", &[]), "example.com", false),
        (sign("*.example.com", &[]), "a.db.example.com", false),
        (sign("*.com", &[]), "example.com", false),
        (sign("localhost", &["db.example.com"]), "db.example.com", true),
        (sign("localhost", &["db.example.com"]), "localhost", false),
        (sign("x", &["127.0.0.1"]), "127.0.0.1", true),
        (sign("x", &["127.0.0.1"]), "127.0.0.2", false),
    ] {
        let judged = judge(ca.der(), Verify::Name, &certificate, host);
        assert_eq!(judged.is_ok(), right, "{host}: {judged:?}");
        assert!(judge(ca.der(), Verify::Authority, &certificate, host).is_ok(), "{host}");
        assert!(judge(authority("ca").der(), Verify::Authority, &certificate, host).is_err(), "{host}");
        assert!(judge(authority("ca").der(), Verify::Nothing, &certificate, host).is_ok(), "{host}");
    }
}

#[test]
fn only_authorities_sign() {
    let ca = authority("ca");
    let middle = params("middle", &[]);
    let middle_key = KeyPair::generate().unwrap();
    let middle_cert = middle.signed_by(&middle_key, &ca).unwrap();
    let issuer = rcgen::Issuer::new(middle, middle_key);
    let leaf = params("leaf", &["localhost"]).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let verifier = ServerVerifier::new(&[ca.der().clone()], Verify::Authority).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let judged =
        verifier.verify_server_cert(leaf.der(), &[middle_cert.der().clone()], &name, &[], UnixTime::now());
    assert!(judged.is_err());
}
