//! Paths and URLs in quotes as tables.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider, UrlTableFactory},
    common::plan_err,
    datasource::{
        dynamic_file::DynamicListTableFactory,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    },
    error::{DataFusionError, Result},
    execution::SessionState,
    prelude::SessionContext,
};
use futures::TryStreamExt;

use crate::explain::explain;

/// Makes a table of the files at a path or URL.
///
/// DataFusion's own factory answers "table not found" whatever went wrong; this one says why files or a store cannot be
/// read. It skips files whose names start with `_` or `.`, which other engines leave beside the data.
#[derive(Debug, Default)]
pub struct QuotedFiles {
    session: DynamicListTableFactory,
}

impl QuotedFiles {
    /// Connects the factory to the session it makes tables for.
    pub fn attach(&self, ctx: &SessionContext) {
        self.session.session_store().with_state(ctx.state_weak_ref());
    }

    fn state(&self) -> Option<SessionState> {
        let session = self.session.session_store().get_session().upgrade()?;
        let session = session.read();
        session.as_any().downcast_ref::<SessionState>().cloned()
    }
}

#[async_trait]
impl UrlTableFactory for QuotedFiles {
    async fn try_new(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        // A bare word is a table's name even if a directory is called the same.
        if !name.contains(['/', '.', '\\', '*']) {
            return Ok(None);
        }
        let Some(state) = self.state() else {
            return Ok(None);
        };
        match table(name, &state).await {
            Ok(table) => Ok(Some(table)),
            Err(e) => plan_err!("cannot read '{name}': {}", explain(&e)),
        }
    }
}

async fn table(name: &str, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
    let url = ListingTableUrl::parse(name)?;
    let suffix = data_suffix(&url, state).await?;
    let (extension, compression) = ListingTableConfig::infer_file_extension_and_compression_type(&suffix)?;
    let format = state
        .get_file_format_factory(&extension)
        .ok_or_else(|| DataFusionError::Plan(format!("no reader for '{extension}' files")))?
        .create(state, &compression.map(|c| ("format.compression".to_owned(), c)).into_iter().collect())?;
    let options = ListingOptions::new(format).with_file_extension(suffix);
    let config = ListingTableConfig::new(url).with_listing_options(options);
    let config = config.infer_partitions_from_path(state).await?.infer_schema(state).await?;
    Ok(Arc::new(ListingTable::try_new(config)?))
}

/// The end of the data files' names (`parquet`, `csv.gz`), which must be the same for all of them: a table of some of
/// the files would be wrong without a word.
async fn data_suffix(url: &ListingTableUrl, state: &SessionState) -> Result<String> {
    let store = state.runtime_env().object_store(url)?;
    let mut suffixes = BTreeMap::new();
    let mut others = None;
    let mut files = url.list_all_files(state as &dyn Session, store.as_ref(), "").await?;
    while let Some(file) = files.try_next().await? {
        let name = file.location.filename().unwrap_or_default();
        if name.starts_with(['_', '.']) {
            continue;
        }
        let (extension, compression) = ListingTableConfig::infer_file_extension_and_compression_type(name)?;
        if state.get_file_format_factory(&extension).is_some() {
            let suffix = compression.map_or(extension.clone(), |c| format!("{extension}.{c}"));
            suffixes.entry(suffix).or_insert(file.location);
        } else {
            others.get_or_insert(file.location);
        }
    }
    let mut found = suffixes.into_iter();
    match (found.next(), found.next(), others) {
        (Some((suffix, _)), None, _) => Ok(suffix),
        (Some((a, first)), Some((b, second)), _) => {
            plan_err!("it holds {a} files ('{first}') and {b} files ('{second}'): name one kind, for example '*.{a}'")
        }
        (None, _, Some(other)) => plan_err!("'{other}' is not a parquet, csv, json, arrow or avro file"),
        (None, _, None) => plan_err!("no such file, and no files below it"),
    }
}
