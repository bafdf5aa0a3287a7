//! Privacy claims as values.

use std::fmt;

/// What a released table promises. Made by the mechanism that earned it, from what it did: a figure that it did not
/// earn is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Guarantee {
    /// Units that share every released combination of the quasi-identifiers the claim is about; `None` without such a
    /// claim.
    pub k: Option<usize>,
    /// Epsilon of differential privacy, never smaller than the truth; `None` without such a claim.
    pub epsilon: Option<f64>,
    /// Delta that goes with epsilon; 0 for pure differential privacy.
    pub delta: f64,
    /// Whom the claim protects: "row" or "person".
    pub unit: &'static str,
    /// Tables that the claim says cannot be told apart.
    pub neighbours: String,
    /// The claim in words, with what it does not cover.
    pub statement: String,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.statement)
    }
}
