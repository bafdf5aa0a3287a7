//! `bucket(value, width [, origin])`: the lower edge of the interval that holds a value.

mod dates;
mod numbers;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use self::dates::Period;
use self::numbers::Edges;
use super::{check_count, constant, field, on_values};

const NAME: &str = "bucket";
const USAGE: &str = "bucket(value, width [, origin])";

/// `bucket(value, width [, origin])` -> the type of the value.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bucket {
    signature: Signature,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// Width and origin, checked for a type of values.
enum Width {
    Number(Edges),
    Date(Period),
}

impl Width {
    fn new(data_type: &DataType, width: &ScalarValue, origin: Option<&ScalarValue>) -> Result<Self> {
        for (name, value) in [("width", Some(width)), ("origin", origin)] {
            if value.is_some_and(ScalarValue::is_null) {
                return Err(DataFusionError::Plan(format!("{NAME}: {name} is NULL")));
            }
        }
        match data_type {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                Period::new(data_type, width, origin).map(Self::Date)
            }
            _ => Edges::new(data_type, width, origin).map(Self::Number),
        }
    }
}

impl ScalarUDFImpl for Bucket {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        check_count(types.len(), 2..=3, USAGE)?;
        let fits = |t: &DataType| t.is_numeric() && !matches!(t, DataType::Decimal256(..));
        let value = match &types[0] {
            date @ (DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) => date.clone(),
            DataType::Null => DataType::Int64,
            number if fits(number) => number.clone(),
            other => {
                return Err(DataFusionError::Plan(format!(
                    "{NAME}: value is {other}, allowed are numbers of at most 38 digits, dates and timestamps"
                )));
            }
        };
        Ok([value].into_iter().chain(types[1..].iter().cloned()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let data_type = args.arg_fields[0].data_type().clone();
        let origin = args.scalar_arguments.get(2).copied();
        if let Some(Some(width)) = args.scalar_arguments.get(1)
            && origin != Some(None)
        {
            Width::new(&data_type, width, origin.flatten())?;
        }
        Ok(field(NAME, data_type, &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let width = constant(NAME, "width", &args.args[1])?;
        let origin = args.args.get(2).map(|origin| constant(NAME, "origin", origin)).transpose()?;
        let value = args.args[0].clone();
        let options: &Arc<ConfigOptions> = &args.config_options;
        match Width::new(&value.data_type(), width, origin)? {
            Width::Number(edges) => on_values(value, |values| edges.lower(values)),
            Width::Date(period) => on_values(value, |values| period.start(values, options)),
        }
    }
}
