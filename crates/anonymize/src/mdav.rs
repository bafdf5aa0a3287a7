//! Microaggregation by maximum distance to the average vector (Domingo-Ferrer & Torra 2005, algorithm MDAV-generic).
//!
//! While 3 k or more items remain: r is the item farthest from their centre, and forms a cluster with the k - 1 items
//! nearest to it; s is the item farthest from r of the others, and forms one with the k - 1 nearest to it. Of 2 k to
//! 3 k - 1 items, the farthest from the centre and its k - 1 nearest form a cluster, and the rest another; fewer are one.
//! So that for k alone classes have k to 2 k - 1 items. Ties go to the item that comes first by content.
//!
//! *Distance* is Euclidean over the quasi-identifiers: numbers in standard deviations of the items, 0 or 1 for labels, for
//! a hierarchy the leaves below the lowest common node less one over all leaves less one, and 1 between a missing value
//! and a present one. *Centres* are means, the most frequent label, and the leaf with the least sum of squared distances;
//! a number or leaf is missing where more than half are.
//!
//! Further criteria make clusters grow; see [`crate::clusters`]. Leftovers go where the sum of squared distances to
//! the centres grows least.

use lookalike_core::{Job, Result};

use crate::clusters::{Balance, Checkpoints, Clusters, Shape, refuse};
use crate::method::Method;
use crate::space::{Place, Remaining, Ruler, Space};
use crate::{Grouping, Problem};

/// Steps beyond which the method refuses: about ten minutes on two cores.
const LIMIT: f64 = 4e11;

/// Maximum distance to the average vector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mdav;

impl Method for Mdav {
    fn name(&self) -> &'static str {
        "mdav"
    }

    fn summary(&self) -> &'static str {
        "microaggregation by maximum distance to the average vector: clusters of the k rows nearest to the farthest ones; \
         drops nothing"
    }

    fn source(&self) -> &'static str {
        "Domingo-Ferrer & Torra, Ordinal, continuous and heterogeneous k-anonymity through microaggregation, Data Mining \
         and Knowledge Discovery 2005"
    }

    fn cost(&self) -> &'static str {
        "n * n / k; refuses beyond 4e11 steps of n * n * quasi-identifiers / k, about 630,000 rows for 5 of them and k = 5"
    }

    fn needs_order(&self) -> bool {
        true
    }

    fn group(&self, problem: &Problem, job: &Job) -> Result<Grouping> {
        let n = problem.items.len() as f64;
        let steps = n * n / problem.criteria.k() as f64 * problem.items.columns() as f64;
        refuse(problem, self.name(), "n * n * quasi-identifiers / k", steps, LIMIT)?;
        let space = Space::new(&problem.items, job)?;
        Run {
            k: (problem.criteria.k() as usize).max(1),
            space: &space,
            left: space.remaining(),
            clusters: Clusters::new(problem),
            balance: Balance::new(problem),
        }
        .solve(job)
    }
}

struct Run<'p> {
    k: usize,
    space: &'p Space<'p>,
    left: Remaining,
    clusters: Clusters<'p>,
    balance: Balance<'p>,
}

impl Run<'_> {
    fn solve(mut self, job: &Job) -> Result<Grouping> {
        let (k, all) = (self.k, self.left.len() as u64);
        while self.left.len() >= 2 * k {
            job.check()?;
            job.progress("clustering", all - self.left.len() as u64, all);
            let pair = self.left.len() >= 3 * k;
            let centre = self.left.centre(self.space);
            self.left.measure(&self.space.squares(&centre));
            if !self.cluster_around(self.left.largest()) {
                break;
            }
            // The figures are the distances from r.
            if pair && self.left.len() >= k && !self.cluster_around(self.left.largest()) {
                break;
            }
        }
        let rest = self.left.items();
        match (1..2 * k).contains(&rest.len()) && self.clusters.admits(rest) {
            true => self.clusters.push(rest.to_vec()),
            false => self.clusters.leave(rest),
        }
        self.clusters.finish::<Centre>(self.space, job)
    }

    /// Moves the item at a position and those nearest to it into a cluster; false when no criterion-fulfilling one can be
    /// made of those that are left. The figures of the others become the squared distances from it.
    fn cluster_around(&mut self, position: usize) -> bool {
        let item = self.left.items()[position];
        let rulers: Vec<Ruler> = self.space.squares(&self.space.point(item));
        self.left.measure(&rulers);
        // Before all that are equal to it.
        self.left.figures()[position] = -1.0;
        let mut positions = self.left.nearest(self.k);
        let mut members: Vec<u32> = positions.iter().map(|&p| self.left.items()[p as usize]).collect();
        let complete = self.clusters.admits(&members) || self.grow(&mut positions, &mut members);
        if complete {
            positions.sort_unstable();
            self.left.remove(&positions);
            self.clusters.push(members);
        }
        complete
    }

    /// Adds the nearest of those items that the cluster lacks until it fulfils all criteria.
    fn grow(&mut self, positions: &mut Vec<u32>, members: &mut Vec<u32>) -> bool {
        let (mut sorted, mut checks) = (self.left.sorted(), Checkpoints::after(members.len()));
        members.iter().for_each(|&m| self.balance.add(m));
        let mut place = members.len();
        let mut judged = true;
        let mut complete = false;
        while let Some(position) = sorted.get(place).filter(|_| !complete) {
            place += 1;
            let item = self.left.items()[position as usize];
            if self.balance.lacks(item) {
                self.balance.add(item);
                positions.push(position);
                members.push(item);
                judged = checks.at(members.len());
                complete = judged && self.clusters.admits(members);
            }
        }
        self.balance.clear(members);
        complete || !judged && self.clusters.admits(members)
    }
}

/// The middle of a cluster.
#[derive(Debug)]
struct Centre {
    point: Vec<Place>,
    size: f64,
}

impl Shape for Centre {
    fn of(space: &Space<'_>, members: &[u32]) -> Self {
        Self { point: space.centre(members), size: members.len() as f64 }
    }

    fn joining(&self, other: &Self, space: &Space<'_>) -> f64 {
        let places = self.point.iter().zip(&other.point);
        let square: f64 = space.dimensions().iter().zip(places).map(|(d, (&a, &b))| d.square(a, b)).sum();
        self.size * other.size / (self.size + other.size) * square
    }
}

#[cfg(test)]
mod tests;
