//! The registry of scalar functions. A function is one file here, one line below and one `.slt`.

mod bucket;
mod date_shift;
mod generalize;
mod keyed;
mod mask;
mod pseudonym;
mod require;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarUDF};

use generalize::Generalize;
pub(crate) use generalize::tables::{decode as decode_scalar, encode as encode_scalar, resolve as resolve_tables};

/// Every scalar function.
pub(crate) fn scalars() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(ScalarUDF::from(require::Require::default())),
        Arc::new(ScalarUDF::from(Generalize::default())),
        Arc::new(ScalarUDF::from(bucket::Bucket::default())),
        Arc::new(ScalarUDF::from(mask::Mask::prefix())),
        Arc::new(ScalarUDF::from(mask::Mask::suffix())),
        Arc::new(ScalarUDF::from(pseudonym::Pseudonym::default())),
        Arc::new(ScalarUDF::from(date_shift::DateShift::default())),
    ]
}

/// Fails unless the number of arguments is one of `allowed`; `usage` is the call as it should be.
fn check_count(found: usize, allowed: std::ops::RangeInclusive<usize>, usage: &str) -> Result<()> {
    match allowed.contains(&found) {
        true => Ok(()),
        false => Err(DataFusionError::Plan(format!("{found} arguments are given, the call is {usage}"))),
    }
}

/// Result field of a function that is NULL only where an argument is.
fn field(name: &str, data_type: DataType, args: &ReturnFieldArgs) -> FieldRef {
    Arc::new(Field::new(name, data_type, args.arg_fields.iter().any(|f| f.is_nullable())))
}

/// The value of an argument that has to be a constant.
fn constant<'a>(function: &str, name: &str, arg: &'a ColumnarValue) -> Result<&'a ScalarValue> {
    match arg {
        ColumnarValue::Scalar(value) if !value.is_null() => Ok(value),
        ColumnarValue::Scalar(_) => Err(DataFusionError::Plan(format!("{function}: {name} is NULL"))),
        ColumnarValue::Array(_) => {
            Err(DataFusionError::Plan(format!("{function}: {name} is not a constant, which it has to be")))
        }
    }
}

/// Applies a function of one column: once for a constant.
fn on_values(value: ColumnarValue, function: impl FnOnce(&ArrayRef) -> Result<ArrayRef>) -> Result<ColumnarValue> {
    match value {
        ColumnarValue::Array(array) => function(&array).map(ColumnarValue::Array),
        ColumnarValue::Scalar(value) => {
            let result = function(&value.to_array()?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?))
        }
    }
}

/// Applies a function of several columns: once where all are constants.
fn on_columns(
    args: &[ColumnarValue],
    rows: usize,
    function: impl FnOnce(&[ArrayRef]) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { rows };
    let arrays = args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let result = function(&arrays)?;
    Ok(match constant {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
        false => ColumnarValue::Array(result),
    })
}

/// Values as CAST(... AS VARCHAR) prints them.
fn texts(function: &str, array: &ArrayRef) -> Result<StringArray> {
    let texts = cast_exactly(array, &DataType::Utf8).map_err(|_| {
        DataFusionError::Execution(format!("{function}: values of type {} have no text", array.data_type()))
    })?;
    Ok(texts.as_string::<i32>().clone())
}

/// A cast that fails instead of making NULL of what does not fit.
fn cast_exactly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    Ok(cast_with_options(array, to, &CastOptions { safe: false, ..Default::default() })?)
}
