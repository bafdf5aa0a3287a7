//! The values of a target as classes.

use lookalike_core::{Domain, Error, Frame, MISSING, Result, Values, closest, list_names};

use crate::measured::in_units;

/// Most classes of a number column.
const MAX_NUMBERS: usize = 100;

/// Classes that occur in any relation, in the order of their values.
pub(super) struct Classes {
    /// Class of each row of each relation; `None` for NULL.
    pub of_row: Vec<Vec<Option<u32>>>,
    /// Their names.
    pub names: Vec<String>,
    /// The one whose F1 is reported.
    pub positive: usize,
}

impl Classes {
    /// Of the target's column in all relations. The positive class is the one of that name, or else the rarest of those
    /// that the relation `train` has; of equally rare ones the last.
    pub fn of(frames: &[&Frame], target: usize, name: &str, positive: Option<&str>, train: usize) -> Result<Self> {
        let (codes, labels) = codes(frames, target, name)?;
        let mut held = vec![false; labels.len()];
        codes.iter().flatten().filter(|c| **c != MISSING).for_each(|&c| held[c as usize] = true);
        let mut place = vec![None; labels.len()];
        let mut names = vec![];
        for (label, held) in labels.into_iter().zip(held).enumerate().filter_map(|(i, (l, h))| h.then_some((l, i))) {
            place[held] = Some(names.len() as u32);
            names.push(label);
        }
        let class = |code: u32| place.get(code as usize).copied().flatten();
        let of_row: Vec<Vec<Option<u32>>> =
            codes.into_iter().map(|codes| codes.into_iter().map(class).collect()).collect();
        let mut counts = vec![0usize; names.len()];
        of_row[train].iter().flatten().for_each(|&c| counts[c as usize] += 1);
        let rarest = (0..names.len()).rev().filter(|&c| counts[c] > 0).min_by_key(|&c| counts[c]).unwrap_or(0);
        let positive = match positive {
            None => rarest,
            Some(wanted) => names.iter().position(|n| n == wanted).ok_or_else(|| {
                let hint = closest(wanted, names.iter().map(String::as_str));
                let hint = hint.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
                let some = list_names(names.iter().take(20).map(String::as_str));
                Error::argument(format!("positive: the target '{name}' is never '{wanted}'{hint} (values: {some})"))
            })?,
        };
        Ok(Self { of_row, names, positive })
    }

    /// Number of classes.
    pub fn count(&self) -> usize {
        self.names.len()
    }
}

/// The target's values as codes, and what they stand for.
fn codes(frames: &[&Frame], target: usize, name: &str) -> Result<(Vec<Vec<u32>>, Vec<String>)> {
    let columns = || frames.iter().map(|f| &f.columns()[target]);
    if let Some(Domain::Category(domain)) = columns().next().map(|c| &c.domain) {
        let codes = columns().map(|c| c.values.codes().unwrap_or_default().to_vec()).collect();
        return Ok((codes, domain.labels.clone()));
    }
    let numbers: Vec<Vec<f64>> = columns()
        .map(|c| match &c.values {
            Values::Number(v) => in_units(c, v),
            _ => vec![],
        })
        .collect();
    let mut values: Vec<f64> = numbers.iter().flatten().copied().filter(|v| !v.is_nan()).map(|v| v + 0.0).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    if values.len() > MAX_NUMBERS {
        return Err(Error::argument(format!(
            "task is 'classification', but the target '{name}' has {} different numbers, allowed are {MAX_NUMBERS}; cast it \
             to a string or use task => 'regression'",
            values.len()
        )));
    }
    let code = |v: &f64| match v.is_nan() {
        true => MISSING,
        false => values.partition_point(|other| other < v) as u32,
    };
    let codes = numbers.iter().map(|numbers| numbers.iter().map(code).collect()).collect();
    Ok((codes, values.iter().map(f64::to_string).collect()))
}
