//! The nearest reference rows of a target, with all that are equally near.
//!
//! On a few columns many rows are equal and many pairs equally far apart. Any rule that picks one of them would make
//! attacks on combinations of columns depend on the rule, so ties are kept, and chance decides among them.

use lookalike_core::{Frame, Job, Result, Values};
use lookalike_learners::{Metric, SearchOptions, Space, k_nearest, nearest};
use rayon::prelude::*;

/// Rows of equal content.
#[derive(Debug)]
pub(crate) struct Groups {
    /// Group of each row.
    pub of_row: Vec<u32>,
    /// Rows, group after group.
    rows: Vec<u32>,
    /// Where each group starts in `rows`, and the end.
    starts: Vec<usize>,
}

impl Groups {
    pub fn new(frame: &Frame) -> Self {
        let (columns, _) = frame.clone().into_parts();
        let frame = Frame::new(frame.rows(), columns, None);
        let rows = frame.canonical_order();
        let (mut of_row, mut starts) = (vec![0; frame.rows()], vec![]);
        for (i, &row) in rows.iter().enumerate() {
            if i == 0 || !same(&frame, rows[i - 1] as usize, row as usize) {
                starts.push(i);
            }
            of_row[row as usize] = starts.len() as u32 - 1;
        }
        starts.push(rows.len());
        Self { of_row, rows, starts }
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Rows of a group.
    pub fn rows(&self, group: u32) -> &[u32] {
        &self.rows[self.starts[group as usize]..self.starts[group as usize + 1]]
    }

    /// One row of each group.
    fn representatives(&self) -> Vec<u32> {
        self.starts[..self.len()].iter().map(|&start| self.rows[start]).collect()
    }
}

fn same(frame: &Frame, a: usize, b: usize) -> bool {
    frame.columns().iter().all(|c| match &c.values {
        Values::Number(v) => v[a] == v[b] || (v[a].is_nan() && v[b].is_nan()),
        Values::Code(v) => v[a] == v[b],
        Values::Omitted => true,
    })
}

/// Groups of references around a target.
#[derive(Debug, Clone, Default)]
pub(crate) struct Near {
    /// Groups nearer than the k-th nearest row: fewer than k rows.
    pub nearer: Vec<u32>,
    /// Groups exactly as far as the k-th nearest row.
    pub tied: Vec<u32>,
    /// That distance.
    pub distance: f64,
}

/// What [`nearby`] finds.
#[derive(Debug)]
pub(crate) struct Nearby {
    /// Groups of the references.
    pub references: Groups,
    /// Groups of the targets.
    targets: Groups,
    /// By group of targets.
    near: Vec<Near>,
}

impl Nearby {
    /// Around a target, by its row.
    pub fn of(&self, row: usize) -> &Near {
        &self.near[self.targets.of_row[row] as usize]
    }
}

/// Equally near groups beyond this many are looked for among all references at once.
const SPARE: usize = 16;

/// The `k` nearest references of every target, 1 <= `k` <= number of references, with all that tie with the k-th. Scaled
/// by the references.
pub(crate) fn nearby(metric: Metric, references: &Frame, targets: &Frame, k: usize, job: &Job) -> Result<Nearby> {
    let _memory = job.reserve((references.rows() + targets.rows()) * 24, "rows of equal content")?;
    let (groups, target_groups) = (Groups::new(references), Groups::new(targets));
    let space = Space::fit(metric, &[references])?;
    let distinct = |frame: &Frame, groups: &Groups| {
        let (columns, _) = frame.gather(&groups.representatives()).into_parts();
        Frame::new(groups.len(), columns, None)
    };
    let distinct_targets = distinct(targets, &target_groups);
    let points = space.encode(&distinct(references, &groups), job)?;
    let queries = space.encode(&distinct_targets, job)?;
    let mut near = vec![Near::default(); target_groups.len()];
    let mut open: Vec<u32> = vec![];
    if k == 1 {
        let found = nearest(&space, &queries, &points, SearchOptions::default(), job)?;
        for (i, neighbour) in found.into_iter().enumerate() {
            if neighbour.second == neighbour.distance {
                open.push(i as u32);
            } else {
                near[i] = Near { nearer: vec![], tied: vec![neighbour.row], distance: neighbour.distance };
            }
        }
    } else {
        open = (0..target_groups.len() as u32).collect();
    }
    // A few more neighbours than asked for show most ties completely.
    let wanted = (k + SPARE).min(groups.len());
    let queries = space.encode(&distinct_targets.gather(&open), job)?;
    let found = k_nearest(&space, &queries, &points, wanted, SearchOptions::default(), job)?;
    let rest: Vec<(u32, Near)> = (0..open.len())
        .into_par_iter()
        .map(|query| {
            let mut rows = 0;
            let mut last = f64::NAN;
            let mut result = Near::default();
            let mut all: Vec<(u32, f64)> = vec![];
            for (group, distance) in found.of(query) {
                if rows < k {
                    rows += groups.rows(group).len();
                    result.distance = distance;
                }
                last = distance;
                all.push((group, distance));
            }
            result.nearer = all.iter().filter(|(_, d)| *d < result.distance).map(|(g, _)| *g).collect();
            result.tied = all.iter().filter(|(_, d)| *d == result.distance).map(|(g, _)| *g).collect();
            let is_complete = wanted == groups.len() || last > result.distance;
            if !is_complete {
                job.check()?;
                let at = |group: &u32| space.distance(&queries, query as u32, &points, *group) == result.distance;
                result.tied = (0..groups.len() as u32).filter(at).collect();
            }
            Ok((open[query], result))
        })
        .collect::<Result<_>>()?;
    for (query, found) in rest {
        near[query as usize] = found;
    }
    Ok(Nearby { references: groups, targets: target_groups, near })
}
