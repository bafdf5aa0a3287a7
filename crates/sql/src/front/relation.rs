//! The full front: `f(relation, ..., option => value)` with names, views, CTEs, sub-queries and `TABLE(name)`.

use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, TableFactor,
    TableFunctionArgs, Value as SqlValue,
};
use lookalike_core::{Error, ParamKind};

use super::constant::to_literal;
use super::files::{look_by_name, with_files};
use super::udtf::{TABLE_BY_NAME, relation_options, require_relations, role};
use crate::error::engine_error;
use crate::function::TableFunction;
use crate::functions::function;
use crate::node::LookalikeNode;

/// Plans calls of the registry's table functions; leaves everything else to the engine.
#[derive(Debug)]
pub(crate) struct FunctionPlanner;

impl RelationPlanner for FunctionPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (called, lateral) = match &relation {
            TableFactor::Table { name, args: Some(_), .. } => (called(name), false),
            TableFactor::Function { name, lateral, .. } => (called(name), *lateral),
            _ => (None, false),
        };
        let Some((function, qualified)) = called else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let place = |e: Error| engine_error(e.within(function.name().to_uppercase()));
        if qualified {
            return Err(place(Error::argument(format!("a function has no schema: write {}(...)", function.name()))));
        }
        if matches!(relation, TableFactor::Table { sample: Some(_), .. }) {
            return Err(place(Error::argument(
                "TABLESAMPLE is not supported: sample the relation that goes in, or filter what comes out",
            )));
        }
        if lateral {
            return Err(place(Error::argument(
                "LATERAL is not supported: the function reads whole relations, not one row after another",
            )));
        }
        let (args, alias) = match relation {
            TableFactor::Table { args: Some(TableFunctionArgs { args, .. }), alias, .. } => (args, alias),
            TableFactor::Function { args, alias, .. } => (args, alias),
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        let plan = plan_call(function, args, context)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// The function that a name calls, and whether the name has a schema before it.
fn called(name: &ObjectName) -> Option<(&'static dyn TableFunction, bool)> {
    let called = name.0.last()?.as_ident().and_then(|ident| function(&ident.value.to_lowercase()))?;
    Some((called, name.0.len() > 1))
}

/// The error with the function and the argument that it comes from.
fn located(error: DataFusionError, function: &dyn TableFunction, argument: &str) -> DataFusionError {
    let place = format!("{}, {argument}", function.name().to_uppercase());
    match error {
        DataFusionError::Plan(message) => DataFusionError::Plan(format!("{place}: {message}")),
        other => other.context(place),
    }
}

fn plan_call(
    function: &'static dyn TableFunction,
    args: Vec<FunctionArg>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let place = |e: Error| engine_error(e.within(function.name().to_uppercase()));
    let specs = function.options();
    let mut inputs: Vec<(String, LogicalPlan)> = Vec::new();
    let mut from_options: Vec<(String, LogicalPlan)> = Vec::new();
    let mut options: Vec<(String, Expr)> = Vec::new();
    // Options that came without a name.
    let mut unnamed = 0;
    for (i, arg) in args.into_iter().enumerate() {
        let (name, arg) = match arg {
            FunctionArg::Unnamed(arg) => (None, arg),
            FunctionArg::Named { name, arg, .. } => (Some(name.value.to_lowercase()), arg),
            FunctionArg::ExprNamed { name: SqlExpr::Identifier(name), arg, .. } => {
                (Some(name.value.to_lowercase()), arg)
            }
            FunctionArg::ExprNamed { name, .. } => {
                return Err(place(Error::argument(format!("'{name}' is not an option's name"))));
            }
        };
        let FunctionArgExpr::Expr(arg) = arg else {
            return Err(place(Error::argument(format!("{arg} is neither a relation nor an option"))));
        };
        let Some(name) = name else {
            if let (0, Some(name)) = (i, function.unnamed()) {
                plan_option(function, name.to_string(), arg, &mut options, &mut from_options, context)?;
                unnamed = 1;
                continue;
            }
            if options.len() > unnamed {
                return Err(place(Error::argument(format!(
                    "the relation {arg} comes after options: relations come first"
                ))));
            }
            // A struct in the last place is the plain front's way of giving options: both fronts read it.
            if let SqlExpr::Dictionary(fields) = arg {
                for field in fields {
                    let name = field.key.value.to_lowercase();
                    plan_option(function, name, *field.value, &mut options, &mut from_options, context)?;
                }
                continue;
            }
            let role = role(function, inputs.len()).map_err(|e| place(explain_stray(e, &arg)))?;
            let plan = plan_argument(arg, context).map_err(|e| located(e, function, &format!("relation '{role}'")))?;
            inputs.push((role, plan));
            continue;
        };
        if !specs.iter().any(|s| s.name == name)
            && let Some(i) = function.relations().iter().position(|r| r.name == name)
        {
            // Relations may be named as well, in their order.
            if i != inputs.len() {
                return Err(place(Error::argument(format!("the relation '{name}' is argument {}", i + 1))));
            }
            let plan = plan_argument(arg, context).map_err(|e| located(e, function, &format!("relation '{name}'")))?;
            inputs.push((name, plan));
            continue;
        }
        plan_option(function, name, arg, &mut options, &mut from_options, context)?;
    }
    require_relations(function, inputs.len()).map_err(place)?;
    inputs.extend(from_options);
    let look = |path: &str, usage| look_by_name(context.context_provider(), path, usage);
    let options = with_files(function, options, look).map_err(|e| super::udtf::located(e, function))?;
    Ok(LookalikeNode::try_new(function, options, inputs)?.into_plan())
}

fn explain_stray(error: Error, arg: &SqlExpr) -> Error {
    Error::argument(format!("{} (found {arg})", error.message()))
}

fn plan_option(
    function: &'static dyn TableFunction,
    name: String,
    arg: SqlExpr,
    options: &mut Vec<(String, Expr)>,
    inputs: &mut Vec<(String, LogicalPlan)>,
    context: &mut dyn RelationPlannerContext,
) -> Result<()> {
    let place = |e: Error| engine_error(e.within(function.name().to_uppercase()));
    let kind = function.options().iter().find(|s| s.name == name).map(|s| s.kind);
    match (kind, arg) {
        (Some(ParamKind::Relation), arg) => {
            let text = arg.to_string();
            let plan = plan_argument(arg, context).map_err(|e| located(e, function, &format!("option '{name}'")))?;
            inputs.push((name.clone(), plan));
            options.push((name, lit(text)));
        }
        (kind, SqlExpr::Identifier(ident)) if ident.quote_style.is_none_or(|q| q == '"') => {
            let way_out = match kind {
                Some(kind @ (ParamKind::Bool | ParamKind::Int { .. } | ParamKind::Float { .. })) => {
                    format!("allowed is {}", kind.range())
                }
                _ => format!("write strings in single quotes, {name} => '{}'", ident.value),
            };
            return Err(place(Error::argument(format!("option '{name}' is the name {ident}: {way_out}"))));
        }
        (kind, arg) => {
            let text = arg.to_string();
            let expr = context.sql_to_expr(arg, &DFSchema::empty()).map_err(|e| match e.find_root() {
                DataFusionError::SchemaError(..) => {
                    let allowed = kind.map_or(String::new(), |k| format!("; allowed is {}", k.range()));
                    place(Error::argument(format!(
                        "option '{name}' is {text}, which holds a name outside of single quotes{allowed}"
                    )))
                }
                _ => located(e, function, &format!("option '{name}'")),
            })?;
            if kind == Some(ParamKind::Relations) {
                let value = super::constant::constant(&name, expr, &function.options()).map_err(place)?.1;
                if let Some(value) = value {
                    for (role, table) in relation_options(function, &name, &value).map_err(place)? {
                        let plan = plan_string(&table, context)
                            .map_err(|e| located(e, function, &format!("option '{name}'")))?;
                        inputs.push((role, plan));
                    }
                    options.push((name, to_literal(&value)?));
                }
            } else {
                options.push((name, expr));
            }
        }
    }
    Ok(())
}

/// Plans a relation argument.
fn plan_argument(arg: SqlExpr, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    match arg {
        SqlExpr::Nested(inner) => plan_argument(*inner, context),
        SqlExpr::Subquery(query) => {
            context.plan(TableFactor::Derived { lateral: false, subquery: query, alias: None, sample: None })
        }
        SqlExpr::Identifier(ident) => plan_name(vec![ident], context),
        SqlExpr::CompoundIdentifier(idents) => plan_name(idents, context),
        SqlExpr::Value(value) => match value.value {
            SqlValue::SingleQuotedString(name) | SqlValue::DoubleQuotedString(name) => plan_string(&name, context),
            other => Err(engine_error(not_a_relation(&other.to_string()))),
        },
        SqlExpr::Function(call) => {
            let args = match call.args {
                FunctionArguments::List(list) => list.args,
                FunctionArguments::Subquery(query) => {
                    return plan_argument(SqlExpr::Subquery(query), context);
                }
                FunctionArguments::None => vec![],
            };
            if call.name.to_string().eq_ignore_ascii_case("values") {
                return Err(engine_error(Error::argument(
                    "VALUES in parentheses reads as a call of a function: write (SELECT * FROM (VALUES ...))",
                )));
            }
            let is_table = call.name.to_string().eq_ignore_ascii_case("table");
            match <[FunctionArg; 1]>::try_from(args) {
                Ok([FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))]) if is_table => plan_argument(inner, context),
                Ok([arg]) => context.plan(table_factor(call.name, Some(vec![arg]))),
                Err(args) => context.plan(table_factor(call.name, Some(args))),
            }
        }
        other => Err(engine_error(not_a_relation(&other.to_string()))),
    }
}

/// A table, or a call of a table function, as the planner takes it.
fn table_factor(name: ObjectName, args: Option<Vec<FunctionArg>>) -> TableFactor {
    TableFactor::Table {
        name,
        alias: None,
        args: args.map(|args| TableFunctionArgs { args, settings: None }),
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

fn not_a_relation(found: &str) -> Error {
    Error::argument(format!(
        "{found} is not a relation: name a table, view or CTE, write a sub-query in parentheses, TABLE(name), or a string \
         holding a table name"
    ))
}

/// A CTE or a table that the statement mentions elsewhere is known to the planner; any other name is looked up in the
/// session through the internal table function.
fn plan_name(idents: Vec<Ident>, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let normalized: Vec<String> = idents.iter().map(|i| context.normalize_ident(i.clone())).collect();
    let known = context.plan(table_factor(ObjectName::from(idents), None));
    if known.is_ok() {
        return known;
    }
    let quoted: Vec<String> = normalized.iter().map(|n| format!("\"{}\"", n.replace('"', "\"\""))).collect();
    let source = context.context_provider().get_table_function_source(TABLE_BY_NAME, vec![lit(quoted.join("."))])?;
    LogicalPlanBuilder::scan(normalized.join("."), source, None)?.build()
}

fn plan_string(name: &str, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let parsed = datafusion::common::TableReference::parse_str(name);
    if !name.contains('/')
        && let Ok(plan) = plan_name(parsed.to_vec().into_iter().map(|p| Ident::with_quote('"', p)).collect(), context)
    {
        return Ok(plan);
    }
    let source = context.context_provider().get_table_function_source(TABLE_BY_NAME, vec![lit(name)])?;
    LogicalPlanBuilder::scan(name, source, None)?.build()
}
