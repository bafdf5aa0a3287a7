//! The game of three networks.

use std::ops::Range;

use lookalike_core::{Result, Streams};

use super::cells::images;
use super::networks::{Generator, Reader, Shape};
use crate::encoded::{Compact, EncodedRows};
use crate::nn::{Adam, Learner, Moments, Optimiser, Params, Pool, SHARDS, Schedule, Tape, Var, Workers, gradient};
use crate::normal::Normals;

/// What the losses are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Losses {
    /// Differences of mean and standard deviation of features that the generator need not make up for.
    pub deltas: [f64; 2],
    /// The cell that the classifier tells from the others.
    pub target: Option<usize>,
}

/// Some of the rows of a batch.
struct Part<'a> {
    batch: &'a Compact,
    rows: Range<usize>,
}

/// Generator, discriminator and classifier in training.
pub(super) struct Players<'a> {
    rows: &'a EncodedRows,
    losses: Losses,
    /// Weights of the generator, the discriminator and the classifier, and where the latter two begin.
    params: Params,
    splits: [usize; 2],
    generator: Generator,
    discriminator: Reader,
    classifier: Reader,
    workers: Workers,
    gradient: Vec<f32>,
    optimisers: [Adam; 3],
    streams: Streams,
    normals: Normals,
}

impl<'a> Players<'a> {
    pub fn new(rows: &'a EncodedRows, shape: Shape, losses: Losses, schedule: &Schedule, seed: u64) -> Self {
        let mut rng = Streams::new(seed, "weights").block(0);
        let mut params = Params::new();
        let generator = Generator::new(&mut params, shape, &mut rng);
        let first = params.len();
        let discriminator = Reader::new(&mut params, shape, &mut rng);
        let second = params.len();
        let classifier = Reader::new(&mut params, shape, &mut rng);
        let optimiser = || {
            let mut adam = Adam::new(schedule.learning_rate);
            adam.beta1 = 0.5;
            adam
        };
        Self {
            rows,
            losses,
            params,
            splits: [first, second],
            generator,
            discriminator,
            classifier,
            workers: Workers::new(),
            gradient: vec![],
            optimisers: [optimiser(), optimiser(), optimiser()],
            streams: Streams::new(seed, "adversaries"),
            normals: Normals::new(),
        }
    }

    /// The generator's weights, and the moments of its layers' units over generated records.
    pub fn finish(self, seed: u64) -> (Generator, Params, Vec<Moments<f32>>) {
        let mut params = self.params;
        params.values.truncate(self.splits[0]);
        let mut pool = Pool::new();
        let mut tape = Tape::forward(&params, &mut pool);
        let mut rng = Streams::new(seed, "moments").block(0);
        let noise = tape.constant(MOMENT_ROWS, self.generator.shape().noise, |z| self.normals.fill(z, &mut rng));
        let moments = self.generator.images(&mut tape, noise, None).1;
        drop(tape);
        (self.generator, params, moments)
    }

    fn noise(&self, t: &mut Tape, rows: usize, block: u64) -> Var {
        let mut rng = self.streams.block(block);
        t.constant(rows, self.generator.shape().noise, |z| self.normals.fill(z, &mut rng))
    }

    fn real(&self, t: &mut Tape, part: &Part) -> Var {
        let area = self.generator.shape().area();
        t.constant(part.rows.len(), area, |out| {
            out.fill(0.0);
            images(part.batch, part.rows.clone(), area, out);
        })
    }

    /// The sum over images of |label - what the classifier reads from the other cells|, both in 0..1.
    fn misread(&self, t: &mut Tape, images: Var, target: usize) -> Var {
        let area = self.generator.shape().area();
        let others =
            t.constant(1, area, |o| o.iter_mut().enumerate().for_each(|(i, o)| *o = f32::from(u8::from(i != target))));
        let hidden = t.mul(images, others);
        let read = self.classifier.read(t, hidden).1;
        let read = t.sigmoid(read);
        let label = t.columns(images, target, 1);
        let label = t.affine(label, 0.5, 0.5);
        let difference = t.sub(label, read);
        let size = t.map(difference, f32::abs, |x, _| if x < 0.0 { -1.0 } else { 1.0 });
        t.sum(size)
    }

    /// What the discriminator and the classifier lose with these rows, and the discriminator's part.
    fn readers_lose(&self, t: &mut Tape, part: &Part, share: f64, block: u64) -> (Var, f64) {
        let noise = self.noise(t, part.rows.len(), block);
        let fake = self.generator.images(t, noise, None).0;
        let fake = t.detached(fake);
        let real = self.real(t, part);
        let (on_fake, on_real) = (self.discriminator.read(t, fake).1, self.discriminator.read(t, real).1);
        let on_real = t.affine(on_real, -1.0, 0.0);
        let (on_fake, on_real) = (t.softplus(on_fake), t.softplus(on_real));
        let sum = t.add(on_fake, on_real);
        let loss = t.sum(sum);
        let told = f64::from(t.scalar(loss)) * share;
        let loss = match self.losses.target {
            Some(target) => {
                let misread = self.misread(t, real, target);
                t.add(loss, misread)
            }
            None => loss,
        };
        (t.affine(loss, share, 0.0), told)
    }

    /// What the generator loses: fooled by the discriminator, features that differ, labels that do not go with their record.
    fn generator_loses(&self, t: &mut Tape, part: &Part, share: f64, block: u64) -> Var {
        let noise = self.noise(t, part.rows.len(), block);
        let fake = self.generator.images(t, noise, None).0;
        let (features, score) = self.discriminator.read(t, fake);
        let score = t.affine(score, -1.0, 0.0);
        let fooled = t.softplus(score);
        let mut loss = t.sum(fooled);
        if let Some(target) = self.losses.target {
            let misread = self.misread(t, fake, target);
            loss = t.add(loss, misread);
        }
        let real = self.real(t, part);
        let real = self.discriminator.read(t, real).0;
        let real = t.detached(real);
        let ([m1, s1], [m2, s2]) = (moments(t, real), moments(t, features));
        for ((a, b), delta) in [(m1, m2), (s1, s2)].into_iter().zip(self.losses.deltas) {
            let difference = t.sub(a, b);
            let norm = t.norms(difference);
            let excess = t.affine(norm, 1.0, -delta);
            let excess = t.hinge(excess);
            // Counted once a record, as the other parts are.
            let excess = t.affine(excess, part.rows.len() as f64, 0.0);
            loss = t.add(loss, excess);
        }
        t.affine(loss, share, 0.0)
    }
}

/// Mean and standard deviation of each column, as rows.
fn moments(t: &mut Tape, x: Var) -> [Var; 2] {
    let share = 1.0 / t.value(x).rows as f64;
    let mean = t.column_sums(x);
    let mean = t.affine(mean, share, 0.0);
    let centred = t.sub(x, mean);
    let squares = t.square(centred);
    let variance = t.column_sums(squares);
    let variance = t.affine(variance, share, 0.0);
    [mean, t.sqrt(variance, 1e-6)]
}

/// Rows that the moments of a trained generator are those of.
const MOMENT_ROWS: usize = 4096;

impl Learner for Players<'_> {
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64> {
        let (batch, all) = (self.rows.gather(rows)?, rows.len());
        let part = |s: usize| Part { batch: &batch, rows: all * s / SHARDS..all * (s + 1) / SHARDS };
        let share = 1.0 / rows.len() as f64;
        let block = |s: usize, phase: u64| (2 * step + phase) * SHARDS as u64 + s as u64;
        let mut slope = std::mem::take(&mut self.gradient);
        let (_, told) = gradient(&self.params, &self.workers, &mut slope, |t, s| match part(s) {
            none if none.rows.is_empty() => (t.constant(1, 1, |_| ()), 0.0),
            part => self.readers_lose(t, &part, share, block(s, 0)),
        });
        let [first, second] = self.splits;
        self.optimisers[1].step(&mut self.params.values[first..second], &slope[first..second]);
        if self.losses.target.is_some() {
            self.optimisers[2].step(&mut self.params.values[second..], &slope[second..]);
        }
        let this = &*self;
        gradient(&this.params, &this.workers, &mut slope, |t, s| match part(s) {
            none if none.rows.is_empty() => (t.constant(1, 1, |_| ()), ()),
            part => (this.generator_loses(t, &part, share, block(s, 1)), ()),
        });
        self.optimisers[0].step(&mut self.params.values[..first], &slope[..first]);
        self.gradient = slope;
        Ok(told.iter().sum())
    }

    fn finite(&self) -> bool {
        self.params.finite()
    }
}
