//! What holds for every method on every table.

use lookalike_anonymize::{KAnonymizeParams, METHODS, OutputForm, Release, SUPPRESSED};
use lookalike_core::{ErrorKind, Frame, Job, Streams};

use crate::tables::{Table, anonymize, below, frame, ints, plain, render_all, strings};

const FORMS: [OutputForm; 3] = [OutputForm::Interval, OutputForm::Range, OutputForm::Mean];

/// Runs `check` on the releases of many random tables by every method.
fn for_many(check: impl Fn(&Table, &Release, usize, f64)) {
    for method in METHODS {
        for seed in 5000..5300 {
            let table = Table::random(seed, [12, 50, 300][seed as usize % 3]);
            let frame = table.frame();
            for (k, suppression_limit) in [(2, 0.0), (4, 0.1), (3, 0.4)] {
                let params = KAnonymizeParams { k, suppression_limit }.check().unwrap();
                match method.anonymize(&frame, &table.hierarchies(&frame), &params, &Job::unbounded()) {
                    Ok(release) => check(&table, &release, k, suppression_limit),
                    Err(e) => assert_eq!(e.kind(), ErrorKind::Data, "{e}"),
                }
            }
        }
    }
}

#[test]
fn the_criterion_holds_on_what_is_shown() {
    for_many(|table, release, k, _| {
        let frame = table.frame();
        for form in FORMS {
            release.verify(&render_all(release, &frame, form), &frame, k).unwrap();
        }
        assert!(release.smallest_class() >= k);
        for (number, class) in (0..).zip(&release.classes) {
            assert_eq!(release.class_of.iter().filter(|c| **c == number).count(), class.rows);
        }
    });
}

#[test]
fn no_more_rows_are_dropped_than_allowed() {
    let dropped = std::cell::Cell::new(0);
    for_many(|table, release, _, limit| {
        assert_eq!(release.class_of.iter().filter(|c| **c == SUPPRESSED).count(), release.suppressed());
        assert!(release.suppressed() as f64 <= limit * table.rows as f64);
        dropped.set(dropped.get() + release.suppressed());
    });
    assert!(dropped.get() > 0);
}

#[test]
fn the_order_of_rows_does_not_matter() {
    for seed in 7000..7100 {
        // The last is divided among threads.
        let rows = if seed == 7099 { 40_000 } else { 200 };
        let table = Table::random(seed, rows);
        let rng = &mut Streams::new(seed, "shuffle").block(0);
        let mut order: Vec<usize> = (0..rows).collect();
        (1..rows).rev().for_each(|i| order.swap(i, below(rng, i + 1)));
        let shuffled = table.reordered(&order);
        let (a, b) = (table.frame(), shuffled.frame());
        let first = anonymize(&a, &table.hierarchies(&a), 3, 0.05).unwrap();
        let second = anonymize(&b, &shuffled.hierarchies(&b), 3, 0.05).unwrap();
        assert_eq!(first.classes, second.classes);
        assert!(order.iter().zip(&second.class_of).all(|(&old, class)| first.class_of[old] == *class));
        for form in FORMS {
            assert_eq!(render_all(&first, &a, form), render_all(&second, &b, form));
        }
    }
}

#[test]
fn without_suppression_no_class_can_be_cut_further() {
    // LeFevre's definition of a minimal partitioning, tried at every threshold of every column of every class.
    for seed in 0..200 {
        let rng = &mut Streams::new(seed, "minimal").block(0);
        let columns: Vec<Vec<Option<i64>>> =
            (0..3).map(|_| (0..60).map(|_| (below(rng, 9) > 0).then(|| below(rng, 8) as i64)).collect()).collect();
        let frame = frame(vec![("a", ints(&columns[0])), ("b", ints(&columns[1])), ("c", ints(&columns[2]))], None);
        let release = plain(&frame, 4);
        for (number, class) in (0..).zip(&release.classes) {
            for column in &columns {
                for threshold in [None].into_iter().chain((0..8).map(Some)) {
                    let members = release.class_of.iter().zip(column).filter(|(c, _)| **c == number);
                    let left = members.filter(|(_, v)| **v <= threshold).count();
                    assert!(left < 4 || class.rows - left < 4);
                }
            }
        }
    }
}

#[test]
fn verify_refuses_what_is_not_k_anonymous() {
    let frame = frame(
        vec![("age", ints(&[Some(1), Some(1), Some(9), Some(9)])), ("p", ints(&[Some(1), Some(1), Some(2), Some(3)]))],
        Some("p"),
    );
    let release = plain(&frame, 2);
    // Two persons at age 9, one at age 1: no cut, one class of three persons.
    assert_eq!(release.classes.iter().map(|c| (c.rows, c.units)).collect::<Vec<_>>(), [(4, 3)]);
    assert!(release.verify(&[strings(&[Some("x")])], &frame, 3).is_ok());
    let error = release.verify(&[strings(&[Some("x")])], &frame, 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("only 3 persons"), "{error}");
}

#[test]
fn mistakes_are_named() {
    let two = frame(vec![("age", ints(&[Some(1), Some(2)]))], None);
    let message = |frame, k, kind| {
        let error = anonymize(frame, &[None], k, 1.0).unwrap_err();
        assert_eq!(error.kind(), kind);
        error.to_string()
    };
    assert_eq!(message(&two, 3, ErrorKind::Data), "k is 3, but the input has only 2 rows: k can be at most that");
    let empty = frame(vec![("age", ints(&[]))], None);
    assert_eq!(message(&empty, 3, ErrorKind::Data), "the input has no rows, there is nothing to anonymise");
    let error = anonymize(&Frame::new(3, vec![], None), &[], 2, 0.0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
}
