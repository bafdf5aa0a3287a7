//! Numbers, dates and times as numbers: exact whole ones where the type allows it.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use lookalike_core::Result;
use std::sync::Arc;

/// Ascending distinct values.
#[derive(Debug)]
pub(super) enum Keys {
    /// Integers, or what is stored as integers: days, ticks.
    Whole(Vec<i64>),
    /// Floats, decimals and integers beyond 64 bits.
    Real(Vec<f64>),
}

/// One value beside the keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Key {
    Whole(i64),
    Real(f64),
}

impl Keys {
    /// Keys of the first `present` of sorted values; `None` for types without distances.
    pub fn new(distinct: &ArrayRef, present: usize) -> Result<Option<Self>> {
        let values = distinct.slice(0, present);
        let data_type = distinct.data_type();
        if !data_type.is_numeric() && !data_type.is_temporal() {
            return Ok(None);
        }
        Ok(Some(match whole(&values) {
            Some(values) => Keys::Whole(values.into_iter().flatten().collect()),
            None => Keys::Real(real(&values)?.into_iter().flatten().collect()),
        }))
    }

    /// Keys of other values of the type `data_type` of these; `None` for what does not fit.
    pub fn convert(&self, values: &ArrayRef, data_type: &DataType) -> Result<Vec<Option<Key>>> {
        let none = || vec![None; values.len()];
        let from = values.data_type();
        if from.is_numeric() && data_type.is_numeric() {
            return Ok(match self {
                Keys::Whole(_) => match whole(values) {
                    Some(values) => values.into_iter().map(|v| v.map(Key::Whole)).collect(),
                    // 34.0 is 34; 34.5 is no whole number.
                    None => real(values)?.into_iter().map(|v| v.and_then(exact).map(Key::Whole)).collect(),
                },
                Keys::Real(_) => real(values)?.into_iter().map(|v| v.map(Key::Real)).collect(),
            });
        }
        // A timestamp that is no whole day is no date: only what comes back unchanged has been converted.
        let to = |values: &ArrayRef, data_type| cast_with_options(values, data_type, &CastOptions::default());
        let Ok(there) = to(values, data_type) else { return Ok(none()) };
        if from != data_type && *from != DataType::Utf8 {
            let Ok(back) = to(&there, from) else { return Ok(none()) };
            let unchanged = arrow::row::RowConverter::new(vec![arrow::row::SortField::new(from.clone())])
                .and_then(|c| Ok((c.convert_columns(&[Arc::clone(values)])?, c.convert_columns(&[back])?)))?;
            let keys = self.keys_of(&there)?;
            return Ok((0..values.len())
                .map(|i| keys[i].filter(|_| unchanged.0.row(i) == unchanged.1.row(i)))
                .collect());
        }
        self.keys_of(&there)
    }

    fn keys_of(&self, values: &ArrayRef) -> Result<Vec<Option<Key>>> {
        Ok(match (self, whole(values)) {
            (Keys::Whole(_), Some(values)) => values.into_iter().map(|v| v.map(Key::Whole)).collect(),
            _ => real(values)?.into_iter().map(|v| v.map(Key::Real)).collect(),
        })
    }

    /// Key of a text as `CAST` reads it; a number with a fraction where keys are whole is `Real`.
    pub fn parse(&self, text: &str, data_type: &DataType) -> Option<Key> {
        let text = text.trim();
        let array: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let cast = cast_with_options(&array, data_type, &CastOptions::default()).ok();
        if let Some(key) = cast.and_then(|array| self.keys_of(&array).ok()?.first().copied().flatten()) {
            return Some(key);
        }
        let number = data_type.is_numeric().then(|| text.parse::<f64>().ok().filter(|v| v.is_finite()))??;
        match self {
            Keys::Whole(_) => exact(number).map(Key::Whole).or(Some(Key::Real(number))),
            Keys::Real(_) => Some(Key::Real(number)),
        }
    }

    /// Number of keys below the given one or, with `included`, not above it.
    pub fn below(&self, key: Key, included: bool) -> u32 {
        let before = |order: std::cmp::Ordering| if included { order.is_le() } else { order.is_lt() };
        let place = match (self, key) {
            (Keys::Whole(keys), Key::Whole(key)) => keys.partition_point(|k| before(k.cmp(&key))),
            (Keys::Whole(keys), Key::Real(key)) => keys.partition_point(|k| before((*k as f64).total_cmp(&key))),
            (Keys::Real(keys), Key::Real(key)) => keys.partition_point(|k| before(k.total_cmp(&key))),
            (Keys::Real(keys), Key::Whole(key)) => keys.partition_point(|k| before(k.total_cmp(&(key as f64)))),
        };
        place as u32
    }

    /// Width of a closed interval over that of all keys, 0 to 1: what lies outside of all keys does not count.
    pub fn width(&self, lower: Key, upper: Key) -> f64 {
        let Some((first, last)) = self.ends() else { return 0.0 };
        let all = last - first;
        if all <= 0.0 {
            return 0.0;
        }
        let (lower, upper) = (self.position(lower).clamp(first, last), self.position(upper).clamp(first, last));
        ((upper - lower) / all).clamp(0.0, 1.0)
    }

    /// Distance from the first key.
    fn position(&self, key: Key) -> f64 {
        match (self, key) {
            // Exact for ticks far from 0.
            (Keys::Whole(keys), Key::Whole(key)) => {
                keys.first().map_or(0.0, |first| (i128::from(key) - i128::from(*first)) as f64)
            }
            (Keys::Whole(keys), Key::Real(key)) => keys.first().map_or(0.0, |first| key - *first as f64),
            (Keys::Real(keys), Key::Real(key)) => keys.first().map_or(0.0, |first| key - first),
            (Keys::Real(keys), Key::Whole(key)) => keys.first().map_or(0.0, |first| key as f64 - first),
        }
    }

    fn ends(&self) -> Option<(f64, f64)> {
        let last = match self {
            Keys::Whole(keys) => Key::Whole(*keys.last()?),
            Keys::Real(keys) => Key::Real(*keys.last()?),
        };
        Some((0.0, self.position(last)))
    }
}

/// The integer that a float is, if it is one that a float can hold exactly.
fn exact(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
}

/// Values as whole numbers, where all of their type are.
fn whole(values: &ArrayRef) -> Option<Vec<Option<i64>>> {
    use DataType::*;
    let stored = match values.data_type() {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 => cast(values, &Int64).ok()?,
        UInt64 => {
            let cast = cast(values, &Int64).ok()?;
            (cast.null_count() == values.null_count()).then_some(cast)?
        }
        Date32 | Time32(_) => cast(&cast(values, &Int32).ok()?, &Int64).ok()?,
        Date64 | Time64(_) | Timestamp(..) | Duration(_) => cast(values, &Int64).ok()?,
        _ => return None,
    };
    Some(stored.as_primitive::<Int64Type>().iter().collect())
}

fn real(values: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let floats = match values.data_type() {
        t if t.is_temporal() => cast(&cast(values, &DataType::Int64)?, &DataType::Float64)?,
        _ => cast(values, &DataType::Float64)?,
    };
    // -0.0 is 0.0.
    Ok(floats.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| v + 0.0)).collect())
}
