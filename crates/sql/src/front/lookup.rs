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
    if name.trim().is_empty() {
        return Err(engine_error(Error::argument("the empty string is no table name")));
    }
    let mut references = vec![];
    if !looks_like_path {
        references.push(TableReference::parse_str(name));
    }
    // A file name has a dot as well; a quoted name is no file's.
    if !name.contains('"') {
        references.push(TableReference::bare(name.to_string()));
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
    let parsed = TableReference::parse_str(name);
    let (shown, hint) = if looks_like_path {
        (name.to_string(), " (paths are tables only where the session allows it, as the shell does)".to_string())
    } else if let Some(slip) = closest(parsed.table(), known.iter().map(String::as_str)) {
        (parsed.to_vec().join("."), format!("; did you mean '{slip}'?"))
    } else if let Some(function) = closest(parsed.table(), FUNCTIONS.iter().map(|f| f.name())) {
        (parsed.to_vec().join("."), format!("; '{function}' is a function, called as {function}(...)"))
    } else {
        (parsed.to_vec().join("."), String::new())
    };
    engine_error(Error::argument(format!(
        "there is no table '{shown}'{hint} (a relation is the name of a table, view or CTE, a sub-query in parentheses, \
         or a string holding a table name)"
    )))
}
