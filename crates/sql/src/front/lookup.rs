//! Tables by name, from places where the engine does not look them up for us.

use std::sync::Arc;

use datafusion::catalog::{Session, TableProvider};
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use futures::FutureExt;

/// The table a string names: a table of the session, or a path or URL where the session takes those as tables.
pub(crate) fn table(session: &dyn Session, name: &str) -> Result<Arc<dyn TableProvider>> {
    let looks_like_path = name.contains('/') || name.contains("://");
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
    }
    Err(DataFusionError::Plan(format!(
        "there is no table '{name}': name a table, view or CTE, write a sub-query in parentheses, or a string holding a \
         table name{}",
        if looks_like_path { " (paths are tables only where the session allows it, as the shell does)" } else { "" }
    )))
}
