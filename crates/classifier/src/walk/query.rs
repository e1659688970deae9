//! Rules for queries: `WITH`, `SELECT`, set operations, `VALUES`, ordering, limits and locks.
//! Clauses of other databases that sqlparser also reads are refused.

use sqlparser::ast::{
    Distinct, GroupByExpr, GroupByWithModifier, LimitClause, NamedWindowExpr, OrderBy, OrderByExpr,
    OrderByKind, OrderBySort, Query, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, SetOperator, SetQuantifier, Table, WildcardAdditionalOptions, WindowFrameBound, WindowSpec,
    With,
};

use super::name::name_is_no_string;
use super::{Blame, Node, Step, Walk, unknown};
use crate::Reason;

impl<'a> Walk<'a> {
    pub(super) fn query(&mut self, query: &'a Query) -> Step {
        let foreign = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if foreign {
            return unknown("a clause that PostgreSQL does not have");
        }
        if !query.locks.is_empty() {
            return Err(Blame::new(Reason::RowLock, "FOR UPDATE or FOR SHARE"));
        }
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        self.nodes.push(Node::Body(&query.body));
        if let Some(order_by) = &query.order_by {
            self.order_by(order_by)?;
        }
        if let Some(limit) = &query.limit_clause {
            self.limit(limit)?;
        }
        if let Some(fetch) = &query.fetch {
            self.push_all(&fetch.quantity);
        }
        Ok(())
    }

    fn with(&mut self, with: &'a With) -> Step {
        for cte in &with.cte_tables {
            if cte.from.is_some() {
                return unknown("WITH … FROM");
            }
            self.ctes.push(&cte.alias.name.value);
            self.alias(Some(&cte.alias))?;
            self.push_query(&cte.query);
        }
        Ok(())
    }

    fn order_by(&mut self, order_by: &'a OrderBy) -> Step {
        match &order_by.kind {
            OrderByKind::Expressions(exprs) if order_by.interpolate.is_none() => self.order_exprs(exprs),
            OrderByKind::Expressions(_) | OrderByKind::All(_) => unknown("an ORDER BY of another database"),
        }
    }

    pub(super) fn order_exprs(&mut self, exprs: &'a [OrderByExpr]) -> Step {
        for item in exprs {
            if item.with_fill.is_some() {
                return unknown("WITH FILL");
            }
            if let Some(OrderBySort::Using(operator)) = &item.options.sort {
                self.operator_name(operator)?;
            }
            self.push(&item.expr);
        }
        Ok(())
    }

    fn limit(&mut self, limit: &'a LimitClause) -> Step {
        match limit {
            LimitClause::LimitOffset { limit, offset, limit_by } if limit_by.is_empty() => {
                self.push_all(limit);
                self.push_all(offset.as_ref().map(|offset| &offset.value));
                Ok(())
            }
            LimitClause::LimitOffset { .. } | LimitClause::OffsetCommaLimit { .. } => {
                unknown("a LIMIT of another database")
            }
        }
    }

    pub(super) fn body(&mut self, body: &'a SetExpr) -> Step {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => {
                self.push_query(query);
                Ok(())
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let known = matches!(op, SetOperator::Union | SetOperator::Except | SetOperator::Intersect)
                    && matches!(
                        set_quantifier,
                        SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None
                    );
                if !known {
                    return unknown("a set operation of another database");
                }
                self.nodes.push(Node::Body(left));
                self.nodes.push(Node::Body(right));
                Ok(())
            }
            SetExpr::Values(values) if !values.explicit_row => {
                for row in &values.rows {
                    self.push_all(&row.content);
                }
                Ok(())
            }
            SetExpr::Values(_) => unknown("VALUES ROW"),
            SetExpr::Insert(_) => Err(Blame::new(Reason::Writes, "INSERT")),
            SetExpr::Update(_) => Err(Blame::new(Reason::Writes, "UPDATE")),
            SetExpr::Delete(_) => Err(Blame::new(Reason::Writes, "DELETE")),
            SetExpr::Merge(_) => Err(Blame::new(Reason::Writes, "MERGE")),
            SetExpr::Table(table) => self.table_command(table),
        }
    }

    /// `TABLE t`: sqlparser keeps no quotes here, so that a name cannot be told from another's folded form.
    fn table_command(&mut self, table: &'a Table) -> Step {
        let name = table.table_name.as_deref().unwrap_or("");
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !plain || table.schema_name.is_some() {
            return unknown("TABLE with a name that is not plain");
        }
        self.relation_parts(None, name)
    }

    fn select(&mut self, select: &'a Select) -> Step {
        if let Some(into) = &select.into {
            let what = if into.temporary { "INTO TEMPORARY" } else { "INTO" };
            return Err(Blame::new(Reason::SelectInto, what));
        }
        if is_foreign(select) {
            return unknown("a clause that PostgreSQL does not have");
        }
        if let Some(Distinct::On(exprs)) = &select.distinct {
            self.push_all(exprs);
        }
        for item in &select.projection {
            self.item(item)?;
        }
        for from in &select.from {
            self.joined(from)?;
        }
        self.push_all(&select.selection);
        self.group_by(&select.group_by)?;
        self.push_all(&select.having);
        for definition in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &definition.1 {
                self.window(spec)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &'a SelectItem) -> Step {
        match item {
            SelectItem::UnnamedExpr(expr) => self.push(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                name_is_no_string(alias)?;
                self.push(expr);
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                plain_wildcard(options)?;
                if let SelectItemQualifiedWildcardKind::Expr(expr) = kind {
                    self.push(expr);
                }
            }
            SelectItem::Wildcard(options) => plain_wildcard(options)?,
            SelectItem::ExprWithAliases { .. } => return unknown("an alias list"),
        }
        Ok(())
    }

    fn group_by(&mut self, group_by: &'a GroupByExpr) -> Step {
        let (GroupByExpr::Expressions(_, modifiers) | GroupByExpr::All(modifiers)) = group_by;
        for modifier in modifiers {
            match modifier {
                GroupByWithModifier::GroupingSets(expr) => self.push(expr),
                _ => return unknown("a GROUP BY of another database"),
            }
        }
        match group_by {
            GroupByExpr::Expressions(exprs, _) => self.push_all(exprs),
            GroupByExpr::All(_) => return unknown("GROUP BY ALL"),
        }
        Ok(())
    }

    pub(super) fn window(&mut self, window: &'a WindowSpec) -> Step {
        self.push_all(&window.partition_by);
        self.order_exprs(&window.order_by)?;
        let Some(frame) = &window.window_frame else { return Ok(()) };
        for bound in [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten() {
            match bound {
                WindowFrameBound::CurrentRow => {}
                WindowFrameBound::Preceding(expr) | WindowFrameBound::Following(expr) => {
                    self.push_all(expr.as_deref());
                }
            }
        }
        Ok(())
    }
}

fn is_foreign(select: &Select) -> bool {
    select.select_modifiers.is_some()
        || select.top.is_some()
        || select.exclude.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.qualify.is_some()
        || select.value_table_mode.is_some()
        || select.flavor != SelectFlavor::Standard
}

fn plain_wildcard(options: &WildcardAdditionalOptions) -> Step {
    let plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none();
    if plain { Ok(()) } else { unknown("a wildcard of another database") }
}
