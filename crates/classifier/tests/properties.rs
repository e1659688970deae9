//! Properties over random texts: no panic, no dependence on the cache, no write that a neighbour hides.

use howdah_classifier::{Classifier, Context, Options, Route, classify_jsonl_line, explain};
use proptest::prelude::*;

/// Pieces that texts are made of: every kind of token, and the words that rules look for.
const PIECES: &[&str] = &[
    "select",
    "from",
    "where",
    "t",
    "u",
    "a",
    "b",
    "1",
    "2.5",
    "'x'",
    "E'\\''",
    "$$q$$",
    "$1",
    "\"Q\"",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    ";",
    "::",
    "int",
    "text",
    "my_type",
    "+",
    "-",
    "->",
    "@>",
    "=",
    "and",
    "or",
    "not",
    "in",
    "is",
    "null",
    "case",
    "when",
    "then",
    "else",
    "end",
    "with",
    "x",
    "as",
    "insert",
    "into",
    "values",
    "update",
    "set",
    "delete",
    "for",
    "share",
    "union",
    "all",
    "order",
    "by",
    "limit",
    "lower",
    "nextval",
    "f",
    "count",
    "*",
    "over",
    "filter",
    "begin",
    "commit",
    "read",
    "only",
    "temp",
    "create",
    "table",
    "explain",
    "analyze",
    "copy",
    "to",
    "stdout",
    "show",
    "reset",
    "search_path",
    "-- c\n",
    "/* c */",
    "/*",
    "*/",
    "'",
    "\"",
    "$",
    "$t$",
    "\\",
    "é",
    "\n",
    "U&\"x\"",
    "pg_catalog",
    "pg_temp",
    "exists",
    "array",
    "row",
    "distinct",
    "on",
    "lateral",
    "join",
    "using",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.join(" "))
}

/// Reads that nest, all of them safe.
fn read() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["1", "a", "t.b", "'x'", "$1", "null", "now()", "array[1]"]);
    leaf.prop_map(str::to_owned).prop_recursive(6, 40, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
            inner.clone().prop_map(|a| format!("lower({a})")),
            inner.clone().prop_map(|a| format!("(select {a} from t where {a} is not null)")),
            inner.clone().prop_map(|a| format!("case when {a} = 1 then {a} end")),
            inner.clone().prop_map(|a| format!("{a}::text")),
            inner.clone().prop_map(|a| format!("exists (with x as (select {a} as c) select c from x)")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("coalesce({a}, {b}) in (0, {a}, {b})")),
        ]
    })
}

fn fresh(sql: &[u8]) -> howdah_classifier::Verdict {
    Classifier::new(Options { cache_bytes: 4_096, ..Options::default() }).classify(sql, Context::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_answered(sql in prop::collection::vec(any::<u8>(), 0..200), flags in 0..8_u8) {
        let context = Context {
            search_path_untouched: flags & 1 == 0,
            standard_conforming_strings: flags & 2 == 0,
            utf8: flags & 4 == 0,
        };
        let classifier = Classifier::new(Options { cache_bytes: 4_096, max_text_bytes: 150 });
        let first = classifier.classify(&sql, context);
        prop_assert_eq!(first, classifier.classify(&sql, context));
        prop_assert!(!explain(&sql, context).is_empty());
        prop_assert!(!classify_jsonl_line(&String::from_utf8_lossy(&sql), context).contains('\n'));
    }

    #[test]
    fn the_cache_does_not_change_an_answer(texts in prop::collection::vec(text(), 1..8)) {
        let shared = Classifier::new(Options::default());
        for sql in texts.iter().chain(&texts) {
            prop_assert_eq!(shared.classify(sql.as_bytes(), Context::default()), fresh(sql.as_bytes()), "{}", sql);
        }
    }

    /// Constants never change a verdict where verdicts are kept by shape.
    #[test]
    fn texts_of_one_shape_have_one_verdict(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
        head in prop::sample::select(vec!["select", "insert", "update t set", "delete from", "with x as (", "values ("]),
        strings in prop::collection::vec(prop::sample::select(vec!["''", "'a;b'", "'--'", "'it''s'", "'/*'"]), 30),
        numbers in prop::collection::vec(prop::sample::select(vec!["1", "20", "3.5", "4e5", "0"]), 30),
    ) {
        let fill = |other: bool| -> String {
            let constants = pieces.iter().zip(strings.iter().zip(&numbers));
            let filled = constants.map(|(piece, (string, number))| match *piece {
                "'x'" if other => *string,
                "1" if other => *number,
                piece => piece,
            });
            format!("{head} {}", filled.collect::<Vec<_>>().join(" "))
        };
        let (one, two) = (fill(false), fill(true));
        let shared = Classifier::new(Options::default());
        for sql in [&one, &two, &two, &two, &one] {
            prop_assert_eq!(shared.classify(sql.as_bytes(), Context::default()), fresh(sql.as_bytes()), "{}", sql);
        }
    }

    #[test]
    fn a_write_behind_any_text_is_not_hidden(
        sql in text(),
        write in prop::sample::select(vec![
            "delete from t", "select nextval('s')", "select f(1)", "begin", "gibberish", "select * from t for update",
        ]),
    ) {
        // A text that ends inside a string or comment swallows what follows, for the server too.
        let both = format!("{sql}\n; {write}");
        prop_assert_eq!(fresh(both.as_bytes()).route, Route::Primary, "{}", both);
        let before = format!("{write}\n; {sql}");
        prop_assert_eq!(fresh(before.as_bytes()).route, Route::Primary, "{}", before);
    }

    #[test]
    fn nested_reads_are_reads_until_one_leaf_is_not(expr in read(), choice in any::<prop::sample::Index>()) {
        let sql = format!("select {expr} from t");
        let verdict = fresh(sql.as_bytes());
        prop_assert_eq!(verdict.route, Route::Replica, "{}", explain(sql.as_bytes(), Context::default()));
        // One leaf, anywhere in it, becomes a write.
        let leaves: Vec<usize> = expr.match_indices(['1', 'a']).map(|(at, _)| at)
            .filter(|at| {
                let before = expr[..*at].chars().next_back();
                let after = expr[at + 1..].chars().next();
                let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.'));
                !part(before) && !part(after)
            })
            .collect();
        if !leaves.is_empty() {
            let at = leaves[choice.index(leaves.len())];
            let evil = format!("select {}nextval('s'){} from t", &expr[..at], &expr[at + 1..]);
            prop_assert_eq!(fresh(evil.as_bytes()).route, Route::Primary, "{}", evil);
        }
    }
}

/// Deep texts must not use up half the stack of a runtime's thread (2 MiB), neither in the walk nor when the tree is
/// freed.
#[test]
fn deep_texts_fit_a_small_stack() {
    let shapes: Vec<String> = [
        ("(", "1", ")"),
        ("not ", "true", ""),
        ("- ", "1", ""),
        ("", "1", " + 1"),
        ("", "1", "::int"),
        ("", "a", "[1]"),
        ("", "a", " is null"),
        ("", "a", " collate \"C\""),
        ("", "true", " and true"),
        ("(select ", "1", ")"),
        ("case when ", "true", " then 1 end"),
        ("lower(", "a", ")"),
        ("array[", "1", "]"),
        ("", "1", " union select 1"),
        ("", "a", " between 1 and 2"),
        ("", "a", " in (1)"),
        ("exists (select ", "1", ")"),
        ("", "a", " at time zone 'x'"),
        ("", "1 from t", ", u"),
        ("", "1 from t", " join t on true"),
        ("", "a", " like 'x'"),
        ("", "a", "->1"),
        ("", "a", " || a"),
        ("row(", "1", ")"),
        ("", "(a)", ".n"),
        ("coalesce(1, ", "1", ")"),
        ("", "a", " = any(array[1])"),
    ]
    .into_iter()
    .flat_map(|(open, leaf, close)| {
        [10, 40, 1_000, 1_900, 5_000, 30_000]
            .map(|depth| format!("select {}{leaf}{}", open.repeat(depth), close.repeat(depth)))
    })
    .collect();
    let cases = shapes.len();
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        let options = Options { max_text_bytes: 1 << 20, ..Options::default() };
        let classify = |sql: &String| Classifier::new(options).classify(sql.as_bytes(), Context::default());
        shapes.iter().filter(|sql| !classify(sql).effects.is_many_statements()).count()
    });
    assert_eq!(thread.unwrap().join().unwrap(), cases);
}
