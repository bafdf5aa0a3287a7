//! Statistics of attack results: intervals of shares, areas under curves, lower bounds of epsilon.

mod beta;
mod interval;
mod normal;
mod roc;
mod skew_normal;

pub use beta::{beta_cdf, beta_quantile};
pub use interval::{clopper_pearson, epsilon_lower_bound, wilson};
pub use normal::normal_quantile;
pub(crate) use roc::Roc;
pub use skew_normal::SkewNormal;

#[cfg(test)]
mod tests;
