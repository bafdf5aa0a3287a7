//! What a release earned, as a column.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringViewArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use lookalike_core::{Default, Error, Guarantee, ParamKind, ParamSpec, Result};

/// `guarantee`
pub(super) const GUARANTEE: ParamSpec = ParamSpec {
    name: "guarantee",
    kind: ParamKind::Bool,
    default: Default::Bool(false),
    purpose: "Adds what the release earned as column guarantee, the same in every row: {k, epsilon, delta, unit, statement, \
              note}.",
};

fn fields() -> Fields {
    // Views, so that all rows share one statement.
    Fields::from(vec![
        Field::new("k", DataType::Int64, false),
        Field::new("epsilon", DataType::Float64, true),
        Field::new("delta", DataType::Float64, true),
        Field::new("unit", DataType::Utf8View, false),
        Field::new("statement", DataType::Utf8View, false),
        Field::new("note", DataType::Utf8View, true),
    ])
}

/// The column.
pub(super) fn field() -> FieldRef {
    Arc::new(Field::new("guarantee", DataType::Struct(fields()), false))
}

/// All claims of a release and the note of its search in one row.
pub(super) fn row(claims: &[Guarantee], note: Option<&str>) -> Result<ArrayRef> {
    let first = claims.first().ok_or_else(|| Error::internal("a release without a claim"))?;
    // Claims about combinations of columns come first, those about other things follow.
    let k = claims.iter().find_map(|c| c.k).ok_or_else(|| Error::internal("a release without k"))?;
    let noise = claims.iter().find_map(|c| c.epsilon.map(|epsilon| (epsilon, c.delta)));
    let statement: Vec<String> = claims.iter().map(|c| format!("{c}. Not told apart: {}.", c.neighbours)).collect();
    Ok(Arc::new(StructArray::try_new(
        fields(),
        vec![
            Arc::new(Int64Array::from(vec![k as i64])),
            Arc::new(Float64Array::from(vec![noise.map(|n| n.0)])),
            Arc::new(Float64Array::from(vec![noise.map(|n| n.1)])),
            Arc::new(StringViewArray::from(vec![first.unit])),
            Arc::new(StringViewArray::from(vec![statement.join(" ").as_str()])),
            Arc::new(StringViewArray::from(vec![note])),
        ],
        None,
    )?))
}
