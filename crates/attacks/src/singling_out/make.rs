//! Predicates made from synthetic rows: such as single one row out, and such as are drawn blindly.

use std::collections::HashSet;

use lookalike_core::{Frame, Job, Result, Stream, Streams, Values, below};
use rayon::prelude::*;

use super::predicates::{Condition, Matcher, Op, Predicate, value};

/// Candidates that are drawn from one stream.
const BLOCK: usize = 256;
/// Blocks that are drawn and counted side by side. Fixed, so that the result does not depend on the threads.
const BLOCKS: u64 = 8;
/// Candidates drawn for every predicate asked for, before the search gives up.
const TRIES: usize = 500;

/// Synthetic rows and what predicates are made of.
pub(super) struct Maker<'a> {
    frame: &'a Frame,
    matcher: Matcher<'a>,
    /// Compared columns.
    columns: Vec<usize>,
    /// Rows in canonical order.
    rows: Vec<u32>,
    /// Distinct values of each compared column in ascending order, NULL last.
    distinct: Vec<Vec<f64>>,
    /// Occurrences of each.
    occurrences: Vec<Vec<u32>>,
    medians: Vec<f64>,
}

impl<'a> Maker<'a> {
    pub fn new(frame: &'a Frame, job: &Job) -> Result<Self> {
        let compared = |c: &usize| !matches!(frame.columns()[*c].values, Values::Omitted);
        let columns: Vec<usize> = (0..frame.columns().len()).filter(compared).collect();
        let (mut distinct, mut occurrences, mut medians) = (vec![], vec![], vec![]);
        for &column in &columns {
            job.check()?;
            let mut values: Vec<f64> =
                (0..frame.rows()).map(|row| value(&frame.columns()[column].values, row) + 0.0).collect();
            values.par_sort_unstable_by(|a, b| a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b)));
            let present = values.partition_point(|v| !v.is_nan());
            medians.push(match present {
                0 => f64::NAN,
                n => values[(n - 1) / 2] * 0.5 + values[n / 2] * 0.5,
            });
            let (mut different, mut counts): (Vec<f64>, Vec<u32>) = (vec![], vec![]);
            for v in values {
                match different.last() {
                    Some(&last) if last == v || (last.is_nan() && v.is_nan()) => {
                        if let Some(count) = counts.last_mut() {
                            *count += 1;
                        }
                    }
                    _ => {
                        different.push(v);
                        counts.push(1);
                    }
                }
            }
            distinct.push(different);
            occurrences.push(counts);
        }
        let matcher = Matcher::new(frame, job)?;
        Ok(Self { frame, matcher, columns, rows: frame.canonical_order(), distinct, occurrences, medians })
    }

    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    fn is_number(&self, place: usize) -> bool {
        matches!(self.frame.columns()[self.columns[place]].values, Values::Number(_))
    }

    /// Predicates on one column that match one synthetic row: a value or NULL that occurs once, the smallest and the
    /// largest number. All of them in random order, at most `wanted`.
    pub fn univariate(&self, wanted: usize, streams: &Streams, job: &Job) -> Result<Vec<Predicate>> {
        let mut all: Vec<Predicate> = vec![];
        for (place, &column) in self.columns.iter().enumerate() {
            let condition = |op, value| vec![Condition { column, op, value }];
            let present = || self.distinct[place].iter().copied().filter(|v| !v.is_nan());
            if self.is_number(place)
                && let (Some(min), Some(max)) = (present().next(), present().next_back())
            {
                all.extend([condition(Op::Le, min), condition(Op::Ge, max)]);
            }
            for (&v, _) in self.distinct[place].iter().zip(&self.occurrences[place]).filter(|(_, n)| **n == 1) {
                all.push(if v.is_nan() { condition(Op::IsNull, 0.0) } else { condition(Op::Eq, v) });
            }
        }
        shuffle(&mut all, &mut streams.block(0));
        let mut made = vec![];
        for predicate in all {
            job.check()?;
            if made.len() < wanted && self.matcher.count(&predicate, 2) == 1 {
                made.push(predicate);
            }
        }
        Ok(made)
    }

    /// Predicates on `width` random columns that a random synthetic row matches and no other: numbers at least as far
    /// from the middle as its own, equal categories, NULL where it has NULL. Different ones, at most `wanted`.
    pub fn multivariate(&self, wanted: usize, width: usize, streams: &Streams, job: &Job) -> Result<Vec<Predicate>> {
        let mut seen = HashSet::new();
        let mut made = vec![];
        let mut next = 0u64;
        while made.len() < wanted && (next as usize) * BLOCK < wanted.saturating_mul(TRIES).max(BLOCK) {
            let blocks: Vec<Vec<Predicate>> = (next..next + BLOCKS)
                .into_par_iter()
                .map(|block| {
                    job.check()?;
                    let mut rng = streams.block(block);
                    let drawn = (0..BLOCK).map(|_| self.around_a_row(width, &mut rng));
                    Ok(drawn.filter(|predicate| self.matcher.count(predicate, 2) == 1).collect())
                })
                .collect::<Result<_>>()?;
            next += BLOCKS;
            for predicate in blocks.into_iter().flatten() {
                if made.len() < wanted && seen.insert(predicate.iter().map(Condition::key).collect::<Vec<_>>()) {
                    made.push(predicate);
                }
            }
            job.progress("predicates", made.len() as u64, wanted as u64);
        }
        Ok(made)
    }

    fn around_a_row(&self, width: usize, rng: &mut Stream) -> Predicate {
        let row = self.rows[below(rng, self.rows.len())] as usize;
        self.some_columns(width, rng)
            .into_iter()
            .map(|place| {
                let column = self.columns[place];
                let v = value(&self.frame.columns()[column].values, row);
                let op = match (v.is_nan(), self.is_number(place)) {
                    (true, _) => Op::IsNull,
                    (false, false) => Op::Eq,
                    (false, true) if v > self.medians[place] => Op::Ge,
                    (false, true) => Op::Le,
                };
                Condition { column, op, value: v }
            })
            .collect()
    }

    /// Predicates drawn blindly: random columns, values that occur, and comparisons.
    pub fn random(&self, wanted: usize, width: usize, streams: &Streams) -> Vec<Predicate> {
        let mut rng = streams.block(0);
        let draw = |rng: &mut Stream| -> Predicate {
            let places = self.some_columns(width, rng);
            let condition = |place: usize| {
                let v = self.distinct[place][below(rng, self.distinct[place].len())];
                let ops: &[Op] = match self.is_number(place) {
                    true => &[Op::Eq, Op::Ne, Op::Gt, Op::Lt, Op::Ge, Op::Le],
                    false => &[Op::Eq, Op::Ne],
                };
                let op = match (ops[below(rng, ops.len())], v.is_nan()) {
                    (Op::Eq, true) => Op::IsNull,
                    (_, true) => Op::IsNotNull,
                    (op, false) => op,
                };
                Condition { column: self.columns[place], op, value: v }
            };
            places.into_iter().map(condition).collect()
        };
        (0..wanted).map(|_| draw(&mut rng)).collect()
    }

    /// Different columns in ascending order.
    fn some_columns(&self, width: usize, rng: &mut Stream) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.columns.len()).collect();
        for i in 0..width {
            let other = i + below(rng, places.len() - i);
            places.swap(i, other);
        }
        places.truncate(width);
        places.sort_unstable();
        places
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut Stream) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(rng, i + 1));
    }
}
