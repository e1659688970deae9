//! `howdah explain` and `howdah classify --jsonl`.

use howdah_classifier::{Context, classify_jsonl_line, explain};

fn line(line: &str) -> String {
    classify_jsonl_line(line, Context::default())
}

#[test]
fn a_line_is_answered_with_its_id() {
    assert_eq!(
        line(r#"{"id": 7, "sql": "select 1"}"#),
        r#"{"id":7,"route":"replica","reason":"it only reads and everything in it is known"}"#
    );
    assert_eq!(
        line(r#"{"sql": "select f(1)", "id": {"file": "x", "line": 2}}"#),
        r#"{"id":{"file":"x","line":2},"route":"primary","reason":"it calls a function that is not a known built-in (f at line 1, column 8)"}"#
    );
}

#[test]
fn a_bad_line_gets_an_error_in_its_place() {
    for bad in ["", "[]", "{", "null", "select 1"] {
        let answer = line(bad);
        assert!(answer.starts_with(r#"{"id":null,"error":"not a JSON object: "#), "{answer}");
    }
    assert_eq!(line(r#"{"id": 1}"#), r#"{"id":1,"error":"there is no \"sql\" with a string"}"#);
    assert_eq!(line(r#"{"id": 1, "sql": 2}"#), r#"{"id":1,"error":"there is no \"sql\" with a string"}"#);
}

#[test]
fn an_explanation_says_where_and_why() {
    let say = |sql: &str| explain(sql.as_bytes(), Context::default());
    assert_eq!(say("select 1"), "goes to a replica: it only reads and everything in it is known");
    assert_eq!(
        say("select nextval('s')"),
        "goes to the primary: it calls a function that writes, locks or keeps session state (nextval at line 1, column 8)"
    );
    assert_eq!(
        say("vacuum t"),
        "goes to the primary: it is a command that changes the database or the server (VACUUM)"
    );
    let touched = Context { search_path_untouched: false, ..Context::default() };
    assert_eq!(
        explain(b"select lower('x')", touched),
        "goes to the primary: the session changed its search_path, so names prove nothing"
    );
}
