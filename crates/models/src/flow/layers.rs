//! Invertible layers and the volume they change.

use lookalike_core::{Result, Streams};

use crate::codec::ensure;
use crate::nn::{Activation, Params, Tape, Var, Weight};

/// What stands between two coupling layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    /// The halves change places (Dinh, Sohl-Dickstein & Bengio 2017).
    Swap,
    /// Activation normalisation and an invertible matrix in its LU form (Kingma & Dhariwal 2018, section 3).
    Mix,
}

/// A chain of affine coupling layers on vectors of `width` numbers.
pub(super) struct Flow {
    pub params: Params,
    pub layers: usize,
    pub hidden: usize,
    width: usize,
    couplings: Vec<Coupling>,
    mixings: Vec<Mixing>,
}

/// Scales and shifts one half by what a network of two hidden layers makes of the other.
struct Coupling {
    input: (Weight, Weight),
    hidden: (Weight, Weight),
    scale: (Weight, Weight),
    shift: (Weight, Weight),
    /// Bound of the logarithm of the scale, one a number.
    reach: Weight,
}

/// x diag(exp(gain)) + shift, then times P L (U + diag(s)).
struct Mixing {
    gain: Weight,
    shift: Weight,
    /// Strictly lower and upper triangle of one matrix, and the logarithm of the diagonal's absolute value.
    triangles: Weight,
    log_diagonal: Weight,
    /// Column that each number goes to first, and signs of the diagonal.
    permutation: Vec<usize>,
}

impl Flow {
    pub fn new(steps: Steps, width: usize, layers: usize, hidden: usize, seed: u64) -> Self {
        let (mut params, mut rng) = (Params::new(), Streams::new(seed, "flow weights").block(0));
        let (mut couplings, mut mixings) = (vec![], vec![]);
        // One number has no other half.
        for layer in 0..if width > 1 { layers } else { 0 } {
            if steps == Steps::Mix {
                mixings.push(Mixing {
                    gain: params.constant(1, width, 0.0),
                    shift: params.constant(1, width, 0.0),
                    triangles: params.normal(width, width, 0.01, &mut rng),
                    log_diagonal: params.constant(1, width, 0.0),
                    // Layers see different halves from the start: each turns the numbers on by a step of its own.
                    permutation: (0..width).map(|i| (i * stride(width, layer) + layer) % width).collect(),
                });
            }
            let (kept, changed) = halves(width, layer, steps);
            couplings.push(Coupling {
                input: (params.uniform(kept.1, hidden, &mut rng), params.constant(1, hidden, 0.0)),
                hidden: (params.uniform(hidden, hidden, &mut rng), params.constant(1, hidden, 0.0)),
                // Layers start as the identity.
                scale: (params.constant(hidden, changed.1, 0.0), params.constant(1, changed.1, 0.0)),
                shift: (params.constant(hidden, changed.1, 0.0), params.constant(1, changed.1, 0.0)),
                reach: params.constant(1, changed.1, 1.0),
            });
        }
        Self { params, layers, hidden, width, couplings, mixings }
    }

    fn steps(&self) -> Steps {
        if self.mixings.is_empty() { Steps::Swap } else { Steps::Mix }
    }

    /// From rows to standard normals: the rows, and the logarithm of the volume's change, a column.
    pub fn forward(&self, t: &mut Tape, mut x: Var) -> (Var, Var) {
        let rows = t.value(x).rows;
        let mut log_volume = t.constant(rows, 1, |_| {});
        for (layer, coupling) in self.couplings.iter().enumerate() {
            if let Some(mixing) = self.mixings.get(layer) {
                let gain = t.param(mixing.gain);
                let factor = t.exp(gain);
                let shift = t.param(mixing.shift);
                x = t.mul(x, factor);
                x = t.add(x, shift);
                let matrix = self.matrix(t, mixing);
                x = t.matmul((x, false), (matrix, false));
                let diagonal = t.param(mixing.log_diagonal);
                let both = t.add(gain, diagonal);
                let volume = t.sum(both);
                log_volume = t.add(log_volume, volume);
            }
            let (kept, changed) = halves(self.width, layer, self.steps());
            let (a, b) = (t.columns(x, kept.0, kept.1), t.columns(x, changed.0, changed.1));
            let (scale, shift) = coupling.scale_and_shift(t, a);
            let factor = t.exp(scale);
            let b = t.mul(b, factor);
            let b = t.add(b, shift);
            x = if kept.0 == 0 { t.beside(&[a, b]) } else { t.beside(&[b, a]) };
            let volume = t.row_sums(scale);
            log_volume = t.add(log_volume, volume);
        }
        (x, log_volume)
    }

    /// From standard normals to rows; `back` comes from [`Flow::inverses`].
    pub fn backward(&self, t: &mut Tape, mut x: Var, back: &[Vec<f32>]) -> Var {
        for (layer, coupling) in self.couplings.iter().enumerate().rev() {
            let (kept, changed) = halves(self.width, layer, self.steps());
            let (a, b) = (t.columns(x, kept.0, kept.1), t.columns(x, changed.0, changed.1));
            let (scale, shift) = coupling.scale_and_shift(t, a);
            let factor = t.exp(scale);
            let b = t.sub(b, shift);
            let b = t.div(b, factor);
            x = if kept.0 == 0 { t.beside(&[a, b]) } else { t.beside(&[b, a]) };
            if let (Some(mixing), Some(inverse)) = (self.mixings.get(layer), back.get(layer)) {
                let inverse = t.constant(self.width, self.width, |m| m.copy_from_slice(inverse));
                x = t.matmul((x, false), (inverse, false));
                let shift = t.param(mixing.shift);
                x = t.sub(x, shift);
                let gain = t.param(mixing.gain);
                let factor = t.exp(gain);
                x = t.div(x, factor);
            }
        }
        x
    }

    /// P L (U + diag(s)).
    fn matrix(&self, t: &mut Tape, mixing: &Mixing) -> Var {
        let n = self.width;
        let triangles = t.param(mixing.triangles);
        let lower = t.constant(n, n, |m| (0..n * n).filter(|i| i % n < i / n).for_each(|i| m[i] = 1.0));
        let upper = t.constant(n, n, |m| (0..n * n).filter(|i| i % n > i / n).for_each(|i| m[i] = 1.0));
        let unit = t.constant(n, n, |m| (0..n).for_each(|i| m[i * n + i] = 1.0));
        let l = t.mul(triangles, lower);
        let l = t.add(l, unit);
        let u = t.mul(triangles, upper);
        let diagonal = t.param(mixing.log_diagonal);
        let diagonal = t.exp(diagonal);
        let diagonal = t.mul(unit, diagonal);
        let u = t.add(u, diagonal);
        let p = t.constant(n, n, |m| mixing.permutation.iter().enumerate().for_each(|(i, to)| m[i * n + to] = 1.0));
        let pl = t.matmul((p, false), (l, false));
        t.matmul((pl, false), (u, false))
    }

    /// The inverse of every mixing matrix: (U + diag(s))^-1 L^-1 P^T, by substitution in f64. A data error when one has none in f32.
    pub fn inverses(&self) -> Result<Vec<Vec<f32>>> {
        self.mixings.iter().map(|mixing| self.inverse(mixing)).collect()
    }

    fn inverse(&self, mixing: &Mixing) -> Result<Vec<f32>> {
        let n = self.width;
        let triangles = self.params.get(mixing.triangles);
        let diagonal: Vec<f64> =
            self.params.get(mixing.log_diagonal).iter().map(|d| libm::exp(f64::from(*d))).collect();
        let at = |i: usize, j: usize| f64::from(triangles[i * n + j]);
        let mut inverse = vec![0f32; n * n];
        // Column c of the inverse solves P L U x = e_c.
        for c in 0..n {
            // P^T e_c: row i of P has its one in column permutation[i].
            let mut x = vec![0f64; n];
            x[mixing.permutation[c]] = 1.0;
            for i in 0..n {
                x[i] -= (0..i).map(|j| at(i, j) * x[j]).sum::<f64>();
            }
            for i in (0..n).rev() {
                x[i] = (x[i] - (i + 1..n).map(|j| at(i, j) * x[j]).sum::<f64>()) / diagonal[i];
            }
            (0..n).for_each(|i| inverse[i * n + c] = x[i] as f32);
        }
        ensure(inverse.iter().all(|v| v.is_finite()))?;
        Ok(inverse)
    }
}

impl Coupling {
    fn scale_and_shift(&self, t: &mut Tape, a: Var) -> (Var, Var) {
        let h = t.dense(a, self.input.0, Some(self.input.1), Activation::Relu);
        let h = t.dense(h, self.hidden.0, Some(self.hidden.1), Activation::Relu);
        let scale = t.dense(h, self.scale.0, Some(self.scale.1), Activation::Tanh);
        let reach = t.param(self.reach);
        let scale = t.mul(scale, reach);
        (scale, t.dense(h, self.shift.0, Some(self.shift.1), Activation::Identity))
    }
}

/// Start and size of the half that is kept, and of the one that is changed: in turn where nothing mixes them.
fn halves(width: usize, layer: usize, steps: Steps) -> ((usize, usize), (usize, usize)) {
    let first = (0, width / 2);
    let second = (width / 2, width - width / 2);
    if steps == Steps::Swap && layer % 2 == 1 { (second, first) } else { (first, second) }
}

/// A number without a common divisor with `width`, another for each layer where there are several.
fn stride(width: usize, layer: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let fit: Vec<usize> = (1..width.max(2)).filter(|s| gcd(*s, width) == 1).collect();
    fit[layer % fit.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Pool;
    use lookalike_core::{Stream, standard_normal};

    fn flow(steps: Steps, width: usize) -> Flow {
        let mut flow = Flow::new(steps, width, 3, 7, 1);
        // Away from the identity.
        let mut rng: Stream = Streams::new(2, "test").block(0);
        flow.params.values.iter_mut().for_each(|v| *v += 0.2 * standard_normal(&mut rng)[0] as f32);
        flow
    }

    #[test]
    fn there_and_back() {
        for (steps, width) in [(Steps::Swap, 2), (Steps::Swap, 5), (Steps::Mix, 2), (Steps::Mix, 5)] {
            let flow = flow(steps, width);
            let (mut pool, mut rng) = (Pool::new(), Streams::new(3, "test").block(0));
            let mut t = Tape::forward(&flow.params, &mut pool);
            let x = t.constant(9, width, |x| x.iter_mut().for_each(|x| *x = standard_normal(&mut rng)[0] as f32));
            let (z, _) = flow.forward(&mut t, x);
            let y = flow.backward(&mut t, z, &flow.inverses().unwrap());
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
            assert!(t.value(x).data.iter().zip(&t.value(y).data).all(close), "{steps:?} {width}");
            assert!(!t.value(x).data.iter().zip(&t.value(z).data).all(close));
        }
    }

    #[test]
    fn the_volume_is_that_of_finite_differences() {
        // The determinant of a 2 x 2 Jacobian by central differences: errors of order 1e-3 in f32.
        for steps in [Steps::Swap, Steps::Mix] {
            let flow = flow(steps, 2);
            let at = |x: [f32; 2]| {
                let mut pool = Pool::new();
                let mut t = Tape::forward(&flow.params, &mut pool);
                let x = t.constant(1, 2, |v| v.copy_from_slice(&x));
                let (z, volume) = flow.forward(&mut t, x);
                ([t.value(z).data[0], t.value(z).data[1]], t.scalar(volume))
            };
            let (x, h) = ([0.3, -0.8], 1e-2);
            let slope = |d: [f32; 2]| {
                let (up, down) = (at([x[0] + h * d[0], x[1] + h * d[1]]).0, at([x[0] - h * d[0], x[1] - h * d[1]]).0);
                [(up[0] - down[0]) / (2.0 * h), (up[1] - down[1]) / (2.0 * h)]
            };
            let (a, b) = (slope([1.0, 0.0]), slope([0.0, 1.0]));
            let determinant = (a[0] * b[1] - a[1] * b[0]).abs();
            assert!((determinant.ln() - at(x).1).abs() < 5e-3, "{steps:?}: {determinant} {}", at(x).1.exp());
        }
    }
}
