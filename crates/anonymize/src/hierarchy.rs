//! Generalisation hierarchies: trees over the values of a column, given as tables of one column a level, as tables in long
//! form, or made by a rule.

mod leaves;
mod levels;
mod rule;

use std::ops::Range;
use std::sync::Arc;

use lookalike_core::{Column, Error, Result, Values};

use leaves::{Held, LeafOf};
pub use levels::Levels;
pub use rule::Rule;

/// How the values of one column become coarser, level by level. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    tree: Arc<Tree>,
}

#[derive(Debug)]
struct Tree {
    levels: Levels,
    leaf_of: LeafOf,
}

/// A node: its level (0 = the values themselves) and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub level: usize,
    pub index: u32,
}

impl Hierarchy {
    /// The hierarchy of `column` from a table: `levels[i][r]` is the label of row r at level i. Level 0 holds the
    /// values as `CAST(column AS VARCHAR)` prints them (casting the table's first column to the type of `column`
    /// first makes 34 match 34.0), each further level a coarser label. Rows may repeat; values that the column does
    /// not hold are leaves like the others. A root `*` is implied when the last level has several labels.
    ///
    /// Fails with a data error that names the column, the value and the level when a label is NULL, a label has two
    /// parents, or a value of the column is not in level 0; and with an argument error when there is no level.
    pub fn from_levels(column: &Column, levels: &[Vec<Option<String>>]) -> Result<Self> {
        Self::new(column, Held::new(column)?, Levels::from_levels(&table_for(column), levels)?)
    }

    /// The hierarchy of `column` from a table in long form: row r says that value `values[r]` has the label
    /// `labels[r]` at level `levels[r]`. Values are written as in [`Hierarchy::from_levels`]. Every value needs one
    /// label at each level from 1 to the table's last; rows of level 0, whose label is the value, may be left out.
    ///
    /// Fails with a data error that names the column, the value and the level: a level below 0, a label missing, two
    /// labels, NULL; and for what fails in [`Hierarchy::from_levels`].
    pub fn from_long(
        column: &Column,
        values: &[Option<String>],
        levels: &[Option<i64>],
        labels: &[Option<String>],
    ) -> Result<Self> {
        let levels = Levels::from_long(&table_for(column), values, levels, labels)?;
        Self::new(column, Held::new(column)?, levels)
    }

    fn new(column: &Column, held: Held, levels: Levels) -> Result<Self> {
        let leaf_of = LeafOf::new(column, held, &levels)?;
        Ok(Self { tree: Arc::new(Tree { levels, leaf_of }) })
    }

    /// Leaf of each value of the column the hierarchy was made for; [`MISSING`](lookalike_core::MISSING) stays.
    pub(crate) fn leaves_of(&self, values: &Values) -> Result<Vec<u32>> {
        let leaves = self.tree.leaf_of.leaves(values);
        leaves.ok_or_else(|| Error::internal("a hierarchy is used with a column it was not made for"))
    }

    /// Label of any text value at a level; nothing for values that are no leaf and for levels above the root.
    pub fn label_at(&self, value: &str, level: usize) -> Option<&str> {
        self.tree.levels.label_at(value, level)
    }

    /// Number of leaves.
    pub fn leaf_count(&self) -> u32 {
        self.levels().first().map_or(0, |l| l.labels.len() as u32)
    }

    /// Level of the root: 0 for a tree that is a single value.
    pub fn height(&self) -> usize {
        self.tree.levels.height()
    }

    /// Number of nodes of a level, which is at most the height.
    pub fn node_count(&self, level: usize) -> usize {
        self.levels()[level].labels.len()
    }

    /// For each node of the level below `level`, in order, the node of `level` it hangs from.
    pub(crate) fn parents(&self, level: usize) -> impl Iterator<Item = u32> {
        let (below, above) = (&self.levels()[level - 1], &self.levels()[level].node_of_leaf);
        below.first_leaf[..below.labels.len()].iter().map(|&leaf| above[leaf as usize])
    }

    /// The lowest node above all leaves from `low` to `high`. Leaves stand in tree order, so that the two ends are
    /// enough.
    pub(crate) fn common(&self, low: u32, high: u32) -> Node {
        let shared = |l: &levels::Level| l.node_of_leaf[low as usize] == l.node_of_leaf[high as usize];
        let level = self.levels().iter().position(shared).expect("the last level is a single root");
        Node { level, index: self.levels()[level].node_of_leaf[low as usize] }
    }

    /// The node at level `floor` above a node of a lower level, which holds `leaf`; the node itself otherwise.
    pub(crate) fn raised(&self, node: Node, leaf: u32, floor: usize) -> Node {
        match node.level < floor {
            true => Node { level: floor, index: self.levels()[floor].node_of_leaf[leaf as usize] },
            false => node,
        }
    }

    /// The leaves below a node, which stand side by side.
    pub(crate) fn leaves(&self, node: Node) -> Range<u32> {
        let first = &self.levels()[node.level].first_leaf;
        first[node.index as usize]..first[node.index as usize + 1]
    }

    /// Number of leaves below a node.
    pub(crate) fn leaves_below(&self, node: Node) -> u32 {
        self.leaves(node).len() as u32
    }

    /// The number that a leaf stands for in a numeric column; NaN for a leaf that the column does not hold.
    pub(crate) fn number(&self, leaf: u32) -> f64 {
        self.tree.leaf_of.number(leaf)
    }

    /// Label of a node.
    pub(crate) fn label(&self, node: Node) -> &str {
        &self.levels()[node.level].labels[node.index as usize]
    }

    /// For each leaf the node above it at a level: the children of a node of the level above are those its leaves
    /// are under.
    pub(crate) fn nodes_at(&self, level: usize) -> &[u32] {
        &self.levels()[level].node_of_leaf
    }

    fn levels(&self) -> &[levels::Level] {
        &self.tree.levels.levels
    }
}

/// The table of a column in messages.
fn table_for(column: &Column) -> String {
    format!("hierarchies: the table for column '{}'", column.name())
}
