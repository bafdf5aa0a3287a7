//! A mixture of Gaussians of one column, fitted to its quantile table.

use lookalike_core::{Result, Stream, uniform};

use crate::codec::{Reader, Writer, ensure};

/// Gaussians with weights that sum to 1, in ascending order of their means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mixture {
    gaussians: Vec<Gaussian>,
    /// Log weight over deviation of each.
    heights: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Gaussian {
    weight: f64,
    mean: f64,
    deviation: f64,
}

/// Prior rows of each mode (CTGAN's 0.001): modes that the data do not need get none.
const CONCENTRATION: f64 = 1e-3;
/// Modes of less weight are left out (CTGAN's 0.005).
const LEAST_WEIGHT: f64 = 0.005;
/// Four times as much is still a number.
const WIDEST: f64 = f64::MAX / 8.0;
const STEPS: usize = 100;
/// The fit ends when no weight moves by more.
const TOLERANCE: f64 = 1e-4;

/// What is believed of a mode: a Dirichlet weight, a normal mean given a gamma precision.
struct Belief {
    /// Rows it answers for.
    rows: f64,
    mean: f64,
    /// Rows the mean is worth.
    beta: f64,
    shape: f64,
    rate: f64,
}

impl Mixture {
    /// Variational Bayes (Bishop 2006, Pattern Recognition and Machine Learning, section 10.2) with a symmetric Dirichlet prior on
    /// the weights and one prior row for mean and variance, from evenly filled pieces `(low, high, rows)` in ascending
    /// order; a value of many rows stands for the space up to its neighbours, so that no mode shrinks to it. It starts at
    /// evenly spread quantiles; no mode without pieces.
    pub fn fit(pieces: &[(f64, f64, u64)], modes: usize) -> Self {
        let total: f64 = pieces.iter().map(|p| p.2 as f64).sum();
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Self::new(vec![]) };
        // In units of the largest distance from the middle of the range, so that squares cannot overflow.
        let (low, high) = (first.0, last.1);
        let centre = low * 0.5 + high * 0.5;
        let unit = (high * 0.5 - low * 0.5).max(f64::MIN_POSITIVE);
        let gap = |i: usize| pieces.get(i).map_or(f64::INFINITY, |p| p.0 / unit - pieces[i - 1].1 / unit);
        let points: Vec<(f64, f64, f64)> = pieces
            .iter()
            .enumerate()
            .map(|(i, &(low, high, rows))| {
                let around = gap(i + 1).min(if i > 0 { gap(i) } else { f64::INFINITY });
                let around = if around.is_finite() { around.max(0.0) } else { 0.0 };
                let width = (high / unit - low / unit).max(0.0) + around;
                ((low * 0.5 + high * 0.5 - centre) / unit, width * width / 12.0, rows as f64)
            })
            .collect();
        let at_share = |share: f64| {
            let mut below = 0.0;
            let reaches = |p: &&(f64, f64, f64)| {
                below += p.2;
                below >= total * share
            };
            points.iter().find(reaches).map_or(0.0, |p| p.0)
        };
        let mean = points.iter().map(|(x, _, n)| x * n / total).sum::<f64>();
        let variance = points.iter().map(|(x, v, n)| ((x - mean) * (x - mean) + v) * n / total).sum::<f64>();
        let modes = modes.min(points.len());
        // What a mode spans at first, and its prior: of the inner values, for a few far ones can make the variance anything. A
        // spread of nothing is a mode as narrow as numbers allow.
        let inner = (at_share(0.9) - at_share(0.1)) / modes as f64;
        let prior = (inner * inner).min(variance).max(1e-24);
        let mut beliefs: Vec<Belief> = (0..modes)
            .map(|k| {
                let rows = total / modes as f64;
                let (mean, shape) = (at_share((k as f64 + 0.5) / modes as f64), 0.5 * (rows + 1.0));
                Belief { rows, mean, beta: rows + 1.0, shape, rate: shape * prior }
            })
            .collect();
        let mut logs = vec![0.0; modes];
        for _ in 0..STEPS {
            // Rows, sum and squares around the mean of all, of each mode.
            let mut sums = vec![[0.0f64; 3]; modes];
            let constants: Vec<[f64; 2]> = beliefs.iter().map(Belief::constants).collect();
            for &(x, v, n) in &points {
                let each = constants.iter().zip(&beliefs);
                logs.iter_mut().zip(each).for_each(|(log, ([constant, precision], b))| {
                    *log = constant - 0.5 * precision * ((x - b.mean) * (x - b.mean) + v);
                });
                let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                logs.iter_mut().for_each(|log| *log = libm::exp(*log - largest));
                let sum = logs.iter().sum::<f64>();
                for (s, share) in sums.iter_mut().zip(&logs) {
                    let (rows, d) = (share / sum * n, x - mean);
                    s[0] += rows;
                    s[1] += rows * d;
                    s[2] += rows * (d * d + v);
                }
            }
            let mut change = 0.0f64;
            for (belief, [rows, sum, squares]) in beliefs.iter_mut().zip(sums) {
                change = change.max((belief.rows - rows).abs() / total);
                // The prior is one row at the mean of all.
                let beta = rows + 1.0;
                let at = sum / beta;
                let rate = 0.5 * (prior + (squares - beta * at * at).max(0.0));
                *belief = Belief { rows, mean: mean + at, beta, shape: 0.5 * (rows + 1.0), rate };
            }
            if change < TOLERANCE {
                break;
            }
        }
        let kept = |b: &&Belief| b.rows >= LEAST_WEIGHT * total;
        let rows: f64 = beliefs.iter().filter(kept).map(|b| b.rows).sum();
        let mut gaussians: Vec<Gaussian> = beliefs
            .iter()
            .filter(kept)
            .map(|b| Gaussian {
                weight: b.rows / rows,
                mean: (centre + b.mean * unit).clamp(low, high),
                deviation: (libm::sqrt(b.rate / b.shape) * unit).clamp(f64::MIN_POSITIVE, WIDEST),
            })
            .collect();
        gaussians.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        Self::new(gaussians)
    }

    fn new(gaussians: Vec<Gaussian>) -> Self {
        let heights = gaussians.iter().map(|g| libm::log(g.weight / g.deviation)).collect();
        Self { gaussians, heights }
    }

    /// Number of modes.
    pub fn len(&self) -> usize {
        self.gaussians.len()
    }

    pub fn weights(&self) -> impl Iterator<Item = f64> + '_ {
        self.gaussians.iter().map(|g| g.weight)
    }

    /// A mode drawn from the posterior of the value. `weights` is room for a number a mode; there is at least one.
    pub fn draw(&self, value: f64, weights: &mut [f64], rng: &mut Stream) -> usize {
        for ((weight, g), height) in weights.iter_mut().zip(&self.gaussians).zip(&self.heights) {
            let z = (value - g.mean) / g.deviation;
            *weight = height - 0.5 * z * z;
        }
        let largest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Far from all modes every weight is zero: then the nearest by its own measure.
        if largest == f64::NEG_INFINITY {
            let far = |g: &Gaussian| ((value / g.deviation) - (g.mean / g.deviation)).abs();
            return (0..self.len())
                .reduce(|a, b| if far(&self.gaussians[b]) < far(&self.gaussians[a]) { b } else { a })
                .unwrap_or(0);
        }
        // What comes up less than once in 1e13 rows is not worth its exponential.
        weights.iter_mut().for_each(|w| *w = if *w < largest - 30.0 { 0.0 } else { libm::exp(*w - largest) });
        let mut left = uniform(rng) * weights.iter().sum::<f64>();
        let fits = |weight: &f64| {
            left -= weight;
            left < 0.0
        };
        weights.iter().position(fits).unwrap_or(self.len() - 1)
    }

    /// Where a value lies within a mode: in -1..1, four standard deviations each way.
    pub fn scalar(&self, value: f64, mode: usize) -> f32 {
        let g = self.gaussians[mode];
        ((value - g.mean) / (4.0 * g.deviation)).clamp(-1.0, 1.0) as f32
    }

    /// The value at that place; NaN counts as the middle.
    pub fn value(&self, scalar: f32, mode: usize) -> f64 {
        let g = self.gaussians[mode];
        let scalar = if scalar.is_nan() { 0.0 } else { f64::from(scalar.clamp(-1.0, 1.0)) };
        (g.mean + 4.0 * g.deviation * scalar).clamp(f64::MIN, f64::MAX)
    }

    pub fn save(&self, w: &mut Writer) {
        w.list(&self.gaussians, |w, g| [g.weight, g.mean, g.deviation].into_iter().for_each(|v| w.f64(v)));
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let gaussians = r.list(24, |r| Ok(Gaussian { weight: r.f64()?, mean: r.f64()?, deviation: r.f64()? }))?;
        let is_valid = |g: &Gaussian| {
            (0.0..=1.0).contains(&g.weight) && g.mean.is_finite() && g.deviation > 0.0 && g.deviation <= WIDEST
        };
        ensure(gaussians.iter().all(is_valid))?;
        Ok(Self::new(gaussians))
    }
}

impl Belief {
    /// Expected log weight and log density at the mean without the quadratic term, and expected precision. The weights' common normaliser is left out.
    fn constants(&self) -> [f64; 2] {
        let precision = self.shape / self.rate;
        let log_precision = digamma(self.shape) - libm::log(self.rate);
        [digamma(CONCENTRATION + self.rows) + 0.5 * (log_precision - 1.0 / self.beta), precision]
    }
}

/// The logarithmic derivative of the gamma function for positive x: recurrence up to 6, then the asymptotic series
/// (Abramowitz & Stegun 1964, 6.3.5 and 6.3.18).
fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 6.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = square
        * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square * (1.0 / 240.0 - square / 132.0))));
    sum + libm::log(x) - 0.5 / x - series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digamma_by_known_values() {
        // psi(1) = -gamma, psi(1/2) = -gamma - 2 ln 2, psi(x + 1) = psi(x) + 1/x.
        let gamma = 0.577_215_664_901_532_9;
        assert!((digamma(1.0) + gamma).abs() < 1e-9);
        assert!((digamma(0.5) + gamma + 2.0 * 2f64.ln()).abs() < 1e-9);
        assert!((digamma(1e-3) - (digamma(1.001) - 1e3)).abs() < 1e-9);
    }

    #[test]
    fn two_modes_are_found_and_the_rest_let_go() {
        // Pieces of the normals (0, 1) and (10, 0.5) with shares .3 and .7, by their densities.
        let density = |x: f64, m: f64, s: f64| (-0.5 * ((x - m) / s).powi(2)).exp() / s;
        let pieces: Vec<(f64, f64, u64)> = (-50..150)
            .map(|i| {
                let x = f64::from(i) * 0.1;
                let rows = 1e5 * (0.3 * density(x + 0.05, 0.0, 1.0) + 0.7 * density(x + 0.05, 10.0, 0.5));
                (x, x + 0.1, rows.round() as u64)
            })
            .filter(|p| p.2 > 0)
            .collect();
        let mixture = Mixture::fit(&pieces, 2);
        let [a, b] = mixture.gaussians[..] else { panic!("{mixture:?}") };
        for (found, expected) in
            [(a.weight, 0.3), (a.mean, 0.0), (a.deviation, 1.0), (b.mean, 10.0), (b.deviation, 0.5)]
        {
            assert!((found - expected).abs() < 0.01, "{mixture:?}");
        }
        // Ten modes describe the same density: at 200 points within .02 of its height.
        let mixture = Mixture::fit(&pieces, 10);
        for i in -50..150 {
            let x = f64::from(i) * 0.1;
            let found: f64 = mixture.gaussians.iter().map(|g| g.weight * density(x, g.mean, g.deviation)).sum();
            let expected = 0.3 * density(x, 0.0, 1.0) + 0.7 * density(x, 10.0, 0.5);
            assert!((found - expected).abs() < 0.03, "{x} {found} {expected} {mixture:?}");
        }
    }
}
