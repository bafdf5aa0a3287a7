//! How many records of a population match what a class shows: a k-d tree (Bentley 1975) over ranks.

use std::ops::Range;

use crate::axis::NULL;
use crate::shown::{Ranks, Region};

/// Records below a node that is not divided further.
const BUCKET: usize = 32;

/// The records of a population, ready to be counted by region.
#[derive(Debug)]
pub(crate) struct Population {
    /// Ranks of a record lie side by side.
    points: Vec<u32>,
    columns: usize,
    nodes: Vec<Node>,
    /// Lowest and highest rank of every column below each node.
    boxes: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Node {
    records: Range<u32>,
    /// Nodes of the two halves; none for a bucket.
    children: Option<(u32, u32)>,
}

impl Population {
    /// Of ranks, a list a column.
    pub fn new(columns: &[Vec<u32>]) -> Self {
        let rows = columns.first().map_or(0, Vec::len);
        let mut tree = Self { points: vec![], columns: columns.len(), nodes: vec![], boxes: vec![] };
        let mut order: Vec<u32> = (0..rows as u32).collect();
        if rows > 0 {
            tree.divide(columns, &mut order, 0);
        }
        tree.points = order.iter().flat_map(|&r| columns.iter().map(move |c| c[r as usize])).collect();
        tree
    }

    fn divide(&mut self, columns: &[Vec<u32>], order: &mut [u32], first: u32) -> u32 {
        let node = self.nodes.len() as u32;
        let start = self.boxes.len();
        for column in columns {
            let ranks = || order.iter().map(|&r| column[r as usize]);
            self.boxes.push((ranks().min().unwrap_or(NULL), ranks().max().unwrap_or(NULL)));
        }
        self.nodes.push(Node { records: first..first + order.len() as u32, children: None });
        let width = |c: usize| self.boxes[start + c].1 - self.boxes[start + c].0;
        // The widest column is the one whose halves tell most; ties go to the first.
        let Some(widest) = (0..columns.len()).max_by_key(|&c| (width(c), usize::MAX - c)) else { return node };
        if order.len() <= BUCKET || width(widest) == 0 {
            return node;
        }
        let (middle, column) = (order.len() / 2, &columns[widest]);
        order.select_nth_unstable_by_key(middle, |&r| column[r as usize]);
        let (left, right) = order.split_at_mut(middle);
        let halves = (self.divide(columns, left, first), self.divide(columns, right, first + middle as u32));
        self.nodes[node as usize].children = Some(halves);
        node
    }

    /// Number of records in a region, one entry of it a column.
    pub fn count(&self, region: &[Region<'_>]) -> u64 {
        if self.nodes.is_empty() { 0 } else { self.count_below(0, region) }
    }

    fn count_below(&self, node: u32, region: &[Region<'_>]) -> u64 {
        let boxes = &self.boxes[node as usize * self.columns..][..self.columns];
        let mut whole = true;
        for (region, &(low, high)) in region.iter().zip(boxes) {
            match covers(region, low, high) {
                Some(false) => return 0,
                Some(true) => {}
                None => whole = false,
            }
        }
        let Node { records, children } = &self.nodes[node as usize];
        match children {
            _ if whole => u64::from(records.end - records.start),
            Some((left, right)) => self.count_below(*left, region) + self.count_below(*right, region),
            None => {
                let points = &self.points[records.start as usize * self.columns..records.end as usize * self.columns];
                let holds = |point: &&[u32]| region.iter().zip(*point).all(|(r, &rank)| r.holds(rank));
                points.chunks_exact(self.columns).filter(holds).count() as u64
            }
        }
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.points.capacity() * 4 + self.nodes.capacity() * size_of::<Node>() + self.boxes.capacity() * 8
    }
}

/// Whether a region holds all ranks from `low` to `high`, none of them, or possibly some.
fn covers(region: &Region<'_>, low: u32, high: u32) -> Option<bool> {
    if low == high {
        return Some(region.holds(low));
    }
    let present = low.max(NULL + 1);
    let outside = match &region.ranks {
        Ranks::Between(from, to) => high < *from || *to < present,
        Ranks::Among(ranks) => {
            let next = ranks.partition_point(|r| *r < present);
            ranks.get(next).is_none_or(|r| *r > high)
        }
    };
    let missing = low == NULL;
    if outside && !(missing && region.missing) {
        return Some(false);
    }
    match region.ranks {
        Ranks::Between(from, to) if from <= present && high <= to && (!missing || region.missing) => Some(true),
        _ => None,
    }
}
