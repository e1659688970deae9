//! The corpus: one case a line, `R: sql` may run on a replica and `P: sql` must run on the primary. A wrong
//! answer that is found leaves a line in `corpus/`.

use howdah_classifier::{Classifier, Context, Options, Reason, Route, explain};

/// The only cases in which the two readers see different things.
const AMBIGUOUS: &[&str] = &["select * from t setval(a, b)"];

/// Every case of one file, checked fresh and from the cache; all the wrong ones are printed.
fn check(name: &str, corpus: &str, at_least: usize) {
    let classifier = Classifier::new(Options::default());
    let mut wrong = Vec::new();
    let mut cases = 0;
    for (number, line) in corpus.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (expected, sql) = match line.split_once(": ") {
            Some(("R", sql)) => (Route::Replica, sql),
            Some(("P", sql)) => (Route::Primary, sql),
            _ => panic!("{name}:{}: neither `R: ` nor `P: `", number + 1),
        };
        cases += 1;
        let fresh = classifier.classify(sql.as_bytes(), Context::default());
        let cached = classifier.classify(sql.as_bytes(), Context::default());
        assert_eq!(fresh, cached, "{sql}");
        // The lexer's second opinion must not hide a rule that the walk over the tree lacks.
        let one_sided = fresh.reason == Reason::ReadersDisagree && !AMBIGUOUS.contains(&sql);
        if fresh.route != expected || one_sided {
            let said = explain(sql.as_bytes(), Context::default());
            wrong.push(format!("{name}:{}: {said}\n    {sql}", number + 1));
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases >= at_least, "{name} lost cases: {cases}");
}

#[test]
fn routing() {
    check("routing.txt", include_str!("corpus/routing.txt"), 390);
}

#[test]
fn psql() {
    check("psql.txt", include_str!("corpus/psql.txt"), 100);
}

#[test]
fn applications() {
    check("applications.txt", include_str!("corpus/applications.txt"), 70);
}

#[test]
fn evil() {
    check("evil.txt", include_str!("corpus/evil.txt"), 95);
}
