//! The registry of texts and the book of one server, by themselves. What they are for: `statements.rs`.

use super::prepared::{Registry, ServerNames};

#[test]
fn same_text_and_types_are_one_statement() {
    let registry = Registry::default();
    let a = registry.intern(1, b"select $1", b"\0\0");
    let b = registry.intern(1, b"select $1", b"\0\0");
    let c = registry.intern(1, b"select $1", b"\0\x01\0\0\0\x17");
    assert_eq!(a.id, b.id);
    assert_ne!(a.id, c.id);
    assert_eq!(&*a.name, format!("PGBOUNCER_{}", a.id).as_bytes());
}

#[test]
fn texts_without_a_user_are_swept() {
    let registry = Registry::default();
    let kept = registry.intern(1, b"kept", b"\0\0");
    for n in 0..5_000 {
        registry.intern(1, format!("select {n}").as_bytes(), b"\0\0");
    }
    assert!(registry.len() < 3_000, "{}", registry.len());
    assert_eq!(registry.intern(1, b"kept", b"\0\0").id, kept.id);
}

#[test]
fn least_recently_used_goes_first() {
    let registry = Registry::default();
    let all: Vec<_> = (0..3).map(|n| registry.intern(1, &[n], b"")).collect();
    let mut names = ServerNames::default();
    for statement in &all {
        names.insert(statement);
    }
    assert!(names.touch(all[0].id));
    assert!(names.oldest(|_| true).is_none());
    assert_eq!(names.oldest(|id| id == all[1].id).map(|statement| statement.id), Some(all[2].id));
    assert_eq!(names.oldest(|_| false).map(|statement| statement.id), Some(all[1].id));
    names.remove(all[1].id);
    assert!(!names.touch(all[1].id));
    assert_eq!(names.len(), 2);
}
