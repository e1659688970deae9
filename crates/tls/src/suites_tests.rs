//! Cipher strings, curves and versions in OpenSSL's words.

use rustls::{CipherSuite, NamedGroup};

use crate::protocols;
use crate::suites::{Curves, curves, name, tls12, tls13};

fn names(text: &str) -> Option<Vec<&'static str>> {
    tls12(text).map(|suites| suites.into_iter().map(name).collect())
}

const ALL: [&str; 6] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
];

#[test]
fn the_words_of_pgbouncers_documentation_select_everything() {
    for word in
        ["default", "secure", "compat", "legacy", "insecure", "all", "ALL", "normal", "HIGH", "HIGH:!aNULL"]
    {
        assert_eq!(names(word).as_deref(), Some(&ALL[..]), "{word}");
    }
    assert_eq!(names("fast").unwrap()[..2], ALL[4..]);
    assert_eq!(names("HIGH:MEDIUM:+3DES:!aNULL:@STRENGTH").as_deref(), Some(&ALL[..]));
}

#[test]
fn operators_work_as_in_openssl() {
    assert_eq!(names("ECDHE+AESGCM:!aECDSA").as_deref(), Some(&[ALL[1], ALL[5]][..]));
    assert_eq!(names("ALL:+AES256").unwrap()[4..], ALL[..2]);
    assert_eq!(names("!AES256:ALL").as_deref(), Some(&ALL[2..]));
    assert_eq!(names("ALL:-CHACHA20:CHACHA20").unwrap()[4..], ALL[2..4]);
    assert_eq!(names("ecdhe-rsa-aes128-gcm-sha256").as_deref(), Some(&ALL[5..]));
    // A name that is not known is passed over where another is.
    assert_eq!(names("nonsense:ECDHE-RSA-AES128-GCM-SHA256").as_deref(), Some(&ALL[5..]));
}

#[test]
fn what_rustls_has_not_is_known_and_nonsense_is_not() {
    for text in ["AES128-SHA", "AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384", "RC4", "kRSA"] {
        assert_eq!(tls12(text), Some(Vec::new()), "{text}");
    }
    for text in ["nonsense", "", "!ALL", "this_does_not_exist"] {
        assert_eq!(tls12(text), None, "{text}");
    }
    assert_eq!(tls13("TLS_AES_128_GCM_SHA256"), Some(vec![CipherSuite::TLS13_AES_128_GCM_SHA256]));
    assert_eq!(tls13("").map(|suites| suites.len()), Some(3));
    assert_eq!(tls13("TLS_AES_128_CCM_SHA256"), Some(Vec::new()));
    assert_eq!(tls13("TLS_AES_128_GCM_SHA256:nonsense"), None);
}

#[test]
fn curves_and_versions() {
    assert_eq!(curves("auto"), Some(Curves::Auto));
    assert_eq!(curves("prime256v1"), Some(Curves::One(NamedGroup::secp256r1)));
    assert_eq!(curves("X25519"), Some(Curves::One(NamedGroup::X25519)));
    assert_eq!(curves("secp521r1"), Some(Curves::Missing));
    assert_eq!(curves("nonsense"), None);
    let versions = |text: &str| {
        protocols::parse(text).map(|(list, old)| (list.iter().map(|v| v.version).collect::<Vec<_>>(), old))
    };
    use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
    for text in ["secure", "default", "all", "legacy", "tlsv1.0,tlsv1.1,tlsv1.2,tlsv1.3", "tlsv1.2:tlsv1.3"] {
        assert_eq!(versions(text), Some((vec![TLSv1_3, TLSv1_2], false)), "{text}");
    }
    assert_eq!(versions("tlsv1.3"), Some((vec![TLSv1_3], false)));
    assert_eq!(versions("all,!tlsv1.3"), Some((vec![TLSv1_2], false)));
    // Versions that are not spoken any more.
    assert_eq!(versions("tlsv1.0,tlsv1.1"), Some((vec![TLSv1_2], true)));
    assert_eq!(versions("nonsense"), None);
    assert_eq!(versions("tlsv1.2,!tlsv1.2"), None);
}
