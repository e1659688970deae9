//! Everything that the rules allow: a proof, an address, a lifetime, four blocks, a chain of `else if`.

use std::net::IpAddr;
use std::time::Instant;

static NAMES: [&str; 2] = ["primary", "replica"];

fn first() -> &'static str {
    // proof: NAMES has two entries.
    #[allow(clippy::unwrap_used)]
    NAMES.first().unwrap()
}

fn is_local(address: IpAddr, since: Instant, now: Instant) -> bool {
    address.is_loopback() && now.duration_since(since).as_secs() < 1
}

fn parse(parser: &mut Parser, wanted: Token) -> Result<(), Error> {
    parser.expect(wanted)
}

fn branches(values: &[Option<i32>], borrowed: &'static mut i32) -> i32 {
    let mut sum = 0;
    for value in values {
        match value {
            Some(value) => {
                if *value > 10 {
                    sum += 10;
                } else if *value > 5 {
                    sum += 5;
                } else {
                    let add = |by: i32| {
                        *borrowed += by;
                    };
                    add(*value);
                }
            }
            None => sum -= 1,
        }
    }
    sum
}
