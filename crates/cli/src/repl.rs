//! The interactive shell.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::ValueEnum;
use datafusion_cli::{print_format::PrintFormat, print_options::MaxRows};
use rustyline::{
    Context, Editor, Helper,
    completion::{Completer, FilenameCompleter, Pair},
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};
use tokio::runtime::Runtime;

use crate::{
    args::Source,
    batch,
    explain::Failure,
    script::{self, Params},
    session::Session,
    signals::Signals,
};

const HELP: &str = "\
SQL ends with a semicolon and may span lines. FROM 'file-or-url' reads files, $name stands for a parameter.
\\q                 quit
\\?                 this text
\\d [TABLE]         list tables, or the columns of one
\\f                 list the functions of Lookalike
\\i FILE            run a script
\\set [NAME=VALUE]  list parameters, or give one a value
\\format NAME       how rows are printed: table, csv, tsv, json, nd-json
\\rows N            rows of a table that are shown, or inf
\\quiet             switch row counts off and on";

const TABLES: &str = "SELECT table_schema, table_name, table_type FROM information_schema.tables \
                      WHERE table_schema <> 'information_schema' ORDER BY ALL";

/// Reads statements from the terminal until its end.
pub fn run(
    session: Session,
    params: Params,
    quiet: bool,
    runtime: &Runtime,
    signals: &Signals,
) -> Result<ExitCode, Failure> {
    let mut editor: Editor<Prompt, FileHistory> = Editor::new().map_err(terminal_error)?;
    editor.set_helper(Some(Prompt { files: FilenameCompleter::new() }));
    let history = history_file();
    if let Some(file) = &history {
        // The first start has no history to load.
        let _ = editor.load_history(file);
    }
    if !quiet {
        println!("lookalike {}. \\? for help, \\q to quit.", env!("CARGO_PKG_VERSION"));
    }
    let mut shell = Shell { session, params, runtime, signals };
    loop {
        match editor.readline("> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                let line = line.trim();
                let _ = editor.add_history_entry(line);
                if line == "\\q" {
                    break;
                }
                match shell.line(line) {
                    Ok(()) => {}
                    Err(Failure::Message(message)) => eprintln!("error: {message}"),
                    Err(Failure::BrokenPipe) => return Err(Failure::BrokenPipe),
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(terminal_error(e)),
        }
    }
    if let Some(file) = &history
        && let Err(e) = editor.save_history(file)
    {
        eprintln!("the history could not be saved: {e}");
    }
    Ok(ExitCode::SUCCESS)
}

fn terminal_error(error: ReadlineError) -> Failure {
    Failure::Message(format!("the terminal cannot be used: {error}"))
}

/// `lookalike/history` in the directory for state (`$XDG_STATE_HOME`, `~/.local/state`), or for data where a system has
/// none for state.
fn history_file() -> Option<PathBuf> {
    let folder = dirs::state_dir().or_else(dirs::data_local_dir)?.join("lookalike");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

struct Shell<'a> {
    session: Session,
    params: Params,
    runtime: &'a Runtime,
    signals: &'a Signals,
}

impl Shell<'_> {
    fn line(&mut self, line: &str) -> Result<(), Failure> {
        match line.strip_prefix('\\') {
            Some(command) => self.command(command),
            None => self.sql(line),
        }
    }

    fn sql(&self, text: &str) -> Result<(), Failure> {
        let statements = script::split(text, &self.params).map_err(|e| Failure::Message(e.message))?;
        for statement in statements {
            self.until_interrupted(async { Ok(self.session.run(&statement.sql).await?) })?;
        }
        Ok(())
    }

    fn until_interrupted(&self, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => done,
                _ = self.signals.stopped() => {
                    self.session.output.progress.clear();
                    Err(Failure::Message("interrupted".into()))
                }
            }
        })
    }

    fn command(&mut self, command: &str) -> Result<(), Failure> {
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let argument = argument.trim();
        match (name, argument) {
            ("?" | "h" | "help", "") => println!("{HELP}"),
            ("d", "") => self.sql(TABLES)?,
            ("d", table) => self.sql(&format!("DESCRIBE {}", table.trim_end_matches(';')))?,
            ("f", "") => self.sql("SELECT * FROM lookalike_functions()")?,
            ("i", file) if !file.is_empty() => {
                let source = [Source::File(file.to_owned())];
                self.until_interrupted(batch::run(&self.session, &source, &self.params))?;
            }
            ("set", "") => {
                for (name, value) in self.params.list() {
                    println!("{name} = {value}");
                }
            }
            ("set", assignment) => self.params.set(assignment).map_err(Failure::Message)?,
            ("format", name) => {
                self.session.output.format = PrintFormat::from_str(name, true).map_err(|_| {
                    Failure::Message(format!("'{name}' is not a format: use table, csv, tsv, json or nd-json"))
                })?;
            }
            ("rows", rows) => {
                self.session.output.max_rows = match rows.parse::<MaxRows>().map_err(Failure::Message)? {
                    MaxRows::Limited(rows) => rows,
                    MaxRows::Unlimited => usize::MAX,
                };
            }
            ("quiet", "") => self.session.output.quiet = !self.session.output.quiet,
            _ => return Err(Failure::Message(format!("'\\{command}' is not a command; \\? lists them"))),
        }
        Ok(())
    }
}

/// Multi-line input and completion of file names in quotes.
struct Prompt {
    files: FilenameCompleter,
}

impl Validator for Prompt {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input();
        Ok(match input.starts_with('\\') || input.trim().is_empty() || script::is_complete(input) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Completer for Prompt {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let in_quotes = line[..at].matches('\'').count() % 2 == 1;
        match in_quotes || line.starts_with("\\i ") {
            true => self.files.complete(line, at, context),
            false => Ok((at, Vec::new())),
        }
    }
}

impl Hinter for Prompt {
    type Hint = String;
}

impl Highlighter for Prompt {}

impl Helper for Prompt {}
