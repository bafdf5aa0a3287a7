//! Trees with their donors: drawing, conditions, likelihoods, bytes.

use std::collections::BTreeMap;

use lookalike_core::{Frame, Result, Stream, Values, uniform};
use rand::RngCore;

use super::NAME;
use crate::codec::{Reader, Writer, ensure};
use crate::model::{FitReport, Fitted};
use crate::runs::Runs;
use crate::symbols::{Decoder, Symbols};
use crate::tree::Tree;

/// A column and its tree.
pub(super) struct ColumnTree {
    pub symbols: Symbols,
    pub tree: Tree,
    /// Symbols of the training rows, by leaf.
    pub runs: Runs,
}

/// All columns.
pub(super) struct Columns {
    report: FitReport,
    /// Columns with values, in the order in which they are drawn.
    order: Vec<u32>,
    columns: Vec<ColumnTree>,
    smoothing: f64,
    decoders: Vec<Decoder>,
    /// Share of the node above in each node, of 2^24.
    above: Vec<Vec<u32>>,
}

/// Shares of the node above are kept in so many bits.
const SHARE_BITS: u32 = 24;

/// Candidate rows for a row around given values that are not the first in the order.
const CANDIDATES: usize = 64;

impl Columns {
    pub fn new(report: FitReport, order: Vec<u32>, columns: Vec<ColumnTree>, smoothing: f64) -> Self {
        let decoders = columns.iter().map(|c| c.symbols.decoder()).collect();
        let above = columns.iter().map(|c| shares_above(&c.tree, smoothing)).collect();
        Self { report, order, columns, smoothing, decoders, above }
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let report = FitReport { rows: r.u64()?, units: r.u64()?, epochs: 0 };
        let smoothing = r.f64()?;
        ensure(report.rows > 0 && report.rows < u64::from(u32::MAX) && (0.0..=1e9).contains(&smoothing))?;
        let rows = report.rows as u32;
        let order = r.u32s()?;
        let place: BTreeMap<u32, usize> = order.iter().copied().zip(0..).collect();
        ensure(place.len() == order.len())?;
        let mut own = 0;
        let columns = r.list(4, |r| {
            let symbols = Symbols::load(r)?;
            let at = place.get(&own);
            own += 1;
            ensure(at.is_some() == (symbols.len() > 0))?;
            let Some(at) = at else {
                return Ok(ColumnTree { symbols, tree: Tree::default(), runs: Runs::default() });
            };
            let tree = Tree::load(r, |feature| place.get(&feature).is_some_and(|p| p < at), rows)?;
            let runs = Runs::load(r, &tree, symbols.len())?;
            Ok(ColumnTree { symbols, tree, runs })
        })?;
        ensure(order.iter().all(|c| (*c as usize) < columns.len()))?;
        Ok(Self::new(report, order, columns, smoothing))
    }

    /// One symbol of a column from the leaf.
    #[inline]
    fn draw(&self, column: usize, leaf: usize, rng: &mut Stream) -> u32 {
        let (c, above) = (&self.columns[column], &self.above[column]);
        let mut node = leaf;
        let mut random = rng.next_u64();
        while (random & ((1 << SHARE_BITS) - 1)) < u64::from(above[node]) {
            node = c.tree.parent[node] as usize;
            random = rng.next_u64();
        }
        let (start, end) = c.tree.range[node];
        let at = (u128::from(random >> SHARE_BITS) * u128::from(end - start)) >> (64 - SHARE_BITS);
        c.runs.symbol(node, start + at as u32)
    }

    /// Probability of a symbol of a column in the leaf, as [`Columns::draw`] has it.
    fn probability(&self, column: usize, leaf: usize, symbol: u32) -> f64 {
        let (c, above) = (&self.columns[column], &self.above[column]);
        let (mut node, mut weight, mut sum) = (leaf, 1.0, 0.0);
        loop {
            let share = f64::from(above[node]) / f64::from(1u32 << SHARE_BITS);
            sum += weight * (1.0 - share) * f64::from(c.runs.count(node, symbol)) / f64::from(c.tree.size(node));
            if share == 0.0 {
                return sum;
            }
            weight *= share;
            node = c.tree.parent[node] as usize;
        }
    }

    fn decode(&self, symbols: &[Vec<u32>], rng: &mut Stream) -> Vec<Values> {
        self.decoders.iter().zip(symbols).map(|(d, s)| d.decode(s, rng)).collect()
    }
}

/// Share of the node above in each node: smoothing / (smoothing + rows); none above the root.
fn shares_above(tree: &Tree, smoothing: f64) -> Vec<u32> {
    let share = |node: usize| match node {
        0 => 0,
        _ => (smoothing / (smoothing + f64::from(tree.size(node))) * f64::from(1u32 << SHARE_BITS)) as u32,
    };
    (0..tree.nodes.len()).map(share).collect()
}

impl Fitted for Columns {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let width = self.columns.len();
        let mut bins = vec![0u8; rows * width];
        let mut symbols: Vec<Vec<u32>> = vec![vec![]; width];
        for &column in &self.order {
            let c = &self.columns[column as usize];
            let draw = |row: &mut [u8]| {
                let symbol = self.draw(column as usize, c.tree.leaf(row), rng);
                row[column as usize] = c.symbols.bin_of[symbol as usize];
                symbol
            };
            symbols[column as usize] = bins.chunks_exact_mut(width).map(draw).collect();
        }
        Ok(self.decode(&symbols, rng))
    }

    fn sample_given(&self, given: &[(usize, Values)], rows: usize, rng: &mut Stream) -> Result<Option<Vec<Values>>> {
        let width = self.columns.len();
        let of = |column: u32| given.iter().find(|g| g.0 == column as usize).map(|g| &g.1);
        // What stands before the last given column is drawn with candidates, what follows once a row.
        let last = self.order.iter().rposition(|&c| of(c).is_some()).map_or(0, |p| p + 1);
        let (before, after) = self.order.split_at(last);
        let count = if before.iter().all(|&c| of(c).is_some()) { 1 } else { CANDIDATES };
        let mut symbols: Vec<Vec<u32>> = vec![vec![]; width];
        self.order.iter().for_each(|&c| symbols[c as usize].reserve(rows));
        let mut bins = vec![0u8; count * width];
        let mut drawn = vec![0u32; count * width];
        let mut weights = vec![1.0; count];
        for row in 0..rows {
            weights.fill(1.0);
            for &column in before {
                let at = column as usize;
                let c = &self.columns[at];
                let known = of(column).map(|values| c.symbols.nearest(values, row));
                for k in 0..count {
                    let bins = &mut bins[k * width..(k + 1) * width];
                    let symbol = match known {
                        None => self.draw(at, c.tree.leaf(bins), rng),
                        Some(symbol) => {
                            if count > 1 {
                                weights[k] *= self.probability(at, c.tree.leaf(bins), symbol);
                            }
                            symbol
                        }
                    };
                    bins[at] = c.symbols.bin_of[symbol as usize];
                    drawn[k * width + at] = symbol;
                }
                // The product of many probabilities would vanish.
                let largest = weights.iter().copied().fold(0.0, f64::max);
                if largest > 0.0 && largest < 1e-100 {
                    weights.iter_mut().for_each(|w| *w /= largest);
                }
            }
            let chosen = choose(&weights, rng) * width;
            let (bins, drawn) = (&mut bins[chosen..chosen + width], &mut drawn[chosen..chosen + width]);
            for &column in after {
                let c = &self.columns[column as usize];
                let symbol = self.draw(column as usize, c.tree.leaf(bins), rng);
                bins[column as usize] = c.symbols.bin_of[symbol as usize];
                drawn[column as usize] = symbol;
            }
            self.order.iter().for_each(|&c| symbols[c as usize].push(drawn[c as usize]));
        }
        let mut values = self.decode(&symbols, rng);
        given.iter().for_each(|(column, given)| values[*column] = given.clone());
        Ok(Some(values))
    }

    fn log_likelihood(&self, rows: &Frame) -> Result<Option<Vec<f64>>> {
        let width = self.columns.len();
        let mut bins = vec![0u8; width];
        let log = |row: usize| {
            let mut sum = 0.0;
            for &column in &self.order {
                let c = &self.columns[column as usize];
                let Some((symbol, inside)) = c.symbols.find(&rows.columns()[column as usize].values, row) else {
                    return f64::NEG_INFINITY;
                };
                sum += libm::log(self.probability(column as usize, c.tree.leaf(&bins), symbol)) + inside;
                bins[column as usize] = c.symbols.bin_of[symbol as usize];
            }
            sum
        };
        Ok(Some((0..rows.rows()).map(log).collect()))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        w.u64(self.report.rows);
        w.u64(self.report.units);
        w.f64(self.smoothing);
        w.u32s(&self.order);
        w.list(&self.columns, |w, c| {
            c.symbols.save(w);
            if c.symbols.len() > 0 {
                c.tree.save(w);
                c.runs.save(w);
            }
        });
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.report
    }
}

/// An index drawn in proportion to the weights; any where all are zero.
fn choose(weights: &[f64], rng: &mut Stream) -> usize {
    if weights.len() == 1 {
        return 0;
    }
    let total: f64 = weights.iter().sum();
    let mut left = uniform(rng) * total;
    for (i, w) in weights.iter().enumerate() {
        left -= w;
        if left < 0.0 {
            return i;
        }
    }
    // Rounding, or no weight at all.
    weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
}
