//! Mondrian on a generated register of a million people with five quasi-identifiers, and what leaves of it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lookalike_anonymize::{AnonymizeParams, Criteria, Items, Problem, Release, anonymize, find_method};
use lookalike_core::{
    CategoryDomain, Column, Domain, Frame, Job, NumberDomain, NumberKind, Streams, Units, Values, uniform,
};

const ROWS: usize = 1_000_000;

fn integers(name: &str, seed: u64, draw: impl Fn(f64) -> f64) -> Column {
    let rng = &mut Streams::new(seed, name).block(0);
    let values: Vec<f64> = (0..ROWS).map(|_| draw(uniform(rng)).floor()).collect();
    number(name, DataType::Int32, NumberKind::Integer { base: 0, step: 1 }, values)
}

fn number(name: &str, data_type: DataType, kind: NumberKind, values: Vec<f64>) -> Column {
    let min = values.iter().copied().fold(f64::NAN, f64::min);
    let max = values.iter().copied().fold(f64::NAN, f64::max);
    let field = Arc::new(Field::new(name, data_type, true));
    Column { field, domain: Domain::Number(NumberDomain { kind, min, max }), values: Values::Number(values) }
}

fn category(name: &str, seed: u64, labels: usize) -> Column {
    let rng = &mut Streams::new(seed, name).block(0);
    // Squares make some labels frequent.
    let codes = (0..ROWS).map(|_| (uniform(rng).powi(2) * labels as f64) as u32).collect();
    let domain = CategoryDomain { labels: (0..labels).map(|l| format!("{name} {l:04}")).collect() };
    Column {
        field: Arc::new(Field::new(name, DataType::Utf8, true)),
        domain: Domain::Category(Arc::new(domain)),
        values: Values::Code(codes),
    }
}

fn register() -> Vec<Column> {
    vec![
        integers("age", 1, |u| 18.0 + 80.0 * u * u),
        integers("zip", 2, |u| 10_000.0 + 89_999.0 * u),
        integers("admission", 3, |u| 15_000.0 + 5_000.0 * u),
        category("sex", 4, 2),
        category("region", 5, 50),
    ]
}

fn benches(c: &mut Criterion) {
    let floats = {
        let rng = &mut Streams::new(6, "income").block(0);
        let values = (0..ROWS).map(|_| 1e5 * uniform(rng)).collect();
        number("income", DataType::Float64, NumberKind::Float { decimals: None, bits: 64 }, values)
    };
    let persons = {
        let rng = &mut Streams::new(7, "person").block(0);
        let codes = (0..ROWS).map(|_| (uniform(rng) * 300_000.0) as u32).collect();
        Units { codes, count: 300_000 }
    };
    let mut with_floats = register();
    with_floats[0] = floats;
    let frames = [
        ("register", Frame::new(ROWS, register(), None)),
        ("register_with_floats", Frame::new(ROWS, with_floats, None)),
        ("register_by_person", Frame::new(ROWS, register(), Some(persons))),
    ];
    let job = Job::unbounded();
    let solve = |method: &str, frame: &Frame, k: u64| -> Release {
        let method = find_method(method).expect("the method is registered");
        let tie = method.needs_order().then(|| frame.row_hashes());
        let (columns, rows, units) = (frame.columns(), frame.rows(), frame.units());
        let items = Items::new(columns, &[const { None }; 5], rows, units, vec![], tie.as_deref(), &job);
        let criteria = Criteria::new(Some(k), vec![]).expect("k is a criterion");
        let params = AnonymizeParams::default().check().expect("the defaults are allowed");
        let mut problem =
            Problem::new(items.expect("columns have ranks"), criteria, params, &job).expect("enough rows");
        anonymize(method, &mut problem, &job).expect("a million rows are enough")
    };

    let mut group = c.benchmark_group("mondrian");
    group.throughput(Throughput::Elements(ROWS as u64)).sample_size(10).measurement_time(Duration::from_secs(8));
    for (name, frame) in &frames {
        group.bench_function(BenchmarkId::new(*name, 10), |b| b.iter(|| black_box(solve("mondrian", frame, 10))));
    }
    group.bench_function(BenchmarkId::new("relaxed", 10), |b| {
        b.iter(|| black_box(solve("mondrian_relaxed", &frames[0].1, 10)));
    });
    let release = solve("mondrian", &frames[0].1, 10);
    let classes: Vec<u32> = (0..release.classes.len() as u32).collect();
    group.bench_function("render", |b| {
        b.iter(|| {
            (0..5).for_each(|c| drop(black_box(release.render(c, &classes).expect("every column can be shown"))))
        });
    });
    group.finish();
}

criterion_group!(mondrian, benches);
criterion_main!(mondrian);
