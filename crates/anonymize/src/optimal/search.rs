//! The search through the lattice.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use lookalike_core::{Job, Reservation, Result};
use rayon::prelude::*;

use super::pairs::Pairs;
use crate::datafly;
use crate::full_domain::{Cost, FullDomain, Projection, Scratch, Test};

/// Branches for every thread, so that none is idle for long.
const BRANCHES: usize = 32;

/// Whether to go on, and how far the search has come.
#[derive(Debug)]
pub(super) struct Clock<'a> {
    deadline: Option<Instant>,
    stopped: AtomicBool,
    checked: AtomicU64,
    job: &'a Job,
}

impl Clock<'_> {
    /// False once time is up.
    pub fn go_on(&self) -> Result<bool> {
        self.job.check()?;
        if self.deadline.is_some_and(|d| Instant::now() >= d) {
            self.stopped.store(true, Ordering::Relaxed);
        }
        Ok(!self.stopped.load(Ordering::Relaxed))
    }

    /// Counts a transformation that is looked at.
    pub fn checked(&self) {
        self.checked.fetch_add(1, Ordering::Relaxed);
    }
}

/// A transformation and its place in the order of preference.
#[derive(Debug, Clone)]
struct Candidate {
    loss: f64,
    sum: usize,
    levels: Vec<usize>,
}

impl Candidate {
    fn new(loss: f64, levels: &[usize]) -> Self {
        Self { loss, sum: levels.iter().sum(), levels: levels.to_vec() }
    }

    fn precedes(&self, other: &Self) -> bool {
        let order = self.loss.total_cmp(&other.loss).then(self.sum.cmp(&other.sum));
        order.then_with(|| self.levels.cmp(&other.levels)).is_lt()
    }
}

/// All transformations with the same levels in the first columns of the order of branching.
#[derive(Debug)]
struct Branch {
    /// Number of columns that have their level.
    depth: usize,
    /// Levels of those; the top of the others.
    levels: Vec<usize>,
    /// The lowest in the order of preference that the branch could hold.
    bound: Candidate,
}

#[derive(Debug)]
pub(super) struct Search<'a, 'p> {
    domain: &'a FullDomain<'p>,
    cost: Cost,
    /// Columns in the order of branching.
    order: Vec<usize>,
    /// What is tested while columns are still at their top.
    test: Test,
    best: Mutex<Option<Candidate>>,
    clock: Clock<'a>,
    _reserved: Reservation,
}

impl<'a, 'p> Search<'a, 'p> {
    pub fn new(domain: &'a FullDomain<'p>, deadline: Option<Instant>, job: &'a Job) -> Result<Self> {
        let problem = domain.problem();
        let criteria = &problem.criteria;
        let predictive = criteria.survive_growth() || problem.budget == 0 && criteria.survive_union();
        let mut order: Vec<usize> = (0..domain.columns()).collect();
        order.sort_by_key(|&c| std::cmp::Reverse(domain.nodes(c, 0)));
        let threads = rayon::current_num_threads();
        let each = Scratch::bytes(&domain.all) + domain.all.memory();
        let reserved = job.reserve(threads * each, "searching transformations")?;
        Ok(Self {
            domain,
            cost: Cost::new(domain, problem.params.loss),
            order,
            test: if predictive { Test::Criteria } else { Test::Size },
            best: Mutex::new(None),
            clock: Clock { deadline, stopped: AtomicBool::new(false), checked: AtomicU64::new(0), job },
            _reserved: reserved,
        })
    }

    /// Whether time ran out.
    pub fn stopped(&self) -> bool {
        self.clock.stopped.load(Ordering::Relaxed)
    }

    /// How many transformations were looked at.
    pub fn checked(&self) -> u64 {
        self.clock.checked.load(Ordering::Relaxed)
    }

    /// The levels of the best transformation that was found.
    pub fn best(&self) -> Option<Vec<usize>> {
        let best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
        best.as_ref().map(|b| b.levels.clone())
    }

    /// Searches until the best is proven or time is up.
    pub fn run(&self) -> Result<()> {
        // Nothing stands in the way of the top, whatever the time.
        let top = self.domain.top();
        self.look(&top, &mut Scratch::default())?;
        self.descend(top)?;
        let climbed = datafly::climb(self.domain, &mut Scratch::default(), || {
            let going_on = self.clock.go_on()?;
            if going_on {
                self.clock.checked();
            }
            Ok(going_on)
        })?;
        if let Some(levels) = climbed {
            self.look(&levels, &mut Scratch::default())?;
        }
        let pairs = Pairs::new(self.domain, self.test, &self.clock)?;
        self.explore(&pairs)
    }

    /// Looks at a single transformation and returns its loss if it fits.
    fn look(&self, levels: &[usize], scratch: &mut Scratch) -> Result<Option<Candidate>> {
        let all = &self.domain.all;
        self.clock.checked();
        if self.domain.look(all, levels, Test::Criteria, scratch)?.is_none() {
            return Ok(None);
        }
        let found = Candidate::new(self.cost.of(self.domain, all, levels, scratch), levels);
        self.offer(&found);
        Ok(Some(found))
    }

    fn offer(&self, found: &Candidate) {
        let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
        if best.as_ref().is_none_or(|b| found.precedes(b)) {
            *best = Some(found.clone());
        }
    }

    /// Whether nothing of that bound or beyond can be chosen.
    fn is_beaten(&self, bound: &Candidate) -> bool {
        let best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
        best.as_ref().is_some_and(|b| !bound.precedes(b))
    }

    /// Goes down from the top as long as a column can, each time by the one that leaves the smallest loss.
    fn descend(&self, top: Vec<usize>) -> Result<()> {
        let mut levels = top;
        while self.clock.go_on()? {
            let lower: Vec<Vec<usize>> = (0..levels.len())
                .filter(|&c| levels[c] > 0)
                .map(|c| {
                    let mut lower = levels.clone();
                    lower[c] -= 1;
                    lower
                })
                .collect();
            let found: Vec<Option<Candidate>> = lower
                .par_iter()
                .with_max_len(1)
                .map_init(Scratch::default, |scratch, lower| match self.clock.go_on()? {
                    true => self.look(lower, scratch),
                    false => Ok(None),
                })
                .collect::<Result<_>>()?;
            let best = found.into_iter().flatten().reduce(|a, b| if b.precedes(&a) { b } else { a });
            match best {
                Some(best) => levels = best.levels,
                None => break,
            }
        }
        Ok(())
    }

    fn explore(&self, pairs: &Pairs) -> Result<()> {
        let (columns, job) = (self.domain.columns(), self.clock.job);
        let purpose = "combinations of some columns";
        let (mut projections, mut reserved): (Vec<Projection>, Vec<Reservation>) = (vec![], vec![]);
        for width in (1..columns).rev() {
            if !self.clock.go_on()? {
                return Ok(());
            }
            let finer = projections.last().unwrap_or(&self.domain.all);
            let mut working = job.reserve(finer.memory(), purpose)?;
            let projection = self.domain.project(finer, &self.order[..width], &mut Scratch::default());
            working.resize(projection.memory(), purpose)?;
            projections.push(projection);
            reserved.push(working);
        }
        projections.reverse();
        let explorer = Explorer { search: self, pairs, projections };
        let mut branches: Vec<Branch> = explorer.root().into_iter().collect();
        let enough = BRANCHES * rayon::current_num_threads();
        for _ in 0..columns {
            if branches.len() >= enough {
                break;
            }
            let below: Vec<Vec<Branch>> = branches
                .par_iter()
                .with_max_len(1)
                .map_init(Scratch::default, |scratch, branch| explorer.below(branch, scratch))
                .collect::<Result<_>>()?;
            branches = below.into_iter().flatten().collect();
        }
        // The most promising first: what they find prunes the others.
        branches.sort_by(|a, b| a.bound.loss.total_cmp(&b.bound.loss).then_with(|| a.levels.cmp(&b.levels)));
        let (total, next) = (branches.len(), AtomicUsize::new(0));
        let branches: Vec<Mutex<Option<Branch>>> = branches.into_iter().map(|b| Mutex::new(Some(b))).collect();
        (0..rayon::current_num_threads()).into_par_iter().with_max_len(1).try_for_each(|_| {
            let mut scratch = Scratch::default();
            loop {
                let mine = next.fetch_add(1, Ordering::Relaxed);
                let Some(branch) = branches.get(mine) else { return Ok(()) };
                let Some(branch) = branch.lock().unwrap_or_else(PoisonError::into_inner).take() else { continue };
                explorer.exhaust(branch, &mut scratch)?;
                job.progress("searching", mine as u64 + 1, total as u64);
            }
        })
    }
}

struct Explorer<'s, 'a, 'p> {
    search: &'s Search<'a, 'p>,
    pairs: &'s Pairs,
    /// The first columns of the order of branching: one, two, and so on, but for all.
    projections: Vec<Projection>,
}

impl Explorer<'_, '_, '_> {
    /// The branch of all transformations; `None` if no pair of columns fits.
    fn root(&self) -> Option<Branch> {
        let domain = self.search.domain;
        let (top, mut lowest) = (domain.top(), vec![0; domain.columns()]);
        let fits = (0..top.len()).all(|c| self.pairs.raise(domain, c, top[c], &mut lowest));
        fits.then(|| Branch { depth: 0, levels: top, bound: Candidate::new(0.0, &lowest) })
    }

    /// Looks at a branch to its end.
    fn exhaust(&self, branch: Branch, scratch: &mut Scratch) -> Result<()> {
        let mut stack = vec![branch];
        while let Some(branch) = stack.pop() {
            if self.search.is_beaten(&branch.bound) {
                continue;
            }
            if !self.search.clock.go_on()? {
                return Ok(());
            }
            // The lowest levels come last and are looked at first.
            stack.extend(self.below(&branch, scratch)?);
        }
        Ok(())
    }

    /// The branches that the next column divides a branch into, from its highest level to the lowest. A transformation
    /// that all columns have their level in is looked at instead.
    fn below(&self, branch: &Branch, scratch: &mut Scratch) -> Result<Vec<Branch>> {
        let Search { domain, cost, order, test, clock, .. } = self.search;
        let mut found = vec![];
        let Some(&column) = order.get(branch.depth) else {
            // With predictive tagging it has been looked at on the way here.
            if *test == Test::Size {
                self.search.look(&branch.levels, scratch)?;
            }
            return Ok(found);
        };
        let depth = branch.depth + 1;
        let seen = self.projections.get(branch.depth).unwrap_or(&domain.all);
        let top = domain.height(column);
        for level in (branch.bound.levels[column]..=top).rev() {
            let (mut levels, mut lowest) = (branch.levels.clone(), branch.bound.levels.clone());
            (levels[column], lowest[column]) = (level, level);
            if !self.pairs.raise(domain, column, level, &mut lowest) {
                break;
            }
            let mut bound = Candidate::new(cost.least(&lowest).max(branch.bound.loss), &lowest);
            if self.search.is_beaten(&bound) {
                continue;
            }
            if level < top {
                if !clock.go_on()? {
                    break;
                }
                clock.checked();
                if domain.look(seen, &levels, *test, scratch)?.is_none() {
                    break;
                }
                if *test == Test::Criteria {
                    self.search.offer(&Candidate::new(cost.of(domain, seen, &levels, scratch), &levels));
                }
                let loss = cost.bound(domain, seen, &order[..depth], &lowest, scratch);
                bound.loss = loss.max(bound.loss);
                if self.search.is_beaten(&bound) {
                    continue;
                }
            }
            found.push(Branch { depth, levels, bound });
        }
        Ok(found)
    }
}
