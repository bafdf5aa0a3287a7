use lookalike_core::{Streams, Units, below, standard_normal};

use super::grouping::NONE;
use super::*;
use crate::codec::reseal;
use crate::marginal::NO_PIECE;
use crate::rows::test_rows;

/// How many standard deviations a normal exceeds once in a million (two-sided).
const SIGMAS: f64 = 4.9;

fn fit(rows: &Rows, max: usize) -> (Tokens, Vec<Vec<u32>>) {
    let tokens = Tokens::learn(rows, max, &Job::unbounded()).unwrap();
    let encoded = tokens.encode_rows(rows, &Job::unbounded()).unwrap();
    let track = |c| encoded.track(c).unwrap().choices().iter().map(|&token| token.into()).collect();
    (tokens, (0..rows.columns().len()).map(track).collect())
}

/// Normals with NULLs, a number of many zeros, crowded categories that follow the first column, few categories, nothing.
fn mixed(n: usize) -> Rows {
    let mut rng = Streams::new(1, "tokens").block(0);
    let normals: Vec<[f64; 2]> = (0..n).map(|_| standard_normal(&mut rng)).collect();
    let some = |i: usize, v: f64| if i.is_multiple_of(11) { f64::NAN } else { v };
    let city = |x: f64| ((x + 3.0) * 40.0).clamp(0.0, 239.0) as u32;
    let columns = vec![
        Values::Number(normals.iter().enumerate().map(|(i, z)| some(i, z[0])).collect()),
        Values::Number(normals.iter().map(|z| if z[1] < 0.5 { 0.0 } else { z[1] }).collect()),
        Values::Code(normals.iter().enumerate().map(|(i, z)| if i % 7 == 0 { MISSING } else { city(z[0]) }).collect()),
        Values::Code((0..n).map(|i| (i % 3) as u32).collect()),
        Values::Number(vec![f64::NAN; n]),
        Values::Omitted,
    ];
    test_rows(columns, None, 5)
}

#[test]
fn merged_worked_by_hand() {
    let token = |order: &[u32], rows: &[u64], max| merge(order, rows, |_| true, max);
    // As many as fit: each its own, in order.
    assert_eq!(token(&[2, 0, 1], &[5, 6, 7], 3), [1, 2, 0]);
    // 60 of 100 over 3 tokens stand alone; 40 over 2 tokens: none of the rest has 20. Up to 20 each: 10 + 10, 12 + 8.
    assert_eq!(token(&[0, 1, 2, 3, 4], &[60, 10, 10, 12, 8], 3), [0, 1, 1, 2, 2]);
    // A token ends at one that stands alone if it is half full (10 of 20), else it reaches past (4 of 20).
    assert_eq!(token(&[0, 1, 2, 3, 4], &[10, 60, 10, 12, 8], 3), [0, 1, 2, 2, 2]);
    assert_eq!(token(&[0, 1, 2, 3, 4], &[4, 60, 14, 14, 8], 3), [0, 1, 0, 2, 2]);
    // Nothing may stand alone: halves of 50, and the large one is more than a half.
    assert_eq!(merge(&[0, 1, 2], &[60, 20, 20], |_| false, 2), [0, 1, 1]);
    // Members without rows have no token.
    assert_eq!(token(&[0, 2], &[1, 0, 1], 1), [0, NONE, 0]);
}

#[test]
fn tokens_never_exceed_the_limit_and_are_even() {
    let mut rng = Streams::new(2, "merge").block(0);
    for case in 0..500 {
        let n = 1 + below(&mut rng, 60);
        let rows: Vec<u64> =
            (0..n).map(|_| 1 + below(&mut rng, if case % 2 == 0 { 10 } else { 1000 }) as u64).collect();
        let (order, max) = ((0..n as u32).collect::<Vec<_>>(), 2 + below(&mut rng, 20));
        let grouping = Grouping::new(merge(&order, &rows, |m| m % 3 > 0, max), &rows).unwrap();
        assert!(grouping.len() <= max && grouping.len() >= n.min(max) / 2, "{rows:?} {max}");
    }
}

#[test]
fn values_and_tokens_lead_to_each_other() {
    let table = mixed(4000);
    for max in [2, 7, 64, 5000] {
        let (tokens, rows) = fit(&table, max);
        let mut rng = Streams::new(3, "decode").block(0);
        for (c, rows) in rows.iter().enumerate() {
            let column = table.column(c).unwrap();
            let size = tokens.sizes()[c];
            assert!(size <= max + 1 && (size == 0) == (column.values == Values::Omitted));
            if let (Coding::Number { grouping, .. }, Values::Number(values)) = (&tokens.columns[c], &column.values) {
                // The piece that each row was counted in.
                let pieces = Marginal::fit(values, None, 5, KNOTS).1;
                let token = |&p: &u32| if p == NO_PIECE { grouping.len() as u32 } else { grouping.token(p) };
                assert_eq!(&pieces.iter().map(token).collect::<Vec<_>>(), rows, "column {c} with {max} tokens");
            }
            let count = |t: usize| rows.iter().filter(|&&token| token as usize == t).count() as u64;
            assert_eq!(tokens.counts(c), (0..size).map(count).collect::<Vec<_>>());
            let decoded = tokens.decode(c, rows, &mut rng);
            assert_eq!(&tokens.encode(c, &decoded), rows, "column {c} with {max} tokens");
            assert!(tokens.log_within(c, &decoded, rows).iter().all(|l| l.is_finite()));
        }
        assert_eq!([0, 1, 2, 3, 4].map(|c| tokens.missing(c).is_some()), [true, false, true, false, true]);
    }
}

#[test]
fn what_was_never_seen_is_unknown() {
    let (tokens, _) =
        fit(&test_rows(vec![Values::Number(vec![1.0; 9]), Values::Code(vec![0, 2, 0, 2, 0, 2, 0, 2, 0])], None, 1), 4);
    // Numbers go to the nearest piece, but the model never makes them.
    let tens = Values::Number(vec![10.0, f64::NAN]);
    assert_eq!(tokens.encode(0, &tens), [0, UNKNOWN]);
    assert_eq!(tokens.log_within(0, &tens, &[0, UNKNOWN]), [f64::NEG_INFINITY; 2]);
    let codes = Values::Code(vec![0, 1, 2, 3, MISSING]);
    assert_eq!(tokens.encode(1, &codes), [0, UNKNOWN, 1, UNKNOWN, UNKNOWN]);
    assert!(
        tokens
            .log_within(1, &codes, &[1, 0, 1, UNKNOWN, 2])
            .iter()
            .zip([false, false, true, false, false])
            .all(|(l, finite)| l.is_finite() == finite)
    );
}

#[test]
fn tokens_keep_the_density_of_the_marginal() {
    // p(token) p(value | token) is the density of the quantile table, however few tokens there are.
    let table = mixed(3000);
    let (tokens, rows) = fit(&table, 6);
    for c in [0, 1] {
        let column = table.column(c).unwrap();
        let values = column.values.numbers().unwrap();
        let (marginal, _) = Marginal::fit(values, None, 5, KNOTS);
        let within = tokens.log_within(c, &column.values, &rows[c]);
        for ((value, token), within) in values.iter().zip(&rows[c]).zip(within) {
            let log = libm::log(tokens.counts(c)[*token as usize] as f64 / 3000.0) + within;
            assert!((log - marginal.log_density(*value)).abs() < 1e-9, "{value}");
        }
    }
    // Of a category: its frequency.
    let column = table.column(2).unwrap();
    let within = tokens.log_within(2, &column.values, &rows[2]);
    let codes = column.values.codes().unwrap();
    for ((code, token), within) in codes.iter().zip(&rows[2]).zip(within) {
        let share = codes.iter().filter(|c| *c == code).count() as f64 / 3000.0;
        let log = libm::log(tokens.counts(2)[*token as usize] as f64 / 3000.0) + within;
        assert!((log - libm::log(share)).abs() < 1e-9);
    }
}

#[test]
fn decoded_values_follow_the_marginal() {
    // All from one token of 2: P(sqrt(n) D > 2.69) < 1e-6 (Kolmogorov-Smirnov); pieces are even to 1/1024.
    let n = 20_000;
    let mut rng = Streams::new(4, "tokens").block(0);
    let values: Vec<f64> = (0..n).map(|_| standard_normal(&mut rng)[0]).collect();
    let (tokens, rows) = fit(&test_rows(vec![Values::Number(values.clone())], None, 5), 2);
    let Values::Number(mut made) = tokens.decode(0, &rows[0], &mut rng) else { panic!() };
    let mut real = values;
    real.sort_unstable_by(f64::total_cmp);
    made.sort_unstable_by(f64::total_cmp);
    let share = |all: &[f64], v: f64| all.partition_point(|x| *x <= v) as f64 / n as f64;
    let distance = real.iter().map(|&v| (share(&real, v) - share(&made, v)).abs()).fold(0.0, f64::max);
    assert!(distance < 2.69 / (n as f64).sqrt() + 2.0 / 1024.0, "{distance}");
}

#[test]
fn an_atom_needs_persons_not_rows() {
    // One person holds 7.0 fifty times among values of others: it is no piece of its own, and comes out once in a blue moon.
    let mut values = vec![7.0; 50];
    values.extend((0..50).map(|i| f64::from(i) * 0.3));
    let units = Units { codes: vec![0; 50].into_iter().chain(1..51).collect(), count: 51 };
    let (tokens, rows) = fit(&test_rows(vec![Values::Number(values)], Some(units), 5), 64);
    let made = tokens.decode(0, &rows[0], &mut Streams::new(1, "persons").block(0));
    assert!(made.numbers().unwrap().iter().all(|&v| v != 7.0));
}

#[test]
fn crowded_categories_share_tokens_with_their_like() {
    // 100,000 categories in two kinds by parity, told by a number and a category; 16 tokens must be pure in kind. A category has
    // three rows, each of which shows the kind in both columns without error: no mixing at all but in one token, where
    // the kinds meet in the order.
    let n = 300_000;
    let mut rng = Streams::new(6, "crowd").block(0);
    let kind = |i: usize| (i % 100_000) % 2;
    let columns = vec![
        Values::Code((0..n).map(|i| (i % 100_000) as u32).collect()),
        Values::Number((0..n).map(|i| standard_normal(&mut rng)[0] + 20.0 * kind(i) as f64).collect()),
        Values::Code((0..n).map(|i| kind(i) as u32).collect()),
        Values::Number((0..n).map(|i| (i * 7919 % n) as f64).collect()),
    ];
    let (tokens, rows) = fit(&test_rows(columns, None, 1), 16);
    assert_eq!(tokens.sizes()[0], 16);
    let mut seen = vec![[false; 2]; 16];
    rows[0].iter().enumerate().for_each(|(i, &t)| seen[t as usize][kind(i)] = true);
    assert!(seen.iter().filter(|kinds| kinds[0] && kinds[1]).count() <= 1, "{seen:?}");
    // Of equal mass.
    assert!(tokens.counts(0).iter().all(|&c| (18_747..=18_753).contains(&c)), "{:?}", tokens.counts(0));
    // Within a token categories come up evenly: each of its 6,250 in 600,000 draws is Poisson of mean 96.
    let Values::Code(made) = tokens.decode(0, &vec![3; 600_000], &mut rng) else { panic!() };
    assert!(made.iter().all(|&c| tokens.encode_one(0, c) == 3));
    let members: Vec<u32> = (0..100_000u32).filter(|&c| tokens.encode_one(0, c) == 3).collect();
    let hit = made.iter().filter(|&&c| c == members[17]).count() as f64;
    let mean = 600_000.0 / members.len() as f64;
    assert!((hit - mean).abs() < SIGMAS * mean.sqrt() + 1.0, "{hit} {mean}");
}

impl Tokens {
    fn encode_one(&self, column: usize, code: u32) -> u32 {
        self.columns[column].encode_code(code)
    }
}

#[test]
fn threads_change_nothing() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (tokens, rows) = fit(&mixed(10_000), 9);
            let mut w = Writer::new("test");
            tokens.save(&mut w);
            (w.finish(), rows)
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn saved_and_hostile_bytes() {
    let (tokens, rows) = fit(&mixed(600), 9);
    let mut w = Writer::new("test");
    tokens.save(&mut w);
    let bytes = w.finish();
    let load = |bytes: &[u8]| {
        let mut r = Reader::new(bytes, "test")?;
        let tokens = Tokens::load(&mut r)?;
        r.finish().map(|()| tokens)
    };
    let use_all = |tokens: &Tokens| -> Vec<Values> {
        let mut rng = Streams::new(8, "use").block(0);
        (0..6)
            .filter(|&c| c < tokens.sizes().len())
            .map(|c| {
                let made = tokens.decode(c, &rows[c], &mut rng);
                tokens.log_within(c, &made, &tokens.encode(c, &made));
                made
            })
            .collect()
    };
    let loaded = load(&bytes).unwrap();
    assert_eq!(format!("{:?}", use_all(&loaded)), format!("{:?}", use_all(&tokens)));
    assert_eq!(loaded.sizes(), tokens.sizes());
    // Whatever a byte says, there is a refusal or something that works.
    for i in 20..bytes.len() - 8 {
        for change in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[i] ^= change;
            reseal(&mut damaged);
            if let Ok(tokens) = load(&damaged) {
                use_all(&tokens);
            }
        }
    }
}
