//! Columns whose combinations are fixed: one category to the model, of the combinations that enough persons hold.

use std::sync::Arc;

use lookalike_core::{CategoryDomain, Column, ColumnStore, Domain, Error, Result, Values};
use rayon::prelude::*;

use super::levels::{Level, Levels};
use crate::codec::{Reader, Writer, ensure};
use crate::rows::persons;

/// The combinations of some columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fixed {
    /// The columns.
    pub columns: Vec<usize>,
    /// Value of each column in each combination, those of most rows first.
    pub cells: Vec<Levels>,
    /// Rows of each combination.
    pub rows: Vec<u64>,
    /// Combinations in order of their values.
    order: Vec<u32>,
}

impl Fixed {
    /// Of the columns of rows in canonical order; also the combination of each row, as a category whose first codes are
    /// the combinations kept.
    ///
    /// # Errors
    /// Data, when no combination is held by enough persons.
    pub fn fit(all: &ColumnStore, columns: Vec<usize>, min_persons: u32) -> Result<(Self, Column)> {
        let read = columns.iter().map(|&c| all.column(c)).collect::<Result<Vec<_>>>()?;
        let values: Vec<&Values> = read.iter().map(|c| &c.values).collect();
        let mut order: Vec<u32> = (0..all.rows() as u32).collect();
        order.par_sort_unstable_by(|&a, &b| compare(&values, a, b).then(a.cmp(&b)));
        let mut runs: Vec<&[u32]> = order.chunk_by(|&a, &b| compare(&values, a, b).is_eq()).collect();
        let is_kept = |rows: &&[u32]| persons(rows.iter().copied(), all.units()) >= min_persons.max(1) as usize;
        // Kept ones first, those of most rows first among them; the sort is stable.
        let flagged: Vec<bool> = runs.iter().map(is_kept).collect();
        let kept = flagged.iter().filter(|k| **k).count();
        if kept == 0 {
            let names: Vec<&str> = columns.iter().map(|&c| all.headers()[c].name()).collect();
            return Err(Error::data(format!(
                "constraints: 'fixed({})': none of its {} combinations is held by at least {min_persons} persons, so none may be \
                 emitted: take columns of fewer values, or a smaller min_category_count",
                names.join(", "),
                runs.len()
            )));
        }
        let mut places: Vec<usize> = (0..runs.len()).collect();
        places.sort_by_key(|&i| (!flagged[i], std::cmp::Reverse(runs[i].len())));
        runs = places.iter().map(|&i| runs[i]).collect();
        let mut codes = vec![0u32; all.rows()];
        runs.iter().zip(0..).for_each(|(rows, code)| rows.iter().for_each(|&r| codes[r as usize] = code));
        let first: Vec<u32> = runs[..kept].iter().map(|rows| rows[0]).collect();
        let cells = values.iter().map(|v| Levels::of(&v.gather(&first))).collect();
        let labels = (0..runs.len()).map(label).collect();
        let column = Column {
            domain: Domain::Category(Arc::new(CategoryDomain { labels })),
            values: Values::Code(codes),
            ..all.headers()[columns[0]].clone()
        };
        let rows = runs[..kept].iter().map(|rows| rows.len() as u64).collect();
        Ok((Self::new(columns, cells, rows), column))
    }

    fn new(columns: Vec<usize>, cells: Vec<Levels>, rows: Vec<u64>) -> Self {
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_by(|&a, &b| {
            cells.iter().map(|c| c.compare(a, b)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        Self { columns, cells, rows, order }
    }

    /// The columns from combinations.
    pub fn apply(&self, codes: &[u32]) -> Vec<(usize, Values)> {
        // Whatever is no combination becomes the commonest.
        let last = self.rows.len();
        let known: Vec<u32> = codes.iter().map(|&c| if (c as usize) < last { c } else { 0 }).collect();
        self.columns.iter().zip(&self.cells).map(|(&c, cells)| (c, cells.gather(&known).into_values())).collect()
    }

    /// The way in: the combination of each row, and the number of combinations for those not kept.
    pub fn undo(&self, values: &[&Values]) -> Vec<u32> {
        let rows = values.first().map_or(0, |v| Level::all(v).count());
        let find = |row: usize| {
            let order = |i: &u32| {
                let cells = self.cells.iter().zip(values);
                let compared = cells.map(|(cells, v)| compare_levels(cells.get(*i as usize), Level::at(v, row)));
                compared.into_iter().find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
            };
            self.order.binary_search_by(order).map_or(self.rows.len() as u32, |i| self.order[i])
        };
        (0..rows).map(find).collect()
    }

    /// The combinations in which a column has one of the values, with the rows of each.
    pub fn with(&self, column: usize, values: &Levels) -> (Vec<u32>, Vec<u64>) {
        let Some(member) = self.columns.iter().position(|&c| c == column) else { return (vec![], vec![]) };
        let cells = &self.cells[member];
        let fits = |&i: &u32| (0..values.len()).any(|j| values.get(j) == cells.get(i as usize));
        let codes: Vec<u32> = (0..self.rows.len() as u32).filter(fits).collect();
        let rows = codes.iter().map(|&i| self.rows[i as usize]).collect();
        (codes, rows)
    }

    /// The value of a column in each combination; `None` for others.
    pub fn cells_of(&self, column: usize) -> Option<&Levels> {
        self.columns.iter().position(|&c| c == column).map(|member| &self.cells[member])
    }

    /// The same combinations with values in another encoding of the same order.
    pub fn recoded(&self, recode: impl Fn(usize, &Levels) -> Result<Levels>) -> Result<Self> {
        let cells = self.columns.iter().zip(&self.cells).map(|(&c, cells)| recode(c, cells)).collect::<Result<_>>()?;
        Ok(Self { cells, ..self.clone() })
    }

    pub fn save(&self, w: &mut Writer) {
        w.u32s(&self.columns.iter().map(|&c| c as u32).collect::<Vec<_>>());
        w.list(&self.cells, |w, cells| cells.save(w));
        w.list(&self.rows, |w, r| w.u64(*r));
    }

    /// `columns` are the input's.
    pub fn load(r: &mut Reader, columns: &[Column]) -> Result<Self> {
        let members: Vec<usize> = r.u32s()?.into_iter().map(|c| c as usize).collect();
        let (cells, rows) = (r.list(12, Levels::load)?, r.list(8, Reader::u64)?);
        ensure(members.len() > 1 && cells.len() == members.len() && !rows.is_empty())?;
        ensure(members.iter().enumerate().all(|(i, m)| !members[..i].contains(m)))?;
        let fits = |(&c, cells): (&usize, &Levels)| {
            cells.len() == rows.len() && columns.get(c).is_some_and(|column| cells.fit(column))
        };
        ensure(members.iter().zip(&cells).all(fits))?;
        Ok(Self::new(members, cells, rows))
    }
}

/// Labels in the order of the combinations; models never look at them.
pub(super) fn label(combination: usize) -> String {
    format!("{combination:010}")
}

fn compare(values: &[&Values], a: u32, b: u32) -> std::cmp::Ordering {
    let of = |v: &&Values| compare_levels(Level::at(v, a as usize), Level::at(v, b as usize));
    values.iter().map(of).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

fn compare_levels(a: Level, b: Level) -> std::cmp::Ordering {
    match (a, b) {
        (Level::Number(a), Level::Number(b)) => super::levels::order(a, b),
        (Level::Code(a), Level::Code(b)) => a.cmp(&b),
        _ => std::cmp::Ordering::Equal,
    }
}
