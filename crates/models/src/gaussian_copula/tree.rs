//! A group's latent tree: its cells are split in two, and again, where that carries most of the dependence on other columns.

use crate::linalg::dot;

/// Smallest inertia (chi-square over rows, summed over all other columns) worth a latent variable of its own.
const MIN_INERTIA: f64 = 0.02;

/// A split of cells in two.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Split {
    /// Cells below the threshold.
    pub left: Vec<u32>,
    /// Cells above.
    pub right: Vec<u32>,
    /// Where each side goes on.
    pub children: [Child; 2],
}

/// What follows a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    /// Another split.
    Split(u32),
    /// Cells that no other column tells apart: one is drawn by its share. Index into [`Tree::leaves`].
    Leaf(u32),
}

/// Splits with the root first, and leaves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub root: Child,
    pub splits: Vec<Split>,
    pub leaves: Vec<Vec<u32>>,
}

/// A leaf with the split it would get.
struct Candidate {
    inertia: f64,
    left: Vec<u32>,
    right: Vec<u32>,
    /// Split above and the leaf's side of it.
    parent: Option<(usize, usize)>,
    leaf: usize,
}

/// How the cells of a group differ in what other columns hold.
pub(crate) struct Profiles {
    /// Inner products of the cells' profiles in the chi-square metric, K x K.
    gram: Vec<f64>,
    /// Share of rows in each cell.
    weight: Vec<f64>,
    /// Chi-square a split reaches by chance, generously (mean and four standard deviations), over rows.
    noise: f64,
}

/// Conditional distributions of one other column, by cell: counts, K x bins.
pub(crate) struct Profile<'a> {
    pub counts: &'a [u32],
    pub bins: usize,
}

impl Profiles {
    /// From the contingency tables of a group with every other column; `persons` is the number of independent observations.
    pub fn new(count: &[u64], others: &[Profile], persons: usize) -> Self {
        let cells = count.len();
        let n = count.iter().sum::<u64>() as f64;
        let mut vectors: Vec<Vec<f64>> = vec![vec![]; cells];
        let mut freedom = 0.0;
        for other in others {
            let mut total = vec![0u64; other.bins];
            for row in other.counts.chunks_exact(other.bins.max(1)) {
                total.iter_mut().zip(row).for_each(|(t, &c)| *t += u64::from(c));
            }
            freedom += (total.iter().filter(|&&t| t > 0).count().max(1) - 1) as f64;
            for (cell, vector) in vectors.iter_mut().enumerate() {
                let row = &other.counts[cell * other.bins..(cell + 1) * other.bins];
                vector.extend(row.iter().zip(&total).filter(|(_, t)| **t > 0).map(|(&c, &t)| {
                    let expected = t as f64 / n;
                    (f64::from(c) / count[cell].max(1) as f64 - expected) / libm::sqrt(expected)
                }));
            }
        }
        let mut gram = vec![0.0; cells * cells];
        for i in 0..cells {
            for j in 0..=i {
                let product = dot(&vectors[i], &vectors[j]);
                gram[i * cells + j] = product;
                gram[j * cells + i] = product;
            }
        }
        let noise = (freedom + 4.0 * libm::sqrt(2.0 * freedom)) / persons.max(1) as f64;
        Self { gram, weight: count.iter().map(|&c| c as f64 / n).collect(), noise }
    }

    /// Splits while a split carries at least `MIN_INERTIA` and more than noise, the strongest `limit` of them.
    pub fn tree(&self, limit: usize) -> Tree {
        let mut tree =
            Tree { root: Child::Leaf(0), splits: vec![], leaves: vec![(0..self.weight.len() as u32).collect()] };
        let mut open: Vec<Candidate> = vec![];
        let consider = |cells: &[u32], parent: Option<(usize, usize)>, leaf: usize| {
            let (inertia, left, right) = self.best_split(cells)?;
            (inertia >= MIN_INERTIA.max(self.noise)).then_some(Candidate { inertia, left, right, parent, leaf })
        };
        open.extend(consider(&tree.leaves[0], None, 0));
        while tree.splits.len() < limit {
            let Some(best) = (0..open.len()).reduce(|a, b| if open[b].inertia > open[a].inertia { b } else { a })
            else {
                break;
            };
            let Candidate { left, right, parent, leaf, .. } = open.remove(best);
            let split = tree.splits.len();
            // The left half takes the place of the leaf, the right half gets another.
            let fresh = tree.leaves.len();
            tree.leaves[leaf] = left.clone();
            tree.leaves.push(right.clone());
            open.extend(consider(&left, Some((split, 0)), leaf));
            open.extend(consider(&right, Some((split, 1)), fresh));
            tree.splits.push(Split { left, right, children: [Child::Leaf(leaf as u32), Child::Leaf(fresh as u32)] });
            match parent {
                None => tree.root = Child::Split(split as u32),
                Some((above, side)) => tree.splits[above].children[side] = Child::Split(split as u32),
            }
        }
        tree
    }

    /// Orders the cells along their first principal axis (correspondence analysis) and cuts where most inertia lies
    /// between the sides. `None` for a single cell.
    fn best_split(&self, cells: &[u32]) -> Option<(f64, Vec<u32>, Vec<u32>)> {
        if cells.len() < 2 {
            return None;
        }
        let m = cells.len();
        let k = self.weight.len();
        let weight: Vec<f64> = cells.iter().map(|&c| self.weight[c as usize]).collect();
        let total: f64 = weight.iter().sum();
        // Inner products of profiles measured from the weighted mean of these cells.
        let mut gram: Vec<f64> =
            cells.iter().flat_map(|&i| cells.iter().map(move |&j| self.gram[i as usize * k + j as usize])).collect();
        let mean: Vec<f64> = gram.chunks_exact(m).map(|row| dot(row, &weight) / total).collect();
        let centre = dot(&mean, &weight) / total;
        for i in 0..m {
            (0..m).for_each(|j| gram[i * m + j] += centre - mean[i] - mean[j]);
        }
        let axis = first_axis(&gram, &weight);
        let mut order: Vec<usize> = (0..m).collect();
        order.sort_by(|&a, &b| axis[a].total_cmp(&axis[b]));
        // |sum of weighted profiles of the first cells|^2, updated cell by cell.
        let (mut square, mut below) = (0.0, 0.0);
        let mut product = vec![0.0; m];
        let (mut best, mut cut) = (-1.0, 0);
        for (position, &i) in order[..m - 1].iter().enumerate() {
            let w = weight[i];
            square += 2.0 * w * product[i] + w * w * gram[i * m + i];
            below += w;
            product.iter_mut().zip(&gram[i * m..(i + 1) * m]).for_each(|(p, g)| *p += w * g);
            let inertia = square / below + square / (total - below);
            if inertia > best {
                (best, cut) = (inertia, position + 1);
            }
        }
        let side = |part: &[usize]| -> Vec<u32> { part.iter().map(|&i| cells[i]).collect() };
        Some((best, side(&order[..cut]), side(&order[cut..])))
    }
}

/// Coordinates of the cells on the axis of largest inertia, by power iteration on W^1/2 G W^1/2.
fn first_axis(gram: &[f64], weight: &[f64]) -> Vec<f64> {
    const ROUNDS: usize = 60;
    let m = weight.len();
    let root: Vec<f64> = weight.iter().map(|&w| libm::sqrt(w)).collect();
    // Starting at the cell that carries most inertia, the start is never orthogonal to every large axis.
    let start = (0..m)
        .reduce(|a, b| if weight[b] * gram[b * m + b] > weight[a] * gram[a * m + a] { b } else { a })
        .unwrap_or(0);
    let mut x: Vec<f64> = (0..m).map(|i| root[i] * gram[i * m + start]).collect();
    for _ in 0..ROUNDS {
        let norm = libm::sqrt(dot(&x, &x));
        if norm <= 1e-300 {
            break;
        }
        let scaled: Vec<f64> = x.iter().zip(&root).map(|(x, r)| x / norm * r).collect();
        x = (0..m).map(|i| root[i] * dot(&gram[i * m..(i + 1) * m], &scaled)).collect();
    }
    x.iter().zip(&root).map(|(x, r)| if *r > 0.0 { x / r } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_split_by_what_they_share() {
        // Four cells of 100 rows against a column of two bins: cells 0 and 2 lean to the left, 1 and 3 to the right.
        let counts = [90, 10, 10, 90, 85, 15, 12, 88];
        let profiles = Profiles::new(&[100; 4], &[Profile { counts: &counts, bins: 2 }], 400);
        let tree = profiles.tree(10);
        let sides = |s: &Split| {
            let mut sides = [s.left.clone(), s.right.clone()];
            sides.iter_mut().for_each(|s| s.sort_unstable());
            sides.sort();
            sides
        };
        assert_eq!(tree.root, Child::Split(0));
        assert_eq!(sides(&tree.splits[0]), [[0, 2], [1, 3]]);
        // Inside either side the difference is below chance: by hand, cells 0 and 2 have chi-square 200 (.025/.5)^2 = .5.
        assert_eq!(tree.splits.len(), 1);
        assert_eq!(tree.leaves.iter().map(Vec::len).sum::<usize>(), 4);
    }

    #[test]
    fn inertia_is_chi_square_over_rows() {
        // [[30, 10], [10, 30]]: every cell expects 20, chi-square 4 * 100 / 20 = 20 on 80 rows.
        let profiles = Profiles::new(&[40, 40], &[Profile { counts: &[30, 10, 10, 30], bins: 2 }], 80);
        let (inertia, _, _) = profiles.best_split(&[0, 1]).unwrap();
        assert!((inertia - 20.0 / 80.0).abs() < 1e-12);
    }
}
