//! Sensitive columns: what classes must not give away.

use lookalike_core::{Column, Result, SpilledRows};

use crate::axis::{self, NULL, Ranked};
use crate::diversity::Whole;
use crate::{Hierarchy, Scale};

/// How far apart the values of a sensitive column are, for t-closeness (Li, Li & Venkatasubramanian 2007).
#[derive(Debug, Clone)]
pub enum Distance {
    /// All equally far: labels.
    Equal,
    /// In the order of the values, neighbours equally far: numbers, dates, times.
    Ordered,
    /// By the height of the lowest common node.
    Hierarchical(Hierarchy),
}

/// The values of a sensitive column as codes: the distinct values in ascending order (the leaves of a hierarchy), the
/// missing one last as a value of its own.
#[derive(Debug, Clone)]
pub struct Attribute {
    name: String,
    codes: Vec<u32>,
    /// First value of each item, and the number of values at the end; one value each when `None`.
    starts: Option<Vec<u32>>,
    domain: usize,
    distance: Distance,
}

impl Attribute {
    /// Of a column, one value a row. With a hierarchy its tree is the distance, otherwise numbers are ordered and labels
    /// equally far apart.
    pub fn new(column: &Column, hierarchy: Option<&Hierarchy>) -> Result<Self> {
        Ok(Self::from_ranks(column, axis::encode_column(column, hierarchy)?))
    }

    /// Of a column on disk: its codes are held in memory.
    pub fn from_disk(rows: &SpilledRows, column: usize, hierarchy: Option<&Hierarchy>) -> Result<Self> {
        let domain = &rows.columns()[column];
        let scale = axis::scale(domain, hierarchy, || rows.numbers(column))?;
        let mut ranks = Vec::with_capacity(rows.lengths().sum());
        for frame in 0..rows.lengths().count() {
            ranks.extend(axis::rank(&rows.load(frame, column)?, &scale)?);
        }
        Ok(Self::from_ranks(domain, Ranked { scale, ranks }))
    }

    fn from_ranks(column: &Column, ranked: Ranked) -> Self {
        let mut codes = ranked.ranks;
        let (present, distance) = match ranked.scale {
            Scale::Tree(hierarchy) => (hierarchy.leaf_count() as usize, Distance::Hierarchical(hierarchy)),
            Scale::Labels => (densify(&mut codes), Distance::Equal),
            Scale::Even { .. } | Scale::Numbers(_) => (densify(&mut codes), Distance::Ordered),
        };
        let missing = present as u32;
        let mut any = false;
        for code in &mut codes {
            any |= *code == NULL;
            *code = if *code == NULL { missing } else { *code - 1 };
        }
        Self { name: column.name().into(), codes, starts: None, domain: present + usize::from(any), distance }
    }

    /// The same with all values equally far apart, or in the order of their codes.
    pub fn with_distance(self, distance: Distance) -> Self {
        Self { distance, ..self }
    }

    /// Name of the column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of codes.
    pub fn domain(&self) -> usize {
        self.domain
    }

    /// How far apart values are.
    pub fn distance(&self) -> &Distance {
        &self.distance
    }

    /// Codes of all items, one after the other.
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Different codes of an item, ascending.
    pub fn values(&self, item: u32) -> &[u32] {
        let item = item as usize;
        match &self.starts {
            None => &self.codes[item..=item],
            Some(starts) => &self.codes[starts[item] as usize..starts[item + 1] as usize],
        }
    }

    /// The spread of the values over the given items.
    pub fn whole(&self, items: impl Iterator<Item = u32>) -> Whole {
        let mut counts = vec![0u64; self.domain];
        items.for_each(|item| self.values(item).iter().for_each(|&c| counts[c as usize] += 1));
        Whole::new(&counts)
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        4 * (self.codes.capacity() + self.starts.as_ref().map_or(0, Vec::capacity))
    }

    /// Gives every item the different values of its rows.
    pub(crate) fn collapse(&mut self, item_of_row: &[u32], items: usize) {
        let mut pairs: Vec<(u32, u32)> = item_of_row.iter().copied().zip(self.codes.iter().copied()).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = Vec::with_capacity(items + 1);
        for (place, &(item, _)) in (0..).zip(&pairs) {
            while starts.len() <= item as usize {
                starts.push(place);
            }
        }
        starts.resize(items + 1, pairs.len() as u32);
        self.codes = pairs.into_iter().map(|p| p.1).collect();
        self.starts = Some(starts);
    }

    /// Puts the rows into another order: `order[i]` is the old place of item i.
    pub(crate) fn reorder(&mut self, order: &[u32]) {
        self.codes = order.iter().map(|&row| self.codes[row as usize]).collect();
    }
}

/// Numbers the ranks that occur without gaps, in their order; the rank of missing values stays. Returns how many there
/// are.
fn densify(ranks: &mut [u32]) -> usize {
    let mut distinct: Vec<u32> = ranks.iter().copied().filter(|r| *r != NULL).collect();
    distinct.sort_unstable();
    distinct.dedup();
    for rank in ranks.iter_mut().filter(|r| **r != NULL) {
        *rank = distinct.partition_point(|d| *d < *rank) as u32 + 1;
    }
    distinct.len()
}
