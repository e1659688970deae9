//! Options of LDAP logins: what they come to, and which are refused.

use crate::{Find, Ldap, LdapScope, LdapSearch};

fn search(text: &str) -> (Ldap, LdapSearch) {
    let ldap = Ldap::parse(text).unwrap();
    match ldap.find.clone() {
        Find::Search(search) => (ldap, search),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn simple_binds() {
    let written =
        "ldapserver=\"a b\" ldapport=1389 ldaptls=1 ldapprefix=\"cn=\" \"ldapsuffix\"=\", dc=x \"\"y\"\"\"";
    let ldap = Ldap::parse(written).unwrap();
    assert_eq!(ldap.servers, ["a", "b"]);
    assert_eq!((ldap.port, ldap.is_ldaps, ldap.start_tls), (Some(1389), false, true));
    let find = Find::Direct { prefix: "cn=".to_owned(), suffix: ", dc=x \"y\"".to_owned() };
    assert_eq!(ldap.find, find);
    let ldap = Ldap::parse("\"ldapserver=a\" ldapscheme=ldaps ldapsuffix=@x").unwrap();
    assert_eq!((ldap.port, ldap.is_ldaps, ldap.start_tls), (None, true, false));
    assert_eq!(ldap.find, Find::Direct { prefix: String::new(), suffix: "@x".to_owned() });
}

#[test]
fn searches() {
    let (_, found) = search("ldapserver=a ldapbasedn=\"dc=x\" ldapbinddn=\"cn=r\" ldapbindpasswd=\"p w\"");
    assert_eq!((found.base.as_str(), found.bind_dn.as_str()), ("dc=x", "cn=r"));
    assert_eq!((found.bind_password.expose(), found.filter.as_str()), ("p w", "(uid=$username)"));
    assert!(!format!("{found:?}").contains("p w"));
    let (_, found) = search("ldapserver=a ldapbasedn=x ldapsearchattribute=mail");
    assert_eq!((found.filter.as_str(), found.scope), ("(mail=$username)", LdapScope::Sub));
    let (_, found) =
        search("ldapserver=a ldapbasedn=x ldapsearchfilter=\"(|(uid=$username)(mail=$username))\"");
    assert_eq!(found.filter, "(|(uid=$username)(mail=$username))");
    let (ldap, found) = search("ldapurl=\"ldaps://h:636/dc=x%2Cdc=y?cn?one\"");
    assert_eq!((ldap.servers, ldap.port, ldap.is_ldaps), (vec!["h".to_owned()], Some(636), true));
    assert_eq!((found.base.as_str(), found.filter.as_str()), ("dc=x,dc=y", "(cn=$username)"));
    assert_eq!(found.scope, LdapScope::One);
    let (ldap, found) = search("ldapurl=ldap://[::1]/x??base?(a=$username)");
    assert_eq!((ldap.servers[0].as_str(), ldap.port), ("::1", None));
    assert_eq!((found.filter.as_str(), found.scope), ("(a=$username)", LdapScope::Base));
    let (_, found) = search("ldapurl=ldap://a/x???a=$username");
    assert_eq!(found.filter, "(a=$username)");
}

#[test]
fn options_that_cannot_be_used() {
    for (text, sentence) in [
        ("", "needs ldapserver or ldapurl"),
        ("ldapserver=a", "needs ldapbasedn, ldapprefix, or ldapsuffix"),
        ("ldapserver=a ldapprefix=x ldapbasedn=y", "together with ldapprefix"),
        (
            "ldapserver=a ldapbasedn=y ldapsearchattribute=a ldapsearchfilter=b",
            "together with ldapsearchfilter",
        ),
        ("ldapserver=a ldapport=x", "invalid LDAP port number: \"x\""),
        ("ldapserver=a ldapport=0", "invalid LDAP port number: \"0\""),
        ("ldapscheme=http", "invalid ldapscheme value: \"http\""),
        ("ldapurl=http://a/b", "unsupported LDAP URL scheme: http"),
        ("ldapurl=a", "could not parse LDAP URL"),
        ("ldapurl=ldap://a:b/c", "could not parse LDAP URL"),
        ("ldapurl=ldap://a/%4", "could not parse LDAP URL"),
        ("ldapurl=ldap://a/%+4", "could not parse LDAP URL"),
        ("ldapurl=ldap://a/c??deep", "could not parse LDAP URL"),
        ("ldapcolour=red", "unrecognized LDAP option: ldapcolour"),
        ("ldapserver", "expected name=value"),
        ("ldapserver=\"a", "a quote is not closed"),
    ] {
        let said = Ldap::parse(text).unwrap_err();
        assert!(said.contains(sentence), "{text}: {said}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "(ldapurl=ldap://)?[ a-z=\"?:/%\\[\\]]{0,60}") {
        let _ = Ldap::parse(&text);
    }
}
