//! What planning has to know of the files that a call names: that they are within reach, and what a saved model makes.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::datasource::{TableType, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::ContextProvider;
use datafusion::logical_expr::{Expr, lit};
use datafusion::physical_plan::ExecutionPlan;
use lookalike_core::{Error, Options, Value};

use super::constant::constant;
use crate::error::engine_error;
use crate::files;
use crate::function::{FileUse, TableFunction};

/// Name of the internal function through which the relation planner reaches the session's files.
pub(crate) const FILE_BY_NAME: &str = "lookalike_file_by_name";

/// `lookalike_file_by_name('path', read)`: what planning has to know of a file.
#[derive(Debug)]
pub(crate) struct FileByName;

impl TableFunctionImpl for FileByName {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [Expr::Literal(path, _), Expr::Literal(read, _)] = args.exprs() else {
            return Err(engine_error(Error::argument(format!("{FILE_BY_NAME} takes a string and a boolean"))));
        };
        let path = path.try_as_str().flatten().unwrap_or_default();
        let usage = if *read == true.into() { FileUse::Model } else { FileUse::Written };
        let text = look(args.session(), path, usage).map_err(engine_error)?;
        Ok(Arc::new(File { text }))
    }
}

/// Looks at a file for planning; the text says what rows a model makes that is there to be read.
fn look(session: &dyn Session, path: &str, usage: FileUse) -> Result<Option<String>, Error> {
    let look = async {
        files::reach(session, path).await?;
        match usage {
            FileUse::Written => Ok(None),
            FileUse::Model => files::describe(session.runtime_env(), path).await?.to_text().map(Some),
        }
    };
    // A planner cannot wait, a thread can.
    let looked = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|e| Error::resources(format!("no thread to look at '{path}': {e}")))?.block_on(look)
        });
        looking.join()
    });
    looked.map_err(|_| Error::internal(format!("looking at '{path}' panicked")))?
}

/// A call's options with what planning has to know of the files they name.
pub(crate) fn with_files(
    function: &dyn TableFunction,
    mut options: Vec<(String, Expr)>,
    look: impl Fn(&str, FileUse) -> Result<Option<String>>,
) -> Result<Vec<(String, Expr)>> {
    // What planning fills in is no option of the user's.
    for planned in function.planned() {
        if options.iter().any(|(name, _)| name == planned.name) {
            Options::check(&function.options(), &[(planned.name.into(), Value::Null)]).map_err(engine_error)?;
        }
    }
    for file in function.files() {
        let Some((_, expr)) = options.iter().find(|(name, _)| name == file.option) else { continue };
        let value = constant(file.option, expr.clone(), &function.options()).map_err(engine_error)?.1;
        let Some(Value::Text(path)) = value else { continue };
        let found = look(&path, file.usage).map_err(|e| match e {
            DataFusionError::Plan(message) => DataFusionError::Plan(format!("option '{}': {message}", file.option)),
            other => other,
        })?;
        options.extend(found.map(|text| (file.planned_as.to_string(), lit(text))));
    }
    Ok(options)
}

/// [`look`] by way of the relation planner's context.
pub(crate) fn look_by_name(provider: &dyn ContextProvider, path: &str, usage: FileUse) -> Result<Option<String>> {
    let args = vec![lit(path), lit(usage == FileUse::Model)];
    let source = provider.get_table_function_source(FILE_BY_NAME, args)?;
    let provider = source_as_provider(&source)?;
    Ok((provider.as_ref() as &dyn Any).downcast_ref::<File>().and_then(|file| file.text.clone()))
}

/// [`look`] in a session.
pub(crate) fn look_in(session: &dyn Session, path: &str, usage: FileUse) -> Result<Option<String>> {
    look(session, path, usage).map_err(engine_error)
}

/// What planning learned of a file; as a table it has no columns and is never scanned.
#[derive(Debug)]
struct File {
    text: Option<String>,
}

#[async_trait]
impl TableProvider for File {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::empty())
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(engine_error(Error::argument(format!("{FILE_BY_NAME} is internal: read saved models with sample_model()"))))
    }
}
