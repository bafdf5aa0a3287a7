//! Tables worked by hand.

use lookalike_anonymize::SUPPRESSED;

use crate::tables::{anonymize, frame, ints, plain, render, strings, texts};

/// Shaped like the patient table that k-anonymity papers start from.
fn patients() -> lookalike_core::Frame {
    let ages = [25, 25, 26, 27, 27, 28].map(Some);
    let sexes = ["M", "F", "M", "M", "M", "F"].map(Some);
    let zips = [53711, 53712, 53711, 53710, 53712, 53711].map(Some);
    frame(vec![("age", ints(&ages)), ("sex", strings(&sexes)), ("zip", ints(&zips))], None)
}

#[test]
fn six_patients() {
    // All widths are 1, age is first: sorted ages 25 25 26 | 27 27 28, median 26.
    // {25M 53711, 25F 53712, 26M 53711}: zip width 1, sex 1, age 1/3: three rows hold no two classes of two.
    let release = plain(&patients(), 2);
    assert_eq!(release.class_of, [0, 0, 0, 1, 1, 1]);
    let shown = |column| render(&release, column);
    assert_eq!(texts(&shown(0)), [Some("[25, 26]"), Some("[27, 28]")]);
    assert_eq!(texts(&shown(1)), [Some("{F, M}"), Some("{F, M}")]);
    assert_eq!(texts(&shown(2)), [Some("[53711, 53712]"), Some("[53710, 53712]")]);
}

#[test]
fn the_median_goes_right_when_it_must() {
    // Median 5 is the largest value: <= 5 | > 5 is empty on the right, < 5 | >= 5 is not.
    let frame = frame(vec![("x", ints(&[1, 2, 5, 5, 5].map(Some)))], None);
    assert_eq!(plain(&frame, 2).class_of, [0, 0, 1, 1, 1]);
}

#[test]
fn missing_values_are_cut_off_first_or_stay_with_the_smallest() {
    let release = |values: &[Option<i64>]| {
        let frame = frame(vec![("x", ints(values))], None);
        let release = plain(&frame, 2);
        let array = render(&release, 0);
        (release.class_of.clone(), texts(&array).iter().map(|t| t.map(String::from)).collect::<Vec<_>>())
    };
    let (classes, shown) = release(&[None, Some(1), None, Some(2), Some(3), Some(4)]);
    assert_eq!(classes, [0, 1, 0, 1, 2, 2]);
    assert_eq!(shown, [None, Some("[1, 2]".into()), Some("[3, 4]".into())]);
    // One missing value is too few. Sorted NULL 1 2 3: the lower median is 1.
    let (classes, shown) = release(&[None, Some(1), Some(2), Some(3)]);
    assert_eq!(classes, [0, 0, 1, 1]);
    assert_eq!(shown, [Some("1 or NULL".into()), Some("[2, 3]".into())]);
    let (classes, shown) = release(&[None, None, None]);
    assert_eq!((classes, shown), (vec![0, 0, 0], vec![None]));
}

#[test]
fn persons_are_counted_not_rows() {
    // Values 1 1 1 | 9 9 9: three rows on each side, but one person on the right.
    let columns =
        |people: [i64; 6]| vec![("x", ints(&[1, 1, 1, 9, 9, 9].map(Some))), ("person", ints(&people.map(Some)))];
    let release = plain(&frame(columns([1, 2, 3, 4, 4, 4]), Some("person")), 2);
    assert_eq!(release.class_of, [0; 6]);
    assert_eq!(release.smallest_class(), 4);
    let release = plain(&frame(columns([1, 2, 3, 4, 4, 5]), Some("person")), 2);
    assert_eq!(release.class_of, [0, 0, 0, 1, 1, 1]);
    assert_eq!(release.classes.iter().map(|c| (c.rows, c.units)).collect::<Vec<_>>(), [(3, 3), (3, 2)]);
    // Persons 1 and 2 have rows on both sides and stand at their lowest value: only 3 would be left at 1 alone, and a
    // person is in one class.
    let release = plain(&frame(columns([1, 2, 3, 1, 1, 2]), Some("person")), 2);
    assert_eq!(release.class_of, [0; 6]);
    // With two more at 9 alone there are two classes; the first shows both values, because persons 1 and 2 have both.
    let ages = [1, 1, 1, 9, 9, 9, 9, 9].map(Some);
    let people = [1, 2, 3, 1, 1, 2, 7, 8].map(Some);
    let release = plain(&frame(vec![("x", ints(&ages)), ("person", ints(&people))], Some("person")), 2);
    assert_eq!(release.class_of, [0, 0, 0, 0, 0, 0, 1, 1]);
    assert_eq!(texts(&render(&release, 0)), [Some("[1, 9]"), Some("9")]);
    let error = anonymize(&frame(columns([1, 2, 3, 4, 4, 4]), Some("person")), &[None], 5, 0.0).unwrap_err();
    assert!(error.to_string().contains("only 4 distinct persons"), "{error}");
}

#[test]
fn a_small_side_is_dropped_within_the_budget() {
    // Seven rows at 0 and one at 100, k = 2: without a budget nothing is allowable.
    let frame = frame(vec![("x", ints(&[0, 0, 0, 0, 0, 0, 0, 100].map(Some)))], None);
    assert_eq!(plain(&frame, 2).class_of, [0; 8]);
    // 0.12 * 8 = 0.96 is no whole row; 0.13 * 8 = 1.04 is one.
    assert_eq!(anonymize(&frame, &[None], 2, 0.12).unwrap().class_of, [0; 8]);
    let release = anonymize(&frame, &[None], 2, 0.13).unwrap();
    assert_eq!(release.class_of, [0, 0, 0, 0, 0, 0, 0, SUPPRESSED]);
    assert_eq!((release.suppressed(), release.smallest_class()), (1, 7));
}
