//! One multivariate normal for all columns: mean vector and full covariance.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lookalike_core::{Column, Domain, Frame, Job, MISSING, Options, ParamSpec, Result, Stream, Values};
use rand::RngCore;
use rayon::prelude::*;

use crate::alias::Alias;
use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::factor::{Factor, TILE, Tile};
use crate::linalg::{Square, correlation_factor, dot};
use crate::model::{FitReport, Fitted, Model};
use crate::rows::Rows;
use shift::Shift;

mod shift;

/// Multivariate normal with the rows' mean vector and full covariance, drawn by Cholesky and turned back into the columns' types.
///
/// Numbers are themselves. A category is one 0/1 indicator per level (the 63 most frequent, and one for all others), and
/// comes back as the level with the largest indicator; "others" is then drawn by frequency. Missing values count as
/// the mean in the covariance and are put back at each column's own rate, independently of everything else. Numbers come out normal
/// whatever their distribution was, cut to the observed range: that is the model, use `gaussian_copula` for their shapes.
///
/// The saved state holds means, standard deviations, frequencies and the factor of the correlation matrix.
pub(crate) struct Gaussian;

const NAME: &str = "gaussian";
/// Indicators of a category at most.
const MAX_INDICATORS: usize = 64;
/// Rows encoded at a time.
const SHARD: usize = 1024;

impl Model for Gaussian {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Mean vector and full covariance of numbers and category indicators."
    }

    fn source(&self) -> &'static str {
        "Mendelevitch & Lesh 2020, Fidelity and Privacy of Synthetic Medical Data, sec. 2"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn conditions(&self) -> bool {
        true
    }

    fn fit(&self, rows: &Rows, _options: &Options, _seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let _memory = rows.encoding(8, 4, job)?;
        job.count("rows_trained", rows.len());
        let parts: Vec<Part> = rows.map(job, |_, column| Ok(Part::fit(column)))?;
        let size = parts.iter().map(Part::width).sum();
        let _matrix = job.reserve(size * (size * 16 + SHARD * 8), "the covariance matrix")?;
        let factor = Factor::new(size, correlation_factor(&correlation(&parts, rows, size, job)?, job)?);
        let report = rows.report();
        Ok(Box::new(Normal::new(report, parts, factor)?))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let report = FitReport { rows: r.count()?, units: r.count()?, epochs: r.u32()? };
        let parts = r.list(4, |r| match r.u32()? {
            0 => Ok(Part::Omitted),
            1 => Ok(Part::Number { mean: r.f64()?, sd: r.f64()?, present: r.count()?, missing: r.count()? }),
            2 => Ok(Part::Category { count: r.counts()?, shown: r.u32s()?, missing: r.count()? }),
            _ => Err(inconsistent()),
        })?;
        let factor = Factor::load(&mut r)?;
        r.finish()?;
        Ok(Box::new(Normal::new(report, parts, factor)?))
    }
}

/// What is known of a column, apart from its correlations.
#[derive(Debug, Clone)]
enum Part {
    Omitted,
    /// Moments of the present values.
    Number {
        mean: f64,
        sd: f64,
        present: u64,
        missing: u64,
    },
    /// Rows by code; codes with an indicator of their own. Other codes in use share one more indicator.
    Category {
        count: Vec<u64>,
        shown: Vec<u32>,
        missing: u64,
    },
}

impl Part {
    fn fit(column: &Column) -> Self {
        match (&column.values, &column.domain) {
            (Values::Number(values), _) => {
                let present: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
                let n = present.len().max(1) as f64;
                let mean = present.iter().sum::<f64>() / n;
                let sd = libm::sqrt(present.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n);
                let missing = (values.len() - present.len()) as u64;
                Part::Number { mean, sd, present: present.len() as u64, missing }
            }
            (Values::Code(codes), Domain::Category(domain)) => {
                let mut count = vec![0u64; domain.labels.len()];
                let mut missing = 0;
                codes.iter().for_each(|&c| match count.get_mut(c as usize) {
                    Some(count) => *count += 1,
                    None => missing += 1,
                });
                let mut shown: Vec<u32> = (0..count.len() as u32).filter(|&c| count[c as usize] > 0).collect();
                if shown.len() > MAX_INDICATORS {
                    shown.sort_by_key(|&c| std::cmp::Reverse(count[c as usize]));
                    shown.truncate(MAX_INDICATORS - 1);
                    shown.sort_unstable();
                }
                Part::Category { count, shown, missing }
            }
            _ => Part::Omitted,
        }
    }

    /// Rows of codes without an indicator of their own.
    fn others(&self) -> Vec<u64> {
        let Part::Category { count, shown, .. } = self else { return vec![] };
        let mut others = count.clone();
        shown.iter().for_each(|&c| others[c as usize] = 0);
        others
    }

    /// Variables of the normal.
    fn width(&self) -> usize {
        match self {
            Part::Omitted => 0,
            Part::Number { .. } => 1,
            Part::Category { shown, .. } => shown.len() + usize::from(self.others().iter().any(|&c| c > 0)),
        }
    }
}

/// Correlation matrix of numbers and indicators; missing values sit at the mean.
fn correlation(parts: &[Part], all: &Rows, size: usize, job: &Job) -> Result<Square> {
    // Sums of products of deviations, shard after shard of the canonical order.
    let columns: Vec<Cow<Column>> = (0..parts.len()).map(|c| all.column(c)).collect::<Result<_>>()?;
    let mut sums = Square::zeros(size);
    let mut shard = vec![0.0f64; size * SHARD];
    for start in (0..all.len()).step_by(SHARD) {
        job.check()?;
        job.progress("fit", start as u64, all.len() as u64);
        let rows = SHARD.min(all.len() - start);
        shard.fill(0.0);
        let mut rest = &mut shard[..];
        for (part, column) in parts.iter().zip(&columns) {
            let (own, after) = rest.split_at_mut(part.width() * SHARD);
            rest = after;
            encode(part, &column.values, start..start + rows, own);
        }
        let shard = &shard;
        sums.data.par_chunks_mut(size.max(1)).enumerate().for_each(|(i, row)| {
            let x = &shard[i * SHARD..(i + 1) * SHARD];
            for (j, sum) in row[..=i].iter_mut().enumerate() {
                *sum += dot(x, &shard[j * SHARD..(j + 1) * SHARD]);
            }
        });
    }
    let mut matrix = Square::identity(size);
    for i in 0..size {
        for j in 0..i {
            let scale = libm::sqrt(sums.at(i, i) * sums.at(j, j));
            matrix.set(i, j, if scale > 0.0 { sums.at(i, j) / scale } else { 0.0 });
        }
    }
    Ok(matrix)
}

/// Writes the deviations from the mean of one column's variables, variable-major.
fn encode(part: &Part, values: &Values, rows: std::ops::Range<usize>, out: &mut [f64]) {
    match (part, values) {
        (Part::Number { mean, .. }, Values::Number(values)) => {
            for (out, v) in out.iter_mut().zip(&values[rows]) {
                *out = if v.is_nan() { 0.0 } else { v - mean };
            }
        }
        (Part::Category { count, shown, .. }, Values::Code(codes)) => {
            let present = count.iter().sum::<u64>().max(1) as f64;
            let shares: Vec<f64> = shown.iter().map(|&c| count[c as usize] as f64 / present).collect();
            let others = 1.0 - shares.iter().sum::<f64>();
            for (row, &code) in codes[rows].iter().enumerate().filter(|(_, c)| **c != MISSING) {
                let own = shown.binary_search(&code).unwrap_or(shown.len());
                for (k, variable) in out.chunks_exact_mut(SHARD).enumerate() {
                    variable[row] = f64::from(k == own) - shares.get(k).copied().unwrap_or(others);
                }
            }
        }
        _ => {}
    }
}

struct Normal {
    report: FitReport,
    parts: Vec<Part>,
    factor: Factor,
    decoders: Vec<Decoder>,
}

enum Decoder {
    Omitted,
    Number { first: usize, mean: f64, sd: f64, missing_below: u64 },
    Category { indicators: Vec<Indicator>, others: Option<Alias>, missing_below: u64 },
}

/// One variable of a category.
struct Indicator {
    variable: usize,
    /// `None`: all other codes.
    code: Option<u32>,
    mean: f32,
    sd: f32,
}

/// Draws below this (of 2^32) are missing.
fn threshold(missing: u64, present: u64) -> u64 {
    ((u128::from(missing) << 32) / u128::from((missing + present).max(1))) as u64
}

impl Normal {
    fn new(report: FitReport, parts: Vec<Part>, factor: Factor) -> Result<Self> {
        let mut first = 0;
        let mut decoders = vec![];
        for part in &parts {
            if let Part::Category { count, shown, .. } = part {
                ensure(shown.is_sorted() && shown.iter().all(|&c| (c as usize) < count.len()))?;
            }
            decoders.push(match part {
                Part::Omitted => Decoder::Omitted,
                Part::Number { mean, sd, present, missing } => {
                    Decoder::Number { first, mean: *mean, sd: *sd, missing_below: threshold(*missing, *present) }
                }
                Part::Category { count, shown, missing } => {
                    let present: u64 = count.iter().sum();
                    let others = part.others();
                    let code_counts = shown.iter().map(|&c| (Some(c), count[c as usize]));
                    let indicators = code_counts
                        .chain(std::iter::once((None, others.iter().sum())).filter(|o| o.1 > 0))
                        .enumerate()
                        .map(|(k, (code, rows))| {
                            let share = rows as f64 / present.max(1) as f64;
                            let sd = libm::sqrt(share * (1.0 - share)) as f32;
                            Indicator { variable: first + k, code, mean: share as f32, sd }
                        })
                        .collect();
                    let missing_below = threshold(*missing, present);
                    Decoder::Category { indicators, others: Alias::new(&others), missing_below }
                }
            });
            first += part.width();
        }
        ensure(first == factor.size())?;
        Ok(Self { report, parts, factor, decoders })
    }

    /// Columns without values yet, with room for some.
    fn empty(&self, rows: usize) -> Vec<Values> {
        let empty = |decoder: &Decoder| match decoder {
            Decoder::Omitted => Values::Omitted,
            Decoder::Number { .. } => Values::Number(Vec::with_capacity(rows)),
            Decoder::Category { .. } => Values::Code(Vec::with_capacity(rows)),
        };
        self.decoders.iter().map(empty).collect()
    }
}

impl Decoder {
    fn read(&self, tile: &Tile, rows: usize, rng: &mut Stream, out: &mut Values) {
        let is_missing = |below: u64, rng: &mut Stream| below > 0 && u64::from(rng.next_u32()) < below;
        match (self, out) {
            (Decoder::Number { first, mean, sd, missing_below }, Values::Number(out)) => {
                out.extend(
                    tile.z[first * TILE..][..rows]
                        .iter()
                        .map(|&z| if is_missing(*missing_below, rng) { f64::NAN } else { mean + sd * f64::from(z) }),
                );
            }
            (Decoder::Category { indicators, others, missing_below }, Values::Code(out)) => {
                for row in 0..rows {
                    if is_missing(*missing_below, rng) {
                        out.push(MISSING);
                        continue;
                    }
                    let height = |i: &Indicator| i.mean + i.sd * tile.z[i.variable * TILE + row];
                    let largest = indicators.iter().reduce(|a, b| if height(b) > height(a) { b } else { a });
                    out.push(match largest {
                        Some(Indicator { code: Some(code), .. }) => *code,
                        _ => others.as_ref().map_or(MISSING, |o| o.draw(rng)),
                    });
                }
            }
            _ => {}
        }
    }
}

impl Fitted for Normal {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let mut out = self.empty(rows);
        let mut tile = self.factor.tile();
        for start in (0..rows).step_by(TILE) {
            self.factor.draw(&mut tile, rng);
            for (decoder, out) in self.decoders.iter().zip(&mut out) {
                decoder.read(&tile, TILE.min(rows - start), rng, out);
            }
        }
        Ok(out)
    }

    /// The normal given numbers: a draw z becomes z + C D^-1 (v - z_g), where v are the given values, D their correlations and C those of
    /// all variables with them (Hoffman & Ribak 1991). NULL says nothing of other columns. `None` where a category is
    /// given, which depends on the largest of several variables.
    fn sample_given(&self, given: &[(usize, Values)], rows: usize, rng: &mut Stream) -> Result<Option<Vec<Values>>> {
        let mut numbers: Vec<(usize, f64, f64, &[f64])> = vec![];
        for (column, values) in given {
            match (self.decoders.get(*column), values) {
                (Some(Decoder::Number { first, mean, sd, .. }), Values::Number(values)) => {
                    numbers.push((*first, *mean, *sd, values));
                }
                _ => return Ok(None),
            }
        }
        let mut out = self.empty(rows);
        let mut tile = self.factor.tile();
        // By which of the given numbers are there; a constant says nothing either.
        let mut shifts: BTreeMap<Vec<bool>, Shift> = BTreeMap::new();
        for start in (0..rows).step_by(TILE) {
            self.factor.draw(&mut tile, rng);
            let here = TILE.min(rows - start);
            for k in 0..here {
                let z = |(_, mean, sd, values): &(usize, f64, f64, &[f64])| (values[start + k] - mean) / sd;
                let present: Vec<bool> = numbers.iter().map(|n| n.2 > 0.0 && !n.3[start + k].is_nan()).collect();
                let known = numbers.iter().zip(&present).filter(|n| *n.1).map(|(n, _)| (n.0, z(n)));
                let (variables, wanted): (Vec<usize>, Vec<f64>) = known.unzip();
                let shift = shifts.entry(present).or_insert_with(|| Shift::new(&self.factor, variables));
                shift.apply(&mut tile, k, &wanted);
            }
            for (decoder, out) in self.decoders.iter().zip(&mut out) {
                decoder.read(&tile, here, rng, out);
            }
        }
        given.iter().for_each(|(column, values)| out[*column] = values.clone());
        Ok(Some(out))
    }

    /// That of the multivariate normal, where all columns are numbers that differ and none has NULLs. Which category comes out
    /// depends on the largest of correlated indicators, whose probability has no closed form.
    fn log_likelihood(&self, rows: &Frame) -> Result<Option<Vec<f64>>> {
        let mut numbers: Vec<(f64, f64, &[f64])> = vec![];
        for (part, column) in self.parts.iter().zip(rows.columns()) {
            match (part, &column.values) {
                (Part::Omitted, _) => {}
                (Part::Number { mean, sd, missing: 0, .. }, Values::Number(values)) if *sd > 0.0 => {
                    numbers.push((*mean, *sd, values));
                }
                _ => return Ok(None),
            }
        }
        let scale: f64 = numbers.iter().map(|(_, sd, _)| libm::log(*sd)).sum();
        let density = |row: usize| {
            let z: Vec<f64> = numbers.iter().map(|(mean, sd, values)| (values[row] - mean) / sd).collect();
            // The model makes no NULL.
            if z.iter().any(|z| z.is_nan()) { f64::NEG_INFINITY } else { self.factor.log_density(z) - scale }
        };
        Ok(Some((0..rows.rows()).map(density).collect()))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        w.u64(self.report.rows);
        w.u64(self.report.units);
        w.u32(self.report.epochs);
        w.list(&self.parts, |w, part| match part {
            Part::Omitted => w.u32(0),
            Part::Number { mean, sd, present, missing } => {
                w.u32(1);
                w.f64(*mean);
                w.f64(*sd);
                w.u64(*present);
                w.u64(*missing);
            }
            Part::Category { count, shown, missing } => {
                w.u32(2);
                w.list(count, |w, c| w.u64(*c));
                w.u32s(shown);
                w.u64(*missing);
            }
        });
        self.factor.save(&mut w);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.report
    }
}
