//! The files of the workspace: which there are, which are tests, and which lines of a code file are tests.
//!
//! Everything else in `tidy` works on the [`TextFile`]s and [`SourceFile`]s made here.

use super::report::{Finding, Rule};
use crate::Failure;
use std::ops::RangeInclusive;
use std::path::Path;
use syn::spanned::Spanned;
use syn::visit::Visit;

/// Folders that are not ours to check: what git ignores, and the samples that are bad on purpose.
const SKIPPED_FOLDERS: [&str; 4] = ["target", ".git", "__pycache__", "xtask/samples"];

/// The largest file that is read as text; larger ones are data. In bytes.
const MAX_TEXT_BYTES: u64 = 2 * 1024 * 1024;

/// A text file of the workspace.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// The path relative to the workspace, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// Whether a Rust file is what we ship or what checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of a library or a program.
    Code,
    /// A test file: `*_tests.rs`, `tests.rs`, or anything in a folder `tests`, `*_tests` or `benches`.
    Test,
}

/// A Rust file with its syntax tree.
pub(crate) struct SourceFile<'a> {
    /// The path relative to the workspace, with `/`.
    pub(crate) path: &'a str,
    /// What is in it.
    pub(crate) text: &'a str,
    /// Code or test.
    pub(crate) kind: Kind,
    /// The syntax tree.
    pub(crate) tree: syn::File,
    /// The lines of items that exist in test builds only.
    test_items: Vec<RangeInclusive<usize>>,
}

impl<'a> SourceFile<'a> {
    /// Parses a file; a file that does not parse is a finding.
    pub(crate) fn parse(file: &'a TextFile) -> Result<Self, Finding> {
        let tree = syn::parse_file(&file.text).map_err(|error| Finding {
            path: file.path.clone(),
            line: error.span().start().line,
            rule: Rule::Parse,
            what: format!("does not parse: {error}"),
        })?;
        let mut tests = TestItems::default();
        tests.visit_file(&tree);
        let kind = kind_of(&file.path);
        Ok(SourceFile { path: &file.path, text: &file.text, kind, tree, test_items: tests.lines })
    }

    /// Is this line (counted from 1) compiled for tests only?
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.kind == Kind::Test || self.test_items.iter().any(|lines| lines.contains(&line))
    }

    /// A finding in this file.
    pub(crate) fn finding(&self, line: usize, rule: Rule, what: impl Into<String>) -> Finding {
        Finding { path: self.path.to_owned(), line, rule, what: what.into() }
    }
}

/// What the path says of a file.
fn kind_of(path: &str) -> Kind {
    let name = path.rsplit('/').next().unwrap_or(path);
    let of_tests = |folder: &str| folder == "tests" || folder == "benches" || folder.ends_with("_tests");
    let named = name == "tests.rs" || name.ends_with("_tests.rs");
    if named || path.split('/').rev().skip(1).any(of_tests) { Kind::Test } else { Kind::Code }
}

/// Collects the lines of items under `#[cfg(test)]`.
#[derive(Default)]
struct TestItems {
    lines: Vec<RangeInclusive<usize>>,
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if attributes_of(item).iter().any(is_test_only) {
            let span = item.span();
            self.lines.push(span.start().line..=span.end().line);
        } else {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if function.attrs.iter().any(is_test_only) {
            let span = function.span();
            self.lines.push(span.start().line..=span.end().line);
        }
    }
}

/// The attributes of an item of any kind.
fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Enum(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Macro(i) => &i.attrs,
        syn::Item::Mod(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Trait(i) => &i.attrs,
        syn::Item::Type(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, `#[cfg(all(test, …))]`, `#[test]` and kin; not `#[cfg(not(test))]`.
pub(crate) fn is_test_only(attribute: &syn::Attribute) -> bool {
    let is_named_test = attribute.path().segments.last().is_some_and(|segment| segment.ident == "test");
    if is_named_test {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string();
    list.path.is_ident("cfg")
        && !condition.contains("not")
        && condition.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "test")
}

/// All text files of the workspace in the order of their paths.
pub(crate) fn read_texts(root: &Path) -> Result<Vec<TextFile>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(root.join(&folder)).map_err(|e| format!("cannot list {folder}: {e}"))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            let skipped = SKIPPED_FOLDERS.iter().any(|skip| *skip == name || *skip == path);
            if kind.is_dir() && !skipped {
                folders.push(path);
            } else if kind.is_file() && entry.metadata()?.len() <= MAX_TEXT_BYTES {
                found.extend(read_text(root, path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The file if it is UTF-8 text; pictures and archives are not ours to read. A file that another process removed
/// between the listing and the reading is no file.
fn read_text(root: &Path, path: String) -> Option<TextFile> {
    let text = std::fs::read_to_string(root.join(&path)).ok()?;
    Some(TextFile { path, text })
}
