//! Attacks on synthetic tables: how near are synthetic rows to real ones, and does that give anyone away?
//!
//! Three rooms over the frames of `lookalike-core`:
//!
//! * **Neighbours.** [`nearest`] finds, for every query row, the nearest and the second nearest reference row of a table
//!   with numbers, categories and NULLs, under a [`Metric`]. The result is exact and the same bits on any processor,
//!   with any number of threads and in any order of the rows. [`dcr`] measures every synthetic row against the training
//!   rows and a holdout; [`DcrSummary`] turns the distances into figures.
//! * **Membership inference.** An [`Attack`] of [`ATTACKS`] scores targets; [`MiaSummary`] turns scores and the truth into
//!   figures with intervals.
//! * **Statistics.** Exact and score intervals of shares, DeLong's interval of an area, lower bounds of epsilon.
//!
//! Distances and scores are descriptions. A table that shows none is not thereby safe: an attack that fails says only
//! that this attack failed. Figures a row help an attacker, so they stay inside.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{Int32Array, RecordBatch, StringArray};
//! use lookalike_attacks::{DcrParams, DcrSummary, dcr};
//! use lookalike_core::{EncodeSpec, FrameBuilder, Job, encode};
//!
//! let table = |ages: Vec<i32>, sexes: Vec<&str>| {
//!     let batch = RecordBatch::try_from_iter([
//!         ("age", Arc::new(Int32Array::from(ages)) as _),
//!         ("sex", Arc::new(StringArray::from(sexes)) as _),
//!     ])?;
//!     let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default())?;
//!     builder.push(&batch)?;
//!     Ok::<_, Box<dyn std::error::Error>>(vec![builder])
//! };
//! let train = table(vec![20, 40, 60], vec!["F", "M", "F"])?;
//! let synthetic = table(vec![40, 50], vec!["M", "F"])?;
//! let job = Job::unbounded();
//! let frames = encode(vec![train, synthetic], &job)?;
//!
//! let rows = dcr(&frames[1], &frames[0], None, DcrParams::default(), &job)?;
//! // The first row is a copy; the second is 10 of 40 years from the nearest, in one of two columns.
//! assert_eq!(rows.dcr, [0.0, 0.125]);
//!
//! let mut summary = DcrSummary::default();
//! summary.update(&rows.dcr, None)?;
//! assert_eq!(summary.finish().identical_share, Some(0.5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod dcr;
mod exposure;
mod membership;
mod mia;
mod neighbours;
mod statistics;
#[cfg(test)]
mod test_frames;

pub use dcr::{DcrFigures, DcrParams, DcrRows, DcrSummary, dcr};
pub use exposure::{Canary, Exposure, ExposureMethod, ExposureParams, NULL_EXPOSURE, exposure};
pub use membership::{
    ATTACKS, Attack, DcrAttack, DcrDiffAttack, Evidence, GroundhogAttack, LiraAttack, QuerybasedAttack, Trained,
    Trainer, draw_targets, score_units, split_reference,
};
pub use mia::{MiaFigures, MiaSummary, Rate};
pub use neighbours::{KNearest, Metric, Neighbour, Points, SearchOptions, Space, Within, k_nearest, nearest, within};
pub use statistics::{
    SkewNormal, beta_cdf, beta_quantile, clopper_pearson, epsilon_lower_bound, normal_quantile, wilson,
};
