//! QUALITY_REPORT(real, synthetic): figures of how much synthetic rows look like real ones, one row each.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_core::{Default, EncodeSpec, Error, Job, ParamKind, ParamSpec, Result};
use lookalike_quality::{Figure, QualityMetric, QualityParams, quality_report};

use super::common::{COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED, common_types, comparison, distinct};
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// QUALITY_REPORT as a table function.
#[derive(Debug)]
pub struct QualityReport;

const METRICS: ParamSpec = ParamSpec {
    name: "metrics",
    kind: ParamKind::Names,
    default: Default::Unset("score, shapes and pairs"),
    purpose: "Groups of figures: score, shapes, pairs, pmse, two_sample, support.",
};

const MAX_ROWS: ParamSpec = ParamSpec {
    name: "max_rows",
    kind: ParamKind::Int { min: 1, max: u32::MAX as i64 },
    default: Default::Unset("all"),
    purpose: "Rows of either relation that pmse, two_sample and support look at, at most, drawn by content and seed.",
};

impl TableFunction for QualityReport {
    fn name(&self) -> &'static str {
        "quality_report"
    }

    fn summary(&self) -> &'static str {
        "Figures of how much synthetic rows look like real ones: SDMetrics' scores to the digit, distances between \
         distributions of columns and pairs; on request pMSE, a classifier two-sample test, precision, recall and \
         coverage. One row a figure, with its ideal."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[
            RelationSpec { name: "real", required: true, purpose: "real rows" },
            RelationSpec { name: "synthetic", required: true, purpose: "the synthetic rows" },
        ]
    }

    fn options(&self) -> Vec<ParamSpec> {
        vec![METRICS, MAX_ROWS, COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED]
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
        text("metric", false),
        text("column_1", true),
        text("column_2", true),
        number("value"),
        number("lower"),
        number("upper"),
        number("ideal"),
        text("better", false),
        text("note", false),
    ]))
}

#[derive(Debug)]
struct Report {
    like: SchemaRef,
    specs: Vec<EncodeSpec>,
    params: QualityParams,
}

fn plan(call: &Call) -> Result<Report> {
    let names = call.options.names("metrics");
    distinct("metrics", &names)?;
    if names.is_empty() && call.options.get("metrics").is_some() {
        return Err(Error::argument("option 'metrics' is empty, allowed is at least one group of figures"));
    }
    let metrics = match names.is_empty() {
        true => QualityMetric::COUNTED.into(),
        false => names.iter().map(|name| QualityMetric::from_name(name)).collect::<Result<Vec<_>>>()?,
    };
    let max_rows = call.options.int("max_rows").map(|n| n as usize);
    if max_rows.is_some() && metrics.iter().all(|m| QualityMetric::COUNTED.contains(m)) {
        return Err(Error::argument(
            "option 'max_rows' has no effect here: score, shapes and pairs look at all rows; it is for pmse, two_sample and \
             support",
        ));
    }
    let specs = comparison(call, "real", &["synthetic"])?;
    Ok(Report {
        like: common_types(call, "real", &specs)?,
        specs,
        params: QualityParams { metrics, max_rows, seed: call.seed() },
    })
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
        let relations = encode_together(inputs, job)?;
        let [real, synthetic] = relations.as_slice() else {
            return Err(Error::internal("quality_report without its relations"));
        };
        let figures = quality_report(&real.frame, &synthetic.frame, &self.params, job)?;
        let text =
            |of: fn(&Figure) -> Option<&str>| -> ArrayRef { Arc::new(figures.iter().map(of).collect::<StringArray>()) };
        let number =
            |of: fn(&Figure) -> Option<f64>| -> ArrayRef { Arc::new(figures.iter().map(of).collect::<Float64Array>()) };
        let columns = vec![
            text(|f| Some(f.metric)),
            text(|f| f.column.as_deref()),
            text(|f| f.other_column.as_deref()),
            number(|f| f.value),
            number(|f| f.interval.map(|i| i.0)),
            number(|f| f.interval.map(|i| i.1)),
            number(|f| f.ideal),
            text(|f| Some(f.better.name())),
            text(|f| Some(&f.note)),
        ];
        Ok(Arc::new(Batches::new(vec![RecordBatch::try_new(schema(), columns)?])))
    }
}
