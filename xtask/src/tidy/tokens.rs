//! What must not be called: `unwrap` without a proof, sleeps in tests, unfinished code, queues without a bound, globals
//! that change, and in the pure crates anything that waits, listens or looks at a clock.
//!
//! Works on tokens and not on the tree, so that bodies of macros are seen too.

use super::edges::PURE_CRATES;
use super::report::{Finding, Rule};
use super::source::{Kind, SourceFile};
use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::Visit;

/// How many lines above an `unwrap` its proof may begin.
const PROOF_REACH_LINES: usize = 6;
/// Types that make a `static` changeable.
const CHANGEABLE: [&str; 9] =
    ["Mutex", "RwLock", "OnceLock", "OnceCell", "RefCell", "Cell", "UnsafeCell", "ArcSwap", "ArcSwapOption"];
/// Crates that a pure crate never names: runtimes, and what reaches the system.
const IMPURE_CRATES: [&str; 9] =
    ["tokio", "mio", "async_std", "smol", "socket2", "rustix", "libc", "tokio_postgres", "deadpool_postgres"];
/// Parts of `std::net` that are names of places and not ways to reach them.
const ADDRESS_TYPES: [&str; 7] =
    ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6", "AddrParseError"];

/// A name with the path before it, wherever it stands.
struct Seen<'a> {
    /// `std::thread::spawn` as its parts.
    path: Vec<String>,
    /// The line of the last part.
    line: usize,
    /// The token before the first part.
    before: Option<&'a TokenTree>,
    /// The token after the last part.
    after: Option<&'a TokenTree>,
}

impl Seen<'_> {
    fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    fn is_method(&self) -> bool {
        is_punct(self.before, '.')
    }

    /// The arguments, when this is called.
    fn arguments(&self) -> Option<TokenStream> {
        match self.after {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                Some(group.stream())
            }
            _ => None,
        }
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// Checks one file.
pub(crate) fn check(file: &SourceFile<'_>, findings: &mut Vec<Finding>) {
    let pure = PURE_CRATES.iter().any(|name| file.path.starts_with(&format!("crates/{name}/src/")));
    walk(file.tree.to_token_stream(), &[], &mut |seen| {
        let is_test = file.is_test_line(seen.line);
        let breach = if is_test { forbidden_in_tests(seen) } else { forbidden_in_code(file, seen) };
        let breach = breach.or_else(|| forbidden_everywhere(seen));
        let breach = breach.or_else(|| if pure && !is_test { impure(seen) } else { None });
        if let Some((rule, what)) = breach {
            findings.push(file.finding(seen.line, rule, what));
        }
    });
    if file.kind == Kind::Code {
        Statics { file, findings }.visit_file(&file.tree);
    }
}

type Breach = Option<(Rule, String)>;

/// A test waits for a condition with a deadline.
fn forbidden_in_tests(seen: &Seen<'_>) -> Breach {
    let sleeps = ["sleep", "sleep_ms", "sleep_until"].contains(&seen.name()) && seen.arguments().is_some();
    let what = "a test does not sleep: it waits for a condition, with a deadline";
    sleeps.then(|| (Rule::SleepInTest, what.to_owned()))
}

/// `unwrap`, `expect` and queues without a bound.
fn forbidden_in_code(file: &SourceFile<'_>, seen: &Seen<'_>) -> Breach {
    let arguments = seen.arguments()?;
    let unbounded = ["unbounded_channel", "unbounded"].contains(&seen.name());
    if unbounded {
        return Some((Rule::Unbounded, "a queue without a bound".to_owned()));
    }
    let first = arguments.into_iter().next();
    let unwraps = match seen.name() {
        "unwrap" | "unwrap_err" => first.is_none(),
        "expect" | "expect_err" => matches!(first, Some(TokenTree::Literal(_))),
        _ => false,
    };
    let unproven = unwraps && seen.is_method() && !has_proof(file.text, seen.line);
    let what = format!("{} without `// proof: …` on the line before", seen.name());
    unproven.then_some((Rule::Unwrap, what))
}

/// Does a comment at most [`PROOF_REACH_LINES`] above the line, or on it, say why it cannot fail?
fn has_proof(text: &str, line: usize) -> bool {
    let first = line.saturating_sub(PROOF_REACH_LINES + 1);
    text.lines().skip(first).take(line - first).any(|l| l.contains("// proof:"))
}

/// Unfinished code and `static mut`.
fn forbidden_everywhere(seen: &Seen<'_>) -> Breach {
    let is_macro = is_punct(seen.after, '!');
    if is_macro && ["todo", "unimplemented"].contains(&seen.name()) {
        return Some((Rule::Unfinished, format!("{}! is not code", seen.name())));
    }
    let is_lifetime = is_punct(seen.before, '\'');
    let then_mut = matches!(seen.after, Some(TokenTree::Ident(word)) if *word == "mut");
    let mutable = seen.name() == "static" && then_mut && !is_lifetime;
    mutable.then(|| (Rule::MutableStatic, "static mut".to_owned()))
}

/// What a pure crate must not name.
fn impure(seen: &Seen<'_>) -> Breach {
    let parts: Vec<&str> = seen.path.iter().map(String::as_str).collect();
    let named = match parts.as_slice() {
        [first, ..] if IMPURE_CRATES.contains(first) && parts.len() > 1 => true,
        ["std", "net", place, ..] => !ADDRESS_TYPES.contains(place),
        ["std", "thread" | "process" | "fs" | "env", ..] => true,
        [.., "Instant" | "SystemTime", "now"] => true,
        _ => false,
    };
    let what = format!("a pure crate names {}; time, randomness and bytes are arguments", parts.join("::"));
    named.then_some((Rule::Pure, what))
}

/// Shows every name of a token stream with its path; `use a::{b, c}` shows `a::b` and `a::c`.
fn walk(tokens: TokenStream, prefix: &[String], show: &mut dyn FnMut(&Seen<'_>)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(first) => at = walk_path(&tokens, at, first, prefix, show),
            TokenTree::Group(group) => {
                walk(group.stream(), &[], show);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Shows the path that begins at `start` and returns the position behind it.
fn walk_path(
    tokens: &[TokenTree],
    start: usize,
    first: &Ident,
    prefix: &[String],
    show: &mut dyn FnMut(&Seen<'_>),
) -> usize {
    let mut path = prefix.to_vec();
    path.push(first.to_string());
    let mut line = first.span().start().line;
    let mut at = start + 1;
    while is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(part)) => {
                path.push(part.to_string());
                line = part.span().start().line;
                at += 3;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                walk(group.stream(), &path, show);
                return at + 3;
            }
            _ => break,
        }
    }
    let before = start.checked_sub(1).and_then(|i| tokens.get(i));
    show(&Seen { path, line, before, after: tokens.get(behind_generics(tokens, at)) });
    at
}

/// The position behind `::<…>`, or the same position when there is none.
fn behind_generics(tokens: &[TokenTree], at: usize) -> usize {
    if !(is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 2), '<')) {
        return at;
    }
    let mut open = 0;
    for (offset, token) in tokens[at + 2..].iter().enumerate() {
        open += i32::from(is_punct(Some(token), '<')) - i32::from(is_punct(Some(token), '>'));
        if open == 0 {
            return at + 2 + offset + 1;
        }
    }
    at
}

/// Looks for globals that change without `mut`.
struct Statics<'a, 'b> {
    file: &'a SourceFile<'b>,
    findings: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Statics<'_, '_> {
    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let line = item.span().start().line;
        let mut changeable = None;
        walk(item.ty.to_token_stream(), &[], &mut |seen| {
            if CHANGEABLE.contains(&seen.name()) || seen.name().starts_with("Atomic") {
                changeable = Some(seen.name().to_owned());
            }
        });
        if let Some(kind) = changeable.filter(|_| !self.file.is_test_line(line)) {
            let what = format!("static {} is a global {kind}; give it through a constructor", item.ident);
            self.findings.push(self.file.finding(line, Rule::MutableStatic, what));
        }
    }
}
