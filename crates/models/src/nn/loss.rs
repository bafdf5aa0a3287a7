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

/// Turns logits into what probabilities are in proportion to, the largest 1; returns the largest logit and the sum.
pub(crate) fn exponentials<T: Real>(logits: &mut [T]) -> (T, T) {
    wide(|| {
        let top = largest(logits);
        logits.iter_mut().for_each(|x| *x = (*x - top).exp());
        (top, total(logits))
    })
}

/// The largest, by sixteen maxima side by side that vector units can follow.
#[inline(always)]
fn largest<T: Real>(x: &[T]) -> T {
    let (chunks, rest) = x.as_chunks::<16>();
    let mut top = rest.iter().copied().reduce(|a, b| a.at_least(b)).unwrap_or(T::of(-1e38));
    if let Some((first, others)) = chunks.split_first() {
        let mut tops = *first;
        others.iter().for_each(|x| tops.iter_mut().zip(x).for_each(|(t, x)| *t = t.at_least(*x)));
        tops.into_iter().for_each(|t| top = top.at_least(t));
    }
    top
}

/// The sum, by sixteen sums side by side: the order is fixed at any width of vectors.
#[inline(always)]
fn total<T: Real>(x: &[T]) -> T {
    let (chunks, rest) = x.as_chunks::<16>();
    let rest = rest.iter().copied().sum::<T>();
    let Some((first, others)) = chunks.split_first() else { return rest };
    let mut sums = *first;
    others.iter().for_each(|x| sums.iter_mut().zip(x).for_each(|(s, x)| *s += *x));
    sums.into_iter().sum::<T>() + rest
}

/// Takes from the logits of each block the largest of them, so that their exponentials neither overflow nor all vanish.
#[inline(always)]
fn lower<T: Real>(row: &mut [T], blocks: &[Block]) {
    for b in blocks {
        let logits = &mut row[b.start..b.start + b.size];
        let top = largest(logits);
        logits.iter_mut().for_each(|x| *x -= top);
    }
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
                lower(y, &blocks);
                outside.iter().for_each(|&c| y[c] = x[c] + x[c]);
                y.iter_mut().for_each(|y| *y = y.exp());
                for b in &blocks {
                    let p = &mut y[b.start..b.start + b.size];
                    let scale = T::ONE / total(p);
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
        let mut y = self.zeros(rows, 1);
        if blocks.is_empty() {
            return self.push(y, false, |_, _| {});
        }
        let outside = outside(&blocks, cols);
        let mut p = self.dirty(rows, cols);
        p.data.copy_from_slice(&self.value(x).data);
        // Exponentials of whole rows at once: most blocks are shorter than a vector.
        wide(|| {
            let rows = p.data.chunks_exact_mut(cols).zip(targets.chunks_exact(blocks.len()));
            for ((row, targets), y) in rows.zip(&mut y.data) {
                lower(row, &blocks);
                let asked = || blocks.iter().zip(targets).filter(|(_, target)| **target != u32::MAX);
                asked().for_each(|(b, target)| *y -= row[b.start + *target as usize]);
                row.iter_mut().for_each(|x| *x = x.exp());
                for (b, target) in blocks.iter().zip(targets) {
                    let p = &mut row[b.start..b.start + b.size];
                    if *target == u32::MAX {
                        p.fill(T::ZERO);
                        continue;
                    }
                    let sum = total(p);
                    *y += sum.ln();
                    let scale = T::ONE / sum;
                    p.iter_mut().for_each(|p| *p *= scale);
                }
                outside.iter().for_each(|&c| row[c] = T::ZERO);
            }
        });
        // The probabilities become the gradient in place.
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            wide(|| {
                let rows = p.data.chunks_exact_mut(cols).zip(targets.chunks_exact(blocks.len()));
                for ((row, targets), &g) in rows.zip(&g.data) {
                    row.iter_mut().for_each(|p| *p *= g);
                    let asked = blocks.iter().zip(targets).filter(|(_, target)| **target != u32::MAX);
                    asked.for_each(|(b, target)| row[b.start + *target as usize] -= g);
                }
            });
            sweep.give(g);
            sweep.add(x, p);
        })
    }
}
