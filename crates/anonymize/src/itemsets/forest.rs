//! What items can be shown as, what they are shown as, and the steps that answer rare combinations.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use lookalike_core::{Error, Job, MISSING, Result, Values};

use super::{KmRelease, Sets};
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
    /// What is shown; `None` where occurrences are removed.
    labels: Vec<Option<String>>,
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
                forest.labels.push(Some(hierarchy.label(node).into()));
            }
        }
        Ok(forest)
    }

    /// One tree an item: the item, and above it its removal.
    pub fn of_removals(labels: &[String]) -> Self {
        let n = labels.len();
        let leaves = 0..n as u32;
        Self {
            leaf_of_item: leaves.clone().collect(),
            parent: leaves.clone().map(|leaf| leaf + n as u32).chain(leaves.clone().map(|_| NONE)).collect(),
            below: leaves.clone().chain(leaves).map(|leaf| (leaf, leaf + 1)).collect(),
            loss: labels.iter().map(|_| 0).chain(labels.iter().map(|_| n as u64)).collect(),
            labels: labels.iter().map(|l| Some(l.clone())).chain(labels.iter().map(|_| None)).collect(),
            leaves: n,
        }
    }

    /// Bytes on the heap, with what a recoding adds.
    pub fn memory(&self) -> usize {
        self.labels.iter().map(|l| l.as_ref().map_or(0, String::capacity)).sum::<usize>() + self.parent.len() * 96
    }

    /// A node and all above it.
    fn upwards(&self, node: u32) -> impl Iterator<Item = usize> {
        std::iter::successors((node != NONE).then_some(node), |&n| Some(self.parent[n as usize]).filter(|&p| p != NONE))
            .map(|n| n as usize)
    }
}

/// A candidate: generalise all below `node` to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// Rare combinations met, one count for each of their ids below the node.
    met: u64,
    /// Loss over all occurrences.
    cost: u64,
    node: u32,
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        let ratio = |a: &Step, b: &Step| u128::from(a.met) * u128::from(b.cost);
        ratio(self, other).cmp(&ratio(other, self)).then(Reverse(self.node).cmp(&Reverse(other.node)))
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
    shown: Vec<u32>,
    /// Occurrences of the leaves below each node.
    occurrences: Vec<u64>,
    /// Loss of the leaves below each node.
    lost: Vec<u64>,
}

impl<'f> Recoding<'f> {
    /// Every item as itself.
    pub fn new(forest: &'f Forest, items: &Sets) -> Self {
        let mut occurrences = vec![0; forest.parent.len()];
        items.ids.iter().for_each(|&item| occurrences[forest.leaf_of_item[item as usize] as usize] += 1);
        // Parents stand behind their children.
        for node in 0..forest.parent.len() {
            if forest.parent[node] != NONE {
                occurrences[forest.parent[node] as usize] += occurrences[node];
            }
        }
        Self { forest, shown: (0..forest.leaves as u32).collect(), occurrences, lost: vec![0; forest.parent.len()] }
    }

    /// The node of an item; `None` where it is removed.
    fn node(&self, item: u32) -> Option<u32> {
        let node = self.shown[self.forest.leaf_of_item[item as usize] as usize];
        self.forest.labels[node as usize].is_some().then_some(node)
    }

    /// The sets of nodes that are shown.
    pub fn apply(&self, items: &Sets) -> Sets {
        let mut sets = Sets::new(self.forest.parent.len(), items.len(), items.ids.len());
        for t in 0..items.len() {
            sets.push(items.get(t).iter().filter_map(|&item| self.node(item)));
        }
        sets
    }

    /// Takes steps until each rare combination of `size` nodes has met one.
    pub fn repair(&mut self, rare: &[u32], size: usize, job: &Job) -> Result<()> {
        let nodes = self.forest.parent.len();
        let _steps = job.reserve(rare.len() * 5 + nodes * 40, "generalising items")?;
        let mut open = Open::new(rare, size, self.forest);
        let step = |recoding: &Self, met: &[u64], node: usize| Step {
            met: met[node],
            cost: recoding.occurrences[node] * recoding.forest.loss[node] - recoding.lost[node],
            node: node as u32,
        };
        let inner = (self.forest.leaves..nodes).filter(|&n| open.met[n] > 0);
        let mut heap: BinaryHeap<Step> = inner.map(|n| step(self, &open.met, n)).collect();
        for taken in 0.. {
            if taken % 64 == 0 {
                job.check()?;
            }
            if open.left == 0 {
                return Ok(());
            }
            let Some(best) = heap.pop() else { break };
            let current = step(self, &open.met, best.node as usize);
            let (first, last) = self.forest.below[best.node as usize];
            if current.met == 0 || self.shown[first as usize] == best.node || current > best {
                continue; // nothing to do there, or a better estimate of the same step is in the heap
            }
            if current < best {
                heap.push(current);
                continue;
            }
            for leaf in first..last {
                let node = std::mem::replace(&mut self.shown[leaf as usize], best.node);
                open.close(node, self.forest);
            }
            for node in self.forest.upwards(best.node) {
                self.lost[node] += current.cost;
                if node != best.node as usize && open.met[node] > 0 {
                    heap.push(step(self, &open.met, node));
                }
            }
        }
        Err(Error::internal("itemsets: a rare combination cannot be generalised any further"))
    }

    /// What the recoding shows; `labels` are those of the items.
    pub fn release(&self, labels: &[String]) -> KmRelease {
        let node_of: Vec<(u32, Option<&String>)> = (0..labels.len() as u32)
            .map(|item| (item, self.node(item).and_then(|n| self.forest.labels[n as usize].as_ref())))
            .collect();
        let occurrences_of = |item: u32| self.occurrences[self.forest.leaf_of_item[item as usize] as usize];
        let occurring = || node_of.iter().filter(|(item, _)| occurrences_of(*item) > 0);
        let mut shown: Vec<&String> = occurring().filter_map(|(_, label)| *label).collect();
        shown.sort_unstable();
        shown.dedup();
        let place = |label: &String| shown.binary_search(&label).map_or(MISSING, |i| i as u32);
        let count = |wanted: &dyn Fn(u32, Option<&String>) -> bool| {
            let of = || occurring().filter(|(item, label)| wanted(*item, *label));
            (of().count(), of().map(|(item, _)| occurrences_of(*item)).sum::<u64>())
        };
        let (items, occurrences) = count(&|_, _| true);
        let (items_generalized, occurrences_generalized) =
            count(&|item, label| label.is_some_and(|l| *l != labels[item as usize]));
        let (items_suppressed, occurrences_suppressed) = count(&|_, label| label.is_none());
        let roots = (0..self.forest.parent.len()).filter(|&n| self.forest.parent[n] == NONE);
        let lost: u64 = roots.map(|n| self.lost[n]).sum();
        KmRelease {
            shown: node_of.iter().map(|(_, label)| label.map_or(MISSING, place)).collect(),
            labels: shown.into_iter().cloned().collect(),
            items,
            items_generalized,
            items_suppressed,
            occurrences,
            occurrences_generalized,
            occurrences_suppressed,
            information_loss: lost as f64 / (occurrences as f64 * self.forest.leaves as f64),
        }
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
