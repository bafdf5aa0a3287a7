//! The operator of every table function: reads its inputs completely, computes once, streams the result out in chunks.

mod gather;
mod host;
mod kept;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties, SendableRecordBatchStream,
};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use lookalike_core::{Error, Options, Value};

use crate::error::engine_error;
use crate::function::{Call, Operation, Output, TableFunction, all_options};
pub(crate) use gather::encode_together;
use host::{CancelOnDrop, Host};
pub(crate) use kept::Kept;

/// A result and the surroundings it was made in, whose memory it holds.
struct Ready {
    output: Arc<dyn Output>,
    host: Arc<Host>,
}

type Running = Shared<BoxFuture<'static, Result<Arc<Ready>, Arc<DataFusionError>>>>;

/// A call of a table function in a physical plan.
pub struct LookalikeExec {
    function: &'static dyn TableFunction,
    options: Vec<(String, Value)>,
    roles: Vec<String>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    operation: Arc<dyn Operation>,
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// The computation that the partitions share, and how many of them still have to ask for it.
    running: Mutex<(Option<Running>, usize)>,
}

impl LookalikeExec {
    /// Checks a call whose options are all known and makes its operator with `partitions` output partitions.
    pub fn try_new(
        function: &'static dyn TableFunction,
        options: Vec<(String, Value)>,
        inputs: Vec<(String, Arc<dyn ExecutionPlan>)>,
        partitions: usize,
        fetch: Option<usize>,
    ) -> Result<Self> {
        let place = |e: Error| engine_error(e.within(function.name().to_uppercase()));
        let call = Call {
            options: Options::check(&all_options(function), &options).map_err(place)?,
            inputs: inputs.iter().map(|(role, input)| (role.clone(), input.schema())).collect(),
        };
        if let Some((role, _)) = inputs.iter().find(|(_, i)| i.properties().boundedness.is_unbounded()) {
            return Err(place(Error::argument(format!("the relation '{role}' never ends: read a bounded one"))));
        }
        let schema = function.schema(&call).map_err(place)?;
        let operation = function.operation(&call).map_err(place)?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions.max(1)),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let (roles, inputs) = inputs.into_iter().unzip();
        Ok(Self {
            function,
            options,
            roles,
            inputs,
            operation,
            fetch,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            running: Mutex::new((None, 0)),
        })
    }

    /// The function called.
    pub fn function(&self) -> &'static dyn TableFunction {
        self.function
    }

    /// Options of the call, the seed among them.
    pub fn options(&self) -> &[(String, Value)] {
        &self.options
    }

    /// Roles of the inputs, in order.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    fn partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }

    fn rebuild(&self, inputs: Vec<Arc<dyn ExecutionPlan>>, fetch: Option<usize>) -> Result<Self> {
        let inputs = self.roles.iter().cloned().zip(inputs).collect();
        Self::try_new(self.function, self.options.clone(), inputs, self.partitions(), fetch)
    }

    /// The shared computation: started by the first partition that asks, kept here until all have asked, and stopped
    /// when the last of their streams is dropped.
    fn running(&self, context: &Arc<TaskContext>) -> Result<Running> {
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let running = match slot.0.take() {
            Some(running) => running,
            None => {
                slot.1 = self.partitions();
                self.start(context)?.map(|r| r.map(Arc::new).map_err(Arc::new)).boxed().shared()
            }
        };
        slot.1 -= 1;
        slot.0 = (slot.1 > 0).then(|| running.clone());
        Ok(running)
    }

    fn start(&self, context: &Arc<TaskContext>) -> Result<impl Future<Output = Result<Ready>> + use<>> {
        let function = self.function.name().to_uppercase();
        let host = Arc::new(Host::new(&function, &self.metrics, context));
        let operation = Arc::clone(&self.operation);
        let streams = gather::start(&function, &self.roles, &self.inputs, operation.wants(), &host, context)?;
        Ok(async move {
            let guard = CancelOnDrop::new(host.cancel());
            let inputs = streams.finish().await?;
            let job = host.job(host.cancel());
            let timer = host.time("compute_time");
            let output = SpawnedTask::spawn_blocking(move || {
                let _timer = timer.timer();
                operation.run(inputs, &job)
            })
            .join()
            .await
            .map_err(|e| DataFusionError::Internal(format!("{function} panicked: {e}")))?
            .map_err(|e| engine_error(e.within(&function)))?;
            guard.disarm();
            host.finish_progress();
            Ok(Ready { output, host })
        })
    }
}

impl fmt::Debug for LookalikeExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookalikeExec")
            .field("function", &self.function.name())
            .field("options", &self.options)
            .field("roles", &self.roles)
            .field("inputs", &self.inputs)
            .field("fetch", &self.fetch)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for LookalikeExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_shown = |name: &str| self.function.planned().iter().all(|p| p.name != name);
        let shown = || self.options.iter().filter(|(name, _)| is_shown(name));
        let options: Vec<String> = shown().map(|(name, value)| format!("{name} => {value}")).collect();
        match t {
            DisplayFormatType::TreeRender => {
                writeln!(f, "function={}", self.function.name())?;
                for (name, value) in shown() {
                    writeln!(f, "{name}={value}")?;
                }
            }
            _ => {
                write!(f, "LookalikeExec: {}({})", self.function.name(), self.roles.join(", "))?;
                if !options.is_empty() {
                    write!(f, ", {}", options.join(", "))?;
                }
                if let Some(fetch) = self.fetch {
                    write!(f, ", fetch={fetch}")?;
                }
            }
        }
        Ok(())
    }
}

impl ExecutionPlan for LookalikeExec {
    fn name(&self) -> &'static str {
        "LookalikeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::UnspecifiedDistribution; self.inputs.len()])
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.rebuild(children, self.fetch)?))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let running = self.running(&context)?;
        let (partitions, fetch) = (self.partitions() as u64, self.fetch.map(|f| f as u64));
        let batch_size = context.session_config().batch_size();
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let function = self.function.name().to_uppercase();
        let batches = async move {
            let ready = running.await.map_err(DataFusionError::Shared)?;
            let chunks = ready.output.chunks();
            let guard = CancelOnDrop::new(Arc::default());
            let stream = stream::iter((partition as u64..chunks).step_by(partitions as usize))
                .take_while({
                    let ready = Arc::clone(&ready);
                    move |&chunk| {
                        let wanted = fetch.is_none_or(|f| ready.output.start(chunk) < f);
                        async move { wanted }
                    }
                })
                .then(move |chunk| {
                    let (ready, baseline, function) = (Arc::clone(&ready), baseline.clone(), function.clone());
                    let job = ready.host.job(guard.flag());
                    async move {
                        let task = SpawnedTask::spawn_blocking(move || {
                            let _timer = baseline.elapsed_compute().timer();
                            let batch = ready.output.chunk(chunk, &job)?;
                            Ok(within_fetch(batch, ready.output.start(chunk), fetch).record_output(&baseline))
                        });
                        task.join()
                            .await
                            .map_err(|e| DataFusionError::Internal(format!("{function} panicked: {e}")))?
                            .map_err(|e: Error| engine_error(e.within(&function)))
                    }
                })
                .map_ok(move |batch| stream::iter(slices(batch, batch_size).into_iter().map(Ok)))
                .try_flatten();
            Ok::<_, DataFusionError>(stream)
        };
        let stream = stream::once(batches).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        // The limit cuts the result at a row number, so that the rows are the same at any number of partitions.
        self.rebuild(self.inputs.clone(), limit).ok().map(|exec| Arc::new(exec) as _)
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }
}

/// The part of a chunk that lies before row `fetch` of the result.
fn within_fetch(batch: RecordBatch, start: u64, fetch: Option<u64>) -> RecordBatch {
    match fetch {
        Some(fetch) if start + batch.num_rows() as u64 > fetch => batch.slice(0, fetch.saturating_sub(start) as usize),
        _ => batch,
    }
}

fn slices(batch: RecordBatch, batch_size: usize) -> Vec<RecordBatch> {
    (0..batch.num_rows())
        .step_by(batch_size.max(1))
        .map(|start| batch.slice(start, batch_size.min(batch.num_rows() - start)))
        .collect()
}

/// Downcast used by the codec.
pub(crate) fn as_lookalike(plan: &dyn ExecutionPlan) -> Option<&LookalikeExec> {
    (plan as &dyn Any).downcast_ref()
}
