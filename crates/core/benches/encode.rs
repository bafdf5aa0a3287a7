//! Encoding a table of the shape of UCI Adult: 32,561 rows, 6 numbers and 9 categories.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lookalike_core::{EncodeSpec, FrameBuilder, Job, Streams, encode};
use rand::Rng;

const ROWS: usize = 32_561;

fn table() -> RecordBatch {
    let mut rng = Streams::new(1, "bench").block(0);
    let number = |width: i32, rng: &mut _| -> ArrayRef {
        Arc::new((0..ROWS).map(|_| Some(Rng::random_range(rng, 0..width))).collect::<Int32Array>())
    };
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (i, width) in [74, 1_000_000, 16, 100_000, 4_400, 99].into_iter().enumerate() {
        columns.push((format!("n{i}"), number(width, &mut rng)));
    }
    for (i, labels) in [9, 16, 7, 15, 6, 5, 2, 42, 2].into_iter().enumerate() {
        let labels: Vec<String> = (0..labels).map(|l| format!("category {l}")).collect();
        let column = (0..ROWS).map(|_| Some(labels[rng.random_range(0..labels.len())].as_str()));
        columns.push((format!("c{i}"), Arc::new(column.collect::<StringArray>())));
    }
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn benches(c: &mut Criterion) {
    let table = table();
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("adult shape", |b| {
        b.iter(|| {
            let mut builder = FrameBuilder::new(table.schema(), EncodeSpec::default()).expect("supported types");
            for start in (0..ROWS).step_by(8192) {
                builder.push(&table.slice(start, 8192.min(ROWS - start))).expect("finite values");
            }
            black_box(encode(vec![vec![builder]], &Job::unbounded()).expect("one relation"))
        });
    });
    let mut builder = FrameBuilder::new(table.schema(), EncodeSpec::default()).expect("supported types");
    builder.push(&table).expect("finite values");
    let frame = encode(vec![vec![builder]], &Job::unbounded()).expect("one relation").remove(0);
    group.bench_function("canonical order", |b| b.iter(|| black_box(frame.canonical_order())));
    group.finish();
}

criterion_group!(encode_table, benches);
criterion_main!(encode_table);
