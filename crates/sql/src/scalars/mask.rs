//! `mask_prefix(text, n [, character])` and `mask_suffix(text, n [, character])`: characters replaced.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::{check_count, constant, field, on_columns, texts};

/// `mask_*(text, n BIGINT [, character VARCHAR]) -> VARCHAR`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mask {
    first: bool,
    signature: Signature,
}

impl Mask {
    /// The function that masks the first characters.
    pub fn prefix() -> Self {
        Self { first: true, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// The function that masks the last characters.
    pub fn suffix() -> Self {
        Self { first: false, ..Self::prefix() }
    }

    fn mask(&self, text: &str, count: usize, with: char, to: &mut StringBuilder) -> std::fmt::Result {
        let length = text.chars().count();
        let count = count.min(length);
        let cut = |kept: usize| text.char_indices().nth(kept).map_or(text.len(), |(at, _)| at);
        if !self.first {
            to.write_str(&text[..cut(length - count)])?;
        }
        (0..count).try_for_each(|_| to.write_char(with))?;
        if self.first {
            to.write_str(&text[cut(count)..])?;
        }
        to.append_value("");
        Ok(())
    }

    fn character(&self, value: &ScalarValue) -> Result<char> {
        let text = value.try_as_str().flatten().unwrap_or_default();
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(character),
            _ => Err(DataFusionError::Plan(format!(
                "{}: character is '{text}', allowed is a single character",
                self.name()
            ))),
        }
    }
}

impl ScalarUDFImpl for Mask {
    fn name(&self) -> &str {
        if self.first { "mask_prefix" } else { "mask_suffix" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        check_count(types.len(), 2..=3, &format!("{}(text, n [, character])", self.name()))?;
        if types[0].is_nested() {
            return Err(DataFusionError::Plan(format!("{}: values of type {} have no text", self.name(), types[0])));
        }
        if !types[1].is_integer() && !types[1].is_null() {
            return Err(DataFusionError::Plan(format!(
                "{}: n is {}, allowed is an integer of at least 0",
                self.name(),
                types[1]
            )));
        }
        Ok([types[0].clone(), DataType::Int64, DataType::Utf8].into_iter().take(types.len()).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(field(self.name(), DataType::Utf8, &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let with = match args.args.get(2) {
            Some(character) => self.character(constant(self.name(), "character", character)?)?,
            None => '*',
        };
        on_columns(&args.args[..2], args.number_rows, |columns| {
            let values = texts(self.name(), &columns[0])?;
            let counts = columns[1].as_primitive::<Int64Type>();
            let mut masked = StringBuilder::with_capacity(values.len(), values.value_data().len());
            for (value, count) in values.iter().zip(counts) {
                let (Some(value), Some(count)) = (value, count) else {
                    masked.append_null();
                    continue;
                };
                let count = usize::try_from(count).map_err(|_| {
                    DataFusionError::Execution(format!(
                        "{}: n is {count}, allowed is an integer of at least 0",
                        self.name()
                    ))
                })?;
                let done = self.mask(value, count, with, &mut masked);
                done.map_err(|e| DataFusionError::Internal(e.to_string()))?;
            }
            Ok(Arc::new(masked.finish()))
        })
    }
}
