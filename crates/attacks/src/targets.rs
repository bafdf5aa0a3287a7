//! Whom an attack is run on, and what the relations have in common.

use std::collections::HashSet;

use lookalike_core::{Column, Error, Frame, Job, Result, Streams, Units};
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

/// At most `max` rows, or persons with all their rows, drawn by their content and the seed; `None` when these are all.
pub(crate) fn sample(frame: &Frame, max: Option<usize>, seed: u64) -> Result<Option<Frame>> {
    let Some(max) = max.filter(|max| *max < frame.unit_count()) else { return Ok(None) };
    let streams = Streams::new(seed, "targets");
    let hashes = frame.row_hashes();
    let singles;
    let units = match frame.units() {
        Some(units) => units,
        None => {
            singles = Units { codes: (0..frame.rows() as u32).collect(), count: frame.rows() as u32 };
            &singles
        }
    };
    let mut keys = vec![(0u64, 0u32); units.count as usize];
    for row in frame.canonical_order() {
        let person = units.codes[row as usize];
        let key = streams.block(hashes[row as usize] ^ keys[person as usize].0).next_u64();
        keys[person as usize] = (key, person);
    }
    keys.sort_unstable();
    let mut is_drawn = vec![false; units.count as usize];
    keys[..max].iter().for_each(|(_, person)| is_drawn[*person as usize] = true);
    let rows: Vec<u32> = (0..frame.rows() as u32).filter(|&r| is_drawn[units.codes[r as usize] as usize]).collect();
    let drawn = frame.gather(&rows);
    let (columns, units) = drawn.into_parts();
    // Persons numbered anew, so that those who are not drawn do not count.
    let units = frame.units().and(units).map(|units| {
        let mut number = vec![u32::MAX; units.count as usize];
        let mut count = 0;
        for (person, drawn) in is_drawn.iter().enumerate().filter(|(_, drawn)| **drawn) {
            debug_assert!(*drawn);
            number[person] = count;
            count += 1;
        }
        Units { codes: units.codes.iter().map(|&c| number[c as usize]).collect(), count }
    });
    Ok(Some(Frame::new(rows.len(), columns, units)))
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

/// Warns when control rows have the content of training rows: they may be the same people. The same as a note.
pub(crate) fn warn_of_copies(train: &Frame, control: &Frame, job: &Job) -> Result<Option<String>> {
    let _memory = job.reserve(train.rows() * 24, "contents of training rows")?;
    let known: HashSet<u64> = train.row_hashes().into_iter().collect();
    let copies = control.row_hashes().into_iter().filter(|hash| known.contains(hash)).count();
    if copies == 0 {
        return Ok(None);
    }
    let note = format!("{copies} of {} control rows are identical to a training row", control.rows());
    job.warn(&format!("{note} in the compared columns: by chance, or the control holds people of train"));
    Ok(Some(note))
}
