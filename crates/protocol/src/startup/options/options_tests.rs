//! Tests of the parameter `options`.

use super::*;

fn parsed(options: &str) -> Vec<(String, String)> {
    parse(options).unwrap_or_else(|_| panic!("{options:?}"))
}

fn one(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

#[test]
fn the_three_forms() {
    for options in ["-c a.b=v", "-ca.b=v", "--a.b=v", "  -c   a.b=v\t\n", "\x0b-c\x0ca.b=v"] {
        assert_eq!(parsed(options), one("a.b", "v"), "{options:?}");
    }
}

#[test]
fn nothing_is_nothing() {
    for options in ["", "  ", "\n\t"] {
        assert_eq!(parsed(options), []);
    }
}

#[test]
fn several_in_their_order_with_duplicates() {
    let names: Vec<_> = parsed("-c b=1 --a=2 -cb=3").into_iter().map(|(name, value)| name + &value).collect();
    assert_eq!(names, ["b1", "a2", "b3"]);
}

#[test]
fn a_backslash_takes_the_next_character() {
    assert_eq!(parsed(r"-c a=x\ y"), one("a", "x y"));
    assert_eq!(parsed(r"-c a=x\\y"), one("a", r"x\y"));
    assert_eq!(parsed(r"\-\c a=1"), one("a", "1"));
    assert_eq!(parsed("-c a=x\\\ty"), one("a", "x\ty"));
    assert_eq!(parsed(r"-c a=x\"), one("a", "x"));
}

#[test]
fn values_may_hold_anything() {
    assert_eq!(parsed("-c a="), one("a", ""));
    assert_eq!(parsed("-c a==b=c"), one("a", "=b=c"));
    assert_eq!(parsed("--a=-c"), one("a", "-c"));
    assert_eq!(parsed("-c a='é'"), one("a", "'é'"));
}

#[test]
fn dashes_of_a_long_name_are_underscores() {
    assert_eq!(parsed("--statement-timeout=1-2"), one("statement_timeout", "1-2"));
    assert_eq!(parsed("-c statement-timeout=1"), one("statement-timeout", "1"));
}

#[test]
fn everything_else_is_refused() {
    for options in ["-c", "-c a", "-ca", "--a", "--", "--=v", "-c =v", "-d 3", "a=b", "-", "-c a=1 x", "-B5"]
    {
        assert!(parse(options).is_err(), "{options:?}");
    }
    assert_eq!(
        OptionsError.to_string(),
        "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed"
    );
    assert_eq!(OptionsError.sqlstate(), "08P01");
}
