//! Exact samplers over integers: no floating-point number comes near the noise (Canonne, Kamath & Steinke 2020).

use lookalike_core::{Result, SecretRng};

/// A source of random bits. Outside of tests there is one, which cannot be seeded.
pub(super) trait Bits {
    fn bits(&mut self) -> Result<u64>;
}

impl Bits for SecretRng {
    fn bits(&mut self) -> Result<u64> {
        self.next_u64()
    }
}

/// A non-negative rational number. Denominators are not 0, and both parts stay below 2^100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    pub numerator: u128,
    pub denominator: u128,
}

impl Ratio {
    pub fn new(numerator: u128, denominator: u128) -> Self {
        let (mut a, mut b) = (numerator, denominator);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self { numerator: numerator / a, denominator: denominator / a }
    }
}

/// Uniform among `0..n`, n at least 1: draws of as many bits as n - 1 has, until one is below n.
pub(super) fn uniform_below(n: u128, rng: &mut impl Bits) -> Result<u128> {
    let width = 128 - (n - 1).leading_zeros();
    loop {
        let drawn = match width {
            0 => return Ok(0),
            1..=64 => u128::from(rng.bits()? >> (64 - width)),
            _ => (u128::from(rng.bits()?) << 64 | u128::from(rng.bits()?)) >> (128 - width),
        };
        if drawn < n {
            return Ok(drawn);
        }
    }
}

/// True with probability exp(-numerator / denominator) (ibid., algorithm 1).
pub(super) fn bernoulli_exp(gamma: Ratio, rng: &mut impl Bits) -> Result<bool> {
    for _ in 0..gamma.numerator / gamma.denominator {
        if !bernoulli_exp_below_one(Ratio { numerator: 1, denominator: 1 }, rng)? {
            return Ok(false);
        }
    }
    let rest = gamma.numerator % gamma.denominator;
    bernoulli_exp_below_one(Ratio { numerator: rest, ..gamma }, rng)
}

/// The same for exponents of at most 1: the number of successes in a row of chances gamma / 1, gamma / 2, ... is even
/// with probability exp(-gamma).
fn bernoulli_exp_below_one(gamma: Ratio, rng: &mut impl Bits) -> Result<bool> {
    let mut trial = 1u128;
    // Chances fall like factorials: the product does not come near 2^128.
    while uniform_below(gamma.denominator * trial, rng)? < gamma.numerator {
        trial += 1;
    }
    Ok(trial % 2 == 1)
}

/// An integer z with probability proportional to exp(-|z| / scale) (ibid., algorithm 2). Where its magnitude does not
/// fit 127 bits, the largest that does stands for it: both lie outside of any bounds.
pub(super) fn discrete_laplace(scale: Ratio, rng: &mut impl Bits) -> Result<i128> {
    let (t, s) = (scale.numerator, scale.denominator);
    loop {
        let remainder = uniform_below(t, rng)?;
        if !bernoulli_exp_below_one(Ratio { numerator: remainder, denominator: t }, rng)? {
            continue;
        }
        let mut quotient = 0u128;
        while bernoulli_exp_below_one(Ratio { numerator: 1, denominator: 1 }, rng)? {
            quotient += 1;
        }
        let magnitude = (t.saturating_mul(quotient).saturating_add(remainder) / s).min(i128::MAX as u128) as i128;
        let negative = rng.bits()? >> 63 == 1;
        if !(negative && magnitude == 0) {
            return Ok(if negative { -magnitude } else { magnitude });
        }
    }
}

/// One of `0..values`: `truth` with probability e^epsilon / (e^epsilon + values - 1), each other with the same
/// probability (k-ary randomised response; Kairouz, Bonawitz & Ramage 2016). A uniform proposal is accepted when it is
/// the truth, and with probability exp(-epsilon) when it is not.
pub(super) fn randomised_response(truth: u32, values: u32, epsilon: Ratio, rng: &mut impl Bits) -> Result<u32> {
    loop {
        let proposal = uniform_below(u128::from(values), rng)? as u32;
        if proposal == truth || bernoulli_exp(epsilon, rng)? {
            return Ok(proposal);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use lookalike_core::{Stream, Streams};
    use rand::RngCore;

    use super::*;

    impl Bits for Stream {
        fn bits(&mut self) -> Result<u64> {
            Ok(self.next_u64())
        }
    }

    /// Fails when counts fit their probabilities so badly that chance does it with probability below 1e-6: Pearson's
    /// chi-square with an even number 2 n of degrees of freedom, whose tail is exp(-x / 2) times the sum of
    /// (x / 2)^j / j! for j < n.
    pub fn assert_fits(counts: &[u64], probabilities: &[f64]) {
        assert!(counts.len() == probabilities.len() && counts.len() % 2 == 1);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{probabilities:?}");
        let draws = counts.iter().sum::<u64>() as f64;
        assert!(probabilities.iter().all(|p| p * draws > 5.0));
        let half = counts.iter().zip(probabilities).map(|(&c, p)| (c as f64 - p * draws).powi(2) / (p * draws));
        let half = half.sum::<f64>() / 2.0;
        let mut term = 1.0;
        let mut sum = 1.0;
        for j in 1..counts.len() / 2 {
            term *= half / j as f64;
            sum += term;
        }
        assert!((-half).exp() * sum > 1e-6, "{counts:?} are not drawn from {probabilities:?}");
    }

    fn draws<T>(
        seed: u64,
        cells: usize,
        mut draw: impl FnMut(&mut Stream) -> T,
        cell: impl Fn(T) -> usize,
    ) -> Vec<u64> {
        let (mut rng, mut counts) = (Streams::new(seed, "test").block(0), vec![0; cells]);
        (0..200_000).for_each(|_| counts[cell(draw(&mut rng))] += 1);
        counts
    }

    #[test]
    fn uniform_integers_are_uniform() {
        for (n, cells) in [(5, 5), (7, 7), (3 << 64, 3), ((1 << 90) * 5, 5)] {
            let counts = draws(1, cells, |rng| uniform_below(n, rng).unwrap(), |d| (d / (n / cells as u128)) as usize);
            assert_fits(&counts, &vec![1.0 / cells as f64; cells]);
        }
        assert_eq!(uniform_below(1, &mut Streams::new(1, "test").block(0)).unwrap(), 0);
    }

    #[test]
    fn the_exponential_coin_has_its_probability() {
        for (numerator, denominator) in [(0, 1), (1, 3), (1, 1), (5, 2), (3_000_000_000, 1 << 32)] {
            let gamma = Ratio::new(numerator, denominator);
            let heads = draws(2, 2, |rng| bernoulli_exp(gamma, rng).unwrap(), usize::from)[1] as f64;
            let (p, n) = ((-(numerator as f64) / denominator as f64).exp(), 200_000.0);
            // |z| > 4.9 has probability below 1e-6; a certain head is exact.
            assert!((heads - n * p).abs() <= 4.9 * (n * p * (1.0 - p)).sqrt(), "exp(-{gamma:?}): {heads}");
        }
    }

    #[test]
    fn the_discrete_laplace_has_its_closed_form() {
        for scale in [Ratio::new(3, 2), Ratio::new(1, 2), Ratio::new(7, 3)] {
            let q = (-(scale.denominator as f64) / scale.numerator as f64).exp();
            // P(z) = (1 - q) / (1 + q) q^|z|; the ends hold all beyond.
            let end = if scale.numerator == 1 { 2 } else { 5 };
            let center = (1.0 - q) / (1.0 + q);
            let probability = |z: i32| if z.abs() == end { q.powi(end) / (1.0 + q) } else { center * q.powi(z.abs()) };
            let probabilities: Vec<f64> = (-end..=end).map(probability).collect();
            let cell = |z: i128| (z.clamp(-i128::from(end), i128::from(end)) + i128::from(end)) as usize;
            let counts = draws(3, probabilities.len(), |rng| discrete_laplace(scale, rng).unwrap(), cell);
            assert_fits(&counts, &probabilities);
        }
        // A scale of timestamps: half of the draws lie beyond scale * ln 2 (sd sqrt(n) / 2).
        let scale = Ratio::new(1 << 90, 3);
        let limit = (2f64.powi(90) / 3.0 * std::f64::consts::LN_2) as u128;
        let beyond = draws(4, 2, |rng| discrete_laplace(scale, rng).unwrap(), |z| (z.unsigned_abs() > limit).into());
        assert!((beyond[1] as f64 - 100_000.0).abs() < 4.9 * 200_000f64.sqrt() / 2.0, "{beyond:?}");
    }

    #[test]
    fn randomised_response_has_its_closed_form() {
        for (values, epsilon) in [(3, 0.5f64), (5, 1.0), (5, 2.25)] {
            let ratio = Ratio::new((epsilon * 4.0) as u128, 4);
            let lie = 1.0 / (epsilon.exp() + f64::from(values) - 1.0);
            let probabilities: Vec<f64> = (0..values).map(|v| if v == 1 { lie * epsilon.exp() } else { lie }).collect();
            let draw = |rng: &mut Stream| randomised_response(1, values, ratio, rng).unwrap();
            assert_fits(&draws(5, values as usize, draw, |v| v as usize), &probabilities);
        }
    }
}
