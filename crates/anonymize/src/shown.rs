//! What classes show of a quasi-identifier, held as ranks and turned into Arrow arrays for any of the classes.

use std::ops::Range;

use hashbrown::HashMap;
use lookalike_core::{Column, Domain, NumberDomain, NumberKind};
use rayon::prelude::*;

use crate::axis::NULL;
use crate::hierarchy::Node;
use crate::{Axis, Hierarchy, Scale};

mod render;

pub use render::{OutputForm, output_field};

/// No node: a class of missing values.
const NOTHING: u32 = u32::MAX;

/// The bit of an index that stands for a set of several labels instead of a rank.
const SET: u32 = 1 << 31;

/// What every class shows of one quasi-identifier.
#[derive(Debug)]
pub(crate) struct Shown {
    column: Column,
    scale: Scale,
    form: OutputForm,
    values: Values,
    /// Whether values are missing in a class.
    missing: Vec<bool>,
}

#[derive(Debug)]
enum Values {
    /// Lowest and highest rank present, both [`NULL`] when all are missing.
    Range { low: Vec<u32>, high: Vec<u32> },
    /// A rank, or one of the sets of ranks.
    Labels { index: Vec<u32>, sets: Sets },
    /// The lowest common node, or a higher one: its level and its place in it.
    Nodes { floor: usize, level: Vec<u8>, index: Vec<u32> },
    /// Anything: whether a value is present.
    Any { present: Vec<bool> },
    /// Means as stored integers.
    Stored(Vec<Option<i64>>),
    /// Means of floats; NaN for none.
    Floats(Vec<f64>),
}

/// Different sets of ranks, each ascending.
#[derive(Debug, Default)]
struct Sets {
    all: Vec<Box<[u32]>>,
    known: HashMap<Box<[u32]>, u32>,
    ranks: usize,
}

/// Records of the population that match what a class shows of a quasi-identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region<'s> {
    /// Ranks that match.
    pub ranks: Ranks<'s>,
    /// Whether a missing value does.
    pub missing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ranks<'s> {
    /// From the first to the second, both included; none when the first is larger.
    Between(u32, u32),
    /// These, ascending.
    Among(&'s [u32]),
}

impl Region<'_> {
    /// Whether a rank matches.
    pub fn holds(&self, rank: u32) -> bool {
        match &self.ranks {
            _ if rank == NULL => self.missing,
            Ranks::Between(low, high) => *low <= rank && rank <= *high,
            Ranks::Among(ranks) => ranks.binary_search(&rank).is_ok(),
        }
    }
}

impl Shown {
    /// Of no class yet. With a `level`, the column is generalised to that level of its hierarchy at least; a column
    /// without hierarchy has level 0, its values, and level 1, anything.
    pub fn new(axis: &Axis, form: OutputForm, level: Option<usize>) -> Self {
        let numeric = matches!(axis.scale, Scale::Even { .. } | Scale::Numbers(_))
            || matches!(axis.column.domain, Domain::Number(_));
        let values = match (&axis.scale, form) {
            (_, OutputForm::Mean) if numeric => match integer(&axis.column) {
                true => Values::Stored(vec![]),
                false => Values::Floats(vec![]),
            },
            (Scale::Tree(_), OutputForm::Range) if numeric => Values::Range { low: vec![], high: vec![] },
            (Scale::Tree(_), _) => Values::Nodes { floor: level.unwrap_or(0), level: vec![], index: vec![] },
            (Scale::Even { .. } | Scale::Numbers(_), OutputForm::Range) => Values::Range { low: vec![], high: vec![] },
            _ if level.is_some_and(|l| l > 0) => Values::Any { present: vec![] },
            (Scale::Even { .. } | Scale::Numbers(_), _) => Values::Range { low: vec![], high: vec![] },
            (Scale::Labels, _) => Values::Labels { index: vec![], sets: Sets::default() },
        };
        let (column, scale) = (axis.column.without_values(), axis.scale.clone());
        Self { column, scale, form, values, missing: vec![] }
    }

    /// Adds classes: `ranks` are those of rows that lie side by side, a stretch a class.
    pub fn append(&mut self, ranks: &[u32], classes: &[Range<usize>]) {
        let (column, scale) = (&self.column, &self.scale);
        match &mut self.values {
            Values::Range { low, high } => {
                let ends = map(classes, |c| ends(scale, column, &ranks[c]));
                low.extend(ends.iter().map(|e| e.0));
                high.extend(ends.iter().map(|e| e.1));
            }
            Values::Labels { index, sets } => {
                // The sets of many classes at once, but not of all: most are small and few are new.
                for some in classes.chunks(1 << 16) {
                    let found = map(some, |c| distinct(&ranks[c]));
                    index.extend(found.into_iter().map(|set| sets.index(set)));
                }
            }
            Values::Nodes { floor, level, index } => {
                let Scale::Tree(tree) = scale else { return };
                let nodes = map(classes, |c| node(tree, &ranks[c], *floor));
                level.extend(nodes.iter().map(|n| n.level as u8));
                index.extend(nodes.iter().map(|n| n.index));
            }
            Values::Any { present } => present.extend(map(classes, |c| ranks[c].iter().any(|r| *r != NULL))),
            Values::Stored(means) => {
                let number = Numbers::new(column, scale);
                means.extend(map(classes, |c| number.stored_mean(&ranks[c])));
            }
            Values::Floats(means) => {
                let number = Numbers::new(column, scale);
                means.extend(map(classes, |c| number.float_mean(&ranks[c])));
            }
        }
        self.missing.extend(map(classes, |c| ranks[c].contains(&NULL)));
    }

    /// Keeps the classes that are marked.
    pub fn keep(&mut self, marked: &[bool]) {
        fn sift<T>(values: &mut Vec<T>, marked: &[bool]) {
            let mut marked = marked.iter();
            values.retain(|_| *marked.next().unwrap_or(&true));
        }
        match &mut self.values {
            Values::Range { low, high } => {
                sift(low, marked);
                sift(high, marked);
            }
            Values::Labels { index, .. } => sift(index, marked),
            Values::Nodes { level, index, .. } => {
                sift(level, marked);
                sift(index, marked);
            }
            Values::Any { present } => sift(present, marked),
            Values::Stored(means) => sift(means, marked),
            Values::Floats(means) => sift(means, marked),
        }
        sift(&mut self.missing, marked);
    }

    /// What a class shows, as numbers that are equal exactly for what reads the same.
    pub fn key(&self, class: usize) -> [u32; 3] {
        let (a, b) = match &self.values {
            Values::Range { low, high } => (low[class], high[class]),
            Values::Labels { index, .. } => (index[class], 0),
            Values::Nodes { level, index, .. } => (u32::from(level[class]), index[class]),
            Values::Any { present } => (u32::from(present[class]), 0),
            Values::Stored(means) => match means[class] {
                Some(mean) => ((mean >> 32) as u32, mean as u32),
                None => (NOTHING, NOTHING),
            },
            Values::Floats(means) => ((means[class].to_bits() >> 32) as u32, means[class].to_bits() as u32),
        };
        // A mean does not show whether values are missing beside it, but whether all are.
        let missing = match &self.values {
            Values::Stored(means) => means[class].is_none(),
            Values::Floats(_) => false,
            _ => self.missing[class],
        };
        [a, b, u32::from(missing)]
    }

    /// What matches the values shown; `None` for means, which show no region.
    pub fn region(&self, class: usize) -> Option<Region<'_>> {
        let ranks = match &self.values {
            Values::Range { low, high } => match low[class] {
                NULL => Ranks::Between(1, 0),
                low => Ranks::Between(low, high[class]),
            },
            Values::Labels { index, sets } => match index[class] {
                NOTHING => Ranks::Between(1, 0),
                i if i & SET != 0 => Ranks::Among(&sets.all[(i & !SET) as usize]),
                rank => Ranks::Between(rank, rank),
            },
            Values::Nodes { level, index, .. } => match (&self.scale, index[class]) {
                (Scale::Tree(tree), index) if index != NOTHING => {
                    let leaves = tree.leaves(Node { level: level[class].into(), index });
                    Ranks::Between(leaves.start + 1, leaves.end)
                }
                _ => Ranks::Between(1, 0),
            },
            Values::Any { present } => match present[class] {
                true => Ranks::Between(1, u32::MAX),
                false => Ranks::Between(1, 0),
            },
            Values::Stored(_) | Values::Floats(_) => return None,
        };
        Some(Region { ranks, missing: self.missing[class] })
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        let values = match &self.values {
            Values::Range { low, high } => 4 * (low.capacity() + high.capacity()),
            Values::Labels { index, sets } => 4 * index.capacity() + sets.memory(),
            Values::Nodes { level, index, .. } => level.capacity() + 4 * index.capacity(),
            Values::Any { present } => present.capacity(),
            Values::Stored(means) => means.capacity() * size_of::<Option<i64>>(),
            Values::Floats(means) => means.capacity() * 8,
        };
        values + self.missing.capacity()
    }
}

impl Sets {
    /// Index of a set of ranks: the rank itself where there is one, [`NOTHING`] where there is none.
    fn index(&mut self, set: Vec<u32>) -> u32 {
        match set[..] {
            [] => NOTHING,
            [rank] => rank,
            _ => {
                let known = self.known.get(&set[..]).copied();
                let index = known.unwrap_or_else(|| {
                    let next = self.all.len() as u32;
                    self.ranks += set.len();
                    self.known.insert(set.as_slice().into(), next);
                    self.all.push(set.into());
                    next
                });
                index | SET
            }
        }
    }

    fn memory(&self) -> usize {
        // Every set is held as key and as value.
        2 * (self.ranks * 4 + self.all.capacity() * size_of::<Box<[u32]>>()) + self.known.capacity() * 8
    }
}

/// Applies `show` to every class.
fn map<T: Send>(classes: &[Range<usize>], show: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    classes.par_iter().with_min_len(256).map(|class| show(class.clone())).collect()
}

/// Lowest and highest rank present. Leaves of a numeric hierarchy stand in tree order: their numbers decide.
fn ends(scale: &Scale, column: &Column, ranks: &[u32]) -> (u32, u32) {
    let present = || ranks.iter().copied().filter(|r| *r != NULL);
    if let (Scale::Tree(tree), Domain::Number(_)) = (scale, &column.domain) {
        let by_number = |a: &u32, b: &u32| tree.number(a - 1).total_cmp(&tree.number(b - 1));
        return (present().min_by(by_number).unwrap_or(NULL), present().max_by(by_number).unwrap_or(NULL));
    }
    (present().min().unwrap_or(NULL), present().max().unwrap_or(NULL))
}

/// Different ranks present, ascending.
fn distinct(ranks: &[u32]) -> Vec<u32> {
    let mut present: Vec<u32> = ranks.iter().copied().filter(|r| *r != NULL).collect();
    present.sort_unstable();
    present.dedup();
    present
}

/// The lowest node above all ranks present, of level `floor` at least.
fn node(tree: &Hierarchy, ranks: &[u32], floor: usize) -> Node {
    let present = || ranks.iter().copied().filter(|r| *r != NULL);
    match (present().min(), present().max()) {
        (Some(low), Some(high)) => tree.raised(tree.common(low - 1, high - 1), low - 1, floor),
        _ => Node { level: 0, index: NOTHING },
    }
}

/// Whether a numeric column is stored as integers.
fn integer(column: &Column) -> bool {
    matches!(column.domain, Domain::Number(NumberDomain { kind: NumberKind::Integer { .. }, .. }))
}

/// The numbers behind the ranks of a numeric column.
struct Numbers<'a> {
    column: &'a Column,
    scale: &'a Scale,
}

impl<'a> Numbers<'a> {
    fn new(column: &'a Column, scale: &'a Scale) -> Self {
        Self { column, scale }
    }

    fn number(&self, rank: u32) -> f64 {
        match self.scale {
            Scale::Tree(tree) if rank != NULL => tree.number(rank - 1),
            scale => scale.number(rank),
        }
    }

    /// The numbers present, when at least half of the rows have one.
    fn present(&self, ranks: &[u32]) -> Option<Vec<f64>> {
        let present: Vec<f64> = ranks.iter().filter(|r| **r != NULL).map(|r| self.number(*r)).collect();
        (!present.is_empty() && present.len() * 2 >= ranks.len()).then_some(present)
    }

    fn stored_mean(&self, ranks: &[u32]) -> Option<i64> {
        let Domain::Number(NumberDomain { kind: NumberKind::Integer { base, step }, .. }) = self.column.domain else {
            return None;
        };
        let values = self.present(ranks)?;
        let count = values.len() as i128;
        // Encoded integers are exact, and so is their sum.
        let sum: i128 = values.iter().map(|v| *v as i128).sum();
        i64::try_from(rounded_quotient(i128::from(base) * count + i128::from(step) * sum, count)).ok()
    }

    fn float_mean(&self, ranks: &[u32]) -> f64 {
        let Some(mut values) = self.present(ranks) else { return f64::NAN };
        // The bits of a sum depend on its order: ascending, whatever the order of the rows.
        values.sort_unstable_by(f64::total_cmp);
        let sum: f64 = values.iter().sum();
        if sum.is_finite() {
            return sum / values.len() as f64;
        }
        values.iter().map(|v| v / values.len() as f64).sum()
    }
}

/// Quotient rounded to the nearest integer, halves away from zero.
fn rounded_quotient(sum: i128, count: i128) -> i128 {
    sum.signum() * ((2 * sum.abs() + count) / (2 * count))
}
