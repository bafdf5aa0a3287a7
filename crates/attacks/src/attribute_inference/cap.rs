//! The CAP family: synthetic rows of the same key and what secret they have.

use std::collections::HashMap;
use std::sync::Arc;

use lookalike_core::{CategoryDomain, Column, Domain, Error, Frame, Job, MISSING, Result, Values};

use super::{InferenceMethod, InferenceParams};
use crate::Metric;
use crate::nearby::{Groups, nearby};
use crate::outcome::{AttackOutcome, Tally};
use crate::targets::{restricted, tally};

/// Classes that numbers are put into.
const BINS: usize = 10;

/// Numbers of a column as classes: bins of equal width over the range of the training values, closed above, the outer ones
/// open. A training column of one value has the classes below, equal and above.
fn binned(column: usize, frame: &Frame, train: &Frame) -> Column {
    let original = &frame.columns()[column];
    let (Some(values), Some(of_train)) = (original.values.numbers(), train.columns()[column].values.numbers()) else {
        return original.clone();
    };
    let present = || of_train.iter().copied().filter(|v| !v.is_nan());
    let min = present().reduce(f64::min).unwrap_or(0.0);
    let max = present().reduce(f64::max).unwrap_or(0.0);
    let edges: Vec<f64> = match min == max {
        true => vec![min - f64::EPSILON * min.abs() - f64::MIN_POSITIVE, max],
        false => (1..BINS).map(|i| min + i as f64 * ((max - min) / BINS as f64)).collect(),
    };
    let class = |v: &f64| if v.is_nan() { MISSING } else { edges.partition_point(|edge| edge < v) as u32 };
    Column {
        field: Arc::clone(&original.field),
        domain: Domain::Category(Arc::new(CategoryDomain { labels: (0..BINS).map(|b| b.to_string()).collect() })),
        values: Values::Code(values.iter().map(class).collect()),
    }
}

/// A frame with all numbers as classes; the secret is the last column.
fn classes(frame: &Frame, known: &[usize], secret: usize, train: &Frame) -> Frame {
    let columns = known.iter().chain([&secret]).map(|&column| binned(column, frame, train)).collect();
    Frame::new(frame.rows(), columns, frame.units().cloned())
}

fn secrets(frame: &Frame) -> Result<&[u32]> {
    let column = frame.columns().last().and_then(|c| c.values.codes());
    column.ok_or_else(|| Error::internal("the secret is no class"))
}

#[allow(clippy::too_many_arguments)]
pub(super) fn cap(
    method: InferenceMethod,
    secret: usize,
    known: &[usize],
    synthetic: &Frame,
    train: &Frame,
    targets: &Frame,
    control: Option<&Frame>,
    params: &InferenceParams,
    job: &Job,
) -> Result<AttackOutcome> {
    let frames = [Some(synthetic), Some(targets), control];
    let rows = frames.iter().flatten().map(|f| f.rows()).sum::<usize>();
    let _memory = job.reserve(rows * (known.len() + 1) * 8, "keys")?;
    let coded = |frame: &Frame| classes(frame, known, secret, train);
    let key: Vec<usize> = (0..known.len()).collect();
    let synthetic = coded(synthetic);
    let references = restricted(&synthetic, &key);
    let of_references = secrets(&synthetic)?;

    let attack = |targets: &Frame| -> Result<(Tally, usize)> {
        let targets = coded(targets);
        let of_targets = secrets(&targets)?;
        let keys = restricted(&targets, &key);
        let success: Vec<f64> = if method == InferenceMethod::GeneralizedCap {
            let found = nearby(Metric::L1, &references, &keys, 1, job)?;
            let share = |target: usize| {
                let rows = || found.of(target).tied.iter().flat_map(|&g| found.references.rows(g));
                let right = rows().filter(|&&r| of_references[r as usize] == of_targets[target]).count();
                right as f64 / rows().count() as f64
            };
            (0..targets.rows()).map(share).collect()
        } else {
            let groups = Groups::new(&Frame::stack(&[&references, &keys])?);
            let first_target = references.rows();
            // Of each key, how many synthetic rows have each secret.
            let mut counts: HashMap<u32, HashMap<u32, usize>> = HashMap::new();
            for (row, &secret) in of_references.iter().enumerate() {
                *counts.entry(groups.of_row[row]).or_default().entry(secret).or_default() += 1;
            }
            let score = |target: usize| {
                let missing = if method == InferenceMethod::ZeroCap { 0.0 } else { f64::NAN };
                let Some(counts) = counts.get(&groups.of_row[first_target + target]) else { return missing };
                let (all, right) = (counts.values().sum::<usize>(), counts.get(&of_targets[target]).copied());
                if method != InferenceMethod::Tcap {
                    return right.unwrap_or(0) as f64 / all as f64;
                }
                let most = counts.values().copied().max().unwrap_or(0);
                if (most as f64) < params.tau * all as f64 {
                    return f64::NAN;
                }
                // With a tau of at most 1/2 several secrets may be the most frequent: one of them is guessed.
                let modes = counts.values().filter(|n| **n == most).count();
                if right == Some(most) { 1.0 / modes as f64 } else { 0.0 }
            };
            (0..targets.rows()).map(score).collect()
        };
        let undefined = success.iter().filter(|s| s.is_nan()).count();
        Ok((tally(&targets, &success), undefined))
    };

    let (found, undefined) = attack(targets)?;
    let mut notes = vec![];
    if undefined > 0 {
        let why = match method {
            InferenceMethod::Tcap => "no synthetic key that implies a secret",
            _ => "a key that no synthetic row has",
        };
        notes.push(format!("{undefined} of {} target rows have {why}: no attempts", targets.rows()));
    }
    let coded_targets = coded(targets);
    let count = |codes: &[u32]| {
        let mut counts: HashMap<u32, f64> = HashMap::new();
        codes.iter().for_each(|code| *counts.entry(*code).or_default() += 1.0);
        counts
    };
    let baseline = if method == InferenceMethod::Tcap {
        let coded_train = coded(train);
        let mut shares: Vec<f64> =
            count(secrets(&coded_train)?).into_values().map(|n| n / train.rows() as f64).collect();
        shares.sort_unstable_by(f64::total_cmp);
        let agreement: f64 = shares.iter().map(|p| p * p).sum();
        Tally { attempts: found.attempts, successes: agreement * found.attempts as f64 }
    } else {
        let counts = count(of_references);
        let by_chance = |code: &u32| counts.get(code).copied().unwrap_or(0.0) / synthetic.rows() as f64;
        tally(&coded_targets, &secrets(&coded_targets)?.iter().map(by_chance).collect::<Vec<_>>())
    };
    Ok(AttackOutcome {
        requested: targets.unit_count() as u64,
        train: found,
        baseline,
        control: control.map(|control| attack(control).map(|(tally, _)| tally)).transpose()?,
        notes,
        ..Default::default()
    })
}
