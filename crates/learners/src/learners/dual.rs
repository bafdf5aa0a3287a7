//! Logistic regression of two classes in its dual, for more columns than rows.

use super::{sigmoid, softplus};

/// Newton steps; four or five are typical.
const MAX_STEPS: usize = 50;

/// The regression of [`logistic`](super::logistic) for two classes, seen through the inner products of the rows alone:
/// its weights are a sum of rows, w = sum a_i x_i, and a has as many entries as there are rows, whatever the number of
/// columns. `products` holds the n x n inner products K row after row, of which the lower triangle is read. Returns a
/// and the intercept b; the log odds of a point are b plus the sum of a_i times its inner product with row i.
///
/// It minimises sum log(1 + exp(-+f_i)) + ridge / 2 a'Ka over a and b, where f = Ka + b, by Newton's method
/// (iteratively reweighted least squares): with W = p(1 - p) and the working response z = f + (y - p)/W, the next a and
/// b solve (K + ridge W^-1) a + b = z and sum a = 0 (Hastie, Tibshirani & Friedman 2009, The Elements of Statistical
/// Learning, sections 4.4.1 and 18.3.5). Steps that do not lower the objective are halved. Memory is 8 n^2 bytes and a
/// step takes n^3 / 3 multiplications, so it is for hundreds of rows; sums go over rows in the order given.
pub fn dual_logistic(products: &[f64], labels: &[bool], ridge: f64) -> (Vec<f64>, f64) {
    let n = labels.len();
    let at = |i: usize, j: usize| products[if i >= j { i * n + j } else { j * n + i }];
    let image = |a: &[f64]| -> Vec<f64> { (0..n).map(|i| (0..n).map(|j| at(i, j) * a[j]).sum()).collect() };
    let objective = |a: &[f64], b: f64| {
        let f = image(a);
        let loss: f64 = f.iter().zip(labels).map(|(f, &l)| softplus(if l { -(f + b) } else { f + b })).sum();
        loss + 0.5 * ridge * f.iter().zip(a).map(|(f, a)| f * a).sum::<f64>()
    };
    let (mut a, mut b) = (vec![0.0; n], 0.0);
    let mut best = objective(&a, b);
    for _ in 0..MAX_STEPS {
        let f = image(&a);
        let p: Vec<f64> = f.iter().map(|f| sigmoid(f + b)).collect();
        let w: Vec<f64> = p.iter().map(|p| (p * (1.0 - p)).max(1e-9)).collect();
        let z: Vec<f64> = (0..n).map(|i| f[i] + b + (f64::from(u8::from(labels[i])) - p[i]) / w[i]).collect();
        let mut matrix = products.to_vec();
        (0..n).for_each(|i| matrix[i * n + i] += ridge / w[i]);
        factorise(&mut matrix, n);
        let (of_ones, of_z) = (solve(&matrix, vec![1.0; n]), solve(&matrix, z));
        let next_b = of_z.iter().sum::<f64>() / of_ones.iter().sum::<f64>();
        let next_a: Vec<f64> = of_z.iter().zip(&of_ones).map(|(v, u)| v - next_b * u).collect();
        let mut step = 1.0;
        let improved = loop {
            let trial_a: Vec<f64> = a.iter().zip(&next_a).map(|(a, next)| a + step * (next - a)).collect();
            let trial_b = b + step * (next_b - b);
            let value = objective(&trial_a, trial_b);
            if value < best {
                let gain = best - value;
                (a, b, best) = (trial_a, trial_b, value);
                break gain > 1e-10 * best.abs();
            }
            step *= 0.5;
            if step < 1e-6 {
                break false;
            }
        };
        if !improved {
            break;
        }
    }
    (a, b)
}

/// The lower Cholesky factor of a symmetric positive definite matrix, in place of its lower triangle.
fn factorise(matrix: &mut [f64], n: usize) {
    for i in 0..n {
        let (above, row) = matrix.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..][..=j];
            let known: f64 = row[..j].iter().zip(other).map(|(a, b)| a * b).sum();
            row[j] = (row[j] - known) / other[j];
        }
        let known: f64 = row[..i].iter().map(|v| v * v).sum();
        row[i] = (row[i] - known).max(f64::MIN_POSITIVE).sqrt();
    }
}

fn solve(factor: &[f64], mut x: Vec<f64>) -> Vec<f64> {
    let n = x.len();
    for i in 0..n {
        let known: f64 = (0..i).map(|j| factor[i * n + j] * x[j]).sum();
        x[i] = (x[i] - known) / factor[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| factor[j * n + i] * x[j]).sum();
        x[i] = (x[i] - known) / factor[i * n + i];
    }
    x
}

#[cfg(test)]
mod tests {
    use lookalike_core::{Job, standard_normal};

    use super::*;
    use crate::learners::{Matrix, logistic};
    use crate::test_frames::stream;

    /// Inner products of points.
    fn products(points: &[Vec<f64>]) -> Vec<f64> {
        let product = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum();
        points.iter().flat_map(|a| points.iter().map(move |b| product(a, b))).collect()
    }

    #[test]
    fn both_forms_find_the_same_weights() {
        // Fewer columns than rows, as many, and more.
        let labels = [true, false, true, true, false, false, true];
        for (columns, ridge) in [(2, 0.1), (7, 1.0), (40, 0.1)] {
            let mut rng = stream(1);
            let points: Vec<Vec<f64>> =
                (0..7).map(|_| (0..columns).map(|_| standard_normal(&mut rng)[0]).collect()).collect();
            let (a, b) = dual_logistic(&products(&points), &labels, ridge);
            let x = Matrix { rows: 7, columns, values: points.concat() };
            let linear = logistic(&x, &labels.map(u32::from), 2, ridge, &Job::unbounded()).unwrap();
            let weights = (0..columns).map(|c| a.iter().zip(&points).map(|(a, p)| a * p[c]).sum::<f64>());
            for (dual, primal) in weights.chain([b]).zip(linear.weights()) {
                // The search in the columns ends at gradients of 1e-9 a row where the curvature is 0.1 at least, so it is
                // within 7e-8; Newton's last step gains less than 1e-10, and its error is of the order of the square.
                assert!((dual - primal).abs() < 1e-6, "{columns} columns: {dual} {primal}");
            }
        }
    }
}
