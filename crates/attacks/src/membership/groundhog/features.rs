//! Numbers that describe a set of rows (Stadler et al. 2022, section 4.2, and their feature sets).

use lookalike_core::{Domain, Frame, MISSING, Values};
use rayon::prelude::*;

/// Equal bins of a number.
const BINS: usize = 10;
/// Categories of a column whose indicators are correlated.
const INDICATORS: usize = 8;

/// What is computed of every set, with ranges and categories from the rows that the attacker holds.
pub(super) struct Plan {
    columns: Vec<Kind>,
    naive: bool,
    histogram: bool,
    correlation: bool,
}

enum Kind {
    Omitted,
    /// Range of the held rows.
    Number {
        min: f64,
        max: f64,
    },
    /// Number of labels, and the most frequent of them.
    Category {
        labels: usize,
        frequent: Vec<u32>,
    },
}

impl Plan {
    pub fn new(held: &[&Frame], features: &str) -> Self {
        let columns = held.first().map_or(0, |f| f.columns().len());
        let kind = |c: usize| {
            let parts = || held.iter().filter_map(move |f| f.columns().get(c)).map(|c| &c.values);
            match held.first().map(|f| &f.columns()[c].domain) {
                Some(Domain::Number(_)) => {
                    let values = || parts().filter_map(Values::numbers).flatten().copied().filter(|v| !v.is_nan());
                    let min = values().reduce(f64::min).unwrap_or(0.0);
                    Kind::Number { min, max: values().reduce(f64::max).unwrap_or(0.0) }
                }
                Some(Domain::Category(domain)) => {
                    let count = count(domain.labels.len(), parts().filter_map(Values::codes).flatten().copied());
                    let mut frequent: Vec<u32> = (0..domain.labels.len() as u32).collect();
                    frequent.sort_by_key(|&code| std::cmp::Reverse(count[code as usize]));
                    frequent.truncate(INDICATORS);
                    Kind::Category { labels: domain.labels.len(), frequent }
                }
                _ => Kind::Omitted,
            }
        };
        let has = |name: &str| features == name || features == "all";
        Self {
            columns: (0..columns).map(kind).collect(),
            naive: has("naive"),
            histogram: has("histogram"),
            correlation: has("correlation"),
        }
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        let sum = |of: fn(&Kind) -> usize| self.columns.iter().map(of).sum::<usize>();
        let variables = sum(|k| match k {
            Kind::Omitted => 0,
            Kind::Number { .. } => 1,
            Kind::Category { frequent, .. } => frequent.len(),
        });
        let bars = sum(|k| match k {
            Kind::Omitted => 0,
            Kind::Number { .. } => BINS + 1,
            Kind::Category { labels, .. } => labels + 1,
        });
        let naive = sum(|k| if matches!(k, Kind::Omitted) { 0 } else { 4 });
        usize::from(self.naive) * naive
            + usize::from(self.histogram) * bars
            + usize::from(self.correlation) * variables * variables.saturating_sub(1) / 2
    }

    /// The features of a set, a list for each kind of them.
    pub fn features(&self, rows: &Frame) -> Vec<Vec<f64>> {
        // In canonical order, so that sums do not depend on the order of the rows.
        let rows = rows.gather(&rows.canonical_order());
        let each = |of: &dyn Fn(&Kind, &Values) -> Vec<f64>| -> Vec<f64> {
            self.columns.iter().zip(rows.columns()).flat_map(|(kind, column)| of(kind, &column.values)).collect()
        };
        let mut groups = vec![];
        if self.naive {
            groups.push(each(&naive));
        }
        if self.histogram {
            groups.push(each(&histogram));
        }
        if self.correlation {
            groups.push(self.correlations(&rows));
        }
        groups
    }

    /// Pearson correlations of all pairs of numbers and indicators; NULL sits at the mean, and what never differs correlates
    /// with nothing.
    fn correlations(&self, rows: &Frame) -> Vec<f64> {
        let mut variables: Vec<Vec<f64>> = vec![];
        for (kind, column) in self.columns.iter().zip(rows.columns()) {
            match (kind, &column.values) {
                (Kind::Number { .. }, Values::Number(values)) => variables.push(values.clone()),
                (Kind::Category { frequent, .. }, Values::Code(codes)) => {
                    let indicator = |code: &u32| codes.iter().map(|c| f64::from(u8::from(c == code))).collect();
                    variables.extend(frequent.iter().map(indicator));
                }
                _ => {}
            }
        }
        variables.par_iter_mut().for_each(|values| centre(values));
        let pairs: Vec<(usize, usize)> = (0..variables.len()).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        let product = |&(i, j): &(usize, usize)| variables[i].iter().zip(&variables[j]).map(|(a, b)| a * b).sum();
        pairs.par_iter().map(product).collect()
    }
}

/// Deviations from the mean, scaled to length 1.
fn centre(values: &mut [f64]) {
    let present = || values.iter().filter(|v| !v.is_nan());
    let mean = present().sum::<f64>() / present().count().max(1) as f64;
    values.iter_mut().for_each(|v| *v = if v.is_nan() { 0.0 } else { *v - mean });
    let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length > 0.0 {
        values.iter_mut().for_each(|v| *v /= length);
    }
}

/// Rows of each code, then those without.
fn count(labels: usize, codes: impl Iterator<Item = u32>) -> Vec<u64> {
    let mut count = vec![0; labels + 1];
    codes.for_each(|code| count[if code == MISSING { labels } else { (code as usize).min(labels) }] += 1);
    count
}

/// A number: mean, median, variance and share of NULL. A category: the most and the least common of those that occur, with
/// their shares.
fn naive(kind: &Kind, values: &Values) -> Vec<f64> {
    match (kind, values) {
        (Kind::Number { .. }, Values::Number(values)) => {
            let mut present: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
            present.sort_unstable_by(f64::total_cmp);
            let n = present.len().max(1) as f64;
            let mean = present.iter().sum::<f64>() / n;
            let variance = present.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            let middle = |i: usize| present.get(i).copied().unwrap_or(0.0);
            let median = 0.5 * (middle(present.len() / 2) + middle(present.len().saturating_sub(1) / 2));
            vec![mean, median, variance, 1.0 - present.len() as f64 / values.len().max(1) as f64]
        }
        (Kind::Category { labels, .. }, Values::Code(codes)) => {
            let count = count(*labels, codes.iter().copied());
            let occurring = || (0..*labels).filter(|&code| count[code] > 0);
            // Of equally common ones the first.
            let most = occurring().max_by_key(|&code| (count[code], std::cmp::Reverse(code))).unwrap_or(0);
            let least = occurring().min_by_key(|&code| count[code]).unwrap_or(0);
            let share = |code: usize| count[code] as f64 / codes.len().max(1) as f64;
            vec![most as f64, share(most), least as f64, share(least)]
        }
        _ => vec![],
    }
}

/// Shares of equal bins over the range of the held rows (what lies outside is in the outermost), of categories, and of NULL.
fn histogram(kind: &Kind, values: &Values) -> Vec<f64> {
    let count = match (kind, values) {
        (Kind::Number { min, max }, Values::Number(values)) => {
            let scale = if max > min { BINS as f64 / (max - min) } else { 0.0 };
            let bin = |v: &f64| {
                if v.is_nan() { MISSING } else { (((v - min) * scale).max(0.0) as u32).min(BINS as u32 - 1) }
            };
            count(BINS, values.iter().map(bin))
        }
        (Kind::Category { labels, .. }, Values::Code(codes)) => count(*labels, codes.iter().copied()),
        _ => return vec![],
    };
    let rows = count.iter().sum::<u64>().max(1) as f64;
    count.into_iter().map(|c| c as f64 / rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_frames::{codes, frame, identifier, numbers};

    #[test]
    fn features_by_hand() {
        let held =
            frame(vec![identifier("id"), numbers("x", &[0.0, 10.0, 5.0, 5.0]), codes("c", 3, &[0, 0, 2, MISSING])]);
        let set = frame(vec![
            identifier("id"),
            numbers("x", &[1.0, 3.0, 12.0, f64::NAN]),
            codes("c", 3, &[1, 2, 2, MISSING]),
        ]);
        let of = |features: &str| {
            let plan = Plan::new(&[&held], features);
            let found = plan.features(&set);
            assert_eq!(plan.width(), found.iter().map(Vec::len).sum::<usize>());
            found
        };
        // 1, 3, 12: mean 16/3, median 3, variance (13^2 + 7^2 + 20^2) / 27; one of four is NULL.
        let naive = &of("naive")[0];
        let expected = [16.0 / 3.0, 3.0, 618.0 / 27.0, 0.25, 2.0, 0.5, 1.0, 0.25];
        assert!(naive.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{naive:?}");
        let mut bars = vec![0.0; 15];
        // Bins of width 1; 12 is in the last. Categories 1 and 2, then NULL.
        for (bar, share) in [(1, 0.25), (3, 0.25), (9, 0.25), (10, 0.25), (12, 0.25), (13, 0.5), (14, 0.25)] {
            bars[bar] = share;
        }
        assert_eq!(of("histogram")[0], bars);
        // Indicators of 0, 2, 1 in this order (0 and 2 are held, 0 more often). x: -13/3, -7/3, 20/3, 0; 2: -1/2, 1/2,
        // 1/2, -1/2; 1: 3/4, -1/4, -1/4, -1/4. Pairs (0, x), (2, x), (2, 0), (1, x), (1, 0), (1, 2).
        let x = (618.0f64 / 9.0).sqrt();
        let expected = [0.0, 13.0 / 3.0 / x, 0.0, -13.0 / 3.0 / (x * 0.75f64.sqrt()), 0.0, -0.5 / 0.75f64.sqrt()];
        let found = &of("correlation")[0];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {expected:?}");
        assert_eq!(of("all").len(), 3);
    }
}
