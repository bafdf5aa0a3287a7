//! The session: functions, files as tables, object stores, limits, and how one statement is run.

use std::{num::NonZeroUsize, sync::Arc, time::Instant};

use async_trait::async_trait;
use datafusion::{
    catalog::DynamicFileCatalog,
    config::ConfigOptions,
    dataframe::DataFrame,
    error::{DataFusionError, Result},
    execution::{
        TaskContext,
        context::SessionState,
        memory_pool::{FairSpillPool, TrackConsumersPool},
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::{ExplainFormat, LogicalPlan, LogicalPlanBuilder},
    physical_plan::execute_stream,
    prelude::{SessionConfig, SessionContext},
};
use datafusion_cli::{
    catalog::DynamicObjectStoreCatalog,
    cli_context::CliSessionContext,
    exec::exec_from_commands,
    functions::ParquetMetadataFunc,
    object_storage::{StdinCarriesCommands, instrumented::InstrumentedObjectStoreRegistry},
    print_format::PrintFormat,
    print_options::{MaxRows, PrintOptions},
};
use object_store::ObjectStore;
use url::Url;

use crate::{args::Args, output::Output, tables::QuotedFiles};

/// Consumers that are named when memory runs out.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("3 is not 0");

/// A session and where its results go.
pub struct Session {
    ctx: SessionContext,
    /// How results are shown.
    pub output: Output,
}

impl Session {
    /// A session with every Lookalike function; `stdin_is_sql` keeps stdin from being read as a table as well.
    pub async fn new(args: &Args, stdin_is_sql: bool) -> Result<Self> {
        let output = Output::new(args.format, args.quiet, args.max_rows);
        let config = lookalike::with_progress(config(args, stdin_is_sql)?, Arc::new(output.progress.clone()));
        // One statement may write what the next one reads, and DataFusion's caches know files by path, size and time
        // only: a rewritten file, or the same path in another bucket, would be answered from the cache.
        let mut runtime = RuntimeEnvBuilder::new()
            .with_object_list_cache_limit(0)
            .with_file_statistics_cache_limit(0)
            .with_metadata_cache_limit(0);
        if let Some(bytes) = args.memory_limit {
            let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), NAMED_CONSUMERS);
            runtime = runtime.with_memory_pool(Arc::new(pool));
        }
        let ctx = SessionContext::new_with_config_rt(config, runtime.build_arc()?);
        lookalike::register_all(&ctx)?;
        ctx.register_udtf("parquet_metadata", Arc::new(ParquetMetadataFunc {}));
        let files = Arc::new(QuotedFiles::default());
        files.attach(&ctx);
        let catalogs = Arc::clone(ctx.state().catalog_list());
        let catalogs = Arc::new(DynamicFileCatalog::new(catalogs, files));
        ctx.register_catalog_list(Arc::new(DynamicObjectStoreCatalog::new(catalogs, ctx.state_weak_ref())));
        Ok(Self { ctx, output })
    }

    /// Runs the text of one statement and prints its rows.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.output.progress.restart();
        // The library parses, plans and registers object stores, then hands the plan to `execute_logical_plan` below,
        // which prints; what it prints itself is the empty result that it gets back.
        let silent = PrintOptions {
            format: PrintFormat::Csv,
            quiet: true,
            maxrows: MaxRows::Unlimited,
            color: false,
            instrumented_registry: Arc::new(InstrumentedObjectStoreRegistry::new()),
        };
        let done = exec_from_commands(self, vec![sql.to_owned()], &silent).await;
        self.output.progress.clear();
        done
    }
}

fn config(args: &Args, stdin_is_sql: bool) -> Result<SessionConfig> {
    let mut options = ConfigOptions::from_env()?;
    if std::env::var_os("DATAFUSION_EXPLAIN_FORMAT").is_none() {
        options.explain.format = ExplainFormat::Tree;
    }
    if std::env::var_os("DATAFUSION_FORMAT_NULL").is_none() {
        options.format.null = "NULL".to_owned();
    }
    let mut config = SessionConfig::from(options).with_information_schema(true);
    if let Some(threads) = args.threads {
        config = config.with_target_partitions(threads.get());
    }
    if stdin_is_sql {
        config = config.with_extension(Arc::new(StdinCarriesCommands));
    }
    Ok(config)
}

#[async_trait]
impl CliSessionContext for Session {
    fn task_ctx(&self) -> Arc<TaskContext> {
        self.ctx.task_ctx()
    }

    fn session_state(&self) -> SessionState {
        self.ctx.state()
    }

    fn register_object_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore + 'static>> {
        self.ctx.register_object_store(url, store)
    }

    fn register_table_options_extension_from_scheme(&self, scheme: &str) {
        CliSessionContext::register_table_options_extension_from_scheme(&self.ctx, scheme);
    }

    async fn execute_logical_plan(&self, plan: LogicalPlan) -> Result<DataFrame, DataFusionError> {
        let start = Instant::now();
        let writes = matches!(plan, LogicalPlan::Copy(_) | LogicalPlan::Dml(_));
        let frame = self.ctx.execute_logical_plan(plan).await?;
        let task = Arc::new(frame.task_ctx());
        let stream = execute_stream(frame.create_physical_plan().await?, task)?;
        match writes {
            true => self.output.written(stream, start).await?,
            false => self.output.rows(&self.ctx, stream, start).await?,
        }
        Ok(DataFrame::new(self.ctx.state(), LogicalPlanBuilder::empty(false).build()?))
    }
}
