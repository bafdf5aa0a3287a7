//! The command line.

use std::num::NonZeroUsize;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use datafusion_cli::{print_format::PrintFormat, print_options::MaxRows};

use crate::script::Params;

/// Synthetic cohorts, anonymisation and privacy attacks as SQL over Parquet.
///
/// Without -c and -f an interactive shell opens; SQL that is piped in runs as a script.
/// A path or URL in quotes is a table: FROM 'cohort.parquet', FROM 's3://bucket/cohort/'.
/// Object stores are reached with the usual variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
/// AWS_ENDPOINT_URL, AWS_ALLOW_HTTP=true for an http endpoint).
///
/// Results go to stdout, everything else to stderr. Exit code 1 when a statement failed, 130 after Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "lookalike", version)]
pub struct Args {
    /// Run these statements, then exit; -c and -f may be repeated and run in the order given
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    command: Vec<String>,

    /// Run a script, then exit; '-' reads stdin; the first failing statement stops it
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Vec<String>,

    /// How rows are printed; automatic is table
    #[arg(long, value_enum, default_value_t = PrintFormat::Automatic, value_name = "FORMAT")]
    pub format: PrintFormat,

    /// Print rows alone: no banner, no row counts, no progress
    #[arg(short, long)]
    pub quiet: bool,

    /// Value of $NAME in every statement: a number, true, false, or else text
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = one_param)]
    param: Vec<String>,

    /// Memory that queries may hold, for example 256m or 8g [default: no limit]
    #[arg(short, long, value_name = "SIZE", value_parser = size)]
    pub memory_limit: Option<usize>,

    /// Threads, and partitions of a plan [default: one per core]; results do not depend on it
    #[arg(short, long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Rows of a table that are shown, or 'inf' [default: 40 on a terminal, else inf]
    #[arg(long, value_name = "N")]
    pub max_rows: Option<MaxRows>,
}

/// Something to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// SQL of a -c.
    Command(String),
    /// Path of a -f; `-` is stdin.
    File(String),
}

impl Args {
    /// The command line of this process and what it asks to run, in the order given. Ends the process on --help,
    /// --version and mistakes.
    pub fn from_process() -> (Self, Vec<Source>) {
        let matches = Self::command().get_matches();
        let args = Self::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
        let sources = sources(&args, &matches);
        (args, sources)
    }

    /// Values of the `$name` parameters.
    pub fn params(&self) -> Params {
        let mut params = Params::default();
        for assignment in &self.param {
            params.set(assignment).expect("clap has checked every --param");
        }
        params
    }
}

fn sources(args: &Args, matches: &ArgMatches) -> Vec<Source> {
    let at = |id: &str| matches.indices_of(id).into_iter().flatten().collect::<Vec<_>>();
    let commands = at("command").into_iter().zip(args.command.iter().cloned().map(Source::Command));
    let files = at("file").into_iter().zip(args.file.iter().cloned().map(Source::File));
    let mut all: Vec<_> = commands.chain(files).collect();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, source)| source).collect()
}

fn one_param(assignment: &str) -> Result<String, String> {
    Params::default().set(assignment)?;
    Ok(assignment.to_owned())
}

/// Bytes of `64k`, `256m`, `8g`, `1t` (powers of 1024), with or without a `b` behind.
fn size(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match lower[digits.len()..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(format!("'{text}' is not a size: write a number and k, m, g or t, for example 256m")),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|n| n.checked_mul(1_usize.checked_shl(shift)?));
    match bytes {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(format!("'{text}' is not a size: write a number from 1 and k, m, g or t, for example 256m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn commands_and_files_keep_their_order() {
        let matches = Args::command().get_matches_from(["lookalike", "-c", "A", "-f", "b.sql", "-c", "C"]);
        let args = Args::from_arg_matches(&matches).expect("valid");
        let expected = [Source::Command("A".into()), Source::File("b.sql".into()), Source::Command("C".into())];
        assert_eq!(sources(&args, &matches), expected);
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(size("256m"), Ok(256 << 20));
        assert_eq!(size("8GB"), Ok(8 << 30));
        assert_eq!(size("1Gib"), Ok(1 << 30));
        assert_eq!(size("17"), Ok(17));
        for bad in ["", "m", "0", "1.5g", "-1", "5x", "99999999999999t"] {
            assert!(size(bad).expect_err(bad).contains("256m"));
        }
    }
}
