//! How right a learner is on the rows of the test.

use lookalike_core::{Job, Result};
use lookalike_learners::{Bootstrap, Roc, sorted_keys};

use super::UtilityFigure;
use super::classes::Classes;
use crate::figure::Better;
use crate::persons::{CONFIDENCE, Persons};

type Measured = (f64, Option<(f64, f64)>);

/// The rows of the test.
pub(super) struct Judged {
    pub persons: Persons,
    pub rows: usize,
    pub seed: u64,
}

impl UtilityFigure {
    fn new(metric: &'static str, (value, interval): Measured, better: Better) -> Self {
        let value = Some(value).filter(|v| !v.is_nan());
        let interval = interval.filter(|(low, high)| value.is_some() && !low.is_nan() && !high.is_nan());
        Self { learner: "", trained_on: "", metric, value, interval, better, note: String::new() }
    }

    pub(super) fn of(self, learner: &'static str, trained_on: &'static str) -> Self {
        Self { learner, trained_on, ..self }
    }

    pub(super) fn noting(mut self, remark: &str) -> Self {
        if !remark.is_empty() {
            self.note = if self.note.is_empty() { remark.to_string() } else { format!("{}; {remark}", self.note) };
        }
        self
    }
}

const OF_CLASSES: [(&str, Better); 6] = [
    ("accuracy", Better::Higher),
    ("f1", Better::Higher),
    ("f1_macro", Better::Higher),
    ("auc", Better::Higher),
    ("log_loss", Better::Lower),
    ("brier", Better::Lower),
];

const OF_NUMBERS: [(&str, Better); 3] = [("r2", Better::Higher), ("rmse", Better::Lower), ("mae", Better::Lower)];

/// The figures of learners that had nothing to learn from.
pub(super) fn unlearned(trained_on: &'static str, is_classes: bool, reason: &str) -> Vec<UtilityFigure> {
    let metrics: &[(&'static str, Better)] = if is_classes { &OF_CLASSES } else { &OF_NUMBERS };
    let none = |learner| {
        let of = move |(metric, better): &(&'static str, Better)| {
            UtilityFigure::new(metric, (f64::NAN, None), *better).of(learner, trained_on)
        };
        metrics.iter().map(of).map(|f| f.noting(&format!("NULL: {reason}"))).collect::<Vec<_>>()
    };
    ["boosted_trees", "linear"].into_iter().flat_map(none).collect()
}

/// Figures of chances of classes: `truth` and `chances` a row of the test.
pub(super) fn classification(
    judged: &Judged,
    truth: &[u32],
    chances: &[Vec<f64>],
    classes: &Classes,
    job: &Job,
) -> Result<Vec<UtilityFigure>> {
    let persons = &judged.persons;
    let said: Vec<u32> = chances.iter().map(|c| most_likely(c)).collect();
    let right = persons.share(|row| said[row] == truth[row], job)?;
    // Of a class: true positives, false positives and false negatives.
    let found = |row: usize, class: usize| {
        let (is, says) = (truth[row] == class as u32, said[row] == class as u32);
        [is && says, says && !is, is && !says].map(|b| f64::from(u8::from(b)))
    };
    let of_positive = persons.figure(|row| found(row, classes.positive), f1, job)?;
    let occurs = |class: usize| truth.iter().chain(&said).any(|c| *c as usize == class);
    let occurring: Vec<usize> = (0..classes.count()).filter(|&c| occurs(c)).collect();
    let of_all = match occurring.as_slice() {
        [a, b] => persons.figure(
            |row| {
                let ([tp, fp, fn_], [tp2, fp2, fn2]) = (found(row, *a), found(row, *b));
                [tp, fp, fn_, tp2, fp2, fn2]
            },
            |[tp, fp, fn_, tp2, fp2, fn2]| (f1([tp, fp, fn_]) + f1([tp2, fp2, fn2])) / 2.0,
            job,
        )?,
        all => {
            let of = |class: usize| {
                let sums = (0..judged.rows).map(|row| found(row, class));
                f1(sums.fold([0.0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]))
            };
            (all.iter().map(|&c| of(c)).sum::<f64>() / all.len() as f64, None)
        }
    };
    let auc = area(judged, truth, chances, classes, job)?;
    let loss = persons.mean(|row| -libm::log(chances[row][truth[row] as usize].clamp(f64::EPSILON, 1.0)), job)?;
    let is_two = classes.count() == 2;
    let brier = persons.mean(
        |row| {
            let square = |(class, p): (usize, &f64)| {
                let error = p - f64::from(u8::from(class as u32 == truth[row]));
                error * error
            };
            let sum: f64 = chances[row].iter().enumerate().map(square).sum();
            if is_two { sum / 2.0 } else { sum }
        },
        job,
    )?;
    let class = format!("of the class '{}'", classes.names[classes.positive]);
    let one_class = truth.iter().all(|t| *t == truth[0]);
    let notes = [
        "",
        class.as_str(),
        if occurring.len() == 2 { "" } else { "mean of all classes that occur or are said" },
        match (one_class, is_two) {
            (true, _) => "NULL: the rows of 'test' are of one class",
            (false, true) => "",
            (false, false) => "mean of every class against all others",
        },
        "",
        if is_two { "" } else { "sum over classes" },
    ];
    let values = [right, of_positive, of_all, auc, loss, brier];
    let figure = |((name, better), (value, note)): ((&'static str, Better), (Measured, &str))| {
        UtilityFigure::new(name, value, better).noting(note)
    };
    Ok(OF_CLASSES.into_iter().zip(values.into_iter().zip(notes)).map(figure).collect())
}

/// The first of the likeliest classes.
fn most_likely(chances: &[f64]) -> u32 {
    let mut best = 0;
    for (class, p) in chances.iter().enumerate() {
        if *p > chances[best] {
            best = class;
        }
    }
    best as u32
}

/// The harmonic mean of precision and recall; 0 where a class neither occurs nor is said.
fn f1([hits, false_hits, misses]: [f64; 3]) -> f64 {
    let sum = 2.0 * hits + false_hits + misses;
    if sum > 0.0 { 2.0 * hits / sum } else { 0.0 }
}

/// The area under the curve of the positive class, or the mean over the classes that the test has where there are more
/// than two. NaN where the test has one class.
fn area(judged: &Judged, truth: &[u32], chances: &[Vec<f64>], classes: &Classes, job: &Job) -> Result<Measured> {
    let split = |class: usize| -> [Vec<(f64, usize)>; 2] {
        let of = |is: bool| {
            let rows = (0..judged.rows).filter(|&row| (truth[row] as usize == class) == is);
            rows.map(|row| (chances[row][class], row)).collect()
        };
        [of(true), of(false)]
    };
    let of = |sides: &[Vec<(f64, usize)>; 2]| {
        let keys = sides.each_ref().map(|side| sorted_keys(&side.iter().map(|s| s.0).collect::<Vec<_>>()));
        Roc::new(&keys[0], &keys[1]).auc()
    };
    if classes.count() != 2 {
        let all: Vec<f64> = (0..classes.count())
            .map(split)
            .filter(|sides| sides.iter().all(|side| !side.is_empty()))
            .map(|sides| of(&sides).area)
            .collect();
        return Ok((all.iter().sum::<f64>() / all.len() as f64, None));
    }
    let sides = split(classes.positive);
    if sides.iter().any(Vec::is_empty) {
        return Ok((f64::NAN, None));
    }
    let auc = of(&sides);
    if !judged.persons.are_given() {
        return Ok((auc.area, auc.interval));
    }
    // Persons numbered without gaps on either side; one with rows of both is drawn on either.
    let persons = sides.each_ref().map(|side| {
        let mut held: Vec<u32> = side.iter().map(|s| judged.persons.of_row(s.1)).collect();
        held.sort_unstable();
        held.dedup();
        let number = |row: usize| held.partition_point(|p| *p < judged.persons.of_row(row)) as u32;
        side.iter().map(|(score, row)| (*score, number(*row))).collect::<Vec<_>>()
    });
    let boot = Bootstrap { seed: judged.seed, confidence: CONFIDENCE, ..Bootstrap::default() };
    let interval = boot.auc(&persons[0], &persons[1], job)?.map(|e| (e.low, e.high));
    Ok((auc.area, interval))
}

/// Figures of numbers.
pub(super) fn regression(judged: &Judged, truth: &[f64], said: &[f64], job: &Job) -> Result<Vec<UtilityFigure>> {
    let persons = &judged.persons;
    let error = |row: usize| truth[row] - said[row];
    // Differences from a value that occurs keep their digits where all values are far from 0.
    let least = truth.iter().copied().fold(f64::INFINITY, f64::min);
    let squares = |row: usize| {
        let (e, y) = (error(row), truth[row] - least);
        [e * e, y, y * y, 1.0]
    };
    // As far as rounding lets one tell whether there is any spread to explain.
    let r2 = |[errors, sum, squares, rows]: [f64; 4]| {
        let spread = squares - sum * sum / rows;
        if spread > 1e-12 * squares { 1.0 - errors / spread } else { f64::NAN }
    };
    let values = [
        persons.figure(squares, r2, job)?,
        persons.figure(|row| [error(row) * error(row), 1.0], |[sum, rows]| (sum / rows).sqrt(), job)?,
        persons.mean(|row| error(row).abs(), job)?,
    ];
    let figure = |((name, better), value): ((&'static str, Better), Measured)| {
        let missing = if value.0.is_nan() { "NULL: the rows of 'test' have one value of the target" } else { "" };
        UtilityFigure::new(name, value, better).noting(missing)
    };
    Ok(OF_NUMBERS.into_iter().zip(values).map(figure).collect())
}
