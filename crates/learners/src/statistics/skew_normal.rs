//! The skew-normal distribution (Azzalini 1985): density 2 phi(z) Phi(a z) / scale with z = (x - loc) / scale.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

/// A skew-normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkewNormal {
    /// Shape; 0 is the normal distribution.
    pub shape: f64,
    /// Location.
    pub location: f64,
    /// Scale, above 0.
    pub scale: f64,
}

/// Points and weights of Gauss & Legendre on [-1, 1], the positive half of ten.
const NODES: [(f64, f64); 5] = [
    (0.148_874_338_981_631_22, 0.295_524_224_714_752_87),
    (0.433_395_394_129_247_2, 0.269_266_719_309_996_35),
    (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
    (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
    (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
];

/// A shape beyond this is a fit that runs away: a half-normal, whose likelihood grows without a maximum.
const LARGEST_SHAPE: f64 = 1e3;

impl SkewNormal {
    /// The logarithm of the density.
    pub fn log_density(&self, x: f64) -> f64 {
        let z = (x - self.location) / self.scale;
        standard(z, self.shape) - libm::log(self.scale)
    }

    /// The logarithm of the probability of at most `x`, exact far below the mean as well, where differences of Owen's T
    /// have no digits left: the density is integrated downwards from `x` in steps that follow its decay.
    pub fn log_cdf(&self, x: f64) -> f64 {
        let z = (x - self.location) / self.scale;
        // Above the mode the rest is smaller: F(z; a) = 1 - F(-z; -a).
        if z > 0.0 && z > 1.0 / (1.0 + self.shape.abs()) {
            let above = libm::exp(log_integral(-z, -self.shape));
            return libm::log1p(-above.min(1.0));
        }
        log_integral(z, self.shape)
    }

    /// The maximum-likelihood fit; `None` for fewer than eight values, values that are not finite or all equal, and where
    /// the likelihood has no maximum at a finite shape. Does not depend on the order of the values.
    ///
    /// Nelder & Mead 1965, restarted where they stop, from the estimate by moments.
    pub fn fit(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let moment = |k: i32| values.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
        let sd = moment(2).sqrt();
        if values.len() < 8 || !sd.is_finite() || sd <= 1e-12 * mean.abs() || sd == 0.0 {
            return None;
        }
        let scaled: Vec<f64> = values.iter().map(|v| (v - mean) / sd).collect();
        // In units of the standard deviation: location, logarithm of the scale, shape.
        let loss = |p: &[f64; 3]| -> f64 {
            let scale = libm::exp(p[1]);
            scaled.iter().map(|v| p[1] - standard((v - p[0]) / scale, p[2])).sum()
        };
        let skew = (moment(3) / moment(2).powf(1.5)).clamp(-0.95, 0.95);
        let power = skew.abs().powf(2.0 / 3.0);
        let delta = (PI / 2.0 * power / (power + ((4.0 - PI) / 2.0).powf(2.0 / 3.0))).sqrt().copysign(skew);
        let scale = 1.0 / (1.0 - 2.0 * delta * delta / PI).sqrt();
        let shape = delta / (1.0 - delta * delta).max(1e-6).sqrt();
        let mut best = [-scale * delta * (2.0 / PI).sqrt(), libm::log(scale), shape];
        let mut value = loss(&best);
        for _ in 0..20 {
            let (found, lower) = descend(&loss, best);
            let gain = value - lower;
            if gain > 0.0 {
                (best, value) = (found, lower);
            }
            if gain < 1e-9 {
                break;
            }
        }
        let [location, log_scale, shape] = best;
        let is_found = value.is_finite() && shape.abs() < LARGEST_SHAPE;
        is_found.then(|| Self { shape, location: mean + sd * location, scale: sd * libm::exp(log_scale) })
    }
}

/// Log density at location 0 and scale 1.
fn standard(z: f64, shape: f64) -> f64 {
    LN_2 - 0.5 * z * z - 0.5 * libm::log(2.0 * PI) + log_normal_cdf(shape * z)
}

fn log_normal_cdf(x: f64) -> f64 {
    if x > -30.0 {
        return libm::log(0.5 * libm::erfc(-x * FRAC_1_SQRT_2));
    }
    // Mills' ratio as a series; the next term is below 1e-7 of the first.
    let square = 1.0 / (x * x);
    -0.5 * x * x - libm::log(-x) - 0.5 * libm::log(2.0 * PI)
        + libm::log1p(-square * (1.0 - 3.0 * square * (1.0 - 5.0 * square)))
}

/// The logarithm of the integral of the standard density up to `z`.
fn log_integral(z: f64, shape: f64) -> f64 {
    let (mut total, mut scale, mut top) = (0.0f64, f64::NEG_INFINITY, z);
    loop {
        let decay = top.abs() * (1.0 + if (top < 0.0) == (shape > 0.0) { shape * shape } else { 0.0 });
        let width = (2.0 / (1.0 + decay)).min(0.5).min((0.5 * top.abs()).max(0.5 / (1.0 + shape.abs())));
        let (middle, half) = (top - 0.5 * width, 0.5 * width);
        for (node, weight) in NODES {
            for point in [middle - half * node, middle + half * node] {
                let log = standard(point, shape) + libm::log(weight * half);
                if log > scale {
                    total *= libm::exp(scale - log);
                    scale = log;
                }
                total += libm::exp(log - scale);
            }
        }
        top -= width;
        // Below the mode the density only falls, and the rest is at most a few times the last step.
        let last = standard(top, shape) + libm::log(width);
        if top < -1.0 - z.abs().min(1.0) && last < scale + libm::log(total) - 42.0 || top < -60.0 - z.abs() {
            return scale + libm::log(total);
        }
    }
}

/// One descent of Nelder & Mead in three dimensions.
fn descend(loss: &impl Fn(&[f64; 3]) -> f64, start: [f64; 3]) -> ([f64; 3], f64) {
    let mut simplex: Vec<([f64; 3], f64)> = vec![(start, loss(&start))];
    for (i, step) in [0.2, 0.1, 0.5].into_iter().enumerate() {
        let mut corner = start;
        corner[i] += step;
        simplex.push((corner, loss(&corner)));
    }
    for _ in 0..400 {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        if simplex[3].1 - simplex[0].1 < 1e-10 {
            break;
        }
        let worst = simplex[3];
        let centre: [f64; 3] = std::array::from_fn(|k| simplex[..3].iter().map(|c| c.0[k]).sum::<f64>() / 3.0);
        let at = |t: f64| {
            let point: [f64; 3] = std::array::from_fn(|k| centre[k] + t * (worst.0[k] - centre[k]));
            (point, loss(&point))
        };
        let reflected = at(-1.0);
        simplex[3] = if reflected.1 < simplex[0].1 {
            let further = at(-2.0);
            if further.1 < reflected.1 { further } else { reflected }
        } else if reflected.1 < simplex[2].1 {
            reflected
        } else {
            let inside = if reflected.1 < worst.1 { at(-0.5) } else { at(0.5) };
            if inside.1 < worst.1.min(reflected.1) {
                inside
            } else {
                let best = simplex[0].0;
                for corner in &mut simplex[1..] {
                    let point: [f64; 3] = std::array::from_fn(|k| best[k] + 0.5 * (corner.0[k] - best[k]));
                    *corner = (point, loss(&point));
                }
                continue;
            }
        };
    }
    simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
    simplex[0]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// tests/golden/make/attacks_exposure.py
    fn golden() -> Value {
        serde_json::from_str(include_str!("../../../../tests/golden/attacks_exposure.json")).unwrap()
    }

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    #[test]
    fn the_distribution_function_agrees_with_scipy() {
        let golden = golden();
        for row in golden["cdf"].as_array().unwrap() {
            let [x, shape, expected] = numbers(row)[..] else { panic!() };
            let found = libm::exp(SkewNormal { shape, location: 1.0, scale: 2.0 }.log_cdf(1.0 + 2.0 * x));
            assert!((found - expected).abs() < 1e-11, "{x} {shape}: {found} {expected}");
        }
        for row in golden["tail"].as_array().unwrap() {
            let [x, shape, expected] = numbers(row)[..] else { panic!() };
            let found = SkewNormal { shape, location: 0.0, scale: 1.0 }.log_cdf(x);
            assert!((found - expected).abs() < 1e-9 * expected.abs(), "{x} {shape}: {found} {expected}");
        }
        // The reference sheet: 1.379509 bits at 0.5 with shape 4.
        let bits = -SkewNormal { shape: 4.0, location: 0.0, scale: 1.0 }.log_cdf(0.5) / LN_2;
        assert!((bits - 1.379509).abs() < 5e-7, "{bits}");
    }

    #[test]
    fn fits_are_as_likely_as_those_of_scipy() {
        for case in golden()["fits"].as_array().unwrap() {
            let values = numbers(&case["values"]);
            let fit = SkewNormal::fit(&values).unwrap();
            let found: f64 = values.iter().map(|&v| fit.log_density(v)).sum();
            let expected = case["log_likelihood"].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
            let [shape, location, scale] = numbers(&case["fit"])[..] else { panic!() };
            assert!((fit.shape - shape).abs() < 0.02 * shape.abs(), "{fit:?} {shape}");
            assert!((fit.location - location).abs() < 0.01 * scale && (fit.scale - scale).abs() < 0.01 * scale);
            let mut turned = values;
            turned.reverse();
            assert_eq!(SkewNormal::fit(&turned), Some(fit));
        }
        assert_eq!(SkewNormal::fit(&[1.0; 20]), None);
        assert_eq!(SkewNormal::fit(&[f64::INFINITY; 20]), None);
    }
}
