//! The distribution of codes: each slot given those before it.

use lookalike_core::{Result, Stream, Streams};

use super::MAX_HELD;
use crate::nn::{
    Activation, Adam, Block, Learner, Optimiser, Params, Pool, SHARDS, Tape, Var, Weight, Workers, gradient,
};
use crate::vae::output::choose;

/// A network of one hidden layer a slot, on the codes of the slots before it.
pub(super) struct Prior {
    pub params: Params,
    slots: usize,
    codes: usize,
    /// Hidden layer on one-hot codes, and logits.
    layers: Vec<[Weight; 4]>,
}

impl Prior {
    pub fn new(slots: usize, codes: usize, hidden: usize, seed: u64) -> Self {
        let (mut params, mut rng) = (Params::new(), Streams::new(seed, "vq_vae prior").block(0));
        let layers = (0..slots).map(|slot| {
            // Few of the inputs are one at a time: as many as there are slots before.
            let bound = 1.0 / (slot.max(1) as f64).sqrt();
            let input = params.normal((slot * codes).max(1), hidden, bound * 0.5, &mut rng);
            let bias = params.constant(1, hidden, 0.0);
            let output = params.uniform(hidden, codes, &mut rng);
            [input, bias, output, params.constant(1, codes, 0.0)]
        });
        let layers = layers.collect();
        Self { params, slots, codes, layers }
    }

    /// Weights that a prior of this shape has, to be checked before it is made.
    pub fn size(slots: usize, codes: usize, hidden: usize) -> Option<usize> {
        slots.checked_mul(slots)?.checked_mul(codes)?.checked_mul(hidden).map(|n| n / 2)
    }

    /// Logits of `slot` for rows of at least that many codes, `stride` apart.
    fn logits(&self, t: &mut Tape, slot: usize, rows: &[&[u32]]) -> Var {
        let [w, b, out, bias] = self.layers[slot];
        let before = slot.max(1);
        let hot = rows
            .iter()
            .flat_map(|row| (0..before).map(|s| if s < slot { (s * self.codes) as u32 + row[s] } else { u32::MAX }));
        let h = t.gather((hot.collect(), before), None, w, Some(b), Activation::Relu);
        t.dense(h, out, Some(bias), Activation::Identity)
    }

    /// -ln of the probability of rows of codes, summed.
    fn loss(&self, t: &mut Tape, rows: &[&[u32]]) -> Var {
        let mut parts = vec![];
        for slot in 0..self.slots {
            let logits = self.logits(t, slot, rows);
            let block = vec![Block { start: 0, size: self.codes }];
            parts.push(t.cross_entropy(logits, block, rows.iter().map(|r| r[slot]).collect()));
        }
        let all = t.beside(&parts);
        t.sum(all)
    }

    /// Codes of so many rows, slot after slot.
    pub fn draw(&self, rows: usize, pool: &mut Pool, rng: &mut Stream) -> Vec<u32> {
        let mut codes = vec![0u32; rows * self.slots];
        let mut weights = vec![];
        for slot in 0..self.slots {
            let mut t = Tape::forward(&self.params, pool);
            let views: Vec<&[u32]> = codes.chunks_exact(self.slots).collect();
            let logits = self.logits(&mut t, slot, &views);
            let logits = t.finish(logits);
            for (r, row) in codes.chunks_exact_mut(self.slots).enumerate() {
                row[slot] = u32::from(choose(logits.row(r), &mut weights, rng));
            }
        }
        codes
    }
}

/// A prior that learns from the codes of the training rows.
pub(super) struct PriorTraining<'a> {
    pub prior: Prior,
    pub codes: &'a [u32],
    pub adam: Adam,
    pub workers: Workers,
    pub gradient: Vec<f32>,
    pub best: Option<Params>,
}

impl PriorTraining<'_> {
    fn rows<'b>(&'b self, rows: &[u32]) -> Vec<&'b [u32]> {
        let slots = self.prior.slots;
        rows.iter().map(|&r| &self.codes[r as usize * slots..][..slots]).collect()
    }
}

impl Learner for PriorTraining<'_> {
    fn step(&mut self, rows: &[u32], _: u64) -> Result<f64> {
        let mut sum = std::mem::take(&mut self.gradient);
        let views = self.rows(rows);
        let size = views.len().div_ceil(SHARDS).max(1);
        let share = 1.0 / views.len() as f64;
        let (loss, _) = gradient(&self.prior.params, &self.workers, &mut sum, |t, s| {
            let loss = self.prior.loss(t, views.chunks(size).nth(s).unwrap_or(&[]));
            (t.affine(loss, share, 0.0), ())
        });
        self.adam.step(&mut self.prior.params.values, &sum);
        self.gradient = sum;
        Ok(loss)
    }

    fn held_out(&mut self, rows: &[u32]) -> Result<Option<f64>> {
        let mut pool = Pool::new();
        let mut sum = 0.0;
        for part in rows.chunks(MAX_HELD) {
            let mut t = Tape::forward(&self.prior.params, &mut pool);
            let loss = self.prior.loss(&mut t, &self.rows(part));
            sum += f64::from(t.finish(loss).data[0]);
        }
        Ok(Some(sum / rows.len() as f64))
    }

    fn keep(&mut self) {
        self.best = Some(self.prior.params.clone());
    }

    fn restore(&mut self) {
        if let Some(best) = self.best.take() {
            self.prior.params = best;
        }
    }

    fn finite(&self) -> bool {
        self.prior.params.finite()
    }
}
