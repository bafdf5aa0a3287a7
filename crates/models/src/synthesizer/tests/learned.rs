//! What models learn: dependence, marginals, densities.

use super::*;

/// Two normals of correlation .6, a third cut from the second at -.5 and .8, and one that stands alone.
fn dependent(n: usize) -> RecordBatch {
    let mut rng = Streams::new(5, "dependent").block(0);
    let draws: Vec<[f64; 4]> = (0..n)
        .map(|_| {
            let ([a, b], [c, d]) = (standard_normal(&mut rng), standard_normal(&mut rng));
            [a, 0.6 * a + 0.8 * b, c, d]
        })
        .collect();
    let number = |k: usize| -> ArrayRef { Arc::new(Float64Array::from_iter_values(draws.iter().map(|d| d[k]))) };
    // Names out of order: the order has to be learned.
    let grade = |z: f64| {
        if z < -0.5 {
            "m"
        } else if z < 0.8 {
            "z"
        } else {
            "a"
        }
    };
    columns(vec![
        ("x", number(0), false),
        ("y", number(1), false),
        ("alone", number(2), false),
        ("grade", Arc::new(StringArray::from_iter_values(draws.iter().map(|d| grade(d[1])))), false),
        ("noted", Arc::new(Float64Array::from_iter(draws.iter().map(|d| (d[0] + d[3] > 0.0).then_some(d[2])))), true),
    ])
}

fn numbers(batch: &RecordBatch, name: &str) -> Vec<f64> {
    batch.column_by_name(name).unwrap().as_any().downcast_ref::<Float64Array>().unwrap().values().to_vec()
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mx, my) = (mean(x), mean(y));
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// Mean of `x` where the grade is `wanted`.
fn mean_where(batch: &RecordBatch, wanted: &str) -> f64 {
    let grades = batch.column_by_name("grade").unwrap().as_any().downcast_ref::<StringArray>().unwrap();
    let x: Vec<f64> = numbers(batch, "x")
        .into_iter()
        .zip(grades.iter())
        .filter(|(_, g)| *g == Some(wanted))
        .map(|(x, _)| x)
        .collect();
    x.iter().sum::<f64>() / x.len() as f64
}

#[test]
fn dependence_is_recovered_or_absent() {
    let n = 20_000;
    let input = dependent(n);
    let frame = frame_of(&input, None);
    let sd = 1.0 / (n as f64).sqrt();
    // 'auto' is one of the others with options of its own.
    for model in MODELS.iter().filter(|m| !is_iterative(**m) && m.name() != "auto") {
        let output = generate(&fit(&frame, *model, |_| ()).unwrap());
        let found = correlation(&numbers(&output, "x"), &numbers(&output, "y"));
        let alone = correlation(&numbers(&output, "x"), &numbers(&output, "alone"));
        // Once learned from n rows and once drawn in n rows: sqrt(2) standard deviations of a correlation near zero.
        assert!(alone.abs() < SIGMAS * sd * 2f64.sqrt(), "{} {alone}", model.name());
        if model.name() == "independent" {
            assert!(found.abs() < SIGMAS * sd, "{found}");
            assert!((mean_where(&output, "a") - mean_where(&output, "m")).abs() < SIGMAS * 2.0 * 2.0 * sd);
            continue;
        }
        // Around .6 a correlation has standard deviation (1 - .36) / sqrt(n); quantile bins and clipped tails cost below .005.
        assert!((found - 0.6).abs() < SIGMAS * 0.64 * sd * 2f64.sqrt() + 0.005, "{} {found}", model.name());
        // E[x | y > .8] = .6 phi(.8) / (1 - Phi(.8)) = .6 * 1.3671; E[x | y < -.5] = -.6 phi(.5) / Phi(-.5) = -.6 * 1.1411. Two groups
        // of more than a fifth of the rows each, drawn twice; the tree's approximation may cost .05. Indicators of
        // `gaussian` are no normals: there the direction has to be right.
        let (high, low) = (mean_where(&output, "a"), mean_where(&output, "m"));
        if model.name() == "gaussian_copula" {
            assert!((high - 0.6 * 1.3671).abs() < SIGMAS * sd * 10f64.sqrt() + 0.05, "{high}");
            assert!((low + 0.6 * 1.1411).abs() < SIGMAS * sd * 10f64.sqrt() + 0.05, "{low}");
        } else {
            assert!(high > 0.4 && low < -0.3, "{} {high} {low}", model.name());
        }
    }
}

#[test]
fn copula_learns_when_values_are_missing() {
    // `noted` is missing when x + d < 0: P(missing | x > 1) is by hand below .08 on average, P(missing | x < -1) above .92
    // (x + d < 0 at |x| = 1.525, the mean beyond 1: Phi(-1.525) = .064).
    let copula = crate::model("gaussian_copula").unwrap();
    let output = generate(&fit(&frame_of(&dependent(20_000), None), copula, |_| ()).unwrap());
    let noted = output.column_by_name("noted").unwrap();
    let share = |keep: &dyn Fn(f64) -> bool| {
        let rows: Vec<usize> =
            numbers(&output, "x").iter().enumerate().filter(|(_, x)| keep(**x)).map(|(i, _)| i).collect();
        rows.iter().filter(|&&i| noted.is_null(i)).count() as f64 / rows.len() as f64
    };
    assert!(
        share(&|x| x > 1.0) < 0.12 && share(&|x| x < -1.0) > 0.88,
        "{} {}",
        share(&|x| x > 1.0),
        share(&|x| x < -1.0)
    );
}

#[test]
fn marginals_are_those_of_the_input() {
    let n = 20_000;
    let input = dependent(n);
    let frame = frame_of(&input, None);
    for model in MODELS.iter().filter(|m| !["gaussian", "smote"].contains(&m.name()) && !is_iterative(**m)) {
        let output = generate(&fit(&frame, *model, |_| ()).unwrap());
        for name in ["x", "alone"] {
            let (mut real, mut made) = (numbers(&input, name), numbers(&output, name));
            real.sort_unstable_by(f64::total_cmp);
            made.sort_unstable_by(f64::total_cmp);
            let below = |all: &[f64], v: f64| all.partition_point(|x| *x <= v) as f64 / n as f64;
            let distance =
                real.iter().chain(&made).map(|&v| (below(&real, v) - below(&made, v)).abs()).fold(0.0, f64::max);
            // One sample against a known distribution: sqrt(n) D exceeds 2.69 once in a million. Inside a bin (at most 1 / 1024 of the
            // rows and one more bin's rest) the fitted distribution is a line.
            assert!(distance < 2.69 / (n as f64).sqrt() + 2.0 / 1024.0, "{} {name} {distance}", model.name());
        }
        let frequency = |batch: &RecordBatch, grade: &str| {
            let grades = batch.column_by_name("grade").unwrap();
            grades.as_any().downcast_ref::<StringArray>().unwrap().iter().filter(|g| *g == Some(grade)).count() as f64
                / n as f64
        };
        for grade in ["a", "m", "z"] {
            let p = frequency(&input, grade);
            assert!(
                (frequency(&output, grade) - p).abs() < SIGMAS * (p * (1.0 - p) / n as f64).sqrt(),
                "{} {grade}",
                model.name()
            );
        }
    }
}

#[test]
fn copula_keeps_codes_and_labels_together() {
    let n = 4000;
    let code = |i: usize| (i * i + i / 7) % 12;
    let input = columns(vec![
        ("code", Arc::new(Int32Array::from_iter_values((0..n).map(|i| code(i) as i32 * 10))), false),
        ("label", Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("L{}", (code(i) * 5) % 12)))), false),
        ("x", Arc::new(Float64Array::from_iter_values((0..n).map(|i| (i * 7919 % n) as f64 / 7.0))), false),
    ]);
    let output = generate(&fit(&frame_of(&input, None), crate::model("gaussian_copula").unwrap(), |_| ()).unwrap());
    let codes = output.column(0).as_any().downcast_ref::<Int32Array>().unwrap();
    let labels = output.column(1).as_any().downcast_ref::<StringArray>().unwrap();
    for (code, label) in codes.iter().flatten().zip(labels.iter().flatten()) {
        assert_eq!(label, format!("L{}", (code / 10 * 5) % 12));
    }
}

#[test]
fn likelihoods_worked_by_hand() {
    // Of 40 rows 20 are a, 16 are b, 4 are rare ones of four categories.
    let names: Vec<String> = (0..40)
        .map(|i| {
            if i < 20 {
                "a".into()
            } else if i < 36 {
                "b".into()
            } else {
                format!("r{i}")
            }
        })
        .collect();
    let frame = frame_of(&columns(vec![("c", Arc::new(StringArray::from(names)), true)]), None);
    let independent = crate::model("independent").unwrap();
    let fitted = fit(&frame, independent, |_| {}).unwrap();
    let logs = fitted.log_likelihood(&frame, &Job::unbounded()).unwrap().unwrap();
    for (row, share) in [(0, 0.5), (20, 0.4), (36, 0.1), (39, 0.1)] {
        assert!((logs[row] - libm::log(share)).abs() < 1e-12, "{row}: {}", logs[row]);
    }
    // Indicators have no closed form in the gaussian, and trees of splits none in the copula.
    for name in ["gaussian", "gaussian_copula"] {
        let fitted = fit(&frame, crate::model(name).unwrap(), |_| {}).unwrap();
        assert!(fitted.log_likelihood(&frame, &Job::unbounded()).unwrap().is_none(), "{name}");
    }
}

#[test]
fn the_density_of_two_numbers_integrates_to_one() {
    let mut rng = Streams::new(1, "pairs").block(0);
    let pairs: Vec<[f64; 2]> = (0..500).map(|_| standard_normal(&mut rng)).map(|[a, b]| [3.0 * a, a + b]).collect();
    let pair =
        |i: usize, pairs: &[[f64; 2]]| Arc::new(Float64Array::from_iter_values(pairs.iter().map(|p| p[i]))) as ArrayRef;
    let table =
        |pairs: &[[f64; 2]]| frame_of(&columns(vec![("x", pair(0, pairs), false), ("y", pair(1, pairs), false)]), None);
    let fitted = fit(&table(&pairs), crate::model("gaussian").unwrap(), |p| p.min_category_count = 1).unwrap();
    // A grid of five standard deviations each way (3 and 1.41), in steps of a tenth: what lies outside is below 1e-5.
    let grid: Vec<[f64; 2]> = (0..100)
        .flat_map(|i| (0..100).map(move |j| [0.3 * (f64::from(i) - 49.5), 0.15 * (f64::from(j) - 49.5)]))
        .collect();
    let logs = fitted.log_likelihood(&table(&grid), &Job::unbounded()).unwrap().unwrap();
    let integral = logs.iter().map(|l| libm::exp(*l)).sum::<f64>() * 0.3 * 0.15;
    assert!((integral - 1.0).abs() < 1e-4, "{integral}");
    // At the mean: 1 / (2 pi |S|^(1/2)), by the moments of the rows.
    let moment = |f: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(f).sum::<f64>() / 500.0;
    let (mx, my) = (moment(&|p| p[0]), moment(&|p| p[1]));
    let (vx, vy) = (moment(&|p| (p[0] - mx).powi(2)), moment(&|p| (p[1] - my).powi(2)));
    let covariance = moment(&|p| (p[0] - mx) * (p[1] - my));
    let expected = -(std::f64::consts::TAU * (vx * vy - covariance * covariance).sqrt()).ln();
    let found = fitted.log_likelihood(&table(&[[mx, my]]), &Job::unbounded()).unwrap().unwrap()[0];
    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
}
