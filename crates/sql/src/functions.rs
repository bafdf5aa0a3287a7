//! The registry of table functions. A function is one file here, one line below and one `.slt`.

mod common;
mod dcr;
pub(crate) mod hierarchies;
mod hierarchy;
mod k_anonymize;
mod listings;
mod mia_score;
mod synthesize;

use crate::function::TableFunction;

/// Every table function, in the order of the reference.
pub static FUNCTIONS: &[&dyn TableFunction] = &[
    &synthesize::Synthesize,
    &k_anonymize::KAnonymize,
    &hierarchy::HierarchyTable,
    &dcr::Dcr,
    &mia_score::MiaScore,
    &listings::Models,
    &listings::Attacks,
    &listings::Functions,
];

/// The function of a name, which is lower case.
pub fn function(name: &str) -> Option<&'static dyn TableFunction> {
    FUNCTIONS.iter().copied().find(|f| f.name() == name)
}
