//! `require(condition, message)`: fails the statement when a release gate is not met.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

/// `require(condition BOOLEAN, message VARCHAR) -> BOOLEAN`: true, or an error with the message when the condition is
/// false or NULL in any row: a figure that could not be measured does not pass a gate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Require {
    signature: Signature,
}

impl Default for Require {
    fn default() -> Self {
        let types = TypeSignature::Exact(vec![DataType::Boolean, DataType::Utf8]);
        // Volatile: neither folded while planning nor left out as unused.
        let signature = Signature::new(types, Volatility::Volatile);
        Self {
            signature: signature.with_parameter_names(vec!["condition", "message"]).expect("two names for two types"),
        }
    }
}

impl ScalarUDFImpl for Require {
    fn name(&self) -> &str {
        "require"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let mut args = args.args.into_iter();
        let (Some(condition), Some(message)) = (args.next(), args.next()) else {
            return Err(DataFusionError::Plan("require takes a condition and a message".into()));
        };
        let condition = condition.into_array(rows)?;
        let condition = condition.as_boolean();
        let failed = (0..condition.len()).find(|&i| condition.is_null(i) || !condition.value(i));
        let Some(row) = failed else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))));
        };
        let messages = message.into_array(rows)?;
        let text = if messages.is_null(row) { "(no message)" } else { messages.as_string::<i32>().value(row) };
        let why =
            if condition.is_null(row) { " (the condition is NULL: the figure could not be measured)" } else { "" };
        Err(DataFusionError::Execution(format!("requirement not met: {text}{why}")))
    }
}
