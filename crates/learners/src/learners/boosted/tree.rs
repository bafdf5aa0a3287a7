//! One tree.

use lookalike_core::{Job, Result};
use rayon::prelude::*;

use super::BoostedParams;
use super::bins::Bins;

/// A tree; the first node is the root.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Leaf(f64),
    /// Values up to the edge go to the first child, others to the second.
    Split {
        column: usize,
        edge: f64,
        children: [usize; 2],
    },
}

impl Tree {
    pub fn value(&self, row: &[f64]) -> f64 {
        let mut at = 0;
        loop {
            match &self.nodes[at] {
                Node::Leaf(value) => return *value,
                Node::Split { column, edge, children } => at = children[usize::from(row[*column] > *edge)],
            }
        }
    }
}

/// Sums of derivatives and number of rows.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    first: f64,
    second: f64,
    rows: u32,
}

impl Sums {
    fn less(self, other: Sums) -> Sums {
        Sums { first: self.first - other.first, second: self.second - other.second, rows: self.rows - other.rows }
    }

    fn add(&mut self, other: Sums) {
        self.first += other.first;
        self.second += other.second;
        self.rows += other.rows;
    }

    /// Twice the loss that the best value saves.
    fn gain(self, ridge: f64) -> f64 {
        self.first * self.first / (self.second + ridge).max(TINY)
    }
}

/// Keeps a division by no weight away.
const TINY: f64 = 1e-15;

/// Of each column the sums of each bin.
type Histogram = Vec<Vec<Sums>>;

#[derive(Debug, Clone, Copy)]
struct Split {
    gain: f64,
    column: usize,
    bin: usize,
    left: Sums,
}

/// A leaf that may be split further.
struct Open {
    node: usize,
    depth: usize,
    rows: Vec<u32>,
    sums: Sums,
    histogram: Histogram,
    split: Split,
}

/// Grows a tree and adds its values to `at`, the scores of the rows.
pub(super) fn grow(
    bins: &Bins,
    derivatives: &[[f64; 2]],
    params: &BoostedParams,
    at: &mut [f64],
    job: &Job,
) -> Result<Tree> {
    let grower = Grower { bins, derivatives, params };
    let all: Vec<u32> = (0..bins.rows as u32).collect();
    let mut sums = Sums::default();
    derivatives.iter().for_each(|d| sums.add(Sums { first: d[0], second: d[1], rows: 1 }));
    let mut tree = Tree { nodes: vec![Node::Leaf(0.0)] };
    let mut open: Vec<Open> = vec![];
    let histogram = grower.histogram(&all);
    grower.settle(&mut tree, &mut open, at, Leaf { node: 0, depth: 0, rows: all, sums, histogram });
    let mut leaves = 1;
    while leaves < params.leaves {
        job.check()?;
        // The first of those that gain most.
        let mut best: Option<usize> = None;
        for (i, leaf) in open.iter().enumerate() {
            if best.is_none_or(|b| leaf.split.gain > open[b].split.gain) {
                best = Some(i);
            }
        }
        let Some(best) = best else { break };
        let leaf = open.remove(best);
        grower.split(&mut tree, &mut open, at, leaf);
        leaves += 1;
    }
    open.into_iter().for_each(|leaf| grower.close(&mut tree, at, leaf.node, &leaf.rows, leaf.sums));
    Ok(tree)
}

struct Leaf {
    node: usize,
    depth: usize,
    rows: Vec<u32>,
    sums: Sums,
    histogram: Histogram,
}

struct Grower<'a> {
    bins: &'a Bins,
    derivatives: &'a [[f64; 2]],
    params: &'a BoostedParams,
}

impl Grower<'_> {
    /// Rows are in canonical order in every leaf, so the sums are the same bits whichever thread makes them.
    fn histogram(&self, rows: &[u32]) -> Histogram {
        let column = |(codes, edges): (&Vec<u8>, &Vec<f64>)| {
            let mut sums = vec![Sums::default(); edges.len() + 1];
            for &row in rows {
                let [first, second] = self.derivatives[row as usize];
                sums[codes[row as usize] as usize].add(Sums { first, second, rows: 1 });
            }
            sums
        };
        // Small leaves are not worth another thread.
        let least = (8192 / rows.len().max(1)).max(1);
        self.bins.codes.par_iter().zip(&self.bins.edges).with_min_len(least).map(column).collect()
    }

    fn best_split(&self, sums: Sums, histogram: &Histogram) -> Option<Split> {
        let mut best: Option<Split> = None;
        let allowed = |s: Sums| s.rows as usize >= self.params.min_rows && s.second >= self.params.min_weight;
        for (column, bins) in histogram.iter().enumerate() {
            let mut left = Sums::default();
            for (bin, of_bin) in bins[..bins.len() - 1].iter().enumerate() {
                left.add(*of_bin);
                let right = sums.less(left);
                if of_bin.rows == 0 || !allowed(left) || !allowed(right) {
                    continue;
                }
                let ridge = self.params.ridge;
                let gain = left.gain(ridge) + right.gain(ridge) - sums.gain(ridge);
                if gain > best.map_or(0.0, |b| b.gain) {
                    best = Some(Split { gain, column, bin, left });
                }
            }
        }
        best
    }

    /// Keeps a leaf open where a split gains, else closes it.
    fn settle(&self, tree: &mut Tree, open: &mut Vec<Open>, at: &mut [f64], leaf: Leaf) {
        let Leaf { node, depth, rows, sums, histogram } = leaf;
        let split = if depth < self.params.depth { self.best_split(sums, &histogram) } else { None };
        match split {
            Some(split) => open.push(Open { node, depth, rows, sums, histogram, split }),
            None => self.close(tree, at, node, &rows, sums),
        }
    }

    fn close(&self, tree: &mut Tree, at: &mut [f64], node: usize, rows: &[u32], sums: Sums) {
        let value = -self.params.shrinkage * sums.first / (sums.second + self.params.ridge).max(TINY);
        tree.nodes[node] = Node::Leaf(value);
        rows.iter().for_each(|&row| at[row as usize] += value);
    }

    fn split(&self, tree: &mut Tree, open: &mut Vec<Open>, at: &mut [f64], leaf: Open) {
        let Split { column, bin, left, .. } = leaf.split;
        let codes = &self.bins.codes[column];
        let (low, high): (Vec<u32>, Vec<u32>) = leaf.rows.iter().partition(|&&r| codes[r as usize] as usize <= bin);
        let children = [tree.nodes.len(), tree.nodes.len() + 1];
        tree.nodes.extend([Node::Leaf(0.0), Node::Leaf(0.0)]);
        tree.nodes[leaf.node] = Node::Split { column, edge: self.bins.edges[column][bin], children };
        // Only the smaller child is counted; the other is what is left of the parent.
        let smaller = self.histogram(if low.len() <= high.len() { &low } else { &high });
        let mut rest = leaf.histogram;
        for (rest, smaller) in rest.iter_mut().zip(&smaller) {
            rest.iter_mut().zip(smaller).for_each(|(r, s)| *r = r.less(*s));
        }
        let (of_low, of_high) = if low.len() <= high.len() { (smaller, rest) } else { (rest, smaller) };
        let (depth, right) = (leaf.depth + 1, leaf.sums.less(left));
        let [first, second] = children;
        self.settle(tree, open, at, Leaf { node: first, depth, rows: low, sums: left, histogram: of_low });
        self.settle(tree, open, at, Leaf { node: second, depth, rows: high, sums: right, histogram: of_high });
    }
}
