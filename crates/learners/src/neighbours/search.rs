//! One search for all collectors: every tile of queries passes over the packed references, or walks a tree of them.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use lookalike_core::{Job, Result};
use rayon::prelude::*;

use super::collect::{Candidate, Collector, Reach};
use super::dense::Dense;
use super::isa::Isa;
use super::masked::Masked;
use super::mixed::{Layout, Mixed};
use super::probe::pays;
use super::tree::{Step, Tree, Walk};
use super::{Metric, Points, SearchOptions, Space};

/// A way to find the pairs that may be near: references packed in blocks, queries in groups.
pub(super) trait Kernel: Sync {
    /// Packed queries with their limits.
    type Group: Send;
    /// A number for each query of a group.
    type Lanes: Copy + Default + AsRef<[f64]> + AsMut<[f64]> + Send;
    /// Queries in a group.
    const GROUP: usize;
    /// References in a block; at most 64.
    const BLOCK: usize;
    /// Bytes of a packed block.
    fn block_bytes(&self) -> usize;
    /// Packs the given queries, at most [`Kernel::GROUP`], with infinite limits; what is missing to a full group never
    /// hits.
    fn group(&self, queries: &Points, rows: &[u32]) -> Self::Group;
    /// Limits a query to pairs that may have an exact sum of at most `sum`, or below `sum` where `ties` do not matter;
    /// to none when it is negative.
    fn limit(&self, group: &mut Self::Group, query: usize, sum: f64, ties: bool);
    /// Tells that pairs of a query with an exact sum below `sum` only count.
    fn sure(&self, _group: &mut Self::Group, _query: usize, _sum: f64) {}
    /// After a hit: the references of the block that surely have a sum below that one; others have no limit yet.
    fn surely(_group: &Self::Group, _query: usize) -> u64 {
        0
    }
    /// The first of the blocks in which a query of the group has pairs within its limit.
    fn scan(&self, group: &mut Self::Group, blocks: Range<usize>) -> Option<usize>;
    /// After a hit: the references of the block within the limit of the query as it was, one bit each.
    fn hits(group: &Self::Group, query: usize) -> u64;
    /// After a hit: whether a reference of the block is within the limit of the query as it is now.
    fn within(group: &Self::Group, query: usize, lane: usize) -> bool;
}

/// The references in the order they are packed in.
#[derive(Debug)]
pub(super) struct Packing<'a> {
    canonical: &'a [u32],
    /// Positions in the canonical order; `None` is that order.
    slots: Option<Vec<u32>>,
    /// Where rows exclude themselves, the person or the row of each reference as packed.
    own: Option<Vec<u32>>,
}

impl Packing<'_> {
    fn position(&self, slot: usize) -> Option<u32> {
        match &self.slots {
            Some(slots) => slots.get(slot).copied(),
            None => (slot < self.canonical.len()).then_some(slot as u32),
        }
    }

    /// References of some slots.
    fn count(&self, slots: Range<usize>) -> u32 {
        (slots.end.min(self.len()) - slots.start) as u32
    }

    /// The references of a block, one bit each, that a query counts: all but its own.
    fn others(&self, slots: Range<usize>, own: u32) -> u64 {
        let count = self.count(slots.clone());
        let all = if count >= 64 { u64::MAX } else { (1 << count) - 1 };
        let Some(owners) = &self.own else { return all };
        let owners = &owners[slots.start..slots.end.min(self.len())];
        owners.iter().enumerate().fold(all, |lanes, (lane, &o)| lanes & !(u64::from(o == own) << lane))
    }

    /// How many references of some slots a query counts.
    fn count_others(&self, slots: Range<usize>, own: u32) -> u32 {
        let count = self.count(slots.clone());
        let Some(owners) = &self.own else { return count };
        let owners = &owners[slots.start..slots.end.min(self.len())];
        count - owners.iter().map(|&o| u32::from(o == own)).sum::<u32>()
    }

    /// Number of references.
    pub fn len(&self) -> usize {
        self.canonical.len()
    }

    /// Rows of the references.
    pub fn rows(&self) -> impl Iterator<Item = u32> {
        (0..self.len()).filter_map(|slot| self.position(slot)).map(|position| self.canonical[position as usize])
    }
}

/// How to search; every plan finds the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub isa: Isa,
    /// Whether to prune; `None` decides by what a probe finds.
    pub prune: Option<bool>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { isa: Isa::detect(), prune: None }
    }
}

/// What a query looks for, as far as a probe must know.
#[derive(Debug, Clone, Copy)]
pub(super) enum Probe<'a> {
    /// So many nearest neighbours.
    Nearest(usize),
    /// Neighbours within a radius, one a query.
    Radii(&'a [f64]),
}

/// What is searched.
pub(super) struct Task<'a> {
    pub space: &'a Space,
    pub queries: &'a Points,
    pub references: &'a Points,
    pub options: SearchOptions,
    pub probe: Probe<'a>,
    /// Candidates that a collector may hold.
    pub held: usize,
}

impl Task<'_> {
    /// The person of a row, where both relations have persons, or the row.
    fn owner(&self, points: &Points, row: u32) -> u32 {
        match (self.queries.units(), self.references.units()) {
            (Some(_), Some(_)) => points.units().map_or(row, |units| units[row as usize]),
            _ => row,
        }
    }
}

/// Looks for every query with a collector of its own and hands the filled collectors over with their queries, a tile at
/// a time, in any order.
pub(super) fn search<C: Collector>(
    plan: Plan,
    task: &Task,
    start: impl Fn(usize) -> C + Sync,
    job: &Job,
    take: impl Fn(Vec<(usize, C)>) + Sync,
) -> Result<()> {
    let Task { space, queries, references, .. } = *task;
    task.options.check(queries, references)?;
    if references.rows() == 0 || queries.rows() == 0 {
        return Ok(());
    }
    match space.metric() {
        Metric::Cosine => run(task, None, job, start, take, |p, job| Dense::pack(plan.isa, space, references, p, job)),
        Metric::Masked => run(task, None, job, start, take, |p, job| Masked::pack(plan.isa, space, references, p, job)),
        Metric::Gower | Metric::L1 | Metric::Euclidean => {
            let layout = Layout::new(space, queries, references);
            let (block, group) = if layout.is_dense() {
                (Dense::BLOCK, Dense::GROUP)
            } else {
                (Mixed::<true>::BLOCK, Mixed::<true>::GROUP)
            };
            let prune = match plan.prune {
                Some(prune) => prune,
                None => pays(task, block, group, job)?,
            };
            let tree = if prune { Some(Tree::build(space, references, block, job)?) } else { None };
            if layout.is_dense() {
                run(task, tree, job, start, take, |p, job| Dense::pack(plan.isa, space, references, p, job))
            } else if space.metric() == Metric::Euclidean {
                run(task, tree, job, start, take, |p, job| {
                    Mixed::<true>::pack(plan.isa, space, layout, references, p, job)
                })
            } else {
                run(task, tree, job, start, take, |p, job| {
                    Mixed::<false>::pack(plan.isa, space, layout, references, p, job)
                })
            }
        }
    }
}

fn run<K: Kernel, C: Collector>(
    task: &Task,
    tree: Option<(Tree, Vec<u32>)>,
    job: &Job,
    start: impl Fn(usize) -> C + Sync,
    take: impl Fn(Vec<(usize, C)>) + Sync,
    pack: impl FnOnce(&Packing, &Job) -> Result<K>,
) -> Result<()> {
    let (tree, slots) = tree.unzip();
    let _slots = job.reserve(slots.as_ref().map_or(0, Vec::len) * 4, "order of a search tree")?;
    let mut packing = Packing { canonical: task.references.canonical(), slots, own: None };
    let _own = job.reserve(if task.options.exclude_self { packing.len() * 4 } else { 0 }, "persons of references")?;
    if task.options.exclude_self {
        packing.own = Some(packing.rows().map(|row| task.owner(task.references, row)).collect());
    }
    let kernel = pack(&packing, job)?;
    let rows = task.queries.rows();
    // A group of queries that lie together walks one path through the tree.
    let (order, _memory) = match tree {
        Some(_) => (Tree::order(task.space, task.queries, K::GROUP, job)?, job.reserve(rows * 4, "order of queries")?),
        None => ((0..rows as u32).collect(), job.reserve(rows * 4, "order of queries")?),
    };
    let tile = tile_rows::<K>(rows, task.held);
    let held = rayon::current_num_threads() * tile * (task.held * size_of::<Candidate>() + size_of::<C>());
    let _held = job.reserve(held, "candidates")?;
    let search = Search { task, kernel: &kernel, packing: &packing, tree: tree.as_ref() };
    let done = AtomicU64::new(0);
    order.par_chunks(tile).try_for_each(|members| {
        take(search.tile(members, &start, job)?);
        job.count("pairs_compared", members.len() * task.references.rows());
        let before = done.fetch_add(members.len() as u64, Ordering::Relaxed);
        job.progress("neighbours", before + members.len() as u64, rows as u64);
        Ok(())
    })
}

/// Queries of a tile: enough to use packed references often while they are in the cache, few enough that little is held
/// and that few queries are still spread over all threads.
fn tile_rows<K: Kernel>(rows: usize, held: usize) -> usize {
    let share = rows.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(K::GROUP);
    let few = (HELD / held.max(1)).next_multiple_of(K::GROUP);
    TILE.min(share).min(few).max(K::GROUP)
}

/// Bytes of packed references that stay in the second-level cache while a tile of queries passes over them.
const CHUNK_BYTES: usize = 256 << 10;

/// Most queries of a tile.
const TILE: usize = 240;

/// Most candidates that the collectors of a tile hold.
const HELD: usize = 1 << 18;

struct Search<'a, K> {
    task: &'a Task<'a>,
    kernel: &'a K,
    packing: &'a Packing<'a>,
    tree: Option<&'a Tree>,
}

/// A group of queries and what was collected for them.
struct Batch<'a, K: Kernel, C> {
    rows: &'a [u32],
    group: K::Group,
    best: Vec<C>,
    /// Largest sum of interest of each query; negative when there is none.
    reach: K::Lanes,
    /// Sums below which pairs of each query only count; none where no pair does.
    sure: Option<K::Lanes>,
}

impl<K: Kernel, C: Collector> Batch<'_, K, C> {
    /// Takes over which pairs are still of interest to a query.
    fn restrict(&mut self, kernel: &K, query: usize, in_order: bool) {
        let (sum, ties) = match self.best[query].reach() {
            Reach::All => return,
            Reach::Nothing => (-1.0, true),
            // Blocks come in canonical order: a later pair at the same distance is no better.
            Reach::Before(last) if in_order && last.distance == 0.0 => (-1.0, true),
            Reach::Before(last) => (last.sum, !in_order),
            Reach::UpTo(sum) => (sum, true),
        };
        kernel.limit(&mut self.group, query, sum, ties);
        // Sums this near may make equal distances.
        self.reach.as_mut()[query] = if sum < 0.0 { sum } else { sum * (1.0 + 8.0 * f64::EPSILON) + 1e-300 };
    }
}

impl<K: Kernel> Search<'_, K> {
    fn tile<C: Collector>(&self, members: &[u32], start: &impl Fn(usize) -> C, job: &Job) -> Result<Vec<(usize, C)>> {
        let mut batches: Vec<Batch<K, C>> = members
            .chunks(K::GROUP)
            .map(|rows| {
                let mut reach = K::Lanes::default();
                reach.as_mut().fill(-1.0);
                reach.as_mut()[..rows.len()].fill(f64::INFINITY);
                let group = self.kernel.group(self.task.queries, rows);
                let best: Vec<C> = rows.iter().map(|&row| start(row as usize)).collect();
                let mut sure = K::Lanes::default();
                sure.as_mut().fill(-1.0);
                sure.as_mut().iter_mut().zip(&best).for_each(|(sure, best)| *sure = best.sure());
                let sure = sure.as_ref().iter().any(|&sum| sum >= 0.0).then_some(sure);
                let mut batch = Batch { rows, group, best, reach, sure };
                if let Some(sure) = sure {
                    let sums = sure.as_ref().iter().enumerate().filter(|(_, sum)| **sum >= 0.0);
                    sums.for_each(|(query, sum)| self.kernel.sure(&mut batch.group, query, *sum));
                }
                (0..rows.len()).for_each(|query| batch.restrict(self.kernel, query, self.tree.is_none()));
                batch
            })
            .collect();
        match self.tree {
            Some(tree) => self.walk(tree, &mut batches, job)?,
            None => self.pass(&mut batches, job)?,
        }
        let found = batches.into_iter().flat_map(|b| b.rows.iter().map(|&row| row as usize).zip(b.best));
        Ok(found.collect())
    }

    /// Passes over all blocks, as many at a time as stay in the cache.
    fn pass<C: Collector>(&self, batches: &mut [Batch<K, C>], job: &Job) -> Result<()> {
        let blocks = self.packing.len().div_ceil(K::BLOCK);
        let chunk = (CHUNK_BYTES / self.kernel.block_bytes().max(1)).max(1);
        for first in (0..blocks).step_by(chunk) {
            job.check()?;
            let end = blocks.min(first + chunk);
            batches.iter_mut().for_each(|batch| self.scan(batch, first..end, u32::MAX));
        }
        Ok(())
    }

    /// Walks from the root of the tree to the blocks that can hold something of interest, the nearest first.
    fn walk<C: Collector>(&self, tree: &Tree, batches: &mut [Batch<K, C>], job: &Job) -> Result<()> {
        for batch in batches {
            job.check()?;
            let walk = Walk::<K::Lanes>::new(self.task.space, self.task.queries, batch.rows, batch.sure);
            tree.walk(&walk, &mut |step| {
                match step {
                    Step::Root => {}
                    Step::Block(block, open) => self.scan(batch, block..block + 1, open),
                    Step::Whole(first, blocks, whole) => {
                        let slots = first * K::BLOCK..(first + blocks) * K::BLOCK;
                        for query in (0..batch.rows.len()).filter(|query| whole >> query & 1 != 0) {
                            let own = self.task.owner(self.task.queries, batch.rows[query]);
                            batch.best[query].count(self.packing.count_others(slots.clone(), own));
                        }
                    }
                }
                batch.reach
            });
        }
        Ok(())
    }

    /// Scans blocks for the queries whose bits are set.
    fn scan<C: Collector>(&self, batch: &mut Batch<K, C>, blocks: Range<usize>, open: u32) {
        let mut from = blocks.start;
        while let Some(block) = self.kernel.scan(&mut batch.group, from..blocks.end) {
            for query in (0..batch.rows.len()).filter(|query| open >> query & 1 != 0) {
                self.look(batch, query, block);
            }
            from = block + 1;
        }
    }

    /// Computes the exact distances of the pairs of one query and one block that are within the limit.
    fn look<C: Collector>(&self, batch: &mut Batch<K, C>, query: usize, block: usize) {
        let Task { space, queries, references, .. } = *self.task;
        let row = batch.rows[query] as usize;
        let mut hits = K::hits(&batch.group, query);
        if hits == 0 {
            return;
        }
        let slots = block * K::BLOCK..(block + 1) * K::BLOCK;
        hits &= self.packing.others(slots, self.task.owner(queries, row as u32));
        if batch.sure.is_some() {
            let sure = hits & K::surely(&batch.group, query);
            batch.best[query].count(sure.count_ones());
            hits &= !sure;
        }
        while hits != 0 {
            let lane = hits.trailing_zeros() as usize;
            hits &= hits - 1;
            let Some(position) = self.packing.position(block * K::BLOCK + lane) else { break };
            if !K::within(&batch.group, query, lane) {
                continue;
            }
            let reference = references.canonical()[position as usize] as usize;
            let unit = references.units().map_or(position, |units| units[reference]);
            let (sum, distance) = space.exact(queries, row, references, reference);
            if batch.best[query].offer(Candidate { distance, sum, position, unit }) {
                batch.restrict(self.kernel, query, self.tree.is_none());
            }
        }
    }
}
