//! What the leaves of a tree hold: symbols and how many rows have them.

use lookalike_core::Result;

use crate::codec::{Reader, Writer, ensure};
use crate::tree::{Grown, Tree};

/// Runs of equal symbols, those of a leaf side by side and ascending, so that the runs of any node are neighbours too.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Runs {
    symbol: Vec<u32>,
    /// Rows in this run and all before it.
    end: Vec<u32>,
    /// First run of each node and the one after its last.
    of_node: Vec<(u32, u32)>,
    /// Runs by symbol: where each symbol's begin, the runs, and the rows in them and in those before of the same symbol.
    by_symbol: Vec<u32>,
    runs: Vec<u32>,
    sum: Vec<u32>,
}

impl Runs {
    /// The runs of a tree whose rows have the given symbols.
    pub fn new(grown: &Grown, symbol: &[u32], symbols: usize) -> Self {
        let (mut of_runs, mut end) = (vec![], vec![]);
        let mut inside: Vec<u32> = vec![];
        for leaf in grown.tree.leaves() {
            let (from, to) = grown.tree.range[leaf];
            inside.clear();
            inside.extend(grown.rows[from as usize..to as usize].iter().map(|&r| symbol[r as usize]));
            inside.sort_unstable();
            for run in inside.chunk_by(|a, b| a == b) {
                of_runs.push(run[0]);
                end.push(end.last().copied().unwrap_or(0) + run.len() as u32);
            }
        }
        Self::index(&grown.tree, of_runs, end, symbols)
    }

    fn index(tree: &Tree, symbol: Vec<u32>, end: Vec<u32>, symbols: usize) -> Self {
        // A node begins where a leaf begins, which is where a run begins.
        let run_at = |row: u32| if row == 0 { 0 } else { end.partition_point(|&e| e < row) as u32 + 1 };
        let of_node = tree.range.iter().map(|&(from, to)| (run_at(from), run_at(to))).collect();
        let mut by_symbol = vec![0u32; symbols + 1];
        symbol.iter().for_each(|&s| by_symbol[s as usize + 1] += 1);
        (1..by_symbol.len()).for_each(|i| by_symbol[i] += by_symbol[i - 1]);
        let mut next = by_symbol.clone();
        let (mut runs, mut sum) = (vec![0; symbol.len()], vec![0; symbol.len()]);
        for (run, &s) in symbol.iter().enumerate() {
            let place = next[s as usize] as usize;
            let size = end[run] - run.checked_sub(1).map_or(0, |r| end[r]);
            let before = if place > by_symbol[s as usize] as usize { sum[place - 1] } else { 0 };
            (runs[place], sum[place]) = (run as u32, before + size);
            next[s as usize] += 1;
        }
        Self { symbol, end, of_node, by_symbol, runs, sum }
    }

    /// The symbol of row `row` in the order of leaves, one of those of `node`.
    #[inline]
    pub fn symbol(&self, node: usize, row: u32) -> u32 {
        let (first, last) = self.of_node[node];
        let run = self.end[first as usize..last as usize].partition_point(|&end| end <= row);
        self.symbol[first as usize + run]
    }

    /// Rows of a node that have the symbol.
    pub fn count(&self, node: usize, symbol: u32) -> u32 {
        let of_symbol = self.by_symbol[symbol as usize] as usize..self.by_symbol[symbol as usize + 1] as usize;
        let (runs, sum) = (&self.runs[of_symbol.clone()], &self.sum[of_symbol]);
        let before = |run: u32| runs.partition_point(|&r| r < run).checked_sub(1).map_or(0, |i| sum[i]);
        before(self.of_node[node].1) - before(self.of_node[node].0)
    }

    pub fn save(&self, w: &mut Writer) {
        w.u32s(&self.symbol);
        w.u32s(&self.end);
    }

    /// Reads the runs of a tree over so many symbols.
    pub fn load(r: &mut Reader, tree: &Tree, symbols: usize) -> Result<Self> {
        let (symbol, end) = (r.u32s()?, r.u32s()?);
        ensure(symbol.len() == end.len() && symbol.iter().all(|s| (*s as usize) < symbols))?;
        ensure(end.first().is_some_and(|e| *e > 0) && end.windows(2).all(|w| w[0] < w[1]))?;
        // Each leaf ends with a run.
        ensure(tree.leaves().iter().all(|&leaf| end.binary_search(&tree.range[leaf].1).is_ok()))?;
        ensure(end.last() == Some(&tree.range[0].1))?;
        Ok(Self::index(tree, symbol, end, symbols))
    }
}
