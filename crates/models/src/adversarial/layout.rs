//! Where the parts of a record lie in dense rows, in packs of records and in the conditional vector.

use lookalike_core::{Stream, below};

use crate::alias::Alias;
use crate::encoded::{Compact, Track};
use crate::modal::{Modal, Span};
use crate::nn::{Block, Mat, Real, Tape, Var};

/// Places of a dense row, and of the conditional vector.
pub(super) struct Layout {
    /// Places of a dense row.
    pub width: usize,
    /// The choices among them, in order.
    pub blocks: Vec<Block>,
    /// Track of each choice.
    choices: Vec<usize>,
    /// Track and place of each scalar.
    scalars: Vec<(usize, usize)>,
    /// Categorical columns that a conditional vector can name.
    pub conditions: Vec<Condition>,
    /// Places of the conditional vector; 0 for models without.
    pub condition_width: usize,
}

/// A categorical column in the conditional vector.
pub(super) struct Condition {
    pub column: usize,
    /// Where it lies in a dense row.
    pub block: Block,
    /// Its first place in the conditional vector.
    pub start: usize,
    track: usize,
    /// Training rows of each category, and draws by them.
    count: Vec<u64>,
    by_count: Alias,
}

/// Packs of records for a layer on one-hot inputs.
pub(super) struct Packed {
    /// Places of the ones, and how many a pack.
    pub hot: (Vec<u32>, usize),
    /// Packs x scalars, and their places.
    pub scalars: Option<(Var, Vec<u32>)>,
}

/// A place in the conditional vector: category `choice` of condition `condition`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub condition: usize,
    pub choice: u32,
}

impl Layout {
    /// Of an encoding; without conditional vector unless `conditional`.
    pub fn new(modal: &Modal, conditional: bool) -> Self {
        let (mut blocks, mut choices, mut scalars) = (vec![], vec![], vec![]);
        for (track, span) in modal.spans().iter().enumerate() {
            match *span {
                Span::Scalar { at } => scalars.push((track, at)),
                Span::Choice { start, size } => {
                    blocks.push(Block { start, size });
                    choices.push(track);
                }
            }
        }
        let (mut conditions, mut condition_width) = (vec![], 0);
        for c in modal.choices().into_iter().filter(|_| conditional) {
            // A column without any rows has nothing to ask for.
            let Some(by_count) = Alias::new(c.count) else { continue };
            let block = Block { start: c.start, size: c.size };
            let (column, start, track, count) = (c.column, condition_width, c.span, c.count.to_vec());
            conditions.push(Condition { column, block, start, track, count, by_count });
            condition_width += c.size;
        }
        Self { width: modal.width(), blocks, choices, scalars, conditions, condition_width }
    }

    /// A category of a column, each column equally often, by its share of the rows: what sampling asks for.
    pub fn draw(&self, rng: &mut Stream) -> Option<Place> {
        let condition = (!self.conditions.is_empty()).then(|| below(rng, self.conditions.len()))?;
        Some(Place { condition, choice: self.conditions[condition].by_count.draw(rng) })
    }

    /// Of `(column, category)` pairs the one with the fewest training rows that a conditional vector can name.
    pub fn rarest(&self, given: impl Iterator<Item = (usize, u32)>) -> Option<Place> {
        let places = given.filter_map(|(column, choice)| {
            let condition = self.conditions.iter().position(|c| c.column == column)?;
            let count = self.conditions[condition].count.get(choice as usize).filter(|n| **n > 0)?;
            Some((*count, Place { condition, choice }))
        });
        places.min_by_key(|(count, place)| (*count, place.condition)).map(|(_, place)| place)
    }

    /// The only one in the conditional vector of that place.
    pub fn one(&self, place: Option<Place>) -> u32 {
        place.map_or(u32::MAX, |p| self.conditions[p.condition].start as u32 + p.choice)
    }

    /// Records packed so many together: their fields, and then their conditional vectors.
    pub fn pack(
        &self,
        tape: &mut Tape,
        pac: usize,
        compact: &Compact,
        rows: &[u32],
        asked: &[Option<Place>],
    ) -> Packed {
        let ones = self.choices.len() + usize::from(self.condition_width > 0);
        let mut hot = vec![u32::MAX; rows.len() * ones];
        let first = |r: usize| (r % pac * self.width) as u32;
        for (b, (&track, block)) in self.choices.iter().zip(&self.blocks).enumerate() {
            let Track::Choice(choices) = &compact.tracks[track] else { continue };
            for (r, &row) in rows.iter().enumerate() {
                hot[r * ones + b] = first(r) + block.start as u32 + u32::from(choices[row as usize]);
            }
        }
        if self.condition_width > 0 {
            let conditions = self.condition_ones(pac, asked);
            conditions.into_iter().enumerate().for_each(|(r, one)| hot[r * ones + ones - 1] = one);
        }
        let count = self.scalars.len();
        let scalars = (count > 0).then(|| {
            let values = tape.constant(rows.len() / pac, pac * count, |out| {
                for (s, &(track, _)) in self.scalars.iter().enumerate() {
                    let Track::Scalar(values) = &compact.tracks[track] else { continue };
                    rows.iter().enumerate().for_each(|(r, &row)| out[r * count + s] = values[row as usize]);
                }
            });
            (values, (0..pac).flat_map(|r| self.scalars.iter().map(move |s| first(r) + s.1 as u32)).collect())
        });
        Packed { hot: (hot, ones * pac), scalars }
    }

    /// The ones of conditional vectors in packs, which follow the fields of all the pack's records.
    pub fn condition_ones(&self, pac: usize, asked: &[Option<Place>]) -> Vec<u32> {
        let first = |r: usize| (pac * self.width + r % pac * self.condition_width) as u32;
        asked.iter().enumerate().map(|(r, p)| p.map_or(u32::MAX, |_| first(r) + self.one(*p))).collect()
    }

    /// Scalars and choices from dense logits: scalars through tanh, of each choice the place where logit and noise are largest.
    pub fn tracks(&self, logits: &mut Mat, noise: &[f32], tracks: &mut [Track]) {
        let width = self.width.max(1);
        for &(track, at) in &self.scalars {
            if let Track::Scalar(values) = &mut tracks[track] {
                values.extend(logits.data.chunks_exact(width).map(|row| Real::tanh(row[at])));
            }
        }
        logits.data.iter_mut().zip(noise).for_each(|(l, n)| *l += *n);
        for (&track, block) in self.choices.iter().zip(&self.blocks) {
            if let Track::Choice(choices) = &mut tracks[track] {
                let places = |row: &[f32]| largest(&row[block.start..block.start + block.size]) as u16;
                choices.extend(logits.data.chunks_exact(width).map(places));
            }
        }
    }

    /// Empty tracks of this layout.
    pub fn empty_tracks(&self) -> Vec<Track> {
        let mut tracks = vec![Track::Scalar(vec![]); self.scalars.len() + self.choices.len()];
        self.choices.iter().for_each(|&t| tracks[t] = Track::Choice(vec![]));
        tracks
    }
}

/// The first of the largest.
fn largest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// Training by sampling (section 4.3 of the paper): a column, a category of it by the logarithm of its frequency, a row that has it.
pub(super) struct Sampler {
    columns: Vec<Sampled>,
}

struct Sampled {
    categories: Alias,
    /// Rows by category, and where those of each begin.
    rows: Vec<u32>,
    starts: Vec<u32>,
}

impl Sampler {
    /// `log_frequency`: whether categories come by the logarithm of their frequency, rather than by it. `None` without columns to
    /// ask for.
    pub fn new(layout: &Layout, compact: &Compact, log_frequency: bool) -> Option<Self> {
        let column = |c: &Condition| {
            let Track::Choice(choices) = &compact.tracks[c.track] else { return None };
            let mut starts = vec![0u32; c.block.size + 1];
            choices.iter().for_each(|&c| starts[usize::from(c) + 1] += 1);
            // In millionths: categories without rows are never drawn.
            let weight = |&n: &u32| if log_frequency { (libm::log1p(n.into()) * 1e6) as u64 } else { n.into() };
            let categories = Alias::new(&starts[1..].iter().map(weight).collect::<Vec<_>>())?;
            (0..c.block.size).for_each(|i| starts[i + 1] += starts[i]);
            let (mut next, mut rows) = (starts.clone(), vec![0u32; choices.len()]);
            for (row, &c) in choices.iter().enumerate() {
                rows[next[usize::from(c)] as usize] = row as u32;
                next[usize::from(c)] += 1;
            }
            Some(Sampled { categories, rows, starts })
        };
        let columns: Vec<Sampled> = layout.conditions.iter().map(column).collect::<Option<_>>()?;
        (!columns.is_empty()).then_some(Self { columns })
    }

    /// What to ask for, and a row that has it.
    pub fn draw(&self, rng: &mut Stream) -> (Place, u32) {
        let condition = below(rng, self.columns.len());
        let column = &self.columns[condition];
        let choice = column.categories.draw(rng);
        let [first, end] = [0, 1].map(|i| column.starts[choice as usize + i] as usize);
        (Place { condition, choice }, column.rows[first + below(rng, end - first)])
    }
}
