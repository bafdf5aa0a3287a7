//! The propensity score mean-squared error (Snoke et al. 2018, "General and specific utility measures for synthetic
//! data").

use lookalike_core::{Frame, Job, Result};
use lookalike_learners::{Features, independent_columns, logistic};
use rayon::prelude::*;

use crate::figure::{Better, Figure};

/// Penalty that keeps weights finite where a value occurs in one of the relations alone; small beside the rows of either.
const RIDGE: f64 = 0.1;

pub(super) fn figures(real: &Frame, synthetic: &Frame, remark: &str, job: &Job) -> Result<Vec<Figure>> {
    let features = Features::fit(&[real, synthetic], |_| true)?;
    let both = Frame::stack(&[real, synthetic])?;
    let _memory = job.reserve(both.rows() * features.columns() * 8, "columns of a regression")?;
    let x = features.encode(&both, job)?;
    let labels: Vec<u32> = (0..both.rows()).map(|row| u32::from(row >= real.rows())).collect();
    let model = logistic(&x, &labels, 2, RIDGE, job)?;
    let share = synthetic.rows() as f64 / both.rows() as f64;
    // Sums in canonical order do not depend on the order of the rows.
    let order = both.canonical_order();
    let errors: Vec<f64> = order
        .par_iter()
        .with_min_len(1024)
        .map(|&row| {
            let error = model.probabilities(x.row(row as usize))[1] - share;
            error * error
        })
        .collect();
    let rows = both.rows() as f64;
    let pmse = errors.iter().sum::<f64>() / rows;
    let parameters = independent_columns(&x, job)?;
    let unit = (1.0 - share) * (1.0 - share) * share / rows;
    let (expected, deviation) = (parameters as f64 * unit, (2.0 * parameters as f64).sqrt() * unit);
    let reason = "every column has one value alone: there is nothing to tell the relations apart by";
    let persons = match real.units().or(synthetic.units()) {
        Some(_) => "rows of one person are taken as independent, which raises it",
        None => "",
    };
    let another = format!("another sample of real rows has about {:.3}", 1.0 / (1.0 - share));
    let how = format!("logistic regression with {parameters} weights beside the intercept");
    // Without a weight both are 0 / 0.
    Ok(vec![
        Figure::new("pmse", pmse, (expected, Better::Lower)).noting(how),
        Figure::new("pmse_ratio", pmse / expected, (1.0, Better::Lower))
            .noting(another)
            .noting(persons)
            .because(reason),
        Figure::new("pmse_standardised", (pmse - expected) / deviation, (0.0, Better::Lower))
            .noting(persons)
            .because(reason),
    ]
    .into_iter()
    .map(|f| f.noting(remark))
    .collect())
}
