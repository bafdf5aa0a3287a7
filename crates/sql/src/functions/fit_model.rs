//! FIT_MODEL(input, path =>, ...): trains a model, saves it, and tells how the training went.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_core::{Default, Job, ParamKind, ParamSpec, Result};
use lookalike_models::{Epoch, Fitted};

use super::common::{IDENTIFIERS, PRIVACY_UNIT, SEED};
use super::synthesize::pairs::{CODE, COUNT, RECORD};
use super::synthesize::{MAX_EXPOSURE, Training, check};
use super::trainer;
use crate::function::{
    Batches, Call, FRESH_SEED, FileSpec, FileUse, Gathered, Operation, Output, RelationSpec, TableFunction, Want,
};

/// FIT_MODEL as a table function.
#[derive(Debug)]
pub struct FitModel;

const PATH: ParamSpec = ParamSpec {
    name: "path",
    kind: ParamKind::Text,
    default: Default::Required,
    purpose: "File to write the model to: a path or URL.",
};

impl TableFunction for FitModel {
    fn name(&self) -> &'static str {
        "fit_model"
    }

    fn summary(&self) -> &'static str {
        "Trains a model of the input and saves it as a file, for SAMPLE_MODEL; the rows tell how the training went."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec { name: "input", required: true, purpose: "the rows to learn from" }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        let mut options = trainer::options();
        options.extend([PATH, MAX_EXPOSURE, SEED, IDENTIFIERS, PRIVACY_UNIT, RECORD, CODE, COUNT]);
        options
    }

    fn files(&self) -> &'static [FileSpec] {
        &[FileSpec { option: PATH.name, usage: FileUse::Written, planned_as: "" }]
    }

    fn planned(&self) -> &'static [ParamSpec] {
        &[FRESH_SEED]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        check(call)?;
        Ok(report_schema())
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        check(call)?;
        Ok(Arc::new(Fit(Training::of(call, PATH.name)?)))
    }
}

fn report_schema() -> SchemaRef {
    let figure = |name: &str| Field::new(name, DataType::Float64, true);
    let epoch = Field::new("epoch", DataType::Int64, false);
    let figures = ["loss", "held_out_loss", "seconds", "rows_per_second"].map(figure);
    Arc::new(Schema::new(std::iter::once(epoch).chain(figures).collect::<Vec<_>>()))
}

#[derive(Debug)]
struct Fit(Training);

impl Operation for Fit {
    fn wants(&self) -> Vec<Want> {
        self.0.wants()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let start = Instant::now();
        let trained = self.0.run(inputs, job)?;
        let report = report(trained.synthesizer.fitted(), start.elapsed().as_secs_f64())?;
        Ok(Arc::new(Batches::new(vec![report])))
    }
}

/// A row an epoch, or one for a model in closed form, which took `seconds`.
fn report(fitted: &dyn Fitted, seconds: f64) -> Result<RecordBatch> {
    let (rows, history) = (fitted.report().rows as f64, fitted.history());
    let closed = [Epoch { loss: f64::NAN, held_out: f64::NAN, seconds }];
    let (first, epochs) = if history.is_empty() { (0, &closed[..]) } else { (1, history) };
    let figures = |figure: &dyn Fn(&Epoch) -> f64| -> ArrayRef {
        let present = |e: &Epoch| Some(figure(e)).filter(|v| !v.is_nan());
        Arc::new(epochs.iter().map(present).collect::<Float64Array>())
    };
    let before = std::iter::once(0.0).chain(epochs.iter().map(|e| e.seconds));
    let speeds =
        before.zip(epochs).map(|(before, epoch)| Some(rows / (epoch.seconds - before)).filter(|v| v.is_finite()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(first..first + epochs.len() as i64)),
        figures(&|e| e.loss),
        figures(&|e| e.held_out),
        figures(&|e| e.seconds),
        Arc::new(speeds.collect::<Float64Array>()),
    ];
    Ok(RecordBatch::try_new(report_schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Float64Type;
    use datafusion::arrow::{array::AsArray, compute::concat};
    use lookalike_core::{Stream, Values};
    use lookalike_models::FitReport;

    use super::*;

    /// A model of 100 rows that was trained in the given epochs.
    struct Trained(Vec<Epoch>);

    impl Fitted for Trained {
        fn sample(&self, _: usize, _: &mut Stream) -> Result<Vec<Values>> {
            Ok(vec![])
        }
        fn save(&self) -> Result<Vec<u8>> {
            Ok(vec![])
        }
        fn report(&self) -> FitReport {
            FitReport { rows: 100, units: 100, epochs: self.0.len() as u32 }
        }
        fn history(&self) -> &[Epoch] {
            &self.0
        }
    }

    #[test]
    fn a_row_an_epoch_worked_by_hand() {
        let epoch = |loss, held_out, seconds| Epoch { loss, held_out, seconds };
        let history = vec![epoch(2.0, 2.5, 0.5), epoch(1.0, f64::NAN, 0.75)];
        for (fitted, numbers, figures) in [
            // 100 rows in half a second, then in a quarter.
            (Trained(history), vec![1, 2], "[2.0, 1.0, 2.5, NaN, 0.5, 0.75, 200.0, 400.0]"),
            (Trained(vec![]), vec![0], "[NaN, NaN, 4.0, 25.0]"),
        ] {
            let report = report(&fitted, 4.0).unwrap();
            assert_eq!(report.column(0).as_ref(), &Int64Array::from(numbers) as &dyn datafusion::arrow::array::Array);
            let all = concat(&report.columns()[1..].iter().map(|c| c.as_ref()).collect::<Vec<_>>()).unwrap();
            let all: Vec<f64> = all.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)).collect();
            assert_eq!(format!("{all:?}"), figures);
        }
    }
}
