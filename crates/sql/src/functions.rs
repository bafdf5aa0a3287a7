//! The registry of table functions. A function is one file here, one line below and one `.slt`.

mod anonymity_report;
mod common;
mod dcr;
mod exposure;
pub(crate) mod hierarchies;
mod hierarchy;
mod k_anonymize;
mod linkage_attack;
mod listings;
mod mia_score;
mod released;
mod synthesize;
mod trainer;

use crate::function::TableFunction;

/// Every table function, in the order of the reference.
pub static FUNCTIONS: &[&dyn TableFunction] = &[
    &synthesize::Synthesize,
    &k_anonymize::KAnonymize,
    &hierarchy::HierarchyTable,
    &anonymity_report::AnonymityReport,
    &linkage_attack::LinkageAttack,
    &dcr::Dcr,
    &mia_score::MiaScore,
    &exposure::ExposureTable,
    &listings::Models,
    &listings::Attacks,
    &listings::Methods,
    &listings::Functions,
];

/// The function of a name, which is lower case.
pub fn function(name: &str) -> Option<&'static dyn TableFunction> {
    FUNCTIONS.iter().copied().find(|f| f.name() == name)
}
