//! The classifier two-sample test (Lopez-Paz & Oquab 2017): can a classifier tell synthetic rows from real ones?

use lookalike_core::{Error, Frame, Job, Result};
use lookalike_learners::{
    BoostedParams, Bootstrap, Features, Matrix, Roc, Target, boosted, logistic, normal_quantile, sorted_keys,
};

use crate::figure::{Better, Figure};
use crate::persons::{CONFIDENCE, Persons};

/// Parts that the persons are in; each is judged by what the others taught.
const FOLDS: usize = 5;

/// What a classifier says of a row: larger where it is rather synthetic.
type Score<'a> = &'a (dyn Fn(&[f64]) -> f64 + Sync);

/// Penalty of the weights of the regression, as in scikit-learn.
const RIDGE: f64 = 1.0;

pub(super) fn figures(real: &Frame, synthetic: &Frame, seed: u64, remark: &str, job: &Job) -> Result<Vec<Figure>> {
    let sides = [real, synthetic];
    let persons = sides.map(|frame| Persons::of(frame, seed));
    let folds = [persons[0].folds(FOLDS, "folds of real"), persons[1].folds(FOLDS, "folds of synthetic")];
    let names = ["c2st_auc_boosted", "c2st_auc_logistic"];
    let [Some(of_real), Some(of_synthetic)] = folds else {
        let reason = format!("it needs {FOLDS} persons or rows of either relation");
        return Ok(names.map(|n| Figure::new(n, f64::NAN, (0.5, Better::Nearer)).because(&reason)).into());
    };
    let features = Features::fit(&sides, |_| true)?;
    let rows: usize = sides.iter().map(|s| s.rows()).sum();
    let _memory = job.reserve(rows * features.columns() * 16, "rows of a classifier")?;
    let x = sides.map(|frame| features.encode(frame, job));
    let x: Vec<Matrix> = x.into_iter().collect::<Result<_>>()?;
    let folds = [of_real, of_synthetic];
    let mut areas = [vec![], vec![]];
    for fold in 0..FOLDS {
        let (train, labels) = stack(&x, |side, row| folds[side][row] != fold);
        let trees = boosted(&train, Target::Classes(&labels, 2), BoostedParams::default(), job)?;
        let line = logistic(&train, &labels, 2, RIDGE, job)?;
        let judged = |side: usize, score: Score<'_>| -> Vec<(f64, u32)> {
            let rows = (0..x[side].rows).filter(|&row| folds[side][row] == fold);
            rows.map(|row| (score(x[side].row(row)), persons[side].of_row(row))).collect()
        };
        let scores: [Score<'_>; 2] = [&|row| trees.log_odds(row), &|row| line.log_odds(row)];
        for (areas, score) in areas.iter_mut().zip(scores) {
            let scored = [judged(1, score), judged(0, score)];
            areas.push(area(&scored, persons.iter().any(Persons::are_given), seed, job)?);
        }
        job.progress("classifier two-sample test", fold as u64 + 1, FOLDS as u64);
    }
    let figure = |(name, areas): (&'static str, Vec<(f64, Option<f64>)>)| {
        let n = areas.len() as f64;
        let value = areas.iter().map(|a| a.0).sum::<f64>() / n;
        let errors: Option<Vec<f64>> = areas.iter().map(|a| a.1).collect();
        let interval = errors.map(|errors| {
            let half = normal_quantile(0.5 + CONFIDENCE / 2.0) * errors.iter().map(|e| e * e).sum::<f64>().sqrt() / n;
            ((value - half).max(0.0), (value + half).min(1.0))
        });
        Figure::new(name, value, (0.5, Better::Nearer))
            .within(interval)
            .noting(format!("mean of {FOLDS} folds"))
            .noting(remark)
    };
    Ok(names.into_iter().zip(areas).map(figure).collect())
}

/// Rows of both sides for which something holds, and the side of each.
fn stack(x: &[Matrix], wanted: impl Fn(usize, usize) -> bool) -> (Matrix, Vec<u32>) {
    let (mut values, mut labels) = (vec![], vec![]);
    for (side, x) in x.iter().enumerate() {
        for row in (0..x.rows).filter(|&row| wanted(side, row)) {
            values.extend_from_slice(x.row(row));
            labels.push(side as u32);
        }
    }
    (Matrix { rows: labels.len(), columns: x[0].columns, values }, labels)
}

/// The area and its standard error: DeLong's, or from resampled persons.
fn area(scored: &[Vec<(f64, u32)>; 2], by_person: bool, seed: u64, job: &Job) -> Result<(f64, Option<f64>)> {
    if by_person {
        let found = Bootstrap { seed, confidence: CONFIDENCE, ..Bootstrap::default() };
        let z = normal_quantile(0.5 + CONFIDENCE / 2.0);
        // Persons numbered without gaps: the others of this fold's persons are in other folds.
        let [synthetic, real] = scored.each_ref().map(|s| numbered(s));
        if let Some(e) = found.auc(&synthetic, &real, job)? {
            return Ok((e.value, Some((e.high - e.low) / (2.0 * z))));
        }
    }
    let keys = scored.each_ref().map(|s| sorted_keys(&s.iter().map(|p| p.0).collect::<Vec<_>>()));
    if keys.iter().any(Vec::is_empty) {
        return Err(Error::internal("a fold without rows"));
    }
    let auc = Roc::new(&keys[0], &keys[1]).auc();
    Ok((auc.area, if by_person { None } else { auc.standard_error }))
}

fn numbered(scored: &[(f64, u32)]) -> Vec<(f64, u32)> {
    let mut persons: Vec<u32> = scored.iter().map(|s| s.1).collect();
    persons.sort_unstable();
    persons.dedup();
    let number = |person: u32| persons.partition_point(|p| *p < person) as u32;
    scored.iter().map(|(score, person)| (*score, number(*person))).collect()
}
