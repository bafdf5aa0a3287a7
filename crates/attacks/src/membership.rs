//! Membership inference: how well can an attacker who holds the synthetic rows tell training rows from others?
//!
//! An attack gives every target a score, higher for those it takes for members. Attackers hold the synthetic rows and
//! perhaps reference rows of the same population and the training algorithm; scales and encodings come from the rows that
//! they hold alone, never from the targets. [`crate::MiaSummary`] turns scores and the truth into figures.

mod dcr;
mod dcr_diff;
mod density;
mod domias;
mod dpi;
mod evidence;
mod gen_lra;
mod groundhog;
mod lira;
mod local_neighbourhood;
mod logan;
mod monte_carlo;
mod querybased;
mod sets;
mod shadow;
mod surrogate;

use lookalike_core::{Default, Frame, Job, Options, ParamKind, ParamSpec, Result};

use crate::{KNearest, Metric, SearchOptions, Space, k_nearest, nearest, within};
pub use dcr::DcrAttack;
pub use dcr_diff::DcrDiffAttack;
pub use density::DensityAttack;
pub use domias::DomiasAttack;
pub use dpi::DpiAttack;
pub use evidence::{Evidence, Trained, Trainer};
pub use gen_lra::GenLraAttack;
pub use groundhog::GroundhogAttack;
pub use lira::LiraAttack;
pub use local_neighbourhood::LocalNeighbourhoodAttack;
pub use logan::LoganAttack;
pub use monte_carlo::MonteCarloAttack;
pub use querybased::QuerybasedAttack;
pub use surrogate::SurrogateAttack;

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
    /// Scores do not depend on the order of any rows; those of attacks that train generators, and of `monte_carlo` with its
    /// usual radius, depend on who else is among the targets. `seed` is for attacks that draw. A target that is itself
    /// among the reference rows is not recognised: leave it out there, as [`crate::split_reference`] does.
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
pub static ATTACKS: &[&dyn Attack] = &[
    &DcrAttack,
    &DcrDiffAttack,
    &MonteCarloAttack,
    &LocalNeighbourhoodAttack,
    &DensityAttack,
    &DomiasAttack,
    &DpiAttack,
    &GenLraAttack,
    &LoganAttack,
    &SurrogateAttack,
    &LiraAttack,
    &QuerybasedAttack,
    &GroundhogAttack,
];

/// Attacks that have a usual number of neighbours share the option, each with its own default.
const K: ParamSpec = ParamSpec {
    name: "k",
    kind: ParamKind::Int { min: 1, max: 10_000 },
    default: Default::Unset("20 for dpi and gen_lra, 1 for domias"),
    purpose: "How many nearest rows count, for attacks that look at the nearest rows of a target.",
};

const RADIUS: ParamSpec = ParamSpec {
    name: "radius",
    kind: ParamKind::Float { min: 0.0, max: f64::MAX },
    default: Default::Unset(
        "monte_carlo: the median distance of the targets to the nearest synthetic row; local_neighbourhood: that of \
         synthetic rows to their tenth nearest other",
    ),
    purpose: "Distance within which synthetic rows count.",
};

/// The space of synthetic and reference rows in the metric that the options name.
fn space(evidence: &Evidence<'_>, options: &Options) -> Result<Space> {
    let metric = Metric::from_name(options.choice(Metric::PARAM.name).as_deref().unwrap_or("gower"))?;
    Space::fit(metric, &evidence.held())
}

/// The k nearest rows of a frame, or all of fewer.
fn neighbours(space: &Space, targets: &Frame, frame: &Frame, k: usize, job: &Job) -> Result<KNearest> {
    let (queries, references) = (space.encode(targets, job)?, space.encode(frame, job)?);
    k_nearest(space, &queries, &references, k.min(frame.rows()), SearchOptions::default(), job)
}

/// The share of synthetic rows within a radius of each target; rows exactly as far count half.
fn share_within(
    targets: &Frame,
    synthetic: &Frame,
    evidence: &Evidence<'_>,
    radius: f64,
    options: &Options,
    job: &Job,
) -> Result<Vec<f64>> {
    let space = space(evidence, options)?;
    let (queries, references) = (space.encode(targets, job)?, space.encode(synthetic, job)?);
    let radii = vec![radius; targets.rows()];
    let found = within(&space, &queries, &references, &radii, SearchOptions::default(), job)?;
    let rows = synthetic.rows() as f64;
    Ok(found.into_iter().map(|w| (f64::from(w.nearer) + 0.5 * f64::from(w.tied)) / rows).collect())
}

/// The median; of an even number the mean of the two in the middle, of none 0.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { 0.0 } else { values[(n - 1) / 2] * 0.5 + values[n / 2] * 0.5 }
}

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
    let space = space(evidence, options)?;
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
