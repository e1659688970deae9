//! The second reading of a query: every node of sqlparser's syntax tree must have a rule that knows it to
//! be safe on a replica. What has no rule is refused.
//!
//! The walk keeps its own stack, because a text of 64 KiB can nest thousands deep. Each rule looks at one
//! node and pushes its children. Next: `walk/query.rs`, `walk/expr.rs`, then the leaves.

mod call;
mod expr;
mod name;
mod operator;
mod query;
mod table;
mod types;

use sqlparser::ast::{CopySource, CopyTarget, Expr, Query, SetExpr, Statement, TableFactor};
use sqlparser::tokenizer::Span;

use crate::Reason;

/// Why a node was refused.
#[derive(Debug, Clone)]
pub(crate) struct Blame {
    pub(crate) reason: Reason,
    pub(crate) detail: Box<str>,
}

impl Blame {
    fn new(reason: Reason, detail: impl Into<Box<str>>) -> Self {
        Blame { reason, detail: detail.into() }
    }
}

type Step = Result<(), Blame>;

/// Refuses a node that has no rule.
fn unknown(what: &str) -> Step {
    Err(Blame::new(Reason::UnknownNode, what))
}

/// `name` with its place, when sqlparser kept it.
fn placed(name: &str, span: Span) -> String {
    if span.start.line == 0 {
        return name.to_owned();
    }
    format!("{name} at line {}, column {}", span.start.line, span.start.column)
}

/// A node that waits for its rule.
#[derive(Clone, Copy)]
enum Node<'a> {
    Expr(&'a Expr),
    Query(&'a Query),
    Body(&'a SetExpr),
    Table(&'a TableFactor),
}

/// What the walk over a proven read found; `Err` for a statement that is not one.
pub(crate) struct Walked {
    /// The statement only asks, but the primary must answer.
    pub(crate) ask: Option<Blame>,
    /// It used an unqualified name of a built-in function or type.
    pub(crate) rests_on_names: bool,
    /// Aliases that were given a list of columns: `t(a, b)` is no call.
    pub(crate) aliases: Vec<String>,
}

struct Walk<'a> {
    nodes: Vec<Node<'a>>,
    walked: Walked,
    /// Names of the common table expressions seen so far.
    ctes: Vec<&'a str>,
}

/// Walks one statement.
pub(crate) fn walk(statement: &Statement) -> Result<Walked, Blame> {
    let walked = Walked { ask: None, rests_on_names: false, aliases: Vec::new() };
    let mut walk = Walk { nodes: Vec::new(), walked, ctes: Vec::new() };
    walk.statement(statement)?;
    while let Some(node) = walk.nodes.pop() {
        match node {
            Node::Expr(expr) => walk.expr(expr)?,
            Node::Query(query) => walk.query(query)?,
            Node::Body(body) => walk.body(body)?,
            Node::Table(table) => walk.table(table)?,
        }
    }
    Ok(walk.walked)
}

impl<'a> Walk<'a> {
    fn push(&mut self, expr: &'a Expr) {
        self.nodes.push(Node::Expr(expr));
    }

    fn push_all(&mut self, exprs: impl IntoIterator<Item = &'a Expr>) {
        self.nodes.extend(exprs.into_iter().map(Node::Expr));
    }

    fn push_query(&mut self, query: &'a Query) {
        self.nodes.push(Node::Query(query));
    }

    /// The node only asks, but the primary must answer; the walk goes on, to prove that nothing writes.
    fn ask(&mut self, reason: Reason, detail: impl Into<Box<str>>) {
        if self.walked.ask.is_none() {
            self.walked.ask = Some(Blame::new(reason, detail));
        }
    }

    fn statement(&mut self, statement: &'a Statement) -> Step {
        match statement {
            Statement::Query(query) => {
                self.push_query(query);
                Ok(())
            }
            // The options take no expression that is evaluated; whether ANALYZE runs the statement does not
            // matter, because it must be a read itself.
            Statement::Explain { statement, .. } => match &**statement {
                Statement::Query(query) => {
                    self.push_query(query);
                    Ok(())
                }
                other => Err(not_a_query(other)),
            },
            Statement::Copy { source, to: true, target: CopyTarget::Stdout, .. } => match source {
                CopySource::Table { table_name, .. } => self.relation(table_name),
                CopySource::Query(query) => {
                    self.push_query(query);
                    Ok(())
                }
            },
            other => Err(not_a_query(other)),
        }
    }
}

fn not_a_query(statement: &Statement) -> Blame {
    let (reason, what) = match statement {
        Statement::Insert(_) => (Reason::Writes, "INSERT"),
        Statement::Update(_) => (Reason::Writes, "UPDATE"),
        Statement::Delete(_) => (Reason::Writes, "DELETE"),
        Statement::Merge(_) => (Reason::Writes, "MERGE"),
        Statement::Copy { .. } => (Reason::CopyWrites, "COPY"),
        Statement::Execute { .. } => (Reason::Prepared, "EXECUTE"),
        Statement::Declare { .. } => (Reason::Cursor, "DECLARE"),
        _ => (Reason::UnknownStatement, "not a query"),
    };
    Blame::new(reason, what)
}
