//! Cases for the lexer: each text with its tokens, written as PostgreSQL's scanner sees them.

use crate::lexer::{Kind, Lexer};

/// The tokens of a text, each as one letter and its bytes.
fn tokens(text: &str, backslashes: bool) -> Vec<String> {
    let lexer = Lexer::new(text.as_bytes(), backslashes);
    lexer
        .map(|token| {
            let letter = match token.kind {
                Kind::Word => "w",
                Kind::QuotedWord => "q",
                Kind::UnicodeWord => "u",
                Kind::Text => "t",
                Kind::Number => "n",
                Kind::Param => "p",
                Kind::Symbol(_) => "s",
                Kind::Comment => "c",
                Kind::Broken => "b",
            };
            format!("{letter}:{}", &text[token.start..token.end])
        })
        .collect()
}

#[test]
fn every_kind_of_token() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        (" \t\r\n\x0b\x0c", &[]),
        ("a B_1$ é", &["w:a", "w:B_1$", "w:é"]),
        ("\"a\"\"b\" \"\"", &["q:\"a\"\"b\"", "q:\"\""]),
        ("u&\"a\" U&'b' u &\"c\"", &["u:u&\"a\"", "t:U&'b'", "w:u", "s:&", "q:\"c\""]),
        ("'a''b' '' n'c' B'1' x'F'", &["t:'a''b'", "t:''", "t:n'c'", "t:B'1'", "t:x'F'"]),
        ("E'a\\'b' e'\\\\'", &["t:E'a\\'b'", "t:e'\\\\'"]),
        ("te'x'", &["w:te", "t:'x'"]),
        ("'a\\' b", &["t:'a\\'", "w:b"]),
        ("$$a'b$$ $x$a$$b$x$", &["t:$$a'b$$", "t:$x$a$$b$x$"]),
        ("$1 $12a a$b$ $é$x$é$", &["p:$1", "p:$12", "w:a", "w:a$b$", "t:$é$x$é$"]),
        ("$ $1$", &["s:$", "p:$1", "s:$"]),
        (
            "1 2.5 .5 1e5 1e+5 1.e-2 1..2 5a",
            &["n:1", "n:2.5", "n:.5", "n:1e5", "n:1e+5", "n:1.e-2", "n:1", "s:.", "n:.2", "n:5", "w:a"],
        ),
        ("-- a\nb--c", &["c:-- a", "w:b", "c:--c"]),
        ("-- a\rb", &["c:-- a", "w:b"]),
        ("/* a /* b */ c */d/**/", &["c:/* a /* b */ c */", "w:d", "c:/**/"]),
        ("*/*x*/+--y", &["s:*", "c:/*x*/", "s:+", "c:--y"]),
        ("a::b", &["w:a", "s::", "s::", "w:b"]),
    ];
    for (text, expected) in cases {
        assert_eq!(tokens(text, false), *expected, "{text}");
    }
}

#[test]
fn strings_go_on_after_a_line_break() {
    assert_eq!(tokens("'a'\n'b' c", false), ["t:'a'\n'b'", "w:c"]);
    assert_eq!(tokens("'a' 'b'", false), ["t:'a'", "t:'b'"]);
    assert_eq!(tokens("'a' -- x\n 'b'", false), ["t:'a' -- x\n 'b'"]);
    assert_eq!(tokens("'a'\n-- x\n\n 'b'", false), ["t:'a'\n-- x\n\n 'b'"]);
    assert_eq!(tokens("'a'\n/* x */'b'", false), ["t:'a'", "c:/* x */", "t:'b'"]);
    // The rules of the first part hold for the others.
    assert_eq!(tokens("E'a'\n'\\'' b", false), ["t:E'a'\n'\\''", "w:b"]);
    assert_eq!(tokens("'a'\n'\\' b", false), ["t:'a'\n'\\'", "w:b"]);
}

#[test]
fn old_strings_have_backslashes() {
    assert_eq!(tokens("'a\\'b' c", true), ["t:'a\\'b'", "w:c"]);
    assert_eq!(tokens("n'\\'' $$\\$$", true), ["t:n'\\''", "t:$$\\$$"]);
}

#[test]
fn what_has_no_end_is_one_token() {
    for text in ["'a", "E'a\\'", "'a\\", "\"a", "$$a$", "$x$a$y$", "/* /* */", "U&\"a", "'a''", "'a'\n'b"] {
        let found = tokens(text, false);
        let expected = format!("b:{text}");
        assert_eq!(found, [expected], "{text}");
    }
}
