//! Figures that other tools measured on the shipped data; the scripts are in tests/golden/make.

use std::collections::HashMap;

use datafusion::error::Result;
use serde_json::Value;

use crate::support::{cells, run, session};

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|v| v.as_str().expect("a string")).collect()
}

/// Figures of pycanon 1.3.6 (report_pycanon.py), and those of the definitions where pycanon departs from them: its entropy l is
/// an integer, its recursive c sorts the wrong way round, and its enhanced beta is finite for every table.
#[tokio::test]
async fn pycanon_measures_the_same() -> Result<()> {
    let golden: Value = serde_json::from_str(include_str!("golden/report_pycanon.json")).expect("JSON");
    let ctx = session(2, 100).await?;
    run(&ctx, "CREATE VIEW patients AS SELECT *, age / 10 AS decade FROM heart").await?;
    let reports = golden["reports"].as_array().expect("a list");
    assert_eq!(reports.len(), 9);
    for expected in reports {
        let quasi = texts(&expected["quasi_identifiers"]);
        let sensitive = expected["sensitive"].as_str().expect("a column");
        let place = format!("{sensitive} by {quasi:?}");
        let sql = format!(
            "SELECT metric, value FROM anonymity_report(patients, quasi_identifiers => ['{}'], sensitive => '{sensitive}')",
            quasi.join("', '")
        );
        let found: HashMap<String, f64> = cells(&run(&ctx, &sql).await?)
            .into_iter()
            .map(|row| (row[0].clone(), row[1].parse().expect("a number")))
            .collect();
        for (metric, expected) in [&expected["pycanon"], &expected["definitions"]]
            .into_iter()
            .flat_map(|figures| figures.as_object().expect("figures"))
        {
            match (found.get(metric), expected.as_f64()) {
                (Some(found), Some(expected)) => {
                    assert!(
                        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                        "{place}, {metric}: {found} {expected}"
                    );
                }
                // No beta and no c is enough; text has no order.
                (Some(found), None) => assert!(found.is_infinite(), "{place}, {metric}: {found}"),
                (None, None) => assert_eq!(metric, "t_ordered", "{place}"),
                (None, Some(expected)) => panic!("{place}: no {metric}, which is {expected}"),
            }
        }
        // The integer below exp(entropy), where rounding does not decide.
        let entropy = found["entropy_l"];
        if (entropy - entropy.round()).abs() > 1e-9 {
            assert_eq!(expected["differing"]["entropy_l"].as_f64(), Some(entropy.floor()), "{place}");
        }
        // The aggregates say the same.
        let sql = format!(
            "SELECT k_anonymity({0}), l_diversity({sensitive}, {0}), t_closeness({sensitive}, {0}), t_closeness(concat({sensitive}, ''), {0}) FROM patients",
            quasi.join(", ")
        );
        let row = cells(&run(&ctx, &sql).await?).remove(0);
        let t = found.get("t_ordered").unwrap_or(&found["t_equal"]);
        for (cell, expected) in row.iter().zip([found["k"], found["distinct_l"], *t, found["t_equal"]]) {
            let cell: f64 = cell.parse().expect("a number");
            assert!((cell - expected).abs() < 1e-12, "{place}: {cell} {expected}");
        }
    }
    Ok(())
}
