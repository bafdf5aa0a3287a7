//! What can be asked of a fitted model: rows that meet conditions, values in given shares, and enough rows of every combination
//! of quasi-identifiers.

use lookalike_core::{Column, Error, Job, Reservation, Result, Role, Value, Values};

use crate::Synthesizer;
use crate::synthesizer::Block;
use cells::Filled;
use plan::{Plan, values_of};
use rows::Tally;

mod cells;
mod plan;
mod quota;
mod rows;

/// What is asked of the rows of a [`Synthesizer`]; nothing by default.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What every row holds, a condition a column.
    pub conditions: Vec<(String, Condition)>,
    /// Columns whose categories come equally often, each exactly in rows / categories rows (the first ones in one more where that is
    /// no whole number), independently of one another. NULL does not come.
    pub balance: Vec<String>,
    /// Columns with the shares of some values, each exactly in share * rows rows (largest remainder). What the shares leave of 1 goes to
    /// other values in the model's own proportions.
    pub proportions: Vec<(String, Vec<(String, f64)>)>,
    /// Rows drawn at most for each row that is wanted, at least 100,000 a block; those that are not as asked are thrown away.
    pub max_tries: u64,
    /// Rows to add until the output is k-anonymous.
    pub anonymity: Option<Anonymity>,
}

impl Default for Ask {
    fn default() -> Self {
        Self { conditions: vec![], balance: vec![], proportions: vec![], max_tries: 1000, anonymity: None }
    }
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// One of the values, NULL if it is among them, in the model's own proportions.
    Any(Vec<Value>),
    /// A number, date or time from `min` to `max`, both included; never NULL.
    Between {
        /// Lower end; none when not given.
        min: Option<Value>,
        /// Upper end; none when not given.
        max: Option<Value>,
    },
}

/// k-anonymity of the output by generating more rows: every combination of quasi-identifiers that occurs is held by k rows, or is
/// dropped where that many cannot be had. It says nothing of the training rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Anonymity {
    /// Rows of each combination at least.
    pub k: u64,
    /// Columns that make a combination.
    pub quasi_identifiers: Vec<String>,
    /// Columns of which each combination shows at least `l` different values, NULL counting as one.
    pub sensitive: Vec<String>,
    /// Different values of each sensitive column; 1 asks for nothing.
    pub l: u64,
    /// Rows added at most, as a share of the rows before.
    pub max_padding: f64,
}

/// A fitted generator and what is asked of it: the same blocks, of rows that are as asked.
///
/// Where the model makes rows around given values ([`crate::Model::conditions`]), single values and quotas are given to it; lists,
/// ranges and whatever it cannot are met by rejection: rows are drawn until they are as asked, up to a budget. Which rows of the
/// output hold which value of a quota is decided by the seed, the number of rows and the row's number; the rows of a block by
/// the seed and the block's number, as in [`Synthesizer::block`]. Copies of training rows, and rows that break a constraint, are drawn again under the same conditions.
pub struct Asked {
    synthesizer: Synthesizer,
    plan: Plan,
    max_tries: u64,
    /// Columns whose values the model takes as given.
    givable: Vec<bool>,
    /// Block 0, made to see whether what is asked can be had.
    first: Option<(Vec<Values>, Reservation)>,
    filled: Option<Filled>,
}

impl Asked {
    /// Checks what is asked, makes the first block, and with [`Ask::anonymity`] counts the combinations in all blocks and adds rows.
    ///
    /// Counts `condition_rows_drawn` and `condition_rows_kept`, and with `anonymity` `cells`, `cells_filled`, `rows_added`,
    /// `cells_dropped`, `rows_dropped` and `tv_millionths` (total variation between the combinations before and after, in
    /// millionths). Warns where conditions are met by rejection, and of what was added and dropped.
    ///
    /// # Errors
    /// Unknown or identifying columns, values that never leave, shares above 1, contradictions (argument); conditions that too few
    /// rows meet, more rows to add than allowed (data); memory; cancellation.
    pub fn new(synthesizer: Synthesizer, ask: &Ask, job: &Job) -> Result<Self> {
        let plan = Plan::new(ask, &synthesizer)?;
        let givable = vec![false; synthesizer.columns().len()];
        let mut asked = Self { synthesizer, plan, max_tries: ask.max_tries, givable, first: None, filled: None };
        if asked.plan.is_empty() && ask.anonymity.is_none() {
            return Ok(asked);
        }
        asked.find_givable()?;
        asked.check_nulls(job)?;
        asked.make_first(job)?;
        if let Some(anonymity) = &ask.anonymity {
            asked.filled = Some(Filled::new(&asked, anonymity, job)?);
        }
        Ok(asked)
    }

    /// The generator.
    pub fn synthesizer(&self) -> &Synthesizer {
        &self.synthesizer
    }

    /// Fields and domains, to decode blocks with.
    pub fn columns(&self) -> &[Column] {
        self.synthesizer.columns()
    }

    /// Rows of the output.
    pub fn rows(&self) -> u64 {
        let rows = self.synthesizer.rows();
        self.filled.as_ref().map_or(rows, |f| rows - f.dropped() + f.added() as u64)
    }

    /// Blocks they come in. All but the last hold [`Synthesizer::BLOCK_ROWS`] rows, or fewer where rows were dropped; added rows come last.
    pub fn blocks(&self) -> u64 {
        let added = self.filled.as_ref().map_or(0, Filled::added);
        self.synthesizer.blocks() + added.div_ceil(Synthesizer::BLOCK_ROWS) as u64
    }

    /// Rows before a block.
    pub fn first_row(&self, block: u64) -> u64 {
        let (blocks, rows) = (self.synthesizer.blocks(), self.synthesizer.rows());
        let size = Synthesizer::BLOCK_ROWS as u64;
        let before = (block.min(blocks) * size).min(rows) + block.saturating_sub(blocks) * size;
        before - self.filled.as_ref().map_or(0, |f| f.dropped_before(block))
    }

    /// Block `b` of the output: the seed and `b` alone decide its rows, in any order and by any thread.
    ///
    /// # Errors
    /// A data error when conditions, quotas or copies leave too few rows; an internal one when `b` is not below [`Asked::blocks`];
    /// cancellation.
    pub fn block(&self, b: u64, job: &Job) -> Result<Block> {
        let first_row = self.first_row(b);
        match &self.filled {
            None => {
                let values = self.base(b, job)?;
                let rows = (self.synthesizer.rows() - first_row).min(Synthesizer::BLOCK_ROWS as u64) as usize;
                Ok(Block { first_row, rows, values })
            }
            Some(filled) => match b.checked_sub(self.synthesizer.blocks()) {
                None => {
                    let (values, rows) = filled.keep(b, self.base(b, job)?, self.base_rows(b));
                    Ok(Block { first_row, rows, values })
                }
                Some(part) => {
                    let (values, rows) = filled.block(part)?;
                    Ok(Block { first_row, rows, values })
                }
            },
        }
    }

    /// Rows of a block before any are dropped.
    fn base_rows(&self, b: u64) -> usize {
        let size = Synthesizer::BLOCK_ROWS as u64;
        self.synthesizer.rows().saturating_sub(b * size).min(size) as usize
    }

    /// A block before any rows are dropped.
    fn base(&self, b: u64, job: &Job) -> Result<Vec<Values>> {
        match &self.first {
            Some((values, _)) if b == 0 => Ok(values.clone()),
            _ if self.plan.is_empty() => Ok(self.synthesizer.block(b, job)?.values),
            _ if b >= self.synthesizer.blocks() => Err(Error::internal(format!("block {b} was asked for"))),
            _ => Ok(self.make(b, job)?.0),
        }
    }

    /// Tries each column with a value of its own.
    fn find_givable(&mut self) -> Result<()> {
        if !self.synthesizer.model().conditions() {
            return Ok(());
        }
        for column in 0..self.givable.len() {
            let field = &self.synthesizer.columns()[column];
            let emitted = self.synthesizer.emitted(column);
            let value = match field.role() {
                Role::Number => emitted.numbers.map(|d| d.min).filter(|v| !v.is_nan()).map(f64::to_bits),
                Role::Category => emitted.categories.first().map(|&c| u64::from(c)),
                Role::Identifier => None,
            };
            let Some(value) = value else { continue };
            let given = [(column, values_of(field, std::iter::once(value)))];
            let mut rng = self.synthesizer.streams().part("givable").block(column as u64);
            self.givable[column] = self.synthesizer.draw_given(&given, 1, &mut rng)?.is_some();
        }
        Ok(())
    }

    /// Fails where NULL alone is asked of a column that never is NULL: a model would take it as given.
    fn check_nulls(&self, job: &Job) -> Result<()> {
        let columns = self.synthesizer.columns();
        for test in self.plan.tests.iter().filter(|t| t.single().is_some() && t.takes_null(columns)) {
            let streams = self.synthesizer.streams().part("nulls");
            let mut found = false;
            for b in 0..rows::LEAST_DRAWS.div_ceil(Synthesizer::BLOCK_ROWS as u64) {
                job.check()?;
                let values = self.synthesizer.draw(Synthesizer::BLOCK_ROWS, &mut streams.block(b))?;
                found = match &values[test.column] {
                    Values::Number(v) => v.iter().any(|v| v.is_nan()),
                    Values::Code(v) => v.contains(&lookalike_core::MISSING),
                    Values::Omitted => false,
                };
                if found {
                    break;
                }
            }
            if !found {
                let name = columns[test.column].name();
                return Err(Error::data(format!(
                    "condition: column '{name}' is never NULL here, so no row meets {name}: NULL"
                )));
            }
        }
        Ok(())
    }

    /// Makes the first block and says how it came about.
    fn make_first(&mut self, job: &Job) -> Result<()> {
        if self.plan.is_empty() || self.synthesizer.rows() == 0 {
            return Ok(());
        }
        let memory = job.reserve(self.base_rows(0) * 8 * self.columns().len(), "the first rows as asked")?;
        let (values, tally) = self.make(0, job)?;
        self.warn_of(&tally, job);
        self.first = Some((values, memory));
        Ok(())
    }

    fn warn_of(&self, tally: &Tally, job: &Job) {
        if tally.rejected_draws == 0 {
            return;
        }
        let share = 100.0 * tally.rejected_kept as f64 / tally.rejected_draws as f64;
        let model = self.synthesizer.model().name();
        let how = if tally.by_model {
            format!("the model '{model}' takes some of what is asked as given, and the rest is met by rejection")
        } else {
            format!("what is asked is met by rejection: the model '{model}' takes none of it as given")
        };
        job.warn(&format!("{how}: of the first {} rows drawn {share:.2}% were taken", tally.rejected_draws));
    }
}

#[cfg(test)]
mod tests;
