//! The summary behind the aggregate k_anonymity.

use arrow::row::{RowConverter, Rows, SortField};
use lookalike_anonymize::KAnonymitySummary;

use crate::tables::{ints, strings};

fn rows(ages: &[Option<i64>], sexes: &[Option<&str>]) -> Rows {
    let arrays = [ints(ages), strings(sexes)];
    let fields = arrays.iter().map(|a| SortField::new(a.data_type().clone())).collect();
    RowConverter::new(fields).unwrap().convert_columns(&arrays).unwrap()
}

#[test]
fn null_is_a_value_of_its_own() {
    // (30, F) twice, (NULL, F) twice, (30, NULL) three times: by hand, k = 2 and three classes.
    let mut summary = KAnonymitySummary::new();
    assert_eq!(summary.finish(), None);
    summary.update(&rows(&[Some(30), None, Some(30), Some(30)], &[Some("F"), Some("F"), None, None]));
    assert_eq!((summary.finish(), summary.classes()), (Some(1), 3));
    summary.update(&rows(&[Some(30), None, Some(30)], &[Some("F"), Some("F"), None]));
    assert_eq!((summary.finish(), summary.classes()), (Some(2), 3));
}

#[test]
fn merging_in_any_way_counts_the_same() {
    let key = |i: u64| format!("key {}", i * i % 300).into_bytes();
    let mut whole = KAnonymitySummary::new();
    (0..10_000).for_each(|i| whole.add(&key(i), 1));
    let mut merged = KAnonymitySummary::new();
    for part in 0..7 {
        let mut summary = KAnonymitySummary::new();
        (0..10_000).filter(|i| i % 7 == part).for_each(|i| summary.add(&key(i), 1));
        if part % 2 == 0 {
            merged.merge(&summary);
        } else {
            let (keys, counts) = summary.state().unwrap();
            merged.merge_state(&keys, &counts).unwrap();
        }
    }
    assert_eq!(merged.finish(), whole.finish());
    assert_eq!(merged.state().unwrap(), whole.state().unwrap());
    let bytes: usize = (0..300).map(key).collect::<std::collections::BTreeSet<_>>().iter().map(Vec::len).sum();
    assert!(merged.memory() > bytes);
    // A state whose arrays do not belong together is refused.
    let (keys, counts) = whole.state().unwrap();
    assert!(merged.merge_state(&keys, &counts.slice(1, 2)).is_err());
}
