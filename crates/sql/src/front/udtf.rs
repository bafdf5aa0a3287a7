//! The plain front: `f('train', 'holdout', {'k': 5})`. It serves sessions that have no relation planner.

use std::sync::Arc;

use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::datasource::ViewTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use lookalike_core::{Error, ParamKind, Value};

use super::constant::{constant, to_literal};
use super::files::{look_in, with_files};
use super::lookup;
use crate::error::engine_error;
use crate::function::TableFunction;
use crate::node::LookalikeNode;

/// A table function of the registry as the engine's plain table function.
#[derive(Debug)]
pub(crate) struct PlainFunction(pub(crate) &'static dyn TableFunction);

impl TableFunctionImpl for PlainFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let function = self.0;
        let mut inputs = Vec::new();
        let mut options: Vec<(String, Expr)> = Vec::new();
        let place = |e: Error| engine_error(e.within(function.name().to_uppercase()));
        let unnamed = usize::from(function.unnamed().is_some());
        for (i, expr) in args.exprs().iter().enumerate() {
            let value = constant("argument", expr.clone(), &[]).map_err(place)?.1;
            match value {
                Some(Value::Text(_)) if i < unnamed => {
                    options.extend(function.unnamed().map(|name| (name.to_string(), expr.clone())));
                }
                Some(Value::Text(name)) if options.len() <= unnamed => {
                    let role = role(function, i - unnamed).map_err(place)?;
                    inputs.push((role, scan(args.session(), &name)?));
                }
                Some(Value::Map(entries)) if i + 1 == args.exprs().len() => {
                    for (name, value) in entries {
                        for (role, table) in relation_options(function, &name, &value).map_err(place)? {
                            inputs.push((role, scan(args.session(), &table)?));
                        }
                        options.push((name, to_literal(&value)?));
                    }
                }
                _ => {
                    return Err(place(Error::argument(format!(
                        "argument {} is {expr}: without named options the arguments are strings that name tables, \
                         followed by one struct of options such as {{'k': 5}}",
                        i + 1
                    ))));
                }
            }
        }
        require_relations(function, inputs.len()).map_err(place)?;
        let options = with_files(function, options, |path, usage| look_in(args.session(), path, usage))
            .map_err(|e| located(e, function))?;
        let plan = LookalikeNode::try_new(function, options, inputs)?.into_plan();
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

/// The error with the function that it comes from.
pub(crate) fn located(error: DataFusionError, function: &dyn TableFunction) -> DataFusionError {
    let place = function.name().to_uppercase();
    match error {
        DataFusionError::Plan(message) => DataFusionError::Plan(format!("{place}: {message}")),
        DataFusionError::Execution(message) => DataFusionError::Execution(format!("{place}: {message}")),
        other => other.context(place),
    }
}

/// Role of the i-th positional relation.
pub(crate) fn role(function: &dyn TableFunction, i: usize) -> Result<String, Error> {
    let relations = function.relations();
    relations.get(i).map(|r| r.name.to_string()).ok_or_else(|| {
        Error::argument(match relations.len() {
            0 => "this function takes no relation; options are written name => value".to_string(),
            n => format!(
                "too many relations: it takes {n} ({}); options are written name => value",
                lookalike_core::list_names(relations.iter().map(|r| r.name))
            ),
        })
    })
}

/// Fails when a required relation is missing.
pub(crate) fn require_relations(function: &dyn TableFunction, given: usize) -> Result<(), Error> {
    match function.relations().get(given) {
        Some(missing) if missing.required => Err(Error::argument(format!(
            "argument {} is missing: the relation '{}' ({})",
            given + 1,
            missing.name,
            missing.purpose
        ))),
        _ => Ok(()),
    }
}

/// Roles and table names of an option that holds relations.
pub(crate) fn relation_options(
    function: &dyn TableFunction,
    name: &str,
    value: &Value,
) -> Result<Vec<(String, String)>, Error> {
    let kind = function.options().iter().find(|s| s.name == name).map(|s| s.kind);
    Ok(match (kind, value) {
        (Some(ParamKind::Relation), Value::Text(table)) => vec![(name.to_string(), table.clone())],
        (Some(ParamKind::Relations), Value::Map(entries)) => entries
            .iter()
            .filter_map(|(key, table)| match table {
                Value::Text(table) => Some((format!("{name}.{key}"), table.clone())),
                _ => None,
            })
            .collect(),
        _ => vec![],
    })
}

pub(crate) fn scan(session: &dyn Session, name: &str) -> Result<LogicalPlan> {
    let table = lookup::table(session, name)?;
    LogicalPlanBuilder::scan(name, provider_as_source(table), None)?.build()
}

/// Name of the internal function through which the relation planner reaches the session's tables.
pub(crate) const TABLE_BY_NAME: &str = "lookalike_table_by_name";

/// `lookalike_table_by_name('name')`: that table.
#[derive(Debug)]
pub(crate) struct TableByName;

impl TableFunctionImpl for TableByName {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        match args.exprs() {
            [Expr::Literal(scalar, _)] => match scalar.try_as_str().flatten() {
                Some(name) => lookup::table(args.session(), name),
                None => lookup::table(args.session(), &lit(scalar.clone()).to_string()),
            },
            _ => Err(engine_error(Error::argument("lookalike_table_by_name takes one string"))),
        }
    }
}
