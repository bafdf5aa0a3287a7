//! Full-domain generalisation: all values of a column are shown at the same level (Samarati 2001).
//!
//! *Levels.* A column with a hierarchy has those of its tree; without one it has level 0, its values, and level 1,
//! anything. A *transformation* chooses a level for every column.
//!
//! *Nodes.* A value stands at its ancestor of the chosen level. A person with several values stands at the lowest node
//! above all of them, where that is higher, and at anything in a column without hierarchy. Missing values are a node of
//! their own below the top level; at the top all items stand at one node. Items with the same nodes are a class.
//!
//! *Budget.* A transformation fits when the rows of the classes that break a criterion, whichever it is, are within the
//! budget of rows that may be dropped, and are not all rows.

use lookalike_core::{Error, Job, Reservation, Result};
use rayon::prelude::*;

use crate::problem::SUPPRESSED;
use crate::{Grouping, Problem};

mod cost;
mod ladder;
mod numbering;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use cost::Cost;
pub(crate) use ladder::Ladder;
use numbering::{Digit, Numbering};

/// The items of a problem as different combinations of values, ready to be looked at under any transformation.
#[derive(Debug)]
pub(crate) struct FullDomain<'p> {
    problem: &'p Problem,
    job: Job,
    /// A column each.
    pub ladders: Vec<Ladder>,
    /// For each column the value of each combination.
    values: Vec<Vec<u32>>,
    combination_of: Vec<u32>,
    /// All combinations in all columns.
    pub all: Projection,
    _reserved: Reservation,
}

/// Combinations in some of the columns, all others at their top.
#[derive(Debug)]
pub(crate) struct Projection {
    /// A combination that each stands for.
    rows: Vec<u32>,
    persons: Vec<u32>,
    /// Rows of the input.
    weights: Vec<u64>,
    /// Items of each, one after the other, and where they begin; empty where the number of persons decides alone.
    items: Vec<u32>,
    starts: Vec<u32>,
}

/// What classes are tested for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// The number of persons.
    Size,
    /// All criteria.
    Criteria,
}

/// What looking at a transformation needs; every thread has one of its own.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    numbering: Numbering,
    persons: Vec<u64>,
    weights: Vec<u64>,
    /// Whether each class breaks a criterion.
    breaks: Vec<bool>,
    order: Vec<u32>,
    starts: Vec<u32>,
}

impl<'p> FullDomain<'p> {
    /// The combinations of a problem.
    pub fn new(problem: &'p Problem, job: &Job) -> Result<Self> {
        let (items, columns) = (&problem.items, problem.items.columns());
        let (len, lists) = (items.len(), !problem.criteria.only_k());
        let purpose = "combinations of values";
        let mut reserved = job.reserve(4 * (columns + 4) * len + Numbering::bytes(len), purpose)?;
        let (ladders, of_items): (Vec<Ladder>, Vec<Vec<u32>>) =
            (0..columns).into_par_iter().map(|c| Ladder::new(items, c)).unzip();
        job.check()?;
        let everyone: Vec<u32> = (0..len as u32).collect();
        let mut numbering = Numbering::default();
        let digits: Vec<Digit> = of_items.iter().zip(&ladders).map(|(v, l)| digit(v, l, 0)).collect();
        numbering.run(&everyone, &digits);
        let Numbering { group_of: combination_of, firsts, .. } = numbering;
        let gather = |v: &Vec<u32>| firsts.iter().map(|&item| v[item as usize]).collect();
        let values: Vec<Vec<u32>> = of_items.par_iter().map(gather).collect();
        let count = firsts.len();
        let mut all = Projection {
            rows: (0..count as u32).collect(),
            persons: vec![0; count],
            weights: vec![0; count],
            items: vec![],
            starts: vec![],
        };
        for (item, &combination) in (0..).zip(&combination_of) {
            all.persons[combination as usize] += 1;
            all.weights[combination as usize] += items.weight(item) as u64;
        }
        if lists {
            (all.items, all.starts) = sorted(&combination_of, count);
        }
        let levels: usize = ladders.iter().flat_map(|l| &l.levels).map(|l| 4 * l.node_of.len() + 8 * l.nodes()).sum();
        reserved.resize(4 * len + 4 * columns * count + levels + all.memory(), purpose)?;
        Ok(Self { problem, job: job.clone(), ladders, values, combination_of, all, _reserved: reserved })
    }

    /// What is to be solved.
    pub fn problem(&self) -> &'p Problem {
        self.problem
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.ladders.len()
    }

    /// The highest level of a column.
    pub fn height(&self, column: usize) -> usize {
        self.ladders[column].height()
    }

    /// The transformation that shows nothing.
    pub fn top(&self) -> Vec<usize> {
        self.ladders.iter().map(Ladder::height).collect()
    }

    /// The combinations of a finer projection in some of its columns.
    pub fn project(&self, finer: &Projection, columns: &[usize], scratch: &mut Scratch) -> Projection {
        let digits: Vec<Digit> = columns.iter().map(|&c| digit(&self.values[c], &self.ladders[c], 0)).collect();
        scratch.numbering.run(&finer.rows, &digits);
        scratch.sum(finer);
        let Scratch { numbering, persons, weights, order, starts, .. } = scratch;
        let mut coarser = Projection {
            rows: numbering.firsts.iter().map(|&first| finer.rows[first as usize]).collect(),
            persons: persons.iter().map(|&n| n as u32).collect(),
            weights: weights.clone(),
            items: vec![],
            starts: vec![],
        };
        if !finer.starts.is_empty() {
            sort_into(&numbering.group_of, numbering.firsts.len(), order, starts);
            coarser.items.reserve_exact(finer.items.len());
            coarser.starts.reserve_exact(coarser.rows.len() + 1);
            for class in 0..coarser.rows.len() {
                coarser.starts.push(coarser.items.len() as u32);
                let parts = &order[starts[class] as usize..starts[class + 1] as usize];
                parts.iter().for_each(|&part| coarser.items.extend_from_slice(finer.items(part)));
            }
            coarser.starts.push(coarser.items.len() as u32);
        }
        coarser
    }

    /// Rows that a transformation drops, those of classes that break what is tested for; `None` when they are not within
    /// the budget or are all rows. The projection has to hold all columns that are below their top.
    pub fn look(
        &self,
        projection: &Projection,
        levels: &[usize],
        test: Test,
        scratch: &mut Scratch,
    ) -> Result<Option<u64>> {
        let Problem { criteria, budget, .. } = self.problem;
        self.job.check()?;
        self.group(projection, levels, scratch);
        let classes = scratch.persons.len();
        scratch.breaks.clear();
        scratch.breaks.extend(scratch.persons.iter().map(|&n| n < criteria.k()));
        let small = scratch.breaks.iter().zip(&scratch.weights).filter(|(breaks, _)| **breaks);
        let mut dropped: u64 = small.map(|(_, weight)| weight).sum();
        let fits = |dropped: u64| dropped <= *budget as u64 && dropped < self.problem.items.rows() as u64;
        if !fits(dropped) {
            return Ok(None);
        }
        if test == Test::Size || criteria.only_k() {
            return Ok(Some(dropped));
        }
        let Scratch { numbering, persons, weights, breaks, order, starts } = scratch;
        sort_into(&numbering.group_of, classes, order, starts);
        let mut judge = self.problem.judge().at_levels(levels);
        for class in (0..classes).filter(|&c| persons[c] >= criteria.k()) {
            // Counting a population can take long.
            self.job.check()?;
            let parts = &order[starts[class] as usize..starts[class + 1] as usize];
            let members = parts.iter().flat_map(|&part| projection.items(part).iter().copied());
            if !judge.admits(members, persons[class] as usize) {
                breaks[class] = true;
                dropped += weights[class];
                if !fits(dropped) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(dropped))
    }

    /// The classes of a transformation, without a look at criteria.
    pub fn group(&self, projection: &Projection, levels: &[usize], scratch: &mut Scratch) {
        let columns = self.values.iter().zip(&self.ladders).zip(levels);
        let below_top = columns.filter(|((_, ladder), level)| **level < ladder.height());
        let digits: Vec<Digit> = below_top.map(|((values, ladder), &level)| digit(values, ladder, level)).collect();
        scratch.numbering.run(&projection.rows, &digits);
        scratch.sum(projection);
    }

    /// The rows that the classes looked at last drop, by the node of a column that they stand at.
    fn dropped_by_node(&self, projection: &Projection, column: usize, level: usize, scratch: &Scratch) -> Vec<u64> {
        let (values, level) = (&self.values[column], &self.ladders[column].levels[level]);
        let mut dropped = vec![0; level.nodes()];
        for ((&first, breaks), weight) in scratch.numbering.firsts.iter().zip(&scratch.breaks).zip(&scratch.weights) {
            if *breaks {
                let value = values[projection.rows[first as usize] as usize];
                dropped[level.node_of[value as usize] as usize] += weight;
            }
        }
        dropped
    }

    /// Input rows of each value of a column.
    fn rows_of_values(&self, column: usize) -> Vec<u64> {
        let mut rows = vec![0; self.ladders[column].values()];
        let weights = self.values[column].iter().zip(&self.all.weights);
        weights.for_each(|(&value, weight)| rows[value as usize] += weight);
        rows
    }

    /// Number of nodes of a column at a level.
    pub fn nodes(&self, column: usize, level: usize) -> usize {
        self.ladders[column].levels[level].nodes()
    }

    /// The classes of a transformation that fits, numbered by their nodes in the order of the columns.
    pub fn grouping(&self, levels: Vec<usize>, scratch: &mut Scratch) -> Result<Grouping> {
        let looked = self.look(&self.all, &levels, Test::Criteria, scratch)?;
        looked.ok_or_else(|| Error::internal("a transformation was chosen that does not fit"))?;
        let Scratch { numbering, breaks, .. } = scratch;
        let nodes = |class: u32| {
            let combination = numbering.firsts[class as usize] as usize;
            let columns = self.values.iter().zip(&self.ladders).zip(&levels);
            columns.map(move |((values, ladder), &level)| ladder.levels[level].node_of[values[combination] as usize])
        };
        let mut kept: Vec<u32> = (0..breaks.len() as u32).filter(|&c| !breaks[c as usize]).collect();
        kept.sort_unstable_by(|&a, &b| nodes(a).cmp(nodes(b)));
        let mut number = vec![SUPPRESSED; breaks.len()];
        (0..).zip(&kept).for_each(|(place, &class)| number[class as usize] = place);
        let class = |&combination: &u32| number[numbering.group_of[combination as usize] as usize];
        let class_of = self.combination_of.iter().map(class).collect();
        Ok(Grouping { levels: Some(levels), ..Grouping::new(class_of, kept.len()) })
    }

    /// The error for a table that no transformation fits. Only criteria that look at a population can be broken at the
    /// top of all columns, which matches more of it than the table shows.
    pub fn unsolvable(&self) -> Error {
        let (top, everyone) = (self.top(), 0..self.problem.items.len() as u32);
        let broken = self.problem.judge().at_levels(&top).broken(everyone, self.problem.items.len());
        let reason = broken.map_or(String::new(), |b| format!(": at the top level of all columns it breaks {b}"));
        Error::data(format!(
            "no level of the quasi-identifiers fulfils the criteria within suppression_limit{reason}; try method \
             'mondrian', which generalises less where it can"
        ))
    }
}

impl Scratch {
    /// Sums persons and rows by the groups numbered last.
    fn sum(&mut self, projection: &Projection) {
        let groups = self.numbering.firsts.len();
        for sums in [&mut self.persons, &mut self.weights] {
            sums.clear();
            sums.resize(groups, 0);
        }
        let sources = projection.persons.iter().zip(&projection.weights);
        for (&group, (&persons, &weight)) in self.numbering.group_of.iter().zip(sources) {
            self.persons[group as usize] += u64::from(persons);
            self.weights[group as usize] += weight;
        }
    }

    /// Bytes on the heap for a projection, at its largest.
    pub fn bytes(projection: &Projection) -> usize {
        Numbering::bytes(projection.len()) + projection.len() * (8 + 8 + 1 + 4 + 4)
    }
}

impl Projection {
    /// Number of combinations.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    fn items(&self, place: u32) -> &[u32] {
        let place = place as usize;
        &self.items[self.starts[place] as usize..self.starts[place + 1] as usize]
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        4 * (self.rows.capacity() + self.persons.capacity() + self.items.capacity() + self.starts.capacity())
            + 8 * self.weights.capacity()
    }
}

fn digit<'a>(values: &'a [u32], ladder: &'a Ladder, level: usize) -> Digit<'a> {
    let level = &ladder.levels[level];
    Digit { values, node_of: &level.node_of, nodes: level.nodes() }
}

/// Elements by group, and where each group begins.
fn sorted(group_of: &[u32], groups: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut order, mut starts) = (vec![], vec![]);
    sort_into(group_of, groups, &mut order, &mut starts);
    (order, starts)
}

fn sort_into(group_of: &[u32], groups: usize, order: &mut Vec<u32>, starts: &mut Vec<u32>) {
    starts.clear();
    starts.resize(groups + 2, 0);
    group_of.iter().for_each(|&group| starts[group as usize + 2] += 1);
    (0..groups).for_each(|g| starts[g + 2] += starts[g + 1]);
    order.clear();
    order.resize(group_of.len(), 0);
    for (element, &group) in (0..).zip(group_of) {
        // Where the group goes on; in the end where it ends, which is where the next one begins.
        let place = &mut starts[group as usize + 1];
        order[*place as usize] = element;
        *place += 1;
    }
    starts.pop();
}
