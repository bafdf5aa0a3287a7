//! Linkability: synthetic rows that tell which two halves of a record belong to one person.
//!
//! The second of the three risks of Opinion 05/2014 of the Article 29 Working Party, attacked as by Giomi et al. 2023 (PoPETs,
//! section 5.2).

use lookalike_core::{Error, Frame, Job, Result};
use rayon::prelude::*;

use crate::Metric;
use crate::nearby::{Near, Nearby, nearby};
use crate::outcome::{AttackOutcome, Tally};
use crate::targets::{common_rows_note, positions, restricted, sample, tally};

/// Parameters of [`linkability`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkabilityParams {
    /// Columns of one source that the attacker has.
    pub columns_a: Vec<String>,
    /// Columns of the other; none of the first.
    pub columns_b: Vec<String>,
    /// Synthetic rows that are taken for near on each side.
    pub neighbours: usize,
    /// Distance on each side, scaled by the synthetic rows.
    pub metric: Metric,
    /// Targets to draw, from the control as well; all when not set.
    pub max_targets: Option<usize>,
    /// Seed of the draw.
    pub seed: u64,
}

/// An attacker holds two tables about the same people with different columns. For every target, the `neighbours` nearest
/// synthetic rows on the columns of either table; when they share a row, the attacker links the two halves.
///
/// Which of equally near rows are among the nearest is left to chance, on either side independently, and the expected
/// share of links counts, exactly: successes need not be whole. Of a person with several rows the mean over the rows
/// counts. The baseline takes random rows on both sides, also as its exact expectation,
/// 1 - C(s - k, k)/C(s, k) with s synthetic rows.
///
/// Fails (data) when a relation is empty or a column is an identifier, and (argument) when the column sets are empty or
/// overlap or there are fewer synthetic rows than neighbours.
pub fn linkability(
    synthetic: &Frame,
    train: &Frame,
    control: Option<&Frame>,
    params: &LinkabilityParams,
    job: &Job,
) -> Result<AttackOutcome> {
    for (role, frame) in [("synthetic", Some(synthetic)), ("train", Some(train)), ("control", control)] {
        if frame.is_some_and(|f| f.rows() == 0) {
            return Err(Error::data(format!("the relation '{role}' has no rows")));
        }
    }
    if let Some(both) = params.columns_a.iter().find(|c| params.columns_b.contains(c)) {
        return Err(Error::argument(format!(
            "columns_b: column '{both}' is in columns_a as well, which links trivially"
        )));
    }
    let k = params.neighbours;
    if k == 0 || k > synthetic.rows() {
        return Err(Error::argument(format!(
            "option 'neighbours' is {k}, allowed is an integer from 1 to {}, the number of synthetic rows",
            synthetic.rows()
        )));
    }
    let sides =
        [positions("columns_a", &params.columns_a, synthetic)?, positions("columns_b", &params.columns_b, synthetic)?];
    let attack = |targets: &Frame| -> Result<Tally> {
        let mut found = vec![];
        for columns in &sides {
            let (synthetic, targets) = (restricted(synthetic, columns), restricted(targets, columns));
            found.push(nearby(params.metric, &synthetic, &targets, k, job)?);
        }
        let [a, b] = &found[..] else { return Err(Error::internal("two sides")) };
        Ok(tally(targets, &links(a, b, targets.rows(), synthetic.rows(), k, job)?))
    };
    let mut notes = vec![];
    let drawn = sample(train, params.max_targets, params.seed);
    if let Some(drawn) = &drawn {
        notes.push(format!("a sample of {} of {} targets", drawn.unit_count(), train.unit_count()));
    }
    let of_control = match control {
        None => None,
        Some(control) => {
            notes.extend(common_rows_note(("control", control), ("train", train), job)?);
            let drawn = sample(control, params.max_targets, params.seed);
            Some(attack(drawn.as_ref().unwrap_or(control))?)
        }
    };
    let of_train = attack(drawn.as_ref().unwrap_or(train))?;
    let by_chance = 1.0 - avoids(synthetic.rows(), k, k);
    Ok(AttackOutcome {
        attack: "linkability",
        requested: of_train.attempts,
        train: of_train,
        baseline: Tally { attempts: of_train.attempts, successes: by_chance * of_train.attempts as f64 },
        control: of_control,
        notes,
    })
}

/// The probability of a link for every target.
fn links(a: &Nearby, b: &Nearby, targets: usize, synthetic: usize, k: usize, job: &Job) -> Result<Vec<f64>> {
    let threads = rayon::current_num_threads();
    let _memory = job.reserve(targets * 8 + threads * synthetic, "links")?;
    // Where a synthetic row stands on the side of A: not near, nearer, tied.
    let mut result = vec![0.0; targets];
    let share = targets.div_ceil(4 * threads).max(1);
    result.par_chunks_mut(share).enumerate().try_for_each(|(i, out)| {
        let mut place = vec![0u8; synthetic];
        for (j, out) in out.iter_mut().enumerate() {
            job.check()?;
            let target = i * share + j;
            *out = link(a, a.of(target), b, b.of(target), &mut place, k);
        }
        Ok::<(), Error>(())
    })?;
    Ok(result)
}

fn link(a: &Nearby, near_a: &Near, b: &Nearby, near_b: &Near, place: &mut [u8], k: usize) -> f64 {
    let rows = |side: &Nearby, groups: &[u32]| -> Vec<u32> {
        groups.iter().flat_map(|&g| side.references.rows(g).iter().copied()).collect()
    };
    let (nearer_a, tied_a) = (rows(a, &near_a.nearer), rows(a, &near_a.tied));
    let (nearer_b, tied_b) = (rows(b, &near_b.nearer), rows(b, &near_b.tied));
    nearer_a.iter().for_each(|&r| place[r as usize] = 1);
    tied_a.iter().for_each(|&r| place[r as usize] = 2);
    let count = |rows: &[u32], at: u8| rows.iter().filter(|&&r| place[r as usize] == at).count();
    let surely = count(&nearer_b, 1);
    let (nearer_only_a, nearer_only_b, both_tied) = (count(&tied_b, 1), count(&nearer_b, 2), count(&tied_b, 2));
    nearer_a.iter().chain(&tied_a).for_each(|&r| place[r as usize] = 0);
    if surely > 0 {
        return 1.0;
    }
    let (draws_a, draws_b) = (k - nearer_a.len(), k - nearer_b.len());
    // A avoids what is nearer in B; of the rest it draws some that B ties with, and B must avoid these and what is nearer
    // in A.
    let free_a = tied_a.len() - nearer_only_b;
    let mut unlinked = 0.0;
    let avoided = avoids(tied_a.len(), nearer_only_b, draws_a);
    if avoided > 0.0 {
        for (shared, p) in hypergeometric(free_a, both_tied, draws_a) {
            unlinked += p * avoids(tied_b.len(), nearer_only_a + shared, draws_b);
        }
    }
    1.0 - avoided * unlinked
}

/// Probability that `draws` of `total` without replacement avoid `marked` of them.
fn avoids(total: usize, marked: usize, draws: usize) -> f64 {
    if draws + marked > total {
        return 0.0;
    }
    (0..draws).map(|i| (total - marked - i) as f64 / (total - i) as f64).product()
}

/// How many marked ones are among `draws` of `total`, with probabilities; `draws` is at most `total`.
fn hypergeometric(total: usize, marked: usize, draws: usize) -> Vec<(usize, f64)> {
    let (least, most) = ((draws + marked).saturating_sub(total), marked.min(draws));
    let others = total - marked;
    let mut result = vec![];
    // From the end where the probability is large enough not to vanish.
    if least == 0 && 2 * marked <= total {
        let mut p = avoids(total, marked, draws);
        for j in 0..=most {
            result.push((j, p));
            p *= ((marked - j) * (draws - j)) as f64 / ((j + 1) * (others + j + 1 - draws).max(1)) as f64;
        }
    } else {
        let mut p: f64 = if draws <= marked {
            (0..draws).map(|i| (marked - i) as f64 / (total - i) as f64).product()
        } else {
            (0..marked).map(|i| (draws - i) as f64 / (total - i) as f64).product()
        };
        for j in (least..=most).rev() {
            result.push((j, p));
            p *= (j * (others + j - draws)) as f64 / ((marked + 1 - j) * (draws + 1 - j)) as f64;
        }
    }
    result
}

#[cfg(test)]
mod tests;
