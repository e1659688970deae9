//! The life of the setting, and the texts that go to a server in its place.

use howdah_classifier::Value;
use howdah_topology::{Lsn, Token, TokenFault};

use crate::read_after::{Change, ReadAfter, fault, read};

fn token(lsn: u64) -> Token {
    Token { system_id: 7, timeline: 2, lsn: Lsn(lsn) }
}

fn to(lsn: u64, local: bool) -> Change {
    Change { local, token: Some(token(lsn)) }
}

#[test]
fn what_a_transaction_sets_is_undone_with_it() {
    let mut setting = ReadAfter::default();
    setting.change(to(1, false), false);
    setting.change(to(2, false), true);
    assert_eq!(setting.token(), Some(token(2)));
    setting.ended(false);
    assert_eq!(setting.token(), Some(token(1)));
    setting.change(to(3, false), true);
    setting.change(to(4, true), true);
    assert_eq!(setting.token(), Some(token(4)), "LOCAL hides what the session has");
    setting.ended(true);
    assert_eq!(setting.token(), Some(token(3)));
    setting.change(to(5, true), true);
    setting.change(Change::default(), true);
    assert_eq!(setting.token(), None, "the later one counts");
    setting.ended(true);
    assert_eq!(setting.token(), None);
    setting.change(to(6, true), false);
    assert_eq!(setting.token(), None, "LOCAL without a transaction");
}

#[test]
fn values() {
    assert_eq!(read(&Value::Default), Ok(None));
    assert_eq!(read(&Value::Text("7:2:0/ff".to_owned())), Ok(Some(token(0xFF))));
    for value in [Value::Unreadable, Value::Text("7:2".to_owned())] {
        assert_eq!(read(&value).unwrap_err().code, "22023");
    }
}

#[test]
fn every_refusal_names_what_it_is_about() {
    for (reason, code, words) in [
        (TokenFault::Ahead, "57P03", "timeline 2"),
        (TokenFault::Foreign { here: 8 }, "22023", "is 7, here it is 8"),
        (TokenFault::Lost { left_at: Lsn(0x10) }, "55000", "left at 0/10"),
        (TokenFault::Elsewhere, "55000", "RESET howdah.read_after"),
    ] {
        let refusal = fault(&token(0x20), reason);
        assert_eq!(refusal.code, code);
        assert!(refusal.message.contains(words), "{}", refusal.message);
    }
}
