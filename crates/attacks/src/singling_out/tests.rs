use serde_json::Value;

use super::*;
use crate::test_frames::{Kind, codes, frame, from_json, numbers, random, shuffled, stream, with_units};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../tests/golden/attacks_anonymeter.json")).unwrap()
}

fn params(mode: SinglingOutMode, attempts: usize) -> SinglingOutParams {
    SinglingOutParams { mode, attempts, columns_per_query: 2, seed: 7 }
}

fn condition(frame: &Frame, parts: &Value) -> Condition {
    let (name, op) = (parts[0].as_str().unwrap(), parts[1].as_str().unwrap());
    let column = frame.columns().iter().position(|c| c.name() == name).unwrap();
    let op = match op {
        "is_null" => Op::IsNull,
        "==" => Op::Eq,
        "!=" => Op::Ne,
        "<" => Op::Lt,
        "<=" => Op::Le,
        ">" => Op::Gt,
        ">=" => Op::Ge,
        other => panic!("{other}"),
    };
    let value = match (&parts[2], &frame.columns()[column].domain) {
        (Value::String(label), lookalike_core::Domain::Category(domain)) => {
            domain.labels.iter().position(|l| l == label).unwrap() as f64
        }
        (value, _) => value.as_f64().unwrap_or(f64::NAN),
    };
    Condition { column, op, value }
}

#[test]
fn predicates_match_what_anonymeters_match() {
    let golden = golden();
    let golden = &golden["singling_out"];
    let frames = from_json(&[&golden["synthetic"], &golden["train"], &golden["control"]]);
    let job = Job::unbounded();
    let matchers: Vec<Matcher> = frames.iter().map(|f| Matcher::new(f, &job).unwrap()).collect();
    for case in golden["predicates"].as_array().unwrap() {
        let predicate: Predicate = case[0].as_array().unwrap().iter().map(|c| condition(&frames[0], c)).collect();
        for (i, matcher) in matchers.iter().enumerate() {
            let expected = case[1 + i].as_u64().unwrap() as usize;
            assert_eq!(matcher.count(&predicate, usize::MAX), expected, "{}", case[0]);
            assert_eq!(matcher.count(&predicate, 2), expected.min(2), "{}", case[0]);
        }
    }
    // All univariate predicates: how many there are, and how many single out in train and control.
    let all = params(SinglingOutMode::Univariate, 1_000_000);
    let found = singling_out(&frames[0], &frames[1], None, all, &job).unwrap();
    let expected: Vec<f64> = golden["univariate"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!([found.train.attempts as f64, found.train.successes], expected[..2]);
    let found = singling_out(&frames[0], &frames[2], None, all, &job).unwrap();
    assert_eq!(found.train.successes, expected[2]);
}

#[test]
fn a_copy_is_singled_out_and_a_person_counts_once() {
    // Distinct numbers: every predicate on the copy matches one row of train.
    let values: Vec<f64> = (0..60).map(f64::from).collect();
    let single = frame(vec![numbers("x", &values)]);
    let job = Job::unbounded();
    let found = singling_out(&single, &single, None, params(SinglingOutMode::Univariate, 50), &job).unwrap();
    assert_eq!(found.train, Tally { attempts: 50, successes: 50.0 });
    // Every row twice: nobody is singled out, but persons with two rows are.
    let twice: Vec<f64> = values.iter().chain(&values).copied().collect();
    let twice = frame(vec![numbers("x", &twice)]);
    let persons = with_units(twice.clone(), (0..60).chain(0..60).collect());
    let successes = |train| {
        singling_out(&single, train, None, params(SinglingOutMode::Univariate, 50), &job).unwrap().train.successes
    };
    assert_eq!((successes(&twice), successes(&persons)), (0.0, 50.0));
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let kinds = [Kind::Uniform, Kind::Grid(9), Kind::Codes(4), Kind::Codes(3)];
    let mut rng = stream(3);
    let [s, t, c] = [90, 120, 70].map(|rows| random(&kinds, rows, 9, &mut rng));
    let job = Job::unbounded();
    for mode in [SinglingOutMode::Univariate, SinglingOutMode::Multivariate] {
        let found = singling_out(&s, &t, Some(&c), params(mode, 100), &job).unwrap();
        let [s, t, c] = [&s, &t, &c].map(|f| f.gather(&shuffled(f.rows(), 5)));
        assert_eq!(singling_out(&s, &t, Some(&c), params(mode, 100), &job).unwrap(), found);
        assert!(found.train.attempts > 0 && found.train.successes < found.train.attempts as f64);
    }
}

#[test]
fn fewer_predicates_than_asked_for_are_told() {
    // Two values, each in several rows: nothing is rare but min and max, which match several rows.
    let s = frame(vec![numbers("x", &[1.0, 1.0, 2.0, 2.0]), codes("c", 1, &[0; 4])]);
    let found = singling_out(&s, &s, Some(&s), params(SinglingOutMode::Multivariate, 10), &Job::unbounded()).unwrap();
    assert_eq!((found.requested, found.train.attempts), (10, 0));
    assert_eq!(found.figures(0.95).risk, None);
    assert!(found.notes[0].starts_with("0 of the 10 predicates"), "{:?}", found.notes);
    assert!(found.notes[1].starts_with("4 of 4 rows of control equal rows of train"), "{:?}", found.notes);
}

#[test]
fn controls_of_another_size_are_rescaled() {
    // 2 of 4 matched; one of two drawn is: 2 * 2 / C(4, 2) = 2/3 by counting. 1 of 4: drawn with probability 1/2.
    assert!((rescaled(&[2], 4, 2) - 2.0 / 3.0).abs() < 1e-15 && (rescaled(&[1, 0], 4, 2) - 0.5).abs() < 1e-15);
    assert_eq!((rescaled(&[3], 4, 3), rescaled(&[4], 4, 2)), (0.0, 0.0));
    // Predicates so rare that twice the size matches twice as often.
    assert_eq!(rescaled(&[1, 1, 0, 0], 100, 200), 4.0);
    // Weights uniform up to 0.004, which is the model: 20,000 predicates in 1,000 rows, to be expected in 4,000. The integral
    // times 20,000 / w is about 7,400 at 1,000 and 5,000 at 4,000: their noise moves w by some percent.
    let mut rng = stream(11);
    let integral = |n: f64, w: f64| (1.0 - (n * w + 1.0) * (1.0 - w).powf(n)) / (n + 1.0) / w;
    let counts: Vec<usize> = (0..20_000)
        .map(|_| {
            let weight = 0.004 * lookalike_core::uniform(&mut rng);
            (0..1000).filter(|_| lookalike_core::uniform(&mut rng) < weight).count()
        })
        .collect();
    let expected = 20_000.0 * integral(4000.0, 0.004);
    let found = rescaled(&counts, 1000, 4000);
    assert!((found / expected - 1.0).abs() < 0.1, "{found} is not {expected}");
}

#[test]
fn bad_input_is_told() {
    let s = frame(vec![numbers("x", &[1.0, 2.0])]);
    let empty = s.gather(&[]);
    let job = Job::unbounded();
    let multivariate = params(SinglingOutMode::Multivariate, 5);
    let e = singling_out(&s, &s, Some(&empty), multivariate, &job).unwrap_err();
    assert_eq!(e.to_string(), "the relation 'control' has no rows");
    let e = singling_out(&s, &s, None, multivariate, &job).unwrap_err();
    assert!(e.to_string().contains("'columns_per_query' is 2, allowed is an integer from 1 to 1"), "{e}");
}
