//! Rules for names: relations, columns, functions.
//!
//! A name is folded as PostgreSQL folds it, so that `NextVal` and `"nextval"` are the same and `"NextVal"` is not.

use std::borrow::Cow;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::{Blame, Step, Walk, placed, unknown};
use crate::Reason;
use crate::tables::{self, Known};

/// Columns of a sequence's row. A standby may show up to 32 more than the primary (ROUTING.md).
const SEQUENCE_COLUMNS: &[&str] = &["last_value", "log_cnt", "is_called"];

/// Types of `information_schema`, which are domains over built-in types.
pub(super) const INFORMATION_TYPES: &[&str] =
    &["cardinal_number", "character_data", "sql_identifier", "time_stamp", "yes_or_no"];

/// A name as PostgreSQL folds it.
pub(super) fn folded(ident: &Ident) -> Cow<'_, str> {
    let upper = ident.quote_style.is_none() && ident.value.bytes().any(|byte| byte.is_ascii_uppercase());
    if upper { Cow::Owned(ident.value.to_ascii_lowercase()) } else { Cow::Borrowed(&ident.value) }
}

/// The schema, if there is one, and the name.
pub(super) fn parts(name: &ObjectName) -> Option<(Option<&Ident>, &Ident)> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some((None, name)),
        [.., ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(name)] if name_is_short(name) => {
            Some((Some(schema), name))
        }
        _ => None,
    }
}

/// `SELECT my_type 'x'` is a constant of a type to PostgreSQL, and a column with an alias to sqlparser.
pub(super) fn name_is_no_string(alias: &Ident) -> Step {
    match alias.quote_style {
        None | Some('"') => Ok(()),
        Some(_) => unknown("a string in the place of an alias"),
    }
}

fn name_is_short(name: &Ident) -> bool {
    name.value.len() < crate::survey::FOLDED_BYTES
}

/// Whether a relation's name looks like a sequence's: `t_id_seq`, `t_id_seq1`, `order_seq`, `seq_order`.
fn like_sequence(name: &str) -> bool {
    let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
    let lower = stem.to_ascii_lowercase();
    lower == "seq"
        || lower == "sequence"
        || lower.ends_with("_seq")
        || lower.ends_with("_sequence")
        || lower.starts_with("seq_")
}

impl Walk<'_> {
    /// A table, view or sequence that is read.
    pub(super) fn relation(&mut self, name: &ObjectName) -> Step {
        let Some((schema, name)) = parts(name) else {
            return unknown("a relation without a plain name");
        };
        let place = placed(&name.value, name.span);
        let schema = schema.map(folded);
        self.relation_parts(schema.as_deref(), &folded(name)).map_err(|blame| Blame::new(blame.reason, place))
    }

    pub(super) fn relation_parts(&mut self, schema: Option<&str>, name: &str) -> Step {
        match schema {
            Some("information_schema") => return Ok(()),
            Some(schema) if schema.starts_with("pg_temp") => {
                return Err(Blame::new(Reason::TemporaryObject, name));
            }
            // Toast tables and the like are replicated, but nothing reads them on purpose.
            Some(schema) if schema.starts_with("pg_") && schema != "pg_catalog" => {
                return Err(Blame::new(Reason::UnknownName, name));
            }
            None | Some("pg_catalog") if name.starts_with("pg_") || schema.is_some() => {
                if !tables::is_catalog(name) {
                    self.ask(Reason::ServerState, name);
                }
                return Ok(());
            }
            _ => {}
        }
        let of_the_query = schema.is_none() && self.ctes.contains(&name);
        if like_sequence(name) && !of_the_query {
            self.ask(Reason::SequenceRow, name);
        }
        Ok(())
    }

    /// A column, with or without its table.
    pub(super) fn column(&mut self, path: &[Ident]) -> Step {
        let Some(last) = path.last() else { return Ok(()) };
        let name = folded(last);
        if SEQUENCE_COLUMNS.contains(&&*name) {
            self.ask(Reason::SequenceRow, placed(&last.value, last.span));
        }
        // `t.f` is also `f(t)` (manual, section 8.16.5); no built-in that must stay on the primary may hide in it.
        match tables::function(&name) {
            Some(Known::Refused(refusal)) if path.len() > 1 && refusal.may_write() => {
                Err(Blame::new(refusal.reason(), placed(&last.value, last.span)))
            }
            _ => Ok(()),
        }
    }

    /// `(expression).name`: a field of a composite value, or the call `name(expression)`.
    pub(super) fn field(&mut self, field: &Ident) -> Step {
        self.walked.rests_on_names = true;
        let name = folded(field);
        match tables::function(&name) {
            Some(Known::Safe) => Ok(()),
            // `information_schema._pg_expandarray` gives (x, n), and drivers ask for both.
            _ if *name == *"n" || *name == *"x" => Ok(()),
            Some(Known::Refused(refusal)) => {
                Err(Blame::new(refusal.reason(), placed(&field.value, field.span)))
            }
            _ => Err(Blame::new(Reason::UnknownFunction, placed(&field.value, field.span))),
        }
    }

    /// The name of a function that is called.
    pub(super) fn function_name(&mut self, name: &ObjectName) -> Step {
        let Some((schema, ident)) = parts(name).filter(|_| name.0.len() <= 2) else {
            return Err(Blame::new(Reason::UnknownFunction, name.to_string()));
        };
        let place = || placed(&name.to_string(), ident.span);
        let word = folded(ident);
        let known = tables::function(&word);
        match schema.map(folded).as_deref() {
            None => {
                self.walked.rests_on_names |= known != Some(Known::GrammarCall);
                if known == Some(Known::GrammarCall) && ident.quote_style.is_none() {
                    return Ok(());
                }
            }
            Some("pg_catalog") => {}
            Some("information_schema") if word.starts_with("_pg_") => return Ok(()),
            Some(_) => return Err(Blame::new(Reason::UnknownFunction, place())),
        }
        match known {
            Some(Known::Safe) => Ok(()),
            Some(Known::Refused(refusal)) if !refusal.may_write() => {
                self.ask(refusal.reason(), place());
                Ok(())
            }
            Some(Known::Refused(refusal)) => Err(Blame::new(refusal.reason(), place())),
            _ => Err(Blame::new(Reason::UnknownFunction, place())),
        }
    }
}
