//! Fit and sample of the default model: 32,561 rows of 6 numeric and 9 categorical columns, and one block of its output.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lookalike_core::{EncodeSpec, Frame, FrameBuilder, Job, Options, Streams, encode, standard_normal};
use lookalike_models::{SynthesizeParams, Synthesizer, model};

const ROWS: usize = 32_561;

/// Columns cut from normals that share three factors: wide and narrow numbers, one mostly zero, 2 to 42 categories.
fn frame() -> Frame {
    let mut rng = Streams::new(1, "bench").block(0);
    let factors: Vec<[f64; 3]> = (0..ROWS)
        .map(|_| [standard_normal(&mut rng)[0], standard_normal(&mut rng)[0], standard_normal(&mut rng)[0]])
        .collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![];
    let mut latent = |c: usize| -> Vec<f64> {
        factors.iter().map(|f| 0.8 * f[c % 3] + 0.6 * standard_normal(&mut rng)[0]).collect()
    };
    for (c, (scale, floor)) in
        [(13.0, -1.6), (1e5, -9.0), (2.5, -3.0), (7000.0, 1.4), (400.0, 1.6), (12.0, -3.0)].into_iter().enumerate()
    {
        let values = latent(c).into_iter().map(|z| ((z.max(floor) - floor) * scale) as i32);
        columns.push((format!("n{c}"), Arc::new(Int32Array::from_iter_values(values))));
    }
    for (c, levels) in [8, 16, 7, 14, 6, 5, 2, 42, 2].into_iter().enumerate() {
        let label = |z: f64| format!("level {}", (f64::from(levels) / (1.0 + (-1.5 * z).exp())) as u32 * 7 % levels);
        columns.push((format!("c{c}"), Arc::new(StringArray::from_iter_values(latent(c).into_iter().map(label)))));
    }
    let batch = RecordBatch::try_from_iter(columns).expect("columns of equal length");
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).expect("supported types");
    builder.push(&batch).expect("a batch of the schema");
    encode(vec![vec![builder]], &Job::unbounded()).expect("valid values").remove(0)
}

fn bench(c: &mut Criterion) {
    let (frame, job) = (frame(), Job::unbounded());
    let options = Options::check(model("auto").expect("registered").params(), &[]).expect("defaults");
    let fit = || Synthesizer::fit(frame.clone(), SynthesizeParams::default(), &options, &job).expect("a fit");
    let synthesizer = fit();
    let mut group = c.benchmark_group("gaussian_copula");
    group.sample_size(20);
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("fit 32561 x 15", |b| b.iter(fit));
    group.throughput(Throughput::Elements(Synthesizer::BLOCK_ROWS as u64));
    group.bench_function("block of 8192 x 15", |b| b.iter(|| synthesizer.block(black_box(0), &job).expect("a block")));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
