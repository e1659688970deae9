//! Rules for expressions. The match names what is known; anything else is refused.

use sqlparser::ast::{AccessExpr, CastKind, Expr, Subscript, Value};

use super::{Step, Walk, operator, unknown};

impl<'a> Walk<'a> {
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Step {
        match expr {
            Expr::Identifier(name) => self.column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(path) => self.column(path),
            Expr::Value(value) => literal(&value.value),
            Expr::Function(call) => self.call(call),
            Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => {
                self.push_query(query);
                Ok(())
            }
            Expr::BinaryOp { left, op, right } => {
                operator::binary(op)?;
                self.pair(left, right)
            }
            Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right } => {
                operator::binary(compare_op)?;
                self.pair(left, right)
            }
            Expr::UnaryOp { op, expr } => {
                operator::unary(*op)?;
                self.one(expr)
            }
            Expr::Cast { .. } | Expr::TypedString(_) => self.conversion(expr),
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.push(root);
                access_chain.iter().try_for_each(|access| self.access(access))
            }
            Expr::Tuple(items) => {
                self.push_all(items);
                Ok(())
            }
            Expr::Array(array) => {
                self.push_all(&array.elem);
                Ok(())
            }
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                self.push_all(sets.iter().flatten());
                Ok(())
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.push_all(operand.as_deref());
                self.push_all(conditions.iter().flat_map(|when| [&when.condition, &when.result]));
                self.push_all(else_result.as_deref());
                Ok(())
            }
            _ => self.predicate(expr),
        }
    }

    fn one(&mut self, expr: &'a Expr) -> Step {
        self.push(expr);
        Ok(())
    }

    fn pair(&mut self, left: &'a Expr, right: &'a Expr) -> Step {
        self.push(left);
        self.push(right);
        Ok(())
    }

    fn predicate(&mut self, expr: &'a Expr) -> Step {
        match expr {
            Expr::Nested(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsNull(expr)
            | Expr::IsNotNull(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr)
            | Expr::IsNormalized { expr, .. }
            | Expr::IsJson { expr, .. } => self.one(expr),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.pair(left, right)
            }
            Expr::InList { expr, list, .. } => {
                self.push_all(list);
                self.one(expr)
            }
            Expr::InSubquery { expr, subquery, .. } => {
                self.push_query(subquery);
                self.one(expr)
            }
            Expr::Between { expr, low, high, .. } => {
                self.push(expr);
                self.pair(low, high)
            }
            Expr::Like { expr, pattern, escape_char, .. }
            | Expr::ILike { expr, pattern, escape_char, .. }
            | Expr::SimilarTo { expr, pattern, escape_char, .. } => {
                self.push_all(escape_char.as_deref());
                self.pair(expr, pattern)
            }
            _ => self.special_form(expr),
        }
    }

    /// Forms with a syntax of their own, which the grammar turns into known functions.
    fn special_form(&mut self, expr: &'a Expr) -> Step {
        // Most of them can also be written as ordinary calls, and sqlparser does not say which it was.
        self.walked.rests_on_names = true;
        match expr {
            Expr::Extract { expr, .. } | Expr::Ceil { expr, .. } | Expr::Floor { expr, .. } => self.one(expr),
            Expr::Interval(interval) => self.one(&interval.value),
            Expr::Collate { expr, .. } => self.one(expr),
            Expr::AtTimeZone { timestamp, time_zone } => self.pair(timestamp, time_zone),
            Expr::Position { expr, r#in } => self.pair(expr, r#in),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                self.push_all(substring_from.as_deref());
                self.push_all(substring_for.as_deref());
                self.one(expr)
            }
            Expr::Trim { trim_what, expr, trim_characters, .. } => {
                self.push_all(trim_what.as_deref());
                self.push_all(trim_characters.iter().flatten());
                self.one(expr)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.push_all(overlay_for.as_deref());
                self.push(overlay_what);
                self.pair(expr, overlay_from)
            }
            _ => unknown("an expression that has no rule"),
        }
    }

    fn conversion(&mut self, expr: &'a Expr) -> Step {
        match expr {
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
                ..
            } => {
                self.data_type(data_type)?;
                self.one(expr)
            }
            Expr::TypedString(typed) if !typed.uses_odbc_syntax => {
                self.data_type(&typed.data_type)?;
                literal(&typed.value.value)
            }
            _ => unknown("a cast of another database"),
        }
    }

    fn access(&mut self, access: &'a AccessExpr) -> Step {
        match access {
            AccessExpr::Dot(Expr::Identifier(field)) => self.field(field),
            AccessExpr::Dot(_) => unknown("something behind a dot that is not a name"),
            AccessExpr::Subscript(Subscript::Index { index }) => self.one(index),
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                self.push_all(lower_bound);
                self.push_all(upper_bound);
                Ok(())
            }
            AccessExpr::Subscript(Subscript::Slice { .. }) => unknown("a slice of another database"),
        }
    }
}

/// Constants of PostgreSQL; other databases' are refused.
fn literal(value: &Value) -> Step {
    match value {
        Value::Number(..)
        | Value::SingleQuotedString(_)
        | Value::DollarQuotedString(_)
        | Value::EscapedStringLiteral(_)
        | Value::UnicodeStringLiteral(_)
        | Value::NationalStringLiteral(_)
        | Value::SingleQuotedByteStringLiteral(_)
        | Value::HexStringLiteral(_)
        | Value::Boolean(_)
        | Value::Null
        | Value::Placeholder(_) => Ok(()),
        _ => unknown("a constant of another database"),
    }
}
