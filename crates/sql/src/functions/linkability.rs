//! LINKABILITY(train, synthetic [, control]): whether synthetic rows tell which two halves of a record belong together.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use lookalike_attacks::{LinkabilityParams, Metric, linkability};
use lookalike_core::{Default, EncodeSpec, Error, Job, ParamKind, ParamSpec, Result};

use super::common::{PRIVACY_UNIT, SEED, distinct, require_column};
use super::risk::{CONFIDENCE, MAX_TARGETS, RELATIONS, encoding, run, schema, wants};
use crate::function::{Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// LINKABILITY as a table function.
#[derive(Debug)]
pub struct Linkability;

const COLUMNS_A: ParamSpec = ParamSpec {
    name: "columns_a",
    kind: ParamKind::Names,
    default: Default::Required,
    purpose: "Columns of one table that the attacker has about the people.",
};

const COLUMNS_B: ParamSpec = ParamSpec {
    name: "columns_b",
    kind: ParamKind::Names,
    default: Default::Required,
    purpose: "Columns of another table about the same people; none of columns_a.",
};

const NEIGHBOURS: ParamSpec = ParamSpec {
    name: "neighbours",
    kind: ParamKind::Int { min: 1, max: 100 },
    default: Default::Int(1),
    purpose: "Synthetic rows taken for near on each side.",
};

impl TableFunction for Linkability {
    fn name(&self) -> &'static str {
        "linkability"
    }

    fn summary(&self) -> &'static str {
        "Linkability, second of the three risks of Opinion 05/2014: how many people have the same synthetic row among the \
         nearest on two sets of columns, beside a control and chance."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        RELATIONS
    }

    fn options(&self) -> Vec<ParamSpec> {
        vec![COLUMNS_A, COLUMNS_B, NEIGHBOURS, Metric::PARAM, MAX_TARGETS, CONFIDENCE, SEED, PRIVACY_UNIT]
    }

    fn schema_options(&self) -> &'static [&'static str] {
        &["columns_a", "columns_b"]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        encoding(call, Some(columns(call)?))?;
        Ok(schema())
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let (specs, like) = encoding(call, Some(columns(call)?))?;
        Ok(Arc::new(Attack {
            specs,
            like,
            params: LinkabilityParams {
                columns_a: call.options.names("columns_a"),
                columns_b: call.options.names("columns_b"),
                neighbours: call.options.int("neighbours").unwrap_or_default() as usize,
                metric: Metric::from_name(&call.options.choice("metric").unwrap_or_default())?,
                max_targets: call.options.int("max_targets").map(|n| n as usize),
                seed: call.seed(),
            },
            confidence: call.options.float("confidence").unwrap_or_default(),
        }))
    }
}

/// The columns of both sides.
fn columns(call: &Call) -> Result<Vec<String>> {
    let train = call.required("train")?;
    let mut all: Vec<String> = vec![];
    for option in ["columns_a", "columns_b"] {
        let names = call.options.names(option);
        if names.is_empty() {
            return Err(Error::argument(format!("option '{option}' is empty, allowed is at least one column")));
        }
        distinct(option, &names)?;
        for name in names {
            require_column(option, &name, train)?;
            if all.contains(&name) && option == "columns_b" {
                return Err(Error::argument(format!(
                    "columns_b: column '{name}' is in columns_a as well, which links trivially"
                )));
            }
            if call.options.text("privacy_unit") == Some(&name) {
                return Err(Error::argument(format!("{option}: column '{name}' is the privacy unit")));
            }
            all.push(name);
        }
    }
    Ok(all)
}

#[derive(Debug)]
struct Attack {
    specs: Vec<EncodeSpec>,
    like: SchemaRef,
    params: LinkabilityParams,
    confidence: f64,
}

impl Operation for Attack {
    fn wants(&self) -> Vec<Want> {
        wants(&self.specs, &self.like)
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        run(inputs, self.confidence, job, |train, synthetic, control| {
            Ok(vec![linkability(synthetic, train, control, &self.params, job)?])
        })
    }
}
