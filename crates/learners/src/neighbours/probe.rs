//! Whether a search tree pays, found out on a sample that costs next to nothing.

use lookalike_core::{Job, Result};

use super::search::{Probe, Task};
use super::tree::{Step, Tree, Walk};

/// Pairs below which a plain search takes a fraction of a second.
const PAIRS: usize = 1 << 27;

/// References or queries below which a tree is not worth its building.
const ROWS: usize = 1 << 10;

/// Queries of a probe.
const QUERIES: usize = 32;

/// Largest share of blocks that the queries of a group look at, had they none in common, in a search worth a tree.
const SHARE: f64 = 0.5;

/// Builds a tree over a sample of the references, evenly spaced in canonical order, and asks what share of its blocks a
/// sample of queries would look at. Neighbours in all references are nearer than in a sample and blocks are smaller, so
/// the share is no better there than in the whole search. A decision, not a result: either way the search is exact.
pub(super) fn pays(task: &Task, block: usize, group: usize, job: &Job) -> Result<bool> {
    let Task { space, queries, references, options, probe, .. } = *task;
    let pairs = queries.rows().saturating_mul(references.rows());
    if pairs < PAIRS || queries.rows() < ROWS || references.rows() < 4 * ROWS {
        return Ok(false);
    }
    let rows = (references.rows() / 4).clamp(ROWS, (pairs / (2000 * QUERIES)).clamp(ROWS, 16 * ROWS));
    let spaced = |i: usize, of: usize, all: usize| (i as u64 * all as u64 / of as u64) as usize;
    let sample: Vec<u32> = (0..rows).map(|i| spaced(i, rows, references.rows()) as u32).collect();
    let (tree, sample) = Tree::over(sample, space, references, block, job)?;
    let mut looked = 0;
    for i in 0..QUERIES {
        job.check()?;
        let query = queries.canonical()[spaced(i, QUERIES, queries.rows())];
        let reach = match probe {
            Probe::Radii(radii) => {
                let radius = radii[query as usize];
                if radius >= 0.0 { space.largest_sum(radius) } else { -1.0 }
            }
            Probe::Nearest(k) => {
                let mut sums: Vec<f64> = sample
                    .iter()
                    .map(|&position| references.canonical()[position as usize])
                    .filter(|&row| !(options.exclude_self && is_self(task, query, row)))
                    .map(|row| space.exact(queries, query as usize, references, row as usize).0)
                    .collect();
                let rank = (k as u64 * rows as u64).div_ceil(references.rows() as u64) as usize;
                let Some(at) = rank.min(sums.len()).checked_sub(1) else { return Ok(false) };
                *sums.select_nth_unstable_by(at, f64::total_cmp).1
            }
        };
        let sure = match probe {
            Probe::Radii(radii) => Some([space.sure_sum(radii[query as usize])]),
            Probe::Nearest(_) => None,
        };
        let walk = Walk::<[f64; 1]>::new(space, queries, &[query], sure);
        tree.walk(&walk, &mut |step| {
            looked += usize::from(matches!(step, Step::Block(..)));
            [reach]
        });
    }
    Ok(((looked * group) as f64) < SHARE * (QUERIES * tree.blocks()) as f64)
}

/// Whether two rows of the same table are the same row, or of the same person.
fn is_self(task: &Task, query: u32, reference: u32) -> bool {
    match (task.queries.units(), task.references.units()) {
        (Some(a), Some(b)) => a[query as usize] == b[reference as usize],
        _ => query == reference,
    }
}
