//! The secret of the nearest synthetic row, and when a guess is right.

use lookalike_core::{Domain, Frame, Job, NumberKind, Result, Values};

use super::InferenceParams;
use crate::nearby::nearby;
use crate::outcome::{AttackOutcome, Tally};
use crate::targets::{restricted, tally};

/// The secret column and how far a guess may be off.
pub(super) struct Secret {
    /// Position of the column.
    pub column: usize,
    tolerance: f64,
    /// Largest error, for dates and times.
    width: Option<f64>,
    /// The number that an encoded 0 stands for, and the distance of encoded neighbours.
    base: f64,
    step: f64,
}

impl Secret {
    pub fn new(column: usize, train: &Frame, tolerance: f64) -> Self {
        let (mut width, mut base, mut step) = (None, 0.0, 1.0);
        let of_train = &train.columns()[column];
        if let Domain::Number(domain) = &of_train.domain {
            if let NumberKind::Integer { base: b, step: s } = domain.kind {
                (base, step) = (b as f64, s as f64);
            }
            if of_train.field.data_type().is_temporal() {
                let values = || of_train.values.numbers().unwrap_or_default().iter().copied().filter(|v| !v.is_nan());
                let range = values().reduce(f64::max).unwrap_or(0.0) - values().reduce(f64::min).unwrap_or(0.0);
                width = Some(tolerance * range * step);
            }
        }
        Self { column, tolerance, width, base, step }
    }

    /// Whether all rows have the same secret.
    pub fn is_constant(&self, frame: &Frame) -> bool {
        match &frame.columns()[self.column].values {
            Values::Number(v) => v.iter().all(|x| *x == v[0] || (x.is_nan() && v[0].is_nan())),
            Values::Code(v) => v.iter().all(|x| *x == v[0]),
            Values::Omitted => true,
        }
    }

    /// Whether a guess of a number is right; NaN is NULL.
    pub fn is_right(&self, guess: f64, secret: f64) -> bool {
        if guess.is_nan() || secret.is_nan() {
            return guess.is_nan() && secret.is_nan();
        }
        let (guess, secret) = (self.base + self.step * guess, self.base + self.step * secret);
        (guess - secret).abs() <= self.width.unwrap_or(self.tolerance * secret.abs())
    }

    /// Whether the guess is the secret of a row, given both as rows.
    fn matches(&self, synthetic: &Frame, guess: u32, targets: &Frame, target: usize) -> bool {
        match (&synthetic.columns()[self.column].values, &targets.columns()[self.column].values) {
            (Values::Number(s), Values::Number(t)) => self.is_right(s[guess as usize], t[target]),
            (Values::Code(s), Values::Code(t)) => s[guess as usize] == t[target],
            _ => false,
        }
    }

    /// How many of the synthetic rows would be right guesses for each target.
    fn right_rows(&self, synthetic: &Frame, targets: &Frame) -> Vec<f64> {
        match (&synthetic.columns()[self.column].values, &targets.columns()[self.column].values) {
            (Values::Number(s), Values::Number(t)) => {
                let mut sorted: Vec<f64> = s.iter().copied().filter(|v| !v.is_nan()).collect();
                sorted.sort_unstable_by(f64::total_cmp);
                let missing = s.len() - sorted.len();
                let count = |secret: f64| {
                    if secret.is_nan() {
                        return missing as f64;
                    }
                    // Right guesses are a run around the secret.
                    let middle = sorted.partition_point(|v| *v < secret);
                    let below = sorted[..middle].partition_point(|v| !self.is_right(*v, secret));
                    let above = middle + sorted[middle..].partition_point(|v| self.is_right(*v, secret));
                    (above - below) as f64
                };
                t.iter().map(|v| count(*v)).collect()
            }
            (Values::Code(s), Values::Code(t)) => {
                let mut counts = std::collections::HashMap::new();
                s.iter().for_each(|code| *counts.entry(*code).or_insert(0.0) += 1.0);
                t.iter().map(|code| counts.get(code).copied().unwrap_or(0.0)).collect()
            }
            _ => vec![0.0; targets.rows()],
        }
    }
}

/// The secret of the nearest synthetic row on the known columns; of several, the share of those that are right.
pub(super) fn nearest(
    secret: &Secret,
    known: &[usize],
    synthetic: &Frame,
    targets: &Frame,
    control: Option<&Frame>,
    params: &InferenceParams,
    job: &Job,
) -> Result<AttackOutcome> {
    let references = restricted(synthetic, known);
    let attack = |targets: &Frame| -> Result<Tally> {
        let found = nearby(params.metric, &references, &restricted(targets, known), 1, job)?;
        let success = |target: usize| {
            let rows = || found.of(target).tied.iter().flat_map(|&g| found.references.rows(g));
            let right = rows().filter(|&&guess| secret.matches(synthetic, guess, targets, target)).count();
            right as f64 / rows().count() as f64
        };
        Ok(tally(targets, &(0..targets.rows()).map(success).collect::<Vec<_>>()))
    };
    let train = attack(targets)?;
    let by_chance: Vec<f64> =
        secret.right_rows(synthetic, targets).into_iter().map(|right| right / synthetic.rows() as f64).collect();
    Ok(AttackOutcome {
        requested: targets.unit_count() as u64,
        train,
        baseline: tally(targets, &by_chance),
        control: control.map(attack).transpose()?,
        ..Default::default()
    })
}
