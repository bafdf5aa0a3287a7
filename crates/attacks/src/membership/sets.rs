//! Which sets of synthetic rows were made with a target, judged by features of the sets.

use lookalike_learners::dual_logistic;

/// Features of the sets that shadow generators made, and of the set under attack.
///
/// The classifier is a logistic regression with a quadratic penalty. There are more features than shadows, and few of them
/// may tell anything, so each feature is scaled by its correlation with the label over the shadows, and the
/// regression is solved in its dual, where it sees the features through their inner products alone.
pub(super) struct Sets {
    /// Standard scores over the shadows, feature by feature, the set under attack last; each group of features has weight 1.
    features: Vec<Vec<f64>>,
    shadows: usize,
}

/// Penalty on the squared weights, where a typical point has length 1.
const RIDGE: f64 = 0.1;

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
        let (weights, intercept) = dual_logistic(&products, is_in, RIDGE);
        intercept + observed.iter().zip(&weights).map(|(k, a)| k * a).sum::<f64>()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_frames::stream;
    use lookalike_core::standard_normal;

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
