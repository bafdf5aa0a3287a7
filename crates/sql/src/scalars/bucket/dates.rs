//! Buckets of dates and timestamps. date_bin and date_trunc of the engine count in 64-bit nanoseconds: dates outside of
//! 1677 to 2262, such as 9999-12-31 for "open", would become NULL or fail. Days and months are counted here instead;
//! timestamps of a time zone, whose days need its rules, go to date_trunc.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    DataType, Field, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use lookalike_anonymize::calendar::{civil_from_days, days_from_civil};

use super::NAME;
use crate::scalars::cast_exactly;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Named periods: months, or nanoseconds, and the day on which one of them starts.
const NAMED: [(&str, Length, i64); 9] = [
    ("second", Length::Nanoseconds(SECOND), 0),
    ("minute", Length::Nanoseconds(60 * SECOND), 0),
    ("hour", Length::Nanoseconds(3_600 * SECOND), 0),
    ("day", Length::Nanoseconds(DAY), 0),
    // 1969-12-29 was a Monday.
    ("week", Length::Nanoseconds(7 * DAY), -3),
    ("month", Length::Months(1), 0),
    ("quarter", Length::Months(3), 0),
    ("year", Length::Months(12), 0),
    ("decade", Length::Months(120), 0),
];

#[derive(Debug, Clone, Copy)]
enum Length {
    Months(i64),
    Nanoseconds(i64),
}

/// Periods of one length.
pub(super) enum Period {
    /// So many months, starting with the origin's, counted from year 0.
    Months { months: i64, origin: i64, ticks_a_day: i64 },
    /// So many units of the type, starting at the origin.
    Ticks { ticks: i64, origin: i64 },
    /// A name that date_trunc knows, in the time zone of the values.
    Zoned(&'static str),
}

fn plan_error<T>(message: String) -> Result<T> {
    Err(DataFusionError::Plan(format!("{NAME}: {message}")))
}

impl Period {
    pub fn new(data_type: &DataType, width: &ScalarValue, origin: Option<&ScalarValue>) -> Result<Self> {
        let (length, first_day, name) = length(width)?;
        let ticks_a_day: i64 = match data_type {
            DataType::Date32 => 1,
            DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => DAY / 1_000_000,
            DataType::Timestamp(TimeUnit::Second, _) => 86_400,
            DataType::Timestamp(TimeUnit::Microsecond, _) => DAY / 1_000,
            _ => DAY,
        };
        if let DataType::Timestamp(_, Some(zone)) = data_type
            && !matches!(zone.as_ref(), "UTC" | "+00:00" | "Z")
        {
            return match name.filter(|name| *name != "decade" && origin.is_none()) {
                Some(name) => Ok(Self::Zoned(name)),
                None => plan_error(format!(
                    "timestamps of time zone {zone} take the widths second to year without an origin: cast them to \
                     TIMESTAMP for others"
                )),
            };
        }
        let origin = match origin {
            Some(origin) => match origin.cast_to(data_type).and_then(|o| ticks(&o.to_array()?)) {
                Ok(ticks) if ticks.is_valid(0) => ticks.value(0),
                _ => return plan_error(format!("origin is {origin}, allowed is a date or timestamp")),
            },
            None => first_day * ticks_a_day,
        };
        match length {
            Length::Months(months) => {
                let (year, month, day) = civil_from_days(origin.div_euclid(ticks_a_day));
                if day != 1 || origin.rem_euclid(ticks_a_day) != 0 {
                    return plan_error(
                        "the origin of months, quarters, years and decades is the beginning of a month".into(),
                    );
                }
                Ok(Self::Months { months, origin: year * 12 + month - 1, ticks_a_day })
            }
            Length::Nanoseconds(nanoseconds) => {
                let unit = DAY / ticks_a_day;
                let finer = match data_type {
                    DataType::Date32 | DataType::Date64 => nanoseconds % DAY != 0,
                    _ => nanoseconds % unit != 0,
                };
                if finer {
                    return plan_error(format!("the width {width} is finer than {data_type}"));
                }
                Ok(Self::Ticks { ticks: nanoseconds / unit, origin })
            }
        }
    }

    /// Starts of the periods that hold the values.
    pub fn start(&self, values: &ArrayRef, options: &Arc<ConfigOptions>) -> Result<ArrayRef> {
        let data_type = values.data_type();
        if let Self::Zoned(name) = self {
            return truncate(name, values, options);
        }
        let starts: PrimitiveArray<Int64Type> = ticks(values)?.try_unary(|value| {
            self.start_of(value).ok_or_else(|| {
                DataFusionError::Execution(format!("{NAME}: the start of a period lies outside of {data_type}"))
            })
        })?;
        let starts: ArrayRef = match data_type {
            DataType::Date32 => cast_exactly(&(Arc::new(starts) as ArrayRef), &DataType::Int32)?,
            _ => Arc::new(starts),
        };
        cast_exactly(&starts, data_type)
    }

    fn start_of(&self, value: i64) -> Option<i64> {
        match *self {
            Self::Months { months, origin, ticks_a_day } => {
                let (year, month, _) = civil_from_days(value.div_euclid(ticks_a_day));
                let months_since = year * 12 + month - 1 - origin;
                let start = origin + months_since - months_since.rem_euclid(months);
                days_from_civil(start.div_euclid(12), start.rem_euclid(12) + 1, 1).checked_mul(ticks_a_day)
            }
            Self::Ticks { ticks, origin } => value.checked_sub(value.checked_sub(origin)?.rem_euclid(ticks)),
            Self::Zoned(_) => None,
        }
    }
}

/// Length, day of a start, and name of a width.
fn length(width: &ScalarValue) -> Result<(Length, i64, Option<&'static str>)> {
    if let Some(given) = width.try_as_str().flatten() {
        let named = NAMED.iter().find(|(name, ..)| name.eq_ignore_ascii_case(given.trim()));
        return match named {
            Some((name, length, day)) => Ok((*length, *day, Some(name))),
            None => plan_error(format!(
                "width is '{given}', allowed are {} or an INTERVAL",
                lookalike_core::list_names(NAMED.iter().map(|(name, ..)| *name))
            )),
        };
    }
    let (months, nanoseconds): (i64, Option<i64>) = match width {
        ScalarValue::IntervalYearMonth(Some(months)) => ((*months).into(), Some(0)),
        ScalarValue::IntervalDayTime(Some(interval)) => {
            let (days, milliseconds) = IntervalDayTimeType::to_parts(*interval);
            let time = i64::from(milliseconds) * 1_000_000;
            (0, i64::from(days).checked_mul(DAY).and_then(|d| d.checked_add(time)))
        }
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            let (months, days, time) = IntervalMonthDayNanoType::to_parts(*interval);
            (months.into(), i64::from(days).checked_mul(DAY).and_then(|d| d.checked_add(time)))
        }
        other => {
            return plan_error(format!(
                "width is {other}, allowed beside dates and timestamps are a name such as 'month' or an INTERVAL"
            ));
        }
    };
    match (months, nanoseconds) {
        (1.., Some(0)) => Ok((Length::Months(months), 0, None)),
        (0, Some(nanoseconds @ 1..)) => Ok((Length::Nanoseconds(nanoseconds), 0, None)),
        (0, None) => plan_error("the width is too long".into()),
        (1.., _) => plan_error("the width mixes months with days, which have no fixed length together".into()),
        _ => plan_error(format!("width is {width}, allowed is an interval above 0")),
    }
}

/// The stored integers of dates and timestamps.
fn ticks(values: &ArrayRef) -> Result<PrimitiveArray<Int64Type>> {
    let values = match values.data_type() {
        DataType::Date32 => cast_exactly(values, &DataType::Int32)?,
        _ => Arc::clone(values),
    };
    Ok(cast_exactly(&values, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn truncate(name: &str, values: &ArrayRef, options: &Arc<ConfigOptions>) -> Result<ArrayRef> {
    let field = |name: &str, data_type: &DataType| Arc::new(Field::new(name, data_type.clone(), true));
    let args = ScalarFunctionArgs {
        args: vec![ColumnarValue::Scalar(ScalarValue::from(name)), ColumnarValue::Array(Arc::clone(values))],
        arg_fields: vec![field("width", &DataType::Utf8), field("value", values.data_type())],
        number_rows: values.len(),
        return_field: field(NAME, values.data_type()),
        config_options: Arc::clone(options),
    };
    datafusion::functions::datetime::date_trunc().invoke_with_args(args)?.into_array(values.len())
}
