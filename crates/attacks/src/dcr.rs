//! Distance to the closest record: how near every synthetic row is to the rows a model was trained on, and to rows it
//! never saw.
//!
//! The figures describe similarity. They are no guarantee of privacy: tables that pass every threshold on them have been
//! attacked successfully (Yao et al. 2025, "The DCR Delusion"), and figures a row help an attacker, so keep them inside.

mod summary;

use lookalike_core::{Error, Frame, Job, Result};

use crate::{Metric, Neighbour, SearchOptions, Space, nearest};
pub use summary::{DcrFigures, DcrSummary};

/// Parameters of [`dcr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DcrParams {
    /// Distance between rows.
    pub metric: Metric,
}

impl Default for DcrParams {
    fn default() -> Self {
        Self { metric: Metric::Gower }
    }
}

/// Distances of every synthetic row, in the order of the synthetic rows.
#[derive(Debug, Clone, PartialEq)]
pub struct DcrRows {
    /// Distance to the nearest training row; exactly 0 for a verbatim copy and for nothing else.
    pub dcr: Vec<f64>,
    /// Nearest over second nearest distance to the training rows, the second of another person where the rows have
    /// units; 1 where both distances are equal, 0 included; NaN where there is no second neighbour.
    pub nndr: Vec<f64>,
    /// The same distance to the holdout; empty without one.
    pub holdout_dcr: Vec<f64>,
    /// The same ratio in the holdout; empty without one.
    pub holdout_nndr: Vec<f64>,
    /// Rows that `dcr` looked at.
    pub train_rows: u64,
    /// Rows that `holdout_dcr` looked at.
    pub holdout_rows: Option<u64>,
}

/// Distances of every synthetic row to the training rows and to a holdout, exact and without sampling.
///
/// Numbers are scaled by the range of the training rows alone, for both distances. The scale of a distance must not
/// depend on what is being judged: with the synthetic rows in it, one far outlier would shrink all distances; and only
/// with one scale can the distances to training rows and holdout be compared row by row. The frames were encoded
/// together.
///
/// Fails (data) when the training rows or the holdout are empty, or no column is left to compare.
pub fn dcr(synthetic: &Frame, train: &Frame, holdout: Option<&Frame>, params: DcrParams, job: &Job) -> Result<DcrRows> {
    for (name, frame) in [("train", Some(train)), ("holdout", holdout)] {
        if frame.is_some_and(|f| f.rows() == 0) {
            return Err(Error::data(format!("{name}: the relation has no rows to measure distances to")));
        }
    }
    let space = Space::fit(params.metric, &[train])?;
    let queries = space.encode(synthetic, job)?;
    let search = |frame: &Frame| -> Result<(Vec<f64>, Vec<f64>)> {
        let references = space.encode(frame, job)?;
        let found = nearest(&space, &queries, &references, SearchOptions::default(), job)?;
        Ok(found.iter().map(|n| (n.distance, Neighbour::ratio(n))).unzip())
    };
    let (dcr, nndr) = search(train)?;
    let (holdout_dcr, holdout_nndr) = holdout.map(search).transpose()?.unwrap_or_default();
    Ok(DcrRows {
        dcr,
        nndr,
        holdout_dcr,
        holdout_nndr,
        train_rows: train.rows() as u64,
        holdout_rows: holdout.map(|h| h.rows() as u64),
    })
}

#[cfg(test)]
mod tests;
