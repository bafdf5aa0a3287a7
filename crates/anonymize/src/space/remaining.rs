//! The items that are not clustered yet, side by side for vector instructions.

use rayon::prelude::*;

use super::{CHUNK, Cells, LANES, Place, Ruler, Space};

/// The items that are in no class yet, in their order, and a figure of each.
#[derive(Debug)]
pub(crate) struct Remaining {
    cells: Vec<Cells>,
    items: Vec<u32>,
    figures: Vec<f64>,
}

impl Remaining {
    pub(super) fn new(cells: Vec<Cells>, items: u32) -> Self {
        Self { cells, items: (0..items).collect(), figures: vec![] }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The items.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// The figures measured last, each with its item.
    pub fn measured(&self) -> impl Iterator<Item = (f64, u32)> {
        self.figures.iter().copied().zip(self.items.iter().copied())
    }

    /// The figures measured last.
    pub fn figures(&mut self) -> &mut [f64] {
        &mut self.figures
    }

    /// The middle of all.
    pub fn centre(&self, space: &Space<'_>) -> Vec<Place> {
        space.dimensions.iter().zip(&self.cells).map(|(d, cells)| d.centre(cells)).collect()
    }

    /// Makes the figure of each item the sum of what the rulers, one a quasi-identifier, say.
    pub fn measure(&mut self, rulers: &[Ruler]) {
        let cells = &self.cells;
        let chunk = |(i, out): (usize, &mut [f64])| {
            out.fill(0.0);
            let range = i * CHUNK..i * CHUNK + out.len();
            rulers.iter().zip(cells).for_each(|(ruler, cells)| ruler.add(cells, range.clone(), out));
        };
        self.figures.resize(self.items.len(), 0.0);
        match self.items.len() {
            0..=CHUNK => self.figures.chunks_mut(CHUNK).enumerate().for_each(chunk),
            _ => self.figures.par_chunks_mut(CHUNK).enumerate().for_each(chunk),
        }
    }

    /// First position of the largest figure.
    pub fn largest(&self) -> usize {
        extreme(&self.figures, f64::NEG_INFINITY, |a, b| a > b)
    }

    /// First position of the smallest figure.
    pub fn smallest(&self) -> usize {
        extreme(&self.figures, f64::INFINITY, |a, b| a < b)
    }

    /// Positions of the `count` smallest figures, ascending by figure and position.
    pub fn nearest(&self, count: usize) -> Vec<u32> {
        let room = (4 * count).max(64);
        let mut best: Vec<(f64, u32)> = Vec::with_capacity(room);
        let mut bound = f64::INFINITY;
        for (position, &figure) in (0..).zip(&self.figures) {
            // Later ones of the same figure as the last kept come after it.
            if figure < bound {
                best.push((figure, position));
                if best.len() == room {
                    best.select_nth_unstable_by(count - 1, by_figure);
                    best.truncate(count);
                    bound = best[count - 1].0;
                }
            }
        }
        best.sort_unstable_by(by_figure);
        best.truncate(count);
        best.into_iter().map(|b| b.1).collect()
    }

    /// Positions by ascending figure, sorted as far as they are asked for.
    pub fn sorted(&self) -> Sorted {
        Sorted { all: self.figures.iter().copied().zip(0..).collect(), ready: 0 }
    }

    /// Removes the items at these positions, ascending; the figures of the others stay.
    pub fn remove(&mut self, positions: &[u32]) {
        for cells in &mut self.cells {
            match cells {
                Cells::Numbers(values) => close(values, positions),
                Cells::Codes { codes, counts } => {
                    positions.iter().for_each(|&p| counts[codes[p as usize] as usize] -= 1);
                    close(codes, positions);
                }
            }
        }
        close(&mut self.items, positions);
        close(&mut self.figures, positions);
    }
}

fn by_figure(a: &(f64, u32), b: &(f64, u32)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// First position of the value that no other is before.
fn extreme(values: &[f64], worst: f64, before: impl Fn(f64, f64) -> bool) -> usize {
    let mut lanes = [worst; LANES];
    for chunk in values.chunks(LANES) {
        for (best, &value) in lanes.iter_mut().zip(chunk) {
            *best = if before(value, *best) { value } else { *best };
        }
    }
    let best = lanes.into_iter().fold(worst, |a, b| if before(b, a) { b } else { a });
    values.iter().position(|v| *v == best).unwrap_or(0)
}

/// Removes the values at some positions, ascending.
fn close<T: Copy>(values: &mut Vec<T>, positions: &[u32]) {
    let Some(&first) = positions.first() else { return };
    let mut end = first as usize;
    for (i, &position) in positions.iter().enumerate() {
        let next = positions.get(i + 1).map_or(values.len(), |&p| p as usize);
        let stretch = position as usize + 1..next;
        let length = stretch.len();
        values.copy_within(stretch, end);
        end += length;
    }
    values.truncate(end);
}

/// Positions by ascending figure. Few of many are needed as a rule, so that each step sorts a few times as many as are
/// sorted already.
#[derive(Debug)]
pub(crate) struct Sorted {
    all: Vec<(f64, u32)>,
    ready: usize,
}

impl Sorted {
    /// The position that stands at a place of the order.
    pub fn get(&mut self, place: usize) -> Option<u32> {
        if place >= self.all.len() {
            return None;
        }
        while place >= self.ready {
            let end = (8 * self.ready).clamp(256, self.all.len().max(256)).min(self.all.len());
            let rest = &mut self.all[self.ready..];
            let count = end - self.ready;
            if count < rest.len() {
                rest.select_nth_unstable_by(count, by_figure);
            }
            rest[..count].sort_unstable_by(by_figure);
            self.ready = end;
        }
        Some(self.all[place].1)
    }
}
