//! The best full-domain generalisation, by branch and bound over the lattice of transformations with predictive tagging
//! (Samarati 2001; LeFevre, DeWitt & Ramakrishnan 2005; El Emam et al. 2009; Kohlmayer, Prasser et al. 2012).
//!
//! Among all transformations that fit the budget (see [`crate::full_domain`]) the one of the smallest loss is chosen; of
//! equal ones that with the smaller sum of levels, then the one whose levels come first in the order of the columns.
//!
//! *Branching.* Columns are given their levels one after the other, the one with the most values first, while the others
//! stay at their top.
//!
//! *Tagging.* Where that does not fit, nothing below does. The property needs criteria that a class keeps whatever joins
//! it or, with no budget, criteria that the union of classes keeps; without it, as for t-closeness with a budget, the
//! number of persons alone is tested on the way, and all criteria only once every column has its level. Levels that do
//! not even fit in a pair of columns are found first, as the subset property of Incognito has it.
//!
//! *Bounding.* A branch is left when the lowest levels that remain would lose more than the best transformation known,
//! although rows were dropped only where all of the branch drops them.

use std::time::{Duration, Instant};

use lookalike_core::{Error, Job, Result};

use crate::full_domain::{FullDomain, Scratch};
use crate::method::Method;
use crate::{Grouping, Problem};

mod pairs;
mod search;
#[cfg(test)]
mod tests;

use search::Search;

/// Full-domain generalisation of the smallest loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Optimal;

impl Method for Optimal {
    fn name(&self) -> &'static str {
        "optimal"
    }

    fn summary(&self) -> &'static str {
        "full-domain generalisation of the smallest information loss: searches all combinations of levels, pruning what \
         cannot fulfil the criteria or be better"
    }

    fn source(&self) -> &'static str {
        "LeFevre, DeWitt & Ramakrishnan, Incognito, SIGMOD 2005; El Emam et al., A globally optimal k-anonymity method, \
         JAMIA 2009; Kohlmayer et al., Flash, PASSAT 2012"
    }

    fn cost(&self) -> &'static str {
        "n times the combinations of levels that cannot be pruned: exponential in the number of quasi-identifiers; \
         max_seconds returns the best found by then"
    }

    fn group(&self, problem: &Problem, job: &Job) -> Result<Grouping> {
        let limit = problem.params.max_seconds;
        // More than the clock can count is no limit.
        let deadline = limit.and_then(|s| Instant::now().checked_add(Duration::try_from_secs_f64(s).ok()?));
        let domain = FullDomain::new(problem, job)?;
        let search = Search::new(&domain, deadline, job)?;
        search.run()?;
        let (checked, all) = (search.checked(), transformations(&domain));
        job.count("transformations_checked", checked as usize);
        let pruned = if search.stopped() { 0 } else { all.saturating_sub(u128::from(checked)) };
        job.count("transformations_pruned", usize::try_from(pruned).unwrap_or(usize::MAX));
        let note = search.stopped().then(|| {
            format!(
                "time budget of {} s reached after {} of {} transformations: the best found, not proven minimal",
                limit.unwrap_or_default(),
                grouped(u128::from(checked)),
                grouped(all)
            )
        });
        let Some(levels) = search.best() else {
            return Err(match note {
                Some(_) => Error::resources(format!(
                    "max_seconds is {}: no transformation that fulfils the criteria was found by then, allow more",
                    limit.unwrap_or_default()
                )),
                None => domain.unsolvable(),
            });
        };
        Ok(Grouping { note, ..domain.grouping(levels, &mut Scratch::default())? })
    }
}

/// Number of combinations of levels, as far as it can be counted.
fn transformations(domain: &FullDomain<'_>) -> u128 {
    domain.top().iter().fold(1, |all, &height| all.saturating_mul(height as u128 + 1))
}

/// A number with commas between groups of three digits.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
