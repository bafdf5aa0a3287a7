//! The vector-quantised variational autoencoder, with an autoregressive prior over its codes.

mod codebook;
mod prior;

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
use crate::vae::output::{Batch, Output, empty};
use crate::vae::{MAX_CHOICES, MODES, hidden};
use codebook::Codebook;
use prior::{Prior, PriorTraining};

/// An autoencoder whose latent vector is cut into slots, each replaced by the nearest of a book of codes; gradients pass the
/// replacement straight through, codes are running averages, and a commitment loss of weight 0.25 holds the encoder to
/// them (van den Oord, Vinyals & Kavukcuoglu 2017, sections 3.1-3.2, appendix A.1). Then a network learns the distribution of
/// each slot's code given those before it (section 3.3), and new rows come through it.
///
/// Deviations from the paper: rows of tables in the mode-specific normalisation instead of images, a book of its own for each
/// slot, and codes that nothing chooses move to outputs of the encoder.
///
/// The saved state holds weights, codes and the encoding (see [`Modal`]), no training rows.
pub(crate) struct VqVae;

const NAME: &str = "vq_vae";

const SLOTS: ParamSpec = ParamSpec {
    name: "slots",
    kind: ParamKind::Int { min: 1, max: 256 },
    default: Default::Int(16),
    purpose: "Codes a row is written in.",
};

const CODES: ParamSpec = ParamSpec {
    name: "codes",
    kind: ParamKind::Int { min: 2, max: 4096 },
    default: Default::Int(32),
    purpose: "Codes to choose from in each slot.",
};

const CODE_WIDTH: ParamSpec = ParamSpec {
    name: "code_width",
    kind: ParamKind::Int { min: 1, max: 256 },
    default: Default::Int(8),
    purpose: "Numbers that a code stands for.",
};

/// Weight of the commitment loss, section 3.2 of the paper.
const COMMITMENT: f64 = 0.25;
/// Rows held out that are measured at a time.
const MAX_HELD: usize = 1024;

impl Model for VqVae {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Vector-quantised autoencoder on mode-normalised rows, sampled through an autoregressive prior over its codes."
    }

    fn source(&self) -> &'static str {
        "van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning"
    }

    fn params(&self) -> &'static [ParamSpec] {
        const PARAMS: &[ParamSpec] = &[
            epochs(100),
            batch_size(500),
            learning_rate(0.001),
            patience(0),
            HELD_OUT_SHARE,
            MAX_SECONDS,
            SLOTS,
            CODES,
            CODE_WIDTH,
            hidden(128),
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
        let book = Codebook::new(size("slots", 16), size("codes", 32), size("code_width", 8));
        let hidden = size("hidden", 128);
        let prior = Prior::new(book.slots, book.codes, hidden, seed);
        let network = Network::new(modal, book, hidden, seed);
        let history = History::of(rows);
        let weights = network.params.len().max(prior.params.len());
        let _weights = job.reserve(weights * 4 * (5 + SHARDS), "the weights of a network")?;
        let mut fitted = Trained { network, prior, history, normals: Normals::new() };
        if fitted.network.output.width() == 0 {
            return Ok(Box::new(fitted));
        }
        // Three parts of the time for the codes, one for their prior.
        let schedule = Schedule::of(options);
        let share = |part: f64| Schedule { max_seconds: schedule.max_seconds.map(|s| s * part), ..schedule.clone() };
        let (count, units) = (rows.len(), rows.units());
        let mut coder = Training {
            network: fitted.network,
            rows: encoded,
            best: None,
            adam: Adam::new(schedule.learning_rate),
            workers: Workers::new(),
            gradient: vec![],
            streams: Streams::new(seed, "vq_vae codes"),
        };
        fitted.history.extend(train(&mut coder, count, units, &share(0.75), seed, job)?);
        let _codes = job.reserve(count * coder.network.book.slots * 4, "the codes of rows")?;
        let codes = coder.codes(count, job)?;
        fitted.network = coder.network;
        let mut learner = PriorTraining {
            prior: fitted.prior,
            codes: &codes,
            adam: Adam::new(schedule.learning_rate),
            workers: coder.workers,
            gradient: coder.gradient,
            best: None,
        };
        fitted.history.extend(train(&mut learner, count, units, &share(0.25), seed, job)?);
        fitted.prior = learner.prior;
        Ok(Box::new(fitted))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let history = History::load(&mut r)?;
        let hidden = r.u32()? as usize;
        let book = Codebook::load(&mut r)?;
        let modal = Modal::load(&mut r)?;
        // Weights follow: a network cannot be larger than what is left to read.
        let most = r.left() / 4;
        let cells = modal.width().saturating_add(hidden).saturating_mul(hidden);
        let (slots, codes) = (book.slots, book.codes);
        ensure(hidden > 0 && cells <= most && Prior::size(slots, codes, hidden).is_some_and(|n| n <= most))?;
        ensure(book.slots.saturating_mul(book.width).saturating_mul(hidden) <= most)?;
        let mut network = Network::new(modal, book, hidden, 0);
        network.params.load(&mut r)?;
        let mut prior = Prior::new(slots, codes, hidden, 0);
        prior.params.load(&mut r)?;
        r.finish()?;
        Ok(Box::new(Trained { network, prior, history, normals: Normals::new() }))
    }
}

/// Encoder, codes and decoder.
struct Network {
    params: Params,
    modal: Modal,
    output: Output,
    book: Codebook,
    hidden: usize,
    encoder: [(Weight, Weight); 3],
    decoder: [(Weight, Weight); 3],
}

impl Network {
    fn new(modal: Modal, book: Codebook, hidden: usize, seed: u64) -> Self {
        let (mut params, rng) = (Params::new(), &mut Streams::new(seed, "vq_vae weights").block(0));
        let output = Output::new(&modal, &mut params);
        let latent = book.slots * book.width;
        let mut layer = |inputs, outputs| (params.uniform(inputs, outputs, rng), params.constant(1, outputs, 0.0));
        let encoder = [layer(output.width(), hidden), layer(hidden, hidden), layer(hidden, latent)];
        let decoder = [layer(latent, hidden), layer(hidden, hidden), layer(hidden, output.width())];
        Self { params, modal, output, book, hidden, encoder, decoder }
    }

    fn encode(&self, t: &mut Tape, rows: &Batch) -> Var {
        let [(w1, b1), (w2, b2), (w3, b3)] = self.encoder;
        let h = self.output.first_layer(t, rows, w1, b1, Activation::Relu);
        let h = t.dense(h, w2, Some(b2), Activation::Relu);
        t.dense(h, w3, Some(b3), Activation::Identity)
    }

    fn decode(&self, t: &mut Tape, z: Var) -> Var {
        let [(w1, b1), (w2, b2), (w3, b3)] = self.decoder;
        let h = t.dense(z, w1, Some(b1), Activation::Relu);
        let h = t.dense(h, w2, Some(b2), Activation::Relu);
        t.dense(h, w3, Some(b3), Activation::Identity)
    }

    /// The vectors that rows of codes stand for.
    fn vectors(&self, t: &mut Tape, codes: &[u32]) -> Var {
        let (slots, width) = (self.book.slots, self.book.width);
        t.constant(codes.len() / slots, slots * width, |z| {
            for (i, (z, &code)) in z.chunks_exact_mut(width).zip(codes).enumerate() {
                z.copy_from_slice(self.book.vector(i % slots, code));
            }
        })
    }

    /// The nearest codes of rows of encoder outputs.
    fn nearest(&self, t: &Tape, z: Var) -> Vec<u32> {
        let mut codes = vec![];
        let z = t.value(z);
        (0..z.rows).for_each(|r| self.book.nearest(z.row(r), &mut codes));
        codes
    }

    /// The loss of rows, 1 / `of` of their sum; also what the encoder said and the codes chosen.
    fn loss(&self, t: &mut Tape, rows: &Batch, of: usize) -> (Var, (Vec<f32>, Vec<u32>)) {
        let z = self.encode(t, rows);
        let codes = self.nearest(t, z);
        let vectors = self.vectors(t, &codes);
        let off = t.sub(vectors, z);
        // Straight through: the value is the code's, the gradient the encoder's.
        let jump = t.detached(off);
        let straight = t.add(z, jump);
        let x = self.decode(t, straight);
        let reconstruction = self.output.loss(t, x, rows);
        let squared = t.square(off);
        let commitment = t.sum(squared);
        let commitment = t.affine(commitment, COMMITMENT / of as f64, 0.0);
        let reconstruction = t.affine(reconstruction, 1.0 / of as f64, 0.0);
        let said = t.value(z).data.clone();
        (t.add(reconstruction, commitment), (said, codes))
    }
}

struct Training {
    network: Network,
    rows: EncodedRows,
    best: Option<(Params, Vec<f32>)>,
    adam: Adam,
    workers: Workers,
    gradient: Vec<f32>,
    streams: Streams,
}

impl Training {
    /// The codes of all rows.
    fn codes(&self, rows: usize, job: &Job) -> Result<Vec<u32>> {
        let (mut pool, mut codes) = (Pool::new(), vec![]);
        for start in (0..rows).step_by(MAX_HELD) {
            job.check()?;
            let batch = self.rows.range(start..(start + MAX_HELD).min(rows))?;
            let mut t = Tape::forward(&self.network.params, &mut pool);
            let z = self.network.encode(&mut t, &Batch::all(&batch));
            codes.extend(self.network.nearest(&t, z));
            t.finish(z);
        }
        Ok(codes)
    }
}

impl Learner for Training {
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64> {
        let mut sum = std::mem::take(&mut self.gradient);
        let batch = self.rows.gather(rows)?;
        let (loss, parts) = gradient(&self.network.params, &self.workers, &mut sum, |t, s| {
            self.network.loss(t, &Batch::shard(&batch, s), rows.len())
        });
        self.adam.step(&mut self.network.params.values, &sum);
        self.network.output.clamp(&mut self.network.params);
        let (outputs, codes): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        self.network.book.learn(&outputs.concat(), &codes.concat(), &mut self.streams.block(step));
        self.gradient = sum;
        Ok(loss)
    }

    fn held_out(&mut self, rows: &[u32]) -> Result<Option<f64>> {
        let (mut pool, mut sum) = (Pool::new(), 0.0);
        for part in rows.chunks(MAX_HELD) {
            let batch = self.rows.gather(part)?;
            let mut t = Tape::forward(&self.network.params, &mut pool);
            let (loss, _) = self.network.loss(&mut t, &Batch::all(&batch), rows.len());
            sum += f64::from(t.finish(loss).data[0]);
        }
        Ok(Some(sum))
    }

    fn keep(&mut self) {
        self.best = Some((self.network.params.clone(), self.network.book.copy()));
    }

    fn restore(&mut self) {
        if let Some((params, vectors)) = self.best.take() {
            self.network.params = params;
            self.network.book.set(vectors);
        }
    }

    fn finite(&self) -> bool {
        self.network.params.finite() && self.network.book.finite()
    }
}

struct Trained {
    network: Network,
    prior: Prior,
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
            let codes = self.prior.draw(CHUNK.min(rows - start), &mut pool, rng);
            let mut t = Tape::forward(&network.params, &mut pool);
            let z = network.vectors(&mut t, &codes);
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
        self.network.book.save(&mut w);
        self.network.modal.save(&mut w);
        self.network.params.save(&mut w);
        self.prior.params.save(&mut w);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.history.report
    }

    fn history(&self) -> &[Epoch] {
        &self.history.epochs
    }
}
