//! Encoded rows of one relation.

use rayon::prelude::*;

use crate::{Column, Domain, Error, MISSING, Result, Values};

/// The person each row belongs to, as a dense code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// Code of the person, a row; persons are numbered in the order of their identifiers.
    pub codes: Vec<u32>,
    /// Number of persons.
    pub count: u32,
}

/// Encoded rows: columns of equal length and, when the privacy unit is not the row, the person of each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    rows: usize,
    columns: Vec<Column>,
    units: Option<Units>,
}

impl Frame {
    /// A frame of `rows` rows.
    pub fn new(rows: usize, columns: Vec<Column>, units: Option<Units>) -> Self {
        debug_assert!(columns.iter().all(|c| match &c.values {
            Values::Number(v) => v.len() == rows,
            Values::Code(v) => v.len() == rows,
            Values::Omitted => true,
        }));
        Self { rows, columns, units }
    }

    /// Its columns and units.
    pub fn into_parts(self) -> (Vec<Column>, Option<Units>) {
        (self.columns, self.units)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns in the input's order; identifiers have no values.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The person of each row; `None` when the unit is the row.
    pub fn units(&self) -> Option<&Units> {
        self.units.as_ref()
    }

    /// Number of units of privacy: persons, or rows without a `privacy_unit`.
    pub fn unit_count(&self) -> usize {
        self.units.as_ref().map_or(self.rows, |u| u.count as usize)
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.columns.iter().map(|c| c.values.memory()).sum::<usize>()
            + self.units.as_ref().map_or(0, |u| u.codes.capacity() * 4)
    }

    /// A 64-bit hash of each row's values (identifiers left out): equal rows have equal hashes, whatever their order.
    pub fn row_hashes(&self) -> Vec<u64> {
        row_hashes(&self.columns.iter().map(|c| &c.values).collect::<Vec<_>>(), self.rows)
    }

    /// Rows in an order that depends on their values alone, never on where they came from.
    pub fn canonical_order(&self) -> Vec<u32> {
        let hashes = self.row_hashes();
        let mut order: Vec<(u64, u32)> = hashes.into_iter().zip(0..).collect();
        order.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.compare_rows(a.1, b.1)));
        order.into_iter().map(|(_, row)| row).collect()
    }

    fn compare_rows(&self, a: u32, b: u32) -> std::cmp::Ordering {
        let (a, b) = (a as usize, b as usize);
        self.columns
            .iter()
            .map(|c| match &c.values {
                Values::Number(v) => v[a].total_cmp(&v[b]),
                Values::Code(v) => v[a].cmp(&v[b]),
                Values::Omitted => std::cmp::Ordering::Equal,
            })
            .chain(self.units.iter().map(|u| u.codes[a].cmp(&u.codes[b])))
            .find(|o| o.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    }

    /// The given rows, in that order. The number of persons stays what it was; see [`Frame::gather_persons`].
    pub fn gather(&self, rows: &[u32]) -> Frame {
        let columns =
            self.columns.par_iter().map(|c| Column { values: c.values.gather(rows), ..c.without_values() }).collect();
        let units = self
            .units
            .as_ref()
            .map(|u| Units { codes: rows.iter().map(|&r| u.codes[r as usize]).collect(), count: u.count });
        Frame { rows: rows.len(), columns, units }
    }

    /// The given rows, in that order, with the persons they belong to numbered without gaps, in the order of their codes:
    /// [`Frame::unit_count`] is then the number of persons who have any of these rows.
    pub fn gather_persons(&self, rows: &[u32]) -> Frame {
        let mut frame = self.gather(rows);
        if let Some(units) = &mut frame.units {
            let mut number = vec![0u32; units.count as usize];
            units.codes.iter().for_each(|&code| number[code as usize] = 1);
            units.count = 0;
            for number in &mut number {
                let is_present = *number;
                *number = units.count;
                units.count += is_present;
            }
            units.codes.iter_mut().for_each(|code| *code = number[*code as usize]);
        }
        frame
    }

    /// The rows of all frames, one after the other. The frames were encoded together; the persons of one are others than
    /// those of the next, and are kept where every frame has them.
    ///
    /// Fails (internal) without frames or with frames of different columns.
    pub fn stack(frames: &[&Frame]) -> Result<Frame> {
        let Some(first) = frames.first() else { return Err(Error::internal("no frames to stack")) };
        let rows = frames.iter().map(|f| f.rows).sum();
        let columns = (0..first.columns.len())
            .map(|c| {
                let parts = || frames.iter().filter_map(|f| f.columns.get(c)).map(|c| &c.values);
                let values = match &first.columns[c].values {
                    Values::Number(_) => {
                        Values::Number(parts().filter_map(Values::numbers).flatten().copied().collect())
                    }
                    Values::Code(_) => Values::Code(parts().filter_map(Values::codes).flatten().copied().collect()),
                    Values::Omitted => Values::Omitted,
                };
                let whole = match &values {
                    Values::Number(v) => v.len() == rows,
                    Values::Code(v) => v.len() == rows,
                    Values::Omitted => true,
                };
                let same = frames.iter().all(|f| f.columns.len() == first.columns.len());
                if !(whole && same) {
                    return Err(Error::internal("frames of different columns are stacked"));
                }
                Ok(Column { values, ..first.columns[c].without_values() })
            })
            .collect::<Result<_>>()?;
        let units = frames.iter().map(|f| f.units.as_ref()).collect::<Option<Vec<_>>>().map(|all| {
            let (mut codes, mut count) = (Vec::with_capacity(rows), 0);
            for units in all {
                codes.extend(units.codes.iter().map(|code| code + count));
                count += units.count;
            }
            Units { codes, count }
        });
        Ok(Frame { rows, columns, units })
    }
}

/// How many units hold each category of a column, by code; empty for other columns.
pub fn category_units(column: &Column, units: Option<&Units>) -> Vec<u32> {
    let (Domain::Category(domain), Values::Code(codes)) = (&column.domain, &column.values) else { return vec![] };
    let mut counts = vec![0u32; domain.labels.len()];
    match units {
        None => codes.iter().filter(|&&c| c != MISSING).for_each(|&c| counts[c as usize] += 1),
        Some(units) => {
            let mut pairs: Vec<(u32, u32)> =
                codes.iter().copied().zip(units.codes.iter().copied()).filter(|p| p.0 != MISSING).collect();
            pairs.par_sort_unstable();
            pairs.dedup();
            pairs.iter().for_each(|p| counts[p.0 as usize] += 1);
        }
    }
    counts
}

/// Hashes of rows given as columns; see [`Frame::row_hashes`].
pub fn row_hashes(columns: &[&Values], rows: usize) -> Vec<u64> {
    let mut hashes = RowHashes::new(rows);
    columns.iter().for_each(|values| hashes.add(values));
    hashes.finish()
}

/// Hashes of rows whose columns come one after another; see [`Frame::row_hashes`].
#[derive(Debug)]
pub struct RowHashes(Vec<u64>);

impl RowHashes {
    /// Of so many rows without columns.
    pub fn new(rows: usize) -> Self {
        Self(vec![0x9e37_79b9_7f4a_7c15; rows])
    }

    /// Adds a column.
    pub fn add(&mut self, values: &Values) {
        match values {
            Values::Number(v) => self.0.par_iter_mut().zip(v).with_min_len(4096).for_each(|(h, x)| {
                *h = mix(*h, if x.is_nan() { u64::MAX } else { x.to_bits() });
            }),
            Values::Code(v) => {
                self.0.par_iter_mut().zip(v).with_min_len(4096).for_each(|(h, x)| *h = mix(*h, u64::from(*x)))
            }
            Values::Omitted => {}
        }
    }

    /// The hash of each row.
    pub fn finish(self) -> Vec<u64> {
        self.0
    }
}

/// A 64-bit hash of bytes, the same on every platform.
pub fn bytes_hash(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(bytes.len() as u64, mix)
}

/// One round of a multiply-fold hash.
fn mix(hash: u64, value: u64) -> u64 {
    let product = u128::from(hash ^ value).wrapping_mul(0xd6e8_feb8_6659_fd93_a076_1d64_78bd_642f);
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded.rotate_left(23).wrapping_mul(0x9fb2_1c65_1e98_df25) ^ folded
}
