//! Generators that learn by playing against a critic, on the mode-specific encoding: `ctgan`, `wgan` and `gan`.
//!
//! Every part of the critic is linear between its kinks, so its gradients by its input, that of the penalty and that which teaches
//! the generator, are products of weights and slopes. Training rows enter its first layer by their ones alone; what lies between
//! a training row and a generated one enters it as what lies between their sums.

mod fitted;
mod layout;
mod learner;
mod networks;

use lookalike_core::{Default, Job, Options, ParamKind, ParamSpec, Result};

use crate::modal::Modal;
use crate::model::Fitted;
use crate::nn::{History, Schedule, train, window};
use crate::rows::Rows;
use fitted::Generated;
pub(crate) use fitted::load;
use layout::Layout;
use learner::{Adversaries, SHARDS};
use networks::Sizes;

/// What critic and generator play for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Game {
    /// The critic tells the probability that a row is real (Goodfellow et al. 2014), the generator's loss is -ln of it.
    Original,
    /// The critic's weights stay within +-clip (Arjovsky, Chintala & Bottou 2017).
    Clipped { clip: f64 },
    /// The norm of the critic's gradient is drawn to 1 (Gulrajani et al. 2017), with the weight lambda.
    Penalised { lambda: f64 },
}

/// What tells the models apart, and their options.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub name: &'static str,
    pub game: Game,
    /// Whether records are asked for by a conditional vector.
    pub conditional: bool,
    /// Whether categories are asked for by the logarithm of their frequency, rather than by it.
    pub log_frequency: bool,
    /// Records that the critic scores together.
    pub pac: usize,
    /// Share of the critic's units dropped in a step.
    pub dropout: f64,
    /// Steps of the critic for one of the generator.
    pub critic_steps: u64,
    /// Of Adam.
    pub betas: [f64; 2],
    pub decay: f64,
    pub noise: usize,
    pub hidden: usize,
    pub modes: usize,
    pub max_categories: usize,
    pub schedule: Schedule,
}

pub(crate) const HIDDEN: ParamSpec = ParamSpec {
    name: "hidden",
    kind: ParamKind::Int { min: 1, max: 4096 },
    default: Default::Int(256),
    purpose: "Units in each of the two hidden layers of generator and critic.",
};

pub(crate) const MODES: ParamSpec = ParamSpec {
    name: "modes",
    kind: ParamKind::Int { min: 1, max: 100 },
    default: Default::Int(10),
    purpose: "Most Gaussian modes a numeric column is encoded by.",
};

pub(crate) const MAX_CATEGORIES: ParamSpec = ParamSpec {
    name: "max_categories",
    kind: ParamKind::Int { min: 2, max: 65_000 },
    default: Default::Int(500),
    purpose: "Most categories of a column that the networks tell apart; beyond, infrequent ones share a place with those like them.",
};

/// The `critic_steps` option.
pub(crate) const fn critic_steps(default: i64) -> ParamSpec {
    ParamSpec {
        name: "critic_steps",
        kind: ParamKind::Int { min: 1, max: 100 },
        default: Default::Int(default),
        purpose: "Steps of the critic for one of the generator.",
    }
}

impl Settings {
    /// From the options that all these models have; the rest as in the original game, without conditions.
    pub fn of(name: &'static str, options: &Options) -> Self {
        let int = |name| options.int(name).unwrap_or(1) as usize;
        Self {
            name,
            game: Game::Original,
            conditional: false,
            log_frequency: true,
            pac: 1,
            dropout: 0.0,
            critic_steps: options.int("critic_steps").unwrap_or(1) as u64,
            betas: [0.5, 0.9],
            decay: 0.0,
            noise: 128,
            hidden: int("hidden"),
            modes: int("modes"),
            max_categories: int("max_categories"),
            schedule: Schedule::of(options),
        }
    }
}

/// Learns from rows in canonical order.
pub(crate) fn fit(settings: &Settings, rows: &Rows, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
    job.count("rows_trained", rows.len());
    let in_work = rows.columns_in_work(job)?;
    let modal = Modal::fit(rows, settings.modes, settings.max_categories, seed, job)?;
    let layout = Layout::new(&modal, settings.conditional);
    let encoded = modal.encode(rows, job)?;
    drop(in_work);
    // A window of rows, and its rows by condition.
    let window = window(rows.len()).min(rows.len()) * (modal.row_bytes() + layout.conditions.len() * 4);
    let _window = job.reserve(if settings.conditional { window } else { 0 }, "rows by condition")?;
    let mut history = History::of(rows);

    let _networks = job.reserve(memory(settings, &layout), "generator and critic")?;
    let mut adversaries = Adversaries::new(settings, &layout, &encoded, seed);
    // Without columns there is nothing to learn.
    if layout.width > 0 {
        history.extend(train(&mut adversaries, rows.len(), rows.units(), &settings.schedule, seed, job)?);
    }
    let (generator, params, moments) = adversaries.finish(seed);
    Ok(Box::new(Generated::new(settings.name, history, modal, layout, generator, params, moments)))
}

/// Bytes that training takes beside the rows.
fn memory(settings: &Settings, layout: &Layout) -> usize {
    let Settings { hidden, noise, pac, .. } = *settings;
    let sizes = Sizes { noise, condition: layout.condition_width, hidden, width: layout.width };
    let critic = (pac * (layout.width + layout.condition_width) + hidden + 4) * hidden;
    // Weights, the gradients of the shards and their sum, and two moments each.
    let weights = sizes.weights().unwrap_or(usize::MAX / 256).saturating_add(critic).saturating_mul(4 * (SHARDS + 4));
    // Values and gradients of a row on the tapes.
    let row = 4 * (8 * layout.width + 16 * hidden + 2 * noise + 2 * layout.condition_width);
    weights.saturating_add(row * settings.schedule.batch_size.max(4096))
}

#[cfg(test)]
mod tests;
