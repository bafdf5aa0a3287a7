//! k-anonymity of synthetic rows by making more of them.

use super::*;

pub(super) fn anonymity(k: u64, quasi: &[&str]) -> Anonymity {
    let quasi_identifiers = quasi.iter().map(|q| q.to_string()).collect();
    Anonymity { k, quasi_identifiers, sensitive: vec![], l: 1, max_padding: 1.0 }
}

/// Rows by combination of quasi-identifiers.
fn cells_of(asked: &Asked, values: &[Values], quasi: &[&str]) -> BTreeMap<Vec<u64>, Vec<usize>> {
    let columns: Vec<usize> =
        quasi.iter().map(|q| asked.columns().iter().position(|c| c.name() == *q).unwrap()).collect();
    let mut cells = BTreeMap::<Vec<u64>, Vec<usize>>::new();
    for row in 0..asked.rows() as usize {
        cells.entry(columns.iter().map(|&c| plan::cell(&values[c], row)).collect()).or_default().push(row);
    }
    cells
}

#[test]
fn every_combination_is_held_by_k_rows() {
    let frame = people();
    let quasi = ["sex", "city", "age"];
    for model in askable() {
        let listener = Arc::new(Listener::default());
        let ask = Ask { anonymity: Some(anonymity(6, &quasi)), ..Ask::default() };
        let asked = Asked::new(fit(&frame, model, 9000), &ask, &Job::new(listener.clone())).unwrap();
        let values = all(&asked);
        let cells = cells_of(&asked, &values, &quasi);
        assert!(cells.values().all(|rows| rows.len() >= 6), "{}", model.name());
        assert_eq!(asked.synthesizer().refused(&values, asked.rows() as usize), Vec::<usize>::new());
        // The figures against the plain output of the same seed.
        let plain = self::asked(&frame, model, 9000, &Ask::default()).unwrap();
        let plain_rows = all(&plain);
        let before = cells_of(&plain, &plain_rows, &quasi);
        let counters = listener.counters.lock().unwrap();
        assert_eq!(counters["cells"], before.len());
        assert_eq!(
            counters["cells_filled"] + counters["cells_dropped"],
            before.values().filter(|r| r.len() < 6).count()
        );
        assert!(counters["cells_filled"] > 0, "{}", model.name());
        let added = cells.iter().map(|(key, rows)| rows.len() - before[key].len()).sum::<usize>();
        assert_eq!(counters["rows_added"], added);
        assert_eq!(counters["cells_dropped"], before.len() - cells.len());
        assert_eq!(asked.rows() as usize, 9000 + added - counters["rows_dropped"]);
        let now = |key: &Vec<u64>| cells.get(key).map_or(0.0, |rows| rows.len() as f64 / asked.rows() as f64);
        let variation =
            0.5 * before.iter().map(|(key, rows)| (rows.len() as f64 / 9000.0 - now(key)).abs()).sum::<f64>();
        assert!((counters["tv_millionths"] as f64 / 1e6 - variation).abs() < 1e-6);
        assert!(listener.warnings.lock().unwrap()[0].starts_with("k => 6: "));
        if model.name() == "independent" {
            assert_eq!(counters["cells_dropped"], 0);
        }
    }
}

#[test]
fn what_cannot_be_filled_is_dropped_from_its_blocks() {
    let frame = people();
    let quasi = ["sex", "city", "age"];
    // One try a row: rejection fills next to nothing of what is rare.
    let ask = Ask { anonymity: Some(anonymity(50, &quasi)), max_tries: 1, ..Ask::default() };
    let model = crate::model("gaussian_copula").unwrap();
    let asked = asked(&frame, model, 20_000, &ask).unwrap();
    let filled = asked.filled.as_ref().unwrap();
    assert!(filled.dropped() > 0 && filled.added() > 0);
    let values = all(&asked);
    assert!(cells_of(&asked, &values, &quasi).values().all(|rows| rows.len() >= 50));
}

#[test]
fn combinations_show_l_values_and_keep_to_conditions() {
    let frame = people();
    let quasi = ["sex", "age"];
    for model in ["independent", "gaussian_copula"] {
        let anonymity = Anonymity { sensitive: vec!["marital".into(), "city".into()], l: 3, ..anonymity(4, &quasi) };
        let conditions = vec![("age".into(), Condition::Between { min: Some(Value::Int(40)), max: None })];
        let ask = Ask { conditions, anonymity: Some(anonymity), ..Ask::default() };
        let asked = asked(&frame, crate::model(model).unwrap(), 1000, &ask).unwrap();
        let values = all(&asked);
        assert!(numbers(&asked, &values, "age").iter().all(|&age| age >= 40.0));
        let cells = cells_of(&asked, &values, &quasi);
        assert!(cells.len() > 20);
        for rows in cells.values() {
            assert!(rows.len() >= 4);
            for c in [2, 3] {
                let mut seen: Vec<u64> = rows.iter().map(|&row| plan::cell(&values[c], row)).collect();
                seen.sort_unstable();
                seen.dedup();
                assert!(seen.len() >= 3, "{model} {c} {seen:?}");
            }
        }
    }
}

#[test]
fn quasi_identifiers_that_make_every_row_unique_are_refused() {
    let refusal = |anonymity: Anonymity| {
        let ask = Ask { anonymity: Some(anonymity), ..Ask::default() };
        asked(&people(), crate::model("independent").unwrap(), 300, &ask).err().unwrap().message().to_string()
    };
    // 300 rows of full precision: 300 combinations of one row each, 9 more rows each.
    assert_eq!(
        refusal(anonymity(10, &["sex", "x"])),
        "k => 10: 300 of 300 combinations of (sex, x) are held by fewer rows; to fill them takes 2700 rows on top of 300, \
         max_padding => 1 allows 300: bin quasi-identifiers before synthesising (generalize(age, 'widths(10)', 1)), name \
         fewer, make more rows, or raise max_padding"
    );
    assert!(
        refusal(anonymity(10, &["sexx"]))
            .starts_with("quasi_identifiers: there is no column 'sexx'; did you mean 'sex'?")
    );
    assert!(refusal(anonymity(10, &["sex", "sex"])).starts_with("quasi_identifiers: 'sex' is named twice"));
    let sensitive = |l, name: &str| refusal(Anonymity { l, sensitive: vec![name.into()], ..anonymity(2, &["sex"]) });
    assert_eq!(sensitive(2, "sex"), "sensitive: column 'sex' is a quasi-identifier as well");
    assert_eq!(
        sensitive(4, "marital"),
        "option 'l' is 4, and sensitive column 'marital' has 3 values at most, NULL among them"
    );
}
