//! Correlated normals, a tile of rows at a time.

use lookalike_core::{Result, Stream};

use crate::codec::{Reader, Writer, ensure};
use crate::normal::Normals;

/// Rows of a tile.
pub(crate) const TILE: usize = 64;

/// Draws vectors of standard normals with the correlations of a triangular factor.
pub(crate) struct Factor {
    size: usize,
    /// Lower triangle packed by rows.
    lower: Vec<f32>,
    normals: Normals,
}

/// Workspace of [`Factor::draw`].
pub(crate) struct Tile {
    independent: Vec<f32>,
    /// Variable-major: variable i of row k is at `i * TILE + k`.
    pub z: Vec<f32>,
}

impl Factor {
    /// From the packed lower triangle of `size` rows.
    pub fn new(size: usize, lower: Vec<f32>) -> Self {
        debug_assert_eq!(lower.len(), size * (size + 1) / 2);
        Self { size, lower, normals: Normals::new() }
    }

    /// Number of variables.
    pub fn size(&self) -> usize {
        self.size
    }

    /// A workspace.
    pub fn tile(&self) -> Tile {
        Tile { independent: vec![0.0; self.size * TILE], z: vec![0.0; self.size * TILE] }
    }

    /// Fills the tile with 64 fresh rows.
    pub fn draw(&self, tile: &mut Tile, rng: &mut Stream) {
        self.normals.fill(&mut tile.independent, rng);
        multiply(&self.lower, &tile.independent, &mut tile.z);
    }

    /// Correlation of two variables, of row i and row j of the factor.
    pub fn correlation(&self, i: usize, j: usize) -> f64 {
        let row = |i: usize| &self.lower[i * (i + 1) / 2..];
        (0..=i.min(j)).map(|k| f64::from(row(i)[k]) * f64::from(row(j)[k])).sum()
    }

    /// The logarithm of the density of a vector.
    pub fn log_density(&self, mut z: Vec<f64>) -> f64 {
        // z = L e is solved for e; the density is that of e over the determinant of L.
        let (mut start, mut sum) = (0, 0.0);
        for i in 0..z.len() {
            let row = &self.lower[start..=start + i];
            let known: f64 = row[..i].iter().zip(&z).map(|(l, e)| f64::from(*l) * e).sum();
            z[i] = (z[i] - known) / f64::from(row[i]);
            sum -= 0.5 * z[i] * z[i] + libm::log(f64::from(row[i])) + 0.5 * libm::log(std::f64::consts::TAU);
            start += i + 1;
        }
        sum
    }

    pub fn save(&self, w: &mut Writer) {
        w.u64(self.size as u64);
        w.f32s(&self.lower);
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let (size, lower) = (r.u64()? as usize, r.f32s()?);
        ensure(size.checked_mul(size.saturating_add(1)).is_some_and(|n| n / 2 == lower.len()))?;
        ensure(lower.iter().all(|v| v.is_finite()))?;
        Ok(Self::new(size, lower))
    }
}

/// z = L e for every row of a tile. Each path below does the same multiplications and additions in the same order (no
/// fused ones), so all processors give the same bits.
fn multiply(lower: &[f32], e: &[f32], z: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512F, as just asked.
            return unsafe { multiply_avx512(lower, e, z) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as just asked.
            return unsafe { multiply_avx2(lower, e, z) };
        }
    }
    multiply_lanes(lower, e, z);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn multiply_avx512(lower: &[f32], e: &[f32], z: &mut [f32]) {
    multiply_lanes(lower, e, z);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn multiply_avx2(lower: &[f32], e: &[f32], z: &mut [f32]) {
    multiply_lanes(lower, e, z);
}

#[inline(always)]
fn multiply_lanes(lower: &[f32], e: &[f32], z: &mut [f32]) {
    let (e, _) = e.as_chunks::<TILE>();
    let (z, _) = z.as_chunks_mut::<TILE>();
    let mut start = 0;
    for (i, out) in z.iter_mut().enumerate() {
        let mut sum = [0f32; TILE];
        for (weight, e) in lower[start..start + i + 1].iter().zip(e) {
            for (sum, e) in sum.iter_mut().zip(e) {
                *sum += weight * e;
            }
        }
        *out = sum;
        start += i + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookalike_core::Streams;

    #[test]
    fn every_path_gives_the_same_bits() {
        let size = 13;
        let lower: Vec<f32> = (0..size * (size + 1) / 2).map(|i| ((i * 37 % 101) as f32 - 50.0) / 77.0).collect();
        let factor = Factor::new(size, lower);
        let mut tile = factor.tile();
        factor.draw(&mut tile, &mut Streams::new(1, "test").block(0));
        let mut plain = vec![0f32; tile.z.len()];
        multiply_lanes(&factor.lower, &tile.independent, &mut plain);
        assert_eq!(plain, tile.z);
        // One element against the definition, in f64.
        let (i, k) = (7, 33);
        let by_hand: f64 = (0..=i)
            .map(|j| f64::from(factor.lower[i * (i + 1) / 2 + j]) * f64::from(tile.independent[j * TILE + k]))
            .sum();
        assert!((by_hand - f64::from(tile.z[i * TILE + k])).abs() < 1e-5);
    }
}
