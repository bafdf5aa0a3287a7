use lookalike_core::Streams;

use super::*;

fn stored() -> Stored {
    let mut rng = Streams::new(4, "smote").block(0);
    let rows = 300;
    let number = |rng: &mut Stream, missing: f64| {
        Values::Number((0..rows).map(|_| if uniform(rng) < missing { f64::NAN } else { uniform(rng) }).collect())
    };
    let columns =
        vec![number(&mut rng, 0.1), number(&mut rng, 0.0), Values::Code((0..rows as u32).map(|i| i % 3).collect())];
    Stored { rows, columns, sizes: vec![0, 0, 3] }
}

#[test]
fn neighbours_are_those_of_a_search_through_all() {
    let stored = stored();
    let found = neighbours::nearest(&stored, 4, &Job::unbounded()).unwrap();
    let deviation = |v: &[f64]| {
        let v: Vec<f64> = v.iter().copied().filter(|v| !v.is_nan()).collect();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64).sqrt()
    };
    let (a, b) = (stored.columns[0].numbers().unwrap(), stored.columns[1].numbers().unwrap());
    let (sa, sb) = (deviation(a), deviation(b));
    for row in 0..300 {
        let mut all: Vec<(f64, usize)> = (0..300)
            .filter(|&o| o != row)
            .map(|o| {
                let first = match (a[row].is_nan(), a[o].is_nan()) {
                    (false, false) => ((a[row] - a[o]) / sa).powi(2),
                    (x, y) => f64::from(x != y),
                };
                (first + ((b[row] - b[o]) / sb).powi(2) + f64::from(row % 3 != o % 3), o)
            })
            .collect();
        all.sort_by(|x, y| x.0.total_cmp(&y.0));
        let nearest: Vec<u32> = all[..4].iter().map(|x| x.1 as u32).collect();
        assert_eq!(found[row * 4..(row + 1) * 4], nearest, "{row}");
    }
}

#[test]
fn majorities_worked_by_hand() {
    let codes = [0, 1, 1, 2, 2, MISSING];
    assert_eq!(majority(0, &[1, 2, 3], &codes), 1);
    // Two of each: the row's own, or else the first.
    assert_eq!(majority(2, &[1, 2, 3, 4], &codes), 2);
    assert_eq!(majority(0, &[1, 2, 3, 4], &codes), 1);
    assert_eq!((majority(MISSING, &[1], &codes), majority(0, &[5], &codes), majority(0, &[], &codes)), (MISSING, 0, 0));
}

#[test]
fn rows_lie_between_a_row_and_its_neighbour() {
    // Two pairs far apart: between 0 and 1, or between 10 and 11, never between.
    let stored = Stored { rows: 4, columns: vec![Values::Number(vec![0.0, 10.0, 1.0, 11.0])], sizes: vec![0] };
    let neighbours = neighbours::nearest(&stored, 1, &Job::unbounded()).unwrap();
    assert_eq!(neighbours, [2, 3, 0, 1]);
    let fitted = Between { report: FitReport { rows: 4, units: 4, epochs: 0 }, stored, neighbours };
    let rows = fitted.sample(1000, &mut Streams::new(1, "test").block(0)).unwrap();
    let values = rows[0].numbers().unwrap();
    assert!(values.iter().all(|v| (0.0..=1.0).contains(v) || (10.0..=11.0).contains(v)));
    // Half the rows in each: 4.9 standard deviations of a binomial count of 1,000.
    let low = values.iter().filter(|v| **v < 5.0).count() as f64;
    assert!((low - 500.0).abs() < 4.9 * 250f64.sqrt(), "{low}");
}
