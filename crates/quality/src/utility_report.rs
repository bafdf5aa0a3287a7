//! How well synthetic rows stand in for real ones: learners that saw synthetic rows are tested on real ones, beside the
//! same learners that saw real rows (Esteban, Hyland & Rätsch 2017, "train on synthetic, test on real").

mod classes;
mod judge;

use lookalike_core::{Domain, Error, Frame, Job, Result, Values};
use lookalike_learners::{BoostedParams, Features, Matrix, Target, boosted, logistic, ridge};
use rayon::prelude::*;

use crate::figure::Better;
use crate::measured::in_units;
use crate::persons::Persons;
use classes::Classes;
use judge::{Judged, classification, regression, unlearned};

/// Penalty of the weights of linear learners, as in scikit-learn.
const PENALTY: f64 = 1.0;

/// What is to be learned of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Which of its values a row has.
    Classification,
    /// Its number.
    Regression,
}

impl Task {
    /// Names in SQL, in the order of the variants.
    pub const NAMES: &'static [&'static str] = &["classification", "regression"];

    /// The task of a name, in lower case.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "classification" => Ok(Task::Classification),
            "regression" => Ok(Task::Regression),
            _ => {
                Err(Error::argument(format!("option 'task' is '{name}', allowed is 'classification' or 'regression'")))
            }
        }
    }
}

/// What is learned, and how it is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct UtilityParams {
    /// Column to predict from all others.
    pub target: String,
    /// What is to be learned; `None` for classification of categories and of numbers that have at most two values, and
    /// regression of other numbers.
    pub task: Option<Task>,
    /// The value whose F1 is reported; the rarest of the training rows when `None`.
    pub positive: Option<String>,
    /// Seed of the resamples behind intervals.
    pub seed: u64,
}

/// A figure of a learner.
#[derive(Debug, Clone, PartialEq)]
pub struct UtilityFigure {
    /// Which learner: `boosted_trees` or `linear`.
    pub learner: &'static str,
    /// The relation it learned from: `synthetic`, `train` or `second`.
    pub trained_on: &'static str,
    /// Name of the figure.
    pub metric: &'static str,
    /// The figure; `None` where it is not defined, and the note says why.
    pub value: Option<f64>,
    /// Ends of its 95 % interval over the rows of the test, or their persons, where there is one.
    pub interval: Option<(f64, f64)>,
    /// Which way it should go.
    pub better: Better,
    /// What it means, and why it is missing.
    pub note: String,
}

/// Of every relation that is learned from, every learner and every figure, in this order: synthetic rows, training rows,
/// and another sample of real rows where it is given.
///
/// The frames were encoded together. Learners are gradient-boosted trees with scikit-learn's defaults and logistic or
/// ridge regression with a penalty of 1 on standardised columns; nothing of the test is used to prepare columns. Rows whose
/// target is NULL are left out. The result does not depend on the order of the rows or the number of threads.
///
/// Fails (argument) when there is no such target or positive value, and (data) when a relation is empty or no test row has
/// a value of the target.
pub fn utility_report(
    train: &Frame,
    test: &Frame,
    synthetic: &Frame,
    second: Option<&Frame>,
    params: &UtilityParams,
    job: &Job,
) -> Result<Vec<UtilityFigure>> {
    let learned = [("synthetic", Some(synthetic)), ("train", Some(train)), ("second", second)];
    for (name, frame) in learned.into_iter().chain([("test", Some(test))]) {
        if frame.is_some_and(|f| f.rows() == 0) {
            return Err(Error::data(format!("{name}: the relation has no rows")));
        }
    }
    let target = place(test, &params.target)?;
    if test.columns().iter().enumerate().all(|(i, c)| i == target || matches!(c.domain, Domain::Identifier(_))) {
        return Err(Error::data(format!("no column is left to predict '{}' from", params.target)));
    }
    let all: Vec<&Frame> = learned.iter().filter_map(|(_, f)| *f).chain([test]).collect();
    let numbers: Option<Vec<Vec<f64>>> = all.iter().map(|f| targets(f, target)).collect();
    let task = params.task.unwrap_or(match &numbers {
        Some(numbers) if distinct(numbers) > 2 => Task::Regression,
        _ => Task::Classification,
    });
    if task == Task::Regression && numbers.is_none() {
        return Err(Error::argument(format!("task is 'regression', but the target '{}' is no number", params.target)));
    }
    let classes = match task {
        Task::Classification => Some(Classes::of(&all, target, &params.target, params.positive.as_deref(), 1)?),
        Task::Regression => None,
    };
    let has_target = |frame: usize, row: usize| match (&classes, &numbers) {
        (Some(classes), _) => classes.of_row[frame][row].is_some(),
        (None, Some(numbers)) => !numbers[frame][row].is_nan(),
        _ => false,
    };
    let rows_of = |frame: usize| -> Vec<u32> {
        (0..all[frame].rows() as u32).filter(|&row| has_target(frame, row as usize)).collect()
    };
    let last = all.len() - 1;
    let tested = rows_of(last);
    if tested.is_empty() {
        return Err(Error::data(format!("test: no row has a value of the target '{}'", params.target)));
    }
    let test = test.gather_persons(&tested);
    let judged = Judged { persons: Persons::of(&test, params.seed), rows: test.rows(), seed: params.seed };
    let label = |frame: usize, rows: &[u32]| -> Vec<u32> {
        classes.iter().flat_map(|c| rows.iter().filter_map(|&r| c.of_row[frame][r as usize])).collect()
    };
    let number = |frame: usize, rows: &[u32]| -> Vec<f64> {
        numbers.iter().flat_map(|n| rows.iter().map(|&r| n[frame][r as usize])).collect()
    };
    let (truth, true_numbers) = (label(last, &tested), number(last, &tested));
    let mut figures = vec![];
    for (i, (name, frame)) in learned.into_iter().filter_map(|(n, f)| f.map(|f| (n, f))).enumerate() {
        job.progress("learning", i as u64, last as u64);
        let rows = rows_of(i);
        let (labels, values) = (label(i, &rows), number(i, &rows));
        let dropped = match frame.rows() - rows.len() {
            0 => String::new(),
            n => format!("{n} rows without a value of the target are left out"),
        };
        let reason = match &classes {
            _ if rows.is_empty() => Some(format!("no row of '{name}' has a value of the target")),
            Some(_) if labels.iter().all(|l| *l == labels[0]) => {
                Some(format!("all rows of '{name}' are of one class: there is nothing to learn"))
            }
            _ => None,
        };
        if let Some(reason) = reason {
            figures.extend(unlearned(name, classes.is_some(), &reason));
            continue;
        }
        let frame = frame.gather(&rows);
        let features = Features::fit(&[&frame], |column| column != target)?;
        let bytes = (frame.rows() + test.rows()) * features.columns() * 8;
        let _memory = job.reserve(bytes, "rows of a learner")?;
        let (x, unseen) = (features.encode(&frame, job)?, features.encode(&test, job)?);
        for learner in ["boosted_trees", "linear"] {
            let of = match &classes {
                Some(classes) => {
                    let chances = chances(learner, &x, &labels, classes.count(), &unseen, job)?;
                    classification(&judged, &truth, &chances, classes, job)?
                }
                None => {
                    let expected = expected(learner, &x, &values, &unseen, job)?;
                    regression(&judged, &true_numbers, &expected, job)?
                }
            };
            figures.extend(of.into_iter().map(|f| f.of(learner, name).noting(&dropped)));
        }
    }
    job.progress("learning", last as u64, last as u64);
    Ok(figures)
}

fn place(frame: &Frame, target: &str) -> Result<usize> {
    let found = frame.columns().iter().position(|c| c.name() == target);
    let Some(place) = found else {
        return Err(Error::argument(format!("target: column '{target}' is not among the compared columns")));
    };
    match frame.columns()[place].domain {
        Domain::Identifier(_) => Err(Error::data(format!(
            "target: column '{target}' looks like an identifier; name the columns to use with columns => [...]"
        ))),
        _ => Ok(place),
    }
}

/// Numbers of the target in its own units; `None` for categories.
fn targets(frame: &Frame, target: usize) -> Option<Vec<f64>> {
    let column = &frame.columns()[target];
    match &column.values {
        Values::Number(values) => Some(in_units(column, values)),
        _ => None,
    }
}

/// Number of distinct values, up to 3.
fn distinct(numbers: &[Vec<f64>]) -> usize {
    let mut found: Vec<f64> = vec![];
    for value in numbers.iter().flatten().filter(|v| !v.is_nan()) {
        if !found.contains(value) {
            found.push(*value);
            if found.len() > 2 {
                break;
            }
        }
    }
    found.len()
}

/// The chance of every class for every unseen row.
fn chances(
    learner: &str,
    x: &Matrix,
    labels: &[u32],
    classes: usize,
    unseen: &Matrix,
    job: &Job,
) -> Result<Vec<Vec<f64>>> {
    let of = |chances: &(dyn Fn(&[f64]) -> Vec<f64> + Sync)| {
        (0..unseen.rows).into_par_iter().with_min_len(256).map(|row| chances(unseen.row(row))).collect()
    };
    Ok(match learner {
        "linear" => {
            let model = logistic(x, labels, classes, PENALTY, job)?;
            of(&|row| model.probabilities(row))
        }
        _ => {
            let model = boosted(x, Target::Classes(labels, classes), BoostedParams::default(), job)?;
            of(&|row| model.probabilities(row))
        }
    })
}

/// The number expected of every unseen row.
fn expected(learner: &str, x: &Matrix, values: &[f64], unseen: &Matrix, job: &Job) -> Result<Vec<f64>> {
    let of = |number: &(dyn Fn(&[f64]) -> f64 + Sync)| {
        (0..unseen.rows).into_par_iter().with_min_len(256).map(|row| number(unseen.row(row))).collect()
    };
    Ok(match learner {
        "linear" => {
            let model = ridge(x, values, PENALTY, job)?;
            of(&|row| model.number(row))
        }
        _ => {
            let model = boosted(x, Target::Numbers(values), BoostedParams::default(), job)?;
            of(&|row| model.number(row))
        }
    })
}

#[cfg(test)]
mod tests;
