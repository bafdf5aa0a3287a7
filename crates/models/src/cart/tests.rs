use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use lookalike_core::{
    CategoryDomain, Column, Domain, Frame, NumberDomain, NumberKind, Streams, Value, Values, standard_normal, uniform,
};

use super::*;
use crate::rows::Rows;

/// How many standard deviations a normal exceeds once in a million (two-sided).
const SIGMAS: f64 = 4.9;

pub(crate) fn number(values: Vec<f64>) -> Column {
    let kind = NumberKind::Float { decimals: None, bits: 64 };
    let field = Arc::new(Field::new("x", DataType::Float64, true));
    Column { field, domain: Domain::Number(NumberDomain { kind, min: 0.0, max: 1.0 }), values: Values::Number(values) }
}

pub(crate) fn category(codes: Vec<u32>, labels: u32) -> Column {
    let labels = (0..labels).map(|l| format!("{l:06}")).collect();
    let field = Arc::new(Field::new("c", DataType::Utf8, true));
    Column { field, domain: Domain::Category(Arc::new(CategoryDomain { labels })), values: Values::Code(codes) }
}

pub(crate) fn frame(columns: Vec<Column>) -> Frame {
    let rows = match &columns[0].values {
        Values::Number(v) => v.len(),
        Values::Code(v) => v.len(),
        Values::Omitted => 0,
    };
    Frame::new(rows, columns, None)
}

pub(crate) fn fit(model: &dyn Model, frame: &Frame, given: &[(&str, Value)]) -> Box<dyn Fitted> {
    let given: Vec<(String, Value)> = given.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
    let options = Options::check(model.params(), &given).unwrap();
    model.fit(&Rows::new(frame.clone(), 5), &options, 1, &Job::unbounded()).unwrap()
}

/// Three dependent categories of 3, 4 and 2 codes.
pub(crate) fn categories(n: usize) -> Frame {
    let mut rng = Streams::new(1, "categories").block(0);
    let rows: Vec<[u32; 3]> = (0..n)
        .map(|_| {
            let a = (uniform(&mut rng) * 3.0) as u32;
            let b = if uniform(&mut rng) < 0.7 { a } else { (uniform(&mut rng) * 4.0) as u32 };
            [a, b, u32::from(uniform(&mut rng) < 0.1 + 0.2 * f64::from(a.min(b)))]
        })
        .collect();
    let column = |k: usize, labels| category(rows.iter().map(|r| r[k]).collect(), labels);
    frame(vec![column(0, 3), column(1, 4), column(2, 2)])
}

/// Every combination of the three, once.
pub(crate) fn combinations() -> Frame {
    let column = |size: u32, step: u32| category((0..24).map(|i| i / step % size).collect(), size);
    frame(vec![column(3, 8), column(4, 2), column(2, 1)])
}

/// Probability of each combination under a model.
pub(crate) fn probabilities(fitted: &dyn Fitted) -> Vec<f64> {
    fitted.log_likelihood(&combinations()).unwrap().unwrap().into_iter().map(libm::exp).collect()
}

/// How often each combination is among the rows.
pub(crate) fn frequencies(values: &[Values]) -> Vec<f64> {
    let codes: Vec<&[u32]> = values.iter().map(|v| v.codes().unwrap()).collect();
    let mut count = [0.0; 24];
    (0..codes[0].len()).for_each(|i| count[(codes[0][i] * 8 + codes[1][i] * 2 + codes[2][i]) as usize] += 1.0);
    count.iter().map(|c| c / codes[0].len() as f64).collect()
}

pub(crate) fn assert_close(found: &[f64], expected: &[f64], rows: usize, bias: f64) {
    for (i, (f, p)) in found.iter().zip(expected).enumerate() {
        let bound = SIGMAS * (p * (1.0 - p) / rows as f64).sqrt() + bias;
        assert!((f - p).abs() <= bound, "{i}: {f} for {p}");
    }
}

/// Damaged bytes with a checksum that fits are refused or sample: nothing panics.
pub(crate) fn survives_damage(model: &dyn Model, fitted: &dyn Fitted) {
    let bytes = fitted.save().unwrap();
    let mut rng = Streams::new(2, "damage").block(0);
    let seal = |body: &[u8]| {
        let sum = body.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
        [body, &sum.to_le_bytes()].concat()
    };
    let body = &bytes[..bytes.len() - 8];
    assert!(model.load(&seal(body)).is_ok());
    let mut refused = 0;
    for _ in 0..400 {
        let mut damaged = body.to_vec();
        let at = 30 + (uniform(&mut rng) * (body.len() - 30) as f64) as usize;
        damaged[at] = [0, 1, 127, 255, damaged[at] ^ 1][(uniform(&mut rng) * 5.0) as usize];
        match model.load(&seal(&damaged)) {
            Ok(fitted) => drop(fitted.sample(20, &mut Streams::new(1, "test").block(0)).unwrap()),
            Err(e) => {
                assert_eq!(e.kind(), lookalike_core::ErrorKind::Data);
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn rows_come_with_their_likelihoods() {
    let fitted = fit(&Cart, &categories(2000), &[]);
    let expected = probabilities(&*fitted);
    assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let rows = 100_000;
    let made = fitted.sample(rows, &mut Streams::new(1, "test").block(0)).unwrap();
    assert_close(&frequencies(&made), &expected, rows, 0.0);
}

#[test]
fn likelihoods_worked_by_hand() {
    // a is 0 in 60 rows and 1 in 40; b is a. Leaves of b hold 60 and 40 rows; one row's worth of the node above, the shares .6
    // and .4 of all, is mixed into each: P(b = 0 | a = 0) = (60 + .6) / 61.
    let codes: Vec<u32> = (0..100).map(|i| u32::from(i >= 60)).collect();
    let fitted = fit(
        &Cart,
        &frame(vec![category(codes.clone(), 2), category(codes, 2)]),
        &[("min_leaf_size", Value::Int(10)), ("order", Value::Text("input".into()))],
    );
    let pairs = frame(vec![category(vec![0, 0, 1, 1, 2], 3), category(vec![0, 1, 0, 1, 1], 3)]);
    let logs = fitted.log_likelihood(&pairs).unwrap().unwrap();
    let expected = [0.6 * 60.6 / 61.0, 0.6 * 0.4 / 61.0, 0.4 * 0.6 / 41.0, 0.4 * 40.4 / 41.0];
    for (log, p) in logs.iter().zip(expected) {
        // Shares of the node above are kept in 24 bits.
        assert!((libm::exp(*log) - p).abs() < 1e-6, "{log} for {p}");
    }
    assert_eq!(logs[4], f64::NEG_INFINITY);
}

#[test]
fn given_values_draw_the_others_as_the_model_has_them() {
    let table = categories(2000);
    let rows = 20_000;
    for order in order::ORDERS {
        let fitted = fit(&Cart, &table, &[("order", Value::Text((*order).into()))]);
        let joint = probabilities(&*fitted);
        for (column, code) in [(0, 1), (1, 3), (2, 1)] {
            let is_given = |i: usize| [i / 8, i / 2 % 4, i % 2][column] == code;
            let share: f64 = joint.iter().enumerate().filter(|(i, _)| is_given(*i)).map(|(_, p)| p).sum();
            let expected: Vec<f64> =
                joint.iter().enumerate().map(|(i, p)| if is_given(i) { p / share } else { 0.0 }).collect();
            let given = [(column, Values::Code(vec![code as u32; rows]))];
            let made = fitted.sample_given(&given, rows, &mut Streams::new(1, "test").block(0)).unwrap().unwrap();
            // Importance resampling of 64 candidates is biased by the order of one in 64, the more the less likely the given: the
            // variance of weights over 64, here below .05.
            assert_close(&frequencies(&made), &expected, rows, 0.02);
            assert_eq!(made[column], given[0].1);
        }
    }
}

#[test]
fn numbers_keep_their_modes_and_their_leaves_know_bins_alone() {
    // y is -10 or 10 with noise, either sign by whether x is far from 0; its conditional mean is nowhere near.
    let mut rng = Streams::new(3, "modes").block(0);
    let pairs: Vec<[f64; 2]> = (0..5000)
        .map(|_| {
            let [x, noise] = standard_normal(&mut rng);
            let sign = if (uniform(&mut rng) < 0.8) == (x.abs() > 1.0) { 10.0 } else { -10.0 };
            [x, sign + noise]
        })
        .collect();
    let column = |k: usize| number(pairs.iter().map(|p| p[k]).collect());
    let fitted = fit(&Cart, &frame(vec![column(0), column(1)]), &[]);
    let rows = 20_000;
    let made = fitted.sample(rows, &mut Streams::new(1, "test").block(0)).unwrap();
    let (x, y) = (made[0].numbers().unwrap(), made[1].numbers().unwrap());
    // Two pieces of five persons in 5,000 border on the gap between the modes and reach to its middle: a share of .002, and
    // 4.9 standard deviations of a count of 40 of 20,000.
    let strays = y.iter().filter(|y| y.abs() < 5.0).count();
    assert!(strays <= 40 + (SIGMAS * 40f64.sqrt()) as usize, "{strays}");
    let far: Vec<bool> = (0..rows).filter(|&i| x[i].abs() > 1.3).map(|i| y[i] > 0.0).collect();
    let share = far.iter().filter(|up| **up).count() as f64 / far.len() as f64;
    // .8 of those far out; learned from about 970 rows (P(|x| > 1.3) = .194), drawn in 3,870; leaves of 100 may reach over 1.
    assert!((share - 0.8).abs() < SIGMAS * 0.4 * (1.0 / 970.0 + 1.0 / 3870.0f64).sqrt() + 0.02, "{share}");
    // The density integrates to one: bins of a grid that covers all.
    let grid: Vec<[f64; 2]> = (0..200)
        .flat_map(|i| (0..400).map(move |j| [0.04 * (f64::from(i) - 99.5), 0.075 * (f64::from(j) - 199.5)]))
        .collect();
    let column = |k: usize| number(grid.iter().map(|p| p[k]).collect());
    let logs = fitted.log_likelihood(&frame(vec![column(0), column(1)])).unwrap().unwrap();
    let integral = logs.iter().map(|l| libm::exp(*l)).sum::<f64>() * 0.04 * 0.075;
    // Midpoints of cells that pieces cut: a few per cent.
    assert!((integral - 1.0).abs() < 0.05, "{integral}");
}

#[test]
fn codes_keep_their_labels_and_many_values_cost_little() {
    // 3,000 codes of ten rows each, a group that is a function of the code, and a number around it.
    let codes: Vec<u32> = (0..30_000u32).map(|i| i * 7 % 3000).collect();
    let groups: Vec<u32> = codes.iter().map(|c| c % 5).collect();
    let fitted = fit(&Cart, &frame(vec![category(codes, 3000), category(groups, 5)]), &[]);
    let made = fitted.sample(20_000, &mut Streams::new(1, "test").block(0)).unwrap();
    let (codes, groups) = (made[0].codes().unwrap(), made[1].codes().unwrap());
    let right = codes.iter().zip(groups).filter(|(c, g)| *c % 5 == **g).count() as f64 / 20_000.0;
    // The code follows the group; a leaf of 6,000 rows takes one row's worth from above.
    assert!(right > 0.999, "{right}");
    let mut seen = codes.to_vec();
    seen.sort_unstable();
    seen.dedup();
    // 20,000 draws from 3,000 equally likely leave exp(-6.67) = .13 % of them unseen: 3.8 codes, and 30 is beyond chance.
    assert!(seen.len() > 2970, "{}", seen.len());
}

#[test]
fn threads_do_not_matter() {
    let table = categories(3000);
    let bytes = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&Cart, &table, &[("min_leaf_size", Value::Int(5))]).save().unwrap())
    };
    assert_eq!(bytes(1), bytes(4));
}

#[test]
fn damage_is_refused() {
    let mut table = categories(300).into_parts().0;
    table.push(number((0..300).map(|i| if i % 9 == 0 { f64::NAN } else { f64::from(i * i % 97) / 3.0 }).collect()));
    survives_damage(&Cart, &*fit(&Cart, &frame(table), &[("min_leaf_size", Value::Int(5))]));
}
