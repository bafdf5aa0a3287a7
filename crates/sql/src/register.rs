//! Registration on a session, live or under construction.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunction as EngineTableFunction};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use datafusion::prelude::SessionContext;
use lookalike_core::{Value, fresh_seed};

use crate::aggregates::aggregates;
use crate::exec::LookalikeExec;
use crate::front::files::{FILE_BY_NAME, FileByName};
use crate::front::relation::FunctionPlanner;
use crate::front::udtf::{PlainFunction, TABLE_BY_NAME, TableByName};
use crate::function::FRESH_SEED;
use crate::functions::FUNCTIONS;
use crate::node::LookalikeNode;
use crate::scalars::{resolve_tables, scalars};
use crate::settings::Settings;

/// Registers every function on a live session. Registering twice changes nothing. Statements prepared before are lost,
/// because the session's state is rebuilt in place.
pub fn register_all(ctx: &SessionContext) -> Result<()> {
    let state_ref = ctx.state_ref();
    let mut state = state_ref.write();
    let id = state.session_id().to_string();
    let builder = SessionStateBuilder::new_from_existing(state.clone()).with_session_id(id);
    *state = configure(builder).build();
    Ok(())
}

/// Adds every function to a state under construction. Applying it twice changes nothing.
pub fn configure(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    Settings::add_to(builder.config().get_or_insert_default());
    let tables = builder.table_functions().get_or_insert_default();
    for &function in FUNCTIONS {
        let name = function.name().to_string();
        let plain = EngineTableFunction::new(name.clone(), Arc::new(PlainFunction(function)));
        tables.insert(name, Arc::new(plain));
    }
    let by_name = EngineTableFunction::new(TABLE_BY_NAME.to_string(), Arc::new(TableByName));
    tables.insert(TABLE_BY_NAME.to_string(), Arc::new(by_name));
    let by_name = EngineTableFunction::new(FILE_BY_NAME.to_string(), Arc::new(FileByName));
    tables.insert(FILE_BY_NAME.to_string(), Arc::new(by_name));

    let planners = builder.relation_planners().get_or_insert_default();
    if !planners.iter().any(|p| format!("{p:?}") == format!("{FunctionPlanner:?}")) {
        planners.insert(0, Arc::new(FunctionPlanner));
    }
    let ours = aggregates();
    let udafs = builder.aggregate_functions().get_or_insert_default();
    udafs.retain(|existing| ours.iter().all(|a| a.name() != existing.name()));
    udafs.extend(ours);
    let ours = scalars();
    let udfs = builder.scalar_functions().get_or_insert_default();
    udfs.retain(|existing| ours.iter().all(|s| s.name() != existing.name()));
    udfs.extend(ours);

    let inner = builder.query_planner().take();
    let planner = match inner {
        Some(inner) if (inner.as_ref() as &dyn std::any::Any).is::<LookalikeQueryPlanner>() => inner,
        // The engine's own planner has a private type; ours plans the same and our nodes as well.
        Some(inner) if !format!("{inner:?}").starts_with("DefaultQueryPlanner") => {
            Arc::new(LookalikeQueryPlanner { inner: Some(inner) })
        }
        _ => Arc::new(LookalikeQueryPlanner { inner: None }),
    };
    crate::whole_writes::add(builder.with_query_planner(planner))
}

/// Plans our nodes besides the engine's; a foreign planner gets plans in which our nodes are tables.
#[derive(Debug)]
struct LookalikeQueryPlanner {
    inner: Option<Arc<dyn QueryPlanner + Send + Sync>>,
}

#[async_trait]
impl QueryPlanner for LookalikeQueryPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let resolved = resolve_tables(plan, session).await?;
        let plan = resolved.as_ref().unwrap_or(plan);
        match &self.inner {
            Some(inner) => inner.create_physical_plan(&crate::lower::lower(plan)?, session).await,
            None => {
                let planner =
                    DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(LookalikeExtensionPlanner)]);
                planner.create_physical_plan(plan, session).await
            }
        }
    }
}

/// Turns our logical nodes into operators, for embedders with a physical planner of their own.
#[derive(Debug, Default)]
pub struct LookalikeExtensionPlanner;

#[async_trait]
impl ExtensionPlanner for LookalikeExtensionPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match node.as_any().downcast_ref::<LookalikeNode>() {
            Some(node) => Ok(Some(plan_node(node, inputs.to_vec(), session)?)),
            None => Ok(None),
        }
    }
}

/// The operator of a node over planned inputs. A call without seed gets a fresh one here, once, so that all partitions
/// and all workers share it.
pub(crate) fn plan_node(
    node: &LookalikeNode,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    session: &dyn Session,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut options = node.values()?;
    let takes_seed = node.function().options().iter().any(|s| s.name == "seed");
    if takes_seed && !options.iter().any(|(name, value)| name == "seed" && *value != Value::Null) {
        options.retain(|(name, _)| name != "seed");
        options.push(("seed".into(), Value::Int((fresh_seed() >> 1) as i64)));
        if node.function().planned().contains(&FRESH_SEED) {
            options.push((FRESH_SEED.name.into(), Value::Bool(true)));
        }
    }
    let inputs = node.roles().into_iter().zip(inputs).collect();
    let partitions = session.config().target_partitions();
    Ok(Arc::new(LookalikeExec::try_new(node.function(), options, inputs, partitions, None)?))
}
