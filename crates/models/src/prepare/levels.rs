//! Distinct values of a column of either role.

use std::cmp::Ordering;
use std::ops::Range;

use lookalike_core::{Column, Domain, MISSING, Result, Role, Values};

use crate::codec::{Reader, Writer, inconsistent};

/// One value of a column. Missing values are equal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    Code(u32),
    Number(f64),
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Level::Code(a), Level::Code(b)) => a == b,
            (Level::Number(a), Level::Number(b)) => a == b || a.is_nan() && b.is_nan(),
            _ => false,
        }
    }
}

impl Level {
    /// The value of a row. Identifiers have none, which is missing.
    pub fn at(values: &Values, row: usize) -> Level {
        match values {
            Values::Number(v) => Level::Number(v[row]),
            Values::Code(v) => Level::Code(v[row]),
            Values::Omitted => Level::Code(MISSING),
        }
    }

    /// The value of every row.
    pub fn all(values: &Values) -> impl Iterator<Item = Level> + '_ {
        let rows = match values {
            Values::Number(v) => v.len(),
            Values::Code(v) => v.len(),
            Values::Omitted => 0,
        };
        (0..rows).map(move |row| Level::at(values, row))
    }

    /// Writes it into a row of a column of its role.
    pub fn put(self, values: &mut Values, row: usize) {
        match (self, values) {
            (Level::Number(value), Values::Number(values)) => values[row] = value,
            (Level::Code(code), Values::Code(codes)) => codes[row] = code,
            _ => {}
        }
    }

    /// So many rows of it.
    pub fn repeat(self, rows: usize) -> Values {
        match self {
            Level::Code(code) => Values::Code(vec![code; rows]),
            Level::Number(value) => Values::Number(vec![value; rows]),
        }
    }

    /// Rows of a column without values.
    pub fn blank(column: &Column, rows: usize) -> Values {
        match column.role() {
            Role::Number => Values::Number(vec![f64::NAN; rows]),
            Role::Category => Values::Code(vec![MISSING; rows]),
            Role::Identifier => Values::Omitted,
        }
    }

    pub fn save(self, w: &mut Writer) {
        Levels::from(self).save(w);
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let levels = Levels::load(r)?;
        if levels.len() == 1 { Ok(levels.get(0)) } else { Err(inconsistent()) }
    }
}

/// Values of one column, [`MISSING`] or NaN among them.
#[derive(Debug, Clone)]
pub(crate) enum Levels {
    Codes(Vec<u32>),
    Numbers(Vec<f64>),
}

impl PartialEq for Levels {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|i| self.get(i) == other.get(i))
    }
}

impl From<Level> for Levels {
    fn from(level: Level) -> Self {
        match level {
            Level::Code(code) => Levels::Codes(vec![code]),
            Level::Number(value) => Levels::Numbers(vec![value]),
        }
    }
}

impl Levels {
    pub fn len(&self) -> usize {
        match self {
            Levels::Codes(v) => v.len(),
            Levels::Numbers(v) => v.len(),
        }
    }

    pub fn get(&self, i: usize) -> Level {
        match self {
            Levels::Codes(v) => Level::Code(v[i]),
            Levels::Numbers(v) => Level::Number(v[i]),
        }
    }

    /// Ascending, missing last.
    pub fn compare(&self, a: u32, b: u32) -> Ordering {
        match self {
            Levels::Codes(v) => v[a as usize].cmp(&v[b as usize]),
            Levels::Numbers(v) => order(v[a as usize], v[b as usize]),
        }
    }

    pub fn gather(&self, indices: &[u32]) -> Levels {
        match self {
            Levels::Codes(v) => Levels::Codes(indices.iter().map(|&i| v[i as usize]).collect()),
            Levels::Numbers(v) => Levels::Numbers(indices.iter().map(|&i| v[i as usize]).collect()),
        }
    }

    /// Where a value stands in ascending values.
    pub fn range(&self, level: Level) -> Range<usize> {
        match (self, level) {
            (Levels::Codes(v), Level::Code(c)) => v.partition_point(|x| *x < c)..v.partition_point(|x| *x <= c),
            (Levels::Numbers(v), Level::Number(c)) => {
                v.partition_point(|x| order(*x, c).is_lt())..v.partition_point(|x| order(*x, c).is_le())
            }
            _ => 0..0,
        }
    }

    /// Values of the role of `like`.
    pub fn collect(like: &Levels, levels: impl Iterator<Item = Level>) -> Values {
        match like {
            Levels::Codes(_) => Values::Code(
                levels
                    .map(|l| match l {
                        Level::Code(code) => code,
                        Level::Number(_) => MISSING,
                    })
                    .collect(),
            ),
            Levels::Numbers(_) => Values::Number(
                levels
                    .map(|l| match l {
                        Level::Number(value) => value,
                        Level::Code(_) => f64::NAN,
                    })
                    .collect(),
            ),
        }
    }

    /// The values of a column, all of them.
    pub fn of(values: &Values) -> Levels {
        match values {
            Values::Number(v) => Levels::Numbers(v.clone()),
            Values::Code(v) => Levels::Codes(v.clone()),
            Values::Omitted => Levels::Codes(vec![]),
        }
    }

    /// As the values of a column.
    pub fn into_values(self) -> Values {
        match self {
            Levels::Numbers(v) => Values::Number(v),
            Levels::Codes(v) => Values::Code(v),
        }
    }

    /// Whether the column can hold all of them.
    pub fn fit(&self, column: &Column) -> bool {
        match (self, &column.domain) {
            (Levels::Codes(codes), Domain::Category(domain)) => {
                codes.iter().all(|&c| c == MISSING || (c as usize) < domain.labels.len())
            }
            (Levels::Numbers(values), Domain::Number(domain)) => {
                values.iter().all(|v| v.is_nan() || (domain.min..=domain.max).contains(v))
            }
            _ => false,
        }
    }

    pub fn save(&self, w: &mut Writer) {
        match self {
            Levels::Codes(codes) => {
                w.u32(0);
                w.u32s(codes);
            }
            Levels::Numbers(values) => {
                w.u32(1);
                w.f64s(values);
            }
        }
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        match r.u32()? {
            0 => Ok(Levels::Codes(r.u32s()?)),
            1 => Ok(Levels::Numbers(r.f64s()?)),
            _ => Err(inconsistent()),
        }
    }
}

/// Numbers ascending, NaN last.
pub(super) fn order(a: f64, b: f64) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then_with(|| a.partial_cmp(&b).unwrap_or(Ordering::Equal))
}
