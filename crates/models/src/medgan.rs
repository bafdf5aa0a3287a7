//! The GAN of code vectors: a generator of an autoencoder's codes.

mod learner;
mod networks;
mod units;

use lookalike_core::{Default, Job, Options, ParamKind, ParamSpec, Result, Stream, Streams, Values};

use crate::adversarial::{MAX_CATEGORIES, critic_steps};
use crate::codec::{Reader, Writer, ensure};
use crate::model::{Epoch, FitReport, Fitted, Model};
use crate::nn::{
    History, MAX_SECONDS, Moments, Params, Pool, SHARDS, Schedule, Tape, batch_size, epochs, learning_rate,
    load_moments, save_moments, train,
};
use crate::normal::Normals;
use crate::rows::Rows;
use learner::Networks;
use networks::{Generator, LAYERS, Sizes};
use units::Units;

/// medGAN: an autoencoder learns codes of records, a generator with shortcuts and batch normalisation makes codes that its decoder
/// turns into records, and a discriminator sees each record beside the mean of its batch (minibatch averaging).
///
/// Deviations from the source: tables of any columns, whose units may be numbers and choices as well as codes, and counts behind
/// codes in tanh all the same; a code's output begins at its share of the rows; one step of the discriminator for one of the
/// generator, and no weight decay, which makes rare codes forget what they come with; a batch is parts of 64 or more
/// records, at most four, each with a mean and a normalisation of its own; when it samples, layers are normalised by
/// moments fixed after training, so that a row depends on its block alone, and codes are drawn with the probability that
/// the decoder gives them, not rounded; in the game they are softened draws (Maddison, Mnih & Teh 2017) rather than these
/// probabilities, which a discriminator tells from zeros and ones whatever they are.
///
/// The saved state holds the smallest and largest value of each number (after extremes are blunted), the number of rows of each
/// category and the weights of generator and decoder; no training rows, and neither encoder nor discriminator.
pub(crate) struct MedGan;

const NAME: &str = "medgan";

const PRETRAIN_EPOCHS: ParamSpec = ParamSpec {
    name: "pretrain_epochs",
    kind: ParamKind::Int { min: 0, max: 100_000 },
    default: Default::Int(100),
    purpose: "Most passes over the training rows that the autoencoder learns in before the game.",
};

const LATENT: ParamSpec = ParamSpec {
    name: "latent",
    kind: ParamKind::Int { min: 1, max: 4096 },
    default: Default::Int(128),
    purpose: "Numbers in the code of a record, in the noise and in each layer of the generator.",
};

const HIDDEN: ParamSpec = ParamSpec {
    name: "hidden",
    kind: ParamKind::Int { min: 1, max: 4096 },
    default: Default::Int(256),
    purpose: "Units in the first layer of the discriminator; half as many in the second.",
};

const WEIGHT_DECAY: ParamSpec = ParamSpec {
    name: "weight_decay",
    kind: ParamKind::Float { min: 0.0, max: 1.0 },
    default: Default::Float(0.0),
    purpose: "Weight of the L2 penalty on the matrices of all networks.",
};

/// Records that the autoencoder learns from at once (section 4.2 of the paper), where `batch_size` is not smaller.
const PRETRAIN_BATCH: usize = 100;
/// Share of `max_seconds` that is the autoencoder's.
const PRETRAIN_SHARE: f64 = 0.25;
/// Rows that go through the generator at once.
const CHUNK: usize = 1024;

/// What is learned with.
#[derive(Debug, Clone, PartialEq)]
struct Settings {
    latent: usize,
    hidden: usize,
    decay: f64,
    critic_steps: u64,
    schedule: Schedule,
}

impl Settings {
    fn of(options: &Options) -> Self {
        let int = |name| options.int(name).unwrap_or(1) as usize;
        Self {
            latent: int("latent"),
            hidden: int("hidden"),
            decay: options.float("weight_decay").unwrap_or(0.0),
            critic_steps: int("critic_steps") as u64,
            schedule: Schedule::of(options),
        }
    }

    /// The schedule of the autoencoder.
    fn pretraining(&self, options: &Options) -> Schedule {
        Schedule {
            epochs: options.int("pretrain_epochs").unwrap_or(0) as u32,
            batch_size: self.schedule.batch_size.min(PRETRAIN_BATCH),
            max_seconds: self.schedule.max_seconds.map(|s| s * PRETRAIN_SHARE),
            ..self.schedule.clone()
        }
    }

    /// The schedule of the game.
    fn game(&self) -> Schedule {
        let max_seconds = self.schedule.max_seconds.map(|s| s * (1.0 - PRETRAIN_SHARE));
        Schedule { max_seconds, ..self.schedule.clone() }
    }

    /// Bytes that training takes beside the rows.
    fn memory(&self, width: usize) -> usize {
        let Self { latent, hidden, .. } = *self;
        let kept = Sizes { latent, width }.weights().unwrap_or(usize::MAX / 256);
        let learned = kept.saturating_add((latent + 2 * hidden) * width + hidden * hidden);
        // Weights, the gradients of the parts and their sum, and two moments each; values and gradients of a row on the tapes.
        let row = 4 * (10 * width + 16 * (latent + hidden));
        learned.saturating_mul(4 * (SHARDS + 4)).saturating_add(row * self.schedule.batch_size.max(4096))
    }
}

impl Model for MedGan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Vectors of codes or counts: a generator of an autoencoder's codes, judged beside the mean of the batch."
    }

    fn source(&self) -> &'static str {
        "Choi et al. 2017, Generating Multi-label Discrete Patient Records using Generative Adversarial Networks"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[
            const { epochs(500) },
            PRETRAIN_EPOCHS,
            const { batch_size(1000) },
            const { learning_rate(1e-3) },
            LATENT,
            HIDDEN,
            const { critic_steps(1) },
            WEIGHT_DECAY,
            MAX_CATEGORIES,
            MAX_SECONDS,
        ]
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        job.count("rows_trained", rows.len());
        let in_work = rows.columns_in_work(job)?;
        let max_categories = options.int(MAX_CATEGORIES.name).unwrap_or(2) as usize;
        let units = Units::fit(rows, max_categories, job)?;
        job.check()?;
        let records = units.encode(rows)?;
        let _records = job.reserve(records.memory(), "encoded rows")?;
        drop(in_work);
        let mut history = History::of(rows);
        let settings = Settings::of(options);
        let _networks = job.reserve(settings.memory(units.width), "autoencoder, generator and discriminator")?;
        let mut networks = Networks::new(&records, &units, &settings, seed);
        // Without columns there is nothing to learn.
        if units.width > 0 {
            let (rows, persons) = (records.rows(), rows.units());
            train(&mut networks.pretraining(), rows, persons, &settings.pretraining(options), seed, job)?;
            history.extend(train(&mut networks.game(), rows, persons, &settings.game(), seed, job)?);
        }
        let (generator, params, moments) = networks.finish(seed);
        Ok(Box::new(Generated::new(history, units, generator, params, moments)))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let history = History::load(&mut r)?;
        let units = Units::load(&mut r)?;
        let latent = r.u64()? as usize;
        let sizes = Sizes { latent, width: units.width };
        ensure(latent > 0)?;
        let moments = load_moments(&mut r, [latent; LAYERS])?;
        let weights = Params::load_values(&mut r, sizes.weights())?;
        r.finish()?;
        let mut params = Params::new();
        let generator = Generator::new(&mut params, sizes, &mut Streams::new(0, "weights").block(0));
        params.values = weights;
        Ok(Box::new(Generated::new(history, units, generator, params, moments)))
    }
}

/// A trained generator and what its units mean.
struct Generated {
    history: History,
    units: Units,
    generator: Generator,
    params: Params,
    moments: Vec<Moments<f32>>,
    normals: Normals,
}

impl Generated {
    fn new(history: History, units: Units, generator: Generator, params: Params, moments: Vec<Moments<f32>>) -> Self {
        let normals = Normals::new();
        Self { history, units, generator, params, moments, normals }
    }
}

impl Fitted for Generated {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let width = self.units.width;
        if width == 0 {
            return Ok(self.units.blank(rows, rng));
        }
        let mut values = self.units.blank(0, rng);
        let mut pool = Pool::new();
        for start in (0..rows).step_by(CHUNK) {
            let here = CHUNK.min(rows - start);
            let mut tape = Tape::forward(&self.params, &mut pool);
            let noise = tape.constant(here, self.generator.sizes.latent, |z| self.normals.fill(z, rng));
            let codes = self.generator.codes(&mut tape, noise, Some(&self.moments)).0;
            let outputs = self.generator.decode(&mut tape, codes);
            let mut outputs = tape.finish(outputs);
            outputs.data.iter_mut().zip(self.units.noise(here, rng)).for_each(|(x, n)| *x += n);
            self.units.decode(&outputs, &mut values, rng);
        }
        Ok(values)
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        self.history.save(&mut w);
        self.units.save(&mut w);
        w.u64(self.generator.sizes.latent as u64);
        save_moments(&self.moments, &mut w);
        self.params.save(&mut w);
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
mod tests;
