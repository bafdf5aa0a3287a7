//! What a transformation loses.

use super::{FullDomain, Projection, Scratch};
use crate::Loss;

/// The information loss of transformations, as a number that is the same on every machine and for every order of the
/// rows: sums run over columns and nodes, in their order.
#[derive(Debug)]
pub(crate) enum Cost {
    /// A sum over columns.
    Columns(Vec<ColumnCost>),
    /// Squares of the sizes of classes; a dropped row counts as many as there are rows.
    Squares {
        /// Number of rows.
        rows: u64,
    },
}

/// What one column loses.
#[derive(Debug)]
pub(crate) struct ColumnCost {
    levels: Vec<LevelCost>,
}

#[derive(Debug)]
struct LevelCost {
    /// Of all rows, none dropped.
    shown: f64,
    /// The smallest of this level and all above it.
    least: f64,
    /// What a row at a node loses more when it is dropped.
    more: Vec<f64>,
}

impl Cost {
    /// Of a loss. NCP is given as its sum over rows and columns instead of the mean, entropy in bits.
    pub fn new(domain: &FullDomain<'_>, loss: Loss) -> Self {
        match loss {
            Loss::Ncp => Cost::Columns((0..domain.columns()).map(|c| certainty(domain, c)).collect()),
            Loss::Entropy => Cost::Columns((0..domain.columns()).map(|c| entropy(domain, c)).collect()),
            Loss::Discernibility => Cost::Squares { rows: domain.problem.items.rows() as u64 },
        }
    }

    /// Of the transformation looked at last.
    pub fn of(&self, domain: &FullDomain<'_>, seen: &Projection, levels: &[usize], scratch: &Scratch) -> f64 {
        match self {
            Cost::Columns(columns) => {
                (0..).zip(columns).map(|(c, cost)| cost.of(domain, seen, c, levels[c], scratch)).sum()
            }
            Cost::Squares { rows } => {
                let classes = scratch.breaks.iter().zip(&scratch.weights);
                let square = |(&breaks, &w): (&bool, &u64)| u128::from(w) * u128::from(if breaks { *rows } else { w });
                classes.map(square).sum::<u128>() as f64
            }
        }
    }

    /// At most what any transformation of these levels or higher ones loses, without a look at classes; 0 for squares.
    pub fn least(&self, levels: &[usize]) -> f64 {
        match self {
            Cost::Columns(columns) => columns.iter().zip(levels).map(|(c, &level)| c.levels[level].least).sum(),
            Cost::Squares { .. } => 0.0,
        }
    }

    /// At most what any transformation loses that has the levels looked at last in the `fixed` columns and at least
    /// those of `lowest` in the others, which were looked at with all others at their top: rows dropped there are
    /// dropped by all of them.
    pub fn bound(
        &self,
        domain: &FullDomain<'_>,
        seen: &Projection,
        fixed: &[usize],
        lowest: &[usize],
        scratch: &mut Scratch,
    ) -> f64 {
        match self {
            Cost::Columns(columns) => {
                let term = |(c, cost): (usize, &ColumnCost)| match fixed.contains(&c) {
                    true => cost.of(domain, seen, c, lowest[c], scratch),
                    false => cost.levels[lowest[c]].least,
                };
                (0..).zip(columns).map(term).sum()
            }
            Cost::Squares { rows } => {
                // All other rows are in classes at least as large as those of the lowest levels.
                let classes = scratch.breaks.iter().zip(&scratch.weights).filter(|(breaks, _)| **breaks);
                let more: u128 = classes.map(|(_, &w)| u128::from(w) * u128::from(rows - w)).sum();
                domain.group(&domain.all, lowest, scratch);
                let shown: u128 = scratch.weights.iter().map(|&w| u128::from(w).pow(2)).sum();
                (shown + more) as f64
            }
        }
    }
}

impl ColumnCost {
    /// `levels`: loss of all rows, and what rows at each node lose more when they are dropped.
    fn new(levels: impl DoubleEndedIterator<Item = (f64, Vec<f64>)>) -> Self {
        let mut least = f64::INFINITY;
        let mut levels: Vec<LevelCost> = levels
            .rev()
            .map(|(shown, more)| {
                least = shown.min(least);
                LevelCost { shown, least, more }
            })
            .collect();
        levels.reverse();
        Self { levels }
    }

    fn of(&self, domain: &FullDomain<'_>, seen: &Projection, column: usize, level: usize, scratch: &Scratch) -> f64 {
        let LevelCost { shown, more, .. } = &self.levels[level];
        if !scratch.breaks.contains(&true) {
            return *shown;
        }
        let dropped = domain.dropped_by_node(seen, column, level, scratch);
        shown + dropped.iter().zip(more).map(|(&rows, more)| rows as f64 * more).sum::<f64>()
    }
}

fn certainty(domain: &FullDomain<'_>, column: usize) -> ColumnCost {
    let rows = domain.rows_of_values(column);
    ColumnCost::new(domain.ladders[column].levels.iter().map(|level| {
        let blurred = level.node_of.iter().zip(&rows).map(|(&node, &rows)| rows as f64 * level.blur[node as usize]);
        (blurred.sum(), level.blur.iter().map(|blur| 1.0 - blur).collect())
    }))
}

/// A value among those of its node: `log2(rows of the node) - log2(rows of the value)` bits for each row. The value of a
/// person with several is the lowest node above them.
fn entropy(domain: &FullDomain<'_>, column: usize) -> ColumnCost {
    let rows = domain.rows_of_values(column);
    let all = (domain.problem.items.rows() as f64).log2();
    ColumnCost::new(domain.ladders[column].levels.iter().map(|level| {
        let mut of_node = vec![0u64; level.nodes()];
        level.node_of.iter().zip(&rows).for_each(|(&node, rows)| of_node[node as usize] += rows);
        let bits: Vec<f64> = of_node.iter().map(|&rows| (rows as f64).log2()).collect();
        let lost = level.node_of.iter().zip(&rows).map(|(&node, &rows)| {
            let rows = rows as f64;
            rows * (bits[node as usize] - rows.log2())
        });
        (lost.sum(), bits.iter().map(|bits| (all - bits).max(0.0)).collect())
    }))
}
