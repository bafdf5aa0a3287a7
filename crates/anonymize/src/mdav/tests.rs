use lookalike_core::{Job, Streams};

use super::Mdav;
use crate::axis::NULL;
use crate::clusters::tests::{Cells, Table, below, numbered, sizes};
use crate::{Items, Method, Problem, Scale};

fn classes(problem: &Problem) -> Vec<u32> {
    Mdav.group(problem, &Job::unbounded()).unwrap().class_of
}

#[test]
fn one_number_by_hand() {
    // Mean 59/7: 20 is farthest and takes 12; 1 is farthest from 20 and takes 2; three are fewer than 2 k.
    let table = Table::of(vec![Cells::integers(&[1, 2, 3, 10, 11, 12, 20])]);
    assert_eq!(classes(&table.problem(2)), [0, 0, 1, 1, 1, 2, 2]);
    // Five are 2 k to 3 k - 1: of mean 6.4, 20 is farthest and takes 6.
    let table = Table::of(vec![Cells::integers(&[0, 1, 5, 6, 20])]);
    assert_eq!(classes(&table.problem(2)), [0, 0, 0, 1, 1]);
}

#[test]
fn two_numbers_by_hand() {
    // Items in order: (0, 0), (0, 9), (0, 10), (1, 0), (9, 10), (10, 10). Mean (3.3, 6.5), sums of squared deviations
    // 115.3 and 127.5: (10, 10) is farthest at 44.4 / 115.3 + 12.25 / 127.5 = 0.48, before (0, 0) at 0.43. It takes
    // (9, 10). (0, 0) is farthest from it and takes (1, 0).
    let table = Table::of(vec![Cells::integers(&[0, 0, 0, 1, 9, 10]), Cells::integers(&[0, 9, 10, 0, 10, 10])]);
    assert_eq!(classes(&table.problem(2)), [0, 1, 1, 0, 2, 2]);
}

#[test]
fn labels_by_hand() {
    // The mode is a; b is the first that differs and takes the first a, as all are equally far. The second a is farthest
    // from b as well as the others and takes the third.
    let table = Table::of(vec![Cells::labels(&["a", "a", "a", "b", "c", "c"])]);
    assert_eq!(classes(&table.problem(2)), [0, 1, 1, 0, 2, 2]);
}

#[test]
fn leaves_by_hand() {
    // Groups {v0, v1}, {v2, v3, v4}, {v5, ..., v8}; squared distances in eighths are 1, 4 and 9 within them and 64 across.
    // Sums to the others: v2 has 3 * 64, v3 the same, v4 as well, v0 has 64 * 4 + 1, v8 64 * 5: v2 is the middle. v0 is
    // the first of the farthest and takes v1; v2 is the first of those farthest from v0 and takes v3.
    let table = Table::of(vec![Cells::leaves([0, 1, 2, 3, 4, 8].map(Some).to_vec())]);
    assert_eq!(classes(&table.problem(2)), [0, 0, 1, 1, 2, 2]);
}

/// The definition, every figure from scratch.
struct Naive<'p> {
    items: &'p Items,
    deviations: Vec<f64>,
}

impl Naive<'_> {
    fn number(&self, column: usize, item: u32) -> Option<f64> {
        let (low, high) = (self.items.low(column), self.items.high(column));
        let number = |rank: u32| match &self.items.axis(column).scale {
            Scale::Numbers(all) => {
                let (first, last) = (all[0] / 2.0, all[all.len() - 1] / 2.0);
                if last > first { (all[rank as usize - 1] / 2.0 - first) / (last - first) } else { 0.0 }
            }
            _ => f64::from(rank),
        };
        let item = item as usize;
        (low[item] != NULL).then(|| (number(low[item]) + number(high.map_or(low[item], |h| h[item]))) / 2.0)
    }

    fn is_number(&self, column: usize) -> bool {
        matches!(self.items.axis(column).scale, Scale::Even { .. } | Scale::Numbers(_))
    }

    fn measure_deviations(&mut self) {
        for column in 0..self.items.columns() {
            let values: Vec<f64> = match self.is_number(column) {
                true => (0..self.items.len() as u32).filter_map(|i| self.number(column, i)).collect(),
                false => vec![],
            };
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            self.deviations.push((squares / (values.len() as f64 - 1.0)).sqrt());
        }
    }

    fn square(&self, column: usize, a: Option<f64>, b: Option<f64>) -> f64 {
        match (&self.items.axis(column).scale, a, b) {
            (_, None, None) => 0.0,
            (Scale::Labels, a, b) => f64::from(u8::from(a != b)),
            (Scale::Tree(tree), Some(a), Some(b)) => {
                let (a, b) = (a as u32 - 1, b as u32 - 1);
                let leaves = tree.leaves_below(tree.common(a.min(b), a.max(b))) - 1;
                (f64::from(leaves) / f64::from(tree.leaf_count() - 1)).powi(2)
            }
            (_, Some(a), Some(b)) => {
                let deviation = self.deviations[column];
                if deviation > 0.0 { ((a - b) * (1.0 / deviation)).powi(2) } else { 0.0 }
            }
            _ => 1.0,
        }
    }

    fn value(&self, column: usize, item: u32) -> Option<f64> {
        match self.is_number(column) {
            true => self.number(column, item),
            false => Some(self.items.low(column)[item as usize]).filter(|r| *r != NULL).map(f64::from),
        }
    }

    fn point(&self, item: u32) -> Vec<Option<f64>> {
        (0..self.items.columns()).map(|c| self.value(c, item)).collect()
    }

    fn centre(&self, left: &[u32]) -> Vec<Option<f64>> {
        let centre = |column: usize| {
            let values: Vec<Option<f64>> = left.iter().map(|&i| self.value(column, i)).collect();
            let mut present: Vec<f64> = values.iter().copied().flatten().collect();
            let missing = values.len() - present.len();
            if self.is_number(column) {
                return (missing <= present.len()).then(|| present.iter().sum::<f64>() / present.len() as f64);
            }
            present.sort_unstable_by(f64::total_cmp);
            let mut distinct = present.clone();
            distinct.dedup();
            let count = |v: f64| present.iter().filter(|p| **p == v).count();
            match &self.items.axis(column).scale {
                Scale::Labels => {
                    // max_by_key takes the last of equal ones.
                    let most = distinct.iter().rev().copied().max_by_key(|&v| count(v));
                    most.filter(|&v| count(v) >= missing)
                }
                Scale::Tree(tree) if missing <= present.len() => {
                    let apart = |a: f64, b: f64| {
                        let (a, b) = (a as u32 - 1, b as u32 - 1);
                        u64::from(tree.leaves_below(tree.common(a.min(b), a.max(b))) - 1).pow(2)
                    };
                    distinct.iter().copied().min_by_key(|&v| present.iter().map(|&p| apart(v, p)).sum::<u64>())
                }
                _ => None,
            }
        };
        (0..self.items.columns()).map(centre).collect()
    }

    fn distance(&self, from: &[Option<f64>], item: u32) -> f64 {
        let columns = self.point(item).into_iter().zip(from).enumerate();
        columns.map(|(c, (a, b))| self.square(c, a, *b)).sum()
    }

    fn farthest(&self, from: &[Option<f64>], left: &[u32]) -> u32 {
        let mut best = left[0];
        for &item in left {
            if self.distance(from, item) > self.distance(from, best) {
                best = item;
            }
        }
        best
    }

    fn take(&self, seed: u32, k: usize, left: &mut Vec<u32>) -> Vec<u32> {
        let from = self.point(seed);
        left.retain(|&i| i != seed);
        left.sort_by(|&a, &b| self.distance(&from, a).total_cmp(&self.distance(&from, b)).then(a.cmp(&b)));
        let mut cluster: Vec<u32> = left.drain(..k - 1).collect();
        cluster.push(seed);
        left.sort_unstable();
        cluster
    }

    fn solve(&self, k: usize) -> Vec<Vec<u32>> {
        let mut left: Vec<u32> = (0..self.items.len() as u32).collect();
        let mut clusters = vec![];
        while left.len() >= 3 * k {
            let r = self.farthest(&self.centre(&left), &left);
            clusters.push(self.take(r, k, &mut left));
            let s = self.farthest(&self.point(r), &left);
            clusters.push(self.take(s, k, &mut left));
        }
        if left.len() >= 2 * k {
            let r = self.farthest(&self.centre(&left), &left);
            clusters.push(self.take(r, k, &mut left));
        }
        if !left.is_empty() {
            clusters.push(left);
        }
        clusters
    }
}

#[test]
fn clusters_are_those_of_the_definition() {
    for seed in 0..200 {
        let rng = &mut Streams::new(seed, "sizes").block(0);
        let (rows, k) = (10 + below(rng, 130), 1 + below(rng, 9));
        let table = Table::random(seed, rows);
        let Ok(problem) = table.problem_of(rows, crate::Criteria::new(Some(k as u64), vec![]).unwrap(), 0.0) else {
            continue;
        };
        let mut naive = Naive { items: &problem.items, deviations: vec![] };
        naive.measure_deviations();
        let expected = numbered(problem.items.len(), &naive.solve(k));
        let grouping = Mdav.group(&problem, &Job::unbounded()).unwrap();
        assert_eq!(grouping, expected, "seed {seed}, k {k}, {table:?}");
        assert!(sizes(&grouping).iter().all(|&s| (k..2 * k).contains(&s)), "seed {seed}, k {k}");
    }
}
