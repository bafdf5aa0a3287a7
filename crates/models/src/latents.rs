//! Columns as standard normals, for models of continuous vectors.

use lookalike_core::{Error, Job, Result, Role, Stream, Values, uniform};

use crate::codec::{Reader, Writer, ensure};
use crate::encoded::EncodedRows;
use crate::normal::{cumulative, quantile};
use crate::rows::Rows;
use crate::tokens::{Bins, Tokens, UNKNOWN, order_by_profile};

/// Every column as one number of standard normal distribution: its tokens are intervals of the unit interval as wide as their
/// shares, a row has a point drawn from its token's interval (uniform dequantisation: Theis, van den Oord & Bethge 2016),
/// and the normal quantile of that point is what models see. Numbers keep their order, missing comes last; categories stand in
/// the order of what goes with them in the other columns. The way back finds the interval, then draws within the token.
pub(crate) struct Latents {
    tokens: Tokens,
    columns: Vec<Intervals>,
}

/// Intervals of one column's tokens.
struct Intervals {
    /// Column of the training rows.
    column: usize,
    /// Tokens from left to right.
    order: Vec<u32>,
    /// Where each of them ends; the last at 1.
    ends: Vec<f64>,
    /// Start and width of each token's interval.
    places: Vec<(f64, f64)>,
}

impl Intervals {
    fn new(column: usize, order: Vec<u32>, counts: &[u64]) -> Result<Self> {
        let total = counts.iter().sum::<u64>() as f64;
        let mut seen = vec![false; counts.len()];
        for &token in &order {
            let place = seen.get_mut(token as usize);
            ensure(place.is_some_and(|s| !std::mem::replace(s, true)))?;
        }
        ensure(order.len() == counts.len() && total > 0.0)?;
        let (mut below, mut ends, mut places) = (0u64, vec![], vec![(0.0, 0.0); counts.len()]);
        for &token in &order {
            let count = counts[token as usize];
            places[token as usize] = (below as f64 / total, count as f64 / total);
            below += count;
            ends.push(below as f64 / total);
        }
        Ok(Self { column, order, ends, places })
    }
}

/// Quantiles beyond these are not told apart from them: 1e-7 is 5.2 standard deviations out.
const EDGE: f64 = 1e-7;

impl Latents {
    /// Learns the intervals; also returns the tokens of every row, a track of choices a column of the training rows.
    pub fn fit(rows: &Rows, max_tokens: usize, job: &Job) -> Result<(Self, EncodedRows)> {
        let _in_work = rows.columns_in_work(job)?;
        let tokens = Tokens::learn(rows, max_tokens, job)?;
        let encoded = tokens.encode_rows(rows, job)?;
        let _profiles = job.reserve(rows.len() * rows.columns().len(), "the profiles of categories")?;
        let track = |c: usize| -> Result<Vec<u32>> {
            Ok(encoded.track(c)?.choices().iter().map(|&token| token.into()).collect())
        };
        let bins = |c: usize| Ok(Bins::of_codes(&track(c)?, tokens.counts(c)));
        let bins: Vec<Bins> = (0..rows.columns().len()).map(bins).collect::<Result<_>>()?;
        let mut columns = vec![];
        for column in 0..rows.columns().len() {
            if tokens.sizes()[column] == 0 {
                continue;
            }
            let mut order: Vec<u32> = (0..tokens.sizes()[column] as u32).collect();
            if rows.columns()[column].role() == Role::Category {
                let others: Vec<&Bins> = bins
                    .iter()
                    .enumerate()
                    .filter(|(c, _)| *c != column && tokens.sizes()[*c] > 1)
                    .map(|(_, b)| b)
                    .collect();
                order_by_profile(&mut order, &track(column)?, tokens.counts(column), &others, job)?;
            }
            columns.push(Intervals::new(column, order, tokens.counts(column))?);
        }
        Ok((Self { tokens, columns }, encoded))
    }

    /// Numbers a row.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The column that number `i` of a row stands for.
    pub fn column(&self, i: usize) -> usize {
        self.columns[i].column
    }

    /// The tokens below.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// A point of the token's interval of number `i`, as a normal quantile.
    pub fn draw(&self, i: usize, token: u32, rng: &mut Stream) -> f32 {
        let (start, width) = self.columns[i].places[token as usize];
        quantile((start + width * uniform(rng)).clamp(EDGE, 1.0 - EDGE)) as f32
    }

    /// Share of the training rows that have the token.
    pub fn share(&self, i: usize, token: u32) -> f64 {
        self.columns[i].places.get(token as usize).map_or(0.0, |p| p.1)
    }

    /// The token in whose interval z lies.
    pub fn token(&self, i: usize, z: f32) -> u32 {
        let (u, intervals) = (cumulative(f64::from(z)), &self.columns[i]);
        let place = intervals.ends.partition_point(|end| *end <= u).min(intervals.order.len() - 1);
        intervals.order[place]
    }

    /// Rows of [`Latents::width`] numbers as values.
    pub fn decode(&self, rows: &[f32], rng: &mut Stream) -> Vec<Values> {
        let width = self.width().max(1);
        let mut tokens: Vec<Vec<u32>> = vec![vec![]; self.tokens.sizes().len()];
        for (i, intervals) in self.columns.iter().enumerate() {
            tokens[intervals.column] = rows.iter().skip(i).step_by(width).map(|z| self.token(i, *z)).collect();
        }
        tokens.iter().enumerate().map(|(c, tokens)| self.tokens.decode(c, tokens, rng)).collect()
    }

    /// Tokens of any rows, a vector a number of the latent row.
    pub fn encode(&self, values: &[&Values]) -> Result<Vec<Vec<u32>>> {
        let encode = |i: &Intervals| {
            let values = values.get(i.column).ok_or_else(|| Error::internal("rows of other columns"))?;
            Ok(self.tokens.encode(i.column, values))
        };
        self.columns.iter().map(encode).collect()
    }

    /// True for a token that training rows had.
    pub fn known(&self, i: usize, token: u32) -> bool {
        token != UNKNOWN && (token as usize) < self.columns[i].places.len()
    }

    pub fn save(&self, w: &mut Writer) {
        self.tokens.save(w);
        w.list(&self.columns, |w, c| w.u32s(&c.order));
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let tokens = Tokens::load(r)?;
        let orders = r.list(8, Reader::u32s)?;
        let present: Vec<usize> = (0..tokens.sizes().len()).filter(|&c| tokens.sizes()[c] > 0).collect();
        ensure(orders.len() == present.len())?;
        let columns = orders.into_iter().zip(present);
        let columns = columns.map(|(order, c)| Intervals::new(c, order, tokens.counts(c))).collect::<Result<_>>()?;
        Ok(Self { tokens, columns })
    }
}
