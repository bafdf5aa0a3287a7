//! Figures worked by hand on a table of six.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::Field;

use super::*;
use crate::{RawColumn, Register};

fn coded(values: ArrayRef) -> Coded {
    let data_type = values.data_type().clone();
    Coded::new(&data_type, &[values], &Job::unbounded()).unwrap()
}

fn texts(values: &[&str]) -> Coded {
    coded(Arc::new(StringArray::from(values.to_vec())))
}

fn ints(values: &[i64]) -> Coded {
    coded(Arc::new(Int64Array::from(values.to_vec())))
}

fn value(figures: &[Figure], metric: &str, column: Option<&str>) -> f64 {
    let found: Vec<&Figure> = figures.iter().filter(|f| f.metric == metric && f.column.as_deref() == column).collect();
    assert_eq!(found.len(), 1, "{metric} of {column:?}");
    found[0].value
}

fn near(figures: &[Figure], expected: &[(&str, Option<&str>, f64)]) {
    for (metric, column, expected) in expected {
        let found = value(figures, metric, *column);
        assert!(
            (found - expected).abs() < 1e-12 || found == *expected,
            "{metric} of {column:?}: {found}, not {expected}"
        );
    }
}

fn levels(rows: &[[&str; 2]]) -> Vec<Vec<Option<String>>> {
    (0..2).map(|level| rows.iter().map(|r| Some(r[level].to_string())).collect()).collect()
}

#[test]
fn six_rows_by_hand() {
    // Ages 20 20 24 30 40 40 (range 20) and a suppressed 60 (range 40); sexes F M F M M M and F.
    let age = texts(&["[20, 24]", "[20, 24]", "[20, 24]", "[30, 40]", "[30, 40]", "[30, 40]"]);
    let sex = texts(&["any", "any", "any", "M", "M", "M"]);
    let pay = ints(&[1, 2, 3, 1, 1, 5]);
    let classes = Classes::new(&[&age.codes, &sex.codes], None);
    let raw = (ints(&[20, 20, 24, 30, 40, 40, 60]), texts(&["F", "M", "F", "M", "M", "M", "F"]));
    let raw_classes = Classes::new(&[&raw.0.codes, &raw.1.codes], None);
    let read = |raw: &Coded, released: &Coded, tree: Option<&[[&str; 2]]>| {
        let field = Arc::new(Field::new("q", raw.distinct.data_type().clone(), true));
        let mut column = RawColumn::new(&field, raw, "original", true).unwrap();
        if let Some(rows) = tree {
            column = column.with_hierarchy(&levels(rows)).unwrap();
        }
        let regions = column.read(&released.distinct, "released", &Job::unbounded()).unwrap();
        OriginalColumn { name: "q".into(), counts: raw.counts(), regions, height: column.height() }
    };
    let tree: &[[&str; 2]] = &[["F", "any"], ["M", "any"]];
    let columns = vec![
        OriginalColumn { name: "age".into(), ..read(&raw.0, &age, None) },
        OriginalColumn { name: "sex".into(), ..read(&raw.1, &sex, Some(tree)) },
    ];
    // Population: the original twice; 6 fit either class.
    let twice = |c: &[u32]| -> Vec<u32> { c.iter().chain(c).copied().collect() };
    let population = Classes::new(&[&twice(&raw.0.codes), &twice(&raw.1.codes)], None);
    let regions: Vec<_> = columns.iter().map(|c| c.regions.clone()).collect();
    let population = Register::new(&population, None).candidates(&classes, &regions, &Job::unbounded()).unwrap();
    let tree = levels(&[["1", "low"], ["2", "low"], ["3", "low"], ["4", "high"], ["5", "high"]]);
    let input = ReportInput {
        classes: &classes,
        units: None,
        sensitive: vec![SensitiveColumn::new("pay", &pay, Some(&tree)).unwrap()],
        population: Some(population),
        original: Some(OriginalTable { classes: &raw_classes, columns: &columns }),
        risk_threshold: 0.25,
        k: Some(2),
    };
    let figures = report(&input, &Job::unbounded()).unwrap();
    let (log3, sex, pay, age) = (3f64.log2(), Some("sex"), Some("pay"), Some("age"));
    near(
        &figures,
        &[
            ("rows", None, 6.0),
            ("persons", None, 6.0),
            ("classes", None, 2.0),
            ("k", None, 3.0),
            ("average_class_size", None, 3.0),
            ("c_avg", None, 1.5),
            // Classes {1 2 3} and {1 1 5}.
            ("distinct_l", pay, 2.0),
            // exp(H) of 2/3, 1/3: 3 / 4^(1/3).
            ("entropy_l", pay, 3.0 / 4f64.powf(1.0 / 3.0)),
            ("recursive_c_2", pay, 2.0),
            ("recursive_c_3", pay, f64::INFINITY),
            // p = 1/2 1/6 1/6 1/6; {1 2 3}: q - p = -1/6 1/6 1/6 -1/6, half the sum 1/3.
            ("t_equal", pay, 1.0 / 3.0),
            // Its running sums 1/6 0 1/6 0 over 3 give 1/9; those of {1 1 5} 1/6 0 -1/6 the same.
            ("t_ordered", pay, 1.0 / 9.0),
            // {1 1 5} of low 5/6: 2 and 3 miss 1/6 each, 1 has 1/6 too much: 1/6 at height 1, 1/6 at height 2 of 2.
            ("t_hierarchical", pay, 1.0 / 12.0 + 1.0 / 6.0),
            ("delta_disclosure", pay, 2f64.ln()),
            ("basic_beta", pay, 1.0),
            // Gain 1 of values with p = 1/6: -ln p = 1.79; of 1: (2/3 - 1/2) / (1/2) = 1/3 < ln 2.
            ("enhanced_beta", pay, 1.0),
            ("alpha", pay, 2.0 / 3.0),
            ("prosecutor_max", None, 1.0 / 3.0),
            ("prosecutor_average", None, 1.0 / 3.0),
            ("prosecutor_at_risk", None, 1.0),
            ("k_map", None, 6.0),
            ("classes_beyond_population", None, 0.0),
            ("journalist_max", None, 1.0 / 6.0),
            ("journalist_average", None, 1.0 / 6.0),
            ("marketer", None, 1.0 / 6.0),
            ("rows_suppressed", None, 1.0),
            ("share_suppressed", None, 1.0 / 7.0),
            ("discernibility", None, 9.0 + 9.0 + 7.0),
            // Widths 4/40 and 10/40; sexes 1 and 0.
            ("ncp", age, 7.0 / 40.0),
            ("ncp", sex, 0.5),
            ("gcp", None, (7.0 / 40.0 + 0.5) / 2.0),
            ("gcp_with_suppression", None, (6.0 * (7.0 / 40.0 + 0.5) / 2.0 + 1.0) / 7.0),
            // Both ages are two of one, one of another: log2 3 - 2/3 bits; sexes 3 F and 4 M, or M alone.
            ("non_uniform_entropy", age, log3 - 2.0 / 3.0),
            ("non_uniform_entropy", sex, (7f64.log2() - (3.0 * log3 + 8.0) / 7.0) / 2.0),
            ("non_uniform_entropy", None, log3 - 2.0 / 3.0 + (7f64.log2() - (3.0 * log3 + 8.0) / 7.0) / 2.0),
            // Three cells at level 1 of 1, three at level 0; ages have no hierarchy, so that there is no precision of all.
            ("precision", sex, 0.5),
            // Raw: 20/F 20/M 24/F 30/M 60/F alone, 40/M twice.
            ("k_before", None, 1.0),
            ("prosecutor_max_before", None, 1.0),
            ("prosecutor_average_before", None, 6.0 / 7.0),
            ("prosecutor_at_risk_before", None, 1.0),
        ],
    );
    assert_eq!(figures.iter().filter(|f| f.metric == "precision").count(), 1);
    assert!(figures.iter().all(|f| !f.note.is_empty()));
    // Nobody fits the first class: its three persons are their own population, 1/3; the second has 6.
    let none = vec![Candidates::default(), Candidates { count: 6, only: None }];
    let figures = report(&ReportInput { population: Some(none), original: None, ..input }, &Job::unbounded()).unwrap();
    near(
        &figures,
        &[
            ("k_map", None, 0.0),
            ("classes_beyond_population", None, 1.0),
            ("journalist_max", None, 1.0 / 3.0),
            ("marketer", None, 0.25),
        ],
    );
}

#[test]
fn persons_instead_of_rows() {
    // Class a: persons 1 1 2, values x x y; class b: persons 2 3, values y y.
    let class = texts(&["a", "a", "a", "b", "b"]);
    let disease = texts(&["x", "x", "y", "y", "y"]);
    let units = [1, 1, 2, 2, 3];
    let classes = Classes::new(&[&class.codes], Some(&units));
    let input = ReportInput {
        classes: &classes,
        units: Some(&units),
        sensitive: vec![SensitiveColumn::new("disease", &disease, None).unwrap()],
        population: None,
        original: None,
        risk_threshold: 0.5,
        k: None,
    };
    let figures = report(&input, &Job::unbounded()).unwrap();
    let disease = Some("disease");
    near(
        &figures,
        &[
            ("rows", None, 5.0),
            ("persons", None, 3.0),
            ("k", None, 2.0),
            ("persons_in_several_classes", None, 1.0),
            ("average_class_size", None, 2.0),
            ("c_avg", None, 1.0),
            ("distinct_l", disease, 1.0),
            // x and y are one person each in a; y is all of b, two persons. Whole: x 1, y 2 persons.
            ("entropy_l", disease, 1.0),
            ("alpha", disease, 1.0),
            ("t_equal", disease, 1.0 / 3.0),
            ("basic_beta", disease, 0.5),
            // y gains 1/2 in b, more than -ln(2/3) = 0.405.
            ("enhanced_beta", disease, f64::INFINITY),
            ("prosecutor_at_risk", None, 0.0),
            ("marketer", None, 0.5),
        ],
    );
    assert!(figures.iter().all(|f| f.metric != "t_ordered" && f.metric != "k_map" && f.metric != "gcp"));
    let empty = Classes::new(&[&[]], None);
    assert!(report(&ReportInput { classes: &empty, ..input }, &Job::unbounded()).is_err());
}
