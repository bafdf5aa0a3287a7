//! Classification trees, one for each column on those before it.

mod fitted;
mod order;

use lookalike_core::{Default, Job, Options, ParamKind, ParamSpec, Result, Units};
use rayon::prelude::*;

use crate::codec::Reader;
use crate::gaussian_copula::KNOTS;
use crate::model::{Fitted, Model};
use crate::rows::Rows;
use crate::runs::Runs;
use crate::symbols::Encoded;
use crate::tree::{Grow, Grown, Tree};
use fitted::{ColumnTree, Columns};

/// Sequential synthesis: one column after another, each from a classification tree on the columns before it.
///
/// - Every column becomes symbols ([`Symbols`]): categories, atoms of numbers, stretches between atoms, NULL.
/// - The **tree** of a column splits rows by the bins of earlier columns, where that gains most log-likelihood of the column's classes
///   (quantiles of a number, so that two modes stay two modes; the most frequent categories). Categories are arranged by the
///   first principal axis of their class shares. A split needs `min_leaf_size` persons on either side, and a gain that
///   chance reaches with a probability of at most exp(-`complexity`).
/// - A **draw** walks to a leaf and takes the symbol of one of its rows; but first, with probability
///   smoothing / (smoothing + rows), it goes up to the node above, and there again. Leaves thus lend from the nodes above
///   what they have seen too little of.
/// - **Given values** are exact. Columns after the last given one are drawn as always. Where a column before it is not given, 64
///   candidates are drawn for each row, weighted by the probability of the given values in their leaves, and one is
///   chosen (importance resampling: the less likely the given values, the fewer different rows).
///
/// Deviations from the source: it draws observed values of a leaf, here numbers are drawn inside stretches that
/// `min_category_count` persons share; it grows CART by Gini or variance and cuts by a cost-complexity, here by log-likelihood.
///
/// The saved state holds for each column the quantile table, the tree, and how often each symbol occurs in each leaf: counts of at
/// least `min_leaf_size` persons. No training rows, but with small leaves much about them.
pub(crate) struct Cart;

const NAME: &str = "cart";

const MIN_LEAF_SIZE: ParamSpec = ParamSpec {
    name: "min_leaf_size",
    kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
    default: Default::Int(100),
    purpose: "Persons that every leaf of a tree holds at least.",
};

const MAX_DEPTH: ParamSpec = ParamSpec {
    name: "max_depth",
    kind: ParamKind::Int { min: 0, max: 64 },
    default: Default::Int(32),
    purpose: "Splits between the root and a leaf of a tree at most.",
};

const COMPLEXITY: ParamSpec = ParamSpec {
    name: "complexity",
    kind: ParamKind::Float { min: 0.0, max: 1e6 },
    default: Default::Float(8.0),
    purpose: "How unlikely a split without meaning is to be made: exp(-complexity) for each cut tried; 0 makes all that gain.",
};

const SMOOTHING: ParamSpec = ParamSpec {
    name: "smoothing",
    kind: ParamKind::Float { min: 0.0, max: 1e6 },
    default: Default::Float(1.0),
    purpose: "Rows' worth of the distribution in the node above that every node of a tree is mixed with.",
};

const ORDER: ParamSpec = ParamSpec {
    name: "order",
    kind: ParamKind::Choice(order::ORDERS),
    default: Default::Text("cardinality"),
    purpose: "How columns follow one another: few values first, by shared information, or as in the input.",
};

/// How trees are grown.
struct Params {
    min_leaf: usize,
    max_depth: usize,
    complexity: f64,
    smoothing: f64,
}

impl Model for Cart {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Columns one after another, each drawn from the leaf of a tree on the earlier ones; fast and close to the data."
    }

    fn source(&self) -> &'static str {
        "Nowok, Raab & Dibben 2016, synthpop: Bespoke Creation of Synthetic Data in R"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[MIN_LEAF_SIZE, MAX_DEPTH, COMPLEXITY, SMOOTHING, ORDER, KNOTS]
    }

    fn conditions(&self) -> bool {
        true
    }

    fn fit(&self, rows: &Rows, options: &Options, _seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let params = Params {
            min_leaf: options.int("min_leaf_size").unwrap_or(100) as usize,
            max_depth: options.int("max_depth").unwrap_or(32) as usize,
            complexity: options.float("complexity").unwrap_or(8.0),
            smoothing: options.float("smoothing").unwrap_or(1.0),
        };
        let knots = options.int("knots").unwrap_or(1024) as usize;
        let kind = options.choice("order").unwrap_or_else(|| order::ORDERS[0].into());
        // Symbols, bins and classes.
        let _memory = rows.encoding(6, 6, job)?;
        job.count("rows_trained", rows.len());
        let report = rows.report();
        let encoded = Encoded::all(rows, knots, job)?;
        let order = order::order(&encoded, &kind);
        let columns = grow(encoded, &order, rows.units(), &params, job)?;
        Ok(Box::new(Columns::new(report, order, columns, params.smoothing)))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut reader = Reader::new(bytes, NAME)?;
        let columns = Columns::load(&mut reader)?;
        reader.finish()?;
        Ok(Box::new(columns))
    }
}

/// The tree of each column, on those that come before it in the order. Each is grown on its own, whatever the threads.
fn grow(
    encoded: Vec<Encoded>,
    order: &[u32],
    units: Option<&Units>,
    params: &Params,
    job: &Job,
) -> Result<Vec<ColumnTree>> {
    let features: Vec<&[u8]> = encoded.iter().map(|e| e.bin.as_slice()).collect();
    let ordered: Vec<bool> = encoded.iter().map(|e| e.symbols.ordered).collect();
    let bins: Vec<usize> = encoded.iter().map(|e| e.symbols.bins()).collect();
    let rows = encoded.iter().map(|e| e.symbol.len()).max().unwrap_or(0);
    // The longest first: the last column of the order has most to look at.
    let grown: Vec<(u32, Grown)> = (0..order.len())
        .into_par_iter()
        .rev()
        .with_max_len(1)
        .map(|place| {
            let target = &encoded[order[place] as usize];
            let candidates: Vec<u32> = order[..place].iter().copied().filter(|&c| bins[c as usize] > 1).collect();
            let grow = Grow {
                features: &features,
                ordered: &ordered,
                bins: &bins,
                candidates: &candidates,
                classes: &target.class,
                class_count: target.class_count,
                units,
                min_leaf: params.min_leaf,
                max_depth: params.max_depth,
                complexity: params.complexity,
            };
            let _memory = job.reserve(rows * 12, "growing a tree")?;
            let grown = grow.grow((0..rows as u32).collect(), None, &job.quiet())?;
            Ok((order[place], grown))
        })
        .collect::<Result<_>>()?;
    let mut trees: Vec<Option<Grown>> = encoded.iter().map(|_| None).collect();
    grown.into_iter().for_each(|(column, grown)| trees[column as usize] = Some(grown));
    let columns = encoded.into_par_iter().zip(trees).map(|(e, grown)| match grown {
        Some(grown) => {
            let runs = Runs::new(&grown, &e.symbol, e.symbols.len());
            ColumnTree { symbols: e.symbols, tree: grown.tree, runs }
        }
        None => ColumnTree { symbols: e.symbols, tree: Tree::default(), runs: Runs::default() },
    });
    Ok(columns.collect())
}

#[cfg(test)]
pub(crate) mod tests;
