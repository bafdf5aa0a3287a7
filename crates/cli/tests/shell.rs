//! The binary as its users meet it: exit codes, stdout to the byte, stderr, files and signals.

#[path = "shell/s3.rs"]
mod s3;
#[path = "../../../tests/s3/server.rs"]
mod server;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

fn lookalike(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookalike"));
    command.current_dir(folder).stdin(Stdio::null()).env_remove("DATAFUSION_FORMAT_NULL");
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn run(args: &[&str]) -> Output {
    let folder = folder();
    lookalike(folder.path()).args(args).output().expect("the binary starts")
}

fn run_in(folder: &TempDir, args: &[&str]) -> Output {
    lookalike(folder.path()).args(args).output().expect("the binary starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("stdout is UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("stderr is UTF-8")
}

#[track_caller]
fn assert_fails(output: &Output, message: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    assert!(stderr(output).contains(message), "'{message}' is not in: {}", stderr(output));
}

#[test]
fn quiet_output_is_rows_alone_in_every_format() {
    let sql = "SELECT 1 AS a, 'x;y' AS b, CAST(NULL AS INT) AS c, [1, 2] AS d";
    let table = "\
+---+-----+------+--------+
| a | b   | c    | d      |
+---+-----+------+--------+
| 1 | x;y | NULL | [1, 2] |
+---+-----+------+--------+
";
    let expected = [
        ("automatic", table),
        ("table", table),
        ("csv", "a,b,c,d\n1,x;y,,\"[1, 2]\"\n"),
        ("tsv", "a\tb\tc\td\n1\tx;y\t\t[1, 2]\n"),
        ("json", "[{\"a\":1,\"b\":\"x;y\",\"c\":null,\"d\":[1,2]}]\n"),
        ("nd-json", "{\"a\":1,\"b\":\"x;y\",\"c\":null,\"d\":[1,2]}\n"),
    ];
    for (format, rows) in expected {
        let output = run(&["-q", "--format", format, "-c", sql]);
        assert_eq!(stdout(&output), rows, "{format}");
        assert_eq!(stderr(&output), "", "{format}");
        assert_eq!(output.status.code(), Some(0), "{format}");
    }
}

#[test]
fn an_empty_result_keeps_its_columns() {
    let expected = [("table", "+---+\n| a |\n+---+\n+---+\n"), ("csv", "a\n"), ("json", "[]\n"), ("nd-json", "")];
    for (format, rows) in expected {
        let output = run(&["-q", "--format", format, "-c", "SELECT 1 AS a WHERE false"]);
        assert_eq!(stdout(&output), rows, "{format}");
    }
}

#[test]
#[cfg(unix)]
fn every_recipe_runs_to_its_end() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let mut recipes = 0;
    for recipe in fs::read_dir(root.join("sql/recipes")).expect("the recipes").map(|f| f.expect("a file").path()) {
        // The data where the recipe looks for it, and what it writes elsewhere than in the repository.
        let folder = folder();
        std::os::unix::fs::symlink(root.join("tests"), folder.path().join("tests")).expect("a link");
        let file = recipe.to_str().expect("UTF-8");
        let output = run_in(&folder, &["-q", "-f", file]);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", stderr(&output));
        let written: Vec<_> = fs::read_dir(folder.path().join("target")).expect("the recipe writes").collect();
        assert!(!written.is_empty(), "{file}");
        recipes += 1;
    }
    assert!(recipes >= 8);
}

#[test]
fn counts_go_to_stderr_and_only_without_q() {
    let output = run(&["--format", "csv", "-c", "SELECT 1 AS a"]);
    assert_eq!(stdout(&output), "a\n1\n");
    assert!(stderr(&output).starts_with("1 row ("), "{}", stderr(&output));
}

#[test]
fn every_row_arrives_whatever_the_format_but_a_table_can_be_cut() {
    // 20,000 rows are several batches; header and closing line excluded.
    let sql = "SELECT value FROM range(20000)";
    for (format, frame) in [("table", 4), ("csv", 1), ("nd-json", 0)] {
        let output = run(&["-q", "--format", format, "-c", sql]);
        assert_eq!(stdout(&output).lines().count(), 20_000 + frame, "{format}");
    }
    let output = run(&["-q", "--max-rows", "2", "-c", sql]);
    assert_eq!(stdout(&output).lines().count(), 2 + 4);
    assert_eq!(stderr(&output), "2 of 20000 rows shown; --max-rows inf shows all\n");
}

#[test]
fn commands_and_files_run_in_the_order_given_in_one_session() {
    let folder = folder();
    fs::write(folder.path().join("make.sql"), "CREATE TABLE t AS VALUES (1), (2);\n-- the end").expect("written");
    let args =
        ["-q", "--format", "csv", "-c", "SELECT 0 AS a", "-f", "make.sql", "-c", "SELECT sum(column1) AS s FROM t;"];
    let output = run_in(&folder, &args);
    assert_eq!(stdout(&output), "a\n0\ns\n3\n", "{}", stderr(&output));
}

#[test]
fn the_first_failing_statement_stops_a_script() {
    let folder = folder();
    let script = "SELECT 1 AS a;\n\nSELECT x\nFROM (SELECT 1 AS y);\nCOPY (SELECT 1 AS z) TO 'after.csv';\n";
    fs::write(folder.path().join("job.sql"), script).expect("written");
    let output = run_in(&folder, &["-q", "--format", "csv", "-f", "job.sql", "-c", "SELECT 'not reached'"]);
    assert_eq!(stdout(&output), "a\n1\n");
    assert_fails(&output, "error: job.sql:3 (statement 2): No field named x");
    assert!(!folder.path().join("after.csv").exists());
}

#[test]
fn a_failure_while_rows_are_computed_stops_a_script_too() {
    let output = run(&["-q", "-c", "SELECT 1 / column1 FROM (VALUES (0)); SELECT 'not reached'"]);
    assert_eq!(stdout(&output), "");
    assert_fails(&output, "statement 1: Divide by zero");
}

#[test]
fn a_query_that_fails_half_way_writes_nothing() {
    let folder = folder();
    for form in ["csv", "json", "parquet"] {
        let sql = format!("COPY (SELECT 1 / (50000 - value) AS a FROM range(60000)) TO 'out.{form}'");
        assert_fails(&run_in(&folder, &["-c", &sql]), "Divide by zero");
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0, "{form}");
    }
}

#[test]
fn a_syntax_error_is_found_before_anything_runs() {
    let folder = folder();
    fs::write(folder.path().join("job.sql"), "COPY (SELECT 1 AS z) TO 'made.csv';\nSELEC 1;").expect("written");
    let output = run_in(&folder, &["-f", "job.sql"]);
    assert_fails(&output, "error: job.sql:2 (statement 2): syntax error: ");
    assert!(stderr(&output).contains("Line: 2, Column: 1"), "{}", stderr(&output));
    assert!(!folder.path().join("made.csv").exists());
}

#[test]
fn parameters_reach_every_place_a_literal_may_stand() {
    let folder = folder();
    let script = "COPY (SELECT value AS id FROM range(10)) TO $out;\n\
                  SELECT id, $name AS name, $share AS share, $yes AS yes FROM $out WHERE id > $k ORDER BY id LIMIT $n;";
    fs::write(folder.path().join("job.sql"), script).expect("written");
    let params = ["out=ids.parquet", "name=O'Hara", "share=0.5", "yes=true", "k=5", "n=2"];
    let mut args = vec!["-q", "--format", "csv", "-f", "job.sql"];
    args.extend(params.iter().flat_map(|p| ["--param", p]));
    let output = run_in(&folder, &args);
    assert_eq!(stdout(&output), "id,name,share,yes\n6,O'Hara,0.5,true\n7,O'Hara,0.5,true\n", "{}", stderr(&output));
}

#[test]
fn a_missing_parameter_stops_a_script_before_it_starts() {
    let folder = folder();
    fs::write(folder.path().join("job.sql"), "SELECT 1;\nSELECT $k;").expect("written");
    let output = run_in(&folder, &["-q", "-f", "job.sql", "--param", "K=1"]);
    assert_eq!(stdout(&output), "");
    assert_fails(&output, "error: job.sql:2: parameter $k has no value: give it with --param k=VALUE\n");
}

#[test]
fn stdin_is_a_script_with_f_and_without_anything() {
    for args in [&["-q", "--format", "csv", "-f", "-"][..], &["-q", "--format", "csv"]] {
        let mut child = lookalike(folder().path())
            .current_dir(std::env::temp_dir())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(b"SELECT 1 AS a;\nSELECT nope;\nSELECT 2 AS b;").expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(stdout(&output), "a\n1\n");
        assert_fails(&output, "error: stdin:2 (statement 2): No field named nope");
    }
}

#[test]
fn files_and_folders_are_tables() {
    let folder = folder();
    let sql = "COPY (SELECT value AS id, value % 3 AS ward FROM range(9)) TO 'cohort/' STORED AS PARQUET PARTITIONED BY (ward);\
               SELECT ward, count(*) AS n, sum(id) AS s FROM 'cohort/' GROUP BY ward ORDER BY ward;\
               COPY (SELECT 'x' AS a) TO 'one.csv';\
               SELECT * FROM 'one.csv'";
    let output = run_in(&folder, &["-q", "--format", "csv", "-c", sql]);
    // By hand: ward 0 holds 0+3+6, ward 1 holds 1+4+7, ward 2 holds 2+5+8.
    assert_eq!(stdout(&output), "ward,n,s\n0,3,9\n1,3,12\n2,3,15\na\nx\n", "{}", stderr(&output));
}

#[test]
fn a_file_that_was_just_written_is_read_anew() {
    let folder = folder();
    let sql = "COPY (SELECT 1 AS a) TO 'd/x.parquet'; SELECT sum(a) AS s FROM 'd/';\
               COPY (SELECT 2 AS a) TO 'd/x.parquet'; SELECT max(a) AS s FROM 'd/x.parquet';\
               COPY (SELECT 5 AS a) TO 'd/y.parquet'; SELECT sum(a) AS s FROM 'd/'";
    let output = run_in(&folder, &["-q", "--format", "csv", "-c", sql]);
    assert_eq!(stdout(&output), "s\n1\ns\n2\ns\n7\n", "{}", stderr(&output));
}

#[test]
fn what_cannot_be_read_is_named_with_the_reason() {
    let folder = folder();
    assert_fails(&run_in(&folder, &["-c", "SELECT * FROM 'none.parquet'"]), "cannot read 'none.parquet': no such file");
    assert_fails(&run_in(&folder, &["-c", "SELECT * FROM nowhere"]), "error: table 'nowhere' not found");
    assert_fails(&run_in(&folder, &["-f", "none.sql"]), "cannot read script 'none.sql'");
    fs::write(folder.path().join("bad.parquet"), "no parquet").expect("written");
    assert_fails(&run_in(&folder, &["-c", "SELECT * FROM 'bad.parquet'"]), "cannot read 'bad.parquet': ");
    fs::create_dir(folder.path().join("mixed")).expect("made");
    fs::write(folder.path().join("mixed/a.csv"), "a\n1\n").expect("written");
    fs::write(folder.path().join("mixed/b.json"), "{\"a\":1}\n").expect("written");
    fs::write(folder.path().join("mixed/_SUCCESS"), "").expect("written");
    assert_fails(&run_in(&folder, &["-c", "SELECT * FROM 'mixed/'"]), "csv files ");
    fs::remove_file(folder.path().join("mixed/b.json")).expect("removed");
    let output = run_in(&folder, &["-q", "--format", "csv", "-c", "SELECT * FROM 'mixed/'"]);
    assert_eq!(stdout(&output), "a\n1\n", "{}", stderr(&output));
}

#[test]
fn a_memory_limit_is_kept() {
    let sql = "SELECT count(*) FROM (SELECT DISTINCT value FROM range(300000))";
    let output = run(&["-q", "--memory-limit", "1m", "-c", sql]);
    assert_fails(&output, "not enough memory");
    let output = run(&["-q", "--format", "csv", "--memory-limit", "2g", "--threads", "2", "-c", sql]);
    assert_eq!(stdout(&output), "count(*)\n300000\n", "{}", stderr(&output));
}

#[test]
fn the_instructions_of_networks_can_be_pinned() {
    let cohort = "SELECT value % 7 AS a, sin(value) AS b FROM generate_series(1, 300)";
    let sql = format!("SELECT loss FROM fit_model(({cohort}), path => 'm', model => 'vae', epochs => 20, seed => 1)");
    // What the training says, and the level that the file names.
    let fit = |level: Option<&str>| {
        let folder = folder();
        let mut command = lookalike(folder.path());
        command.env_remove("LOOKALIKE_SIMD").envs(level.map(|level| ("LOOKALIKE_SIMD", level)));
        let output = command.args(["-q", "--format", "csv", "-c", &sql]).output().expect("the binary starts");
        let file = fs::read(folder.path().join("m")).unwrap_or_default();
        let file = String::from_utf8_lossy(&file);
        let name = file.split_once(r#""simd":""#).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
        (name.to_string(), output)
    };
    let (name, portable) = fit(Some("portable"));
    assert_eq!((name.as_str(), stdout(&portable).lines().count()), ("portable", 21), "{}", stderr(&portable));
    assert_eq!(stdout(&portable), stdout(&fit(Some("portable")).1));
    let (widest, free) = fit(None);
    // Other instructions, other last digits; and the widest by name is what nothing pins.
    assert_eq!(stdout(&free) == stdout(&portable), widest == "portable");
    assert_eq!(stdout(&free), stdout(&fit(Some(&widest)).1));
    assert_fails(
        &fit(Some("sse9")).1,
        "environment variable LOOKALIKE_SIMD is 'sse9', allowed on this machine: portable",
    );
}

#[test]
fn mistakes_on_the_command_line_say_what_is_allowed() {
    for (args, message) in [
        (&["--format", "xml"][..], "nd-json"),
        (&["--param", "k"], "name=value"),
        (&["--memory-limit", "lots"], "256m"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
    assert_eq!(stdout(&run(&["--version"])), concat!("lookalike ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::{
        io::{BufRead, BufReader},
        os::unix::process::ExitStatusExt,
    };

    /// Far more work than any test waits for.
    const ENDLESS: &str = "SELECT count(*) FROM range(9000000000000000)";

    fn wait(child: &mut Child) -> i32 {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = child.try_wait().expect("a child of ours") {
                assert_eq!(status.signal(), None, "it ends by itself");
                return status.code().expect("no signal, so a code");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().expect("a child of ours");
        panic!("still running after 20 s");
    }

    #[test]
    fn ctrl_c_and_sigterm_end_a_running_statement() {
        for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
            let sql = format!("SELECT 1 AS ready; {ENDLESS}");
            let mut child = lookalike(folder().path())
                .current_dir(std::env::temp_dir())
                .args(["-q", "--format", "csv", "-c", &sql])
                .stdout(Stdio::piped())
                .spawn()
                .expect("the binary starts");
            let mut line = String::new();
            let mut rows = BufReader::new(child.stdout.take().expect("piped"));
            rows.read_line(&mut line).expect("a line");
            assert_eq!(line, "ready\n");
            let start = Instant::now();
            let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill exists");
            assert!(sent.success());
            assert_eq!(wait(&mut child), code);
            assert!(start.elapsed() < Duration::from_secs(5), "{signal} took {:?}", start.elapsed());
        }
    }

    #[test]
    fn an_interrupted_write_leaves_nothing() {
        let folder = folder();
        let mut child = lookalike(folder.path())
            .args(["-q", "-c", "COPY (SELECT value FROM range(9000000000000000)) TO 'out.csv'"])
            .spawn()
            .expect("the binary starts");
        let entries = || fs::read_dir(folder.path()).expect("the folder").count();
        let start = Instant::now();
        while entries() == 0 && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(entries(), 1, "the write has begun");
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill exists");
        assert!(sent.success());
        assert_eq!(wait(&mut child), 130);
        assert_eq!(entries(), 0);
    }

    #[test]
    fn a_reader_that_goes_away_ends_it_without_a_word() {
        for format in ["csv", "nd-json", "table"] {
            let mut child = lookalike(folder().path())
                .current_dir(std::env::temp_dir())
                .args(["-q", "--format", format, "-c", "SELECT value FROM range(200000)"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary starts");
            drop(child.stdout.take());
            assert_eq!(wait(&mut child), 141, "{format}");
            let said = child.wait_with_output().expect("it has ended").stderr;
            assert_eq!(String::from_utf8_lossy(&said), "", "{format}");
        }
    }
}

#[test]
fn the_parsers_refusal_of_table_t_says_what_to_type() {
    let output = run(&["-q", "-c", "SELECT * FROM dcr(TABLE t, t)"]);
    assert_fails(&output, "the parser takes t or TABLE(t) there");
}

#[test]
fn what_a_search_could_not_finish_is_a_warning_even_with_q() {
    // Ranking 20,000 rows takes longer than that, and no search of 343 transformations ends before it begins.
    let sql = "SELECT count(*) AS n FROM k_anonymize((SELECT value % 1009 AS a, value * 7 % 1013 AS b, value * 11 % 1019 AS c \
               FROM range(20000)), k => 2, quasi_identifiers => ['a', 'b', 'c'], method => 'optimal', max_seconds => 0.001, \
               rules => {'a': 'widths(2, 4, 8, 16, 32)', 'b': 'widths(2, 4, 8, 16, 32)', 'c': 'widths(2, 4, 8, 16, 32)'})";
    let output = run(&["-q", "--format", "csv", "-c", sql]);
    assert_eq!(stdout(&output), "n\n20000\n");
    let warning = "warning: K_ANONYMIZE: time budget of 0.001 s reached after ";
    assert!(stderr(&output).starts_with(warning) && stderr(&output).lines().count() == 1, "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(0));
}
