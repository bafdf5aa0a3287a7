//! How much likelier synthetic rows near a target become once the target joins the population.

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};
use lookalike_learners::log_sum_exp;

use rayon::prelude::*;

use super::{Attack, Evidence, K, neighbours, space};
use crate::Metric;
use crate::kde::Density;

/// Score: the sum over the k synthetic rows y nearest to the target x of log p_{R+x}(y) - log p_R(y), with kernel densities
/// of the reference rows without and with the target. The bandwidth stays, so that p_{R+x}(y) is
/// (r p_R(y) + K(y - x)) / (r + 1).
#[derive(Debug, Clone, Copy)]
pub struct GenLraAttack;

impl Attack for GenLraAttack {
    fn name(&self) -> &'static str {
        "gen_lra"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by how much likelier the synthetic rows near it are once it is added to the reference rows."
    }

    fn source(&self) -> &'static str {
        "Ward et al. 2025, Privacy auditing through local likelihood attacks (Gen-LRA), https://arxiv.org/abs/2508.21146"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[Metric::PARAM, K]
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        options: &Options,
        _seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>> {
        let (synthetic, reference) = (evidence.synthetic()?, evidence.reference(self.name())?);
        let k = options.int(K.name).unwrap_or(20) as usize;
        let found = neighbours(&space(evidence, options)?, targets, synthetic, k, job)?;
        let density = Density::fit(reference, &evidence.held(), job)?;
        let of_synthetic = density.log_density(synthetic, job)?;
        let all = |frame: &Frame| density.kernel.encode(frame, &(0..frame.rows() as u32).collect::<Vec<_>>());
        let (queries, centres) = (all(synthetic)?, all(targets)?);
        let rows = reference.rows() as f64;
        let gain = |target: usize| {
            let of = |(y, _): (u32, f64)| {
                let y = y as usize;
                let kernel = density.kernel.log_kernel(&queries, y, &centres, target) - of_synthetic[y];
                log_sum_exp([libm::log(rows), kernel].into_iter()) - libm::log(rows + 1.0)
            };
            found.of(target).map(of).sum()
        };
        Ok((0..targets.rows()).into_par_iter().map(gain).collect())
    }
}
