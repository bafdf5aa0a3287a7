//! The reference is made of the pages' headers and the option tables; the committed file is what they make.

use std::fmt::Write;

use lookalike::FUNCTIONS;
use lookalike_anonymize::METHODS;
use lookalike_attacks::ATTACKS;
use lookalike_core::ParamSpec;
use lookalike_models::MODELS;

use crate::registry::{added, aggregate_page, header};

const FILE: &str = "docs/reference.md";
const UPDATE: &str = "LOOKALIKE_UPDATE_DOCS";

/// A page's header as Markdown: the signature and indented lines as code, the rest as it is.
fn page(out: &mut String, title: &str, page: &str) {
    let header = header(page);
    let (signature, text) = header.split_once("\n\n").unwrap_or((header.as_str(), ""));
    // A page about no single entry starts with its title.
    let _ = match signature.contains(['(', '\'']) {
        true => writeln!(out, "### {title}\n\n```text\n{}\n```\n", signature.trim_end()),
        false => writeln!(out, "### {title}\n"),
    };
    let mut in_code = false;
    for line in text.lines() {
        let is_code = line.starts_with("  ");
        if is_code != in_code && !(in_code && line.is_empty()) {
            let (before, after) = if is_code { (!out.ends_with("\n\n"), false) } else { (false, !line.is_empty()) };
            let _ = write!(
                out,
                "{}```{}\n{}",
                if before { "\n" } else { "" },
                if is_code { "text" } else { "" },
                if after { "\n" } else { "" }
            );
            in_code = is_code;
        } else if in_code && line.is_empty() {
            out.push_str("```\n");
            in_code = false;
        }
        let _ = writeln!(out, "{}", line.strip_prefix("  ").filter(|_| is_code).unwrap_or(line));
    }
    if in_code {
        out.push_str("```\n");
    }
    out.push('\n');
}

fn options(out: &mut String, specs: &[ParamSpec]) {
    if specs.is_empty() {
        return;
    }
    out.push_str("| option | type | default | allowed | purpose |\n|---|---|---|---|---|\n");
    for s in specs {
        let cells = [s.kind.type_name().into(), s.default.text(), s.kind.range(), s.purpose.into()];
        let cells = cells.map(|c: String| c.replace('|', "\\|"));
        let _ = writeln!(out, "| `{}` | {} |", s.name, cells.join(" | "));
    }
    out.push('\n');
}

fn reference() -> String {
    let mut out = format!(
        "# Reference\n\nMade from the headers of the pages below `sql/`, which are tests as well, and from the option tables that \
         check the calls.\n`{UPDATE}=1 cargo test --workspace --test integration docs` writes it anew.\n\n## Common to all\n\n"
    );
    page(&mut out, "Arguments", "functions/arguments");
    page(&mut out, "Column types", "functions/types");
    page(&mut out, "Pairs of record and code in SYNTHESIZE", "functions/synthesize_pairs");
    page(&mut out, "Lists of codes in K_ANONYMIZE", "functions/k_anonymize_items");
    page(&mut out, "Noise and guarantees in K_ANONYMIZE", "functions/k_anonymize_epsilon");
    out.push_str("## Table functions\n\n");
    for function in FUNCTIONS {
        page(&mut out, function.name(), &format!("functions/{}", function.name()));
        if !function.relations().is_empty() {
            out.push_str("| relation | needed | what it holds |\n|---|---|---|\n");
            for r in function.relations() {
                let _ = writeln!(out, "| `{}` | {} | {} |", r.name, if r.required { "yes" } else { "no" }, r.purpose);
            }
            out.push('\n');
        }
        options(&mut out, &function.options());
        if function.name() == "k_anonymize" {
            out.push_str("| method | what it does | cost | source |\n|---|---|---|---|\n");
            for method in METHODS {
                let cells = [method.summary(), method.cost(), method.source()].map(|c| c.replace('|', "\\|"));
                let _ = writeln!(out, "| `{}` | {} |", method.name(), cells.join(" | "));
            }
            out.push('\n');
        }
    }
    let (aggregates, scalars) = added();
    out.push_str("## Aggregates and scalar functions\n\n");
    for name in &aggregates {
        page(&mut out, &format!("{name} (aggregate)"), &aggregate_page(name));
    }
    for name in &scalars {
        page(&mut out, name, &format!("functions/{name}"));
    }
    out.push_str("## Models\n\n");
    for model in MODELS {
        page(&mut out, model.name(), &format!("models/{}", model.name()));
        options(&mut out, model.params());
    }
    out.push_str("## Attacks\n\n");
    for attack in ATTACKS {
        page(&mut out, &format!("{} (attack)", attack.name()), &format!("attacks/{}", attack.name()));
        options(&mut out, attack.params());
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

#[test]
fn the_reference_is_up_to_date() {
    let made = reference();
    if std::env::var_os(UPDATE).is_some_and(|v| v == "1") {
        std::fs::create_dir_all("docs").and_then(|()| std::fs::write(FILE, &made)).expect("the file can be written");
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    let differs = made.lines().zip(committed.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| made.lines().count().min(committed.lines().count()));
    assert!(
        made == committed,
        "{FILE} is out of date from line {} on: run {UPDATE}=1 cargo test --workspace --test integration docs\n  made: {}\n  file: {}",
        line + 1,
        made.lines().nth(line).unwrap_or("(end)"),
        committed.lines().nth(line).unwrap_or("(end)"),
    );
}
