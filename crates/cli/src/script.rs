//! SQL text -> single statements, with the `$name` parameters filled in.
//!
//! Parameters are replaced token by token before parsing, never inside strings, identifiers or comments. So they work
//! wherever a literal may stand: in expressions and options (`k => $k`), as table (`FROM $cohort`), as target
//! (`COPY ... TO $out`) and as location (`LOCATION $cohort`). Text is quoted, so a value never turns into SQL.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Location, Token, Tokenizer, Whitespace},
};

/// One statement of a script.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text with parameters filled in. Blank lines and spaces stand in front of it so that the lines and columns of
    /// a parser's message are those of the script.
    pub sql: String,
    /// Line of the script on which it starts, from 1.
    pub line: usize,
}

/// Why a script cannot be split.
#[derive(Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Line of the script, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

/// Values of `$name` parameters.
#[derive(Debug, Clone, Default)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Takes `name=value`; a later value of the same name wins.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| format!("'{assignment}' has no '=': write name=value, for example k=5"))?;
        let name = name.trim();
        let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Err(format!(
                "'{name}' is not a parameter name: use letters, digits and '_', and start with a letter"
            ));
        }
        self.0.insert(name.to_owned(), literal(value));
        Ok(())
    }

    /// Every parameter as `name = literal`, by name.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, literal)| (name.as_str(), literal.as_str()))
    }
}

/// A value of the command line as an SQL literal: numbers, booleans, and text for everything else. Digits with leading
/// zeros stay text because they are codes, and quotes around a value keep it text.
fn literal(value: &str) -> String {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let number = digits.starts_with(|c: char| c.is_ascii_digit())
        && !(digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit())
        && value.parse::<f64>().is_ok_and(f64::is_finite);
    if number {
        return value.to_owned();
    }
    if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
        return value.to_ascii_lowercase();
    }
    let text = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')).unwrap_or(value);
    format!("'{}'", text.replace('\'', "''"))
}

/// Splits a script at its semicolons and fills in the parameters.
pub fn split(script: &str, params: &Params) -> Result<Vec<Statement>, ScriptError> {
    let script = &without_shebang(script);
    let tokens = Tokenizer::new(&GenericDialect {}, script)
        .tokenize_with_location()
        .map_err(|e| ScriptError { line: e.location.line as usize, message: e.message })?;
    let offsets = Offsets::new(script);
    let mut statements = Vec::new();
    let mut open: Option<Statement> = None;
    for token in &tokens {
        let range = offsets.of(token.span.start)..offsets.of(token.span.end);
        match &token.token {
            Token::SemiColon => statements.extend(open.take()),
            Token::EOF => {}
            Token::Whitespace(space) => {
                if let Some(statement) = &mut open {
                    push_space(&mut statement.sql, space, &script[range]);
                }
            }
            other => {
                let start = token.span.start;
                let statement = open.get_or_insert_with(|| Statement {
                    sql: "\n".repeat(start.line as usize - 1) + &" ".repeat(start.column as usize - 1),
                    line: start.line as usize,
                });
                match other {
                    Token::Placeholder(name) if is_named(name) => {
                        let value = params.0.get(&name[1..]).ok_or_else(|| ScriptError {
                            line: start.line as usize,
                            message: format!(
                                "parameter {name} has no value: give it with --param {}=VALUE",
                                &name[1..]
                            ),
                        })?;
                        // A space in front keeps `a-$b` with a negative $b from becoming a comment.
                        let gap = if value.starts_with('-') { " " } else { "" };
                        statement.sql += gap;
                        statement.sql += value;
                    }
                    _ => statement.sql += &script[range],
                }
            }
        }
    }
    statements.extend(open);
    Ok(statements)
}

/// Whether typed text ends with a semicolon that ends a statement.
pub fn is_complete(text: &str) -> bool {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize();
    // An open string or comment goes on in the next line.
    tokens.is_ok_and(|tokens| {
        let last = tokens.iter().rfind(|token| !matches!(token, Token::Whitespace(_) | Token::EOF));
        last == Some(&Token::SemiColon)
    })
}

/// A comment at the very end of the input would swallow what is appended to the statement.
fn push_space(sql: &mut String, space: &Whitespace, text: &str) {
    match space {
        Whitespace::SingleLineComment { .. } => sql.push('\n'),
        _ => sql.push_str(text),
    }
}

/// `$1` belongs to PREPARE, `$` alone to nobody.
fn is_named(placeholder: &str) -> bool {
    placeholder.strip_prefix('$').is_some_and(|name| name.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

fn without_shebang(script: &str) -> String {
    match script.strip_prefix("#!") {
        Some(rest) => rest.find('\n').map_or_else(String::new, |end| rest[end..].to_owned()),
        None => script.to_owned(),
    }
}

/// Byte offsets of the tokenizer's positions, which count characters.
struct Offsets<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Offsets<'a> {
    fn new(text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines }
    }

    fn of(&self, location: Location) -> usize {
        let Some(&line) = self.lines.get((location.line as usize).saturating_sub(1)) else {
            return self.text.len();
        };
        let column = (location.column as usize).saturating_sub(1);
        self.text[line..].char_indices().nth(column).map_or(self.text.len(), |(at, _)| line + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(assignments: &[&str]) -> Params {
        let mut params = Params::default();
        for assignment in assignments {
            params.set(assignment).expect("a valid assignment");
        }
        params
    }

    fn sqls(script: &str, assignments: &[&str]) -> Vec<String> {
        let statements = split(script, &params(assignments)).expect("a valid script");
        statements.into_iter().map(|s| s.sql.trim().to_owned()).collect()
    }

    #[test]
    fn splits_only_at_semicolons_between_tokens() {
        let script = "SELECT ';' AS \"a;b\"; -- no; not here\n/* nor; here */ SELECT $$x;y$$;\n;\n";
        assert_eq!(sqls(script, &[]), ["SELECT ';' AS \"a;b\"", "SELECT $$x;y$$"]);
    }

    #[test]
    fn positions_are_those_of_the_script() {
        let statements = split("SELECT 1;\n\n  SELECT\n 'ä'; SELECT 3", &Params::default()).expect("valid");
        assert_eq!(statements.iter().map(|s| s.line).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(statements[1].sql, "\n\n  SELECT\n 'ä'");
        assert_eq!(statements[2].sql, "\n\n\n      SELECT 3");
    }

    #[test]
    fn parameters_become_literals_outside_of_strings() {
        let script = "SELECT $k, $f, $yes, $name, '$k', \"$k\", x-$n -- $missing\n";
        let values = ["k=5", "f=0.5", "yes=TRUE", "name=O'Hara", "n=-2"];
        assert_eq!(sqls(script, &values), ["SELECT 5, 0.5, true, 'O''Hara', '$k', \"$k\", x- -2"]);
        assert_eq!(sqls("COPY t TO $out", &["out=s3://b/x.parquet"]), ["COPY t TO 's3://b/x.parquet'"]);
        assert_eq!(sqls("PREPARE p AS SELECT $1", &[]), ["PREPARE p AS SELECT $1"]);
    }

    #[test]
    fn only_numbers_are_numbers() {
        let cases = [
            ("7", "7"),
            ("-7", "-7"),
            ("0", "0"),
            ("0.25", "0.25"),
            ("1e-6", "1e-6"),
            ("007", "'007'"),
            ("1e999", "'1e999'"),
            ("inf", "'inf'"),
            ("'7'", "'7'"),
            ("", "''"),
            ("a'; DROP TABLE t; --", "'a''; DROP TABLE t; --'"),
        ];
        for (value, expected) in cases {
            assert_eq!(literal(value), expected, "{value}");
        }
    }

    #[test]
    fn a_missing_parameter_is_named_with_its_line() {
        let error = split("SELECT 1;\nSELECT $k;", &Params::default()).expect_err("no value");
        assert_eq!(error.line, 2);
        assert_eq!(error.message, "parameter $k has no value: give it with --param k=VALUE");
    }

    #[test]
    fn bad_assignments_say_what_is_allowed() {
        let mut params = Params::default();
        assert!(params.set("k").expect_err("no =").contains("name=value"));
        assert!(params.set("1a=2").expect_err("starts with a digit").contains("start with a letter"));
    }

    #[test]
    fn input_is_complete_at_a_semicolon_outside_of_strings() {
        for complete in ["SELECT 1;", "SELECT 1; -- done", "SELECT ';' ; \n"] {
            assert!(is_complete(complete), "{complete}");
        }
        for open in ["SELECT 1", "SELECT 'a;", "SELECT 1 -- ;", "/* ;"] {
            assert!(!is_complete(open), "{open}");
        }
    }

    #[test]
    fn a_shebang_line_is_skipped_and_counted() {
        let statements = split("#!/usr/bin/env -S lookalike -f\nSELECT 1", &Params::default()).expect("valid");
        assert_eq!((statements.len(), statements[0].line), (1, 2));
    }
}
