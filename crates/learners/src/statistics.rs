//! Statistics of attack results: intervals of shares, areas under curves, exact tests, resampling of persons, several
//! tests at once, lower bounds of epsilon and audits.

mod audit;
mod beta;
mod bootstrap;
mod exact;
mod interval;
mod multiplicity;
mod normal;
mod risk;
mod roc;
mod skew_normal;
mod split;

pub use audit::{Guesses, epsilon_of_mu, evidence_of, mu_lower_bound};
pub use beta::binomial_sf;
pub use beta::{beta_cdf, beta_quantile};
pub use bootstrap::{Bootstrap, BootstrapMethod, Estimate};
pub use exact::{fisher_exact, hypergeometric_tail, mcnemar_exact};
pub use interval::{clopper_pearson, epsilon_lower_bound, wilson};
pub use multiplicity::{bonferroni, holm, normal_p_value, share_p_value};
pub use normal::normal_log_cdf;
pub use normal::{normal_cdf, normal_quantile};
pub use risk::{Risk, SuccessRate, newcombe, residual_risk};
pub use roc::{Auc, Operating, Roc, sorted_keys};
pub use skew_normal::SkewNormal;
pub use split::SplitBound;
pub use split::epsilon_by_split;

#[cfg(test)]
mod tests;
