//! The values of the setting, and what is said of one that cannot be had.

use howdah_classifier::Value;
use howdah_topology::{Lsn, Token, TokenFault};

use crate::read_after::{fault, read};

fn token(lsn: u64) -> Token {
    Token { system_id: 7, timeline: 2, lsn: Lsn(lsn) }
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
