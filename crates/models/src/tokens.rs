//! Rows as one categorical token a column, for models of discrete tables, and the way back.

mod grouping;
mod similarity;

use lookalike_core::{Column, Domain, Job, MISSING, Result, Stream, Values, uniform};
use rayon::prelude::*;

use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::encoded::{EncodedRows, Track};
use crate::marginal::Marginal;
use crate::rows::Rows;
pub(crate) use grouping::{Grouping, merge};
pub(crate) use similarity::{Bins, order_by_profile};

/// The token of a value that training rows never had: NULL where there was none, a category without rows.
/// [`Tokens::sizes`] excludes it.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// Most tokens of a column but for missing, so that a token fits 16 bits.
pub(crate) const MOST_TOKENS: usize = 65_000;

/// Bins and atoms that the distribution of a number is kept in below its tokens.
const KNOTS: usize = 1024;

/// Every column as one token a row, and what a token stands for.
///
/// - A **number** is the pieces of its [`Marginal`], merged where they are more than `max_tokens`: atoms whose rows outweigh an
///   average token keep one of their own, the others share tokens of neighbours of about equal mass. Tokens ascend with the
///   values, but for those that reach past an atom of its own.
/// - A **category** is a token while there are at most `max_tokens` of them. Beyond, the frequent ones keep theirs, and the
///   others share tokens of about equal mass with those most like them in what the other columns say
///   ([`order_by_profile`]).
/// - **Missing** is the last token of a column that had missing values, beyond `max_tokens`.
///
/// Within a token the pieces or categories keep their shares, and numbers are even inside a piece, so the distribution of
/// a column is as fine as its marginal whatever the number of tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    columns: Vec<Coding>,
    sizes: Vec<usize>,
    counts: Vec<Vec<u64>>,
}

/// How the values of a column become tokens.
#[derive(Debug)]
enum Coding {
    Omitted,
    Number { marginal: Marginal, grouping: Grouping },
    Category { count: Vec<u64>, missing: u64, grouping: Grouping },
}

impl Tokens {
    /// Learns tokens from all rows; at least two a column are allowed and [`MOST_TOKENS`] at most, whatever `max_tokens` says.
    pub fn learn(rows: &Rows, max_tokens: usize, job: &Job) -> Result<Self> {
        let max_tokens = max_tokens.clamp(2, MOST_TOKENS);
        let (marginals, groupings) = distributions(rows, KNOTS, max_tokens, job)?;
        let coding = |(marginal, categories): (Option<Marginal>, Option<Grouped>)| match (marginal, categories) {
            (Some(marginal), _) => {
                let order: Vec<u32> = (0..marginal.len() as u32).collect();
                let is_atom = |i: u32| marginal.low[i as usize] == marginal.high[i as usize];
                let grouping = Grouping::new(merge(&order, &marginal.count, is_atom, max_tokens), &marginal.count)?;
                Ok(Coding::Number { marginal, grouping })
            }
            (_, Some((grouping, count, missing))) => Ok(Coding::Category { count, missing, grouping }),
            _ => Ok(Coding::Omitted),
        };
        Ok(Self::new(marginals.into_iter().zip(groupings).map(coding).collect::<Result<_>>()?))
    }

    /// The tokens of the rows learned from: a track of choices each column, none of identifiers.
    pub fn encode_rows(&self, rows: &Rows, job: &Job) -> Result<EncodedRows> {
        let row_bytes = 2 * self.sizes.iter().filter(|size| **size > 0).count();
        let encode = |c: usize| {
            if self.sizes[c] == 0 {
                return Ok(vec![Track::Omitted]);
            }
            let encoded = self.encode(c, &rows.column(c)?.values);
            Ok(vec![Track::Choice(encoded.into_iter().map(|token| token as u16).collect())])
        };
        EncodedRows::of(rows.len(), self.sizes.len(), row_bytes, rows.is_on_disk(), job, encode)
    }

    fn new(columns: Vec<Coding>) -> Self {
        let counts: Vec<Vec<u64>> = columns.iter().map(Coding::counts).collect();
        Self { columns, sizes: counts.iter().map(Vec::len).collect(), counts }
    }

    /// Tokens of each column; 0 for identifiers.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Training rows of each token.
    pub fn counts(&self, column: usize) -> &[u64] {
        &self.counts[column]
    }

    /// The token that stands for missing, if the column has one.
    pub fn missing(&self, column: usize) -> Option<u32> {
        self.columns[column].missing_token()
    }

    /// Tokens of any values of a column. A number where no training row was gets the token of the nearest piece; NULL
    /// where there was none, and categories without rows, are [`UNKNOWN`].
    pub fn encode(&self, column: usize, values: &Values) -> Vec<u32> {
        match (&self.columns[column], values) {
            (coding @ Coding::Number { .. }, Values::Number(values)) => {
                values.par_iter().map(|v| coding.encode_number(*v).0).collect()
            }
            (coding @ Coding::Category { .. }, Values::Code(codes)) => coding.encode_codes(codes),
            _ => vec![],
        }
    }

    /// Values that the tokens stand for, drawn within them; tokens beyond [`Tokens::sizes`] are missing.
    pub fn decode(&self, column: usize, tokens: &[u32], rng: &mut Stream) -> Values {
        match &self.columns[column] {
            Coding::Omitted => Values::Omitted,
            Coding::Number { marginal, grouping } => {
                let value = |&token: &u32| match grouping.draw(token, rng) {
                    Some(piece) => {
                        let (low, high) = (marginal.low[piece as usize], marginal.high[piece as usize]);
                        if low == high { low } else { (low + (high - low) * uniform(rng)).min(high) }
                    }
                    None => f64::NAN,
                };
                Values::Number(tokens.iter().map(value).collect())
            }
            Coding::Category { grouping, .. } => {
                Values::Code(tokens.iter().map(|&t| grouping.draw(t, rng).unwrap_or(MISSING)).collect())
            }
        }
    }

    /// The logarithm of the probability (categories, missing, atoms) or density (other numbers) of each value among all that its
    /// token stands for; minus infinity for what [`Tokens::decode`] never makes of the token. With the probability
    /// of the token it makes the likelihood of the value.
    pub fn log_within(&self, column: usize, values: &Values, tokens: &[u32]) -> Vec<f64> {
        let coding = &self.columns[column];
        match (coding, values) {
            (Coding::Number { marginal, grouping }, Values::Number(values)) => {
                let log = |(&value, &token): (&f64, &u32)| {
                    let (found, piece) = coding.encode_number(value);
                    if found != token || found == UNKNOWN {
                        return f64::NEG_INFINITY;
                    }
                    let Some(i) = piece else { return 0.0 };
                    let (low, high) = (marginal.low[i], marginal.high[i]);
                    if value < low || value > high {
                        return f64::NEG_INFINITY;
                    }
                    let share = grouping.log_share(marginal.count[i], token);
                    if low == high { share } else { share - libm::log(high - low) }
                };
                values.par_iter().zip(tokens).map(log).collect()
            }
            (Coding::Category { count, grouping, .. }, Values::Code(codes)) => {
                let log = |(&code, &token): (&u32, &u32)| match coding.encode_code(code) {
                    found if found != token || found == UNKNOWN => f64::NEG_INFINITY,
                    _ if code == MISSING => 0.0,
                    _ => grouping.log_share(count[code as usize], token),
                };
                codes.iter().zip(tokens).map(log).collect()
            }
            _ => vec![0.0; tokens.len()],
        }
    }

    pub fn save(&self, w: &mut Writer) {
        w.list(&self.columns, |w, column| match column {
            Coding::Omitted => w.u32(0),
            Coding::Number { marginal, grouping } => {
                w.u32(1);
                marginal.save(w);
                grouping.save(w);
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
        let columns = r.list(4, |r| match r.u32()? {
            0 => Ok(Coding::Omitted),
            1 => {
                let marginal = Marginal::load(r)?;
                let ascends = |i: usize| marginal.high[i - 1] <= marginal.low[i];
                ensure((1..marginal.len()).all(ascends) && marginal.missing <= grouping::MOST_ROWS)?;
                let grouping = Grouping::load(r, &marginal.count)?;
                Ok(Coding::Number { marginal, grouping })
            }
            2 => {
                let (count, missing) = (r.list(8, Reader::u64)?, r.u64()?);
                ensure(missing <= grouping::MOST_ROWS)?;
                let grouping = Grouping::load(r, &count)?;
                Ok(Coding::Category { count, missing, grouping })
            }
            _ => Err(inconsistent()),
        })?;
        Ok(Self::new(columns))
    }
}

impl Coding {
    fn grouping(&self) -> Option<(&Grouping, u64)> {
        match self {
            Coding::Omitted => None,
            Coding::Number { grouping, marginal } => Some((grouping, marginal.missing)),
            Coding::Category { grouping, missing, .. } => Some((grouping, *missing)),
        }
    }

    fn counts(&self) -> Vec<u64> {
        let Some((grouping, missing)) = self.grouping() else { return vec![] };
        grouping.counts().iter().copied().chain((missing > 0).then_some(missing)).collect()
    }

    fn missing_token(&self) -> Option<u32> {
        self.grouping().and_then(|(grouping, missing)| (missing > 0).then_some(grouping.len() as u32))
    }

    /// The token of a number and the piece it lies in or next to.
    fn encode_number(&self, value: f64) -> (u32, Option<usize>) {
        let Coding::Number { marginal, grouping } = self else { return (UNKNOWN, None) };
        if value.is_nan() || marginal.len() == 0 {
            let token = if value.is_nan() { self.missing_token() } else { None };
            return (token.unwrap_or(UNKNOWN), None);
        }
        let piece = nearest_piece(marginal, value);
        (grouping.token(piece as u32), Some(piece))
    }

    fn encode_code(&self, code: u32) -> u32 {
        match self {
            Coding::Category { .. } if code == MISSING => self.missing_token().unwrap_or(UNKNOWN),
            Coding::Category { grouping, count, .. } if (code as usize) < count.len() => grouping.token(code),
            _ => UNKNOWN,
        }
    }

    fn encode_codes(&self, codes: &[u32]) -> Vec<u32> {
        codes.iter().map(|&code| self.encode_code(code)).collect()
    }
}

/// The piece a value lies in, an atom before the bins that touch it, or the nearest one; of two as near the lower, as
/// [`Marginal::fit`] has it.
fn nearest_piece(marginal: &Marginal, value: f64) -> usize {
    let (low, high) = (&marginal.low, &marginal.high);
    let i = high.partition_point(|&high| high < value);
    match i {
        i if i == marginal.len() => i - 1,
        i if low[i] <= value => i + usize::from(low[i] < high[i] && low.get(i + 1) == Some(&value)),
        0 => 0,
        i if value - high[i - 1] <= low[i] - value => i - 1,
        i => i,
    }
}

/// Categories of a column put into tokens, rows of each category, rows without one.
pub(crate) type Grouped = (Grouping, Vec<u64>, u64);

/// By column, the distribution of a number, and the tokens of a category.
pub(crate) type Distributions = (Vec<Option<Marginal>>, Vec<Option<Grouped>>);

/// The distribution of every number, in pieces, and the categories of every other column in at most `max_tokens` tokens.
pub(crate) fn distributions(rows: &Rows, knots: usize, max_tokens: usize, job: &Job) -> Result<Distributions> {
    let counts = category_counts(rows, job)?;
    let is_crowded = is_crowded(&counts, max_tokens);
    let _memory = job.reserve(if is_crowded { rows.len() * counts.len() } else { 0 }, "the profiles of categories")?;
    let fitted = rows.map(job, |c, column| Ok(marginal(column, counts[c].as_ref(), rows, knots, is_crowded)))?;
    let (marginals, bins): (Vec<_>, Vec<_>) = fitted.into_iter().unzip();
    Ok((marginals, group(rows, counts, &bins, max_tokens, job)?))
}

/// As [`distributions`], of categories alone.
pub(crate) fn group_categories(
    rows: &Rows,
    knots: usize,
    max_tokens: usize,
    job: &Job,
) -> Result<Vec<Option<Grouped>>> {
    let counts = category_counts(rows, job)?;
    match is_crowded(&counts, max_tokens) {
        true => Ok(distributions(rows, knots, max_tokens, job)?.1),
        false => group(rows, counts, &[], max_tokens, job),
    }
}

/// Rows of each category, by column, and rows without one.
type Counts = Vec<Option<(Vec<u64>, u64)>>;

fn category_counts(rows: &Rows, job: &Job) -> Result<Counts> {
    rows.map(job, |_, column| {
        Ok(match (&column.values, &column.domain) {
            (Values::Code(codes), Domain::Category(domain)) => Some(count_codes(codes, domain.labels.len())),
            _ => None,
        })
    })
}

/// Whether categories have to share tokens: those alike in what goes with them then do.
fn is_crowded(counts: &Counts, max_tokens: usize) -> bool {
    counts.iter().flatten().any(|(count, _)| used(count).count() > max_tokens)
}

/// The distribution of a number, and the bins of any column's rows if they are wanted.
fn marginal(
    column: &Column,
    count: Option<&(Vec<u64>, u64)>,
    rows: &Rows,
    knots: usize,
    binned: bool,
) -> (Option<Marginal>, Option<Bins>) {
    match (&column.values, count) {
        (Values::Number(values), _) => {
            let (marginal, pieces) = Marginal::fit(values, rows.units(), rows.min_persons(), knots);
            let bins = binned.then(|| Bins::of_number(&marginal, &pieces));
            (Some(marginal), bins)
        }
        (Values::Code(codes), Some((count, _))) => (None, binned.then(|| Bins::of_codes(codes, count))),
        _ => (None, None),
    }
}

fn group(
    rows: &Rows,
    counts: Counts,
    bins: &[Option<Bins>],
    max_tokens: usize,
    job: &Job,
) -> Result<Vec<Option<Grouped>>> {
    let group = |(c, counted): (usize, Option<(Vec<u64>, u64)>)| {
        job.check()?;
        let Some((count, missing)) = counted else { return Ok(None) };
        let mut order: Vec<u32> = used(&count).collect();
        if order.len() > max_tokens {
            let others: Vec<&Bins> =
                bins.iter().enumerate().filter(|(other, _)| *other != c).filter_map(|(_, b)| b.as_ref()).collect();
            let column = rows.column(c)?;
            order_by_profile(&mut order, column.values.codes().unwrap_or_default(), &count, &others, job)?;
        }
        let grouping = Grouping::new(merge(&order, &count, |_| true, max_tokens), &count)?;
        Ok(Some((grouping, count, missing)))
    };
    counts.into_iter().enumerate().map(group).collect()
}

/// Categories that any row has.
fn used(count: &[u64]) -> impl Iterator<Item = u32> + '_ {
    (0..count.len() as u32).filter(|&c| count[c as usize] > 0)
}

/// Rows of each code, and of none.
fn count_codes(codes: &[u32], size: usize) -> (Vec<u64>, u64) {
    let (mut count, mut missing) = (vec![0u64; size], 0);
    codes.iter().for_each(|&code| match count.get_mut(code as usize) {
        Some(count) => *count += 1,
        None => missing += 1,
    });
    (count, missing)
}

#[cfg(test)]
mod tests;
