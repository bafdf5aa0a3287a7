//! Which combinations of a size are rare: counted depth first, so that memory does not grow with their number.

use std::sync::Mutex;

use lookalike_core::{Error, Job, Result};
use rayon::prelude::*;

use super::MAX_COMBINATIONS;

/// Rare combinations are handed out once there are so many of them, ids counted one by one; the rest follows in the
/// next pass.
const ENOUGH: usize = 1 << 24;

/// Leading ids between two looks at how many rare combinations there are.
const BLOCK: usize = 512;

/// Sets of ids below `alphabet`, each ascending and distinct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sets {
    pub alphabet: usize,
    pub offsets: Vec<usize>,
    pub ids: Vec<u32>,
}

impl Sets {
    /// No set yet, with room for `sets` sets of `ids` ids together.
    pub fn new(alphabet: usize, sets: usize, ids: usize) -> Self {
        let mut offsets = Vec::with_capacity(sets + 1);
        offsets.push(0);
        Self { alphabet, offsets, ids: Vec::with_capacity(ids) }
    }

    /// Adds a set of ids in any order, with repetitions or without.
    pub fn push(&mut self, ids: impl Iterator<Item = u32>) {
        let start = self.ids.len();
        self.ids.extend(ids);
        self.ids[start..].sort_unstable();
        let mut end = start;
        for i in start..self.ids.len() {
            if i == start || self.ids[i] != self.ids[end - 1] {
                self.ids[end] = self.ids[i];
                end += 1;
            }
        }
        self.ids.truncate(end);
        self.offsets.push(end);
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn get(&self, set: usize) -> &[u32] {
        &self.ids[self.offsets[set]..self.offsets[set + 1]]
    }

    pub fn memory(&self) -> usize {
        self.offsets.capacity() * 8 + self.ids.capacity() * 4
    }

    /// How many combinations of `size` ids the sets hold, each set counted for itself.
    fn combinations(&self, size: usize) -> u128 {
        let choose = |n: usize| (0..size).fold(1u128, |all, i| all * n.saturating_sub(i) as u128 / (i as u128 + 1));
        (0..self.len()).map(|t| choose(self.get(t).len())).sum()
    }
}

/// The part of a set after one of its ids, as places in all ids.
#[derive(Debug, Clone, Copy)]
struct Suffix {
    from: u32,
    to: u32,
}

/// Buffers for one depth of the search.
struct Depth {
    /// Persons by id; all 0 between two uses.
    counts: Vec<u32>,
    /// Ids whose count is not 0.
    seen: Vec<u32>,
    /// Suffixes after each seen id, one id after the other.
    buckets: Vec<Suffix>,
}

impl Depth {
    fn new(alphabet: usize) -> Self {
        Self { counts: vec![0; alphabet], seen: vec![], buckets: vec![] }
    }
}

/// Combinations of `size` ids that occur in fewer than `k` sets, `size` ids each, ascending; all of them, or the first
/// some millions when there are more. A resources error when there are too many combinations to count.
pub(super) fn rare(sets: &Sets, size: usize, k: usize, job: &Job) -> Result<Vec<u32>> {
    let combinations = sets.combinations(size);
    if combinations > u128::from(MAX_COMBINATIONS) {
        let longest = (0..sets.len()).map(|t| sets.get(t).len()).max().unwrap_or(0);
        return Err(Error::resources(format!(
            "m: the sets hold {combinations} combinations of {size} items (the longest has {longest} items), at most \
             {MAX_COMBINATIONS} are counted: use m of {} or less, a coarser hierarchy, or fewer items a person",
            size - 1
        )));
    }
    let threads = rayon::current_num_threads();
    let inner = size.saturating_sub(2);
    // The largest projection: all ids of the sets that share one id.
    let mut together = vec![0usize; sets.alphabet];
    for t in 0..sets.len() {
        let set = sets.get(t);
        set.iter().for_each(|&id| together[id as usize] += set.len());
    }
    let projection = together.into_iter().max().unwrap_or(0);
    let bytes = sets.memory() + sets.ids.len() * 8 + sets.alphabet * (8 + 8 * threads * size) + ENOUGH * 4;
    let _counting = job.reserve(bytes + projection * 8 * threads * inner, "counting combinations of items")?;

    // Where each id occurs.
    let mut starts = vec![0usize; sets.alphabet + 1];
    sets.ids.iter().for_each(|&id| starts[id as usize + 1] += 1);
    for id in 0..sets.alphabet {
        starts[id + 1] += starts[id];
    }
    let (mut next, mut after) = (starts.clone(), vec![Suffix { from: 0, to: 0 }; sets.ids.len()]);
    for t in 0..sets.len() {
        for from in sets.offsets[t]..sets.offsets[t + 1] {
            let place = &mut next[sets.ids[from] as usize];
            after[*place] = Suffix { from: from as u32 + 1, to: sets.offsets[t + 1] as u32 };
            *place += 1;
        }
    }

    let search = Search { ids: &sets.ids, k, job };
    // Buffers are as large as the alphabet: threads hand them on.
    let spare: Mutex<Vec<Vec<Depth>>> = Mutex::new(vec![]);
    let lead = |id: usize| -> Result<Vec<u32>> {
        let (suffixes, mut found) = (&after[starts[id]..starts[id + 1]], vec![]);
        if size == 1 {
            if (1..k).contains(&suffixes.len()) {
                found.push(id as u32);
            }
        } else if !suffixes.is_empty() {
            let mut depths = spare.lock().map_or(None, |mut s| s.pop()).unwrap_or_default();
            depths.resize_with(size - 1, || Depth::new(sets.alphabet));
            search.grow(&mut vec![id as u32], suffixes, &mut depths, &mut found)?;
            if let Ok(mut spare) = spare.lock() {
                spare.push(depths);
            }
        }
        Ok(found)
    };
    let (mut rare, mut first) = (vec![], 0);
    while first < sets.alphabet && rare.len() < ENOUGH {
        let last = (first + BLOCK).min(sets.alphabet);
        let found: Vec<Vec<u32>> = (first..last).into_par_iter().map(lead).collect::<Result<_>>()?;
        found.into_iter().for_each(|f| rare.extend(f));
        first = last;
    }
    Ok(rare)
}

struct Search<'s> {
    ids: &'s [u32],
    k: usize,
    job: &'s Job,
}

impl Search<'_> {
    /// Adds to `found` the rare combinations that begin with `prefix` and have one id more for each of `depths`;
    /// `suffixes` are what follows the prefix in the sets that hold it.
    fn grow(
        &self,
        prefix: &mut Vec<u32>,
        suffixes: &[Suffix],
        depths: &mut [Depth],
        found: &mut Vec<u32>,
    ) -> Result<()> {
        let Some((depth, deeper)) = depths.split_first_mut() else { return Ok(()) };
        self.job.check()?;
        for suffix in suffixes {
            for &id in &self.ids[suffix.from as usize..suffix.to as usize] {
                let count = &mut depth.counts[id as usize];
                if *count == 0 {
                    depth.seen.push(id);
                }
                *count += 1;
            }
        }
        depth.seen.sort_unstable();
        if deeper.is_empty() {
            for &id in &depth.seen {
                if (depth.counts[id as usize] as usize) < self.k {
                    found.extend_from_slice(prefix);
                    found.push(id);
                }
                depth.counts[id as usize] = 0;
            }
            depth.seen.clear();
            return Ok(());
        }
        let (Depth { counts, seen, buckets }, mut end) = (depth, 0);
        for &id in seen.iter() {
            // From here on the count is the place of the next suffix.
            (counts[id as usize], end) = (end, end + counts[id as usize]);
        }
        buckets.clear();
        buckets.resize(end as usize, Suffix { from: 0, to: 0 });
        for suffix in suffixes {
            for from in suffix.from..suffix.to {
                let place = &mut counts[self.ids[from as usize] as usize];
                buckets[*place as usize] = Suffix { from: from + 1, to: suffix.to };
                *place += 1;
            }
        }
        let mut start = 0;
        for &id in seen.iter() {
            let end = std::mem::take(&mut counts[id as usize]);
            prefix.push(id);
            self.grow(prefix, &buckets[start as usize..end as usize], deeper, found)?;
            prefix.pop();
            start = end;
        }
        seen.clear();
        Ok(())
    }
}
