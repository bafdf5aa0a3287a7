//! Labels of values, level by level, as tables give them.

use std::collections::BTreeMap;

use lookalike_core::{Error, Result};

/// Label of the root that is implied when the last level has several labels.
const ROOT: &str = "*";

/// A tree of labels over values that are texts: what a hierarchy is before it meets a column.
#[derive(Debug)]
pub struct Levels {
    pub(super) levels: Vec<Level>,
    /// Leaves in the order of their values.
    by_value: Vec<u32>,
}

/// Nodes of one level in tree order: sorted by label below each parent.
#[derive(Debug)]
pub(super) struct Level {
    pub labels: Vec<String>,
    /// Node that each leaf is under.
    pub node_of_leaf: Vec<u32>,
    /// First leaf of each node, and the number of leaves at the end.
    pub first_leaf: Vec<u32>,
}

impl Levels {
    /// The tree of a table of one column a level: `levels[i][r]` is the label of row r at level i, level 0 the value
    /// itself. Rows may repeat. A root `*` is implied when the last level has several labels. `table` names the table
    /// in messages.
    ///
    /// Fails with a data error that names the value and the level when a label is NULL or has two parents, and with an
    /// argument error when there is no level.
    pub fn from_levels(table: &str, levels: &[Vec<Option<String>>]) -> Result<Self> {
        let rows = levels
            .first()
            .map(Vec::len)
            .ok_or_else(|| Error::argument(format!("{table} has no columns, it needs one a level")))?;
        if levels.iter().any(|l| l.len() != rows) {
            return Err(Error::internal(format!("{table}: levels of different lengths")));
        }
        let mut paths = Vec::with_capacity(rows);
        for row in 0..rows {
            // Root first, so that sorting the paths gives tree order.
            let path: Option<Vec<&str>> = levels.iter().rev().map(|l| l[row].as_deref()).collect();
            paths.push(path.ok_or_else(|| null_label(table, levels, row))?);
        }
        paths.sort_unstable();
        paths.dedup();
        check_parents(table, &paths)?;
        if paths.windows(2).any(|w| w[0][0] != w[1][0]) {
            paths.iter_mut().for_each(|p| p.insert(0, ROOT));
        }
        let depth = paths.first().map_or(0, Vec::len);
        let levels: Vec<Level> = (0..depth).map(|i| Level::new(&paths, depth - 1 - i)).collect();
        let mut by_value: Vec<u32> = (0..paths.len() as u32).collect();
        by_value.sort_unstable_by_key(|&leaf| &levels[0].labels[leaf as usize]);
        Ok(Self { levels, by_value })
    }

    /// The tree of a table in long form, a row for each value and level: the value, the level (0, 1, 2, ...) and the
    /// label. Every value needs one label at each level from 1 to the table's last; rows of level 0 may be left out,
    /// their label is the value itself. Equal rows may repeat. The rest is as in [`Levels::from_levels`].
    ///
    /// Fails with a data error that names the value and the level: a level below 0, NULL, two labels for a value at one
    /// level, or none.
    pub fn from_long(
        table: &str,
        values: &[Option<String>],
        levels: &[Option<i64>],
        labels: &[Option<String>],
    ) -> Result<Self> {
        if values.len() != levels.len() || values.len() != labels.len() {
            return Err(Error::internal(format!("{table}: columns of different lengths")));
        }
        let mut of_value: BTreeMap<&str, BTreeMap<i64, &str>> = BTreeMap::new();
        for ((value, level), label) in values.iter().zip(levels).zip(labels) {
            let shown = |text: &Option<String>| text.as_deref().map_or("NULL".to_string(), |t| format!("'{t}'"));
            let Some(value) = value.as_deref() else {
                return Err(Error::data(format!("{table} holds a row without value, whose label is {}", shown(label))));
            };
            let level = level.ok_or_else(|| {
                Error::data(format!("{table} holds NULL instead of a level in the row of value '{value}'"))
            })?;
            if level < 0 {
                return Err(Error::data(format!(
                    "{table} gives value '{value}' the level {level}; allowed are 0, 1, 2, ..."
                )));
            }
            let label = label.as_deref().ok_or_else(|| null_at(table, level, &format!("'{value}'")))?;
            let known = of_value.entry(value).or_default();
            match known.get(&level) {
                _ if level == 0 && label != value => {
                    return Err(Error::data(format!(
                        "{table} gives value '{value}' the label '{label}' at level 0, where the label is the value \
                         itself"
                    )));
                }
                Some(other) if *other != label => {
                    return Err(Error::data(format!(
                        "{table} gives value '{value}' two labels at level {level}, '{other}' and '{label}'"
                    )));
                }
                _ => known.insert(level, label),
            };
        }
        let last = of_value.values().filter_map(|l| l.keys().next_back()).max().copied().unwrap_or(0);
        let mut wide: Vec<Vec<Option<String>>> = vec![of_value.keys().map(|v| Some(v.to_string())).collect()];
        for (value, labels) in &of_value {
            for (expected, (level, label)) in (1..).zip(labels.range(1..)) {
                if *level != expected {
                    return Err(missing(table, value, expected, last));
                }
                let place = expected as usize;
                if wide.len() == place {
                    wide.push(Vec::with_capacity(of_value.len()));
                }
                wide[place].push(Some(label.to_string()));
            }
            let given = labels.range(1..).count() as i64;
            if given < last {
                return Err(missing(table, value, given + 1, last));
            }
        }
        Self::from_levels(table, &wide)
    }

    /// Level of the root: 0 for a tree that is a single value.
    pub fn height(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    /// Label of a value at a level; nothing for values that are no leaf and for levels above the root.
    pub fn label_at(&self, value: &str, level: usize) -> Option<&str> {
        let leaf = self.leaf(value)? as usize;
        let level = self.levels.get(level)?;
        Some(&level.labels[level.node_of_leaf[leaf] as usize])
    }

    /// The labels as a table of one column a level, a row a leaf: what [`Levels::from_levels`] makes the same tree of.
    pub fn table(&self) -> Vec<Vec<Option<String>>> {
        let labels = |l: &Level| l.node_of_leaf.iter().map(|&node| Some(l.labels[node as usize].clone())).collect();
        self.levels.iter().map(labels).collect()
    }

    /// Leaf of a value.
    pub(super) fn leaf(&self, value: &str) -> Option<u32> {
        let leaves = &self.levels.first()?.labels;
        let place = self.by_value.binary_search_by(|&leaf| leaves[leaf as usize].as_str().cmp(value)).ok()?;
        Some(self.by_value[place])
    }

    /// Bytes on the heap, about.
    pub fn memory(&self) -> usize {
        let level = |l: &Level| {
            let texts: usize = l.labels.iter().map(|label| label.capacity() + size_of::<String>()).sum();
            texts + 4 * (l.node_of_leaf.capacity() + l.first_leaf.capacity())
        };
        self.levels.iter().map(level).sum::<usize>() + 4 * self.by_value.capacity()
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

fn missing(table: &str, value: &str, level: i64, last: i64) -> Error {
    Error::data(format!(
        "{table} has no label for value '{value}' at level {level}; every value needs one at each level from 1 to {last}"
    ))
}

fn null_label(table: &str, levels: &[Vec<Option<String>>], row: usize) -> Error {
    let level = levels.iter().position(|l| l[row].is_none()).unwrap_or(0);
    let value = levels[0][row].as_deref().map_or("NULL".to_string(), |v| format!("'{v}'"));
    null_at(table, level as i64, &value)
}

fn null_at(table: &str, level: i64, value: &str) -> Error {
    Error::data(format!(
        "{table} holds NULL at level {level} in the row of value {value}; every label has to be given (missing values \
         need no row)"
    ))
}

/// Every label has one parent: equal labels at one level have equal labels above.
fn check_parents(table: &str, paths: &[Vec<&str>]) -> Result<()> {
    let depth = paths.first().map_or(0, Vec::len);
    for position in 1..depth {
        let mut parent: BTreeMap<&str, &str> = BTreeMap::new();
        for path in paths {
            let (label, above) = (path[position], path[position - 1]);
            let known = *parent.entry(label).or_insert(above);
            if known != above {
                let level = depth - 1 - position;
                return Err(Error::data(format!(
                    "{table} gives the label '{label}' of level {level} two parents, '{known}' and '{above}'; every label \
                     needs a single one"
                )));
            }
        }
    }
    Ok(())
}
