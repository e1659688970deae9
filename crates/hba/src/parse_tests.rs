//! What can be read of an HBA file and what cannot; the sentences were seen on Debian's pgbouncer 1.18.

use crate::{Ldap, Method, Rules, Warning, parse};

fn read(text: &str) -> (Rules, Vec<Warning>) {
    parse(text, &mut |file| Err(format!("no {file} here")))
}

/// What is said of a line that is left out.
fn refused(line: &str) -> String {
    let (rules, warnings) = read(line);
    assert!(rules.is_empty(), "{line}: {rules:?}");
    let [warning] = warnings.as_slice() else { panic!("{line}: {warnings:?}") };
    assert!(warning.is_skipped);
    warning.sentence.clone()
}

/// The only line of a text.
fn method(line: &str) -> (Method, Option<String>) {
    let (rules, warnings) = read(line);
    assert_eq!(warnings, [], "{line}");
    let rule = rules.iter().next().unwrap_or_else(|| panic!("{line}: no rule"));
    (rule.method.clone(), rule.map.clone())
}

#[test]
fn lines_that_cannot_be_read_are_told_and_left_out() {
    for (line, sentence) in [
        ("host p0 bob 127.0.0.1/33 md5", "invalid mask"),
        ("host p0 bob ::1/129 md5", "invalid mask"),
        ("host p0 bob ::1/-1 md5", "invalid mask"),
        ("host p0 bob ::1/+1 md5", "invalid mask"),
        ("host p0 bob 127.0.0.1/ md5", "invalid mask"),
        ("host p0 bob 127.0.0.1 md5", "failed to parse mask: md5"),
        ("host p0 bob 127.0.0.1 ffff:: md5", "failed to parse mask: ffff::"),
        ("host p0 bob 127.0.0.1/32 ldapp", "unsupported method: buf=ldapp"),
        ("host p0 bob all ldap", "LDAP authentication needs ldapserver or ldapurl"),
        ("host p0 bob all ldap ldapserver=a ldapcolour=b", "unrecognized LDAP option: ldapcolour"),
        ("host p0 bob 127.0.0.1/32 any", "unsupported method: buf=any"),
        ("host p0 bob 127.0.0.1/32 pam", "unsupported method: buf=pam"),
        ("local p0 bob 127.0.0.1/32 peer", "unsupported method: buf=127.0.0.1/32"),
        ("local p0 bob ident", "unsupported method: buf=ident"),
        ("foo all all all md5", "unknown type"),
        ("hostgssenc p0 bob all md5", "unknown type"),
        ("\"host\" p0 bob all md5", "unknown type"),
        ("host p0 bob 127.0.0.1/32 md5 map=x", "unsupported parameters"),
        ("host p0 bob 127.0.0.1/32 md5 extra", "unsupported parameters"),
        ("hostssl p0 bob all cert map=", "unsupported parameters"),
        ("hostssl p0 bob all cert clientcert=1", "unsupported parameters"),
        ("host p0 bob samenet md5", "failed to parse address - samenet"),
        ("host p0 bob localhost md5", "failed to parse address - localhost"),
        ("host p0, bob 127.0.0.1/32 md5", "failed to parse address - md5"),
        ("host samegroup bob all md5", "samegroup is not supported"),
        ("host p0 +bob all md5", "+bob: roles are not supported"),
        ("host p0 @nofile all md5", "could not open file nofile: no nofile here"),
        ("host \"open bob all md5", "a quote is not closed"),
        ("host p0,,p1 bob all md5", "could not parse hba config line"),
        ("host p0", "could not parse hba config line"),
        ("host", "could not parse hba config line"),
        ("host p0 bob", "could not parse hba config line"),
    ] {
        assert_eq!(refused(line), sentence, "{line}");
    }
}

#[test]
fn methods_maps_and_options() {
    for (word, expected) in [
        ("trust", Method::Trust),
        ("reject", Method::Reject),
        ("md5", Method::Md5),
        ("password", Method::Password),
        ("peer", Method::Peer),
        ("cert", Method::Cert),
        ("scram-sha-256", Method::Scram),
    ] {
        assert_eq!(method(&format!("local all all {word}# remark")), (expected.clone(), None));
        assert_eq!(method(&format!("\t host  all\tall all   {word}  ")), (expected, None));
    }
    assert_eq!(method("hostssl a b all cert map=m1"), (Method::Cert, Some("m1".to_owned())));
    assert_eq!(method("local a b peer map=\"a map\""), (Method::Peer, Some("a map".to_owned())));
    let ldap = |rest: &str| match method(&format!("host all all all ldap {rest}")) {
        (Method::Ldap(options), None) => options,
        other => panic!("{other:?}"),
    };
    for written in [
        "ldapserver=a ldapport=3 ldapprefix=\"cn=\" ldapsuffix=\", dc=a \"\"b\"\", dc=c\"",
        "\"ldapserver\"=\"a b\" ldapsuffix=\"x\"",
        "ldapserver=a ldapsuffix=,dc=a,dc=b",
        "ldapprefix=uid= ldapserver=a ldapsuffix=,dc=a",
        "\"ldapsuffix=\"\" x\" ldapserver=a",
    ] {
        assert_eq!(ldap(&format!("{written} # so")), Ldap::parse(written).unwrap());
    }
}

#[test]
fn an_address_beyond_its_mask_is_told_and_stays() {
    let (rules, warnings) = read("\n# remark\nhost p0 bob 127.0.0.1/24 md5\n");
    assert_eq!(rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), [3]);
    let told = warnings.iter().map(|w| (w.line, w.sentence.as_str(), w.is_skipped)).collect::<Vec<_>>();
    assert_eq!(told, [(3, "address does not match mask: 127.0.0.1 / 255.255.255.0", false)]);
    let (rules, warnings) = read("host a b ::1 ffff:: md5\r\nhost a b 10.0.0.0 255.0.0.0 md5\r\n");
    assert_eq!((rules.len(), warnings.len()), (2, 1), "{warnings:?}");
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[ a-z0-9@\"#,=/.:+\n]{0,80}") {
        let _ = parse(&text, &mut |file| Ok(file.to_owned()));
        let _ = crate::IdentMaps::parse(&text);
    }

    #[test]
    fn any_characters_do_not_panic(text in ".{0,60}") {
        let text = format!("host all all {text}");
        let _ = parse(&text, &mut |_| Ok(text.clone()));
    }
}
