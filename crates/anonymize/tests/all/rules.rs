//! Hierarchies made by rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float32Array, Float64Array, TimestampMillisecondArray};
use arrow::datatypes::DataType;
use lookalike_anonymize::Rule;
use lookalike_core::{ErrorKind, Stream, Streams, uniform};

use crate::tables::{anonymize, below, frame, ints, render, strings, texts};

fn label(rule: &str, value: &str, level: usize) -> String {
    let mut label = String::new();
    Rule::parse(rule).unwrap().write_label(value, level, &mut label).unwrap();
    label
}

#[test]
fn labels_of_single_values() {
    for (rule, value, labels) in [
        ("widths(5, 10, 20)", "23", &["23", "[20, 25)", "[20, 30)", "[20, 40)", "*", "*"][..]),
        ("widths(5, 10, 20)", "-1", &["-1", "[-5, 0)", "[-10, 0)", "[-20, 0)", "*"]),
        ("WIDTHS( 0.5,1.0 ,5 )", "2.5", &["2.5", "[2.5, 3.0)", "[2, 3)", "[0, 5)", "*"]),
        ("widths(0.1)", "0.3", &["0.3", "[0.3, 0.4)", "*"]),
        ("widths(0.1)", "1e-7", &["1e-7", "[0.0, 0.1)", "*"]),
        ("widths(100)", "1.5e3", &["1.5e3", "[1500, 1600)", "*"]),
        (
            "dates(day, month, quarter, year, decade)",
            "2013-05-17T23:59:59.5+02:00",
            &["2013-05-17T23:59:59.5+02:00", "2013-05-17", "2013-05", "2013-Q2", "2013", "2010s", "*"],
        ),
        ("dates(quarter, decade)", "1969-12-31", &["1969-12-31", "1969-Q4", "1960s", "*"]),
        ("dates(month, decade)", "-0004-02-29", &["-0004-02-29", "-0004-02", "-0010s", "*"]),
        ("dates(day, year)", "+12000-01-01", &["+12000-01-01", "+12000-01-01", "+12000", "*"]),
        ("mask_suffix(1, 2, 5)", "53711", &["53711", "5371*", "537**", "*", "*", "*"]),
        ("mask_suffix", "Köln", &["Köln", "Köl*", "Kö**", "K***", "*", "*"]),
        ("mask_prefix", "Köln", &["Köln", "*öln", "**ln", "***n", "*", "*"]),
        ("mask_prefix(3)", "E11.9", &["E11.9", "***.9", "*"]),
        ("mask_suffix(2)", "", &["", "*", "*"]),
        ("prefix(3, 1)", "E11.9", &["E11.9", "E11", "E", "*"]),
        ("prefix(3, 1)", "Ä1", &["Ä1", "Ä1", "Ä", "*"]),
    ] {
        for (level, expected) in labels.iter().enumerate() {
            assert_eq!(label(rule, value, level), *expected, "{rule} of {value} at level {level}");
        }
        let again = Rule::parse(rule).unwrap().to_string();
        assert_eq!(Rule::parse(&again).unwrap(), Rule::parse(rule).unwrap());
    }
}

#[test]
fn mistakes_in_rules_are_named() {
    for (rule, expected) in [
        ("widths(5, 12)", "the width 12 comes after 5: each width is a whole multiple of the one before"),
        ("widths(10, 5)", "the width 5 comes after 10: each width is a whole multiple of the one before"),
        ("widths(5, 5)", "the width 5 comes after 5: each width is a whole multiple of the one before"),
        ("widths(0)", "the width '0' is not a number above 0"),
        ("widths(five)", "the width 'five' is not a number above 0"),
        ("widths", "widths needs arguments, as in widths(5, 10, 20)"),
        ("widths()", "widths needs arguments, as in widths(5, 10, 20)"),
        ("widths(5", "a rule is a name and arguments in parentheses, as in widths(5, 10)"),
        ("widths(5) and more", "a rule is a name and arguments in parentheses, as in widths(5, 10)"),
        ("dates(week)", "weeks cross the ends of months and years and are no level of dates"),
        ("dates(years)", "'years' is no part of a date, allowed are day, month, quarter, year, decade"),
        (
            "dates(year, month)",
            "month comes after year: the parts go from fine to coarse, day, month, quarter, year, decade",
        ),
        ("dates", "dates needs arguments, as in dates(month, quarter, year, decade)"),
        ("mask_suffix(2, 1)", "1 comes after 2: each level masks more characters"),
        ("mask_suffix(0)", "'0' is no number of characters, allowed are 1, 2, 3, ..."),
        ("mask_prefix()", "mask_prefix needs arguments, as in mask_prefix(1, 2, 5), or stands without parentheses"),
        ("prefix(1, 3)", "3 comes after 1: each level keeps fewer characters"),
        ("prefix", "prefix needs arguments, as in prefix(3, 1)"),
        (
            "width(5)",
            "there is no rule 'width'; did you mean 'widths'? (rules: widths, dates, mask_suffix, mask_prefix, prefix)",
        ),
    ] {
        let error = Rule::parse(rule).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Argument, format!("rule '{rule}': {expected}")));
    }
    assert!(Rule::is_meant("nonsense(") && Rule::is_meant(" Mask_Suffix ") && !Rule::is_meant("age_levels"));
}

#[test]
fn values_that_a_rule_cannot_read_are_named() {
    let mut out = String::new();
    for (rule, value, expected) in [
        ("widths(5)", "12a", "the value '12a' is no number of at most 38 digits"),
        ("widths(0.5)", "1e38", "the value '1e38' is too large for intervals of width 0.5"),
        ("dates(year)", "17.05.2013", "the value '17.05.2013' is no date such as 2013-05-17"),
        ("dates(year)", "2013-02-29", "the value '2013-02-29' is no date such as 2013-05-17"),
        ("dates(year)", "2013-13-01", "the value '2013-13-01' is no date such as 2013-05-17"),
        ("dates(year)", "13-01-01", "the value '13-01-01' is no date such as 2013-05-17"),
    ] {
        let error = Rule::parse(rule).unwrap().write_label(value, 1, &mut out).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Data, format!("rule '{rule}': {expected}")));
    }
    let check = |rule: &str, data_type| Rule::parse(rule).unwrap().check_type(&data_type).map_err(|e| e.to_string());
    assert_eq!(
        check("widths(5)", DataType::Date32),
        Err("rule 'widths(5)' generalises numbers, not Date32".to_string())
    );
    assert_eq!(
        check("dates(year)", DataType::Int64),
        Err("rule 'dates(year)' generalises dates and timestamps, not Int64".to_string())
    );
    assert_eq!(check("widths(5)", DataType::Utf8View), Ok(()));
    assert_eq!(check("prefix(1)", DataType::Int64), Ok(()));
    // A value of 300 characters would be a tree of 300 levels.
    let frame = frame(vec![("note", strings(&[Some(&"x".repeat(300))]))], None);
    let error = Rule::parse("mask_suffix").unwrap().hierarchy(&frame.columns()[0]).unwrap_err();
    assert!(
        error.to_string().starts_with("column 'note': rule 'mask_suffix' has a level for each character"),
        "{error}"
    );
}

/// A column, a rule, and some values with their labels at level 1.
type Case<'a> = (ArrayRef, &'a str, &'a [(&'a str, &'a str)]);

#[test]
fn hierarchies_of_columns_of_every_type() {
    let decimals = Decimal128Array::from(vec![125, 1250]).with_precision_and_scale(9, 2).unwrap();
    let days = Date32Array::from(vec![Some(15_842), None, Some(15_850)]);
    let times = TimestampMillisecondArray::from(vec![15_842 * 86_400_000 + 1, 15_850 * 86_400_000]);
    let columns: [Case; 7] = [
        (ints(&[Some(7), Some(12), None]), "widths(5)", &[("7", "[5, 10)"), ("12", "[10, 15)")]),
        (
            Arc::new(Float64Array::from(vec![0.3, 0.29])),
            "widths(0.1)",
            &[("0.3", "[0.3, 0.4)"), ("0.29", "[0.2, 0.3)")],
        ),
        (Arc::new(Float32Array::from(vec![0.7, 2.0])), "widths(0.1)", &[("0.7", "[0.7, 0.8)"), ("2.0", "[2.0, 2.1)")]),
        (Arc::new(decimals), "widths(0.5)", &[("1.25", "[1.0, 1.5)"), ("12.50", "[12.5, 13.0)")]),
        (Arc::new(days), "dates(month)", &[("2013-05-17", "2013-05"), ("2013-05-25", "2013-05")]),
        (Arc::new(times), "dates(year)", &[("2013-05-17T00:00:00.001", "2013"), ("2013-05-25T00:00:00", "2013")]),
        (strings(&[Some("53711"), Some("5371")]), "mask_suffix", &[("53711", "5371*"), ("5371", "537*")]),
    ];
    for (array, rule, labels) in columns {
        let frame = frame(vec![("x", array)], None);
        let hierarchy = Rule::parse(rule).unwrap().hierarchy(&frame.columns()[0]).unwrap();
        for (value, label) in labels {
            assert_eq!(hierarchy.label_at(value, 0), Some(*value), "{rule}");
            assert_eq!(hierarchy.label_at(value, 1), Some(*label), "{rule}");
            assert_eq!(hierarchy.label_at(value, hierarchy.height()), Some("*"));
        }
        assert_eq!(hierarchy.leaf_count() as usize, labels.len());
    }
}

#[test]
fn classes_show_the_labels_of_a_rule() {
    let frame = frame(vec![("age", ints(&[21, 24, 31, 38, 39, 25].map(Some)))], None);
    let hierarchy = Rule::parse("widths(5, 10)").unwrap().hierarchy(&frame.columns()[0]).unwrap();
    let release = anonymize(&frame, &[Some(hierarchy)], 2, 0.0).unwrap();
    let array = render(&release, 0);
    // [20, 30) holds 21 24 | 25 and [30, 40) holds 31 | 38 39: no five years of both have two people.
    let shown: Vec<_> = release.class_of.iter().map(|&c| texts(&array)[c as usize].unwrap()).collect();
    assert_eq!(shown, ["[20, 30)", "[20, 30)", "[30, 40)", "[30, 40)", "[30, 40)", "[20, 30)"]);
}

type Draw = fn(&mut Stream) -> String;

#[test]
fn rules_nest_on_random_values() {
    let text: Draw = |rng| (0..below(rng, 7)).map(|_| ['a', 'b', '*', 'ä', '1'][below(rng, 5)]).collect();
    let number: Draw = |rng| {
        let digits = ((uniform(rng) - 0.5) * 1e4) as i64;
        let scale = below(rng, 4);
        match below(rng, 3) {
            0 => format!("{digits}"),
            1 => format!("{}", digits as f64 / 10f64.powi(scale as i32)),
            _ => format!("{digits}e-{scale}"),
        }
    };
    let day: Draw = |rng| {
        let (year, month) = (below(rng, 60) + 1960, below(rng, 12) + 1);
        format!("{year}-{month:02}-{:02}T{:02}:00:00", below(rng, 28) + 1, below(rng, 24))
    };
    let cases: [(&str, Draw); 10] = [
        ("widths(5, 10, 20)", number),
        ("widths(0.25, 0.5, 3, 300)", number),
        ("dates(day, month, quarter, year, decade)", day),
        ("dates(month, decade)", day),
        ("mask_suffix", text),
        ("mask_prefix", text),
        ("mask_suffix(1, 2, 5)", text),
        ("mask_prefix(2, 3)", text),
        ("prefix(4, 3, 1)", text),
        ("prefix(2)", number),
    ];
    for (i, (rule, draw)) in cases.iter().enumerate() {
        let rng = &mut Streams::new(i as u64, "rules").block(0);
        let values: Vec<String> = (0..3000).map(|_| draw(rng)).collect();
        let rule = Rule::parse(rule).unwrap();
        let levels = rule.levels(&values).unwrap();
        assert!(levels.len() > 2);
        for (level, pair) in levels.windows(2).enumerate() {
            let mut above: BTreeMap<&Option<String>, &Option<String>> = BTreeMap::new();
            for (label, parent) in pair[0].iter().zip(&pair[1]) {
                let known = above.entry(label).or_insert(parent);
                assert_eq!(*known, parent, "{rule}: {label:?} of level {level}");
            }
        }
        assert!(levels.last().unwrap().iter().all(|label| label.as_deref() == Some("*")));
        // The hierarchy of a column holds the same labels.
        let frame = frame(vec![("x", strings(&values.iter().map(|v| Some(v.as_str())).collect::<Vec<_>>()))], None);
        let hierarchy = rule.hierarchy(&frame.columns()[0]).unwrap();
        assert_eq!(hierarchy.height() + 1, levels.len());
        for (level, labels) in levels.iter().enumerate() {
            for (value, label) in values.iter().zip(labels) {
                assert_eq!(hierarchy.label_at(value, level), label.as_deref());
            }
        }
    }
}
