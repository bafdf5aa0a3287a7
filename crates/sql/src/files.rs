//! Files that a call names, such as saved models, wherever the session's object stores reach.

use std::sync::Arc;

use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::object_store::path::Path;
use datafusion::object_store::{Error as StoreError, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use lookalike_core::{Error, Result};
use lookalike_models::SavedModel;

/// Larger files are written in parts of this size; a store takes them for the file once the last has come.
const PART: usize = 32 << 20;

/// Bytes of a file that are read at first to learn what it is.
const FIRST: u64 = 64 << 10;

/// Where a path leads.
struct Place {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

/// The location that a path or URL names: one file.
fn location(path: &str) -> Result<ListingTableUrl> {
    if path.trim().is_empty() {
        return Err(Error::argument("the empty string names no file"));
    }
    let url = ListingTableUrl::parse(path).map_err(|e| Error::argument(format!("'{path}' is no path: {e}")))?;
    if url.get_glob().is_some() {
        return Err(Error::argument(format!("'{path}' is a pattern: name one file")));
    }
    if url.is_collection() || url.prefix().as_ref().is_empty() {
        return Err(Error::argument(format!("'{path}' is a folder: name a file in it")));
    }
    Ok(url)
}

fn place(runtime: &RuntimeEnv, path: &str) -> Result<Place> {
    let url = location(path)?;
    let store = runtime.object_store(&url).map_err(|_| {
        Error::data(format!("'{path}': this session has no object store for {}", url.object_store().as_str()))
    })?;
    Ok(Place { store, path: url.prefix().clone() })
}

/// What went wrong in a store, with what it says itself.
fn failed(doing: &str, path: &str, error: StoreError) -> Error {
    match error {
        StoreError::NotFound { .. } => Error::data(format!("there is no file '{path}'")),
        error => Error::data(format!("{doing} '{path}': {error}")),
    }
}

/// Makes sure that the session knows a store for the path. Sessions that make stores known on demand do so where tables are
/// looked up by path, so that is asked for once.
pub(crate) async fn reach(session: &dyn Session, path: &str) -> Result<()> {
    let url = location(path)?;
    if session.runtime_env().object_store(&url).is_err() {
        let options = &session.config_options().catalog;
        let catalog = session.catalog_list().catalog(&options.default_catalog);
        if let Some(schema) = catalog.and_then(|catalog| catalog.schema(&options.default_schema)) {
            // What is there is no table: only the store is of interest.
            let _: Result<Option<Arc<dyn TableProvider>>, _> = schema.table(path).await;
        }
    }
    place(session.runtime_env(), path).map(drop)
}

/// The whole file.
pub(crate) async fn read(runtime: &RuntimeEnv, path: &str) -> Result<Vec<u8>> {
    let Place { store, path: location } = place(runtime, path)?;
    let bytes = async { store.get(&location).await?.bytes().await };
    Ok(bytes.await.map_err(|e| failed("reading", path, e))?.into())
}

/// Whether anything lies below a path.
async fn is_folder(store: &Arc<dyn ObjectStore>, path: &Path) -> bool {
    let below = store.list_with_delimiter(Some(path)).await;
    below.is_ok_and(|list| !(list.objects.is_empty() && list.common_prefixes.is_empty()))
}

/// What a file says of the rows that its model makes: its first bytes are read, and more where the header is long.
pub(crate) async fn describe(runtime: &RuntimeEnv, path: &str) -> Result<SavedModel> {
    let Place { store, path: location } = place(runtime, path)?;
    let first = async |bytes: u64| {
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(0..bytes)));
        let found = store.get_opts(&location, options).await?;
        Ok((found.meta.size, found.bytes().await?))
    };
    let (size, mut bytes) = match first(FIRST).await {
        // Of an empty file there is no range.
        Err(StoreError::Generic { .. }) if store.head(&location).await.is_ok_and(|meta| meta.size == 0) => {
            (0, Default::default())
        }
        Err(StoreError::NotFound { .. }) if is_folder(&store, &location).await => {
            return Err(Error::data(format!("'{path}' is a folder: name a file in it")));
        }
        found => found.map_err(|e| failed("reading", path, e))?,
    };
    let within = |e: Error| e.within(format!("'{path}'"));
    let end = SavedModel::header_end(&bytes[..bytes.len().min(SavedModel::PREFIX)]).map_err(within)? as u64;
    if end > bytes.len() as u64 && end <= size {
        (_, bytes) = first(end).await.map_err(|e| failed("reading", path, e))?;
    }
    SavedModel::describe(&bytes).map_err(within)
}

/// Writes the file. It stands under its name once it is complete: the store renames a temporary file, or takes the parts for
/// the object with the last request.
pub(crate) async fn write(runtime: &RuntimeEnv, path: &str, bytes: Vec<u8>) -> Result<()> {
    let Place { store, path: location } = place(runtime, path)?;
    let failed = |e| failed("writing", path, e);
    if bytes.len() <= PART {
        return store.put(&location, PutPayload::from(bytes)).await.map(drop).map_err(failed);
    }
    let mut upload = store.put_multipart(&location).await.map_err(failed)?;
    let parts = async {
        for part in bytes.chunks(PART) {
            upload.put_part(PutPayload::from(part.to_vec())).await?;
        }
        upload.complete().await
    };
    match parts.await {
        Ok(_) => Ok(()),
        Err(error) => {
            // The first error is the one to tell.
            let _ = upload.abort().await;
            Err(failed(error))
        }
    }
}
