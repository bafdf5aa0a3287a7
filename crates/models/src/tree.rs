//! Classification trees on binned columns: histograms, exact counts, splits that are sets of bins.

use lookalike_core::{Job, Result, Stream, Units, below};

use crate::codec::{Reader, Writer, ensure};
use crate::symbols::BINS;

/// A node: rows whose bin of `feature` is in `right` go to the node after `child`, others to `child`. A leaf has child 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Node {
    pub right: u64,
    pub feature: u32,
    pub child: u32,
}

/// A grown tree; the root is node 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Tree {
    pub nodes: Vec<Node>,
    /// Node above each; the root's is itself.
    pub parent: Vec<u32>,
    /// Where the rows of each node begin and end in [`Grown::rows`].
    pub range: Vec<(u32, u32)>,
}

/// A tree with the rows it was grown from, those of a node side by side.
pub(crate) struct Grown {
    pub tree: Tree,
    pub rows: Vec<u32>,
}

impl Tree {
    /// The leaf of a row, given as the bins of its features.
    #[inline]
    pub fn leaf(&self, bins: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let node = self.nodes[at];
            if node.child == 0 {
                return at;
            }
            at = node.child as usize + (node.right >> bins[node.feature as usize] & 1) as usize;
        }
    }

    pub fn is_leaf(&self, node: usize) -> bool {
        self.nodes[node].child == 0
    }

    /// Rows of a node.
    pub fn size(&self, node: usize) -> u32 {
        self.range[node].1 - self.range[node].0
    }

    /// Leaves in the order of their rows.
    pub fn leaves(&self) -> Vec<usize> {
        let mut leaves: Vec<usize> = (0..self.nodes.len()).filter(|&n| self.is_leaf(n)).collect();
        leaves.sort_by_key(|&n| self.range[n].0);
        leaves
    }

    pub fn save(&self, w: &mut Writer) {
        w.list(&self.nodes, |w, n| {
            w.u64(n.right);
            w.u32(n.feature);
            w.u32(n.child);
        });
        w.list(&self.range, |w, r| {
            w.u32(r.0);
            w.u32(r.1);
        });
    }

    /// Reads a tree over features that `allowed` knows and so many rows; every row ends in a leaf, and every leaf has rows.
    pub fn load(r: &mut Reader, allowed: impl Fn(u32) -> bool, rows: u32) -> Result<Self> {
        let nodes = r.list(16, |r| Ok(Node { right: r.u64()?, feature: r.u32()?, child: r.u32()? }))?;
        let range = r.list(8, |r| Ok((r.u32()?, r.u32()?)))?;
        ensure(!nodes.is_empty() && nodes.len() == range.len())?;
        ensure(range[0] == (0, rows) && range.iter().all(|r| r.0 < r.1))?;
        let mut parent = vec![u32::MAX; nodes.len()];
        parent[0] = 0;
        for (i, node) in nodes.iter().enumerate().filter(|(_, n)| n.child != 0) {
            let (left, right) = (node.child as usize, node.child as usize + 1);
            // Children come after their parent, so that no walk goes in circles.
            ensure(left > i && right < nodes.len() && allowed(node.feature))?;
            ensure(range[left].0 == range[i].0 && range[left].1 == range[right].0 && range[right].1 == range[i].1)?;
            for child in [left, right] {
                ensure(parent[child] == u32::MAX)?;
                parent[child] = i as u32;
            }
        }
        ensure(parent.iter().all(|p| *p != u32::MAX))?;
        Ok(Self { nodes, parent, range })
    }
}

/// What a tree is grown from, and how far.
pub(crate) struct Grow<'a> {
    /// Bins of each feature, a row each; empty for columns that are no features.
    pub features: &'a [&'a [u8]],
    /// Whether a feature's bins have an order, its last bin apart.
    pub ordered: &'a [bool],
    /// Number of bins of each feature.
    pub bins: &'a [usize],
    /// Features to look at.
    pub candidates: &'a [u32],
    /// Class of each row.
    pub classes: &'a [u8],
    /// Number of classes.
    pub class_count: usize,
    /// Person of each row.
    pub units: Option<&'a Units>,
    /// Persons that a leaf holds at least.
    pub min_leaf: usize,
    /// Splits from the root to a leaf at most.
    pub max_depth: usize,
    /// Nats that a split must gain for each class beyond the first, counted by the perplexity of the classes in the node.
    pub complexity: f64,
}

/// Features drawn for each split, of all candidates.
pub(crate) struct Draw<'a> {
    pub features: usize,
    pub rng: &'a mut Stream,
}

struct Split {
    gain: f64,
    feature: u32,
    right: u64,
}

impl Grow<'_> {
    /// Grows a tree from the given rows.
    pub fn grow(&self, rows: Vec<u32>, mut draw: Option<Draw>, job: &Job) -> Result<Grown> {
        let mut rows = rows;
        let mut spare: Vec<u32> = vec![];
        let mut search = Search::new(self, rows.len());
        let mut tree = Tree { nodes: vec![Node::default()], parent: vec![0], range: vec![(0, rows.len() as u32)] };
        let mut open = vec![(0usize, 0usize)];
        let mut candidates = self.candidates.to_vec();
        while let Some((at, depth)) = open.pop() {
            let (start, end) = tree.range[at];
            let inside = start as usize..end as usize;
            if depth == self.max_depth || inside.len() < 2 * self.min_leaf.max(1) {
                continue;
            }
            job.check()?;
            let looked_at = match &mut draw {
                None => candidates.len(),
                Some(draw) => {
                    let n = draw.features.clamp(1, candidates.len().max(1)).min(candidates.len());
                    (0..n).for_each(|i| candidates.swap(i, i + below(draw.rng, self.candidates.len() - i)));
                    n
                }
            };
            let Some(split) = search.best(&rows[inside.clone()], &candidates[..looked_at]) else { continue };
            // Rows of either side keep their order.
            let bins = self.features[split.feature as usize];
            spare.clear();
            let mut kept = inside.start;
            for i in inside.clone() {
                let row = rows[i];
                if split.right >> bins[row as usize] & 1 == 1 {
                    spare.push(row);
                } else {
                    rows[kept] = row;
                    kept += 1;
                }
            }
            rows[kept..inside.end].copy_from_slice(&spare);
            let child = tree.nodes.len();
            tree.nodes[at] = Node { right: split.right, feature: split.feature, child: child as u32 };
            for range in [(start, kept as u32), (kept as u32, end)] {
                tree.nodes.push(Node::default());
                tree.parent.push(at as u32);
                tree.range.push(range);
            }
            open.extend([(child + 1, depth + 1), (child, depth + 1)]);
        }
        Ok(Grown { tree, rows })
    }
}

/// x ln x of small counts.
const TABLE: usize = 1 << 14;

/// Buffers of the search for splits.
struct Search<'a> {
    grow: &'a Grow<'a>,
    entropy: Vec<f64>,
    /// Class of each row of the node, numbered by those present.
    classes: Vec<u8>,
    /// Rows by bin and class.
    histogram: Vec<u32>,
    totals: Vec<u32>,
    /// Bin sizes.
    sizes: [u32; BINS],
    /// Node in which a person was last seen, and the side.
    seen: Vec<u64>,
    stamp: u64,
}

impl<'a> Search<'a> {
    fn new(grow: &'a Grow<'a>, rows: usize) -> Self {
        let entropy = (0..TABLE.min(rows + 1)).map(|n| n_log_n(n as f64)).collect();
        let histogram = vec![0; BINS * grow.class_count];
        let seen = vec![0; grow.units.map_or(0, |u| u.count as usize)];
        Self { grow, entropy, classes: vec![], histogram, totals: vec![], sizes: [0; BINS], seen, stamp: 0 }
    }

    /// n ln n.
    #[inline]
    fn h(&self, n: u32) -> f64 {
        self.entropy.get(n as usize).copied().unwrap_or_else(|| n_log_n(f64::from(n)))
    }

    /// The split of largest gain whose sides hold enough persons, if it gains enough.
    fn best(&mut self, rows: &[u32], candidates: &[u32]) -> Option<Split> {
        let grow = self.grow;
        let mut number = [u8::MAX; 256];
        self.totals.clear();
        self.classes.clear();
        for &row in rows {
            let class = grow.classes[row as usize] as usize;
            if number[class] == u8::MAX {
                number[class] = self.totals.len() as u8;
                self.totals.push(0);
            }
            self.totals[number[class] as usize] += 1;
            self.classes.push(number[class]);
        }
        if self.totals.len() < 2 {
            return None;
        }
        let size = rows.len() as u32;
        let whole = self.totals.iter().map(|&n| self.h(n)).sum::<f64>() - self.h(size);
        let freedom = libm::exp(-whole / f64::from(size)) - 1.0;
        let enough = (grow.complexity * freedom).max(1e-9);
        let mut found: Vec<Split> = candidates.iter().filter_map(|&f| self.split(f, rows, whole)).collect();
        found.retain(|s| s.gain > enough);
        // The first among equals.
        found.sort_by(|a, b| b.gain.total_cmp(&a.gain).then(a.feature.cmp(&b.feature)));
        found.into_iter().find(|split| self.persons_suffice(split, rows))
    }

    /// Whether either side holds enough persons; a person may be on both.
    fn persons_suffice(&mut self, split: &Split, rows: &[u32]) -> bool {
        let Some(units) = self.grow.units else { return true };
        let bins = self.grow.features[split.feature as usize];
        // Two bits for the sides seen, below the number of the check.
        self.stamp += 4;
        let mut persons = [0usize; 2];
        for &row in rows {
            let side = split.right >> bins[row as usize] & 1;
            let seen = &mut self.seen[units.codes[row as usize] as usize];
            if *seen < self.stamp {
                *seen = self.stamp;
            }
            if *seen >> side & 1 == 0 {
                *seen |= 1 << side;
                persons[side as usize] += 1;
            }
        }
        persons.iter().all(|p| *p >= self.grow.min_leaf)
    }

    /// The best split by one feature.
    fn split(&mut self, feature: u32, rows: &[u32], whole: f64) -> Option<Split> {
        let grow = self.grow;
        let (column, bins) = (grow.features[feature as usize], grow.bins[feature as usize]);
        let k = self.totals.len();
        self.histogram[..bins * k].fill(0);
        for (&row, &class) in rows.iter().zip(&self.classes) {
            self.histogram[column[row as usize] as usize * k + class as usize] += 1;
        }
        let mut order: Vec<u8> = Vec::with_capacity(bins);
        for bin in 0..bins {
            let size: u32 = self.histogram[bin * k..(bin + 1) * k].iter().sum();
            self.sizes[bin] = size;
            if size > 0 {
                order.push(bin as u8);
            }
        }
        if order.len() < 2 {
            return None;
        }
        if !grow.ordered[feature as usize] {
            if order.len() > 2 {
                self.arrange(&mut order);
            }
            return self.cut(&order, whole, feature);
        }
        let best = self.cut(&order, whole, feature);
        // Missing values, above all others so far, may as well go with the low ones.
        if order.len() > 2 && *order.last()? as usize == bins - 1 {
            order.rotate_right(1);
            let other = self.cut(&order, whole, feature);
            return match (best, other) {
                (Some(a), Some(b)) => Some(if b.gain > a.gain { b } else { a }),
                (a, b) => a.or(b),
            };
        }
        best
    }

    /// The best cut of bins in the given order.
    fn cut(&self, order: &[u8], whole: f64, feature: u32) -> Option<Split> {
        let k = self.totals.len();
        let size: u32 = self.classes.len() as u32;
        let min_leaf = self.grow.min_leaf.max(1) as u32;
        let mut left = [0u32; 256];
        let mut n = 0;
        let (mut sum_left, mut sum_right) = (0.0, self.totals.iter().map(|&t| self.h(t)).sum::<f64>());
        let mut best: Option<(f64, usize)> = None;
        for (i, &bin) in order[..order.len() - 1].iter().enumerate() {
            let counts = &self.histogram[bin as usize * k..(bin as usize + 1) * k];
            for (class, &c) in counts.iter().enumerate().filter(|(_, c)| **c > 0) {
                let (l, r) = (left[class], self.totals[class] - left[class]);
                sum_left += self.h(l + c) - self.h(l);
                sum_right += self.h(r - c) - self.h(r);
                left[class] = l + c;
            }
            n += self.sizes[bin as usize];
            if n < min_leaf {
                continue;
            }
            if size - n < min_leaf {
                break;
            }
            let gain = sum_left - self.h(n) + sum_right - self.h(size - n) - whole;
            if best.is_none_or(|(g, _)| gain > g) {
                best = Some((gain, i));
            }
        }
        let (gain, last) = best?;
        let right = order[last + 1..].iter().fold(0u64, |set, &bin| set | 1 << bin);
        Some(Split { gain, feature, right })
    }

    /// Puts bins without an order into that of the first principal axis of their class shares: for two classes the best split is
    /// among its cuts (Breiman et al. 1984, theorem 4.5), for more nearly so (Coppersmith, Hong & Hosking 1999).
    fn arrange(&self, order: &mut [u8]) {
        const ROUNDS: usize = 8;
        let k = self.totals.len();
        let size = self.classes.len() as f64;
        let mean: Vec<f64> = self.totals.iter().map(|&t| f64::from(t) / size).collect();
        let mut shares = vec![0.0; order.len() * k];
        for (share, &bin) in shares.chunks_exact_mut(k).zip(order.iter()) {
            let n = f64::from(self.sizes[bin as usize]);
            let counts = &self.histogram[bin as usize * k..(bin as usize + 1) * k];
            share.iter_mut().zip(counts).zip(&mean).for_each(|((s, &c), m)| *s = f64::from(c) / n - m);
        }
        let weight = |i: usize| f64::from(self.sizes[order[i] as usize]);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let row = |i: usize| &shares[i * k..(i + 1) * k];
        // From the bin that carries most, which is never orthogonal to every long axis.
        let inertia: Vec<f64> = (0..order.len()).map(|i| weight(i) * dot(row(i), row(i))).collect();
        let start = (0..order.len()).reduce(|a, b| if inertia[b] > inertia[a] { b } else { a }).unwrap_or(0);
        let mut axis = row(start).to_vec();
        let rounds = if k == 2 { 0 } else { ROUNDS };
        for _ in 0..rounds {
            let mut next = vec![0.0; k];
            for i in 0..order.len() {
                let along = weight(i) * dot(row(i), &axis);
                next.iter_mut().zip(row(i)).for_each(|(n, s)| *n += along * s);
            }
            let norm = libm::sqrt(dot(&next, &next));
            if norm <= 1e-300 {
                break;
            }
            axis = next.into_iter().map(|n| n / norm).collect();
        }
        let mut scored: Vec<(f64, u8)> = order.iter().enumerate().map(|(i, &b)| (dot(row(i), &axis), b)).collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        order.iter_mut().zip(scored).for_each(|(o, s)| *o = s.1);
    }
}

fn n_log_n(n: f64) -> f64 {
    if n > 0.0 { n * libm::log(n) } else { 0.0 }
}

#[cfg(test)]
mod tests;
