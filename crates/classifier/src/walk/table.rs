//! Rules for what stands in `FROM`.

use sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, TableAlias, TableFactor, TableFunctionArgs, TableSample,
    TableSampleKind, TableWithJoins, XmlTableColumn, XmlTableColumnOption,
};

use super::name::name_is_no_string;
use super::{Node, Step, Walk, unknown};

impl<'a> Walk<'a> {
    pub(super) fn joined(&mut self, from: &'a TableWithJoins) -> Step {
        self.nodes.push(Node::Table(&from.relation));
        from.joins.iter().try_for_each(|join| self.join(join))
    }

    fn join(&mut self, join: &'a Join) -> Step {
        if join.global {
            return unknown("GLOBAL JOIN");
        }
        self.nodes.push(Node::Table(&join.relation));
        match &join.join_operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint) => {
                if let JoinConstraint::On(expr) = constraint {
                    self.push(expr);
                }
                Ok(())
            }
            _ => unknown("a join of another database"),
        }
    }

    pub(super) fn table(&mut self, table: &'a TableFactor) -> Step {
        match table {
            TableFactor::Table { alias, .. } => {
                self.alias(alias.as_ref())?;
                self.named_table(table)
            }
            TableFactor::Derived { subquery, alias, sample, .. } => {
                self.alias(alias.as_ref())?;
                self.push_query(subquery);
                self.sample(sample.as_ref())
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.alias(alias.as_ref())?;
                self.function_name(name)?;
                self.arguments(args)
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, .. } => {
                self.walked.rests_on_names = true;
                self.alias(alias.as_ref())?;
                self.push_all(array_exprs);
                Ok(())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.alias(alias.as_ref())?;
                self.joined(table_with_joins)
            }
            TableFactor::XmlTable { namespaces, row_expression, passing, columns, alias } => {
                self.alias(alias.as_ref())?;
                self.push_all(namespaces.iter().map(|namespace| &namespace.uri));
                self.push(row_expression);
                self.push_all(passing.arguments.iter().map(|argument| &argument.expr));
                columns.iter().try_for_each(|column| self.xml_column(column))
            }
            _ => unknown("a kind of table that has no rule"),
        }
    }

    fn named_table(&mut self, table: &'a TableFactor) -> Step {
        let TableFactor::Table {
            name,
            args,
            with_hints,
            version,
            partitions,
            json_path,
            sample,
            index_hints,
            ..
        } = table
        else {
            return unknown("a table without a name");
        };
        let foreign = !with_hints.is_empty()
            || version.is_some()
            || !partitions.is_empty()
            || json_path.is_some()
            || !index_hints.is_empty();
        if foreign {
            return unknown("a table clause of another database");
        }
        self.sample(sample.as_ref())?;
        match args {
            None => self.relation(name),
            Some(TableFunctionArgs { args, settings: None }) => {
                self.function_name(name)?;
                self.arguments(args)
            }
            Some(_) => unknown("SETTINGS"),
        }
    }

    fn sample(&mut self, sample: Option<&'a TableSampleKind>) -> Step {
        let Some(TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) =
            sample
        else {
            return Ok(());
        };
        let TableSample { name, quantity, bucket: None, offset: None, .. } = &**sample else {
            return unknown("a sample of another database");
        };
        if name.is_none() {
            return unknown("a sample of another database");
        }
        self.push_all(quantity.as_ref().map(|quantity| &quantity.value));
        Ok(())
    }

    fn xml_column(&mut self, column: &'a XmlTableColumn) -> Step {
        let XmlTableColumnOption::NamedInfo { r#type, path, default, .. } = &column.option else {
            return Ok(());
        };
        self.data_type(r#type)?;
        self.push_all(path);
        self.push_all(default);
        Ok(())
    }

    pub(super) fn alias(&mut self, alias: Option<&'a TableAlias>) -> Step {
        let Some(alias) = alias else { return Ok(()) };
        name_is_no_string(&alias.name)?;
        if alias.at.is_some() {
            return unknown("AT in an alias");
        }
        if alias.columns.is_empty() {
            return Ok(());
        }
        self.walked.aliases.push(alias.name.value.clone());
        alias
            .columns
            .iter()
            .filter_map(|column| column.data_type.as_ref())
            .try_for_each(|kind| self.data_type(kind))
    }
}
