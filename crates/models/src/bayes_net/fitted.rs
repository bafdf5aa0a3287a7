//! The network that has learned: ancestral sampling, sampling given values, likelihood.

use lookalike_core::{Frame, Result, Stream, Values, uniform};

use super::NAME;
use super::tables::Node;
use crate::codec::{Reader, Writer, ensure};
use crate::model::{FitReport, Fitted};
use crate::tokens::{Tokens, UNKNOWN};

pub(super) struct Network {
    report: FitReport,
    tokens: Tokens,
    /// In the order of drawing.
    nodes: Vec<Node>,
    /// The node of each column's tokens.
    node_of: Vec<Option<usize>>,
}

/// Rows drawn for one that is to hold given values, where these depend on values that are not given.
const TRIES: usize = 64;

impl Network {
    pub fn new(report: FitReport, tokens: Tokens, nodes: Vec<Node>) -> Result<Self> {
        let mut node_of = vec![None; tokens.sizes().len()];
        for (i, node) in nodes.iter().enumerate() {
            let column = node.column as usize;
            ensure(column < node_of.len())?;
            let size = tokens.sizes()[column];
            if node.bin_of.is_empty() {
                ensure(node.size as usize == size && node_of[column].is_none())?;
                node_of[column] = Some(i);
            } else {
                ensure(node.bin_of.len() == size)?;
            }
        }
        ensure(tokens.sizes().iter().zip(&node_of).all(|(size, node)| (*size > 0) == node.is_some()))?;
        Ok(Self { report, tokens, nodes, node_of })
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let report = FitReport { rows: r.u64()?, units: r.u64()?, epochs: r.u32()? };
        let tokens = Tokens::load(r)?;
        let mut place = 0;
        let nodes = r.list(16, |r| {
            place += 1;
            Node::load(r, place - 1)
        })?;
        Self::new(report, tokens, nodes)
    }

    /// The value of each node in each row of these columns' tokens; nothing where the column is not there.
    fn values(&self, tokens: &[Vec<u32>]) -> Vec<Vec<u32>> {
        let bin = |node: &Node, token: u32| match node.bin_of.is_empty() {
            true => token,
            false => node.bin_of.get(token as usize).copied().unwrap_or(UNKNOWN),
        };
        self.nodes.iter().map(|node| tokens[node.column as usize].iter().map(|&t| bin(node, t)).collect()).collect()
    }
}

impl Fitted for Network {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let mut values: Vec<Vec<u32>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let drawn = (0..rows).map(|row| node.draw(|parent| values[parent][row], rng)).collect();
            values.push(drawn);
        }
        let decode = |(column, node): (usize, &Option<usize>)| match node {
            Some(node) => self.tokens.decode(column, &values[*node], rng),
            None => Values::Omitted,
        };
        Ok(self.node_of.iter().enumerate().map(decode).collect())
    }

    fn sample_given(&self, given: &[(usize, Values)], rows: usize, rng: &mut Stream) -> Result<Option<Vec<Values>>> {
        let mut tokens = vec![vec![]; self.node_of.len()];
        given.iter().for_each(|(column, values)| tokens[*column] = self.tokens.encode(*column, values));
        let fixed = self.values(&tokens);
        let is_fixed = |node: usize| !fixed[node].is_empty();
        // Given values that depend on nothing but given ones weigh the same whatever else is drawn.
        let weighs: Vec<bool> = (0..self.nodes.len())
            .map(|i| is_fixed(i) && self.nodes[i].parents.iter().any(|&p| !is_fixed(p as usize)))
            .collect();
        let tries = if weighs.contains(&true) { TRIES } else { 1 };
        let mut chosen = vec![vec![0u32; rows]; self.nodes.len()];
        let mut values = vec![0u32; self.nodes.len()];
        for row in 0..rows {
            let mut sum = 0.0;
            for attempt in 0..tries {
                let mut weight = 1.0;
                for (i, node) in self.nodes.iter().enumerate() {
                    values[i] = match fixed[i].get(row) {
                        Some(&value) => {
                            // A value that the model does not know tells it nothing.
                            if weighs[i] && value != UNKNOWN {
                                weight *= node.probability(value, |parent| values[parent]);
                            }
                            value
                        }
                        None => node.draw(|parent| values[parent], rng),
                    };
                }
                sum += weight;
                if attempt == 0 || uniform(rng) * sum < weight {
                    chosen.iter_mut().zip(&values).for_each(|(chosen, value)| chosen[row] = *value);
                }
            }
        }
        let mut out = vec![];
        for (column, node) in self.node_of.iter().enumerate() {
            let known = given.iter().find(|g| g.0 == column);
            out.push(match (known, node) {
                (Some((_, values)), _) => values.clone(),
                (None, Some(node)) => self.tokens.decode(column, &chosen[*node], rng),
                (None, None) => Values::Omitted,
            });
        }
        Ok(Some(out))
    }

    fn log_likelihood(&self, rows: &Frame) -> Result<Option<Vec<f64>>> {
        let columns = || rows.columns().iter().enumerate();
        let tokens: Vec<Vec<u32>> = columns().map(|(c, column)| self.tokens.encode(c, &column.values)).collect();
        let mut sums = vec![0.0; rows.rows()];
        for (c, column) in columns().filter(|(c, _)| self.node_of[*c].is_some()) {
            let within = self.tokens.log_within(c, &column.values, &tokens[c]);
            sums.iter_mut().zip(within).for_each(|(sum, log)| *sum += log);
        }
        let values = self.values(&tokens);
        for (node, own) in self.nodes.iter().zip(&values) {
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum += libm::log(node.probability(own[row], |parent| values[parent][row]));
            }
        }
        Ok(Some(sums))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        w.u64(self.report.rows);
        w.u64(self.report.units);
        w.u32(self.report.epochs);
        self.tokens.save(&mut w);
        w.list(&self.nodes, |w, node| node.save(w));
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.report
    }
}
