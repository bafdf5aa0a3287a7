//! Bayesian networks: every column drawn given a few others.

mod fitted;
mod structure;
mod tables;

use lookalike_core::{Default, Job, Options, ParamKind, ParamSpec, Result, Role};

use crate::codec::Reader;
use crate::encoded::EncodedRows;
use crate::model::{Fitted, Model};
use crate::rows::Rows;
use crate::tokens::{Tokens, merge};
use fitted::Network;
use structure::Variable;

/// Bayesian network over binned columns: an order of the columns, a few earlier ones as the parents of each, and the distribution
/// of each column given its parents.
///
/// - **Columns** are tokens ([`Tokens`]): categories, values that many rows share, quantile bins, missing. A number of more
///   than `bins` tokens is drawn in two steps, the bin and then the token inside it, each with parents of its own.
/// - **The order** is that of Prim's algorithm on the pairs' mutual information, so that with one parent the network
///   is about the tree of Chow & Liu.
/// - **Parents** are added one by one, each exactly or in 2, 4 or 8 groups of like values, while the log-likelihood of rows left
///   out of the counts grows: mutual information less what chance would add.
/// - **Distributions** given n parents lean on those given n - 1 ([`tables`]): values that fewer than
///   `min_category_count` persons share in a context hold no count of their own there, their rows fall to what comes up given
///   less, and four rows' weight of the same is added.
///
/// Deviations from PrivBayes: no noise and so no differential privacy; the order comes before the parents instead of with them;
/// the score is the left-out likelihood; tables are sparse and smoothed. Structure is learned from at most 32,768 rows.
///
/// The saved state holds the tokens (quantile tables, frequencies), the network, and for each context the share of the values that at
/// least `min_category_count` persons have there; no training rows.
pub(crate) struct BayesNet;

const NAME: &str = "bayes_net";
/// Small tables have fewer bins than asked for: on average so many persons a pair of bins of two columns.
const ROWS_PER_PAIR: f64 = 20.0;
const LEAST_BINS: usize = 4;
/// Most parents of a column.
const MOST_PARENTS: i64 = 8;

impl Model for BayesNet {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Every column drawn given the few others that tell most about it; keeps interactions, exact likelihoods."
    }

    fn source(&self) -> &'static str {
        "Chow & Liu 1968, Approximating Discrete Probability Distributions with Dependence Trees; Zhang et al. 2017, PrivBayes (without noise)"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[
            ParamSpec {
                name: "max_parents",
                kind: ParamKind::Int { min: 0, max: MOST_PARENTS },
                default: Default::Int(4),
                purpose: "Most columns that another is drawn given; 1 makes the tree of Chow & Liu, 0 none depend.",
            },
            ParamSpec {
                name: "bins",
                kind: ParamKind::Int { min: 2, max: 256 },
                default: Default::Int(16),
                purpose: "Bins of a numeric column in which dependence is learned first; fewer below 20 rows a pair of bins.",
            },
            ParamSpec {
                name: "max_tokens",
                kind: ParamKind::Int { min: 2, max: 65_000 },
                default: Default::Int(64),
                purpose: "Most finer bins of a numeric column, and most categories that are told apart; values within one are drawn by share.",
            },
        ]
    }

    fn conditions(&self) -> bool {
        true
    }

    fn fit(&self, rows: &Rows, options: &Options, _seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let int = |name: &str, default: usize| options.int(name).map_or(default, |v| v as usize);
        // Tokens, of numbers bins as well.
        let _encoded = rows.encoding(8, 4, job)?;
        job.count("rows_trained", rows.len());
        let tokens = Tokens::learn(rows, int("max_tokens", 64), job)?;
        let codes = tokens.encode_rows(rows, job)?;
        // Two columns of as many bins as this share twenty rows a pair.
        let most = (libm::sqrt(rows.unit_count() as f64 / ROWS_PER_PAIR) as usize).max(LEAST_BINS);
        let variables = variables(rows, &tokens, &codes, int("bins", 16).min(most))?;
        let _memory = job.reserve(rows.len() * 24 * rayon::current_num_threads(), "the tables of a network")?;
        let order = structure::learn(&variables, rows, int("max_parents", 4), job)?;
        let nodes = tables::build(&variables, order, rows, job)?;
        let report = rows.report();
        Ok(Box::new(Network::new(report, tokens, nodes)?))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut reader = Reader::new(bytes, NAME)?;
        let network = Network::load(&mut reader)?;
        reader.finish()?;
        Ok(Box::new(network))
    }
}

/// The variables of the network: every column's tokens, and before those of a number of many the coarser bins they lie in.
fn variables(rows: &Rows, tokens: &Tokens, codes: &EncodedRows, bins: usize) -> Result<Vec<Variable>> {
    let mut variables: Vec<Variable> = vec![];
    for column in 0..rows.columns().len() {
        let size = tokens.sizes()[column];
        if size == 0 {
            continue;
        }
        let codes: Vec<u32> = codes.track(column)?.choices().iter().map(|&t| t.into()).collect();
        let mut within = None;
        let is_ordered = rows.columns()[column].role() == Role::Number;
        if is_ordered {
            let coarse = coarsen(tokens, column, bins);
            let count = coarse.iter().max().map_or(0, |&b| b as usize + 1);
            if count < size {
                within = Some(variables.len());
                let codes = codes.iter().map(|&t| coarse[t as usize]).collect();
                variables.push(Variable { column, codes, size: count, within: None, bin_of: Some(coarse), is_ordered });
            }
        }
        variables.push(Variable { column, codes, size, within, bin_of: None, is_ordered });
    }
    Ok(variables)
}

/// The bin of each token of a number; missing has its own.
fn coarsen(tokens: &Tokens, column: usize, bins: usize) -> Vec<u32> {
    let missing = tokens.missing(column);
    let order: Vec<u32> = (0..tokens.sizes()[column] as u32).filter(|&t| Some(t) != missing).collect();
    let mut bin_of = merge(&order, tokens.counts(column), |_| true, bins);
    if let Some(missing) = missing {
        let next = order.iter().map(|&t| bin_of[t as usize] + 1).max().unwrap_or(0);
        bin_of[missing as usize] = next;
    }
    bin_of
}

#[cfg(test)]
mod tests;
