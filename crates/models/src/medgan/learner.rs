//! The two phases of the training: records into codes and back, then the game.

use std::ops::Range;

use lookalike_core::{Result, Streams};

use super::Settings;
use super::networks::{Discriminator, Encoder, Generator, Sizes, activate};
use super::units::Units;
use crate::nn::{
    Adam, Learner, Moments, Optimiser, Params, Pool, SHARDS, Sparse, Tape, Var, Weight, Workers, gradient,
};
use crate::normal::Normals;

/// All networks.
pub(super) struct Networks<'a> {
    records: &'a Sparse,
    units: &'a Units,
    settings: &'a Settings,
    /// Weights of generator and decoder, of the encoder from `splits[0]` on, of the discriminator from `splits[1]` on.
    params: Params,
    splits: [usize; 2],
    generator: Generator,
    encoder: Encoder,
    discriminator: Discriminator,
    workers: Workers,
    gradient: Vec<f32>,
    streams: Streams,
    normals: Normals,
}

/// The first phase: the autoencoder.
pub(super) struct Pretraining<'n, 'a> {
    networks: &'n mut Networks<'a>,
    adam: Adam,
}

/// The second phase: the game of generator and discriminator.
pub(super) struct Game<'n, 'a> {
    networks: &'n mut Networks<'a>,
    generator: Adam,
    discriminator: Adam,
}

/// Records of a part of a batch.
const PART: usize = 64;
/// Of softened draws: one over the temperature.
const SHARPNESS: f32 = 5.0;
/// Rows that the moments of a trained generator are those of.
const MOMENT_ROWS: usize = 4096;

impl<'a> Networks<'a> {
    pub fn new(records: &'a Sparse, units: &'a Units, settings: &'a Settings, seed: u64) -> Self {
        let mut rng = Streams::new(seed, "weights").block(0);
        let mut params = Params::new();
        let sizes = Sizes { latent: settings.latent, width: units.width };
        let generator = Generator::new(&mut params, sizes, &mut rng);
        let first = params.len();
        let encoder = Encoder::new(&mut params, sizes, &mut rng);
        let second = params.len();
        let discriminator = Discriminator::new(&mut params, units.width, settings.hidden, &mut rng);
        // The outputs begin at what each unit is on average: a rare code would come down from 1/2 for long.
        let means = records.means(units.width);
        let (rectified, blocks) = (units.sigmoid..units.sigmoid + units.rectified, units.sigmoid + units.rectified);
        for (place, (bias, mean)) in params.get_mut(generator.bias).iter_mut().zip(means).enumerate() {
            let share = f64::from(mean).clamp(1e-6, 1.0 - 1e-6);
            *bias = match place {
                _ if rectified.contains(&place) => mean,
                _ if place >= blocks => libm::log(share) as f32,
                _ => (libm::log(share) - libm::log1p(-share)) as f32,
            };
        }
        Self {
            records,
            units,
            settings,
            params,
            splits: [first, second],
            generator,
            encoder,
            discriminator,
            workers: Workers::new(),
            gradient: vec![],
            streams: Streams::new(seed, "game"),
            normals: Normals::new(),
        }
    }

    pub fn pretraining(&mut self) -> Pretraining<'_, 'a> {
        let adam = Adam::new(self.settings.schedule.learning_rate);
        Pretraining { networks: self, adam }
    }

    pub fn game(&mut self) -> Game<'_, 'a> {
        let adam = || Adam::new(self.settings.schedule.learning_rate);
        let (generator, discriminator) = (adam(), adam());
        Game { networks: self, generator, discriminator }
    }

    /// Generator and decoder, and the moments of the generator's layers.
    pub fn finish(self, seed: u64) -> (Generator, Params, Vec<Moments<f32>>) {
        let mut params = self.params;
        params.values.truncate(self.splits[0]);
        let mut pool = Pool::new();
        let mut tape = Tape::forward(&params, &mut pool);
        let mut rng = Streams::new(seed, "moments").block(0);
        let noise = tape.constant(MOMENT_ROWS, self.settings.latent, |z| self.normals.fill(z, &mut rng));
        let moments = self.generator.codes(&mut tape, noise, None).1;
        drop(tape);
        (self.generator, params, moments)
    }

    /// Generated records, a stream of noise for each block.
    fn make(&self, t: &mut Tape, rows: usize, block: u64) -> Var {
        let mut rng = self.streams.block(block);
        let noise = t.constant(rows, self.settings.latent, |z| self.normals.fill(z, &mut rng));
        let codes = self.generator.codes(t, noise, None).0;
        let outputs = self.generator.decode(t, codes);
        // Choices as softened draws, which look like the zeros and ones of the data.
        let (width, noise) = (self.units.width, self.units.noise(rows, &mut rng));
        let noise = t.constant(rows, width, |n| n.copy_from_slice(&noise));
        let sharpness = t.constant(1, width, |s| s.copy_from_slice(&self.units.sharpen(SHARPNESS)));
        let outputs = t.add(outputs, noise);
        let outputs = t.mul(outputs, sharpness);
        activate(t, outputs, self.units)
    }

    /// The gradient of the mean of a loss that `loses` gives, summed up over the rows of a part of the batch and its number; then
    /// one step of the weights in a range, of whose matrices those given decay.
    fn step(
        &mut self,
        rows: &[u32],
        learned: Range<usize>,
        decaying: &[Weight],
        adam: &mut Adam,
        loses: impl Fn(&Self, &mut Tape, &[u32], u64) -> Var + Sync,
    ) -> f64 {
        let mut slope = std::mem::take(&mut self.gradient);
        // So few parts that each has enough records for a mean of its own.
        let parts = (rows.len() / PART).clamp(1, SHARDS);
        let share = 1.0 / rows.len() as f64;
        let this = &*self;
        let (loss, _) = gradient(&this.params, &this.workers, &mut slope, |t, s| {
            if s >= parts {
                return (t.constant(1, 1, |_| ()), ());
            }
            let part = &rows[rows.len() * s / parts..rows.len() * (s + 1) / parts];
            let loss = loses(this, t, part, s as u64);
            (t.affine(loss, share, 0.0), ())
        });
        let decay = self.settings.decay as f32;
        for weight in decaying {
            let values = self.params.get(*weight);
            slope[weight.range()].iter_mut().zip(values).for_each(|(g, w)| *g += decay * w);
        }
        adam.step(&mut self.params.values[learned.clone()], &slope[learned]);
        self.gradient = slope;
        loss
    }
}

impl Learner for Pretraining<'_, '_> {
    fn step(&mut self, rows: &[u32], _: u64) -> Result<f64> {
        let Self { networks, adam } = self;
        let (decoder, encoder) = (networks.generator.decoder, networks.encoder.weights);
        let learned = decoder.range().start..networks.splits[1];
        Ok(networks.step(rows, learned, &[decoder, encoder], adam, |n, t, rows, _| {
            n.encoder.loses(t, &n.generator, n.units, n.records.take(rows))
        }))
    }

    fn finite(&self) -> bool {
        self.networks.params.finite()
    }
}

impl Learner for Game<'_, '_> {
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64> {
        let Self { networks, generator, discriminator } = self;
        let block = |phase: u64, s: u64| (2 * step + phase) * SHARDS as u64 + s;
        let decaying: Vec<Weight> = networks.discriminator.matrices().collect();
        let learned = networks.splits[1]..networks.params.len();
        let loss = networks.step(rows, learned, &decaying, discriminator, |n, t, rows, s| {
            let made = n.make(t, rows.len(), block(0, s));
            let made = t.detached(made);
            let on_made = n.discriminator.generated(t, made);
            let on_real = n.discriminator.real(t, n.records.take(rows));
            let on_real = t.affine(on_real, -1.0, 0.0);
            let (on_made, on_real) = (t.softplus(on_made), t.softplus(on_real));
            let sum = t.add(on_made, on_real);
            t.sum(sum)
        });
        if (step + 1).is_multiple_of(networks.settings.critic_steps) {
            let decaying: Vec<Weight> = networks.generator.matrices().collect();
            networks.step(rows, 0..networks.splits[0], &decaying, generator, |n, t, rows, s| {
                let made = n.make(t, rows.len(), block(1, s));
                let score = n.discriminator.generated(t, made);
                let score = t.affine(score, -1.0, 0.0);
                let fooled = t.softplus(score);
                t.sum(fooled)
            });
        }
        Ok(loss)
    }

    fn finite(&self) -> bool {
        self.networks.params.finite()
    }
}
