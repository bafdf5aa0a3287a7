//! VULNERABLE_RECORDS(input): how far every record is from others.

use std::sync::Arc;

use datafusion::arrow::array::{Float64Array, Int32Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_attacks::{Metric, vulnerability, vulnerability_deciles};
use lookalike_core::{Default, EncodeSpec, Error, Job, ParamKind, ParamSpec, Result};

use super::common::{COLUMNS, IDENTIFIERS, PRIVACY_UNIT, common_types, comparison};
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// VULNERABLE_RECORDS as a table function.
#[derive(Debug)]
pub struct VulnerableRecords;

/// Columns after those of the input.
const ADDED: [(&str, DataType); 2] = [("vulnerability", DataType::Float64), ("decile", DataType::Int32)];

const NEIGHBOURS: ParamSpec = ParamSpec {
    name: "neighbours",
    kind: ParamKind::Int { min: 1, max: 1000 },
    default: Default::Int(5),
    purpose: "Number of nearest other records whose distances are averaged.",
};

impl TableFunction for VulnerableRecords {
    fn name(&self) -> &'static str {
        "vulnerable_records"
    }

    fn summary(&self) -> &'static str {
        "The mean distance of every record to its nearest others, and its decile: records that stand alone are found first \
         by attacks on membership."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec { name: "input", required: true, purpose: "the records" }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        vec![NEIGHBOURS, Metric::PARAM, COLUMNS, IDENTIFIERS, PRIVACY_UNIT]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        comparison(call, "input", &[])?;
        let input = call.required("input")?;
        if let Some((name, _)) = ADDED.iter().find(|(name, _)| input.column_with_name(name).is_some()) {
            return Err(Error::argument(format!(
                "the relation 'input' has a column '{name}', which the result adds: rename it with AS"
            )));
        }
        let added = ADDED.map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)));
        Ok(Arc::new(Schema::new(input.fields().iter().cloned().chain(added).collect::<Vec<_>>())))
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let specs = comparison(call, "input", &[])?;
        Ok(Arc::new(Rank {
            schema: self.schema(call)?,
            kept: (0..call.required("input")?.fields().len()).collect(),
            like: common_types(call, "input", &specs)?,
            specs,
            metric: Metric::from_name(&call.options.choice("metric").unwrap_or_default())?,
            neighbours: call.options.int("neighbours").unwrap_or(1).unsigned_abs() as usize,
        }))
    }
}

#[derive(Debug)]
struct Rank {
    schema: SchemaRef,
    /// Columns of the input: all of them.
    kept: Vec<usize>,
    like: SchemaRef,
    specs: Vec<EncodeSpec>,
    metric: Metric,
    neighbours: usize,
}

impl Operation for Rank {
    fn wants(&self) -> Vec<Want> {
        let want = |spec: &EncodeSpec| Want {
            encode: Some(spec.clone()),
            keep: Some(self.kept.clone()),
            like: Some(Arc::clone(&self.like)),
            spill: false,
        };
        self.specs.iter().map(want).collect()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let Some(input) = encode_together(inputs, job)?.into_iter().next() else {
            return Err(Error::internal("vulnerable_records without its relation"));
        };
        if input.frame.rows() == 0 {
            return Ok(Arc::new(Batches::new(vec![])));
        }
        let values = vulnerability(&input.frame, None, self.neighbours, self.metric, job)?;
        let deciles = vulnerability_deciles(&values, input.frame.units().map(|u| u.codes.as_slice()));
        let mut start = 0;
        let mut batches = vec![];
        for batch in &input.batches {
            let rows = start..start + batch.num_rows();
            start = rows.end;
            let present = values[rows.clone()].iter().map(|v| (!v.is_nan()).then_some(*v));
            let mut columns = batch.columns().to_vec();
            columns.push(Arc::new(present.collect::<Float64Array>()));
            columns.push(Arc::new(deciles[rows].iter().map(|d| d.map(i32::from)).collect::<Int32Array>()));
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            batches.push(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?);
        }
        Ok(Arc::new(Batches::new(batches)))
    }
}
