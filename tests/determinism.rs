//! Same seed, same rows: at any number of partitions, any batch size, any order of the input and any cut into files.

use datafusion::error::Result;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use tempfile::TempDir;

use crate::support::{run, session, sorted_rows};

/// One query a function; `heart` is the table whose files are shuffled.
const QUERIES: [(&str, &str); 17] = [
    ("synthesize", "SELECT * FROM synthesize(heart, rows => 500, seed => 11)"),
    ("synthesize limit", "SELECT * FROM synthesize(heart, rows => 9000, seed => 11) LIMIT 5000"),
    (
        "synthesize as asked",
        "SELECT * FROM synthesize(heart, rows => 9000, seed => 11, condition => {age: {min: 50}}, balance => ['sex', 'cp'])",
    ),
    (
        "synthesize with k",
        "SELECT * FROM synthesize((SELECT id, bucket(age, 10) AS decade, sex, site, chol FROM heart), rows => 9000, seed => 11, \
         k => 20, quasi_identifiers => ['decade', 'sex', 'site'])",
    ),
    ("k_anonymize", "SELECT * FROM k_anonymize(heart, k => 5, quasi_identifiers => ['age', 'sex'], class_id => true)"),
    (
        "k_anonymize by criteria",
        "SELECT * FROM k_anonymize(heart, k => 3, l => 2, t => 0.4, sensitive => ['diagnosis', 'thal'], suppression_limit => 0.05, \
         quasi_identifiers => ['age', 'sex', 'chol', 'oldpeak'], class_id => true, output => 'mean')",
    ),
    (
        "k_anonymize, relaxed",
        "SELECT * FROM k_anonymize(heart, method => 'mondrian_relaxed', k => 5, l => 2, sensitive => 'diagnosis', \
         quasi_identifiers => ['age', 'sex', 'site'], class_id => true)",
    ),
    (
        "k_anonymize by datafly",
        "SELECT * FROM k_anonymize(heart, method => 'datafly', k => 5, suppression_limit => 0.05, class_id => true, \
         quasi_identifiers => ['age', 'sex', 'site', 'cp'], rules => {'age': 'widths(5, 10, 20)'})",
    ),
    (
        "k_anonymize, optimal",
        "SELECT * FROM k_anonymize(heart, method => 'optimal', k => 5, alpha => 0.9, sensitive => 'diagnosis', class_id => true, \
         suppression_limit => 0.05, quasi_identifiers => ['age', 'sex', 'site', 'cp'], rules => {'age': 'widths(5, 10, 20)'})",
    ),
    (
        "k_anonymize by mdav",
        "SELECT * FROM k_anonymize(heart, method => 'mdav', k => 5, quasi_identifiers => ['age', 'sex', 'chol', 'oldpeak'], \
         class_id => true, output => 'mean')",
    ),
    (
        "k_anonymize by k_member",
        "SELECT * FROM k_anonymize(heart, method => 'k_member', k => 5, quasi_identifiers => ['age', 'sex', 'site'], class_id => true)",
    ),
    (
        "anonymity_report",
        "SELECT * FROM anonymity_report(k_anonymize(train, k => 5, quasi_identifiers => ['age', 'sex', 'chol']), \
         quasi_identifiers => ['age', 'sex', 'chol'], sensitive => ['cp', 'oldpeak'], original => train, population => heart)",
    ),
    (
        "linkage_attack",
        "SELECT * FROM linkage_attack(k_anonymize(train, k => 2, quasi_identifiers => ['age', 'sex', 'chol']), heart, \
         on => ['age', 'sex', 'chol'], privacy_unit => 'id')",
    ),
    (
        "diversity",
        "SELECT l_diversity(cp, age, sex), t_closeness(oldpeak, sex, site), t_closeness(cp, site) FROM heart",
    ),
    ("dcr", "SELECT * FROM dcr(synthetic, train, holdout)"),
    ("dcr figures", "SELECT dcr(dcr, holdout_dcr, train_rows, holdout_rows) FROM dcr(synthetic, train, holdout)"),
    (
        "mia_score",
        "SELECT attack, mia_score(score, is_member) FROM mia_score(train, holdout, synthetic, seed => 7) GROUP BY attack",
    ),
];

const VIEWS: [&str; 3] = [
    "CREATE VIEW train AS SELECT * FROM heart WHERE md5(CAST(id AS VARCHAR)) < '8'",
    "CREATE VIEW holdout AS SELECT * FROM heart WHERE md5(CAST(id AS VARCHAR)) >= '8'",
    "CREATE VIEW synthetic AS SELECT * FROM synthesize(train, rows => 300, seed => 3)",
];

/// The rows of `heart` in another order, cut into `files` files.
async fn shuffled(folder: &TempDir, salt: &str, files: u64) -> Result<String> {
    let ctx = session(1, 8192).await?;
    let path = folder.path().join(salt);
    for file in 0..files {
        let target = path.join(format!("{file}.parquet"));
        let hash = format!("md5(concat('{salt}', id))");
        let copy = format!(
            "COPY (SELECT * FROM heart WHERE ascii(right({hash}, 1)) % {files} = {file} ORDER BY {hash}) TO '{}'",
            target.display()
        );
        run(&ctx, &copy).await?;
    }
    Ok(format!("{}/", path.display()))
}

/// A session whose `heart` are the files below `path`, or the shipped file.
async fn heart(partitions: usize, batch_size: usize, path: Option<&str>) -> Result<SessionContext> {
    let ctx = session(partitions, batch_size).await?;
    if let Some(path) = path {
        ctx.deregister_table("heart")?;
        ctx.register_parquet("heart", path, ParquetReadOptions::default()).await?;
    }
    for view in VIEWS {
        run(&ctx, view).await?;
    }
    Ok(ctx)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_depend_on_the_seed_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let one = shuffled(&folder, "one", 1).await.expect("written");
    let three = shuffled(&folder, "three", 3).await.expect("written");
    let plain = heart(1, 8192, None).await.expect("the shipped data");
    let mut others = Vec::new();
    for partitions in [1, 2, 7] {
        for batch_size in [100, 8192] {
            for path in [None, Some(&one), Some(&three)] {
                let ctx = heart(partitions, batch_size, path.map(String::as_str)).await.expect("the data");
                others.push((format!("{partitions} partitions, batches of {batch_size}, files {path:?}"), ctx));
            }
        }
    }
    for (name, query) in QUERIES {
        let expected = sorted_rows(&plain, query).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!expected.is_empty(), "{name}");
        for (variant, ctx) in &others {
            let rows = sorted_rows(ctx, query).await.unwrap_or_else(|e| panic!("{name}, {variant}: {e}"));
            assert_eq!(rows.len(), expected.len(), "{name}, {variant}");
            if let Some((row, other)) = expected.iter().zip(&rows).find(|(a, b)| a != b) {
                panic!("{name}, {variant}:\n{row}\nbecame\n{other}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_seed_gives_other_rows() {
    let ctx = heart(2, 8192, None).await.expect("the shipped data");
    for query in
        ["SELECT * FROM synthesize(heart, rows => 500, seed => $)", "SELECT * FROM synthesize(heart, rows => 500)"]
    {
        let [a, b] = ["1", "2"].map(|seed| query.replace('$', seed));
        let a = sorted_rows(&ctx, &a).await.expect("rows");
        assert_ne!(a, sorted_rows(&ctx, &b).await.expect("rows"), "{query}");
    }
}
