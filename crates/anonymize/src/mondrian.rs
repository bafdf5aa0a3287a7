//! Multidimensional Mondrian, strict and relaxed (LeFevre, DeWitt & Ramakrishnan, ICDE 2006).
//!
//! A partition starts as the whole table. The quasi-identifiers are tried from the widest to the narrowest (ties: in
//! the order of the columns), and the first allowable cut divides the partition; without one it is a class.
//!
//! *Width* is relative to the whole table: range of a number / range in the table, labels present / labels of the
//! table for a category, leaves below the lowest common node / all leaves for a hierarchy. Missing values add no
//! width.
//!
//! *Cuts* of a column, in the order tried: missing | present, when both occur; then the children of the lowest common
//! node (hierarchy), or at the lower median m of the items, `<= m | > m`, else `< m | >= m`. Missing values stand
//! before every other value, and with the first child of a node. Without hierarchies and other criteria than k the
//! last two cuts make the result minimal: if neither is allowable, no cut of the column is, because the side of m holds
//! at least half of the items and the other side is the larger the nearer the cut is to m.
//!
//! The *relaxed* variant first cuts the column in two halves, of equal size but for one, with the values equal to the
//! median on either side in the order of the items.
//!
//! *Persons* with several values in a column stand at the lowest of them; their highest counts for the width alone.
//!
//! *Allowable* is a cut whose sides all fulfil the criteria. A partition also owns a budget of rows that may be dropped:
//! sides that do not fulfil them may fall away where their rows fit into it; the median is then tried on both sides
//! without the budget first. What is left of the budget is shared among the sides that stay, in proportion to their
//! rows.

use lookalike_core::{Job, Result, SpilledRows};

use crate::method::Method;
use crate::problem::SUPPRESSED;
use crate::{Grouping, Problem, Release};

mod cutter;
mod disk;
mod part;

use cutter::{Cutter, Layout};
use part::Part;

/// Strict multidimensional Mondrian.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mondrian;

/// Relaxed multidimensional Mondrian.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelaxedMondrian;

impl Method for Mondrian {
    fn name(&self) -> &'static str {
        "mondrian"
    }

    fn summary(&self) -> &'static str {
        "strict multidimensional Mondrian: cuts the widest quasi-identifier at its median as long as every side fulfils \
         the criteria"
    }

    fn source(&self) -> &'static str {
        "LeFevre, DeWitt & Ramakrishnan, Mondrian multidimensional k-anonymity, ICDE 2006"
    }

    fn cost(&self) -> &'static str {
        "n log n; rows that memory does not hold are cut on disk"
    }

    fn group(&self, problem: &Problem, job: &Job) -> Result<Grouping> {
        group(problem, false, job)
    }

    fn works_on_disk(&self) -> bool {
        true
    }

    fn release_from_disk(&self, rows: &SpilledRows, problem: &Problem, job: &Job) -> Result<Release> {
        disk::release(rows, problem, job)
    }
}

impl Method for RelaxedMondrian {
    fn name(&self) -> &'static str {
        "mondrian_relaxed"
    }

    fn summary(&self) -> &'static str {
        "relaxed multidimensional Mondrian: rows equal to the median go to either side, so that every class of 2 k rows \
         or more is halved"
    }

    fn source(&self) -> &'static str {
        "LeFevre, DeWitt & Ramakrishnan, Mondrian multidimensional k-anonymity, ICDE 2006, section 3.2"
    }

    fn cost(&self) -> &'static str {
        "n log n"
    }

    fn needs_order(&self) -> bool {
        true
    }

    fn group(&self, problem: &Problem, job: &Job) -> Result<Grouping> {
        group(problem, true, job)
    }
}

fn group(problem: &Problem, relaxed: bool, job: &Job) -> Result<Grouping> {
    let items = &problem.items;
    let layout = Layout::of(items);
    let _reserved = job.reserve((layout.bands() + 3) * 4 * items.len(), "partitioning rows")?;
    let mut bands = layout.fill(items);
    let (mut scratch, mut marks) = (vec![0; items.len()], vec![0; items.len()]);
    let part = Part::new(bands.iter_mut().map(Vec::as_mut_slice).collect(), &mut scratch, &mut marks);
    job.check()?;
    let leaves = Cutter::new(problem, &layout, relaxed, job).solve(part, 0, problem.budget)?;
    let order = &bands[layout.order()];
    let mut class_of = vec![SUPPRESSED; items.len()];
    for (class, leaf) in (0..).zip(&leaves) {
        order[leaf.clone()].iter().for_each(|&item| class_of[item as usize] = class);
    }
    Ok(Grouping::new(class_of, leaves.len()))
}
