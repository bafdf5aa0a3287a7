//! Figures of ten million scores, beside sorting as many numbers.
//!
//! `cargo bench -p lookalike-attacks --bench mia_score`; RAYON_NUM_THREADS sets the threads.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lookalike_attacks::MiaSummary;
use lookalike_core::{Streams, uniform};
use rayon::slice::ParallelSliceMut;

const SCORES: usize = 10_000_000;

fn mia_score(c: &mut Criterion) {
    let mut rng = Streams::new(1, "bench").block(0);
    let scores: Vec<f64> = (0..SCORES).map(|_| uniform(&mut rng) - 0.5).collect();
    let is_member: Vec<bool> = (0..SCORES).map(|i| i % 2 == 0).collect();
    let mut summary = MiaSummary::default();
    summary.update(&scores, &is_member).expect("as many truths as scores");
    let mut group = c.benchmark_group("mia_score");
    group.sample_size(10);
    group.bench_function("finish", |b| b.iter(|| black_box(summary.finish())));
    let tied: Vec<f64> = scores.iter().map(|s| (s * 1000.0).round()).collect();
    let mut summary = MiaSummary::default();
    summary.update(&tied, &is_member).expect("as many truths as scores");
    group.bench_function("finish_tied", |b| b.iter(|| black_box(summary.finish())));
    group.bench_function("sort", |b| {
        b.iter_batched_ref(|| scores.clone(), |s| s.sort_unstable_by(f64::total_cmp), BatchSize::LargeInput)
    });
    group.bench_function("par_sort", |b| {
        b.iter_batched_ref(|| scores.clone(), |s| s.par_sort_unstable_by(f64::total_cmp), BatchSize::LargeInput)
    });
    group.finish();
}

criterion_group!(benches, mia_score);
criterion_main!(benches);
