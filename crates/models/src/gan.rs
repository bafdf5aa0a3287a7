//! The original GAN.

use lookalike_core::{Job, Options, ParamSpec, Result};

use crate::adversarial::{self, HIDDEN, MAX_CATEGORIES, MODES, Settings, critic_steps};
use crate::model::{Fitted, Model};
use crate::nn::{MAX_SECONDS, batch_size, epochs, learning_rate};
use crate::rows::Rows;

/// The original GAN with the generator's non-saturating loss, on the encoding and the networks of [`crate::ctgan`], without
/// conditions and packs: kept as the reference that fails. A critic that tells real from generated rows with certainty teaches
/// nothing, and rows that once fooled it are made over and over (mode collapse).
///
/// Deviations from the source: batch normalisation, Adam and leaky units, which later work made customary (Radford, Metz & Chintala
/// 2016).
///
/// The saved state holds the encoding and the generator's weights; no training rows, and not the critic.
pub(crate) struct Gan;

const NAME: &str = "gan";

impl Model for Gan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "The original game of generator and discriminator: the reference that fails."
    }

    fn source(&self) -> &'static str {
        "Goodfellow et al. 2014, Generative Adversarial Nets"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[
            const { epochs(300) },
            const { batch_size(500) },
            const { learning_rate(2e-4) },
            HIDDEN,
            const { critic_steps(1) },
            MODES,
            MAX_CATEGORIES,
            MAX_SECONDS,
        ]
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        adversarial::fit(&Settings { betas: [0.5, 0.999], ..Settings::of(NAME, options) }, rows, seed, job)
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        adversarial::load(NAME, bytes)
    }
}
