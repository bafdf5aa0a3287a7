//! Cohorts in object storage: an S3 server in this process, DataFusion's S3 client, and a wire that can be cut.

mod proxy;
mod server;

use std::{sync::Arc, time::Duration};

use datafusion::{
    arrow::{array::RecordBatch, compute::cast, datatypes::DataType, util::pretty::pretty_format_batches},
    common::cast::{as_float64_array, as_int64_array},
    error::DataFusionError,
    prelude::{SessionConfig, SessionContext},
    sql::parser::DFParser,
};
use futures::TryStreamExt;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder};

use proxy::{Direction, Proxy};
use server::{BUCKET, KEY, SECRET, Server};

/// More than any of these tests needs, on a busy machine too; a hang becomes a failure.
const LIMIT: Duration = Duration::from_secs(120);

async fn within_limit(test: impl Future<Output = ()>) {
    tokio::time::timeout(LIMIT, test).await.expect("the test hangs");
}

/// A client that gives up soon, so that a cut wire is an error and not a wait.
fn client(endpoint: &str, bucket: &str, secret: &str) -> Arc<dyn ObjectStore> {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(5), max_backoff: Duration::from_millis(20), base: 2.0 };
    let retry = RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(5) };
    let options = ClientOptions::new()
        .with_allow_http(true)
        .with_connect_timeout(Duration::from_secs(2))
        .with_timeout(Duration::from_secs(30));
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_region("us-east-1")
        .with_bucket_name(bucket)
        .with_access_key_id(KEY)
        .with_secret_access_key(secret)
        .with_client_options(options)
        .with_retry(retry);
    Arc::new(builder.build().expect("a complete configuration"))
}

/// A session with Lookalike's functions and the bucket `s3://hospital`.
fn session(endpoint: &str, secret: &str) -> SessionContext {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    lookalike::register_all(&ctx).expect("the functions register");
    add_bucket(&ctx, endpoint, BUCKET, secret);
    ctx
}

fn add_bucket(ctx: &SessionContext, endpoint: &str, bucket: &str, secret: &str) {
    let url = format!("s3://{bucket}").parse().expect("a URL");
    ctx.register_object_store(&url, client(endpoint, bucket, secret));
}

async fn sql(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, DataFusionError> {
    ctx.sql(sql).await?.collect().await
}

async fn text(ctx: &SessionContext, query: &str) -> String {
    let rows = sql(ctx, query).await.unwrap_or_else(|e| panic!("{query}: {e}"));
    pretty_format_batches(&rows).expect("rows can be shown").to_string()
}

async fn external(ctx: &SessionContext, name: &str, location: &str, rest: &str) -> Result<(), DataFusionError> {
    sql(ctx, &format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET {rest} LOCATION '{location}'")).await.map(drop)
}

/// The objects that the store lists, as any other client would see them.
async fn listed(server: &Server) -> Vec<String> {
    let store = client(&server.endpoint(), BUCKET, SECRET);
    let objects: Vec<_> =
        store.list(None).map_ok(|object| object.location.to_string()).try_collect().await.expect("listed");
    let mut objects = objects;
    objects.sort();
    objects
}

#[track_caller]
fn assert_says(error: &DataFusionError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

/// 20,000 stays in five wards; stays in every ward have their own ages and costs.
const STAYS: &str = "SELECT value AS stay, concat('ward-', value % 5) AS ward, 20 + value % 71 AS age, \
                     CAST(value % 997 AS DOUBLE) / 4 AS cost FROM range(20000)";

/// 2,200,000 rows of two 8-byte columns that do not compress: 35 MB, four parts of 10 MiB.
const BIG: &str = "SELECT value AS id, sin(value) AS x FROM range(2200000)";
const BIG_ROWS: i64 = 2_200_000;
const PLAIN: &str =
    "STORED AS PARQUET OPTIONS ('format.compression' 'uncompressed', 'format.dictionary_enabled' 'false')";

/// Asserts that `table` holds exactly the rows of `BIG`.
async fn assert_big(ctx: &SessionContext, table: &str) {
    let query = format!("SELECT count(*), sum(id), count(*) FILTER (WHERE x = sin(id)), sum(x * 0) FROM {table}");
    let rows = sql(ctx, &query).await.unwrap_or_else(|e| panic!("{query}: {e}"));
    let number = |column: usize| as_int64_array(rows[0].column(column)).expect("a count").value(0);
    assert_eq!(number(0), BIG_ROWS);
    assert_eq!(number(1), BIG_ROWS * (BIG_ROWS - 1) / 2);
    assert_eq!(number(2), BIG_ROWS);
    assert_eq!(as_float64_array(rows[0].column(3)).expect("a sum").value(0), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_cohort_is_written_and_read_back_with_a_filter() {
    within_limit(async {
        let server = Server::start().await;
        let ctx = session(&server.endpoint(), SECRET);
        sql(&ctx, &format!("CREATE VIEW stays AS {STAYS}")).await.expect("a view");
        sql(&ctx, "COPY (SELECT * FROM stays) TO 's3://hospital/stays/' STORED AS PARQUET PARTITIONED BY (ward)")
            .await
            .expect("written");
        let objects = listed(&server).await;
        assert_eq!(objects, server.objects());
        for ward in 0..5 {
            let folder = format!("stays/ward=ward-{ward}/");
            assert!(objects.iter().any(|o| o.starts_with(&folder) && o.ends_with(".parquet")), "{objects:?}");
        }

        external(&ctx, "back", "s3://hospital/stays/", "PARTITIONED BY (ward)").await.expect("a table");
        for query in [
            "SELECT ward, count(*) AS n, sum(age) AS ages, sum(cost) AS costs FROM t GROUP BY ward ORDER BY ward",
            "SELECT count(*) AS n, min(age) AS a, max(cost) AS c FROM t WHERE ward = 'ward-3' AND age > 60",
        ] {
            let [here, there] = ["stays", "back"].map(|table| query.replace(" t ", &format!(" {table} ")));
            assert_eq!(text(&ctx, &there).await, text(&ctx, &here).await);
        }
        // The filter reaches the listing: only objects of that ward are read.
        let plan = text(&ctx, "EXPLAIN SELECT stay FROM back WHERE ward = 'ward-3'").await;
        assert!(plan.contains("stays/ward=ward-3/") && !plan.contains("stays/ward=ward-2/"), "{plan}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_many_parts_is_read_back_equal() {
    within_limit(async {
        let server = Server::start().await;
        let ctx = session(&server.endpoint(), SECRET);
        sql(&ctx, &format!("COPY ({BIG}) TO 's3://hospital/big.parquet' {PLAIN}")).await.expect("written");
        assert!(server.count("UploadPart") > 2, "{} parts", server.count("UploadPart"));
        assert_eq!(server.count("CompleteMultipartUpload"), 1);
        assert_eq!(listed(&server).await, ["big.parquet"]);
        external(&ctx, "big", "s3://hospital/big.parquet", "").await.expect("a table");
        assert_big(&ctx, "big").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_for_reading_and_writing() {
    within_limit(async {
        let server = Server::start().await;
        let right = session(&server.endpoint(), SECRET);
        sql(&right, "COPY (SELECT 1 AS a) TO 's3://hospital/a.parquet' STORED AS PARQUET").await.expect("written");

        let wrong = session(&server.endpoint(), "not-the-secret");
        let error = external(&wrong, "a", "s3://hospital/a.parquet", "").await.expect_err("the secret is wrong");
        assert_says(&error, &["a.parquet", "403"]);
        let error = external(&wrong, "all", "s3://hospital/", "").await.expect_err("the secret is wrong");
        assert_says(&error, &["SignatureDoesNotMatch"]);
        let copy = "COPY (SELECT 2 AS a) TO 's3://hospital/b.parquet' STORED AS PARQUET";
        let error = sql(&wrong, copy).await.expect_err("the secret is wrong");
        assert_says(&error, &["b.parquet", "SignatureDoesNotMatch"]);
        assert_eq!(listed(&server).await, ["a.parquet"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_bucket_or_object_is_named() {
    within_limit(async {
        let server = Server::start().await;
        let ctx = session(&server.endpoint(), SECRET);
        add_bucket(&ctx, &server.endpoint(), "hospice", SECRET);
        let error = external(&ctx, "t", "s3://hospice/stays/", "").await.expect_err("no such bucket");
        assert_says(&error, &["NoSuchBucket", "hospice"]);
        let copy = "COPY (SELECT 1 AS a) TO 's3://hospice/a.parquet' STORED AS PARQUET";
        let error = sql(&ctx, copy).await.expect_err("no such bucket");
        assert_says(&error, &["NoSuchBucket", "hospice"]);
        server.make_bucket("hospice");
        sql(&ctx, copy).await.expect("the bucket is there");

        let error = external(&ctx, "t", "s3://hospital/none.parquet", "").await.expect_err("no such object");
        assert_says(&error, &["No files found", "s3://hospital/none.parquet"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_cut_in_a_read_is_an_error_and_never_fewer_rows() {
    within_limit(async {
        let server = Server::start().await;
        let writer = session(&server.endpoint(), SECRET);
        sql(&writer, &format!("COPY ({BIG}) TO 's3://hospital/big.parquet' {PLAIN}")).await.expect("written");

        let proxy = Proxy::start(server.address).await;
        let ctx = session(&proxy.endpoint(), SECRET);
        external(&ctx, "big", "s3://hospital/big.parquet", "").await.expect("a table");
        for bytes in [1 << 10, 1 << 20, 20 << 20] {
            proxy.cut_after(Direction::Down, bytes);
            let error = sql(&ctx, "SELECT count(*), sum(id), sum(x) FROM big").await.expect_err("the wire is cut");
            assert!(proxy.is_cut(), "{error}");
            assert_says(&error, &["S3", "big.parquet"]);
            proxy.mend();
        }
        // A wire that is cut once and works again is no error: the client asks for the rest.
        proxy.cut_once_after(Direction::Down, 20 << 20);
        assert_big(&ctx, "big").await;
        assert!(proxy.was_cut_once());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_cut_in_a_write_leaves_no_object_and_the_old_one_alone() {
    within_limit(async {
        let server = Server::start().await;
        let proxy = Proxy::start(server.address).await;
        let ctx = session(&proxy.endpoint(), SECRET);
        sql(&ctx, "COPY (SELECT 42 AS a) TO 's3://hospital/old.parquet' STORED AS PARQUET").await.expect("written");
        let csv = "STORED AS CSV";
        let cuts = [
            ("new.parquet", PLAIN, 1 << 10),
            ("new.parquet", PLAIN, 25 << 20),
            ("old.parquet", PLAIN, 25 << 20),
            ("new.csv", csv, 25 << 20),
        ];
        for (name, form, bytes) in cuts {
            proxy.cut_after(Direction::Up, bytes);
            let error = sql(&ctx, &format!("COPY ({BIG}) TO 's3://hospital/{name}' {form}")).await;
            let error = error.expect_err("the wire is cut");
            assert!(proxy.is_cut(), "{error}");
            // The engine's CSV writer gives up without passing the store's reason on.
            let words = if form == csv { ["writes", "ObjectStore"] } else { ["S3", name] };
            assert_says(&error, &words);
            proxy.mend();
            assert_eq!(server.count("CompleteMultipartUpload"), 0);
            assert_eq!(listed(&server).await, ["old.parquet"]);
            assert_eq!(server.objects(), ["old.parquet"]);
        }
        external(&ctx, "old", "s3://hospital/old.parquet", "").await.expect("a table");
        assert!(text(&ctx, "SELECT a FROM old").await.contains("42"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_in_the_query_or_is_cancelled_leaves_no_object() {
    within_limit(async {
        let server = Server::start().await;
        let ctx = session(&server.endpoint(), SECRET);
        // The last row cannot be computed; several parts are on the server by then.
        let failing = BIG.replace("sin(value)", &format!("1.0 / 1 + 10 / ({} - value)", BIG_ROWS - 1));
        for (target, form) in [
            ("failed.parquet", PLAIN),
            ("failed.csv", "STORED AS CSV"),
            ("failed.json", "STORED AS JSON"),
            ("failed/", "STORED AS PARQUET PARTITIONED BY (part)"),
        ] {
            let copy = format!("COPY (SELECT *, id % 2 AS part FROM ({failing})) TO 's3://hospital/{target}' {form}");
            let error = sql(&ctx, &copy).await.expect_err("the last row divides by zero");
            assert_says(&error, &["Divide by zero"]);
            assert_eq!(server.objects(), [""; 0], "{target}");
        }

        let parts = server.count("UploadPart");
        let cancelled = ctx.clone();
        let copy = format!("COPY ({BIG}) TO 's3://hospital/cancelled.parquet' {PLAIN}");
        let running = tokio::spawn(async move { sql(&cancelled, &copy).await });
        while server.count("UploadPart") < parts + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.abort();
        assert!(running.await.expect_err("aborted").is_cancelled());
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(listed(&server).await, [""; 0]);
        assert_eq!(server.objects(), [""; 0]);
    })
    .await;
}

/// The rows of a query that gives one row of whole numbers.
async fn numbers(ctx: &SessionContext, query: &str) -> Vec<i64> {
    let rows = sql(ctx, query).await.unwrap_or_else(|e| panic!("{query}: {e}"));
    let columns = rows[0].columns().iter();
    columns.map(|c| as_int64_array(&cast(c, &DataType::Int64).expect("a number")).expect("cast").value(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_four_functions() {
    within_limit(async {
        let server = Server::start().await;
        let ctx = session(&server.endpoint(), SECRET);
        let copy = format!("COPY ({STAYS}) TO 's3://hospital/stays/' STORED AS PARQUET PARTITIONED BY (ward)");
        sql(&ctx, &copy).await.expect("written");
        external(&ctx, "stays", "s3://hospital/stays/", "PARTITIONED BY (ward)").await.expect("a table");
        // 20,000 stays in five wards: 400 of the first 2,000 in each ward, half of them with an even number.
        for view in [
            "CREATE VIEW train AS SELECT * FROM stays WHERE stay < 2000 AND stay % 2 = 0",
            "CREATE VIEW holdout AS SELECT * FROM stays WHERE stay < 2000 AND stay % 2 = 1",
        ] {
            sql(&ctx, view).await.expect("a view");
        }

        // SYNTHESIZE, written in several parts and read again.
        let synthesize = "SELECT * FROM synthesize(stays, rows => 700000, seed => 5, identifiers => ['stay'])";
        sql(&ctx, &format!("COPY ({synthesize}) TO 's3://hospital/synthetic.parquet' {PLAIN}")).await.expect("written");
        assert!(server.count("UploadPart") > 2, "{} parts", server.count("UploadPart"));
        external(&ctx, "synthetic", "s3://hospital/synthetic.parquet", "").await.expect("a table");
        let figures = "SELECT count(*) AS n, min(age) AS a, max(age) AS b, sum(age) AS s, min(cost) AS c, max(cost) AS d, \
                       count(DISTINCT ward) AS wards, count(DISTINCT stay) AS stays FROM";
        let read = text(&ctx, &format!("{figures} synthetic")).await;
        assert_eq!(read, text(&ctx, &format!("{figures} ({synthesize})")).await);
        assert_eq!(numbers(&ctx, "SELECT count(*), count(DISTINCT ward) FROM synthetic").await, [700_000, 5]);

        // K_ANONYMIZE, partitioned as it came.
        let anonymize = "SELECT age, ward, cost FROM k_anonymize(stays, k => 7, quasi_identifiers => ['age', 'ward'])";
        sql(&ctx, &format!("COPY ({anonymize}) TO 's3://hospital/released/' STORED AS PARQUET")).await.expect("written");
        external(&ctx, "released", "s3://hospital/released/", "").await.expect("a table");
        let released = numbers(&ctx, "SELECT count(*), k_anonymity(age, ward) FROM released").await;
        assert_eq!(released[0], 20_000);
        assert!(released[1] >= 7, "k is {}", released[1]);

        // DCR and MIA_SCORE over what lies in the bucket; their rows go there too.
        let people = "(SELECT * FROM synthetic ORDER BY stay LIMIT 1000)";
        sql(&ctx, &format!("COPY (SELECT * FROM dcr({people}, train, holdout)) TO 's3://hospital/dcr.parquet'"))
            .await
            .expect("written");
        external(&ctx, "distances", "s3://hospital/dcr.parquet", "").await.expect("a table");
        let dcr = "SELECT figures['rows'], figures['median'] >= 0 FROM \
                   (SELECT dcr(dcr, holdout_dcr, train_rows, holdout_rows) AS figures FROM distances)";
        assert_eq!(numbers(&ctx, dcr).await, [1000, 1]);

        let scores = format!("SELECT attack, score, is_member FROM mia_score(train, holdout, {people}, seed => 7)");
        sql(&ctx, &format!("COPY ({scores}) TO 's3://hospital/scores.parquet'")).await.expect("written");
        external(&ctx, "scores", "s3://hospital/scores.parquet", "").await.expect("a table");
        // Without reference rows the calibrated attack takes half of the non-members for them.
        for (attack, counts) in [("dcr", [1000, 1000]), ("dcr_diff", [1000, 500])] {
            let mia = format!(
                "SELECT figures['members'], figures['non_members'] FROM \
                 (SELECT mia_score(score, is_member) AS figures FROM scores WHERE attack = '{attack}')"
            );
            assert_eq!(numbers(&ctx, &mia).await, counts, "{attack}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_not_met_writes_nothing() {
    within_limit(async {
        let server = Server::start().await;
        let ctx = session(&server.endpoint(), SECRET);
        let gated = "SELECT value AS id, require(value < 50000, 'too many people') AS ok FROM range(60000)";
        let copy = format!("COPY ({gated}) TO 's3://hospital/gated.parquet'");
        assert_says(&sql(&ctx, &copy).await.expect_err("50,000 is not below 50,000"), &["too many people"]);
        assert_eq!(server.objects(), [""; 0]);
    })
    .await;
}

/// The recipe users copy, with nothing changed but where its files lie.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quickstart_runs_in_object_storage() {
    within_limit(async {
        let server = Server::start().await;
        let ctx = session(&server.endpoint(), SECRET);
        let recipe = std::fs::read_to_string("sql/recipes/quickstart.sql").expect("the recipe");
        let local: Vec<_> = recipe.split('\'').filter(|text| text.starts_with("tests/data/")).collect();
        assert!(!local.is_empty());
        for path in local {
            server.put(path, &std::fs::read(path).expect("shipped data"));
        }
        let recipe =
            recipe.replace("'tests/data/", "'s3://hospital/tests/data/").replace("'target/", "'s3://hospital/target/");
        for statement in DFParser::parse_sql(&recipe).expect("the recipe parses") {
            let shown = statement.to_string();
            let plan = ctx.state().statement_to_plan(statement).await.unwrap_or_else(|e| panic!("{shown}: {e}"));
            let rows = ctx.execute_logical_plan(plan).await.unwrap_or_else(|e| panic!("{shown}: {e}")).collect().await;
            rows.unwrap_or_else(|e| panic!("{shown}: {e}"));
        }
        let mut written = listed(&server).await;
        written.retain(|object| object.starts_with("target/"));
        let names = ["people_synthetic", "trial_anonymous", "trial_synthetic"];
        assert_eq!(written, names.map(|name| format!("target/quickstart/{name}.parquet")));
        for (name, object) in names.iter().zip(&written) {
            external(&ctx, &format!("read_{name}"), &format!("s3://hospital/{object}"), "").await.expect("a table");
        }
        // As many rows as the recipe asks for, and nobody of the trial left out.
        assert_eq!(numbers(&ctx, "SELECT count(*) FROM read_people_synthetic").await, [2694]);
        assert_eq!(numbers(&ctx, "SELECT count(*) FROM read_trial_synthetic").await, [300]);
        let anonymous = "SELECT (SELECT count(*) FROM trial) - count(*), k_anonymity(age, sex, race, site_id) >= 5 \
                         FROM read_trial_anonymous";
        assert_eq!(numbers(&ctx, anonymous).await, [0, 1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_saved_and_sampled_in_object_storage() {
    within_limit(async {
        let server = Server::start().await;
        let proxy = Proxy::start(server.address).await;
        let ctx = session(&proxy.endpoint(), SECRET);
        let stays = format!("({STAYS})");
        let fit = format!(
            "SELECT epoch FROM fit_model({stays}, path => 's3://hospital/models/stays.lookalike', identifiers => 'stay', seed => 3)"
        );
        assert_eq!(numbers(&ctx, &fit).await, [0]);
        assert_eq!(server.objects(), ["models/stays.lookalike"]);
        let sample = "SELECT * FROM sample_model('s3://hospital/models/stays.lookalike', rows => 30000, seed => 3)";
        let synthesize = format!(
            "SELECT * FROM synthesize({stays}, identifiers => 'stay', rows => 30000, seed => 3, filter_copies => false, \
             save_model => 's3://hospital/models/again.lookalike')"
        );
        let different = format!("SELECT count(*) FROM ({sample} EXCEPT ({synthesize}))");
        assert_eq!(numbers(&ctx, &different).await, [0]);
        assert_eq!(numbers(&ctx, &format!("SELECT count(*) FROM ({sample})")).await, [30_000]);
        assert_eq!(listed(&server).await, ["models/again.lookalike", "models/stays.lookalike"]);

        let missing = sql(&ctx, "SELECT * FROM sample_model('s3://hospital/models/none.lookalike')").await;
        assert_says(&missing.expect_err("no such object"), &["there is no file 's3://hospital/models/none.lookalike'"]);
        let wrong = session(&server.endpoint(), "not-the-secret");
        assert_says(&sql(&wrong, sample).await.expect_err("the secret is wrong"), &["stays.lookalike", "403"]);

        // A wire cut while a model is written leaves the one that was there before, and no other.
        let kept = format!("{sample} ORDER BY stay LIMIT 100");
        let before = text(&ctx, &kept).await;
        for name in ["stays", "new"] {
            proxy.cut_after(Direction::Up, 2 << 10);
            let path = format!("s3://hospital/models/{name}.lookalike");
            let other = format!("SELECT * FROM fit_model((SELECT age, ward, cost FROM {stays}), path => '{path}')");
            let error = sql(&ctx, &other).await.expect_err("the wire is cut");
            assert!(proxy.is_cut(), "{error}");
            assert_says(&error, &["FIT_MODEL: writing", &path]);
            proxy.mend();
            assert_eq!(server.objects(), ["models/again.lookalike", "models/stays.lookalike"]);
        }
        assert_eq!(text(&ctx, &kept).await, before);

        // A server that cannot be reached any more.
        drop(server);
        proxy.cut_after(Direction::Down, 0);
        assert_says(&sql(&ctx, sample).await.expect_err("nobody answers"), &["stays.lookalike"]);
    })
    .await;
}
