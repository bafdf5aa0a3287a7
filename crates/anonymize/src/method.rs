//! The registry of anonymisation methods.

use lookalike_core::{Error, Job, Result, SpilledRows, closest, list_names};

use crate::datafly::Datafly;
use crate::k_member::KMember;
use crate::mdav::Mdav;
use crate::mondrian::{Mondrian, RelaxedMondrian};
use crate::optimal::Optimal;
use crate::{Grouping, Problem, Release};

/// A way to divide a table into classes that fulfil all criteria.
pub trait Method: Sync {
    /// Name in SQL, lower case with underscores.
    fn name(&self) -> &'static str;

    /// What it does, one sentence.
    fn summary(&self) -> &'static str;

    /// Paper it follows.
    fn source(&self) -> &'static str;

    /// Running time and memory in the number of rows, and where it refuses.
    fn cost(&self) -> &'static str;

    /// Whether the place of an item decides between equal ones: such a method needs the items in the order of their
    /// content.
    fn needs_order(&self) -> bool {
        false
    }

    /// Puts every item into a class that fulfils all criteria, or drops it; at most `problem.budget` rows are dropped.
    /// The classes and their numbers do not depend on the order of the rows.
    ///
    /// Fails with a resources error where its cost would be beyond what it says.
    fn group(&self, problem: &Problem, job: &Job) -> Result<Grouping>;

    /// Whether it can work on rows that memory does not hold.
    fn works_on_disk(&self) -> bool {
        false
    }

    /// The same release as for the rows in memory, for methods that work on disk. Without a unit and a population.
    fn release_from_disk(&self, _rows: &SpilledRows, _problem: &Problem, _job: &Job) -> Result<Release> {
        Err(Error::internal(format!("method '{}' does not work on disk", self.name())))
    }
}

/// Every method, the default first.
pub static METHODS: &[&dyn Method] = &[&Mondrian, &RelaxedMondrian, &Datafly, &Optimal, &Mdav, &KMember];

/// The method of that name; an argument error names the closest one and lists the others.
pub fn find_method(name: &str) -> Result<&'static dyn Method> {
    METHODS.iter().copied().find(|m| m.name() == name).ok_or_else(|| {
        let names = || METHODS.iter().map(|m| m.name());
        let hint = closest(name, names()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
        Error::argument(format!("there is no method '{name}'{hint} (methods: {})", list_names(names())))
    })
}
