//! Persons drawn by content and seed: reference rows from the non-members where no reference relation is given, and
//! fewer targets where the caller asks for fewer.

use lookalike_core::{Error, Frame, Result, Streams};
use rand::RngCore;

use super::persons::rows_of_persons;

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
/// and the seed.
pub fn draw_targets(frame: &Frame, persons: usize, seed: u64) -> Vec<u32> {
    let mut all = drawn(frame, seed, "targets");
    all.truncate(persons);
    ascending(all)
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
