//! What comes out of the columns of the input, whatever they hold.

use std::sync::Arc;

use lookalike_core::{CategoryDomain, Column, Domain, Error, MISSING, NumberDomain, NumberKind, Result};

use super::levels::Levels;
use super::{Restore, move_base};

/// What comes out of a column of the input, in the input's encoding.
#[derive(Debug, Clone, Default)]
pub(crate) struct Emitted {
    /// Its categories' codes, ascending; none for other columns.
    pub categories: Vec<u32>,
    /// Range and grid of its numbers, for a column of numbers.
    pub numbers: Option<NumberDomain>,
}

/// From the input's encoding of a column to the one in a file.
pub(crate) struct Recode {
    /// The input's code of each of the file's.
    codes: Vec<u32>,
    /// What is taken off numbers.
    by: f64,
}

impl Emitted {
    /// Of a column that the model has as it is.
    pub fn of_model(column: &Column, restore: &Restore) -> Self {
        match (restore, &column.domain) {
            (Restore::Codes { to_input, .. }, _) => Self { categories: to_input.clone(), numbers: None },
            (Restore::Keep(Some(range)), _) => Self::of_range(column, range.min, range.max),
            (Restore::Moved { domain, by }, _) => Self::of_range(column, domain.min + by, domain.max + by),
            (Restore::Keep(None), _) => Self::default(),
        }
    }

    /// Of a column that has these values only, missing ones aside.
    pub fn of_levels(column: &Column, levels: &Levels) -> Self {
        match levels {
            Levels::Codes(codes) => {
                let mut categories: Vec<u32> = codes.iter().copied().filter(|c| *c != MISSING).collect();
                categories.sort_unstable();
                categories.dedup();
                Self { categories, numbers: None }
            }
            Levels::Numbers(values) => {
                let present = || values.iter().copied().filter(|v| !v.is_nan());
                let ends = (present().reduce(f64::min), present().reduce(f64::max));
                Self::of_range(column, ends.0.unwrap_or(f64::NAN), ends.1.unwrap_or(f64::NAN))
            }
        }
    }

    /// Of a column of numbers on its grid.
    pub fn of_range(column: &Column, min: f64, max: f64) -> Self {
        match column.domain {
            Domain::Number(domain) => Self { categories: vec![], numbers: Some(NumberDomain { min, max, ..domain }) },
            _ => Self::default(),
        }
    }

    /// The column as a file has it, and the way there: labels and range are those that come out, and integers are counted from a
    /// base that is no record's.
    pub fn saved(&self, column: &Column) -> (Column, Recode) {
        let (domain, by) = match (&column.domain, self.numbers) {
            (Domain::Number(_), Some(domain)) => {
                let (domain, by) = saved_numbers(domain);
                (Domain::Number(domain), by)
            }
            (Domain::Category(domain), _) => {
                let labels = self.categories.iter().map(|&c| domain.labels[c as usize].clone()).collect();
                (Domain::Category(Arc::new(CategoryDomain { labels })), 0.0)
            }
            (domain, _) => (domain.clone(), 0.0),
        };
        (Column { domain, ..column.without_values() }, Recode { codes: self.categories.clone(), by })
    }
}

fn saved_numbers(domain: NumberDomain) -> (NumberDomain, f64) {
    match domain.kind {
        // Nothing but missing values, of which the base would be that of others.
        NumberKind::Integer { .. } if domain.min.is_nan() => {
            (NumberDomain { kind: NumberKind::Integer { base: 0, step: 1 }, ..domain }, 0.0)
        }
        _ => move_base(domain),
    }
}

impl Recode {
    /// What is taken off numbers.
    pub fn by(&self) -> f64 {
        self.by
    }

    /// Values of the input's column as the file's.
    ///
    /// # Errors
    /// Internal, for a category that does not come out.
    pub fn levels(&self, levels: &Levels) -> Result<Levels> {
        let code = |&c: &u32| match self.codes.binary_search(&c) {
            _ if c == MISSING => Ok(MISSING),
            Ok(code) => Ok(code as u32),
            Err(_) => Err(Error::internal(format!("category {c} of a table never comes out"))),
        };
        Ok(match levels {
            Levels::Codes(codes) => Levels::Codes(codes.iter().map(code).collect::<Result<_>>()?),
            Levels::Numbers(values) => Levels::Numbers(values.iter().map(|v| v - self.by).collect()),
        })
    }
}
