//! Intervals of means over rows, where rows of one person belong together.

use lookalike_core::{Frame, Job, Result, Streams, below};
use lookalike_learners::{Bootstrap, Estimate, wilson};

pub(crate) const CONFIDENCE: f64 = 0.95;

/// The rows of a table in canonical order, and the person of each.
pub(crate) struct Persons {
    order: Vec<u32>,
    units: Option<(Vec<u32>, usize)>,
    seed: u64,
}

impl Persons {
    /// `seed` decides the resamples.
    pub fn of(frame: &Frame, seed: u64) -> Self {
        let units = frame.units().map(|u| (u.codes.clone(), u.count as usize));
        Self { order: frame.canonical_order(), units, seed }
    }

    /// Whether rows belong to persons.
    pub fn are_given(&self) -> bool {
        self.units.is_some()
    }

    /// The person of a row, a number of its own for each row without persons.
    pub fn of_row(&self, row: usize) -> u32 {
        self.units.as_ref().map_or(row as u32, |(codes, _)| codes[row])
    }

    /// Sums over the rows of every person, in an order that does not depend on the input's.
    pub fn sums<const N: usize>(&self, value: impl Fn(usize) -> [f64; N]) -> Vec<[f64; N]> {
        let rows = self.order.iter().map(|&row| row as usize);
        match &self.units {
            None => rows.map(value).collect(),
            Some((codes, count)) => {
                let (mut sums, mut held) = (vec![[0.0; N]; *count], vec![false; *count]);
                for row in rows {
                    let person = codes[row] as usize;
                    sums[person].iter_mut().zip(value(row)).for_each(|(sum, v)| *sum += v);
                    held[person] = true;
                }
                sums.into_iter().zip(held).filter_map(|(sum, held)| held.then_some(sum)).collect()
            }
        }
    }

    /// A figure of sums over persons, resampled. NaN where it does not exist; no interval of fewer than two persons.
    pub fn figure<const N: usize>(
        &self,
        value: impl Fn(usize) -> [f64; N],
        figure: impl Fn([f64; N]) -> f64 + Sync,
        job: &Job,
    ) -> Result<(f64, Option<(f64, f64)>)> {
        let sums = self.sums(value);
        let boot = Bootstrap { seed: self.seed, confidence: CONFIDENCE, ..Bootstrap::default() };
        Ok(match boot.of_sums(&sums, &figure, job)? {
            Some(Estimate { value, low, high }) => (value, Some((low, high))),
            None => {
                let total = sums.iter().fold([0.0; N], |mut total, sum| {
                    total.iter_mut().zip(sum).for_each(|(t, s)| *t += s);
                    total
                });
                (figure(total), None)
            }
        })
    }

    /// The mean of a value over all rows.
    pub fn mean(&self, value: impl Fn(usize) -> f64, job: &Job) -> Result<(f64, Option<(f64, f64)>)> {
        self.figure(|row| [value(row), 1.0], |[sum, rows]| sum / rows, job)
    }

    /// The share of rows for which something holds, with Wilson's interval over rows or one from resampled persons.
    pub fn share(&self, holds: impl Fn(usize) -> bool, job: &Job) -> Result<(f64, Option<(f64, f64)>)> {
        if self.units.is_some() {
            return self.mean(|row| f64::from(u8::from(holds(row))), job);
        }
        let (n, k) = (self.order.len() as f64, self.order.iter().filter(|&&row| holds(row as usize)).count() as f64);
        let (low, high) = wilson(k, n, CONFIDENCE);
        // At shares of 0 and 1 an end is the share itself, but for rounding.
        let share = k / n;
        Ok((share, (n > 0.0).then(|| (low.min(share), high.max(share)))))
    }

    /// Persons at random in `folds` parts of nearly equal size: the part of each row. `None` with fewer persons.
    pub fn folds(&self, folds: usize, purpose: &str) -> Option<Vec<usize>> {
        let mut persons: Vec<u32> = match &self.units {
            None => self.order.clone(),
            Some((codes, count)) => {
                let mut held = vec![false; *count];
                codes.iter().for_each(|&person| held[person as usize] = true);
                (0..*count as u32).filter(|&person| held[person as usize]).collect()
            }
        };
        if persons.len() < folds {
            return None;
        }
        shuffle(&mut persons, self.seed, purpose);
        let largest = persons.iter().max().map_or(0, |p| *p as usize + 1);
        let mut fold = vec![0; largest];
        persons.iter().enumerate().for_each(|(i, &person)| fold[person as usize] = i % folds);
        Some((0..self.order.len()).map(|row| fold[self.of_row(row) as usize]).collect())
    }
}

/// Random order by seed and purpose.
fn shuffle(items: &mut [u32], seed: u64, purpose: &str) {
    let mut rng = Streams::new(seed, purpose).block(0);
    (1..items.len()).rev().for_each(|i| items.swap(i, below(&mut rng, i + 1)));
}

/// At most so many rows of a table, drawn by content and seed; `None` where it has no more.
pub(crate) fn drawn(frame: &Frame, most: Option<usize>, seed: u64, purpose: &str) -> Option<Frame> {
    let most = most.filter(|most| *most < frame.rows())?;
    let mut rows = frame.canonical_order();
    shuffle(&mut rows, seed, purpose);
    rows.truncate(most);
    Some(frame.gather_persons(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_frames::{frame, numbers, with_units};

    #[test]
    fn shares_and_sums_by_hand() {
        let rows = frame(vec![numbers("x", &[1.0, 2.0, 3.0, 4.0])]);
        let job = Job::unbounded();
        let (share, interval) = Persons::of(&rows, 1).share(|row| row < 1, &job).unwrap();
        assert_eq!((share, interval), (0.25, Some(wilson(1.0, 4.0, 0.95))));
        // Person 0 has three of the rows; nobody is 1 or 2 but in number.
        let persons = Persons::of(&with_units(rows, vec![0, 0, 3, 0]), 1);
        assert_eq!(persons.sums(|row| [row as f64, 1.0]), [[4.0, 3.0], [2.0, 1.0]]);
        let (mean, interval) = persons.mean(|row| row as f64, &job).unwrap();
        assert_eq!(mean, 1.5);
        // Means of resamples are 4/3, 3/2 and 2.
        let (low, high) = interval.unwrap();
        assert!((low - 4.0 / 3.0).abs() < 1e-12 && (high - 2.0).abs() < 1e-12, "{low} {high}");
    }

    #[test]
    fn persons_stay_in_one_fold() {
        let rows = frame(vec![numbers("x", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
        let persons = Persons::of(&with_units(rows, vec![0, 1, 0, 2, 1, 0]), 3);
        let folds = persons.folds(3, "folds").unwrap();
        assert!(folds[0] == folds[2] && folds[0] == folds[5] && folds[1] == folds[4]);
        let mut parts = [folds[0], folds[1], folds[3]];
        parts.sort_unstable();
        assert_eq!(parts, [0, 1, 2]);
        assert_eq!(persons.folds(4, "folds"), None);
    }

    #[test]
    fn a_draw_depends_on_content_alone() {
        let rows = frame(vec![numbers("x", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
        let values = |f: &Frame| {
            let mut v = f.columns()[0].values.numbers().unwrap().to_vec();
            v.sort_unstable_by(f64::total_cmp);
            v
        };
        let one = drawn(&rows, Some(3), 1, "draw").unwrap();
        let other = drawn(&rows.gather(&[5, 3, 1, 0, 2, 4]), Some(3), 1, "draw").unwrap();
        assert_eq!((one.rows(), values(&one)), (3, values(&other)));
        assert!(drawn(&rows, Some(6), 1, "draw").is_none() && drawn(&rows, None, 1, "draw").is_none());
    }
}
