//! Encoded columns: what a column means, how its values are held, and the way back to Arrow.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float16Array, Float32Array, Float64Array, Int64Array, NullArray, StringArray,
    new_null_array,
};
use arrow::array::{Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{ArrowPrimitiveType, DataType, FieldRef, Float16Type, TimeUnit, i256};

use crate::{Error, Result};

/// The code of a missing category.
pub const MISSING: u32 = u32::MAX;

/// What a column is to models and attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ordered values with distances: numbers, dates, times.
    Number,
    /// Values that are equal or not: strings, booleans.
    Category,
    /// Names a record or person: never learned, never compared, never emitted.
    Identifier,
}

/// Encoded values of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers in the domain's units; NaN is missing.
    Number(Vec<f64>),
    /// Indices into the domain's labels; [`MISSING`] is missing.
    Code(Vec<u32>),
    /// Nothing: the column is an identifier.
    Omitted,
}

impl Values {
    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        match self {
            Values::Number(v) => v.capacity() * 8,
            Values::Code(v) => v.capacity() * 4,
            Values::Omitted => 0,
        }
    }

    /// How many there are; 0 for identifiers.
    pub fn len(&self) -> usize {
        match self {
            Values::Number(v) => v.len(),
            Values::Code(v) => v.len(),
            Values::Omitted => 0,
        }
    }

    /// True without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of a number column.
    pub fn numbers(&self) -> Option<&[f64]> {
        match self {
            Values::Number(v) => Some(v),
            _ => None,
        }
    }

    /// The codes of a category column.
    pub fn codes(&self) -> Option<&[u32]> {
        match self {
            Values::Code(v) => Some(v),
            _ => None,
        }
    }

    /// The values at the given rows, in that order.
    pub fn gather(&self, rows: &[u32]) -> Values {
        match self {
            Values::Number(v) => Values::Number(rows.iter().map(|&r| v[r as usize]).collect()),
            Values::Code(v) => Values::Code(rows.iter().map(|&r| v[r as usize]).collect()),
            Values::Omitted => Values::Omitted,
        }
    }
}

/// How the numbers of a column are represented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NumberKind {
    /// The stored integer is `base + step * value`: exact for timestamps of any unit.
    Integer {
        /// Stored integer of encoded 0.
        base: i64,
        /// Stored integers between encoded neighbours: the granularity of the column.
        step: i64,
    },
    /// The value itself, rounded to so many decimal places when it leaves, and of so many bits.
    Float {
        /// Decimal places seen in the data; `None` when there is no such limit.
        decimals: Option<u8>,
        /// 16, 32 or 64.
        bits: u8,
    },
}

/// Range and representation of a numeric column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberDomain {
    /// Representation.
    pub kind: NumberKind,
    /// Smallest encoded value seen; NaN when all are missing.
    pub min: f64,
    /// Largest encoded value seen; NaN when all are missing.
    pub max: f64,
}

impl NumberDomain {
    /// The nearest value that the column can hold: inside the observed range, on its grid. NaN stays NaN.
    pub fn snap(&self, value: f64) -> f64 {
        if value.is_nan() || self.min.is_nan() {
            return f64::NAN;
        }
        let value = value.clamp(self.min, self.max);
        let snapped = match self.kind {
            NumberKind::Integer { .. } => value.round(),
            NumberKind::Float { decimals, bits } => {
                let rounded = match decimals {
                    Some(places) => {
                        let scale = 10f64.powi(i32::from(places));
                        (value * scale).round() / scale
                    }
                    None => value,
                };
                match bits {
                    16 => to_f16(rounded).to_f64(),
                    32 => f64::from(rounded as f32),
                    _ => rounded,
                }
            }
        };
        snapped.clamp(self.min, self.max) + 0.0
    }

    /// The stored integer of an encoded value, for integer representations.
    pub fn stored(&self, value: f64) -> Option<i64> {
        match self.kind {
            NumberKind::Integer { base, step } => Some(
                i128::from(base)
                    .saturating_add(i128::from(step) * value.round() as i128)
                    .clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
            ),
            NumberKind::Float { .. } => None,
        }
    }

    /// max - min; 0 when all values are equal or missing.
    pub fn width(&self) -> f64 {
        if self.min.is_nan() { 0.0 } else { self.max - self.min }
    }
}

type F16 = <Float16Type as ArrowPrimitiveType>::Native;

fn to_f16(value: f64) -> F16 {
    F16::from_f64(value)
}

/// Labels of a categorical column in ascending order; the code is the index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CategoryDomain {
    /// Distinct labels, sorted.
    pub labels: Vec<String>,
}

/// What is needed to make identifiers that no record has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentifierDomain {
    /// Integers: the next free one on the side of the range with more room.
    Integer {
        /// First fresh integer.
        first: i64,
        /// +1 or -1.
        direction: i64,
    },
    /// Strings: a prefix that no real label starts with.
    Text {
        /// The prefix.
        prefix: String,
    },
}

/// Domain of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// Of a number.
    Number(NumberDomain),
    /// Of a category.
    Category(Arc<CategoryDomain>),
    /// Of an identifier.
    Identifier(IdentifierDomain),
}

/// One encoded column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name, type and nullability of the input.
    pub field: FieldRef,
    /// Domain, which decides the role.
    pub domain: Domain,
    /// Values.
    pub values: Values,
}

impl Column {
    /// Name of the column.
    pub fn name(&self) -> &str {
        self.field.name()
    }

    /// Role of the column.
    pub fn role(&self) -> Role {
        match self.domain {
            Domain::Number(_) => Role::Number,
            Domain::Category(_) => Role::Category,
            Domain::Identifier(_) => Role::Identifier,
        }
    }

    /// Field and domain without values: what is needed to decode generated values.
    pub fn without_values(&self) -> Column {
        Column { field: Arc::clone(&self.field), domain: self.domain.clone(), values: Values::Omitted }
    }

    /// Turns encoded values into an array of the column's type. Identifiers become fresh ones, numbered from
    /// `first_row`; `rows` is the length of the result.
    pub fn decode(&self, values: &Values, first_row: u64, rows: usize) -> Result<ArrayRef> {
        let array = match (&self.domain, values) {
            (Domain::Number(domain), Values::Number(values)) => self.decode_number(domain, values)?,
            (Domain::Category(domain), Values::Code(codes)) => {
                let label = |&code: &u32| domain.labels.get(code as usize).map(String::as_str);
                match value_type(self.field.data_type()) {
                    DataType::Boolean => {
                        let truth = |code| label(code).map(|l| l == "true");
                        Arc::new(codes.iter().map(truth).collect::<BooleanArray>()) as ArrayRef
                    }
                    DataType::Null => Arc::new(NullArray::new(rows)),
                    _ => Arc::new(codes.iter().map(label).collect::<StringArray>()),
                }
            }
            (Domain::Identifier(domain), _) => fresh_identifiers(domain, first_row, rows)?,
            _ => return Err(Error::internal(format!("column '{}': values do not fit the domain", self.name()))),
        };
        let array = cast_exact(&array, self.field.data_type(), self.name())?;
        if !self.field.is_nullable() && array.null_count() > 0 {
            return Err(Error::internal(format!("column '{}' is NOT NULL but would hold NULL", self.name())));
        }
        Ok(array)
    }

    /// Turns stored integers (days of a date, ticks of a timestamp, unscaled decimals, ...) into an array of the
    /// column's type: values computed exactly, without the detour over the domain's units. For columns whose type is
    /// stored as an integer; a data error when a value does not fit the type.
    pub fn decode_stored(&self, stored: &[Option<i64>]) -> Result<ArrayRef> {
        let integers: Int64Array = stored.iter().copied().collect();
        let array = from_integers(&integers, value_type(self.field.data_type()))?;
        cast_exact(&array, self.field.data_type(), self.name())
    }

    fn decode_number(&self, domain: &NumberDomain, values: &[f64]) -> Result<ArrayRef> {
        let data_type = value_type(self.field.data_type());
        // NaN marks missing values; a NOT NULL float column can only have held NaN itself there.
        let keep_nan = !self.field.is_nullable() && data_type.is_floating();
        let present = |v: f64| (keep_nan || !v.is_nan()).then_some(v);
        Ok(match (data_type, domain.kind) {
            (DataType::Float16, _) => {
                Arc::new(values.iter().map(|v| present(domain.snap(*v)).map(to_f16)).collect::<Float16Array>())
            }
            (DataType::Float32, _) => {
                Arc::new(values.iter().map(|v| present(domain.snap(*v)).map(|v| v as f32)).collect::<Float32Array>())
            }
            (DataType::Float64, _) => {
                Arc::new(values.iter().map(|v| present(domain.snap(*v))).collect::<Float64Array>())
            }
            (_, NumberKind::Integer { .. }) => {
                let stored = |v: &f64| present(domain.snap(*v)).and_then(|v| domain.stored(v));
                let integers: Int64Array = values.iter().map(stored).collect();
                from_integers(&integers, data_type)?
            }
            // Integers too wide for 64 bits signed travel as floats.
            (_, NumberKind::Float { .. }) => {
                let wide = values.iter().map(|v| present(domain.snap(*v)));
                match data_type {
                    DataType::UInt64 => Arc::new(wide.map(|v| v.map(|v| v as u64)).collect::<UInt64Array>()),
                    DataType::Decimal256(p, s) => Arc::new(
                        wide.map(|v| v.and_then(|v| i256::from_string(&format!("{v:.0}"))))
                            .collect::<Decimal256Array>()
                            .with_precision_and_scale(*p, *s)?,
                    ),
                    DataType::Decimal128(p, s) => Arc::new(
                        wide.map(|v| v.map(|v| v as i128))
                            .collect::<Decimal128Array>()
                            .with_precision_and_scale(*p, *s)?,
                    ),
                    other => return Err(Error::internal(format!("column '{}': {other} held as floats", self.name()))),
                }
            }
        })
    }
}

/// Value type of a dictionary or run-end-encoded column, the type itself otherwise.
pub(crate) fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => value_type(values),
        DataType::RunEndEncoded(_, values) => value_type(values.data_type()),
        other => other,
    }
}

/// Reinterprets stored integers as the given integer-like type.
fn from_integers(integers: &Int64Array, data_type: &DataType) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Decimal32(p, s) => Arc::new(
            integers
                .iter()
                .map(|v| v.map(|v| v as i32))
                .collect::<Decimal32Array>()
                .with_precision_and_scale(*p, *s)?,
        ),
        DataType::Decimal64(p, s) => {
            Arc::new(integers.iter().collect::<Decimal64Array>().with_precision_and_scale(*p, *s)?)
        }
        DataType::Decimal128(p, s) => Arc::new(
            integers.iter().map(|v| v.map(i128::from)).collect::<Decimal128Array>().with_precision_and_scale(*p, *s)?,
        ),
        DataType::Decimal256(p, s) => Arc::new(
            integers
                .iter()
                .map(|v| v.map(|v| i256::from_i128(i128::from(v))))
                .collect::<Decimal256Array>()
                .with_precision_and_scale(*p, *s)?,
        ),
        // Types stored in 32 bits reach theirs through the integer of that width.
        DataType::Date32 | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond) => {
            let narrow = cast_exact(&(Arc::new(integers.clone()) as ArrayRef), &DataType::Int32, "")?;
            cast_exact(&narrow, data_type, "")?
        }
        _ => cast_exact(&(Arc::new(integers.clone()) as ArrayRef), data_type, "")?,
    })
}

fn fresh_identifiers(domain: &IdentifierDomain, first_row: u64, rows: usize) -> Result<ArrayRef> {
    Ok(match domain {
        IdentifierDomain::Integer { first, direction } => {
            let fresh = |i: usize| first.checked_add(direction * (first_row + i as u64) as i64);
            let all: Option<Vec<i64>> = (0..rows).map(fresh).collect();
            Arc::new(Int64Array::from(all.ok_or_else(|| Error::data("no integer is left for fresh identifiers"))?))
        }
        IdentifierDomain::Text { prefix } => Arc::new(
            (0..rows).map(|i| Some(format!("{prefix}{:08}", first_row + i as u64 + 1))).collect::<StringArray>(),
        ),
    })
}

fn cast_exact(array: &ArrayRef, to: &DataType, name: &str) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    if array.null_count() == array.len() {
        return Ok(new_null_array(to, array.len()));
    }
    let options = CastOptions { safe: false, ..Default::default() };
    cast_with_options(array, to, &options)
        .map_err(|e| Error::data(format!("column '{name}': a generated value does not fit {to}: {e}")))
}
