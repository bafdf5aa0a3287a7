//! Buckets of numbers.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use lookalike_anonymize::Grid;

use super::NAME;
use crate::error::engine_error;
use crate::scalars::cast_exactly;

/// Digits that every integer and decimal of the engine's narrower types has room in.
const DIGITS: u8 = 38;

/// A grid whose edges the type of the values can hold.
pub(super) struct Edges {
    grid: Grid,
    data_type: DataType,
    /// Decimal places of the values; nothing for floating-point numbers.
    scale: Option<u32>,
}

impl Edges {
    pub fn new(data_type: &DataType, width: &ScalarValue, origin: Option<&ScalarValue>) -> Result<Self> {
        let text = |name: &str, value: &ScalarValue| match value.cast_to(&DataType::Utf8) {
            Ok(ScalarValue::Utf8(Some(text))) if value.data_type().is_numeric() => Ok(text),
            _ => Err(DataFusionError::Plan(format!(
                "{NAME}: {name} is {value}, allowed beside values of type {data_type} is a number"
            ))),
        };
        let (width, origin) = (text("width", width)?, origin.map(|o| text("origin", o)).transpose()?);
        let grid = Grid::parse(&width, origin.as_deref().unwrap_or("0")).map_err(|e| engine_error(e.within(NAME)))?;
        let scale = match data_type {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => None,
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
                Some(u32::try_from(*scale).unwrap_or(0))
            }
            _ => Some(0),
        };
        if scale.is_some_and(|scale| grid.scale() > scale) {
            let beside = origin.map_or(String::new(), |o| format!(" from {o}"));
            return Err(DataFusionError::Plan(format!(
                "{NAME}: the edges of width {width}{beside} are finer than {data_type}: cast the value, as in \
                 CAST(... AS DOUBLE)"
            )));
        }
        Ok(Self { grid, data_type: data_type.clone(), scale })
    }

    /// Lower edges of the intervals that hold the values.
    pub fn lower(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let Some(scale) = self.scale else { return self.lower_floats(values) };
        let wide = cast_exactly(values, &DataType::Decimal128(DIGITS, scale as i8))?;
        let wide = wide.as_primitive::<Decimal128Type>();
        let does_not_fit = |value: i128| {
            let shown = ScalarValue::Decimal128(Some(value), DIGITS, scale as i8);
            let shown = shown.cast_to(&DataType::Utf8).map_or_else(|_| value.to_string(), |text| text.to_string());
            DataFusionError::Execution(format!(
                "{NAME}: the lower edge of the interval that holds {shown} does not fit {}",
                self.data_type
            ))
        };
        let lower: PrimitiveArray<Decimal128Type> =
            wide.try_unary(|value| self.grid.lower(value, scale).ok_or_else(|| does_not_fit(value)))?;
        let lower: ArrayRef = Arc::new(lower.with_data_type(wide.data_type().clone()));
        match cast_exactly(&lower, values.data_type()) {
            Ok(lower) => Ok(lower),
            Err(error) => {
                // Some edge does not fit: the first one that does not says which.
                let fits = |row: &usize| cast_exactly(&lower.slice(*row, 1), values.data_type()).is_err();
                let row = (0..lower.len()).find(fits);
                Err(row.map_or(error, |row| does_not_fit(wide.value(row))))
            }
        }
    }

    fn lower_floats(&self, values: &ArrayRef) -> Result<ArrayRef> {
        if let DataType::Float64 = values.data_type() {
            let lower = values.as_primitive::<Float64Type>().unary(|v| self.grid.lower_float(v, |edge| edge));
            return Ok(Arc::new(lower as PrimitiveArray<Float64Type>));
        }
        let half = matches!(values.data_type(), DataType::Float16);
        let narrow = cast_exactly(values, &DataType::Float32)?;
        let lower: PrimitiveArray<Float32Type> = narrow
            .as_primitive::<Float32Type>()
            .unary(|v| self.grid.lower_float(v.into(), |edge| round(edge, half)) as f32);
        cast_exactly(&(Arc::new(lower) as ArrayRef), values.data_type())
    }
}

/// A number rounded to 32 bits, or to 16.
fn round(edge: f64, half: bool) -> f64 {
    use datafusion::arrow::datatypes::{ArrowPrimitiveType, Float16Type};
    match half {
        true => <Float16Type as ArrowPrimitiveType>::Native::from_f64(edge).to_f64(),
        false => f64::from(edge as f32),
    }
}
