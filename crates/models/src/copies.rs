//! The set of training rows, to recognise verbatim copies.

use lookalike_core::{ColumnStore, Domain, Job, Reservation, Result, RowHashes, Values, row_hashes};

use crate::prepare::snap_all;

/// Hashes of training rows in an open-addressing table: 64 bits a row, so that a row that is no copy is taken for one
/// with a probability of rows / 2^64.
pub(crate) struct CopyFilter {
    slots: Vec<u64>,
    _memory: Reservation,
}

impl CopyFilter {
    /// The set of the rows, without those that `shared` rows or more are equal to; numbers as they would leave, on the
    /// domain's grid.
    pub fn new(rows: &ColumnStore, shared: Option<u32>, job: &Job) -> Result<Self> {
        let size = (rows.rows() * 2).next_power_of_two().max(16);
        let memory = job.reserve(size * 8, "the set of training rows (filter_copies)")?;
        let mut filter = Self { slots: vec![0; size], _memory: memory };
        let mut hashes = RowHashes::new(rows.rows());
        for c in 0..rows.headers().len() {
            job.check()?;
            match (&rows.headers()[c].domain, rows.column(c)?) {
                (Domain::Number(domain), column) => {
                    let mut values = column.values.numbers().unwrap_or_default().to_vec();
                    snap_all(domain, &mut values);
                    hashes.add(&Values::Number(values));
                }
                (_, column) => hashes.add(&column.values),
            }
        }
        let mut hashes = hashes.finish();
        hashes.sort_unstable();
        for equal in hashes.chunk_by(|a, b| a == b).filter(|equal| shared.is_none_or(|s| equal.len() < s as usize)) {
            let hash = equal[0];
            let slot = filter.find(hash);
            filter.slots[slot] = hash.max(1);
        }
        Ok(filter)
    }

    /// The slot of a hash, or the empty one where it would be.
    fn find(&self, hash: u64) -> usize {
        let (hash, mask) = (hash.max(1), self.slots.len() - 1);
        let mut slot = (hash >> 20) as usize & mask;
        while self.slots[slot] != 0 && self.slots[slot] != hash {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// Which of the rows are copies, in ascending order.
    pub fn copies(&self, values: &[Values], rows: usize) -> Vec<usize> {
        let hashes = row_hashes(&values.iter().collect::<Vec<_>>(), rows);
        (0..rows).filter(|&i| self.slots[self.find(hashes[i])] != 0).collect()
    }
}
