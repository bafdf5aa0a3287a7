//! Conditional distributions: sparse, each leaning on the one given less.

use lookalike_core::{Job, Result, Stream};
use rand::RngCore;
use rayon::prelude::*;

use super::structure::{Choice, PRIOR_ROWS, Parent, Variable};
use crate::codec::{Reader, Writer, ensure};
use crate::rows::Rows;

/// One variable and how it is drawn.
pub(super) struct Node {
    pub column: u32,
    pub size: u32,
    /// Places of the parents among the nodes, all before this one.
    pub parents: Vec<u32>,
    /// Of each parent the group of each of its values.
    pub group_of: Vec<Vec<u32>>,
    /// Whether the first parent is the bin that the tokens lie in: nothing is ever drawn given less.
    pub is_within: bool,
    /// Of a variable of bins: the bin of each token of its column.
    pub bin_of: Vec<u32>,
    /// Distributions given the first 0, 1, 2, ... parents.
    pub levels: Vec<Level>,
}

/// Distributions given values of some parents. Contexts are numbered by the context of one parent less, then by the
/// value of the last parent.
pub(super) struct Level {
    /// Contexts below context c of the level before: `first[c]..first[c + 1]`.
    first: Vec<u32>,
    /// Value of the last parent, a context.
    value: Vec<u32>,
    /// Cells of context c: `start[c]..start[c + 1]`.
    start: Vec<u32>,
    cells: Vec<Cell>,
}

/// A value with a share of its own in a context.
#[derive(Clone, Copy)]
struct Cell {
    value: u32,
    /// Draws of 32 bits up to this one, and above the cell before, are this value; those above all cells are drawn given one
    /// parent less.
    upto: u32,
}

/// Draws there are.
const ALL: f64 = 4_294_967_296.0;

/// Counts the tables of all variables.
pub(super) fn build(variables: &[Variable], order: Vec<Choice>, all: &Rows, job: &Job) -> Result<Vec<Node>> {
    let mut place = vec![0u32; variables.len()];
    order.iter().zip(0..).for_each(|(choice, i)| place[choice.variable] = i);
    let node = |choice: &Choice| {
        let variable = &variables[choice.variable];
        let mut node = Node {
            column: variable.column as u32,
            size: variable.size as u32,
            parents: choice.parents.iter().map(|p| place[p.variable]).collect(),
            group_of: choice.parents.iter().map(|p| p.group_of.clone()).collect(),
            is_within: variable.within.is_some(),
            bin_of: variable.bin_of.clone().unwrap_or_default(),
            levels: vec![],
        };
        let mut context = vec![0u32; all.len()];
        node.count(&mut context, None, variable, all, job)?;
        for parent in &choice.parents {
            node.count(&mut context, Some((parent, &variables[parent.variable])), variable, all, job)?;
        }
        Ok(node)
    };
    order.par_iter().map(node).collect()
}

/// Context of a row that no distribution is kept for.
const NOWHERE: u32 = u32::MAX;

impl Node {
    /// Adds the level of one parent more; `context` goes from the rows' contexts at the level before to those at this one.
    fn count(
        &mut self,
        context: &mut [u32],
        parent: Option<(&Parent, &Variable)>,
        child: &Variable,
        all: &Rows,
        job: &Job,
    ) -> Result<()> {
        job.check()?;
        // Nothing is left out where there is nothing to lean on.
        let depth = self.levels.len();
        let is_base = depth == 0 || depth == 1 && self.is_within;
        let size = parent.map_or(1, |(p, _)| p.groups) as u64;
        let value = |row: usize| u64::from(parent.map_or(0, |(p, v)| p.group_of[v.codes[row] as usize]));
        // Context, parent's value and own value in one, and the person.
        let key = |row: usize| {
            (u64::from(context[row]) * size + value(row)) * child.size as u64 + u64::from(child.codes[row])
        };
        let person = |row: usize| all.units().map_or(row as u32, |u| u.codes[row]);
        let mut keys: Vec<(u64, u32)> =
            (0..all.len()).filter(|&r| context[r] != NOWHERE).map(|r| (key(r), person(r))).collect();
        keys.sort_unstable();
        job.check()?;
        let before = self.levels.last().map_or(1, |l| l.start.len() - 1);
        let mut level = Level { first: vec![0], value: vec![], start: vec![0], cells: vec![] };
        let own = child.size as u64;
        for rows in keys.chunk_by(|a, b| a.0 / own == b.0 / own) {
            let outer = rows[0].0 / own;
            let (outer, value) = ((outer / size) as u32, (outer % size) as u32);
            while level.first.len() <= outer as usize {
                level.first.push(level.value.len() as u32);
            }
            let mut kept: Vec<(u32, f64)> = vec![];
            for rows in rows.chunk_by(|a, b| a.0 == b.0) {
                let persons = 1 + rows.windows(2).filter(|w| w[0].1 != w[1].1).count();
                if is_base || persons >= all.min_persons().max(1) as usize {
                    kept.push(((rows[0].0 % own) as u32, rows.len() as f64));
                }
            }
            if kept.is_empty() {
                continue;
            }
            let lower = |x: u32| if is_base { 0.0 } else { self.probability_at(depth - 1, outer, x) };
            level.push(value, &kept, rows.len() as f64, lower, is_base);
        }
        while level.first.len() <= before {
            level.first.push(level.value.len() as u32);
        }
        for (row, context) in context.iter_mut().enumerate().filter(|(_, c)| **c != NOWHERE) {
            *context = level.inner(*context, value(row) as u32).unwrap_or(NOWHERE);
        }
        self.levels.push(level);
        Ok(())
    }

    /// Probability of a value in a context of that level.
    fn probability_at(&self, depth: usize, mut context: u32, value: u32) -> f64 {
        // Walk up; the contexts above are found by their numbers.
        let (mut found, mut scale) = (0.0, 1.0);
        for level in self.levels[..=depth].iter().rev() {
            let (own, rest) = level.share(context, value);
            found += scale * own;
            scale *= rest;
            context = level.first.partition_point(|&f| f <= context) as u32 - 1;
        }
        found
    }

    /// The contexts of a row, of no parent first; a parent's value is looked up by its place.
    #[inline]
    fn contexts(&self, value_of: impl Fn(usize) -> u32, out: &mut [u32; super::MOST_PARENTS as usize + 2]) -> usize {
        out[0] = 0;
        let parents = self.parents.iter().zip(&self.group_of);
        for (depth, (level, (&parent, group_of))) in self.levels[1..].iter().zip(parents).enumerate() {
            // Unknown values are in no group.
            let group = group_of.get(value_of(parent as usize) as usize);
            match group.and_then(|&group| level.inner(out[depth], group)) {
                Some(context) => out[depth + 1] = context,
                None => return depth,
            }
        }
        self.parents.len()
    }

    /// Draws a value given those of the parents.
    #[inline]
    pub fn draw(&self, value_of: impl Fn(usize) -> u32, rng: &mut Stream) -> u32 {
        let mut contexts = [0; super::MOST_PARENTS as usize + 2];
        let mut depth = self.contexts(value_of, &mut contexts);
        loop {
            if let Some(value) = self.levels[depth].draw(contexts[depth], rng.next_u32()) {
                return value;
            }
            depth -= 1;
        }
    }

    /// Probability of a value given those of the parents.
    pub fn probability(&self, value: u32, value_of: impl Fn(usize) -> u32) -> f64 {
        let mut contexts = [0; super::MOST_PARENTS as usize + 2];
        let depth = self.contexts(value_of, &mut contexts);
        let levels = self.levels[..=depth].iter().zip(contexts);
        levels.fold(0.0, |lower, (level, context)| {
            let (own, rest) = level.share(context, value);
            own + rest * lower
        })
    }

    pub fn save(&self, w: &mut Writer) {
        w.u32(self.column);
        w.u32(self.size);
        w.u32s(&self.parents);
        w.list(&self.group_of, |w, groups| w.u32s(groups));
        w.u32(u32::from(self.is_within));
        w.u32s(&self.bin_of);
        w.list(&self.levels, |w, level| {
            w.u32s(&level.first);
            w.u32s(&level.value);
            w.u32s(&level.start);
            w.list(&level.cells, |w, cell| {
                w.u32(cell.value);
                w.u32(cell.upto);
            });
        });
    }

    /// `place` is the node's own among the nodes.
    pub fn load(r: &mut Reader, place: usize) -> Result<Self> {
        let (column, size, parents) = (r.u32()?, r.u32()?, r.u32s()?);
        let (group_of, is_within) = (r.list(8, Reader::u32s)?, r.u32()?);
        ensure(parents.iter().all(|&p| (p as usize) < place) && parents.len() <= super::MOST_PARENTS as usize + 1)?;
        ensure(group_of.len() == parents.len() && is_within <= u32::from(!parents.is_empty()))?;
        let is_within = is_within == 1;
        let bin_of = r.u32s()?;
        ensure(bin_of.iter().all(|&b| b < size))?;
        let levels = r.list(32, |r| {
            let (first, value, start) = (r.u32s()?, r.u32s()?, r.u32s()?);
            Ok(Level { first, value, start, cells: r.list(8, |r| Ok(Cell { value: r.u32()?, upto: r.u32()? }))? })
        })?;
        ensure(levels.len() == parents.len() + 1)?;
        let mut before = 1;
        for (depth, level) in levels.iter().enumerate() {
            let is_base = depth == 0 || depth == 1 && is_within;
            level.check(before, size, is_base)?;
            before = level.value.len();
        }
        ensure(levels[0].value.len() == 1)?;
        Ok(Self { column, size, parents, group_of, is_within, bin_of, levels })
    }
}

impl Level {
    /// Adds a context. Its kept values `(value, rows)` get what their share is beyond what comes up of them given less, so
    /// that left out rows fall to the values that were not kept.
    fn push(&mut self, value: u32, kept: &[(u32, f64)], rows: f64, lower: impl Fn(u32) -> f64, is_base: bool) {
        let lowers: Vec<f64> = kept.iter().map(|k| lower(k.0)).collect();
        let dropped = rows - kept.iter().map(|k| k.1).sum::<f64>();
        // Draws given less have to bring the dropped rows up in values other than the kept.
        let others = (1.0 - lowers.iter().sum::<f64>()).max(dropped / rows).max(1e-12);
        let leaning = if is_base { 0.0 } else { dropped / others };
        let weights: Vec<f64> = kept.iter().zip(&lowers).map(|(k, l)| (k.1 - leaning * l).max(0.0)).collect();
        let total = weights.iter().sum::<f64>() + leaning + if is_base { 0.0 } else { PRIOR_ROWS };
        let (mut sum, mut before) = (0.0, 0u64);
        for (i, ((value, _), weight)) in kept.iter().zip(&weights).enumerate() {
            sum += weight;
            let end = if is_base && i + 1 == kept.len() { 1 << 32 } else { (sum / total * ALL) as u64 };
            // The draws of a value that there is no room for go on.
            if end > before {
                self.cells.push(Cell { value: *value, upto: (end - 1) as u32 });
                before = end;
            }
        }
        self.value.push(value);
        self.start.push(self.cells.len() as u32);
    }

    #[inline]
    fn inner(&self, context: u32, value: u32) -> Option<u32> {
        let (from, to) = (self.first[context as usize] as usize, self.first[context as usize + 1] as usize);
        self.value[from..to].binary_search(&value).ok().map(|i| (from + i) as u32)
    }

    #[inline]
    fn cells(&self, context: u32) -> &[Cell] {
        &self.cells[self.start[context as usize] as usize..self.start[context as usize + 1] as usize]
    }

    #[inline]
    fn draw(&self, context: u32, random: u32) -> Option<u32> {
        let cells = self.cells(context);
        cells.get(cells.partition_point(|c| c.upto < random)).map(|c| c.value)
    }

    /// A value's own share, and that of all draws given less.
    fn share(&self, context: u32, value: u32) -> (f64, f64) {
        let cells = self.cells(context);
        let upto = |i: usize| f64::from(cells[i].upto) + 1.0;
        let rest = 1.0 - if cells.is_empty() { 0.0 } else { upto(cells.len() - 1) / ALL };
        let own = cells.binary_search_by_key(&value, |c| c.value);
        (own.map_or(0.0, |i| (upto(i) - if i > 0 { upto(i - 1) } else { 0.0 }) / ALL), rest)
    }

    /// Whether everything points to where it should, below so many contexts.
    fn check(&self, before: usize, size: u32, is_base: bool) -> Result<()> {
        let ascend = |list: &[u32], end: usize| {
            list.first() == Some(&0) && list.is_sorted() && list.last() == Some(&(end as u32))
        };
        ensure(self.first.len() == before + 1 && ascend(&self.first, self.value.len()))?;
        ensure(self.start.len() == self.value.len() + 1 && ascend(&self.start, self.cells.len()))?;
        ensure(self.first.windows(2).all(|w| self.value[w[0] as usize..w[1] as usize].is_sorted_by(|a, b| a < b)))?;
        for context in 0..self.value.len() as u32 {
            let cells = self.cells(context);
            ensure(cells.is_sorted_by(|a, b| a.value < b.value && a.upto < b.upto))?;
            ensure(cells.last().is_none_or(|c| c.value < size))?;
            // Where there is nothing to lean on, every draw is a value.
            ensure(!is_base || cells.last().is_some_and(|c| c.upto == u32::MAX))?;
        }
        Ok(())
    }
}
