//! The game of generator and critic.

use lookalike_core::{Result, Stream, Streams};
use rand::{RngCore, SeedableRng};

use super::layout::{Layout, Place, Sampler};
use super::networks::{Critic, Generator, Moments, Sizes};
use super::{Game, Settings};
use crate::modal::Compact;
use crate::nn::{
    Activation, Adam, Learner, Optimiser, Params, Pool, Real, RmsProp, Tape, Var, Workers, gradient, gumbel, shuffle,
};
use crate::normal::Normals;

/// Generator and critic in training.
pub(super) struct Adversaries<'a> {
    settings: &'a Settings,
    layout: &'a Layout,
    compact: &'a Compact,
    sampler: Option<Sampler>,
    /// The generator's weights, then the critic's from `split` on.
    params: Params,
    split: usize,
    generator: Generator,
    critic: Critic,
    workers: Workers,
    gradient: Vec<f32>,
    optimisers: [Box<dyn Optimiser + Sync>; 2],
    streams: Streams,
    normals: Normals,
}

impl<'a> Adversaries<'a> {
    pub fn new(settings: &'a Settings, layout: &'a Layout, compact: &'a Compact, seed: u64) -> Self {
        let mut rng = Streams::new(seed, "weights").block(0);
        let mut params = Params::new();
        let (condition, width) = (layout.condition_width, layout.width);
        let sizes = Sizes { noise: settings.noise, condition, hidden: settings.hidden, width };
        let generator = Generator::new(&mut params, sizes, &mut rng);
        let split = params.len();
        let critic = Critic::new(&mut params, settings.pac * (width + condition), settings.hidden, &mut rng);
        let rate = settings.schedule.learning_rate;
        let optimiser = || -> Box<dyn Optimiser + Sync> {
            let [beta1, beta2] = settings.betas;
            match settings.game {
                Game::Clipped { .. } => Box::new(RmsProp::new(rate)),
                _ => {
                    let mut adam = Adam::new(rate);
                    (adam.beta1, adam.beta2, adam.decay) = (beta1, beta2, settings.decay);
                    Box::new(adam)
                }
            }
        };
        Self {
            settings,
            layout,
            compact,
            sampler: Sampler::new(layout, compact, settings.log_frequency),
            params,
            split,
            generator,
            critic,
            workers: Workers::of(SHARDS),
            gradient: vec![],
            optimisers: [optimiser(), optimiser()],
            streams: Streams::new(seed, "adversaries"),
            normals: Normals::new(),
        }
    }

    /// The generator's weights, and the moments of its layers' units over rows as sampling asks for them.
    pub fn finish(self, seed: u64) -> (Generator, Params, Vec<Moments<f32>>) {
        let mut params = self.params;
        params.values.truncate(self.split);
        if self.layout.width == 0 {
            let moments = vec![vec![(0.0, 1.0); self.settings.hidden]; 2];
            return (self.generator, params, moments);
        }
        let mut rng = Streams::new(seed, "moments").block(0);
        let asked: Vec<u32> = (0..MOMENT_ROWS).map(|_| self.layout.one(self.layout.draw(&mut rng))).collect();
        let mut pool = Pool::new();
        let mut tape = Tape::forward(&params, &mut pool);
        let noise = tape.constant(MOMENT_ROWS, self.settings.noise, |z| self.normals.fill(z, &mut rng));
        let moments = self.generator.logits(&mut tape, noise, &asked, None).1;
        drop(tape);
        (self.generator, params, moments)
    }

    /// The losses of packs `from..to` of `packs` as one figure to descend: the critic's, of which the generator's weights learn
    /// nothing, and the generator's, of which the critic's learn nothing. Beside it what the history tells, a sum over these packs:
    /// the difference of scores, or the critic's loss in the original game.
    fn shard(
        &self,
        t: &mut Tape,
        [from, to, packs]: [usize; 3],
        rows: &[u32],
        with_generator: bool,
        rng: &mut Stream,
    ) -> (Var, f64) {
        let (pac, layout) = (self.settings.pac, self.layout);
        let (here, n) = (to - from, (to - from) * pac);
        if here == 0 {
            return (t.constant(1, 1, |_| ()), 0.0);
        }
        let (mut asked, mut real): (Vec<Option<Place>>, Vec<u32>) = match &self.sampler {
            Some(sampler) => (0..n).map(|_| sampler.draw(rng)).map(|(p, r)| (Some(p), r)).unzip(),
            None => (from * pac..to * pac).map(|r| (None, rows[r % rows.len()])).unzip(),
        };
        let asked_of_fake = asked.clone();
        if self.sampler.is_some() {
            // Real and generated records side by side were asked for different things.
            let mut order: Vec<usize> = (0..n).collect();
            shuffle(&mut order, rng);
            asked = order.iter().map(|&i| asked_of_fake[i]).collect();
            real = order.iter().map(|&i| real[i]).collect();
        }

        let noise = t.constant(n, self.settings.noise, |z| self.normals.fill(z, rng));
        let ones: Vec<u32> = asked_of_fake.iter().map(|p| layout.one(*p)).collect();
        let logits = self.generator.logits(t, noise, &ones, None).0;
        let fake = t.soft_choices(logits, layout.blocks.clone(), gumbel(n * layout.width, rng), TEMPERATURE);

        let (critic, fields) = (&self.critic, self.critic.first.part(0, pac * layout.width));
        let given = t.detached(fake);
        let given = t.reshape(given, here);
        let conditions =
            (layout.condition_width > 0).then(|| (layout.condition_ones(pac, &asked_of_fake), pac, critic.first));
        let fake_sums = t.joined(&[(given, fields)], conditions, Some(critic.bias), Activation::Identity);
        let (hot, scalars) = layout.pack(t, pac, self.compact, &real, &asked);
        let real_sums = t.gather(hot, scalars, critic.first, Some(critic.bias), Activation::Identity);
        let on_fake = critic.above(t, fake_sums, self.dropout(rng));
        let on_real = critic.above(t, real_sums, self.dropout(rng));

        let share = 1.0 / packs as f64;
        let (mut loss, told) = match self.settings.game {
            Game::Original => {
                let real = t.affine(on_real.score, -1.0, 0.0);
                let (real, fake) = (t.softplus(real), t.softplus(on_fake.score));
                let sum = t.add(real, fake);
                let loss = t.sum(sum);
                (t.affine(loss, share, 0.0), f64::from(t.scalar(loss)))
            }
            Game::Clipped { .. } | Game::Penalised { .. } => {
                let difference = t.sub(on_fake.score, on_real.score);
                let sum = t.sum(difference);
                (t.affine(sum, share, 0.0), -f64::from(t.scalar(sum)))
            }
        };
        if let Game::Penalised { lambda } = self.settings.game {
            // Between each real pack and its generated one: the first layer is linear, so its sums lie between as well.
            let at =
                t.constant(here, 1, |a| a.iter_mut().for_each(|a| *a = (rng.next_u32() >> 8) as f32 / 16_777_216.0));
            let (real, fake) = (t.detached(real_sums), t.detached(fake_sums));
            let way = t.sub(real, fake);
            let way = t.mul(way, at);
            let between = t.add(fake, way);
            let pass = critic.above(t, between, self.dropout(rng));
            let penalty = critic.penalty(t, &pass, packs);
            let penalty = t.affine(penalty, lambda, 0.0);
            loss = t.add(loss, penalty);
        }
        if with_generator {
            // The gradient of the generator's loss by its rows, of the scores' slopes.
            let slope = critic.slope(t, &on_fake);
            let slope = t.dense_transposed(slope, fields);
            let original = matches!(self.settings.game, Game::Original);
            let scores = t.value(on_fake.score).data.clone();
            let factor = t.constant(here, 1, |f| {
                for (f, s) in f.iter_mut().zip(scores) {
                    // -ln(sigmoid(s)) has the slope -sigmoid(-s).
                    *f = -(share as f32) * if original { Real::sigmoid(-s) } else { 1.0 };
                }
            });
            let slope = t.mul(slope, factor);
            let slope = t.detached(slope);
            let slope = t.reshape(slope, n);
            let along = t.mul(fake, slope);
            let along = t.sum(along);
            loss = t.add(loss, along);
            if self.sampler.is_some() {
                let width = layout.conditions.len();
                let mut targets = vec![u32::MAX; n * width];
                for (r, p) in asked_of_fake.iter().enumerate().filter_map(|(r, p)| Some((r, (*p)?))) {
                    targets[r * width + p.condition] = p.choice;
                }
                let blocks = layout.conditions.iter().map(|c| c.block).collect();
                let missed = t.cross_entropy(logits, blocks, targets);
                let missed = t.sum(missed);
                let missed = t.affine(missed, share / pac as f64, 0.0);
                loss = t.add(loss, missed);
            }
        }
        (loss, told)
    }

    /// Fills the factors of dropout: 0 for units dropped, and what keeps the mean for the others.
    fn dropout(&self, rng: &mut Stream) -> Option<impl FnMut(&mut [f32]) + use<>> {
        let mut rng = Stream::from_rng(rng);
        (self.settings.dropout > 0.0).then(|| {
            let (share, kept) = (self.settings.dropout * 65_536.0, (1.0 / (1.0 - self.settings.dropout)) as f32);
            move |out: &mut [f32]| {
                let mut bits = vec![0u8; out.len() * 2];
                rng.fill_bytes(&mut bits);
                for (o, b) in out.iter_mut().zip(bits.as_chunks::<2>().0) {
                    *o = if f64::from(u16::from_le_bytes(*b)) < share { 0.0 } else { kept };
                }
            }
        })
    }
}

/// Parts of a batch. Each reads and sums up all of the critic's weights, for a tenth as many packs as records: more parts would cost
/// more than they share out.
pub(super) const SHARDS: usize = 2;
/// Softness of choices in training (Xu et al. 2019, section 4.4).
const TEMPERATURE: f64 = 0.2;
/// Rows that the moments of a trained generator are those of.
const MOMENT_ROWS: usize = 4096;

impl Learner for Adversaries<'_> {
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64> {
        let packs = (rows.len() / self.settings.pac).max(1);
        let with_generator = (step + 1).is_multiple_of(self.settings.critic_steps);
        let alternate = std::env::var("LK_ALT").is_ok();
        if alternate {
            let mut slope = std::mem::take(&mut self.gradient);
            let (_, told) = gradient(&self.params, &self.workers, &mut slope, |t, s| {
                let mut rng = self.streams.block((2 * step) * SHARDS as u64 + s as u64);
                let [from, to] = [s, s + 1].map(|s| packs * s / SHARDS);
                self.shard(t, [from, to, packs], rows, false, &mut rng)
            });
            self.optimisers[1].step(&mut self.params.values[self.split..], &slope[self.split..]);
            gradient(&self.params, &self.workers, &mut slope, |t, s| {
                let mut rng = self.streams.block((2 * step + 1) * SHARDS as u64 + s as u64);
                let [from, to] = [s, s + 1].map(|s| packs * s / SHARDS);
                self.shard(t, [from, to, packs], rows, true, &mut rng)
            });
            self.optimisers[0].step(&mut self.params.values[..self.split], &slope[..self.split]);
            self.gradient = slope;
            return Ok(told.iter().sum::<f64>() / packs as f64);
        }
        let mut slope = std::mem::take(&mut self.gradient);
        let (_, told) = gradient(&self.params, &self.workers, &mut slope, |t, s| {
            let mut rng = self.streams.block(step * SHARDS as u64 + s as u64);
            let [from, to] = [s, s + 1].map(|s| packs * s / SHARDS);
            self.shard(t, [from, to, packs], rows, with_generator, &mut rng)
        });
        self.gradient = slope;
        let (generator, critic) = self.params.values.split_at_mut(self.split);
        if with_generator {
            self.optimisers[0].step(generator, &self.gradient[..self.split]);
        }
        self.optimisers[1].step(critic, &self.gradient[self.split..]);
        if let Game::Clipped { clip } = self.settings.game {
            let clip = clip as f32;
            critic.iter_mut().for_each(|w| *w = w.clamp(-clip, clip));
        }
        Ok(told.iter().sum::<f64>() / packs as f64)
    }

    fn finite(&self) -> bool {
        self.params.finite()
    }
}
