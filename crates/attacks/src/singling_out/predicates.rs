//! Predicates on rows, and how many rows (or persons) of a frame one matches.

use lookalike_core::{Frame, Job, MISSING, Result, Values};
use rayon::prelude::*;

/// How a condition compares. NULL matches [`Op::IsNull`] alone, as in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Is NULL.
    IsNull,
    /// Is not NULL.
    IsNotNull,
    /// Equals the value.
    Eq,
    /// Differs from the value.
    Ne,
    /// Is below the value; for numbers.
    Lt,
    /// Is at most the value; for numbers.
    Le,
    /// Is above the value; for numbers.
    Gt,
    /// Is at least the value; for numbers.
    Ge,
}

/// One condition on one column: the value is a number of a number column or the code of a category column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// Position of the column in the frame.
    pub column: usize,
    /// Comparison.
    pub op: Op,
    /// Value compared with; ignored by the tests for NULL.
    pub value: f64,
}

impl Condition {
    /// What two equal conditions have in common, for sets.
    pub(super) fn key(&self) -> (usize, Op, u64) {
        let value = if matches!(self.op, Op::IsNull | Op::IsNotNull) { 0.0 } else { self.value + 0.0 };
        (self.column, self.op, value.to_bits())
    }

    fn holds(&self, value: f64) -> bool {
        match self.op {
            Op::IsNull => value.is_nan(),
            Op::IsNotNull => !value.is_nan(),
            Op::Eq => value == self.value,
            Op::Ne => value != self.value && !value.is_nan(),
            Op::Lt => value < self.value,
            Op::Le => value <= self.value,
            Op::Gt => value > self.value,
            Op::Ge => value >= self.value,
        }
    }
}

/// Conditions that must all hold.
pub type Predicate = Vec<Condition>;

/// The value of a row as conditions see it: NaN is NULL.
pub(super) fn value(values: &Values, row: usize) -> f64 {
    match values {
        Values::Number(v) => v[row],
        Values::Code(v) if v[row] == MISSING => f64::NAN,
        Values::Code(v) => f64::from(v[row]),
        Values::Omitted => f64::NAN,
    }
}

/// A frame with the rows of each column in the order of its values, so that a predicate looks only at the rows that its
/// rarest condition matches.
#[derive(Debug)]
pub struct Matcher<'a> {
    frame: &'a Frame,
    columns: Vec<Index>,
    _memory: lookalike_core::Reservation,
}

#[derive(Debug, Default)]
struct Index {
    /// Rows by value, NULLs last.
    rows: Vec<u32>,
    /// Rows that are not NULL.
    present: usize,
}

impl<'a> Matcher<'a> {
    /// Sorts the columns of a frame: 4 bytes a row and column.
    pub fn new(frame: &'a Frame, job: &Job) -> Result<Self> {
        let memory = job.reserve(frame.rows() * frame.columns().len() * 4, "sorted columns")?;
        let columns = frame
            .columns()
            .iter()
            .map(|column| {
                job.check()?;
                if matches!(column.values, Values::Omitted) {
                    return Ok(Index::default());
                }
                let at = |row: u32| value(&column.values, row as usize);
                let mut rows: Vec<u32> = (0..frame.rows() as u32).collect();
                // NaN of either sign is NULL and comes last.
                let order = |a: &u32, b: &u32| {
                    let (a, b) = (at(*a), at(*b));
                    a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(&b))
                };
                rows.par_sort_by(order);
                let present = rows.partition_point(|&row| !at(row).is_nan());
                Ok(Index { rows, present })
            })
            .collect::<Result<_>>()?;
        Ok(Self { frame, columns, _memory: memory })
    }

    /// Rows that a condition matches; for [`Op::Ne`] all that are not NULL, a superset.
    fn candidates(&self, condition: &Condition) -> &[u32] {
        let index = &self.columns[condition.column];
        let values = &self.frame.columns()[condition.column].values;
        let present = &index.rows[..index.present];
        let below = || present.partition_point(|&row| value(values, row as usize) < condition.value);
        let up_to = || present.partition_point(|&row| value(values, row as usize) <= condition.value);
        match condition.op {
            Op::IsNull => &index.rows[index.present..],
            Op::IsNotNull | Op::Ne => present,
            Op::Eq => &present[below()..up_to()],
            Op::Lt => &present[..below()],
            Op::Le => &present[..up_to()],
            Op::Gt => &present[up_to()..],
            Op::Ge => &present[below()..],
        }
    }

    /// How many rows, or persons where the frame has units, a predicate matches; counting stops at `limit`. A predicate
    /// without conditions matches all.
    pub fn count(&self, predicate: &[Condition], limit: usize) -> usize {
        let Some((rarest, rows)) = predicate.iter().map(|c| (c, self.candidates(c))).min_by_key(|(_, rows)| rows.len())
        else {
            return self.frame.unit_count().min(limit);
        };
        let others: Vec<(&Condition, &Values)> = predicate
            .iter()
            .filter(|c| !std::ptr::eq(*c, rarest) || c.op == Op::Ne)
            .map(|c| (c, &self.frame.columns()[c.column].values))
            .collect();
        let units = self.frame.units();
        let mut persons: Vec<u32> = vec![];
        let mut found = 0;
        for &row in rows {
            if others.iter().all(|(c, values)| c.holds(value(values, row as usize))) {
                match units {
                    None => found += 1,
                    Some(units) => {
                        let person = units.codes[row as usize];
                        if limit <= 16 {
                            if !persons.contains(&person) {
                                persons.push(person);
                                found += 1;
                            }
                        } else {
                            persons.push(person);
                        }
                    }
                }
                if found >= limit {
                    return limit;
                }
            }
        }
        if units.is_some() && limit > 16 {
            persons.sort_unstable();
            persons.dedup();
            return persons.len().min(limit);
        }
        found
    }
}
