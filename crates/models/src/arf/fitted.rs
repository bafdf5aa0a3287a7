//! A forest as a density: drawing, conditions, likelihoods, bytes.

use lookalike_core::{Frame, Result, Stream, Values, below, uniform};

use super::NAME;
use crate::codec::{Reader, Writer, ensure};
use crate::model::{FitReport, Fitted};
use crate::runs::Runs;
use crate::symbols::{Decoder, Symbols};
use crate::tree::Tree;

/// A tree and what each column holds in its leaves.
pub(super) struct Leaves {
    tree: Tree,
    runs: Vec<Runs>,
    /// Leaves in the order of their rows, and the last row of each.
    leaves: Vec<u32>,
    ends: Vec<u32>,
}

impl Leaves {
    pub fn new(runs: Vec<Runs>, tree: Tree) -> Self {
        let leaves: Vec<u32> = tree.leaves().into_iter().map(|l| l as u32).collect();
        let ends = leaves.iter().map(|&l| tree.range[l as usize].1).collect();
        Self { tree, runs, leaves, ends }
    }

    /// A row of column `column` from the leaf.
    fn draw(&self, column: usize, leaf: usize, rng: &mut Stream) -> u32 {
        let (from, to) = self.tree.range[leaf];
        self.runs[column].symbol(leaf, from + below(rng, (to - from) as usize) as u32)
    }

    /// Share of the leaf's rows that have the symbol.
    fn share(&self, column: usize, leaf: usize, symbol: u32) -> f64 {
        f64::from(self.runs[column].count(leaf, symbol)) / f64::from(self.tree.size(leaf))
    }
}

/// The forest.
pub(super) struct Forest {
    report: FitReport,
    symbols: Vec<Symbols>,
    trees: Vec<Leaves>,
    decoders: Vec<Decoder>,
}

impl Forest {
    pub fn new(report: FitReport, symbols: Vec<Symbols>, trees: Vec<Leaves>) -> Self {
        let decoders = symbols.iter().map(Symbols::decoder).collect();
        Self { report, symbols, trees, decoders }
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let report = FitReport { rows: r.u64()?, units: r.u64()?, epochs: r.u32()? };
        ensure(report.rows > 0 && report.rows < u64::from(u32::MAX))?;
        let symbols = r.list(4, Symbols::load)?;
        let is_used = |column: u32| symbols.get(column as usize).is_some_and(|s| s.len() > 0);
        let trees = r.list(16, |r| {
            let tree = Tree::load(r, is_used, report.rows as u32)?;
            let runs = symbols.iter().map(|s| match s.len() {
                0 => Ok(Runs::default()),
                size => Runs::load(r, &tree, size),
            });
            let runs = runs.collect::<Result<_>>()?;
            Ok(Leaves::new(runs, tree))
        })?;
        ensure(!trees.is_empty())?;
        Ok(Self::new(report, symbols, trees))
    }

    /// Columns with values.
    fn used(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.symbols.len()).filter(|&c| self.symbols[c].len() > 0)
    }

    /// Running sums over all leaves of all trees of their weights, given the symbols of some columns; without any where no leaf
    /// has them together.
    fn weights(&self, given: &[(usize, u32)]) -> Vec<f64> {
        let mut sum = 0.0;
        let mut sums = Vec::with_capacity(self.trees.iter().map(|t| t.leaves.len()).sum());
        for tree in &self.trees {
            for &leaf in &tree.leaves {
                let leaf = leaf as usize;
                let share = given.iter().map(|&(c, symbol)| tree.share(c, leaf, symbol)).product::<f64>();
                sum += f64::from(tree.tree.size(leaf)) * share;
                sums.push(sum);
            }
        }
        if sum > 0.0 { sums } else { vec![] }
    }

    /// A tree and a leaf by the running sums of [`Forest::weights`].
    fn choose(&self, sums: &[f64], rng: &mut Stream) -> (&Leaves, usize) {
        let Some(total) = sums.last() else { return self.any(rng) };
        let at = uniform(rng) * total;
        let mut index = sums.partition_point(|s| *s <= at).min(sums.len() - 1);
        for tree in &self.trees {
            if let Some(leaf) = tree.leaves.get(index) {
                return (tree, *leaf as usize);
            }
            index -= tree.leaves.len();
        }
        self.any(rng)
    }

    /// A tree, and a leaf by its share of rows.
    fn any(&self, rng: &mut Stream) -> (&Leaves, usize) {
        let tree = &self.trees[below(rng, self.trees.len())];
        let row = below(rng, self.report.rows as usize) as u32;
        (tree, tree.leaves[tree.ends.partition_point(|end| *end <= row)] as usize)
    }

    fn decode(&self, symbols: &[Vec<u32>], rng: &mut Stream) -> Vec<Values> {
        self.decoders.iter().zip(symbols).map(|(d, s)| d.decode(s, rng)).collect()
    }
}

impl Fitted for Forest {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let mut symbols: Vec<Vec<u32>> = vec![vec![]; self.symbols.len()];
        for _ in 0..rows {
            let (tree, leaf) = self.any(rng);
            self.used().for_each(|c| symbols[c].push(tree.draw(c, leaf, rng)));
        }
        Ok(self.decode(&symbols, rng))
    }

    fn sample_given(&self, given: &[(usize, Values)], rows: usize, rng: &mut Stream) -> Result<Option<Vec<Values>>> {
        let mut symbols: Vec<Vec<u32>> = vec![vec![]; self.symbols.len()];
        // Rows around the same values follow each other as a rule.
        let (mut last, mut sums): (Option<Vec<(usize, u32)>>, Vec<f64>) = (None, vec![]);
        for row in 0..rows {
            let known = given.iter().filter(|(c, _)| self.symbols[*c].len() > 0);
            let known: Vec<(usize, u32)> = known.map(|(c, v)| (*c, self.symbols[*c].nearest(v, row))).collect();
            if last.as_ref() != Some(&known) {
                sums = self.weights(&known);
                last = Some(known);
            }
            let (tree, leaf) = self.choose(&sums, rng);
            self.used().for_each(|c| symbols[c].push(tree.draw(c, leaf, rng)));
        }
        let mut values = self.decode(&symbols, rng);
        given.iter().for_each(|(column, given)| values[*column] = given.clone());
        Ok(Some(values))
    }

    fn log_likelihood(&self, rows: &Frame) -> Result<Option<Vec<f64>>> {
        let mut bins = vec![0u8; self.symbols.len()];
        let mut found = vec![0u32; self.symbols.len()];
        let log = |row: usize| {
            let mut inside = 0.0;
            for c in self.used() {
                let Some((symbol, log)) = self.symbols[c].find(&rows.columns()[c].values, row) else {
                    return f64::NEG_INFINITY;
                };
                (found[c], bins[c]) = (symbol, self.symbols[c].bin_of[symbol as usize]);
                inside += log;
            }
            // A row lies in one leaf of a tree: splits know bins, and a symbol lies in one bin.
            let of_tree = |tree: &Leaves| {
                let leaf = tree.tree.leaf(&bins);
                let weight = f64::from(tree.tree.size(leaf)) / self.report.rows as f64;
                self.used().map(|c| libm::log(tree.share(c, leaf, found[c]))).sum::<f64>() + libm::log(weight)
            };
            let logs: Vec<f64> = self.trees.iter().map(of_tree).collect();
            let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if largest == f64::NEG_INFINITY {
                return largest;
            }
            let sum: f64 = logs.iter().map(|l| libm::exp(l - largest)).sum();
            largest + libm::log(sum / self.trees.len() as f64) + inside
        };
        Ok(Some((0..rows.rows()).map(log).collect()))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        w.u64(self.report.rows);
        w.u64(self.report.units);
        w.u32(self.report.epochs);
        w.list(&self.symbols, |w, s| s.save(w));
        w.list(&self.trees, |w, t| {
            t.tree.save(w);
            t.runs.iter().zip(&self.symbols).filter(|(_, s)| s.len() > 0).for_each(|(r, _)| r.save(w));
        });
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.report
    }
}
