//! DCR(synthetic, train [, holdout]): distance of every synthetic row to its closest record.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_attacks::{DcrParams, DcrRows, Metric, dcr};
use lookalike_core::{EncodeSpec, Error, Job, ParamSpec, Reservation, Result};

use super::common::{COLUMNS, IDENTIFIERS, PRIVACY_UNIT, common_types, comparison};
use crate::exec::encode_together;
use crate::function::{Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want, starts};

/// DCR as a table function.
#[derive(Debug)]
pub struct Dcr;

/// Columns after those of the synthetic rows.
const ADDED: [(&str, DataType); 6] = [
    ("dcr", DataType::Float64),
    ("nndr", DataType::Float64),
    ("holdout_dcr", DataType::Float64),
    ("holdout_nndr", DataType::Float64),
    ("train_rows", DataType::Int64),
    ("holdout_rows", DataType::Int64),
];

impl TableFunction for Dcr {
    fn name(&self) -> &'static str {
        "dcr"
    }

    fn summary(&self) -> &'static str {
        "Distance of every synthetic row to its closest training record, beside the same to a holdout; exact, without \
         sampling. Descriptive, never a guarantee."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[
            RelationSpec { name: "synthetic", required: true, purpose: "the synthetic rows" },
            RelationSpec { name: "train", required: true, purpose: "the rows the generator was trained on" },
            RelationSpec { name: "holdout", required: false, purpose: "real rows the generator never saw" },
        ]
    }

    fn options(&self) -> Vec<ParamSpec> {
        vec![Metric::PARAM, COLUMNS, IDENTIFIERS, PRIVACY_UNIT]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        comparison(call, "train", &["synthetic"])?;
        let synthetic = call.required("synthetic")?;
        if let Some((name, _)) = ADDED.iter().find(|(name, _)| synthetic.column_with_name(name).is_some()) {
            return Err(Error::argument(format!(
                "the relation 'synthetic' has a column '{name}', which the result adds: rename it with AS"
            )));
        }
        let added = ADDED.map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)));
        Ok(Arc::new(Schema::new(synthetic.fields().iter().cloned().chain(added).collect::<Vec<_>>())))
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let specs = comparison(call, "train", &["synthetic"])?;
        let metric = Metric::from_name(&call.options.choice("metric").unwrap_or_default())?;
        Ok(Arc::new(Compare {
            schema: self.schema(call)?,
            kept: (0..call.required("synthetic")?.fields().len()).collect(),
            like: common_types(call, "train", &specs)?,
            specs,
            params: DcrParams { metric },
        }))
    }
}

#[derive(Debug)]
struct Compare {
    schema: SchemaRef,
    /// Columns of the synthetic rows: all of them.
    kept: Vec<usize>,
    like: SchemaRef,
    specs: Vec<EncodeSpec>,
    params: DcrParams,
}

impl Operation for Compare {
    fn wants(&self) -> Vec<Want> {
        let want = |(i, spec): (usize, &EncodeSpec)| Want {
            encode: Some(spec.clone()),
            keep: (i == 0).then(|| self.kept.clone()),
            like: Some(Arc::clone(&self.like)),
            spill: false,
        };
        self.specs.iter().enumerate().map(want).collect()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let mut relations = encode_together(inputs, job)?.into_iter();
        let (Some(synthetic), Some(train)) = (relations.next(), relations.next()) else {
            return Err(Error::internal("dcr without its relations"));
        };
        let holdout = relations.next();
        let mut memory = synthetic.memory;
        memory.push(job.reserve(synthetic.frame.rows() * 32, "distances")?);
        let rows = dcr(&synthetic.frame, &train.frame, holdout.as_ref().map(|h| &h.frame), self.params, job)?;
        let starts = starts(synthetic.batches.iter().map(|b| b.num_rows() as u64));
        Ok(Arc::new(Distances {
            schema: Arc::clone(&self.schema),
            batches: synthetic.batches,
            starts,
            rows,
            _memory: memory,
        }))
    }
}

struct Distances {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    starts: Vec<u64>,
    rows: DcrRows,
    _memory: Vec<Reservation>,
}

impl Output for Distances {
    fn chunks(&self) -> u64 {
        self.batches.len() as u64
    }

    fn start(&self, chunk: u64) -> u64 {
        self.starts[chunk as usize]
    }

    fn chunk(&self, chunk: u64, _: &Job) -> Result<RecordBatch> {
        let batch = &self.batches[chunk as usize];
        let start = self.start(chunk) as usize;
        let end = start + batch.num_rows();
        let distances = |values: &[f64]| -> ArrayRef {
            // NaN stands for "there is none": no second neighbour, no holdout.
            let part = values.get(start..end).unwrap_or_default();
            let present = |v: &f64| (!v.is_nan()).then_some(*v);
            let missing = std::iter::repeat_n(None, batch.num_rows() - part.len());
            Arc::new(part.iter().map(present).chain(missing).collect::<Float64Array>())
        };
        let constant = |n: Option<u64>| -> ArrayRef {
            Arc::new(std::iter::repeat_n(n.map(|n| n as i64), batch.num_rows()).collect::<Int64Array>())
        };
        let mut columns = batch.columns().to_vec();
        let rows = &self.rows;
        columns.extend([&rows.dcr, &rows.nndr, &rows.holdout_dcr, &rows.holdout_nndr].map(|v| distances(v)));
        columns.extend([constant(Some(rows.train_rows)), constant(rows.holdout_rows)]);
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
