//! The name of a user's entry.

use crate::login::direct;

#[test]
fn a_user_cannot_name_another_entry() {
    assert_eq!(direct("cn=", "ann", ",dc=x"), "cn=ann,dc=x");
    assert_eq!(direct("cn=", "ann,ou=b", ",dc=x"), "cn=ann\\2cou\\3db,dc=x");
    assert_eq!(direct("DOMAIN\\", "ann", ""), "DOMAIN\\ann");
    assert_eq!(direct("", "ann", "@example.com"), "ann@example.com");
}
