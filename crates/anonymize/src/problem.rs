//! What a method is asked to solve, and the classes it answers with.

use lookalike_core::{Error, Job, Result};

use crate::criteria::{ClassFigures, Tally};
use crate::diversity::Whole;
use crate::population::Population;
use crate::shown::Shown;
use crate::{Checked, Criteria, Items, Loss, OutputForm};

/// The class of a row or item that is dropped.
pub const SUPPRESSED: u32 = u32::MAX;

/// What anonymisation is asked for besides criteria.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `suppression_limit` | 0 | share of the rows that may be dropped so that the others stay finer | 0 to 1 |
/// | `form` | interval | how numbers are shown | |
/// | `max_seconds` | none | time after which a search returns the best found | above 0 |
/// | `loss` | NCP | what a search makes small | |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnonymizeParams {
    /// Share of the rows that may be dropped, 0 to 1; 0 drops nothing.
    pub suppression_limit: f64,
    /// How quasi-identifiers are shown.
    pub form: OutputForm,
    /// Seconds after which an exhaustive search returns the best it has found.
    pub max_seconds: Option<f64>,
    /// Information loss that an exhaustive search makes as small as possible.
    pub loss: Loss,
}

impl Default for AnonymizeParams {
    fn default() -> Self {
        Self { suppression_limit: 0.0, form: OutputForm::Interval, max_seconds: None, loss: Loss::Ncp }
    }
}

impl AnonymizeParams {
    /// Checks the ranges; an argument error names the parameter, its value and what is allowed.
    pub fn check(self) -> Result<Checked<Self>> {
        if !(0.0..=1.0).contains(&self.suppression_limit) {
            return Err(Error::argument(format!(
                "suppression_limit is {}, allowed is a number from 0 to 1 (a share of the rows)",
                self.suppression_limit
            )));
        }
        if let Some(seconds) = self.max_seconds.filter(|s| !(*s > 0.0 && s.is_finite())) {
            return Err(Error::argument(format!("max_seconds is {seconds}, allowed is a number above 0")));
        }
        Ok(Checked::new(self))
    }

    /// How many of `rows` rows may be dropped: the largest whole number within the share.
    pub fn budget(&self, rows: usize) -> usize {
        // The margin undoes the binary representation of shares such as 0.29, never a whole row.
        let allowed = (self.suppression_limit * rows as f64 + 1e-9).floor();
        (allowed as usize).min(rows)
    }
}

/// A table to be divided into classes.
#[derive(Debug)]
pub struct Problem {
    /// The persons.
    pub items: Items,
    /// What every class has to fulfil.
    pub criteria: Criteria,
    /// Everything else.
    pub params: Checked<AnonymizeParams>,
    /// Rows that may be dropped.
    pub budget: usize,
    wholes: Vec<Whole>,
    population: Option<Population>,
}

impl Problem {
    /// A table that can be divided: the whole of it, as one class, fulfils every criterion.
    ///
    /// Fails with an argument error when no quasi-identifier is given or a criterion needs a population that is not,
    /// and with a data error that names the criterion and what is reached when there are no rows or even the whole table
    /// does not fulfil it.
    pub fn new(items: Items, criteria: Criteria, params: Checked<AnonymizeParams>, job: &Job) -> Result<Self> {
        if items.columns() == 0 {
            return Err(Error::argument("quasi_identifiers is empty, it needs at least one column"));
        }
        if items.is_empty() {
            return Err(Error::data("the input has no rows, there is nothing to anonymise"));
        }
        if (items.len() as u64) < criteria.k() {
            let noun = match (items.has_units(), items.len()) {
                (true, 1) => "distinct person (privacy_unit)",
                (true, _) => "distinct persons (privacy_unit)",
                (false, 1) => "row",
                (false, _) => "rows",
            };
            return Err(Error::data(format!(
                "k is {}, but the input has only {} {noun}: k can be at most that",
                criteria.k(),
                items.len()
            )));
        }
        let mut population = None;
        if criteria.needs_population() {
            let records = items.population().ok_or_else(|| {
                Error::argument("population is missing: k-map and delta-presence compare classes with a population")
            })?;
            if params.form == OutputForm::Mean {
                return Err(Error::argument(
                    "output is 'mean', which shows no range that a population could match: use 'interval' or 'range'",
                ));
            }
            if let Some(column) = (0..items.columns()).find(|&c| items.high(c).is_some()) {
                return Err(Error::data(format!(
                    "column '{}' has several values for one person, but with a population every person needs a single \
                     one in each quasi-identifier",
                    items.axis(column).column.name()
                )));
            }
            population = Some(Population::new(records));
            job.check()?;
        }
        let all = 0..items.len() as u32;
        let wholes = items.attributes().iter().map(|a| a.whole(all.clone())).collect();
        let budget = params.budget(items.rows());
        let problem = Self { items, criteria, params, budget, wholes, population };
        let mut judge = problem.judge();
        if !judge.admits(all.clone(), problem.items.len()) {
            let broken = judge.broken(all, problem.items.len()).unwrap_or_default();
            return Err(Error::data(format!(
                "even the whole table as one class does not fulfil {broken}: no generalisation can"
            )));
        }
        Ok(problem)
    }

    /// The same where nothing may be dropped.
    pub fn without_budget(&mut self) {
        self.budget = 0;
    }

    /// Looks at classes; every thread needs one of its own.
    pub fn judge(&self) -> Judge<'_> {
        Judge { problem: self, tally: Tally::default(), wholes: &self.wholes, levels: None }
    }

    /// Records of the population that match what some items show together; 0 without one. `levels` are those that
    /// columns are generalised to at least.
    fn population_of(&self, members: impl Iterator<Item = u32> + Clone, levels: Option<&[usize]>) -> u64 {
        if self.population.is_none() {
            return 0;
        }
        let mut shown = Vec::with_capacity(self.items.columns());
        for column in 0..self.items.columns() {
            let ranks = self.items.low(column);
            let ranks: Vec<u32> = members.clone().map(|i| ranks[i as usize]).collect();
            let mut one = Shown::new(self.items.axis(column), self.params.form, levels.map(|l| l[column]));
            one.append(&ranks, std::slice::from_ref(&(0..ranks.len())));
            shown.push(one);
        }
        self.matches(&shown, 0)
    }

    /// Records of the population that match what a class shows.
    pub(crate) fn matches(&self, shown: &[Shown], class: usize) -> u64 {
        let Some(population) = &self.population else { return 0 };
        let region: Option<Vec<_>> = shown.iter().map(|s| s.region(class)).collect();
        region.map_or(0, |region| population.count(&region))
    }

    /// Bytes on the heap, beside the items.
    pub fn memory(&self) -> usize {
        self.population.as_ref().map_or(0, Population::memory)
    }
}

/// Decides whether items may be a class.
#[derive(Debug)]
pub struct Judge<'p> {
    problem: &'p Problem,
    tally: Tally,
    wholes: &'p [Whole],
    levels: Option<&'p [usize]>,
}

impl<'p> Judge<'p> {
    /// Classes show the nodes of these levels of each column, or higher ones.
    pub fn at_levels(mut self, levels: &'p [usize]) -> Self {
        self.levels = Some(levels);
        self
    }

    /// Compares with these distributions of the sensitive columns.
    pub(crate) fn against(mut self, wholes: &'p [Whole]) -> Self {
        self.wholes = wholes;
        self
    }

    /// Whether some items, `persons` of them, may be a class.
    pub fn admits(&mut self, members: impl Iterator<Item = u32> + Clone, persons: usize) -> bool {
        let Problem { criteria, items, .. } = self.problem;
        if (persons as u64) < criteria.k() {
            return false;
        }
        if criteria.only_k() {
            return true;
        }
        self.tally(members, persons, |figures| criteria.hold(figures, items.attributes()))
    }

    /// The first criterion that a class breaks, in words.
    pub fn broken(&mut self, members: impl Iterator<Item = u32> + Clone, persons: usize) -> Option<String> {
        let Problem { criteria, items, .. } = self.problem;
        self.tally(members, persons, |figures| criteria.broken(figures, items.attributes()))
    }

    fn tally<T>(
        &mut self,
        members: impl Iterator<Item = u32> + Clone,
        persons: usize,
        look: impl FnOnce(&ClassFigures<'_>) -> T,
    ) -> T {
        let Problem { criteria, items, .. } = self.problem;
        if criteria.needs_values() {
            self.tally.take(items, members.clone());
        }
        let population = match criteria.needs_population() {
            true => self.problem.population_of(members, self.levels),
            false => 0,
        };
        let figures =
            ClassFigures { persons: persons as u64, values: &self.tally.values, wholes: self.wholes, population };
        look(&figures)
    }

    /// Whether items whose values are already counted, `persons` of them, may be a class. Without a population.
    pub(crate) fn admits_counted(&self, tally: &Tally, persons: usize) -> bool {
        let Problem { criteria, items, .. } = self.problem;
        let figures =
            ClassFigures { persons: persons as u64, values: &tally.values, wholes: self.wholes, population: 0 };
        criteria.hold(&figures, items.attributes())
    }

    /// The same with the matches in the population already counted.
    pub(crate) fn broken_with(
        &mut self,
        members: impl Iterator<Item = u32> + Clone,
        persons: usize,
        population: u64,
    ) -> Option<String> {
        let Problem { criteria, items, .. } = self.problem;
        if criteria.needs_values() {
            self.tally.take(items, members);
        }
        let figures =
            ClassFigures { persons: persons as u64, values: &self.tally.values, wholes: self.wholes, population };
        criteria.broken(&figures, items.attributes())
    }
}

/// Items divided into classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// Class of each item; [`SUPPRESSED`] for those that are dropped. Classes are numbered by content: the order of the
    /// input's rows has no influence.
    pub class_of: Vec<u32>,
    /// Number of classes.
    pub classes: usize,
    /// Level that each column is generalised to at least, for methods that choose one for the whole column: 0 for the
    /// values themselves, 1 for anything where a column has no hierarchy.
    pub levels: Option<Vec<usize>>,
    /// What the caller should know about the search, such as a time budget that ran out.
    pub note: Option<String>,
}

impl Grouping {
    /// Classes that show no more than they have to.
    pub fn new(class_of: Vec<u32>, classes: usize) -> Self {
        Self { class_of, classes, levels: None, note: None }
    }
}
