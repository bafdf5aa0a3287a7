//! The search against a plain implementation of the definition, on every path.

use lookalike_core::{ErrorKind, Frame, Job, Values};

use std::sync::atomic::{AtomicU64, Ordering};

use super::isa::Isa;
use super::*;
use crate::test_frames::Kind::{Codes, Constant, Grid, Uniform, Wild};
use crate::test_frames::{Kind, codes, frame, identifier, numbers, random, shuffled, stacked, stream, with_units};

const METRICS: [Metric; 5] = [Metric::Gower, Metric::L1, Metric::Euclidean, Metric::Cosine, Metric::Masked];

/// Every way to search.
fn plans() -> Vec<Plan> {
    let plan = |isa| [false, true].map(|prune| Plan { isa, prune: Some(prune) });
    Isa::available().into_iter().flat_map(plan).collect()
}

/// The definition of the distance, from the frames: nothing shared with the search. The cosine is the exception, whose
/// rounding another formula would not reproduce: `cosines_agree_with_the_definition` compares it.
fn naive_distance(metric: Metric, widths: &[f64], a: (&Frame, usize), b: (&Frame, usize)) -> f64 {
    let (mut sum, mut mismatches, mut differs, mut columns) = (0.0, 0, false, 0);
    let (mut common, mut one_sided) = (0, 0);
    let masked = metric == Metric::Masked;
    for (c, &width) in widths.iter().enumerate() {
        let nulls = match (&a.0.columns()[c].values, &b.0.columns()[c].values) {
            (Values::Number(x), Values::Number(y)) => [x[a.1].is_nan(), y[b.1].is_nan()],
            (Values::Code(x), Values::Code(y)) => [x[a.1] == MISSING, y[b.1] == MISSING],
            _ => continue,
        };
        columns += 1;
        one_sided += usize::from(nulls[0] != nulls[1]);
        common += usize::from(nulls == [false, false]);
        if masked && nulls != [false, false] {
            continue;
        }
        match (&a.0.columns()[c].values, &b.0.columns()[c].values) {
            (Values::Number(x), Values::Number(y)) => {
                let (x, y) = (x[a.1], y[b.1]);
                let mut part = match (x.is_nan(), y.is_nan()) {
                    (true, true) => 0.0,
                    (true, false) | (false, true) => 1.0,
                    _ if width > 0.0 => (x - y).abs() / width,
                    _ => f64::from(u8::from(x != y)),
                };
                if metric == Metric::Gower || masked {
                    part = part.min(1.0);
                }
                sum += if metric == Metric::Euclidean { part * part } else { part };
                differs |= x != y && !(x.is_nan() && y.is_nan());
            }
            (Values::Code(x), Values::Code(y)) => mismatches += usize::from(x[a.1] != y[b.1]),
            _ => {}
        }
    }
    sum += mismatches as f64;
    let distance = match metric {
        Metric::Gower => sum / f64::from(columns),
        Metric::L1 => sum,
        Metric::Euclidean => sum.sqrt(),
        Metric::Masked if common == 0 && one_sided == 0 => 0.0,
        Metric::Masked if common == 0 => 1.0 + one_sided as f64 / f64::from(columns),
        Metric::Masked => sum / common as f64 + one_sided as f64 / f64::from(columns),
        Metric::Cosine => unreachable!("cosines are compared on their own"),
    };
    let differs = differs || mismatches > 0 || (masked && one_sided > 0);
    if distance == 0.0 && differs { f64::MIN_POSITIVE } else { distance }
}

fn widths(scale: &Frame) -> Vec<f64> {
    let width = |values: &Values| match values {
        Values::Number(all) => {
            let present = || all.iter().copied().filter(|v| !v.is_nan());
            present().fold(f64::MIN, f64::max) - present().fold(f64::MAX, f64::min)
        }
        _ => f64::NAN,
    };
    scale.columns().iter().map(|c| width(&c.values)).collect()
}

/// For each query all references that count by distance and canonical order, with their rows, by sorting.
fn sorted(
    metric: Metric,
    scale: &Frame,
    queries: &Frame,
    references: &Frame,
    exclude_self: bool,
) -> Vec<Vec<(f64, u32)>> {
    let widths = widths(scale);
    let job = Job::unbounded();
    let space = Space::fit(metric, &[scale]).unwrap();
    let (points, others) = (space.encode(queries, &job).unwrap(), space.encode(references, &job).unwrap());
    let distance = |q: usize, r: usize| match metric {
        Metric::Cosine => space.distance(&points, q as u32, &others, r as u32),
        _ => naive_distance(metric, &widths, (queries, q), (references, r)),
    };
    let mut rank = vec![0; references.rows()];
    references.canonical_order().iter().enumerate().for_each(|(position, &row)| rank[row as usize] = position);
    let one = |q: usize| {
        let counts = |r: &usize| !(exclude_self && same(references, q, *r));
        let mut all: Vec<(f64, u32)> =
            (0..references.rows()).filter(counts).map(|r| (distance(q, r), r as u32)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(rank[a.1 as usize].cmp(&rank[b.1 as usize])));
        all
    };
    (0..queries.rows()).map(one).collect()
}

/// Whether rows are the same, or of the same person.
fn same(frame: &Frame, a: usize, b: usize) -> bool {
    frame.units().map_or(a == b, |units| units.codes[a] == units.codes[b])
}

/// Nearest and second nearest of sorted neighbours.
fn two(sorted: &[Vec<(f64, u32)>], references: &Frame) -> Vec<Neighbour> {
    let one = |all: &Vec<(f64, u32)>| match all.first() {
        None => Neighbour { distance: f64::NAN, row: MISSING, second: f64::NAN },
        Some(&(distance, row)) => {
            let second = all.iter().find(|c| !same(references, c.1 as usize, row as usize));
            Neighbour { distance, row, second: second.map_or(f64::NAN, |c| c.0) }
        }
    };
    sorted.iter().map(one).collect()
}

fn search(plan: Plan, metric: Metric, scale: &Frame, queries: &Frame, references: &Frame, own: bool) -> Vec<Neighbour> {
    let job = Job::unbounded();
    let space = Space::fit(metric, &[scale]).unwrap();
    let (q, r) = (space.encode(queries, &job).unwrap(), space.encode(references, &job).unwrap());
    nearest_by(plan, &space, &q, &r, SearchOptions { exclude_self: own }, &job).unwrap()
}

fn assert_same(found: &[Neighbour], expected: &[Neighbour], context: &str) {
    let bits = |n: &Neighbour| (n.distance.to_bits(), n.row, n.second.to_bits());
    assert_eq!(found.len(), expected.len(), "{context}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert_eq!(bits(f), bits(e), "{context}, query {i}: {f:?} is not {e:?}");
    }
}

/// Kinds of columns, and one in how many values is NULL.
fn shapes() -> Vec<(Vec<Kind>, u32)> {
    vec![
        (vec![Uniform; 5], 0),
        (vec![Uniform, Grid(10), Wild], 0),
        (vec![Wild; 3], 0),
        (vec![Uniform; 40], 0),
        (vec![Uniform, Grid(4), Codes(3), Codes(200)], 0),
        (vec![Uniform, Grid(4), Codes(3), Codes(200)], 6),
        (vec![Wild, Wild, Uniform, Codes(2), Constant], 7),
        (vec![Codes(2), Codes(3), Codes(4)], 5),
        (vec![Codes(256), Codes(1000), Codes(70_000), Grid(3)], 4),
        (vec![Codes(2); 300], 0),
        (vec![Constant, Codes(5)], 3),
        (vec![Grid(1000); 2], 3),
        (vec![Grid(50)], 0),
    ]
}

#[test]
fn every_path_agrees_with_the_definition_bit_for_bit() {
    for (shape, (kinds, missing)) in shapes().into_iter().enumerate() {
        let mut rng = stream(shape as u64);
        let references = random(&kinds, 203, missing, &mut rng);
        let queries = random(&kinds, 45, missing, &mut rng);
        // Some queries are references: distance 0.
        let queries = stacked(&queries, &references.gather(&[0, 7, 202]));
        let narrow_scale = references.gather(&(0..20).collect::<Vec<_>>());
        for metric in METRICS {
            for scale in [&references, &narrow_scale] {
                let expected = two(&sorted(metric, scale, &queries, &references, false), &references);
                for plan in plans() {
                    let found = search(plan, metric, scale, &queries, &references, false);
                    assert_same(&found, &expected, &format!("{plan:?} {metric:?} shape {shape}"));
                }
            }
        }
    }
}

#[test]
fn rows_and_persons_exclude_themselves() {
    let mut rng = stream(100);
    let rows = random(&[Uniform, Grid(3), Codes(3)], 150, 9, &mut rng);
    let persons = with_units(rows.clone(), (0..150).map(|i| i / 4).collect());
    let couple = with_units(rows.clone(), (0..150).map(|i| i % 2).collect());
    let single = with_units(rows.clone(), vec![0; 150]);
    for metric in METRICS {
        for frame in [&rows, &persons, &couple, &single] {
            for own in [false, true] {
                let expected = two(&sorted(metric, frame, frame, frame, own), frame);
                for plan in plans() {
                    let found = search(plan, metric, frame, frame, frame, own);
                    assert_same(&found, &expected, &format!("{plan:?} {metric:?} exclude_self {own}"));
                }
            }
        }
    }
}

#[test]
fn order_of_references_and_number_of_threads_do_not_matter() {
    let mut rng = stream(200);
    let kinds = [Uniform, Grid(5), Wild, Codes(3), Codes(300)];
    let references = random(&kinds, 1500, 10, &mut rng);
    let queries = random(&kinds, 700, 10, &mut rng);
    let order = shuffled(1500, 1);
    let moved = references.gather(&order);
    for metric in METRICS {
        let expected = search(Plan::default(), metric, &references, &queries, &references, false);
        let found = search(Plan::default(), metric, &references, &queries, &moved, false);
        for (f, e) in found.iter().zip(&expected) {
            assert_eq!((f.distance.to_bits(), f.second.to_bits()), (e.distance.to_bits(), e.second.to_bits()));
            assert_eq!(order[f.row as usize], e.row);
        }
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for prune in [false, true] {
                let plan = Plan { prune: Some(prune), ..Plan::default() };
                let found = pool.install(|| search(plan, metric, &references, &queries, &references, false));
                assert_same(&found, &expected, &format!("{threads} threads"));
            }
        }
    }
}

#[test]
fn hand_worked_distances() {
    // Width of `age` is 40 (20 to 60); `region` has one value, `sex` is a category.
    let train = frame(vec![
        numbers("age", &[20.0, 60.0, f64::NAN]),
        numbers("region", &[1.0, 1.0, 1.0]),
        codes("sex", 2, &[0, 1, MISSING]),
    ]);
    // Ten years and one sex from the first; region differs, 100 years are capped by gower alone; two NULLs in both.
    let queries = frame(vec![
        numbers("age", &[30.0, 160.0, f64::NAN]),
        numbers("region", &[1.0, 2.0, 1.0]),
        codes("sex", 2, &[1, 1, MISSING]),
    ]);
    let job = Job::unbounded();
    for (metric, expected) in [
        // Query 0 to row 0: (.25 + 0 + 1)/3; to row 1: (.75 + 0 + 0)/3. Query 1 to row 1: (1 + 1 + 0)/3.
        (Metric::Gower, [(0, 0, 1.25 / 3.0), (0, 1, 0.25), (1, 1, 2.0 / 3.0), (1, 2, 1.0), (2, 2, 0.0)]),
        // Query 1 to row 1: 100/40 + 1; to row 2: 1 + 1 + 1.
        (Metric::L1, [(0, 0, 1.25), (0, 1, 0.75), (1, 1, 3.5), (1, 2, 3.0), (2, 2, 0.0)]),
        // Roots of .0625 + 1, .5625, 6.25 + 1, 3.
        // Query 1 to row 1: 1 of age, 1 of region; to row 2: 1 of region, and 2 of 3 columns with a value here alone.
        (Metric::Masked, [(0, 0, 1.25 / 3.0), (0, 1, 0.25), (1, 1, 2.0 / 3.0), (1, 2, 1.0 + 2.0 / 3.0), (2, 2, 0.0)]),
        (
            Metric::Euclidean,
            [(0, 0, 1.0625f64.sqrt()), (0, 1, 0.75), (1, 1, 7.25f64.sqrt()), (1, 2, 3f64.sqrt()), (2, 2, 0.0)],
        ),
    ] {
        let space = Space::fit(metric, &[&train]).unwrap();
        let (q, r) = (space.encode(&queries, &job).unwrap(), space.encode(&train, &job).unwrap());
        for (query, reference, distance) in expected {
            assert_eq!(space.distance(&q, query, &r, reference), distance, "{metric:?} {query} {reference}");
        }
    }
}

#[test]
fn only_identical_rows_are_at_distance_zero() {
    // Differences that vanish in f32, in the division by the width, and in the square.
    let references = frame(vec![numbers("x", &[1.0, 1.0 + f64::EPSILON, 1e300, 5e-324])]);
    let queries = frame(vec![numbers("x", &[1.0, 1.0 + 2.0 * f64::EPSILON, 0.0, 5e-324])]);
    for metric in METRICS.into_iter().filter(|metric| *metric != Metric::Cosine) {
        for plan in plans() {
            let found = search(plan, metric, &references, &queries, &references, false);
            let is_zero: Vec<bool> = found.iter().map(|n| n.distance == 0.0).collect();
            assert_eq!(is_zero, [true, false, false, true], "{metric:?} {plan:?}");
        }
    }
}

#[test]
fn ratios_of_equal_and_missing_neighbours() {
    // Two identical references: 0/0 is 1. One reference: no second neighbour.
    let references = frame(vec![numbers("x", &[1.0, 1.0, 3.0])]);
    let queries = frame(vec![numbers("x", &[1.0, 2.0, 2.5])]);
    let found = search(Plan::default(), Metric::L1, &references, &queries, &references, false);
    // 2.5 is 0.5 from 3 and 1.5 from 1.
    assert_eq!(found.iter().map(Neighbour::ratio).collect::<Vec<_>>(), [1.0, 1.0, 1.0 / 3.0]);
    let one = references.gather(&[0]);
    assert!(search(Plan::default(), Metric::L1, &references, &queries, &one, false)[0].ratio().is_nan());
    let none = references.gather(&[]);
    let found = search(Plan::default(), Metric::L1, &references, &queries, &none, false);
    assert!(found.iter().all(|n| n.distance.is_nan() && n.row == MISSING && n.second.is_nan()));
}

#[test]
fn columns_must_be_comparable() {
    let only = frame(vec![identifier("patient_id")]);
    let error = Space::fit(Metric::Gower, &[&only]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("patient_id"), "{error}");
    // An identifier beside a category is left out: one column is compared.
    let mixed = frame(vec![identifier("patient_id"), codes("sex", 2, &[0, 1])]);
    let space = Space::fit(Metric::Gower, &[&mixed]).unwrap();
    assert_eq!(space.columns(), 1);
    assert!(space.encode(&only, &Job::unbounded()).is_err());
}

#[test]
fn names_are_those_of_the_option() {
    for metric in METRICS {
        assert_eq!(Metric::from_name(metric.name()).unwrap(), metric);
    }
    assert!(Metric::from_name("hamming").unwrap_err().message().contains("'gower' or 'l1' or 'euclidean'"));
}

/// References that f32 cannot tell apart, so that a search without room for its errors would miss the nearest.
#[test]
fn differences_below_the_resolution_of_the_search_are_found() {
    let mut rng = stream(300);
    for (columns, category) in [(1, false), (3, false), (12, false), (3, true)] {
        let mut draw = |rows: usize| {
            let mut all: Vec<_> = (0..columns)
                .map(|c| {
                    let step = 3e-9 * (c + 1) as f64;
                    let near = |u: f64| 0.37 + 0.01 * c as f64 + step * (40.0 * u).floor();
                    let mut values: Vec<f64> = (0..rows).map(|_| near(lookalike_core::uniform(&mut rng))).collect();
                    // The range is 0 to 1.
                    (values[0], values[1]) = (0.0, 1.0);
                    numbers(&format!("c{c}"), &values)
                })
                .collect();
            if category {
                all.push(codes("c", 2, &(0..rows as u32).map(|r| r % 2).collect::<Vec<_>>()));
            }
            frame(all)
        };
        let (references, queries) = (draw(700), draw(60));
        for metric in METRICS {
            let expected = two(&sorted(metric, &references, &queries, &references, false), &references);
            for plan in plans() {
                let found = search(plan, metric, &references, &queries, &references, false);
                assert_same(&found, &expected, &format!("{plan:?} {metric:?} {columns} columns"));
            }
        }
    }
}

/// A host that refuses, or counts.
#[derive(Default)]
struct Stern {
    cancelled: bool,
    refuses: bool,
    pairs: AtomicU64,
    done: AtomicU64,
}

impl lookalike_core::Host for Stern {
    fn cancelled(&self) -> bool {
        self.cancelled
    }
    fn grow(&self, bytes: usize, purpose: &str) -> Result<()> {
        if self.refuses { Err(Error::resources(format!("{bytes} for {purpose}"))) } else { Ok(()) }
    }
    fn shrink(&self, _: usize) {}
    fn count(&self, counter: &'static str, n: usize) {
        assert_eq!(counter, "pairs_compared");
        self.pairs.fetch_add(n as u64, Ordering::Relaxed);
    }
    fn progress(&self, _: &'static str, done: u64, total: u64) {
        assert!(done <= total);
        self.done.fetch_max(done, Ordering::Relaxed);
    }
}

#[test]
fn the_host_is_asked_and_told() {
    let rows = random(&[Uniform, Codes(3)], 100, 0, &mut stream(1));
    let space = Space::fit(Metric::Gower, &[&rows]).unwrap();
    let points = space.encode(&rows, &Job::unbounded()).unwrap();
    let run = |host: Stern| {
        let host = std::sync::Arc::new(host);
        let job = Job::new(host.clone());
        let found = nearest(&space, &points, &points, SearchOptions::default(), &job).map(|_| ());
        (found.map_err(|e| e.kind()), host.pairs.load(Ordering::Relaxed), host.done.load(Ordering::Relaxed))
    };
    assert_eq!(run(Stern { cancelled: true, ..Stern::default() }), (Err(ErrorKind::Cancelled), 0, 0));
    assert_eq!(run(Stern { refuses: true, ..Stern::default() }), (Err(ErrorKind::Resources), 0, 0));
    assert_eq!(run(Stern::default()), (Ok(()), 10_000, 100));
}

mod many;
mod metrics;
