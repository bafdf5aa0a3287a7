use lookalike_core::MISSING;
use serde_json::Value;

use super::*;
use crate::outcome::Tally;
use crate::test_frames::{Kind, codes, frame, from_json, numbers, random, shuffled, stream, with_units};

fn params(secret: &str, known: &[&str], methods: &[InferenceMethod]) -> InferenceParams {
    InferenceParams {
        secret: secret.into(),
        known: known.iter().map(|s| s.to_string()).collect(),
        methods: methods.to_vec(),
        tolerance: 0.05,
        tau: 1.0,
        metric: Metric::Gower,
        max_targets: None,
        seed: 1,
    }
}

fn names(names: &Value) -> Vec<String> {
    names.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_string()).collect()
}

#[test]
fn nearest_guesses_are_anonymeters() {
    let golden: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_anonymeter.json")).unwrap();
    let frames = from_json(&[&golden["synthetic"], &golden["train"]]);
    for case in golden["inference"].as_array().unwrap() {
        let rows: Vec<u32> = case["targets"].as_array().unwrap().iter().map(|r| r.as_u64().unwrap() as u32).collect();
        let params = InferenceParams {
            known: names(&case["known"]),
            ..params(case["secret"].as_str().unwrap(), &[], &[InferenceMethod::Nearest])
        };
        let targets = frames[1].gather(&rows);
        let found = &attribute_inference(&frames[0], &targets, None, &params, &Job::unbounded()).unwrap()[0];
        // Numbers by the rule relative to the secret; equal to Anonymeter's own count for categories.
        let expected = case["by_rule"].as_f64().unwrap();
        assert_eq!(found.train, Tally { attempts: rows.len() as u64, successes: expected }, "{}", case["secret"]);
    }
}

#[test]
fn correct_attribution_is_sdmetrics() {
    let golden: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_cap.json")).unwrap();
    let frames = from_json(&[&golden["synthetic"], &golden["train"]]);
    let methods = [InferenceMethod::Cap, InferenceMethod::ZeroCap, InferenceMethod::GeneralizedCap];
    for case in golden["cases"].as_array().unwrap() {
        let params =
            InferenceParams { known: names(&case["known"]), ..params(case["secret"].as_str().unwrap(), &[], &methods) };
        for outcome in attribute_inference(&frames[0], &frames[1], None, &params, &Job::unbounded()).unwrap() {
            let (found, expected) = (outcome.train.rate().unwrap(), case[outcome.attack].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-12, "{} of {case}: {found}", outcome.attack);
        }
    }
}

#[test]
fn numbers_are_right_within_a_share_of_the_secret() {
    // By hand. Secrets 100, -100, 0, NULL, 100 with the guesses 95, -94, 0, NULL, 105.1: right are 95, 0 and NULL. Anonymeter
    // takes -94, a negative guess, for right whatever the secret.
    let known = [1.0, 2.0, 3.0, 4.0, 5.0];
    let s = frame(vec![numbers("k", &known), numbers("x", &[95.0, -94.0, 0.0, f64::NAN, 105.1])]);
    let t = frame(vec![numbers("k", &known), numbers("x", &[100.0, -100.0, 0.0, f64::NAN, 100.0])]);
    let params = params("x", &["k"], &[InferenceMethod::Nearest]);
    let found = &attribute_inference(&s, &t, None, &params, &Job::unbounded()).unwrap()[0];
    assert_eq!(found.train, Tally { attempts: 5, successes: 3.0 });
    // A random synthetic row: of five, 1 is right for 100 (95), none for -100, 1 for 0, 1 for NULL, 1 for 100.
    assert!((found.baseline.successes - 0.8).abs() < 1e-15, "{found:?}");
}

#[test]
fn cap_by_hand() {
    use InferenceMethod::{Cap, GeneralizedCap, Tcap, ZeroCap};
    // Synthetic keys: 0 -> {a, a, b}, 1 -> {b}, 2 -> {a, a}. Targets: (0, a), (1, b), (2, b), (3, a).
    let s = frame(vec![codes("k", 4, &[0, 0, 0, 1, 2, 2]), codes("x", 2, &[0, 0, 1, 1, 0, 0])]);
    let t = frame(vec![codes("k", 4, &[0, 1, 2, 3]), codes("x", 2, &[0, 1, 1, 0])]);
    let methods = [Cap, ZeroCap, GeneralizedCap, Tcap];
    let found = attribute_inference(&s, &t, None, &params("x", &[], &methods), &Job::unbounded()).unwrap();
    let tally = |attempts, successes| Tally { attempts, successes };
    let near = |a: Tally, b: Tally| a.attempts == b.attempts && (a.successes - b.successes).abs() < 1e-12;
    // Cap: 2/3, 1, 0, undefined. Generalised: key 3 is one column from all, of which 4 of 6 have a.
    assert!(near(found[0].train, tally(3, 5.0 / 3.0)) && near(found[1].train, tally(4, 5.0 / 3.0)), "{found:?}");
    assert!(near(found[2].train, tally(4, 5.0 / 3.0 + 4.0 / 6.0)), "{found:?}");
    assert!(found[0].notes[0].starts_with("1 of 4 target rows have a key that no synthetic row has"));
    // Tcap: keys 1 and 2 imply b and a, of the two targets one agrees; secrets of train are half a: 1/4 + 1/4.
    assert!(near(found[3].train, tally(2, 1.0)) && near(found[3].baseline, tally(2, 1.0)), "{found:?}");
    // At tau 2/3 key 0 implies a as well.
    let params = InferenceParams { tau: 2.0 / 3.0, ..params("x", &[], &[Tcap]) };
    let found = attribute_inference(&s, &t, None, &params, &Job::unbounded()).unwrap();
    assert!(near(found[0].train, tally(3, 2.0)), "{found:?}");
}

#[test]
fn a_copy_gives_all_secrets_and_the_order_does_not_matter() {
    let mut rng = stream(8);
    let kinds = [Kind::Uniform, Kind::Grid(6), Kind::Codes(3), Kind::Codes(4)];
    let [s, t, c] = [80, 70, 40].map(|rows| random(&kinds, rows, 7, &mut rng));
    let job = Job::unbounded();
    let whole = params("c3", &[], &InferenceMethod::ALL);
    let copied = attribute_inference(&t, &t, None, &whole, &job).unwrap();
    // Distinct keys, because of the uniform numbers, for the nearest row. Binned keys repeat.
    assert_eq!(copied[0].train.rate(), Some(1.0));
    let found = attribute_inference(&s, &t, Some(&c), &whole, &job).unwrap();
    let [s, t, c] = [&s, &t, &c].map(|f| f.gather(&shuffled(f.rows(), 5)));
    assert_eq!(attribute_inference(&s, &t, Some(&c), &whole, &job).unwrap(), found);
    // A person of two rows is one attempt.
    let persons = with_units(t.clone(), (0..70).map(|i| i / 2).collect());
    assert_eq!(attribute_inference(&s, &persons, None, &whole, &job).unwrap()[0].train.attempts, 35);
}

#[test]
fn trees_learn_the_secret() {
    // The secret is a function of the key: trees learn it; the most frequent secret is right for a third, the median of
    // numbers for those near it.
    let rows = 300u32;
    let key: Vec<f64> = (0..rows).map(f64::from).collect();
    let class: Vec<u32> = (0..rows).map(|i| if i == 299 { MISSING } else { i / 100 }).collect();
    let amount: Vec<f64> = (0..rows).map(|i| f64::from(1 + i / 100) * 100.0).collect();
    let t = frame(vec![numbers("k", &key), codes("c", 3, &class), numbers("x", &amount)]);
    let run = |secret| {
        let params = params(secret, &["k"], &[InferenceMethod::Learned]);
        attribute_inference(&t, &t, Some(&t), &params, &Job::unbounded()).unwrap().remove(0)
    };
    let classes = run("c");
    assert!(classes.train.successes >= 290.0 && classes.control == Some(classes.train), "{classes:?}");
    assert_eq!(classes.baseline, Tally { attempts: 300, successes: 100.0 });
    let amounts = run("x");
    assert!(amounts.train.successes >= 290.0, "{amounts:?}");
    assert_eq!(amounts.baseline.successes, 100.0);
}

#[test]
fn bad_input_is_told() {
    let t = frame(vec![numbers("a", &[1.0, 2.0]), codes("b", 1, &[0, 0])]);
    let job = Job::unbounded();
    let error = |p: &InferenceParams| attribute_inference(&t, &t, None, p, &job).unwrap_err().to_string();
    assert!(error(&params("b", &[], &[InferenceMethod::Cap])).contains("'b' has a single value in train"));
    assert!(error(&params("a", &["a"], &[InferenceMethod::Cap])).contains("known: column 'a' is the secret"));
    let e = attribute_inference(&t, &t.gather(&[]), None, &params("a", &[], &[]), &job).unwrap_err();
    assert_eq!(e.to_string(), "the relation 'train' has no rows");
}
