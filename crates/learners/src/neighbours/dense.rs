//! Euclidean distances of rows of numbers through products: 32 references against 12 queries at a time.
//!
//! A panel of references starts with a row of -|y|^2/2, which initialises the accumulators; what is left are fused
//! multiply-adds, and the nearest reference is that of the largest score x·y - |y|^2/2.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::ops::Range;

use lookalike_core::{Job, Reservation, Result};

use super::isa::Isa;
use super::mixed::{Category, scaled};
use super::space::{Points, Space};
use super::{CLAMP, Kernel, Metric, Packing, TINY, UNIT};

/// References in a panel.
const LANES: usize = 32;
/// Queries in a group.
const GROUP: usize = 12;

/// One number of every reference in a panel.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Lanes([f32; LANES]);

/// How the rows of a space become vectors.
#[derive(Debug)]
enum Embedding {
    /// Numbers on the scales of their columns.
    Scaled,
    /// Directions; each category, in this order, has so many places of which one is set.
    Directions(Vec<(Category, u32)>),
}

impl Embedding {
    fn new(space: &Space) -> Self {
        if space.metric() != Metric::Cosine {
            return Embedding::Scaled;
        }
        let constants = space.numbers.iter().enumerate().filter(|(_, column)| column.width == 0.0);
        let constants = constants.map(|(j, _)| (Category::Constant(j), usize::from(u8::MAX)));
        let codes = space.codes.iter().enumerate().map(|(j, column)| (Category::Code(j), column.labels));
        let all: Vec<_> = constants.chain(codes).collect();
        // Values that share a place count as equal, which brings rows nearer, never farther.
        let most = (PLACES / all.len().max(1)).clamp(1, 63);
        Embedding::Directions(all.into_iter().map(|(c, values)| (c, values.clamp(1, most) as u32 + 1)).collect())
    }

    /// Length of the vectors.
    fn width(&self, space: &Space) -> usize {
        match self {
            Embedding::Scaled => space.numbers.len(),
            Embedding::Directions(categories) => {
                space.numbers.len() + categories.iter().map(|(_, places)| *places as usize).sum::<usize>()
            }
        }
    }

    /// Hands over what is not 0 in the vector of a row.
    fn embed(&self, space: &Space, points: &Points, row: usize, mut put: impl FnMut(usize, f32)) {
        let values = points.numbers(row);
        match self {
            Embedding::Scaled => values.iter().enumerate().for_each(|(j, value)| put(j, scaled(space, j, *value))),
            Embedding::Directions(categories) => {
                let numbers = values.iter().zip(&space.numbers).enumerate().filter(|(_, (_, c))| c.width > 0.0);
                numbers.for_each(|(j, (value, _))| put(j, *value as f32));
                let set = (points.inverse(row) * std::f64::consts::FRAC_1_SQRT_2) as f32;
                let mut first = values.len();
                for &(category, places) in categories {
                    let code = category.code(space, points, row).map_or(places - 1, |code| code % (places - 1));
                    put(first + code as usize, set);
                    first += places as usize;
                }
            }
        }
    }
}

/// Most places of all categories of a direction together, but for two each.
const PLACES: usize = 512;

/// References packed for [`Kernel::scan`].
#[derive(Debug)]
pub(super) struct Dense<'a> {
    isa: Isa,
    space: &'a Space,
    embedding: Embedding,
    /// Length of a vector.
    width: usize,
    /// For each panel the row of -|y|^2/2, then a row for each column.
    rows: Vec<Lanes>,
    _memory: Reservation,
}

/// Twelve packed queries.
#[derive(Debug)]
pub(super) struct Group {
    /// One number of each query, column by column.
    numbers: Vec<[f32; GROUP]>,
    /// Norm of each query.
    size: [f64; GROUP],
    /// Smallest score of interest.
    limits: [f32; GROUP],
    /// Scores above belong to pairs that only count.
    sure: [f32; GROUP],
    hits: [u32; GROUP],
    /// Scores in the panel that was hit.
    values: [Lanes; GROUP],
}

impl<'a> Dense<'a> {
    pub fn pack(isa: Isa, space: &'a Space, references: &Points, packing: &Packing, job: &Job) -> Result<Self> {
        let embedding = Embedding::new(space);
        let width = embedding.width(space);
        let panels = packing.len().div_ceil(LANES);
        let memory = job.reserve(panels * LANES * 4 * (width + 1), "packed references")?;
        let mut rows = vec![Lanes([0.0; LANES]); panels * (width + 1)];
        for (slot, row) in packing.rows().enumerate() {
            let (panel, lane) = (slot / LANES, slot % LANES);
            if lane == 0 {
                job.check()?;
            }
            let mut squares = 0.0;
            let panel = &mut rows[panel * (width + 1)..][..width + 1];
            embedding.embed(space, references, row as usize, |j, y| {
                panel[j + 1].0[lane] = y;
                squares += f64::from(y) * f64::from(y);
            });
            panel[0].0[lane] = (-0.5 * squares) as f32;
        }
        Ok(Self { isa, space, embedding, width, rows, _memory: memory })
    }

    fn panel(&self, panel: usize) -> &[Lanes] {
        &self.rows[panel * (self.width + 1)..][..self.width + 1]
    }
}

impl Kernel for Dense<'_> {
    type Group = Group;
    type Lanes = [f64; GROUP];
    const GROUP: usize = GROUP;
    const BLOCK: usize = LANES;

    fn block_bytes(&self) -> usize {
        LANES * 4 * (self.width + 1)
    }

    fn group(&self, queries: &Points, rows: &[u32]) -> Group {
        let mut group = Group {
            numbers: vec![[0.0; GROUP]; self.width],
            size: [0.0; GROUP],
            limits: [f32::INFINITY; GROUP],
            sure: [f32::INFINITY; GROUP],
            hits: [0; GROUP],
            values: [Lanes([0.0; LANES]); GROUP],
        };
        for (i, &row) in rows.iter().enumerate() {
            let mut squares = 0.0;
            self.embedding.embed(self.space, queries, row as usize, |j, x| {
                group.numbers[j][i] = x;
                squares += f64::from(x) * f64::from(x);
            });
            group.size[i] = squares.sqrt();
            group.limits[i] = f32::NEG_INFINITY;
        }
        group
    }

    fn limit(&self, group: &mut Group, query: usize, sum: f64, _ties: bool) {
        let (columns, size) = (self.width as f64, group.size[query]);
        let limit = if sum < 0.0 {
            f64::INFINITY
        } else {
            let distance = sum.sqrt() * (1.0 + 3.0 * UNIT) + 3.0 * UNIT * size;
            let reach = size + distance;
            let error = 1.05 * (columns + 8.0) * UNIT * (size * reach + 0.5 * reach * reach) + TINY;
            0.5 * (size - distance) * (size + distance) - error
        };
        // Scores stay far below the largest f32, so that only "none" becomes infinite.
        group.limits[query] = if limit.is_nan() { f32::NEG_INFINITY } else { (limit as f32).next_down() };
        if sum < 0.0 {
            group.limits[query] = f32::INFINITY;
        }
    }

    fn sure(&self, group: &mut Group, query: usize, sum: f64) {
        let (size, distance) = (group.size[query], sum.max(0.0).sqrt());
        let share = 1.05 * (self.width as f64 + 8.0) * UNIT;
        let is_known = matches!(self.embedding, Embedding::Scaled)
            && size + distance < 0.1 * CLAMP
            && share < 0.01
            && distance > 4.0 * share * (size + distance);
        if is_known {
            let reach = size + distance * (1.0 + 3.0 * UNIT) + 3.0 * UNIT * size;
            let distance = distance * (1.0 - 3.0 * UNIT) - 3.0 * UNIT * size;
            let error = share * (size * reach + 0.5 * reach * reach) + TINY;
            let highest = 0.5 * (size - distance) * (size + distance) + error;
            group.sure[query] = (highest as f32).next_up();
        }
    }

    fn surely(group: &Group, query: usize) -> u64 {
        let (values, sure) = (&group.values[query].0, group.sure[query]);
        values.iter().enumerate().fold(0, |lanes, (lane, &value)| lanes | (u64::from(value > sure) << lane))
    }

    fn scan(&self, group: &mut Group, blocks: Range<usize>) -> Option<usize> {
        if group.limits.iter().all(|limit| *limit == f32::INFINITY) {
            return None;
        }
        match self.isa {
            // SAFETY: the variant exists only where the processor was found to have the features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::scan(self, group, blocks) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::scan(self, group, blocks) },
            Isa::Portable => portable::scan(self, group, blocks),
        }
    }

    fn hits(group: &Group, query: usize) -> u64 {
        u64::from(group.hits[query])
    }

    fn within(group: &Group, query: usize, lane: usize) -> bool {
        group.values[query].0[lane] >= group.limits[query]
    }
}
