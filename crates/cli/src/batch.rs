//! Scripts: -c, -f and piped SQL.

use std::io::Read;

use datafusion::{
    common::plan_datafusion_err,
    sql::{parser::DFParser, sqlparser::dialect::dialect_from_str},
};
use datafusion_cli::cli_context::CliSessionContext;

use crate::{
    args::Source,
    explain::{Failure, explain},
    script::{self, Params, Statement},
    session::Session,
};

/// Runs every statement in order; the first that fails ends it.
///
/// Everything is read, split and parsed before the first statement runs, so that a slip in the last line does not cost
/// the hours before it.
pub async fn run(session: &Session, sources: &[Source], params: &Params) -> Result<(), Failure> {
    let scripts = sources.iter().map(|source| Script::read(source, params)).collect::<Result<Vec<_>, _>>()?;
    check_syntax(session, &scripts)?;
    for script in &scripts {
        for (number, statement) in script.statements.iter().enumerate() {
            let done = session.run(&statement.sql).await.map_err(Failure::from);
            done.map_err(|failure| script.locate(number, failure))?;
        }
    }
    Ok(())
}

struct Script {
    /// Name of the file; none for -c.
    file: Option<String>,
    statements: Vec<Statement>,
}

impl Script {
    fn read(source: &Source, params: &Params) -> Result<Self, Failure> {
        let (file, text) = match source {
            Source::Command(sql) => (None, sql.clone()),
            Source::File(path) if path == "-" => ("stdin".to_owned().into(), stdin()?),
            Source::File(path) => {
                let text = std::fs::read_to_string(path);
                (Some(path.clone()), text.map_err(|e| Failure::Message(format!("cannot read script '{path}': {e}")))?)
            }
        };
        match script::split(&text, params) {
            Ok(statements) => Ok(Self { file, statements }),
            Err(e) => Err(Failure::Message(match file {
                Some(file) => format!("{file}:{}: {}", e.line, e.message),
                None => e.message,
            })),
        }
    }

    /// Puts file, line and number of a statement in front of its error.
    fn locate(&self, number: usize, failure: Failure) -> Failure {
        let Failure::Message(message) = failure else {
            return failure;
        };
        let line = self.statements[number].line;
        Failure::Message(match &self.file {
            Some(file) => format!("{file}:{line} (statement {}): {message}", number + 1),
            None if self.statements.len() > 1 => format!("statement {}: {message}", number + 1),
            None => message,
        })
    }
}

fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| Failure::Message(format!("cannot read stdin: {e}")))?;
    Ok(text)
}

fn check_syntax(session: &Session, scripts: &[Script]) -> Result<(), Failure> {
    let name = session.task_ctx().session_config().options().sql_parser.dialect;
    let dialect = dialect_from_str(name).ok_or_else(|| plan_datafusion_err!("unknown SQL dialect '{name}'"))?;
    for script in scripts {
        for (number, statement) in script.statements.iter().enumerate() {
            // What follows a change of the dialect is checked when its turn comes.
            if statement.sql.contains("sql_parser.dialect") {
                return Ok(());
            }
            DFParser::parse_sql_with_dialect(&statement.sql, dialect.as_ref())
                .map_err(|e| script.locate(number, Failure::Message(explain(&e))))?;
        }
    }
    Ok(())
}
