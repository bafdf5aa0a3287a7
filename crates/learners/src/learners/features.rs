//! Frames as dense numbers.

use lookalike_core::{Domain, Error, Frame, Job, MISSING, Result, Values};
use rayon::prelude::*;

use super::Matrix;

/// Categories of a column that get a column of their own; rarer ones share one.
const MAX_CATEGORIES: usize = 256;

/// Standardised numbers are cut off here, so that sums over a row stay finite whatever a target holds.
const CLAMP: f64 = 1e6;

/// How a frame becomes a [`Matrix`]: fitted once on what is known, then used on any frame that was encoded together
/// with it.
///
/// * A number is less the mean, divided by the standard deviation (of a population), both of the frames it was fitted
///   on, and cut off at one million; NULL is 0, with an indicator column where those frames have NULLs. A column of one
///   value is left out.
/// * A category is one-hot. The 256 most frequent categories of a column (equally frequent ones by label) have a column
///   each, all others share one; NULL has its own where the frames have NULLs. A category that the frames lack is 0
///   everywhere, or shares the column of the rare ones where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    parts: Vec<Part>,
    columns: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// Column of the frame.
    column: usize,
    /// Where values go.
    at: Place,
    /// Where the indicator of NULL goes.
    missing: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// A number times `scale`, less `mean`, divided by `sd`; both are in scaled units.
    Number { to: Option<usize>, scale: f64, mean: f64, sd: f64 },
    /// The column of each category; `None` where there is none.
    Code(Vec<Option<usize>>),
}

impl Features {
    /// Fits on the rows of all frames together, for the columns that `wanted` takes by their place in the frames.
    /// Identifiers have no features. The result does not depend on the order of the rows.
    ///
    /// Fails (internal) with frames of different columns.
    pub fn fit(frames: &[&Frame], wanted: impl Fn(usize) -> bool) -> Result<Self> {
        let mut features = Self { parts: vec![], columns: 0 };
        let columns = frames.first().map_or(0, |f| f.columns().len());
        if frames.iter().any(|f| f.columns().len() != columns) {
            return Err(Error::internal("relations with different columns become features"));
        }
        for column in (0..columns).filter(|&c| wanted(c)) {
            let mut next = || {
                features.columns += 1;
                features.columns - 1
            };
            let (at, has_null) = match &frames[0].columns()[column].domain {
                Domain::Number(_) => number(frames, column, &mut next),
                Domain::Category(domain) => code(frames, column, domain.labels.len(), &mut next),
                Domain::Identifier(_) => continue,
            };
            let missing = has_null.then(next);
            features.parts.push(Part { column, at, missing });
        }
        Ok(features)
    }

    /// Number of columns of the matrices.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The rows of a frame, in its order.
    ///
    /// Fails (internal) when the frame has other columns than those it was fitted on.
    pub fn encode(&self, frame: &Frame, job: &Job) -> Result<Matrix> {
        let mut values = vec![0.0; frame.rows() * self.columns];
        job.check()?;
        for part in &self.parts {
            let rows = values.chunks_exact_mut(self.columns.max(1));
            match (&part.at, frame.columns().get(part.column).map(|c| &c.values)) {
                (Place::Number { to, scale, mean, sd }, Some(Values::Number(numbers))) => {
                    for (row, &x) in rows.zip(numbers) {
                        match (x.is_nan(), to, part.missing) {
                            (true, _, Some(missing)) => row[missing] = 1.0,
                            (false, Some(to), _) => row[*to] = ((x * scale - mean) / sd).clamp(-CLAMP, CLAMP),
                            _ => {}
                        }
                    }
                }
                (Place::Code(places), Some(Values::Code(codes))) => {
                    for (row, &c) in rows.zip(codes) {
                        let to = if c == MISSING { part.missing } else { places.get(c as usize).copied().flatten() };
                        if let Some(to) = to {
                            row[to] = 1.0;
                        }
                    }
                }
                _ => return Err(Error::internal("relations with different columns become features")),
            }
        }
        Ok(Matrix { rows: frame.rows(), columns: self.columns, values })
    }
}

/// Mean and spread of a number column over frames, in scaled units.
pub struct Moments {
    /// Power of two that keeps sums from overflowing and rounds nothing.
    pub scale: f64,
    /// Mean of the scaled values.
    pub mean: f64,
    /// Standard deviation of the scaled values, of a population; 0 in a column of one value.
    pub sd: f64,
    /// Values that are not NULL.
    pub present: usize,
    /// Whether there are NULLs.
    pub has_null: bool,
}

impl Moments {
    /// Of a column of all frames together, whatever the order of the rows.
    pub fn of(frames: &[&Frame], column: usize) -> Self {
        let all = || frames.iter().filter_map(|f| f.columns()[column].values.numbers()).flatten().copied();
        let mut present: Vec<f64> = all().filter(|x| !x.is_nan()).collect();
        let has_null = all().any(f64::is_nan);
        present.par_sort_unstable_by(f64::total_cmp);
        let largest = present.iter().map(|x| x.abs()).fold(0.0, f64::max);
        let scale = libm::exp2(-f64::from(libm::frexp(largest).1.clamp(-1000, 1024)));
        let n = present.len() as f64;
        let mean = present.iter().map(|x| x * scale).sum::<f64>() / n;
        let variance = present.iter().map(|x| (x * scale - mean) * (x * scale - mean)).sum::<f64>() / n;
        let sd = if present.first() == present.last() { 0.0 } else { variance.sqrt() };
        Self { scale, mean, sd, present: present.len(), has_null }
    }
}

fn number(frames: &[&Frame], column: usize, next: &mut impl FnMut() -> usize) -> (Place, bool) {
    let Moments { scale, mean, sd, has_null, .. } = Moments::of(frames, column);
    let to = (sd > 0.0).then(next);
    (Place::Number { to, scale, mean, sd }, has_null)
}

fn code(frames: &[&Frame], column: usize, labels: usize, next: &mut impl FnMut() -> usize) -> (Place, bool) {
    let mut counts: Vec<(u64, usize)> = (0..labels).map(|label| (0, label)).collect();
    let mut has_null = false;
    for &c in frames.iter().filter_map(|f| f.columns()[column].values.codes()).flatten() {
        match counts.get_mut(c as usize) {
            Some((count, _)) => *count += 1,
            None => has_null = true,
        }
    }
    let held = counts.iter().filter(|(count, _)| *count > 0).count();
    counts.sort_by_key(|&(count, label)| (std::cmp::Reverse(count), label));
    let mut kept: Vec<usize> = counts.iter().take(held.min(MAX_CATEGORIES)).map(|&(_, label)| label).collect();
    kept.sort_unstable();
    let mut places = vec![None; labels];
    kept.into_iter().for_each(|label| places[label] = Some(next()));
    if held > MAX_CATEGORIES {
        let rest = next();
        places.iter_mut().for_each(|place| *place = place.or(Some(rest)));
    }
    (Place::Code(places), has_null)
}
