//! Counting queries on random columns: how many synthetic rows look like the target?

use lookalike_core::{Column, Default, Frame, Job, Options, ParamKind, ParamSpec, Result, Streams, Values, below};
use rayon::prelude::*;

use super::sets::Sets;
use super::shadow::{SHADOW_MODELS, Shadows, TRAINING_ROWS};
use super::{Attack, Evidence};

/// A classifier of synthetic sets by how many rows agree with the target on random sets of columns.
#[derive(Debug, Clone, Copy)]
pub struct QuerybasedAttack;

const QUERIES: ParamSpec = ParamSpec {
    name: "queries",
    kind: ParamKind::Int { min: 1, max: 100_000 },
    default: Default::Int(100),
    purpose: "Counting queries, each on random columns.",
};

impl Attack for QuerybasedAttack {
    fn name(&self) -> &'static str {
        "querybased"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by a classifier that tells shadow generators trained with it from others, by counts of rows like the \
         target."
    }

    fn source(&self) -> &'static str {
        "Houssiau et al. 2022, TAPAS, https://arxiv.org/abs/2211.06550; Meeus et al. 2023, Achilles' Heels, \
         https://arxiv.org/abs/2306.10308"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[QUERIES, SHADOW_MODELS, TRAINING_ROWS]
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_trainer(&self) -> bool {
        true
    }

    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        options: &Options,
        seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>> {
        let shadows = Shadows::new(self.name(), targets, evidence, options, seed, job)?;
        if targets.rows() == 0 {
            return Ok(vec![]);
        }
        let queries = queries(targets, options.int(QUERIES.name).unwrap_or(100) as usize, seed);
        let sets = shadows.count() + 1;
        let _memory = job.reserve(targets.rows() * sets * queries.len() * 4, "counts of rows like the targets")?;
        // By target, then by set, the last of them the one under attack.
        let width = sets * queries.len();
        let mut counts = vec![0u32; targets.rows() * width];
        let mut count = |set: usize, sample: &Frame| {
            counts.par_chunks_exact_mut(width).enumerate().try_for_each(|(row, counts)| {
                job.check()?;
                count_alike(targets, row, sample, &queries, &mut counts[set * queries.len()..][..queries.len()]);
                Ok(())
            })
        };
        count(shadows.count(), evidence.synthetic()?)?;
        shadows.run(job, &mut count)?;
        let included: Vec<Vec<bool>> = (0..shadows.count()).map(|s| shadows.included(s)).collect();
        let scores = counts.par_chunks_exact(width).enumerate().map(|(row, counts)| {
            job.check()?;
            let features: Vec<Vec<f64>> =
                counts.chunks_exact(queries.len()).map(|set| set.iter().map(|&c| f64::from(c)).collect()).collect();
            let is_in: Vec<bool> = included.iter().map(|rows| rows[row]).collect();
            Ok(Sets::new(&[&features]).log_odds(&is_in))
        });
        Ok(shadows.level(scores.collect::<Result<_>>()?))
    }
}

/// Columns of each query: all columns first, then sets of a size drawn evenly from one to all of them. Drawn evenly among all
/// sets, as the source does, queries on a few of many columns would hardly occur.
fn queries(frame: &Frame, count: usize, seed: u64) -> Vec<Vec<usize>> {
    let columns: Vec<usize> =
        (0..frame.columns().len()).filter(|&c| frame.columns()[c].values != Values::Omitted).collect();
    let mut draw = Streams::new(seed, "queries").block(0);
    let mut random = || {
        let mut chosen = columns.clone();
        let size = 1 + below(&mut draw, columns.len());
        for i in 0..size {
            let other = i + below(&mut draw, columns.len() - i);
            chosen.swap(i, other);
        }
        chosen.truncate(size);
        chosen
    };
    std::iter::once(columns.clone()).chain(std::iter::repeat_with(&mut random)).take(count).collect()
}

/// For each query the rows that agree with the target on its columns: categories are equal, numbers at most the target's, NULL
/// agrees with NULL alone.
fn count_alike(targets: &Frame, row: usize, sample: &Frame, queries: &[Vec<usize>], counts: &mut [u32]) {
    let agreeing: Vec<Vec<u64>> =
        targets.columns().iter().zip(sample.columns()).map(|(target, column)| agreeing(target, row, column)).collect();
    let mut all = vec![0u64; sample.rows().div_ceil(64)];
    for (columns, count) in queries.iter().zip(counts) {
        all.fill(u64::MAX);
        for &column in columns {
            all.iter_mut().zip(&agreeing[column]).for_each(|(all, one)| *all &= one);
        }
        *count = all.iter().map(|word| word.count_ones()).sum();
    }
}

/// Rows that agree with the target on one column, a bit each.
fn agreeing(target: &Column, row: usize, column: &Column) -> Vec<u64> {
    fn bits<T: Copy>(values: &[T], agrees: impl Fn(T) -> bool) -> Vec<u64> {
        let word = |chunk: &[T]| chunk.iter().enumerate().fold(0, |word, (i, &v)| word | u64::from(agrees(v)) << i);
        values.chunks(64).map(word).collect()
    }
    match (&target.values, &column.values) {
        (Values::Number(target), Values::Number(values)) => {
            let target = target[row];
            if target.is_nan() { bits(values, f64::is_nan) } else { bits(values, |v| v <= target) }
        }
        (Values::Code(target), Values::Code(codes)) => {
            let target = target[row];
            bits(codes, |code| code == target)
        }
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use lookalike_core::MISSING;

    use super::*;
    use crate::test_frames::{codes, frame, numbers};

    #[test]
    fn counts_by_hand() {
        let targets = frame(vec![numbers("x", &[2.0, f64::NAN]), codes("c", 2, &[1, MISSING])]);
        let sample =
            frame(vec![numbers("x", &[1.0, 2.0, 3.0, f64::NAN, f64::NAN]), codes("c", 2, &[1, 0, 1, 1, MISSING])]);
        let queries = [vec![0, 1], vec![0], vec![1]];
        let count = |row| {
            let mut counts = [0; 3];
            count_alike(&targets, row, &sample, &queries, &mut counts);
            counts
        };
        // Row 0: x is at most 2 in rows 0 and 1, c is 1 in rows 0, 2, 3. Row 1: NULL in rows 3 and 4, and in row 4.
        assert_eq!((count(0), count(1)), ([1, 2, 3], [1, 2, 1]));
    }

    #[test]
    fn queries_begin_with_all_columns() {
        let rows = frame((0..5).map(|c| numbers(&format!("x{c}"), &[1.0])).collect());
        let found = queries(&rows, 200, 1);
        assert_eq!((found.len(), &found[0]), (200, &vec![0, 1, 2, 3, 4]));
        for size in 1..=5 {
            // Sizes are even: 199 / 5 = 39.8, sd sqrt(199 * 0.2 * 0.8) = 5.64; 4.9 sd are 27.6.
            let count = found[1..].iter().filter(|q| q.len() == size).count() as f64;
            assert!((count - 39.8).abs() < 27.6, "{size}: {count}");
        }
        assert!(found.iter().all(|q| (1..q.len()).all(|i| !q[..i].contains(&q[i]))));
        assert_ne!(queries(&rows, 200, 2), found);
    }
}
