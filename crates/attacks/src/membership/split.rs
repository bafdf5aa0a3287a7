//! Persons drawn by content: reference rows from the non-members, and targets from many.

use lookalike_core::{Error, Frame, Result, Streams};
use rand::RngCore;

/// Splits non-members in two halves: rows to be scored, and rows that serve as reference and are not scored. Both in
/// ascending order; with units all rows of a person are in the same half, and the reference is the smaller half of an
/// odd number of persons.
///
/// Persons are drawn by the content of their rows and the seed, so the halves hold the same rows in whatever order the
/// rows come.
///
/// Fails (data) with fewer than two persons.
pub fn split_reference(non_members: &Frame, seed: u64) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut persons = shuffled_persons(non_members, &Streams::new(seed, "reference"));
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
    Ok((rows_of(scored), rows_of(persons)))
}

/// The rows of so many persons, in ascending order: drawn by the content of their rows and the seed, as in
/// [`split_reference`]. All rows when there are no more persons.
pub fn draw_units(frame: &Frame, persons: u64, seed: u64) -> Vec<u32> {
    let mut drawn = shuffled_persons(frame, &Streams::new(seed, "targets"));
    drawn.truncate(persons as usize);
    rows_of(drawn)
}

/// The rows of every person, persons in an order that their content and the streams decide.
fn shuffled_persons(frame: &Frame, streams: &Streams) -> Vec<Vec<u32>> {
    let order = frame.canonical_order();
    // Persons with their rows in canonical order; the key is what decides.
    let mut persons: Vec<(u64, Vec<u32>)> = match frame.units() {
        None => order.iter().map(|&row| (0, vec![row])).collect(),
        Some(units) => {
            let mut persons = vec![(0, vec![]); units.count as usize];
            order.iter().for_each(|&row| persons[units.codes[row as usize] as usize].1.push(row));
            persons.into_iter().filter(|(_, rows)| !rows.is_empty()).collect()
        }
    };
    let hashes = frame.row_hashes();
    for (key, rows) in &mut persons {
        *key = rows.iter().fold(0, |key, &row| streams.block(hashes[row as usize] ^ key).next_u64());
    }
    // Stable: persons of equal content stay in their order, and it does not matter which of them comes first.
    persons.sort_by_key(|(key, _)| *key);
    persons.into_iter().map(|(_, rows)| rows).collect()
}

fn rows_of(persons: Vec<Vec<u32>>) -> Vec<u32> {
    let mut rows: Vec<u32> = persons.into_iter().flatten().collect();
    rows.sort_unstable();
    rows
}
