//! Generator and critic.

use lookalike_core::Stream;

use crate::nn::{Activation, Moments, Params, Real, Tape, Var, Weight};

/// A generator of dense rows: two layers with batch normalisation, each beside its own input (residual layers of CTGAN), then
/// one logit a place. What enters is noise and the conditional vector.
pub(super) struct Generator {
    layers: [Layer; 2],
    /// From the second layer's output, the first's, noise and condition to logits.
    last: Weight,
    bias: Weight,
    sizes: Sizes,
}

struct Layer {
    weights: Weight,
    gain: Weight,
    shift: Weight,
}

/// Numbers of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub noise: usize,
    pub condition: usize,
    pub hidden: usize,
    pub width: usize,
}

impl Sizes {
    /// Weights of a generator of these sizes; `None` when no computer has so many.
    pub fn weights(&self) -> Option<usize> {
        let Self { noise, condition, hidden, width } = *self;
        let input = noise.checked_add(condition)?;
        let first = input.checked_add(2)?.checked_mul(hidden)?;
        let second = input.checked_add(hidden)?.checked_add(2)?.checked_mul(hidden)?;
        let last = hidden.checked_mul(2)?.checked_add(input)?.checked_add(1)?.checked_mul(width)?;
        first.checked_add(second)?.checked_add(last)
    }
}

impl Generator {
    pub fn new<T: Real>(params: &mut Params<T>, sizes: Sizes, rng: &mut Stream) -> Self {
        let Sizes { noise, condition, hidden, width } = sizes;
        let mut inputs = noise + condition;
        let layers = [0, 1].map(|_| {
            let weights = params.uniform(inputs, hidden, rng);
            inputs += hidden;
            Layer { weights, gain: params.constant(1, hidden, 1.0), shift: params.constant(1, hidden, 0.0) }
        });
        Self { layers, last: params.uniform(inputs, width, rng), bias: params.constant(1, width, 0.0), sizes }
    }

    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Logits from noise and the place of the one in each conditional vector (`u32::MAX` for none). Layers are normalised by
    /// `fixed` moments, or by those of these rows, which are returned.
    pub fn logits<T: Real>(
        &self,
        t: &mut Tape<T>,
        noise: Var,
        condition: &[u32],
        fixed: Option<&[Moments<T>]>,
    ) -> (Var, Vec<Moments<T>>) {
        let mut inputs = vec![noise];
        let mut seen = vec![];
        for (l, layer) in self.layers.iter().enumerate() {
            let x = self.dense(t, &inputs, condition, layer.weights, None);
            let y = match fixed {
                Some(moments) => t.batch_norm_fixed(x, &moments[l], layer.gain, layer.shift),
                None => {
                    let (y, moments) = t.batch_norm(x, layer.gain, layer.shift);
                    seen.push(moments);
                    y
                }
            };
            inputs.insert(0, t.hinge(y));
        }
        (self.dense(t, &inputs, condition, self.last, Some(self.bias)), seen)
    }

    /// A layer on inputs one after the other, and the condition behind them.
    fn dense<T: Real>(&self, t: &mut Tape<T>, inputs: &[Var], condition: &[u32], w: Weight, b: Option<Weight>) -> Var {
        let mut at = 0;
        let mut parts = vec![];
        for &x in inputs {
            let width = t.value(x).cols;
            parts.push((x, w.part(at, width)));
            at += width;
        }
        let hot = (self.sizes.condition > 0).then(|| (condition.to_vec(), 1, w.part(at, self.sizes.condition)));
        t.joined(&parts, hot, b, Activation::Identity)
    }
}

/// Scores packs of records: two layers with a leaky slope, and a linear one. It is linear wherever the slopes and the units
/// dropped do not change, so its gradient with respect to its input is a product of weights and slopes.
pub(super) struct Critic {
    /// From the fields of the pack's records, then their conditional vectors.
    pub first: Weight,
    pub bias: Weight,
    second: Weight,
    second_bias: Weight,
    last: Weight,
    last_bias: Weight,
}

/// A pass of packs through the critic above its first layer.
pub(super) struct Pass {
    /// Packs x 1.
    pub score: Var,
    /// What the units of each layer are multiplied by: slope and dropout.
    pub slopes: [Var; 2],
}

const LEAKY: Activation = Activation::Leaky(0.2);

impl Critic {
    pub fn new<T: Real>(params: &mut Params<T>, inputs: usize, hidden: usize, rng: &mut Stream) -> Self {
        Self {
            first: params.uniform(inputs, hidden, rng),
            bias: params.constant(1, hidden, 0.0),
            second: params.uniform(hidden, hidden, rng),
            second_bias: params.constant(1, hidden, 0.0),
            last: params.uniform(hidden, 1, rng),
            last_bias: params.constant(1, 1, 0.0),
        }
    }

    /// Scores from the sums that enter the first layer's units. `drop(values)` fills factors for units, 0 for those dropped.
    pub fn above<T: Real>(&self, t: &mut Tape<T>, first: Var, mut drop: Option<impl FnMut(&mut [T])>) -> Pass {
        let mut bend = |t: &mut Tape<T>, x: Var| {
            let (rows, cols) = (t.value(x).rows, t.value(x).cols);
            let slope = t.slope(x, LEAKY);
            match &mut drop {
                Some(drop) => {
                    let kept = t.constant(rows, cols, drop);
                    t.mul(slope, kept)
                }
                None => slope,
            }
        };
        let s1 = bend(t, first);
        let h1 = t.mul(first, s1);
        let second = t.dense(h1, self.second, Some(self.second_bias), Activation::Identity);
        let s2 = bend(t, second);
        let h2 = t.mul(second, s2);
        Pass { score: t.dense(h2, self.last, Some(self.last_bias), Activation::Identity), slopes: [s1, s2] }
    }

    /// The gradient of each pack's score by the sums that enter the first layer's units.
    pub fn slope<T: Real>(&self, t: &mut Tape<T>, pass: &Pass) -> Var {
        let last = t.param(self.last);
        let last = t.reshape(last, 1);
        let g = t.mul(pass.slopes[1], last);
        let g = t.dense_transposed(g, self.second);
        t.mul(g, pass.slopes[0])
    }

    /// The mean over `total` packs of (norm of the gradient by the input - 1)^2, of these packs (Gulrajani et al. 2017, equation 3).
    pub fn penalty<T: Real>(&self, t: &mut Tape<T>, pass: &Pass, total: usize) -> Var {
        let g = self.slope(t, pass);
        let g = t.dense_transposed(g, self.first);
        let norm = t.norms(g);
        let excess = t.affine(norm, 1.0, -1.0);
        let squared = t.square(excess);
        let sum = t.sum(squared);
        t.affine(sum, 1.0 / total as f64, 0.0)
    }
}

#[cfg(test)]
mod tests;
