//! Datafly (Sweeney 1997, 2002): greedy full-domain generalisation.
//!
//! As long as the rows of classes that break a criterion do not fit into the budget, the quasi-identifier with the most
//! different values, as they are generalised so far, goes up one level (ties: the first one). Missing values count as a
//! value. Then the rows of those classes are dropped.
//!
//! Sweeney's algorithm asks for k alone, and may drop up to k rows. Here a class that breaks any of the criteria counts,
//! and the budget is that of the call.

use lookalike_core::{Job, Result};

use crate::full_domain::{FullDomain, Scratch, Test};
use crate::method::Method;
use crate::{Grouping, Problem};

#[cfg(test)]
mod tests;

/// Greedy full-domain generalisation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datafly;

impl Method for Datafly {
    fn name(&self) -> &'static str {
        "datafly"
    }

    fn summary(&self) -> &'static str {
        "full-domain generalisation: the quasi-identifier with the most different values goes up one level until the \
         rows of classes that break a criterion are few enough to be dropped"
    }

    fn source(&self) -> &'static str {
        "Sweeney, Achieving k-anonymity privacy protection using generalization and suppression, 2002"
    }

    fn cost(&self) -> &'static str {
        "n times the sum of the heights of the hierarchies"
    }

    fn group(&self, problem: &Problem, job: &Job) -> Result<Grouping> {
        let domain = FullDomain::new(problem, job)?;
        let _working = job.reserve(Scratch::bytes(&domain.all), "grouping rows")?;
        let mut scratch = Scratch::default();
        let (most, mut steps) = (domain.top().iter().sum::<usize>(), 0);
        let levels = climb(&domain, &mut scratch, || {
            job.progress("generalising", steps as u64, most as u64);
            steps += 1;
            job.check().map(|()| true)
        })?;
        job.count("transformations_checked", steps);
        let levels = levels.ok_or_else(|| domain.unsolvable())?;
        domain.grouping(levels, &mut scratch)
    }
}

/// The levels where Datafly stops; `None` when nothing fits. Asks `go_on` before it looks at each transformation.
pub(crate) fn climb(
    domain: &FullDomain<'_>,
    scratch: &mut Scratch,
    mut go_on: impl FnMut() -> Result<bool>,
) -> Result<Option<Vec<usize>>> {
    let mut levels = vec![0; domain.columns()];
    while go_on()? {
        if domain.look(&domain.all, &levels, Test::Criteria, scratch)?.is_some() {
            return Ok(Some(levels));
        }
        let below_top = (0..domain.columns()).filter(|&c| levels[c] < domain.height(c));
        match below_top.max_by_key(|&c| (domain.nodes(c, levels[c]), usize::MAX - c)) {
            Some(column) => levels[column] += 1,
            None => break,
        }
    }
    Ok(None)
}
