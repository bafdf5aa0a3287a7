//! The three criteria of Opinion 05/2014: singling out, linkability and inference, on training rows and on the holdout.

use std::sync::atomic::{AtomicU64, Ordering};

use lookalike_core::{Frame, Job, Result, Role};
use rayon::prelude::*;

use super::{Finding, Release, ReportParams, measured};
use crate::{
    AttackOutcome, InferenceMethod, InferenceParams, LinkabilityParams, SinglingOutMode, SinglingOutParams,
    attribute_inference, fisher_exact, linkability, singling_out,
};

const SINGLES_OUT: &str = "holds the synthetic rows, and looks for conditions that only one person fulfils";
const LINKS: &str = "holds the synthetic rows and two parts of a person's record that nobody has joined";
const INFERS: &str = "holds the synthetic rows and all of a person's record but the secret";

/// Confidence of the intervals.
const CONFIDENCE: f64 = 0.95;

/// All findings on the three criteria.
pub(super) fn findings(release: &Release<'_>, params: &ReportParams, job: &Job) -> Result<Vec<Finding>> {
    let (synthetic, train, control) = (release.synthetic, release.train, Some(release.holdout));
    let names: Vec<&str> = train.columns().iter().filter(|c| c.role() != Role::Identifier).map(|c| c.name()).collect();
    let max_targets = params.max_targets.map(|n| n as usize);
    let targets = |frame: &Frame| match max_targets.filter(|most| *most < frame.unit_count()) {
        None => "all".to_string(),
        Some(most) => format!("{most} drawn from {}", frame.unit_count()),
    };
    // Rows in common are warned of once, by the report.
    let inner = job.quiet();
    let mut found = vec![];
    for mode in [SinglingOutMode::Univariate, SinglingOutMode::Multivariate] {
        let attack = SinglingOutParams {
            mode,
            attempts: params.attempts,
            columns_per_query: names.len().min(3),
            seed: params.seed,
        };
        let finding = Finding { threat_model: SINGLES_OUT, ..Finding::new("singling_out", mode.name(), "risk") };
        found.push(match measured(singling_out(synthetic, train, control, attack, &inner))? {
            Ok(outcome) => {
                let targets = format!("{} conditions", outcome.train.attempts);
                judged(&outcome, Finding { targets, ..finding })
            }
            Err(caveat) => Finding { targets: "no conditions".into(), caveat, ..finding },
        });
    }
    let halves = if params.columns_a.is_empty() && params.columns_b.is_empty() {
        let (a, b) = names.split_at(names.len() / 2);
        [a, b].map(|half| half.iter().map(|name| name.to_string()).collect::<Vec<_>>())
    } else {
        [params.columns_a.clone(), params.columns_b.clone()]
    };
    let finding =
        Finding { threat_model: LINKS, targets: targets(train), ..Finding::new("linkability", "linkability", "risk") };
    let [columns_a, columns_b] = halves;
    if columns_a.is_empty() || columns_b.is_empty() {
        found.push(Finding { caveat: "needs two columns at least".into(), ..finding });
    } else {
        let (metric, seed) = (params.metric, params.seed);
        let attack = LinkabilityParams { columns_a, columns_b, neighbours: 1, metric, max_targets, seed };
        found.push(match measured(linkability(synthetic, train, control, &attack, &inner))? {
            Ok(outcome) => judged(&outcome, finding),
            Err(caveat) => Finding { caveat, ..finding },
        });
    }
    let secrets: Vec<String> = match params.secrets.is_empty() {
        true => names.iter().map(|name| name.to_string()).collect(),
        false => params.secrets.clone(),
    };
    let done = AtomicU64::new(0);
    let infer = |secret: &String| -> Result<Vec<Finding>> {
        let finding = |attack: &str| Finding {
            threat_model: INFERS,
            targets: targets(train),
            ..Finding::new("attribute_inference", attack, format!("risk of {secret}"))
        };
        let known = names.iter().filter(|name| *name != secret).map(|name| name.to_string()).collect();
        let of_method = |method: &InferenceMethod| -> Result<Vec<Finding>> {
            let attack = InferenceParams {
                secret: secret.clone(),
                known: Vec::clone(&known),
                methods: vec![*method],
                max_targets,
                metric: params.metric,
                seed: params.seed,
                tolerance: 0.05,
                tau: 1.0,
            };
            Ok(match measured(attribute_inference(synthetic, train, control, &attack, &inner))? {
                Ok(outcomes) => outcomes.iter().map(|outcome| judged(outcome, finding(outcome.attack))).collect(),
                Err(caveat) => vec![Finding { caveat, ..finding(method.name()) }],
            })
        };
        let found: Vec<Vec<Finding>> = params.methods.iter().map(of_method).collect::<Result<_>>()?;
        job.progress("secrets", done.fetch_add(1, Ordering::Relaxed) + 1, secrets.len() as u64);
        Ok(found.into_iter().flatten().collect())
    };
    if names.len() > 1 {
        let all: Vec<Vec<Finding>> = secrets.par_iter().map(infer).collect::<Result<_>>()?;
        found.extend(all.into_iter().flatten());
    }
    Ok(found)
}

/// The risk of an attack, that is, what it achieves beyond the holdout, and the exact test of the two success rates.
/// Successes that are fractions are rounded against the attacker.
fn judged(outcome: &AttackOutcome, finding: Finding) -> Finding {
    let figures = outcome.figures(CONFIDENCE);
    let control = outcome.control.filter(|_| figures.risk.is_some());
    let (successes, rate) =
        (outcome.train.successes, |share: Option<f64>| share.map_or(String::new(), |r| format!("{r:.4}")));
    let p_value = control.map(|control| {
        let trials = (outcome.train.attempts, control.attempts);
        fisher_exact(successes.floor() as u64, trials.0, (control.successes.ceil() as u64).min(trials.1), trials.1)
    });
    let rates = format!(
        "succeeds on {} of the training rows and {} of the holdout, chance {}",
        rate(figures.train.rate),
        rate(figures.control.rate),
        rate(figures.baseline.rate)
    );
    Finding {
        value: figures.risk.map(|r| r.risk),
        lo: figures.risk.map(|r| r.lo),
        hi: figures.risk.map(|r| r.hi),
        null_value: Some(0.0),
        p_value,
        caveat: [Some(rates), figures.note].into_iter().flatten().collect::<Vec<_>>().join("; "),
        ..finding
    }
}
