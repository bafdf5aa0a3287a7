//! Rows as vectors for neural networks: the mode-specific normalisation of CTGAN and TVAE.

mod mixture;

use lookalike_core::{Job, MISSING, Result, Stream, Streams, Values};
use rayon::prelude::*;

use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::encoded::{Compact, EncodedRows, Track};
use crate::marginal::Marginal;
use crate::rows::Rows;
use crate::tokens::{Grouping, MOST_TOKENS, distributions};
use mixture::Mixture;

/// Encoding of a value that the column has no place for; see [`Modal::encode_given`].
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// Pieces the distribution of a number is summarised in before modes are fitted: the cost of a fit is the same for any rows.
const KNOTS: usize = 1024;
/// A value shared by this part of the present rows is a mode of its own.
const ATOM_SHARE: f64 = 0.05;
/// A column of so few different values, all shared by enough persons, is nothing but such modes.
const FEW_VALUES: usize = 20;

/// Mode-specific normalisation (Xu, Skoularidou, Cuesta-Infante & Veeramachaneni 2019, Modeling Tabular data using
/// Conditional GAN, section 4.2).
///
/// A **number** is a choice among modes and, where a mode is a Gaussian, the scalar (v - mu) / (4 sigma) within it, clipped to
/// -1..1. The Gaussians are a variational mixture ([`Mixture`]) of the values that have no mode of their own: those shared
/// by a twentieth of the rows, and all where there are but few, are modes of width zero, and so is missing (the last
/// choice where it occurs). A **category** is a choice; of more than `max_tokens` the infrequent share choices as in
/// [`crate::tokens::Tokens`]; missing is the last choice where it occurs. A row is the spans of its columns one after the
/// other: scalars as they are, choices one-hot.
///
/// Deviations from the paper: modes of width zero and missing; mixtures are fitted to the quantile table ([`Marginal`]) rather
/// than to rows.
///
/// What is kept of the rows: means and variances of modes, values that a twentieth of the rows share (or few values with enough
/// persons each), frequencies.
#[derive(Debug)]
pub(crate) struct Modal {
    columns: Vec<Coding>,
    seed: u64,
    spans: Vec<Span>,
    parts: Vec<Option<Part>>,
    counts: Vec<Vec<u64>>,
    width: usize,
}

/// What a stretch of a dense row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// A number in -1..1 at this place (tanh in the paper).
    Scalar { at: usize },
    /// Exactly one of `size` places from `start` is 1 (softmax).
    Choice { start: usize, size: usize },
}

/// Where a column lies, as places in [`Modal::spans`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Absent for categories and for numbers without a Gaussian mode.
    pub scalar: Option<usize>,
    pub choice: usize,
    /// Whether the choice is the whole column: a category.
    pub is_category: bool,
}

/// A categorical column, for conditional vectors and training by sampling (section 4.3 of the paper).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub column: usize,
    /// Place in [`Modal::spans`] and among the tracks of [`Modal::encode`].
    pub span: usize,
    pub start: usize,
    pub size: usize,
    /// Training rows of each choice.
    pub count: &'a [u64],
}

#[derive(Debug)]
enum Coding {
    Omitted,
    Number(Modes),
    Category { count: Vec<u64>, missing: u64, grouping: Grouping },
}

/// Modes of a number: Gaussians, then atoms in ascending order, then missing.
#[derive(Debug)]
struct Modes {
    mixture: Mixture,
    atoms: Vec<f64>,
    missing: bool,
    /// Training rows of each, expected ones of Gaussians.
    count: Vec<u64>,
}

/// Values of one column as a network sees them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Encoded {
    /// Empty where the column has no scalar.
    pub scalars: Vec<f32>,
    /// [`UNKNOWN`] where no choice has the value.
    pub choices: Vec<u32>,
}

impl Modal {
    /// Learns up to `modes` Gaussians a number and up to `max_tokens` choices a category. `seed` keys the draws of modes.
    pub fn fit(rows: &Rows, modes: usize, max_tokens: usize, seed: u64, job: &Job) -> Result<Self> {
        let (marginals, groupings) = distributions(rows, KNOTS, max_tokens.clamp(2, MOST_TOKENS), job)?;
        let columns = marginals.into_par_iter().zip(groupings).map(|(marginal, categories)| {
            job.check()?;
            Ok(match (marginal, categories) {
                (Some(marginal), _) => Coding::Number(Modes::fit(&marginal, modes)),
                (_, Some((grouping, count, missing))) => Coding::Category { count, missing, grouping },
                _ => Coding::Omitted,
            })
        });
        Ok(Self::new(columns.collect::<Result<_>>()?, seed))
    }

    fn new(columns: Vec<Coding>, seed: u64) -> Self {
        let (mut spans, mut parts, mut counts, mut width) = (vec![], vec![], vec![], 0);
        for column in &columns {
            let (count, has_scalar, is_category) = match column {
                Coding::Omitted => (vec![], false, false),
                Coding::Number(modes) => (modes.count.clone(), modes.mixture.len() > 0, false),
                Coding::Category { grouping, missing, .. } => {
                    let all = grouping.counts().iter().copied().chain((*missing > 0).then_some(*missing));
                    (all.collect(), false, true)
                }
            };
            if count.is_empty() {
                parts.push(None);
                counts.push(count);
                continue;
            }
            let scalar = has_scalar.then_some(spans.len());
            if has_scalar {
                spans.push(Span::Scalar { at: width });
                width += 1;
            }
            parts.push(Some(Part { scalar, choice: spans.len(), is_category }));
            spans.push(Span::Choice { start: width, size: count.len() });
            width += count.len();
            counts.push(count);
        }
        Self { columns, seed, spans, parts, counts, width }
    }

    /// Length of a dense row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What a dense row holds, in order, without gaps.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Bytes of an encoded row.
    pub fn row_bytes(&self) -> usize {
        let bytes = |span: &Span| if matches!(span, Span::Scalar { .. }) { 4 } else { 2 };
        self.spans.iter().map(bytes).sum()
    }

    /// The spans of each column; `None` for identifiers.
    pub fn parts(&self) -> &[Option<Part>] {
        &self.parts
    }

    /// The spans that are whole categorical columns.
    pub fn choices(&self) -> Vec<Choice<'_>> {
        let choice = |(column, part): (usize, &Option<Part>)| {
            let part = part.filter(|p| p.is_category)?;
            let Span::Choice { start, size } = self.spans[part.choice] else { return None };
            Some(Choice { column, span: part.choice, start, size, count: &self.counts[column] })
        };
        self.parts.iter().enumerate().filter_map(choice).collect()
    }

    /// Rows with the columns of the training rows, encoded, a track a span: the mode of a number is drawn from its posterior, by
    /// place of the row and seed. Values without a place are the most frequent choice.
    pub fn encode(&self, rows: &Rows, job: &Job) -> Result<EncodedRows> {
        let streams = Streams::new(self.seed, "modes");
        let encode = |c: usize| {
            let (Some(part), count) = (self.parts[c], &self.counts[c]) else { return Ok(vec![]) };
            let encoded = self.encode_given(c, &rows.column(c)?.values, &mut streams.block(c as u64));
            let most = (0..count.len()).max_by_key(|&i| (count[i], std::cmp::Reverse(i))).unwrap_or(0) as u16;
            let choice = |&c: &u32| if c == UNKNOWN { most } else { c as u16 };
            let choices = Track::Choice(encoded.choices.iter().map(choice).collect());
            let scalars = part.scalar.map(|_| Track::Scalar(encoded.scalars));
            Ok(scalars.into_iter().chain([choices]).collect())
        };
        EncodedRows::of(rows.len(), self.parts.len(), self.row_bytes(), rows.is_on_disk(), job, encode)
    }

    #[cfg(test)]
    /// The given rows of `compact` as dense rows, [`Modal::width`] places each, one after the other into `out`.
    pub fn one_hot(&self, compact: &Compact, rows: &[u32], out: &mut [f32]) {
        out.fill(0.0);
        for (span, track) in self.spans.iter().zip(&compact.tracks) {
            let dense = out.chunks_exact_mut(self.width).zip(rows);
            match (span, track) {
                (Span::Scalar { at }, Track::Scalar(values)) => dense.for_each(|(o, &r)| o[*at] = values[r as usize]),
                (Span::Choice { start, .. }, Track::Choice(choices)) => {
                    dense.for_each(|(o, &r)| o[start + usize::from(choices[r as usize])] = 1.0);
                }
                _ => {}
            }
        }
    }

    #[cfg(test)]
    /// Dense rows, such as a network's output, as values: of each choice the largest place (the first of equals), of scalars what
    /// lies in -1..1. `rng` draws categories that share a choice. Numbers leave off their grid.
    pub fn decode(&self, rows: usize, dense: &[f32], rng: &mut Stream) -> Vec<Values> {
        let dense = || dense.chunks_exact(self.width.max(1)).take(rows);
        let largest = |places: &[f32]| {
            let better = |best: usize, i: usize| if places[i] > places[best] { i } else { best };
            (0..places.len()).reduce(better).unwrap_or(0) as u16
        };
        let track = |span: &Span| match *span {
            Span::Scalar { at } => Track::Scalar(dense().map(|row| row[at]).collect()),
            Span::Choice { start, size } => {
                Track::Choice(dense().map(|row| largest(&row[start..start + size])).collect())
            }
        };
        self.decode_compact(&Compact { rows, tracks: self.spans.iter().map(track).collect() }, rng)
    }

    /// As [`Modal::decode`] from scalars and choices made already, a track a span. A choice beyond its span is missing.
    pub fn decode_compact(&self, compact: &Compact, rng: &mut Stream) -> Vec<Values> {
        let decode = |(coding, part): (&Coding, &Option<Part>)| {
            let choices = match part.map(|p| &compact.tracks[p.choice]) {
                Some(Track::Choice(choices)) => choices.as_slice(),
                _ => &[],
            };
            match coding {
                Coding::Omitted => Values::Omitted,
                Coding::Number(modes) => {
                    let scalars = match part.and_then(|p| p.scalar).map(|s| &compact.tracks[s]) {
                        Some(Track::Scalar(scalars)) => scalars.as_slice(),
                        _ => &[],
                    };
                    let scalar = |i: usize| scalars.get(i).copied().unwrap_or(0.0);
                    Values::Number(choices.iter().enumerate().map(|(i, &c)| modes.value(c, scalar(i))).collect())
                }
                Coding::Category { grouping, .. } => {
                    Values::Code(choices.iter().map(|&c| grouping.draw(c.into(), rng).unwrap_or(MISSING)).collect())
                }
            }
        };
        self.columns.iter().zip(&self.parts).map(decode).collect()
    }

    /// Values of one column as scalars and choices, for conditioning. The mode of a number is drawn from its posterior. NULL
    /// where there was none, categories without rows, and numbers other than the atoms where these are all modes there are,
    /// are [`UNKNOWN`].
    pub fn encode_given(&self, column: usize, values: &Values, rng: &mut Stream) -> Encoded {
        match (&self.columns[column], values) {
            (Coding::Number(modes), Values::Number(values)) => modes.encode(values, rng),
            (Coding::Category { grouping, missing, count }, Values::Code(codes)) => {
                let missing = if *missing > 0 { grouping.len() as u32 } else { UNKNOWN };
                let choice = |&code: &u32| match code {
                    MISSING => missing,
                    code if (code as usize) < count.len() => grouping.token(code),
                    _ => UNKNOWN,
                };
                Encoded { scalars: vec![], choices: codes.iter().map(choice).collect() }
            }
            _ => Encoded { scalars: vec![], choices: vec![] },
        }
    }

    pub fn save(&self, w: &mut Writer) {
        w.u64(self.seed);
        w.list(&self.columns, |w, column| match column {
            Coding::Omitted => w.u32(0),
            Coding::Number(modes) => {
                w.u32(1);
                modes.mixture.save(w);
                w.f64s(&modes.atoms);
                w.u32(u32::from(modes.missing));
                w.list(&modes.count, |w, c| w.u64(*c));
            }
            Coding::Category { count, missing, grouping } => {
                w.u32(2);
                w.list(count, |w, c| w.u64(*c));
                w.u64(*missing);
                grouping.save(w);
            }
        });
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let seed = r.u64()?;
        let columns = r.list(4, |r| match r.u32()? {
            0 => Ok(Coding::Omitted),
            1 => {
                let (mixture, atoms, missing) = (Mixture::load(r)?, r.f64s()?, r.u32()?);
                let count = r.list(8, Reader::u64)?;
                ensure(missing <= 1 && count.len() == mixture.len() + atoms.len() + missing as usize)?;
                ensure(atoms.iter().all(|a| a.is_finite()) && atoms.is_sorted() && count.len() <= MOST_TOKENS)?;
                Ok(Coding::Number(Modes { mixture, atoms, missing: missing == 1, count }))
            }
            2 => {
                let (count, missing) = (r.list(8, Reader::u64)?, r.u64()?);
                let grouping = Grouping::load(r, &count)?;
                ensure(grouping.len() <= MOST_TOKENS)?;
                Ok(Coding::Category { count, missing, grouping })
            }
            _ => Err(inconsistent()),
        })?;
        Ok(Self::new(columns, seed))
    }
}

impl Modes {
    fn fit(marginal: &Marginal, modes: usize) -> Self {
        let total = marginal.count.iter().sum::<u64>();
        let are_few = marginal.is_discrete() && marginal.len() <= FEW_VALUES;
        let is_own = |&i: &usize| {
            let is_large = marginal.count[i] as f64 >= ATOM_SHARE * total as f64;
            marginal.low[i] == marginal.high[i] && (are_few || is_large)
        };
        let (own, rest): (Vec<usize>, Vec<usize>) = (0..marginal.len()).partition(is_own);
        let pieces: Vec<(f64, f64, u64)> =
            rest.iter().map(|&i| (marginal.low[i], marginal.high[i], marginal.count[i])).collect();
        let mixture = Mixture::fit(&pieces, modes.max(1));
        let rows = pieces.iter().map(|p| p.2).sum::<u64>() as f64;
        let missing = marginal.missing > 0;
        let mut count: Vec<u64> = mixture.weights().map(|w| (w * rows).round() as u64).collect();
        count.extend(own.iter().map(|&i| marginal.count[i]));
        count.extend(missing.then_some(marginal.missing));
        Self { mixture, atoms: own.iter().map(|&i| marginal.low[i]).collect(), missing, count }
    }

    fn encode(&self, values: &[f64], rng: &mut Stream) -> Encoded {
        let gaussians = self.mixture.len();
        let mut encoded = Encoded { scalars: vec![], choices: Vec::with_capacity(values.len()) };
        let mut weights = vec![0.0; gaussians];
        for &value in values {
            let (choice, scalar) = if value.is_nan() {
                (if self.missing { (gaussians + self.atoms.len()) as u32 } else { UNKNOWN }, 0.0)
            } else if let Ok(i) = self.atoms.binary_search_by(|a| a.total_cmp(&(value + 0.0))) {
                ((gaussians + i) as u32, 0.0)
            } else if gaussians == 0 {
                (UNKNOWN, 0.0)
            } else {
                let mode = self.mixture.draw(value, &mut weights, rng);
                (mode as u32, self.mixture.scalar(value, mode))
            };
            encoded.choices.push(choice);
            if gaussians > 0 {
                encoded.scalars.push(scalar);
            }
        }
        encoded
    }

    fn value(&self, choice: u16, scalar: f32) -> f64 {
        let choice = usize::from(choice);
        match choice.checked_sub(self.mixture.len()) {
            None => self.mixture.value(scalar, choice),
            Some(i) => self.atoms.get(i).copied().unwrap_or(f64::NAN),
        }
    }
}

#[cfg(test)]
mod tests;
