//! Training rows as models see them.

use lookalike_core::{Column, Frame, Job, Reservation, Result, Units, Values};

/// Training rows: a stream of encoded batches in canonical order that can be read again and again.
///
/// Rare categories and extreme numbers have already been replaced (see [`crate::Synthesizer`]); columns have
/// at most one category that stands for all rare ones.
pub trait Rows: Sync {
    /// Number of rows.
    fn len(&self) -> usize;
    /// True without rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fields and domains, without values.
    fn columns(&self) -> &[Column];
    /// The rows from the first on, always in the same order and batches.
    fn batches(&self) -> Box<dyn Iterator<Item = Result<Frame>> + '_>;
    /// Persons that have to share a value, or a combination of categories, before a model may keep it as such.
    fn min_persons(&self) -> u32;
}

/// Rows held in memory.
pub(crate) struct FrameRows {
    frame: Frame,
    columns: Vec<Column>,
    min_persons: u32,
}

impl FrameRows {
    /// `frame` is in canonical order.
    pub fn new(frame: Frame, min_persons: u32) -> Self {
        let columns = frame.columns().iter().map(Column::without_values).collect();
        Self { frame, columns, min_persons }
    }
}

/// Rows a batch.
const BATCH: usize = 65_536;

impl Rows for FrameRows {
    fn len(&self) -> usize {
        self.frame.rows()
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn batches(&self) -> Box<dyn Iterator<Item = Result<Frame>> + '_> {
        Box::new((0..self.frame.rows()).step_by(BATCH).map(|start| {
            let range = start..(start + BATCH).min(self.frame.rows());
            let columns = self.frame.columns().iter().map(|c| Column {
                values: match &c.values {
                    Values::Number(v) => Values::Number(v[range.clone()].to_vec()),
                    Values::Code(v) => Values::Code(v[range.clone()].to_vec()),
                    Values::Omitted => Values::Omitted,
                },
                ..c.without_values()
            });
            let units = self.frame.units().map(|u| Units { codes: u.codes[range.clone()].to_vec(), count: u.count });
            Ok(Frame::new(range.len(), columns.collect(), units))
        }))
    }

    fn min_persons(&self) -> u32 {
        self.min_persons
    }
}

/// All rows at once, for models that need whole columns.
pub(crate) struct Table {
    pub rows: usize,
    pub columns: Vec<Column>,
    pub units: Option<Units>,
    pub min_persons: u32,
    _memory: Reservation,
}

impl Table {
    /// Reads all batches.
    pub fn collect(rows: &dyn Rows, job: &Job) -> Result<Self> {
        let width: usize = rows
            .columns()
            .iter()
            .map(|c| match c.role() {
                lookalike_core::Role::Number => 8,
                lookalike_core::Role::Category => 4,
                lookalike_core::Role::Identifier => 0,
            })
            .sum();
        // The columns, and about as much again for ranks, codes and bins made from them.
        let memory = job.reserve(rows.len() * (width * 2 + 4), "fitting a model")?;
        let mut columns: Vec<Column> = rows.columns().to_vec();
        let mut units: Option<Units> = None;
        for batch in rows.batches() {
            job.check()?;
            let batch = batch?;
            for (column, part) in columns.iter_mut().zip(batch.columns()) {
                match (&mut column.values, &part.values) {
                    (Values::Number(all), Values::Number(part)) => all.extend_from_slice(part),
                    (Values::Code(all), Values::Code(part)) => all.extend_from_slice(part),
                    (all @ Values::Omitted, part) => *all = part.clone(),
                    _ => {}
                }
            }
            match (&mut units, batch.units()) {
                (Some(all), Some(part)) => all.codes.extend_from_slice(&part.codes),
                (all @ None, Some(part)) => *all = Some(part.clone()),
                _ => {}
            }
        }
        Ok(Self { rows: rows.len(), columns, units, min_persons: rows.min_persons(), _memory: memory })
    }

    /// Persons, or rows without a privacy unit.
    pub fn unit_count(&self) -> usize {
        self.units.as_ref().map_or(self.rows, |u| u.count as usize)
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
pub(crate) fn test_rows(columns: Vec<Values>, units: Option<Units>, min_persons: u32) -> FrameRows {
    use arrow::datatypes::{DataType, Field};
    use lookalike_core::{CategoryDomain, Domain, MISSING, NumberDomain, NumberKind};
    use std::sync::Arc;

    let rows = columns.iter().find_map(|v| v.numbers().map(<[f64]>::len).or(v.codes().map(<[u32]>::len)));
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
    FrameRows::new(Frame::new(rows.unwrap_or(0), columns, units), min_persons)
}
