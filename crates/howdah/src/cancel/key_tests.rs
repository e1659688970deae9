//! The layout of cancel keys, byte by byte: PgBouncer is a peer too. What a key is for: `key.rs`.

use super::key::CancelKey;

const RANDOM: [u8; 8] = [0xff, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x11, 0xf8];

#[test]
fn without_peering_all_but_the_sign_is_random() {
    assert_eq!(CancelKey::new(RANDOM, 0).0, [0x7f, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x11, 0xf8]);
}

#[test]
fn the_peer_stands_in_the_second_and_third_byte_the_lower_half_first() {
    let key = CancelKey::new(RANDOM, 0x1234);
    assert_eq!(key.0, [0x7f, 0x34, 0x12, 0xcc, 0xdd, 0xee, 0x11, 0xfb]);
    for peer_id in [1, 255, 256, 16383] {
        assert_eq!(CancelKey::new(RANDOM, peer_id).peer_id(), peer_id);
    }
}

#[test]
fn it_is_forwarded_three_times_and_changes_in_nothing_else() {
    let given = CancelKey::new(RANDOM, 7);
    let mut key = given;
    for left in [2, 1, 0] {
        key = key.forwarded().expect("a hop is left");
        assert_eq!(key.0[7] & 0b11, left);
        assert_eq!((key.peer_id(), key.unforwarded()), (7, given));
    }
    assert_eq!(key.forwarded(), None);
}

#[test]
fn a_request_carries_it_as_process_id_and_secret() {
    let key = CancelKey::new(RANDOM, 7);
    let (pid, secret) = key.parts();
    assert_eq!(pid, u32::from_be_bytes([0x7f, 7, 0, 0xcc]));
    assert_eq!(CancelKey::requested(pid, &secret), Some(key));
}

#[test]
fn keys_of_other_lengths_are_not_ours() {
    for secret in [&[][..], &[1, 2, 3], &[0; 5], &[0; 32]] {
        assert_eq!(CancelKey::requested(1, secret), None);
    }
}
