//! Features of a whole synthetic set: do they tell whether the target was among the training rows?

mod features;

use lookalike_core::{Default, Frame, Job, Options, ParamKind, ParamSpec, Result};
use rayon::prelude::*;

use super::sets::Sets;
use super::shadow::{SHADOW_MODELS, Shadows, TRAINING_ROWS};
use super::{Attack, Evidence};
use features::Plan;

/// A classifier of synthetic sets by their marginals and correlations.
#[derive(Debug, Clone, Copy)]
pub struct GroundhogAttack;

const FEATURES: ParamSpec = ParamSpec {
    name: "features",
    kind: ParamKind::Choice(&["all", "naive", "histogram", "correlation"]),
    default: Default::Text("all"),
    purpose: "What is looked at in a synthetic set: moments and modes, histograms, correlations, or all of them.",
};

impl Attack for GroundhogAttack {
    fn name(&self) -> &'static str {
        "groundhog"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by a classifier that tells shadow generators trained with it from others, by features of the whole \
         synthetic set."
    }

    fn source(&self) -> &'static str {
        "Stadler, Oprisanu & Troncoso 2022, Synthetic Data: Anonymisation Groundhog Day, section 4, \
         https://arxiv.org/abs/2011.07018"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[FEATURES, SHADOW_MODELS, TRAINING_ROWS]
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
        if targets.rows() == 0 {
            return Ok(vec![]);
        }
        let plan = Plan::new(&evidence.held(), options.choice(FEATURES.name).as_deref().unwrap_or("all"));
        let _memory = job.reserve((shadows.count() + 1) * plan.width() * 16, "features of synthetic sets")?;
        let mut groups: Vec<Vec<Vec<f64>>> = vec![];
        let mut add = |sample: &Frame| {
            let found = plan.features(sample);
            groups.resize(found.len(), vec![]);
            groups.iter_mut().zip(found).for_each(|(group, features)| group.push(features));
        };
        shadows.run(job, |_, sample| {
            add(sample);
            Ok(())
        })?;
        add(evidence.synthetic()?);
        let sets = Sets::new(&groups.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let included: Vec<Vec<bool>> = (0..shadows.count()).map(|s| shadows.included(s)).collect();
        let scores = (0..targets.rows()).into_par_iter().map(|row| {
            job.check()?;
            Ok(sets.log_odds(&included.iter().map(|rows| rows[row]).collect::<Vec<_>>()))
        });
        Ok(shadows.level(scores.collect::<Result<_>>()?))
    }
}
