//! The network: how likely each token of a column is, given those of the columns before it.

use lookalike_core::{Stream, standard_normal, uniform};

use crate::nn::{Activation, Params, Tape, Var, Weight};

/// What a network is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// Tokens of each column, at least two.
    pub sizes: Vec<usize>,
    /// Figures that represent a token.
    pub width: usize,
    /// Attention layers.
    pub layers: usize,
    /// Heads of each; they divide the width.
    pub heads: usize,
    /// Units of a feed-forward layer.
    pub hidden: usize,
}

impl Shape {
    /// Feed-forward layers: one after each attention layer, and one at least.
    fn blocks(&self) -> usize {
        self.layers.max(1)
    }

    /// Weights of the network.
    pub fn weights(&self) -> u128 {
        let (d, hidden, columns) = (self.width as u128, self.hidden as u128, self.sizes.len() as u128);
        let tokens: u128 = self.sizes.iter().map(|&s| s as u128).sum();
        let attention = self.layers as u128 * (4 * d * d + 4 * d);
        let forward = self.blocks() as u128 * (2 * d * hidden + d + hidden);
        tokens * (2 * d + 1) + columns * d + columns * columns * d + attention + forward
    }
}

/// A matrix and a bias.
pub(super) type Dense = (Weight, Weight);

/// An attention layer: queries, keys beside values, and the way out of the heads.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    pub queries: Dense,
    pub keys_values: Dense,
    pub out: Dense,
}

/// An attention layer, if the network has any, and a feed-forward layer.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub attention: Option<Attention>,
    pub up: Dense,
    pub down: Dense,
}

/// Where the weights are. The token of column c in a record starts as the embedding of the column plus, over the
/// columns s before c, the embedding of the token of s times the gate of (s, c). Blocks add to it what attention finds in the
/// tokens before it (keys and values are made of a token and of the embedding of its value), and what a feed-forward layer
/// makes of it. The head of column c turns it into logits.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub shape: Shape,
    /// Row of the first token of each column in `values`.
    pub first: Vec<u32>,
    /// Tokens of all columns x width.
    pub values: Weight,
    /// Columns x width.
    pub columns: Weight,
    /// Columns squared x width; the row of (s, c) is s * columns + c.
    pub gates: Weight,
    pub blocks: Vec<Block>,
    pub heads: Vec<Dense>,
}

/// Tokens of some records in an order of columns.
pub(super) struct Batch {
    /// The columns in the order in which they are predicted.
    pub order: Vec<u32>,
    /// Number of records.
    pub records: usize,
    /// Token of position p and record r at `p * records + r`.
    pub tokens: Vec<u32>,
}

/// Typical phase that a smooth function of a rank runs through from the lowest to the highest value.
const SPEED: f64 = 6.0;

/// How a network learns.
pub(super) struct Noise<'a> {
    /// Share of the hidden units that are switched off.
    pub dropout: f64,
    pub rng: &'a mut Stream,
}

impl Network {
    /// With fresh weights.
    pub fn new(shape: Shape, rng: &mut Stream) -> (Self, Params) {
        let mut params = Params::new();
        let (d, hidden, columns) = (shape.width, shape.hidden, shape.sizes.len());
        let mut first = vec![];
        let mut tokens = 0;
        for &size in &shape.sizes {
            first.push(tokens as u32);
            tokens += size;
        }
        let values = params.normal(tokens, d, 1.0, rng);
        let targets = params.normal(columns, d, 0.5, rng);
        let gates = params.normal(columns * columns, d, 0.3, rng);
        let small = 0.5 / (d as f64).sqrt();
        let blocks = (0..shape.blocks())
            .map(|b| {
                let mut dense = |inputs: usize, outputs: usize, deviation: f64| {
                    (params.normal(inputs, outputs, deviation, rng), params.constant(1, outputs, 0.0))
                };
                let attention = (b < shape.layers).then(|| Attention {
                    queries: dense(d, d, 1.0 / (d as f64).sqrt()),
                    keys_values: dense(d, 2 * d, 1.0 / (d as f64).sqrt()),
                    out: dense(d, d, small),
                });
                let up = dense(d, hidden, (2.0 / d as f64).sqrt());
                Block { attention, up, down: dense(hidden, d, 0.5 / (hidden as f64).sqrt()) }
            })
            .collect();
        let heads = shape
            .sizes
            .iter()
            .map(|&size| (params.normal(d, size, 0.3 * small, rng), params.constant(1, size, 0.0)))
            .collect();
        (Self { shape, first, values, columns: targets, gates, blocks, heads }, params)
    }

    /// Starts the tokens of a number from smooth random functions of their rank (Rahimi & Recht 2007), in the embedding and in
    /// the head alike: neighbours begin as neighbours. `counts` are the rows of its tokens in ascending order, without missing.
    pub fn order_tokens(&self, params: &mut Params, column: usize, counts: &[u64], rng: &mut Stream) {
        let total = counts.iter().sum::<u64>().max(1) as f64;
        let ranks: Vec<f64> = counts
            .iter()
            .scan(0.0, |below, &n| {
                let rank = (*below + n as f64 / 2.0) / total;
                *below += n as f64;
                Some(rank)
            })
            .collect();
        let d = self.shape.width;
        let head = self.heads[column].0;
        let scale = 0.3 * 0.5 / (d as f64).sqrt();
        for f in 0..d {
            let phase = std::f64::consts::TAU * uniform(rng);
            let speed = SPEED * standard_normal(rng)[0];
            for (token, rank) in ranks.iter().enumerate() {
                let value = std::f64::consts::SQRT_2 * libm::cos(speed * rank + phase);
                params.get_mut(self.values)[(self.first[column] as usize + token) * d + f] = value as f32;
                params.get_mut(head)[f * head.cols + token] = (value * scale) as f32;
            }
        }
    }

    /// -ln(probability) of every token of a batch given those before it, a column in the order of the batch.
    pub fn losses(&self, tape: &mut Tape, batch: Batch, mut noise: Option<Noise>) -> Var {
        let Batch { order, records, tokens } = batch;
        let columns = self.shape.sizes.len();
        let index = tokens.iter().enumerate().map(|(i, t)| self.first[order[i / records] as usize] + t).collect();
        let values = tape.embed(index, self.values);
        let targets = tape.embed((0..tokens.len()).map(|i| order[i / records]).collect(), self.columns);
        let sums = tape.gated_sums(values, records, self.gates, |s, t| order[s] as usize * columns + order[t] as usize);
        let mut x = tape.add(sums, targets);
        let dense = |tape: &mut Tape, x, (w, b): Dense, act| tape.dense(x, w, Some(b), act);
        for block in &self.blocks {
            if let Some(attention) = &block.attention {
                let z = tape.standardise(x);
                let queries = dense(tape, z, attention.queries, Activation::Identity);
                let known = tape.add(x, values);
                let known = tape.standardise(known);
                let keys_values = dense(tape, known, attention.keys_values, Activation::Identity);
                let seen = tape.causal_attention(queries, keys_values, records, self.shape.heads);
                let seen = dense(tape, seen, attention.out, Activation::Identity);
                x = tape.add(x, seen);
            }
            let z = tape.standardise(x);
            let mut hidden = dense(tape, z, block.up, Activation::Relu);
            if let Some(noise) = noise.as_mut().filter(|n| n.dropout > 0.0) {
                hidden = dropout(tape, hidden, noise);
            }
            let change = dense(tape, hidden, block.down, Activation::Identity);
            x = tape.add(x, change);
        }
        let z = tape.standardise(x);
        tape.choices(z, records, order.iter().map(|&c| self.heads[c as usize]).collect(), tokens)
    }
}

/// Switches off a share of the elements and scales the others up (Srivastava et al. 2014).
fn dropout(tape: &mut Tape, x: Var, noise: &mut Noise) -> Var {
    use rand::RngCore;
    let (rows, cols) = (tape.value(x).rows, tape.value(x).cols);
    let (below, scale) =
        ((noise.dropout * 256.0) as u8, (1.0 / (1.0 - (noise.dropout * 256.0).floor() / 256.0)) as f32);
    let mut bytes = vec![0u8; rows * cols];
    noise.rng.fill_bytes(&mut bytes);
    let mask = tape.constant(rows, cols, |mask| {
        mask.iter_mut().zip(&bytes).for_each(|(m, b)| *m = if *b < below { 0.0 } else { scale });
    });
    tape.mul(x, mask)
}
