//! The propensity score mean-squared error (Snoke et al. 2018, "General and specific utility measures for synthetic
//! data").

use lookalike_core::{Frame, Job, Result};
use lookalike_learners::{Features, Matrix, logistic};
use rayon::prelude::*;

use crate::figure::{Better, Figure};

/// Penalty that keeps weights finite where a value occurs in one of the relations alone; as good as none.
const RIDGE: f64 = 1e-3;

/// A column whose variance is explained by those before it but for this share adds no parameter.
const TOLERANCE: f64 = 1e-7;

/// Rows of a block, whose sums are added in order.
const BLOCK: usize = 4096;

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
    let parameters = rank(&x, &order, job)?;
    let unit = (1.0 - share) * (1.0 - share) * share / rows;
    let (expected, deviation) = (parameters as f64 * unit, (2.0 * parameters as f64).sqrt() * unit);
    let reason = "every column has one value alone: there is nothing to tell the relations apart by";
    let persons = match real.units().or(synthetic.units()) {
        Some(_) => "rows of one person are taken as independent, which raises it",
        None => "",
    };
    let how = format!("logistic regression with {parameters} weights beside the intercept");
    // Without a weight both are 0 / 0.
    Ok(vec![
        Figure::new("pmse", pmse, (expected, Better::Lower)).noting(how),
        Figure::new("pmse_ratio", pmse / expected, (1.0, Better::Lower)).noting(persons).because(reason),
        Figure::new("pmse_standardised", (pmse - expected) / deviation, (0.0, Better::Lower))
            .noting(persons)
            .because(reason),
    ]
    .into_iter()
    .map(|f| f.noting(remark))
    .collect())
}

/// Number of linearly independent columns beside the intercept: those that a pivoted Cholesky decomposition of the
/// correlations gets through.
fn rank(x: &Matrix, order: &[u32], job: &Job) -> Result<usize> {
    let d = x.columns;
    let blocks = order.len().div_ceil(BLOCK);
    let _memory = job.reserve(8 * d * d * (blocks.min(rayon::current_num_threads() * 2) + 2), "correlations")?;
    let means: Vec<f64> = (0..d)
        .into_par_iter()
        .map(|c| order.iter().map(|&r| x.row(r as usize)[c]).sum::<f64>() / order.len() as f64)
        .collect();
    let mut products = vec![0.0; d * d];
    // A few blocks at a time, so that memory does not grow with the number of rows.
    for part in order.chunks(BLOCK * rayon::current_num_threads().max(1)) {
        job.check()?;
        let sums: Vec<Vec<f64>> = part
            .par_chunks(BLOCK)
            .map(|rows| {
                let mut sum = vec![0.0; d * d];
                let mut centred = vec![0.0; d];
                for &row in rows {
                    centred.iter_mut().zip(x.row(row as usize)).zip(&means).for_each(|((c, v), m)| *c = v - m);
                    for (i, a) in centred.iter().enumerate() {
                        sum[i * d..=i * d + i].iter_mut().zip(&centred).for_each(|(s, b)| *s += a * b);
                    }
                }
                sum
            })
            .collect();
        for sum in sums {
            products.iter_mut().zip(sum).for_each(|(p, s)| *p += s);
        }
    }
    Ok(independent(&mut products, d))
}

/// The rank of a matrix of inner products, whose lower triangle is read, row after row.
fn independent(products: &mut [f64], d: usize) -> usize {
    let scales: Vec<f64> = (0..d).map(|i| products[i * d + i].sqrt()).collect();
    let at = |i: usize, j: usize| if i >= j { i * d + j } else { j * d + i };
    let mut left: Vec<usize> = (0..d).filter(|&i| scales[i] > 0.0).collect();
    for i in 0..d {
        for j in 0..=i {
            products[at(i, j)] /= scales[i] * scales[j];
        }
    }
    let mut rank = 0;
    while let Some(place) = (0..left.len())
        .max_by(|&a, &b| products[at(left[a], left[a])].total_cmp(&products[at(left[b], left[b])]).then(b.cmp(&a)))
    {
        let pivot = left.swap_remove(place);
        let size = products[at(pivot, pivot)];
        if size <= TOLERANCE {
            break;
        }
        rank += 1;
        let row: Vec<f64> = left.iter().map(|&i| products[at(i, pivot)]).collect();
        for (a, &i) in left.iter().enumerate() {
            for (b, &j) in left[..=a].iter().enumerate() {
                products[at(i, j)] -= row[a] * row[b] / size;
            }
        }
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_by_hand() {
        let of = |rows: &[&[f64]]| {
            let x = Matrix { rows: rows.len(), columns: rows[0].len(), values: rows.concat() };
            let order: Vec<u32> = (0..rows.len() as u32).collect();
            rank(&x, &order, &Job::unbounded()).unwrap()
        };
        // The third column is the sum of the others, the fourth is constant.
        assert_eq!(
            of(&[&[1.0, 0.0, 1.0, 5.0], &[0.0, 1.0, 1.0, 5.0], &[1.0, 1.0, 2.0, 5.0], &[0.0, 0.0, 0.0, 5.0]]),
            2
        );
        // One-hot columns of three categories: the last is what the intercept and the others leave.
        assert_eq!(of(&[&[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0], &[0.0, 0.0, 1.0], &[0.0, 0.0, 1.0]]), 2);
        assert_eq!(of(&[&[3.0], &[3.0]]), 0);
    }
}
