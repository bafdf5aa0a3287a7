//! How many entries of a register fit each released combination of quasi-identifiers.

use lookalike_core::{Job, Result};
use rayon::prelude::*;

use crate::coded::distinct_pairs;
use crate::{Classes, Region};

/// Raw combinations of values and who has them: what released rows are linked with.
#[derive(Debug)]
pub struct Register<'a> {
    classes: &'a Classes,
    persons: Option<Persons>,
}

/// Persons of each combination.
#[derive(Debug)]
struct Persons {
    codes: Vec<u32>,
    starts: Vec<usize>,
    /// Whether every person has one combination, so that counts of combinations add up.
    add_up: bool,
}

impl<'a> Register<'a> {
    /// The register whose rows are in the given classes of raw values; with `units`, persons are counted.
    pub fn new(classes: &'a Classes, units: Option<&[u32]>) -> Self {
        let persons = units.map(|units| {
            let pairs = distinct_pairs(&classes.class_of, units);
            let mut starts = vec![0; classes.len() + 1];
            pairs.iter().for_each(|p| starts[p.0 as usize + 1] += 1);
            (1..starts.len()).for_each(|i| starts[i] += starts[i - 1]);
            let codes: Vec<u32> = pairs.into_iter().map(|p| p.1).collect();
            let mut once = codes.clone();
            once.par_sort_unstable();
            once.dedup();
            Persons { add_up: once.len() == codes.len(), codes, starts }
        });
        Self { classes, persons }
    }

    fn persons(&self, class: u32) -> &[u32] {
        let class = class as usize;
        self.persons.as_ref().map_or(&[], |p| &p.codes[p.starts[class]..p.starts[class + 1]])
    }

    /// Persons (rows) of a combination.
    fn weight(&self, class: u32) -> u64 {
        match &self.persons {
            Some(_) => self.persons(class).len() as u64,
            None => self.classes.rows[class as usize],
        }
    }

    fn adds_up(&self) -> bool {
        self.persons.as_ref().is_none_or(|p| p.add_up)
    }

    /// For each released class the entries that fit it: those whose raw value lies in the region of the released cell in
    /// every column. `regions` has the regions of each column by code of the released cell; columns stand in the same
    /// order everywhere.
    ///
    /// Released combinations are walked as a tree, one column a level, in which the fitting entries become fewer; on each
    /// level they are sorted by the column, so that exact cells are a merge and intervals two searches.
    pub fn candidates(&self, released: &Classes, regions: &[Vec<Region>], job: &Job) -> Result<Vec<Candidates>> {
        let mut order: Vec<usize> = (0..regions.len()).collect();
        // Few cells first: entries are then divided late, where they are few.
        order.sort_by_key(|&column| regions[column].len());
        let mut wanted: Vec<u32> = (0..released.len() as u32).collect();
        wanted.par_sort_unstable_by_key(|&class| {
            let tuple = released.tuple(class as usize);
            order.iter().map(|&column| tuple[column]).collect::<Vec<u32>>()
        });
        let entries: Vec<u32> = (0..self.classes.len() as u32).collect();
        let levels = regions.len() + rayon::current_num_threads();
        let _memory = job.reserve(entries.len() * 16 * levels + wanted.len() * 32, "candidates")?;
        let search = Search { register: self, released, regions, order, job };
        let mut found = vec![Candidates::default(); released.len()];
        for (class, candidates) in search.descend(0, &wanted, &entries, true)? {
            found[class as usize] = candidates;
        }
        Ok(found)
    }
}

/// The register entries that fit a released combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Candidates {
    /// How many persons (rows, without persons) there are.
    pub count: u64,
    /// Code of the person, if there is one alone.
    pub only: Option<u32>,
}

struct Search<'a> {
    register: &'a Register<'a>,
    released: &'a Classes,
    regions: &'a [Vec<Region>],
    order: Vec<usize>,
    job: &'a Job,
}

type Found = Vec<(u32, Candidates)>;

impl Search<'_> {
    fn cell(&self, class: u32, depth: usize) -> u32 {
        self.released.tuple(class as usize)[self.order[depth]]
    }

    /// `wanted` share their cells above `depth`, and `entries` fit these. With `alone`, no other part of the tree is walked at
    /// the same time.
    fn descend(&self, depth: usize, wanted: &[u32], entries: &[u32], alone: bool) -> Result<Found> {
        self.job.check()?;
        if entries.is_empty() {
            return Ok(vec![]);
        }
        let column = self.order[depth];
        let code = |entry: u32| self.register.classes.tuple(entry as usize)[column];
        let mut sorted: Vec<(u32, u32)> = entries.iter().map(|&entry| (code(entry), entry)).collect();
        sorted.sort_unstable();
        let last = depth + 1 == self.order.len();
        let sums = (last && self.register.adds_up()).then(|| {
            let mut sums = vec![0];
            sorted.iter().for_each(|e| sums.push(sums[sums.len() - 1] + self.register.weight(e.1)));
            sums
        });
        let children: Vec<&[u32]> = wanted.chunk_by(|&a, &b| self.cell(a, depth) == self.cell(b, depth)).collect();
        // One level is divided among threads, the first that can be: what is held at a time stays small.
        let divided = alone && children.len() > 1;
        let below = |children: &[u32]| -> Result<Found> {
            let region = &self.regions[column][self.cell(children[0], depth) as usize];
            let parts: Vec<(usize, usize)> = region
                .ranges
                .iter()
                .map(|r| (sorted.partition_point(|e| e.0 < r.start), sorted.partition_point(|e| e.0 < r.end)))
                .collect();
            if let Some(sums) = &sums {
                let count = parts.iter().map(|&(from, to)| sums[to] - sums[from]).sum();
                let only = (count == 1).then(|| {
                    let mut fitting = parts.iter().flat_map(|&(from, to)| &sorted[from..to]);
                    fitting.find_map(|e| self.register.persons(e.1).first().copied())
                });
                return Ok(children.iter().map(|&c| (c, Candidates { count, only: only.flatten() })).collect());
            }
            let fitting: Vec<u32> = parts.iter().flat_map(|&(from, to)| &sorted[from..to]).map(|e| e.1).collect();
            if !last {
                return self.descend(depth + 1, children, &fitting, alone && !divided);
            }
            let mut persons: Vec<u32> = fitting.iter().flat_map(|&e| self.register.persons(e)).copied().collect();
            persons.sort_unstable();
            persons.dedup();
            let only = if let [person] = persons.as_slice() { Some(*person) } else { None };
            let candidates = Candidates { count: persons.len() as u64, only };
            Ok(children.iter().map(|&c| (c, candidates)).collect())
        };
        let found: Vec<Found> = match divided {
            true => children.par_iter().map(|c| below(c)).collect::<Result<_>>()?,
            false => children.iter().map(|c| below(c)).collect::<Result<_>>()?,
        };
        Ok(found.into_iter().flatten().collect())
    }
}
