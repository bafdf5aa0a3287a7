//! The standard normal distribution.

/// The x below which a standard normal variable lies with probability `p`; infinite at 0 and 1, NaN outside [0, 1].
///
/// A rational start (Abramowitz & Stegun 26.2.23, error below 4.5e-4) and Halley steps on the complementary error
/// function; exact to about 1e-15 relative.
pub fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    let t = (-2.0 * libm::log(p)).sqrt();
    let start = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    let mut x = -start;
    for _ in 0..4 {
        let below = 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
        let density = libm::exp(-0.5 * x * x) / std::f64::consts::TAU.sqrt();
        let newton = (below - p) / density;
        if !newton.is_finite() {
            break;
        }
        x -= newton / (1.0 + 0.5 * x * newton);
    }
    x
}

/// The probability that a standard normal variable is below `x`.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// The logarithm of [`normal_cdf`], also where that is too small for a number.
pub fn normal_log_cdf(x: f64) -> f64 {
    if x > -30.0 {
        return libm::log(normal_cdf(x));
    }
    // Mills' ratio (Abramowitz & Stegun 26.2.12): the fourth term is below 1e-10.
    let s = 1.0 / (x * x);
    let half_ln_tau = 0.5 * libm::log(std::f64::consts::TAU);
    -0.5 * x * x - libm::log(-x) - half_ln_tau + libm::log1p(-s * (1.0 - 3.0 * s * (1.0 - 5.0 * s)))
}
