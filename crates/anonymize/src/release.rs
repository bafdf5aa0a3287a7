//! What leaves: the classes, their rows, and the check that all criteria hold on what they show.

use std::ops::Range;

use arrow::array::ArrayRef;
use lookalike_core::{Error, Guarantee, Job, Result, SpilledRows};
use rayon::prelude::*;

use crate::problem::SUPPRESSED;
use crate::shown::Shown;
use crate::{Grouping, Method, Problem};

/// An equivalence class: rows that show the same quasi-identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Number of rows.
    pub rows: usize,
    /// Number of different persons; the rows, without a unit.
    pub units: usize,
}

/// A table divided into classes; see [`Release::render`] for what they show.
#[derive(Debug)]
pub struct Release {
    /// Class of each input row; [`SUPPRESSED`] for rows that are dropped.
    pub class_of: Vec<u32>,
    /// The classes, numbered by content: the order of the input's rows has no influence.
    pub classes: Vec<Class>,
    /// What the caller should know about the search, such as a time budget that ran out.
    pub note: Option<String>,
    shown: Vec<Shown>,
    earned: Option<Earned>,
}

/// What was checked on the classes.
#[derive(Debug)]
struct Earned {
    /// The criteria in words, k-anonymity first.
    criteria: Vec<String>,
    unit: &'static str,
}

/// Solves a problem by a method. All criteria are checked on what the classes show, classes that read the same counted
/// together and compared with the rows that leave, not with those that came in; classes that break one after rows were
/// dropped elsewhere are dropped as well where the budget allows it, and otherwise nothing is dropped at all.
///
/// Fails with a data error that names the criterion when classes that read the same break it together.
pub fn anonymize(method: &dyn Method, problem: &mut Problem, job: &Job) -> Result<Release> {
    solve(method, problem, job, |problem| {
        let grouping = method.group(problem, job)?;
        Release::assemble(problem, &grouping, job)
    })
}

/// The same for rows on disk: `problem` has the items that [`crate::Items::on_disk`] made of them.
pub fn anonymize_on_disk(method: &dyn Method, rows: &SpilledRows, problem: &mut Problem, job: &Job) -> Result<Release> {
    solve(method, problem, job, |problem| method.release_from_disk(rows, problem, job))
}

fn solve(
    method: &dyn Method,
    problem: &mut Problem,
    job: &Job,
    divide: impl Fn(&Problem) -> Result<Release>,
) -> Result<Release> {
    let mut dropping = problem.budget > 0;
    loop {
        match divide(problem)?.settle(problem, job)? {
            Ok(mut release) => {
                let unit = if problem.items.has_units() { "person" } else { "row" };
                release.earned =
                    Some(Earned { criteria: problem.criteria.described(problem.items.attributes()), unit });
                job.count("classes", release.classes.len());
                job.count("rows_suppressed", release.suppressed());
                return Ok(release);
            }
            Err(_) if dropping => {
                problem.without_budget();
                dropping = false;
            }
            Err(broken) => {
                return Err(Error::data(format!(
                    "method '{}' finds classes that read the same and together break {broken}: choose another method, \
                     output => 'interval', or a weaker criterion",
                    method.name()
                )));
            }
        }
    }
}

impl Release {
    /// Classes with what they show and the class of every row.
    pub(crate) fn new(class_of: Vec<u32>, classes: Vec<Class>, shown: Vec<Shown>) -> Self {
        Self { class_of, classes, note: None, shown, earned: None }
    }

    /// All rows in one class that shows nothing, where there is no quasi-identifier. It earns no guarantee.
    pub fn of_everything(rows: usize) -> Self {
        Self::new(vec![0; rows], vec![Class { rows, units: rows }], vec![])
    }

    /// The claim that the check of all criteria earned, with the k that was reached; `None` for a release that was not
    /// checked.
    pub fn guarantee(&self) -> Option<Guarantee> {
        let Earned { criteria, unit } = self.earned.as_ref()?;
        let k = self.smallest_class();
        Some(Guarantee {
            k: Some(k),
            epsilon: None,
            delta: 0.0,
            unit,
            neighbours: format!("the {unit}s of a class, for somebody who knows their quasi-identifiers"),
            statement: format!(
                "each combination of the generalised quasi-identifiers is shared by at least {k} {unit}s, and what reads \
                 the same fulfils {}, which bounds nothing that columns beside the quasi-identifiers and the sensitive \
                 ones tell",
                criteria.join(", ")
            ),
        })
    }

    /// Drops what breaks a criterion, as long as the budget lasts; otherwise the criterion that is broken.
    fn settle(mut self, problem: &Problem, job: &Job) -> Result<Result<Self, String>> {
        loop {
            job.check()?;
            let broken = self.broken(problem, job)?;
            let Some((_, first)) = broken.first() else { return Ok(Ok(self)) };
            let falling: usize = broken.iter().map(|(class, _)| self.classes[*class as usize].rows).sum();
            let left = self.class_of.len() - self.suppressed() - falling;
            if self.suppressed() + falling > problem.budget || left == 0 {
                return Ok(Err(first.clone()));
            }
            self.drop_classes(broken.iter().map(|b| b.0));
        }
    }

    /// Drops whole classes and closes the gaps in the numbers of the others.
    fn drop_classes(&mut self, dropped: impl Iterator<Item = u32>) {
        let mut kept = vec![true; self.classes.len()];
        dropped.for_each(|class| kept[class as usize] = false);
        let mut next = 0;
        let number: Vec<u32> = kept
            .iter()
            .map(|&kept| {
                let number = if kept { next } else { SUPPRESSED };
                next += u32::from(kept);
                number
            })
            .collect();
        self.class_of.iter_mut().filter(|c| **c != SUPPRESSED).for_each(|c| *c = number[*c as usize]);
        let mut marks = kept.iter();
        self.classes.retain(|_| *marks.next().unwrap_or(&true));
        self.shown.iter_mut().for_each(|s| s.keep(&kept));
    }

    fn assemble(problem: &Problem, grouping: &Grouping, job: &Job) -> Result<Self> {
        let items = &problem.items;
        let _working = job.reserve(4 * (2 * items.rows() + items.len()), "showing classes")?;
        let mut classes = vec![Class { rows: 0, units: 0 }; grouping.classes];
        grouping.class_of.iter().filter(|c| **c != SUPPRESSED).for_each(|&c| classes[c as usize].units += 1);
        let class_of = items.spread(grouping.class_of.clone());
        let order = Members::of(&class_of, grouping.classes);
        let ranges: Vec<Range<usize>> = (0..grouping.classes).map(|c| order.range(c)).collect();
        classes.iter_mut().zip(&ranges).for_each(|(class, range)| class.rows = range.len());
        let mut shown = Vec::with_capacity(items.columns());
        for column in 0..items.columns() {
            let axis = items.axis(column);
            let ranks: Vec<u32> = order.members.par_iter().map(|&row| axis.rows()[row as usize]).collect();
            let level = grouping.levels.as_ref().map(|l| l[column]);
            let mut one = Shown::new(axis, problem.params.form, level);
            one.append(&ranks, &ranges);
            shown.push(one);
        }
        Ok(Self { note: grouping.note.clone(), ..Self::new(class_of, classes, shown) })
    }

    /// Classes that break a criterion with all that read the same, and which.
    fn broken(&self, problem: &Problem, job: &Job) -> Result<Vec<(u32, String)>> {
        let items = &problem.items;
        let groups = self.groups(job)?;
        let class_of = items.gather(&self.class_of);
        let needed = if problem.criteria.needs_values() { 4 * items.len() + 8 * self.classes.len() } else { 0 };
        let _working = job.reserve(needed, "checking the release")?;
        let members = problem.criteria.needs_values().then(|| Members::of(&class_of, self.classes.len()));
        let wholes: Vec<_> = match self.suppressed() {
            0 => vec![],
            _ => {
                let kept = || (0..).zip(class_of.iter()).filter(|(_, c)| **c != SUPPRESSED).map(|(i, _)| i);
                items.attributes().iter().map(|a| a.whole(kept())).collect()
            }
        };
        let judge = || match self.suppressed() {
            0 => problem.judge(),
            _ => problem.judge().against(&wholes),
        };
        let broken: Vec<Vec<(u32, String)>> = (0..groups.len())
            .into_par_iter()
            .with_min_len(256)
            .map_init(judge, |judge, group| {
                let classes = groups.get(group);
                let of_class = |&class: &u32| members.as_ref().map_or(&[][..], |m| m.of_class(class as usize));
                let together = classes.iter().flat_map(of_class).copied();
                let persons = classes.iter().map(|&c| self.classes[c as usize].units).sum();
                let matches = problem.matches(&self.shown, classes[0] as usize);
                let broken = judge.broken_with(together, persons, matches);
                broken.map_or(vec![], |b| classes.iter().map(|&c| (c, b.clone())).collect())
            })
            .collect();
        Ok(broken.concat())
    }

    /// Classes that read the same, together.
    fn groups(&self, job: &Job) -> Result<Groups> {
        let (width, classes) = (3 * self.shown.len(), self.classes.len());
        let _working = job.reserve(classes * (4 * width + 4 + 4), "checking the release")?;
        let keys: Vec<u32> = (0..classes).flat_map(|c| self.shown.iter().flat_map(move |s| s.key(c))).collect();
        let key = |class: u32| &keys[class as usize * width..][..width];
        let mut order: Vec<u32> = (0..classes as u32).collect();
        order.par_sort_unstable_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        let mut starts: Vec<u32> = order
            .chunk_by(|&a, &b| key(a) == key(b))
            .scan(0, |start, group| {
                let mine = *start;
                *start += group.len() as u32;
                Some(mine)
            })
            .collect();
        starts.push(classes as u32);
        Ok(Groups { order, starts })
    }

    /// The classes of a grouping, those that read the same together.
    pub(crate) fn alike(problem: &Problem, grouping: &Grouping, job: &Job) -> Result<Vec<Vec<u32>>> {
        let groups = Self::assemble(problem, grouping, job)?.groups(job)?;
        Ok((0..groups.len()).map(|g| groups.get(g).to_vec()).collect())
    }

    /// Number of rows that are dropped.
    pub fn suppressed(&self) -> usize {
        self.class_of.len() - self.classes.iter().map(|c| c.rows).sum::<usize>()
    }

    /// Persons (rows, without units) of the smallest class: the k that was reached.
    pub fn smallest_class(&self) -> usize {
        self.classes.iter().map(|c| c.units).min().unwrap_or(0)
    }

    /// Number of quasi-identifiers.
    pub fn columns(&self) -> usize {
        self.shown.len()
    }

    /// What the given classes show of a quasi-identifier, in the type of [`crate::output_field`].
    pub fn render(&self, column: usize, classes: &[u32]) -> Result<ArrayRef> {
        let shown = self.shown.get(column);
        shown.ok_or_else(|| Error::internal(format!("there is no quasi-identifier {column}")))?.render(classes)
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.class_of.capacity() * 4
            + self.classes.capacity() * size_of::<Class>()
            + self.shown.iter().map(Shown::memory).sum::<usize>()
    }
}

/// Classes in groups that read the same.
struct Groups {
    order: Vec<u32>,
    starts: Vec<u32>,
}

impl Groups {
    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn get(&self, group: usize) -> &[u32] {
        &self.order[self.starts[group] as usize..self.starts[group + 1] as usize]
    }
}

/// Rows or items by class, ascending in each.
struct Members {
    members: Vec<u32>,
    starts: Vec<usize>,
}

impl Members {
    fn of(class_of: &[u32], classes: usize) -> Self {
        let mut starts = vec![0; classes + 1];
        let kept = || (0..).zip(class_of).filter(|(_, c)| **c != SUPPRESSED);
        kept().for_each(|(_, &c)| starts[c as usize + 1] += 1);
        (0..classes).for_each(|c| starts[c + 1] += starts[c]);
        let (mut next, mut members) = (starts.clone(), vec![0; starts[classes]]);
        for (member, &class) in kept() {
            let place = &mut next[class as usize];
            members[*place] = member;
            *place += 1;
        }
        Self { members, starts }
    }

    fn range(&self, class: usize) -> Range<usize> {
        self.starts[class]..self.starts[class + 1]
    }

    fn of_class(&self, class: usize) -> &[u32] {
        &self.members[self.range(class)]
    }
}
