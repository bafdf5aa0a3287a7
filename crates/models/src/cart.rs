//! Classification trees, one for each column on those before it.

mod fitted;
mod order;

use lookalike_core::{Column, Default, Job, Options, ParamKind, ParamSpec, Result, Units, Values};
use rayon::prelude::*;

use crate::codec::Reader;
use crate::gaussian_copula::KNOTS;
use crate::model::{FitReport, Fitted, Model};
use crate::rows::{Rows, Table};
use crate::symbols::Symbols;
use crate::tree::{Grow, Grown};
use fitted::{ColumnTree, Columns};

/// Sequential synthesis by classification trees.
pub(crate) struct Cart;

const NAME: &str = "cart";

const MIN_LEAF_SIZE: ParamSpec = ParamSpec {
    name: "min_leaf_size",
    kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
    default: Default::Int(20),
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
    default: Default::Float(1.0),
    purpose: "Log-likelihood that a split must gain for each class of the target beyond the first.",
};

const SMOOTHING: ParamSpec = ParamSpec {
    name: "smoothing",
    kind: ParamKind::Float { min: 0.0, max: 1e6 },
    default: Default::Float(1.0),
    purpose: "Rows' worth of the distribution of the node above that is mixed into every node of a tree.",
};

const ORDER: ParamSpec = ParamSpec {
    name: "order",
    kind: ParamKind::Choice(&["association", "input", "a2", "a3", "a4"]),
    default: Default::Text("association"),
    purpose: "Whether columns follow one another by their association or as in the input.",
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

    fn fit(&self, rows: &dyn Rows, options: &Options, _seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let params = Params {
            min_leaf: options.int("min_leaf_size").unwrap_or(20) as usize,
            max_depth: options.int("max_depth").unwrap_or(32) as usize,
            complexity: options.float("complexity").unwrap_or(1.0),
            smoothing: options.float("smoothing").unwrap_or(1.0),
        };
        let knots = options.int("knots").unwrap_or(1024) as usize;
        let by_association = options.choice("order").unwrap_or_default();
        let mut table = Table::collect(rows, job)?;
        job.count("rows_trained", table.rows);
        let report = FitReport { rows: table.rows as u64, units: table.unit_count() as u64, epochs: 0 };
        let _memory = job.reserve(table.rows * table.columns.len() * 2, "the bins and classes of columns")?;
        let encoded: Vec<Encoded> = std::mem::take(&mut table.columns)
            .into_par_iter()
            .map(|column| {
                job.check()?;
                Ok(Encoded::new(&column, table.units.as_ref(), table.min_persons, knots))
            })
            .collect::<Result<_>>()?;
        let order = order::by_association(&encoded, table.rows, &by_association);
        let columns = grow(encoded, &order, table.units.as_ref(), &params, job)?;
        Ok(Box::new(Columns::new(report, order, columns, params.smoothing)))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut reader = Reader::new(bytes, NAME)?;
        let columns = Columns::load(&mut reader)?;
        reader.finish()?;
        Ok(Box::new(columns))
    }
}

/// A column as trees see it.
struct Encoded {
    symbols: Symbols,
    /// Symbol, bin and class of each row.
    symbol: Vec<u32>,
    bin: Vec<u8>,
    class: Vec<u8>,
    class_count: usize,
}

impl Encoded {
    fn new(column: &Column, units: Option<&Units>, min_persons: u32, knots: usize) -> Self {
        let (symbols, symbol) = Symbols::fit(column, units, min_persons, knots);
        let mut count = vec![0u64; symbols.len()];
        symbol.iter().for_each(|&s| count[s as usize] += 1);
        let class_of = symbols.classes(&count);
        let bin = symbol.iter().map(|&s| symbols.bin_of[s as usize]).collect();
        let class = symbol.iter().map(|&s| class_of[s as usize]).collect();
        let class_count = class_of.iter().max().map_or(0, |c| *c as usize + 1);
        Self { symbols, symbol, bin, class, class_count }
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
            let mut donors: Vec<u32> = grown.rows.iter().map(|&r| e.symbol[r as usize]).collect();
            for leaf in grown.tree.leaves() {
                let (start, end) = grown.tree.range[leaf];
                donors[start as usize..end as usize].sort_unstable();
            }
            ColumnTree { symbols: e.symbols, tree: grown.tree, donors }
        }
        None => ColumnTree { symbols: e.symbols, tree: Default0::default(), donors: vec![] },
    });
    Ok(columns.collect())
}

use std::default::Default as Default0;

#[allow(unused)]
fn unused(_: &Values) {}
