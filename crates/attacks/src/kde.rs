//! Kernel density estimates of rows with numbers, categories and NULLs, in log space.
//!
//! The kernel is a product over the columns. With n rows, d number columns and the shrinking factor f = n^(-1/(d + 4))
//! (Scott 1992, section 6.3.2):
//!
//! * a number has a Gaussian of standard deviation h = f·sd, where sd is the sample standard deviation over the rows
//!   that set the scale, so that a column which is constant in one of them has a bandwidth in both;
//! * a category has the kernel of Aitchison & Aitken 1976: 1 - l where categories are equal, l / (c - 1) for each of the
//!   others of c, with l = f^2·(c - 1)/c: the bias shrinks as fast as that of the numbers, and the largest l is uniform;
//! * NULL is a category of its own. In a number column being NULL has a kernel with c = 2; a number beside NULL has the
//!   Gaussian of all numbers, so that densities integrate to 1;
//! * a column with one value in the rows that set the scale compares as equal or unequal, with c = 2.
//!
//! Terms below e^-50 of the largest are left out: with a million rows they are below the rounding of the sum.

use lookalike_core::{Domain, Error, Frame, Job, MISSING, Result, Values};
use lookalike_learners::Moments;
use rayon::prelude::*;

/// Rows of a block: their exponents stay in the first-level cache.
const BLOCK: usize = 512;

/// Queries that pass over a block one after the other.
const TILE: usize = 16;

/// Exponents this far above the least are left out.
const CUT: f64 = 50.0;

/// Scaled numbers are cut off here, so that exponents stay finite.
const CLAMP: f64 = 1e6;

/// Columns, bandwidths and what a mismatch costs.
pub(crate) struct Kernel {
    columns: Vec<Column>,
    /// Logarithm of the kernel at its centre.
    peak: f64,
}

enum Column {
    Number {
        scale: f64,
        mean: f64,
        /// Standard deviations and bandwidths in scaled units.
        sd: f64,
        bandwidth: f64,
        /// Logarithm of the Gaussian at its centre.
        peak: f64,
        /// What NULL beside a number costs.
        penalty: f64,
    },
    /// A number column of one value.
    Constant {
        value: f64,
        penalty: f64,
    },
    Code {
        penalty: f64,
    },
    Omitted,
}

/// Rows column by column, numbers in units of the bandwidth times the root of 2.
pub(crate) struct Rows {
    rows: usize,
    numbers: Vec<Numbers>,
    codes: Vec<Codes>,
}

struct Numbers {
    values: Vec<f64>,
    /// 1 for a number, 0 for NULL; `None` without NULLs.
    present: Option<Vec<f64>>,
    /// Variance of the kernel in that of all numbers; what a number beside NULL costs beside the mismatch.
    narrow: f64,
    wide: f64,
    peak: f64,
    penalty: f64,
}

struct Codes {
    values: Vec<u32>,
    penalty: f64,
}

impl Kernel {
    /// For an estimate from so many rows, on the scale of the rows of all frames together.
    pub fn fit(held: &[&Frame], rows: usize) -> Result<Self> {
        let Some(first) = held.first() else { return Err(Error::internal("densities on the scale of no relation")) };
        let moments: Vec<Option<Moments>> = (0..first.columns().len())
            .map(|c| matches!(first.columns()[c].domain, Domain::Number(_)).then(|| Moments::of(held, c)))
            .collect();
        let numbers = moments.iter().flatten().filter(|m| m.sd > 0.0).count();
        let shrink = libm::pow(rows as f64, -1.0 / (numbers as f64 + 4.0));
        let mut peak = 0.0;
        // What a mismatch among so many categories costs; only real ones make the peak lower.
        let mut category = |count: usize| {
            let c = count.max(2) as f64;
            let other = shrink * shrink * (c - 1.0) / c;
            peak += if count > 1 { libm::log1p(-other) } else { 0.0 };
            // One row has the widest kernel there is, in which all categories are alike.
            (libm::log1p(-other) - libm::log(other / (c - 1.0))).max(0.0)
        };
        let mut of_numbers = 0.0;
        let columns = moments
            .into_iter()
            .enumerate()
            .map(|(c, moments)| match (moments, &first.columns()[c].domain) {
                (Some(m), _) if m.sd > 0.0 => {
                    let penalty = category(1 + usize::from(m.has_null));
                    let n = m.present as f64;
                    let sd = m.sd * (n / (n - 1.0)).sqrt();
                    let bandwidth = sd * shrink;
                    let peak = libm::log(m.scale) - libm::log(bandwidth) - 0.5 * libm::log(std::f64::consts::TAU);
                    of_numbers += peak;
                    Column::Number { scale: m.scale, mean: m.mean, sd, bandwidth, peak, penalty }
                }
                (Some(m), _) => {
                    let values = held.iter().filter_map(|f| f.columns()[c].values.numbers()).flatten();
                    let value = values.copied().find(|x| !x.is_nan()).unwrap_or(f64::NAN);
                    let count = usize::from(m.present > 0) + usize::from(m.has_null);
                    Column::Constant { value, penalty: category(count) }
                }
                (None, Domain::Category(domain)) => {
                    let mut seen = vec![false; domain.labels.len() + 1];
                    for &code in held.iter().filter_map(|f| f.columns()[c].values.codes()).flatten() {
                        seen[(code as usize).min(domain.labels.len())] = true;
                    }
                    Column::Code { penalty: category(seen.into_iter().filter(|s| *s).count()) }
                }
                _ => Column::Omitted,
            })
            .collect();
        Ok(Self { columns, peak: peak + of_numbers })
    }

    /// The rows of a frame in the given order.
    pub fn encode(&self, frame: &Frame, order: &[u32]) -> Result<Rows> {
        let mut rows = Rows { rows: order.len(), numbers: vec![], codes: vec![] };
        if frame.columns().len() != self.columns.len() {
            return Err(Error::internal("relations with different columns have densities"));
        }
        for (column, values) in self.columns.iter().zip(frame.columns().iter().map(|c| &c.values)) {
            match (column, values) {
                (Column::Number { scale, mean, sd, bandwidth, peak, penalty }, Values::Number(v)) => {
                    let at = |r: &u32| v[*r as usize];
                    let unit = bandwidth * std::f64::consts::SQRT_2;
                    let scaled =
                        |x: f64| if x.is_nan() { 0.0 } else { ((x * scale - mean) / unit).clamp(-CLAMP, CLAMP) };
                    let has_null = order.iter().any(|r| at(r).is_nan());
                    let narrow = (bandwidth / sd) * (bandwidth / sd);
                    rows.numbers.push(Numbers {
                        values: order.iter().map(|r| scaled(at(r))).collect(),
                        present: has_null.then(|| order.iter().map(|r| f64::from(u8::from(!at(r).is_nan()))).collect()),
                        narrow,
                        wide: -0.5 * libm::log(narrow),
                        peak: *peak,
                        penalty: *penalty,
                    });
                }
                (Column::Constant { value, penalty }, Values::Number(v)) => {
                    let code = |x: f64| if x.is_nan() { MISSING } else { u32::from(x != *value) };
                    let values = order.iter().map(|r| code(v[*r as usize])).collect();
                    rows.codes.push(Codes { values, penalty: *penalty });
                }
                (Column::Code { penalty }, Values::Code(v)) => {
                    let values = order.iter().map(|r| v[*r as usize]).collect();
                    rows.codes.push(Codes { values, penalty: *penalty });
                }
                (Column::Omitted, _) => {}
                _ => return Err(Error::internal("relations with different columns have densities")),
            }
        }
        Ok(rows)
    }

    /// Logarithm of the kernel around a row of `centres`, at a row of `queries`.
    pub fn log_kernel(&self, queries: &Rows, query: usize, centres: &Rows, centre: usize) -> f64 {
        let mut exponent = [0.0];
        exponents(queries, query, centres, centre, &mut exponent);
        self.peak_of(queries, query) - exponent[0]
    }

    /// Logarithm of the largest value that the kernel has for a query: NULL has a probability, not a density.
    fn peak_of(&self, queries: &Rows, query: usize) -> f64 {
        let is_null = |n: &&Numbers| n.present.as_ref().is_some_and(|p| p[query] == 0.0);
        self.peak - queries.numbers.iter().filter(is_null).map(|n| n.peak).sum::<f64>()
    }
}

/// How far below its peak the logarithm of the kernel is, for a query and the centres from `first` on.
fn exponents(queries: &Rows, query: usize, centres: &Rows, first: usize, out: &mut [f64]) {
    out.fill(0.0);
    let range = first..first + out.len();
    for (q, c) in queries.numbers.iter().zip(&centres.numbers) {
        let at = q.values[query];
        let q_null = q.present.as_ref().is_some_and(|p| p[query] == 0.0);
        match (&c.present, q_null) {
            (None, true) => out.iter_mut().for_each(|e| *e += q.penalty),
            (Some(present), true) => out.iter_mut().zip(&present[range.clone()]).for_each(|(e, p)| *e += p * q.penalty),
            (None, false) => out.iter_mut().zip(&c.values[range.clone()]).for_each(|(e, v)| *e += (at - v) * (at - v)),
            (Some(present), false) => {
                let beside_null = q.penalty + q.wide + at * at * q.narrow;
                let both = c.values[range.clone()].iter().zip(&present[range.clone()]);
                out.iter_mut()
                    .zip(both)
                    .for_each(|(e, (v, p))| *e += p * (at - v) * (at - v) + (1.0 - p) * beside_null);
            }
        }
    }
    for (q, c) in queries.codes.iter().zip(&centres.codes) {
        let at = q.values[query];
        let cost = |v: &u32| if *v == at { 0.0 } else { q.penalty };
        out.iter_mut().zip(&c.values[range.clone()]).for_each(|(e, v)| *e += cost(v));
    }
}

/// An estimate.
pub(crate) struct Density {
    pub kernel: Kernel,
    centres: Rows,
}

impl Density {
    /// From the rows of a frame, which is not empty, on the scale of the rows of all `held` frames together.
    pub fn fit(rows: &Frame, held: &[&Frame], job: &Job) -> Result<Self> {
        job.check()?;
        let kernel = Kernel::fit(held, rows.rows())?;
        let centres = kernel.encode(rows, &rows.canonical_order())?;
        Ok(Self { kernel, centres })
    }

    /// Logarithm of the density at each row of a frame, finite, in its order; it depends on nothing but the row and the
    /// content of the rows that the estimate is from.
    pub fn log_density(&self, frame: &Frame, job: &Job) -> Result<Vec<f64>> {
        let _memory = job.reserve(self.centres.rows * 8 + frame.memory() * 2, "kernel densities")?;
        let order: Vec<u32> = (0..frame.rows() as u32).collect();
        let queries = self.kernel.encode(frame, &order)?;
        let mut result = vec![0.0; frame.rows()];
        result.par_chunks_mut(TILE).enumerate().try_for_each(|(tile, out)| {
            job.check()?;
            let mut state = vec![(f64::INFINITY, 0.0); out.len()];
            let mut buffer = [0.0; BLOCK];
            for first in (0..self.centres.rows).step_by(BLOCK) {
                let buffer = &mut buffer[..BLOCK.min(self.centres.rows - first)];
                for (i, (least, sum)) in state.iter_mut().enumerate() {
                    exponents(&queries, tile * TILE + i, &self.centres, first, buffer);
                    let of_block = buffer.iter().copied().fold(f64::INFINITY, f64::min);
                    if of_block < *least {
                        *sum = if *sum > 0.0 { *sum * libm::exp(of_block - *least) } else { 0.0 };
                        *least = of_block;
                    }
                    for e in buffer.iter().filter(|e| **e < *least + CUT) {
                        *sum += libm::exp(*least - e);
                    }
                }
            }
            for (i, (out, (least, sum))) in out.iter_mut().zip(state).enumerate() {
                let peak = self.kernel.peak_of(&queries, tile * TILE + i);
                *out = peak - least + libm::log(sum) - libm::log(self.centres.rows as f64);
            }
            Ok::<(), Error>(())
        })?;
        job.count("pairs_compared", frame.rows() * self.centres.rows);
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
