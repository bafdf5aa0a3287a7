//! The correlation matrix of all latent variables.

use lookalike_core::{Job, Result};
use rayon::prelude::*;

use super::groups::contingency;
use super::latent::Step;
use crate::linalg::Square;

/// Correlations within this many standard errors of zero are taken as zero, larger ones are shrunk accordingly.
const SHRINKAGE: f64 = 2.5;
/// Smallest eigenvalue after repair.
const MIN_EIGENVALUE: f64 = 1e-4;

/// Cells on either side of a split.
pub(crate) type Sides = [Vec<u32>; 2];

/// What rows show of some latent variables of one column or group.
pub(crate) enum Seen {
    /// A cell a row, and the splits of cells: one latent each, active in rows whose cell is on either side.
    Cells { code: Vec<u16>, size: usize, splits: Vec<Sides> },
    /// A normal score a row: one latent.
    Scores(Scores),
}

/// Normal scores of rows, as the pieces they lie in and the scores of these.
pub(crate) struct Scores {
    pieces: Vec<u32>,
    /// NaN at the end, for missing.
    of: Vec<f64>,
}

impl Scores {
    pub fn new(pieces: Vec<u32>, of: &[f64]) -> Self {
        Self { pieces, of: of.iter().copied().chain([f64::NAN]).collect() }
    }

    fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        let missing = self.of.len() - 1;
        self.pieces.iter().map(move |&p| self.of[(p as usize).min(missing)])
    }
}

impl Seen {
    fn latents(&self) -> usize {
        match self {
            Seen::Cells { splits, .. } => splits.len(),
            Seen::Scores(_) => 1,
        }
    }
}

/// One source of latents; sources of one block are independent of each other by construction.
pub(crate) struct Source {
    pub block: usize,
    pub seen: Seen,
}

/// A correlation and the number of rows it was seen in.
#[derive(Clone, Copy)]
struct Pair {
    rows: f64,
    correlation: f64,
}

/// Correlations of all latents in the order of the sources. `steps` holds how each latent is coarsened; `independent` is
/// the number of independent observations a row stands for: 1, or persons over rows.
pub(crate) fn correlations(sources: &[Source], steps: &[Step], independent: f64, job: &Job) -> Result<Square> {
    let first: Vec<usize> = sources
        .iter()
        .scan(0, |sum, s| {
            *sum += s.seen.latents();
            Some(*sum - s.seen.latents())
        })
        .collect();
    let pairs: Vec<(usize, usize)> = (0..sources.len())
        .flat_map(|a| (0..a).map(move |b| (a, b)))
        .filter(|&(a, b)| sources[a].block != sources[b].block)
        .collect();
    let mut matrix = Square::identity(steps.len());
    for (done, part) in pairs.chunks(64).enumerate() {
        job.check()?;
        job.progress("fit", (done * 64) as u64, pairs.len() as u64);
        let found: Vec<Vec<f64>> = part
            .par_iter()
            .map(|&(a, b)| {
                let width = sources[b].seen.latents();
                seen_pairs(&sources[a].seen, &sources[b].seen)
                    .into_iter()
                    .enumerate()
                    .map(|(k, pair)| {
                        let r = shrink(pair, independent);
                        let (i, j) = (first[a] + k / width, first[b] + k % width);
                        if r == 0.0 { 0.0 } else { steps[i].latent_correlation(&steps[j], r) }
                    })
                    .collect()
            })
            .collect();
        for (&(a, b), values) in part.iter().zip(found) {
            let width = sources[b].seen.latents();
            for (k, value) in values.into_iter().enumerate() {
                matrix.set(first[a] + k / width, first[b] + k % width, value);
            }
        }
    }
    Ok(matrix)
}

/// Positive-part shrinkage (James & Stein 1961; Efron & Morris 1973): r (1 - c^2 / z^2) with z = r sqrt(n).
fn shrink(pair: Pair, independent: f64) -> f64 {
    let evidence = pair.correlation * pair.correlation * pair.rows * independent;
    if evidence <= SHRINKAGE * SHRINKAGE { 0.0 } else { pair.correlation * (1.0 - SHRINKAGE * SHRINKAGE / evidence) }
}

/// Correlation of what is seen of every latent of `a` with every latent of `b`, row-major, over rows where both are active.
fn seen_pairs(a: &Seen, b: &Seen) -> Vec<Pair> {
    match (a, b) {
        (Seen::Scores(x), Seen::Scores(y)) => vec![score_pair(x, y)],
        (Seen::Scores(x), Seen::Cells { code, size, splits })
        | (Seen::Cells { code, size, splits }, Seen::Scores(x)) => {
            // [rows, sum, sum of squares] of the score, by cell.
            let mut sums = vec![[0.0f64; 3]; *size];
            for (&c, x) in code.iter().zip(x.iter()).filter(|(_, x)| !x.is_nan()) {
                let sum = &mut sums[usize::from(c)];
                sum[0] += 1.0;
                sum[1] += x;
                sum[2] += x * x;
            }
            let add = |cells: &[u32]| {
                cells.iter().fold([0.0; 3], |s, &c| {
                    let x = sums[c as usize];
                    [s[0] + x[0], s[1] + x[1], s[2] + x[2]]
                })
            };
            splits.iter().map(|sides| biserial(add(&sides[0]), add(&sides[1]))).collect()
        }
        (
            Seen::Cells { code: x, size: x_size, splits: x_splits },
            Seen::Cells { code: y, size: y_size, splits: y_splits },
        ) => {
            if x_splits.is_empty() || y_splits.is_empty() {
                return vec![];
            }
            let table = contingency(x, *x_size, y, *y_size);
            let mut pairs = Vec::with_capacity(x_splits.len() * y_splits.len());
            let mut side_sums = [vec![0u64; *y_size], vec![0u64; *y_size]];
            for split in x_splits {
                for (sums, cells) in side_sums.iter_mut().zip(split) {
                    sums.fill(0);
                    for &cell in cells {
                        let row = &table[cell as usize * y_size..(cell as usize + 1) * y_size];
                        sums.iter_mut().zip(row).for_each(|(s, &c)| *s += u64::from(c));
                    }
                }
                for other in y_splits {
                    let count = |a: usize, b: usize| {
                        other[b].iter().map(|&cell| side_sums[a][cell as usize]).sum::<u64>() as f64
                    };
                    pairs.push(phi(count(0, 0), count(0, 1), count(1, 0), count(1, 1)));
                }
            }
            pairs
        }
    }
}

fn score_pair(x: &Scores, y: &Scores) -> Pair {
    let (mut n, mut sx, mut sy, mut sxx, mut sxy, mut syy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y.iter()).filter(|(x, y)| !x.is_nan() && !y.is_nan()) {
        n += 1.0;
        sx += x;
        sy += y;
        sxx += x * x;
        sxy += x * y;
        syy += y * y;
    }
    pearson(n, sxy - sx * sy / n, sxx - sx * sx / n, syy - sy * sy / n)
}

/// Correlation of a score with the side of a split, from [rows, sum, sum of squares] of either side.
fn biserial(left: [f64; 3], right: [f64; 3]) -> Pair {
    let [n, sum, squares] = [left[0] + right[0], left[1] + right[1], left[2] + right[2]];
    // With 0 for left and 1 for right.
    pearson(n, right[1] - right[0] * sum / n, squares - sum * sum / n, right[0] * left[0] / n)
}

/// Correlation of the sides of two splits, from the four counts.
fn phi(ll: f64, lr: f64, rl: f64, rr: f64) -> Pair {
    let n = ll + lr + rl + rr;
    let (right_a, right_b) = (rl + rr, lr + rr);
    pearson(n, rr - right_a * right_b / n, right_a * (ll + lr) / n, right_b * (ll + rl) / n)
}

fn pearson(rows: f64, xy: f64, xx: f64, yy: f64) -> Pair {
    let scale = libm::sqrt(xx * yy);
    let is_varied = rows > 2.0 && xx > 1e-9 * rows && yy > 1e-9 * rows;
    Pair { rows, correlation: if is_varied { (xy / scale).clamp(-1.0, 1.0) } else { 0.0 } }
}

/// The nearest usable correlation matrix: eigenvalues clipped from below, then every block of one source's latents turned
/// back into the identity (so that marginals stay exact), a few times over. A matrix that is positive definite stays as it is.
pub(crate) fn repair(mut matrix: Square, blocks: &[Vec<usize>], job: &Job) -> Result<Square> {
    const ROUNDS: usize = 3;
    for _ in 0..ROUNDS {
        if matrix.n == 0 || is_positive(&matrix) {
            break;
        }
        matrix = matrix.map_eigenvalues(|v| v.max(MIN_EIGENVALUE), job)?;
        // Congruence by the inverse square root of the block diagonal keeps the matrix positive.
        for block in blocks.iter().filter(|b| !b.is_empty()) {
            let whitener = matrix.select(block).map_eigenvalues(|v| 1.0 / libm::sqrt(v.max(1e-12)), job)?;
            whiten(&mut matrix, block, &whitener);
        }
    }
    Ok(matrix)
}

/// Rows and columns of one block times the whitener, from both sides.
fn whiten(matrix: &mut Square, block: &[usize], whitener: &Square) {
    let n = matrix.n;
    let mut rows = vec![0.0; block.len() * n];
    for (k, row) in rows.chunks_exact_mut(n).enumerate() {
        for (j, &source) in block.iter().enumerate() {
            let weight = whitener.at(k, j);
            row.iter_mut().zip(matrix.row(source)).for_each(|(r, x)| *r += weight * x);
        }
    }
    for (k, row) in rows.chunks_exact(n).enumerate() {
        matrix.data[block[k] * n..(block[k] + 1) * n].copy_from_slice(row);
    }
    for i in 0..n {
        let row: Vec<f64> = block.iter().map(|&j| matrix.at(i, j)).collect();
        for (k, &j) in block.iter().enumerate() {
            matrix.data[i * n + j] = (0..block.len()).map(|m| whitener.at(k, m) * row[m]).sum();
        }
    }
}

/// Whether the smallest eigenvalue is at least about `MIN_EIGENVALUE` / 2: Cholesky of the shifted matrix succeeds.
fn is_positive(matrix: &Square) -> bool {
    let n = matrix.n;
    let mut l = Square::zeros(n);
    for i in 0..n {
        for j in 0..=i {
            let sum = matrix.at(i, j) - crate::linalg::dot(&l.row(i)[..j], &l.row(j)[..j]);
            if i == j {
                let pivot = sum - MIN_EIGENVALUE * 0.5;
                if pivot <= 0.0 {
                    return false;
                }
                l.data[i * n + i] = libm::sqrt(pivot);
            } else {
                l.data[i * n + j] = sum / l.at(j, j);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::eigen;

    #[test]
    fn golden_normal_score_correlation() {
        // numpy's corrcoef of scipy's scores; tests/golden/make/models_correlation.py
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/golden/models_correlation.json")).unwrap();
        let list =
            |name: &str| -> Vec<f64> { golden[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
        let scores = |name: &str| Scores::new((0..40).collect(), &list(name));
        let pair = score_pair(&scores("scores_x"), &scores("scores_y"));
        assert!((pair.correlation - golden["normal_score_correlation"].as_f64().unwrap()).abs() < 1e-12);
        assert_eq!(pair.rows, 40.0);
    }

    #[test]
    fn counts_give_correlations_worked_by_hand() {
        // phi of [[40, 10], [20, 30]]: (40*30 - 10*20) / sqrt(50 * 50 * 60 * 40) = 1000 / 2449.49
        assert!((phi(40.0, 10.0, 20.0, 30.0).correlation - 0.408_248_290_463_863).abs() < 1e-12);
        // Scores 0, 2 on the left, 4, 6 on the right: side and score correlate by 2 / sqrt(5).
        let pair = biserial([2.0, 2.0, 4.0], [2.0, 10.0, 52.0]);
        assert!((pair.correlation - 0.894_427_190_999_916).abs() < 1e-12);
    }

    #[test]
    fn repair_keeps_blocks_and_becomes_positive() {
        // 0 and 1 are one block, both at .9 with 2: impossible, since .9^2 + .9^2 > 1.
        let matrix = Square { n: 3, data: vec![1.0, 0.0, 0.9, 0.0, 1.0, 0.9, 0.9, 0.9, 1.0] };
        let blocks = [vec![0, 1], vec![2]];
        let job = Job::unbounded();
        let fixed = repair(matrix, &blocks, &job).unwrap();
        assert!(fixed.at(0, 1).abs() < 1e-9 && (fixed.at(2, 2) - 1.0).abs() < 1e-9, "{fixed:?}");
        assert!(eigen(&fixed, &job).unwrap().0.iter().all(|&v| v > 0.0));
        // The most that both can share is sqrt(1/2) each.
        assert!((fixed.at(0, 2) - 0.7).abs() < 0.03 && (fixed.at(1, 2) - 0.7).abs() < 0.03, "{fixed:?}");
    }
}
