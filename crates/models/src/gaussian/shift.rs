//! Normals of which some are known.

use crate::factor::{Factor, TILE, Tile};
use crate::linalg::dot;

/// From a draw of all variables to one in which some have given values.
pub(super) struct Shift {
    given: Vec<usize>,
    /// Cholesky factor of the correlations of the given ones, row-major. A variable that those before it decide has a pivot of 0 and
    /// is left to them.
    factor: Vec<f64>,
    /// Correlations of each variable with the given ones, row by row.
    cross: Vec<f64>,
}

impl Shift {
    /// For these variables.
    pub fn new(all: &Factor, given: Vec<usize>) -> Self {
        let n = given.len();
        let mut factor = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let sum = dot(&factor[i * n..i * n + j], &factor[j * n..j * n + j]);
                let rest = all.correlation(given[i], given[j]) - sum;
                factor[i * n + j] = match factor[j * n + j] {
                    _ if i == j => {
                        if rest > 1e-6 {
                            libm::sqrt(rest)
                        } else {
                            0.0
                        }
                    }
                    0.0 => 0.0,
                    pivot => rest / pivot,
                };
            }
        }
        let cross = (0..all.size()).flat_map(|v| given.iter().map(move |&g| all.correlation(v, g))).collect();
        Self { given, factor, cross }
    }

    /// Shifts row k of the tile to the given values.
    pub fn apply(&self, tile: &mut Tile, k: usize, wanted: &[f64]) {
        let n = self.given.len();
        if n == 0 {
            return;
        }
        let at = |i: usize, j: usize| self.factor[i * n + j];
        let mut rest: Vec<f64> =
            self.given.iter().zip(wanted).map(|(g, v)| v - f64::from(tile.z[g * TILE + k])).collect();
        for i in 0..n {
            let sum: f64 = (0..i).map(|j| at(i, j) * rest[j]).sum();
            rest[i] = if at(i, i) > 0.0 { (rest[i] - sum) / at(i, i) } else { 0.0 };
        }
        for i in (0..n).rev() {
            let sum: f64 = (i + 1..n).map(|j| at(j, i) * rest[j]).sum();
            rest[i] = if at(i, i) > 0.0 { (rest[i] - sum) / at(i, i) } else { 0.0 };
        }
        for (v, cross) in self.cross.chunks_exact(n).enumerate() {
            tile.z[v * TILE + k] += dot(cross, &rest) as f32;
        }
    }
}
