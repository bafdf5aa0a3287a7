//! Which sets of synthetic rows were made with a target, judged by features of the sets.

/// Features of the sets that shadow generators made, and of the set under attack.
///
/// The classifier is a logistic regression with a quadratic penalty. There are more features than shadows, and few of them
/// may tell anything, so each feature is weighed by its correlation with the label over the shadows, and the regression
/// is solved in its dual, where it sees the features through their inner products alone.
pub(super) struct Sets {
    /// Standard scores over the shadows, feature by feature, the set under attack last; each group of features has weight 1.
    features: Vec<Vec<f64>>,
    shadows: usize,
}

/// Penalty on the squared weights, where a typical point has length 1.
const PENALTY: f64 = 0.1;
/// Newton steps; four or five are typical.
const MAX_STEPS: usize = 50;

impl Sets {
    /// From groups of features, each with a row a shadow and a last row for the set under attack. Groups count alike,
    /// whatever the number of their features; features that are the same for all shadows count for nothing.
    pub fn new(groups: &[&[Vec<f64>]]) -> Self {
        let shadows = groups.first().map_or(0, |g| g.len()).saturating_sub(1);
        let mut features: Vec<Vec<f64>> = vec![];
        for group in groups {
            let start = features.len();
            for feature in 0..group.first().map_or(0, Vec::len) {
                let values: Vec<f64> = group.iter().map(|set| set[feature]).collect();
                features.extend(standardised(values, shadows));
            }
            let weight = 1.0 / ((features.len() - start) as f64).sqrt();
            features[start..].iter_mut().flatten().for_each(|v| *v *= weight);
        }
        Self { features, shadows }
    }

    /// The log odds that the set under attack was made with the target, where `is_in` tells it of the shadows.
    pub fn log_odds(&self, is_in: &[bool]) -> f64 {
        let n = self.shadows;
        let share = is_in.iter().filter(|&&l| l).count() as f64 / n as f64;
        let labels: Vec<f64> = is_in.iter().map(|&l| f64::from(u8::from(l)) - share).collect();
        let spread = labels.iter().map(|l| l * l).sum::<f64>();
        // Inner products of the shadows, and of each with the set under attack.
        let (mut products, mut observed) = (vec![0.0; n * n], vec![0.0; n]);
        for feature in &self.features {
            let (values, last) = (&feature[..n], feature[n]);
            let covariance: f64 = values.iter().zip(&labels).map(|(v, l)| v * l).sum();
            let squares: f64 = values.iter().map(|v| v * v).sum();
            let weight = covariance * covariance / (squares * spread);
            for (i, a) in values.iter().enumerate() {
                let a = a * weight;
                products[i * n..][..=i].iter_mut().zip(values).for_each(|(out, b)| *out += a * b);
                observed[i] += a * last;
            }
        }
        let length = (0..n).map(|i| products[i * n + i]).sum::<f64>() / n as f64;
        if length > 0.0 {
            products.iter_mut().chain(&mut observed).for_each(|v| *v /= length);
        }
        let (weights, constant) = kernel_logistic(&products, is_in);
        constant + observed.iter().zip(&weights).map(|(k, a)| k * a).sum::<f64>()
    }
}

/// Standard scores over the shadows; `None` where these are all equal.
fn standardised(mut values: Vec<f64>, shadows: usize) -> Option<Vec<f64>> {
    let n = shadows as f64;
    let mean = values[..shadows].iter().sum::<f64>() / n;
    let variance = values[..shadows].iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    // Equal values may differ from their mean by rounding.
    if variance <= 1e-24 * mean * mean {
        return None;
    }
    let sd = variance.sqrt();
    values.iter_mut().for_each(|v| *v = (*v - mean) / sd);
    Some(values)
}

/// Minimises sum log(1 + exp(-+f_i)) + PENALTY / 2 a'Ka over a and b, where f = Ka + b. `products` holds the lower triangle
/// of K. Returns a and b.
///
/// Newton's method (iteratively reweighted least squares): with W = p(1 - p) and the working response z = f + (y - p)/W,
/// the next a and b solve (K + PENALTY W^-1) a + b = z and sum a = 0. Steps that do not lower the objective are halved.
fn kernel_logistic(products: &[f64], is_in: &[bool]) -> (Vec<f64>, f64) {
    let n = is_in.len();
    let at = |i: usize, j: usize| products[if i >= j { i * n + j } else { j * n + i }];
    let image = |a: &[f64]| -> Vec<f64> { (0..n).map(|i| (0..n).map(|j| at(i, j) * a[j]).sum()).collect() };
    let objective = |a: &[f64], b: f64| {
        let f = image(a);
        let loss: f64 = f.iter().zip(is_in).map(|(f, &l)| softplus(if l { -(f + b) } else { f + b })).sum();
        loss + 0.5 * PENALTY * f.iter().zip(a).map(|(f, a)| f * a).sum::<f64>()
    };
    let (mut a, mut b) = (vec![0.0; n], 0.0);
    let mut best = objective(&a, b);
    for _ in 0..MAX_STEPS {
        let f = image(&a);
        let p: Vec<f64> = f.iter().map(|f| 1.0 / (1.0 + libm::exp(-(f + b)))).collect();
        let w: Vec<f64> = p.iter().map(|p| (p * (1.0 - p)).max(1e-9)).collect();
        let z: Vec<f64> = (0..n).map(|i| f[i] + b + (f64::from(u8::from(is_in[i])) - p[i]) / w[i]).collect();
        let mut matrix = products.to_vec();
        (0..n).for_each(|i| matrix[i * n + i] += PENALTY / w[i]);
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

/// log(1 + exp(x)) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
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
    use super::*;
    use crate::test_frames::stream;
    use lookalike_core::standard_normal;

    #[test]
    fn the_regression_is_where_its_gradient_is_zero() {
        // Random inner products of seven points in three dimensions.
        let mut rng = stream(1);
        let points: Vec<[f64; 2]> = (0..7).map(|_| standard_normal(&mut rng)).collect();
        let is_in = [true, false, true, true, false, false, true];
        let mut products = vec![0.0; 49];
        for i in 0..7 {
            for j in 0..=i {
                products[i * 7 + j] = points[i][0] * points[j][0] + points[i][1] * points[j][1];
            }
        }
        let (a, b) = kernel_logistic(&products, &is_in);
        // Weights of the two coordinates; the gradient of loss and penalty in them, and of the loss in the constant.
        let weights = [0, 1].map(|k| a.iter().zip(&points).map(|(a, p)| a * p[k]).sum::<f64>());
        let mut gradient = [PENALTY * weights[0], PENALTY * weights[1], 0.0];
        for (point, &label) in points.iter().zip(&is_in) {
            let p = 1.0 / (1.0 + (-(weights[0] * point[0] + weights[1] * point[1] + b)).exp());
            let error = p - f64::from(u8::from(label));
            [point[0], point[1], 1.0].iter().zip(&mut gradient).for_each(|(x, g)| *g += error * x);
        }
        assert!(gradient.iter().all(|g| g.abs() < 1e-4), "{gradient:?}");
    }

    #[test]
    fn one_feature_among_many_decides() {
        // Feature 7 of a hundred is the label, the others are noise; the set under attack has it, or has it not.
        let mut rng = stream(2);
        let is_in: Vec<bool> = (0..64).map(|i| i % 2 == 0).collect();
        for label in [true, false] {
            let set = |l: bool, rng: &mut _| -> Vec<f64> {
                (0..100).map(|f| if f == 7 { f64::from(u8::from(l)) } else { standard_normal(rng)[0] }).collect()
            };
            let mut rows: Vec<Vec<f64>> = is_in.iter().map(|&l| set(l, &mut rng)).collect();
            rows.push(set(label, &mut rng));
            let odds = Sets::new(&[&rows]).log_odds(&is_in);
            assert!(if label { odds > 1.0 } else { odds < -1.0 }, "{odds}");
        }
        // Features that never differ say nothing: the odds are those of the shadows, 1 to 1.
        let rows = vec![vec![0.1 + 0.2, 3.0]; 65];
        assert_eq!(Sets::new(&[&rows]).log_odds(&is_in), 0.0);
    }
}
