//! How much made rows say of rows that a model has not seen.

use lookalike_core::{Frame, Job, Result, Values};
use rayon::prelude::*;

use crate::rows::Rows;
use crate::tokens::Tokens;

/// Tokens of a column, at most, NULL apart: quantiles of a number, categories with those of like profile together.
const TOKENS: usize = 16;
/// Pairs of columns looked at, at most; those near one another first.
const PAIRS: usize = 2000;
/// Rows that each pair of tokens is given beside those made, so that one never made is unlikely, not impossible.
const PRIOR: f64 = 0.5;
/// Rows held out that have both values, without whom their tokens say nothing.
const FEWEST: usize = 30;

/// The mean over pairs of columns, each column with itself among them, of the logarithmic score: how likely the pair of values
/// of a row held out is by the frequencies of the rows made; first which of the two are there, then, where both are, their
/// tokens. A column that is mostly NULL so counts as much as any. The expectation is highest for rows of the true
/// distribution of pairs (a proper score), whatever the tokens are.
pub(super) struct Score {
    tokens: Tokens,
    /// By column, of each row held out; empty for identifiers.
    held: Vec<Vec<u32>>,
}

impl Score {
    /// Tokens are those of the rows learned from.
    pub fn new(learned: &Rows, held: &Frame, job: &Job) -> Result<Self> {
        let tokens = Tokens::learn(learned, TOKENS, job)?;
        let values: Vec<&Values> = held.columns().iter().map(|c| &c.values).collect();
        Ok(Self { held: places(&tokens, &values), tokens })
    }

    /// In nats a pair of columns, at most 0.
    pub fn of(&self, made: &[Values]) -> f64 {
        let made = places(&self.tokens, &made.iter().collect::<Vec<_>>());
        let columns: Vec<usize> = (0..self.held.len()).filter(|&c| !self.held[c].is_empty()).collect();
        let n = columns.len();
        let pairs = (0..n).flat_map(|apart| (apart..n).map(move |j| [j - apart, j])).take(PAIRS);
        let pairs: Vec<[usize; 2]> = pairs.map(|pair| pair.map(|c| columns[c])).collect();
        let scores: Vec<f64> = pairs.par_iter().map(|&pair| self.pair(&made, pair)).collect();
        scores.iter().sum::<f64>() / scores.len().max(1) as f64
    }

    fn pair(&self, made: &[Vec<u32>], [a, b]: [usize; 2]) -> f64 {
        let missing = [a, b].map(|c| self.tokens.missing(c).unwrap_or(u32::MAX));
        let width = self.tokens.sizes()[b] + 1;
        let (mut there, mut tokens) = ([PRIOR; 4], vec![PRIOR; (self.tokens.sizes()[a] + 1) * width]);
        let pattern = |x: u32, y: u32| usize::from(x == missing[0]) * 2 + usize::from(y == missing[1]);
        let place = |x: u32, y: u32| x as usize * width + y as usize;
        for (&x, &y) in made[a].iter().zip(&made[b]) {
            there[pattern(x, y)] += 1.0;
            tokens[place(x, y)] += f64::from(pattern(x, y) == 0);
        }
        let (all, both) = (there.iter().sum::<f64>(), tokens.iter().sum::<f64>());
        let (there, tokens) = (there.map(|n| libm::log(n / all)), tokens.iter().map(|n| libm::log(n / both)));
        let tokens: Vec<f64> = tokens.collect();
        let (mut of_there, mut of_tokens, mut rows) = (0.0, 0.0, 0usize);
        for (&x, &y) in self.held[a].iter().zip(&self.held[b]) {
            of_there += there[pattern(x, y)];
            if pattern(x, y) == 0 {
                of_tokens += tokens[place(x, y)];
                rows += 1;
            }
        }
        of_there / self.held[a].len() as f64 + if rows < FEWEST { 0.0 } else { of_tokens / rows as f64 }
    }
}

/// The token of each value, by column; one beyond all where the rows learned from have none.
fn places(tokens: &Tokens, values: &[&Values]) -> Vec<Vec<u32>> {
    let place = |(c, values): (usize, &&Values)| {
        let beyond = tokens.sizes()[c] as u32;
        tokens.encode(c, values).into_iter().map(|t| t.min(beyond)).collect()
    };
    values.iter().enumerate().map(place).collect()
}
