use lookalike_core::{Job, Streams};

use super::KMember;
use crate::axis::NULL;
use crate::clusters::tests::{Cells, Table, below, numbered, sizes};
use crate::{Items, Method, Scale};

#[test]
fn one_number_by_hand() {
    // 20 is farthest from the first, 1, and takes 12; 1 is farthest from 12 and takes 2; 11 is farthest from 2 and takes
    // 10. For 3, {1, 2} goes from 2 * 1 to 3 * 2, {10, 11} from 2 * 1 to 3 * 8, {12, 20} from 2 * 8 to 3 * 17.
    let table = Table::of(vec![Cells::integers(&[1, 2, 3, 10, 11, 12, 20])]);
    let grouping = KMember.group(&table.problem(2), &Job::unbounded()).unwrap();
    assert_eq!(grouping.class_of, [0, 0, 0, 1, 1, 2, 2]);
}

#[test]
fn a_number_and_a_label_by_hand() {
    // A number loses its difference over 8, the second and third label 1/2 each. From (0, a), (8, c) is farthest at 1 1/2.
    // (5, c) costs it 3/8 and (7, b) 1/8 + 1/2: it takes (5, c). From that (0, a) is farthest at 5/8 + 1/2 and takes (1, a).
    let table = Table::of(vec![Cells::integers(&[0, 1, 5, 6, 7, 8]), Cells::labels(&["a", "a", "c", "b", "b", "c"])]);
    let grouping = KMember.group(&table.problem(2), &Job::unbounded()).unwrap();
    assert_eq!(grouping.class_of, [0, 0, 1, 2, 2, 1]);
}

/// What a row of a class loses; a multiple of 1/64 for the tables below.
fn loss(items: &Items, members: &[u32]) -> f64 {
    let column = |c: usize| {
        let ranks: Vec<u32> = members.iter().map(|&m| items.low(c)[m as usize]).collect();
        let mut present: Vec<u32> = ranks.iter().copied().filter(|r| *r != NULL).collect();
        present.sort_unstable();
        present.dedup();
        let mixed = if !present.is_empty() && ranks.contains(&NULL) { 1.0 } else { 0.0 };
        let span = present.first().zip(present.last());
        match &items.axis(c).scale {
            Scale::Labels => {
                let mut distinct: Vec<u32> = items.low(c).to_vec();
                distinct.sort_unstable();
                distinct.dedup();
                let labels = present.len() + usize::from(ranks.contains(&NULL));
                (labels - 1) as f64 / (distinct.len() - 1).max(1) as f64
            }
            Scale::Tree(tree) => span.map_or(0.0, |(low, high)| {
                mixed + f64::from(tree.leaves_below(tree.common(low - 1, high - 1)) - 1) / 8.0
            }),
            _ => span.map_or(0.0, |(low, high)| mixed + f64::from(high - low) / 64.0),
        }
    };
    (0..items.columns()).map(column).sum::<f64>()
}

fn joined(members: &[u32], item: u32) -> Vec<u32> {
    members.iter().copied().chain([item]).collect()
}

/// The paper's algorithm, every loss from scratch.
fn naive(items: &Items, k: usize) -> Vec<Vec<u32>> {
    let mut left: Vec<u32> = (0..items.len() as u32).collect();
    let (mut clusters, mut last) = (Vec::<Vec<u32>>::new(), 0);
    while left.len() >= k {
        let mut seed = left[0];
        for &item in &left {
            if loss(items, &[last, item]) > loss(items, &[last, seed]) {
                seed = item;
            }
        }
        let mut cluster = vec![seed];
        left.retain(|&i| i != seed);
        while cluster.len() < k {
            let mut best = left[0];
            for &item in &left {
                if loss(items, &joined(&cluster, item)) < loss(items, &joined(&cluster, best)) {
                    best = item;
                }
            }
            cluster.push(best);
            left.retain(|&i| i != best);
        }
        last = cluster[k - 1];
        clusters.push(cluster);
    }
    for item in left {
        let grows = |c: &Vec<u32>| {
            let size = c.len() as f64;
            (size + 1.0) * loss(items, &joined(c, item)) - size * loss(items, c)
        };
        let mut best = 0;
        for c in 0..clusters.len() {
            if grows(&clusters[c]) < grows(&clusters[best]) {
                best = c;
            }
        }
        clusters[best].push(item);
    }
    clusters
}

#[test]
fn clusters_are_those_of_the_paper() {
    for seed in 0..150 {
        let rng = &mut Streams::new(seed, "exact").block(0);
        let (rows, k) = (20 + below(rng, 60), 1 + below(rng, 7));
        // Ranges of 64, five labels with the missing one, nine leaves: all losses are exact in binary.
        let mut draw = |domain: usize, nulls: usize| -> Vec<Option<usize>> {
            let ends = [Some(0), Some(domain - 1)].into_iter().chain((1..4).map(Some)).chain([None]);
            let rest = |_| (below(rng, 10) >= nulls).then(|| below(rng, domain));
            ends.chain((6..rows).map(rest)).collect()
        };
        let integers =
            |values: Vec<Option<usize>>| Cells::Integers(values.into_iter().map(|v| v.map(|v| v as i64 - 9)).collect());
        let columns = vec![
            integers(draw(65, 2)),
            Cells::Labels(draw(4, 1).into_iter().map(|v| v.map(|v| format!("l{}", v.min(3)))).collect()),
            Cells::leaves(draw(9, 1)),
            integers(draw(65, 0)),
        ];
        let columns = columns.into_iter().skip(seed as usize % 4).collect();
        let problem = Table::of(columns).problem(k as u64);
        let grouping = KMember.group(&problem, &Job::unbounded()).unwrap();
        assert_eq!(grouping, numbered(rows, &naive(&problem.items, k)), "seed {seed}, k {k}");
        assert!(sizes(&grouping).iter().all(|&s| s >= k), "seed {seed}, k {k}");
    }
}
