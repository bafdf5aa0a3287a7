//! The GAN of convolutional networks over records as images.

mod cells;
mod learner;
mod networks;

use lookalike_core::{
    Default, Error, Job, Options, ParamKind, ParamSpec, Result, Role, Stream, Streams, Values, closest, list_names,
};

use crate::codec::{Reader, Writer, ensure};
use crate::model::{Epoch, FitReport, Fitted, Model};
use crate::nn::{
    History, MAX_SECONDS, Moments, Params, Pool, SHARDS, Schedule, Tape, batch_size, epochs, learning_rate,
    load_moments, save_moments, train,
};
use crate::normal::Normals;
use crate::rows::Rows;
use cells::Cells;
use learner::{Losses, Players};
use networks::{Generator, Shape};

/// TableGAN: a record is a square image of one number a column, made and judged by convolutions (DCGAN).
///
/// Beside the original loss the generator has two of its own: a hinge on the distance between means and standard deviations of the
/// discriminator's features of real and generated records, of which `delta_mean` and `delta_sd` are forgiven (the paper's
/// privacy knob: a generator that need not match as well is less like the rows), and what a classifier, trained on the
/// real records, finds wrong between a record's `target` and its other columns.
///
/// Deviations from the source: a second cell tells missing numbers, missing categories are one more code; means and standard deviations
/// of features are those of a quarter of the batch, not moving averages; normalisation is by unit, not by channel, since cells of a
/// record have no places to exchange; when it samples, by moments fixed after training.
///
/// The saved state holds the smallest and largest number of each column (after extremes are blunted), numbers of categories and the
/// generator's weights; no training rows, and neither discriminator nor classifier.
pub(crate) struct TableGan;

const NAME: &str = "tablegan";

const MOST_CHANNELS: usize = 1024;

const CHANNELS: ParamSpec = ParamSpec {
    name: "channels",
    kind: ParamKind::Int { min: 1, max: MOST_CHANNELS as i64 },
    default: Default::Int(64),
    purpose: "Channels of the convolution next to the image; twice as many in each further one.",
};

const TARGET: ParamSpec = ParamSpec {
    name: "target",
    kind: ParamKind::Text,
    default: Default::Unset("the last categorical column"),
    purpose: "Column that the classifier tells from the others.",
};

/// The options that forgive differences.
const fn delta(name: &'static str, purpose: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Float { min: 0.0, max: 1e6 }, default: Default::Float(0.0), purpose }
}

/// Length of the noise (section 4.2 of the paper).
const NOISE: usize = 100;
/// Rows that go through the generator at once.
const CHUNK: usize = 1024;

impl Model for TableGan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Records as images for convolutional networks, with a classifier and a privacy knob."
    }

    fn source(&self) -> &'static str {
        "Park et al. 2018, Data Synthesis based on Generative Adversarial Networks"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[
            const { epochs(100) },
            const { batch_size(500) },
            const { learning_rate(2e-4) },
            CHANNELS,
            TARGET,
            const { delta("delta_mean", "Distance between mean features of real and generated records that is forgiven.") },
            const { delta("delta_sd", "The same of the features' standard deviations.") },
            MAX_SECONDS,
        ]
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        job.count("rows_trained", rows.len());
        let cells = Cells::fit(rows, job)?;
        let target = target(rows, options)?.and_then(|c| cells.place(c));
        let channels = options.int("channels").unwrap_or(64) as usize;
        let shape = Shape::of(cells.len(), channels, NOISE);
        let schedule = Schedule::of(options);
        let _memory = job.reserve(memory(shape, schedule.batch_size), "images and networks")?;
        let in_work = rows.columns_in_work(job)?;
        let encoded = cells.encode(rows, job)?;
        drop(in_work);
        let delta = |name| options.float(name).unwrap_or(0.0);
        let losses = Losses { deltas: [delta("delta_mean"), delta("delta_sd")], target };
        let mut players = Players::new(&encoded, shape, losses, &schedule, seed);
        let mut history = History::of(rows);
        // Without columns there is nothing to learn.
        if cells.len() > 0 {
            history.extend(train(&mut players, rows.len(), rows.units(), &schedule, seed, job)?);
        }
        let (generator, params, moments) = players.finish(seed);
        let normals = Normals::new();
        Ok(Box::new(Generated { history, cells, generator, params, moments, normals }))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let history = History::load(&mut r)?;
        let cells = Cells::load(&mut r)?;
        let channels = r.u64()? as usize;
        ensure((1..=MOST_CHANNELS).contains(&channels))?;
        let shape = Shape::of(cells.len(), channels, NOISE);
        let weights = Params::load_values(&mut r, shape.weights())?;
        let mut params = Params::new();
        let generator = Generator::new(&mut params, shape, &mut Streams::new(0, "weights").block(0));
        params.values = weights;
        let moments = load_moments(&mut r, generator.units())?;
        r.finish()?;
        let normals = Normals::new();
        Ok(Box::new(Generated { history, cells, generator, params, moments, normals }))
    }
}

/// The column that the classifier tells: the one named, or the last category.
fn target(rows: &Rows, options: &Options) -> Result<Option<usize>> {
    let Some(name) = options.text("target") else {
        return Ok(rows.columns().iter().rposition(|c| c.role() == Role::Category));
    };
    let names = || rows.columns().iter().filter(|c| c.role() != Role::Identifier).map(|c| c.name());
    match rows.columns().iter().position(|c| c.name() == name && c.role() != Role::Identifier) {
        Some(column) => Ok(Some(column)),
        None => {
            let hint = closest(name, names()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
            let message = format!("option 'target' names no column '{name}'{hint} (allowed: {})", list_names(names()));
            Err(Error::argument(message))
        }
    }
}

/// Bytes of the networks with their gradients and moments, and a batch on the tapes.
fn memory(shape: Shape, batch: usize) -> usize {
    let weights = shape.weights().unwrap_or(usize::MAX / 256).saturating_mul(3 * 4 * (SHARDS + 4));
    let record = 4 * 24 * shape.area() * shape.channels;
    weights.saturating_add(record.saturating_mul(batch.max(4096)))
}

/// A trained generator and what its images mean.
struct Generated {
    history: History,
    cells: Cells,
    generator: Generator,
    params: Params,
    moments: Vec<Moments<f32>>,
    normals: Normals,
}

impl Fitted for Generated {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let Shape { noise, .. } = self.generator.shape();
        let mut images = vec![];
        let mut pool = Pool::new();
        for start in (0..rows).step_by(CHUNK) {
            let mut tape = Tape::forward(&self.params, &mut pool);
            let noise = tape.constant(CHUNK.min(rows - start), noise, |z| self.normals.fill(z, rng));
            let chunk = self.generator.images(&mut tape, noise, Some(&self.moments)).0;
            images.extend_from_slice(&tape.finish(chunk).data);
        }
        Ok(self.cells.decode(&images, rows, self.generator.shape().area()))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        self.history.save(&mut w);
        self.cells.save(&mut w);
        w.u64(self.generator.shape().channels as u64);
        self.params.save(&mut w);
        save_moments(&self.moments, &mut w);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.history.report
    }

    fn history(&self) -> &[Epoch] {
        &self.history.epochs
    }
}
