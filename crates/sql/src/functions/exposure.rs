//! EXPOSURE(train): how well a generator knows rows that were planted among its training rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_attacks::{Exposure, ExposureMethod, ExposureParams, NULL_EXPOSURE, exposure};
use lookalike_core::{Default, EncodeSpec, Error, FrameBuilder, Job, ParamKind, ParamSpec, Result};

use super::common::{IDENTIFIERS, PRIVACY_UNIT, SEED, comparison};
use super::trainer::{self, ModelTrainer};
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// EXPOSURE as a table function.
#[derive(Debug)]
pub struct ExposureTable;

const CANARIES: ParamSpec = ParamSpec {
    name: "canaries",
    kind: ParamKind::Int { min: 1, max: 10_000 },
    default: Default::Int(10),
    purpose: "Random rows to plant.",
};

const REPEATS: ParamSpec = ParamSpec {
    name: "repeats",
    kind: ParamKind::Int { min: 1, max: 10_000 },
    default: Default::Int(1),
    purpose: "Copies of each canary among the training rows.",
};

const REFERENCES: ParamSpec = ParamSpec {
    name: "references",
    kind: ParamKind::Int { min: 1, max: 10_000_000 },
    default: Default::Int(1000),
    purpose: "Random rows that are not planted, to rank canaries among; exposure is at most their binary logarithm.",
};

const METHOD: ParamSpec = ParamSpec {
    name: "method",
    kind: ParamKind::Choice(&["likelihood", "distance"]),
    default: Default::Unset("likelihood where the model has one for these columns, distance otherwise"),
    purpose: "Score a row by its negative log likelihood, or by its distance to the nearest synthetic row.",
};

impl TableFunction for ExposureTable {
    fn name(&self) -> &'static str {
        "exposure"
    }

    fn summary(&self) -> &'static str {
        "Memorisation: plants random rows among the training rows, trains the generator, and says how much better it knows \
         them than other random rows, in bits; one row a canary and one for all."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec { name: "train", required: true, purpose: "the rows the generator is trained on" }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        let mut options = vec![CANARIES, REPEATS, REFERENCES, METHOD, SEED, IDENTIFIERS, PRIVACY_UNIT];
        options.extend(trainer::options());
        options
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        trainer::model_options(&call.options)?;
        let spec = spec(call)?;
        FrameBuilder::new(Arc::clone(call.required("train")?), spec)?;
        let field = |name: &str, data_type, nullable| Field::new(name, data_type, nullable);
        Ok(Arc::new(Schema::new(vec![
            field("canary", DataType::Utf8, false),
            field("repeats", DataType::Int64, false),
            field("method", DataType::Utf8, false),
            field("score", DataType::Float64, true),
            field("rank", DataType::Int64, true),
            field("exposure", DataType::Float64, false),
            field("exposure_extrapolated", DataType::Float64, true),
            field("p_value", DataType::Float64, false),
            field("note", DataType::Utf8, true),
        ])))
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let options = &call.options;
        let count = |name: &str| options.int(name).unwrap_or(1) as usize;
        Ok(Arc::new(Plant {
            schema: self.schema(call)?,
            spec: spec(call)?,
            params: ExposureParams {
                canaries: count(CANARIES.name),
                repeats: count(REPEATS.name),
                references: count(REFERENCES.name),
                method: options.choice(METHOD.name).map(|method| match method.as_str() {
                    "distance" => ExposureMethod::Distance,
                    _ => ExposureMethod::Likelihood,
                }),
            },
            trainer: ModelTrainer::of(options)?.unconstrained(),
            seed: call.seed(),
        }))
    }
}

fn spec(call: &Call) -> Result<EncodeSpec> {
    comparison(call, "train", &[])?.pop().ok_or_else(|| Error::internal("exposure without its relation"))
}

#[derive(Debug)]
struct Plant {
    schema: SchemaRef,
    spec: EncodeSpec,
    params: ExposureParams,
    trainer: ModelTrainer,
    seed: u64,
}

impl Operation for Plant {
    fn wants(&self) -> Vec<Want> {
        vec![Want { encode: Some(self.spec.clone()), ..Want::default() }]
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let train = encode_together(inputs, job)?.pop().ok_or_else(|| Error::internal("no training rows"))?;
        let found = exposure(&train.frame, &self.trainer, self.params, self.seed, job)?;
        Ok(Arc::new(Batches::new(vec![self.batch(&found)?])))
    }
}

impl Plant {
    fn batch(&self, found: &Exposure) -> Result<RecordBatch> {
        let canaries = &found.canaries;
        let rows = canaries.len() + 1;
        let method = match found.method {
            ExposureMethod::Likelihood => "likelihood",
            ExposureMethod::Distance => "distance",
        };
        let verdict = format!(
            "mean exposure in bits, {NULL_EXPOSURE:.2} without memory; p-value of all canaries together (Fisher){}",
            found.reason.map(|r| format!("; nothing is extrapolated: {r}")).unwrap_or_default()
        );
        // Every column of the canaries, then what the row 'all' says.
        let numbers = |of: &dyn Fn(usize) -> Option<f64>, all: Option<f64>| -> ArrayRef {
            Arc::new((0..canaries.len()).map(of).chain([all]).collect::<Float64Array>())
        };
        let names = (1..=canaries.len()).map(|c| c.to_string()).chain(["all".to_string()]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(names)),
            Arc::new(Int64Array::from(vec![self.params.repeats as i64; rows])),
            Arc::new(StringArray::from(vec![method; rows])),
            numbers(&|c| Some(canaries[c].score), None),
            Arc::new(canaries.iter().map(|c| Some(c.rank as i64)).chain([None]).collect::<Int64Array>()),
            numbers(&|c| Some(canaries[c].exposure), Some(found.mean)),
            numbers(&|c| canaries[c].extrapolated, None),
            numbers(&|c| Some(canaries[c].p_value), Some(found.p_value)),
            Arc::new(canaries.iter().map(|_| None).chain([Some(verdict)]).collect::<StringArray>()),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
