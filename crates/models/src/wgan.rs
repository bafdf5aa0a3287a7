//! The Wasserstein GAN.

use lookalike_core::{Default, Job, Options, ParamKind, ParamSpec, Result};

use crate::adversarial::{self, Game, HIDDEN, MAX_CATEGORIES, MODES, Settings, critic_steps};
use crate::model::{Fitted, Model};
use crate::nn::{MAX_SECONDS, batch_size, epochs, learning_rate};
use crate::rows::Rows;

/// Wasserstein GAN on the encoding and the networks of [`crate::ctgan`], without conditions, packs and dropout: the critic's mean
/// scores of real and generated rows estimate how far apart both distributions are.
///
/// The critic's slopes are bounded by a penalty on its gradient, exact here because the critic is piecewise linear (with Adam), or
/// by clipping its weights (with RMSProp).
///
/// The saved state holds the encoding and the generator's weights; no training rows, and not the critic.
pub(crate) struct Wgan;

const NAME: &str = "wgan";

const PENALTY: ParamSpec = ParamSpec {
    name: "penalty",
    kind: ParamKind::Choice(&["gradient", "clip"]),
    default: Default::Text("gradient"),
    purpose: "What bounds the critic's slopes: a penalty on its gradient, or clipped weights.",
};

const LAMBDA: ParamSpec = ParamSpec {
    name: "lambda",
    kind: ParamKind::Float { min: 0.0, max: 1e6 },
    default: Default::Float(10.0),
    purpose: "Weight of the gradient penalty.",
};

const CLIP: ParamSpec = ParamSpec {
    name: "clip",
    kind: ParamKind::Float { min: 1e-6, max: 1e3 },
    default: Default::Float(0.01),
    purpose: "Largest size of the critic's weights where these are clipped.",
};

impl Model for Wgan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "A generator that brings the Wasserstein distance to the rows down, as a critic estimates it."
    }

    fn source(&self) -> &'static str {
        "Arjovsky, Chintala & Bottou 2017, Wasserstein GAN; Gulrajani et al. 2017, Improved Training of Wasserstein GANs"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[
            const { epochs(300) },
            const { batch_size(500) },
            const { learning_rate(1e-4) },
            HIDDEN,
            PENALTY,
            LAMBDA,
            CLIP,
            const { critic_steps(5) },
            MODES,
            MAX_CATEGORIES,
            MAX_SECONDS,
        ]
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let float = |name, default| options.float(name).unwrap_or(default);
        let game = match options.choice("penalty").as_deref() {
            Some("clip") => Game::Clipped { clip: float("clip", 0.01) },
            _ => Game::Penalised { lambda: float("lambda", 10.0) },
        };
        let settings = Settings { game, betas: [0.0, 0.9], ..Settings::of(NAME, options) };
        adversarial::fit(&settings, rows, seed, job)
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        adversarial::load(NAME, bytes)
    }
}
