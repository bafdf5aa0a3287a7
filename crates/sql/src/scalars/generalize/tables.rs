//! Tables that calls of generalize() name: read while the query is planned, and part of the plan from then on.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::collect;
use lookalike_anonymize::{Levels, Rule};
use serde::{Deserialize, Serialize};

use super::{Generalize, NAME, check_level, place};
use crate::front::udtf::scan;
use crate::functions::hierarchies;

/// A table of generalisations in memory.
#[derive(Debug)]
pub(crate) struct Table {
    /// As the call names it.
    pub name: String,
    pub levels: Levels,
    _memory: Option<MemoryReservation>,
}

/// A table and the type of the values that are looked up in it.
type Wanted = (String, DataType);

/// The plan with the table in every call that names one; nothing for a plan without such calls. Names are those of the
/// session's tables, as this comes after the planner that knows WITH.
pub(crate) async fn resolve(plan: &LogicalPlan, session: &dyn Session) -> Result<Option<LogicalPlan>> {
    let mut tables: HashMap<Wanted, Option<Arc<Table>>> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Some(wanted) = wanted(expr, || input_schema(node))? {
                    tables.insert(wanted, None);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if tables.is_empty() {
        return Ok(None);
    }
    for ((name, data_type), table) in &mut tables {
        *table = Some(Arc::new(load(name, data_type, session).await?));
    }
    let resolved = plan.clone().transform_up_with_subqueries(|node| {
        let schema = input_schema(&node)?;
        node.map_expressions(|expr| {
            expr.transform_up(|expr| {
                let Some(table) = wanted(&expr, || Ok(schema.clone()))?.and_then(|w| tables.get(&w).cloned().flatten())
                else {
                    return Ok(Transformed::no(expr));
                };
                let Expr::ScalarFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
                if let Some(Expr::Literal(ScalarValue::Int64(Some(level)), _)) = call.args.get(2) {
                    check_level(*level, Some(table.levels.height()), &format!("table '{}'", table.name))?;
                }
                call.func = Arc::new(ScalarUDF::from(Generalize::with_table(table)));
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            })
        })
    })?;
    Ok(Some(resolved.data))
}

/// What the expressions of a node refer to.
fn input_schema(node: &LogicalPlan) -> Result<DFSchema> {
    match node {
        LogicalPlan::TableScan(scan) => {
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())
        }
        node => Ok(merge_schema(&node.inputs())),
    }
}

/// The table that an expression names, if it is a call that needs one. `schema` is what the expression refers to: most
/// plans have no such call and are not asked for it.
fn wanted(expr: &Expr, schema: impl FnOnce() -> Result<DFSchema>) -> Result<Option<Wanted>> {
    let Expr::ScalarFunction(call) = expr else { return Ok(None) };
    let function = (call.func.inner().as_ref() as &dyn Any).downcast_ref::<Generalize>();
    if function.is_none_or(|f| f.table.is_some()) {
        return Ok(None);
    }
    let (Some(value), Some(Expr::Literal(hierarchy, _))) = (call.args.first(), call.args.get(1)) else {
        return Ok(None);
    };
    match hierarchy.try_as_str().flatten().filter(|name| !Rule::is_meant(name)) {
        Some(name) => Ok(Some((name.to_string(), value.get_type(&schema()?)?))),
        None => Ok(None),
    }
}

async fn load(name: &str, data_type: &DataType, session: &dyn Session) -> Result<Table> {
    let scan = scan(session, name).map_err(|e| match e {
        DataFusionError::Plan(message) => DataFusionError::Plan(format!(
            "{NAME}, hierarchy '{name}': {message}; it is a rule such as 'widths(5, 10)', or a table or view of the \
             session: a query of WITH is not seen here"
        )),
        other => other.context(format!("{NAME}, hierarchy '{name}'")),
    })?;
    let rows = collect(session.create_physical_plan(&scan).await?, session.task_ctx()).await?;
    let levels = hierarchies::levels(&format!("the table '{name}'"), data_type, &rows).map_err(place)?;
    let memory =
        MemoryConsumer::new(format!("{NAME}, hierarchy '{name}'")).register(&session.runtime_env().memory_pool);
    memory.try_grow(levels.memory())?;
    Ok(Table { name: name.to_string(), levels, _memory: Some(memory) })
}

/// A table as it travels with a plan.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    hierarchy: String,
    levels: Vec<Vec<Option<String>>>,
}

/// Writes the table of a function that has one; other functions are known by name alone and write nothing.
pub(crate) fn encode(function: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
    let function = (function.inner().as_ref() as &dyn Any).downcast_ref::<Generalize>();
    let Some(table) = function.and_then(|f| f.table.as_ref()) else { return Ok(()) };
    let encoded = Encoded { hierarchy: table.name.clone(), levels: table.levels.table() };
    serde_json::to_writer(buf, &encoded).map_err(|e| DataFusionError::External(Box::new(e)))
}

/// The function of what [`encode`] wrote.
pub(crate) fn decode(name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
    if name != NAME {
        return Err(DataFusionError::NotImplemented(format!("{name} is not a function of Lookalike")));
    }
    let encoded: Encoded = serde_json::from_slice(buf)
        .map_err(|e| DataFusionError::Plan(format!("{NAME}: this is no hierarchy, or of another version: {e}")))?;
    let place_of = format!("the table '{}'", encoded.hierarchy);
    let levels = Levels::from_levels(&place_of, &encoded.levels).map_err(place)?;
    let table = Table { name: encoded.hierarchy, levels, _memory: None };
    Ok(Arc::new(ScalarUDF::from(Generalize::with_table(Arc::new(table)))))
}
