//! ATTRIBUTE_INFERENCE(train, synthetic [, control], secret => '...'): whether synthetic rows tell an unknown value.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use lookalike_attacks::{InferenceMethod, InferenceParams, Metric, attribute_inference};
use lookalike_core::{Default, EncodeSpec, Error, Job, Options, ParamKind, ParamSpec, Result, closest, list_names};

use super::common::{IDENTIFIERS, PRIVACY_UNIT, SEED, distinct, require_column};
use super::risk::{CONFIDENCE, MAX_TARGETS, RELATIONS, encoding, run, schema, wants};
use crate::function::{Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// ATTRIBUTE_INFERENCE as a table function.
#[derive(Debug)]
pub struct AttributeInference;

const SECRET: ParamSpec =
    ParamSpec { name: "secret", kind: ParamKind::Text, default: Default::Required, purpose: "The column to infer." };

const KNOWN: ParamSpec = ParamSpec {
    name: "known",
    kind: ParamKind::Names,
    default: Default::Unset("all columns but the secret, identifiers and the privacy unit"),
    purpose: "Columns that the attacker knows.",
};

pub(super) const METHOD: ParamSpec = ParamSpec {
    name: "method",
    kind: ParamKind::Names,
    default: Default::Unset("all methods"),
    purpose: "Ways to guess, a row of the result for each.",
};

const TOLERANCE: ParamSpec = ParamSpec {
    name: "tolerance",
    kind: ParamKind::Float { min: 0.0, max: 1.0 },
    default: Default::Float(0.05),
    purpose: "Largest error of a right guess of a number, as a share of the secret.",
};

const TAU: ParamSpec = ParamSpec {
    name: "tau",
    kind: ParamKind::Float { min: 0.0, max: 1.0 },
    default: Default::Float(1.0),
    purpose: "Least share that one secret must have among the synthetic rows of a key, for method 'tcap'.",
};

impl TableFunction for AttributeInference {
    fn name(&self) -> &'static str {
        "attribute_inference"
    }

    fn summary(&self) -> &'static str {
        "Attribute inference, third of the three risks of Opinion 05/2014: how often synthetic rows tell an unknown value \
         of people of whom other values are known, beside a control and guessing."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        RELATIONS
    }

    fn options(&self) -> Vec<ParamSpec> {
        vec![
            SECRET,
            KNOWN,
            METHOD,
            TOLERANCE,
            TAU,
            Metric::PARAM,
            MAX_TARGETS,
            CONFIDENCE,
            SEED,
            IDENTIFIERS,
            PRIVACY_UNIT,
        ]
    }

    fn schema_options(&self) -> &'static [&'static str] {
        &["secret", "known"]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        methods(&call.options, &InferenceMethod::ALL)?;
        encoding(call, columns(call)?)?;
        Ok(schema())
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let (specs, like) = encoding(call, columns(call)?)?;
        let float = |name| call.options.float(name).unwrap_or_default();
        Ok(Arc::new(Attack {
            specs,
            like,
            params: InferenceParams {
                secret: call.options.text("secret").unwrap_or_default().to_string(),
                known: call.options.names("known"),
                methods: methods(&call.options, &InferenceMethod::ALL)?,
                tolerance: float("tolerance"),
                tau: float("tau"),
                metric: Metric::from_name(&call.options.choice("metric").unwrap_or_default())?,
                max_targets: call.options.int("max_targets").map(|n| n as usize),
                seed: call.seed(),
            },
            confidence: float("confidence"),
        }))
    }
}

/// The known columns and the secret; `None` when all columns are known.
fn columns(call: &Call) -> Result<Option<Vec<String>>> {
    let train = call.required("train")?;
    let secret = call.options.text("secret").unwrap_or_default().to_string();
    require_column("secret", &secret, train)?;
    if call.options.text("privacy_unit") == Some(&secret) || call.options.names("identifiers").contains(&secret) {
        return Err(Error::argument(format!("secret: column '{secret}' is an identifier or the privacy unit")));
    }
    let mut known = call.options.names("known");
    if known.is_empty() {
        return match call.options.get("known") {
            None => Ok(None),
            Some(_) => Err(Error::argument("option 'known' is empty, allowed is at least one column")),
        };
    }
    distinct("known", &known)?;
    for name in &known {
        require_column("known", name, train)?;
        if *name == secret {
            return Err(Error::argument(format!("known: column '{name}' is the secret")));
        }
        if call.options.text("privacy_unit") == Some(name) {
            return Err(Error::argument(format!("known: column '{name}' is the privacy unit")));
        }
    }
    known.push(secret);
    Ok(Some(known))
}

/// The methods that option `method` names, or the usual ones.
pub(super) fn methods(options: &Options, usual: &[InferenceMethod]) -> Result<Vec<InferenceMethod>> {
    let names = options.names("method");
    if names.is_empty() {
        return match options.get("method") {
            None => Ok(usual.to_vec()),
            Some(_) => Err(Error::argument("option 'method' is empty, allowed is at least one name")),
        };
    }
    distinct("method", &names)?;
    names
        .iter()
        .map(|name| {
            InferenceMethod::from_name(&name.to_lowercase()).ok_or_else(|| {
                let known = || InferenceMethod::NAMES.iter().copied();
                let hint = closest(name, known()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
                Error::argument(format!("there is no method '{name}'{hint} (methods: {})", list_names(known())))
            })
        })
        .collect()
}

#[derive(Debug)]
struct Attack {
    specs: Vec<EncodeSpec>,
    like: SchemaRef,
    params: InferenceParams,
    confidence: f64,
}

impl Operation for Attack {
    fn wants(&self) -> Vec<Want> {
        wants(&self.specs, &self.like)
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        run(inputs, self.confidence, job, |train, synthetic, control| {
            attribute_inference(synthetic, train, control, &self.params, job)
        })
    }
}
