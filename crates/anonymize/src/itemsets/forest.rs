//! What items can be shown as, what they are shown as, and the steps that answer rare combinations.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use lookalike_core::{Error, Job, MISSING, Result, Values};

use super::{KmParams, KmRelease, Sets};
use crate::Hierarchy;
use crate::hierarchy::Node;

const NONE: u32 = u32::MAX;

/// Trees over the items. Leaves come first, parents behind their children, each level in the order of the labels.
#[derive(Debug)]
pub(super) struct Forest {
    leaf_of_item: Vec<u32>,
    /// [`NONE`] for roots.
    parent: Vec<u32>,
    /// Leaves below each node, half open.
    below: Vec<(u32, u32)>,
    /// Loss of one occurrence that is shown as the node, in parts of `leaves`.
    loss: Vec<u64>,
    labels: Vec<String>,
    leaves: usize,
}

impl Forest {
    /// The tree of a hierarchy that was made for the column of `items` items.
    pub fn of_hierarchy(hierarchy: &Hierarchy, items: usize) -> Result<Self> {
        let leaf_of_item = hierarchy.leaves_of(&Values::Code((0..items as u32).collect()))?;
        if leaf_of_item.contains(&MISSING) {
            return Err(Error::internal("itemsets: the hierarchy was made for other items"));
        }
        let leaves = hierarchy.leaf_count() as usize;
        let mut forest = Self { leaf_of_item, parent: vec![], below: vec![], loss: vec![], labels: vec![], leaves };
        for level in 0..=hierarchy.height() {
            let next = forest.parent.len() + hierarchy.node_count(level);
            if level < hierarchy.height() {
                forest.parent.extend(hierarchy.parents(level + 1).map(|p| next as u32 + p));
            } else {
                forest.parent.push(NONE);
            }
            let mut first = 0;
            for index in 0..hierarchy.node_count(level) as u32 {
                let node = Node { level, index };
                let count = hierarchy.leaves_below(node);
                forest.below.push((first, first + count));
                first += count;
                forest.loss.push(if count > 1 { u64::from(count) } else { 0 });
                forest.labels.push(hierarchy.label(node).into());
            }
        }
        Ok(forest)
    }

    /// No trees: items as they are.
    pub fn of_items(labels: &[String]) -> Self {
        let leaves = 0..labels.len() as u32;
        Self {
            leaf_of_item: leaves.clone().collect(),
            parent: vec![NONE; labels.len()],
            below: leaves.map(|leaf| (leaf, leaf + 1)).collect(),
            loss: vec![0; labels.len()],
            labels: labels.to_vec(),
            leaves: labels.len(),
        }
    }

    /// Bytes on the heap, with what a recoding adds.
    pub fn memory(&self) -> usize {
        self.labels.iter().map(String::capacity).sum::<usize>() + self.parent.len() * 96
    }

    /// A node and all above it.
    fn upwards(&self, node: u32) -> impl Iterator<Item = usize> {
        std::iter::successors((node != NONE).then_some(node), |&n| Some(self.parent[n as usize]).filter(|&p| p != NONE))
            .map(|n| n as usize)
    }
}

/// A candidate for what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// Rare combinations met, one count for each of their ids below the node.
    met: u64,
    /// Loss over all occurrences.
    cost: u64,
    node: u32,
    /// Remove what is shown as the node; otherwise generalise all below the node to it.
    removes: bool,
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        let ratio = |a: &Step, b: &Step| u128::from(a.met) * u128::from(b.cost);
        let place = |s: &Step| Reverse((s.removes, s.node));
        ratio(self, other).cmp(&ratio(other, self)).then(place(self).cmp(&place(other)))
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The node that each leaf is shown as.
#[derive(Debug)]
pub(super) struct Recoding<'f> {
    forest: &'f Forest,
    /// By leaf; [`NONE`] for removed ones.
    shown: Vec<u32>,
    /// Whether leaves are shown as the node.
    is_shown: Vec<bool>,
    /// Occurrences of each leaf.
    of_leaf: Vec<u64>,
    /// Occurrences below each node that are not removed.
    occurrences: Vec<u64>,
    /// What they lose.
    lost: Vec<u64>,
    /// Occurrences that may still be removed.
    budget: u64,
}

impl<'f> Recoding<'f> {
    /// Every item as itself. Without trees everything may be removed, with them the share `removable` of the
    /// occurrences.
    pub fn new(forest: &'f Forest, items: &Sets, removable: f64) -> Self {
        let mut occurrences = vec![0; forest.parent.len()];
        items.ids.iter().for_each(|&item| occurrences[forest.leaf_of_item[item as usize] as usize] += 1);
        let of_leaf = occurrences[..forest.leaves].to_vec();
        // Parents stand behind their children.
        for node in 0..forest.parent.len() {
            if forest.parent[node] != NONE {
                occurrences[forest.parent[node] as usize] += occurrences[node];
            }
        }
        // The margin undoes the binary representation of shares such as 0.29, never a whole occurrence.
        let budget = (removable * items.ids.len() as f64 + 1e-9).floor() as u64;
        Self {
            forest,
            shown: (0..forest.leaves as u32).collect(),
            is_shown: (0..forest.parent.len()).map(|node| node < forest.leaves).collect(),
            of_leaf,
            occurrences,
            lost: vec![0; forest.parent.len()],
            budget,
        }
    }

    /// The node of an item; `None` where it is removed.
    fn node(&self, item: u32) -> Option<u32> {
        Some(self.shown[self.forest.leaf_of_item[item as usize] as usize]).filter(|&node| node != NONE)
    }

    /// The sets of nodes that are shown.
    pub fn apply(&self, items: &Sets) -> Sets {
        let mut sets = Sets::new(self.forest.parent.len(), items.len(), items.ids.len());
        for t in 0..items.len() {
            sets.push(items.get(t).iter().filter_map(|&item| self.node(item)));
        }
        sets
    }

    /// What can be done about a node: remove it where it is shown, generalise to it where it stands above.
    fn steps(&self, met: &[u64], node: usize) -> impl Iterator<Item = Step> {
        let (met, occurrences, lost) = (met[node], self.occurrences[node], self.lost[node]);
        let step =
            move |whole: u64, removes| Step { met, cost: occurrences * whole - lost, node: node as u32, removes };
        let removal =
            (self.is_shown[node] && occurrences <= self.budget).then(|| step(self.forest.leaves as u64, true));
        let above = (!self.is_shown[node]).then(|| step(self.forest.loss[node], false));
        removal.into_iter().chain(above).filter(|s| s.met > 0)
    }

    /// Takes steps until each rare combination of `size` nodes has met one.
    pub fn repair(&mut self, rare: &[u32], size: usize, job: &Job) -> Result<()> {
        let nodes = self.forest.parent.len();
        let _steps = job.reserve(rare.len() * 5 + nodes * 48, "generalising items")?;
        let mut open = Open::new(rare, size, self.forest);
        let mut heap: BinaryHeap<Step> = (0..nodes).flat_map(|n| self.steps(&open.met, n)).collect();
        for taken in 0.. {
            if taken % 64 == 0 {
                job.check()?;
            }
            if open.left == 0 {
                return Ok(());
            }
            let Some(best) = heap.pop() else { break };
            let node = best.node as usize;
            let Some(current) = self.steps(&open.met, node).find(|s| s.removes == best.removes) else { continue };
            match current.cmp(&best) {
                Ordering::Less => {
                    heap.push(current);
                    continue;
                }
                // It got better by a step below, which pushed an entry of its own.
                Ordering::Greater => continue,
                Ordering::Equal => {}
            }
            self.take(current, &mut open);
            for above in self.forest.upwards(best.node).skip(1) {
                heap.extend(self.steps(&open.met, above));
            }
        }
        Err(Error::internal("itemsets: a rare combination can be neither generalised nor removed"))
    }

    fn take(&mut self, step: Step, open: &mut Open) {
        let (first, last) = self.forest.below[step.node as usize];
        for leaf in first as usize..last as usize {
            let node = self.shown[leaf];
            if node != NONE {
                self.shown[leaf] = if step.removes { NONE } else { step.node };
                if std::mem::replace(&mut self.is_shown[node as usize], false) {
                    open.close(node, self.forest);
                }
            }
        }
        self.is_shown[step.node as usize] = !step.removes;
        let (occurrences, lost) = (self.occurrences[step.node as usize], self.lost[step.node as usize]);
        if step.removes {
            self.budget -= occurrences;
        }
        for node in self.forest.upwards(step.node) {
            if step.removes {
                self.occurrences[node] -= occurrences;
                self.lost[node] -= lost;
            } else {
                self.lost[node] += step.cost;
            }
        }
    }

    /// Whether the running sums are those of what is shown.
    pub fn is_consistent(&self) -> bool {
        let mut sums = vec![(0, 0); self.forest.parent.len()];
        for (&node, &occurrences) in self.shown.iter().zip(&self.of_leaf).filter(|(node, _)| **node != NONE) {
            for above in self.forest.upwards(node) {
                sums[above].0 += occurrences;
                sums[above].1 += occurrences * self.forest.loss[node as usize];
            }
        }
        let kept = sums.iter().zip(self.occurrences.iter().zip(&self.lost)).filter(|(sums, _)| sums.0 > 0);
        kept.into_iter().all(|(sums, (&occurrences, &lost))| *sums == (occurrences, lost))
    }

    /// What the recoding shows; `labels` are those of the items.
    pub fn release(&self, labels: &[String], params: KmParams) -> KmRelease {
        let mut release = KmRelease {
            labels: vec![],
            shown: vec![MISSING; labels.len()],
            items: 0,
            items_generalized: 0,
            items_suppressed: 0,
            occurrences: 0,
            occurrences_generalized: 0,
            occurrences_suppressed: 0,
            information_loss: 0.0,
            params,
        };
        let (mut lost, mut shown) = (0, vec![]);
        for (item, own) in (0..).zip(labels) {
            let occurrences = self.of_leaf[self.forest.leaf_of_item[item as usize] as usize];
            if occurrences == 0 {
                continue;
            }
            release.items += 1;
            release.occurrences += occurrences;
            match self.node(item) {
                None => {
                    release.items_suppressed += 1;
                    release.occurrences_suppressed += occurrences;
                    lost += occurrences * self.forest.leaves as u64;
                }
                Some(node) => {
                    let label = &self.forest.labels[node as usize];
                    if label != own {
                        release.items_generalized += 1;
                        release.occurrences_generalized += occurrences;
                    }
                    lost += occurrences * self.forest.loss[node as usize];
                    shown.push((label, item));
                }
            }
        }
        shown.sort_unstable();
        for (label, item) in shown {
            if release.labels.last() != Some(label) {
                release.labels.push(label.clone());
            }
            release.shown[item as usize] = release.labels.len() as u32 - 1;
        }
        let whole = release.occurrences as f64 * self.forest.leaves as f64;
        release.information_loss = lost as f64 / whole;
        release
    }
}

/// Rare combinations that no step has met yet.
struct Open<'r> {
    rare: &'r [u32],
    size: usize,
    is_open: Vec<bool>,
    left: usize,
    /// Combinations of each node: `of[starts[n]..starts[n + 1]]`.
    starts: Vec<usize>,
    of: Vec<u32>,
    /// Open combinations with ids below each node, one count for each such id.
    met: Vec<u64>,
}

impl<'r> Open<'r> {
    fn new(rare: &'r [u32], size: usize, forest: &Forest) -> Self {
        let nodes = forest.parent.len();
        let mut starts = vec![0; nodes + 1];
        rare.iter().for_each(|&node| starts[node as usize + 1] += 1);
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let (mut next, mut of) = (starts.clone(), vec![0; rare.len()]);
        for (i, &node) in rare.iter().enumerate() {
            of[next[node as usize]] = (i / size) as u32;
            next[node as usize] += 1;
        }
        let mut met: Vec<u64> = starts.windows(2).map(|w| (w[1] - w[0]) as u64).collect();
        for node in 0..nodes {
            if forest.parent[node] != NONE {
                met[forest.parent[node] as usize] += met[node];
            }
        }
        let left = rare.len() / size;
        Self { rare, size, is_open: vec![true; left], left, starts, of, met }
    }

    /// Closes all combinations that hold a node.
    fn close(&mut self, node: u32, forest: &Forest) {
        for &combination in &self.of[self.starts[node as usize]..self.starts[node as usize + 1]] {
            if std::mem::replace(&mut self.is_open[combination as usize], false) {
                self.left -= 1;
                let first = combination as usize * self.size;
                for &member in &self.rare[first..first + self.size] {
                    forest.upwards(member).for_each(|n| self.met[n] -= 1);
                }
            }
        }
    }
}
