//! What methods divide into classes: persons (rows, without a unit), each with ranks of its quasi-identifiers and values
//! of its sensitive columns.

use std::borrow::Cow;

use lookalike_core::{Column, Job, Result, SpilledRows, Units};
use rayon::prelude::*;

use crate::axis::{self, NULL, Ranked, Scale};
use crate::{Attribute, Hierarchy};

/// Persons as ranks. All rows of a person are one item, so that no method can put them into different classes.
#[derive(Debug)]
pub struct Items {
    len: usize,
    axes: Vec<Axis>,
    attributes: Vec<Attribute>,
    /// Ranks of the population, a column each.
    population: Option<Vec<Vec<u32>>>,
    /// Item of each row; row i is item i when `None`.
    item_of_row: Option<Vec<u32>>,
    /// Rows of each item; one each when `None`.
    weights: Option<Vec<u32>>,
    rows: usize,
    has_units: bool,
}

/// One quasi-identifier of all items.
#[derive(Debug)]
pub struct Axis {
    /// Name, type and domain.
    pub column: Column,
    /// What ranks mean.
    pub scale: Scale,
    /// Ranks of the rows, in the order of the input.
    rows: Vec<u32>,
    /// Ranks of the items where they are not those of the rows.
    items: Option<Bounds>,
}

/// Lowest and highest rank of each item's rows among the present values; both [`NULL`] when all are missing.
#[derive(Debug)]
struct Bounds {
    low: Vec<u32>,
    /// The same as `low` when `None`.
    high: Option<Vec<u32>>,
}

impl Items {
    /// The items of `rows` rows. `columns` are the quasi-identifiers, one entry of `hierarchies` each; values beyond
    /// `rows` are those of the population that the table was drawn from. With `order`, one number a row that depends on
    /// its content alone, rows without units are sorted by content, so that a method may let the place of an item
    /// decide; persons are always in the order of their identifiers.
    pub fn new(
        columns: &[Column],
        hierarchies: &[Option<Hierarchy>],
        rows: usize,
        units: Option<&Units>,
        attributes: Vec<Attribute>,
        order: Option<&[u64]>,
        job: &Job,
    ) -> Result<Self> {
        let mut ranked = {
            let _working = job.reserve(axis::working_bytes(columns), "ranking quasi-identifiers")?;
            axis::encode(columns, hierarchies)?
        };
        job.check()?;
        let population: Vec<Vec<u32>> = ranked.iter_mut().map(|r| r.ranks.split_off(rows)).collect();
        let mut items = Self {
            len: rows,
            axes: ranked
                .into_iter()
                .zip(columns)
                .map(|(Ranked { scale, ranks }, column)| Axis {
                    column: column.without_values(),
                    scale,
                    rows: ranks,
                    items: None,
                })
                .collect(),
            attributes,
            population: population.iter().any(|p| !p.is_empty()).then_some(population),
            item_of_row: None,
            weights: None,
            rows,
            has_units: units.is_some(),
        };
        match (units, order) {
            (Some(units), _) => items.collapse(&units.codes, units.count),
            (None, Some(order)) => items.sort(order),
            (None, None) => {}
        }
        Ok(items)
    }

    /// The items of rows on disk, one a row: the first columns are the quasi-identifiers, one entry of `hierarchies`
    /// each. Their ranks stay on disk.
    pub fn on_disk(
        rows: &SpilledRows,
        hierarchies: &[Option<Hierarchy>],
        attributes: Vec<Attribute>,
        job: &Job,
    ) -> Result<Self> {
        let len = rows.lengths().sum();
        let mut axes = Vec::with_capacity(hierarchies.len());
        for (c, (column, hierarchy)) in rows.columns().iter().zip(hierarchies).enumerate() {
            job.check()?;
            let scale = axis::scale(column, hierarchy.as_ref(), || rows.numbers(c))?;
            axes.push(Axis { column: column.without_values(), scale, rows: vec![], items: None });
        }
        Ok(Self {
            len,
            axes,
            attributes,
            population: None,
            item_of_row: None,
            weights: None,
            rows: len,
            has_units: false,
        })
    }

    /// Makes one item of all rows of a person.
    fn collapse(&mut self, persons: &[u32], count: u32) {
        let mut item_of = vec![u32::MAX; count as usize];
        persons.iter().for_each(|&p| item_of[p as usize] = 0);
        let mut next = 0;
        for item in item_of.iter_mut().filter(|i| **i == 0) {
            *item = next;
            next += 1;
        }
        let item_of_row: Vec<u32> = persons.iter().map(|&p| item_of[p as usize]).collect();
        let len = next as usize;
        let mut weights = vec![0; len];
        item_of_row.iter().for_each(|&i| weights[i as usize] += 1);
        self.axes.par_iter_mut().for_each(|axis| {
            let (mut low, mut high) = (vec![u32::MAX; len], vec![NULL; len]);
            for (&rank, &item) in axis.rows.iter().zip(&item_of_row).filter(|(r, _)| **r != NULL) {
                low[item as usize] = low[item as usize].min(rank);
                high[item as usize] = high[item as usize].max(rank);
            }
            low.iter_mut().filter(|l| **l == u32::MAX).for_each(|l| *l = NULL);
            let high = (low != high).then_some(high);
            axis.items = Some(Bounds { low, high });
        });
        self.attributes.iter_mut().for_each(|a| a.collapse(&item_of_row, len));
        (self.len, self.weights, self.item_of_row) = (len, Some(weights), Some(item_of_row));
    }

    /// Sorts the rows by content.
    fn sort(&mut self, tie: &[u64]) {
        let mut order: Vec<u32> = (0..self.len as u32).collect();
        let keys: Vec<&[u32]> = self.axes.iter().map(|a| a.rows.as_slice()).collect();
        let values: Vec<&[u32]> = self.attributes.iter().map(Attribute::codes).collect();
        order.par_sort_unstable_by(|&a, &b| {
            let (a, b) = (a as usize, b as usize);
            let columns = keys.iter().chain(&values).map(|c| c[a].cmp(&c[b]));
            columns.chain([tie[a].cmp(&tie[b])]).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        let gather = |ranks: &[u32]| -> Vec<u32> { order.iter().map(|&row| ranks[row as usize]).collect() };
        self.axes.par_iter_mut().for_each(|a| a.items = Some(Bounds { low: gather(&a.rows), high: None }));
        self.attributes.iter_mut().for_each(|a| a.reorder(&order));
        let mut item_of_row = vec![0; self.len];
        (0..).zip(&order).for_each(|(item, &row)| item_of_row[row as usize] = item);
        self.item_of_row = Some(item_of_row);
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether items are persons with possibly several rows.
    pub fn has_units(&self) -> bool {
        self.has_units
    }

    /// Number of quasi-identifiers.
    pub fn columns(&self) -> usize {
        self.axes.len()
    }

    /// A quasi-identifier.
    pub fn axis(&self, column: usize) -> &Axis {
        &self.axes[column]
    }

    /// Lowest rank of each item in a column: its rank, for items of a single row.
    pub fn low(&self, column: usize) -> &[u32] {
        let axis = &self.axes[column];
        axis.items.as_ref().map_or(&axis.rows, |b| &b.low)
    }

    /// Highest rank of each item; `None` when it is the lowest for all.
    pub fn high(&self, column: usize) -> Option<&[u32]> {
        self.axes[column].items.as_ref()?.high.as_deref()
    }

    /// Sensitive columns.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Ranks of the population that the table was drawn from, one list a quasi-identifier, when it is known.
    pub fn population(&self) -> Option<&[Vec<u32>]> {
        self.population.as_deref()
    }

    /// Rows of an item.
    pub fn weight(&self, item: u32) -> usize {
        self.weights.as_ref().map_or(1, |w| w[item as usize] as usize)
    }

    /// Whether items may have several rows.
    pub fn has_weights(&self) -> bool {
        self.weights.is_some()
    }

    /// What is given for each item, for each row instead.
    pub(crate) fn spread(&self, of_item: Vec<u32>) -> Vec<u32> {
        match &self.item_of_row {
            None => of_item,
            Some(items) => items.iter().map(|&i| of_item[i as usize]).collect(),
        }
    }

    /// What is given for each row, for each item instead: all rows of an item have the same.
    pub(crate) fn gather<'a>(&self, of_row: &'a [u32]) -> Cow<'a, [u32]> {
        let Some(items) = &self.item_of_row else { return Cow::Borrowed(of_row) };
        let mut of_item = vec![0; self.len];
        items.iter().zip(of_row).for_each(|(&item, &given)| of_item[item as usize] = given);
        Cow::Owned(of_item)
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        let axes = self.axes.iter().map(|a| {
            let items = a.items.as_ref();
            a.rows.capacity() + items.map_or(0, |b| b.low.capacity() + b.high.as_ref().map_or(0, Vec::capacity))
        });
        let others =
            self.item_of_row.as_ref().map_or(0, Vec::capacity) + self.weights.as_ref().map_or(0, Vec::capacity);
        let population = self.population.iter().flatten().map(Vec::capacity).sum::<usize>();
        4 * (axes.sum::<usize>() + others + population) + self.attributes.iter().map(Attribute::memory).sum::<usize>()
    }
}

impl Axis {
    /// Ranks of the rows, in the order of the input.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }
}
