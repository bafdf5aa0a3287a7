//! Columns one after another, each given those before it: an autoregressive network over rows of tokens.

mod fitted;
mod learner;
mod network;
mod sampler;

use lookalike_core::{Default, Error, Job, Options, ParamKind, ParamSpec, Result, Role, Streams};

use crate::model::{Fitted, Model};
use crate::nn::{
    HELD_OUT_SHARE, History, MAX_SECONDS, Params, Schedule, batch_size, epochs, learning_rate, patience, train,
};
use crate::rows::Rows;
use crate::tokens::Tokens;
use fitted::Autoregressive;
use learner::Training;
use network::{Network, Shape};
use sampler::Sampler;

/// Every column is one token a row ([`Tokens`]); the network says how likely each token of a column is given those of the
/// columns before it, so that the likelihood of a row is the product over columns, and a row is drawn column by column. It is
/// trained in the columns' own order and, for a share of the steps, with some columns, how many and which by chance, before the
/// others: any columns can be given.
///
/// The saved state holds the tokens (quantile tables and frequencies of the columns) and the weights, no training rows.
pub(crate) struct Transformer;

const NAME: &str = "transformer";

/// Steps that an epoch is cut into where rows are few.
const STEPS: usize = 64;
/// Rows that an average token has at least where rows are few.
const ROWS_A_TOKEN: usize = 32;
/// The fewest rows a step learns from, and the fewest tokens a column is allowed, however few the rows are.
const FEWEST: usize = 16;

/// As [`batch_size`], with what is done for few rows.
const BATCH_SIZE: ParamSpec = ParamSpec {
    purpose: "Rows a training step learns from, at most: of few rows a 64th, but 16 at least.",
    ..batch_size(128)
};

const PARAMS: &[ParamSpec] = &[
    epochs(10),
    BATCH_SIZE,
    learning_rate(3e-3),
    patience(3),
    HELD_OUT_SHARE,
    MAX_SECONDS,
    ParamSpec {
        name: "layers",
        kind: ParamKind::Int { min: 0, max: 64 },
        default: Default::Int(1),
        purpose: "Attention layers; 0 for none: a masked network, which learns faster.",
    },
    ParamSpec {
        name: "width",
        kind: ParamKind::Int { min: 1, max: 4096 },
        default: Default::Int(32),
        purpose: "Figures that represent a token in the network; a multiple of heads.",
    },
    ParamSpec {
        name: "heads",
        kind: ParamKind::Int { min: 1, max: 64 },
        default: Default::Int(2),
        purpose: "Heads of an attention layer.",
    },
    ParamSpec {
        name: "hidden",
        kind: ParamKind::Int { min: 1, max: 16_384 },
        default: Default::Int(64),
        purpose: "Units of a feed-forward layer.",
    },
    ParamSpec {
        name: "max_tokens",
        kind: ParamKind::Int { min: 2, max: 10_000 },
        default: Default::Int(100),
        purpose: "Tokens of a column, at most: more values or categories share tokens; of few rows a 32nd, but 16 at least.",
    },
    ParamSpec {
        name: "dropout",
        kind: ParamKind::Float { min: 0.0, max: 0.9 },
        default: Default::Float(0.1),
        purpose: "Share of the units of feed-forward layers that a training step leaves out.",
    },
    ParamSpec {
        name: "weight_decay",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Float(0.0),
        purpose: "Weight of the squared weights in the loss.",
    },
    ParamSpec {
        name: "any_order",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Float(0.3),
        purpose: "Share of the training in which some columns come before the others, as when they are given; 0 learns the \
                  columns' own order alone.",
    },
];

impl Model for Transformer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "An autoregressive network with attention over the columns as tokens: exact likelihood, any columns given."
    }

    fn source(&self) -> &'static str {
        "Vaswani et al. 2017; Tiwald et al. 2025 (TabularARGN); Uria, Murray & Larochelle 2014"
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn conditions(&self) -> bool {
        true
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let int = |name| options.int(name).unwrap_or(0) as usize;
        let float = |name| options.float(name).unwrap_or(0.0);
        let (width, heads) = (int("width"), int("heads"));
        if width % heads != 0 {
            return Err(Error::argument(format!("width ({width}) must be a multiple of heads ({heads})")));
        }
        job.count("rows_trained", rows.len());
        let in_work = rows.columns_in_work(job)?;
        let max_tokens = int("max_tokens").min((rows.len() / ROWS_A_TOKEN).max(FEWEST));
        let tokens = Tokens::learn(rows, max_tokens, job)?;
        let encoded = tokens.encode_rows(rows, job)?;
        drop(in_work);
        let columns = fitted::active(&tokens);
        let mut history = History::of(rows);
        let is_number: Vec<bool> = columns.iter().map(|&c| rows.columns()[c].role() == Role::Number).collect();

        let shape = Shape {
            sizes: columns.iter().map(|&c| tokens.sizes()[c]).collect(),
            width,
            layers: int("layers"),
            heads,
            hidden: int("hidden"),
        };
        // Weights, the best of them, their gradient (in each shard and together) and the two moments.
        let bytes = usize::try_from(shape.weights() * 4 * 9).unwrap_or(usize::MAX);
        let _weights = job.reserve(bytes, "the weights of a network")?;
        let (network, mut params) = Network::new(shape, &mut Streams::new(seed, "weights").block(0));
        let mut rng = Streams::new(seed, "weights").block(1);
        for (i, (&c, head)) in columns.iter().zip(&network.heads).enumerate() {
            let counts = tokens.counts(c);
            if is_number[i] {
                let present = counts.len() - usize::from(tokens.missing(c).is_some());
                network.order_tokens(&mut params, i, &counts[..present], &mut rng);
            }
            // Heads start at the columns' own frequencies.
            let total = counts.iter().sum::<u64>() as f64;
            params.get_mut(head.1).iter_mut().zip(counts).for_each(|(b, &n)| *b = libm::log(n as f64 / total) as f32);
        }
        if !columns.is_empty() {
            let learned = learner::Rows { columns: &columns, tokens: encoded };
            let how = [float("learning_rate"), float("weight_decay"), float("dropout"), float("any_order")];
            let mut schedule = Schedule::of(options);
            schedule.batch_size = schedule.batch_size.min((history.rows() / STEPS).max(FEWEST));
            let mut training = Training::new(&network, params, &learned, how, seed);
            history.extend(train(&mut training, history.rows(), rows.units(), &schedule, seed, job)?);
            params = training.params;
            calibrate(
                &network,
                &mut params,
                &columns.iter().map(|&c| tokens.counts(c)).collect::<Vec<_>>(),
                seed,
                job,
            )?;
        }
        Ok(Box::new(Autoregressive { history, tokens, columns, network, params }))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        Ok(Box::new(Autoregressive::load(bytes)?))
    }
}

/// Rows whose tokens are counted to bring the columns' frequencies to those of the training rows; fewer where that takes
/// more memory than [`CALIBRATION_BYTES`].
const CALIBRATION_ROWS: usize = 16_384;
const CALIBRATION_BYTES: usize = 1 << 26;

/// Shifts the biases of the heads, see [`Sampler::shifts`].
fn calibrate(network: &Network, params: &mut Params, counts: &[&[u64]], seed: u64, job: &Job) -> Result<()> {
    let sampler = Sampler { network, params };
    let rows = (CALIBRATION_BYTES / sampler.row_bytes()).clamp(256, CALIBRATION_ROWS);
    let _memory = job.reserve(rows * sampler.row_bytes(), "rows that a network is calibrated with")?;
    let shifts = sampler.shifts(counts, rows, &mut Streams::new(seed, "calibration").block(0), job)?;
    for (head, shift) in network.heads.iter().zip(shifts) {
        params.get_mut(head.1).iter_mut().zip(shift).for_each(|(b, s)| *b += s);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
