//! Connects a job to the engine: cancellation, memory pool, metrics and progress.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation, human_readable_size};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, Time};
use lookalike_core::{Error, Job, Result, Scratch, Training};
use tokio::runtime::Handle;

use crate::files;
use crate::progress::Progress;

/// Surroundings of one execution of an operator.
pub(crate) struct Host {
    function: String,
    cancel: Arc<AtomicBool>,
    memory: MemoryReservation,
    limit: MemoryLimit,
    runtime: Arc<RuntimeEnv>,
    peak: Gauge,
    metrics: ExecutionPlanMetricsSet,
    counters: Mutex<HashMap<&'static str, Count>>,
    progress: Option<Arc<Progress>>,
}

impl Host {
    pub fn new(function: &str, metrics: &ExecutionPlanMetricsSet, context: &TaskContext) -> Self {
        Self {
            function: function.to_string(),
            cancel: Arc::default(),
            memory: MemoryConsumer::new(function).register(context.memory_pool()),
            limit: context.memory_pool().memory_limit(),
            runtime: context.runtime_env(),
            peak: MetricBuilder::new(metrics).global_gauge("peak_memory_bytes"),
            metrics: metrics.clone(),
            counters: Mutex::default(),
            progress: context.session_config().get_extension::<Progress>(),
        }
    }

    /// The flag that stops the shared computation.
    pub fn cancel(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// A job that the given flag stops.
    pub fn job(self: &Arc<Self>, cancel: Arc<AtomicBool>) -> Job {
        Job::new(Arc::new(JobHost { host: Arc::clone(self), cancel }))
    }

    /// Whether so much of the memory is held that the rest may be needed for working on it.
    pub fn is_crowded(&self) -> bool {
        match self.limit {
            MemoryLimit::Finite(limit) => self.memory.size() > limit / 2,
            _ => false,
        }
    }

    /// Bytes of rows that are written to disk at a time: little of the memory, because what the writing takes on top is not
    /// reserved.
    pub fn piece(&self) -> usize {
        const LARGEST: usize = 32 << 20;
        match self.limit {
            MemoryLimit::Finite(limit) => (limit / 16).clamp(1 << 20, LARGEST),
            _ => LARGEST,
        }
    }

    /// A named time metric.
    pub fn time(&self, name: &'static str) -> Time {
        MetricBuilder::new(&self.metrics).subset_time(name, 0)
    }

    /// Tells the sink that nothing more will come.
    pub fn finish_progress(&self) {
        if let Some(progress) = &self.progress {
            progress.0.finish();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.finish_progress();
    }
}

struct JobHost {
    host: Arc<Host>,
    cancel: Arc<AtomicBool>,
}

/// Waits for a store on a thread that computes; the engine runs those inside its runtime.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Handle::try_current().map_err(|e| Error::internal(format!("files are out of reach here: {e}")))?;
    runtime.block_on(work)
}

impl lookalike_core::Host for JobHost {
    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn grow(&self, bytes: usize, purpose: &str) -> Result<()> {
        let memory = &self.host.memory;
        memory.try_grow(bytes).map_err(|_| {
            Error::resources(format!(
                "{} more are needed for {purpose}, {} are held and the memory limit does not allow them: raise the limit \
                 (datafusion.runtime.memory_limit), select fewer columns or fewer rows",
                human_readable_size(bytes),
                human_readable_size(memory.size()),
            ))
        })?;
        self.host.peak.set_max(memory.size());
        Ok(())
    }

    fn shrink(&self, bytes: usize) {
        self.host.memory.shrink(bytes.min(self.host.memory.size()));
    }

    fn count(&self, counter: &'static str, n: usize) {
        let mut counters = self.host.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters
            .entry(counter)
            .or_insert_with(|| MetricBuilder::new(&self.host.metrics).global_counter(counter))
            .add(n);
    }

    fn scratch(&self, purpose: &str) -> Result<Scratch> {
        let file =
            self.host.runtime.disk_manager.create_tmp_file(purpose).map_err(|e| Error::resources(e.to_string()))?;
        let path = file.path().map(std::path::Path::to_path_buf).ok_or_else(|| {
            Error::resources(format!("{purpose}: temporary files of this session have no path to write to"))
        })?;
        Ok(Scratch::new(path, Box::new(file)))
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        wait(files::read(&self.host.runtime, path))
    }

    fn write_file(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        wait(files::write(&self.host.runtime, path, bytes))
    }

    fn progress(&self, phase: &'static str, done: u64, total: u64) {
        if let Some(progress) = &self.host.progress {
            progress.0.update(phase, done, total);
        }
    }

    fn training(&self, state: &Training) {
        if let Some(progress) = &self.host.progress {
            progress.0.training(state);
        }
    }

    fn warn(&self, message: &str) {
        if let Some(progress) = &self.host.progress {
            progress.0.warn(&format!("{}: {message}", self.host.function));
        }
    }
}

/// Sets a flag when dropped: work on other threads looks at it and stops.
pub(crate) struct CancelOnDrop(Option<Arc<AtomicBool>>);

impl CancelOnDrop {
    pub fn new(flag: Arc<AtomicBool>) -> Self {
        Self(Some(flag))
    }

    /// The flag.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone().unwrap_or_default()
    }

    /// The work is done: leave the flag alone.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(flag) = &self.0 {
            flag.store(true, Ordering::Relaxed);
        }
    }
}
