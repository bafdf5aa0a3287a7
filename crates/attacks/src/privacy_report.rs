//! The whole battery on one release: every attack that the relations allow, with intervals, with tests that are corrected
//! for their number, and with what each finding means and does not mean.

mod common;
mod criteria;
mod finding;
mod membership;
mod memorisation;
mod similarity;

use std::time::Instant;

use lookalike_core::{Error, ErrorKind, Frame, Job, Options, Result};

use crate::targets::{sample, split_reference};
use crate::{Attack, Evidence, InferenceMethod, Metric, Trainer};
use finding::judge;
pub use finding::{Finding, Verdict};

/// Name in messages.
const NAME: &str = "privacy_report";

/// What is attacked. The frames were encoded together; with units in all of them but the synthetic rows, persons are
/// attacked instead of rows.
#[derive(Clone, Copy)]
pub struct Release<'a> {
    /// The rows the generator was trained on.
    pub train: &'a Frame,
    /// Rows of the same population it never saw.
    pub holdout: &'a Frame,
    /// What it made.
    pub synthetic: &'a Frame,
    /// Other rows of the population that the attacker has; half of the holdout when there are none.
    pub reference: Option<&'a Frame>,
    /// The generator, where the attacker is to know it.
    pub trainer: Option<&'a dyn Trainer>,
}

/// How it is attacked.
pub struct ReportParams {
    /// Distance between rows.
    pub metric: Metric,
    /// Membership inference attacks with their options.
    pub attacks: Vec<(&'static dyn Attack, Options)>,
    /// Persons drawn from the training rows and as many from the holdout; all when `None`.
    pub max_targets: Option<u64>,
    /// Conditions that single somebody out, to be tried of each kind.
    pub attempts: usize,
    /// Columns of one part of a record and of the other; the first and the second half where both are empty.
    pub columns_a: Vec<String>,
    /// See `columns_a`.
    pub columns_b: Vec<String>,
    /// Columns to infer from all others; each in turn where empty.
    pub secrets: Vec<String>,
    /// Ways to infer them.
    pub methods: Vec<InferenceMethod>,
    /// Probability of calling a clean release leaky.
    pub alpha: f64,
    /// Keys everything that is drawn.
    pub seed: u64,
}

/// Persons whose membership is guessed.
struct Targets<'a> {
    members: &'a Frame,
    others: &'a Frame,
    text: String,
}

/// The findings of all attacks, in the order of their criteria.
///
/// Fails (data) when a relation has no rows or the holdout has fewer than two persons to share among targets and
/// reference.
pub fn privacy_report(release: &Release<'_>, params: &ReportParams, job: &Job) -> Result<Vec<Finding>> {
    for (name, frame) in [("train", release.train), ("holdout", release.holdout), ("synthetic", release.synthetic)] {
        if frame.rows() == 0 {
            return Err(Error::data(format!("{name}: the relation has no rows")));
        }
    }
    let (others, half) = match release.reference {
        Some(_) => (release.holdout.clone(), None),
        None => {
            let (scored, reference) = split_reference(release.holdout, params.seed).map_err(|e| e.within("holdout"))?;
            (release.holdout.gather_persons(&scored), Some(release.holdout.gather_persons(&reference)))
        }
    };
    let reference = release.reference.or(half.as_ref());
    let evidence = Evidence { synthetic: release.synthetic, reference, trainer: release.trainer };
    let (members, others, text) = match params.max_targets {
        None => (release.train.clone(), others, "all".to_string()),
        Some(most) => {
            let draw = |frame: &Frame| sample(frame, Some(most as usize), params.seed);
            let text = format!("at most {most} drawn from {} and {}", release.train.unit_count(), others.unit_count());
            (draw(release.train).unwrap_or_else(|| release.train.clone()), draw(&others).unwrap_or(others), text)
        }
    };
    let targets = Targets { members: &members, others: &others, text };
    let mut findings = common::findings(release, job)?;
    findings.extend(timed("similarity_ms", job, || similarity::findings(release, params, job))?);
    findings.extend(timed("membership_ms", job, || membership::findings(&targets, &evidence, params, job))?);
    findings.extend(timed("criteria_ms", job, || criteria::findings(release, params, job))?);
    if let Some(trainer) = release.trainer {
        findings.extend(timed("memorisation_ms", job, || memorisation::findings(release, trainer, params, job))?);
    }
    judge(&mut findings, params.alpha);
    Ok(findings)
}

/// The result of an attack, or why these rows do not allow it: one attack that cannot be run leaves the others.
fn measured<T>(result: Result<T>) -> Result<std::result::Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.kind() == ErrorKind::Data => Ok(Err(error.message().to_string())),
        Err(error) => Err(error),
    }
}

/// Runs a part and counts its milliseconds.
fn timed<T>(counter: &'static str, job: &Job, part: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = part()?;
    job.count(counter, start.elapsed().as_millis() as usize);
    Ok(result)
}

#[cfg(test)]
mod tests;
