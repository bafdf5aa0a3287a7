use serde_json::Value;

use super::*;
use crate::test_frames::{Kind, codes, frame, from_json, numbers, random, shuffled, stream, with_units};

fn names(names: &Value) -> Vec<String> {
    names.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_string()).collect()
}

fn params(a: &[&str], b: &[&str], neighbours: usize) -> LinkabilityParams {
    LinkabilityParams {
        columns_a: a.iter().map(|s| s.to_string()).collect(),
        columns_b: b.iter().map(|s| s.to_string()).collect(),
        neighbours,
        metric: Metric::Gower,
        max_targets: None,
        seed: 1,
    }
}

#[test]
fn links_are_anonymeters() {
    let golden: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_anonymeter.json")).unwrap();
    let frames = from_json(&[&golden["synthetic"], &golden["train"]]);
    for case in golden["linkability"].as_array().unwrap() {
        let rows: Vec<u32> = case["targets"].as_array().unwrap().iter().map(|r| r.as_u64().unwrap() as u32).collect();
        let params = LinkabilityParams {
            columns_a: names(&case["a"]),
            columns_b: names(&case["b"]),
            neighbours: case["k"].as_u64().unwrap() as usize,
            ..params(&[], &[], 1)
        };
        let found = linkability(&frames[0], &frames[1].gather(&rows), None, &params, &Job::unbounded()).unwrap();
        assert_eq!(found.train, Tally { attempts: rows.len() as u64, successes: case["successes"].as_f64().unwrap() });
    }
}

#[test]
fn ties_count_as_the_share_of_draws_that_link() {
    // Against every pair of draws, listed one by one: rows 0..n with places "nearer", "tied" or none on either side.
    fn subsets(of: &[u32], size: usize) -> Vec<Vec<u32>> {
        match (of, size) {
            (_, 0) => vec![vec![]],
            ([], _) => vec![],
            ([first, rest @ ..], _) => {
                let mut with = subsets(rest, size - 1);
                with.iter_mut().for_each(|s| s.push(*first));
                with.into_iter().chain(subsets(rest, size)).collect()
            }
        }
    }
    let mut rng = stream(17);
    let mut looked = 0;
    while looked < 300 {
        use rand::RngCore;
        let k = 1 + rng.next_u32() as usize % 4;
        // Grids with few values tie often; rows are distinct references.
        let kinds = [Kind::Grid(4), Kind::Grid(3)];
        let (s, t) = (random(&kinds, 9, 0, &mut rng), random(&kinds, 1, 0, &mut rng));
        let sides: Vec<Nearby> = (0..2)
            .map(|c| nearby(Metric::L1, &restricted(&s, &[c]), &restricted(&t, &[c]), k, &Job::unbounded()).unwrap())
            .collect();
        let draws: Vec<Vec<Vec<u32>>> = sides
            .iter()
            .map(|side| {
                let rows = |groups: &[u32]| -> Vec<u32> {
                    groups.iter().flat_map(|&g| side.references.rows(g).to_vec()).collect()
                };
                let (nearer, tied) = (rows(&side.of(0).nearer), rows(&side.of(0).tied));
                assert!(nearer.len() < k && nearer.len() + tied.len() >= k);
                let choices = subsets(&tied, k - nearer.len());
                choices.into_iter().map(|c| nearer.iter().copied().chain(c).collect()).collect()
            })
            .collect();
        let pairs = || draws[0].iter().flat_map(|a| draws[1].iter().map(move |b| (a, b)));
        let linked = pairs().filter(|(a, b)| a.iter().any(|r| b.contains(r))).count();
        let expected = linked as f64 / pairs().count() as f64;
        let found = links(&sides[0], &sides[1], 1, 9, k, &Job::unbounded()).unwrap()[0];
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}: {draws:?}");
        looked += 1;
    }
}

#[test]
fn a_copy_links_and_constant_columns_link_by_chance() {
    let mut rng = stream(2);
    let t = random(&[Kind::Uniform, Kind::Uniform], 200, 0, &mut rng);
    let job = Job::unbounded();
    let found = linkability(&t, &t, Some(&t), &params(&["c0"], &["c1"], 1), &job).unwrap();
    assert_eq!(found.train, Tally { attempts: 200, successes: 200.0 });
    assert_eq!(found.control, Some(found.train));
    assert!(found.notes[0].starts_with("200 of 200 rows of control equal rows of train"));
    // All rows tie on both sides: the baseline, 1 - C(s - k, k)/C(s, k); by
    // hand: 1 - C(8, 2)/C(10, 2) = 1 - 28/45.
    let constant = frame(vec![codes("a", 1, &[0; 10]), codes("b", 1, &[0; 10])]);
    let found = linkability(&constant, &constant, None, &params(&["a"], &["b"], 2), &job).unwrap();
    assert!((found.train.successes - 10.0 * (17.0 / 45.0)).abs() < 1e-12, "{found:?}");
    assert!((found.baseline.successes - found.train.successes).abs() < 1e-12);
}

#[test]
fn persons_are_attempts_and_the_order_does_not_matter() {
    // Person 0 has two rows, one linked: counts one half.
    let s = frame(vec![numbers("a", &[0.0, 10.0]), numbers("b", &[0.0, 10.0])]);
    let t = with_units(frame(vec![numbers("a", &[0.0, 0.0, 9.0]), numbers("b", &[1.0, 9.0, 9.0])]), vec![0, 0, 1]);
    let job = Job::unbounded();
    let found = linkability(&s, &t, None, &params(&["a"], &["b"], 1), &job).unwrap();
    assert_eq!(found.train, Tally { attempts: 2, successes: 1.5 });
    let mut rng = stream(4);
    let kinds = [Kind::Grid(5), Kind::Codes(3), Kind::Codes(4), Kind::Uniform];
    let [s, t] = [80, 60].map(|rows| random(&kinds, rows, 6, &mut rng));
    let params = LinkabilityParams { max_targets: Some(40), ..params(&["c0", "c1"], &["c2", "c3"], 3) };
    let found = linkability(&s, &t, None, &params, &job).unwrap();
    assert_eq!(found.notes[0], "a sample of 40 of 60 targets");
    let [s, t] = [&s, &t].map(|f| f.gather(&shuffled(f.rows(), 9)));
    assert_eq!(linkability(&s, &t, None, &params, &job).unwrap(), found);
}

#[test]
fn bad_input_is_told() {
    let t = frame(vec![numbers("a", &[1.0, 2.0]), numbers("b", &[1.0, 2.0])]);
    let job = Job::unbounded();
    let e = linkability(&t, &t, None, &params(&["a"], &["b"], 3), &job).unwrap_err();
    assert!(e.to_string().contains("'neighbours' is 3, allowed is an integer from 1 to 2"), "{e}");
    let e = linkability(&t, &t, None, &params(&["a"], &["a", "b"], 1), &job).unwrap_err();
    assert!(e.to_string().contains("column 'a' is in columns_a as well"), "{e}");
    let e = linkability(&t.gather(&[]), &t, None, &params(&["a"], &["b"], 1), &job).unwrap_err();
    assert!(e.to_string().contains("'synthetic' has no rows"), "{e}");
}
