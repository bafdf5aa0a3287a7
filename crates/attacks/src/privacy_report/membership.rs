//! Membership inference by every attack that was chosen, over all targets and over those that lie farthest from others.

use lookalike_core::{Frame, Job, Result};
use lookalike_learners::{Auc, Roc, normal_quantile, sorted_keys};

use super::{Finding, ReportParams, Targets, measured};
use crate::{Attack, Evidence, score_units, vulnerability, vulnerability_deciles};

const HOLDS_SYNTHETIC: &str = "holds the synthetic rows";
const HOLDS_REFERENCE: &str = "holds the synthetic rows and other rows of the population";
const HOLDS_GENERATOR: &str = "holds the synthetic rows and other rows of the population, and can train the generator";

/// False positive rates, as one in so many, from the smallest: the first that the non-members suffice for is tested.
const RATES: [(u64, &str); 3] = [(1000, "tpr_at_fpr_01"), (100, "tpr_at_fpr_1"), (10, "tpr_at_fpr_10")];

/// Neighbours among the reference rows that tell how far from others a target lies.
const NEIGHBOURS: usize = 5;

/// Scores of members and of others, ready to be ranked.
struct Scored {
    members: Vec<u64>,
    others: Vec<u64>,
}

/// The strongest attack so far: area, standard error, name.
type Strongest = Option<(f64, Option<f64>, &'static str)>;

/// All findings on membership.
pub(super) fn findings(
    targets: &Targets<'_>,
    evidence: &Evidence<'_>,
    params: &ReportParams,
    job: &Job,
) -> Result<Vec<Finding>> {
    let rows = Frame::stack(&[targets.members, targets.others])?;
    let members = targets.members.unit_count();
    let alone = vulnerability(&rows, Some(evidence.reference(super::NAME)?), NEIGHBOURS, params.metric, job)?;
    let deciles = of_units(&rows, &vulnerability_deciles(&alone, rows.units().map(|u| u.codes.as_slice())));
    let (mut found, mut strongest) = (vec![], Strongest::None);
    for (i, (attack, options)) in params.attacks.iter().enumerate() {
        job.progress("membership attacks", i as u64, params.attacks.len() as u64);
        let finding = |figure: &str| Finding {
            threat_model: threat_model(*attack),
            targets: targets.text.clone(),
            ..Finding::new("membership", attack.name(), figure)
        };
        let scores = match measured(attack.score(&rows, evidence, options, params.seed, job))? {
            Ok(of_rows) => score_units(&rows, &of_rows)?,
            Err(caveat) => {
                found.push(Finding { caveat, ..finding("auc") });
                continue;
            }
        };
        let all = Scored::new(&scores, members, |_| true);
        found.push(all.area(finding("auc"), "an average over all targets, blind to copies of a few"));
        found.push(all.rate(finding("tpr"), "targets that an attacker can be nearly sure of"));
        found.push(all.epsilon(finding("epsilon_lower")));
        let worst = Scored::new(&scores, members, |unit| deciles[unit] == Some(10));
        found.push(worst.area(finding("worst_decile_auc"), "the tenth of the targets that lies farthest from others"));
        if let Some(auc) = all.auc()
            && strongest.is_none_or(|(area, ..)| auc.area > area)
        {
            strongest = Some((auc.area, auc.standard_error, attack.name()));
        }
    }
    found.extend(strongest.map(|strongest| maximum(strongest, params.attacks.len(), &targets.text)));
    Ok(found)
}

/// The decile of every unit from those of its rows, which are all the same.
fn of_units(rows: &Frame, deciles: &[Option<u8>]) -> Vec<Option<u8>> {
    let Some(units) = rows.units() else { return deciles.to_vec() };
    let mut result = vec![None; units.count as usize];
    units.codes.iter().zip(deciles).for_each(|(&unit, decile)| result[unit as usize] = *decile);
    result
}

fn threat_model(attack: &dyn Attack) -> &'static str {
    match (attack.needs_trainer(), attack.needs_reference()) {
        (true, _) => HOLDS_GENERATOR,
        (false, true) => HOLDS_REFERENCE,
        (false, false) => HOLDS_SYNTHETIC,
    }
}

/// The largest area, in an interval that holds for all attacks together (Bonferroni). Its test is that of the attack.
fn maximum((area, error, attack): (f64, Option<f64>, &str), attacks: usize, targets: &str) -> Finding {
    let half = error.map(|error| error * normal_quantile(1.0 - 0.025 / attacks as f64));
    Finding {
        value: Some(area),
        lo: half.map(|half| (area - half).max(0.0)),
        hi: half.map(|half| (area + half).min(1.0)),
        null_value: None,
        threat_model: "the best of all attackers above",
        targets: targets.into(),
        caveat: format!(
            "the largest of {attacks} areas, that of '{attack}': even blind attacks have a largest above 1/2; the interval is \
             that of a confidence shared among all"
        ),
        ..Finding::new("membership", "all", "max_auc")
    }
}

impl Scored {
    /// The scores of the units that are kept, the first `members` of which are members. NaN is no score.
    fn new(scores: &[f64], members: usize, keep: impl Fn(usize) -> bool) -> Self {
        let side = |range: std::ops::Range<usize>| {
            let kept: Vec<f64> = range.filter(|&i| keep(i) && !scores[i].is_nan()).map(|i| scores[i]).collect();
            sorted_keys(&kept)
        };
        Self { members: side(0..members), others: side(members..scores.len()) }
    }

    fn roc(&self) -> Option<Roc<'_>> {
        (!self.members.is_empty() && !self.others.is_empty()).then(|| Roc::new(&self.members, &self.others))
    }

    fn auc(&self) -> Option<Auc> {
        self.roc().map(|roc| roc.auc())
    }

    fn area(&self, finding: Finding, caveat: &str) -> Finding {
        let Some(roc) = self.roc().filter(|_| self.members.len() > 1 && self.others.len() > 1) else {
            let caveat = format!(
                "needs two members and non-members, there are {} and {}",
                self.members.len(),
                self.others.len()
            );
            return Finding { caveat, ..finding };
        };
        let auc = roc.auc();
        Finding {
            value: Some(auc.area),
            lo: auc.interval.map(|i| i.0),
            hi: auc.interval.map(|i| i.1),
            null_value: Some(0.5),
            p_value: Some(roc.p_value()),
            caveat: caveat.into(),
            ..finding
        }
    }

    fn rate(&self, finding: Finding, caveat: &str) -> Finding {
        let rates = RATES.iter().filter_map(|&(one_in, name)| {
            let roc = self.roc()?;
            Some((one_in, name, roc.true_positives_at(one_in)?, roc.true_positives_p_value(one_in)))
        });
        let Some((one_in, name, rate, p_value)) = rates.into_iter().next() else {
            let caveat = format!("needs 100 non-members for a rate of 10 %, there are {}", self.others.len());
            return Finding { figure: "tpr_at_fpr_10".into(), caveat, ..finding };
        };
        Finding {
            figure: name.into(),
            value: Some(rate.rate),
            lo: Some(rate.low),
            hi: Some(rate.high),
            null_value: Some(1.0 / one_in as f64),
            p_value,
            caveat: caveat.into(),
            ..finding
        }
    }

    fn epsilon(&self, finding: Finding) -> Finding {
        Finding {
            value: self.roc().map(|roc| roc.epsilon_lower(0.05, 1e-5)),
            caveat:
                "an effect size; a bound of epsilon only where a fair coin decided for every person who was trained on"
                    .into(),
            ..finding
        }
    }
}
