//! Figures worked by hand, most of them from the papers that define them.

use arrow::datatypes::{DataType, Field};
use lookalike_core::{CategoryDomain, Column, Domain, Values};
use std::sync::Arc;

use super::*;

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
}

/// Nine salaries 3k to 11k, once each (Li et al. 2007, tables 3 and 4): codes 0 to 8.
fn salaries() -> Whole {
    Whole::new(&[1; 9])
}

#[test]
fn ordered_distances_of_the_paper() {
    let whole = salaries();
    // {3k, 4k, 5k}: 0.375; {6k, 8k, 11k}: 0.167, section 3.1 of the paper.
    near(whole.ordered_distance(&[(0, 1), (1, 1), (2, 1)]), 0.375);
    near(whole.ordered_distance(&[(3, 1), (5, 1), (8, 1)]), 1.0 / 6.0);
    // {7k, 9k, 10k}, by hand: |running sums of q - p| in ninths are 1 2 3 4 2 3 1 1 0, sum 17 / 9 / 8.
    near(whole.ordered_distance(&[(4, 1), (6, 1), (7, 1)]), 17.0 / 72.0);
    // A class of the paper's table 5, which has 0.167-closeness in salary.
    near(whole.ordered_distance(&[(0, 1), (2, 1), (6, 1)]), 1.0 / 6.0);
    // One value alone: distances to the mean of positions, (0 + ... + 8) / 9 / 8.
    near(whole.ordered_distance(&[(0, 3)]), 0.5);
    near(whole.ordered_distance(&[(8, 1)]), 0.5);
    near(whole.ordered_distance(&(0..9).map(|c| (c, 2)).collect::<Vec<_>>()), 0.0);
    // A value that nobody in the whole has, and too few values for a distance.
    near(Whole::new(&[1, 0, 1]).ordered_distance(&[(0, 1)]), 0.5);
    near(Whole::new(&[4]).ordered_distance(&[(0, 4)]), 0.0);
    near(salaries().ordered_distance(&[]), 0.0);
}

#[test]
fn ordered_distance_is_the_definition() {
    // Against the plain sum of |running sums of q - p| / (m - 1) on counts drawn by a linear congruence.
    let mut state = 1u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    for round in 0..200 {
        let m = 2 + below(40) as usize;
        let class: Vec<u64> = (0..m).map(|_| below(4) * below(2)).collect();
        let all: Vec<u64> = class.iter().map(|n| n + below(1 + round / 20)).collect();
        let counts: Vec<(u32, u64)> = (0..).zip(class.iter().copied()).filter(|c| c.1 > 0).collect();
        if counts.is_empty() {
            continue;
        }
        let (n, of) = (class.iter().sum::<u64>() as f64, all.iter().sum::<u64>() as f64);
        let (mut running, mut sum, mut half) = (0.0, 0.0, 0.0);
        for (q, p) in class.iter().zip(&all) {
            let excess = *q as f64 / n - *p as f64 / of;
            running += excess;
            sum += f64::abs(running);
            half += excess.abs() / 2.0;
        }
        near(Whole::new(&all).ordered_distance(&counts), sum / (m - 1) as f64);
        near(Whole::new(&all).equal_distance(&counts), half);
    }
}

#[test]
fn equal_distance_by_hand() {
    // p = (1/2, 1/4, 1/4), q = (1, 0, 0): half of 1/2 + 1/4 + 1/4.
    let whole = Whole::new(&[2, 1, 1]);
    near(whole.equal_distance(&[(0, 2)]), 0.5);
    near(whole.equal_distance(&[(1, 3)]), 0.75);
    near(whole.equal_distance(&[(0, 4), (1, 2), (2, 2)]), 0.0);
    near(whole.equal_distance(&[]), 0.0);
    assert_eq!((whole.len(), whole.is_empty()), (3, false));
}

fn hierarchy(levels: &[&[&str]]) -> Hierarchy {
    let mut labels: Vec<String> = levels[0].iter().map(|l| l.to_string()).collect();
    labels.sort();
    let column = Column {
        field: Arc::new(Field::new("disease", DataType::Utf8, true)),
        values: Values::Code((0..labels.len() as u32).collect()),
        domain: Domain::Category(Arc::new(CategoryDomain { labels })),
    };
    let levels: Vec<Vec<Option<String>>> =
        levels.iter().map(|l| l.iter().map(|x| Some(x.to_string())).collect()).collect();
    Hierarchy::from_levels(&column, &levels).unwrap()
}

#[test]
fn hierarchical_distances_of_the_paper() {
    // After figure 2 of Li et al. 2007: respiratory and digestive diseases below one root of height 3.
    let diseases: &[&[&str]] = &[
        &[
            "gastric ulcer",
            "gastritis",
            "stomach cancer",
            "flu",
            "pneumonia",
            "bronchitis",
            "pulmonary oedema",
            "embolism",
        ],
        &["stomach", "stomach", "stomach", "infection", "infection", "infection", "vascular", "vascular"],
        &[
            "digestive",
            "digestive",
            "digestive",
            "respiratory",
            "respiratory",
            "respiratory",
            "respiratory",
            "respiratory",
        ],
    ];
    let tree = hierarchy(diseases);
    assert_eq!((tree.leaf_count(), tree.height()), (8, 3));
    // Tree order: digestive/stomach: gastric ulcer 0, gastritis 1, stomach cancer 2; respiratory/infection: bronchitis 3,
    // flu 4, pneumonia 5; respiratory/vascular: embolism 6, pulmonary oedema 7.
    // Whole uniform, class all on leaf 0: 2/8 move within the stomach at height 1, 5/8 over the root at height 3.
    let whole = Whole::new(&[1; 8]);
    near(whole.hierarchical_distance(&[(0, 5)], &tree), 2.0 / 8.0 / 3.0 + 5.0 / 8.0);
    // Class all on leaf 3: 2/8 at height 1, 2/8 at height 2 (vascular), 3/8 at height 3.
    near(whole.hierarchical_distance(&[(3, 1)], &tree), (2.0 + 2.0 * 2.0 + 3.0 * 3.0) / 24.0);
    // Three respiratory leaves, 1/3 each instead of 1/8: within vascular leaf 6 has 1/3 - 1/8 = 5/24 too much and leaf 7
    // 3/24 too little: 3/24 at height 1, 2/24 left over. Within infection 3 and 4 have 5/24 each too much, 5 misses 3/24:
    // 3/24 at height 1. The rest, 2/24 + 7/24, comes from the stomach, at height 3.
    near(whole.hierarchical_distance(&[(3, 1), (4, 1), (6, 1)], &tree), (6.0 + 9.0 * 3.0) / 72.0);
    near(whole.hierarchical_distance(&(0..8).map(|c| (c, 3)).collect::<Vec<_>>(), &tree), 0.0);
    // Missing values are a leaf of their own below the root: p = 1/9 each, all of the class missing: 8/9 over the root.
    near(Whole::new(&[1; 9]).hierarchical_distance(&[(8, 2)], &tree), 8.0 / 9.0);
    near(Whole::new(&[1; 9]).hierarchical_distance(&(0..9).map(|c| (c, 1)).collect::<Vec<_>>(), &tree), 0.0);
    // A flat tree is the equal distance.
    let flat = hierarchy(&[&["a", "b", "c"]]);
    assert_eq!(flat.height(), 1);
    near(Whole::new(&[2, 1, 1]).hierarchical_distance(&[(1, 3)], &flat), 0.75);
    // A tree of a single leaf: nothing can move.
    near(Whole::new(&[3]).hierarchical_distance(&[(0, 3)], &hierarchy(&[&["a"]])), 0.0);
}

#[test]
fn diversity_of_a_class() {
    // {7, 1}: the most frequent value against the rest, 7/1 (its l = 2) and nothing beyond the second.
    near(recursive(&[(0, 1), (4, 7)], 2), 7.0);
    assert_eq!(recursive(&[(0, 1), (4, 7)], 3), f64::INFINITY);
    // {5, 3, 2, 1}: 5/6 for l = 2, 5/3 for l = 3, 5/11 for l = 1.
    let counts = [(0, 2), (1, 5), (2, 1), (3, 3)];
    near(recursive(&counts, 2), 5.0 / 6.0);
    near(recursive(&counts, 3), 5.0 / 3.0);
    near(recursive(&counts, 1), 5.0 / 11.0);
    assert_eq!(recursive(&[], 2), f64::INFINITY);
    // exp(H): 4 equal values are 4, one value is 1, {1, 1, 2} is exp(1.5 ln 2).
    near(entropy(&[(0, 3), (2, 3), (5, 3), (6, 3)]), 4.0);
    near(entropy(&[(3, 9)]), 1.0);
    // Whole numbers come out whole: a gate of >= l must not fail by a bit.
    (1..60).for_each(|l| assert_eq!(entropy(&(0..l).map(|c| (c, 7)).collect::<Vec<_>>()), f64::from(l)));
    near(entropy(&[(0, 1), (1, 1), (2, 2)]), 2f64.powf(1.5));
    near(entropy(&[]), 0.0);
    near(largest_share(&counts, 11), 5.0 / 11.0);
    // Persons with several values: 5 of 8 hold the most frequent.
    near(largest_share(&counts, 8), 5.0 / 8.0);
    near(largest_share(&[], 0), 0.0);
}

#[test]
fn disclosure_and_likeness() {
    // p = (1/2, 1/4, 1/4); q = (1/4, 3/4, 0): ratios 1/2 and 3, gains -1/2 and 2.
    let whole = Whole::new(&[2, 1, 1]);
    let class = [(0, 1), (1, 3)];
    near(whole.disclosure(&class), 3f64.ln());
    near(whole.gain(&class), 2.0);
    // The loss can be the larger of the two: q = 1/16 of p = 1/2.
    near(whole.disclosure(&[(0, 1), (1, 7), (2, 8)]), 8f64.ln());
    near(whole.gain(&[(0, 2), (1, 1), (2, 1)]), 0.0);
    // -ln p = ln 4 = 1.386 < 2: no beta is enough for the enhanced definition; q = 1/2 of p = 1/4 gains 1.
    assert!(!whole.gains_within(&class, 10.0));
    assert!(whole.gains_within(&[(1, 1), (2, 1)], 1.0));
    assert!(!whole.gains_within(&[(1, 1), (2, 1)], 0.99));
}
