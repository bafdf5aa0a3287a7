//! Five synthetic patients from an embedded session: `cargo run --example embed`.

use datafusion::prelude::*;

#[tokio::main]
async fn main() -> datafusion::error::Result<()> {
    let ctx = SessionContext::new();
    lookalike::register_all(&ctx)?;
    ctx.register_parquet("cohort", "tests/data/heart_disease/patients.parquet", Default::default()).await?;
    ctx.sql("SELECT * FROM synthesize(cohort, rows => 5, seed => 1)").await?.show().await
}
