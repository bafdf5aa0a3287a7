//! Membership inference: how well can an attacker who holds the synthetic rows tell training rows from others?
//!
//! An attack gives every target a score, higher for those it takes for members. Attackers hold the synthetic rows and
//! perhaps reference rows of the same population; scales and encodings come from these two alone, never from the
//! targets. [`crate::MiaSummary`] turns scores and the truth into figures.

mod dcr;
mod dcr_diff;
mod evidence;
mod groundhog;
mod lira;
mod persons;
mod querybased;
mod sets;
mod shadow;
mod split;

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};

use crate::{Metric, SearchOptions, Space, nearest};
pub use dcr::DcrAttack;
pub use dcr_diff::DcrDiffAttack;
pub use evidence::{Evidence, Trained, Trainer};
pub use groundhog::GroundhogAttack;
pub use lira::LiraAttack;
pub use persons::score_units;
pub use querybased::QuerybasedAttack;
pub use split::{draw_targets, split_reference};

/// A membership inference attack.
pub trait Attack: Send + Sync {
    /// Name in SQL.
    fn name(&self) -> &'static str;
    /// What it does, one sentence.
    fn summary(&self) -> &'static str;
    /// The paper it comes from.
    fn source(&self) -> &'static str;
    /// Its options.
    fn params(&self) -> &'static [ParamSpec];
    /// Whether it compares with reference rows.
    fn needs_reference(&self) -> bool;
    /// Whether it trains generators of its own on reference rows: such attacks take long and run only when asked for.
    fn needs_trainer(&self) -> bool {
        false
    }
    /// A score for every target in the order of the targets, higher for likelier members, never NaN.
    ///
    /// The frames were encoded together; `options` were checked against [`Attack::params`]. All targets come in one
    /// call, members and others in no order that means anything, so that a threshold taken from them tells nothing.
    /// Scores do not depend on the order of any rows; those of attacks that train generators depend on who else is among
    /// the targets. `seed` is for attacks that draw. A target that is itself among
    /// the reference rows is not recognised: leave it out there, as [`split_reference`] does.
    ///
    /// Fails (argument) when the attack needs reference rows or a trainer and gets none, (data) when a relation it
    /// needs is empty.
    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        options: &Options,
        seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>>;
}

/// Every attack.
pub static ATTACKS: &[&dyn Attack] = &[&DcrAttack, &DcrDiffAttack, &LiraAttack, &QuerybasedAttack, &GroundhogAttack];

/// Distances from every target to its nearest synthetic row and, if wanted, to its nearest reference row.
struct Distances {
    synthetic: Vec<f64>,
    reference: Vec<f64>,
}

/// Both distances in the space of synthetic and reference rows.
fn distances(
    targets: &Frame,
    evidence: &Evidence<'_>,
    with_reference: bool,
    options: &Options,
    job: &Job,
) -> Result<Distances> {
    let synthetic = evidence.synthetic()?;
    let metric = Metric::from_name(options.choice(Metric::PARAM.name).as_deref().unwrap_or("gower"))?;
    let space = Space::fit(metric, &evidence.held())?;
    let queries = space.encode(targets, job)?;
    let search = |frame: &Frame| -> Result<Vec<f64>> {
        let references = space.encode(frame, job)?;
        let found = nearest(&space, &queries, &references, SearchOptions::default(), job)?;
        Ok(found.into_iter().map(|n| n.distance).collect())
    };
    let reference = match evidence.reference.filter(|_| with_reference) {
        Some(frame) => search(frame)?,
        None => vec![],
    };
    Ok(Distances { synthetic: search(synthetic)?, reference })
}

#[cfg(test)]
mod shadow_tests;
#[cfg(test)]
mod tests;
