//! Persons behind rows: their rows, and from scores of rows to scores of persons.

use lookalike_core::{Error, Frame, Result};

/// The rows of every person in canonical order, persons in the order of their codes; without units every row is a
/// person, in canonical order. Persons without rows are left out.
pub(super) fn rows_of_persons(frame: &Frame) -> Vec<Vec<u32>> {
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
