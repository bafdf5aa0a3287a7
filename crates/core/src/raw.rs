//! Columns while rows still arrive: integers, floats or coded strings, with the statistics that need no second look.

use std::mem::size_of;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::compute::cast;
use arrow::datatypes::*;
use hashbrown::HashMap;

use crate::column::value_type;
use crate::{Error, MISSING, Result};

/// Values of a column in arrival order.
#[derive(Debug)]
pub(crate) enum Raw {
    /// Stored integers; positions in `missing` hold 0.
    Integer { values: Vec<i64>, missing: Vec<u32> },
    /// Floats; NaN is missing.
    Float(Vec<f64>),
    /// Codes into labels in order of first appearance.
    Text { codes: Vec<u32>, labels: Labels },
}

/// Distinct labels with their codes.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    pub codes: HashMap<String, u32>,
    bytes: usize,
}

impl Labels {
    fn code(&mut self, label: &str) -> u32 {
        let next = self.codes.len() as u32;
        let bytes = &mut self.bytes;
        *self.codes.entry_ref(label).or_insert_with(|| {
            *bytes += label.len();
            next
        })
    }
}

/// How a type is taken in, or `None` when it cannot be.
pub(crate) fn new_raw(data_type: &DataType) -> Option<Raw> {
    use DataType::*;
    match value_type(data_type) {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Date32 | Date64 | Timestamp(..)
        | Time32(_) | Time64(_) | Duration(_) | Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => {
            Some(Raw::Integer { values: vec![], missing: vec![] })
        }
        Float16 | Float32 | Float64 => Some(Raw::Float(vec![])),
        Utf8 | LargeUtf8 | Utf8View | Null | Boolean => Some(Raw::Text { codes: vec![], labels: Labels::default() }),
        _ => None,
    }
}

impl Raw {
    /// Integers as texts of their order, so that parts of a column number what they name in one way.
    pub fn into_texts(self) -> Self {
        let Raw::Integer { values, missing } = self else { return self };
        let mut labels = Labels::default();
        let text = |v: i64| format!("{:020}", i128::from(v) - i128::from(i64::MIN));
        let mut codes: Vec<u32> = values.into_iter().map(|v| labels.code(&text(v))).collect();
        missing.into_iter().for_each(|row| codes[row as usize] = MISSING);
        Raw::Text { codes, labels }
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        match self {
            Raw::Integer { values, missing } => values.capacity() * 8 + missing.capacity() * 4,
            Raw::Float(values) => values.capacity() * 8,
            Raw::Text { codes, labels } => {
                codes.capacity() * 4 + labels.codes.capacity() * (size_of::<(String, u32)>() + 1) + labels.bytes
            }
        }
    }

    /// Takes in one array of the type this column was made for.
    pub fn push(&mut self, array: &ArrayRef, name: &str) -> Result<()> {
        use DataType::*;
        let target = value_type(array.data_type()).clone();
        let is_encoded = target != *array.data_type();
        let is_text = matches!(target, Utf8 | LargeUtf8 | Utf8View);
        // Dictionaries of strings go through unpacked strings too: a batch is small.
        let array = &if is_encoded { cast(array, if is_text { &Utf8 } else { &target })? } else { array.clone() };
        match array.data_type() {
            Int8 => self.push_integers::<Int8Type>(array),
            Int16 => self.push_integers::<Int16Type>(array),
            Int32 => self.push_integers::<Int32Type>(array),
            Int64 => self.push_integers::<Int64Type>(array),
            UInt8 => self.push_integers::<UInt8Type>(array),
            UInt16 => self.push_integers::<UInt16Type>(array),
            UInt32 => self.push_integers::<UInt32Type>(array),
            UInt64 => self.push_integers::<UInt64Type>(array),
            Date32 => self.push_integers::<Date32Type>(array),
            Date64 => self.push_integers::<Date64Type>(array),
            Time32(TimeUnit::Second) => self.push_integers::<Time32SecondType>(array),
            Time32(_) => self.push_integers::<Time32MillisecondType>(array),
            Time64(TimeUnit::Microsecond) => self.push_integers::<Time64MicrosecondType>(array),
            Time64(_) => self.push_integers::<Time64NanosecondType>(array),
            Timestamp(TimeUnit::Second, _) => self.push_integers::<TimestampSecondType>(array),
            Timestamp(TimeUnit::Millisecond, _) => self.push_integers::<TimestampMillisecondType>(array),
            Timestamp(TimeUnit::Microsecond, _) => self.push_integers::<TimestampMicrosecondType>(array),
            Timestamp(TimeUnit::Nanosecond, _) => self.push_integers::<TimestampNanosecondType>(array),
            Duration(TimeUnit::Second) => self.push_integers::<DurationSecondType>(array),
            Duration(TimeUnit::Millisecond) => self.push_integers::<DurationMillisecondType>(array),
            Duration(TimeUnit::Microsecond) => self.push_integers::<DurationMicrosecondType>(array),
            Duration(TimeUnit::Nanosecond) => self.push_integers::<DurationNanosecondType>(array),
            Decimal32(..) => self.push_integers::<Decimal32Type>(array),
            Decimal64(..) => self.push_integers::<Decimal64Type>(array),
            Decimal128(..) => self.push_integers::<Decimal128Type>(array),
            Decimal256(..) => {
                for value in array.as_primitive::<Decimal256Type>() {
                    self.push_integer(value.map(|v| match v.to_i128() {
                        Some(v) => Wide::Integer(v),
                        None => {
                            let (low, high) = v.to_parts();
                            Wide::Float(high as f64 * 2f64.powi(128) + low as f64)
                        }
                    }));
                }
                Ok(())
            }
            Float16 => self.push_floats(array.as_primitive::<Float16Type>().iter().map(|v| v.map(f64::from)), name),
            Float32 => self.push_floats(array.as_primitive::<Float32Type>().iter().map(|v| v.map(f64::from)), name),
            Float64 => self.push_floats(array.as_primitive::<Float64Type>().iter(), name),
            Boolean => {
                self.push_texts(array.as_boolean().iter().map(|v| v.map(|v| if v { "true" } else { "false" })));
                Ok(())
            }
            Utf8 => {
                self.push_texts(array.as_string::<i32>().iter());
                Ok(())
            }
            LargeUtf8 => {
                self.push_texts(array.as_string::<i64>().iter());
                Ok(())
            }
            Utf8View => {
                self.push_texts(array.as_string_view().iter());
                Ok(())
            }
            Null => {
                self.push_texts(std::iter::repeat_n(None, array.len()));
                Ok(())
            }
            other => Err(Error::internal(format!("column '{name}': {other} reached the encoder"))),
        }
    }

    fn push_integers<T: ArrowPrimitiveType>(&mut self, array: &ArrayRef) -> Result<()>
    where
        T::Native: TryInto<i64> + TryInto<i128>,
    {
        let array = array.as_primitive::<T>();
        if let Raw::Integer { values, missing } = self {
            let start = values.len();
            let mut fits = true;
            values.extend(array.values().iter().map(|&v| {
                v.try_into().unwrap_or_else(|_| {
                    fits = false;
                    0
                })
            }));
            if let Some(nulls) = array.nulls().filter(|n| n.null_count() > 0) {
                for i in (0..array.len()).filter(|&i| nulls.is_null(i)) {
                    values[start + i] = 0;
                    missing.push((start + i) as u32);
                }
            }
            if fits {
                return Ok(());
            }
            // A value beyond 64 bits: take this batch again, value by value, as floats.
            values.truncate(start);
            missing.retain(|&i| (i as usize) < start);
        }
        for value in array {
            self.push_integer(value.map(|v| match TryInto::<i128>::try_into(v) {
                Ok(v) => Wide::Integer(v),
                Err(_) => Wide::Float(f64::NAN),
            }));
        }
        Ok(())
    }

    fn push_integer(&mut self, value: Option<Wide>) {
        if let Raw::Integer { values, missing } = self {
            match value {
                None => {
                    missing.push(values.len() as u32);
                    values.push(0);
                    return;
                }
                Some(Wide::Integer(v)) if i64::try_from(v).is_ok() => {
                    values.push(v as i64);
                    return;
                }
                Some(_) => self.widen(),
            }
        }
        if let Raw::Float(values) = self {
            values.push(match value {
                None => f64::NAN,
                Some(Wide::Integer(v)) => v as f64,
                Some(Wide::Float(v)) => v,
            });
        }
    }

    /// Turns integers into floats.
    pub fn widen(&mut self) {
        if let Raw::Integer { values, missing } = self {
            let mut floats: Vec<f64> = std::mem::take(values).into_iter().map(|v| v as f64).collect();
            for &i in missing.iter() {
                floats[i as usize] = f64::NAN;
            }
            *self = Raw::Float(floats);
        }
    }

    fn push_floats(&mut self, array: impl Iterator<Item = Option<f64>>, name: &str) -> Result<()> {
        let Raw::Float(values) = self else {
            return Err(Error::internal(format!("column '{name}': floats for another type")));
        };
        for value in array {
            let value = value.unwrap_or(f64::NAN);
            if value.is_infinite() {
                return Err(Error::data(format!(
                    "column '{name}' holds {value}, which has no distance to other values: replace it, for example with \
                     nullif({name}, '{value}'), or filter it out (NaN is allowed and counts as missing)"
                )));
            }
            values.push(value + 0.0); // -0.0 and 0.0 are one value
        }
        Ok(())
    }

    fn push_texts<'a>(&mut self, array: impl Iterator<Item = Option<&'a str>>) {
        if let Raw::Text { codes, labels } = self {
            codes.extend(array.map(|label| label.map_or(MISSING, |l| labels.code(l))));
        }
    }
}

enum Wide {
    Integer(i128),
    Float(f64),
}
