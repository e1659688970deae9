//! Statements about Howdah's own parameters, in the spellings that PostgreSQL takes for its own.

use crate::{Own, Value, own};

fn set(value: Value) -> Option<Own> {
    Some(Own::SetReadAfter { local: false, value })
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

#[test]
fn spellings_of_one_statement() {
    for sql in [
        "show howdah.causal_token",
        " SHOW Howdah . Causal_Token ; ",
        "/* x */ show \"howdah\".causal_token -- y",
    ] {
        assert_eq!(own(sql.as_bytes()), Some(Own::ShowToken), "{sql}");
    }
    assert_eq!(own(b"show howdah.read_after;;"), Some(Own::ShowReadAfter));
    assert_eq!(own(b"reset howdah.read_after"), Some(Own::ResetReadAfter));
    for sql in ["set howdah.read_after = '7:1:0/ABC'", "SET SESSION howdah.read_after TO '7:1:0/abc';"] {
        assert_eq!(own(sql.as_bytes()), set(text("7:1:0/abc")), "{sql}");
    }
    let local = Own::SetReadAfter { local: true, value: text("x") };
    assert_eq!(own(b"set local howdah.read_after = x"), Some(local));
}

#[test]
fn values() {
    for sql in
        ["set howdah.read_after to default", "set howdah.read_after = ''", "set howdah.read_after = DEFAULT"]
    {
        assert_eq!(own(sql.as_bytes()), set(Value::Default), "{sql}");
    }
    for sql in [
        "set howdah.read_after = E'7:1:0/0'",
        "set howdah.read_after = $$7:1:0/0$$",
        "set howdah.read_after = 'a', 'b'",
        "set howdah.read_after = 'a' 'b'",
        "set howdah.read_after = 'it''s'",
        "set howdah.read_after = ",
        "set howdah.read_after = 'open",
    ] {
        assert_eq!(own(sql.as_bytes()), set(Value::Unreadable), "{sql}");
    }
}

#[test]
fn other_statements_are_none() {
    for sql in [
        "",
        ";",
        "show howdah.other",
        "show howdah.causal_token x",
        "show all",
        "set howdah.route = 'primary'",
        "reset all",
        "reset howdah.read_after; select 1",
        "select 1; show howdah.causal_token",
        "set local howdah.read_after",
        "select 'show howdah.causal_token'",
        "explain show howdah.causal_token",
    ] {
        assert_eq!(own(sql.as_bytes()), None, "{sql}");
    }
}
