//! What holds for every method on every table.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use arrow::row::{RowConverter, SortField};
use lookalike_anonymize::{
    AlphaAnonymity, AnonymizeParams, Attribute, BetaLikeness, Criteria, Criterion, DeltaDisclosure, DistinctLDiversity,
    EntropyLDiversity, METHODS, OutputForm, RecursiveLDiversity, Release, SUPPRESSED, TCloseness,
};
use lookalike_core::{Column, ErrorKind, Frame, Job, Result, Streams};

use crate::tables::{Table, anonymize, anonymize_by, below, frame, ints, plain, problem, render_all, strings};

const FORMS: [OutputForm; 3] = [OutputForm::Interval, OutputForm::Range, OutputForm::Mean];

/// Runs `check` on the releases of many random tables by every method.
fn for_many(check: impl Fn(&Table, &Release, usize, f64)) {
    for method in METHODS {
        for seed in 5000..5300 {
            let table = Table::random(seed, [12, 50, 300][seed as usize % 3]);
            let frame = table.frame();
            let form = FORMS[seed as usize / 3 % 3];
            for (k, suppression_limit) in [(2, 0.0), (4, 0.1), (3, 0.4)] {
                let params = AnonymizeParams { suppression_limit, form, ..Default::default() };
                match anonymize_by(*method, &frame, &table.hierarchies(&frame), k, params) {
                    Ok(release) => check(&table, &release, k, suppression_limit),
                    Err(e) => assert_eq!(e.kind(), ErrorKind::Data, "{e}"),
                }
            }
        }
    }
}

/// Rows of each tuple of quasi-identifiers that leaves, from what is shown alone.
fn tuples(release: &Release) -> Vec<Vec<usize>> {
    let shown: Vec<ArrayRef> = render_all(release);
    let fields = shown.iter().map(|a| SortField::new(a.data_type().clone())).collect();
    let texts = RowConverter::new(fields).unwrap().convert_columns(&shown).unwrap();
    let mut rows: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (row, class) in release.class_of.iter().enumerate().filter(|(_, c)| **c != SUPPRESSED) {
        rows.entry(texts.row(*class as usize).as_ref().to_vec()).or_default().push(row);
    }
    rows.into_values().collect()
}

/// Different things that rows have.
fn count<T: Ord>(rows: &[usize], of: impl Fn(usize) -> T) -> usize {
    rows.iter().map(|&r| of(r)).collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn the_criterion_holds_on_what_is_shown() {
    for_many(|table, release, k, _| {
        for rows in tuples(release) {
            assert!(count(&rows, |r| table.persons.as_ref().map_or(r as i64, |p| p[r])) >= k);
        }
        assert!(release.smallest_class() >= k);
        for (number, class) in (0..).zip(&release.classes) {
            assert_eq!(release.class_of.iter().filter(|c| **c == number).count(), class.rows);
        }
    });
}

#[test]
fn a_person_is_in_one_class() {
    for_many(|table, release, _, _| {
        let Some(persons) = &table.persons else { return };
        let mut class_of = BTreeMap::new();
        for (person, class) in persons.iter().zip(&release.class_of) {
            assert_eq!(class_of.entry(person).or_insert(class), &class);
        }
    });
}

/// Every criterion at a limit that some classes of random tables break.
fn criteria() -> Vec<(&'static str, Box<dyn Criterion>)> {
    vec![
        ("distinct", Box::new(DistinctLDiversity { attribute: 0, l: 3.0 })),
        ("entropy", Box::new(EntropyLDiversity { attribute: 0, l: 2.2 })),
        ("recursive", Box::new(RecursiveLDiversity { attribute: 0, c: 2.0, l: 2 })),
        ("t", Box::new(TCloseness { attribute: 0, t: 0.25 })),
        ("delta", Box::new(DeltaDisclosure { attribute: 0, delta: 1.1 })),
        ("beta", Box::new(BetaLikeness { attribute: 0, beta: 1.0, enhanced: false })),
        ("enhanced beta", Box::new(BetaLikeness { attribute: 0, beta: 2.0, enhanced: true })),
        ("alpha", Box::new(AlphaAnonymity { attribute: 0, alpha: 0.5 })),
    ]
}

/// The criterion computed anew for the rows of a tuple among all rows that leave: values by row, persons by row.
fn holds(
    name: &str,
    rows: &[usize],
    all: &[usize],
    value: &dyn Fn(usize) -> u32,
    person: &dyn Fn(usize) -> i64,
) -> bool {
    let histogram = |rows: &[usize]| {
        let mut pairs: Vec<(u32, i64)> = rows.iter().map(|&r| (value(r), person(r))).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
        pairs.iter().for_each(|p| *counts.entry(p.0).or_default() += 1.0);
        counts
    };
    let (own, whole) = (histogram(rows), histogram(all));
    let (n, m): (f64, f64) = (own.values().sum(), whole.values().sum());
    let ratio = |v: &u32| own[v] / n / (whole[v] / m);
    let slack = 1e-6;
    match name {
        "distinct" => own.len() >= 3,
        "entropy" => -own.values().map(|c| c / n * (c / n).ln()).sum::<f64>() >= 2.2f64.ln() - slack,
        "recursive" => {
            let most = own.values().copied().fold(0.0, f64::max);
            most < 2.0 * (n - most)
        }
        "t" => {
            whole.iter().map(|(v, c)| (own.get(v).unwrap_or(&0.0) / n - c / m).abs()).sum::<f64>() / 2.0 <= 0.25 + slack
        }
        "delta" => own.keys().all(|v| ratio(v).ln().abs() < 1.1 + slack),
        "beta" => own.keys().all(|v| ratio(v) - 1.0 <= 1.0 + slack),
        "enhanced beta" => own.keys().all(|v| ratio(v) - 1.0 <= 2f64.min(-(whole[v] / m).ln()) + slack),
        _ => own.values().all(|c| c / count(rows, person) as f64 <= 0.5 + slack),
    }
}

#[test]
fn every_criterion_holds_on_the_rows_that_leave() {
    for method in METHODS {
        let mut released = BTreeMap::new();
        for seed in 9000..9060 {
            let table = Table::random(seed, [40, 150, 400][seed as usize % 3]);
            let frame = table.frame();
            let rng = &mut Streams::new(seed, "sensitive").block(0);
            let labels: Vec<String> =
                (0..table.rows).map(|_| format!("d{}", below(rng, 2 + seed as usize % 4))).collect();
            let sensitive = crate::tables::frame(
                vec![("disease", strings(&labels.iter().map(|l| Some(l.as_str())).collect::<Vec<_>>()))],
                None,
            );
            let column: &Column = &sensitive.columns()[0];
            for (name, criterion) in criteria() {
                for suppression_limit in [0.0, 0.2] {
                    let attribute = Attribute::new(column, None).unwrap();
                    let codes = attribute.codes().to_vec();
                    let made = || -> Result<Release> {
                        let all =
                            Criteria::new(Some(3), vec![criteria().into_iter().find(|c| c.0 == name).unwrap().1])?;
                        let params = AnonymizeParams { suppression_limit, ..Default::default() };
                        let hierarchies = table.hierarchies(&frame);
                        let mut problem = problem(&frame, &hierarchies, vec![attribute], all, params)?;
                        lookalike_anonymize::anonymize(*method, &mut problem, &Job::unbounded())
                    };
                    let release = match made() {
                        Ok(release) => release,
                        Err(e) => {
                            assert_eq!(e.kind(), ErrorKind::Data, "{e}");
                            continue;
                        }
                    };
                    let person = |r: usize| table.persons.as_ref().map_or(r as i64, |p| p[r]);
                    let kept: Vec<usize> = (0..table.rows).filter(|&r| release.class_of[r] != SUPPRESSED).collect();
                    assert!((table.rows - kept.len()) as f64 <= suppression_limit * table.rows as f64);
                    for rows in tuples(&release) {
                        assert!(count(&rows, person) >= 3);
                        assert!(
                            holds(name, &rows, &kept, &|r| codes[r], &person),
                            "{criterion} by {}, seed {seed}, limit {suppression_limit}",
                            method.name()
                        );
                    }
                    *released.entry(name).or_insert(0) += release.classes.len();
                }
            }
        }
        // A method that always gives one class would pass all of the above.
        assert!(
            released.len() == criteria().len() && released.values().all(|n| *n > 150),
            "{}: {released:?}",
            method.name()
        );
    }
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
        assert_eq!(render_all(&first), render_all(&second));
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
