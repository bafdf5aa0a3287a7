//! The SQL layer against the engine's own sort: K_ANONYMIZE beside ORDER BY of the same columns, mia_score beside ORDER BY
//! of the scores. Ratios of one run are what counts.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use datafusion::prelude::SessionContext;

async fn count(ctx: &SessionContext, sql: &str) -> usize {
    let batches = ctx.sql(sql).await.expect("valid SQL").collect().await.expect("a result");
    batches.iter().map(|b| b.num_rows()).sum()
}

fn benches(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ctx = SessionContext::new();
    runtime.block_on(async {
        lookalike::register_all(&ctx).expect("registration");
        for sql in [
            "CREATE TABLE people AS SELECT v % 90 AS age, v * 7919 % 1000 AS zip, v * 31 % 2 AS sex, v * 17 % 6 AS race, \
             v * 13 % 16 AS education FROM (SELECT value * 2654435761 % 4294967296 AS v FROM generate_series(1, 1000000))",
            "CREATE TABLE scores AS SELECT random() + CASE WHEN value % 2 = 0 THEN 0.1 ELSE 0.0 END AS score, \
             value % 2 = 0 AS is_member FROM generate_series(1, 10000000)",
        ] {
            count(&ctx, sql).await;
        }
    });
    let pairs = [
        (
            "1M rows, 5 quasi-identifiers",
            "k_anonymize",
            "SELECT * FROM k_anonymize(people, k => 10, quasi_identifiers => ['age', 'zip', 'sex', 'race', 'education'])",
            "SELECT * FROM people ORDER BY age, zip, sex, race, education",
        ),
        (
            "10M scores",
            "mia_score",
            "SELECT mia_score(score, is_member) FROM scores",
            "SELECT * FROM scores ORDER BY score",
        ),
    ];
    for (size, name, ours, sort) in pairs {
        let mut group = c.benchmark_group(size);
        group.sample_size(10);
        for (name, sql) in [(name, ours), ("ORDER BY", sort)] {
            group.bench_with_input(BenchmarkId::from_parameter(name), sql, |b, sql| {
                b.iter(|| runtime.block_on(count(&ctx, sql)));
            });
        }
        group.finish();
    }
}

criterion_group!(sql, benches);
criterion_main!(sql);
