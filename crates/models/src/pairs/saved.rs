//! Models of pairs as files: those of the rows, and what makes pairs of them again.

use lookalike_core::{Column, Domain, Error, MISSING, Result, Role};
use serde::{Deserialize, Serialize};

use super::{MOST, PairBlock, Pairs, whole};
use crate::codec::{Reader, ensure, inconsistent};
use crate::prepare::{Level, Levels};
use crate::saved::{Origin, SavedColumn};
use crate::synthesizer::Synthesizer;

/// What the header of a file says of pairs; the codes are a section of their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPairs {
    /// Columns of the relation in its order, the code's with the codes that the model makes and no others.
    pub columns: Vec<SavedColumn>,
    record: usize,
    code: usize,
    count: Option<usize>,
}

/// Pairs that stand for one count at most, where no column says how many: what a file may make of a few bytes.
const REPEATS: f64 = 65_536.0;

impl Pairs {
    /// The bytes of a file from which [`Synthesizer::open`] makes the synthesizer of the records, and these pairs.
    pub fn save(&self, synthesizer: &Synthesizer, origin: &Origin) -> Result<Vec<u8>> {
        synthesizer.file(origin, Some(self))
    }

    /// What a file holds of them, given the columns of the rows as the file has them.
    pub(crate) fn saved(&self, rows: &[Column]) -> Result<(SavedPairs, Levels)> {
        let most = most(rows);
        if self.count.is_none() && most > REPEATS {
            return Err(Error::data(format!(
                "a record has a code {most} times: a model of pairs is saved when each stands for at most {REPEATS}; give their \
                 number in a column, count => 'column'"
            )));
        }
        let columns = self.columns.iter().enumerate().map(|(c, column)| {
            // No count above those that the model makes.
            let domain = if Some(c) == self.count { Domain::Number(whole(most)) } else { column.domain.clone() };
            SavedColumn::of(&Column { domain, ..column.without_values() })
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok((SavedPairs { columns, record: self.record, code: self.code, count: self.count }, self.codes.clone()))
    }

    /// The pairs of a file whose rows have such columns.
    pub(crate) fn load(saved: &SavedPairs, section: &[u8], rows: &[Column]) -> Result<Self> {
        let mut r = Reader::section(section);
        let codes = Levels::load(&mut r)?;
        r.finish()?;
        let columns = saved.columns.iter().map(SavedColumn::column).collect::<Result<Vec<_>>>()?;
        let SavedPairs { record, code, count, .. } = *saved;
        let mut places: Vec<usize> = [record, code].into_iter().chain(count).collect();
        places.sort_unstable();
        ensure(places.into_iter().eq(0..columns.len()))?;
        ensure(columns[record].role() == Role::Identifier && codes.len() == rows.len())?;
        let known = |i: usize| match (&columns[code].domain, codes.get(i)) {
            (Domain::Category(domain), Level::Code(c)) => (c as usize) < domain.labels.len(),
            (Domain::Number(_), Level::Number(v)) => v.is_finite(),
            _ => false,
        };
        ensure((0..codes.len()).all(known))?;
        let is_count =
            |c: usize| matches!(columns[c].domain, Domain::Number(_)) && columns[c].field.data_type().is_integer();
        ensure(count.is_none_or(is_count))?;
        let makes_pairs = |c: &Column| match &c.domain {
            // A label of too few records is not in a file.
            Domain::Category(domain) => domain.labels.iter().all(|l| l == "false" || l == "true"),
            Domain::Number(_) => true,
            Domain::Identifier(_) => false,
        };
        ensure(rows.iter().all(makes_pairs) && most(rows) <= if count.is_some() { MOST } else { REPEATS })?;
        let held = |c: &Column| match &c.domain {
            Domain::Category(domain) => {
                domain.labels.iter().position(|l| l == "true").map_or(MISSING, |code| code as u32)
            }
            _ => MISSING,
        };
        let held = rows.iter().map(held).collect();
        let pairs = Self { columns, record, code, count, codes, held };
        // A pair of each code can be told.
        let one = PairBlock {
            first_record: 0,
            records: 1,
            pairs: (0..rows.len() as u32).map(|place| (0, place)).collect(),
            counts: if count.is_some() { vec![1.0; rows.len()] } else { vec![] },
        };
        pairs.decode(&one).map_err(|_| inconsistent())?;
        Ok(pairs)
    }
}

/// The largest number that a row holds.
fn most(rows: &[Column]) -> f64 {
    let max = |c: &Column| if let Domain::Number(domain) = &c.domain { domain.max } else { 1.0 };
    rows.iter().map(max).fold(0.0, f64::max)
}
