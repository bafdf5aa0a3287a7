//! Singling out: predicates made from the synthetic rows that turn out to match exactly one real person.
//!
//! The first of the three risks of Opinion 05/2014 of the Article 29 Working Party, attacked as by Giomi et al. 2023 ("A
//! Unified Framework for Quantifying Privacy Risk in Synthetic Data", PoPETs, section 5.1), after Cohen & Nissim 2020
//! ("Towards Formalizing the GDPR's Notion of Singling Out").

mod make;
mod predicates;

use lookalike_core::{Error, Frame, Job, Result, Streams};
use rayon::prelude::*;

use crate::outcome::{AttackOutcome, Tally};
use crate::targets::common_rows_note;
use make::Maker;
pub use predicates::{Condition, Matcher, Op, Predicate};

/// What predicates are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinglingOutMode {
    /// Rare and extreme values of one column.
    Univariate,
    /// Conjunctions on several columns.
    Multivariate,
}

impl SinglingOutMode {
    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            SinglingOutMode::Univariate => "univariate",
            SinglingOutMode::Multivariate => "multivariate",
        }
    }
}

/// Parameters of [`singling_out`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinglingOutParams {
    /// Kind of predicates.
    pub mode: SinglingOutMode,
    /// Predicates to make, and random ones for the baseline.
    pub attempts: usize,
    /// Columns in a multivariate predicate.
    pub columns_per_query: usize,
    /// Seed.
    pub seed: u64,
}

/// Makes predicates that match exactly one synthetic row (person, where it has units), and counts how many match exactly
/// one row (person) of the training rows, beside how many do in the control. The baseline are random predicates.
///
/// Rows count as they are: two persons of the same content are not singled out. (Anonymeter drops repeated rows of all
/// relations first.) The attempts are the predicates that could be made, which may be fewer than asked for.
///
/// In a control of another size than the training rows other predicates single out, so its successes are put to the
/// size n of the training rows, see [`rescaled`].
///
/// Fails (data) when a relation is empty and (argument) when there are fewer columns than a predicate takes.
pub fn singling_out(
    synthetic: &Frame,
    train: &Frame,
    control: Option<&Frame>,
    params: SinglingOutParams,
    job: &Job,
) -> Result<AttackOutcome> {
    for (role, frame) in [("synthetic", Some(synthetic)), ("train", Some(train)), ("control", control)] {
        if frame.is_some_and(|f| f.rows() == 0) {
            return Err(Error::data(format!("the relation '{role}' has no rows")));
        }
    }
    let streams = |purpose: &str| Streams::new(params.seed, &format!("{} {purpose}", params.mode.name()));
    let maker = Maker::new(synthetic, job)?;
    if maker.columns() == 0 {
        return Err(Error::data("no column is left to compare: all are identifiers"));
    }
    let width = match params.mode {
        SinglingOutMode::Univariate => 1,
        SinglingOutMode::Multivariate => params.columns_per_query,
    };
    if width == 0 || width > maker.columns() {
        return Err(Error::argument(format!(
            "option 'columns_per_query' is {width}, allowed is an integer from 1 to {}, the number of compared columns",
            maker.columns()
        )));
    }
    let made = match params.mode {
        SinglingOutMode::Univariate => maker.univariate(params.attempts, &streams("attack"), job)?,
        SinglingOutMode::Multivariate => maker.multivariate(params.attempts, width, &streams("attack"), job)?,
    };
    let random = maker.random(params.attempts, width, &streams("baseline"));
    let of_train = Matcher::new(train, job)?;
    let mut notes = vec![];
    if made.len() < params.attempts {
        notes.push(format!(
            "{} of the {} predicates asked for: no more were found that match one synthetic row",
            made.len(),
            params.attempts
        ));
    }
    let people = train.unit_count().min(control.map_or(usize::MAX, Frame::unit_count));
    if made.len() > people {
        notes.push(format!(
            "{} predicates on {people} people are not independent: intervals are too narrow",
            made.len()
        ));
    }
    let control = match control {
        None => None,
        Some(control) => {
            notes.extend(common_rows_note(("control", control), ("train", train), job)?);
            let matcher = Matcher::new(control, job)?;
            let (n, m) = (train.unit_count(), control.unit_count());
            let successes = if n == m {
                singled_out(&matcher, &made, job)? as f64
            } else {
                let counts = counts(&matcher, &made, usize::MAX, job)?;
                notes.push(format!("control of {m}, not {n}: its successes are rescaled"));
                rescaled(&counts, m, n)
            };
            Some(Tally { attempts: made.len() as u64, successes })
        }
    };
    Ok(AttackOutcome {
        attack: params.mode.name(),
        requested: params.attempts as u64,
        train: Tally { attempts: made.len() as u64, successes: singled_out(&of_train, &made, job)? as f64 },
        baseline: Tally { attempts: random.len() as u64, successes: singled_out(&of_train, &random, job)? as f64 },
        control,
        notes,
    })
}

fn counts(matcher: &Matcher, predicates: &[Predicate], limit: usize, job: &Job) -> Result<Vec<usize>> {
    let count = |predicate: &Predicate| {
        job.check()?;
        Ok(matcher.count(predicate, limit))
    };
    predicates.par_iter().map(count).collect()
}

/// Predicates that match exactly one row or person.
fn singled_out(matcher: &Matcher, predicates: &[Predicate], job: &Job) -> Result<usize> {
    Ok(counts(matcher, predicates, 2, job)?.into_iter().filter(|&n| n == 1).count())
}

/// How many of the predicates that match `counts` of `size` persons each are to be expected to match exactly one of
/// `wanted` persons of the same population.
///
/// Of at most `size` wanted persons: the mean over all subsets, for a count c by the hypergeometric probability
/// c · C(size - c, wanted - 1) / C(size, wanted). Of more: the successes at `size` times I(wanted, w) / I(size, w), where
/// I(n, w) = (1 - (n w + 1)(1 - w)^n) / (n + 1) is the integral of n v (1 - v)^(n - 1) over weights v up to w (Giomi et al.
/// 2023, section 5.1; Cohen & Nissim 2020); w is the weight at which I(size, w) / I(size / 2, w) is the ratio of the
/// successes at the full and at half the size, w → 0 where there is none. Anonymeter fits w to samples instead.
pub fn rescaled(counts: &[usize], size: usize, wanted: usize) -> f64 {
    let at = |n: usize| -> f64 {
        let mut histogram: Vec<usize> = counts.iter().copied().filter(|&c| c > 0).collect();
        histogram.sort_unstable();
        histogram.iter().map(|&c| exactly_one(c, size, n)).sum()
    };
    if wanted <= size {
        return at(wanted);
    }
    let (full, half) = (at(size), at(size / 2));
    if full == 0.0 {
        return 0.0;
    }
    let integral = |n: f64, w: f64| (1.0 - (n * w + 1.0) * libm::pow(1.0 - w, n)) / (n + 1.0);
    let (size, wanted) = (size as f64, wanted as f64);
    let ratio = |w: f64| integral(size, w) / integral((size / 2.0).floor(), w);
    // From 1e-3 / size on the integral keeps enough digits; below it grows as n does.
    let (mut low, mut high) = (1e-3 / size, 1.0);
    let target = full / half;
    if half == 0.0 || target >= ratio(low) {
        return full * wanted / size;
    }
    for _ in 0..100 {
        let middle = (low * high).sqrt();
        if ratio(middle) > target { low = middle } else { high = middle }
    }
    full * integral(wanted, low) / integral(size, low)
}

/// Probability that exactly one of `count` marked of `size` is among `drawn`.
fn exactly_one(count: usize, size: usize, drawn: usize) -> f64 {
    if drawn == 0 || count == 0 || count - 1 > size - drawn {
        return 0.0;
    }
    if drawn == size {
        return f64::from(u8::from(count == 1));
    }
    // count · drawn/size · the others outside: (size - drawn - i)/(size - 1 - i).
    let mut p = count as f64 * (drawn as f64 / size as f64);
    for i in 0..count - 1 {
        p *= (size - drawn - i) as f64 / (size - 1 - i) as f64;
        if p < 1e-300 {
            return 0.0;
        }
    }
    p
}

#[cfg(test)]
mod tests;
