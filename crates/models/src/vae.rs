//! The variational autoencoder, in its form for tables.

pub(crate) mod output;

use lookalike_core::{Default, Job, Options, ParamKind, ParamSpec, Result, Stream, Streams, Values};

use crate::codec::{Reader, Writer, ensure};
use crate::encoded::EncodedRows;
use crate::modal::Modal;
use crate::model::{Epoch, FitReport, Fitted, Model};
use crate::nn::{
    Activation, Adam, HELD_OUT_SHARE, History, Learner, MAX_SECONDS, Optimiser, Params, Pool, SHARDS, Schedule, Tape,
    Var, Weight, Workers, batch_size, epochs, gradient, learning_rate, patience, train,
};
use crate::normal::Normals;
use crate::rows::Rows;
use output::{Batch, Output, empty};

/// Gaussian encoder and decoder of two ReLU layers each, trained on the evidence lower bound whose divergence is weighted by
/// `beta` (Kingma & Welling 2014; Higgins et al. 2017), on rows in the mode-specific normalisation: the TVAE of Xu et al. 2019
/// (section 4.4). With its reference implementation it shares learning rate, weight decay, and the weight 2 of the reconstruction. Other than
/// there, choices are drawn by their probabilities, where it takes the most probable, and layers are half as wide and the latent
/// space an eighth of it: rows come out as close to the data, or closer, at a third of the cost.
///
/// The saved state holds weights and the encoding (see [`Modal`]), no training rows.
pub(crate) struct Vae;

const NAME: &str = "vae";

const LATENT: ParamSpec = ParamSpec {
    name: "latent",
    kind: ParamKind::Int { min: 1, max: 4096 },
    default: Default::Int(16),
    purpose: "Dimensions of the latent space.",
};

/// The `hidden` option.
pub(crate) const fn hidden(default: i64) -> ParamSpec {
    ParamSpec {
        name: "hidden",
        kind: ParamKind::Int { min: 1, max: 4096 },
        default: Default::Int(default),
        purpose: "Units of each hidden layer.",
    }
}

pub(crate) const MODES: ParamSpec = ParamSpec {
    name: "modes",
    kind: ParamKind::Int { min: 1, max: 100 },
    default: Default::Int(10),
    purpose: "Most Gaussian modes that a numeric column is normalised by.",
};

pub(crate) const MAX_CHOICES: ParamSpec = ParamSpec {
    name: "max_choices",
    kind: ParamKind::Int { min: 2, max: 65_000 },
    default: Default::Int(256),
    purpose: "Most categories of a column that are learned one by one; infrequent ones beyond are learned in groups.",
};

const BETA: ParamSpec = ParamSpec {
    name: "beta",
    kind: ParamKind::Float { min: 0.0, max: 1000.0 },
    default: Default::Float(1.0),
    purpose: "Weight of the divergence between posterior and prior; above 1 disentangles and remembers less.",
};

/// Weight of the reconstruction, and decay of the weights, in the reference implementation.
const RECONSTRUCTION: f64 = 2.0;
const DECAY: f64 = 1e-5;

impl Model for Vae {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Variational autoencoder on mode-normalised rows (TVAE); beta weighs the divergence."
    }

    fn source(&self) -> &'static str {
        "Kingma & Welling 2014, Auto-Encoding Variational Bayes; Higgins et al. 2017, beta-VAE; Xu et al. 2019, Modeling Tabular data using Conditional GAN"
    }

    fn params(&self) -> &'static [ParamSpec] {
        const PARAMS: &[ParamSpec] = &[
            epochs(300),
            batch_size(500),
            learning_rate(0.001),
            patience(0),
            HELD_OUT_SHARE,
            MAX_SECONDS,
            BETA,
            LATENT,
            hidden(64),
            MODES,
            MAX_CHOICES,
        ];
        PARAMS
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let size = |name, default| options.int(name).unwrap_or(default) as usize;
        job.count("rows_trained", rows.len());
        let in_work = rows.columns_in_work(job)?;
        let modal = Modal::fit(rows, size("modes", 10), size("max_choices", 256), seed, job)?;
        let encoded = modal.encode(rows, job)?;
        drop(in_work);
        let network = Network::new(modal, size("hidden", 64), size("latent", 16), seed);
        let schedule = Schedule::of(options);
        let mut history = History::of(rows);
        // Weights, two moments, the best ones, and gradients of the shards.
        let _weights = job.reserve(network.params.len() * 4 * (5 + SHARDS), "the weights of a network")?;
        let mut training = Training {
            best: None,
            adam: Adam::new(schedule.learning_rate).with_decay(DECAY),
            workers: Workers::new(),
            gradient: vec![],
            normals: Normals::new(),
            streams: Streams::new(seed, "vae noise"),
            beta: options.float("beta").unwrap_or(1.0),
            rows: encoded,
            network,
        };
        if training.network.output.width() > 0 {
            history.extend(train(&mut training, history.rows(), rows.units(), &schedule, seed, job)?);
        }
        Ok(Box::new(Trained { network: training.network, history, normals: training.normals }))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let history = History::load(&mut r)?;
        let (hidden, latent) = (r.u32()? as usize, r.u32()? as usize);
        let modal = Modal::load(&mut r)?;
        // Weights follow: a network cannot be larger than what is left to read.
        let cells = (modal.width() + hidden + 2 * latent).saturating_mul(hidden);
        ensure(hidden > 0 && latent > 0 && cells <= r.left() / 4)?;
        let mut network = Network::new(modal, hidden, latent, 0);
        network.params.load(&mut r)?;
        r.finish()?;
        Ok(Box::new(Trained { network, history, normals: Normals::new() }))
    }
}

/// Layers of encoder and decoder.
struct Network {
    params: Params,
    modal: Modal,
    output: Output,
    hidden: usize,
    latent: usize,
    /// Weights and biases: two layers, mean and log-variance beside one another.
    encoder: [(Weight, Weight); 3],
    decoder: [(Weight, Weight); 3],
}

impl Network {
    fn new(modal: Modal, hidden: usize, latent: usize, seed: u64) -> Self {
        let (mut params, rng) = (Params::new(), &mut Streams::new(seed, "vae weights").block(0));
        let output = Output::new(&modal, &mut params);
        let mut layer = |inputs, outputs| (params.uniform(inputs, outputs, rng), params.constant(1, outputs, 0.0));
        let encoder = [layer(output.width(), hidden), layer(hidden, hidden), layer(hidden, 2 * latent)];
        let decoder = [layer(latent, hidden), layer(hidden, hidden), layer(hidden, output.width())];
        Self { params, modal, output, hidden, latent, encoder, decoder }
    }

    /// Mean and log-variance of the latent vector.
    fn encode(&self, t: &mut Tape, rows: &Batch) -> (Var, Var) {
        let [(w1, b1), (w2, b2), (w3, b3)] = self.encoder;
        let h = self.output.first_layer(t, rows, w1, b1, Activation::Relu);
        let h = t.dense(h, w2, Some(b2), Activation::Relu);
        let both = t.dense(h, w3, Some(b3), Activation::Identity);
        (t.columns(both, 0, self.latent), t.columns(both, self.latent, self.latent))
    }

    fn decode(&self, t: &mut Tape, z: Var) -> Var {
        let [(w1, b1), (w2, b2), (w3, b3)] = self.decoder;
        let h = t.dense(z, w1, Some(b1), Activation::Relu);
        let h = t.dense(h, w2, Some(b2), Activation::Relu);
        t.dense(h, w3, Some(b3), Activation::Identity)
    }
}

struct Training {
    network: Network,
    rows: EncodedRows,
    best: Option<Params>,
    adam: Adam,
    workers: Workers,
    gradient: Vec<f32>,
    normals: Normals,
    streams: Streams,
    beta: f64,
}

/// Blocks of the noise for rows held out: steps never come so far.
const HELD_OUT_BLOCK: u64 = 1 << 62;

impl Training {
    /// The loss of one shard, a share 1 / `of` of its rows' sum.
    fn loss(&self, t: &mut Tape, rows: &Batch, of: usize, noise: &mut Stream) -> Var {
        let network = &self.network;
        let (mean, log_variance) = network.encode(t, rows);
        let half = t.affine(log_variance, 0.5, 0.0);
        let deviation = t.exp(half);
        let e = t.constant(rows.len(), network.latent, |e| self.normals.fill(e, noise));
        let spread = t.mul(deviation, e);
        let z = t.add(mean, spread);
        let x = network.decode(t, z);
        let reconstruction = network.output.loss(t, x, rows);
        // -KL = (1 + ln variance - mean^2 - variance) / 2.
        let square = t.square(mean);
        let variance = t.square(deviation);
        let sum = t.add(square, variance);
        let sum = t.sub(sum, log_variance);
        let sum = t.affine(sum, 0.5, -0.5);
        let divergence = t.sum(sum);
        let reconstruction = t.affine(reconstruction, RECONSTRUCTION / of as f64, 0.0);
        let divergence = t.affine(divergence, self.beta / of as f64, 0.0);
        t.add(reconstruction, divergence)
    }
}

impl Learner for Training {
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64> {
        let mut gradients = std::mem::take(&mut self.gradient);
        let batch = self.rows.gather(rows)?;
        let (loss, _) = gradient(&self.network.params, &self.workers, &mut gradients, |t, s| {
            let mut noise = self.streams.block(step * SHARDS as u64 + s as u64);
            (self.loss(t, &Batch::shard(&batch, s), rows.len(), &mut noise), ())
        });
        self.adam.step(&mut self.network.params.values, &gradients);
        self.network.output.clamp(&mut self.network.params);
        self.gradient = gradients;
        Ok(loss)
    }

    fn held_out(&mut self, rows: &[u32]) -> Result<Option<f64>> {
        let mut pool = Pool::new();
        let mut sum = 0.0;
        for (b, part) in rows.chunks(1024).enumerate() {
            let batch = self.rows.gather(part)?;
            let mut t = Tape::forward(&self.network.params, &mut pool);
            let loss =
                self.loss(&mut t, &Batch::all(&batch), rows.len(), &mut self.streams.block(HELD_OUT_BLOCK + b as u64));
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

    fn finite(&self) -> bool {
        self.network.params.finite()
    }
}

struct Trained {
    network: Network,
    history: History,
    normals: Normals,
}

/// Rows decoded at a time.
const CHUNK: usize = 512;

impl Fitted for Trained {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let network = &self.network;
        let (mut drawn, mut pool) = (empty(&network.modal), Pool::new());
        for start in (0..rows).step_by(CHUNK) {
            let size = CHUNK.min(rows - start);
            let mut t = Tape::forward(&network.params, &mut pool);
            let z = t.constant(size, network.latent, |z| self.normals.fill(z, rng));
            let x = network.decode(&mut t, z);
            let x = t.finish(x);
            network.output.draw(&network.params, &x, &self.normals, &mut drawn, rng);
        }
        Ok(network.modal.decode_compact(&drawn, rng))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        self.history.save(&mut w);
        w.u32(self.network.hidden as u32);
        w.u32(self.network.latent as u32);
        self.network.modal.save(&mut w);
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
