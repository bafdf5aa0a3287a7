//! k^m-anonymity of a hundred thousand visits with three codes each, and noise on as many values.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lookalike_anonymize::Hierarchy;
use lookalike_anonymize::epsilon::{Bounds, EpsilonParams, EpsilonPlan};
use lookalike_anonymize::itemsets::{KmParams, Transactions, km_anonymize};
use lookalike_core::{
    CategoryDomain, Column, Domain, Job, NumberDomain, NumberKind, SecretRng, Streams, Values, uniform,
};

const PERSONS: usize = 100_000;
const CODES: usize = 881;

fn visits() -> Transactions {
    let rng = &mut Streams::new(1, "codes").block(0);
    // Cubes make few codes frequent and many rare.
    let items: Vec<u32> = (0..3 * PERSONS).map(|_| (uniform(rng).powi(3) * CODES as f64) as u32).collect();
    let persons: Vec<u32> = (0..3 * PERSONS).map(|i| (i / 3) as u32).collect();
    let labels = (0..CODES).map(|c| format!("{c:03}")).collect();
    Transactions::from_pairs(PERSONS, &persons, &items, labels).expect("codes are below the number of labels")
}

fn item_sets(c: &mut Criterion) {
    let visits = visits();
    let level = |width| (0..CODES).map(|c| Some(format!("{:03}/{width}", c / width * width))).collect();
    let leaves = visits.labels().iter().cloned().map(Some).collect();
    let tree = Hierarchy::from_levels(&visits.item_column("code"), &[leaves, level(10), level(100)])
        .expect("every code has a parent");
    let mut group = c.benchmark_group("km_anonymize");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for m in [2, 3] {
        let params = KmParams::new(5, m).and_then(|p| p.with_suppression_limit(0.05)).expect("in range");
        for (name, tree) in [("removal", None), ("hierarchy", Some(&tree))] {
            group.bench_function(BenchmarkId::new(name, m), |b| {
                b.iter(|| black_box(km_anonymize(&visits, tree, params, &Job::unbounded()).expect("k is small")))
            });
        }
    }
    group.finish();
}

fn noise(c: &mut Criterion) {
    let rng = &mut Streams::new(2, "values").block(0);
    let ages = (0..PERSONS).map(|_| (uniform(rng) * 100.0).floor()).collect();
    let codes = (0..PERSONS).map(|_| (uniform(rng) * CODES as f64) as u32).collect();
    let labels: Vec<String> = (0..CODES).map(|c| format!("{c:03}")).collect();
    let kind = NumberKind::Integer { base: 0, step: 1 };
    let number = Column {
        field: Arc::new(Field::new("age", DataType::Int32, true)),
        domain: Domain::Number(NumberDomain { kind, min: 0.0, max: 99.0 }),
        values: Values::Number(ages),
    };
    let category = Column {
        field: Arc::new(Field::new("code", DataType::Utf8, true)),
        domain: Domain::Category(Arc::new(CategoryDomain { labels: labels.clone() })),
        values: Values::Code(codes),
    };
    let age = Bounds::Number { lower: "0".into(), upper: "120".into(), step: None, nullable: true };
    let mut group = c.benchmark_group("epsilon");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for (column, bounds) in [(&number, age), (&category, Bounds::Labels { labels, nullable: true })] {
        group.bench_function(column.name(), |b| {
            b.iter(|| {
                let params = EpsilonParams { epsilon: 2.0, rows_per_person: 1 };
                let attributes = vec![(Arc::clone(&column.field), bounds.clone())];
                let mut plan = EpsilonPlan::new(params, 5, false, attributes).expect("in range");
                black_box(plan.release(column, None, &mut SecretRng::new(), &Job::unbounded()).expect("within bounds"))
            })
        });
    }
    group.finish();
}

criterion_group!(all, item_sets, noise);
criterion_main!(all);
