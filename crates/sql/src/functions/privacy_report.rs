//! PRIVACY_REPORT(train, holdout, synthetic): the whole battery in one call.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_attacks::{ATTACKS, Finding, InferenceMethod, Metric, Release, ReportParams, Trainer, privacy_report};
use lookalike_core::{Default, EncodeSpec, Error, Job, Options, ParamKind, ParamSpec, Result};

use super::attribute_inference::{METHOD, methods};
use super::common::{
    COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED, common_types, comparison, distinct, options_of, refuse_unused,
    require_column,
};
use super::mia_score::{ATTACKS_OPTION, MAX_TARGETS, REFERENCE, attacks};
use super::overlap::{no_common_person, warn_of_known_persons};
use super::trainer::{self, ModelTrainer};
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// Ways to infer a secret, when the call names none.
const METHODS: [InferenceMethod; 2] = [InferenceMethod::Nearest, InferenceMethod::Learned];

/// PRIVACY_REPORT as a table function.
#[derive(Debug)]
pub struct PrivacyReport;

const OPTIONS: [ParamSpec; 7] = [
    ParamSpec {
        name: "model",
        kind: ParamKind::Text,
        default: Default::Unset("none: attackers cannot train the generator"),
        purpose: "The generator that made the rows, for attackers who train it and for planted rows.",
    },
    ParamSpec {
        name: "secrets",
        kind: ParamKind::Names,
        default: Default::Unset("each compared column in turn"),
        purpose: "Columns to infer from all others.",
    },
    ParamSpec { default: Default::Unset("nearest and learned"), ..METHOD },
    ParamSpec {
        name: "columns_a",
        kind: ParamKind::Names,
        default: Default::Unset("the first half of the compared columns"),
        purpose: "Columns of one part of a person's record, to be linked with columns_b.",
    },
    ParamSpec {
        name: "columns_b",
        kind: ParamKind::Names,
        default: Default::Unset("the second half of the compared columns"),
        purpose: "Columns of the other part.",
    },
    ParamSpec {
        name: "attempts",
        kind: ParamKind::Int { min: 1, max: 10_000_000 },
        default: Default::Int(2000),
        purpose: "Conditions that single out a synthetic row, to try of each kind.",
    },
    ParamSpec {
        name: "alpha",
        kind: ParamKind::Float { min: 1e-9, max: 0.5 },
        default: Default::Float(0.05),
        purpose: "Probability of calling any finding of a clean release a leak, shared among all tests.",
    },
];

impl TableFunction for PrivacyReport {
    fn name(&self) -> &'static str {
        "privacy_report"
    }

    fn summary(&self) -> &'static str {
        "Attacks a release in every way that the relations allow, one row a finding: figure, interval, null value, test \
         corrected for the number of tests, verdict, threat model, caveat."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[
            RelationSpec { name: "train", required: true, purpose: "the rows the generator was trained on" },
            RelationSpec { name: "holdout", required: true, purpose: "rows of the same population it never saw" },
            RelationSpec { name: "synthetic", required: true, purpose: "the synthetic rows" },
        ]
    }

    fn options(&self) -> Vec<ParamSpec> {
        let mut options = OPTIONS.to_vec();
        options.extend([
            ATTACKS_OPTION,
            REFERENCE,
            MAX_TARGETS,
            Metric::PARAM,
            SEED,
            COLUMNS,
            IDENTIFIERS,
            PRIVACY_UNIT,
        ]);
        for param in ATTACKS.iter().flat_map(|a| a.params()).copied().chain(trainer::options()) {
            if options.iter().all(|o| o.name != param.name) {
                options.push(param);
            }
        }
        options
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        plan(call)?;
        Ok(schema())
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        Ok(Arc::new(plan(call)?))
    }
}

fn schema() -> SchemaRef {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    let number = |name| Field::new(name, DataType::Float64, true);
    Arc::new(Schema::new(vec![
        text("criterion", false),
        text("attack", false),
        text("figure", false),
        number("value"),
        number("lo"),
        number("hi"),
        number("null_value"),
        number("p_value"),
        number("p_adjusted"),
        text("verdict", false),
        text("threat_model", false),
        text("targets", false),
        text("caveat", false),
    ]))
}

#[derive(Debug)]
struct Battery {
    specs: Vec<EncodeSpec>,
    like: SchemaRef,
    /// The person's column of training rows, of the holdout and of the reference; nothing of the synthetic rows.
    keys: Option<[Option<usize>; 4]>,
    options: Options,
    trainer: Option<ModelTrainer>,
    seed: u64,
}

fn plan(call: &Call) -> Result<Battery> {
    let options = &call.options;
    let chosen = attacks(options)?;
    let has_model = options.text("model").is_some();
    let all = ATTACKS.iter().map(|a| (a.name(), a.params()));
    refuse_unused(options, all, |name| chosen.iter().any(|a| a.name() == name))?;
    let training: Vec<ParamSpec> = trainer::options().into_iter().filter(|p| p.name != "model").collect();
    refuse_unused(options, std::iter::once(("model", training.as_slice())), |_| has_model)?;
    if let Some(attack) = chosen.iter().find(|a| a.needs_trainer() && !has_model) {
        return Err(Error::argument(format!(
            "attack '{}' trains generators of its own: model => name of the generator",
            attack.name()
        )));
    }
    trainer::model_options(options)?;
    methods(options, &METHODS)?;
    let specs = comparison(call, "train", &["synthetic"])?;
    let train = call.required("train")?;
    for option in ["secrets", "columns_a", "columns_b"] {
        let names = options.names(option);
        distinct(option, &names)?;
        for name in &names {
            require_column(option, name, train)?;
            if !specs[0].columns.as_ref().is_some_and(|compared| compared.contains(name)) {
                return Err(Error::argument(format!("{option}: column '{name}' is not among the compared columns")));
            }
        }
    }
    if options.get("columns_a").is_some() != options.get("columns_b").is_some() {
        return Err(Error::argument("columns_a and columns_b belong together: give both or neither"));
    }
    let keys = options.text("privacy_unit").map(|unit| {
        let place = |role: &str| call.required(role)?.index_of(unit).map_err(|e| Error::internal(e.to_string()));
        let has_reference = call.inputs.iter().any(|(role, _)| role == "reference");
        let reference = has_reference.then(|| place("reference")).transpose()?;
        Ok::<_, Error>([Some(place("train")?), Some(place("holdout")?), None, reference])
    });
    Ok(Battery {
        like: common_types(call, "train", &specs)?,
        specs,
        keys: keys.transpose()?,
        trainer: has_model.then(|| ModelTrainer::of(options)).transpose()?,
        options: options.clone(),
        seed: call.seed(),
    })
}

impl Operation for Battery {
    fn wants(&self) -> Vec<Want> {
        let want = |(i, spec): (usize, &EncodeSpec)| Want {
            encode: Some(spec.clone()),
            keep: self.keys.and_then(|keys| keys.get(i).copied().flatten().map(|key| vec![key])),
            like: Some(Arc::clone(&self.like)),
            spill: false,
        };
        self.specs.iter().enumerate().map(want).collect()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let relations = encode_together(inputs, job)?;
        let [train, holdout, synthetic, rest @ ..] = relations.as_slice() else {
            return Err(Error::internal("privacy_report without its relations"));
        };
        if self.keys.is_some() {
            let (members, others) = (key(&train.batches)?, key(&holdout.batches)?);
            no_common_person(("train", &members), ("holdout", &others))?;
            for reference in rest {
                let reference = key(&reference.batches)?;
                warn_of_known_persons(&reference, ("train", &members), job)?;
                warn_of_known_persons(&reference, ("holdout", &others), job)?;
            }
        }
        let options = &self.options;
        let chosen = attacks(options)?.into_iter().map(|a| Ok((a, options_of(a.params(), options)?)));
        let params = ReportParams {
            metric: Metric::from_name(&options.choice("metric").unwrap_or_default())?,
            attacks: chosen.collect::<Result<_>>()?,
            max_targets: options.int("max_targets").map(|n| n as u64),
            attempts: options.int("attempts").unwrap_or_default() as usize,
            columns_a: options.names("columns_a"),
            columns_b: options.names("columns_b"),
            secrets: options.names("secrets"),
            methods: methods(options, &METHODS)?,
            alpha: options.float("alpha").unwrap_or_default(),
            seed: self.seed,
        };
        let release = Release {
            train: &train.frame,
            holdout: &holdout.frame,
            synthetic: &synthetic.frame,
            reference: rest.first().map(|r| &r.frame),
            trainer: self.trainer.as_ref().map(|t| t as &dyn Trainer),
        };
        Ok(Arc::new(Batches::new(vec![batch(&privacy_report(&release, &params, job)?)?])))
    }
}

/// The person's column, which is the only one kept; nothing without rows.
pub(super) fn key(batches: &[RecordBatch]) -> Result<Vec<ArrayRef>> {
    let parts: Vec<&dyn Array> = batches.iter().map(|b| b.column(0).as_ref()).collect();
    Ok(if parts.is_empty() { vec![] } else { vec![concat(&parts)?] })
}

fn batch(findings: &[Finding]) -> Result<RecordBatch> {
    let text =
        |of: fn(&Finding) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(findings.iter().map(of))) };
    let number = |of: fn(&Finding) -> Option<f64>| -> ArrayRef {
        // NaN stands for nothing.
        Arc::new(findings.iter().map(|f| of(f).filter(|v| !v.is_nan())).collect::<Float64Array>())
    };
    let columns = vec![
        text(|f| f.criterion),
        text(|f| &f.attack),
        text(|f| &f.figure),
        number(|f| f.value),
        number(|f| f.lo),
        number(|f| f.hi),
        number(|f| f.null_value),
        number(|f| f.p_value),
        number(|f| f.p_adjusted),
        text(|f| f.verdict.text()),
        text(|f| f.threat_model),
        text(|f| &f.targets),
        text(|f| &f.caveat),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
