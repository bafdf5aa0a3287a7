//! The items of a partition, column by column, and what a cut needs of them: extents, medians, moving items in place.

use std::ops::Range;

use crate::axis::NULL;

/// A stretch of all bands: the ranks of the quasi-identifiers and the numbers of the items. Bands move together, so that
/// the items of every partition lie side by side.
pub(super) struct Part<'a> {
    bands: Vec<&'a mut [u32]>,
    scratch: &'a mut [u32],
    marks: &'a mut [u32],
}

/// Ranks that occur in a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Smallest rank of a present value; above `high` when there is none.
    pub low: u32,
    /// Largest rank.
    pub high: u32,
    /// Whether values are missing.
    pub nulls: bool,
}

impl Extent {
    /// Of some ranks.
    pub fn of(ranks: &[u32]) -> Self {
        let (mut low, mut lowest, mut high) = (u32::MAX, u32::MAX, NULL);
        for &rank in ranks {
            // A missing rank wraps to the largest number and leaves the minimum alone.
            low = low.min(rank.wrapping_sub(1));
            lowest = lowest.min(rank);
            high = high.max(rank);
        }
        Self { low: low.saturating_add(1), high, nulls: lowest == NULL }
    }

    /// With the highest ranks of the same items, where they are not their lowest.
    pub fn up_to(self, high: Option<Self>) -> Self {
        Self { high: high.map_or(self.high, |h| h.high.max(self.high)), ..self }
    }

    /// Of these ranks and others.
    pub fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high), nulls: self.nulls || other.nulls }
    }

    /// Whether at least two different values are present.
    pub fn is_wide(&self) -> bool {
        self.low < self.high
    }

    /// Whether missing and present values are mixed.
    pub fn is_mixed(&self) -> bool {
        self.nulls && self.high > NULL
    }
}

impl<'a> Part<'a> {
    /// All bands, and two scratch areas of their length.
    pub fn new(bands: Vec<&'a mut [u32]>, scratch: &'a mut [u32], marks: &'a mut [u32]) -> Self {
        Self { bands, scratch, marks }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// A stretch of a band.
    pub fn band(&self, band: usize, range: Range<usize>) -> &[u32] {
        &self.bands[band][range]
    }

    /// The lower median of the ranks: the value at place (n - 1) / 2 of the sorted ones, missing values first.
    pub fn median(&mut self, band: usize, range: Range<usize>, extent: Extent) -> u32 {
        let (ranks, scratch) = (&self.bands[band][range.clone()], &mut self.scratch[range]);
        let middle = (ranks.len() - 1) / 2;
        let lowest = if extent.nulls { NULL } else { extent.low };
        let width = (extent.high - lowest) as usize + 1;
        if width > ranks.len() {
            scratch.copy_from_slice(ranks);
            return *scratch.select_nth_unstable(middle).1;
        }
        let counts = &mut scratch[..width];
        counts.fill(0);
        ranks.iter().for_each(|&r| counts[(r - lowest) as usize] += 1);
        let mut below = 0;
        for (rank, &count) in (lowest..).zip(counts.iter()) {
            below += count as usize;
            if below > middle {
                return rank;
            }
        }
        extent.high
    }

    /// How many different values are present.
    pub fn distinct(&mut self, band: usize, range: Range<usize>, extent: Extent) -> u32 {
        let (ranks, scratch) = (&self.bands[band][range.clone()], &mut self.scratch[range]);
        if !extent.is_wide() {
            return u32::from(extent.high > NULL);
        }
        let width = extent.high - extent.low + 1;
        if width <= 63 {
            // Missing values fall on the bit beyond the widest.
            let seen = ranks.iter().fold(0u64, |seen, r| seen | 1 << r.wrapping_sub(extent.low).min(63));
            return (seen & !(1 << 63)).count_ones();
        }
        let words = width.div_ceil(32) as usize;
        if words <= scratch.len() {
            let seen = &mut scratch[..words];
            seen.fill(0);
            for rank in ranks.iter().filter(|&&r| r != NULL) {
                let bit = rank - extent.low;
                seen[(bit / 32) as usize] |= 1 << (bit % 32);
            }
            return seen.iter().map(|w| w.count_ones()).sum();
        }
        scratch.copy_from_slice(ranks);
        scratch.sort_unstable();
        runs(scratch) - u32::from(extent.nulls)
    }

    /// Moves the first `front` items to the front: those of lower rank than `threshold`, then those of that rank in the
    /// order they have. Both sides keep their order.
    pub fn move_to_front(&mut self, band: usize, range: Range<usize>, threshold: u32, front: usize) {
        let (marks, ranks) = (&mut self.marks[range.clone()], &self.bands[band][range.clone()]);
        marks.iter_mut().zip(ranks).for_each(|(m, &r)| *m = u32::from(r <= threshold));
        let mut surplus = marks.iter().sum::<u32>() as usize - front;
        for (mark, &rank) in marks.iter_mut().zip(ranks).rev() {
            if surplus == 0 {
                break;
            }
            if rank == threshold {
                (*mark, surplus) = (0, surplus - 1);
            }
        }
        let scratch = &mut self.scratch[range.clone()];
        for band in &mut self.bands {
            let band = &mut band[range.clone()];
            let (mut front, mut back) = (0, 0);
            for i in 0..band.len() {
                // Both writes happen, one counts: no branch to mispredict. `front` never passes `i`.
                let value = band[i];
                band[front] = value;
                scratch[back] = value;
                front += marks[i] as usize;
                back += 1 - marks[i] as usize;
            }
            band[front..].copy_from_slice(&scratch[..back]);
        }
    }

    /// Marks each row with its group: groups are the different nodes that `node_of_leaf` gives for the leaves of the
    /// rows, in tree order, missing values with the first. Returns the rows of each group in `sizes`.
    pub fn mark_children(
        &mut self,
        band: usize,
        range: Range<usize>,
        extent: Extent,
        node_of_leaf: &[u32],
        sizes: &mut Vec<usize>,
    ) {
        let ranks = &self.bands[band][range.clone()];
        let (scratch, marks) = (&mut self.scratch[range.clone()], &mut self.marks[range]);
        let node = |rank: u32| node_of_leaf[rank as usize - 1];
        let (first, last) = (node(extent.low), node(extent.high));
        let children = (last - first) as usize + 1;
        let child = |rank: u32| if rank == NULL { 0 } else { node(rank) - first };
        sizes.clear();
        if children <= ranks.len() {
            let group_of = &mut scratch[..children];
            group_of.fill(0);
            ranks.iter().for_each(|&r| group_of[child(r) as usize] += 1);
            for count in group_of.iter_mut().filter(|c| **c > 0) {
                sizes.push(*count as usize);
                *count = sizes.len() as u32 - 1;
            }
            marks.iter_mut().zip(ranks).for_each(|(m, &r)| *m = group_of[child(r) as usize]);
            return;
        }
        // More children than rows: sort the few that occur instead of counting them all.
        scratch.iter_mut().zip(ranks).for_each(|(s, &r)| *s = child(r));
        scratch.sort_unstable();
        let mut groups = 0;
        for i in 0..scratch.len() {
            if i == 0 || scratch[i] != scratch[groups - 1] {
                scratch[groups] = scratch[i];
                groups += 1;
                sizes.push(0);
            }
            sizes[groups - 1] += 1;
        }
        let occurring = &scratch[..groups];
        marks.iter_mut().zip(ranks).for_each(|(m, &r)| *m = occurring.partition_point(|c| *c < child(r)) as u32);
    }

    /// Moves the marked rows so that groups lie one after the other.
    pub fn gather_marked(&mut self, range: Range<usize>, sizes: &[usize]) {
        let marks = &mut self.marks[range.clone()];
        let mut next: Vec<u32> = sizes
            .iter()
            .scan(0, |start, &size| {
                let mine = *start;
                *start += size as u32;
                Some(mine)
            })
            .collect();
        for mark in marks.iter_mut() {
            let place = &mut next[*mark as usize];
            *mark = *place;
            *place += 1;
        }
        let scratch = &mut self.scratch[range.clone()];
        for band in &mut self.bands {
            let band = &mut band[range.clone()];
            band.iter().zip(marks.iter()).for_each(|(v, m)| scratch[*m as usize] = *v);
            band.copy_from_slice(scratch);
        }
    }

    /// Consecutive stretches of the given lengths, which sum to the length of this one.
    pub fn split(self, lengths: impl Iterator<Item = usize>) -> Vec<Part<'a>> {
        let mut rest = self;
        let mut parts = vec![];
        for length in lengths {
            let (mut front, mut back) = (Vec::with_capacity(rest.bands.len()), Vec::with_capacity(rest.bands.len()));
            for band in rest.bands {
                let (a, b) = band.split_at_mut(length);
                front.push(a);
                back.push(b);
            }
            let (scratch, more_scratch) = rest.scratch.split_at_mut(length);
            let (marks, more_marks) = rest.marks.split_at_mut(length);
            parts.push(Part::new(front, scratch, marks));
            rest = Part::new(back, more_scratch, more_marks);
        }
        parts
    }
}

/// Number of runs of equal values.
fn runs(sorted: &[u32]) -> u32 {
    sorted.windows(2).filter(|w| w[0] != w[1]).count() as u32 + u32::from(!sorted.is_empty())
}
