//! A classifier of synthetic against reference rows.

use lookalike_core::{Default, Frame, Job, Options, ParamKind, ParamSpec, Result};

use super::{Attack, Evidence};
use crate::{BoostedParams, Features, Matrix, Target, boosted, logistic};

pub(super) const CLASSIFIER: ParamSpec = ParamSpec {
    name: "classifier",
    kind: ParamKind::Choice(&["boosted_trees", "logistic"]),
    default: Default::Text("boosted_trees"),
    purpose: "What tells synthetic rows from others: gradient-boosted trees, or logistic regression with a ridge of 1.",
};

/// Score: the log odds that a classifier gives the target for being a synthetic rather than a reference row, less
/// log(s / r). It is trained on all synthetic and all reference rows.
#[derive(Debug, Clone, Copy)]
pub struct LoganAttack;

impl Attack for LoganAttack {
    fn name(&self) -> &'static str {
        "logan"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by what a classifier of synthetic against reference rows takes it for."
    }

    fn source(&self) -> &'static str {
        "Hayes et al. 2019, LOGAN (PoPETs), black-box (with auxiliary knowledge), https://arxiv.org/abs/1705.07663"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[CLASSIFIER]
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        options: &Options,
        _seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>> {
        let (synthetic, reference) = (evidence.synthetic()?, evidence.reference(self.name())?);
        tell_apart(targets, synthetic, reference, options, job)
    }
}

/// Log odds of the targets for being of the first frame rather than of the second, less those of any row.
pub(super) fn tell_apart(
    targets: &Frame,
    first: &Frame,
    second: &Frame,
    options: &Options,
    job: &Job,
) -> Result<Vec<f64>> {
    let features = Features::fit(&[first, second], |_| true)?;
    let (a, b) = (features.encode(first, job)?, features.encode(second, job)?);
    let x = Matrix { rows: a.rows + b.rows, columns: a.columns, values: [a.values, b.values].concat() };
    let y: Vec<u32> = (0..x.rows).map(|row| u32::from(row < a.rows)).collect();
    let of_any = libm::log(a.rows as f64 / b.rows as f64);
    let targets = features.encode(targets, job)?;
    let rows = (0..targets.rows).map(|row| targets.row(row));
    Ok(if options.choice(CLASSIFIER.name).as_deref() == Some("logistic") {
        let linear = logistic(&x, &y, 2, 1.0, job)?;
        rows.map(|row| linear.log_odds(row) - of_any).collect()
    } else {
        let trees = boosted(&x, Target::Classes(&y, 2), BoostedParams::default(), job)?;
        rows.map(|row| trees.log_odds(row) - of_any).collect()
    })
}
