//! Training rows as models see them.

use std::borrow::Cow;

use lookalike_core::{Column, ColumnStore, Frame, Job, Reservation, Result, Role, Units};
use rayon::prelude::*;

use crate::model::FitReport;

/// Training rows in canonical order, read column by column, as often as a model likes, from memory or from disk.
///
/// Rare categories and extreme numbers have already been replaced (see [`crate::Synthesizer`]); columns have
/// at most one category that stands for all rare ones.
#[derive(Debug)]
pub struct Rows {
    store: ColumnStore,
    min_persons: u32,
}

impl Rows {
    /// Rows in canonical order. `min_persons` have to share a value, or a combination of categories, before a model may keep it
    /// as such.
    pub fn new(store: impl Into<ColumnStore>, min_persons: u32) -> Self {
        Self { store: store.into(), min_persons }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.store.rows()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fields and domains, without values.
    pub fn columns(&self) -> &[Column] {
        self.store.headers()
    }

    /// A column with its values.
    pub fn column(&self, column: usize) -> Result<Cow<'_, Column>> {
        self.store.column(column)
    }

    /// The person of each row; `None` when the unit is the row.
    pub fn units(&self) -> Option<&Units> {
        self.store.units()
    }

    /// Persons, or rows without a privacy unit.
    pub fn unit_count(&self) -> usize {
        self.store.unit_count()
    }

    /// Persons that have to share a value, or a combination of categories, before a model may keep it as such.
    pub fn min_persons(&self) -> u32 {
        self.min_persons
    }

    /// Whether the rows are on disk, for want of memory.
    pub fn is_on_disk(&self) -> bool {
        self.store.is_on_disk()
    }

    /// The first rows as a frame; they are a random sample.
    pub fn first(&self, rows: usize) -> Result<Frame> {
        self.store.first(rows)
    }

    /// The rows themselves.
    pub(crate) fn into_store(self) -> ColumnStore {
        self.store
    }

    /// What a model says of having learned these rows before the first epoch.
    pub(crate) fn report(&self) -> FitReport {
        FitReport { rows: self.len() as u64, units: self.unit_count() as u64, epochs: 0 }
    }

    /// Applies `f` to every column with its place, several at a time.
    pub(crate) fn map<T: Send>(&self, job: &Job, f: impl Fn(usize, &Column) -> Result<T> + Sync) -> Result<Vec<T>> {
        (0..self.columns().len())
            .into_par_iter()
            .map(|c| {
                job.check()?;
                f(c, &*self.column(c)?)
            })
            .collect()
    }

    /// Memory for what a model makes of all rows, of so many bytes each value of a number and of a category, and for the columns in
    /// work.
    pub(crate) fn encoding(&self, number: usize, category: usize, job: &Job) -> Result<Reservation> {
        let width = |c: &Column| match c.role() {
            Role::Number => number,
            Role::Category => category,
            Role::Identifier => 0,
        };
        let width: usize = self.columns().iter().map(width).sum();
        job.reserve(self.len() * (width + 4) + self.in_work(), "fitting a model")
    }

    /// Memory for the columns in work alone, where a model keeps its encoding elsewhere.
    pub(crate) fn columns_in_work(&self, job: &Job) -> Result<Reservation> {
        job.reserve(self.in_work() + self.len() * 4, "fitting a model")
    }

    /// Each thread sorts a column's values with their rows and makes ranks or codes of them; from disk it has also to be read.
    fn in_work(&self) -> usize {
        let columns = self.columns().len().min(rayon::current_num_threads());
        let copies = if self.is_on_disk() { 4 } else { 3 };
        self.store.widest() * columns * copies
    }
}

/// Distinct persons among the given rows.
pub(crate) fn persons(rows: impl ExactSizeIterator<Item = u32>, units: Option<&Units>) -> usize {
    match units {
        None => rows.len(),
        Some(units) => {
            let mut codes: Vec<u32> = rows.map(|r| units.codes[r as usize]).collect();
            codes.sort_unstable();
            codes.dedup();
            codes.len()
        }
    }
}

/// Rows of nullable columns without names, for tests. A category has as many labels as its codes ask for.
#[cfg(test)]
pub(crate) fn test_rows(columns: Vec<lookalike_core::Values>, units: Option<Units>, min_persons: u32) -> Rows {
    use arrow::datatypes::{DataType, Field};
    use lookalike_core::{CategoryDomain, Domain, MISSING, NumberDomain, NumberKind, Values};
    use std::sync::Arc;

    let rows = columns.iter().map(Values::len).max();
    let column = |values: Values| {
        let (domain, data_type) = match &values {
            Values::Code(codes) => {
                let size = codes.iter().filter(|&&c| c != MISSING).max().map_or(0, |c| c + 1);
                let labels = (0..size).map(|c| format!("{c:06}")).collect();
                (Domain::Category(Arc::new(CategoryDomain { labels })), DataType::Utf8)
            }
            _ => {
                let kind = NumberKind::Float { decimals: None, bits: 64 };
                (Domain::Number(NumberDomain { kind, min: f64::MIN, max: f64::MAX }), DataType::Float64)
            }
        };
        Column { field: Arc::new(Field::new("c", data_type, true)), domain, values }
    };
    let columns = columns.into_iter().map(column).collect();
    Rows::new(Frame::new(rows.unwrap_or(0), columns, units), min_persons)
}
