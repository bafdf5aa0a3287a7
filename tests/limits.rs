//! Cancellation and memory: a query that nobody waits for stops, and one that does not fit fails by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use lookalike::{ProgressSink, with_progress};

use crate::support::{cells, run};

/// Generated people: `rows` of them, all different, with three numbers and a category.
fn people(rows: u64, salt: u64) -> String {
    format!(
        "(SELECT (value * 7919 + {salt}) % 1000003 AS weight, (value * 104729 + {salt}) % 99991 AS height, \
         CAST(value % 97 AS DOUBLE) / 7 AS dose, concat('ward-', value % 13) AS ward FROM range({rows}))"
    )
}

/// One call a function over that many rows a relation.
fn calls(rows: u64) -> [(&'static str, String); 6] {
    let [a, b, c] = [people(rows, 1), people(rows, 2), people(rows, 3)];
    [
        ("SYNTHESIZE", format!("SELECT count(*) FROM synthesize({a}, rows => 100, seed => 1)")),
        (
            "K_ANONYMIZE",
            // The strict variant would go to disk.
            format!(
                "SELECT count(*) FROM k_anonymize({a}, k => 5, method => 'mondrian_relaxed', \
                 quasi_identifiers => ['weight', 'ward'])"
            ),
        ),
        (
            "ANONYMITY_REPORT",
            format!(
                "SELECT count(*) FROM anonymity_report({a}, quasi_identifiers => ['weight', 'ward'], sensitive => 'dose')"
            ),
        ),
        (
            "LINKAGE_ATTACK",
            format!("SELECT count(*) FROM linkage_attack({a}, {b}, on => ['weight', 'height', 'ward'])"),
        ),
        ("DCR", format!("SELECT count(*) FROM dcr({a}, {b}, {c})")),
        ("MIA_SCORE", format!("SELECT count(*) FROM mia_score({a}, {b}, {c}, seed => 1)")),
    ]
}

/// Counts what it is told.
#[derive(Default)]
struct Told(AtomicU64);

impl ProgressSink for Told {
    fn update(&self, _: &str, _: u64, _: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn finish(&self) {}
}

#[test]
fn a_cancelled_query_stops_within_a_second() {
    // Hours of work each, if nobody stopped it.
    for (function, call) in calls(400_000).into_iter().filter(|(f, _)| ["DCR", "MIA_SCORE"].contains(f)) {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let told = Arc::new(Told::default());
        let config = with_progress(SessionConfig::new().with_target_partitions(2), told.clone());
        let ctx = SessionContext::new_with_config(config);
        lookalike::register_all(&ctx).expect("the functions register");
        let query = runtime.spawn(async move { run(&ctx, &call).await });
        let start = Instant::now();
        while told.0.load(Ordering::SeqCst) < 3 {
            assert!(!query.is_finished(), "{function}: {:?}", runtime.block_on(query));
            assert!(start.elapsed() < Duration::from_secs(60), "{function} never says how far it is");
            std::thread::sleep(Duration::from_millis(5));
        }
        let start = Instant::now();
        query.abort();
        // Waits for every thread that still computes.
        drop(runtime);
        assert!(start.elapsed() < Duration::from_secs(1), "{function} went on for {:?}", start.elapsed());
    }
}

const LIMIT: usize = 256 << 20;

fn limited() -> SessionContext {
    limited_to(LIMIT)
}

fn limited_to(limit: usize) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(limit)));
    let config = SessionConfig::new().with_target_partitions(2);
    let ctx = SessionContext::new_with_config_rt(config, runtime.build_arc().expect("a runtime"));
    lookalike::register_all(&ctx).expect("the functions register");
    ctx
}

/// Partitions that were still reading when the query ended notice it soon, not at once.
async fn assert_gives_back(ctx: &SessionContext, function: &str) {
    let start = Instant::now();
    while ctx.runtime_env().memory_pool.reserved() > 0 {
        let held = ctx.runtime_env().memory_pool.reserved();
        assert!(start.elapsed() < Duration::from_secs(1), "{function} still holds {held} bytes");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_an_error_that_says_what_to_do() {
    let ctx = limited();
    // 12,000,000 rows of three 8-byte numbers and a category are 300 MB however they are kept.
    for (function, call) in calls(12_000_000) {
        let error = run(&ctx, &call).await.expect_err(function);
        let root = error.find_root();
        assert!(matches!(root, DataFusionError::ResourcesExhausted(_)), "{function}: {error}");
        let text = root.to_string();
        for word in [function, "raise the limit", "fewer rows"] {
            assert!(text.contains(word), "{function}: '{word}' is not in: {text}");
        }
        assert_gives_back(&ctx, function).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_runs_under_the_same_limit() {
    let ctx = limited();
    for (function, call) in calls(3_000) {
        run(&ctx, &call).await.unwrap_or_else(|e| panic!("{function}: {e}"));
        assert_gives_back(&ctx, function).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k_anonymize_finds_the_same_classes_on_disk() {
    // A million rows of three quasi-identifiers are 24 MB as they come in; the other two columns leave unchanged.
    let people = people(1_000_000, 4);
    let call = format!(
        "SELECT count(*), sum(CAST(class_id AS BIGINT) * (height % 997)), count(DISTINCT class_id), \
         min(k_anonymity), count(DISTINCT ward) FROM (SELECT class_id, height, ward, \
         count(*) OVER (PARTITION BY class_id) AS k_anonymity \
         FROM k_anonymize((SELECT *, concat('note ', height) AS note FROM {people}), k => 6, \
         quasi_identifiers => ['weight', 'dose', 'ward'], class_id => true))"
    );
    let unlimited = SessionContext::new();
    lookalike::register_all(&unlimited).expect("the functions register");
    let expected = cells(&run(&unlimited, &call).await.expect("memory is plenty"));
    assert!(expected[0][3].parse::<u64>().expect("a number") >= 6);
    // The window function of the outer query takes its part.
    let ctx = limited_to(64 << 20);
    let plan = format!("EXPLAIN ANALYZE {call}");
    assert_eq!(cells(&run(&ctx, &call).await.expect("the disk holds it")), expected);
    let analyzed = cells(&run(&ctx, &plan).await.expect("the disk holds it")).concat().concat();
    let own = analyzed.split("LookalikeExec: k_anonymize").nth(1).expect("the operator is shown");
    let spilled = own.split("spilled_bytes=").nth(1).expect("the figure is shown");
    assert!(spilled.starts_with(|c: char| c.is_ascii_digit() && c != '0'), "{spilled}");
    assert_gives_back(&ctx, "K_ANONYMIZE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn synthesize_makes_the_same_rows_on_disk() {
    // 200,000 visits of 24 columns of 8 bytes are 38 MB, most of what the limit allows.
    let columns: Vec<String> = (1..21).map(|p| format!("(height * {p} + {p} * {p}) % 1009 AS c{p}")).collect();
    let visits = format!("(SELECT *, height % 60013 AS person, {} FROM {})", columns.join(", "), people(200_000, 4));
    let unlimited = SessionContext::new();
    lookalike::register_all(&unlimited).expect("the functions register");
    let ctx = limited_to(56 << 20);
    for model in ["model => 'vae', epochs => 1, batch_size => 5000, hidden => 8", "model => 'gaussian_copula'"] {
        let call = format!(
            "SELECT count(*), count(DISTINCT person), sum(c1), sum(c7), sum(c20), sum(round(weight * 100)), min(ward) \
             FROM synthesize({visits}, {model}, privacy_unit => 'person', detect_structure => false, rows => 20000, seed => 5)"
        );
        let expected = cells(&run(&unlimited, &call).await.expect("memory is plenty"));
        assert_eq!(expected[0][0], "20000");
        assert_eq!(cells(&run(&ctx, &call).await.expect("the disk holds it")), expected, "{model}");
        let analyzed = cells(&run(&ctx, &format!("EXPLAIN ANALYZE {call}")).await.expect("the disk holds it"));
        let own = analyzed.concat().concat();
        let own = own.split("LookalikeExec: synthesize").nth(1).expect("the operator is shown");
        let spilled = own.split("spilled_bytes=").nth(1).expect("the figure is shown");
        assert!(spilled.starts_with(|c: char| c.is_ascii_digit() && c != '0'), "{spilled}");
        assert_gives_back(&ctx, "SYNTHESIZE").await;
    }
}
