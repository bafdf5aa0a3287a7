//! The registry of table functions. A function is one file here, one line below and one `.slt`.

mod anonymity_report;
mod ask;
mod attribute_inference;
mod common;
mod dcr;
mod distance_report;
mod exposure;
mod fit_model;
pub(crate) mod hierarchies;
mod hierarchy;
mod k_anonymize;
mod linkability;
mod linkage_attack;
mod listings;
mod mia_score;
mod overlap;
mod privacy_report;
mod quality_report;
mod released;
mod risk;
mod sample_model;
mod singling_out;
mod synthesize;
mod trainer;
mod utility_report;
mod vulnerable_records;

use crate::function::TableFunction;

/// Every table function, in the order of the reference.
pub static FUNCTIONS: &[&dyn TableFunction] = &[
    &synthesize::Synthesize,
    &quality_report::QualityReport,
    &utility_report::UtilityReport,
    &fit_model::FitModel,
    &sample_model::SampleModel,
    &k_anonymize::KAnonymize,
    &hierarchy::HierarchyTable,
    &anonymity_report::AnonymityReport,
    &linkage_attack::LinkageAttack,
    &dcr::Dcr,
    &distance_report::DistanceReport,
    &vulnerable_records::VulnerableRecords,
    &mia_score::MiaScore,
    &singling_out::SinglingOut,
    &linkability::Linkability,
    &attribute_inference::AttributeInference,
    &exposure::ExposureTable,
    &privacy_report::PrivacyReport,
    &listings::Models,
    &listings::Attacks,
    &listings::Methods,
    &listings::Functions,
];

/// The function of a name, which is lower case.
pub fn function(name: &str) -> Option<&'static dyn TableFunction> {
    FUNCTIONS.iter().copied().find(|f| f.name() == name)
}
