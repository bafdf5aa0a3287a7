//! How the network learns: batches of rows in random orders of columns.

use std::ops::Range;

use lookalike_core::{Result, Stream, Streams, below, uniform};
use rayon::prelude::*;

use super::network::{Batch, Network, Noise};
use crate::encoded::{Compact, EncodedRows};
use crate::nn::{Adam, Learner, Optimiser, Params, Pool, SHARDS, Tape, Workers, gradient};

/// Tokens of all rows, and the columns that the network sees.
pub(super) struct Rows<'a> {
    pub columns: &'a [usize],
    pub tokens: EncodedRows,
}

/// The tokens of some rows in an order of columns.
fn batch(columns: &[usize], compact: &Compact, rows: Range<usize>, order: Vec<u32>) -> Batch {
    let track = |c: &u32| compact.tracks[columns[*c as usize]].choices()[rows.clone()].iter();
    let tokens = order.iter().flat_map(track).map(|&token| token.into()).collect();
    Batch { order, records: rows.len(), tokens }
}

/// A network in training.
pub(super) struct Training<'a> {
    pub network: &'a Network,
    pub params: Params,
    pub rows: &'a Rows<'a>,
    pub learning_rate: f64,
    pub dropout: f64,
    /// Share of the batches' parts in which some columns come before the others.
    pub any_order: f64,
    optimiser: Adam,
    workers: Workers,
    gradient: Vec<f32>,
    best: Option<Params>,
    streams: Streams,
}

/// Share of the training in which steps grow to their full size.
const WARM_UP: f64 = 0.02;

/// Rows of the held-out ones that are measured at once.
const CHUNK: usize = 256;

impl<'a> Training<'a> {
    pub fn new(
        network: &'a Network,
        params: Params,
        rows: &'a Rows<'a>,
        [learning_rate, weight_decay, dropout, any_order]: [f64; 4],
        seed: u64,
    ) -> Self {
        Self {
            network,
            params,
            rows,
            learning_rate,
            dropout,
            any_order,
            optimiser: Adam::new(learning_rate).with_decay(weight_decay),
            workers: Workers::new(),
            gradient: vec![],
            best: None,
            streams: Streams::new(seed, "orders"),
        }
    }

    /// Columns as they stand, or some of them, how many and which by chance, before the others: each part as it stands.
    fn order(columns: usize, any_order: f64, rng: &mut Stream) -> Vec<u32> {
        let mut order: Vec<u32> = (0..columns as u32).collect();
        if uniform(rng) < any_order {
            let given = below(rng, columns);
            for i in 0..given {
                order.swap(i, i + below(rng, columns - i));
            }
            order[..given].sort_unstable();
            order[given..].sort_unstable();
        }
        order
    }
}

impl Learner for Training<'_> {
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64> {
        let (compact, share) = (self.rows.tokens.gather(rows)?, 1.0 / rows.len() as f64);
        // Taken out while the closure reads the rest.
        let mut slopes = std::mem::take(&mut self.gradient);
        let Self { network, rows: table, streams, .. } = &*self;
        let (dropout, any_order) = (self.dropout, self.any_order);
        let (loss, _) = gradient(&self.params, &self.workers, &mut slopes, |tape, shard| {
            let rows = compact.shard(shard);
            if rows.is_empty() {
                return (tape.constant(1, 1, |_| ()), ());
            }
            let mut rng = streams.block(step * SHARDS as u64 + shard as u64);
            let order = Self::order(table.columns.len(), any_order, &mut rng);
            let batch = batch(table.columns, &compact, rows, order);
            let losses = network.losses(tape, batch, Some(Noise { dropout, rng: &mut rng }));
            let sum = tape.sum(losses);
            (tape.affine(sum, share, 0.0), ())
        });
        self.optimiser.step(&mut self.params.values, &slopes);
        self.gradient = slopes;
        Ok(loss)
    }

    fn held_out(&mut self, rows: &[u32]) -> Result<Option<f64>> {
        let columns = self.rows.columns;
        let order: Vec<u32> = (0..columns.len() as u32).collect();
        let sums: Vec<f64> = rows
            .par_chunks(CHUNK)
            .map(|rows| {
                let batch = batch(columns, &self.rows.tokens.gather(rows)?, 0..rows.len(), order.clone());
                Ok(losses(self.network, &self.params, batch).iter().sum())
            })
            .collect::<Result<_>>()?;
        Ok(Some(sums.iter().sum::<f64>() / rows.len() as f64))
    }

    fn keep(&mut self) {
        self.best = Some(self.params.clone());
    }

    fn restore(&mut self) {
        if let Some(best) = self.best.take() {
            self.params = best;
        }
    }

    fn pace(&mut self, share: f64) {
        let warm = (share / WARM_UP).clamp(0.05, 1.0);
        let cosine = 0.5 + 0.5 * libm::cos(std::f64::consts::PI * share);
        self.optimiser.set_rate(self.learning_rate * warm * cosine.max(0.01));
    }

    fn finite(&self) -> bool {
        self.params.finite()
    }
}

/// -ln(probability) of each record of a batch.
pub(super) fn losses(network: &Network, params: &Params, batch: Batch) -> Vec<f64> {
    let mut pool = Pool::new();
    let mut tape = Tape::forward(params, &mut pool);
    let records = batch.records;
    let losses = network.losses(&mut tape, batch, None);
    let mut sums = vec![0.0; records];
    for part in tape.value(losses).data.chunks(records) {
        sums.iter_mut().zip(part).for_each(|(s, l)| *s += f64::from(*l));
    }
    sums
}
