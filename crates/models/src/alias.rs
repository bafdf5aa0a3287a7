//! Draws from a finite distribution in constant time.

use lookalike_core::{Result, Stream};
use rand::RngCore;

use crate::codec::{Reader, Writer, ensure};

/// The alias method (Walker 1977; construction of Vose 1991) over outcomes 0..n, with integer weights.
#[derive(Debug, Clone)]
pub(crate) struct Alias {
    /// Per slot: a draw below the threshold (of 2^32) stays, others go to the alias.
    slots: Vec<(u64, u32)>,
}

impl Alias {
    /// `None` when all weights are zero.
    pub fn new(weights: &[u64]) -> Option<Self> {
        let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
        if total == 0 {
            return None;
        }
        let n = weights.len() as u128;
        // Weights scaled so that a full slot is `total`.
        let mut rest: Vec<u128> = weights.iter().map(|&w| u128::from(w) * n).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..weights.len() as u32).partition(|&i| rest[i as usize] < total);
        let mut slots: Vec<(u64, u32)> = (0..weights.len() as u32).map(|i| (1 << 32, i)).collect();
        while let (Some(&s), Some(&l)) = (small.last(), large.last()) {
            small.pop();
            slots[s as usize] = (((rest[s as usize] << 32) / total) as u64, l);
            rest[l as usize] -= total - rest[s as usize];
            if rest[l as usize] < total {
                large.pop();
                small.push(l);
            }
        }
        Some(Self { slots })
    }

    pub fn save(&self, w: &mut Writer) {
        w.list(&self.slots, |w, (threshold, alias)| {
            w.u64(*threshold);
            w.u32(*alias);
        });
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let slots = r.list(12, |r| Ok((r.u64()?, r.u32()?)))?;
        ensure(
            !slots.is_empty()
                && slots.iter().all(|(threshold, alias)| *threshold <= 1 << 32 && (*alias as usize) < slots.len()),
        )?;
        Ok(Self { slots })
    }

    /// Number of outcomes.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// One outcome.
    pub fn draw(&self, rng: &mut Stream) -> u32 {
        let random = rng.next_u64();
        let slot = ((random >> 32) * self.slots.len() as u64) >> 32;
        let (threshold, alias) = self.slots[slot as usize];
        if random & 0xffff_ffff < threshold { slot as u32 } else { alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookalike_core::Streams;

    #[test]
    fn shares_are_the_weights() {
        let weights = [5u64, 0, 1, 94, 300];
        let alias = Alias::new(&weights).unwrap();
        let (mut rng, n) = (Streams::new(3, "test").block(0), 400_000u32);
        let mut counts = [0u32; 5];
        (0..n).for_each(|_| counts[alias.draw(&mut rng) as usize] += 1);
        assert_eq!(counts[1], 0);
        for (count, weight) in counts.iter().zip(weights) {
            // A binomial count is within 4.9 standard deviations but once in a million.
            let p = weight as f64 / 400.0;
            let sd = (f64::from(n) * p * (1.0 - p)).sqrt();
            assert!((f64::from(*count) - f64::from(n) * p).abs() <= 4.9 * sd, "{counts:?}");
        }
        assert!(Alias::new(&[0, 0]).is_none());
    }
}
