//! For query planners that know only the engine's own nodes: our nodes become table scans that plan themselves.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;

use crate::node::LookalikeNode;
use crate::register::plan_node;

/// The plan with each of our nodes replaced by a scan of a table that stands for it.
pub(crate) fn lower(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let lowered = plan.clone().transform_up_with_subqueries(|plan| {
        let LogicalPlan::Extension(extension) = &plan else { return Ok(Transformed::no(plan)) };
        let Some(node) = extension.node.as_any().downcast_ref::<LookalikeNode>() else {
            return Ok(Transformed::no(plan));
        };
        let table = Arc::new(LoweredTable { schema: Arc::new(node.schema().as_arrow().clone()), node: node.clone() });
        // Named like the function, the scan qualifies its columns as the node does.
        let scan = LogicalPlanBuilder::scan(node.name(), provider_as_source(table), None)?;
        Ok(Transformed::yes(scan.build()?))
    })?;
    Ok(lowered.data)
}

#[derive(Debug)]
struct LoweredTable {
    node: LookalikeNode,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for LoweredTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut inputs = Vec::new();
        for input in self.node.inputs() {
            inputs.push(session.create_physical_plan(input).await?);
        }
        let exec = plan_node(&self.node, inputs, session)?;
        let Some(projection) = projection else { return Ok(exec) };
        let columns = projection
            .iter()
            .map(|&i| {
                let name = self.schema.field(i).name();
                Ok((col(name, &self.schema)?, name.clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(columns, exec)?))
    }
}
