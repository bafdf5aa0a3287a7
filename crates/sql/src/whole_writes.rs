//! COPY and INSERT write everything or nothing.
//!
//! The engine's file sinks read their input through channels and take the end of a channel for the end of the data. When
//! the query fails half-way the channels close as well, so the sinks complete the upload first and report the error
//! afterwards: a valid file with some of the rows stands under the final name. Here the sink never sees the failing
//! stream end: the error goes past it, and dropping the unfinished write gives the upload up.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::proto::ExecutionPlanEncodeCtx;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::StreamExt;
use tokio::sync::oneshot;

/// Adds the rule to a state under construction, once.
pub(crate) fn add(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let optimizer = builder.physical_optimizers().get_or_insert_with(PhysicalOptimizer::new);
    if optimizer.rules.iter().all(|rule| rule.name() != WholeWrites.name()) {
        optimizer.rules.push(Arc::new(WholeWrites));
    }
    builder
}

/// Puts a [`WholeSink`] around every sink of a plan.
#[derive(Debug)]
struct WholeWrites;

impl PhysicalOptimizerRule for WholeWrites {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(exec) = node.downcast_ref::<DataSinkExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some(sink) = WholeSink::around(&node, exec) else {
                return Ok(Transformed::no(node));
            };
            let input = Arc::clone(exec.input());
            Ok(Transformed::yes(Arc::new(DataSinkExec::new(input, sink, exec.sort_order().clone()))))
        })
        .data()
    }

    fn name(&self) -> &str {
        "lookalike_whole_writes"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A sink whose write is given up when its input fails.
struct WholeSink {
    /// The operator that owns the engine's sink, which is only lent out by reference.
    owner: Arc<dyn ExecutionPlan>,
}

impl WholeSink {
    fn around(owner: &Arc<dyn ExecutionPlan>, exec: &DataSinkExec) -> Option<Arc<dyn DataSink>> {
        (!exec.sink().is::<WholeSink>()).then(|| Arc::new(Self { owner: Arc::clone(owner) }) as Arc<dyn DataSink>)
    }

    fn inner(&self) -> &dyn DataSink {
        let exec = self.owner.downcast_ref::<DataSinkExec>().expect("made from a DataSinkExec only");
        exec.sink()
    }
}

#[async_trait]
impl DataSink for WholeSink {
    fn metrics(&self) -> Option<MetricsSet> {
        self.inner().metrics()
    }

    fn schema(&self) -> &SchemaRef {
        self.inner().schema()
    }

    async fn write_all(&self, data: SendableRecordBatchStream, context: &Arc<TaskContext>) -> Result<u64> {
        let (tell, failed) = oneshot::channel();
        let data = without_failing_end(data, tell);
        tokio::select! {
            biased;
            // A stream that ends well drops its sender, which switches this branch off.
            Ok(error) = failed => Err(error),
            written = self.inner().write_all(data, context) => written,
        }
    }

    fn try_to_proto(&self, exec: &DataSinkExec, ctx: &ExecutionPlanEncodeCtx<'_>) -> Result<Option<PhysicalPlanNode>> {
        self.inner().try_to_proto(exec, ctx)
    }
}

/// The same batches; instead of an error the stream says it to `tell` and then stays pending for good.
fn without_failing_end(
    mut data: SendableRecordBatchStream,
    tell: oneshot::Sender<DataFusionError>,
) -> SendableRecordBatchStream {
    let schema = data.schema();
    let mut tell = Some(tell);
    let batches = futures::stream::poll_fn(move |cx| match data.poll_next_unpin(cx) {
        _ if tell.is_none() => Poll::Pending,
        Poll::Ready(Some(Err(error))) => {
            // Nobody listens once the write has been given up for another reason.
            let _ = tell.take().map(|tell| tell.send(error));
            Poll::Pending
        }
        other => other,
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

impl fmt::Debug for WholeSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.inner(), f)
    }
}

impl DisplayAs for WholeSink {
    fn fmt_as(&self, form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner().fmt_as(form, f)
    }
}
