//! Tables by name, from places where the engine does not look them up for us.

use std::sync::Arc;

use datafusion::catalog::{Session, TableProvider};
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use futures::FutureExt;
use lookalike_core::{Error, closest};

use crate::error::engine_error;
use crate::functions::FUNCTIONS;

/// The table a string names: a table of the session, or a path or URL where the session takes those as tables.
pub(crate) fn table(session: &dyn Session, name: &str) -> Result<Arc<dyn TableProvider>> {
    let looks_like_path = name.contains('/');
    let mut known = Vec::new();
    let mut references = vec![TableReference::bare(name.to_string())];
    if !looks_like_path {
        references.insert(0, TableReference::parse_str(name));
    }
    references.dedup();
    for reference in references {
        let options = &session.config_options().catalog;
        let resolved = reference.resolve(&options.default_catalog, &options.default_schema);
        let schema =
            session.catalog_list().catalog(&resolved.catalog).and_then(|catalog| catalog.schema(&resolved.schema));
        let Some(schema) = schema else { continue };
        let table = resolved.table.to_string();
        let found = match schema.table(&table).now_or_never() {
            Some(found) => found?,
            // The catalog has to ask somebody (a listing, a catalog service): a planner cannot wait, a thread can.
            None => std::thread::scope(|scope| {
                scope
                    .spawn(|| {
                        tokio::runtime::Builder::new_current_thread()
                            .enable_all()
                            .build()
                            .map_err(|e| DataFusionError::External(Box::new(e)))?
                            .block_on(schema.table(&table))
                    })
                    .join()
                    .map_err(|_| DataFusionError::Internal(format!("looking up table '{name}' panicked")))?
            })?,
        };
        if let Some(found) = found {
            return Ok(found);
        }
        known.extend(schema.table_names());
    }
    Err(no_table(name, looks_like_path, &known))
}

/// What to do about a name that stands for no table. `known` are the tables beside it.
fn no_table(name: &str, looks_like_path: bool, known: &[String]) -> DataFusionError {
    let shown = TableReference::parse_str(name).to_vec().join(".");
    let last = TableReference::parse_str(name).table().to_string();
    let hint = if looks_like_path {
        " (paths are tables only where the session allows it, as the shell does)".to_string()
    } else if let Some(function) = closest(&last, FUNCTIONS.iter().map(|f| f.name())) {
        format!("; '{function}' is a function, called as {function}(...)")
    } else {
        String::new()
    };
    let slip = closest(&last, known.iter().map(String::as_str)).map(|c| format!("; did you mean '{c}'?"));
    let slip = slip.filter(|_| !looks_like_path).unwrap_or_else(|| ":".into());
    engine_error(Error::argument(format!(
        "there is no table '{}'{slip} name a table, view or CTE, write a sub-query in parentheses, or a string holding a \
         table name{hint}",
        if looks_like_path { name } else { &shown }
    )))
}
