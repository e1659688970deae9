//! One exchange computed by Python's `hashlib` and `hmac`, which know nothing of this code.

use super::*;

#[test]
fn proof_and_signature_are_those_of_another_implementation() {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let keys = ScramKeys::build(b"pencil", &salt, DEFAULT_ITERATIONS);
    let signed = b"n=user,r=rOprNGfwEbeRWWbNEkqO,\
        r=rOprNGfwEbeRWWbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
        c=biws,r=rOprNGfwEbeRWWbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let proof = xor(&keys.client_key, &hmac(&sha256(&*keys.client_key), &[signed]));
    assert_eq!(BASE64.encode(*proof), "qFvww1zbNyRFLBaQ6+SNe6lRPhgMHYo7n4VSdCjwe/U=");
    let signature = hmac(&keys.server_key, &[signed]);
    assert_eq!(BASE64.encode(*signature), "vPBYQ119ntvwjKrMTFhl7DkoIknXlpwG01zW7j5C2Qo=");
}
