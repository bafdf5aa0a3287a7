//! Linking a released table with a register that names its people.

use std::collections::BTreeMap;

use lookalike_core::{Job, Result};

use crate::coded::distinct_pairs;
use crate::{Candidates, Classes, Region, Register};

/// What linking found.
#[derive(Debug, Clone, PartialEq)]
pub struct Linkage {
    /// Released persons; rows without persons.
    pub released: u64,
    /// Register persons; rows without persons.
    pub register: u64,
    /// Released persons (rows) that some register entry fits.
    pub matched: u64,
    /// Those that exactly one fits.
    pub singled_out: u64,
    /// Those whose only candidate is themselves; `None` without persons.
    pub correct: Option<u64>,
    /// Sum over the matched of 1 / candidates: right matches to be expected when every choice among candidates is random.
    pub expected_matches: f64,
    /// Candidates of a matched person (row), on average; 0 when nothing is matched.
    pub mean_candidates: f64,
    /// Largest 1 / candidates; 0 when nothing is matched.
    pub max_risk: f64,
}

/// One side of a linkage: rows by equal combinations, and the code of each row's person, which means the same on both
/// sides.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Rows by equal combinations of the columns to link on.
    pub classes: &'a Classes,
    /// Person of each row.
    pub units: Option<&'a [u32]>,
}

impl Side<'_> {
    fn size(&self) -> u64 {
        match self.units {
            None => self.classes.rows.iter().sum(),
            Some(units) => {
                let mut units = units.to_vec();
                units.sort_unstable();
                units.dedup();
                units.len() as u64
            }
        }
    }
}

/// Links released rows with the register entries that fit them; `regions` has the regions of each column by code of the
/// released cell. Persons are counted when both sides have them. Of a person with several released combinations the one
/// with the fewest candidates counts: the attacker's best.
pub fn link(released: Side, regions: &[Vec<Region>], register: Side, job: &Job) -> Result<Linkage> {
    let persons = released.units.zip(register.units);
    let entries = Register::new(register.classes, persons.map(|p| p.1));
    let candidates = entries.candidates(released.classes, regions, job)?;
    let mut linkage = Linkage {
        released: Side { units: persons.map(|p| p.0), ..released }.size(),
        register: Side { units: persons.map(|p| p.1), ..register }.size(),
        matched: 0,
        singled_out: 0,
        correct: persons.map(|_| 0),
        expected_matches: 0.0,
        mean_candidates: 0.0,
        max_risk: 0.0,
    };
    // By number of candidates, so that sums do not depend on the order of anything.
    let mut times_of: BTreeMap<u64, u64> = BTreeMap::new();
    let mut add = |count: u64, times: u64, correct: bool| {
        if count > 0 {
            *times_of.entry(count).or_default() += times;
        }
        if count == 1 && correct {
            linkage.correct.iter_mut().for_each(|n| *n += times);
        }
    };
    match persons {
        None => candidates.iter().zip(&released.classes.rows).for_each(|(c, &rows)| add(c.count, rows, false)),
        Some((units, _)) => {
            let pairs = distinct_pairs(units, &released.classes.class_of);
            for of_person in pairs.chunk_by(|a, b| a.0 == b.0) {
                let found = || of_person.iter().map(|pair| &candidates[pair.1 as usize]);
                let fewest = found().map(|c| c.count).filter(|&n| n > 0).min().unwrap_or(0);
                let is_person = |c: &Candidates| c.count == 1 && c.only == Some(of_person[0].0);
                add(fewest, 1, found().any(is_person));
            }
        }
    }
    linkage.matched = times_of.values().sum();
    linkage.singled_out = times_of.get(&1).copied().unwrap_or(0);
    linkage.expected_matches = times_of.iter().map(|(&count, &times)| times as f64 / count as f64).sum();
    if let Some((&fewest, _)) = times_of.first_key_value() {
        let all: f64 = times_of.iter().map(|(&count, &times)| count as f64 * times as f64).sum();
        linkage.mean_candidates = all / linkage.matched as f64;
        linkage.max_risk = 1.0 / fewest as f64;
    }
    Ok(linkage)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regions of single codes: cell c is the raw value c.
    fn exact(n: u32) -> Vec<Region> {
        (0..n).map(|c| region(c, c + 1)).collect()
    }

    fn region(from: u32, to: u32) -> Region {
        let ranges = if from < to { std::iter::once(from..to).collect() } else { vec![] };
        Region { ranges, loss: 0.0, level: None }
    }

    #[test]
    fn a_handful_by_hand() {
        // Register (zip, sex): 0 (0,0), 1 (0,0), 2 (0,1), 3 (1,1). Released exactly: person 2 and person 0.
        let register = Classes::new(&[&[0, 0, 0, 1], &[0, 0, 1, 1]], None);
        let units = [0, 1, 2, 3];
        let register = Side { classes: &register, units: Some(&units) };
        let released = Classes::new(&[&[0, 0], &[1, 0]], None);
        let side = Side { classes: &released, units: Some(&[2, 0]) };
        let job = Job::unbounded();
        let found = link(side, &[exact(2), exact(2)], register, &job).unwrap();
        let expected = Linkage {
            released: 2,
            register: 4,
            matched: 2,
            singled_out: 1,
            correct: Some(1),
            expected_matches: 1.5,
            mean_candidates: 1.5,
            max_risk: 1.0,
        };
        assert_eq!(found, expected);
        // Without persons nobody can say who is right; with other persons it is wrong.
        assert_eq!(link(Side { units: None, ..side }, &[exact(2), exact(2)], register, &job).unwrap().correct, None);
        let wrong = Side { units: Some(&[3, 0]), ..side };
        assert_eq!(link(wrong, &[exact(2), exact(2)], register, &job).unwrap().correct, Some(0));
        // Sex suppressed: three have zip 0. Zip outside of the register: nobody.
        let any = vec![region(0, 2), region(0, 2)];
        let found = link(side, &[exact(2), any], register, &job).unwrap();
        assert_eq!((found.matched, found.singled_out, found.max_risk), (2, 0, 1.0 / 3.0));
        let found = link(side, &[vec![region(0, 0), region(1, 2)], exact(2)], register, &job).unwrap();
        assert_eq!((found.matched, found.expected_matches, found.mean_candidates, found.max_risk), (0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn persons_with_several_rows_count_once() {
        // Person 0 has rows (0) and (1) in the register, person 1 has (1). Released rows of person 0: [0, 1] and 0.
        let register = Classes::new(&[&[0, 1, 1]], None);
        let register = Side { classes: &register, units: Some(&[0, 0, 1]) };
        let released = Classes::new(&[&[0, 1]], None);
        let side = Side { classes: &released, units: Some(&[0, 0]) };
        let regions = [vec![region(0, 2), region(0, 1)]];
        let found = link(side, &regions, register, &Job::unbounded()).unwrap();
        assert_eq!((found.released, found.register, found.matched, found.singled_out), (1, 2, 1, 1));
        assert_eq!(found.correct, Some(1));
        // Both persons fit [0, 1], although three rows do.
        let entries = Register::new(register.classes, register.units);
        let candidates = entries.candidates(&released, &regions, &Job::unbounded()).unwrap();
        assert_eq!(candidates.iter().map(|c| (c.count, c.only)).collect::<Vec<_>>(), [(2, None), (1, Some(0))]);
    }

    #[test]
    fn candidates_are_those_of_a_full_comparison() {
        // Three columns of a linear congruence: singles, intervals, pieces and everything; rows and persons.
        let mut state = 7u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 33) % n) as u32
        };
        for round in 0..60 {
            let (rows, cells) = (1 + below(150) as usize, 1 + below(12));
            let sizes = [3, 12, 40].map(|n| 1 + below(n));
            let columns: Vec<Vec<u32>> = sizes.iter().map(|&n| (0..rows).map(|_| below(n.into())).collect()).collect();
            let units: Vec<u32> = (0..rows as u32).map(|r| if round % 3 == 0 { r } else { below(60) }).collect();
            let units = (round % 3 < 2).then_some(units.as_slice());
            let regions: Vec<Vec<Region>> = sizes
                .iter()
                .map(|&n| {
                    (0..cells)
                        .map(|_| {
                            let from = below(n.into());
                            let to = from + below(u64::from(n - from) + 1);
                            let mut region = region(from, to);
                            if to + 1 < n && below(2) == 0 {
                                region.ranges.push(to + 1..n);
                            }
                            region
                        })
                        .collect()
                })
                .collect();
            let wanted: Vec<Vec<u32>> = (0..3).map(|_| (0..50).map(|_| below(cells.into())).collect()).collect();
            let slices = |columns: &[Vec<u32>]| -> Classes {
                Classes::new(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), None)
            };
            let (register, released) = (slices(&columns), slices(&wanted));
            let found = Register::new(&register, units).candidates(&released, &regions, &Job::unbounded()).unwrap();
            for (class, found) in found.iter().enumerate() {
                let tuple = released.tuple(class);
                let fits = |row: &usize| (0..3).all(|c| regions[c][tuple[c] as usize].contains(columns[c][*row]));
                let mut who: Vec<u32> = (0..rows).filter(fits).map(|r| units.map_or(r as u32, |u| u[r])).collect();
                who.sort_unstable();
                who.dedup();
                assert_eq!(found.count, who.len() as u64);
                let only = units.and_then(|_| (who.len() == 1).then(|| who[0]));
                assert_eq!(found.only, only);
            }
        }
    }
}
