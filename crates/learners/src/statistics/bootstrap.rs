//! Intervals by resampling persons.

use lookalike_core::{Error, Job, Result, Streams, below};
use rayon::prelude::*;

use super::{normal_cdf, normal_quantile};

/// Which interval is read off the resampled values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BootstrapMethod {
    /// Between the quantiles of the resampled values (Efron 1979).
    #[default]
    Percentile,
    /// Between quantiles moved by the bias and the acceleration of the figure (BCa, Efron 1987): nearer to what it
    /// says where the figure is skewed, such as a share near 0.
    Accelerated,
}

/// The cluster bootstrap: whole persons are drawn with replacement, so that rows of one person may be as alike as they
/// are. It takes persons as independent and is approximate: with few persons the intervals are a little short.
///
/// Resample `r` draws from block `r` of the streams of the seed: the same interval with any number of threads. More
/// than [`Bootstrap::CLUSTERS`] persons are put at random into so many clusters, and the clusters are drawn: sums of
/// independent persons are as independent, and a million persons cost as much as ten thousand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Seed of the draws.
    pub seed: u64,
    /// Number of resamples, at least 1.
    pub resamples: usize,
    /// Confidence, between 0 and 1.
    pub confidence: f64,
    /// Which interval.
    pub method: BootstrapMethod,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { seed: 0, resamples: 2000, confidence: 0.95, method: BootstrapMethod::Percentile }
    }
}

/// A figure with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure of all persons as they are.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Bootstrap {
    /// Largest number of clusters that are drawn from.
    pub const CLUSTERS: usize = 10_000;

    /// The mean of a value over the rows, or a share: for each person the sum of the values and the number of rows.
    ///
    /// `None` with fewer than two persons or without rows. Persons in an order that does not depend on the input's.
    pub fn mean(&self, persons: &[[f64; 2]], job: &Job) -> Result<Option<Estimate>> {
        self.of_sums(persons, |[sum, rows]| sum / rows, job)
    }

    /// The difference of two means over the same persons: for each person the sum and the number of rows of the one and
    /// of the other. `None` as in [`Bootstrap::mean`].
    pub fn paired_difference(&self, persons: &[[f64; 4]], job: &Job) -> Result<Option<Estimate>> {
        self.of_sums(persons, |[a, n, b, m]| a / n - b / m, job)
    }

    /// The difference of the means of two groups of different persons, each drawn from on its own. `None` as in
    /// [`Bootstrap::mean`], for either.
    pub fn difference(&self, first: &[[f64; 2]], second: &[[f64; 2]], job: &Job) -> Result<Option<Estimate>> {
        let mean = |[sum, rows]: [f64; 2]| sum / rows;
        if first.len() < 2 || second.len() < 2 {
            return Ok(None);
        }
        let (first, second) = (self.clusters(first, "first"), self.clusters(second, "second"));
        let value = mean(total(&first)) - mean(total(&second));
        let streams = [Streams::new(self.seed, "bootstrap first"), Streams::new(self.seed, "bootstrap second")];
        let drawn =
            self.resampled(job, |r| mean(draw(&first, &streams[0], r)) - mean(draw(&second, &streams[1], r)))?;
        let influence = |of: &[[f64; 2]], sign: f64| -> Vec<f64> {
            let total = total(of);
            // The empirical influence of one of two groups weighs by its own size.
            of.iter().map(|c| sign * (mean(total) - mean(without(total, *c))) * (of.len() as f64 - 1.0)).collect()
        };
        let (a, b) = (influence(&first, 1.0), influence(&second, -1.0));
        let moment = |v: &[f64], p: i32| v.iter().map(|x| x.powi(p)).sum::<f64>() / (v.len() as f64).powi(p);
        let spread = moment(&a, 2) + moment(&b, 2);
        let acceleration = (moment(&a, 3) + moment(&b, 3)) / (6.0 * spread * spread.sqrt());
        Ok(self.interval(value, drawn, acceleration))
    }

    /// A figure of sums over persons. `figure` gets the sums and may answer NaN where it does not exist; such resamples
    /// are left out. `None` with fewer than two persons or where the figure does not exist.
    pub fn of_sums<const N: usize>(
        &self,
        persons: &[[f64; N]],
        figure: impl Fn([f64; N]) -> f64 + Sync,
        job: &Job,
    ) -> Result<Option<Estimate>> {
        if persons.len() < 2 {
            return Ok(None);
        }
        let clusters = self.clusters(persons, "first");
        let sums = total(&clusters);
        let streams = Streams::new(self.seed, "bootstrap first");
        let drawn = self.resampled(job, |r| figure(draw(&clusters, &streams, r)))?;
        let left_out: Vec<f64> = clusters.iter().map(|c| figure(without(sums, *c))).filter(|v| !v.is_nan()).collect();
        let mean = left_out.iter().sum::<f64>() / left_out.len() as f64;
        let moment = |p: i32| left_out.iter().map(|v| (mean - v).powi(p)).sum::<f64>();
        let spread = moment(2);
        let acceleration = moment(3) / (6.0 * spread * spread.sqrt());
        Ok(self.interval(figure(sums), drawn, acceleration))
    }

    /// The area under the curve, ties counting half, where a person has several scores: members and non-members are
    /// drawn apart. Each score comes with the number of its person, from 0 on; nobody is both. The interval is that of
    /// percentiles, whatever the method. `None` with fewer than two members or two non-members.
    ///
    /// Fails (data) for a score that is NaN.
    pub fn auc(&self, members: &[(f64, u32)], non_members: &[(f64, u32)], job: &Job) -> Result<Option<Estimate>> {
        let sides = [members, non_members];
        if sides.iter().any(|s| s.iter().any(|(score, _)| score.is_nan())) {
            return Err(Error::data("a score is NULL, and has no place among the others"));
        }
        let persons = sides.map(|s| s.iter().map(|(_, p)| *p as usize + 1).max().unwrap_or(0));
        if persons.iter().any(|&n| n < 2) {
            return Ok(None);
        }
        // Scores of both sides in ascending order: score, side, cluster.
        let mut scores: Vec<(f64, usize, u32)> = vec![];
        let _memory = job.reserve((members.len() + non_members.len()) * 24, "scores to resample")?;
        for (side, purpose) in [(0, "first"), (1, "second")] {
            let cluster = self.cluster_of(persons[side], purpose);
            scores.extend(sides[side].iter().map(|(s, p)| (*s + 0.0, side, cluster[*p as usize])));
        }
        scores.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let area = |weights: [&[u32]; 2]| {
            // Sums of integers: exact in any order.
            let (mut below, mut wins) = (0u64, 0u128);
            let mut totals = [0u64; 2];
            for tied in scores.chunk_by(|a, b| a.0 == b.0) {
                let mut here = [0u64; 2];
                tied.iter().for_each(|(_, side, cluster)| here[*side] += u64::from(weights[*side][*cluster as usize]));
                wins += u128::from(here[0]) * u128::from(2 * below + here[1]);
                below += here[1];
                totals.iter_mut().zip(here).for_each(|(t, h)| *t += h);
            }
            wins as f64 / 2.0 / (totals[0] as f64 * totals[1] as f64)
        };
        let clusters = persons.map(|n| n.min(Self::CLUSTERS));
        let ones = clusters.map(|n| vec![1u32; n]);
        let value = area([&ones[0], &ones[1]]);
        let streams = [Streams::new(self.seed, "bootstrap first"), Streams::new(self.seed, "bootstrap second")];
        let drawn = self.resampled(job, |r| {
            let weights = [0, 1].map(|side| {
                let mut weights = vec![0u32; clusters[side]];
                let mut rng = streams[side].block(r);
                (0..clusters[side]).for_each(|_| weights[below(&mut rng, clusters[side])] += 1);
                weights
            });
            area([&weights[0], &weights[1]])
        })?;
        Ok(Self { method: BootstrapMethod::Percentile, ..*self }.interval(value, drawn, 0.0))
    }

    /// Persons' sums put together to at most [`Bootstrap::CLUSTERS`].
    fn clusters<const N: usize>(&self, persons: &[[f64; N]], purpose: &str) -> Vec<[f64; N]> {
        if persons.len() <= Self::CLUSTERS {
            return persons.to_vec();
        }
        let mut clusters = vec![[0.0; N]; Self::CLUSTERS];
        for (person, cluster) in persons.iter().zip(self.cluster_of(persons.len(), purpose)) {
            clusters[cluster as usize].iter_mut().zip(person).for_each(|(sum, v)| *sum += v);
        }
        clusters
    }

    /// The cluster of each person: its own, or a random one of nearly equal size.
    fn cluster_of(&self, persons: usize, purpose: &str) -> Vec<u32> {
        let mut order: Vec<u32> = (0..persons as u32).collect();
        if persons <= Self::CLUSTERS {
            return order;
        }
        let mut rng = Streams::new(self.seed, purpose).block(0);
        (1..persons).rev().for_each(|i| order.swap(i, below(&mut rng, i + 1)));
        order.iter_mut().for_each(|place| *place %= Self::CLUSTERS as u32);
        order
    }

    fn resampled(&self, job: &Job, figure: impl Fn(u64) -> f64 + Sync) -> Result<Vec<f64>> {
        (0..self.resamples as u64)
            .into_par_iter()
            .map(|r| {
                job.check()?;
                Ok(figure(r))
            })
            .collect()
    }

    fn interval(&self, value: f64, mut drawn: Vec<f64>, acceleration: f64) -> Option<Estimate> {
        drawn.retain(|v| !v.is_nan());
        if value.is_nan() || drawn.is_empty() {
            return None;
        }
        drawn.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        let (low, high) = match self.method {
            BootstrapMethod::Percentile => (tail, 1.0 - tail),
            BootstrapMethod::Accelerated => {
                let less = drawn.partition_point(|v| *v < value) as f64;
                let equal = drawn.partition_point(|v| *v <= value) as f64 - less;
                // Half of the equal ones, and never 0 or 1, which have no quantile.
                let share = (less + equal / 2.0).clamp(0.5, drawn.len() as f64 - 0.5) / drawn.len() as f64;
                let bias = normal_quantile(share);
                // Without any spread the moments are 0 / 0.
                let acceleration = if acceleration.is_finite() { acceleration } else { 0.0 };
                let moved = |p: f64| {
                    let z = bias + normal_quantile(p);
                    normal_cdf(bias + z / (1.0 - acceleration * z))
                };
                (moved(tail), moved(1.0 - tail))
            }
        };
        Some(Estimate { value, low: order_statistic(&drawn, low), high: order_statistic(&drawn, high) })
    }
}

/// Quantile of sorted values, linear between the order statistics at p (n + 1), the ends beyond them.
fn order_statistic(sorted: &[f64], p: f64) -> f64 {
    let place = (p * (sorted.len() as f64 + 1.0) - 1.0).clamp(0.0, sorted.len() as f64 - 1.0);
    let (low, high) = (sorted[place as usize], sorted[(place as usize + 1).min(sorted.len() - 1)]);
    if low == high { low } else { low + (high - low) * place.fract() }
}

fn total<const N: usize>(clusters: &[[f64; N]]) -> [f64; N] {
    let mut sums = [0.0; N];
    clusters.iter().for_each(|c| sums.iter_mut().zip(c).for_each(|(sum, v)| *sum += v));
    sums
}

fn without<const N: usize>(mut sums: [f64; N], cluster: [f64; N]) -> [f64; N] {
    sums.iter_mut().zip(cluster).for_each(|(sum, v)| *sum -= v);
    sums
}

fn draw<const N: usize>(clusters: &[[f64; N]], streams: &Streams, block: u64) -> [f64; N] {
    let mut rng = streams.block(block);
    let mut sums = [0.0; N];
    for _ in 0..clusters.len() {
        let cluster = &clusters[below(&mut rng, clusters.len())];
        sums.iter_mut().zip(cluster).for_each(|(sum, v)| *sum += v);
    }
    sums
}
