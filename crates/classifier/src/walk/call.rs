//! Rules for function calls: the name, then every place where an argument can hide.

use sqlparser::ast::{
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, HavingBound,
    ListAggOnOverflow, WindowType,
};

use super::{Step, Walk, unknown};

impl<'a> Walk<'a> {
    pub(super) fn call(&mut self, call: &'a Function) -> Step {
        if call.uses_odbc_syntax || !matches!(call.parameters, FunctionArguments::None) {
            return unknown("a call in another database's syntax");
        }
        self.function_name(&call.name)?;
        self.argument_list(&call.args)?;
        self.order_exprs(&call.within_group)?;
        self.push_all(call.filter.as_deref());
        match &call.over {
            Some(WindowType::WindowSpec(spec)) => self.window(spec),
            Some(WindowType::NamedWindow(_)) | None => Ok(()),
        }
    }

    fn argument_list(&mut self, arguments: &'a FunctionArguments) -> Step {
        match arguments {
            FunctionArguments::None => Ok(()),
            FunctionArguments::Subquery(query) => {
                self.push_query(query);
                Ok(())
            }
            FunctionArguments::List(list) => {
                self.arguments(&list.args)?;
                list.clauses.iter().try_for_each(|clause| self.clause(clause))
            }
        }
    }

    pub(super) fn arguments(&mut self, arguments: &'a [FunctionArg]) -> Step {
        for argument in arguments {
            let value = match argument {
                FunctionArg::Named { arg, .. } | FunctionArg::Unnamed(arg) => arg,
                FunctionArg::ExprNamed { name, arg, .. } => {
                    self.push(name);
                    arg
                }
            };
            match value {
                FunctionArgExpr::Expr(expr) => self.push(expr),
                FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::Wildcard => {}
                FunctionArgExpr::WildcardWithOptions(_) => return unknown("a wildcard of another database"),
            }
        }
        Ok(())
    }

    fn clause(&mut self, clause: &'a FunctionArgumentClause) -> Step {
        match clause {
            FunctionArgumentClause::OrderBy(exprs) => self.order_exprs(exprs),
            FunctionArgumentClause::Where(expr)
            | FunctionArgumentClause::Limit(expr)
            | FunctionArgumentClause::Having(HavingBound(_, expr)) => {
                self.push(expr);
                Ok(())
            }
            FunctionArgumentClause::OnOverflow(ListAggOnOverflow::Truncate { filler, .. }) => {
                self.push_all(filler.as_deref());
                Ok(())
            }
            FunctionArgumentClause::JsonReturningClause(returning) => self.data_type(&returning.data_type),
            FunctionArgumentClause::IgnoreOrRespectNulls(_)
            | FunctionArgumentClause::OnOverflow(ListAggOnOverflow::Error)
            | FunctionArgumentClause::Separator(_)
            | FunctionArgumentClause::JsonNullClause(_) => Ok(()),
        }
    }
}
