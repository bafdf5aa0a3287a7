//! The game of generator and critic.

use std::ops::Range;

use lookalike_core::{Result, Stream, Streams};
use rand::{RngCore, SeedableRng};

use super::layout::{Layout, Packed, Place, Sampler};
use super::networks::{Critic, Generator, Pass, Sizes};
use super::{Game, Settings};
use crate::encoded::{Compact, EncodedRows};
use crate::nn::{
    Activation, Adam, Learner, Moments, Optimiser, Params, Pool, Real, RmsProp, Tape, Var, Workers, gradient_within,
    gumbel, shuffle, window,
};
use crate::normal::Normals;

/// Generator and critic in training.
pub(super) struct Adversaries<'a> {
    settings: &'a Settings,
    layout: &'a Layout,
    rows: &'a EncodedRows,
    /// Those of the last step.
    window: Option<Window>,
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

/// The rows that a step learns from: those of the batch, or the window of the training's order that it begins in, from which
/// training by sampling draws where there are columns to ask for.
struct Window {
    number: usize,
    rows: Compact,
    sampler: Option<Sampler>,
}

/// Generated packs on the tape.
struct Made {
    /// What each record was asked for.
    asked: Vec<Option<Place>>,
    /// Training rows beside them.
    real: Vec<u32>,
    logits: Var,
    fake: Var,
    /// What enters the critic's first layer, and what becomes of it.
    sums: Var,
    pass: Pass,
}

impl<'a> Adversaries<'a> {
    pub fn new(settings: &'a Settings, layout: &'a Layout, rows: &'a EncodedRows, seed: u64) -> Self {
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
            rows,
            window: None,
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

    /// What a step with this batch learns from.
    fn window_of(&mut self, batch: &[u32]) -> Result<Window> {
        if self.layout.conditions.is_empty() {
            return Ok(Window { number: 0, rows: self.rows.gather(batch)?, sampler: None });
        }
        let all = self.rows.rows();
        let number = batch[0] as usize / window(all);
        if let Some(last) = self.window.take_if(|last| last.number == number) {
            return Ok(last);
        }
        let rows = self.rows.range(number * window(all)..((number + 1) * window(all)).min(all))?;
        let sampler = Sampler::new(self.layout, &rows, self.settings.log_frequency);
        Ok(Window { number, rows, sampler })
    }

    /// Generated packs, what they were asked for, and training rows that have it (or the given ones).
    fn make(&self, t: &mut Tape, packs: Range<usize>, rows: &Window, rng: &mut Stream) -> Made {
        let (pac, layout) = (self.settings.pac, self.layout);
        let (asked, real): (Vec<Option<Place>>, Vec<u32>) = match &rows.sampler {
            Some(sampler) => (0..packs.len() * pac).map(|_| sampler.draw(rng)).map(|(p, r)| (Some(p), r)).unzip(),
            None => (packs.start * pac..packs.end * pac).map(|r| (None, (r % rows.rows.rows) as u32)).unzip(),
        };
        let noise = t.constant(asked.len(), self.settings.noise, |z| self.normals.fill(z, rng));
        let ones: Vec<u32> = asked.iter().map(|p| layout.one(*p)).collect();
        let logits = self.generator.logits(t, noise, &ones, None).0;
        let noise = gumbel(asked.len() * layout.width, rng);
        let fake = t.soft_choices(logits, layout.blocks.clone(), noise, TEMPERATURE);

        let given = t.detached(fake);
        let given = t.reshape(given, packs.len());
        let first = self.critic.first;
        let conditions = (layout.condition_width > 0).then(|| (layout.condition_ones(pac, &asked), pac, first));
        let parts = [(given, first.part(0, pac * layout.width))];
        let sums = t.joined(&parts, conditions, Some(self.critic.bias), Activation::Identity);
        let pass = self.critic.above(t, sums, self.dropout(rng));
        Made { asked, real, logits, fake, sums, pass }
    }

    /// What the critic loses on these packs of `all`; the generator's weights learn nothing of it. Beside it a figure for the
    /// history, a sum over the packs: the difference of scores, or the loss in the original game.
    fn critic_loses(
        &self,
        t: &mut Tape,
        packs: Range<usize>,
        all: usize,
        rows: &Window,
        rng: &mut Stream,
    ) -> (Var, f64) {
        let (critic, here) = (&self.critic, packs.len());
        let mut made = self.make(t, packs, rows, rng);
        if rows.sampler.is_some() {
            // Real and generated records side by side are to have been asked for different things.
            let mut order: Vec<usize> = (0..made.real.len()).collect();
            shuffle(&mut order, rng);
            made.asked = order.iter().map(|&i| made.asked[i]).collect();
            made.real = order.iter().map(|&i| made.real[i]).collect();
        }
        let Packed { hot, scalars } = self.layout.pack(t, self.settings.pac, &rows.rows, &made.real, &made.asked);
        let real_sums = t.gather(hot, scalars, critic.first, Some(critic.bias), Activation::Identity);
        let on_real = critic.above(t, real_sums, self.dropout(rng));

        let share = 1.0 / all as f64;
        let (loss, told) = match self.settings.game {
            Game::Original => {
                let real = t.affine(on_real.score, -1.0, 0.0);
                let (real, fake) = (t.softplus(real), t.softplus(made.pass.score));
                let sum = t.add(real, fake);
                let sum = t.sum(sum);
                (sum, f64::from(t.scalar(sum)))
            }
            Game::Clipped { .. } | Game::Penalised { .. } => {
                let difference = t.sub(made.pass.score, on_real.score);
                let sum = t.sum(difference);
                (sum, -f64::from(t.scalar(sum)))
            }
        };
        let loss = t.affine(loss, share, 0.0);
        let Game::Penalised { lambda } = self.settings.game else { return (loss, told) };
        // Between each real pack and its generated one: the first layer is linear, so its sums lie between as well.
        let at = t.constant(here, 1, |a| a.iter_mut().for_each(|a| *a = (rng.next_u32() >> 8) as f32 / 16_777_216.0));
        let (real, fake) = (t.detached(real_sums), t.detached(made.sums));
        let way = t.sub(real, fake);
        let way = t.mul(way, at);
        let between = t.add(fake, way);
        let pass = critic.above(t, between, self.dropout(rng));
        let penalty = critic.penalty(t, &pass, all);
        let penalty = t.affine(penalty, lambda, 0.0);
        (t.add(loss, penalty), told)
    }

    /// What the generator loses on these packs of `all`, but for constants; the critic's weights learn nothing of it.
    fn generator_loses(&self, t: &mut Tape, packs: Range<usize>, all: usize, rows: &Window, rng: &mut Stream) -> Var {
        let (pac, layout, here) = (self.settings.pac, self.layout, packs.len());
        let Made { asked, logits, fake, pass, .. } = self.make(t, packs, rows, rng);
        // The gradient of the loss by the generated rows, of the slopes of their scores.
        let slope = self.critic.slope(t, &pass);
        let slope = t.dense_transposed(slope, self.critic.first.part(0, pac * layout.width));
        let (original, share) = (matches!(self.settings.game, Game::Original), 1.0 / all as f32);
        let scores = t.value(pass.score).data.clone();
        let factor = t.constant(here, 1, |f| {
            // -ln(sigmoid(s)) has the slope -sigmoid(-s).
            let slope = |s: f32| if original { Real::sigmoid(-s) } else { 1.0 };
            f.iter_mut().zip(scores).for_each(|(f, s)| *f = -share * slope(s));
        });
        let slope = t.mul(slope, factor);
        let slope = t.detached(slope);
        let slope = t.reshape(slope, asked.len());
        let along = t.mul(fake, slope);
        let loss = t.sum(along);
        if rows.sampler.is_none() {
            return loss;
        }
        let width = layout.conditions.len();
        let mut targets = vec![u32::MAX; asked.len() * width];
        for (targets, place) in targets.chunks_exact_mut(width).zip(asked.iter().flatten()) {
            targets[place.condition] = place.choice;
        }
        let blocks = layout.conditions.iter().map(|c| c.block).collect();
        let missed = t.cross_entropy(logits, blocks, targets);
        let missed = t.sum(missed);
        let missed = t.affine(missed, f64::from(share) / pac as f64, 0.0);
        t.add(loss, missed)
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
        let window = self.window_of(rows)?;
        let all = (rows.len() / self.settings.pac).max(1);
        let packs = |s: usize| all * s / SHARDS..all * (s + 1) / SHARDS;
        let stream = |s: usize| self.streams.block(2 * step * SHARDS as u64 + s as u64);
        let mut slope = std::mem::take(&mut self.gradient);
        let weights = self.split..self.params.len();
        let (_, told) = gradient_within(&self.params, &self.workers, weights, &mut slope, |t, s| match packs(s) {
            none if none.is_empty() => (t.constant(1, 1, |_| ()), 0.0),
            packs => self.critic_loses(t, packs, all, &window, &mut stream(s)),
        });
        let critic = &mut self.params.values[self.split..];
        self.optimisers[1].step(critic, &slope[self.split..]);
        if let Game::Clipped { clip } = self.settings.game {
            let clip = clip as f32;
            critic.iter_mut().for_each(|w| *w = w.clamp(-clip, clip));
        }
        if (step + 1).is_multiple_of(self.settings.critic_steps) {
            let stream = |s: usize| self.streams.block((2 * step + 1) * SHARDS as u64 + s as u64);
            gradient_within(&self.params, &self.workers, 0..self.split, &mut slope, |t, s| match packs(s) {
                none if none.is_empty() => (t.constant(1, 1, |_| ()), ()),
                packs => (self.generator_loses(t, packs, all, &window, &mut stream(s)), ()),
            });
            self.optimisers[0].step(&mut self.params.values[..self.split], &slope[..self.split]);
        }
        (self.gradient, self.window) = (slope, Some(window));
        Ok(told.iter().sum::<f64>() / all as f64)
    }

    fn finite(&self) -> bool {
        self.params.finite()
    }
}
