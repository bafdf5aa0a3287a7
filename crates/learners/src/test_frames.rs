//! Small frames for the tests of this crate and of those that include this file.

#![allow(dead_code)] // none of them uses all of it

use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, Field};
use lookalike_core::{
    CategoryDomain, Column, Domain, Frame, Host, IdentifierDomain, Job, MISSING, NumberDomain, NumberKind, Result,
    Stream, Streams, Units, Values, uniform,
};
use rand::RngCore;

/// A number column; NaN is NULL.
pub fn numbers(name: &str, values: &[f64]) -> Column {
    let present = || values.iter().copied().filter(|v| !v.is_nan());
    let kind = NumberKind::Float { decimals: None, bits: 64 };
    let (min, max) = (present().reduce(f64::min).unwrap_or(f64::NAN), present().reduce(f64::max).unwrap_or(f64::NAN));
    Column {
        field: Arc::new(Field::new(name, DataType::Float64, true)),
        domain: Domain::Number(NumberDomain { kind, min, max }),
        values: Values::Number(values.to_vec()),
    }
}

/// A category column of so many labels.
pub fn codes(name: &str, labels: usize, values: &[u32]) -> Column {
    let labels = (0..labels).map(|l| format!("{l:06}")).collect();
    Column {
        field: Arc::new(Field::new(name, DataType::Utf8, true)),
        domain: Domain::Category(Arc::new(CategoryDomain { labels })),
        values: Values::Code(values.to_vec()),
    }
}

/// An identifier column.
pub fn identifier(name: &str) -> Column {
    Column {
        field: Arc::new(Field::new(name, DataType::Int64, true)),
        domain: Domain::Identifier(IdentifierDomain::Integer { first: 0, direction: 1 }),
        values: Values::Omitted,
    }
}

/// A frame of columns of equal length.
pub fn frame(columns: Vec<Column>) -> Frame {
    let rows = columns
        .iter()
        .map(|c| match &c.values {
            Values::Number(v) => v.len(),
            Values::Code(v) => v.len(),
            Values::Omitted => 0,
        })
        .max();
    Frame::new(rows.unwrap_or(0), columns, None)
}

/// The same frame with the person of each row.
pub fn with_units(frame: Frame, codes: Vec<u32>) -> Frame {
    let count = codes.iter().max().map_or(0, |m| m + 1);
    Frame::new(frame.rows(), frame.columns().to_vec(), Some(Units { codes, count }))
}

pub fn stream(seed: u64) -> Stream {
    Streams::new(seed, "test").block(0)
}

/// A permutation of the rows.
pub fn shuffled(rows: usize, seed: u64) -> Vec<u32> {
    let mut rng = stream(seed);
    let mut order: Vec<u32> = (0..rows as u32).collect();
    order.sort_by_cached_key(|_| rng.next_u64());
    order
}

/// What a column of a random frame holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Uniform in [0, 1).
    Uniform,
    /// Integers below a bound, so that many distances tie.
    Grid(u32),
    /// Far outliers, huge offsets and tiny differences.
    Wild,
    /// One value.
    Constant,
    /// Codes below a number of labels.
    Codes(u32),
}

/// Random rows; about one value in `missing` is NULL (never when it is 0).
pub fn random(kinds: &[Kind], rows: usize, missing: u32, rng: &mut Stream) -> Frame {
    let mut columns = vec![];
    for (c, kind) in kinds.iter().enumerate() {
        let name = format!("c{c}");
        let is_missing = |rng: &mut Stream| missing > 0 && rng.next_u32().is_multiple_of(missing);
        if let Kind::Codes(labels) = *kind {
            let values: Vec<u32> =
                (0..rows).map(|_| if is_missing(rng) { MISSING } else { rng.next_u32() % labels }).collect();
            columns.push(codes(&name, labels as usize, &values));
            continue;
        }
        let values: Vec<f64> = (0..rows)
            .map(|_| {
                if is_missing(rng) {
                    return f64::NAN;
                }
                match *kind {
                    Kind::Uniform | Kind::Codes(_) => uniform(rng),
                    Kind::Grid(bound) => f64::from(rng.next_u32() % bound),
                    Kind::Constant => 7.5,
                    Kind::Wild => match rng.next_u32() % 8 {
                        0 => 1e9 * uniform(rng),
                        1 => -1e5 * uniform(rng),
                        2 => 1e-12 * uniform(rng),
                        3 => 0.0,
                        _ => 1.0 + 1e-9 * f64::from(rng.next_u32() % 5),
                    },
                }
            })
            .collect();
        columns.push(numbers(&name, &values));
    }
    frame(columns)
}

/// Two frames' rows in one frame.
pub fn stacked(a: &Frame, b: &Frame) -> Frame {
    Frame::stack(&[a, b]).unwrap()
}

/// Frames of tables in JSON, `{column: [value, ...]}` each, encoded together: a column with a number is one of numbers,
/// others are categories of all labels in ascending order.
pub fn from_json(tables: &[&serde_json::Value]) -> Vec<Frame> {
    let cells = |table: &serde_json::Value, name: &str| table[name].as_array().unwrap().clone();
    let names: Vec<&String> = tables[0].as_object().unwrap().keys().collect();
    let mut frames = vec![vec![]; tables.len()];
    for name in names {
        let mut labels: Vec<String> =
            tables.iter().flat_map(|t| cells(t, name)).filter_map(|v| v.as_str().map(str::to_string)).collect();
        labels.sort();
        labels.dedup();
        for (frame, table) in frames.iter_mut().zip(tables) {
            let cells = cells(table, name);
            frame.push(match labels.is_empty() {
                true => numbers(name, &cells.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect::<Vec<_>>()),
                false => {
                    let code = |v: &serde_json::Value| {
                        v.as_str().map_or(MISSING, |v| labels.binary_search(&v.to_string()).unwrap() as u32)
                    };
                    let mut column = codes(name, 0, &cells.iter().map(code).collect::<Vec<_>>());
                    column.domain = Domain::Category(Arc::new(CategoryDomain { labels: labels.clone() }));
                    column
                }
            });
        }
    }
    frames.into_iter().map(frame).collect()
}

/// Keeps the warnings of a job.
#[derive(Default)]
pub struct Warned(Mutex<Vec<String>>);

impl Warned {
    /// A job without limits, and its warnings.
    pub fn job() -> (Job, Arc<Self>) {
        let warned = Arc::new(Self::default());
        (Job::new(Arc::clone(&warned) as Arc<dyn Host>), warned)
    }

    /// The warnings so far.
    pub fn messages(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Host for Warned {
    fn cancelled(&self) -> bool {
        false
    }
    fn grow(&self, _: usize, _: &str) -> Result<()> {
        Ok(())
    }
    fn shrink(&self, _: usize) {}
    fn count(&self, _: &'static str, _: usize) {}
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_string());
    }
}
