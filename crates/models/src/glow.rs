//! `glow`: a normalising flow.

use lookalike_core::{Job, Options, ParamSpec, Result};

use crate::flow::{self, FLOW_HIDDEN, FLOW_TOKENS, LAYERS, Steps};
use crate::model::{Fitted, Model};
use crate::nn::{HELD_OUT_SHARE, MAX_SECONDS, batch_size, epochs, learning_rate, patience};
use crate::rows::Rows;

/// Affine coupling layers, before each an activation normalisation and an invertible matrix P L (U + diag(s)) (Kingma & Dhariwal 2018,
/// section 3; for rows the 1x1 convolution is that matrix), on columns as dequantised normals (see
/// [`crate::latents::Latents`]), which start with mean 0 and variance 1, so that the normalisation starts as the identity.
///
/// The saved state holds weights, the columns' quantile tables and frequencies, no training rows.
pub(crate) struct Glow;

const NAME: &str = "glow";

impl Model for Glow {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Coupling layers between activation normalisation and invertible LU matrices, on columns as normals."
    }

    fn source(&self) -> &'static str {
        "Kingma & Dhariwal 2018, Glow: Generative Flow with Invertible 1x1 Convolutions"
    }

    fn params(&self) -> &'static [ParamSpec] {
        const PARAMS: &[ParamSpec] = &[
            epochs(60),
            batch_size(500),
            learning_rate(0.002),
            patience(10),
            HELD_OUT_SHARE,
            MAX_SECONDS,
            LAYERS,
            FLOW_HIDDEN,
            FLOW_TOKENS,
        ];
        PARAMS
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        flow::fit(NAME, Steps::Mix, rows, options, seed, job)
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        flow::load(NAME, Steps::Mix, bytes)
    }
}
