//! The density of the synthetic rows against that of the population.

use lookalike_core::{Default, Frame, Job, Options, ParamKind, ParamSpec, Result};

use super::{Attack, Evidence, K, neighbours, space};
use crate::Metric;
use crate::kde::Density;

const ESTIMATOR: ParamSpec = ParamSpec {
    name: "estimator",
    kind: ParamKind::Choice(&["kde", "knn"]),
    default: Default::Text("kde"),
    purpose: "Densities by kernels, or by the distances to the k nearest rows; the latter for 20 columns and more.",
};

/// Distances below this count as this: identical rows have a density, if a high one.
const NEAREST: f64 = 1e-6;

/// Score log p_S(x) - log p_R(x): members are where the synthetic rows are denser than the population.
#[derive(Debug, Clone, Copy)]
pub struct DomiasAttack;

impl Attack for DomiasAttack {
    fn name(&self) -> &'static str {
        "domias"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by how much denser synthetic rows are around it than reference rows."
    }

    fn source(&self) -> &'static str {
        "van Breugel et al. 2023, DOMIAS (AISTATS), equation 2, https://arxiv.org/abs/2302.12580"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[ESTIMATOR, Metric::PARAM, K]
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
        if options.choice(ESTIMATOR.name).as_deref() == Some("knn") {
            return by_neighbours(targets, synthetic, reference, evidence, options, job);
        }
        let density = |frame| Density::fit(frame, &evidence.held(), job)?.log_density(targets, job);
        let (of_synthetic, of_reference) = (density(synthetic)?, density(reference)?);
        Ok(of_synthetic.iter().zip(&of_reference).map(|(s, r)| s - r).collect())
    }
}

/// D (log d_k(x, R) - log d_k(x, S)) + log(r / s), with D columns and the distance to the k-th nearest row, or to the
/// farthest of fewer.
fn by_neighbours(
    targets: &Frame,
    synthetic: &Frame,
    reference: &Frame,
    evidence: &Evidence<'_>,
    options: &Options,
    job: &Job,
) -> Result<Vec<f64>> {
    let space = space(evidence, options)?;
    let k = options.int(K.name).unwrap_or(1) as usize;
    let log_distances = |frame: &Frame| -> Result<Vec<f64>> {
        let found = neighbours(&space, targets, frame, k, job)?;
        let last = |row| found.of(row).last().map_or(NEAREST, |(_, distance)| distance.max(NEAREST));
        Ok((0..targets.rows()).map(|row| libm::log(last(row))).collect())
    };
    let (of_synthetic, of_reference) = (log_distances(synthetic)?, log_distances(reference)?);
    let (columns, sizes) = (space.columns() as f64, reference.rows() as f64 / synthetic.rows() as f64);
    let of = |(s, r): (&f64, &f64)| columns * (r - s) + libm::log(sizes);
    Ok(of_synthetic.iter().zip(&of_reference).map(of).collect())
}
