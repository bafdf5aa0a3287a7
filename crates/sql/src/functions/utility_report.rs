//! UTILITY_REPORT(train, test, synthetic, target =>): what learners make of synthetic rows, beside real ones.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_core::{Default, EncodeSpec, Error, Job, ParamKind, ParamSpec, Result};
use lookalike_quality::{Task, UtilityFigure, UtilityParams, utility_report};

use super::common::{COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED, common_types, comparison, require_column};
use super::overlap::no_common_person;
use super::privacy_report::key;
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// UTILITY_REPORT as a table function.
#[derive(Debug)]
pub struct UtilityReport;

const OPTIONS: [ParamSpec; 4] = [
    ParamSpec {
        name: "target",
        kind: ParamKind::Text,
        default: Default::Required,
        purpose: "Column to predict from all others.",
    },
    ParamSpec {
        name: "task",
        kind: ParamKind::Choice(Task::NAMES),
        default: Default::Unset("regression of numbers with more than two values, else classification"),
        purpose: "What to learn of the target.",
    },
    ParamSpec {
        name: "positive",
        kind: ParamKind::Text,
        default: Default::Unset("the rarest value of the training rows"),
        purpose: "Value of the target whose F1 is reported.",
    },
    ParamSpec {
        name: "second",
        kind: ParamKind::Relation,
        default: Default::Unset("none"),
        purpose: "Another sample of real rows, of the size of train, to learn from as well.",
    },
];

impl TableFunction for UtilityReport {
    fn name(&self) -> &'static str {
        "utility_report"
    }

    fn summary(&self) -> &'static str {
        "What learners make of synthetic rows: boosted trees and a linear model that learned from synthetic rows, from the \
         training rows and from another real sample, all tested on the same real rows. One row a figure."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[
            RelationSpec { name: "train", required: true, purpose: "the rows the generator was trained on" },
            RelationSpec { name: "test", required: true, purpose: "real rows of other people to be tested on" },
            RelationSpec { name: "synthetic", required: true, purpose: "the synthetic rows" },
        ]
    }

    fn options(&self) -> Vec<ParamSpec> {
        OPTIONS.into_iter().chain([COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED]).collect()
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
    let text = |name| Field::new(name, DataType::Utf8, false);
    let number = |name| Field::new(name, DataType::Float64, true);
    Arc::new(Schema::new(vec![
        text("learner"),
        text("trained_on"),
        text("metric"),
        number("value"),
        number("lower"),
        number("upper"),
        text("better"),
        text("note"),
    ]))
}

#[derive(Debug)]
struct Report {
    like: SchemaRef,
    specs: Vec<EncodeSpec>,
    /// Place of the person's column in train, test, synthetic and second, where a relation needs it.
    keys: Vec<Option<usize>>,
    params: UtilityParams,
}

fn plan(call: &Call) -> Result<Report> {
    let target = call.options.text("target").unwrap_or_default().to_string();
    require_column("target", &target, call.required("train")?)?;
    let specs = comparison(call, "train", &["synthetic"])?;
    if !specs[0].columns.as_ref().is_some_and(|compared| compared.contains(&target)) {
        return Err(Error::argument(format!("target: column '{target}' is not among the compared columns")));
    }
    let task = call.options.choice("task").map(|name| Task::from_name(&name)).transpose()?;
    let positive = call.options.text("positive").map(str::to_string);
    if positive.is_some() && task == Some(Task::Regression) {
        return Err(Error::argument("option 'positive' has no effect here: it belongs to task 'classification'"));
    }
    let place = |(role, schema): &(String, SchemaRef)| {
        let unit = call.options.text("privacy_unit").filter(|_| role != "synthetic");
        unit.and_then(|unit| schema.index_of(unit).ok())
    };
    Ok(Report {
        like: common_types(call, "train", &specs)?,
        specs,
        keys: call.inputs.iter().map(place).collect(),
        params: UtilityParams { target, task, positive, seed: call.seed() },
    })
}

impl Operation for Report {
    fn wants(&self) -> Vec<Want> {
        let want = |(spec, place): (&EncodeSpec, &Option<usize>)| Want {
            encode: Some(spec.clone()),
            keep: place.map(|place| vec![place]),
            like: Some(Arc::clone(&self.like)),
            spill: false,
        };
        self.specs.iter().zip(&self.keys).map(want).collect()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let relations = encode_together(inputs, job)?;
        let [train, test, synthetic, rest @ ..] = relations.as_slice() else {
            return Err(Error::internal("utility_report without its relations"));
        };
        if self.keys.iter().any(Option::is_some) {
            let tested = key(&test.batches)?;
            no_common_person(("train", &key(&train.batches)?), ("test", &tested))?;
            if let Some(second) = rest.first() {
                no_common_person(("second", &key(&second.batches)?), ("test", &tested))?;
            }
        }
        let second = rest.first().map(|r| &r.frame);
        let figures = utility_report(&train.frame, &test.frame, &synthetic.frame, second, &self.params, job)?;
        let text = |of: fn(&UtilityFigure) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(figures.iter().map(of)))
        };
        let number = |of: fn(&UtilityFigure) -> Option<f64>| -> ArrayRef {
            Arc::new(figures.iter().map(of).collect::<Float64Array>())
        };
        let columns = vec![
            text(|f| f.learner),
            text(|f| f.trained_on),
            text(|f| f.metric),
            number(|f| f.value),
            number(|f| f.interval.map(|i| i.0)),
            number(|f| f.interval.map(|i| i.1)),
            text(|f| f.better.name()),
            text(|f| &f.note),
        ];
        Ok(Arc::new(Batches::new(vec![RecordBatch::try_new(schema(), columns)?])))
    }
}
