//! The nodes that the items of one column stand at, level by level.

use hashbrown::HashMap;

use crate::axis::{NULL, Scale};
use crate::hierarchy::Node;
use crate::{Hierarchy, Items};

/// How the values of one column climb.
#[derive(Debug)]
pub(crate) struct Ladder {
    /// From the values themselves to the top.
    pub levels: Vec<Level>,
}

/// One level of a column.
#[derive(Debug)]
pub(crate) struct Level {
    /// Node above each value; values are the nodes of level 0. Both are numbered by content: missing values first, then
    /// in the order of the ranks.
    pub node_of: Vec<u32>,
    /// For each node the leaves below it less one over all leaves less one, 0 to 1.
    pub blur: Vec<f64>,
}

impl Level {
    /// Number of nodes that occur.
    pub fn nodes(&self) -> usize {
        self.blur.len()
    }

    /// All values at one node.
    fn top(values: usize, blur: f64) -> Self {
        Self { node_of: vec![0; values], blur: vec![blur] }
    }
}

impl Ladder {
    /// Of a column of some items, and the value of each item.
    pub fn new(items: &Items, column: usize) -> (Self, Vec<u32>) {
        let low = items.low(column);
        let high = items.high(column).unwrap_or(low);
        match &items.axis(column).scale {
            Scale::Tree(tree) => tree_ladder(tree, low, high),
            _ => flat_ladder(low, high),
        }
    }

    /// The highest level.
    pub fn height(&self) -> usize {
        self.levels.len() - 1
    }

    /// Number of values that occur.
    pub fn values(&self) -> usize {
        self.levels[0].node_of.len()
    }
}

/// The key of a node sorts nodes of a tree so that every node stands right before those below it.
fn key(tree: &Hierarchy, node: Node) -> u64 {
    (u64::from(tree.leaves(node).start) + 1) << 16 | (0xffff - node.level as u64)
}

fn tree_ladder(tree: &Hierarchy, low: &[u32], high: &[u32]) -> (Ladder, Vec<u32>) {
    let (height, leaves) = (tree.height(), tree.leaf_count());
    let keys = low.iter().zip(high).map(|(&low, &high)| match low {
        // At the top, which may be level 0, nothing is told apart.
        _ if height == 0 => 0,
        NULL => 0,
        _ => key(tree, tree.common(low - 1, high - 1)),
    });
    let (distinct, values) = numbered(keys);
    // Value of each number: its first leaf and its level.
    let value = |key: u64| (key > 0).then(|| ((key >> 16) as u32 - 1, 0xffff - (key & 0xffff) as usize));
    let level = |floor: usize| {
        if floor == height {
            return Level::top(distinct.len(), if leaves > 1 { 1.0 } else { 0.0 });
        }
        let (mut node_of, mut blur, mut last) = (Vec::with_capacity(distinct.len()), vec![], None);
        for &key in &distinct {
            let node = value(key).map(|(leaf, level)| {
                let node = Node { level, index: tree.nodes_at(level)[leaf as usize] };
                tree.raised(node, leaf, floor)
            });
            // Values of one node stand side by side.
            if last != Some(node) {
                last = Some(node);
                let below = node.map_or(1, |n| tree.leaves_below(n));
                blur.push(if below > 1 { f64::from(below - 1) / f64::from(leaves - 1) } else { 0.0 });
            }
            node_of.push(blur.len() as u32 - 1);
        }
        Level { node_of, blur }
    };
    (Ladder { levels: (0..=height).map(level).collect() }, values)
}

/// Without a hierarchy: the values, and anything; a person with several values is at anything from the start.
fn flat_ladder(low: &[u32], high: &[u32]) -> (Ladder, Vec<u32>) {
    const ANYTHING: u64 = u64::MAX;
    let keys = low.iter().zip(high).map(|(low, high)| if low == high { u64::from(*low) } else { ANYTHING });
    let (distinct, values) = numbered(keys);
    let blur = distinct.iter().map(|&key| if key == ANYTHING { 1.0 } else { 0.0 }).collect();
    let own = Level { node_of: (0..distinct.len() as u32).collect(), blur };
    (Ladder { levels: vec![own, Level::top(distinct.len(), 1.0)] }, values)
}

/// The different keys ascending, and the place among them of each.
fn numbered(keys: impl Iterator<Item = u64> + Clone) -> (Vec<u64>, Vec<u32>) {
    let mut places: HashMap<u64, u32> = HashMap::new();
    keys.clone().for_each(|key| {
        places.entry(key).or_default();
    });
    let mut distinct: Vec<u64> = places.keys().copied().collect();
    distinct.sort_unstable();
    (0..).zip(&distinct).for_each(|(place, key)| {
        places.insert(*key, place);
    });
    (distinct, keys.map(|key| places[&key]).collect())
}
