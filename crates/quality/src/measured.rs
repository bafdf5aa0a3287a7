//! Columns in the units of their values, both tables side by side.

use arrow::datatypes::{DataType, TimeUnit};
use lookalike_core::{Column, Domain, Error, Frame, Job, NumberKind, Reservation, Result, Values};

/// Equal-width bins of a number column, as many as numpy's `histogram_bin_edges` has by default.
pub(crate) const BINS: usize = 10;

/// A column of both tables.
pub(crate) struct Measured {
    pub name: String,
    pub values: Sides,
}

/// Values of a column: those of the real rows, then those of the synthetic ones.
pub(crate) enum Sides {
    /// Numbers in the units of the column, NaN for NULL.
    Numbers { values: [Vec<f64>; 2], bits: u8, unit: Option<&'static str> },
    /// Codes below `labels`, `labels` for NULL.
    Codes { values: [Vec<u32>; 2], labels: u32 },
}

/// Columns that are compared, without identifiers, in the order of the input; rows in canonical order.
pub(crate) struct Columns {
    pub all: Vec<Measured>,
    /// Rows of the real and of the synthetic table.
    pub rows: [usize; 2],
    _memory: Reservation,
}

impl Columns {
    /// Of two frames that were encoded together.
    pub fn new(real: &Frame, synthetic: &Frame, job: &Job) -> Result<Self> {
        let memory = job.reserve(real.memory() + synthetic.memory(), "columns to compare")?;
        let frames = [real, synthetic];
        let orders = frames.map(Frame::canonical_order);
        let mut all = vec![];
        for (i, column) in real.columns().iter().enumerate() {
            job.check()?;
            let sides = [0, 1].map(|side| frames[side].columns().get(i).map(|c| c.values.gather(&orders[side])));
            let values = match (&column.domain, sides) {
                (Domain::Identifier(_), _) => continue,
                (Domain::Number(_), [Some(Values::Number(a)), Some(Values::Number(b))]) => numbers(column, [a, b]),
                (Domain::Category(domain), [Some(Values::Code(a)), Some(Values::Code(b))]) => {
                    let labels = domain.labels.len() as u32;
                    let codes = |codes: Vec<u32>| codes.into_iter().map(|c| c.min(labels)).collect();
                    Sides::Codes { values: [codes(a), codes(b)], labels }
                }
                _ => return Err(Error::internal("relations with different columns are compared")),
            };
            all.push(Measured { name: column.name().to_string(), values });
        }
        Ok(Self { all, rows: frames.map(Frame::rows), _memory: memory })
    }
}

fn numbers(column: &Column, sides: [Vec<f64>; 2]) -> Sides {
    let bits = match &column.domain {
        Domain::Number(domain) => match domain.kind {
            NumberKind::Float { bits, .. } => bits,
            NumberKind::Integer { .. } => 64,
        },
        _ => 64,
    };
    let (_, unit) = scale(column.field.data_type());
    let values = sides.map(|values| in_units(column, &values));
    Sides::Numbers { values, bits, unit }
}

/// Encoded numbers in the units of the column: days of dates, seconds of times, the value of anything else.
pub(crate) fn in_units(column: &Column, values: &[f64]) -> Vec<f64> {
    let Domain::Number(domain) = &column.domain else { return values.to_vec() };
    let (divisor, _) = scale(column.field.data_type());
    let of = |v: &f64| match domain.stored(*v) {
        _ if v.is_nan() => f64::NAN,
        Some(stored) => stored as f64 / divisor,
        None => v / divisor,
    };
    values.iter().map(of).collect()
}

/// What a stored number is divided by, and the unit it has then where the type does not say.
pub(crate) fn scale(data_type: &DataType) -> (f64, Option<&'static str>) {
    let ticks = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1.0,
        TimeUnit::Millisecond => 1e3,
        TimeUnit::Microsecond => 1e6,
        TimeUnit::Nanosecond => 1e9,
    };
    match data_type {
        DataType::Dictionary(_, values) => scale(values),
        DataType::RunEndEncoded(_, values) => scale(values.data_type()),
        DataType::Date32 => (1.0, Some("days")),
        DataType::Date64 => (86_400_000.0, Some("days")),
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) | DataType::Duration(unit) => {
            (ticks(unit), Some("seconds"))
        }
        DataType::Decimal32(_, s)
        | DataType::Decimal64(_, s)
        | DataType::Decimal128(_, s)
        | DataType::Decimal256(_, s) => (10f64.powi(i32::from(*s)), None),
        _ => (1.0, None),
    }
}

/// Edges of equal-width bins from the smallest to the largest value, as numpy's `linspace` has them; around a single
/// value 1 wide, without any from 0 to 1. Of 32 bits where the column is.
pub(crate) fn edges(values: &[f64], bits: u8) -> Vec<f64> {
    let present = || values.iter().copied().filter(|v| !v.is_nan());
    let (mut low, mut high) = match (present().reduce(f64::min), present().reduce(f64::max)) {
        (Some(low), Some(high)) => (low, high),
        _ => (0.0, 1.0),
    };
    if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let mut edges: Vec<f64> = if bits == 32 {
        let (low, high) = (low as f32, high as f32);
        let step = (high - low) / BINS as f32;
        (0..=BINS).map(|i| f64::from(i as f32 * step + low)).collect()
    } else {
        let step = (high - low) / BINS as f64;
        (0..=BINS).map(|i| i as f64 * step + low).collect()
    };
    edges[BINS] = high;
    edges
}
