//! What attacks and figures of quality learn and measure with, over the frames of `lookalike-core`.
//!
//! * **Neighbours.** [`nearest`], [`k_nearest`] and [`within`] find the rows around a row of a table with numbers,
//!   categories and NULLs, under a [`Metric`]. The result is exact.
//! * **Learners.** [`logistic`] and [`ridge`] regression and [`boosted`] trees over the [`Features`] of frames.
//! * **Statistics.** Exact and score intervals of shares, DeLong's interval of an area, resampling of persons, several
//!   tests at once, lower bounds of epsilon and audits.
//!
//! All of it gives the same bits on any processor, with any number of threads and in any order of the rows.
//!
//! ```
//! use lookalike_core::Job;
//! use lookalike_learners::{BoostedParams, Matrix, Target, boosted};
//!
//! let x = Matrix { rows: 4, columns: 1, values: vec![1.0, 2.0, 3.0, 4.0] };
//! let params = BoostedParams { min_rows: 1, ..BoostedParams::default() };
//! let trees = boosted(&x, Target::Classes(&[0, 0, 1, 1], 2), params, &Job::unbounded())?;
//! assert!(trees.probabilities(&[3.5])[1] > 0.9);
//! # Ok::<(), lookalike_core::Error>(())
//! ```

#![deny(missing_docs)]

mod learners;
mod neighbours;
mod statistics;
#[cfg(test)]
mod test_frames;

pub use learners::{
    Boosted, BoostedParams, Features, Linear, Matrix, Moments, Regression, Target, boosted, dual_logistic,
    independent_columns, log_sum_exp, logistic, ridge,
};
pub use neighbours::{KNearest, Metric, Neighbour, Points, SearchOptions, Space, Within, k_nearest, nearest, within};
pub use statistics::{
    Auc, Bootstrap, BootstrapMethod, Estimate, Guesses, Operating, Risk, Roc, SkewNormal, SplitBound, SuccessRate,
    beta_cdf, beta_quantile, binomial_sf, bonferroni, clopper_pearson, epsilon_by_split, epsilon_lower_bound,
    epsilon_of_mu, evidence_of, fisher_exact, holm, hypergeometric_tail, mcnemar_exact, mu_lower_bound, newcombe,
    normal_cdf, normal_log_cdf, normal_p_value, normal_quantile, residual_risk, share_p_value, sorted_keys, wilson,
};
