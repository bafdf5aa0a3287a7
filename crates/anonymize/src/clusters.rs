//! Clusters that grow until they fulfil all criteria, and what happens to the items that are left.
//!
//! *Growing.* A cluster of k items that breaks a criterion takes further ones, but only those whose sensitive values are
//! on the whole rarer in the cluster than in the table, so that its distribution approaches the table's, which fulfils
//! every criterion.
//!
//! *Leftovers.* When a cluster cannot be completed, its items and all that remain are left over. Each joins the cluster
//! that loses least by it of the nearest ones that fulfil all criteria afterwards. Where none does, the item and the
//! cluster that loses least become one, which is merged in the same way until all criteria hold (as in Soria-Comas,
//! Domingo-Ferrer, Sánchez & Martínez 2015, algorithm 1). Nothing is dropped.

use lookalike_core::{Error, Job, Result};
use rayon::prelude::*;

use crate::diversity::Whole;
use crate::problem::SUPPRESSED;
use crate::space::Space;
use crate::{Grouping, Judge, Problem, Release};

/// Clusters, nearest first, that are asked whether they can take leftovers.
const CANDIDATES: usize = 64;

/// A resources error when a method would need more than `limit` steps for a problem, named as a formula.
pub(crate) fn refuse(problem: &Problem, method: &str, formula: &str, steps: f64, limit: f64) -> Result<()> {
    if steps <= limit {
        return Ok(());
    }
    let (items, columns) = (problem.items.len(), problem.items.columns());
    let noun = if problem.items.has_units() { "persons" } else { "rows" };
    Err(Error::resources(format!(
        "method '{method}' takes {formula} steps: {items} {noun}, {columns} quasi-identifiers and k = {} make {steps:.1e}, \
         allowed are {limit:.0e}: use method 'mondrian', which takes n log n",
        problem.criteria.k()
    )))
}

/// What a method regards as the shape of a cluster.
pub(crate) trait Shape: Sized + Send + Sync {
    /// Of some items.
    fn of(space: &Space<'_>, members: &[u32]) -> Self;

    /// What the loss of two clusters grows by when they become one.
    fn joining(&self, other: &Self, space: &Space<'_>) -> f64;
}

/// The clusters made so far.
#[derive(Debug)]
pub(crate) struct Clusters<'p> {
    problem: &'p Problem,
    judge: Judge<'p>,
    complete: Vec<Vec<u32>>,
    leftover: Vec<u32>,
}

impl<'p> Clusters<'p> {
    pub fn new(problem: &'p Problem) -> Self {
        Self { problem, judge: problem.judge(), complete: vec![], leftover: vec![] }
    }

    /// Whether some items may be a class.
    pub fn admits(&mut self, members: &[u32]) -> bool {
        self.judge.admits(members.iter().copied(), members.len())
    }

    /// Adds a cluster that fulfils all criteria.
    pub fn push(&mut self, members: Vec<u32>) {
        self.complete.push(members);
    }

    /// Adds items that no cluster could be made of.
    pub fn leave(&mut self, items: &[u32]) {
        self.leftover.extend_from_slice(items);
    }

    /// Finds a place for what is left over, and numbers the classes by their first items.
    pub fn finish<S: Shape>(mut self, space: &Space<'_>, job: &Job) -> Result<Grouping> {
        let mut shapes: Vec<S> = self.complete.par_iter().map(|members| S::of(space, members)).collect();
        self.place(&mut shapes, space, job)?;
        let mut grouping = self.grouping();
        if !self.problem.criteria.survive_growth() {
            while let Some(alike) = self.breaking_together(&grouping, job)? {
                let rest = self.extract(&mut shapes, &alike);
                self.merge(rest, &mut shapes, space, job)?;
                grouping = self.grouping();
            }
        }
        let (mut number, mut next) = (vec![SUPPRESSED; grouping.classes], 0);
        for class in &mut grouping.class_of {
            let number = &mut number[*class as usize];
            if *number == SUPPRESSED {
                *number = next;
                next += 1;
            }
            *class = *number;
        }
        Ok(grouping)
    }

    /// The clusters, numbered as they stand.
    fn grouping(&self) -> Grouping {
        let mut class_of = vec![SUPPRESSED; self.problem.items.len()];
        for (class, members) in (0..).zip(&self.complete) {
            members.iter().for_each(|&item| class_of[item as usize] = class);
        }
        Grouping::new(class_of, self.complete.len())
    }

    /// Lets leftovers join clusters one by one, or merge clusters where none can take them.
    fn place<S: Shape>(&mut self, shapes: &mut Vec<S>, space: &Space<'_>, job: &Job) -> Result<()> {
        let leftover = std::mem::take(&mut self.leftover);
        for (done, &item) in leftover.iter().enumerate() {
            job.check()?;
            job.progress("placing leftovers", done as u64, leftover.len() as u64);
            if self.complete.is_empty() {
                // Nothing but leftovers, which are the whole table.
                return self.merge(leftover, shapes, space, job);
            }
            match self.host(&[item], &S::of(space, &[item]), shapes, space) {
                Some(host) => {
                    let members = &mut self.complete[host];
                    members.push(item);
                    // One item hardly changes the shape of a large cluster.
                    if members.len().is_multiple_of(1 + members.len() / 64) {
                        shapes[host] = S::of(space, members);
                    }
                }
                None => self.merge(vec![item], shapes, space, job)?,
            }
            if self.complete.len() == 1 && !self.admits_first() {
                // All clusters together need the leftovers that are still to come.
                self.complete[0].extend_from_slice(&leftover[done + 1..]);
                shapes[0] = S::of(space, &self.complete[0]);
                return Ok(());
            }
        }
        Ok(())
    }

    fn admits_first(&mut self) -> bool {
        let members = &self.complete[0];
        self.judge.admits(members.iter().copied(), members.len())
    }

    /// Makes a class of some items, with as many clusters as that takes; with all of them it may still fall short, where
    /// other items are in no cluster yet.
    fn merge<S: Shape>(&mut self, mut rest: Vec<u32>, shapes: &mut Vec<S>, space: &Space<'_>, job: &Job) -> Result<()> {
        loop {
            job.check()?;
            let shape = S::of(space, &rest);
            if self.complete.is_empty() || self.admits(&rest) {
                self.complete.push(rest);
                shapes.push(shape);
                return Ok(());
            }
            let host = self.host(&rest, &shape, shapes, space);
            let costs = shapes.iter().map(|s| s.joining(&shape, space)).enumerate();
            let nearest = || costs.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |c| c.0);
            let joined = host.unwrap_or_else(nearest);
            rest.extend(self.extract(shapes, &[joined]));
        }
    }

    /// Takes clusters, ascending, out of those that are complete.
    fn extract<S: Shape>(&mut self, shapes: &mut Vec<S>, clusters: &[usize]) -> Vec<u32> {
        let mut members = vec![];
        for &cluster in clusters.iter().rev() {
            shapes.remove(cluster);
            members.extend(self.complete.remove(cluster));
        }
        members
    }

    /// The cluster that loses least when some items join it, of those that fulfil all criteria afterwards.
    fn host<S: Shape>(&mut self, items: &[u32], shape: &S, shapes: &[S], space: &Space<'_>) -> Option<usize> {
        let cost = |s: &S| s.joining(shape, space);
        let mut costs: Vec<(f64, usize)> =
            shapes.par_iter().with_min_len(1 << 10).map(cost).enumerate().map(|(i, c)| (c, i)).collect();
        let by_cost = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if costs.len() > CANDIDATES {
            costs.select_nth_unstable_by(CANDIDATES - 1, by_cost);
            costs.truncate(CANDIDATES);
        }
        costs.sort_unstable_by(by_cost);
        let admits = |&&(_, cluster): &&(f64, usize)| {
            let members = &self.complete[cluster];
            let union = members.iter().chain(items).copied();
            self.judge.admits(union, members.len() + items.len())
        };
        costs.iter().find(admits).map(|c| c.1)
    }

    /// Clusters, ascending, that read the same and do not fulfil the criteria as one: delta-presence and
    /// delta-disclosure can fail for a union of classes that fulfil them.
    fn breaking_together(&mut self, grouping: &Grouping, job: &Job) -> Result<Option<Vec<usize>>> {
        let groups = Release::alike(self.problem, grouping, job)?;
        let breaks = |group: &&Vec<u32>| {
            let members = || group.iter().flat_map(|&c| self.complete[c as usize].iter().copied());
            group.len() > 1 && !self.judge.admits(members(), members().count())
        };
        Ok(groups.iter().find(breaks).map(|group| group.iter().map(|&c| c as usize).collect()))
    }
}

/// The sensitive values of a growing cluster against those of the table.
#[derive(Debug)]
pub(crate) struct Balance<'p> {
    problem: &'p Problem,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    whole: Whole,
    counts: Vec<u32>,
    total: u32,
}

impl<'p> Balance<'p> {
    /// Of an empty cluster.
    pub fn new(problem: &'p Problem) -> Self {
        let items = &problem.items;
        let column = |a: &crate::Attribute| Column {
            whole: a.whole(0..items.len() as u32),
            counts: vec![0; a.domain()],
            total: 0,
        };
        let columns = match problem.criteria.needs_values() {
            true => items.attributes().iter().map(column).collect(),
            false => vec![],
        };
        Self { problem, columns }
    }

    /// Counts an item that joins the cluster.
    pub fn add(&mut self, item: u32) {
        for (column, attribute) in self.columns.iter_mut().zip(self.problem.items.attributes()) {
            for &value in attribute.values(item) {
                column.counts[value as usize] += 1;
                column.total += 1;
            }
        }
    }

    /// Forgets a cluster of these members.
    pub fn clear(&mut self, members: &[u32]) {
        for (column, attribute) in self.columns.iter_mut().zip(self.problem.items.attributes()) {
            members.iter().for_each(|&m| attribute.values(m).iter().for_each(|&v| column.counts[v as usize] = 0));
            column.total = 0;
        }
    }

    /// Whether the values of an item are on the whole rarer in the cluster than in the table; true of every item where
    /// no criterion looks at them.
    pub fn lacks(&self, item: u32) -> bool {
        let lack = |(column, attribute): (&Column, &crate::Attribute)| -> f64 {
            let total = f64::from(column.total.max(1));
            let of = |&v: &u32| column.whole.share(v) - f64::from(column.counts[v as usize]) / total;
            attribute.values(item).iter().map(of).sum()
        };
        let all = self.columns.iter().zip(self.problem.items.attributes());
        self.columns.is_empty() || all.map(lack).sum::<f64>() > 0.0
    }
}

/// When a growing cluster is judged: at every size while it is small, then at sizes a sixteenth apart, so that all
/// judgements together take linear time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpoints {
    next: usize,
}

impl Checkpoints {
    /// From a size on.
    pub fn after(size: usize) -> Self {
        Self { next: size + 1 }
    }

    /// Whether a cluster is judged at this size.
    pub fn at(&mut self, size: usize) -> bool {
        let due = size >= self.next;
        if due {
            self.next = size + 1 + if size > 64 { size / 16 } else { 0 };
        }
        due
    }
}

#[cfg(test)]
pub(crate) mod tests;
