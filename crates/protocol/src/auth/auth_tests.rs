//! Tests of the logins. `binding.rs` has both our sides and what may happen between them, `client.rs` has postgres-protocol's SCRAM client as the peer of our server's side,
//! `server.rs` our own server's side and a lying server as peers of our client's side, `secret.rs` the secrets.

use std::num::NonZeroU32;

use super::{ClientLogin, Entropy, Method, Progress, Proved, Secret};

mod binding;
mod client;
mod secret;
mod server;

/// Few, so that the tests are quick.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(3).unwrap();

fn login(method: Method, user: &str, secret: Option<Secret>) -> ClientLogin {
    let entropy = Entropy { random: [7; 32], process_secret: [9; 32] };
    ClientLogin::new(method, user.as_bytes(), secret, entropy, ITERATIONS)
}

/// The one frame in `out`, which is emptied: its tag and its body.
fn frame(out: &mut Vec<u8>) -> (u8, Vec<u8>) {
    let bytes = std::mem::take(out);
    let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
    assert_eq!(length + 1, bytes.len(), "exactly one frame");
    (bytes[0], bytes[5..].to_vec())
}

fn proved(progress: Progress<Proved>) -> Proved {
    match progress {
        Progress::Done(proved) => proved,
        Progress::Continue => panic!("not done"),
    }
}
