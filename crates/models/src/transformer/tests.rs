use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use lookalike_core::{CategoryDomain, Column, Domain, Frame, MISSING, Value, Values, uniform};

use super::network::Batch;
use super::*;
use crate::codec::reseal;
use crate::rows::Rows;

/// How many standard deviations a normal exceeds once in a million (two-sided).
const SIGMAS: f64 = 4.9;

fn category(name: &str, codes: Vec<u32>) -> Column {
    let labels = (0..3).map(|c| format!("{c}")).collect();
    let domain = Domain::Category(Arc::new(CategoryDomain { labels }));
    Column { field: Arc::new(Field::new(name, DataType::Utf8, true)), domain, values: Values::Code(codes) }
}

/// Three categories of three levels: b is a or missing, with errors; c is a + b, with errors.
fn chain(n: usize) -> Frame {
    let mut rng = Streams::new(1, "chain").block(0);
    let mut columns = [vec![], vec![], vec![]];
    for _ in 0..n {
        let mut level = || (3.0 * uniform(&mut rng)) as u32;
        let (a, error, other) = (level().min(level()), level() == 0, level());
        let b = if error { MISSING } else { a };
        let c = if level() == 0 { other } else { (a + b.min(3)) % 3 };
        [a, b, c].into_iter().zip(&mut columns).for_each(|(v, column)| column.push(v));
    }
    let columns = ["a", "b", "c"].into_iter().zip(columns).map(|(name, codes)| category(name, codes)).collect();
    Frame::new(n, columns, None)
}

fn fit(frame: &Frame, given: &[(&str, i64)]) -> Result<Box<dyn Fitted>> {
    let given: Vec<_> = given.iter().map(|(name, v)| (name.to_string(), Value::Int(*v))).collect();
    let options = Options::check(Transformer.params(), &given).unwrap();
    Transformer.fit(&Rows::new(frame.clone(), 5), &options, 3, &Job::unbounded())
}

fn codes(values: &[Values]) -> Vec<Vec<u32>> {
    values.iter().map(|v| v.codes().unwrap().to_vec()).collect()
}

const LEVELS: [u32; 4] = [0, 1, 2, MISSING];

/// All combinations of levels as rows.
fn all() -> Frame {
    let level = |divisor: usize| (0..64).map(|i| LEVELS[i / divisor % 4]).collect();
    Frame::new(64, vec![category("a", level(16)), category("b", level(4)), category("c", level(1))], None)
}

#[test]
fn rows_are_drawn_by_their_likelihood() {
    // The one comes from the network token by token, the other from the network on whole rows: with attention and without.
    for layers in [0, 2] {
        let fitted = fit(&chain(3000), &[("layers", layers), ("epochs", 4), ("width", 16)]).unwrap();
        let logs = fitted.log_likelihood(&all()).unwrap().unwrap();
        let total: f64 = logs.iter().map(|l| libm::exp(*l)).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
        let n = 100_000;
        let made = codes(&fitted.sample(n, &mut Streams::new(2, "test").block(0)).unwrap());
        for (row, log) in logs.iter().enumerate() {
            let wanted = [16, 4, 1].map(|divisor| LEVELS[row / divisor % 4]);
            let hits = (0..n).filter(|&r| (0..3).all(|c| made[c][r] == wanted[c])).count() as f64;
            let (p, n) = (libm::exp(*log), n as f64);
            assert!(
                (hits - n * p).abs() <= SIGMAS * (n * p * (1.0 - p)).sqrt() + 4.0,
                "{wanted:?}: {hits} of {}",
                n * p
            );
        }
    }
}

#[test]
fn what_was_learned_is_the_dependence() {
    // b is a in two thirds of the rows and missing in the others, c follows both in 7 of 9 rows. A model of independent columns
    // has the sum of the columns' entropies; this one must know most of what the rows' own frequencies know. From 3000
    // rows a table of 64 cells is known to about 64 / 6000 nats; 0.05 is left for the network.
    let frame = chain(3000);
    let fitted = fit(&frame, &[]).unwrap();
    let mean = |logs: Vec<f64>| -logs.iter().sum::<f64>() / logs.len() as f64;
    let loss = mean(fitted.log_likelihood(&frame).unwrap().unwrap());
    let rows = codes(&frame.columns().iter().map(|c| c.values.clone()).collect::<Vec<_>>());
    let share = |r: usize| (0..3000).filter(|&s| (0..3).all(|c| rows[c][s] == rows[c][r])).count() as f64 / 3000.0;
    let entropy = mean((0..3000).map(|r| libm::log(share(r))).collect());
    assert!(loss < entropy + 64.0 / 6000.0 + 0.05 && loss > entropy - 0.01, "{loss} {entropy}");
    let history = fitted.history();
    assert!(history.len() == 10 && history.iter().all(|e| e.held_out.is_finite()));
    assert!(history[9].held_out < history[0].held_out);
}

#[test]
fn given_columns_stay_and_the_others_follow_them() {
    let frame = chain(3000);
    let bytes = fit(&frame, &[("layers", 1), ("width", 16)]).unwrap().save().unwrap();
    let fitted = Autoregressive::load(&bytes).unwrap();
    assert!(Transformer.conditions());
    // Given c, then a and b: the probability of (a, b) given c in the order c, a, b.
    let n = 50_000;
    let mut rng = Streams::new(4, "test").block(0);
    let given = Values::Code((0..n as u32).map(|r| r % 3).collect());
    let made = codes(&fitted.sample_given(&[(2, given.clone())], n, &mut rng).unwrap().unwrap());
    assert_eq!(Values::Code(made[2].clone()), given);
    for c in 0..3u32 {
        // a has three tokens, b has a fourth for missing.
        let pairs: Vec<[u32; 2]> = (0..3).flat_map(|a| (0..4).map(move |b| [a, b])).collect();
        let tokens = [pairs.iter().map(|_| c).collect(), pairs.iter().map(|p| p[0]).collect::<Vec<_>>()].concat();
        let tokens = [tokens, pairs.iter().map(|p| p[1]).collect()].concat();
        let batch = Batch { order: vec![2, 0, 1], records: pairs.len(), tokens };
        let weights: Vec<f64> =
            learner::losses(&fitted.network, &fitted.params, batch).into_iter().map(|l| libm::exp(-l)).collect();
        let total: f64 = weights.iter().sum();
        let rows: Vec<usize> = (0..n).filter(|&r| made[2][r] == c).collect();
        for (pair, weight) in pairs.iter().zip(&weights) {
            let b = if pair[1] == 3 { MISSING } else { pair[1] };
            let hits = rows.iter().filter(|&&r| made[0][r] == pair[0] && made[1][r] == b).count() as f64;
            let (p, m) = (weight / total, rows.len() as f64);
            assert!(
                (hits - m * p).abs() <= SIGMAS * (m * p * (1.0 - p)).sqrt() + 4.0,
                "{c} {pair:?}: {hits} of {}",
                m * p
            );
        }
    }
    // Everything given, nothing given, and a value that no row had.
    let row = [0, 1, 2].map(|c| (c, Values::Code(vec![1, 2])));
    assert_eq!(codes(&fitted.sample_given(&row, 2, &mut rng).unwrap().unwrap()), [[1, 2], [1, 2], [1, 2]]);
    let draw =
        |given: &[(usize, Values)]| fitted.sample_given(given, 40, &mut Streams::new(5, "test").block(0)).unwrap();
    assert_eq!(draw(&[]).unwrap(), fitted.sample(40, &mut Streams::new(5, "test").block(0)).unwrap());
    assert_eq!(draw(&[(0, Values::Code(vec![MISSING; 40]))]).unwrap()[0], Values::Code(vec![MISSING; 40]));
}

#[test]
fn threads_change_nothing() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&chain(500), &[("epochs", 2)]).unwrap().save().unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn heads_have_to_divide_the_width() {
    let error = fit(&chain(50), &[("width", 10), ("heads", 4)]).err().unwrap();
    assert_eq!(error.message(), "width (10) must be a multiple of heads (4)");
}

#[test]
fn hostile_bytes_are_refused_or_work() {
    let bytes = fit(&chain(200), &[("epochs", 1), ("width", 4), ("hidden", 4)]).unwrap().save().unwrap();
    let step = bytes.len() / 2000 + 1;
    for i in (20..bytes.len() - 8).filter(|i| i % step == 0 || *i < 600) {
        for change in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[i] ^= change;
            reseal(&mut damaged);
            if let Ok(fitted) = Transformer.load(&damaged) {
                fitted.sample(20, &mut Streams::new(6, "test").block(0)).unwrap();
                fitted.log_likelihood(&all()).unwrap();
            }
        }
    }
}
