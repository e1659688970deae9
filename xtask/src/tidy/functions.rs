//! Functions: how long, how deep, how many arguments.
//!
//! Lines are counted from `fn` to the closing brace, comments and all: what one has to scroll past. Depth counts the
//! blocks that one has to keep in mind: `if`, `match`, loops, blocks, closures and `async` with a body. An `else if`
//! goes on at the depth of its `if`, an arm at the depth of its `match`.

use super::report::{Finding, Rule, Summary};
use super::source::SourceFile;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// The longest function, in lines.
const MAX_FUNCTION_LINES: usize = 70;
/// The deepest nesting, in blocks inside the function's own.
const MAX_DEPTH: usize = 4;
/// The most arguments, `self` not counted.
const MAX_ARGUMENTS: usize = 5;
/// Macros whose bodies are control flow; their braces count as blocks.
const BLOCK_MACROS: [&str; 3] = ["select", "select_biased", "try_join"];

/// Counts the functions of one file.
pub(crate) fn check(file: &SourceFile<'_>, summary: &mut Summary, findings: &mut Vec<Finding>) {
    let mut visitor = Functions { file, summary, findings };
    visitor.visit_file(&file.tree);
}

/// Walks the tree and looks at every function with a body.
struct Functions<'a, 'b> {
    file: &'a SourceFile<'b>,
    summary: &'a mut Summary,
    findings: &'a mut Vec<Finding>,
}

impl Functions<'_, '_> {
    /// Length, depth and arguments of one function.
    fn look_at(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let name = &signature.ident;
        let first = signature.span().start().line;
        let lines = body.span().end().line + 1 - first;
        let mut nesting = Nesting::default();
        nesting.visit_statements(body);
        if !self.file.is_test_line(first) {
            self.summary.function_lengths.push(lines);
            self.summary.deepest = self.summary.deepest.max(nesting.deepest);
        }
        if lines > MAX_FUNCTION_LINES {
            let what = format!("fn {name} has {lines} lines; at most {MAX_FUNCTION_LINES}");
            self.findings.push(self.file.finding(first, Rule::FunctionLength, what));
        }
        if nesting.deepest > MAX_DEPTH {
            let what = format!("fn {name} nests {} blocks; at most {MAX_DEPTH}", nesting.deepest);
            self.findings.push(self.file.finding(nesting.line, Rule::Nesting, what));
        }
        self.look_at_arguments(signature);
    }

    /// The arguments of a function or of a method without a body.
    fn look_at_arguments(&mut self, signature: &syn::Signature) {
        let typed = |input: &&syn::FnArg| matches!(input, syn::FnArg::Typed(_));
        let count = signature.inputs.iter().filter(typed).count();
        if count > MAX_ARGUMENTS {
            let what = format!("fn {} has {count} arguments; at most {MAX_ARGUMENTS}", signature.ident);
            let line = signature.span().start().line;
            self.findings.push(self.file.finding(line, Rule::Arguments, what));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_, '_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.look_at(&function.sig, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.look_at(&function.sig, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        match &function.default {
            Some(body) => self.look_at(&function.sig, body),
            None => self.look_at_arguments(&function.sig),
        }
        syn::visit::visit_trait_item_fn(self, function);
    }
}

/// Finds the deepest block of one function.
#[derive(Default)]
struct Nesting {
    depth: usize,
    deepest: usize,
    line: usize,
}

impl Nesting {
    /// Goes one block deeper for the time of `inside`.
    fn enter(&mut self, line: usize, inside: impl FnOnce(&mut Self)) {
        self.depth += 1;
        self.note(self.depth, line);
        inside(self);
        self.depth -= 1;
    }

    /// Remembers a depth if it is the deepest yet.
    fn note(&mut self, depth: usize, line: usize) {
        if depth > self.deepest {
            self.deepest = depth;
            self.line = line;
        }
    }

    /// The statements of a block at the present depth.
    fn visit_statements(&mut self, block: &syn::Block) {
        for statement in &block.stmts {
            self.visit_stmt(statement);
        }
    }

    /// A block that counts.
    fn enter_block(&mut self, block: &syn::Block) {
        self.enter(block.span().start().line, |inner| inner.visit_statements(block));
    }

    /// `if … else if … else …`: one depth for all of its branches.
    fn visit_if(&mut self, expression: &syn::ExprIf) {
        self.visit_expr(&expression.cond);
        self.enter_block(&expression.then_branch);
        match expression.else_branch.as_ref().map(|(_, otherwise)| &**otherwise) {
            Some(syn::Expr::If(next)) => self.visit_if(next),
            Some(syn::Expr::Block(block)) => self.enter_block(&block.block),
            Some(other) => self.visit_expr(other),
            None => {}
        }
    }

    /// The arms of a `match`, whose bodies stand at the depth of the arms.
    fn visit_match(&mut self, expression: &syn::ExprMatch) {
        self.visit_expr(&expression.expr);
        self.enter(expression.span().start().line, |inner| {
            for arm in &expression.arms {
                if let Some((_, guard)) = &arm.guard {
                    inner.visit_expr(guard);
                }
                match &*arm.body {
                    syn::Expr::Block(body) => inner.visit_statements(&body.block),
                    body => inner.visit_expr(body),
                }
            }
        });
    }
}

impl<'ast> Visit<'ast> for Nesting {
    fn visit_expr(&mut self, expression: &'ast syn::Expr) {
        match expression {
            syn::Expr::If(e) => self.visit_if(e),
            syn::Expr::Match(e) => self.visit_match(e),
            syn::Expr::Loop(e) => self.enter_block(&e.body),
            syn::Expr::While(e) => {
                self.visit_expr(&e.cond);
                self.enter_block(&e.body);
            }
            syn::Expr::ForLoop(e) => {
                self.visit_expr(&e.expr);
                self.enter_block(&e.body);
            }
            syn::Expr::Unsafe(e) => self.enter_block(&e.block),
            syn::Expr::Async(e) => self.enter_block(&e.block),
            syn::Expr::Block(e) => self.enter_block(&e.block),
            other => syn::visit::visit_expr(self, other),
        }
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {
        // A function inside a function is counted by itself.
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let is_control_flow =
            call.path.segments.last().is_some_and(|s| BLOCK_MACROS.iter().any(|m| s.ident == m));
        if is_control_flow {
            let line = call.span().start().line;
            let inside = braces(call.tokens.clone());
            self.note(self.depth + 1 + inside, line);
        }
    }
}

/// The deepest braces in a macro's body. An arm's own braces are the arm's, as in a `match`.
fn braces(tokens: TokenStream) -> usize {
    let mut deepest = 0;
    let mut after_arrow = false;
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            let counts = group.delimiter() == Delimiter::Brace && !after_arrow;
            deepest = deepest.max(braces(group.stream()) + usize::from(counts));
        }
        after_arrow = matches!(&token, TokenTree::Punct(p) if p.as_char() == '>');
    }
    deepest
}
