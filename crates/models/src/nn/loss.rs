//! Choices: softmax blocks and their cross entropy.

use lookalike_core::Stream;
use rand::RngCore;

use super::real::wide;
use super::{Real, Tape, Var};

/// Columns `start..start + size` of a row that are one choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub start: usize,
    pub size: usize,
}

/// Turns logits into probabilities; returns the logarithm of the sum of their exponentials.
pub(super) fn softmax<T: Real>(logits: &mut [T]) -> T {
    let (top, sum) = exponentials(logits);
    let scale = T::ONE / sum;
    wide(|| logits.iter_mut().for_each(|x| *x *= scale));
    top + sum.ln()
}

/// Turns logits into what probabilities are in proportion to, the largest 1; returns the largest logit and the sum. Sixteen
/// maxima and sums side by side: the order is fixed, and vector units can follow it.
pub(crate) fn exponentials<T: Real>(logits: &mut [T]) -> (T, T) {
    wide(|| {
        let (chunks, rest) = logits.as_chunks_mut::<16>();
        let mut top = rest.iter().copied().reduce(|a, b| a.at_least(b)).unwrap_or(T::of(-1e38));
        let mut tops = [top; 16];
        chunks.iter().for_each(|x| tops.iter_mut().zip(x).for_each(|(t, x)| *t = t.at_least(*x)));
        tops.into_iter().for_each(|t| top = top.at_least(t));
        let mut sums = [T::ZERO; 16];
        for x in chunks {
            for (x, sum) in x.iter_mut().zip(&mut sums) {
                *x = (*x - top).exp();
                *sum += *x;
            }
        }
        rest.iter_mut().for_each(|x| *x = (*x - top).exp());
        (top, sums.into_iter().sum::<T>() + rest.iter().copied().sum::<T>())
    })
}

/// Standard Gumbel noise, -ln(-ln u) of uniforms of 23 bits: logits with it added have their largest where a draw from their softmax
/// falls.
pub(crate) fn gumbel(count: usize, rng: &mut Stream) -> Vec<f32> {
    noise(count, rng, |u| -Real::ln(-Real::ln(u)))
}

/// Standard logistic noise, ln(u / (1 - u)) of uniforms of 23 bits: a number with it added is above 0 with the probability that its
/// sigmoid is.
pub(crate) fn logistic(count: usize, rng: &mut Stream) -> Vec<f32> {
    noise(count, rng, |u| Real::ln(u / (1.0 - u)))
}

/// A quantile function at uniforms of 23 bits, inside (0, 1).
fn noise(count: usize, rng: &mut Stream, quantile: impl Fn(f32) -> f32) -> Vec<f32> {
    let mut bytes = vec![0u8; count * 4];
    rng.fill_bytes(&mut bytes);
    let mut noise = vec![0f32; count];
    wide(|| {
        for (x, b) in noise.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *x = quantile(((u32::from_le_bytes(*b) >> 9) as f32 + 0.5) * (1.0 / 8_388_608.0));
        }
    });
    noise
}

/// The columns outside any block.
fn outside(blocks: &[Block], cols: usize) -> Vec<usize> {
    (0..cols).filter(|c| !blocks.iter().any(|b| (b.start..b.start + b.size).contains(c))).collect()
}

impl<T: Real> Tape<'_, T> {
    /// Probabilities from logits within each block; columns outside any block stay what they are.
    pub fn softmax(&mut self, x: Var, blocks: Vec<Block>) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.dirty(rows, cols);
        y.data.copy_from_slice(&self.value(x).data);
        for row in y.data.chunks_exact_mut(cols.max(1)) {
            for b in &blocks {
                softmax(&mut row[b.start..b.start + b.size]);
            }
        }
        let (out, needed) = (self.next(), self.needs(x));
        self.push(y, needed, move |mut g, sweep| {
            let y = &sweep.values[out.0];
            for (r, g) in g.data.chunks_exact_mut(cols.max(1)).enumerate() {
                for b in &blocks {
                    let (g, y) = (&mut g[b.start..b.start + b.size], &y.row(r)[b.start..b.start + b.size]);
                    let mean: T = g.iter().zip(y).map(|(g, y)| *g * *y).sum();
                    wide(|| g.iter_mut().zip(y).for_each(|(g, y)| *g = *y * (*g - mean)));
                }
            }
            sweep.add(x, g);
        })
    }

    /// What a generator of rows ends with: tanh of the columns outside any block, and within each block the softmax of
    /// (x + noise) / `temperature`. With Gumbel noise that is nearly a draw from the softmax of x (Jang, Gu & Poole 2017). Blocks are
    /// in order; `noise` has the shape of x.
    pub fn soft_choices(&mut self, x: Var, blocks: Vec<Block>, noise: Vec<T>, temperature: f64) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let sharpness = T::of(1.0 / temperature);
        // Exponentials of whole rows at once: a scalar's tanh is made from that of twice its negative size.
        let outside = outside(&blocks, cols);
        let mut y = self.dirty(rows, cols);
        let input = &self.value(x).data;
        wide(|| {
            for ((y, x), noise) in
                y.data.chunks_exact_mut(cols).zip(input.chunks_exact(cols)).zip(noise.chunks_exact(cols))
            {
                y.iter_mut().zip(x.iter().zip(noise)).for_each(|(y, (x, n))| *y = (*x + *n) * sharpness);
                for b in &blocks {
                    let logits = &mut y[b.start..b.start + b.size];
                    let top = logits.iter().copied().reduce(|a, b| a.at_least(b)).unwrap_or(T::ZERO);
                    logits.iter_mut().for_each(|y| *y -= top);
                }
                outside.iter().for_each(|&c| y[c] = x[c] + x[c]);
                y.iter_mut().for_each(|y| *y = y.exp());
                for b in &blocks {
                    let p = &mut y[b.start..b.start + b.size];
                    let scale = T::ONE / p.iter().copied().sum::<T>();
                    p.iter_mut().for_each(|p| *p *= scale);
                }
                outside.iter().for_each(|&c| y[c] = T::ONE - T::of(2.0) / (y[c] + T::ONE));
            }
        });
        let (out, needed) = (self.next(), self.needs(x));
        self.push(y, needed, move |mut g, sweep| {
            let y = &sweep.values[out.0].data;
            wide(|| {
                for (g, y) in g.data.chunks_exact_mut(cols).zip(y.chunks_exact(cols)) {
                    for b in &blocks {
                        let (g, y) = (&mut g[b.start..b.start + b.size], &y[b.start..b.start + b.size]);
                        let mean: T = g.iter().zip(y).map(|(g, y)| *g * *y).sum();
                        g.iter_mut().zip(y).for_each(|(g, y)| *g = *y * (*g - mean) * sharpness);
                    }
                    outside.iter().for_each(|&c| g[c] *= T::ONE - y[c] * y[c]);
                }
            });
            sweep.add(x, g);
        })
    }

    /// The sum over blocks of -ln(probability of the target), a column of one figure a row. `targets[r * blocks + b]` counts
    /// from the start of block b; `u32::MAX` leaves a block out of a row.
    pub fn cross_entropy(&mut self, x: Var, blocks: Vec<Block>, targets: Vec<u32>) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut p = self.dirty(rows, cols);
        p.data.copy_from_slice(&self.value(x).data);
        let mut y = self.zeros(rows, 1);
        for (r, row) in p.data.chunks_exact_mut(cols.max(1)).enumerate() {
            for (b, &target) in blocks.iter().zip(&targets[r * blocks.len()..]) {
                if target != u32::MAX {
                    let logits = &mut row[b.start..b.start + b.size];
                    let logit = logits[target as usize];
                    y.data[r] += softmax(logits) - logit;
                }
            }
        }
        // The probabilities become the gradient in place.
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            let mut gx = sweep.zeros(rows, cols);
            for r in 0..rows {
                for (b, &target) in blocks.iter().zip(&targets[r * blocks.len()..]) {
                    if target != u32::MAX {
                        let (p, gx) =
                            (&p.row(r)[b.start..b.start + b.size], &mut gx.data[r * cols + b.start..][..b.size]);
                        let g = g.data[r];
                        wide(|| gx.iter_mut().zip(p).for_each(|(gx, p)| *gx = g * *p));
                        gx[target as usize] -= g;
                    }
                }
            }
            sweep.give(g);
            sweep.give(p);
            sweep.add(x, gx);
        })
    }
}
