//! What the encoded numbers of a column measure, so that columns of different units can be compared exactly.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, DurationNanosecondType, Time64NanosecondType, TimeUnit, TimestampNanosecondType};

use crate::column::value_type;
use crate::{Column, Domain, Error, NumberDomain, NumberKind, Result};

/// What a number is an amount of. Only numbers of the same measure compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A plain number.
    Number,
    /// A date or timestamp; nanoseconds since 1970.
    Instant,
    /// A time of day; nanoseconds since midnight.
    Time,
    /// A duration; nanoseconds.
    Duration,
}

/// The measure of a number column and the way from its encoded values to amounts of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// What is measured.
    pub measure: Measure,
    /// Decimal places of the type.
    pub places: u8,
    /// Amount of a stored integer's unit, before the decimal places.
    unit: i128,
    domain: NumberDomain,
}

/// More decimal places than these are compared as floats.
const MAX_PLACES: u8 = 9;

impl Scale {
    /// Of a number column; `None` for others.
    pub fn of(column: &Column) -> Option<Scale> {
        let Domain::Number(domain) = column.domain else { return None };
        let nanoseconds = |unit: &TimeUnit| match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1000,
            TimeUnit::Nanosecond => 1,
        };
        let (measure, unit, places) = match value_type(column.field.data_type()) {
            DataType::Date32 => (Measure::Instant, 86_400_000_000_000, 0),
            DataType::Date64 => (Measure::Instant, 1_000_000, 0),
            DataType::Timestamp(unit, _) => (Measure::Instant, nanoseconds(unit), 0),
            DataType::Time32(unit) | DataType::Time64(unit) => (Measure::Time, nanoseconds(unit), 0),
            DataType::Duration(unit) => (Measure::Duration, nanoseconds(unit), 0),
            DataType::Decimal32(_, s)
            | DataType::Decimal64(_, s)
            | DataType::Decimal128(_, s)
            | DataType::Decimal256(_, s) => {
                (Measure::Number, 10i128.pow(u32::from(s.min(&0).unsigned_abs().min(18))), (*s).max(0) as u8)
            }
            _ => (Measure::Number, 1, 0),
        };
        Some(Scale { measure, unit, places, domain })
    }

    /// Amount of encoded 0 and of a step, in units of 10^-`places`: exact, and `None` for floats and for more places than
    /// that. `places` is not below those of the type.
    pub fn line(&self, places: u8) -> Option<(i128, i128)> {
        let NumberKind::Integer { base, step } = self.domain.kind else { return None };
        if places < self.places || places > MAX_PLACES {
            return None;
        }
        let unit = self.unit * 10i128.pow(u32::from(places - self.places));
        Some((i128::from(base) * unit, i128::from(step.max(1)) * unit))
    }

    /// Amount of encoded 0 and of a step, as floats.
    pub fn float_line(&self) -> (f64, f64) {
        let unit = self.unit as f64 / 10f64.powi(i32::from(self.places));
        match self.domain.kind {
            NumberKind::Integer { base, step } => (base as f64 * unit, step as f64 * unit),
            NumberKind::Float { .. } => (0.0, unit),
        }
    }

    /// The amount that a constant written in a constraint stands for: a number, or a date, timestamp, time or duration as
    /// SQL casts it from a string. An argument error that says what is allowed.
    pub fn parse(&self, text: &str) -> Result<Amount> {
        let refuse = |what: &str| Error::argument(format!("'{text}' is no {what}"));
        let to = match self.measure {
            Measure::Number => {
                let number = text.parse::<f64>().ok().filter(|v| v.is_finite());
                return number.map(Amount::Float).ok_or_else(|| refuse("number"));
            }
            Measure::Instant => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Measure::Time => DataType::Time64(TimeUnit::Nanosecond),
            Measure::Duration => DataType::Duration(TimeUnit::Nanosecond),
        };
        let what = match self.measure {
            Measure::Instant => "date or timestamp such as '2024-01-31' or '2024-01-31T12:00:00'",
            Measure::Time => "time such as '12:00:00'",
            _ => "whole number of nanoseconds",
        };
        let array: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let options = CastOptions { safe: true, ..Default::default() };
        let array = match self.measure {
            Measure::Duration => cast_with_options(&array, &DataType::Int64, &options)
                .and_then(|integers| cast_with_options(&integers, &to, &options)),
            _ => cast_with_options(&array, &to, &options),
        };
        let array = array.ok().filter(|a| a.null_count() == 0).ok_or_else(|| refuse(what))?;
        Ok(Amount::Exact(i128::from(match self.measure {
            Measure::Instant => array.as_primitive::<TimestampNanosecondType>().value(0),
            Measure::Time => array.as_primitive::<Time64NanosecondType>().value(0),
            _ => array.as_primitive::<DurationNanosecondType>().value(0),
        })))
    }

    /// How an encoded value compares with an amount; `None` when it is missing.
    pub fn compare(&self, value: f64, amount: Amount) -> Option<Ordering> {
        match (amount, self.line(0)) {
            _ if value.is_nan() => None,
            (Amount::Exact(amount), Some((base, step))) => Some((base + step * value.round() as i128).cmp(&amount)),
            (amount, _) => {
                let (base, step) = self.float_line();
                (base + step * value).partial_cmp(&amount.float())
            }
        }
    }
}

/// An amount of a [`Measure`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// Of plain numbers.
    Float(f64),
    /// Nanoseconds.
    Exact(i128),
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Amount::Exact(a), Amount::Exact(b)) => Some(a.cmp(b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }
}

impl Amount {
    /// As a float.
    pub fn float(self) -> f64 {
        match self {
            Amount::Float(v) => v,
            Amount::Exact(v) => v as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;
    use crate::Values;

    fn scale(data_type: DataType, kind: NumberKind) -> Scale {
        let domain = Domain::Number(NumberDomain { kind, min: 0.0, max: 9.0 });
        let field = Arc::new(Field::new("x", data_type, true));
        Scale::of(&Column { field, domain, values: Values::Omitted }).unwrap()
    }

    #[test]
    fn units_worked_by_hand() {
        let integer = |base, step| NumberKind::Integer { base, step };
        let date = scale(DataType::Date32, integer(0, 1));
        let minutes = scale(DataType::Timestamp(TimeUnit::Second, None), integer(86_400, 60));
        assert_eq!(
            (date.line(0), minutes.line(0)),
            (Some((0, 86_400_000_000_000)), Some((86_400_000_000_000, 60_000_000_000)))
        );
        // Day 1 is minute 0, and before minute 1.
        let day = date.parse("1970-01-02").unwrap();
        assert_eq!(day, Amount::Exact(86_400_000_000_000));
        assert_eq!(minutes.compare(0.0, day), Some(Ordering::Equal));
        assert_eq!(minutes.compare(1.0, day), Some(Ordering::Greater));
        assert_eq!(minutes.compare(f64::NAN, day), None);
        let price = scale(DataType::Decimal128(9, 2), integer(0, 1));
        assert_eq!((price.line(3), price.line(1)), (Some((0, 10)), None));
        assert_eq!(price.compare(10.0, price.parse("0.1").unwrap()), Some(Ordering::Equal));
        assert_eq!(
            date.parse("soon").unwrap_err().message(),
            "'soon' is no date or timestamp such as '2024-01-31' or '2024-01-31T12:00:00'"
        );
    }
}
