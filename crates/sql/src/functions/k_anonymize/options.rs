//! Options of K_ANONYMIZE and the criteria they ask for.

use lookalike_anonymize::{
    AlphaAnonymity, AnonymizeParams, BetaLikeness, Checked, Criteria, Criterion, DeltaDisclosure, DeltaPresence,
    DistinctLDiversity, EntropyLDiversity, KMap, LOSSES, Loss, OutputForm, RecursiveLDiversity, TCloseness,
};
use lookalike_core::{Default, Error, Options, ParamKind, ParamSpec, Result};

use super::{claim, items, noise};
use crate::functions::common::{IDENTIFIERS, PRIVACY_UNIT, RULES, refuse_unused};

const OUTPUTS: &[&str] = &["interval", "range", "mean"];

const OPTIONS: [ParamSpec; 26] = [
    ParamSpec {
        name: "k",
        kind: ParamKind::Int { min: 2, max: i64::MAX },
        default: Default::Unset("required unless another criterion is given"),
        purpose: "Persons (rows without privacy_unit) that share every released combination of quasi-identifiers.",
    },
    ParamSpec {
        name: "quasi_identifiers",
        kind: ParamKind::Names,
        default: Default::Unset("required unless items is given"),
        purpose: "Columns an attacker may know from elsewhere: generalised until k persons share each combination.",
    },
    ParamSpec {
        name: "method",
        kind: ParamKind::Text,
        default: Default::Text("mondrian"),
        purpose: "How classes are found.",
    },
    ParamSpec {
        name: "hierarchies",
        kind: ParamKind::Relations,
        default: Default::Unset("none"),
        purpose: "Tables of generalisations, a column a level with the value itself first, for columns by name.",
    },
    RULES,
    ParamSpec {
        name: "suppression_limit",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Float(0.0),
        purpose: "Largest share of the rows that may be dropped so that the others stay finer.",
    },
    ParamSpec {
        name: "sensitive",
        kind: ParamKind::Names,
        default: Default::Unset("none"),
        purpose: "Columns whose values no class may give away; they leave unchanged.",
    },
    ParamSpec {
        name: "l",
        kind: ParamKind::Float { min: 1.0, max: f64::MAX },
        default: Default::Unset("none"),
        purpose: "l-diversity of every sensitive column in every class.",
    },
    ParamSpec {
        name: "l_diversity",
        kind: ParamKind::Choice(&["distinct", "entropy", "recursive"]),
        default: Default::Unset("'distinct'"),
        purpose: "l different values, an entropy of ln l, or recursive (c, l)-diversity.",
    },
    ParamSpec {
        name: "c",
        kind: ParamKind::Float { min: 0.0, max: f64::MAX },
        default: Default::Unset("required by recursive l-diversity"),
        purpose: "The most frequent value is less than c times as frequent as the l-th and all rarer ones together.",
    },
    ParamSpec {
        name: "t",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Unset("none"),
        purpose: "t-closeness: largest earth mover's distance of a class to the rows that leave.",
    },
    ParamSpec {
        name: "t_distance",
        kind: ParamKind::Choice(&["equal", "ordered", "hierarchical"]),
        default: Default::Unset("by hierarchy where one is given, 'ordered' for numbers and dates, else 'equal'"),
        purpose: "How far apart sensitive values are for t.",
    },
    ParamSpec {
        name: "delta_disclosure",
        kind: ParamKind::Float { min: 0.0, max: f64::MAX },
        default: Default::Unset("none"),
        purpose: "Shares of sensitive values differ from those of all rows that leave by less than a factor e^delta.",
    },
    ParamSpec {
        name: "beta",
        kind: ParamKind::Float { min: 0.0, max: f64::MAX },
        default: Default::Unset("none"),
        purpose: "beta-likeness: shares of sensitive values exceed those of all rows that leave by at most a factor 1 + beta.",
    },
    ParamSpec {
        name: "beta_likeness",
        kind: ParamKind::Choice(&["basic", "enhanced"]),
        default: Default::Unset("'enhanced'"),
        purpose: "Enhanced bounds the gain of frequent values by -ln p as well.",
    },
    ParamSpec {
        name: "alpha",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Unset("none"),
        purpose: "(alpha, k)-anonymity: largest share of a class that one sensitive value may have.",
    },
    ParamSpec {
        name: "population",
        kind: ParamKind::Relation,
        default: Default::Unset("none"),
        purpose: "The population that the rows were drawn from, one row a person, with the quasi-identifiers as columns.",
    },
    ParamSpec {
        name: "k_map",
        kind: ParamKind::Int { min: 1, max: i64::MAX },
        default: Default::Unset("none"),
        purpose: "k-map: persons of the population that match every released combination.",
    },
    ParamSpec {
        name: "delta_presence_min",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Unset("0 where the largest is given"),
        purpose: "delta-presence: smallest share of the matching population that is in the rows of a class.",
    },
    ParamSpec {
        name: "delta_presence_max",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Unset("1 where the smallest is given"),
        purpose: "delta-presence: largest share of the matching population that is in the rows of a class.",
    },
    ParamSpec {
        name: "loss",
        kind: ParamKind::Choice(LOSSES),
        default: Default::Unset("'ncp'"),
        purpose: "What method 'optimal' makes as small as possible.",
    },
    ParamSpec {
        name: "max_seconds",
        kind: ParamKind::Float { min: 0.001, max: f64::MAX },
        default: Default::Unset("none"),
        purpose: "Time after which method 'optimal' returns the best it has found, and says so.",
    },
    ParamSpec {
        name: "output",
        kind: ParamKind::Choice(OUTPUTS),
        default: Default::Text("interval"),
        purpose: "Numbers and dates as text intervals, as {lower, upper, has_null}, or as the mean of the class.",
    },
    ParamSpec {
        name: "class_id",
        kind: ParamKind::Bool,
        default: Default::Bool(false),
        purpose: "Adds the number of each row's class as column class_id.",
    },
    IDENTIFIERS,
    PRIVACY_UNIT,
];

/// All options: those of the classes, then those of the other parts.
pub(super) fn all() -> Vec<ParamSpec> {
    let of_parts = items::OPTIONS.into_iter().chain(noise::OPTIONS);
    OPTIONS.into_iter().chain(of_parts).chain([claim::GUARANTEE]).collect()
}

/// Options that do something without quasi-identifiers.
const WITHOUT_CLASSES: [&str; 6] = ["k", "quasi_identifiers", "hierarchies", "rules", "identifiers", "privacy_unit"];

/// Fails when an option is set that has no effect where there are no quasi-identifiers, and so no classes.
pub(super) fn without_classes(options: &Options) -> Result<()> {
    let of_classes: Vec<_> =
        OPTIONS.into_iter().chain(noise::OPTIONS).filter(|o| !WITHOUT_CLASSES.contains(&o.name)).collect();
    refuse_unused(options, [("quasi_identifiers", of_classes.as_slice())].into_iter(), |_| false)
}

/// How numbers are shown.
pub(super) fn form(options: &Options) -> OutputForm {
    match options.choice("output").as_deref() {
        Some("range") => OutputForm::Range,
        Some("mean") => OutputForm::Mean,
        _ => OutputForm::Interval,
    }
}

/// Everything but criteria.
pub(super) fn params(options: &Options, method: &str) -> Result<Checked<AnonymizeParams>> {
    if method != "optimal" {
        no_effect(options, &["loss", "max_seconds"], "method => 'optimal'")?;
    }
    AnonymizeParams {
        suppression_limit: options.float("suppression_limit").unwrap_or_default(),
        form: form(options),
        max_seconds: options.float("max_seconds"),
        loss: options.choice("loss").and_then(|name| Loss::find(&name)).unwrap_or_default(),
    }
    .check()
}

/// Options that look at sensitive columns.
const OF_VALUES: [&str; 5] = ["l", "t", "delta_disclosure", "beta", "alpha"];

/// The criteria of a call with so many sensitive columns.
pub(super) fn criteria(options: &Options, sensitive: usize) -> Result<Criteria> {
    let mut all: Vec<Box<dyn Criterion>> = Vec::new();
    let given = |name: &&str| options.get(name).is_some();
    match OF_VALUES.iter().find(|name| given(name)) {
        Some(first) if sensitive == 0 => {
            return Err(Error::argument(format!(
                "option '{first}' needs the columns whose values it protects: sensitive => ['diagnosis']"
            )));
        }
        None if sensitive > 0 => {
            return Err(Error::argument(
                "option 'sensitive' has no effect here: it belongs to l, t, delta_disclosure, beta and alpha",
            ));
        }
        _ => {}
    }
    for (main, belonging) in [("l", "l_diversity"), ("t", "t_distance"), ("beta", "beta_likeness")] {
        if options.get(main).is_none() {
            no_effect(options, &[belonging], main)?;
        }
    }
    if options.choice("l_diversity").as_deref() != Some("recursive") {
        no_effect(options, &["c"], "l_diversity => 'recursive'")?;
    }
    for attribute in 0..sensitive {
        all.extend(l_diversity(options, attribute)?);
        if let Some(t) = options.float("t") {
            all.push(Box::new(TCloseness { attribute, t }));
        }
        if let Some(delta) = options.float("delta_disclosure") {
            all.push(Box::new(DeltaDisclosure { attribute, delta }));
        }
        if let Some(beta) = options.float("beta") {
            let enhanced = options.choice("beta_likeness").as_deref() != Some("basic");
            all.push(Box::new(BetaLikeness { attribute, beta, enhanced }));
        }
        if let Some(alpha) = options.float("alpha") {
            all.push(Box::new(AlphaAnonymity { attribute, alpha }));
        }
    }
    all.extend(of_population(options)?);
    let k = options.int("k").map(|k| k as u64);
    if k.is_none() && all.is_empty() {
        return Err(Error::argument(
            "no criterion is given: k => an integer of at least 2, or another one such as l, t or k_map",
        ));
    }
    Criteria::new(k, all)
}

fn l_diversity(options: &Options, attribute: usize) -> Result<Option<Box<dyn Criterion>>> {
    let Some(l) = options.float("l") else { return Ok(None) };
    let kind = options.choice("l_diversity").unwrap_or_else(|| "distinct".into());
    if kind != "entropy" && (l.fract() != 0.0 || l < 2.0) {
        return Err(Error::argument(format!(
            "option 'l' is {l}, allowed for {kind} l-diversity is an integer of at least 2"
        )));
    }
    Ok(Some(match kind.as_str() {
        "entropy" => Box::new(EntropyLDiversity { attribute, l }),
        "recursive" => {
            let c = options
                .float("c")
                .ok_or_else(|| Error::argument("recursive l-diversity needs c: c => a number above 0, such as 3"))?;
            Box::new(RecursiveLDiversity { attribute, c, l: l as usize })
        }
        _ => Box::new(DistinctLDiversity { attribute, l }),
    }))
}

fn of_population(options: &Options) -> Result<Vec<Box<dyn Criterion>>> {
    let mut all: Vec<Box<dyn Criterion>> = Vec::new();
    if let Some(k) = options.int("k_map") {
        all.push(Box::new(KMap(k as u64)));
    }
    let (min, max) = (options.float("delta_presence_min"), options.float("delta_presence_max"));
    if min.is_some() || max.is_some() {
        let (min, max) = (min.unwrap_or(0.0), max.unwrap_or(1.0));
        if min > max {
            return Err(Error::argument(format!(
                "option 'delta_presence_min' is {min}, allowed is at most delta_presence_max, which is {max}"
            )));
        }
        all.push(Box::new(DeltaPresence { min, max }));
    }
    let has_population = options.get("population").is_some();
    match (all.is_empty(), has_population) {
        (false, false) => Err(Error::argument(
            "option 'population' is missing: k_map and delta_presence compare classes with the population => relation \
             that the rows were drawn from",
        )),
        (true, true) => Err(Error::argument(
            "option 'population' has no effect here: it belongs to k_map, delta_presence_min and delta_presence_max",
        )),
        _ => Ok(all),
    }
}

/// Fails when one of the options is set, because it only does something together with what `owner` says.
pub(super) fn no_effect(options: &Options, names: &[&str], owner: &str) -> Result<()> {
    match names.iter().find(|name| options.get(name).is_some()) {
        Some(name) => Err(Error::argument(format!("option '{name}' has no effect here: it belongs to {owner}"))),
        None => Ok(()),
    }
}
