//! Adversarial random forests.

mod fitted;

use lookalike_core::{Default, Job, Options, ParamKind, ParamSpec, Result, Stream, Streams, Units, below};
use rayon::prelude::*;

use crate::codec::Reader;
use crate::gaussian_copula::KNOTS;
use crate::model::{FitReport, Fitted, Model};
use crate::rows::Rows;
use crate::runs::Runs;
use crate::symbols::Encoded;
use crate::tree::{Draw, Grow, Grown, Node, Tree};
use fitted::{Forest, Leaves};

/// An adversarial random forest (ARF), density estimation (FORDE) and sampling (FORGE) by its leaves.
///
/// - **Rounds**: a forest learns to tell rows from rows without dependence; its leaves, in which columns are taken for
///   independent, make the next rows to tell apart. When out-of-bag accuracy is at most .5 + `delta`, what the leaves of
///   the forest before make cannot be told from the rows, and that forest is kept. It is also kept when accuracy falls no further;
///   `max_rounds` ends it otherwise.
/// - **Density**: each tree is a mixture of its leaves, weighted by the share of rows in them; in a leaf each column has its own
///   distribution. The forest is the mean of its trees.
/// - **Sampling**: a tree, a leaf by its weight, and each column on its own.
/// - **Given values** weigh all leaves by the probability of these values in them: exact. Values that no leaf has together
///   are given up: the leaf is then drawn as if nothing was given.
///
/// Deviations from the source: columns are the binned symbols of `cart`, with a leaf's shares of atoms and bins in place of truncated
/// normals; leaves are counted in persons. As in the source, a branch of fewer than
/// `min_node_size` persons is cut off and its rows follow the branch beside it.
///
/// The saved state holds quantile tables, trees, and the counts of each column's symbols in each leaf; no training rows, but with
/// small leaves much about them.
pub(crate) struct Arf;

const NAME: &str = "arf";

const TREES: ParamSpec = ParamSpec {
    name: "trees",
    kind: ParamKind::Int { min: 1, max: 1000 },
    default: Default::Int(20),
    purpose: "Trees of the forest.",
};

const MIN_NODE_SIZE: ParamSpec = ParamSpec {
    name: "min_node_size",
    kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
    default: Default::Int(20),
    purpose: "Persons that every leaf of a tree of the forest holds at least.",
};

const DELTA: ParamSpec = ParamSpec {
    name: "delta",
    kind: ParamKind::Float { min: 0.0, max: 0.5 },
    default: Default::Float(0.0),
    purpose: "Out-of-bag accuracy above one half at which rounds end.",
};

const MAX_ROUNDS: ParamSpec = ParamSpec {
    name: "max_rounds",
    kind: ParamKind::Int { min: 1, max: 1000 },
    default: Default::Int(10),
    purpose: "Forests grown one after another at most.",
};

struct Params {
    trees: usize,
    min_node: usize,
    delta: f64,
    max_rounds: u64,
}

impl Model for Arf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "A forest whose leaves make rows that it cannot tell from the data; exact densities and conditions."
    }

    fn source(&self) -> &'static str {
        "Watson, Blesch, Kapar & Wright 2023, Adversarial Random Forests for Density Estimation and Generative Modeling"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[TREES, MIN_NODE_SIZE, DELTA, MAX_ROUNDS, KNOTS]
    }

    fn conditions(&self) -> bool {
        true
    }

    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let params = Params {
            trees: options.int("trees").unwrap_or(20) as usize,
            min_node: options.int("min_node_size").unwrap_or(20) as usize,
            delta: options.float("delta").unwrap_or(0.0),
            max_rounds: options.int("max_rounds").unwrap_or(10) as u64,
        };
        let knots = options.int("knots").unwrap_or(1024) as usize;
        // Symbols, bins and classes.
        let _encoded = rows.encoding(6, 6, job)?;
        job.count("rows_trained", rows.len());
        let width = rows.columns().len();
        // Twice the rows with the bins of all columns, and each tree's rows of either kind.
        let _memory = job.reserve(rows.len() * (3 * width + 16 * params.trees), "growing a forest")?;
        let encoded = Encoded::all(rows, knots, job)?;
        let (trees, rounds) = adversarial(&encoded, rows.len(), rows.units(), &params, seed, job)?;
        let trees = trees
            .into_par_iter()
            .map(|grown| {
                job.check()?;
                let runs = encoded.iter().map(|e| match e.symbols.len() {
                    0 => Runs::default(),
                    symbols => Runs::new(&grown, &e.symbol, symbols),
                });
                Ok(Leaves::new(runs.collect(), grown.tree))
            })
            .collect::<Result<_>>()?;
        let report = FitReport { epochs: rounds, ..rows.report() };
        Ok(Box::new(Forest::new(report, encoded.into_iter().map(|e| e.symbols).collect(), trees)))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut reader = Reader::new(bytes, NAME)?;
        let forest = Forest::load(&mut reader)?;
        reader.finish()?;
        Ok(Box::new(forest))
    }
}

/// Grows forests until one cannot tell; the trees with the training rows in them, and the number of rounds.
fn adversarial(
    encoded: &[Encoded],
    rows: usize,
    units: Option<&Units>,
    params: &Params,
    seed: u64,
    job: &Job,
) -> Result<(Vec<Grown>, u32)> {
    // Real rows first, then as many made.
    let mut bins: Vec<Vec<u8>> = encoded.iter().map(|e| e.bin.clone()).collect();
    let mut rng = Streams::new(seed, "arf rows").block(0);
    for (bins, real) in bins.iter_mut().zip(encoded) {
        bins.extend((0..real.bin.len()).map(|_| real.bin[below(&mut rng, real.bin.len())]));
    }
    let candidates: Vec<u32> = (0..).zip(encoded).filter(|(_, e)| e.symbols.bins() > 1).map(|(c, _)| c).collect();
    let counts: Vec<usize> = encoded.iter().map(|e| e.symbols.bins()).collect();
    let ordered: Vec<bool> = encoded.iter().map(|e| e.symbols.ordered).collect();
    let classes: Vec<u8> = std::iter::repeat_n(0, rows).chain(std::iter::repeat_n(1, rows)).collect();
    // The forest whose leaves made the rows at hand, and how well it told earlier ones.
    let mut generator: Option<(Vec<Grown>, f64)> = None;
    let mut round = 0;
    loop {
        job.progress("forests", round, params.max_rounds);
        let features: Vec<&[u8]> = bins.iter().map(Vec::as_slice).collect();
        let grow = Grow {
            features: &features,
            ordered: &ordered,
            bins: &counts,
            candidates: &candidates,
            classes: &classes,
            class_count: 2,
            units: None,
            min_leaf: params.min_node,
            max_depth: 64,
            complexity: 0.0,
        };
        let streams = Streams::new(seed, &format!("arf forest {round}"));
        let grown: Vec<(Grown, Vec<i32>)> = (0..params.trees as u64)
            .into_par_iter()
            .map(|t| bagged(&grow, 2 * rows, &mut streams.block(t), &job.quiet()))
            .collect::<Result<_>>()?;
        let accuracy = accuracy(&grown, &classes);
        round += 1;
        let is_fooled = accuracy <= 0.5 + params.delta;
        // What the leaves of the forest before made is as good as it gets: it cannot be told, or not worse than earlier rows.
        if let Some((trees, before)) = generator.take_if(|g| is_fooled || accuracy >= g.1) {
            if !is_fooled {
                job.warn(&format!(
                    "arf: rows are still told from made ones with accuracy {accuracy:.3}, and forest {round} no better than that \
                     before ({before:.3}): {UNTOLD}"
                ));
            }
            return Ok((trees, round as u32));
        }
        let trees: Vec<Grown> =
            grown.into_par_iter().map(|(g, _)| refit(&g.tree, &features, rows, units, params.min_node)).collect();
        if is_fooled || round >= params.max_rounds {
            if !is_fooled {
                job.warn(&format!(
                    "arf: forest {round}, the last, tells rows from made ones with accuracy {accuracy:.3}: {UNTOLD}"
                ));
            }
            return Ok((trees, round as u32));
        }
        // Each column on its own from rows of the leaf of a random row of a random tree.
        let mut rng = Streams::new(seed, "arf rows").block(round);
        for row in rows..2 * rows {
            let grown = &trees[below(&mut rng, trees.len())];
            let (from, to) = leaf_of_row(&grown.tree, below(&mut rng, rows) as u32);
            for bins in bins.iter_mut().filter(|b| !b.is_empty()) {
                let donor = grown.rows[from as usize + below(&mut rng, (to - from) as usize)];
                bins[row] = bins[donor as usize];
            }
        }
        generator = Some((trees, accuracy));
    }
}

/// What a warning of rounds that ended early advises.
const UNTOLD: &str =
    "smaller leaves (min_node_size) or more trees follow the data closer, delta says what is near enough";

/// The rows of the leaf that holds row `place` in the order of leaves.
fn leaf_of_row(tree: &Tree, place: u32) -> (u32, u32) {
    let mut node = 0;
    while !tree.is_leaf(node) {
        node = tree.nodes[node].child as usize;
        if place >= tree.range[node].1 {
            node += 1;
        }
    }
    tree.range[node]
}

/// A tree grown from rows drawn with replacement, and for each row what the tree says of it if it was not drawn: the rows of class
/// 1 beyond those of class 0 in its leaf, as a sign; 0 of those drawn.
fn bagged(grow: &Grow, rows: usize, rng: &mut Stream, job: &Job) -> Result<(Grown, Vec<i32>)> {
    let mut drawn: Vec<u32> = (0..rows).map(|_| below(rng, rows) as u32).collect();
    drawn.sort_unstable();
    let mut votes = vec![1i32; rows];
    drawn.iter().for_each(|&r| votes[r as usize] = 0);
    let features = libm::sqrt(grow.candidates.len() as f64) as usize;
    let grown = grow.grow(drawn, Some(Draw { features, rng }), job)?;
    let lean = leans(&grown, grow.classes);
    let mut bins = vec![0; grow.features.len()];
    for (row, vote) in votes.iter_mut().enumerate().filter(|(_, v)| **v == 1) {
        for &c in grow.candidates {
            bins[c as usize] = grow.features[c as usize][row];
        }
        *vote = lean[grown.tree.leaf(&bins)];
    }
    Ok((grown, votes))
}

/// Whether class 1 (1) or class 0 (-1) has more rows in each node.
fn leans(grown: &Grown, classes: &[u8]) -> Vec<i32> {
    let lean = |&(from, to): &(u32, u32)| {
        let ones = grown.rows[from as usize..to as usize].iter().filter(|&&r| classes[r as usize] == 1).count();
        (2 * ones as i64 - i64::from(to - from)).signum() as i32
    };
    grown.tree.range.iter().map(lean).collect()
}

/// Share of rows that the trees which did not see them tell right by majority; an even vote is half right.
fn accuracy(grown: &[(Grown, Vec<i32>)], classes: &[u8]) -> f64 {
    let right = |(row, &class): (usize, &u8)| {
        let sum: i32 = grown.iter().map(|(_, votes)| votes[row]).sum();
        match sum.signum() {
            0 => 1,
            1 => 2 * u64::from(class == 1),
            _ => 2 * u64::from(class == 0),
        }
    };
    let twice: u64 = classes.iter().enumerate().map(right).sum();
    twice as f64 / (2 * classes.len()).max(1) as f64
}

/// The same tree with the first `rows` rows in it. A split that leaves fewer than `min_node` persons on a side is undone: all
/// its rows follow the branch of the other side.
fn refit(tree: &Tree, features: &[&[u8]], rows: usize, units: Option<&Units>, min_node: usize) -> Grown {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    let mut spare: Vec<u32> = vec![];
    let mut fresh = Tree { nodes: vec![Node::default()], parent: vec![0], range: vec![(0, rows as u32)] };
    let mut open = vec![(0usize, 0usize)];
    while let Some((old, new)) = open.pop() {
        let node = tree.nodes[old];
        if node.child == 0 {
            continue;
        }
        let (from, to) = fresh.range[new];
        let inside = &mut order[from as usize..to as usize];
        let bins = features[node.feature as usize];
        let is_right = |row: u32| node.right >> bins[row as usize] & 1 == 1;
        let (mut left, mut right): (Vec<u32>, Vec<u32>) = (vec![], vec![]);
        inside.iter().for_each(|&row| if is_right(row) { right.push(row) } else { left.push(row) });
        let persons = |side: &[u32]| crate::rows::persons(side.iter().copied(), units);
        // Where one side has too few, all go on where the others go.
        match (persons(&left) < min_node.max(1), persons(&right) < min_node.max(1)) {
            (false, false) => {}
            (true, false) => {
                open.push((node.child as usize + 1, new));
                continue;
            }
            (false, true) => {
                open.push((node.child as usize, new));
                continue;
            }
            (true, true) => continue,
        }
        spare.clear();
        spare.extend(left.iter().chain(&right));
        inside.copy_from_slice(&spare);
        let child = fresh.nodes.len();
        let middle = from + left.len() as u32;
        fresh.nodes[new] = Node { child: child as u32, ..node };
        for range in [(from, middle), (middle, to)] {
            fresh.nodes.push(Node::default());
            fresh.parent.push(new as u32);
            fresh.range.push(range);
        }
        open.extend([(node.child as usize + 1, child + 1), (node.child as usize, child)]);
    }
    Grown { tree: fresh, rows: order }
}

#[cfg(test)]
mod tests;
