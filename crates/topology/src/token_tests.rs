//! Tokens as text, and against the history of the present primary.

use crate::{Epoch, Lsn, Mode, Time, TimelineStart, Token, TokenError, TokenFault, Topology};

const SYSTEM: u64 = 7_712_772_725_063_520_765;

fn token(timeline: u32, lsn: u64) -> Token {
    Token { system_id: SYSTEM, timeline, lsn: Lsn(lsn) }
}

/// A primary on timeline 5, which came from 1 by way of 3.
fn topology() -> Topology {
    let mut topology = Topology::unseen("main", Mode::Follow, Vec::new(), Time::ZERO);
    topology.epoch = Some(Epoch { system_id: SYSTEM, timeline: 5, began_at: Lsn(300) });
    topology.history = vec![
        TimelineStart { timeline: 3, began_at: Lsn(200) },
        TimelineStart { timeline: 5, began_at: Lsn(300) },
    ];
    topology
}

#[test]
fn a_token_is_read_as_it_was_written() {
    let written = token(7, 0x0001_0203_0405);
    assert_eq!(written.to_string(), "7712772725063520765:7:1/2030405");
    assert_eq!(written.to_string().parse(), Ok(written));
    assert_eq!("1:1:a/b".parse(), Ok(Token { system_id: 1, timeline: 1, lsn: Lsn(0xA_0000_000B) }));
}

#[test]
fn other_texts_are_none() {
    for text in [
        "",
        ":",
        "::",
        "1:1",
        "1:1:",
        "1:1:0",
        "1:1:0/0/0",
        "1:1:0/0:",
        "a:1:0/0",
        "1:+1:0/0",
        "1:0:0/0",
        " 1:1:0/0",
        "18446744073709551616:1:0/0",
        "1:4294967296:0/0",
        "1:1:0/0 ",
        "default",
    ] {
        assert_eq!(text.parse::<Token>(), Err(TokenError), "{text:?}");
    }
}

#[test]
fn a_position_of_an_older_timeline_counts_up_to_the_fork() {
    let topology = topology();
    let after = |timeline, lsn| topology.position_after(&token(timeline, lsn));
    assert_eq!(after(5, 9_999), Ok(Lsn(9_999)), "of the present timeline: as it is");
    assert_eq!(after(3, 300), Ok(Lsn(300)));
    assert_eq!(after(3, 301), Err(TokenFault::Lost { left_at: Lsn(300) }));
    // The first timeline was left at 200, whatever came after it.
    assert_eq!(after(1, 200), Ok(Lsn(200)));
    assert_eq!(after(1, 250), Err(TokenFault::Lost { left_at: Lsn(200) }));
    assert_eq!(after(2, 1), Err(TokenFault::Elsewhere), "somebody else's timeline 2");
    assert_eq!(after(4, 250), Err(TokenFault::Elsewhere));
}

#[test]
fn what_is_not_known_yet_may_come() {
    let mut topology = topology();
    assert_eq!(topology.position_after(&token(6, 1)), Err(TokenFault::Ahead));
    let other = Token { system_id: 1, ..token(5, 1) };
    assert_eq!(topology.position_after(&other), Err(TokenFault::Foreign { here: SYSTEM }));
    topology.epoch = None;
    assert_eq!(topology.position_after(&other), Err(TokenFault::Ahead));
}
