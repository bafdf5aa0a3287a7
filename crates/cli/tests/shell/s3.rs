//! The binary against an S3 server that checks signatures, reached through environment variables alone.

use std::process::{Command, Output};

use crate::{assert_fails, folder, lookalike, server, stderr, stdout};

struct Store {
    server: server::Server,
    /// The server answers as long as these threads live.
    _threads: tokio::runtime::Runtime,
}

impl Store {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let server = runtime.block_on(server::Server::start());
        Self { server, _threads: runtime }
    }

    fn command(&self) -> Command {
        let mut command = lookalike(&std::env::temp_dir());
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        command
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", server::KEY)
            .env("AWS_SECRET_ACCESS_KEY", server::SECRET);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().expect("the binary starts")
    }
}

#[test]
fn a_bucket_is_written_and_read_through_environment_variables() {
    let store = Store::start();
    let sql = "COPY (SELECT value AS id, value % 2 AS ward FROM range(10)) TO $out STORED AS PARQUET PARTITIONED BY (ward);\
               SELECT ward, sum(id) AS s FROM $out GROUP BY ward ORDER BY ward";
    let out = format!("out=s3://{}/cohort/", server::BUCKET);
    let output = store.run(&["-q", "--format", "csv", "--param", &out, "-c", sql]);
    // By hand: 0+2+4+6+8 and 1+3+5+7+9.
    assert_eq!(stdout(&output), "ward,s\n0,20\n1,25\n", "{}", stderr(&output));
    assert!(store.server.objects().iter().all(|o| o.starts_with("cohort/ward=")), "{:?}", store.server.objects());
    assert!(store.server.count("GetObject") > 0);
}

#[test]
fn what_the_store_refuses_is_said_with_what_to_check() {
    let store = Store::start();
    let object = format!("s3://{}/none.parquet", server::BUCKET);
    let output = store.run(&["-c", &format!("SELECT * FROM '{object}'")]);
    assert_fails(&output, &format!("cannot read '{object}': no such file"));
    let output = store.run(&["-c", "SELECT * FROM 's3://hospice/stays/'"]);
    assert_fails(&output, "Check the bucket's name");
    let wrong = |sql: String| {
        let mut command = store.command();
        command.env("AWS_SECRET_ACCESS_KEY", "wrong").args(["-c", &sql]).output().expect("the binary starts")
    };
    let output = wrong(format!("SELECT * FROM 's3://{}/stays/'", server::BUCKET));
    assert_fails(&output, "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    let output = wrong(format!("COPY (SELECT 1 AS a) TO '{object}'"));
    assert_fails(&output, "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    let mut command = store.command();
    let output = command.env_remove("AWS_ALLOW_HTTP").args(["-c", &format!("SELECT * FROM '{object}'")]).output();
    assert_fails(&output.expect("the binary starts"), "Set AWS_ALLOW_HTTP=true");
    assert_eq!(store.server.objects(), [""; 0]);
}

#[test]
fn the_same_path_in_two_buckets_is_two_tables() {
    let store = Store::start();
    store.server.make_bucket("clinic");
    let sql = "COPY (SELECT 1 AS a) TO 's3://hospital/t/x.parquet'; COPY (SELECT 2 AS a) TO 's3://clinic/t/x.parquet';\
               SELECT h.a AS h, c.a AS c FROM 's3://hospital/t/' h CROSS JOIN 's3://clinic/t/' c";
    let output = store.run(&["-q", "--format", "csv", "-c", sql]);
    assert_eq!(stdout(&output), "h,c\n1,2\n", "{}", stderr(&output));
}

/// The recipe with its files in the bucket, and how it ends.
fn quickstart(store: &Store, change: impl Fn(String) -> String) -> Output {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let recipe = std::fs::read_to_string(root.join("sql/recipes/quickstart.sql")).expect("the recipe");
    for path in recipe.split('\'').filter(|text| text.starts_with("tests/data/")) {
        store.server.put(path, &std::fs::read(root.join(path)).expect("shipped data"));
    }
    let recipe =
        recipe.replace("'tests/data/", "'s3://hospital/tests/data/").replace("'target/", "'s3://hospital/out/");
    let folder = folder();
    let script = folder.path().join("quickstart.sql");
    std::fs::write(&script, change(recipe)).expect("written");
    store.run(&["-q", "--format", "csv", "-f", script.to_str().expect("UTF-8")])
}

fn written(store: &Store) -> Vec<String> {
    store.server.objects().into_iter().filter(|object| object.starts_with("out/")).collect()
}

#[test]
fn the_quickstart_runs_in_object_storage() {
    let store = Store::start();
    let output = quickstart(&store, |recipe| recipe);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    assert!(stdout(&output).ends_with("is_5_anonymous\ntrue\n"), "{}", stdout(&output));
    let names = ["people_synthetic", "trial_anonymous", "trial_synthetic"];
    assert_eq!(written(&store), names.map(|name| format!("out/quickstart/{name}.parquet")));
}

#[test]
fn a_gate_that_is_not_met_stops_the_quickstart_before_anything_leaves() {
    let store = Store::start();
    let output = quickstart(&store, |recipe| {
        assert!(recipe.contains("site_id) >= 5, 'the release"));
        recipe.replace("site_id) >= 5, 'the release", "site_id) >= 500, 'the release")
    });
    assert_fails(&output, "the release is not 5-anonymous");
    assert_eq!(written(&store), [""; 0]);
}
