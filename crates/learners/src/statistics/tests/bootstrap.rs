//! By simulation, and against intervals known otherwise.

use lookalike_core::{Job, Streams, standard_normal, uniform};
use rand::RngCore;

use super::super::*;

fn job() -> Job {
    Job::unbounded()
}

/// Persons with one to five rows, each with a chance of its own: for each the successes and the rows.
fn persons(count: usize, seed: u64) -> Vec<[f64; 2]> {
    let mut rng = Streams::new(seed, "persons").block(0);
    let person = |_| {
        let (rows, chance) = (1 + rng.next_u32() % 5, if rng.next_u32() & 1 == 1 { 0.9 } else { 0.1 });
        [(0..rows).filter(|_| uniform(&mut rng) < chance).count() as f64, f64::from(rows)]
    };
    (0..count).map(person).collect()
}

/// Whether an interval covers, and how often in so many runs.
fn coverage(runs: u64, covers: impl Fn(u64) -> bool) -> f64 {
    (0..runs).filter(|&seed| covers(seed)).count() as f64 / runs as f64
}

#[test]
fn intervals_cover_what_they_should() {
    // With 100 persons the bootstrap falls short of 95 % by at most a point or so (Davison & Hinkley 1997, chapter 5); the
    // bounds are 4.9 standard deviations of a share of 1,000 runs away from 94 % and 95 %.
    let runs = 1000;
    let sd = |p: f64| (p * (1.0 - p) / runs as f64).sqrt();
    let (low, high) = (0.94 - 4.9 * sd(0.94), 0.95 + 4.9 * sd(0.95));
    for method in [BootstrapMethod::Percentile, BootstrapMethod::Accelerated] {
        let boot = |seed| Bootstrap { seed, resamples: 400, method, ..Bootstrap::default() };
        let share = coverage(runs, |seed| {
            let e = boot(seed).mean(&persons(100, seed), &job()).unwrap().unwrap();
            e.low <= 0.5 && 0.5 <= e.high
        });
        let difference = coverage(runs, |seed| {
            let (a, b) = (persons(100, seed), persons(120, seed + 1_000_000));
            let e = boot(seed).difference(&a, &b, &job()).unwrap().unwrap();
            e.low <= 0.0 && 0.0 <= e.high
        });
        let paired = coverage(runs, |seed| {
            let (a, b) = (persons(100, seed), persons(100, seed + 1_000_000));
            let both: Vec<_> = a.iter().zip(&b).map(|(a, b)| [a[0], a[1], b[0], b[1]]).collect();
            let e = boot(seed).paired_difference(&both, &job()).unwrap().unwrap();
            e.low <= 0.0 && 0.0 <= e.high
        });
        for found in [share, difference, paired] {
            assert!(low <= found && found <= high, "{method:?}: {share} {difference} {paired}, {low} to {high}");
        }
    }
    // Rows taken as independent: too short, since the rows of a person are alike.
    let rows = coverage(runs, |seed| {
        let [successes, rows] = persons(100, seed).iter().fold([0.0, 0.0], |s, p| [s[0] + p[0], s[1] + p[1]]);
        let (a, b) = wilson(successes, rows, 0.95);
        a <= 0.5 && 0.5 <= b
    });
    assert!(rows < low, "{rows}");
}

#[test]
fn intervals_of_areas_cover_where_persons_have_several_scores() {
    // Scores of a person share a part. Two scores of different persons differ with variance 4 and mean 1: Φ(1/2), which
    // is 0.691462 in any table.
    let runs = 600;
    let sd = |p: f64| (p * (1.0 - p) / runs as f64).sqrt();
    let found = coverage(runs, |seed| {
        let mut rng = Streams::new(seed, "scores").block(0);
        let mut side = |lift: f64| -> Vec<(f64, u32)> {
            let person = |p: u32| {
                let shared = standard_normal(&mut rng)[0];
                let own: Vec<f64> = (0..1 + p % 3).map(|_| standard_normal(&mut rng)[0]).collect();
                own.into_iter().map(move |x| (lift + shared + x, p))
            };
            (0..80).flat_map(person).collect()
        };
        let (members, others) = (side(1.0), side(0.0));
        let boot = Bootstrap { seed, resamples: 300, ..Bootstrap::default() };
        let e = boot.auc(&members, &others, &job()).unwrap().unwrap();
        e.low <= 0.691462 && 0.691462 <= e.high
    });
    assert!(0.935 - 4.9 * sd(0.935) <= found && found <= 0.95 + 4.9 * sd(0.95), "{found}");
}

#[test]
fn one_row_a_person_is_what_delong_and_wilson_say() {
    let mut rng = Streams::new(3, "scores").block(0);
    let mut side = |n: u32, lift: f64| -> Vec<(f64, u32)> {
        (0..n).map(|_| ((standard_normal(&mut rng)[0] + lift) * 4.0).round()).zip(0..n).collect()
    };
    let (members, others) = (side(800, 0.5), side(700, 0.0));
    let e = Bootstrap::default().auc(&members, &others, &job()).unwrap().unwrap();
    let keys = |side: &[(f64, u32)]| sorted_keys(&side.iter().map(|s| s.0).collect::<Vec<_>>());
    let delong = Roc::new(&keys(&members), &keys(&others)).auc();
    let (low, high) = delong.interval.unwrap();
    assert!((e.value - delong.area).abs() < 1e-12, "ties are heavy, the area the same");
    // An end of 2,000 resamples is uncertain by about 4 % of the width of the interval: five times that.
    let width = high - low;
    assert!((e.low - low).abs() < 0.2 * width && (e.high - high).abs() < 0.2 * width, "{e:?} {delong:?}");

    let rows: Vec<_> = (0..1000).map(|i| [f64::from(u8::from(i % 10 < 3)), 1.0]).collect();
    let (low, high) = wilson(300.0, 1000.0, 0.95);
    for method in [BootstrapMethod::Percentile, BootstrapMethod::Accelerated] {
        let e = Bootstrap { method, ..Bootstrap::default() }.mean(&rows, &job()).unwrap().unwrap();
        assert_eq!(e.value, 0.3);
        assert!((e.low - low).abs() < 0.2 * (high - low) && (e.high - high).abs() < 0.2 * (high - low), "{e:?}");
    }
}

#[test]
fn many_persons_are_drawn_in_clusters() {
    let many = persons(200_000, 5);
    let e = Bootstrap::default().mean(&many, &job()).unwrap().unwrap();
    // The standard error of a ratio by linearisation (Cochran 1977, 6.4), which the bootstrap approaches.
    let [sum, rows] = many.iter().fold([0.0, 0.0], |s, p| [s[0] + p[0], s[1] + p[1]]);
    let ratio = sum / rows;
    let squares: f64 = many.iter().map(|p| (p[0] - ratio * p[1]).powi(2)).sum();
    let error = squares.sqrt() / rows;
    assert!((e.value - ratio).abs() < 1e-12);
    // The spread of 10,000 clusters is known to 0.7 %, the ends of 2,000 resamples to 4 % of the width.
    assert!(((e.high - e.low) / (2.0 * 1.96 * error) - 1.0).abs() < 0.2, "{e:?} {error}");
    let again = Bootstrap::default().mean(&many, &job()).unwrap().unwrap();
    assert_eq!(e, again);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one_thread.install(|| Bootstrap::default().mean(&many, &job()).unwrap().unwrap()), e);
    assert_ne!(Bootstrap { seed: 1, ..Bootstrap::default() }.mean(&many, &job()).unwrap().unwrap(), e);
}

#[test]
fn nothing_to_resample_is_no_interval() {
    let boot = Bootstrap::default();
    assert_eq!(boot.mean(&[[1.0, 2.0]], &job()).unwrap(), None);
    assert_eq!(boot.mean(&[[0.0, 0.0], [0.0, 0.0]], &job()).unwrap(), None);
    assert_eq!(boot.auc(&[(1.0, 0), (2.0, 0)], &[(1.0, 0), (0.0, 1)], &job()).unwrap(), None);
    assert!(boot.auc(&[(f64::NAN, 0), (2.0, 1)], &[(1.0, 0), (0.0, 1)], &job()).is_err());
    // A figure without spread is its own interval.
    let e = boot.mean(&[[2.0, 1.0]; 5], &job()).unwrap().unwrap();
    assert_eq!((e.value, e.low, e.high), (2.0, 2.0, 2.0));
}
