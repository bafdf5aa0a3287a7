//! Measured diversity and closeness as a mergeable summary: how many rows of each class hold each sensitive value.

use std::collections::BTreeSet;

use arrow::array::{BinaryArray, UInt64Array};
use arrow::row::Rows;
use lookalike_core::{Error, Result};

use crate::KAnonymitySummary;
use crate::diversity::Whole;

/// Counts of sensitive values a class of quasi-identifiers, both given as keys of bytes as for [`KAnonymitySummary`].
/// Keys of sensitive values sort as the values do. NULL has to have a key of its own; it is then a value like others.
#[derive(Debug, Clone, Default)]
pub struct SensitiveSummary {
    pairs: KAnonymitySummary,
    key: Vec<u8>,
}

/// One class: its key, and the key and rows of each of its values, ascending.
type ClassValues<'a> = (&'a [u8], Vec<(&'a [u8], u64)>);

impl SensitiveSummary {
    /// A summary of no rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in rows: sensitive values and the quasi-identifiers beside them.
    pub fn update(&mut self, sensitive: &Rows, quasi_identifiers: &Rows) {
        for (value, class) in sensitive.iter().zip(quasi_identifiers.iter()) {
            self.add(class.as_ref(), value.as_ref(), 1);
        }
    }

    /// Takes in `count` rows of a class that hold a value.
    pub fn add(&mut self, class: &[u8], value: &[u8], count: u64) {
        let Self { pairs, key } = self;
        key.clear();
        key.extend_from_slice(&(class.len() as u64).to_be_bytes());
        key.extend_from_slice(class);
        key.extend_from_slice(value);
        pairs.add(key, count);
    }

    /// Adds another summary of keys made the same way.
    pub fn merge(&mut self, other: &Self) {
        self.pairs.merge(&other.pairs);
    }

    /// The state in transit: keys of pairs and their counts, in ascending order of the keys. A resources error when the
    /// keys are more than 2 GiB together.
    pub fn state(&self) -> Result<(BinaryArray, UInt64Array)> {
        self.pairs.state()
    }

    /// Adds a state in transit; an internal error when it is none of [`SensitiveSummary::state`].
    pub fn merge_state(&mut self, keys: &BinaryArray, counts: &UInt64Array) -> Result<()> {
        if let Some(key) = keys.iter().flatten().find(|key| split(key).is_none()) {
            return Err(Error::internal(format!("a state of sensitive values with a key of {} bytes", key.len())));
        }
        self.pairs.merge_state(keys, counts)
    }

    /// Smallest number of different values in a class: the largest l of distinct l-diversity (Machanavajjhala et al.
    /// 2007). `None` without rows.
    pub fn distinct(&self) -> Option<u64> {
        self.classes().iter().map(|(_, values)| values.len() as u64).min()
    }

    /// Largest earth mover's distance of a class to all rows, 0 to 1: the smallest t of t-closeness (Li et al. 2007).
    /// With `ordered`, values are as far apart as their places in order, otherwise all equally. `None` without rows.
    pub fn closeness(&self, ordered: bool) -> Option<f64> {
        let classes = self.classes();
        let values: BTreeSet<&[u8]> = classes.iter().flat_map(|c| c.1.iter().map(|v| v.0)).collect();
        let values: Vec<&[u8]> = values.into_iter().collect();
        let code = |value: &[u8]| values.binary_search(&value).map_or(0, |code| code);
        let mut whole = vec![0; values.len()];
        classes.iter().flat_map(|c| &c.1).for_each(|(value, n)| whole[code(value)] += n);
        let whole = Whole::new(&whole);
        let distance = |(_, values): &ClassValues| {
            let counts: Vec<(u32, u64)> = values.iter().map(|(value, n)| (code(value) as u32, *n)).collect();
            if ordered { whole.ordered_distance(&counts) } else { whole.equal_distance(&counts) }
        };
        classes.iter().map(distance).reduce(f64::max)
    }

    fn classes(&self) -> Vec<ClassValues<'_>> {
        let mut classes: Vec<ClassValues> = vec![];
        let pairs = self.pairs.entries().into_iter();
        for (class, value, count) in pairs.filter_map(|(key, n)| split(key).map(|(class, value)| (class, value, n))) {
            match classes.last_mut().filter(|last| last.0 == class) {
                Some(last) => last.1.push((value, count)),
                None => classes.push((class, vec![(value, count)])),
            }
        }
        classes
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.pairs.memory() + self.key.capacity()
    }
}

/// Class and value of the key of a pair.
fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = key.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes a: 3 4 5, b: 6 11 8, c: 7 9 10, the salaries of Li et al. 2007, table 3.
    fn salaries() -> [(&'static [u8], u8); 9] {
        [(b"a", 3), (b"a", 4), (b"a", 5), (b"b", 6), (b"b", 11), (b"b", 8), (b"c", 7), (b"c", 9), (b"c", 10)]
    }

    #[test]
    fn salaries_of_the_paper() {
        let mut summary = SensitiveSummary::new();
        assert_eq!((summary.distinct(), summary.closeness(true)), (None, None));
        salaries().iter().for_each(|(class, value)| summary.add(class, &[*value], 1));
        assert_eq!(summary.distinct(), Some(3));
        // 0.375 is the paper's distance of {3, 4, 5}; equal distance: 3 values of 9 give 1 - 3/9.
        assert!((summary.closeness(true).unwrap() - 0.375).abs() < 1e-12);
        assert!((summary.closeness(false).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        summary.add(b"", &[3], 5);
        assert_eq!(summary.distinct(), Some(1));
    }

    #[test]
    fn merging_in_any_way_is_the_same() {
        let mut whole = SensitiveSummary::new();
        salaries().iter().for_each(|(class, value)| whole.add(class, &[*value], 1));
        let (mut merged, mut shipped) = (SensitiveSummary::new(), SensitiveSummary::new());
        for part in 0..3 {
            let mut summary = SensitiveSummary::new();
            salaries().iter().skip(part).step_by(3).for_each(|(class, value)| summary.add(class, &[*value], 1));
            merged.merge(&summary);
            let (keys, counts) = summary.state().unwrap();
            shipped.merge_state(&keys, &counts).unwrap();
        }
        for other in [merged, shipped] {
            assert_eq!(other.state().unwrap(), whole.state().unwrap());
            assert_eq!(other.closeness(true), whole.closeness(true));
        }
        assert!(whole.memory() > 9 * 10);
        // Keys that are no pairs.
        let foreign = BinaryArray::from_iter_values([b"\0\0\0\0\0\0\0\x09abc"]);
        assert!(whole.merge_state(&foreign, &vec![1].into()).is_err());
    }
}
