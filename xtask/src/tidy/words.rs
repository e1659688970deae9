//! The text itself: nothing unfinished, no registry's host name, one word for one thing.
//!
//! The lists are spelled in halves where the whole would be found in this file.

use super::report::{Finding, Rule};
use super::source::TextFile;

/// Marks of unfinished work.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Hosts of package and image registries: where things come from is the machine's setting and not the project's.
const REGISTRIES: [&str; 12] = [
    concat!("crates", ".io"),
    concat!("docker", ".io"),
    concat!("docker", ".com"),
    concat!("ghcr", ".io"),
    concat!("gcr", ".io"),
    concat!("quay", ".io"),
    concat!("deb.debian", ".org"),
    concat!("security.debian", ".org"),
    concat!("apt.postgresql", ".org"),
    concat!("pypi", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("proxy.golang", ".org"),
];

/// Words that say nothing, or have a better one. Matched as whole words, in any case.
const BANNED: [(&str, &str); 6] = [
    (concat!("white", "list"), "say: allow list"),
    (concat!("black", "list"), "say: deny list"),
    (concat!("obvi", "ously"), "give the reason"),
    (concat!("klu", "dge"), "say what it works around"),
    (concat!("blaz", "ing"), "give the figure"),
    (concat!("should never ", "happen"), "prove it, or handle it"),
];

/// Parts of identifiers that have one word in this project. Only names that we define are looked at.
const ONE_WORD: [(&str, &str); 4] =
    [("master", "primary"), ("slave", "replica"), ("leader", "primary"), ("follower", "replica")];

/// Words that open a definition in Rust.
const DEFINES: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "mod", "const", "let"];

/// Checks one file of any kind.
pub(crate) fn check(file: &TextFile, findings: &mut Vec<Finding>) {
    let is_rust = file.path.ends_with(".rs");
    for (index, line) in file.text.lines().enumerate() {
        let mut add = |rule, what: String| {
            findings.push(Finding { path: file.path.clone(), line: index + 1, rule, what });
        };
        if let Some(mark) = UNFINISHED.iter().find(|mark| has_word(line, mark)) {
            add(Rule::Unfinished, format!("{mark}: do it, or write an issue"));
        }
        // Cargo.lock is cargo's own file and names its source.
        let registry = REGISTRIES.iter().find(|host| has_word(line, host));
        if let Some(host) = registry.filter(|_| file.path != "Cargo.lock") {
            add(Rule::Registry, format!("names the registry {host}"));
        }
        let lower = line.to_lowercase();
        if let Some((word, better)) = BANNED.iter().find(|(word, _)| has_word(&lower, word)) {
            add(Rule::Word, format!("\"{word}\": {better}"));
        }
        if let Some((word, better)) = misnamed(line).filter(|_| is_rust) {
            add(Rule::Word, format!("the name has \"{word}\"; our word is \"{better}\""));
        }
    }
}

/// Does the line have the word with no letter on either side?
fn has_word(line: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !is_letter(line[..at].chars().next_back()) && !is_letter(line[at + word.len()..].chars().next())
    })
}

/// The definition on this line whose name has a word that we do not use.
fn misnamed(line: &str) -> Option<(&'static str, &'static str)> {
    let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let defined = words.windows(2).filter(|pair| DEFINES.contains(&pair[0])).map(|pair| pair[1]);
    let parts: Vec<String> = defined.flat_map(parts_of).collect();
    ONE_WORD.iter().copied().find(|(word, _)| parts.iter().any(|part| part == word))
}

/// `RaftLeader` and `raft_leader` as `raft`, `leader`.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            parts.push(String::new());
        }
        if let Some(last) = parts.last_mut().filter(|_| c != '_') {
            last.extend(c.to_lowercase());
        }
    }
    parts
}
