//! Whom an attack is run on: persons and their rows, which of them are drawn, and what the relations have in common.

use std::collections::HashSet;

use lookalike_core::{Column, Error, Frame, Job, Result, Streams};
use rand::RngCore;

use crate::outcome::Tally;

/// A frame of the given columns, with the units of the whole.
pub(crate) fn restricted(frame: &Frame, columns: &[usize]) -> Frame {
    let columns: Vec<Column> = columns.iter().map(|&c| frame.columns()[c].clone()).collect();
    Frame::new(frame.rows(), columns, frame.units().cloned())
}

/// Positions of named columns that have values.
pub(crate) fn positions(option: &str, names: &[String], frame: &Frame) -> Result<Vec<usize>> {
    names
        .iter()
        .map(|name| {
            let place = frame.columns().iter().position(|c| c.name() == name);
            let place = place.ok_or_else(|| Error::internal(format!("{option}: column '{name}' was not encoded")))?;
            if frame.columns()[place].role() == lookalike_core::Role::Identifier {
                return Err(Error::data(format!(
                    "{option}: column '{name}' is an identifier, which has no values to compare: name the columns, or \
                     cast it to a number or a category"
                )));
            }
            Ok(place)
        })
        .collect()
}

/// The rows of every person in canonical order, persons in the order of their codes; without units every row is a
/// person, in canonical order. Persons without rows are left out.
pub(crate) fn rows_of_persons(frame: &Frame) -> Vec<Vec<u32>> {
    let order = frame.canonical_order();
    match frame.units() {
        None => order.into_iter().map(|row| vec![row]).collect(),
        Some(units) => {
            let mut persons = vec![vec![]; units.count as usize];
            order.iter().for_each(|&row| persons[units.codes[row as usize] as usize].push(row));
            persons.retain(|rows| !rows.is_empty());
            persons
        }
    }
}

/// Splits non-members in two halves: rows to be scored, and rows that serve as reference and are not scored. Both in
/// ascending order; with units all rows of a person are in the same half, and the reference is the smaller half of an
/// odd number of persons.
///
/// Persons are drawn by the content of their rows and the seed, so the halves hold the same rows in whatever order the
/// rows come.
///
/// Fails (data) with fewer than two persons.
pub fn split_reference(non_members: &Frame, seed: u64) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut persons = drawn(non_members, seed, "reference");
    if persons.len() < 2 {
        return Err(Error::data(format!(
            "non_members: {} in the relation, but half of them serve as reference: give at least 2, or reference => \
             relation",
            match (persons.len(), non_members.units()) {
                (0, _) => "no rows",
                (_, None) => "only one row",
                (_, Some(_)) => "only one person",
            }
        )));
    }
    let scored = persons.split_off(persons.len() / 2);
    Ok((ascending(scored), ascending(persons)))
}

/// The rows, in ascending order, of at most so many persons (rows without units), drawn by the content of their rows
/// and the seed: the same content in whatever order the rows come.
pub fn draw_targets(frame: &Frame, persons: usize, seed: u64) -> Vec<u32> {
    let mut all = drawn(frame, seed, "targets");
    all.truncate(persons);
    ascending(all)
}

/// The rows that [`draw_targets`] draws, with only those persons; `None` when there are no more than `max`.
pub(crate) fn sample(frame: &Frame, max: Option<usize>, seed: u64) -> Option<Frame> {
    let max = max.filter(|max| *max < frame.unit_count())?;
    Some(frame.gather_persons(&draw_targets(frame, max, seed)))
}

/// Persons with their rows, in an order that the seed and the content of their rows decide.
fn drawn(frame: &Frame, seed: u64, purpose: &str) -> Vec<Vec<u32>> {
    let streams = Streams::new(seed, purpose);
    let hashes = frame.row_hashes();
    let key = |rows: &[u32]| rows.iter().fold(0, |key, &row| streams.block(hashes[row as usize] ^ key).next_u64());
    let mut persons: Vec<(u64, Vec<u32>)> = rows_of_persons(frame).into_iter().map(|rows| (key(&rows), rows)).collect();
    // Stable: persons of equal content stay in their order, and it does not matter which of them is drawn.
    persons.sort_by_key(|(key, _)| *key);
    persons.into_iter().map(|(_, rows)| rows).collect()
}

fn ascending(persons: Vec<Vec<u32>>) -> Vec<u32> {
    let mut rows: Vec<u32> = persons.into_iter().flatten().collect();
    rows.sort_unstable();
    rows
}

/// Sums the successes of rows; of a person, who is one attempt, the mean over the rows. Rows of NaN are no attempts.
///
/// Sums go over rows in canonical order, so that the result has the same bits in any order of the rows.
pub(crate) fn tally(frame: &Frame, success: &[f64]) -> Tally {
    let mut sorted: Vec<f64> = match frame.units() {
        None => success.iter().copied().filter(|s| !s.is_nan()).collect(),
        Some(units) => {
            let mut rows: Vec<(u32, f64)> =
                units.codes.iter().copied().zip(success.iter().copied()).filter(|(_, s)| !s.is_nan()).collect();
            rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let persons = rows.chunk_by(|a, b| a.0 == b.0);
            persons.map(|rows| rows.iter().map(|r| r.1).sum::<f64>() / rows.len() as f64).collect()
        }
    };
    sorted.sort_unstable_by(f64::total_cmp);
    Tally { attempts: sorted.len() as u64, successes: sorted.iter().sum() }
}

/// The score of every person, by the code of the person: the mean over the rows of the person, added in canonical order
/// so that it does not depend on the order of the rows. NaN for a code without rows. Without units every row is a
/// person, and the scores are returned as they are.
///
/// Fails (internal) when there are not as many scores as rows.
pub fn score_units(targets: &Frame, scores: &[f64]) -> Result<Vec<f64>> {
    if scores.len() != targets.rows() {
        return Err(Error::internal(format!("{} scores of {} rows", scores.len(), targets.rows())));
    }
    let Some(units) = targets.units() else { return Ok(scores.to_vec()) };
    let mut sums = vec![(0.0, 0u32); units.count as usize];
    for row in targets.canonical_order() {
        let (sum, rows) = &mut sums[units.codes[row as usize] as usize];
        *sum += scores[row as usize];
        *rows += 1;
    }
    Ok(sums.into_iter().map(|(sum, rows)| sum / f64::from(rows)).collect())
}

/// How many rows have the content of some row of `others`: equal in all columns but identifiers, NULL equal to NULL,
/// whoever their persons are. The frames were encoded together. Hashes of 64 bits are compared, which two given rows of
/// different content share with a probability of 2^-64.
pub fn common_rows(rows: &Frame, others: &Frame, job: &Job) -> Result<usize> {
    let _memory = job.reserve(others.rows() * 24, "contents of rows")?;
    let known: HashSet<u64> = others.row_hashes().into_iter().collect();
    Ok(rows.row_hashes().into_iter().filter(|hash| known.contains(hash)).count())
}

/// What [`common_rows`] counts in two named relations, in words; `None` where it counts none.
pub fn common_rows_note(rows: (&str, &Frame), others: (&str, &Frame), job: &Job) -> Result<Option<String>> {
    let count = common_rows(rows.1, others.1, job)?;
    let text = || {
        format!("{count} of {} rows of {} equal rows of {} in all compared columns", rows.1.rows(), rows.0, others.0)
    };
    Ok((count > 0).then(text))
}

#[cfg(test)]
mod tests;
