//! Several neighbours and counts within a radius, on every path.

use super::*;
use crate::neighbours::many::{k_nearest_by, within_by};

fn spaces(metric: Metric, queries: &Frame, references: &Frame) -> (Space, Points, Points) {
    let job = Job::unbounded();
    let space = Space::fit(metric, &[references]).unwrap();
    let points = [queries, references].map(|frame| space.encode(frame, &job).unwrap());
    let [queries, references] = points;
    (space, queries, references)
}

fn assert_all_found(queries: &Frame, references: &Frame, own: bool, context: &str) {
    let job = Job::unbounded();
    let options = SearchOptions { exclude_self: own };
    for metric in METRICS {
        let expected = sorted(metric, references, queries, references, own);
        let (space, q, r) = spaces(metric, queries, references);
        // A radius that is a distance, one between distances, everything, and what holds nothing.
        let radius = |(i, all): (usize, &Vec<(f64, u32)>)| match (i % 8, all.get(i % 7), all.last()) {
            (0, _, _) => 0.0,
            (1, _, _) => f64::INFINITY,
            (2, _, _) => f64::NAN,
            (3, _, _) => -1.0,
            (4, Some(near), _) => near.0 * 1.01,
            (5, _, Some(last)) => last.0,
            (_, Some(near), _) => near.0,
            _ => 1.0,
        };
        let radii: Vec<f64> = expected.iter().enumerate().map(radius).collect();
        // Most references inside; a hair around a distance.
        let large = |(i, all): (usize, &Vec<(f64, u32)>)| {
            let Some(&(far, _)) = all.get((all.len() * (1 + i % 6) / 6).saturating_sub(1)) else { return 1.0 };
            [far, far.next_up(), far.next_down(), far * (1.0 + 1e-9), far * (1.0 - 1e-6)][i % 5]
        };
        let larger: Vec<f64> = expected.iter().enumerate().map(large).collect();
        for plan in plans() {
            let context = format!("{context} {metric:?} {plan:?} exclude_self {own}");
            for k in [1, 2, 5, 40, references.rows() + 3] {
                let found = k_nearest_by(plan, &space, &q, &r, k, options, &job).unwrap();
                for (i, all) in expected.iter().enumerate() {
                    let found: Vec<(u64, u32)> = found.of(i).map(|(row, d)| (d.to_bits(), row)).collect();
                    let all: Vec<(u64, u32)> = all.iter().take(k).map(|(d, row)| (d.to_bits(), *row)).collect();
                    assert_eq!(found, all, "{context} k {k} query {i}");
                }
            }
            for radii in [&radii, &larger] {
                let found = within_by(plan, &space, &q, &r, radii, options, &job).unwrap();
                assert_counts(&found, &expected, radii, &context);
            }
        }
    }
}

fn assert_counts(found: &[Within], sorted: &[Vec<(f64, u32)>], radii: &[f64], context: &str) {
    assert_eq!(found.len(), sorted.len(), "{context}");
    for (i, ((found, all), radius)) in found.iter().zip(sorted).zip(radii).enumerate() {
        let count = |test: &dyn Fn(f64) -> bool| all.iter().filter(|c| test(c.0)).count() as u32;
        let expected = Within { nearer: count(&|d| d < *radius), tied: count(&|d| d == *radius) };
        assert_eq!(*found, expected, "{context} radius {radius} query {i}");
    }
}

/// Values that a search takes for equal, or for nearer than they are, must not make a pair count.
#[test]
fn what_the_search_cannot_tell_apart_is_computed() {
    let job = Job::unbounded();
    let (rows, options) = (600, SearchOptions::default());
    let mut rng = stream(1300);
    // A column of one value on the scale, of many in the tables: more values than bytes.
    let hashed = |rows: usize| numbers("c", &(0..rows).map(|r| r as f64).collect::<Vec<_>>());
    // Codes that are equal when folded to sixteen bits.
    let folded = |rows: usize| codes("c", 70_000, &(0..rows).map(|r| [0, 65_535, 7][r % 3]).collect::<Vec<_>>());
    // Differences that f32 loses.
    let fine = |rows: usize| numbers("c", &(0..rows).map(|r| 0.5 + 1e-10 * (r * r % 997) as f64).collect::<Vec<_>>());
    // Values that are clamped.
    let distant = |rows: usize| numbers("c", &(0..rows).map(|r| 1e20 * (r % 17) as f64).collect::<Vec<_>>());
    // More categories that differ than fit a byte.
    let many = |rows: usize| -> Vec<_> {
        let column = |c: usize| codes(&format!("m{c}"), 300, &(0..rows).map(|r| (r % 300) as u32).collect::<Vec<_>>());
        (0..300).map(column).collect()
    };
    let mut table = |rows: usize, kind: usize, scale: bool| {
        let x: Vec<f64> = (0..rows).map(|_| (4.0 * lookalike_core::uniform(&mut rng)).floor() / 4.0).collect();
        let unit = |c: Vec<f64>| numbers("c", &c.iter().enumerate().map(|(r, _)| (r % 2) as f64).collect::<Vec<_>>());
        let mut columns = vec![numbers("x", &x)];
        match kind {
            0 if scale => columns.push(numbers("c", &vec![-1.0; rows])),
            0 => columns.push(hashed(rows)),
            1 => columns.push(folded(rows)),
            2 if scale => columns.push(unit(x)),
            2 => columns.push(fine(rows)),
            3 if scale => columns.push(unit(x)),
            3 => columns.push(distant(rows)),
            _ => columns.extend(many(rows)),
        }
        frame(columns)
    };
    for kind in 0..5 {
        let (scale, queries, references) = (table(64, kind, true), table(40, kind, false), table(rows, kind, false));
        for metric in METRICS {
            let space = Space::fit(metric, &[&scale]).unwrap();
            let [q, r] = [&queries, &references].map(|frame| space.encode(frame, &job).unwrap());
            let sorted = sorted(metric, &scale, &queries, &references, false);
            for share in [10, 50, 90, 99] {
                // A radius between two distances, or at one.
                let radii: Vec<f64> =
                    sorted.iter().map(|all| all[rows * share / 100].0 * [1.0, 1.0 + 1e-12][share % 20 / 10]).collect();
                for plan in plans() {
                    let found = within_by(plan, &space, &q, &r, &radii, options, &job).unwrap();
                    assert_counts(&found, &sorted, &radii, &format!("kind {kind} {metric:?} {plan:?}"));
                }
            }
        }
    }
}

#[test]
fn several_neighbours_and_counts_agree_with_the_definition_bit_for_bit() {
    for (shape, (kinds, missing)) in shapes().into_iter().enumerate() {
        let mut rng = stream(1000 + shape as u64);
        let references = random(&kinds, 203, missing, &mut rng);
        // Duplicates, so that ties go by canonical order.
        let references = stacked(&references, &references.gather(&[0, 7, 7, 100]));
        let queries = stacked(&random(&kinds, 21, missing, &mut rng), &references.gather(&[0, 7, 202]));
        assert_all_found(&queries, &references, false, &format!("shape {shape}"));
    }
}

#[test]
fn several_neighbours_exclude_rows_and_persons() {
    let mut rng = stream(1100);
    let rows = random(&[Uniform, Grid(3), Codes(3)], 130, 9, &mut rng);
    assert_all_found(&rows, &rows, true, "rows");
    let persons = with_units(rows.clone(), (0..130).map(|i| i / 4).collect());
    assert_all_found(&persons, &persons, true, "persons");
    let single = with_units(rows.clone(), vec![0; 130]);
    assert_all_found(&single, &single, true, "one person");
}

#[test]
fn nothing_is_found_in_nothing_and_arguments_are_checked() {
    let rows = random(&[Uniform, Codes(3)], 9, 0, &mut stream(1));
    let none = rows.gather(&[]);
    let job = Job::unbounded();
    let options = SearchOptions::default();
    let (space, q, r) = spaces(Metric::Gower, &rows, &none);
    let found = k_nearest(&space, &q, &r, 2, options, &job).unwrap();
    assert_eq!(found.rows, [MISSING; 18]);
    assert!(found.distances.iter().all(|d| d.is_nan()));
    assert_eq!(k_nearest(&space, &q, &q, 0, options, &job).unwrap().rows, Vec::<u32>::new());
    assert_eq!(within(&space, &q, &r, &[1.0; 9], options, &job).unwrap(), [Within::default(); 9]);
    assert_eq!(within(&space, &q, &q, &[1.0], options, &job).unwrap_err().kind(), ErrorKind::Internal);
    let own = SearchOptions { exclude_self: true };
    assert_eq!(nearest(&space, &q, &r, own, &job).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(k_nearest(&space, &q, &r, 2, own, &job).unwrap_err().kind(), ErrorKind::Internal);
}

/// Tables large enough for the probe, of three dimensions in ten columns and of many dimensions: whatever it decides,
/// the result is that of the plain search.
#[test]
fn what_the_probe_decides_changes_nothing() {
    let mut rng = stream(1200);
    let job = Job::unbounded();
    let surface = {
        let base = random(&[Uniform; 3], 13_000, 0, &mut rng);
        let value = |c: usize| base.columns()[c].values.numbers().unwrap();
        let mix = |j: usize| -> Vec<f64> {
            let (x, y, z) = (value(0), value(1), value(2));
            let weight = |c: usize| ((j * 7 + c * 3) % 11) as f64 - 5.0;
            x.iter().zip(y).zip(z).map(|((x, y), z)| weight(0) * x + weight(1) * y + weight(2) * z * z).collect()
        };
        frame((0..10).map(|j| numbers(&format!("c{j}"), &mix(j))).collect())
    };
    let wide = random(&[Uniform; 24], 12_000, 0, &mut rng);
    let mixed = random(&[Grid(30), Uniform, Uniform, Codes(3), Codes(2)], 12_000, 50, &mut rng);
    for (all, pruned) in [(surface, Some(true)), (wide, Some(false)), (mixed, None)] {
        for metric in [Metric::Gower, Metric::Euclidean] {
            let rows: Vec<u32> = (0..all.rows() as u32).collect();
            let (space, q, r) = spaces(metric, &all, &all.gather(&rows[..11_500]));
            let task = Task {
                space: &space,
                queries: &q,
                references: &r,
                options: SearchOptions::default(),
                probe: Probe::Nearest(2),
                held: 2,
            };
            if let Some(pruned) = pruned {
                assert_eq!(probe::pays(&task, 32, 4, &job).unwrap(), pruned, "{metric:?}");
            }
            let [plain, tree, chosen] = [Some(false), Some(true), None].map(|prune| {
                let plan = Plan { prune, ..Plan::default() };
                nearest_by(plan, &space, &q, &r, SearchOptions::default(), &job).unwrap()
            });
            assert_same(&tree, &plain, "tree");
            assert_same(&chosen, &plain, "chosen");
        }
    }
}
