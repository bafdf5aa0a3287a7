//! Synthetic rows around a target, within the distance at which synthetic rows have neighbours.

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};

use super::{Attack, Evidence, RADIUS, median, share_within, space};
use crate::{Metric, SearchOptions, k_nearest};

/// The neighbour whose distance sets the radius.
const NEIGHBOUR: usize = 10;

/// Score: the share of synthetic rows within a radius of the target, rows exactly as far counting half. The radius is the
/// median over the synthetic rows of the distance to their tenth nearest other, so that a target in a region of medium
/// density has about ten around it.
#[derive(Debug, Clone, Copy)]
pub struct LocalNeighbourhoodAttack;

impl Attack for LocalNeighbourhoodAttack {
    fn name(&self) -> &'static str {
        "local_neighbourhood"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by the share of synthetic rows around it, within a radius that the synthetic rows set."
    }

    fn source(&self) -> &'static str {
        "Houssiau et al. 2022, TAPAS (local neighbourhood), https://arxiv.org/abs/2211.06550"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[Metric::PARAM, RADIUS]
    }

    fn needs_reference(&self) -> bool {
        false
    }

    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        options: &Options,
        _seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>> {
        let synthetic = evidence.synthetic()?;
        let radius = match options.float(RADIUS.name) {
            Some(radius) => radius,
            None => usual_radius(evidence, options, job)?,
        };
        share_within(targets, synthetic, evidence, radius, options, job)
    }
}

/// Median distance of the synthetic rows to their tenth nearest other, or to the farthest of fewer; 0 of a single row.
fn usual_radius(evidence: &Evidence<'_>, options: &Options, job: &Job) -> Result<f64> {
    let space = space(evidence, options)?;
    let points = space.encode(evidence.synthetic, job)?;
    let k = NEIGHBOUR.min(points.rows() - 1);
    let found = k_nearest(&space, &points, &points, k, SearchOptions { exclude_self: true }, job)?;
    Ok(median((0..points.rows()).filter_map(|row| found.of(row).last()).map(|(_, distance)| distance).collect()))
}
