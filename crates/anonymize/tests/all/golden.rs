//! Classes and measures of other tools; the scripts are in tests/golden/make.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use arrow::row::{RowConverter, SortField};
use lookalike_anonymize::KAnonymitySummary;
use serde_json::Value;

use crate::tables::{frame, ints, plain, render_all, strings, texts};

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().unwrap()
}

/// Column of a table given as rows.
fn column(rows: &[Value], c: usize) -> ArrayRef {
    if rows[0][c].is_string() {
        strings(&rows.iter().map(|r| r[c].as_str()).collect::<Vec<_>>())
    } else {
        ints(&rows.iter().map(|r| r[c].as_i64()).collect::<Vec<_>>())
    }
}

fn measured_k(columns: &[ArrayRef]) -> u64 {
    let fields = columns.iter().map(|a| SortField::new(a.data_type().clone())).collect();
    let rows = RowConverter::new(fields).unwrap().convert_columns(columns).unwrap();
    let mut summary = KAnonymitySummary::new();
    summary.update(&rows);
    summary.finish().unwrap()
}

#[test]
fn pycanon_measures_the_same_k() {
    // pycanon 1.3.6 (anonymize_pycanon.py) on the raw table and on releases made by the script.
    let golden = golden(include_str!("../../../../tests/golden/anonymize_pycanon.json"));
    let rows = list(&golden, "rows");
    let names = ["age", "sex", "race", "site"];
    let columns: Vec<ArrayRef> = (0..4).map(|c| column(rows, c)).collect();
    for measure in list(&golden, "measures") {
        let wanted = list(measure, "columns");
        let chosen: Vec<ArrayRef> =
            (0..4).filter(|c| wanted.iter().any(|w| w == names[*c])).map(|c| columns[c].clone()).collect();
        assert_eq!(measured_k(&chosen), measure["k"].as_u64().unwrap(), "{wanted:?}");
    }
    let frame = frame(names.iter().copied().zip(columns).collect(), None);
    for expected in list(&golden, "releases") {
        let release = plain(&frame, expected["k"].as_u64().unwrap() as usize);
        let shown = render_all(&release);
        let ours: Vec<Vec<String>> = (0..release.classes.len())
            .map(|class| {
                let values = shown.iter().map(|a| texts(a)[class].unwrap().to_string());
                [release.classes[class].rows.to_string()].into_iter().chain(values).collect()
            })
            .collect();
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), String::from);
        let theirs: Vec<Vec<String>> =
            list(expected, "classes").iter().map(|c| c.as_array().unwrap().iter().map(text).collect()).collect();
        assert_eq!(ours, theirs);
        // What leaves, row by row, as the SQL layer puts it together.
        let class_of = arrow::array::UInt32Array::from(release.class_of.clone());
        let rows: Vec<ArrayRef> = shown.iter().map(|a| arrow::compute::take(a, &class_of, None).unwrap()).collect();
        assert_eq!(measured_k(&rows), expected["measured"].as_u64().unwrap());
    }
}

#[test]
fn anonypy_finds_the_same_classes() {
    // anonypy 0.2.1 (anonymize_anonypy.py) on negated numbers without ties, where its rules are ours.
    let golden = golden(include_str!("../../../../tests/golden/anonymize_anonypy.json"));
    let rows = list(&golden, "rows");
    let frame = frame(["a", "b", "c"].into_iter().zip((0..3).map(|c| column(rows, c))).collect(), None);
    for expected in list(&golden, "releases") {
        let release = plain(&frame, expected["k"].as_u64().unwrap() as usize);
        let mut members: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        release.class_of.iter().zip(0..).for_each(|(class, row)| members.entry(*class).or_default().push(row));
        let mut ours: Vec<Vec<u64>> = members.into_values().collect();
        ours.sort();
        let theirs: Vec<Vec<u64>> = list(expected, "classes")
            .iter()
            .map(|c| c.as_array().unwrap().iter().map(|r| r.as_u64().unwrap()).collect())
            .collect();
        assert_eq!(ours, theirs);
    }
}
