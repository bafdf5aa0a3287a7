//! Draws by content, persons, and rows that two relations share.

use lookalike_core::{ErrorKind, Frame, Job};

use super::*;
use crate::test_frames::{Kind, frame, numbers, random, shuffled, stacked, stream, with_units};

fn people(rows: usize) -> Frame {
    random(&[Kind::Uniform, Kind::Codes(3)], rows, 0, &mut stream(9))
}

#[test]
fn persons_get_the_mean_of_their_rows() {
    let rows = with_units(frame(vec![numbers("x", &[1.0, 2.0, 3.0, 4.0])]), vec![2, 0, 2, 0]);
    let found = score_units(&rows, &[1.0, 2.0, 4.0, 6.0]).unwrap();
    // Person 1 has no rows.
    assert_eq!((found[0], found[2], found.len()), (4.0, 2.5, 3));
    assert!(found[1].is_nan());
    assert!(score_units(&rows, &[1.0]).is_err());
    // The mean of three numbers whose sum depends on their order.
    let scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7];
    let rows = with_units(frame(vec![numbers("x", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])]), vec![0; 7]);
    let once = score_units(&rows, &scores).unwrap();
    for seed in 0..20 {
        let order = shuffled(7, seed);
        let moved: Vec<f64> = order.iter().map(|&i| scores[i as usize]).collect();
        assert_eq!(score_units(&rows.gather(&order), &moved).unwrap(), once);
    }
}

#[test]
fn the_reference_half_depends_on_content_and_seed_alone() {
    let rows = stacked(&people(101), &people(20));
    let content = |frame: &Frame, rows: &[u32]| {
        let mut hashes = frame.gather(rows).row_hashes();
        hashes.sort_unstable();
        hashes
    };
    let (scored, reference) = split_reference(&rows, 1).unwrap();
    assert_eq!((scored.len(), reference.len()), (61, 60));
    let mut all = [scored.clone(), reference.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..121).collect::<Vec<_>>());
    let moved = rows.gather(&shuffled(121, 4));
    let (moved_scored, _) = split_reference(&moved, 1).unwrap();
    assert_eq!(content(&rows, &scored), content(&moved, &moved_scored));
    assert_ne!(split_reference(&rows, 2).unwrap().0, scored);
    // All rows of a person on one side, half of the persons on each.
    let persons = with_units(rows, (0..121).map(|i| i / 11).collect());
    let (scored, reference) = split_reference(&persons, 1).unwrap();
    assert_eq!((scored.len(), reference.len()), (66, 55));
    assert!(scored.iter().all(|s| reference.iter().all(|r| s / 11 != r / 11)));
    for rows in [people(1), people(0), with_units(people(9), vec![0; 9])] {
        assert_eq!(split_reference(&rows, 1).unwrap_err().kind(), ErrorKind::Data);
    }
}

#[test]
fn targets_are_drawn_by_content_and_whole_persons() {
    let rows = people(100);
    let content = |frame: &Frame, rows: &[u32]| {
        let mut hashes = frame.gather(rows).row_hashes();
        hashes.sort_unstable();
        hashes
    };
    let drawn = draw_targets(&rows, 30, 1);
    assert!(drawn.len() == 30 && drawn.is_sorted());
    let moved = rows.gather(&shuffled(100, 4));
    assert_eq!(content(&rows, &drawn), content(&moved, &draw_targets(&moved, 30, 1)));
    assert_ne!(draw_targets(&rows, 30, 2), drawn);
    assert_eq!(draw_targets(&rows, 1000, 1), (0..100).collect::<Vec<_>>());
    let persons = with_units(rows, (0..100).map(|i| i / 10).collect());
    let drawn = draw_targets(&persons, 3, 1);
    let mut who: Vec<u32> = drawn.iter().map(|row| row / 10).collect();
    who.dedup();
    assert_eq!((drawn.len(), who.len()), (30, 3));
    // Those who are drawn are all that is left to count.
    let sample = sample(&persons, Some(3), 1).unwrap();
    assert_eq!((sample.unit_count(), sample.row_hashes()), (3, persons.gather(&drawn).row_hashes()));
    let codes: Vec<u32> = drawn.iter().map(|row| who.iter().position(|w| *w == row / 10).unwrap() as u32).collect();
    assert_eq!(sample.units().unwrap().codes, codes);
    assert!(super::sample(&persons, Some(10), 1).is_none() && super::sample(&persons, None, 1).is_none());
}

#[test]
fn rows_in_common_by_hand() {
    let job = Job::unbounded();
    // Rows (1, NULL), (2, 2), (2, 2), (3, 1) against (2, 2), (1, NULL), (1, 1): the first three.
    let a = frame(vec![numbers("x", &[1.0, 2.0, 2.0, 3.0]), numbers("y", &[f64::NAN, 2.0, 2.0, 1.0])]);
    let b = frame(vec![numbers("x", &[2.0, 1.0, 1.0]), numbers("y", &[2.0, f64::NAN, 1.0])]);
    assert_eq!((common_rows(&a, &b, &job).unwrap(), common_rows(&b, &a, &job).unwrap()), (3, 2));
    let note = common_rows_note(("a", &a), ("b", &b), &job).unwrap();
    assert_eq!(note.as_deref(), Some("3 of 4 rows of a equal rows of b in all compared columns"));
    assert_eq!(common_rows_note(("a", &a.gather(&[3])), ("b", &b), &job).unwrap(), None);
}
