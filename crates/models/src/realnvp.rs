//! `realnvp`: a normalising flow.

use lookalike_core::{Job, Options, ParamSpec, Result};

use crate::flow::{self, FLOW_HIDDEN, FLOW_TOKENS, LAYERS, Steps};
use crate::model::{Fitted, Model};
use crate::nn::{HELD_OUT_SHARE, MAX_SECONDS, batch_size, epochs, learning_rate, patience};
use crate::rows::Rows;

/// Affine coupling layers whose halves take turns (Dinh, Sohl-Dickstein & Bengio 2017, section 3), on columns as dequantised normals
/// (see [`crate::latents::Latents`]). The logarithm of a scale is bounded by tanh times a learned reach.
///
/// The saved state holds weights, the columns' quantile tables and frequencies, no training rows.
pub(crate) struct RealNvp;

const NAME: &str = "realnvp";

impl Model for RealNvp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Affine coupling layers from columns as normals to independent normals, and back."
    }

    fn source(&self) -> &'static str {
        "Dinh, Sohl-Dickstein & Bengio 2017, Density estimation using Real NVP"
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
        flow::fit(NAME, Steps::Swap, rows, options, seed, job)
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        flow::load(NAME, Steps::Swap, bytes)
    }
}
