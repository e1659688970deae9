//! Rules for type names: a cast to a type of a user's own runs that type's input function or cast, so only
//! the types of `pg_catalog` are known.

use sqlparser::ast::{ArrayElemTypeDef, DataType, ObjectName};

use super::name::{INFORMATION_TYPES, folded, parts};
use super::{Blame, Step, Walk};
use crate::Reason;
use crate::tables;

impl Walk<'_> {
    pub(super) fn data_type(&mut self, data_type: &DataType) -> Step {
        let mut inner = data_type;
        while let DataType::Array(element) = inner {
            inner = match element {
                ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _) => {
                    element
                }
                ArrayElemTypeDef::None
                | ArrayElemTypeDef::AngleBracket(_)
                | ArrayElemTypeDef::Parenthesis(_) => return refuse(data_type),
            };
        }
        match inner {
            // The grammar resolves these to `pg_catalog`, whatever the search path.
            DataType::Character(_)
            | DataType::Char(_)
            | DataType::CharacterVarying(_)
            | DataType::CharVarying(_)
            | DataType::Varchar(_)
            | DataType::Numeric(_)
            | DataType::Decimal(_)
            | DataType::Dec(_)
            | DataType::Float(_)
            | DataType::SmallInt(_)
            | DataType::Int(_)
            | DataType::Integer(_)
            | DataType::BigInt(_)
            | DataType::Real
            | DataType::DoublePrecision
            | DataType::Boolean
            | DataType::Time(..)
            | DataType::Timestamp(..)
            | DataType::Interval { .. }
            | DataType::Bit(_)
            | DataType::BitVarying(_) => Ok(()),
            // These are ordinary names.
            DataType::Int2(_)
            | DataType::Int4(_)
            | DataType::Int8(_)
            | DataType::Float4
            | DataType::Float8
            | DataType::Bool
            | DataType::Date
            | DataType::Uuid
            | DataType::JSON
            | DataType::JSONB
            | DataType::Regclass
            | DataType::Text
            | DataType::Bytea
            | DataType::VarBit(_)
            | DataType::GeometricType(_)
            | DataType::TsVector
            | DataType::TsQuery => {
                self.walked.rests_on_names = true;
                Ok(())
            }
            DataType::Custom(name, _) => self.type_name(name),
            _ => refuse(data_type),
        }
    }

    fn type_name(&mut self, name: &ObjectName) -> Step {
        let refused = || Blame::new(Reason::UnknownName, format!("type {name}"));
        let (schema, ident) = parts(name).filter(|_| name.0.len() <= 2).ok_or_else(refused)?;
        let word = folded(ident);
        let known = match schema.map(folded).as_deref() {
            None => {
                self.walked.rests_on_names = true;
                is_built_in(&word)
            }
            Some("pg_catalog") => is_built_in(&word),
            Some("information_schema") => INFORMATION_TYPES.contains(&&*word),
            Some(_) => false,
        };
        if known { Ok(()) } else { Err(refused()) }
    }
}

/// An array type is its element's name behind an underscore.
fn is_built_in(name: &str) -> bool {
    tables::is_type(name) || name.strip_prefix('_').is_some_and(tables::is_type)
}

fn refuse(data_type: &DataType) -> Step {
    Err(Blame::new(Reason::UnknownName, format!("type {data_type}")))
}
