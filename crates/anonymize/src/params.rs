//! Parameters of k-anonymisation, checked once.

use std::ops::Deref;

use lookalike_core::{Error, Result};

/// What k-anonymity is asked for.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `k` | none | persons (rows without a privacy unit) that share every released combination | at least 2 |
/// | `suppression_limit` | 0 | share of the rows that may be dropped so that the others stay finer | 0 to 1 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KAnonymizeParams {
    /// Smallest number of persons, or of rows without a privacy unit, that share a class; at least 2.
    pub k: usize,
    /// Share of the rows that may be dropped, 0 to 1; 0 drops nothing.
    pub suppression_limit: f64,
}

impl KAnonymizeParams {
    /// Parameters that drop nothing.
    pub fn new(k: usize) -> Self {
        Self { k, suppression_limit: 0.0 }
    }

    /// Checks the ranges; an argument error names the parameter, its value and what is allowed.
    pub fn check(self) -> Result<Checked<Self>> {
        if self.k < 2 {
            return Err(Error::argument(format!("k is {}, allowed is an integer of at least 2", self.k)));
        }
        if !(0.0..=1.0).contains(&self.suppression_limit) {
            return Err(Error::argument(format!(
                "suppression_limit is {}, allowed is a number from 0 to 1 (a share of the rows)",
                self.suppression_limit
            )));
        }
        Ok(Checked(self))
    }

    /// How many of `rows` rows may be dropped: the largest whole number within the share.
    pub(crate) fn budget(&self, rows: usize) -> usize {
        // The margin undoes the binary representation of shares such as 0.29, never a whole row.
        let allowed = (self.suppression_limit * rows as f64 + 1e-9).floor();
        (allowed as usize).min(rows)
    }
}

/// Parameters that passed their check; nothing else makes one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked<P>(P);

impl<P> Deref for Checked<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_and_named() {
        let message = |k, suppression_limit| match (KAnonymizeParams { k, suppression_limit }).check() {
            Ok(_) => String::new(),
            Err(e) => e.to_string(),
        };
        assert_eq!(message(1, 0.0), "k is 1, allowed is an integer of at least 2");
        for limit in [-0.1, 1.5, f64::NAN] {
            assert!(message(5, limit).starts_with(&format!("suppression_limit is {limit}, allowed is")));
        }
        assert_eq!(message(2, 1.0), "");
    }

    #[test]
    fn the_budget_is_the_whole_rows_within_the_share() {
        // 0.29 * 100 is 28.999999999999996 in binary; the share asked for is 29 rows.
        for (limit, rows, budget) in [(0.29, 100, 29), (0.05, 19, 0), (0.05, 20, 1), (1.0, 7, 7), (0.0, 7, 0)] {
            assert_eq!(KAnonymizeParams { k: 2, suppression_limit: limit }.budget(rows), budget);
        }
    }
}
