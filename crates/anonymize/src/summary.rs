//! Measured k-anonymity as a mergeable summary: how many rows share each combination of quasi-identifiers.

use arrow::array::{Array, BinaryArray, UInt64Array};
use arrow::row::Rows;
use hashbrown::DefaultHashBuilder;
use hashbrown::HashTable;
use lookalike_core::{Error, Result};
use std::hash::BuildHasher;

/// Counts of combinations of quasi-identifiers, each given as a key of bytes that is the same for equal combinations,
/// such as the row format of Arrow. NULL has to have a key of its own; it is then a value like others.
#[derive(Debug, Clone, Default)]
pub struct KAnonymitySummary {
    hasher: DefaultHashBuilder,
    table: HashTable<Entry>,
    keys: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    len: usize,
    count: u64,
}

impl Entry {
    fn key<'k>(&self, keys: &'k [u8]) -> &'k [u8] {
        &keys[self.start..self.start + self.len]
    }
}

impl KAnonymitySummary {
    /// A summary of no rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in rows of quasi-identifiers.
    pub fn update(&mut self, rows: &Rows) {
        rows.iter().for_each(|row| self.add(row.as_ref(), 1));
    }

    /// Takes in `count` rows of one key.
    pub fn add(&mut self, key: &[u8], count: u64) {
        let (hasher, keys) = (&self.hasher, &mut self.keys);
        let hash = hasher.hash_one(key);
        match self.table.find_mut(hash, |e| e.key(keys) == key) {
            Some(entry) => entry.count += count,
            None => {
                let entry = Entry { start: keys.len(), len: key.len(), count };
                keys.extend_from_slice(key);
                self.table.insert_unique(hash, entry, |e| hasher.hash_one(e.key(keys)));
            }
        }
    }

    /// Adds another summary of keys made the same way.
    pub fn merge(&mut self, other: &Self) {
        other.table.iter().for_each(|e| self.add(e.key(&other.keys), e.count));
    }

    /// Keys and their counts, in ascending order of the keys.
    pub(crate) fn entries(&self) -> Vec<(&[u8], u64)> {
        let mut entries: Vec<(&[u8], u64)> = self.table.iter().map(|e| (e.key(&self.keys), e.count)).collect();
        entries.sort_unstable();
        entries
    }

    /// The state in transit: keys and their counts, in ascending order of the keys. A resources error when the keys
    /// are more than 2 GiB together.
    pub fn state(&self) -> Result<(BinaryArray, UInt64Array)> {
        if self.keys.len() > i32::MAX as usize {
            return Err(Error::resources(format!(
                "the different combinations take {} bytes, more than 2 GiB: group by a column or use \
                 fewer quasi-identifiers",
                self.keys.len()
            )));
        }
        let entries = self.entries();
        Ok((
            BinaryArray::from_iter_values(entries.iter().map(|e| e.0)),
            entries.iter().map(|e| e.1).collect::<Vec<_>>().into(),
        ))
    }

    /// Adds a state in transit; an internal error when its two arrays do not belong together.
    pub fn merge_state(&mut self, keys: &BinaryArray, counts: &UInt64Array) -> Result<()> {
        if keys.len() != counts.len() || keys.null_count() + counts.null_count() > 0 {
            return Err(Error::internal("keys and counts of a state do not match"));
        }
        keys.iter().flatten().zip(counts.values()).for_each(|(key, &count)| self.add(key, count));
        Ok(())
    }

    /// Rows of the smallest class: the largest k for which the rows are k-anonymous. `None` without rows.
    pub fn finish(&self) -> Option<u64> {
        self.table.iter().map(|e| e.count).min()
    }

    /// Number of different combinations.
    pub fn classes(&self) -> usize {
        self.table.len()
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.keys.capacity() + self.table.allocation_size()
    }
}
