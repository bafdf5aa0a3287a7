//! `date_shift(date, person, max_days)`: dates moved by a number of days that is the same for all dates of a person.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, FieldRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::keyed::Keyed;
use super::{check_count, constant, field, on_columns, texts};

const NAME: &str = "date_shift";
const USAGE: &str = "date_shift(date, person, max_days)";

/// A century is more than anybody wants.
const LARGEST: i64 = 36_525;

/// `date_shift(date, person, max_days BIGINT)` -> the type of date.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct DateShift {
    signature: Signature,
}

impl Default for DateShift {
    fn default() -> Self {
        // Stable: the key decides, and belongs to the session.
        Self { signature: Signature::user_defined(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for DateShift {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        check_count(types.len(), 3..=3, USAGE)?;
        let date = match &types[0] {
            date @ (DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) => date.clone(),
            DataType::Null => DataType::Date32,
            other => {
                return Err(DataFusionError::Plan(format!(
                    "{NAME}: date is {other}, allowed are dates and timestamps: cast it"
                )));
            }
        };
        if types[1].is_nested() {
            return Err(DataFusionError::Plan(format!("{NAME}: values of type {} have no text", types[1])));
        }
        if !types[2].is_integer() && !types[2].is_null() {
            return Err(DataFusionError::Plan(format!(
                "{NAME}: max_days is {}, allowed is an integer from 1 to {LARGEST}",
                types[2]
            )));
        }
        Ok(vec![date, types[1].clone(), DataType::Int64])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(Some(max_days)) = args.scalar_arguments.get(2) {
            check_max_days(max_days)?;
        }
        Ok(field(NAME, args.arg_fields[0].data_type().clone(), &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let max_days = check_max_days(constant(NAME, "max_days", &args.args[2])?)?;
        let keyed = Keyed::new(&args.config_options, NAME, "")?;
        on_columns(&args.args[..2], args.number_rows, |columns| {
            let persons = texts(NAME, &columns[1])?;
            let dates = &columns[0];
            let shifts = Shifts { keyed: &keyed, max_days, persons: &persons };
            const DAY: i64 = 86_400;
            match dates.data_type() {
                DataType::Date32 => shifts.apply::<Date32Type>(dates, 1),
                DataType::Date64 => shifts.apply::<Date64Type>(dates, DAY * 1_000),
                DataType::Timestamp(TimeUnit::Second, _) => shifts.apply::<TimestampSecondType>(dates, DAY),
                DataType::Timestamp(TimeUnit::Millisecond, _) => {
                    shifts.apply::<TimestampMillisecondType>(dates, DAY * 1_000)
                }
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    shifts.apply::<TimestampMicrosecondType>(dates, DAY * 1_000_000)
                }
                DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                    shifts.apply::<TimestampNanosecondType>(dates, DAY * 1_000_000_000)
                }
                other => Err(DataFusionError::Internal(format!("{NAME} of {other}"))),
            }
        })
    }
}

fn check_max_days(max_days: &ScalarValue) -> Result<i64> {
    match max_days {
        ScalarValue::Int64(Some(days)) if (1..=LARGEST).contains(days) => Ok(*days),
        other => Err(DataFusionError::Plan(format!(
            "{NAME}: max_days is {other}, allowed is an integer from 1 to {LARGEST}"
        ))),
    }
}

struct Shifts<'a> {
    keyed: &'a Keyed,
    max_days: i64,
    persons: &'a StringArray,
}

impl Shifts<'_> {
    /// The dates moved, for a type with `ticks` a day.
    fn apply<T: ArrowPrimitiveType>(&self, dates: &ArrayRef, ticks: i64) -> Result<ArrayRef>
    where
        T::Native: TryFrom<i64> + Into<i64>,
    {
        let array = dates.as_primitive::<T>();
        let overflow = |row: usize, days: i64| {
            let shown = ScalarValue::try_from_array(dates, row).map_or_else(|_| "a date".into(), |d| d.to_string());
            DataFusionError::Execution(format!("{NAME}: {shown} moved by {days} days does not fit {}", T::DATA_TYPE))
        };
        // Rows of a person often stand together.
        let mut last: Option<(&str, i64)> = None;
        let mut moved = PrimitiveArray::<T>::builder(array.len()).with_data_type(dates.data_type().clone());
        for (row, (date, person)) in array.iter().zip(self.persons).enumerate() {
            let (Some(date), Some(person)) = (date, person) else {
                moved.append_null();
                continue;
            };
            let days = match last {
                Some((known, days)) if known == person => days,
                _ => self.days(person),
            };
            last = Some((person, days));
            let value = date.into().checked_add(days * ticks).and_then(|v| T::Native::try_from(v).ok());
            moved.append_value(value.ok_or_else(|| overflow(row, days))?);
        }
        Ok(Arc::new(moved.finish()))
    }

    /// Uniform over -max_days to max_days without 0: 128 bits leave no bias that anybody could find.
    fn days(&self, person: &str) -> i64 {
        let place = (self.keyed.hash(person) % (2 * self.max_days as u128)) as i64;
        if place < self.max_days { place - self.max_days } else { place - self.max_days + 1 }
    }
}
