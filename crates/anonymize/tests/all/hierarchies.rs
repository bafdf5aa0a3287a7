//! Hierarchies from tables, and the errors they name.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use lookalike_anonymize::{AnonymizeParams, Hierarchy, METHODS, OutputForm};
use lookalike_core::{ErrorKind, Frame, Result};

use crate::tables::{anonymize, anonymize_by, frame, ints, render, strings, texts};

type Rows<'a> = &'a [&'a [&'a str]];

fn hierarchy(frame: &Frame, rows: Rows) -> Result<Hierarchy> {
    let depth = rows.first().map_or(0, |r| r.len());
    let label = |l: &str| (l != "NULL").then(|| l.to_string());
    let levels: Vec<Vec<_>> = (0..depth).map(|i| rows.iter().map(|r| label(r[i])).collect()).collect();
    Hierarchy::from_levels(&frame.columns()[0], &levels)
}

fn towns(values: &[&str]) -> Frame {
    let values: Vec<Option<&str>> = values.iter().map(|v| (*v != "NULL").then_some(*v)).collect();
    frame(vec![("town", strings(&values))], None)
}

const STATES: Rows<'static> = &[
    &["Bonn", "NRW", "west"],
    &["Köln", "NRW", "west"],
    &["Köln", "NRW", "west"],
    &["Mainz", "RLP", "west"],
    &["Jena", "TH", "east"],
];

fn shown(values: &[&str], k: usize, limit: f64) -> (Vec<u32>, Vec<Option<String>>) {
    let frame = towns(values);
    let release = anonymize(&frame, &[Some(hierarchy(&frame, STATES).unwrap())], k, limit).unwrap();
    let array = render(&release, 0);
    (release.class_of.clone(), texts(&array).into_iter().map(|t| t.map(Into::into)).collect())
}

const OUT: u32 = lookalike_anonymize::SUPPRESSED;

#[test]
fn a_class_shows_the_lowest_common_node() {
    let some = |labels: &[&str]| -> Vec<Option<String>> { labels.iter().map(|l| Some(l.to_string())).collect() };
    // Both regions keep two rows; in the west NRW keeps two but RLP only one, so the west stays whole.
    let (classes, labels) = shown(&["Bonn", "Jena", "Köln", "Jena", "Mainz"], 2, 0.0);
    assert_eq!((classes, labels), (vec![1, 0, 1, 0, 1], some(&["Jena", "west"])));
    // One row of five may go: Mainz does.
    let (classes, labels) = shown(&["Bonn", "Jena", "Köln", "Jena", "Mainz"], 2, 0.4);
    assert_eq!((classes, labels), (vec![1, 0, 1, 0, OUT], some(&["Jena", "NRW"])));
    // A single Jena blocks the cut below the implied root.
    let (_, labels) = shown(&["Bonn", "Bonn", "Köln", "Köln", "Jena"], 2, 0.0);
    assert_eq!(labels, some(&["*"]));
    // Missing values, too few for a class of their own, go with the first child.
    let (classes, labels) = shown(&["Bonn", "NULL", "Bonn", "Köln", "Köln"], 2, 0.0);
    assert_eq!((classes, labels), (vec![0, 0, 0, 1, 1], some(&["Bonn or NULL", "Köln"])));
}

#[test]
fn numbers_have_hierarchies_too() {
    let frame = frame(vec![("age", ints(&[Some(3), Some(4), Some(12), Some(12), None]))], None);
    let rows: Rows = &[&["3", "0-4"], &["4", "0-4"], &["12", "10-14"], &["13", "10-14"]];
    let release = anonymize(&frame, &[Some(hierarchy(&frame, rows).unwrap())], 2, 0.0).unwrap();
    let array = render(&release, 0);
    // Children in the order of their labels: 10-14 before 0-4 has no meaning, but takes the missing value.
    assert_eq!(texts(&array), [Some("0-4 or NULL"), Some("12")]);
    assert_eq!(release.class_of, [0, 0, 1, 1, 0]);
    // (3 + 4) / 2 = 3.5, rounded away from zero.
    let params = AnonymizeParams { form: OutputForm::Mean, ..Default::default() };
    let release = anonymize_by(METHODS[0], &frame, &[Some(hierarchy(&frame, rows).unwrap())], 2, params).unwrap();
    assert_eq!(&render(&release, 0), &ints(&[Some(4), Some(12)]));
}

#[test]
fn mistakes_in_the_table_are_named() {
    let message = |values: &[&str], rows: Rows| {
        let error = hierarchy(&towns(values), rows).unwrap_err();
        assert_eq!(error.kind(), if rows.is_empty() { ErrorKind::Argument } else { ErrorKind::Data });
        error.to_string()
    };
    let expect = |message: String, parts: &[&str]| {
        parts.iter().for_each(|p| assert!(message.contains(p), "'{p}' is not in: {message}"));
    };
    expect(message(&["Bonn", "Trier", "Ulm"], STATES), &["'town'", "'Trier'", "and 1 more"]);
    expect(message(&["a"], &[&["a", "x"], &["a", "y"]]), &["'town'", "'a'", "level 0", "'x'", "'y'"]);
    expect(message(&["a"], &[&["a", "x", "p"], &["b", "x", "q"]]), &["'x'", "level 1", "'p'", "'q'"]);
    expect(message(&["a"], &[&["a", "NULL"]]), &["'town'", "NULL at level 1", "'a'"]);
    expect(message(&["a"], &[]), &["'town'", "no columns"]);
    let halves: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.5]));
    let error = hierarchy(&frame(vec![("dose", halves)], None), &[&["0.5", "low"]]).unwrap_err();
    expect(error.to_string(), &["'dose'", "'1.5'"]);
}

type Long<'a> = &'a [(&'a str, i64, &'a str)];

/// "NULL" and -99 stand for NULL.
fn long(frame: &Frame, rows: Long) -> Result<Hierarchy> {
    let text = |t: &str| (t != "NULL").then(|| t.to_string());
    let values: Vec<_> = rows.iter().map(|r| text(r.0)).collect();
    let levels: Vec<_> = rows.iter().map(|r| (r.1 != -99).then_some(r.1)).collect();
    let labels: Vec<_> = rows.iter().map(|r| text(r.2)).collect();
    Hierarchy::from_long(&frame.columns()[0], &values, &levels, &labels)
}

#[test]
fn long_form_is_the_same_hierarchy() {
    let frame = towns(&["Bonn", "Jena", "Köln"]);
    let wide = hierarchy(&frame, STATES).unwrap();
    // Any order, level 0 here and there, a row twice.
    let mut rows: Vec<(&str, i64, &str)> = vec![("Bonn", 0, "Bonn"), ("Köln", 1, "NRW")];
    rows.extend(STATES.iter().rev().flat_map(|r| [(r[0], 2, r[2]), (r[0], 1, r[1])]));
    let long = long(&frame, &rows).unwrap();
    assert_eq!([wide.height(), long.height()], [3, 3]);
    for value in ["Bonn", "Köln", "Mainz", "Jena", "Ulm"] {
        for level in 0..5 {
            assert_eq!(long.label_at(value, level), wide.label_at(value, level), "{value} {level}");
        }
    }
    assert_eq!(long.label_at("Mainz", 0), Some("Mainz"));
    assert_eq!(long.label_at("Mainz", 1), Some("RLP"));
    assert_eq!(long.label_at("Mainz", 3), Some("*"));
    assert_eq!((long.label_at("Ulm", 0), long.label_at("Mainz", 4)), (None, None));
}

#[test]
fn mistakes_in_long_form_are_named() {
    let good = [("a", 1, "x"), ("a", 2, "y"), ("b", 1, "x"), ("b", 2, "y")];
    for (extra, without, expected) in [
        (Some(("a", 1, "z")), None, "gives value 'a' two labels at level 1, 'x' and 'z'"),
        (Some(("b", -1, "z")), None, "gives value 'b' the level -1; allowed are 0, 1, 2, ..."),
        (Some(("b", 0, "z")), None, "gives value 'b' the label 'z' at level 0, where the label is the value itself"),
        (Some(("b", 3, "NULL")), None, "holds NULL at level 3 in the row of value 'b'"),
        (Some(("b", -99, "z")), None, "holds NULL instead of a level in the row of value 'b'"),
        (Some(("NULL", 1, "z")), None, "holds a row without value, whose label is 'z'"),
        (
            Some(("a", 3, "z")),
            None,
            "has no label for value 'b' at level 3; every value needs one at each level from 1 to 3",
        ),
        (
            Some(("a", 1 << 60, "z")),
            None,
            "has no label for value 'a' at level 3; every value needs one at each level from 1 to 1152921504606846976",
        ),
        (None, Some(2), "has no label for value 'b' at level 1; every value needs one at each level from 1 to 2"),
        (None, Some(3), "has no label for value 'b' at level 2; every value needs one at each level from 1 to 2"),
        (Some(("c", 0, "c")), None, "has no label for value 'c' at level 1"),
    ] {
        let mut rows = good.to_vec();
        without.map(|i: usize| rows.remove(i));
        rows.extend(extra);
        let error = long(&towns(&["a", "b"]), &rows).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(
            error.to_string().starts_with(&format!("hierarchies: the table for column 'town' {expected}")),
            "{error}\n{expected}"
        );
    }
    // Values alone: the root is implied.
    assert_eq!(long(&towns(&["a"]), &[("a", 0, "a"), ("b", 0, "b")]).unwrap().label_at("a", 1), Some("*"));
}
