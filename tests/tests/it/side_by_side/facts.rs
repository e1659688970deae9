//! What a scenario saw, and the comparison of two of them.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Known, all};

/// What was seen, by name, in the order in which it was seen.
#[derive(Debug, Default)]
pub(super) struct Facts {
    seen: Vec<(String, String)>,
}

impl Facts {
    /// Notes what was seen. A name that is there already gets a number.
    pub(super) fn note(&mut self, name: &str, seen: impl Into<String>) {
        let again = |number: usize| if number == 1 { name.to_owned() } else { format!("{name} #{number}") };
        let free = (1..).map(again).find(|name| self.seen.iter().all(|(known, _)| known != name));
        self.seen.push((free.unwrap_or_default(), seen.into()));
    }

    fn by_name(&self) -> BTreeMap<&str, &str> {
        self.seen.iter().map(|(name, seen)| (name.as_str(), seen.as_str())).collect()
    }
}

/// Compares, with the known differences of this group.
pub(super) fn check(group: &str, debian: &Facts, howdah: &Facts) {
    let (debian, howdah) = (debian.by_name(), howdah.by_name());
    let names: BTreeSet<&str> = debian.keys().chain(howdah.keys()).copied().collect();
    let known: Vec<&Known> = all().filter(|known| known.groups.contains(&group)).collect();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for name in names {
        let seen = (debian.get(name).copied(), howdah.get(name).copied());
        if seen.0 == seen.1 {
            continue;
        }
        match known.iter().position(|known| explains(known, name, seen)) {
            Some(known) => {
                used.insert(known);
            }
            None => wrong.push(format!("{group}/{name}\n   debian: {:?}\n   howdah: {:?}", seen.0, seen.1)),
        }
    }
    for (number, known) in known.iter().enumerate().filter(|(number, _)| !used.contains(number)) {
        wrong.push(format!("{group}/{} (known {number}): listed, but not there", known.fact));
    }
    assert!(wrong.is_empty(), "{} differences that are not listed:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a fact of this name, seen so by the two, is this known difference.
fn explains(known: &Known, name: &str, (old, new): (Option<&str>, Option<&str>)) -> bool {
    let fits = |pattern: Option<&str>, seen: Option<&str>| match (pattern, seen) {
        (None, None) => true,
        (Some(pattern), Some(seen)) => like(pattern, seen),
        _ => false,
    };
    like(known.fact, name) && fits(known.debian, old) && fits(known.howdah, new)
}

/// Whether a text is as the pattern says, in which `*` stands for anything.
fn like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    (0..=text.len()).filter(|&at| text.is_char_boundary(at)).any(|at| like(rest, &text[at..]))
}

#[test]
fn patterns() {
    assert!(like("a*c", "abc") && like("*", "") && like("a*b*", "axxb") && like("plain", "plain"));
    assert!(!like("a*c", "ab") && !like("plain", "plainer") && !like("*b", "a"));
}
