//! What boosted trees say that learned the secret from the synthetic rows.

use lookalike_core::{Error, Frame, Job, MISSING, Result, Values};
use lookalike_learners::{BoostedParams, Features, Target, boosted};
use rayon::prelude::*;

use super::guess::Secret;
use crate::outcome::{AttackOutcome, Tally};
use crate::targets::tally;

/// The most frequent code; of several the smallest.
fn most_frequent(codes: &[u32], classes: usize) -> u32 {
    let mut counts = vec![0usize; classes];
    codes.iter().for_each(|&code| counts[code as usize] += 1);
    let most = counts.iter().max().copied().unwrap_or(0);
    counts.iter().position(|&n| n == most).unwrap_or(0) as u32
}

pub(super) fn learned(
    secret: &Secret,
    known: &[usize],
    synthetic: &Frame,
    targets: &Frame,
    control: Option<&Frame>,
    job: &Job,
) -> Result<AttackOutcome> {
    let outcome = |(train, baseline): (Tally, Tally), control: Option<(Tally, Tally)>| AttackOutcome {
        requested: targets.unit_count() as u64,
        train,
        baseline,
        control: control.map(|c| c.0),
        ..Default::default()
    };
    let score = |frame: &Frame, right: &(dyn Fn(usize) -> (bool, bool) + Sync)| -> (Tally, Tally) {
        let rows: Vec<(bool, bool)> = (0..frame.rows()).into_par_iter().map(right).collect();
        let success =
            |of: fn(&(bool, bool)) -> bool| rows.iter().map(|r| f64::from(u8::from(of(r)))).collect::<Vec<_>>();
        (tally(frame, &success(|r| r.0)), tally(frame, &success(|r| r.1)))
    };
    let other = || Error::internal("the secret differs in role between relations");
    match &synthetic.columns()[secret.column].values {
        Values::Code(codes) => {
            let lookalike_core::Domain::Category(domain) = &synthetic.columns()[secret.column].domain else {
                return Err(other());
            };
            // NULL is the class after all labels.
            let classes = domain.labels.len() + 1;
            let labels = |codes: &[u32]| -> Vec<u32> {
                codes.iter().map(|&c| if c == MISSING { classes as u32 - 1 } else { c }).collect()
            };
            let labels_of_synthetic = labels(codes);
            let features = Features::fit(&[synthetic], |c| known.contains(&c))?;
            let x = features.encode(synthetic, job)?;
            let trees = boosted(&x, Target::Classes(&labels_of_synthetic, classes), BoostedParams::default(), job)?;
            let constant = most_frequent(&labels_of_synthetic, classes);
            let attack = |frame: &Frame| -> Result<(Tally, Tally)> {
                let truth = labels(frame.columns()[secret.column].values.codes().ok_or_else(other)?);
                let x = features.encode(frame, job)?;
                Ok(score(frame, &|row| {
                    let probabilities = trees.probabilities(x.row(row));
                    let best = probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let guess = probabilities.iter().position(|p| *p == best).unwrap_or(0) as u32;
                    (guess == truth[row], constant == truth[row])
                }))
            };
            Ok(outcome(attack(targets)?, control.map(attack).transpose()?))
        }
        Values::Number(values) => {
            let present: Vec<u32> = (0..values.len() as u32).filter(|&row| !values[row as usize].is_nan()).collect();
            if present.is_empty() {
                return Err(Error::data(
                    "method 'learned': all synthetic secrets are NULL, so there is nothing to learn",
                ));
            }
            let known_rows = synthetic.gather(&present);
            let numbers = known_rows.columns()[secret.column].values.numbers().ok_or_else(other)?;
            let features = Features::fit(&[&known_rows], |c| known.contains(&c))?;
            let x = features.encode(&known_rows, job)?;
            let trees = boosted(&x, Target::Numbers(numbers), BoostedParams::default(), job)?;
            let mut sorted = numbers.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            let constant = sorted[(sorted.len() - 1) / 2];
            let attack = |frame: &Frame| -> Result<(Tally, Tally)> {
                let truth = frame.columns()[secret.column].values.numbers().ok_or_else(other)?;
                let x = features.encode(frame, job)?;
                Ok(score(frame, &|row| {
                    let guess = trees.number(x.row(row));
                    (secret.is_right(guess, truth[row]), secret.is_right(constant, truth[row]))
                }))
            };
            Ok(outcome(attack(targets)?, control.map(attack).transpose()?))
        }
        Values::Omitted => Err(other()),
    }
}
