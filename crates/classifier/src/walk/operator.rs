//! Rules for operators: those of `pg_catalog` are known. An operator of a user's own with the same spelling
//! cannot be told from the text, as with functions under an untouched `search_path`.

use sqlparser::ast::{BinaryOperator, ObjectName, ObjectNamePart, UnaryOperator};

use super::{Blame, Step, Walk, unknown};
use crate::Reason;
use crate::tables;

fn known(symbol: &str) -> Step {
    if tables::is_operator(symbol) {
        return Ok(());
    }
    Err(Blame::new(Reason::UnknownName, format!("operator {symbol}")))
}

/// An operator between two values.
pub(super) fn binary(operator: &BinaryOperator) -> Step {
    use BinaryOperator as Op;
    match operator {
        // The usual ones, without a look into the table.
        Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo | Op::StringConcat => Ok(()),
        Op::Gt | Op::Lt | Op::GtEq | Op::LtEq | Op::Eq | Op::NotEq | Op::And | Op::Or => Ok(()),
        Op::BitwiseOr | Op::BitwiseAnd | Op::PGBitwiseXor | Op::PGBitwiseShiftLeft => Ok(()),
        Op::PGBitwiseShiftRight | Op::PGExp | Op::PGOverlap | Op::Overlaps => Ok(()),
        Op::PGRegexMatch | Op::PGRegexIMatch | Op::PGRegexNotMatch | Op::PGRegexNotIMatch => Ok(()),
        Op::PGCustomBinaryOperator(path) => match path.as_slice() {
            [symbol] => known(symbol),
            [schema, symbol] if schema.eq_ignore_ascii_case("pg_catalog") => known(symbol),
            _ => Err(Blame::new(Reason::UnknownName, format!("operator {}", path.join(".")))),
        },
        Op::Xor | Op::DuckIntegerDivide | Op::MyIntegerDivide | Op::Match | Op::Regexp | Op::Glob => {
            unknown("an operator of another database")
        }
        Op::Custom(symbol) => known(symbol),
        other => known(&other.to_string()),
    }
}

/// An operator before (or after) one value.
pub(super) fn unary(operator: UnaryOperator) -> Step {
    match operator {
        UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not => Ok(()),
        UnaryOperator::PGPostfixFactorial | UnaryOperator::BangNot => {
            unknown("an operator of another database")
        }
        other => known(&other.to_string()),
    }
}

impl Walk<'_> {
    /// `ORDER BY … USING operator`.
    pub(super) fn operator_name(&mut self, name: &ObjectName) -> Step {
        match name.0.as_slice() {
            [ObjectNamePart::Identifier(symbol)] => known(&symbol.value),
            [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(symbol)]
                if schema.value.eq_ignore_ascii_case("pg_catalog") =>
            {
                known(&symbol.value)
            }
            _ => Err(Blame::new(Reason::UnknownName, format!("operator {name}"))),
        }
    }
}
