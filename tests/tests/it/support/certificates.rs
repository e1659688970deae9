//! Certificates of a test's own: authorities, what they sign, and the files.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// An authority, with the directory that its files go to.
pub(crate) struct Authority<'a> {
    issuer: CertifiedIssuer<'a, KeyPair>,
    dir: PathBuf,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

impl Authority<'_> {
    /// A new one; its certificate is `NAME.crt`.
    pub(crate) fn new(dir: &Path, called: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(called);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.join(format!("{called}.crt")), issuer.pem()).unwrap();
        Self { issuer, dir: dir.to_owned() }
    }

    /// Its certificate.
    pub(crate) fn file(&self, called: &str) -> PathBuf {
        self.dir.join(format!("{called}.crt"))
    }

    /// Signs a certificate with this CN for these hosts.
    pub(crate) fn sign(&self, common_name: &str, hosts: &[&str]) -> Pair {
        self.sign_with(common_name, hosts, |_| {})
    }

    /// The same, with something else changed.
    pub(crate) fn sign_with(
        &self,
        common_name: &str,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = name(common_name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pair = Pair {
            cert: self.dir.join(format!("{common_name}.signed.crt")),
            key: self.dir.join(format!("{common_name}.key")),
        };
        std::fs::write(&pair.cert, certificate.pem()).unwrap();
        std::fs::write(&pair.key, key.serialize_pem()).unwrap();
        // libpq looks at the mode of a key.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&pair.key, mode).unwrap();
        pair
    }
}
