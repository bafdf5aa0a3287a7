//! Exact nearest neighbours: tables of the shape of UCI Adult, and 40 numbers.
//!
//! `cargo bench -p lookalike-attacks --bench neighbours`; RAYON_NUM_THREADS sets the threads.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lookalike_attacks::{Metric, SearchOptions, Space, k_nearest, nearest, within};
use lookalike_core::{EncodeSpec, Frame, FrameBuilder, Job, Stream, Streams, encode, uniform};

/// Labels of Adult's nine categories.
const LABELS: [u32; 9] = [9, 16, 7, 15, 6, 5, 2, 42, 2];

/// Numbers, then categories with falling frequencies.
fn batch(rows: usize, numbers: usize, labels: &[u32], rng: &mut Stream) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = vec![];
    for c in 0..numbers {
        let values: Vec<f64> = (0..rows).map(|_| uniform(rng)).collect();
        columns.push((format!("n{c}"), Arc::new(Float64Array::from(values))));
    }
    for (c, &labels) in labels.iter().enumerate() {
        let label = |u: f64| format!("v{}", (u * u * f64::from(labels)) as u32);
        let values: Vec<String> = (0..rows).map(|_| label(uniform(rng))).collect();
        columns.push((format!("c{c}"), Arc::new(StringArray::from(values))));
    }
    RecordBatch::try_from_iter(columns).expect("columns of equal length")
}

fn frames(rows: [usize; 2], numbers: usize, labels: &[u32]) -> Vec<Frame> {
    let mut rng = Streams::new(1, "bench").block(0);
    let relations = rows.map(|rows| {
        let batch = batch(rows, numbers, labels, &mut rng);
        let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).expect("supported types");
        builder.push(&batch).expect("a batch of that schema");
        vec![builder]
    });
    encode(relations.into(), &Job::unbounded()).expect("frames")
}

fn case(c: &mut Criterion, name: &str, rows: [usize; 2], numbers: usize, labels: &[u32], metrics: &[Metric]) {
    let frames = frames(rows, numbers, labels);
    let job = Job::unbounded();
    let mut group = c.benchmark_group("neighbours");
    group.sample_size(10);
    group.throughput(Throughput::Elements((rows[0] * rows[1]) as u64));
    for metric in metrics {
        group.bench_function(format!("{name}/{}", metric.name()), |b| {
            b.iter(|| {
                let space = Space::fit(*metric, &[&frames[1]]).expect("columns to compare");
                let queries = space.encode(&frames[0], &job).expect("points");
                let references = space.encode(&frames[1], &job).expect("points");
                black_box(nearest(&space, &queries, &references, SearchOptions::default(), &job).expect("found"))
            })
        });
    }
    group.finish();
}

/// Several neighbours, and counts within the distance of the twentieth.
fn many(c: &mut Criterion) {
    let frames = frames([16_281, 32_561], 6, &LABELS);
    let (job, options) = (Job::unbounded(), SearchOptions::default());
    let mut group = c.benchmark_group("neighbours");
    group.sample_size(10);
    for metric in [Metric::Gower, Metric::Euclidean, Metric::Cosine] {
        let space = Space::fit(metric, &[&frames[1]]).expect("columns to compare");
        let queries = space.encode(&frames[0], &job).expect("points");
        let references = space.encode(&frames[1], &job).expect("points");
        let twenty = || k_nearest(&space, &queries, &references, 20, options, &job).expect("found");
        let radii: Vec<f64> = twenty().distances.chunks_exact(20).map(|all| all[19]).collect();
        group.bench_function(format!("adult_k20/{}", metric.name()), |b| b.iter(|| black_box(twenty())));
        group.bench_function(format!("adult_within/{}", metric.name()), |b| {
            b.iter(|| black_box(within(&space, &queries, &references, &radii, options, &job).expect("found")))
        });
    }
    group.finish();
}

/// Three numbers: all queries at once, which a tree prunes, and in portions too small for one.
fn pruned(c: &mut Criterion) {
    let frames = frames([30_000, 30_000], 3, &[]);
    let (job, options) = (Job::unbounded(), SearchOptions::default());
    let rows: Vec<u32> = (0..frames[0].rows() as u32).collect();
    let mut group = c.benchmark_group("neighbours");
    group.sample_size(10);
    for metric in [Metric::Gower, Metric::Euclidean] {
        let space = Space::fit(metric, &[&frames[1]]).expect("columns to compare");
        let references = space.encode(&frames[1], &job).expect("points");
        for (name, portion) in [("pruned", rows.len()), ("plain", 1000)] {
            let portions: Vec<_> =
                rows.chunks(portion).map(|rows| space.encode(&frames[0].gather(rows), &job).expect("points")).collect();
            group.bench_function(format!("numbers_3_{name}/{}", metric.name()), |b| {
                b.iter(|| {
                    for queries in &portions {
                        black_box(nearest(&space, queries, &references, options, &job).expect("found"));
                    }
                })
            });
        }
    }
    group.finish();
}

fn neighbours(c: &mut Criterion) {
    let adult = [16_281, 32_561];
    case(
        c,
        "adult",
        adult,
        6,
        &LABELS,
        &[Metric::Gower, Metric::L1, Metric::Euclidean, Metric::Cosine, Metric::Masked],
    );
    case(c, "numbers_6", adult, 6, &[], &[Metric::Gower]);
    case(c, "categories_9", adult, 0, &LABELS, &[Metric::Gower]);
    case(c, "numbers_40", [50_000, 50_000], 40, &[], &[Metric::Euclidean]);
}

criterion_group!(benches, neighbours, many, pruned);
criterion_main!(benches);
