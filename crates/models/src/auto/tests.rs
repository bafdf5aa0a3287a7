use lookalike_core::{MISSING, Values, standard_normal, uniform};

use super::*;
use crate::cart::tests::{category, fit, frame, number};
use crate::rows::test_rows;

/// The name of the model that saved state is of.
fn chosen(frame: &Frame) -> String {
    Reader::model(&fit(&Auto, frame, &[]).save().unwrap()).unwrap()
}

/// Three numbers that a multivariate normal makes.
fn normals(rows: usize) -> Frame {
    let mut rng = Streams::new(1, "normals").block(0);
    let rows: Vec<[f64; 3]> = (0..rows)
        .map(|_| {
            let ([x, noise], [z, _]) = (standard_normal(&mut rng), standard_normal(&mut rng));
            [x, 0.9 * x + noise * 0.19f64.sqrt(), 0.8 * x + 0.6 * z]
        })
        .collect();
    frame((0..3).map(|c| number(rows.iter().map(|r| r[c]).collect())).collect())
}

/// Categories of which the second says which of two values the third has, by a table that no order explains, and a number
/// whose square goes with the first.
fn rules(rows: usize) -> Frame {
    let mut rng = Streams::new(2, "rules").block(0);
    let mut columns = [vec![], vec![], vec![]];
    let mut numbers = vec![];
    for _ in 0..rows {
        let (a, b) = ((uniform(&mut rng) * 4.0) as u32, (uniform(&mut rng) * 6.0) as u32);
        [a, b, (a + b) % 2].into_iter().zip(&mut columns).for_each(|(code, column)| column.push(code));
        let sign = if uniform(&mut rng) < 0.5 { -1.0 } else { 1.0 };
        numbers.push(sign * (f64::from(a) + 0.2 * standard_normal(&mut rng)[0]));
    }
    let [a, b, c] = columns;
    frame(vec![category(a, 4), category(b, 6), category(c, 2), number(numbers)])
}

#[test]
fn takes_the_model_that_the_rows_are_like() {
    assert_eq!(chosen(&normals(3000)), "gaussian_copula");
    assert_ne!(chosen(&rules(3000)), "gaussian_copula");
}

#[test]
fn a_slower_model_has_to_win_by_more_than_chance() {
    // Two of one kind: what tells them apart is the rows that they happen to make.
    static TWINS: [Candidate; 2] = [
        Candidate { name: "gaussian_copula", counter: "quick", options: &[], seconds: |_, _| 0.0 },
        Candidate { name: "gaussian_copula", counter: "slow", options: &[], seconds: |_, _| 1.0 },
    ];
    let frame = rules(3000);
    let rows = Rows::new(frame.gather(&frame.canonical_order()), 5);
    let taken = |margin: f64, seed| {
        let twins: Vec<&'static Candidate> = TWINS.iter().collect();
        best(&twins, margin, &rows, true, seed, &Job::unbounded()).unwrap().counter
    };
    let slow = |margin| (0..10).filter(|&seed| taken(margin, seed) == "slow").count();
    // Without the margin each is as likely as the other: none of ten has a probability of 1/1024.
    assert!(slow(0.0) > 0);
    assert_eq!(slow(MARGIN), 0);
}

#[test]
fn what_would_be_left_out_as_a_copy_does_not_count() {
    let copies =
        CopyFilter::new(&frame(vec![category(vec![0, 1], 3), category(vec![0, 2], 3)]).into(), None, &Job::unbounded());
    let made = vec![Values::Code(vec![0, 0, 1, 2]), Values::Code(vec![0, 1, 2, 2])];
    let columns = [category(vec![], 3), category(vec![], 3)];
    let kept = without(&copies.unwrap(), &columns, made, 4);
    assert_eq!(kept, [Values::Code(vec![0, 2]), Values::Code(vec![1, 2])]);
}

#[test]
fn too_few_rows_get_the_first() {
    // 140 rows leave 98 to learn from.
    assert_eq!(chosen(&rules(140)), "gaussian_copula");
}

#[test]
fn iterative_models_are_tried_where_time_allows() {
    let affordable = |rows, seconds| affordable(rows, 15, seconds).iter().map(|c| c.name).collect::<Vec<_>>();
    assert_eq!(affordable(32_561, 10.0), ["gaussian_copula", "cart"]);
    // 0.036 s a thousand cells of 32,561 rows, and of 0.7 of them in the trial, 29.9 s, and ten more.
    assert!(!affordable(32_561, 39.0).contains(&"transformer"));
    assert!(affordable(32_561, 41.0).contains(&"transformer"));
    assert_eq!(affordable(900, 10.0), ["gaussian_copula", "cart"]);
    assert_eq!(affordable(10_000_000, 10.0), ["gaussian_copula"]);
}

#[test]
fn scores_worked_by_hand() {
    let learned = frame(vec![category(vec![0, 0, 0, 0, 0, 1, 1, 1, 1, MISSING], 2)]);
    let held = frame(vec![category((0..60).map(|i| [0, 0, 1, MISSING][i % 4]).collect(), 2)]);
    let score = Score::new(&Rows::new(learned, 1), &held, &Job::unbounded()).unwrap();
    // The only pair is that of the column with itself. Three of four rows made are there: of four patterns with half a row each,
    // (3 + .5) / 6 and (1 + .5) / 6. Two tokens, missing and one beyond make sixteen places of half a row each: (2 + .5) / 11 of
    // code 0, held by two thirds of those held out that are there, and (1 + .5) / 11 of code 1.
    let there = 0.75 * libm::log(3.5 / 6.0) + 0.25 * libm::log(1.5 / 6.0);
    let expected = there + (2.0 * libm::log(2.5 / 11.0) + libm::log(1.5 / 11.0)) / 3.0;
    assert!((score.of(&[Values::Code(vec![0, MISSING, 1, 0])]) - expected).abs() < 1e-12);
    // Shares like those held out are better than any others of as many rows.
    let code = |i: usize, ones: usize| if i % 4 == 3 { MISSING } else { u32::from(i / 4 * 3 + i % 4 < ones) };
    let of = |ones: usize| score.of(&[Values::Code((0..4000).map(|i| code(i, ones)).collect())]);
    assert!((0..=6).map(|i| i * 500).all(|ones| of(ones) <= of(1000)));
}

#[test]
fn threads_do_not_matter() {
    let table = rules(2000);
    let bytes = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&Auto, &table, &[]).save().unwrap())
    };
    assert_eq!(bytes(1), bytes(4));
}

#[test]
fn other_models_are_not_read() {
    let other = model("independent").unwrap().fit(
        &test_rows(vec![Values::Code(vec![0, 1, 0, 1])], None, 1),
        &Options::check(model("independent").unwrap().params(), &[]).unwrap(),
        1,
        &Job::unbounded(),
    );
    let refused = Auto.load(&other.unwrap().save().unwrap()).err().unwrap();
    assert_eq!(refused.to_string(), "the saved model is a 'independent', which 'auto' never stands for");
}
