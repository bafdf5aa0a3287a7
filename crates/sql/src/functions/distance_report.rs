//! DISTANCE_REPORT(synthetic, train [, holdout]): figures of distances, one row each.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_attacks::{DistanceFigure, DistanceParams, Metric, distance_report};
use lookalike_core::{EncodeSpec, Error, Job, ParamSpec, Result};

use super::common::{COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED, common_types, comparison};
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// DISTANCE_REPORT as a table function.
#[derive(Debug)]
pub struct DistanceReport;

impl TableFunction for DistanceReport {
    fn name(&self) -> &'static str {
        "distance_report"
    }

    fn summary(&self) -> &'static str {
        "Figures of the distances between synthetic and real rows (DCR, NNDR, NNAA, identifiability, authenticity, \
         ...), each beside the same of a holdout; one row a figure, with what it means. Descriptive, never a guarantee."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[
            RelationSpec { name: "synthetic", required: true, purpose: "the synthetic rows" },
            RelationSpec { name: "train", required: true, purpose: "the rows the generator was trained on" },
            RelationSpec { name: "holdout", required: false, purpose: "real rows the generator never saw" },
        ]
    }

    fn options(&self) -> Vec<ParamSpec> {
        vec![Metric::PARAM, COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        comparison(call, "train", &["synthetic"])?;
        Ok(schema())
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let specs = comparison(call, "train", &["synthetic"])?;
        let metric = Metric::from_name(&call.options.choice("metric").unwrap_or_default())?;
        Ok(Arc::new(Report {
            like: common_types(call, "train", &specs)?,
            specs,
            params: DistanceParams { metric, seed: call.seed() },
        }))
    }
}

const NUMBERS: [&str; 6] = ["value", "lo", "hi", "holdout", "null_value", "p_value"];

fn schema() -> SchemaRef {
    let metric = Field::new("metric", DataType::Utf8, false);
    let numbers = NUMBERS.map(|name| Field::new(name, DataType::Float64, true));
    let note = Field::new("note", DataType::Utf8, false);
    Arc::new(Schema::new([metric].into_iter().chain(numbers).chain([note]).collect::<Vec<_>>()))
}

#[derive(Debug)]
struct Report {
    like: SchemaRef,
    specs: Vec<EncodeSpec>,
    params: DistanceParams,
}

impl Operation for Report {
    fn wants(&self) -> Vec<Want> {
        let want = |spec: &EncodeSpec| Want {
            encode: Some(spec.clone()),
            keep: None,
            like: Some(Arc::clone(&self.like)),
            spill: false,
        };
        self.specs.iter().map(want).collect()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let mut relations = encode_together(inputs, job)?.into_iter();
        let (Some(synthetic), Some(train)) = (relations.next(), relations.next()) else {
            return Err(Error::internal("distance_report without its relations"));
        };
        let holdout = relations.next();
        let holdout = holdout.as_ref().map(|h| &h.frame);
        let figures = distance_report(&synthetic.frame, &train.frame, holdout, self.params, job)?;
        let number = |of: fn(&DistanceFigure) -> Option<f64>| -> ArrayRef {
            Arc::new(figures.iter().map(of).collect::<Float64Array>())
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(figures.iter().map(|f| f.metric))),
            number(|f| f.value),
            number(|f| f.lo),
            number(|f| f.hi),
            number(|f| f.holdout),
            number(|f| f.null_value),
            number(|f| f.p_value),
            Arc::new(StringArray::from_iter_values(figures.iter().map(|f| &f.note))),
        ];
        Ok(Arc::new(Batches::new(vec![RecordBatch::try_new(schema(), columns)?])))
    }
}
