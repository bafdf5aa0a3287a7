//! Normalising flows over columns as normals: what `realnvp` and `glow` share.

mod layers;

use std::ops::Range;

use lookalike_core::{Default, Frame, Job, Options, ParamKind, ParamSpec, Result, Stream, Streams, Values};

use crate::codec::{Reader, Writer, ensure};
use crate::encoded::{Compact, EncodedRows};
use crate::latents::Latents;
use crate::model::{Epoch, FitReport, Fitted};
use crate::nn::{
    Adam, History, Learner, Optimiser, Params, Pool, SHARDS, Schedule, Tape, Var, Workers, gradient, train,
};
use crate::normal::Normals;
use crate::rows::Rows;
use layers::Flow;
pub(crate) use layers::Steps;

pub(crate) const LAYERS: ParamSpec = ParamSpec {
    name: "layers",
    kind: ParamKind::Int { min: 1, max: 64 },
    default: Default::Int(8),
    purpose: "Affine coupling layers.",
};

pub(crate) const FLOW_HIDDEN: ParamSpec = ParamSpec {
    name: "hidden",
    kind: ParamKind::Int { min: 1, max: 4096 },
    default: Default::Int(128),
    purpose: "Units of each hidden layer.",
};

pub(crate) const FLOW_TOKENS: ParamSpec = ParamSpec {
    name: "max_tokens",
    kind: ParamKind::Int { min: 2, max: 65_000 },
    default: Default::Int(1024),
    purpose: "Most intervals that the values of a column are told apart by.",
};

/// Learns a flow of the given kind of steps.
pub(crate) fn fit(
    name: &'static str,
    steps: Steps,
    rows: &Rows,
    options: &Options,
    seed: u64,
    job: &Job,
) -> Result<Box<dyn Fitted>> {
    let size = |name, default| options.int(name).unwrap_or(default) as usize;
    job.count("rows_trained", rows.len());
    let (latents, tokens) = Latents::fit(rows, size("max_tokens", 1024), job)?;
    let mut history = History::of(rows);
    let schedule = Schedule::of(options);
    let flow = Flow::new(steps, latents.width(), size("layers", 8), size("hidden", 128), seed);
    let _weights = job.reserve(flow.params.len() * 4 * (5 + SHARDS), "the weights of a network")?;
    let mut training = Training {
        flow,
        tokens,
        latents,
        best: None,
        adam: Adam::new(schedule.learning_rate),
        rate: schedule.learning_rate,
        workers: Workers::new(),
        gradient: vec![],
        streams: Streams::new(seed, "dequantisation"),
    };
    // A single number is normal already.
    if training.latents.width() > 1 {
        history.extend(train(&mut training, history.rows(), rows.units(), &schedule, seed, job)?);
    }
    Ok(Box::new(Trained::new(name, training.flow, training.latents, history)?))
}

/// Reads what [`Fitted::save`] of a flow wrote.
pub(crate) fn load(name: &'static str, steps: Steps, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
    let mut r = Reader::new(bytes, name)?;
    let history = History::load(&mut r)?;
    let (layers, hidden) = (r.u32()? as usize, r.u32()? as usize);
    let latents = Latents::load(&mut r)?;
    // Weights follow: a network cannot be larger than what is left to read.
    let cells = hidden.saturating_mul(hidden.saturating_add(latents.width())).saturating_mul(layers);
    ensure(layers > 0 && hidden > 0 && (cells <= r.left() / 4 || latents.width() <= 1))?;
    let mut flow = Flow::new(steps, latents.width(), layers, hidden, 0);
    flow.params.load(&mut r)?;
    r.finish()?;
    Ok(Box::new(Trained::new(name, flow, latents, history)?))
}

struct Training {
    flow: Flow,
    latents: Latents,
    tokens: EncodedRows,
    best: Option<Params>,
    adam: Adam,
    rate: f64,
    workers: Workers,
    gradient: Vec<f32>,
    streams: Streams,
}

/// Blocks of the noise for rows held out: steps never come so far.
const HELD_OUT_BLOCK: u64 = 1 << 62;

impl Training {
    /// Rows as points drawn from their tokens' intervals.
    fn points(&self, t: &mut Tape, batch: &Compact, rows: Range<usize>, rng: &mut Stream) -> Var {
        let width = self.latents.width();
        t.constant(rows.len(), width, |z| {
            for (z, row) in z.chunks_exact_mut(width).zip(rows.clone()) {
                for (i, z) in z.iter_mut().enumerate() {
                    let token = batch.tracks[self.latents.column(i)].choices()[row];
                    *z = self.latents.draw(i, token.into(), rng);
                }
            }
        })
    }

    /// -ln of the flow's density over the standard normal's, 1 / `of` of the sum of rows.
    fn loss(&self, t: &mut Tape, batch: &Compact, rows: Range<usize>, of: usize, rng: &mut Stream) -> Var {
        let x = self.points(t, batch, rows, rng);
        let (z, log_volume) = self.flow.forward(t, x);
        let squares = t.square(z);
        let squares = t.row_sums(squares);
        let before = t.square(x);
        let before = t.row_sums(before);
        let gained = t.sub(squares, before);
        let half = t.affine(gained, 0.5, 0.0);
        let loss = t.sub(half, log_volume);
        let loss = t.sum(loss);
        t.affine(loss, 1.0 / of as f64, 0.0)
    }
}

impl Learner for Training {
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64> {
        let mut sum = std::mem::take(&mut self.gradient);
        let batch = self.tokens.gather(rows)?;
        let (loss, _) = gradient(&self.flow.params, &self.workers, &mut sum, |t, s| {
            let mut rng = self.streams.block(step * SHARDS as u64 + s as u64);
            (self.loss(t, &batch, batch.shard(s), rows.len(), &mut rng), ())
        });
        self.adam.step(&mut self.flow.params.values, &sum);
        self.gradient = sum;
        Ok(loss)
    }

    fn held_out(&mut self, rows: &[u32]) -> Result<Option<f64>> {
        let (mut pool, mut sum) = (Pool::new(), 0.0);
        for (b, part) in rows.chunks(1024).enumerate() {
            let (batch, rng) = (self.tokens.gather(part)?, &mut self.streams.block(HELD_OUT_BLOCK + b as u64));
            let mut t = Tape::forward(&self.flow.params, &mut pool);
            let loss = self.loss(&mut t, &batch, 0..part.len(), rows.len(), rng);
            sum += f64::from(t.finish(loss).data[0]);
        }
        Ok(Some(sum))
    }

    fn keep(&mut self) {
        self.best = Some(self.flow.params.clone());
    }

    fn restore(&mut self) {
        if let Some(best) = self.best.take() {
            self.flow.params = best;
        }
    }

    fn pace(&mut self, share: f64) {
        // Half a cosine from the full rate to nothing.
        self.adam.set_rate(self.rate * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * share)));
    }

    fn finite(&self) -> bool {
        self.flow.params.finite()
    }
}

struct Trained {
    name: &'static str,
    flow: Flow,
    /// The mixing layers' inverses.
    back: Vec<Vec<f32>>,
    latents: Latents,
    history: History,
    normals: Normals,
}

/// Rows at a time.
const CHUNK: usize = 512;
/// Points drawn from a row's cell to find its probability, and the seed of these draws.
const POINTS: usize = 64;

impl Trained {
    fn new(name: &'static str, flow: Flow, latents: Latents, history: History) -> Result<Self> {
        let back = flow.inverses()?;
        Ok(Self { name, flow, back, latents, history, normals: Normals::new() })
    }
}

impl Fitted for Trained {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let (width, mut pool) = (self.latents.width(), Pool::new());
        let mut all = Vec::with_capacity(rows * width);
        for start in (0..rows).step_by(CHUNK) {
            let size = CHUNK.min(rows - start);
            let mut t = Tape::forward(&self.flow.params, &mut pool);
            let z = t.constant(size, width, |z| self.normals.fill(z, rng));
            let x = self.flow.backward(&mut t, z, &self.back);
            all.extend(t.finish(x).data);
        }
        Ok(self.latents.decode(&all, rng))
    }

    /// The probability of a row's cell is the mean density over points drawn from it, relative to the standard normal's, times
    /// the shares of its intervals: an unbiased estimate of the integral, from 64 points that are the same at every call.
    fn log_likelihood(&self, rows: &Frame) -> Result<Option<Vec<f64>>> {
        let values: Vec<&Values> = rows.columns().iter().map(|c| &c.values).collect();
        let tokens = self.latents.encode(&values)?;
        let streams = Streams::new(0, "likelihood");
        let (width, mut pool) = (self.latents.width(), Pool::new());
        let mut out = Vec::with_capacity(rows.rows());
        for row in 0..rows.rows() {
            let cells: Vec<u32> = tokens.iter().map(|column| column[row]).collect();
            let known = (0..width).all(|i| self.latents.known(i, cells[i]));
            let shares: f64 = if known {
                (0..width).map(|i| libm::log(self.latents.share(i, cells[i]))).sum()
            } else {
                f64::NEG_INFINITY
            };
            if shares == f64::NEG_INFINITY || width <= 1 {
                out.push(shares);
                continue;
            }
            let mut rng = streams.block(0);
            let mut t = Tape::forward(&self.flow.params, &mut pool);
            let x = t.constant(POINTS, width, |x| {
                for x in x.chunks_exact_mut(width) {
                    x.iter_mut().enumerate().for_each(|(i, x)| *x = self.latents.draw(i, cells[i], &mut rng));
                }
            });
            let (z, log_volume) = self.flow.forward(&mut t, x);
            let square = |v: Var, p: usize| t.value(v).row(p).iter().map(|z| f64::from(z * z)).sum::<f64>();
            let gained =
                (0..POINTS).map(|p| f64::from(t.value(log_volume).data[p]) + 0.5 * (square(x, p) - square(z, p)));
            let gained: Vec<f64> = gained.collect();
            t.finish(z);
            let top = gained.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mean = gained.iter().map(|g| libm::exp(g - top)).sum::<f64>() / POINTS as f64;
            out.push(shares + top + libm::log(mean));
        }
        for i in 0..width {
            let within =
                self.latents.tokens().log_within(self.latents.column(i), values[self.latents.column(i)], &tokens[i]);
            out.iter_mut().zip(within).for_each(|(sum, w)| *sum += w);
        }
        Ok(Some(out))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(self.name);
        self.history.save(&mut w);
        w.u32(self.flow.layers as u32);
        w.u32(self.flow.hidden as u32);
        self.latents.save(&mut w);
        self.flow.params.save(&mut w);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.history.report
    }

    fn history(&self) -> &[Epoch] {
        &self.history.epochs
    }
}
