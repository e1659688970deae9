//! The lines of ldap.conf(5) that matter.

use howdah_tls::Verify;

use crate::certificates::{Conf, config};

#[test]
fn what_the_file_says() {
    let conf =
        Conf::parse("# TLS_REQCERT never\ntls_reqcert  Never\nURI ldap://x\nTLS_CACERT\t/a b\n\nTLS_REQCERT");
    assert_eq!(conf, Conf { demand: Some("never".to_owned()), authorities: Some("/a b".into()) });
    assert_eq!(conf.verify(), Verify::Nothing);
    // The authorities are not needed then, and not looked at.
    assert!(config(&conf).is_ok());
    for word in ["allow", "try", "demand", "hard", "sometimes"] {
        let strict = Conf::parse(&format!("TLS_REQCERT {word}\nTLS_CACERT /no/such/file"));
        assert_eq!(strict.verify() == Verify::Name, word != "allow", "{word}");
        assert_eq!(config(&strict).is_err(), word != "allow", "{word}");
    }
    assert_eq!(Conf::parse("").verify(), Verify::Name);
}
