//! The share of synthetic rows among the nearest of synthetic and reference rows together.

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};

use super::{Attack, Evidence, K, neighbours, space};
use crate::{Metric, SearchOptions, Within, within};

/// Score log((#S + 1/2) / (#R + 1/2)) - log(s / r), where #S and #R are the synthetic and the reference rows among the k
/// nearest of all. Rows as far as the k-th share the places that are left in proportion, so that nothing depends on which
/// of them comes first.
#[derive(Debug, Clone, Copy)]
pub struct DpiAttack;

impl Attack for DpiAttack {
    fn name(&self) -> &'static str {
        "dpi"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by how many of its nearest rows are synthetic rather than reference rows."
    }

    fn source(&self) -> &'static str {
        "Ward et al. 2024, Data Plagiarism Index, https://arxiv.org/abs/2406.13012"
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
        let space = space(evidence, options)?;
        let k = options.int(K.name).unwrap_or(20) as usize;
        let k = k.min(synthetic.rows() + reference.rows());
        let both = [synthetic, reference];
        let found = both.iter().map(|f| neighbours(&space, targets, f, k, job)).collect::<Result<Vec<_>>>()?;
        // The distance of the k-th of both.
        let radius = |row: usize| {
            let mut all: Vec<f64> = found.iter().flat_map(|f| f.of(row)).map(|(_, distance)| distance).collect();
            all.sort_unstable_by(f64::total_cmp);
            all[k - 1]
        };
        let radii: Vec<f64> = (0..targets.rows()).map(radius).collect();
        let queries = space.encode(targets, job)?;
        let count = |f: &Frame| within(&space, &queries, &space.encode(f, job)?, &radii, SearchOptions::default(), job);
        let (of_synthetic, of_reference) = (count(synthetic)?, count(reference)?);
        let sizes = libm::log(synthetic.rows() as f64 / reference.rows() as f64);
        let score = |(s, r): (&Within, &Within)| {
            let left = k as f64 - f64::from(s.nearer) - f64::from(r.nearer);
            let share = left / (f64::from(s.tied) + f64::from(r.tied));
            let places = |w: &Within| f64::from(w.nearer) + share * f64::from(w.tied);
            libm::log((places(s) + 0.5) / (places(r) + 0.5)) - sizes
        };
        Ok(of_synthetic.iter().zip(&of_reference).map(score).collect())
    }
}
