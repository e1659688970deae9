//! What is computed is that of the password given, whoever asked before.

use std::num::NonZeroU32;

use howdah_protocol::auth::{Entropy, Method, Secret};

use super::Secrets;

#[test]
fn one_name_with_two_passwords_has_two_secrets() {
    let secrets = Secrets::default();
    let entropy = Entropy { random: [1; 32], process_secret: [7; 32] };
    let of = |password: &str| {
        let secret = Secret::parse(password);
        secrets.for_login((Method::Scram, "bob"), secret, &entropy, NonZeroU32::new(4096).unwrap())
    };
    let (Secret::Scram(one), Secret::Scram(again), Secret::Scram(other)) = (of("a"), of("a"), of("b")) else {
        panic!("SCRAM")
    };
    assert_eq!(one, again);
    assert_ne!(one, other);
}
