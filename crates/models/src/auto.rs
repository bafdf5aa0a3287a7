//! The choice among models by what they make of the rows at hand.

mod score;

use lookalike_core::{
    Column, ColumnStore, Default, Domain, Error, Frame, Job, Options, ParamKind, ParamSpec, Result, Streams, Value,
    Values,
};

use crate::codec::Reader;
use crate::copies::CopyFilter;
use crate::model::{Fitted, Model, model};
use crate::nn::split;
use crate::prepare::snap_all;
use crate::rows::Rows;
use score::Score;

/// Fits each candidate to a part of the rows, makes rows with it, and takes the candidate whose rows say most of the rows that it
/// has not seen ([`Score`]). The one taken learns from all rows: what comes out is that model, under its own name.
///
/// Candidates are those of the models here that were best on some table (see the page of the model): the copula always,
/// others where `max_seconds` allows what they are expected to take. The expectation is by rows and columns, not by
/// the clock, so that the choice depends on the rows, the seed and `max_seconds` alone.
pub(crate) struct Auto;

/// A model that may be chosen.
struct Candidate {
    name: &'static str,
    /// Counts, where metrics are shown, that it was taken.
    counter: &'static str,
    /// Other than its defaults.
    options: &'static [(&'static str, Value)],
    /// Seconds that are to be allowed for so many rows and columns: what learning takes on one core as of 2025, and for
    /// iterative models ten more, so that nobody waits for them who has not asked.
    seconds: fn(f64, f64) -> f64,
}

/// Large leaves, few splits, and much of the node above in each: by default the rows are followed so closely that attacks begin to see
/// it. What they see most is which rare values stood in which leaf, and that goes with the smoothing.
const CART: &[(&str, Value)] =
    &[("min_leaf_size", Value::Int(300)), ("complexity", Value::Float(100.0)), ("smoothing", Value::Float(100.0))];

/// The first of equals is taken, and the first is what too few rows get.
const CANDIDATES: [Candidate; 3] = [
    Candidate { name: "gaussian_copula", counter: "chose_gaussian_copula", options: &[], seconds: |_, _| 0.0 },
    Candidate {
        name: "cart",
        counter: "chose_cart",
        options: CART,
        seconds: |rows, columns| 3e-8 * rows * columns * columns,
    },
    Candidate {
        name: "transformer",
        counter: "chose_transformer",
        options: &[],
        seconds: |rows, columns| 10.0 + 3.6e-5 * rows * columns,
    },
];

impl Candidate {
    fn with_options(&self) -> Result<(&'static dyn Model, Options)> {
        let model = model(self.name)?;
        let given: Vec<_> = self.options.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        Ok((model, Options::check(model.params(), &given)?))
    }
}

/// Rows that a trial learns from and is measured on, at most.
const TRIAL: usize = 50_000;
/// Share of the persons in a trial who are not learned from.
const HELD_OUT: f64 = 0.3;
/// Persons without whom nothing can be told: the sampling error of what they say is as large as what tells models apart.
const FEWEST: usize = 100;
/// What a score has to be above that of a quicker candidate, in nats, times the root of the persons held out: five times what the
/// difference varies by between trials on UCI Adult.
const MARGIN: f64 = 0.2;
/// Rows a candidate makes for each that it is measured on, and at least.
const MADE: (usize, usize) = (2, 20_000);

const BUDGET: ParamSpec = ParamSpec {
    name: "max_seconds",
    kind: ParamKind::Float { min: 0.01, max: 1e7 },
    default: Default::Float(10.0),
    purpose: "Seconds that learning may take by what is expected of rows and columns on one core: decides which models are tried.",
};

impl Model for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn summary(&self) -> &'static str {
        "The best of several models on the rows at hand, found on rows held out."
    }

    fn source(&self) -> &'static str {
        "Gneiting & Raftery 2007, Strictly Proper Scoring Rules, Prediction, and Estimation (logarithmic score)"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[BUDGET]
    }

    fn choose(
        &self,
        rows: &Rows,
        options: &Options,
        filter_copies: bool,
        seed: u64,
        job: &Job,
    ) -> Result<Option<(&'static dyn Model, Options)>> {
        let seconds = options.float("max_seconds").unwrap_or(10.0);
        let candidates = affordable(rows.len(), rows.columns().len(), seconds);
        let chosen = best(&candidates, MARGIN, rows, filter_copies, seed, job)?;
        job.count(chosen.counter, 1);
        Ok(Some(chosen.with_options()?))
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        match self.choose(rows, options, false, seed, job)? {
            Some((model, options)) => model.fit(rows, &options, seed, job),
            None => Err(Error::internal("no model was chosen")),
        }
    }

    /// Of any candidate.
    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let name = Reader::model(bytes)?;
        if !CANDIDATES.iter().any(|c| c.name == name) {
            return Err(Error::data(format!("the saved model is a '{name}', which 'auto' never stands for")));
        }
        model(&name)?.load(bytes)
    }
}

/// The candidates that are expected to be tried and then learn all rows in so many seconds.
fn affordable(rows: usize, columns: usize, seconds: f64) -> Vec<&'static Candidate> {
    let learned = rows as f64 + rows.min(TRIAL) as f64 * (1.0 - HELD_OUT);
    CANDIDATES.iter().filter(|c| (c.seconds)(learned, columns as f64) <= seconds).collect()
}

/// The candidate with the best score, the quicker one where the slower does not win by `margin` (see [`MARGIN`]); the first where rows
/// are too few to tell.
fn best(
    candidates: &[&'static Candidate],
    margin: f64,
    rows: &Rows,
    filter_copies: bool,
    seed: u64,
    job: &Job,
) -> Result<&'static Candidate> {
    let Some(&first) = candidates.first() else { return Err(Error::internal("no model to choose from")) };
    if candidates.len() == 1 {
        return Ok(first);
    }
    let Some((learned, held)) = trial(rows, seed, job)? else { return Ok(first) };
    let learned = ColumnStore::from(learned);
    let copies = filter_copies.then(|| CopyFilter::new(&learned, None, job)).transpose()?;
    let learned = Rows::new(learned, rows.min_persons());
    let score = Score::new(&learned, &held, job)?;
    let count = (MADE.0 * held.rows()).max(MADE.1);
    let _memory = job.reserve(count * held.columns().len() * 16, "rows of a trial")?;
    let margin = margin / (held.unit_count() as f64).sqrt();
    let (mut best, mut chosen) = (f64::NEG_INFINITY, first);
    for (i, &candidate) in candidates.iter().enumerate() {
        job.check()?;
        let (model, options) = candidate.with_options()?;
        let fitted = model.fit(&learned, &options, seed, &job.quiet())?;
        let mut made = fitted.sample(count, &mut Streams::new(seed, "trial").block(i as u64))?;
        if let Some(copies) = &copies {
            made = without(copies, rows.columns(), made, count);
        }
        let value = score.of(&made);
        if value > best + margin {
            (best, chosen) = (value, candidate);
        }
    }
    Ok(chosen)
}

/// The rows that a trial learns from and those it is measured on; `None` where they are too few.
fn trial(rows: &Rows, seed: u64, job: &Job) -> Result<Option<(Frame, Frame)>> {
    let all = rows.first(TRIAL)?;
    let _memory = job.reserve(2 * all.memory(), "rows of a trial")?;
    let (learned, held) = split(all.rows(), all.units(), HELD_OUT, seed);
    let (learned, held) = (all.gather_persons(&learned), all.gather_persons(&held));
    if learned.unit_count() < FEWEST || held.rows() == 0 {
        return Ok(None);
    }
    Ok(Some((learned, held)))
}

/// The rows that are no copies, with numbers as they would leave.
fn without(copies: &CopyFilter, columns: &[Column], mut made: Vec<Values>, count: usize) -> Vec<Values> {
    for (column, values) in columns.iter().zip(&mut made) {
        if let (Domain::Number(domain), Values::Number(values)) = (&column.domain, values) {
            snap_all(domain, values);
        }
    }
    let mut copied = copies.copies(&made, count).into_iter().peekable();
    let kept: Vec<u32> = (0..count).filter(|row| copied.next_if_eq(row).is_none()).map(|row| row as u32).collect();
    made.iter().map(|values| values.gather(&kept)).collect()
}

#[cfg(test)]
mod tests;
