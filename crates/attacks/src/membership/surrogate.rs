//! A classifier of the synthetic rows against rows of a model of them.

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};

use super::logan::{CLASSIFIER, tell_apart};
use super::{Attack, Evidence};

/// Score: the log odds that a classifier gives the target for being a synthetic row rather than a row of a surrogate, a
/// generator that the attacker trains on the synthetic rows and draws as many rows from.
///
/// The surrogate knows the population only through the synthetic rows and smooths over what the generator took from
/// single members; the classifier learns where it does. It is the discriminator of LOGAN with any generator in place of
/// a GAN. A surrogate that misses the population shows its own misfit instead, and one that repeats its training rows
/// shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct SurrogateAttack;

impl Attack for SurrogateAttack {
    fn name(&self) -> &'static str {
        "surrogate"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by what a classifier of synthetic rows against rows of a model trained on them takes it for."
    }

    fn source(&self) -> &'static str {
        "Hayes et al. 2019, LOGAN (PoPETs), black-box (a local model of generated rows), \
         https://arxiv.org/abs/1705.07663"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[CLASSIFIER]
    }

    fn needs_reference(&self) -> bool {
        false
    }

    fn needs_trainer(&self) -> bool {
        true
    }

    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        options: &Options,
        seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>> {
        let synthetic = evidence.synthetic()?;
        let surrogate = evidence.trainer(self.name())?.train(synthetic, seed, job)?;
        let drawn = surrogate.sample(synthetic.rows(), job)?;
        tell_apart(targets, synthetic, &drawn, options, job)
    }
}
