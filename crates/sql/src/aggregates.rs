//! The registry of aggregates. An aggregate is one file here, one line below and one `.slt`. What it computes lives in the
//! algorithm crates as a mergeable summary; the accumulators here only adapt.

mod audit_epsilon;
mod dcr;
mod k_anonymity;
mod mia_score;
mod sensitive;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, ListArray, PrimitiveArray, UInt64Array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef, Float64Type, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::{AggregateUDF, Expr};

use crate::error::engine_error;

/// Every aggregate.
pub(crate) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    vec![
        Arc::new(AggregateUDF::from(k_anonymity::KAnonymity::default())),
        Arc::new(AggregateUDF::from(sensitive::Sensitive::l_diversity())),
        Arc::new(AggregateUDF::from(sensitive::Sensitive::t_closeness())),
        Arc::new(AggregateUDF::from(dcr::Dcr::default())),
        Arc::new(AggregateUDF::from(mia_score::MiaScore::default())),
        Arc::new(AggregateUDF::from(audit_epsilon::AuditEpsilon::default())),
    ]
}

/// Fails for `f(DISTINCT ...)`: dropping equal rows would change every figure without a word. It hooks into
/// simplification because the optimizer turns a single DISTINCT aggregate into a GROUP BY, after which no accumulator
/// hears of it.
fn refuse_distinct() -> Option<AggregateFunctionSimplification> {
    Some(Box::new(|call, _| {
        if call.params.distinct {
            return Err(distinct_error(call.func.name()));
        }
        Ok(Expr::AggregateFunction(call))
    }))
}

/// The same for plans that were not simplified.
fn refuse_distinct_args(args: &AccumulatorArgs) -> Result<()> {
    if args.is_distinct {
        return Err(distinct_error(args.name.split('(').next().unwrap_or_default()));
    }
    Ok(())
}

fn distinct_error(name: &str) -> DataFusionError {
    DataFusionError::Plan(format!(
        "{name}(DISTINCT ...) is not supported: equal rows are different people; leave out DISTINCT"
    ))
}

/// One list as a scalar: what a state consists of.
fn list(values: ArrayRef) -> ScalarValue {
    let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    ScalarValue::List(Arc::new(ListArray::new(item, offsets, values, None)))
}

/// Field of a state that is a list.
fn list_field(name: String, item: DataType) -> FieldRef {
    Arc::new(Field::new(name, DataType::new_list(item, true), true))
}

/// The elements of row `row` of a column of lists.
fn elements(states: &ArrayRef, row: usize) -> Result<ArrayRef> {
    let lists = states
        .as_list_opt::<i32>()
        .ok_or_else(|| DataFusionError::Internal(format!("a state of type {}", states.data_type())))?;
    Ok(lists.value(row))
}

/// Elements of row `row` as numbers.
fn numbers<T: ArrowPrimitiveType>(states: &ArrayRef, row: usize) -> Result<PrimitiveArray<T>> {
    let values = elements(states, row)?;
    values
        .as_primitive_opt::<T>()
        .cloned()
        .ok_or_else(|| DataFusionError::Internal(format!("a state of {}", values.data_type())))
}

/// Fields of a state that is keys with their counts.
fn counts_fields(args: &StateFieldsArgs) -> Vec<FieldRef> {
    let field = |name: &str, item| list_field(format!("{}[{name}]", args.name), item);
    vec![field("keys", DataType::Binary), field("counts", DataType::UInt64)]
}

/// Such a state.
fn counts_state(state: lookalike_core::Result<(BinaryArray, UInt64Array)>) -> Result<Vec<ScalarValue>> {
    let (keys, counts) = state.map_err(engine_error)?;
    Ok(vec![list(Arc::new(keys)), list(Arc::new(counts))])
}

/// Calls `merge` with every one of such states.
fn merge_counts(
    states: &[ArrayRef],
    mut merge: impl FnMut(&BinaryArray, &UInt64Array) -> lookalike_core::Result<()>,
) -> Result<()> {
    let [keys, counts] = states else {
        return Err(DataFusionError::Internal(format!("a state of keys and counts of {} columns", states.len())));
    };
    for row in 0..keys.len() {
        let counts = numbers::<UInt64Type>(counts, row)?;
        let keys = elements(keys, row)?;
        let keys = keys
            .as_binary_opt::<i32>()
            .ok_or_else(|| DataFusionError::Internal(format!("keys of type {}", keys.data_type())))?;
        merge(keys, &counts).map_err(engine_error)?;
    }
    Ok(())
}

/// Numbers of a column; NULL is NaN.
fn floats(column: &ArrayRef) -> Result<Vec<f64>> {
    let column = column
        .as_primitive_opt::<Float64Type>()
        .ok_or_else(|| DataFusionError::Internal(format!("an argument of type {}", column.data_type())))?;
    Ok(match column.null_count() {
        0 => column.values().to_vec(),
        _ => column.iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
    })
}
