//! The likelihood ratio attack: where does the distance to the synthetic rows lie among those of shadow generators?

use lookalike_core::{Default, Frame, Job, Options, ParamKind, ParamSpec, Result};

use super::shadow::{SHADOW_MODELS, Shadows, TRAINING_ROWS};
use super::{Attack, Evidence};
use crate::{Metric, SearchOptions, Space, nearest};

/// Score log N(phi; in) - log N(phi; out) of phi = -log(d(x, S) + 1e-6), normals fitted to shadow generators.
#[derive(Debug, Clone, Copy)]
pub struct LiraAttack;

const VARIANT: ParamSpec = ParamSpec {
    name: "variant",
    kind: ParamKind::Choice(&["online", "offline"]),
    default: Default::Text("online"),
    purpose: "Compare with shadows that had the target and those that had not, or with the latter alone.",
};

/// Added to distances before the logarithm: a copy is as far from a distance of 1e-3 as that is from 1.
const SMALLEST: f64 = 1e-6;

/// With fewer values on a side, the variance is that of all targets together.
const ENOUGH: usize = 32;

/// Variances are no smaller: values that never differ still have a likelihood.
const LEAST_VARIANCE: f64 = 1e-6;

impl Attack for LiraAttack {
    fn name(&self) -> &'static str {
        "lira"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by the likelihood ratio of its distance to the synthetic rows among shadow generators trained with \
         and without it."
    }

    fn source(&self) -> &'static str {
        "Carlini et al. 2022, Membership Inference Attacks From First Principles (LiRA), https://arxiv.org/abs/2112.03570, \
         with the distance to the closest synthetic record for the loss"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[Metric::PARAM, VARIANT, SHADOW_MODELS, TRAINING_ROWS]
    }

    fn needs_reference(&self) -> bool {
        true
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
        let shadows = Shadows::new(self.name(), targets, evidence, options, seed, job)?;
        let metric = Metric::from_name(options.choice(Metric::PARAM.name).as_deref().unwrap_or("gower"))?;
        let space = Space::fit(metric, &evidence.held())?;
        let queries = space.encode(targets, job)?;
        let inner = job.quiet();
        let statistics = |frame: &Frame| -> Result<Vec<f64>> {
            let found = nearest(&space, &queries, &space.encode(frame, &inner)?, SearchOptions::default(), &inner)?;
            Ok(found.into_iter().map(|n| -libm::log(n.distance + SMALLEST)).collect())
        };
        let observed = statistics(evidence.synthetic()?)?;
        if observed.is_empty() {
            return Ok(vec![]);
        }
        let _memory = job.reserve(shadows.count() * targets.rows() * 8, "statistics of shadow generators")?;
        let mut seen: Vec<Vec<f64>> = Vec::with_capacity(shadows.count());
        shadows.run(job, |_, sample| {
            seen.push(statistics(sample)?);
            Ok(())
        })?;
        let included: Vec<Vec<bool>> = (0..shadows.count()).map(|s| shadows.included(s)).collect();
        let side = |is_in: bool| -> Vec<Moments> {
            (0..targets.rows())
                .map(|row| Moments::of((0..seen.len()).filter(|&s| included[s][row] == is_in).map(|s| seen[s][row])))
                .collect()
        };
        let (inside, outside) = (Side::new(side(true)), Side::new(side(false)));
        let is_offline = options.choice(VARIANT.name).as_deref() == Some("offline");
        let scores = observed.iter().enumerate().map(|(row, &phi)| {
            if is_offline {
                outside.standardised(row, phi)
            } else {
                inside.log_density(row, phi) - outside.log_density(row, phi)
            }
        });
        Ok(shadows.level(scores.collect()))
    }
}

/// Mean and sum of squared deviations of the values of one target.
#[derive(Debug, Clone, Copy)]
struct Moments {
    count: usize,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count();
        let mean = values.clone().sum::<f64>() / count.max(1) as f64;
        Self { count, mean, squares: values.map(|v| (v - mean) * (v - mean)).sum() }
    }
}

/// Normals of all targets, for the shadows that had them or for those that had not.
struct Side {
    targets: Vec<Moments>,
    /// Variance of all targets around their own means.
    pooled: f64,
}

impl Side {
    fn new(targets: Vec<Moments>) -> Self {
        // Added in the order of their size, so that the sum is the same in any order of the rows.
        let mut squares: Vec<f64> = targets.iter().map(|m| m.squares).collect();
        squares.sort_unstable_by(f64::total_cmp);
        let degrees: usize = targets.iter().map(|m| m.count.saturating_sub(1)).sum();
        Self { pooled: squares.iter().sum::<f64>() / degrees.max(1) as f64, targets }
    }

    fn normal(&self, row: usize) -> (f64, f64) {
        let Moments { count, mean, squares } = self.targets[row];
        let variance = if count < ENOUGH { self.pooled } else { squares / (count - 1) as f64 };
        (mean, variance.max(LEAST_VARIANCE))
    }

    /// Standard deviations above the mean.
    fn standardised(&self, row: usize, phi: f64) -> f64 {
        let (mean, variance) = self.normal(row);
        (phi - mean) / variance.sqrt()
    }

    /// Up to a constant that both sides share.
    fn log_density(&self, row: usize, phi: f64) -> f64 {
        let (mean, variance) = self.normal(row);
        -0.5 * (phi - mean) * (phi - mean) / variance - 0.5 * libm::log(variance)
    }
}
