//! Autoencoder, generator and discriminator.

use lookalike_core::Stream;

use super::units::Units;
use crate::nn::{Activation, Moments, Params, Real, Sparse, Tape, Var, Weight};

/// Sizes of what is kept: the generator and the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Of the noise, the generator's layers and the code of the autoencoder: shortcuts add them to one another.
    pub latent: usize,
    /// Units of a record.
    pub width: usize,
}

/// Layers of the generator (Choi et al. 2017, section 3.5: 128, 128).
pub(super) const LAYERS: usize = 2;

impl Sizes {
    /// Weights of generator and decoder; `None` when no computer has so many.
    pub fn weights(&self) -> Option<usize> {
        let layer = self.latent.checked_add(2)?.checked_mul(self.latent)?.checked_mul(LAYERS)?;
        self.latent.checked_add(1)?.checked_mul(self.width)?.checked_add(layer)
    }
}

/// From noise to the code of a record, and from there to the outputs of its units.
pub(super) struct Generator {
    layers: [Layer; LAYERS],
    pub decoder: Weight,
    pub bias: Weight,
    pub sizes: Sizes,
}

struct Layer {
    weights: Weight,
    gain: Weight,
    shift: Weight,
}

impl Generator {
    pub fn new<T: Real>(params: &mut Params<T>, sizes: Sizes, rng: &mut Stream) -> Self {
        let Sizes { latent, width } = sizes;
        let layers = std::array::from_fn(|_| Layer {
            weights: params.uniform(latent, latent, rng),
            gain: params.constant(1, latent, 1.0),
            shift: params.constant(1, latent, 0.0),
        });
        Self { layers, decoder: params.uniform(latent, width, rng), bias: params.constant(1, width, 0.0), sizes }
    }

    /// The matrices, which weight decay shrinks.
    pub fn matrices(&self) -> impl Iterator<Item = Weight> {
        self.layers.iter().map(|l| l.weights).chain([self.decoder])
    }

    /// Codes from noise: each layer normalised, by `fixed` moments or by those of these rows (which are returned), bent, and its input
    /// added (shortcut). The last one ends as the encoder does, in tanh.
    pub fn codes<T: Real>(&self, t: &mut Tape<T>, noise: Var, fixed: Option<&[Moments<T>]>) -> (Var, Vec<Moments<T>>) {
        let (mut x, mut seen) = (noise, vec![]);
        for (l, layer) in self.layers.iter().enumerate() {
            let y = t.dense(x, layer.weights, None, Activation::Identity);
            let y = match fixed {
                Some(moments) => t.batch_norm_fixed(y, &moments[l], layer.gain, layer.shift),
                None => {
                    let (y, moments) = t.batch_norm(y, layer.gain, layer.shift);
                    seen.push(moments);
                    y
                }
            };
            let y = if l + 1 < LAYERS { t.hinge(y) } else { t.tanh(y) };
            x = t.add(y, x);
        }
        (x, seen)
    }

    /// Outputs of the units before their activations, from codes.
    pub fn decode<T: Real>(&self, t: &mut Tape<T>, codes: Var) -> Var {
        t.dense(codes, self.decoder, Some(self.bias), Activation::Identity)
    }
}

/// Outputs through the activations of their units.
pub(super) fn activate<T: Real>(t: &mut Tape<T>, outputs: Var, units: &Units) -> Var {
    let (sigmoid, rectified) = (units.sigmoid, units.rectified);
    let chosen = units.width - sigmoid - rectified;
    let mut parts = vec![];
    if sigmoid > 0 {
        let x = part(t, outputs, 0, sigmoid);
        parts.push(t.sigmoid(x));
    }
    if rectified > 0 {
        let x = part(t, outputs, sigmoid, rectified);
        parts.push(t.hinge(x));
    }
    if chosen > 0 {
        let x = part(t, outputs, sigmoid + rectified, chosen);
        let moved = |b: &crate::nn::Block| crate::nn::Block { start: b.start - sigmoid - rectified, size: b.size };
        parts.push(t.softmax(x, units.blocks.iter().map(moved).collect()));
    }
    match parts.as_slice() {
        [only] => *only,
        parts => t.beside(parts),
    }
}

/// Some of the columns, without a copy where they are all.
fn part<T: Real>(t: &mut Tape<T>, x: Var, start: usize, width: usize) -> Var {
    if t.value(x).cols == width { x } else { t.columns(x, start, width) }
}

/// From records to codes.
pub(super) struct Encoder {
    pub weights: Weight,
    bias: Weight,
}

impl Encoder {
    pub fn new<T: Real>(params: &mut Params<T>, sizes: Sizes, rng: &mut Stream) -> Self {
        Self { weights: params.uniform(sizes.width, sizes.latent, rng), bias: params.constant(1, sizes.latent, 0.0) }
    }

    /// What the autoencoder loses on records, summed up over them: the cross entropy of sigmoid units and blocks, the squared error of
    /// rectified units.
    pub fn loses<T: Real>(&self, t: &mut Tape<T>, generator: &Generator, units: &Units, records: Sparse<T>) -> Var {
        let (rows, sigmoid, rectified) = (records.rows(), units.sigmoid, units.rectified);
        let numbers = sigmoid + rectified;
        let target = t.constant(rows, numbers, |out| records.add_to(out, numbers));
        let mut targets = vec![u32::MAX; rows * units.blocks.len()];
        for (r, targets) in targets.chunks_exact_mut(units.blocks.len().max(1)).enumerate() {
            for &place in records.row(r).0.iter().filter(|p| **p as usize >= numbers) {
                let block = units.blocks.partition_point(|b| b.start <= place as usize) - 1;
                targets[block] = place - units.blocks[block].start as u32;
            }
        }
        let codes = t.sparse(records, self.weights, Some(self.bias), Activation::Tanh);
        let outputs = generator.decode(t, codes);
        let mut losses = vec![];
        if sigmoid > 0 {
            // -y ln s(x) - (1 - y) ln(1 - s(x)) = ln(1 + e^x) - y x.
            let (x, y) = (part(t, outputs, 0, sigmoid), part(t, target, 0, sigmoid));
            let (all, hit) = (t.softplus(x), t.mul(x, y));
            let missed = t.sub(all, hit);
            losses.push(t.sum(missed));
        }
        if rectified > 0 {
            let (x, y) = (part(t, outputs, sigmoid, rectified), part(t, target, sigmoid, rectified));
            let x = t.hinge(x);
            let error = t.sub(x, y);
            let squared = t.square(error);
            losses.push(t.sum(squared));
        }
        if !units.blocks.is_empty() {
            let missed = t.cross_entropy(outputs, units.blocks.clone(), targets);
            losses.push(t.sum(missed));
        }
        losses.into_iter().reduce(|a, b| t.add(a, b)).unwrap_or_else(|| t.constant(1, 1, |_| ()))
    }
}

/// Scores records, each beside the mean of its batch (minibatch averaging, section 3.4): a positive score is for a real one.
pub(super) struct Discriminator {
    first: Weight,
    first_bias: Weight,
    second: Weight,
    second_bias: Weight,
    last: Weight,
    last_bias: Weight,
}

impl Discriminator {
    /// Of `hidden` units and half as many in the second layer.
    pub fn new<T: Real>(params: &mut Params<T>, width: usize, hidden: usize, rng: &mut Stream) -> Self {
        let half = hidden.div_ceil(2);
        Self {
            first: params.uniform(2 * width, hidden, rng),
            first_bias: params.constant(1, hidden, 0.0),
            second: params.uniform(hidden, half, rng),
            second_bias: params.constant(1, half, 0.0),
            last: params.uniform(half, 1, rng),
            last_bias: params.constant(1, 1, 0.0),
        }
    }

    pub fn matrices(&self) -> impl Iterator<Item = Weight> {
        [self.first, self.second, self.last].into_iter()
    }

    fn halves(&self) -> [Weight; 2] {
        let width = self.first.rows / 2;
        [self.first.part(0, width), self.first.part(width, width)]
    }

    /// Scores of training rows.
    pub fn real<T: Real>(&self, t: &mut Tape<T>, records: Sparse<T>) -> Var {
        let [own, shared] = self.halves();
        let means = records.means(own.rows);
        let mean = t.constant(1, own.rows, |out| out.copy_from_slice(&means));
        let sums = t.sparse(records, own, Some(self.first_bias), Activation::Identity);
        self.scores(t, sums, mean, shared)
    }

    /// Scores of generated records.
    pub fn generated<T: Real>(&self, t: &mut Tape<T>, records: Var) -> Var {
        let [own, shared] = self.halves();
        let share = 1.0 / t.value(records).rows as f64;
        let mean = t.column_sums(records);
        let mean = t.affine(mean, share, 0.0);
        let sums = t.dense(records, own, Some(self.first_bias), Activation::Identity);
        self.scores(t, sums, mean, shared)
    }

    fn scores<T: Real>(&self, t: &mut Tape<T>, sums: Var, mean: Var, shared: Weight) -> Var {
        let mean = t.dense(mean, shared, None, Activation::Identity);
        let sums = t.add(sums, mean);
        let first = t.hinge(sums);
        let second = t.dense(first, self.second, Some(self.second_bias), Activation::Relu);
        t.dense(second, self.last, Some(self.last_bias), Activation::Identity)
    }
}
