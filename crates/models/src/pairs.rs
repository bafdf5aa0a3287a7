//! Relations of (record, code) pairs: a record as one row of all codes, and rows as pairs again.

mod saved;

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};
use lookalike_core::{
    CategoryDomain, Column, Domain, Error, Frame, Job, MISSING, NumberDomain, NumberKind, Reservation, Result, Role,
    Values,
};
use rayon::prelude::*;

use crate::prepare::{Level, Levels};
use crate::synthesizer::{Block, Synthesizer};
pub(crate) use saved::SavedPairs;

/// The columns of a relation of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairColumns {
    /// Names the record, which is the person.
    pub record: String,
    /// The code.
    pub code: String,
    /// How often the record has the code, where a column says so.
    pub count: Option<String>,
}

/// How pairs become rows of one column a code, and back.
///
/// The order of the codes' columns is that of the codes. Without a column of counts and without repeated pairs a column is a
/// boolean; otherwise it is how often the record has the code. A NULL code stands for a record that need not have any. Codes
/// that fewer than `min_persons` records have are left out: they are never emitted.
#[derive(Debug)]
pub struct Pairs {
    /// Columns of the relation in its order.
    columns: Vec<Column>,
    record: usize,
    code: usize,
    count: Option<usize>,
    /// The code of each column of the rows, ascending.
    codes: Levels,
    /// By column of the rows, the code that says that the record has it, where there are no counts.
    held: Vec<u32>,
}

/// Pairs of one block of records.
#[derive(Debug, Clone, PartialEq)]
pub struct PairBlock {
    first_record: u64,
    records: usize,
    /// Record within the block and place of the code, a pair; then its count.
    pairs: Vec<(u32, u32)>,
    counts: Vec<f64>,
}

/// What a cell of the rows may hold at most, so that sums stay exact.
const MOST: f64 = 9_007_199_254_740_992.0;

impl Pairs {
    /// Puts pairs into rows, one a record. The frame has the columns named, and the record as its unit as well as an identifier.
    ///
    /// # Errors
    /// Counts that are NULL or negative, no code held by enough records (data); a table that does not fit into memory, of which the
    /// error says how many records and codes it has.
    pub fn pivot(frame: Frame, names: &PairColumns, min_persons: u32, job: &Job) -> Result<(Self, Frame, Reservation)> {
        let find = |name: &str| {
            let found = frame.columns().iter().position(|c| c.name() == name);
            found.ok_or_else(|| Error::internal(format!("the pairs have no column '{name}'")))
        };
        let (record, code) = (find(&names.record)?, find(&names.code)?);
        let count = names.count.as_deref().map(find).transpose()?;
        if frame.rows() == 0 {
            return Err(Error::data("the input has no rows: there is nothing to learn from"));
        }
        let units = frame.units().ok_or_else(|| Error::internal("pairs without records"))?;
        let _working = job.reserve(frame.rows() * 24, "pairs in order")?;
        let (all, places) = dense(&frame.columns()[code].values, frame.rows());
        let amounts = amounts(count.map(|c| &frame.columns()[c]), frame.rows())?;
        // A pair a record and code.
        let mut pairs: Vec<(u32, u32, f64)> = vec![];
        for (row, &record) in units.codes.iter().enumerate() {
            let amount = amounts.as_ref().map_or(1.0, |a| a[row]);
            if places[row] != MISSING && amount > 0.0 {
                pairs.push((record, places[row], amount));
            }
        }
        job.check()?;
        pairs.sort_unstable_by_key(|p| (p.0, p.1));
        pairs.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let mut holders = vec![0u32; all.len()];
        pairs.iter().for_each(|p| holders[p.1 as usize] += 1);
        let kept: Vec<u32> = (0..all.len() as u32).filter(|&c| holders[c as usize] >= min_persons.max(1)).collect();
        if kept.is_empty() {
            return Err(Error::data(format!(
                "none of the {} codes in column '{}' is held by at least {min_persons} records, so none may be emitted: group \
                 the codes, or lower min_category_count",
                all.len(),
                names.code
            )));
        }
        let mut place = vec![MISSING; all.len()];
        kept.iter().zip(0..).for_each(|(&c, at)| place[c as usize] = at);
        pairs.retain_mut(|p| {
            p.1 = place[p.1 as usize];
            p.1 != MISSING
        });
        let records = units.count as usize;
        let is_counted = count.is_some() || pairs.iter().any(|p| p.2 > 1.0);
        let cell = if is_counted { 8 } else { 4 };
        let what = format!("a table of {records} records and {} codes", kept.len());
        let memory = job.reserve(records.saturating_mul(kept.len()).saturating_mul(cell), &what)?;
        let mut codes = all.gather(&kept);
        let mut columns: Vec<Column> = frame.columns().iter().map(Column::without_values).collect();
        let rows = wide(&columns[code], &codes, records, &pairs, is_counted)?;
        columns[code].domain = of_kept(&columns[code].domain, &mut codes);
        if let Some(c) = count {
            // What comes out are whole counts, whatever grid those of the input are on.
            let most = pairs.iter().map(|p| p.2).fold(0.0, f64::max);
            columns[c].domain = Domain::Number(whole(most));
        }
        let held = vec![HELD; codes.len()];
        Ok((Self { columns, record, code, count, codes, held }, Frame::new(records, rows, None), memory))
    }

    /// Pairs of the records of a block. A record without any code has none.
    pub fn unpivot(&self, block: &Block) -> PairBlock {
        let mut pairs = vec![];
        let mut counts = vec![];
        for row in 0..block.rows {
            for (place, values) in block.values.iter().enumerate() {
                let count = match values {
                    Values::Code(codes) => f64::from(u8::from(codes[row] == self.held[place])),
                    Values::Number(values) => values[row].max(0.0).round(),
                    Values::Omitted => 0.0,
                };
                if count < 1.0 {
                    continue;
                }
                if self.count.is_some() {
                    pairs.push((row as u32, place as u32));
                    counts.push(count);
                } else {
                    (0..count as usize).for_each(|_| pairs.push((row as u32, place as u32)));
                }
            }
        }
        PairBlock { first_record: block.first_row, records: block.rows, pairs, counts }
    }

    /// All pairs of a synthesizer of such rows, a block of records after the other, and the memory that each takes.
    pub fn synthesize(&self, synthesizer: &Synthesizer, job: &Job) -> Result<Vec<(PairBlock, Reservation)>> {
        let make = |b| {
            let pairs = self.unpivot(&synthesizer.block(b, job)?);
            let memory = job.reserve(pairs.memory(), "generated pairs")?;
            Ok((pairs, memory))
        };
        (0..synthesizer.blocks()).into_par_iter().map(make).collect()
    }

    /// The pairs as arrays, in the columns of the relation: fresh records, numbered from the first of the output.
    pub fn decode(&self, block: &PairBlock) -> Result<Vec<ArrayRef>> {
        let array = |(c, column): (usize, &Column)| {
            if c == self.record {
                let fresh = column.decode(&Values::Omitted, block.first_record, block.records)?;
                let index: UInt32Array = block.pairs.iter().map(|p| p.0).collect();
                return Ok(take(&fresh, &index, None)?);
            }
            let values = if c == self.code {
                Levels::collect(&self.codes, block.pairs.iter().map(|p| self.codes.get(p.1 as usize)))
            } else {
                Values::Number(block.counts.clone())
            };
            column.decode(&values, 0, block.pairs.len())
        };
        self.columns.iter().enumerate().map(array).collect()
    }
}

impl PairBlock {
    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// True without pairs.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.pairs.capacity() * 8 + self.counts.capacity() * 8
    }
}

/// The code of true in a column of booleans.
const HELD: u32 = 1;

/// Distinct codes in ascending order, and the place of each row's among them; [`MISSING`] for NULL.
fn dense(values: &Values, rows: usize) -> (Levels, Vec<u32>) {
    let levels = Levels::of(values);
    let mut order: Vec<u32> = (0..rows as u32).filter(|&r| !is_null(levels.get(r as usize))).collect();
    order.sort_unstable_by(|a, b| levels.compare(*a, *b));
    let (mut firsts, mut places) = (vec![], vec![MISSING; rows]);
    for &row in &order {
        let is_new = firsts.last().is_none_or(|&last: &u32| levels.compare(last, row).is_ne());
        if is_new {
            firsts.push(row);
        }
        places[row as usize] = firsts.len() as u32 - 1;
    }
    (levels.gather(&firsts), places)
}

/// The domain that the codes kept span alone, in whose terms they are afterwards.
fn of_kept(domain: &Domain, codes: &mut Levels) -> Domain {
    match (domain, &mut *codes) {
        (Domain::Category(domain), Levels::Codes(kept)) => {
            let labels = kept.iter().map(|&c| domain.labels[c as usize].clone()).collect();
            *kept = (0..kept.len() as u32).collect();
            Domain::Category(Arc::new(CategoryDomain { labels }))
        }
        (Domain::Number(domain), Levels::Numbers(kept)) => {
            let (min, max) = (kept.first().copied(), kept.last().copied());
            Domain::Number(NumberDomain { min: min.unwrap_or(domain.min), max: max.unwrap_or(domain.max), ..*domain })
        }
        _ => domain.clone(),
    }
}

fn is_null(level: Level) -> bool {
    match level {
        Level::Code(code) => code == MISSING,
        Level::Number(value) => value.is_nan(),
    }
}

/// Counts in the numbers that they are.
fn amounts(column: Option<&Column>, rows: usize) -> Result<Option<Vec<f64>>> {
    let Some(column) = column else { return Ok(None) };
    let (Domain::Number(domain), Values::Number(values)) = (&column.domain, &column.values) else {
        return Err(Error::internal(format!("the counts in column '{}' are no numbers", column.name())));
    };
    let count = |v: f64| if v.is_nan() { v } else { domain.stored(v).map_or(v, |stored| stored as f64) };
    let counts: Vec<f64> = values.iter().map(|v| count(*v)).collect();
    debug_assert_eq!(counts.len(), rows);
    match counts.iter().find(|c| !(0.0..MOST).contains(*c)) {
        None => Ok(Some(counts)),
        Some(bad) => {
            let bad = if bad.is_nan() { "NULL".to_string() } else { bad.to_string() };
            Err(Error::data(format!(
                "column '{}' holds {bad}, allowed are counts: whole numbers from 0, never NULL",
                column.name()
            )))
        }
    }
}

/// One column a code.
fn wide(
    code: &Column,
    codes: &Levels,
    records: usize,
    pairs: &[(u32, u32, f64)],
    is_counted: bool,
) -> Result<Vec<Column>> {
    let domain = Arc::new(CategoryDomain { labels: vec!["false".into(), "true".into()] });
    let name = |place: usize| match (&code.domain, codes.get(place)) {
        (Domain::Category(domain), Level::Code(c)) => domain.labels.get(c as usize).cloned().unwrap_or_default(),
        (Domain::Number(domain), Level::Number(v)) => domain.stored(v).map_or(v.to_string(), |v| v.to_string()),
        _ => place.to_string(),
    };
    if code.role() == Role::Identifier {
        return Err(Error::internal(format!("the codes in column '{}' are identifiers", code.name())));
    }
    let column = |place: usize| {
        let (domain, values, data_type) = if is_counted {
            (Domain::Number(whole(0.0)), Values::Number(vec![0.0; records]), DataType::Int64)
        } else {
            (Domain::Category(Arc::clone(&domain)), Values::Code(vec![0; records]), DataType::Boolean)
        };
        Column { field: Arc::new(Field::new(name(place), data_type, false)), domain, values }
    };
    let mut columns: Vec<Column> = (0..codes.len()).map(column).collect();
    for &(record, place, count) in pairs {
        let Column { domain, values, .. } = &mut columns[place as usize];
        match (domain, values) {
            (Domain::Number(domain), Values::Number(values)) => {
                values[record as usize] = count;
                domain.max = domain.max.max(count);
            }
            (_, Values::Code(values)) => values[record as usize] = HELD,
            _ => {}
        }
    }
    Ok(columns)
}

/// Whole numbers from 0 to `most`.
fn whole(most: f64) -> NumberDomain {
    NumberDomain { kind: NumberKind::Integer { base: 0, step: 1 }, min: 0.0, max: most }
}

#[cfg(test)]
mod tests;
