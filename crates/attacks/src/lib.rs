//! Attacks on synthetic tables: how near are synthetic rows to real ones, and does that give anyone away?
//!
//! Three rooms over the frames of `lookalike-core`, with the neighbours, learners and statistics of `lookalike-learners`:
//!
//! * **Distances.** [`dcr`] measures every synthetic row against the training rows and a holdout; [`DcrSummary`] turns
//!   the distances into figures.
//! * **Membership inference.** An [`Attack`] of [`ATTACKS`] scores targets; [`MiaSummary`] turns scores and the truth into
//!   figures with intervals.
//! * **Singling out, linkability, inference.** [`singling_out`], [`linkability`] and [`attribute_inference`] run the attacks
//!   of Opinion 05/2014 on training rows and on a control; an [`AttackOutcome`] turns successes into a risk.
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

mod attribute_inference;
mod dcr;
mod distance_report;
mod exposure;
mod kde;
mod linkability;
mod membership;
mod mia;
mod nearby;
mod outcome;
mod privacy_report;
mod singling_out;
mod targets;
#[cfg(test)]
#[path = "../../learners/src/test_frames.rs"]
mod test_frames;
mod vulnerability;

pub use attribute_inference::{InferenceMethod, InferenceParams, attribute_inference};
pub use dcr::{DcrFigures, DcrParams, DcrRows, DcrSummary, dcr};
pub use distance_report::{DistanceFigure, DistanceParams, distance_report};
pub use exposure::{Canary, Exposure, ExposureMethod, ExposureParams, NULL_EXPOSURE, exposure};
pub use linkability::{LinkabilityParams, linkability};
pub use lookalike_learners::{
    Boosted, BoostedParams, Bootstrap, BootstrapMethod, Estimate, Features, Guesses, KNearest, Linear, Matrix, Metric,
    Neighbour, Points, Risk, SearchOptions, SkewNormal, Space, SplitBound, SuccessRate, Target, Within, beta_cdf,
    beta_quantile, bonferroni, boosted, clopper_pearson, epsilon_lower_bound, epsilon_of_mu, evidence_of, fisher_exact,
    holm, hypergeometric_tail, k_nearest, logistic, mcnemar_exact, mu_lower_bound, nearest, newcombe, normal_cdf,
    normal_p_value, normal_quantile, residual_risk, share_p_value, wilson, within,
};
pub use membership::{
    ATTACKS, Attack, DcrAttack, DcrDiffAttack, DensityAttack, DomiasAttack, DpiAttack, Evidence, GenLraAttack,
    GroundhogAttack, LiraAttack, LocalNeighbourhoodAttack, LoganAttack, MonteCarloAttack, QuerybasedAttack,
    SurrogateAttack, Trained, Trainer,
};
pub use mia::{MiaFigures, MiaSummary, Rate};
pub use outcome::{AttackOutcome, MIN_ATTEMPTS, OutcomeFigures, Share, Tally};
pub use privacy_report::{Finding, Release, ReportParams, Verdict, privacy_report};
pub use singling_out::{Condition, Matcher, Op, Predicate, SinglingOutMode, SinglingOutParams, rescaled, singling_out};
pub use targets::{common_rows, common_rows_note, draw_targets, score_units, split_reference};
pub use vulnerability::{vulnerability, vulnerability_deciles};
