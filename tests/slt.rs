//! Runs every `.slt` file: at 1 and 4 partitions and at two batch sizes, with the same expected rows.

use std::path::{Path, PathBuf};

use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::support::{cells, run, session};

struct Engine(SessionContext);

#[async_trait::async_trait]
impl AsyncDB for Engine {
    type Error = DataFusionError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, DataFusionError> {
        let batches = run(&self.0, sql).await?;
        let Some(schema) = batches.first().map(|b| b.schema()) else {
            return Ok(DBOutput::StatementComplete(0));
        };
        let types = schema.fields().iter().map(|_| DefaultColumnType::Text).collect();
        let empty = |cell: String| if cell.is_empty() { "(empty)".into() } else { cell };
        let rows = cells(&batches).into_iter().map(|row| row.into_iter().map(empty).collect()).collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "lookalike"
    }
}

/// Every `.slt` below `sql/`, sorted.
pub fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["functions", "models", "attacks"] {
        let folder = Path::new("sql").join(folder);
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.extension().is_some_and(|e| e == "slt") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_at_every_partitioning() {
    let files = files();
    assert!(!files.is_empty());
    let mut failures = Vec::new();
    for file in &files {
        for (partitions, batch_size) in [(1, 8192), (4, 8192), (1, 100), (4, 100)] {
            let mut runner = Runner::new(|| async move { session(partitions, batch_size).await.map(Engine) });
            runner.add_label("lookalike");
            if let Err(e) = runner.run_file_async(file).await {
                failures.push(format!("{} at {partitions} partitions, batches of {batch_size}:\n{e}", file.display()));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} files fail:\n{}", failures.len(), files.len(), failures.join("\n\n"));
}
