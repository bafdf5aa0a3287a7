//! Random streams keyed by (seed, purpose, block): the same numbers whichever thread or partition draws them.

use rand::{RngCore, SeedableRng, TryRngCore};
use rand_chacha::ChaCha8Rng;

/// The seeded generator. It is never used for secret noise.
pub type Stream = ChaCha8Rng;

/// All streams of one seed and purpose; block `b` is an independent stream.
#[derive(Debug, Clone)]
pub struct Streams {
    key: [u8; 32],
}

impl Streams {
    /// Streams of `seed` for one purpose ("sample", "split", ...): purposes never share numbers.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        // FNV-1a over the purpose, twice with different offsets: 128 bits that keep purposes apart.
        for (half, offset) in [(8, 0xcbf2_9ce4_8422_2325_u64), (16, 0x8422_2325_cbf2_9ce4)] {
            key[half..half + 8].copy_from_slice(&fnv(purpose, offset).to_le_bytes());
        }
        Self { key }
    }

    /// Streams of the same seed for a part of the purpose: apart from these and from those of other parts.
    pub fn part(&self, part: &str) -> Self {
        let mut key = self.key;
        key[24..].copy_from_slice(&fnv(part, 0xcbf2_9ce4_8422_2325).to_le_bytes());
        Self { key }
    }

    /// The stream of one block.
    pub fn block(&self, block: u64) -> Stream {
        let mut rng = ChaCha8Rng::from_seed(self.key);
        rng.set_stream(block);
        rng
    }
}

/// FNV-1a.
fn fnv(text: &str, offset: u64) -> u64 {
    text.bytes().fold(offset, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// A seed from the operating system, for calls that give none.
pub fn fresh_seed() -> u64 {
    rand::rngs::OsRng.unwrap_err().next_u64()
}

/// Uniform in the open interval (0, 1), 53 bits.
pub fn uniform(rng: &mut impl RngCore) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
}

/// Two independent standard normals (Box & Muller 1958), the same bits on every platform.
pub fn standard_normal(rng: &mut impl RngCore) -> [f64; 2] {
    let radius = libm::sqrt(-2.0 * libm::log(uniform(rng)));
    let angle = std::f64::consts::TAU * uniform(rng);
    [radius * libm::cos(angle), radius * libm::sin(angle)]
}

/// A number below `n`, which is at least 1; the bias is below n / 2^64.
pub fn below(rng: &mut impl RngCore, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_seeds_and_purposes_are_apart() {
        let draw = |seed, purpose, block| Streams::new(seed, purpose).block(block).next_u64();
        assert_eq!(draw(1, "sample", 3), draw(1, "sample", 3));
        // seed + block must not collide: (1, 0) and (0, 1) are different streams.
        let part = |part| Streams::new(1, "sample").part(part).block(0).next_u64();
        let all = [
            draw(1, "sample", 0),
            draw(0, "sample", 1),
            draw(1, "split", 0),
            draw(0, "sample", 0),
            part("fill"),
            part("quota"),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn numbers_below_are_even() {
        let (mut rng, n) = (Streams::new(6, "test").block(0), 70_000);
        let mut counts = [0u32; 7];
        (0..n).for_each(|_| counts[below(&mut rng, 7)] += 1);
        // Each of n/7 = 10,000, sd sqrt(n * 1/7 * 6/7) = 92.6; |z| > 4.9 has probability below 1e-6.
        assert!(counts.iter().all(|&c| (f64::from(c) - 10_000.0).abs() < 4.9 * 92.6), "{counts:?}");
        assert_eq!(below(&mut rng, 1), 0);
    }

    #[test]
    fn normals_have_unit_moments() {
        // Mean of n normals has sd 1/sqrt(n); |z| > 4.9 has probability below 1e-6. The variance has sd sqrt(2/n).
        let (mut rng, n) = (Streams::new(5, "test").block(0), 200_000);
        let draws: Vec<f64> = (0..n / 2).flat_map(|_| standard_normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 4.9 / f64::from(n).sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 4.9 * (2.0 / f64::from(n)).sqrt(), "{variance}");
    }
}
