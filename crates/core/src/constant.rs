//! Constants of a call as values of a column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::column::value_type;
use crate::raw::{Raw, new_raw};
use crate::{Column, Domain, Error, NumberKind, Result, Value, Values};

/// A constant in the terms of a column's domain.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// NULL.
    Null,
    /// A number in the domain's units: on the column's grid or beside it, inside its range or outside.
    Number(f64),
    /// A label, which the domain need not hold.
    Label(String),
}

/// Fails (argument) unless the constant is one of the column's type: what can be said while planning.
pub fn check_constant(field: &Field, value: &Value) -> Result<()> {
    array(field, value).map(|_| ())
}

impl Column {
    /// The constant in the terms of this column's domain. Dates and times are given as strings; strings that read as numbers are
    /// numbers to a numeric column.
    ///
    /// # Errors
    /// A constant of another type, one that does not fit the column's, or any for an identifier (argument).
    pub fn constant(&self, value: &Value) -> Result<Constant> {
        let Some(array) = array(&self.field, value)? else { return Ok(Constant::Null) };
        let name = self.name();
        let mut raw = new_raw(self.field.data_type()).ok_or_else(|| Error::internal("a column without an encoding"))?;
        raw.push(&array, name)?;
        let number = match (&self.domain, raw) {
            (Domain::Category(_), Raw::Text { labels, .. }) => match labels.codes.into_iter().next() {
                Some((label, _)) => return Ok(Constant::Label(label)),
                None => return Ok(Constant::Null),
            },
            (Domain::Number(domain), mut raw) => match (domain.kind, &raw) {
                (NumberKind::Integer { base, step }, Raw::Integer { values, .. }) => {
                    values.first().map(|v| (i128::from(*v) - i128::from(base)) as f64 / step as f64)
                }
                _ => {
                    raw.widen();
                    if let Raw::Float(values) = raw { values.first().copied() } else { None }
                }
            },
            (Domain::Identifier(_), _) => {
                return Err(Error::argument(format!(
                    "column '{name}' is an identifier: its values are made up afresh, so nothing can be asked of them"
                )));
            }
            _ => None,
        };
        let number = number.ok_or_else(|| Error::internal(format!("column '{name}': a constant without a value")))?;
        Ok(if number.is_nan() { Constant::Null } else { Constant::Number(number) })
    }
}

impl Column {
    /// A number in the domain's units as SQL shows it, strings and times in quotes; for messages.
    pub fn show(&self, number: f64) -> String {
        let text = self.decode(&Values::Number(vec![number]), 0, 1).ok().and_then(|array| {
            let options = FormatOptions::default().with_null("NULL");
            ArrayFormatter::try_new(array.as_ref(), &options).ok().map(|f| f.value(0).to_string())
        });
        match text {
            Some(text) if value_type(self.field.data_type()).is_temporal() => format!("'{text}'"),
            Some(text) => text,
            None => number.to_string(),
        }
    }
}

/// The constant as an array of one value of the column's type; `None` for NULL.
fn array(field: &Field, value: &Value) -> Result<Option<ArrayRef>> {
    let (name, data_type) = (field.name(), value_type(field.data_type()));
    let refuse = |hint: &str| {
        Error::argument(format!("{value} is no value of column '{name}' of type {}{hint}", field.data_type()))
    };
    let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let constant: ArrayRef = match value {
        Value::Null => return Ok(None),
        _ if matches!(data_type, DataType::Null) => return Err(refuse("")),
        Value::Text(v) => Arc::new(StringArray::from(vec![v.as_str()])),
        Value::Bool(_) if *data_type != DataType::Boolean => return Err(refuse("")),
        Value::Bool(v) => Arc::new(BooleanArray::from(vec![*v])),
        Value::Int(_) | Value::Float(_) if *data_type == DataType::Boolean => {
            return Err(refuse(": write true or false"));
        }
        Value::Int(_) | Value::Float(_) if is_text => return Err(refuse(": write strings in quotes")),
        Value::Int(_) | Value::Float(_) if data_type.is_temporal() => {
            return Err(refuse(": write dates and times as strings, such as '2013-12-31'"));
        }
        Value::Int(v) => Arc::new(Int64Array::from(vec![*v])),
        Value::Float(v) if v.is_infinite() => return Err(refuse("")),
        Value::Float(v) => Arc::new(Float64Array::from(vec![*v])),
        Value::List(_) | Value::Map(_) => return Err(refuse("")),
    };
    let cast = |array: &ArrayRef, to: &DataType| {
        cast_with_options(array, to, &CastOptions { safe: false, ..Default::default() })
    };
    let array = cast(&constant, data_type).map_err(|_| refuse(""))?;
    if let Value::Float(v) = value
        && !data_type.is_floating()
    {
        // 40.5 is no integer: a cast alone would cut it.
        let back = cast(&array, &DataType::Float64).map_err(|_| refuse(""))?;
        if back.as_primitive::<Float64Type>().value(0) != *v {
            return Err(refuse(""));
        }
    }
    debug_assert_eq!(array.len(), 1);
    if array.data_type() == field.data_type() {
        return Ok(Some(array));
    }
    cast(&array, field.data_type()).map(Some).map_err(|_| refuse(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EncodeSpec, FrameBuilder, Job, encode};
    use arrow::array::{
        Date32Array, Decimal128Array, Float32Array, Int32Array, RecordBatch, TimestampMillisecondArray,
    };

    fn column(array: ArrayRef) -> Column {
        let batch = RecordBatch::try_from_iter([("x", array)]).unwrap();
        let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
        builder.push(&batch).unwrap();
        let frame = encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0);
        frame.columns()[0].clone()
    }

    fn text(v: &str) -> Value {
        Value::Text(v.into())
    }

    #[test]
    fn constants_are_encoded_as_the_column_is() {
        let ages = column(Arc::new(Int32Array::from(vec![30, 40])));
        assert_eq!(ages.constant(&Value::Int(35)).unwrap(), Constant::Number(35.0));
        assert_eq!(ages.constant(&text("35")).unwrap(), Constant::Number(35.0));
        assert_eq!(ages.constant(&Value::Float(35.0)).unwrap(), Constant::Number(35.0));
        assert_eq!(ages.constant(&Value::Null).unwrap(), Constant::Null);
        let halves = column(Arc::new(Float32Array::from(vec![0.5, 1.5])));
        assert_eq!(halves.constant(&Value::Int(1)).unwrap(), Constant::Number(1.0));
        let sexes = column(Arc::new(StringArray::from(vec!["F", "M"])));
        assert_eq!(sexes.constant(&text("X")).unwrap(), Constant::Label("X".into()));
        let truths = column(Arc::new(BooleanArray::from(vec![true, false])));
        assert_eq!(truths.constant(&Value::Bool(true)).unwrap(), Constant::Label("true".into()));
        // 2013-12-31 is day 16,070 since 1970; 12.5 of two places is 1,250 units.
        let days = column(Arc::new(Date32Array::from(vec![16_000, 16_100])));
        assert_eq!(days.constant(&text("2013-12-31")).unwrap(), Constant::Number(16_070.0));
        assert_eq!((days.show(16_070.0), ages.show(35.0)), ("'2013-12-31'".into(), "35".into()));
        let prices =
            column(Arc::new(Decimal128Array::from(vec![100i128, 2000]).with_precision_and_scale(6, 2).unwrap()));
        assert_eq!(prices.constant(&Value::Float(12.5)).unwrap(), Constant::Number(1250.0));
        // Every full minute: a minute is one unit.
        let minutes = column(Arc::new(TimestampMillisecondArray::from(vec![60_000i64, 120_000, 300_000])));
        assert_eq!(minutes.constant(&text("1970-01-01T00:04:30")).unwrap(), Constant::Number(3.5));
    }

    #[test]
    fn constants_of_another_type_are_refused() {
        let ages = column(Arc::new(Int32Array::from(vec![30, 40])));
        let message = |column: &Column, value: Value| column.constant(&value).unwrap_err().message().to_string();
        assert_eq!(message(&ages, Value::Float(40.5)), "40.5 is no value of column 'x' of type Int32");
        assert_eq!(message(&ages, text("old")), "'old' is no value of column 'x' of type Int32");
        assert_eq!(message(&ages, Value::Bool(true)), "true is no value of column 'x' of type Int32");
        assert_eq!(message(&ages, Value::Int(1 << 40)), "1099511627776 is no value of column 'x' of type Int32");
        let sexes = column(Arc::new(StringArray::from(vec!["F", "M"])));
        assert_eq!(message(&sexes, Value::Int(1)), "1 is no value of column 'x' of type Utf8: write strings in quotes");
        let days = column(Arc::new(Date32Array::from(vec![16_000, 16_100])));
        assert!(message(&days, Value::Int(1)).ends_with("write dates and times as strings, such as '2013-12-31'"));
    }
}
