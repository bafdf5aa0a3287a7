//! Secret noise: random bits from the operating system, of a type that no seeded stream turns into.

use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::{Error, Result};

/// Bytes fetched from the operating system at a time.
const BUFFER: usize = 4096;

/// Random bits for the noise of a privacy claim. They come from the operating system alone: nothing seeds it, nothing
/// replays it, it is not cloned, and it is no generator in the sense of the `rand` traits, so that noise can neither
/// be drawn from a [`Stream`](crate::Stream) by mistake nor through functions that were written for one.
pub struct SecretRng {
    buffer: Box<[u8; BUFFER]>,
    /// First byte that has not been handed out.
    next: usize,
}

impl SecretRng {
    /// Bits that nobody has seen.
    pub fn new() -> Self {
        Self { buffer: Box::new([0; BUFFER]), next: BUFFER }
    }

    /// 64 random bits. A resources error when the operating system has none to give.
    pub fn next_u64(&mut self) -> Result<u64> {
        if self.next == BUFFER {
            OsRng.try_fill_bytes(&mut self.buffer[..]).map_err(|e| {
                Error::resources(format!("the operating system gives no random numbers for the noise: {e}"))
            })?;
            self.next = 0;
        }
        let mut bytes = [0; 8];
        let taken = &mut self.buffer[self.next..self.next + 8];
        bytes.copy_from_slice(taken);
        // Noise that was used lies around nowhere.
        taken.fill(0);
        self.next += 8;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl std::default::Default for SecretRng {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SecretRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretRng")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_balanced_and_differ_between_generators() {
        let (mut one, mut two, n) = (SecretRng::new(), SecretRng::new(), 20_000u32);
        let (mut ones, mut equal) = (0, 0);
        for _ in 0..n {
            let (a, b) = (one.next_u64().unwrap(), two.next_u64().unwrap());
            ones += a.count_ones();
            equal += u32::from(a == b);
        }
        // 64 n fair bits: sd of their sum is sqrt(64 n) / 2; |z| > 4.9 has probability below 1e-6. Two equal words
        // have probability below n / 2^64.
        let z = (f64::from(ones) - 32.0 * f64::from(n)) / (4.0 * f64::from(n).sqrt());
        assert!(z.abs() < 4.9 && equal == 0, "{z} {equal}");
    }
}
