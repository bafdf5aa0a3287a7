//! Sessions over the shipped data, and results as sorted text.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

/// Shipped tables by the names the tests use.
pub const TABLES: [(&str, &str); 7] = [
    ("subjects", "tests/data/cdisc_pilot/subjects.parquet"),
    ("events", "tests/data/cdisc_pilot/events.parquet"),
    ("adverse_events", "tests/data/cdisc_pilot/adverse_events.parquet"),
    ("person", "tests/data/omop/person.parquet"),
    ("visit_occurrence", "tests/data/omop/visit_occurrence.parquet"),
    ("conditions", "tests/data/omop/conditions.parquet"),
    ("heart", "tests/data/heart_disease/patients.parquet"),
];

/// A session with everything registered and the shipped tables.
pub async fn session(partitions: usize, batch_size: usize) -> Result<SessionContext> {
    let config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(batch_size)
        .with_information_schema(true);
    session_with(config).await
}

/// The same with a configuration of one's own.
pub async fn session_with(config: SessionConfig) -> Result<SessionContext> {
    let ctx = SessionContext::new_with_config(config);
    lookalike::register_all(&ctx)?;
    for (name, path) in TABLES {
        ctx.register_parquet(name, path, ParquetReadOptions::default()).await?;
    }
    Ok(ctx)
}

/// The result of a statement.
pub async fn run(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    ctx.sql(sql).await?.collect().await
}

/// Rows as text, one string a row, cells separated by tabs.
pub fn rows(batches: &[RecordBatch]) -> Vec<String> {
    cells(batches).into_iter().map(|row| row.join("\t")).collect()
}

/// Rows as text in sorted order: equal for equal multisets of rows.
pub async fn sorted_rows(ctx: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let mut rows = rows(&run(ctx, sql).await?);
    rows.sort();
    Ok(rows)
}

/// Cells as text.
pub fn cells(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut all = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).expect("every type prints")).collect();
        for row in 0..batch.num_rows() {
            all.push(columns.iter().map(|c| c.value(row).to_string()).collect());
        }
    }
    all
}
