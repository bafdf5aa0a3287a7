//! Every attack: blind without leakage, sharp on copies, indifferent to order. And what goes in beside them.

use lookalike_core::{ErrorKind, standard_normal};

use super::*;
use crate::MiaSummary;
use crate::test_frames::{codes, frame, numbers, shuffled, stacked, stream, with_units};

fn people(rows: usize, seed: u64) -> Frame {
    let mut rng = stream(seed);
    let mut columns: Vec<_> = (0..7)
        .map(|c| {
            let values: Vec<f64> = (0..rows).map(|_| standard_normal(&mut rng)[0]).collect();
            numbers(&format!("x{c}"), &values)
        })
        .collect();
    let group: Vec<u32> = (0..rows).map(|_| u32::from(standard_normal(&mut rng)[0] > 0.0)).collect();
    columns.push(codes("group", 2, &group));
    frame(columns)
}

/// Attacks that score at once; those that train generators are tested in `shadow_tests`.
fn quick() -> impl Iterator<Item = &'static &'static dyn Attack> {
    ATTACKS.iter().filter(|a| !a.needs_trainer())
}

fn options(attack: &dyn Attack) -> Options {
    Options::check(attack.params(), &[]).unwrap()
}

fn score(attack: &dyn Attack, targets: &Frame, synthetic: &Frame, reference: Option<&Frame>) -> Result<Vec<f64>> {
    let evidence = Evidence { synthetic, reference, trainer: None };
    attack.score(targets, &evidence, &options(attack), 1, &Job::unbounded())
}

#[test]
fn the_registry_is_in_order() {
    for (i, attack) in ATTACKS.iter().enumerate() {
        assert!(ATTACKS[..i].iter().all(|other| other.name() != attack.name()));
        assert!(attack.summary().ends_with('.') && attack.source().contains("http"), "{}", attack.name());
        assert!(attack.params().iter().all(|p| p.purpose.ends_with('.')));
        options(*attack);
    }
}

#[test]
fn scores_by_hand() {
    // Range of synthetic and reference rows together: 0 to 10. Target 3: .1 from synthetic 2, .3 from reference 0.
    let (targets, synthetic) = (frame(vec![numbers("x", &[3.0, 2.0])]), frame(vec![numbers("x", &[2.0, 10.0])]));
    let reference = frame(vec![numbers("x", &[0.0])]);
    let found: Vec<Vec<f64>> = quick().map(|a| score(*a, &targets, &synthetic, Some(&reference)).unwrap()).collect();
    assert_eq!(found, [vec![-0.1, 0.0], vec![0.3 - 0.1, 0.2]]);
    assert!(found[0][1].is_sign_positive());
}

#[test]
fn copies_give_members_away_and_fresh_rows_do_not() {
    let (members, others) = (people(2000, 1), people(2000, 2));
    let (fresh, reference) = (people(2000, 3), people(2000, 4));
    let targets = stacked(&members, &others);
    let truth: Vec<bool> = (0..4000).map(|i| i < 2000).collect();
    let figures = |attack: &dyn Attack, synthetic: &Frame| {
        let mut summary = MiaSummary::default();
        summary.update(&score(attack, &targets, synthetic, Some(&reference)).unwrap(), &truth).unwrap();
        summary.finish()
    };
    // The area of a blind attack has sd sqrt((m + n + 1)/(12 m n)) = .00913; |z| > 4.9 has probability below 1e-6.
    let bound = 4.9 * (4001.0f64 / (12.0 * 2000.0 * 2000.0)).sqrt();
    let copies = |n: u32| {
        let fresh = fresh.gather(&(n..2000).collect::<Vec<_>>());
        stacked(&fresh, &members.gather(&(0..n).collect::<Vec<_>>()))
    };
    for attack in quick() {
        let none = figures(*attack, &fresh);
        assert!((none.auc.unwrap() - 0.5).abs() < bound, "{}: {none:?}", attack.name());
        // 5 % of the members copied: they move to the top, which adds about .05/2 to the area (.527 in simulation).
        let some = figures(*attack, &copies(100));
        assert!((some.auc.unwrap() - 0.525).abs() < bound, "{}: {some:?}", attack.name());
        assert!(some.auc > none.auc && some.tpr_at_fpr_1.unwrap().rate > none.tpr_at_fpr_1.unwrap().rate);
        let all = figures(*attack, &copies(2000));
        assert!(all.auc.unwrap() > 0.99 && all.epsilon_lower.unwrap() > 3.0, "{}: {all:?}", attack.name());
    }
    // Nothing but a copy is at distance 0: at least the hundred are above every non-member.
    assert!(figures(&DcrAttack, &copies(100)).tpr_at_fpr_1.unwrap().rate >= 0.05);
}

#[test]
fn order_of_rows_and_other_targets_do_not_matter() {
    let (targets, synthetic, reference) = (people(200, 5), people(300, 6), people(250, 7));
    let order = shuffled(200, 1);
    let part: Vec<u32> = order[..150].to_vec();
    for attack in quick() {
        let whole = score(*attack, &targets, &synthetic, Some(&reference)).unwrap();
        let moved = score(
            *attack,
            &targets.gather(&part),
            &synthetic.gather(&shuffled(300, 2)),
            Some(&reference.gather(&shuffled(250, 3))),
        )
        .unwrap();
        let expected: Vec<f64> = part.iter().map(|&row| whole[row as usize]).collect();
        assert_eq!(moved, expected, "{}", attack.name());
    }
}

#[test]
fn what_is_missing_is_named() {
    let (rows, none) = (people(5, 8), people(0, 8));
    for attack in quick() {
        let error = score(*attack, &rows, &none, Some(&rows)).unwrap_err();
        assert!(error.kind() == ErrorKind::Data && error.message().starts_with("synthetic"), "{error}");
        if attack.needs_reference() {
            let error = score(*attack, &rows, &rows, None).unwrap_err();
            assert!(error.kind() == ErrorKind::Argument && error.message().contains("reference =>"), "{error}");
            let error = score(*attack, &rows, &rows, Some(&none)).unwrap_err();
            assert!(error.kind() == ErrorKind::Data && error.message().starts_with("reference"), "{error}");
        } else {
            assert_eq!(score(*attack, &rows, &rows, None).unwrap(), [0.0; 5]);
        }
        assert!(score(*attack, &none, &rows, Some(&rows)).unwrap().is_empty());
    }
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
    let rows = stacked(&people(101, 9), &people(20, 9));
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
    for rows in [people(1, 1), people(0, 1), with_units(people(9, 1), vec![0; 9])] {
        assert_eq!(split_reference(&rows, 1).unwrap_err().kind(), ErrorKind::Data);
    }
}
