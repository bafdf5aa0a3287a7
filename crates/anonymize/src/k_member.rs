//! Greedy k-member clustering (Byun, Kamra, Bertino & Li, DASFAA 2007).
//!
//! The seed of a cluster is the item farthest from the one that joined the last cluster last; at the beginning, from the
//! first item by content, where the paper takes a random one. Then the item joins that makes the cluster lose least,
//! until there are k. Fewer than k items in the end join the clusters whose loss grows least by them. Ties go to the item
//! that comes first by content, and to the cluster that was made first.
//!
//! *Loss* of a cluster is its size times the sum over the quasi-identifiers of: the range of its numbers over the range of
//! all; its different labels less one over all labels less one, a missing value counting as one more; the leaves below
//! the lowest common node of a hierarchy less one over all leaves less one. A cluster with missing and present numbers or
//! leaves loses 1 more. (The paper takes the height of the common node, 1 for any two labels without hierarchy; this is what
//! classes show.) Two items are as far apart as the two would lose.
//!
//! Further criteria make clusters grow; see [`crate::clusters`].

use lookalike_core::{Job, Result};

use crate::axis::NULL;
use crate::clusters::{Balance, Checkpoints, Clusters, Shape, refuse};
use crate::method::Method;
use crate::space::{Dimension, Place, Remaining, Ruler, Space};
use crate::{Grouping, Problem};

/// Steps beyond which the method refuses: about ten minutes on two cores.
const LIMIT: f64 = 6e11;

/// Greedy k-member clustering.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KMember;

impl Method for KMember {
    fn name(&self) -> &'static str {
        "k_member"
    }

    fn summary(&self) -> &'static str {
        "greedy k-member clustering: each class grows by the row that costs it the least information; drops nothing"
    }

    fn source(&self) -> &'static str {
        "Byun, Kamra, Bertino & Li, Efficient k-anonymization using clustering techniques, DASFAA 2007"
    }

    fn cost(&self) -> &'static str {
        "n * n; refuses beyond 6e11 steps of n * n * quasi-identifiers, about 350,000 rows for 5 of them"
    }

    fn needs_order(&self) -> bool {
        true
    }

    fn group(&self, problem: &Problem, job: &Job) -> Result<Grouping> {
        let n = problem.items.len() as f64;
        let steps = n * n * problem.items.columns() as f64;
        refuse(problem, self.name(), "n * n * quasi-identifiers", steps, LIMIT)?;
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

/// A cluster that items are joining.
struct Growing {
    extents: Vec<Extent>,
    rulers: Vec<Ruler>,
    members: Vec<u32>,
    positions: Vec<u32>,
}

impl Run<'_> {
    fn solve(mut self, job: &Job) -> Result<Grouping> {
        let all = self.left.len() as u64;
        let mut last = 0;
        while self.left.len() >= self.k && self.left.len() > 0 {
            job.check()?;
            job.progress("clustering", all - self.left.len() as u64, all);
            let from = Growing::new(self.space, last);
            self.left.measure(&from.rulers);
            let seed = self.left.largest();
            let Some(mut cluster) = self.cluster_from(seed, job)? else { break };
            last = cluster.members.last().copied().unwrap_or(last);
            cluster.positions.sort_unstable();
            self.left.remove(&cluster.positions);
            self.clusters.push(cluster.members);
        }
        self.clusters.leave(self.left.items());
        self.clusters.finish::<Extents>(self.space, job)
    }

    /// The cluster that grows from the item at a position; `None` when none of those that are left completes it.
    fn cluster_from(&mut self, seed: usize, job: &Job) -> Result<Option<Growing>> {
        let mut cluster = Growing::new(self.space, self.left.items()[seed]);
        cluster.positions.push(seed as u32);
        self.left.measure(&cluster.rulers);
        self.left.figures()[seed] = f64::INFINITY;
        while cluster.members.len() < self.k {
            self.join(&mut cluster, self.left.smallest());
            job.check()?;
        }
        if self.clusters.admits(&cluster.members) {
            return Ok(Some(cluster));
        }
        cluster.members.iter().for_each(|&m| self.balance.add(m));
        let complete = self.grow(&mut cluster, job);
        self.balance.clear(&cluster.members);
        Ok(complete?.then_some(cluster))
    }

    /// Adds the items that cost least of those that the cluster lacks until it fulfils all criteria.
    fn grow(&mut self, cluster: &mut Growing, job: &Job) -> Result<bool> {
        let mut checks = Checkpoints::after(cluster.members.len());
        loop {
            job.check()?;
            let mut best = (f64::INFINITY, None);
            for (position, (figure, item)) in self.left.measured().enumerate() {
                if figure < best.0 && self.balance.lacks(item) {
                    best = (figure, Some(position));
                }
            }
            let Some(position) = best.1 else { return Ok(self.clusters.admits(&cluster.members)) };
            self.balance.add(self.left.items()[position]);
            self.join(cluster, position);
            if checks.at(cluster.members.len()) && self.clusters.admits(&cluster.members) {
                return Ok(true);
            }
        }
    }

    /// Lets the item at a position join, and measures what the others would cost.
    fn join(&mut self, cluster: &mut Growing, position: usize) {
        let item = self.left.items()[position];
        cluster.members.push(item);
        cluster.positions.push(position as u32);
        let mut grown = false;
        let columns = self.space.dimensions().iter().zip(&mut cluster.extents).zip(&mut cluster.rulers);
        for ((dimension, extent), ruler) in columns {
            if extent.add(&Extent::of(dimension, item)) {
                *ruler = extent.ruler(dimension);
                grown = true;
            }
        }
        // An item that costs nothing leaves the costs of the others as they are.
        if grown {
            self.left.measure(&cluster.rulers);
            cluster.positions.iter().for_each(|&p| self.left.figures()[p as usize] = f64::INFINITY);
        } else {
            self.left.figures()[position] = f64::INFINITY;
        }
    }
}

impl Growing {
    fn new(space: &Space<'_>, item: u32) -> Self {
        let extents: Vec<Extent> = space.dimensions().iter().map(|d| Extent::of(d, item)).collect();
        let rulers = space.dimensions().iter().zip(&extents).map(|(d, e)| e.ruler(d)).collect();
        Self { extents, rulers, members: vec![item], positions: vec![] }
    }
}

/// What a cluster covers of a quasi-identifier.
#[derive(Debug, Clone, PartialEq)]
enum Extent {
    /// The lower end is above the higher one where no number is present.
    Numbers { low: f64, high: f64, missing: bool },
    /// Different codes, ascending.
    Labels(Vec<u32>),
    /// First and last code; the first is above the last where no leaf is present.
    Leaves { low: u32, high: u32, missing: bool },
}

impl Extent {
    fn of(dimension: &Dimension<'_>, item: u32) -> Self {
        match (dimension, dimension.place(item)) {
            (_, Place::Number(number)) => Self::Numbers {
                low: number.min(f64::INFINITY),
                high: number.max(f64::NEG_INFINITY),
                missing: number.is_nan(),
            },
            (Dimension::Leaves { .. }, Place::Code(NULL)) => Self::Leaves { low: u32::MAX, high: 0, missing: true },
            (Dimension::Leaves { .. }, Place::Code(code)) => Self::Leaves { low: code, high: code, missing: false },
            (_, Place::Code(code)) => Self::Labels(vec![code]),
        }
    }

    /// Takes up what another covers; false when that was covered already.
    fn add(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Numbers { low, high, missing }, Self::Numbers { low: l, high: h, missing: m }) => {
                let grown = *l < *low || *h > *high || *m && !*missing;
                (*low, *high, *missing) = (low.min(*l), high.max(*h), *missing || *m);
                grown
            }
            (Self::Leaves { low, high, missing }, Self::Leaves { low: l, high: h, missing: m }) => {
                let grown = *l < *low || *h > *high || *m && !*missing;
                (*low, *high, *missing) = ((*low).min(*l), (*high).max(*h), *missing || *m);
                grown
            }
            (Self::Labels(codes), Self::Labels(others)) => {
                let before = codes.len();
                for code in others {
                    if let Err(place) = codes.binary_search(code) {
                        codes.insert(place, *code);
                    }
                }
                codes.len() > before
            }
            // Extents of one quasi-identifier are of one kind.
            _ => false,
        }
    }

    /// What a row loses by covering both.
    fn loss_with(&self, other: &Self, dimension: &Dimension<'_>) -> f64 {
        match (self, other, dimension) {
            (
                Self::Numbers { low, high, missing },
                Self::Numbers { low: l, high: h, missing: m },
                Dimension::Numbers { per_range, .. },
            ) => {
                let (low, high) = (low.min(*l), high.max(*h));
                if low > high { 0.0 } else { (high - low) * per_range + one_if(*missing || *m) }
            }
            (
                &Self::Leaves { low, high, missing },
                &Self::Leaves { low: l, high: h, missing: m },
                Dimension::Leaves { tree, .. },
            ) => {
                let (low, high) = (low.min(l), high.max(h));
                if low > high { 0.0 } else { tree.width(low, high) + one_if(missing || m) }
            }
            (Self::Labels(codes), Self::Labels(others), Dimension::Labels { distinct, .. }) => {
                let (few, many) = if codes.len() < others.len() { (codes, others) } else { (others, codes) };
                let more = few.iter().filter(|c| many.binary_search(c).is_err()).count();
                (many.len() + more - 1) as f64 * per_label(*distinct)
            }
            _ => 0.0,
        }
    }

    /// Measures the loss with one more value, but for what is the same for all values.
    fn ruler(&self, dimension: &Dimension<'_>) -> Ruler {
        match (self, dimension) {
            (&Self::Numbers { low, high, missing }, Dimension::Numbers { per_range, .. }) => Ruler::Span {
                low,
                high,
                unit: *per_range,
                present: one_if(missing),
                missing: if low <= high { (high - low) * per_range + 1.0 } else { 0.0 },
            },
            (&Self::Leaves { low, high, missing }, Dimension::Leaves { tree, .. }) => {
                let span = (low <= high).then_some((low, high));
                let mixed = span.map_or(0.0, |(low, high)| tree.width(low, high) + 1.0);
                Ruler::Table(tree.table(span, one_if(missing), mixed, |width| width))
            }
            (Self::Labels(codes), Dimension::Labels { domain, distinct, .. }) => {
                let mut table = vec![per_label(*distinct); *domain];
                codes.iter().for_each(|&c| table[c as usize] = 0.0);
                Ruler::Table(table)
            }
            _ => Ruler::Presence { present: 0.0, missing: 0.0 },
        }
    }
}

fn one_if(mixed: bool) -> f64 {
    f64::from(u8::from(mixed))
}

/// What each label beyond the first loses, of so many in the table.
fn per_label(distinct: usize) -> f64 {
    1.0 / distinct.saturating_sub(1).max(1) as f64
}

/// What a cluster covers, and what it loses.
#[derive(Debug)]
struct Extents {
    all: Vec<Extent>,
    size: f64,
    loss: f64,
}

impl Shape for Extents {
    fn of(space: &Space<'_>, members: &[u32]) -> Self {
        let extent = |d: &Dimension<'_>| {
            let mut all = Extent::of(d, members[0]);
            members[1..].iter().for_each(|&m| {
                all.add(&Extent::of(d, m));
            });
            all
        };
        let all: Vec<Extent> = space.dimensions().iter().map(extent).collect();
        let size = members.len() as f64;
        let loss = size * all.iter().zip(space.dimensions()).map(|(e, d)| e.loss_with(e, d)).sum::<f64>();
        Self { all, size, loss }
    }

    fn joining(&self, other: &Self, space: &Space<'_>) -> f64 {
        let pairs = self.all.iter().zip(&other.all).zip(space.dimensions());
        let both = pairs.map(|((a, b), d)| a.loss_with(b, d)).sum::<f64>();
        (self.size + other.size) * both - self.loss - other.loss
    }
}

#[cfg(test)]
mod tests;
