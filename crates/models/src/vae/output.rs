//! Rows of the mode-specific normalisation at the two ends of an autoencoder.

use std::ops::Range;

use lookalike_core::{Stream, uniform};

use crate::encoded::{Compact, Track};
use crate::modal::{Modal, Span};
use crate::nn::{Activation, Block, Mat, Params, Tape, Var, Weight};
use crate::normal::Normals;

/// How a network sees a row: the scalars first, then the choices one after the other.
pub(crate) struct Output {
    /// Places of the scalars among the spans.
    scalars: Vec<usize>,
    /// Places of the choices among the spans, and their columns.
    choices: Vec<usize>,
    blocks: Vec<Block>,
    /// Standard deviation of each scalar around what the decoder says.
    sigma: Option<Weight>,
}

/// Bounds of the standard deviations, those of the reference implementation.
const SIGMA: std::ops::RangeInclusive<f32> = 0.01..=1.0;

impl Output {
    /// For rows of `modal`; the deviations become weights.
    pub fn new(modal: &Modal, params: &mut Params) -> Self {
        let is_scalar = |i: &usize| matches!(modal.spans()[*i], Span::Scalar { .. });
        let (scalars, choices): (Vec<usize>, Vec<usize>) = (0..modal.spans().len()).partition(is_scalar);
        let mut start = scalars.len();
        let block = |&i: &usize| {
            let size = if let Span::Choice { size, .. } = modal.spans()[i] { size } else { 0 };
            start += size;
            Block { start: start - size, size }
        };
        let blocks = choices.iter().map(block).collect();
        let sigma = (!scalars.is_empty()).then(|| params.constant(1, scalars.len(), 0.1));
        Self { scalars, choices, blocks, sigma }
    }

    /// Columns of the network's first and last layer.
    pub fn width(&self) -> usize {
        self.blocks.last().map_or(self.scalars.len(), |b| b.start + b.size)
    }

    /// act(rows w + b): the first layer, of rows given compactly.
    pub fn first_layer(&self, t: &mut Tape, rows: &Batch, w: Weight, b: Weight, act: Activation) -> Var {
        let hot = self.chosen(rows, |block| block.start as u32);
        let scalars = self.scalar_values(t, rows);
        let at = (0..self.scalars.len() as u32).collect();
        t.gather((hot, self.blocks.len()), Some((scalars, at)), w, Some(b), act)
    }

    /// The choices of the rows, one row's after another's, counted from what `start` says of each block.
    fn chosen(&self, rows: &Batch, start: impl Fn(&Block) -> u32) -> Vec<u32> {
        let mut chosen = vec![0u32; rows.len() * self.blocks.len()];
        for (c, (&span, block)) in self.choices.iter().zip(&self.blocks).enumerate() {
            let (start, choices) = (start(block), &rows.compact.tracks[span].choices()[rows.rows.clone()]);
            let chosen = chosen.iter_mut().skip(c).step_by(self.blocks.len());
            chosen.zip(choices).for_each(|(out, &choice)| *out = start + u32::from(choice));
        }
        chosen
    }

    fn scalar_values(&self, t: &mut Tape, rows: &Batch) -> Var {
        t.constant(rows.len(), self.scalars.len(), |out| {
            for (s, &span) in self.scalars.iter().enumerate() {
                let values = &rows.compact.tracks[span].scalars()[rows.rows.clone()];
                let out = out.iter_mut().skip(s).step_by(self.scalars.len());
                out.zip(values).for_each(|(out, &value)| *out = value);
            }
        })
    }

    /// The negative logarithm of the rows' probability density given the decoder's output `x`, summed: normal scalars around
    /// tanh, categorical choices (Xu et al. 2019, section 4.4).
    pub fn loss(&self, t: &mut Tape, x: Var, rows: &Batch) -> Var {
        let n = rows.len();
        let choices = t.cross_entropy(x, self.blocks.clone(), self.chosen(rows, |_| 0));
        let loss = t.sum(choices);
        let Some(sigma) = self.sigma else { return loss };
        let said = t.columns(x, 0, self.scalars.len());
        let said = t.tanh(said);
        let values = self.scalar_values(t, rows);
        let off = t.sub(said, values);
        let squared = t.square(off);
        let sigma = t.param(sigma);
        let variance = t.square(sigma);
        let variance = t.affine(variance, 2.0, 0.0);
        let scaled = t.div(squared, variance);
        let distance = t.sum(scaled);
        let logs = t.ln(sigma, 1e-12);
        let logs = t.sum(logs);
        let logs = t.affine(logs, n as f64, 0.0);
        let scalars = t.add(distance, logs);
        t.add(loss, scalars)
    }

    /// Keeps the deviations within bounds.
    pub fn clamp(&self, params: &mut Params) {
        if let Some(sigma) = self.sigma {
            params.get_mut(sigma).iter_mut().for_each(|s| *s = s.clamp(*SIGMA.start(), *SIGMA.end()));
        }
    }

    /// Rows drawn around the decoder's output `x`, appended to `drawn`: scalars with their deviation, choices by their probabilities.
    pub fn draw(&self, params: &Params, x: &Mat, normals: &Normals, drawn: &mut Compact, rng: &mut Stream) {
        let mut noise = vec![0f32; x.rows];
        for (s, &span) in self.scalars.iter().enumerate() {
            normals.fill(&mut noise, rng);
            let sigma = self.sigma.map_or(0.0, |w| params.get(w)[s]);
            if let Track::Scalar(values) = &mut drawn.tracks[span] {
                let value = |(r, z): (usize, &f32)| (crate::nn::Real::tanh(x.row(r)[s]) + sigma * z).clamp(-1.0, 1.0);
                values.extend(noise.iter().enumerate().map(value));
            }
        }
        let mut weights = vec![];
        for (block, &span) in self.blocks.iter().zip(&self.choices) {
            if let Track::Choice(choices) = &mut drawn.tracks[span] {
                for r in 0..x.rows {
                    choices.push(choose(&x.row(r)[block.start..][..block.size], &mut weights, rng));
                }
            }
        }
        drawn.rows += x.rows;
    }
}

/// A place with the probability that its logit gives it.
pub(crate) fn choose(logits: &[f32], weights: &mut Vec<f32>, rng: &mut Stream) -> u16 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    weights.clear();
    weights.extend(logits.iter().map(|x| crate::nn::Real::exp(x - top)));
    let mut left = uniform(rng) as f32 * weights.iter().sum::<f32>();
    let last = logits.len().saturating_sub(1);
    let place = weights.iter().position(|w| {
        left -= w;
        left < 0.0
    });
    place.unwrap_or(last) as u16
}

/// Rows that a network sees at once.
pub(crate) struct Batch<'a> {
    compact: &'a Compact,
    rows: Range<usize>,
}

impl<'a> Batch<'a> {
    /// All of them.
    pub fn all(compact: &'a Compact) -> Self {
        Self { compact, rows: 0..compact.rows }
    }

    /// The part that shard `s` learns from.
    pub fn shard(compact: &'a Compact, s: usize) -> Self {
        Self { compact, rows: compact.shard(s) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

/// No rows yet, in the shape that `modal` decodes.
pub(crate) fn empty(modal: &Modal) -> Compact {
    let track = |span: &Span| match span {
        Span::Scalar { .. } => Track::Scalar(vec![]),
        Span::Choice { .. } => Track::Choice(vec![]),
    };
    Compact { rows: 0, tracks: modal.spans().iter().map(track).collect() }
}
