//! Modules: each opens with what it is for, keeps its tests beside it, and is declared by another.

use super::report::{Finding, Rule};
use super::source::{SourceFile, is_test_only};
use std::collections::BTreeSet;
use syn::spanned::Spanned;

/// The rules that one file breaks by itself.
pub(crate) fn check(file: &SourceFile<'_>, findings: &mut Vec<Finding>) {
    let is_inner_doc = |attribute: &syn::Attribute| {
        attribute.path().is_ident("doc") && matches!(attribute.style, syn::AttrStyle::Inner(_))
    };
    if !file.tree.attrs.iter().any(is_inner_doc) {
        let what = "does not open with `//!`: what it is for, and what to read next";
        findings.push(file.finding(1, Rule::ModuleDoc, what));
    }
    for item in &file.tree.items {
        let syn::Item::Mod(module) = item else { continue };
        let has_items = module.content.as_ref().is_some_and(|(_, items)| !items.is_empty());
        if has_items && module.attrs.iter().any(is_test_only) {
            let what = format!("mod {} is written inline; tests stand in a file beside it", module.ident);
            findings.push(file.finding(module.span().start().line, Rule::InlineTests, what));
        }
    }
}

/// Files under a `src` that no `mod` declares: the compiler never sees them.
pub(crate) fn check_declared(sources: &[SourceFile<'_>], findings: &mut Vec<Finding>) {
    let declared: BTreeSet<String> = sources.iter().flat_map(declarations).collect();
    for file in sources {
        if !is_root(file.path) && !declared.contains(file.path) {
            findings.push(file.finding(1, Rule::DeadFile, "no `mod` declares this file"));
        }
    }
}

/// Is the file the root of a target: a library, a program, an integration test, a bench, an example?
fn is_root(path: &str) -> bool {
    let Some((before, inside)) = path.rsplit_once("src/") else { return true };
    let is_package = before.is_empty() || before.ends_with('/');
    !is_package || inside == "lib.rs" || inside == "main.rs" || inside.starts_with("bin/")
}

/// The paths that the `mod name;` lines of a file may mean.
fn declarations(file: &SourceFile<'_>) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", file.path));
    let own = match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let mut paths = Vec::new();
    for item in &file.tree.items {
        let syn::Item::Mod(module) = item else { continue };
        if module.content.is_some() {
            continue;
        }
        match path_attribute(module) {
            Some(path) => paths.push(format!("{folder}/{path}")),
            None => {
                paths.push(format!("{own}/{}.rs", module.ident));
                paths.push(format!("{own}/{}/mod.rs", module.ident));
            }
        }
    }
    paths
}

/// The value of `#[path = "…"]`.
fn path_attribute(module: &syn::ItemMod) -> Option<String> {
    module.attrs.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(literal) = &pair.value else { return None };
        let syn::Lit::Str(text) = &literal.lit else { return None };
        pair.path.is_ident("path").then(|| text.value())
    })
}
