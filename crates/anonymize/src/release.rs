//! What leaves: the classes, their rows, and the check that the criterion holds on what they show.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::row::{RowConverter, SortField};
use hashbrown::HashMap;
use lookalike_core::{Error, Frame, Result};
use rayon::prelude::*;

use crate::Hierarchy;

mod render;

pub use render::OutputForm;

/// The class of a row that is dropped.
pub const SUPPRESSED: u32 = u32::MAX;

/// An equivalence class: rows that show the same quasi-identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Number of rows.
    pub rows: usize,
    /// Number of different persons; the rows, for a frame without units.
    pub units: usize,
    start: usize,
}

impl Class {
    pub(crate) fn new(rows: usize, units: usize, start: usize) -> Self {
        Self { rows, units, start }
    }

    /// Places of its rows in the rows ordered by class.
    pub(crate) fn members(&self) -> Range<usize> {
        self.start..self.start + self.rows
    }
}

/// A table divided into classes; see [`Release::render`] for what they show.
#[derive(Debug, Clone)]
pub struct Release {
    /// Class of each input row; [`SUPPRESSED`] for rows that are dropped.
    pub class_of: Vec<u32>,
    /// The classes, numbered by content: the order of the input's rows has no influence.
    pub classes: Vec<Class>,
    order: Vec<u32>,
    hierarchies: Vec<Option<Hierarchy>>,
}

impl Release {
    /// `order` holds the row numbers so that the members of each class lie where the class says.
    pub(crate) fn new(
        class_of: Vec<u32>,
        classes: Vec<Class>,
        order: Vec<u32>,
        hierarchies: &[Option<Hierarchy>],
    ) -> Self {
        Self { class_of, classes, order, hierarchies: hierarchies.to_vec() }
    }

    /// Number of rows that are dropped.
    pub fn suppressed(&self) -> usize {
        self.class_of.len() - self.classes.iter().map(|c| c.rows).sum::<usize>()
    }

    /// Persons (rows, without units) of the smallest class: the k that was reached.
    pub fn smallest_class(&self) -> usize {
        self.classes.iter().map(|c| c.units).min().unwrap_or(0)
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        (self.class_of.capacity() + self.order.capacity()) * 4 + self.classes.capacity() * size_of::<Class>()
    }

    /// Checks k-anonymity of what leaves, from the released values alone: rows with equal tuples of `rendered` (one
    /// array a quasi-identifier, one entry a class) are counted together, in persons when the frame has units. An
    /// internal error says which tuple is shared by fewer than `k`.
    pub fn verify(&self, rendered: &[ArrayRef], frame: &Frame, k: usize) -> Result<()> {
        if rendered.iter().any(|a| a.len() != self.classes.len()) || self.class_of.len() != frame.rows() {
            return Err(Error::internal("verify: the rendered classes or the frame do not belong to the release"));
        }
        let fields = rendered.iter().map(|a| SortField::new(a.data_type().clone())).collect();
        let tuples = RowConverter::new(fields)?.convert_columns(rendered)?;
        let mut known = HashMap::with_capacity(self.classes.len());
        let group_of: Vec<u32> = tuples
            .iter()
            .map(|tuple| {
                let next = known.len() as u32;
                *known.entry(tuple.owned()).or_insert(next)
            })
            .collect();
        let group = |class: u32| -> Result<u32> {
            let unknown = || Error::internal(format!("verify: a row is in class {class}, which does not exist"));
            group_of.get(class as usize).copied().ok_or_else(unknown)
        };
        let kept = self.class_of.iter().zip(0..).filter(|(c, _)| **c != SUPPRESSED);
        let mut counts = vec![0usize; known.len()];
        match frame.units() {
            None => {
                for (&class, _) in kept {
                    counts[group(class)? as usize] += 1;
                }
            }
            Some(units) => {
                let pair = |(&class, row): (&u32, usize)| Ok((group(class)?, units.codes[row]));
                let mut pairs: Vec<(u32, u32)> = kept.map(pair).collect::<Result<_>>()?;
                pairs.par_sort_unstable();
                pairs.dedup();
                pairs.iter().for_each(|p| counts[p.0 as usize] += 1);
            }
        }
        match counts.iter().position(|&n| n < k) {
            None => Ok(()),
            Some(group) => {
                let class = group_of.iter().position(|&g| g as usize == group).unwrap_or(0);
                Err(Error::internal(format!(
                    "the release is not {k}-anonymous: the tuple of class {class} is shared by only {} {}",
                    counts[group],
                    if frame.units().is_some() { "persons" } else { "rows" }
                )))
            }
        }
    }
}
