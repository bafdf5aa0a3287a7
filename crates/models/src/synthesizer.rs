//! From an encoded frame to blocks of new rows: the engine-free half of SYNTHESIZE.

mod given;
mod saved;
mod training_rows;

use std::collections::BTreeMap;

use lookalike_core::{Column, Error, ErrorKind, Frame, Job, Keeper, Options, Result, Role, Stream, Streams, Values};

use crate::copies::CopyFilter;
use crate::model::{FitReport, Fitted, Model, model};
use crate::nn::simd_level;
use crate::prepare::{Emitted, Restore, Structure, prepare};
use crate::rows::Rows;
use crate::saved::json;
use training_rows::Sorted;
pub use training_rows::TrainingRows;

/// Arguments of a synthesis, apart from the model's own options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthesizeParams {
    /// Name in [`crate::MODELS`], or `auto`.
    pub model: String,
    /// Rows to generate; as many as the input has when `None`.
    pub rows: Option<u64>,
    /// Keys every random number.
    pub seed: u64,
    /// A category held by fewer persons is never emitted, and the extremes of a number are those of so many persons. 1 keeps all.
    pub min_category_count: u32,
    /// Whether rows equal to a training row on all columns but identifiers are drawn again.
    pub filter_copies: bool,
    /// Whether a row that `min_category_count` training rows are equal to is nobody's own, and may come out all the same.
    pub allow_shared: bool,
    /// Rules that every row keeps: `'start <= stop'`, `'start < stop'`, `'age >= 18'`, `'fixed(city, zip)'`.
    pub constraints: Vec<String>,
    /// Whether columns that determine each other, and columns that are never above others, are looked for and kept so.
    pub detect_structure: bool,
}

impl Default for SynthesizeParams {
    /// `auto`, as many rows as the input, seed 0, five persons, no copies (nor shared ones), structure as it is found.
    fn default() -> Self {
        Self {
            model: "auto".into(),
            rows: None,
            seed: 0,
            min_category_count: 5,
            filter_copies: true,
            allow_shared: false,
            constraints: vec![],
            detect_structure: true,
        }
    }
}

/// A fitted generator with what keeps its rows inside the input's domains.
///
/// - Categories held by fewer than `min_category_count` persons are one rare code to the model. Where it comes out, it is
///   replaced by a draw from the frequent categories' frequencies; a nullable column without any frequent category is
///   all NULL, one that is NOT NULL is a data error.
/// - The ends of a numeric column's range are one person's values. The lowest values of `min_category_count` persons are
///   replaced by evenly spaced ones of the same mean, the highest likewise (on each side a quarter of the persons at most),
///   and generated values stay inside what is left of the observed range.
/// - Numbers leave on the column's grid ([`lookalike_core::NumberDomain::snap`]); missing values occur in columns that had some.
/// - A column that another determines, and one that is never below another, are left out of what the model learns and come from
///   those others ([`SynthesizeParams::detect_structure`]); so do columns of constraints. Rows that still break a constraint
///   are drawn again.
/// - With `filter_copies`, a row equal to a training row on all columns but identifiers is drawn again from its block's stream.
pub struct Synthesizer {
    model: &'static dyn Model,
    fitted: Box<dyn Fitted>,
    columns: Vec<Column>,
    structure: Structure,
    /// By column of the model.
    restore: Vec<Restore>,
    /// By column of the input.
    emitted: Vec<Emitted>,
    copies: Option<CopyFilter>,
    streams: Streams,
    rows: u64,
    params: SynthesizeParams,
    /// Those of the model, and the instructions it was trained with: for the header of a file.
    options: BTreeMap<String, serde_json::Value>,
    simd: String,
}

/// Consecutive rows of the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Number of the first row.
    pub first_row: u64,
    /// Number of rows.
    pub rows: usize,
    /// Values of each column, for [`Column::decode`]; [`Values::Omitted`] for identifiers.
    pub values: Vec<Values>,
}

/// Rounds of fresh draws before a block gives up on its copies.
const MAX_ROUNDS: usize = 100;

impl Synthesizer {
    /// Rows of every block but the last.
    pub const BLOCK_ROWS: usize = 8192;

    /// Fits a model. `options` were checked against the model's parameters. The result does not depend on the order of
    /// the rows, nor on whether memory holds them: for want of it they go to disk, and what most models make of them, too
    /// (see [`Rows`]).
    ///
    /// # Errors
    /// An unknown model, constraints that cannot be read or contradict each other (argument); no rows, rows that break a
    /// constraint, or a NOT NULL column without a category frequent enough (data); memory; cancellation.
    pub fn fit(rows: impl Into<TrainingRows>, params: SynthesizeParams, options: &Options, job: &Job) -> Result<Self> {
        let model = model(&params.model)?;
        let simd = simd_level()?.into();
        let Sorted { rows, keeper, mut memory } = rows.into().sorted(job)?;
        job.check()?;
        let (columns, count) = (rows.headers().to_vec(), rows.rows());
        let comparable = columns.iter().any(|c| c.role() != Role::Identifier);
        let min_persons = params.min_category_count;
        let shared = params.allow_shared.then_some(min_persons);
        let copies = (params.filter_copies && comparable).then(|| CopyFilter::new(&rows, shared, job)).transpose()?;
        job.check()?;
        let wanted = (params.constraints.as_slice(), params.detect_structure);
        let (rows, structure) = Structure::fit(rows, wanted, min_persons, &keeper, job)?;
        job.check()?;
        let (prepared, restore) = prepare(rows, min_persons, &keeper, job)?;
        memory.resize(prepared.memory(), "rows to learn from")?;
        let filtered = params.filter_copies && !params.allow_shared;
        let learn = |rows: &Rows| -> Result<(Box<dyn Fitted>, &'static dyn Model, Options)> {
            let (model, options) = match model.choose(rows, options, filtered, params.seed, job)? {
                Some(chosen) => chosen,
                None => (model, options.clone()),
            };
            Ok((model.fit(rows, &options, params.seed, job)?, model, options))
        };
        let prepared = Rows::new(prepared, min_persons);
        let (fitted, model, options) = match learn(&prepared) {
            // What a model lacks, the rows may hold.
            Err(error) if error.kind() == ErrorKind::Resources && !prepared.is_on_disk() => {
                let moved = prepared.into_store().moved(&Keeper::on_disk(job)?)?;
                memory.resize(moved.memory(), "rows to learn from")?;
                learn(&Rows::new(moved, min_persons))?
            }
            learned => learned?,
        };
        drop(memory);
        let streams = Streams::new(params.seed, "sample");
        let rows = params.rows.unwrap_or(count as u64);
        let options = options.iter().map(|(name, value)| (name.into(), json(value))).collect();
        let emitted = structure.emitted(&restore);
        Ok(Self { model, fitted, columns, structure, restore, emitted, copies, streams, rows, params, options, simd })
    }

    /// The model.
    pub fn model(&self) -> &'static dyn Model {
        self.model
    }

    /// What the model learned; it knows neither rare categories nor the grid of numbers.
    pub fn fitted(&self) -> &dyn Fitted {
        &*self.fitted
    }

    /// What was learned from.
    pub fn report(&self) -> FitReport {
        self.fitted.report()
    }

    /// Fields and domains of the input, to decode blocks with.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What is kept between columns whatever the model, a sentence each, such as `'zip' determines 'city'`.
    pub fn structure(&self) -> Vec<String> {
        self.structure.describe()
    }

    /// Rows to generate.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Blocks they come in.
    pub fn blocks(&self) -> u64 {
        self.rows.div_ceil(Self::BLOCK_ROWS as u64)
    }

    /// Block `b` of the output: the seed and `b` alone decide its rows. Blocks can be made in any order and by any thread.
    ///
    /// # Errors
    /// A data error when copies of training rows keep coming up; an internal one when `b` is not below [`Synthesizer::blocks`];
    /// cancellation.
    pub fn block(&self, b: u64, job: &Job) -> Result<Block> {
        if b >= self.blocks() {
            return Err(Error::internal(format!("block {b} of {} was asked for", self.blocks())));
        }
        let first_row = b * Self::BLOCK_ROWS as u64;
        let rows = (self.rows - first_row).min(Self::BLOCK_ROWS as u64) as usize;
        let values = self.make(b, rows, job)?;
        Ok(Block { first_row, rows, values })
    }

    /// So many rows at once, whatever [`Synthesizer::rows`] says: encoded like the input, identifiers omitted, no units.
    /// They are what the blocks of a synthesizer of so many rows hold.
    ///
    /// # Errors
    /// As [`Synthesizer::block`]; memory.
    pub fn sample(&self, rows: usize, job: &Job) -> Result<Frame> {
        let _memory = job.reserve(2 * rows * 8 * self.columns.len(), "generated rows")?;
        let mut blocks = vec![];
        for (b, start) in (0..rows).step_by(Self::BLOCK_ROWS).enumerate() {
            let rows = (rows - start).min(Self::BLOCK_ROWS);
            let values = self.make(b as u64, rows, job)?.into_iter();
            let columns = self.columns.iter().zip(values).map(|(c, values)| Column { values, ..c.without_values() });
            blocks.push(Frame::new(rows, columns.collect(), None));
        }
        match blocks.as_slice() {
            [] => {
                let empty = self.draw(0, &mut self.streams.block(0))?.into_iter();
                let columns = self.columns.iter().zip(empty).map(|(c, values)| Column { values, ..c.without_values() });
                Ok(Frame::new(0, columns.collect(), None))
            }
            blocks => Frame::stack(&blocks.iter().collect::<Vec<_>>()),
        }
    }

    /// The logarithm of the density of each row under the model, [`Fitted::log_likelihood`], of rows encoded together with the
    /// input. Rare categories count as the one that stands for them all; copies are not left out, nor is the density divided by the
    /// share of the rows that keep the constraints. Minus infinity for rows that break what generated rows always keep. `None` where the model
    /// has no density in closed form.
    pub fn log_likelihood(&self, rows: &Frame, job: &Job) -> Result<Option<Vec<f64>>> {
        let _memory = job.reserve(rows.memory(), "rows to find the likelihood of")?;
        if !self.structure.has_density() {
            return Ok(None);
        }
        let values: Vec<&Values> = rows.columns().iter().map(|c| &c.values).collect();
        let (model, added) = self.structure.undo(&values, rows.rows());
        let columns = self.structure.model_columns().into_iter().zip(model).zip(&self.restore);
        let columns = columns.map(|((c, values), restore)| Column { values: restore.undo(&values), ..c });
        let logs = self.fitted.log_likelihood(&Frame::new(rows.rows(), columns.collect(), None))?;
        Ok(logs.map(|logs| logs.into_iter().zip(added).map(|(log, added)| log + added).collect()))
    }

    /// The first `rows` rows of block `b`.
    fn make(&self, b: u64, rows: usize, job: &Job) -> Result<Vec<Values>> {
        job.check()?;
        let mut rng = self.streams.block(b);
        let mut values = self.draw(rows, &mut rng)?;
        self.replace_refused(&mut values, rows, &mut rng, job)?;
        Ok(values)
    }

    /// Rows of the model as they leave, those that are refused among them.
    pub(crate) fn draw(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        Ok(self.finish(self.fitted.sample(rows, rng)?, rows, rng))
    }

    /// From the model's rows to the input's columns.
    fn finish(&self, values: Vec<Values>, rows: usize, rng: &mut Stream) -> Vec<Values> {
        let values = self.restore.iter().zip(values).map(|(restore, values)| restore.apply(values, rng)).collect();
        self.structure.apply(values, rows, rng)
    }

    /// Rows that may not come out: copies of training rows, and rows that break a constraint; in ascending order.
    pub(crate) fn refused(&self, values: &[Values], rows: usize) -> Vec<usize> {
        let copies = self.copies.as_ref().map_or(vec![], |filter| filter.copies(values, rows));
        let broken = self.structure.broken(values);
        if broken.is_empty() {
            return copies;
        }
        let mut all = [copies, broken].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn replace_refused(&self, values: &mut [Values], rows: usize, rng: &mut Stream, job: &Job) -> Result<()> {
        let mut open = self.refused(values, rows);
        for _ in 0..MAX_ROUNDS {
            if open.is_empty() {
                return Ok(());
            }
            job.check()?;
            // Twice as many as needed: most rounds then are the last.
            let tries = (open.len() * 2).clamp(64, Self::BLOCK_ROWS);
            let fresh = self.draw(tries, rng)?;
            let mut bad = self.refused(&fresh, tries).into_iter().peekable();
            for row in 0..tries {
                if bad.next_if_eq(&row).is_some() {
                    continue;
                }
                let Some(target) = open.pop() else { break };
                for (values, fresh) in values.iter_mut().zip(&fresh) {
                    match (values, fresh) {
                        (Values::Number(values), Values::Number(fresh)) => values[target] = fresh[row],
                        (Values::Code(values), Values::Code(fresh)) => values[target] = fresh[row],
                        _ => {}
                    }
                }
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let broken = self.structure.broken(values).len();
        if broken > 0 {
            let rules = self.structure.constraints().iter().map(|c| format!("'{c}'")).collect::<Vec<_>>().join(", ");
            return Err(Error::data(format!(
                "constraints: {broken} of {rows} generated rows still break {rules} after {MAX_ROUNDS} rounds of fresh draws: the \
                 model makes too few rows that keep them; leave out constraints, or take another model"
            )));
        }
        Err(Error::data(format!(
            "filter_copies: {} of {rows} generated rows still equal a training row after {MAX_ROUNDS} rounds of fresh draws: the \
             columns have too few distinct combinations for rows that are nobody's; add columns, or allow copies with \
             filter_copies => false",
            open.len()
        )))
    }
}

#[cfg(test)]
mod tests;
