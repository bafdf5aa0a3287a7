//! The conditional GAN for tables.

use lookalike_core::{Default, Job, Options, ParamKind, ParamSpec, Result};

use crate::adversarial::{self, Game, HIDDEN, MAX_CATEGORIES, MODES, Settings, critic_steps};
use crate::model::{Fitted, Model};
use crate::nn::{MAX_SECONDS, batch_size, epochs, learning_rate};
use crate::rows::Rows;

/// CTGAN: a generator that is asked for a category and a critic that scores packs of records.
///
/// - Training by sampling: each record of a batch is asked for one category of one column, rare categories more often than they
///   occur (by the logarithm of their frequency), and stands beside a training row that has it. The generator pays cross entropy
///   where it misses.
/// - PacGAN: the critic scores `pac` records at once, so that it sees when they are all alike.
/// - Wasserstein loss with gradient penalty, dropout in the critic, batch normalisation and residual layers in the generator.
///
/// Deviations from the source: the generator's batches are normalised in two parts; when it samples, by moments fixed after training;
/// and the category of a sampled row is drawn from the softmax, which is what the noisy maximum of the source comes to.
///
/// The saved state holds the encoding (means and variances of modes, values and categories that enough persons share, their counts)
/// and the generator's weights; no training rows, and not the critic.
pub(crate) struct Ctgan;

const NAME: &str = "ctgan";

const PAC: ParamSpec = ParamSpec {
    name: "pac",
    kind: ParamKind::Int { min: 1, max: 100 },
    default: Default::Int(10),
    purpose: "Records that the critic scores together.",
};

const LOG_FREQUENCY: ParamSpec = ParamSpec {
    name: "log_frequency",
    kind: ParamKind::Bool,
    default: Default::Bool(true),
    purpose: "Whether training asks for categories by the logarithm of their frequency, rather than by the frequency.",
};

impl Model for Ctgan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "A generator asked for categories, against a critic of packs of records; learns slowly, fits loosely."
    }

    fn source(&self) -> &'static str {
        "Xu, Skoularidou, Cuesta-Infante & Veeramachaneni 2019, Modeling Tabular Data using Conditional GAN"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[
            const { epochs(300) },
            const { batch_size(500) },
            const { learning_rate(2e-4) },
            HIDDEN,
            PAC,
            LOG_FREQUENCY,
            const { critic_steps(1) },
            MODES,
            MAX_CATEGORIES,
            MAX_SECONDS,
        ]
    }

    fn conditions(&self) -> bool {
        true
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let settings = Settings {
            game: Game::Penalised { lambda: 10.0 },
            conditional: true,
            log_frequency: options.bool("log_frequency"),
            pac: options.int("pac").unwrap_or(10) as usize,
            dropout: 0.5,
            decay: 1e-6,
            ..Settings::of(NAME, options)
        };
        adversarial::fit(&settings, rows, seed, job)
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        adversarial::load(NAME, bytes)
    }
}
