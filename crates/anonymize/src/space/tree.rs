//! Hierarchies over the leaves that occur.

use std::ops::Range;

use crate::Hierarchy;
use crate::axis::NULL;
use crate::hierarchy::Node;

/// A hierarchy whose leaves that occur are numbered from 1 in its order; [`NULL`] is a missing value.
#[derive(Debug)]
pub(crate) struct Tree {
    /// From the leaves to the root.
    levels: Vec<Level>,
    /// Codes, that of a missing value included.
    codes: usize,
    /// All leaves less one, those that do not occur included; at least 1.
    whole: f64,
}

#[derive(Debug)]
struct Level {
    /// Node of each code, of the nodes that occur; that of [`NULL`] has no meaning.
    node: Vec<u32>,
    /// First code of each node, and the number of codes at the end.
    first: Vec<u32>,
    /// Leaves below each node less one.
    width: Vec<f64>,
}

impl Tree {
    /// The tree, and the code of each rank.
    pub fn new(hierarchy: &Hierarchy, ranks: &[u32]) -> (Self, Vec<u32>) {
        let mut code_of = vec![NULL; hierarchy.leaf_count() as usize + 1];
        ranks.iter().for_each(|&r| code_of[r as usize] = 1);
        let (mut leaves, mut next) = (vec![], 1);
        code_of[NULL as usize] = NULL;
        for (rank, code) in (0..).zip(&mut code_of).filter(|(_, c)| **c != NULL) {
            *code = next;
            next += 1;
            leaves.push(rank - 1u32);
        }
        let levels = (0..=hierarchy.height()).map(|level| Level::new(hierarchy, level, &leaves)).collect();
        let codes = ranks.iter().map(|&r| code_of[r as usize]).collect();
        let whole = f64::from(hierarchy.leaf_count().saturating_sub(1)).max(1.0);
        (Self { levels, codes: next as usize, whole }, codes)
    }

    /// Width, 0 to 1, of the lowest common node of two codes.
    pub fn width(&self, a: u32, b: u32) -> f64 {
        let shared = |l: &&Level| l.node[a as usize] == l.node[b as usize];
        self.levels.iter().find(shared).map_or(0.0, |l| l.width[l.node[a as usize] as usize] / self.whole)
    }

    /// For each code, `present` plus the width, seen through `scale`, of the lowest node above it and all codes from the
    /// first to the last of `span`; just `present` without a span, and `missing` for a missing value.
    pub fn table(&self, span: Option<(u32, u32)>, present: f64, missing: f64, scale: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut table = vec![present; self.codes];
        if let Some((low, high)) = span {
            // Wider nodes first: each fill leaves what is outside of the next node.
            for level in self.levels.iter().rev() {
                let node = level.node[low as usize];
                if level.node[high as usize] != node {
                    break;
                }
                table[level.codes(node)].fill(present + scale(level.width[node as usize] / self.whole));
            }
        }
        table[NULL as usize] = missing;
        table
    }

    /// The code with the least sum of squared widths to all others, of some codes ascending with their counts; the
    /// smallest among equals, [`NULL`] of none.
    pub fn middle(&self, counts: &[(u32, u32)]) -> u32 {
        // Whole numbers, whose sums are exact.
        let mut sums = vec![0.0; counts.len()];
        for (below, level) in self.levels.iter().zip(&self.levels[1..]) {
            let mut start = 0;
            for node in counts.chunk_by(|a, b| level.node[a.0 as usize] == level.node[b.0 as usize]) {
                let all = total(node);
                let square = level.width[level.node[node[0].0 as usize] as usize].powi(2);
                for child in node.chunk_by(|a, b| below.node[a.0 as usize] == below.node[b.0 as usize]) {
                    let others = (all - total(child)) as f64 * square;
                    sums[start..start + child.len()].iter_mut().for_each(|s| *s += others);
                    start += child.len();
                }
            }
        }
        let least = sums.iter().copied().fold(f64::INFINITY, f64::min);
        counts.iter().zip(&sums).find(|(_, s)| **s == least).map_or(NULL, |(c, _)| c.0)
    }
}

fn total(counts: &[(u32, u32)]) -> u64 {
    counts.iter().map(|c| u64::from(c.1)).sum()
}

impl Level {
    fn new(hierarchy: &Hierarchy, level: usize, leaves: &[u32]) -> Self {
        let nodes = hierarchy.nodes_at(level);
        let (mut node, mut first, mut width) = (vec![u32::MAX], vec![], vec![]);
        let mut last = None;
        for (code, &leaf) in (1..).zip(leaves) {
            let index = nodes[leaf as usize];
            if last.replace(index) != Some(index) {
                first.push(code);
                width.push(f64::from(hierarchy.leaves_below(Node { level, index }) - 1));
            }
            node.push(first.len() as u32 - 1);
        }
        first.push(leaves.len() as u32 + 1);
        Self { node, first, width }
    }

    fn codes(&self, node: u32) -> Range<usize> {
        self.first[node as usize] as usize..self.first[node as usize + 1] as usize
    }
}
