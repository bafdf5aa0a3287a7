//! Generalisation hierarchies: trees over the values of a column, given as tables of one column a level.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use lookalike_core::{Column, Domain, Error, MISSING, Result, Values};

/// Label of the root that is implied when the last level has several labels.
const ROOT: &str = "*";

/// How the values of one column become coarser, level by level. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    tree: Arc<Tree>,
}

#[derive(Debug)]
struct Tree {
    levels: Vec<Level>,
    leaf_of: LeafOf,
}

/// Nodes of one level in tree order: sorted by label below each parent.
#[derive(Debug)]
struct Level {
    labels: Vec<String>,
    /// Node that each leaf is under.
    node_of_leaf: Vec<u32>,
    /// First leaf of each node, and the number of leaves at the end.
    first_leaf: Vec<u32>,
}

/// From a column's encoded values to leaves.
#[derive(Debug)]
enum LeafOf {
    /// By code; [`MISSING`] for labels that no row has.
    Code(Vec<u32>),
    /// Distinct values ascending with their leaves, and the value of each leaf, NaN where no row has it.
    Number { known: Vec<f64>, leaf: Vec<u32>, number_of_leaf: Vec<f64> },
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
        let name = column.name();
        let rows = levels.first().map(Vec::len).ok_or_else(|| {
            Error::argument(format!("hierarchies: the table for column '{name}' has no columns, it needs one a level"))
        })?;
        if levels.iter().any(|l| l.len() != rows) {
            return Err(Error::internal(format!("hierarchy of column '{name}': levels of different lengths")));
        }
        let mut paths = Vec::with_capacity(rows);
        for row in 0..rows {
            // Root first, so that sorting the paths gives tree order.
            let path: Option<Vec<&str>> = levels.iter().rev().map(|l| l[row].as_deref()).collect();
            paths.push(path.ok_or_else(|| null_label(name, levels, row))?);
        }
        paths.sort_unstable();
        paths.dedup();
        check_parents(name, &paths)?;
        if paths.windows(2).any(|w| w[0][0] != w[1][0]) {
            paths.iter_mut().for_each(|p| p.insert(0, ROOT));
        }
        let depth = paths.first().map_or(0, Vec::len);
        let levels: Vec<Level> = (0..depth).map(|i| Level::new(&paths, depth - 1 - i)).collect();
        let leaves: BTreeMap<&str, u32> =
            paths.iter().zip(0..).filter_map(|(path, leaf)| path.last().map(|label| (*label, leaf))).collect();
        let leaf_of = LeafOf::new(column, &leaves)?;
        Ok(Self { tree: Arc::new(Tree { levels, leaf_of }) })
    }

    /// Leaf of each value of the column the hierarchy was made for; [`MISSING`] stays.
    pub(crate) fn leaves_of(&self, values: &Values) -> Result<Vec<u32>> {
        let leaves: Option<Vec<u32>> = match (&self.tree.leaf_of, values) {
            (LeafOf::Code(leaf), Values::Code(codes)) => {
                codes.iter().map(|&c| if c == MISSING { Some(c) } else { leaf.get(c as usize).copied() }).collect()
            }
            (LeafOf::Number { known, leaf, .. }, Values::Number(values)) => values
                .iter()
                .map(|v| {
                    if v.is_nan() {
                        return Some(MISSING);
                    }
                    known.binary_search_by(|k| k.total_cmp(v)).ok().map(|i| leaf[i])
                })
                .collect(),
            _ => None,
        };
        leaves.ok_or_else(|| Error::internal("a hierarchy is used with a column it was not made for"))
    }

    /// Number of leaves.
    pub fn leaf_count(&self) -> u32 {
        self.tree.levels.first().map_or(0, |l| l.labels.len() as u32)
    }

    /// Level of the root: 0 for a tree that is a single value.
    pub fn height(&self) -> usize {
        self.tree.levels.len().saturating_sub(1)
    }

    /// Number of nodes of a level, which is at most the height.
    pub fn node_count(&self, level: usize) -> usize {
        self.tree.levels[level].labels.len()
    }

    /// For each node of the level below `level`, in order, the node of `level` it hangs from.
    pub(crate) fn parents(&self, level: usize) -> impl Iterator<Item = u32> {
        let (below, above) = (&self.tree.levels[level - 1], &self.tree.levels[level].node_of_leaf);
        below.first_leaf[..below.labels.len()].iter().map(|&leaf| above[leaf as usize])
    }

    /// The lowest node above all leaves from `low` to `high`. Leaves stand in tree order, so that the two ends are
    /// enough.
    pub(crate) fn common(&self, low: u32, high: u32) -> Node {
        let shared = |l: &Level| l.node_of_leaf[low as usize] == l.node_of_leaf[high as usize];
        let level = self.tree.levels.iter().position(shared).expect("the last level is a single root");
        Node { level, index: self.tree.levels[level].node_of_leaf[low as usize] }
    }

    /// The node at level `floor` above a node of a lower level, which holds `leaf`; the node itself otherwise.
    pub(crate) fn raised(&self, node: Node, leaf: u32, floor: usize) -> Node {
        match node.level < floor {
            true => Node { level: floor, index: self.tree.levels[floor].node_of_leaf[leaf as usize] },
            false => node,
        }
    }

    /// The leaves below a node, which stand side by side.
    pub(crate) fn leaves(&self, node: Node) -> Range<u32> {
        let first = &self.tree.levels[node.level].first_leaf;
        first[node.index as usize]..first[node.index as usize + 1]
    }

    /// Number of leaves below a node.
    pub(crate) fn leaves_below(&self, node: Node) -> u32 {
        self.leaves(node).len() as u32
    }

    /// The number that a leaf stands for in a numeric column; NaN for a leaf that the column does not hold.
    pub(crate) fn number(&self, leaf: u32) -> f64 {
        match &self.tree.leaf_of {
            LeafOf::Number { number_of_leaf, .. } => number_of_leaf[leaf as usize],
            LeafOf::Code(_) => f64::NAN,
        }
    }

    /// Label of a node.
    pub(crate) fn label(&self, node: Node) -> &str {
        &self.tree.levels[node.level].labels[node.index as usize]
    }

    /// For each leaf the node above it at a level: the children of a node of the level above are those its leaves
    /// are under.
    pub(crate) fn nodes_at(&self, level: usize) -> &[u32] {
        &self.tree.levels[level].node_of_leaf
    }
}

impl Level {
    /// The level whose labels stand at `position` of the sorted paths.
    fn new(paths: &[Vec<&str>], position: usize) -> Self {
        let (mut labels, mut node_of_leaf, mut first_leaf): (Vec<String>, Vec<u32>, Vec<u32>) =
            (vec![], Vec::with_capacity(paths.len()), vec![]);
        for (leaf, path) in paths.iter().enumerate() {
            if labels.last().map(String::as_str) != Some(path[position]) {
                labels.push(path[position].into());
                first_leaf.push(leaf as u32);
            }
            node_of_leaf.push(labels.len() as u32 - 1);
        }
        first_leaf.push(paths.len() as u32);
        Self { labels, node_of_leaf, first_leaf }
    }
}

impl LeafOf {
    fn new(column: &Column, leaves: &BTreeMap<&str, u32>) -> Result<Self> {
        match (&column.domain, &column.values) {
            (Domain::Category(domain), Values::Code(codes)) => {
                let mut used = vec![false; domain.labels.len()];
                codes.iter().filter(|&&c| c != MISSING).for_each(|&c| used[c as usize] = true);
                let mut uncovered = vec![];
                let leaf = domain.labels.iter().zip(used).map(|(label, used)| match leaves.get(label.as_str()) {
                    Some(&leaf) => leaf,
                    None => {
                        if used {
                            uncovered.push(label.as_str());
                        }
                        MISSING
                    }
                });
                let leaf = leaf.collect();
                covered(column.name(), &uncovered)?;
                Ok(LeafOf::Code(leaf))
            }
            (Domain::Number(_), Values::Number(values)) => {
                let mut known: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
                known.sort_unstable_by(f64::total_cmp);
                known.dedup();
                let text = cast(&column.decode(&Values::Number(known.clone()), 0, known.len())?, &DataType::Utf8)?;
                let mut uncovered = vec![];
                let leaf = text.as_string::<i32>().iter().flatten().map(|value| match leaves.get(value) {
                    Some(&leaf) => leaf,
                    None => {
                        uncovered.push(value);
                        MISSING
                    }
                });
                let leaf: Vec<u32> = leaf.collect();
                covered(column.name(), &uncovered)?;
                let mut number_of_leaf = vec![f64::NAN; leaves.len()];
                leaf.iter().zip(&known).for_each(|(&leaf, &number)| number_of_leaf[leaf as usize] = number);
                Ok(LeafOf::Number { known, leaf, number_of_leaf })
            }
            _ => Err(Error::argument(format!(
                "hierarchies: column '{}' is an identifier, which has no hierarchy",
                column.name()
            ))),
        }
    }
}

fn covered(name: &str, uncovered: &[&str]) -> Result<()> {
    let Some(first) = uncovered.first() else { return Ok(()) };
    let others = match uncovered.len() - 1 {
        0 => String::new(),
        n => format!(" (and {n} more values)"),
    };
    Err(Error::data(format!(
        "hierarchies: the table for column '{name}' has no row for its value '{first}'{others}; the first column of \
         the table needs every value as CAST({name} AS VARCHAR) prints it"
    )))
}

fn null_label(name: &str, levels: &[Vec<Option<String>>], row: usize) -> Error {
    let level = levels.iter().position(|l| l[row].is_none()).unwrap_or(0);
    let value = levels[0][row].as_deref().map_or("NULL".to_string(), |v| format!("'{v}'"));
    Error::data(format!(
        "hierarchies: the table for column '{name}' holds NULL at level {level} in the row of value {value}; every \
         label has to be given (missing values of '{name}' itself need no row)"
    ))
}

/// Every label has one parent: equal labels at one level have equal labels above.
fn check_parents(name: &str, paths: &[Vec<&str>]) -> Result<()> {
    let depth = paths.first().map_or(0, Vec::len);
    for position in 1..depth {
        let mut parent: BTreeMap<&str, &str> = BTreeMap::new();
        for path in paths {
            let (label, above) = (path[position], path[position - 1]);
            let known = *parent.entry(label).or_insert(above);
            if known != above {
                let level = depth - 1 - position;
                return Err(Error::data(format!(
                    "hierarchies: in the table for column '{name}' the label '{label}' of level {level} has two \
                     parents, '{known}' and '{above}'; every label needs a single one"
                )));
            }
        }
    }
    Ok(())
}
