//! Statistics of attack results: intervals of shares, areas under curves, exact tests, lower bounds of epsilon.

mod beta;
mod exact;
mod interval;
mod normal;
mod risk;
mod roc;

pub use beta::{beta_cdf, beta_quantile};
pub use exact::{fisher_exact, hypergeometric_tail, mcnemar_exact};
pub use interval::{clopper_pearson, epsilon_lower_bound, wilson};
pub use normal::normal_quantile;
pub use risk::{Risk, SuccessRate, newcombe, residual_risk};
pub(crate) use roc::Roc;

#[cfg(test)]
mod tests;
