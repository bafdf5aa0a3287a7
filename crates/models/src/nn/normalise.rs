//! Normalisation over a row's columns and over a batch's rows.

use lookalike_core::Result;

use super::real::wide;
use super::tape::Mat;
use super::{Real, Tape, Var, Weight};
use crate::codec::{Reader, Writer, ensure};

/// Means and variances of a layer's units: what batch normalisation is fixed to after training.
pub(crate) type Moments<T> = Vec<(T, T)>;

/// Writes the moments of layers, for [`load_moments`].
pub(crate) fn save_moments(layers: &[Moments<f32>], w: &mut Writer) {
    w.list(layers, |w, moments| {
        w.f32s(&moments.iter().map(|m| m.0).collect::<Vec<_>>());
        w.f32s(&moments.iter().map(|m| m.1).collect::<Vec<_>>());
    });
}

/// Reads the moments of layers of so many units.
pub(crate) fn load_moments(r: &mut Reader, units: impl IntoIterator<Item = usize>) -> Result<Vec<Moments<f32>>> {
    let layers = r.list(16, |r| Ok([r.f32s()?, r.f32s()?]))?;
    ensure(units.into_iter().eq(layers.iter().map(|[means, _]| means.len())))?;
    ensure(layers.iter().all(|[means, variances]| means.len() == variances.len()))?;
    ensure(layers.iter().flatten().flatten().all(|m| m.is_finite()))?;
    ensure(layers.iter().all(|[_, variances]| variances.iter().all(|v| *v >= 0.0)))?;
    Ok(layers.into_iter().map(|[means, variances]| means.into_iter().zip(variances).collect()).collect())
}

impl<T: Real> Tape<'_, T> {
    /// Layer normalisation (Ba, Kiros & Hinton 2016): each row to mean 0 and variance 1, then gain (1 x cols) and shift.
    pub fn layer_norm(&mut self, x: Var, gain: Weight, shift: Weight) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut centred = self.dirty(rows, cols);
        let mut scale = Vec::with_capacity(rows);
        for (z, x) in centred.data.chunks_exact_mut(cols).zip(self.value(x).data.chunks_exact(cols)) {
            scale.push(standardise(z, x.iter().copied(), cols));
        }
        self.gain_and_shift(x, centred, gain, shift, move |g, z, sweep_cols| {
            for (r, (g, z)) in g.chunks_exact_mut(sweep_cols).zip(z.chunks_exact(sweep_cols)).enumerate() {
                through(g, z, scale[r], sweep_cols);
            }
        })
    }

    /// Batch normalisation (Ioffe & Szegedy 2015): each column of these rows to mean 0 and variance 1, then gain and shift. The
    /// rows are those of one shard. Also returns the columns' means and variances, for the running ones that sampling uses.
    pub fn batch_norm(&mut self, x: Var, gain: Weight, shift: Weight) -> (Var, Moments<T>) {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut centred = self.dirty(rows, cols);
        let input = &self.value(x).data;
        let share = T::of(1.0 / rows.max(1) as f64);
        let (mut mean, mut variance) = (vec![T::ZERO; cols], vec![T::ZERO; cols]);
        wide(|| {
            input.chunks_exact(cols).for_each(|x| mean.iter_mut().zip(x).for_each(|(m, x)| *m += *x));
            mean.iter_mut().for_each(|m| *m *= share);
            for (z, x) in centred.data.chunks_exact_mut(cols).zip(input.chunks_exact(cols)) {
                for c in 0..cols {
                    z[c] = x[c] - mean[c];
                    variance[c] += z[c] * z[c];
                }
            }
        });
        variance.iter_mut().for_each(|v| *v *= share);
        let scale: Vec<T> = variance.iter().map(|v| T::ONE / (*v + T::of(EPSILON)).sqrt()).collect();
        wide(|| {
            centred.data.chunks_exact_mut(cols).for_each(|z| z.iter_mut().zip(&scale).for_each(|(z, s)| *z *= *s));
        });
        let y = self.gain_and_shift(x, centred, gain, shift, move |g, z, cols| {
            // `through` for all columns at once, row by row.
            let (mut mean, mut along) = (vec![T::ZERO; cols], vec![T::ZERO; cols]);
            wide(|| {
                for (g, z) in g.chunks_exact(cols).zip(z.chunks_exact(cols)) {
                    for c in 0..cols {
                        mean[c] += g[c];
                        along[c] += g[c] * z[c];
                    }
                }
                for (g, z) in g.chunks_exact_mut(cols).zip(z.chunks_exact(cols)) {
                    for c in 0..cols {
                        g[c] = scale[c] * (g[c] - mean[c] * share - z[c] * (along[c] * share));
                    }
                }
            });
        });
        (y, mean.into_iter().zip(variance).collect())
    }

    /// Batch normalisation with given means and variances: what it is after training.
    pub fn batch_norm_fixed(&mut self, x: Var, moments: &[(T, T)], gain: Weight, shift: Weight) -> Var {
        let factor = |(_, variance): &(T, T), gain: T| gain / (*variance + T::of(EPSILON)).sqrt();
        let (gains, shifts) = (self.weight(gain).to_vec(), self.weight(shift).to_vec());
        let cols = gains.len();
        let a = self.constant(1, cols, |a| {
            a.iter_mut().zip(moments.iter().zip(&gains)).for_each(|(a, (m, g))| *a = factor(m, *g));
        });
        let b = self.constant(1, cols, |b| {
            for (b, ((m, g), s)) in b.iter_mut().zip(moments.iter().zip(&gains).zip(&shifts)) {
                *b = *s - m.0 * factor(m, *g);
            }
        });
        let scaled = self.mul(x, a);
        self.add(scaled, b)
    }

    /// z * gain + shift, where z was made from x; `back` turns a gradient with respect to z into one with respect to x.
    fn gain_and_shift(
        &mut self,
        x: Var,
        z: Mat<T>,
        gain: Weight,
        shift: Weight,
        back: impl FnOnce(&mut [T], &[T], usize) + 'static,
    ) -> Var {
        let (rows, cols) = (z.rows, z.cols);
        let mut y = self.dirty(rows, cols);
        let (gains, shifts) = (self.weight(gain), self.weight(shift));
        wide(|| {
            for (y, z) in y.data.chunks_exact_mut(cols).zip(z.data.chunks_exact(cols)) {
                for c in 0..cols {
                    y[c] = z[c] * gains[c] + shifts[c];
                }
            }
        });
        self.push(y, true, move |mut g, sweep| {
            super::dense::add_column_sums(&mut sweep.weights[shift.range()], &g);
            let gains = sweep.params.get(gain);
            let into = &mut sweep.weights[gain.range()];
            wide(|| {
                for (g, z) in g.data.chunks_exact_mut(cols).zip(z.data.chunks_exact(cols)) {
                    for c in 0..cols {
                        into[c] += g[c] * z[c];
                        g[c] *= gains[c];
                    }
                }
            });
            back(&mut g.data, &z.data, cols);
            sweep.give(z);
            sweep.add(x, g);
        })
    }
}

/// Added to variances before anything is divided by them.
const EPSILON: f64 = 1e-5;

/// z = (x - mean) / sd of n values; returns 1 / sd.
fn standardise<T: Real>(z: &mut [T], x: impl Iterator<Item = T> + Clone, n: usize) -> T {
    let share = T::of(1.0 / n.max(1) as f64);
    let mean = x.clone().sum::<T>() * share;
    let variance = x.clone().map(|x| (x - mean) * (x - mean)).sum::<T>() * share;
    let scale = T::ONE / (variance + T::of(EPSILON)).sqrt();
    z.iter_mut().zip(x).for_each(|(z, x)| *z = (x - mean) * scale);
    scale
}

/// The gradient with respect to n values from that with respect to their standardised form z.
fn through<T: Real>(g: &mut [T], z: &[T], scale: T, n: usize) {
    let share = T::of(1.0 / n.max(1) as f64);
    let mean = g.iter().copied().sum::<T>() * share;
    let along = g.iter().zip(z).map(|(g, z)| *g * *z).sum::<T>() * share;
    g.iter_mut().zip(z).for_each(|(g, z)| *g = scale * (*g - mean - *z * along));
}
