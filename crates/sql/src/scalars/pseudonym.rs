//! `pseudonym(value [, domain])`: a keyed pseudonym.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, StringBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::keyed::Keyed;
use super::{check_count, constant, field, on_values, texts};

const NAME: &str = "pseudonym";
const USAGE: &str = "pseudonym(value [, domain])";

/// `pseudonym(value [, domain VARCHAR]) -> VARCHAR` of 32 hexadecimal digits.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pseudonym {
    signature: Signature,
}

impl Default for Pseudonym {
    fn default() -> Self {
        // Stable: the key decides, and belongs to the session.
        Self { signature: Signature::user_defined(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Pseudonym {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        check_count(types.len(), 1..=2, USAGE)?;
        if types[0].is_nested() {
            return Err(DataFusionError::Plan(format!("{NAME}: values of type {} have no text", types[0])));
        }
        Ok([types[0].clone()].into_iter().chain(types[1..].iter().map(|_| DataType::Utf8)).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(field(NAME, DataType::Utf8, &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let domain = match args.args.get(1) {
            Some(domain) => constant(NAME, "domain", domain)?.try_as_str().flatten().unwrap_or_default(),
            None => "",
        };
        let keyed = Keyed::new(&args.config_options, NAME, domain)?;
        on_values(args.args[0].clone(), |values| {
            let values = texts(NAME, values)?;
            let mut made = StringBuilder::with_capacity(values.len(), values.len() * 32);
            for value in &values {
                match value {
                    Some(value) => {
                        write!(made, "{:032x}", keyed.hash(value))
                            .map_err(|e| DataFusionError::Internal(e.to_string()))?;
                        made.append_value("");
                    }
                    None => made.append_null(),
                }
            }
            Ok(Arc::new(made.finish()))
        })
    }
}
