//! Diffusion for tables: numbers and categories are disturbed step by step, and a network learns the way back.

use std::ops::Range;

use lookalike_core::{
    Default, Job, Options, ParamKind, ParamSpec, Result, Role, Stream, Streams, Values, below, uniform,
};

use crate::codec::{Reader, Writer, ensure};
use crate::encoded::{Compact, EncodedRows};
use crate::latents::Latents;
use crate::model::{Epoch, FitReport, Fitted, Model};
use crate::nn::{
    Activation, Adam, Block, HELD_OUT_SHARE, History, Learner, MAX_SECONDS, Optimiser, Params, Pool, SHARDS, Schedule,
    Tape, Var, Weight, Workers, batch_size, epochs, gradient, learning_rate, patience, train,
};
use crate::normal::Normals;
use crate::rows::Rows;

/// Gaussian diffusion of the numbers (Ho, Jain & Abbeel 2020) and multinomial diffusion of the categories (Hoogeboom et al. 2021)
/// under one network (Kotelnikov et al. 2023, TabDDPM, section 3), on numbers as normals of their quantiles, cosine schedule.
///
/// Deviations from the paper: the number of steps (100, there up to 1,000); learned embeddings of the steps; categories learn by
/// the cross entropy of the undisturbed value, and steps back are the exact mixture over what the network believes of it; numbers with missing values have them at the
/// upper end of their quantiles; no class label is given.
///
/// The saved state holds weights, the columns' quantile tables and frequencies, no training rows.
pub(crate) struct TabDdpm;

const NAME: &str = "tabddpm";

const STEPS: ParamSpec = ParamSpec {
    name: "steps",
    kind: ParamKind::Int { min: 2, max: 1000 },
    default: Default::Int(100),
    purpose: "Steps from a row to noise; a row costs as many passes through the network.",
};

const UNITS: ParamSpec = ParamSpec {
    name: "hidden",
    kind: ParamKind::Int { min: 1, max: 4096 },
    default: Default::Int(256),
    purpose: "Units of each hidden layer.",
};

const TOKENS: ParamSpec = ParamSpec {
    name: "max_choices",
    kind: ParamKind::Int { min: 2, max: 65_000 },
    default: Default::Int(256),
    purpose: "Most categories, and intervals of a number, that are told apart; infrequent categories beyond are learned in groups.",
};

impl Model for TabDdpm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Gaussian diffusion of numbers and multinomial diffusion of categories under one network."
    }

    fn source(&self) -> &'static str {
        "Kotelnikov, Baranchuk, Rubachev & Babenko 2023, TabDDPM: Modelling Tabular Data with Diffusion Models"
    }

    fn params(&self) -> &'static [ParamSpec] {
        const PARAMS: &[ParamSpec] = &[
            epochs(100),
            batch_size(1000),
            learning_rate(0.002),
            patience(0),
            HELD_OUT_SHARE,
            MAX_SECONDS,
            STEPS,
            UNITS,
            TOKENS,
        ];
        PARAMS
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let size = |name, default| options.int(name).unwrap_or(default) as usize;
        job.count("rows_trained", rows.len());
        let (latents, tokens) = Latents::fit(rows, size("max_choices", 256), job)?;
        let is_category: Vec<bool> = rows.columns().iter().map(|c| c.role() == Role::Category).collect();
        let mut history = History::of(rows);
        let network = Network::new(latents, &is_category, size("steps", 100), size("hidden", 256), seed);
        let schedule = Schedule::of(options);
        let _weights = job.reserve(network.params.len() * 4 * (5 + SHARDS), "the weights of a network")?;
        let mut training = Training {
            network,
            tokens,
            best: None,
            adam: Adam::new(schedule.learning_rate),
            rate: schedule.learning_rate,
            workers: Workers::new(),
            gradient: vec![],
            normals: Normals::new(),
            streams: Streams::new(seed, "diffusion"),
        };
        if training.network.latents.width() > 0 {
            history.extend(train(&mut training, history.rows(), rows.units(), &schedule, seed, job)?);
        }
        Ok(Box::new(Trained { network: training.network, history, normals: training.normals }))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let history = History::load(&mut r)?;
        let (steps, hidden) = (r.u32()? as usize, r.u32()? as usize);
        let is_category: Vec<bool> = r.list(4, Reader::u32)?.into_iter().map(|c| c == 1).collect();
        let latents = Latents::load(&mut r)?;
        ensure(is_category.len() == latents.tokens().sizes().len() && (2..=1000).contains(&steps) && hidden > 0)?;
        // Weights follow: a network cannot be larger than what is left to read.
        let cells = hidden.saturating_add(steps + latents.width()).saturating_mul(hidden);
        ensure(cells <= r.left() / 4)?;
        let mut network = Network::new(latents, &is_category, steps, hidden, 0);
        network.params.load(&mut r)?;
        r.finish()?;
        Ok(Box::new(Trained { network, history, normals: Normals::new() }))
    }
}

/// What is left of a row after each step: the share of the signal's variance, of step 0 (all) to the last (hardly any), by half
/// a cosine (Nichol & Dhariwal 2021, section 3.2).
fn signal(steps: usize) -> Vec<f64> {
    let at = |t: usize| {
        let c = libm::cos((t as f64 / steps as f64 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2);
        c * c
    };
    (0..=steps).map(|t| (at(t) / at(0)).max(1e-5)).collect()
}

/// The network, and which places of a row are numbers and which categories.
struct Network {
    params: Params,
    latents: Latents,
    is_category: Vec<bool>,
    steps: usize,
    hidden: usize,
    signal: Vec<f64>,
    /// Places in the latent row.
    numbers: Vec<usize>,
    categories: Vec<usize>,
    /// Of the categories, in the network's input and output, behind the numbers.
    blocks: Vec<Block>,
    layers: [(Weight, Weight); 4],
}

/// A disturbed row of each kind of value, row after row.
struct Noisy {
    numbers: Vec<f32>,
    categories: Vec<u32>,
}

impl Network {
    fn new(latents: Latents, is_category: &[bool], steps: usize, hidden: usize, seed: u64) -> Self {
        let (mut params, rng) = (Params::new(), &mut Streams::new(seed, "tabddpm weights").block(0));
        let (categories, numbers): (Vec<usize>, Vec<usize>) =
            (0..latents.width()).partition(|&i| is_category[latents.column(i)]);
        let mut start = numbers.len();
        let block = |&i: &usize| {
            start += latents.tokens().sizes()[latents.column(i)];
            Block {
                start: start - latents.tokens().sizes()[latents.column(i)],
                size: latents.tokens().sizes()[latents.column(i)],
            }
        };
        let blocks: Vec<Block> = categories.iter().map(block).collect();
        let width = blocks.last().map_or(numbers.len(), |b| b.start + b.size);
        // Inputs are a few ones and numbers, whatever the width: as many as there are columns, and the step.
        let spread = 1.0 / ((latents.width() + 1) as f64).sqrt();
        let input = (params.normal(width + steps + 1, hidden, spread, rng), params.constant(1, hidden, 0.0));
        let mut layer = |inputs, outputs| (params.uniform(inputs, outputs, rng), params.constant(1, outputs, 0.0));
        let layers = [input, layer(hidden, hidden), layer(hidden, hidden), layer(hidden, width)];
        let is_category = is_category.to_vec();
        Self { params, latents, is_category, steps, hidden, signal: signal(steps), numbers, categories, blocks, layers }
    }

    /// The network's output for disturbed rows, each after its own number of steps: the noise in the numbers, and logits of
    /// the categories.
    fn denoise(&self, t: &mut Tape, noisy: &Noisy, steps: &[usize]) -> Var {
        let (n, k) = (self.numbers.len(), self.categories.len());
        let width = self.blocks.last().map_or(n, |b| b.start + b.size);
        let mut hot = Vec::with_capacity(steps.len() * (k + 1));
        for (r, step) in steps.iter().enumerate() {
            let tokens = &noisy.categories[r * k..][..k];
            hot.extend(self.blocks.iter().zip(tokens).map(|(b, token)| b.start as u32 + token));
            hot.push((width + step) as u32);
        }
        let numbers = t.constant(steps.len(), n, |x| x.copy_from_slice(&noisy.numbers));
        let at = (0..n as u32).collect();
        let [(w1, b1), (w2, b2), (w3, b3), (w4, b4)] = self.layers;
        let h = t.gather((hot, k + 1), Some((numbers, at)), w1, Some(b1), Activation::Relu);
        let h = t.dense(h, w2, Some(b2), Activation::Relu);
        let h = t.dense(h, w3, Some(b3), Activation::Relu);
        t.dense(h, w4, Some(b4), Activation::Identity)
    }

    /// One step back for every row: all have been disturbed by `step` steps.
    fn step_back(&self, noisy: &mut Noisy, rows: usize, step: usize, draws: &mut Draws, rng: &mut Stream) {
        let (n, k) = (self.numbers.len(), self.categories.len());
        let mut t = Tape::forward(&self.params, draws.pool);
        let out = self.denoise(&mut t, noisy, &vec![step; rows]);
        let out = t.finish(out);
        let (now, before) = (self.signal[step], self.signal[step - 1]);
        let keep = now / before;
        draws.noise.resize(rows * n, 0.0);
        draws.normals.fill(&mut draws.noise, rng);
        // The posterior's mean is a mixture of the row as it seems and the row as it is (Ho et al. 2020, equation 7).
        let to_clean = before.sqrt() * (1.0 - keep) / (1.0 - now);
        let to_noisy = keep.sqrt() * (1.0 - before) / (1.0 - now);
        let deviation = if step > 1 { ((1.0 - keep) * (1.0 - before) / (1.0 - now)).sqrt() } else { 0.0 };
        for r in 0..rows {
            let said = out.row(r);
            let cells = noisy.numbers[r * n..][..n].iter_mut().zip(&draws.noise[r * n..]);
            for ((number, fresh), noise) in cells.zip(said) {
                let x = f64::from(*number);
                let clean = (x - (1.0 - now).sqrt() * f64::from(*noise)) / now.sqrt();
                // Quantiles end at 5.2.
                let mean = to_clean * clean.clamp(-5.2, 5.2) + to_noisy * x;
                *number = (mean + deviation * f64::from(*fresh)) as f32;
            }
            for (c, block) in self.blocks.iter().enumerate() {
                let token = &mut noisy.categories[r * k + c];
                *token = posterior(&said[block.start..][..block.size], *token, [now, before], draws.weights, rng);
            }
        }
    }
}

/// A draw from the category one step before, given the category now and what the network believes of the undisturbed one: the
/// mixture over undisturbed categories x of q(category before | now, x) (Hoogeboom et al. 2021, equation 15), each divided by
/// the probability of the category now given x, which the belief counts already. `left` is the signal now and before.
fn posterior(logits: &[f32], now: u32, left: [f64; 2], weights: &mut Vec<f64>, rng: &mut Stream) -> u32 {
    let (size, [left, before]) = (logits.len() as f64, left);
    let keep = left / before;
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    weights.clear();
    weights.extend(logits.iter().enumerate().map(|(x, logit)| {
        let is_now = if x as u32 == now { left } else { 0.0 } + (1.0 - left) / size;
        f64::from(crate::nn::Real::exp(logit - top)) / is_now
    }));
    let all = weights.iter().sum::<f64>();
    for (k, w) in weights.iter_mut().enumerate() {
        let moved = if k as u32 == now { keep } else { 0.0 } + (1.0 - keep) / size;
        *w = (before * *w + (1.0 - before) / size * all) * moved;
    }
    let mut rest = uniform(rng) * weights.iter().sum::<f64>();
    let place = weights.iter().position(|w| {
        rest -= w;
        rest < 0.0
    });
    place.unwrap_or(now as usize) as u32
}

/// What sampling needs again and again.
struct Draws<'a> {
    pool: &'a mut Pool,
    normals: &'a Normals,
    noise: Vec<f32>,
    weights: &'a mut Vec<f64>,
}

struct Training {
    network: Network,
    tokens: EncodedRows,
    best: Option<Params>,
    adam: Adam,
    rate: f64,
    workers: Workers,
    gradient: Vec<f32>,
    normals: Normals,
    streams: Streams,
}

/// Blocks of the noise for rows held out: steps never come so far.
const HELD_OUT_BLOCK: u64 = 1 << 62;

impl Training {
    /// The squared error of the noise, a mean over numbers, plus the cross entropy of categories, a mean over them; 1 / `of` of
    /// the sum of rows.
    fn loss(&self, t: &mut Tape, batch: &Compact, rows: Range<usize>, of: usize, rng: &mut Stream) -> Var {
        let network = &self.network;
        let (n, k) = (network.numbers.len(), network.categories.len());
        let mut noise = vec![0f32; rows.len() * n];
        self.normals.fill(&mut noise, rng);
        let (mut noisy, mut steps, mut targets) = (Noisy { numbers: vec![], categories: vec![] }, vec![], vec![]);
        for (r, row) in rows.clone().enumerate() {
            let step = 1 + below(rng, network.steps);
            let left = network.signal[step];
            let token = |i: usize| u32::from(batch.tracks[network.latents.column(i)].choices()[row]);
            for (j, &i) in network.numbers.iter().enumerate() {
                let x = network.latents.draw(i, token(i), rng);
                noisy.numbers.push(left.sqrt() as f32 * x + (1.0 - left).sqrt() as f32 * noise[r * n + j]);
            }
            for (&i, block) in network.categories.iter().zip(&network.blocks) {
                let stays = uniform(rng) < left;
                noisy.categories.push(if stays { token(i) } else { below(rng, block.size) as u32 });
                targets.push(token(i));
            }
            steps.push(step);
        }
        let out = network.denoise(t, &noisy, &steps);
        let mut parts = vec![];
        if n > 0 {
            let said = t.columns(out, 0, n);
            let noise = t.constant(rows.len(), n, |x| x.copy_from_slice(&noise));
            let off = t.sub(said, noise);
            let squared = t.square(off);
            let sum = t.sum(squared);
            parts.push(t.affine(sum, 1.0 / (n * of) as f64, 0.0));
        }
        if k > 0 {
            let entropy = t.cross_entropy(out, network.blocks.clone(), targets);
            let sum = t.sum(entropy);
            parts.push(t.affine(sum, 1.0 / (k * of) as f64, 0.0));
        }
        let all = t.beside(&parts);
        t.sum(all)
    }
}

impl Learner for Training {
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64> {
        let mut sum = std::mem::take(&mut self.gradient);
        let batch = self.tokens.gather(rows)?;
        let (loss, _) = gradient(&self.network.params, &self.workers, &mut sum, |t, s| {
            let mut rng = self.streams.block(step * SHARDS as u64 + s as u64);
            (self.loss(t, &batch, batch.shard(s), rows.len(), &mut rng), ())
        });
        self.adam.step(&mut self.network.params.values, &sum);
        self.gradient = sum;
        Ok(loss)
    }

    fn held_out(&mut self, rows: &[u32]) -> Result<Option<f64>> {
        let (mut pool, mut sum) = (Pool::new(), 0.0);
        for (b, part) in rows.chunks(1024).enumerate() {
            let (batch, rng) = (self.tokens.gather(part)?, &mut self.streams.block(HELD_OUT_BLOCK + b as u64));
            let mut t = Tape::forward(&self.network.params, &mut pool);
            let loss = self.loss(&mut t, &batch, 0..part.len(), rows.len(), rng);
            sum += f64::from(t.finish(loss).data[0]);
        }
        Ok(Some(sum))
    }

    fn keep(&mut self) {
        self.best = Some(self.network.params.clone());
    }

    fn restore(&mut self) {
        if let Some(best) = self.best.take() {
            self.network.params = best;
        }
    }

    fn pace(&mut self, share: f64) {
        // Half a cosine from the full rate to nothing.
        self.adam.set_rate(self.rate * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * share)));
    }

    fn finite(&self) -> bool {
        self.network.params.finite()
    }
}

struct Trained {
    network: Network,
    history: History,
    normals: Normals,
}

/// Rows at a time.
const CHUNK: usize = 512;

impl Fitted for Trained {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let network = &self.network;
        let (n, k, columns) = (network.numbers.len(), network.categories.len(), network.latents.tokens().sizes().len());
        let (mut pool, mut weights) = (Pool::new(), vec![]);
        let mut tokens: Vec<Vec<u32>> = vec![vec![]; columns];
        let mut draws = Draws { pool: &mut pool, normals: &self.normals, noise: vec![], weights: &mut weights };
        for start in (0..rows).step_by(CHUNK) {
            let size = CHUNK.min(rows - start);
            let mut noisy = Noisy { numbers: vec![0.0; size * n], categories: vec![] };
            self.normals.fill(&mut noisy.numbers, rng);
            for _ in 0..size {
                noisy.categories.extend(network.blocks.iter().map(|b| below(rng, b.size) as u32));
            }
            if n + k > 0 {
                (1..=network.steps).rev().for_each(|step| network.step_back(&mut noisy, size, step, &mut draws, rng));
            }
            for (j, &i) in network.numbers.iter().enumerate() {
                let z = noisy.numbers.iter().skip(j).step_by(n);
                tokens[network.latents.column(i)].extend(z.map(|z| network.latents.token(i, *z)));
            }
            for (j, &i) in network.categories.iter().enumerate() {
                tokens[network.latents.column(i)].extend(noisy.categories.iter().skip(j).step_by(k));
            }
        }
        Ok(tokens.iter().enumerate().map(|(c, tokens)| network.latents.tokens().decode(c, tokens, rng)).collect())
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        self.history.save(&mut w);
        w.u32(self.network.steps as u32);
        w.u32(self.network.hidden as u32);
        w.list(&self.network.is_category, |w, c| w.u32(u32::from(*c)));
        self.network.latents.save(&mut w);
        self.network.params.save(&mut w);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.history.report
    }

    fn history(&self) -> &[Epoch] {
        &self.history.epochs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_falls_from_all_to_hardly_any() {
        let left = signal(100);
        assert_eq!(left[0], 1.0);
        assert!(left.is_sorted_by(|a, b| a > b) && left[100] < 1e-3, "{left:?}");
    }

    #[test]
    fn a_step_back_worked_by_hand() {
        // Three categories, signal 0.4 now and 0.5 before, so 0.8 are kept; category 0 now, belief (1/2, 1/2, 0). Category 0 now
        // has probability 0.6 from 0 and 0.2 from others, so the mixture has weights 0.8333 and 2.5, together 3.3333. Before:
        // (0.8 + 0.2/3) (0.5 * 0.8333 + 0.5/3 * 3.3333) = 0.8426, 0.2/3 (0.5 * 2.5 + 0.5556) = 0.1204, 0.2/3 * 0.5556 = 0.0370.
        // 100,000 draws: 4.9 standard deviations are 0.0057, 0.0051, 0.0030.
        let (mut rng, mut weights, mut counts) = (Streams::new(1, "test").block(0), vec![], [0u32; 3]);
        let logits = [0.0, 0.0, -1000.0];
        for _ in 0..100_000 {
            counts[posterior(&logits, 0, [0.4, 0.5], &mut weights, &mut rng) as usize] += 1;
        }
        for (count, (share, bound)) in counts.iter().zip([(0.842_6, 0.005_7), (0.120_4, 0.005_1), (0.037, 0.003)]) {
            assert!((f64::from(*count) / 100_000.0 - share).abs() < bound, "{counts:?}");
        }
    }
}
