//! Cosine and masked distances.

use super::*;

/// The textbook formula in the order of the columns: vectors with a place for every category, NULL among them.
fn naive_cosine(scale: &Frame, a: (&Frame, usize), b: (&Frame, usize)) -> f64 {
    let widths = widths(scale);
    let (mut dot, mut squares) = (0.0, [0.0, 0.0]);
    for (c, &width) in widths.iter().enumerate() {
        let category = match (&a.0.columns()[c].values, &b.0.columns()[c].values) {
            (Values::Number(x), Values::Number(y)) if width > 0.0 => {
                let Values::Number(all) = &scale.columns()[c].values else { unreachable!() };
                let low = all.iter().copied().filter(|v| !v.is_nan()).fold(f64::MAX, f64::min);
                let place = |v: f64| if v.is_nan() { 0.0 } else { (v - low) / width - 0.5 };
                let (x, y) = (place(x[a.1]), place(y[b.1]));
                dot += x * y;
                squares = [squares[0] + x * x, squares[1] + y * y];
                continue;
            }
            (Values::Number(x), Values::Number(y)) => x[a.1] == y[b.1] || (x[a.1].is_nan() && y[b.1].is_nan()),
            (Values::Code(x), Values::Code(y)) => x[a.1] == y[b.1],
            _ => continue,
        };
        dot += if category { 0.5 } else { 0.0 };
        squares = squares.map(|s| s + 0.5);
    }
    1.0 - dot / (squares[0] * squares[1]).sqrt()
}

#[test]
fn cosines_agree_with_the_definition() {
    let job = Job::unbounded();
    for (shape, (kinds, missing)) in shapes().into_iter().enumerate() {
        let rows = random(&kinds, 40, missing, &mut stream(2000 + shape as u64));
        let space = Space::fit(Metric::Cosine, &[&rows]).unwrap();
        let points = space.encode(&rows, &job).unwrap();
        for q in 0..40 {
            for r in 0..40 {
                let (found, expected) = (
                    space.distance(&points, q, &points, r),
                    naive_cosine(&rows, (&rows, q as usize), (&rows, r as usize)),
                );
                // A dozen roundings of numbers up to 1; rows of zeros have no textbook value.
                let zero = points.inverse(q as usize) == 0.0 || points.inverse(r as usize) == 0.0;
                assert!(zero || (found - expected).abs() < 1e-13, "shape {shape}: {found} is not {expected}");
                assert!((0.0..=2.0).contains(&found));
                assert!(q != r || found == 0.0);
            }
        }
    }
}

#[test]
fn hand_worked_cosines() {
    // Ranges 0 to 4 and 0 to 2, so the middles are 2 and 1; NULL is the middle.
    let scale = frame(vec![numbers("x", &[0.0, 4.0, 4.0, 2.0, f64::NAN]), numbers("y", &[1.0, 1.0, 2.0, 1.0, 1.0])]);
    let scale = stacked(&scale, &frame(vec![numbers("x", &[2.0]), numbers("y", &[0.0])]));
    let job = Job::unbounded();
    let space = Space::fit(Metric::Cosine, &[&scale]).unwrap();
    let points = space.encode(&scale, &job).unwrap();
    let root = 0.5f64.sqrt();
    // Directions: west, east, north-east, none, none, south.
    for (a, b, expected) in [
        (0, 1, 2.0),
        (1, 2, 1.0 - root),
        (0, 2, 1.0 + root),
        (1, 5, 1.0),
        (2, 5, 1.0 + root),
        (3, 1, 1.0),
        (3, 4, 0.0),
        (3, 3, 0.0),
    ] {
        let found = space.distance(&points, a, &points, b);
        assert!((found - expected).abs() < 1e-15, "{a} {b}: {found} is not {expected}");
    }
    // Half a unit along x and one category: (1/4 + 1/2) in length squared, of which 1/2 or 1/4 is shared.
    let mixed = frame(vec![numbers("x", &[0.0, 1.0, 1.0]), codes("c", 2, &[0, 0, 1])]);
    let space = Space::fit(Metric::Cosine, &[&mixed]).unwrap();
    let points = space.encode(&mixed, &job).unwrap();
    for (a, b, expected) in [(0, 1, 1.0 - 0.25 / 0.75), (1, 2, 1.0 - 0.25 / 0.75), (0, 2, 1.0 + 0.25 / 0.75)] {
        let found = space.distance(&points, a, &points, b);
        assert!((found - expected).abs() < 1e-15, "{a} {b}: {found} is not {expected}");
    }
}

#[test]
fn masked_distances_of_rows_with_little_in_common() {
    // Ranges 0 to 10, 0 to 2 and 0 to 100.
    let rows = frame(vec![
        numbers("a", &[0.0, 10.0, f64::NAN, f64::NAN, 5.0]),
        numbers("b", &[f64::NAN, 2.0, 0.0, f64::NAN, f64::NAN]),
        numbers("c", &[100.0, 0.0, f64::NAN, f64::NAN, 100.0]),
    ]);
    let job = Job::unbounded();
    let space = Space::fit(Metric::Masked, &[&rows]).unwrap();
    let points = space.encode(&rows, &job).unwrap();
    for (a, b, expected) in [
        // (1 + 1) / 2 over a and c, and one column of three.
        (0, 1, 1.0 + 1.0 / 3.0),
        // (0.5 + 0) / 2, the same columns.
        (0, 4, 0.25),
        // b alone is in both.
        (1, 2, 1.0 + 2.0 / 3.0),
        // Nothing in common.
        (0, 2, 2.0),
        (0, 3, 1.0 + 2.0 / 3.0),
        (3, 3, 0.0),
    ] {
        assert_eq!(space.distance(&points, a, &points, b), expected, "{a} {b}");
        assert_eq!(space.distance(&points, b, &points, a), expected, "{b} {a}");
    }
}

/// tests/golden/make/attacks_neighbours.py: scikit-learn 1.9.1, brute search over columns of heart disease patients.
#[test]
fn several_neighbours_agree_with_scikit_learn() {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../../../tests/golden/attacks_neighbours.json")).unwrap();
    let floats = |values: &serde_json::Value| -> Vec<f64> {
        values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let table = |name: &str| {
        let columns = all[name].as_array().unwrap().iter().enumerate();
        frame(columns.map(|(c, values)| numbers(&format!("c{c}"), &floats(values))).collect())
    };
    let (queries, references) = (table("queries"), table("references"));
    let k = all["k"].as_u64().unwrap() as usize;
    let job = Job::unbounded();
    for metric in [Metric::Euclidean, Metric::L1, Metric::Cosine] {
        let space = Space::fit(metric, &[&references]).unwrap();
        let [q, r] = [&queries, &references].map(|frame| space.encode(frame, &job).unwrap());
        let found = k_nearest(&space, &q, &r, k, SearchOptions::default(), &job).unwrap();
        for (query, expected) in all["distances"][metric.name()].as_array().unwrap().iter().enumerate() {
            for ((_, found), expected) in found.of(query).zip(floats(expected)) {
                // scikit-learn expands squares and subtracts a cosine from 1: what is near 0 keeps fewer digits there.
                let near = if metric == Metric::L1 { 1e-13 } else { 1e-7 };
                assert!((found - expected).abs() < near, "{metric:?} query {query}: {found} is not {expected}");
            }
        }
    }
}
