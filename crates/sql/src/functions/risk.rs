//! What SINGLING_OUT, LINKABILITY and ATTRIBUTE_INFERENCE share: relations, options and the rows of an outcome.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_attacks::{AttackOutcome, OutcomeFigures, Share, Tally};
use lookalike_core::{Default, EncodeSpec, Error, Frame, Job, Options, ParamKind, ParamSpec, Result, Value};

use super::common::{COLUMNS, IDENTIFIERS, PRIVACY_UNIT, common_types, comparison};
use super::overlap::warn_of_copies;
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Output, RelationSpec, Want};

/// `confidence`
pub(super) const CONFIDENCE: ParamSpec = ParamSpec {
    name: "confidence",
    kind: ParamKind::Float { min: 0.5, max: 0.9999 },
    default: Default::Float(0.95),
    purpose: "Confidence of all intervals.",
};

/// `max_targets`
pub(super) const MAX_TARGETS: ParamSpec = ParamSpec {
    name: "max_targets",
    kind: ParamKind::Int { min: 1, max: i64::MAX },
    default: Default::Unset("all rows, or persons"),
    purpose: "Attack so many rows (persons) of train and of control, drawn by content and seed.",
};

/// The positional relations.
pub(super) const RELATIONS: &[RelationSpec] = &[
    RelationSpec { name: "train", required: true, purpose: "the rows the synthetic ones were made from" },
    RelationSpec { name: "synthetic", required: true, purpose: "the synthetic rows" },
    RelationSpec {
        name: "control",
        required: false,
        purpose: "real rows of other people, which the generator never saw",
    },
];

/// How the relations of a call are encoded, and the types that they are cast to before. `columns` are compared, or all
/// where none are given.
pub(super) fn encoding(call: &Call, columns: Option<Vec<String>>) -> Result<(Vec<EncodeSpec>, SchemaRef)> {
    let mut given: Vec<(String, Value)> = ["columns", "identifiers", "privacy_unit"]
        .iter()
        .filter_map(|name| call.options.get(name).map(|value| (name.to_string(), value.clone())))
        .collect();
    if let Some(columns) = columns {
        given.retain(|(name, _)| name != "columns");
        given.push(("columns".into(), Value::List(columns.into_iter().map(Value::Text).collect())));
    }
    let options = Options::check(&[COLUMNS, IDENTIFIERS, PRIVACY_UNIT], &given)?;
    let compared = Call { options, inputs: call.inputs.clone() };
    let specs = comparison(&compared, "train", &["synthetic"])?;
    let like = common_types(&compared, "train", &specs)?;
    Ok((specs, like))
}

/// What an operation needs of its inputs.
pub(super) fn wants(specs: &[EncodeSpec], like: &SchemaRef) -> Vec<Want> {
    let want =
        |spec: &EncodeSpec| Want { encode: Some(spec.clone()), keep: None, like: Some(Arc::clone(like)), spill: false };
    specs.iter().map(want).collect()
}

/// Encodes the relations and runs attacks on `(train, synthetic, control)`.
pub(super) fn run(
    inputs: Vec<Gathered>,
    confidence: f64,
    job: &Job,
    attacks: impl Fn(&Frame, &Frame, Option<&Frame>) -> Result<Vec<AttackOutcome>>,
) -> Result<Arc<dyn Output>> {
    let relations = encode_together(inputs, job)?;
    let [train, synthetic, rest @ ..] = relations.as_slice() else {
        return Err(Error::internal("an attack without its relations"));
    };
    let control = rest.first().map(|r| &r.frame);
    if let Some(control) = control {
        warn_of_copies(&train.frame, control, job)?;
    }
    let outcomes = attacks(&train.frame, &synthetic.frame, control)?;
    Ok(Arc::new(Batches::new(vec![batch(&outcomes, confidence)?])))
}

/// The schema of the result.
pub(super) fn schema() -> SchemaRef {
    let mut fields = vec![Field::new("attack", DataType::Utf8, false), Field::new("requested", DataType::Int64, false)];
    for side in ["", "baseline_", "control_"] {
        let nullable = side == "control_";
        fields.push(Field::new(format!("{side}attempts"), DataType::Int64, nullable));
        fields.push(Field::new(format!("{side}successes"), DataType::Float64, nullable));
        for figure in ["rate", "rate_lo", "rate_hi"] {
            fields.push(Field::new(format!("{side}{figure}"), DataType::Float64, true));
        }
    }
    for figure in ["risk", "risk_lo", "risk_hi", "leakage", "leakage_lo", "leakage_hi"] {
        fields.push(Field::new(figure, DataType::Float64, true));
    }
    fields.push(Field::new("note", DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

fn batch(outcomes: &[AttackOutcome], confidence: f64) -> Result<RecordBatch> {
    let figures: Vec<(&AttackOutcome, OutcomeFigures)> =
        outcomes.iter().map(|outcome| (outcome, outcome.figures(confidence))).collect();
    let integers = |of: &dyn Fn(&AttackOutcome) -> Option<u64>| -> ArrayRef {
        Arc::new(outcomes.iter().map(|o| of(o).map(|n| n as i64)).collect::<Int64Array>())
    };
    let floats = |of: &dyn Fn(&AttackOutcome, &OutcomeFigures) -> Option<f64>| -> ArrayRef {
        Arc::new(figures.iter().map(|(o, f)| of(o, f)).collect::<Float64Array>())
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(outcomes.iter().map(|o| o.attack))),
        integers(&|o| Some(o.requested)),
    ];
    type Side = (fn(&AttackOutcome) -> Option<Tally>, fn(&OutcomeFigures) -> Share);
    let sides: [Side; 3] =
        [(|o| Some(o.train), |f| f.train), (|o| Some(o.baseline), |f| f.baseline), (|o| o.control, |f| f.control)];
    for (tally, share) in sides {
        columns.push(integers(&|o| tally(o).map(|t| t.attempts)));
        columns.push(floats(&|o, _| tally(o).map(|t| t.successes)));
        columns.push(floats(&|_, f| share(f).rate));
        columns.push(floats(&|_, f| share(f).lo));
        columns.push(floats(&|_, f| share(f).hi));
    }
    columns.push(floats(&|_, f| f.risk.map(|r| r.risk)));
    columns.push(floats(&|_, f| f.risk.map(|r| r.lo)));
    columns.push(floats(&|_, f| f.risk.map(|r| r.hi)));
    columns.push(floats(&|_, f| f.leakage.map(|l| l.0)));
    columns.push(floats(&|_, f| f.leakage.map(|l| l.1)));
    columns.push(floats(&|_, f| f.leakage.map(|l| l.2)));
    columns.push(Arc::new(figures.iter().map(|(_, f)| f.note.as_deref()).collect::<StringArray>()));
    Ok(RecordBatch::try_new(schema(), columns)?)
}
