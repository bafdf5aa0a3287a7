//! Rules as they are written: a name and arguments in parentheses.

use lookalike_core::{Error, Result, closest, list_names};

use super::{Kind, Part, Side};
use crate::decimal::Decimal;
use crate::grid::Grid;

/// Names of the rules.
pub(super) const NAMES: [&str; 5] = ["widths", "dates", "mask_suffix", "mask_prefix", "prefix"];

/// Parts of dates, finest first.
pub(super) const PARTS: [(Part, &str); 5] = [
    (Part::Day, "day"),
    (Part::Month, "month"),
    (Part::Quarter, "quarter"),
    (Part::Year, "year"),
    (Part::Decade, "decade"),
];

pub(super) fn kind(text: &str) -> Result<Kind> {
    let wrong = |what: String| Error::argument(format!("rule '{text}': {what}"));
    let lower = text.trim().to_lowercase();
    let (name, args) = match lower.split_once('(') {
        None => (lower.as_str(), None),
        Some((name, rest)) => {
            let inner =
                rest.trim_end().strip_suffix(')').filter(|inner| !inner.contains(['(', ')'])).ok_or_else(|| {
                    wrong("a rule is a name and arguments in parentheses, as in widths(5, 10)".into())
                })?;
            let args: Vec<&str> = inner.split(',').map(str::trim).collect();
            (name.trim_end(), Some(if args == [""] { vec![] } else { args }))
        }
    };
    let given = |example: &str| match args.as_deref() {
        Some([_, ..]) => Ok(args.clone().unwrap_or_default()),
        _ => Err(wrong(format!("{name} needs arguments, as in {example}"))),
    };
    match name {
        "widths" => widths(&given("widths(5, 10, 20)")?).map_err(wrong),
        "dates" => dates(&given("dates(month, quarter, year, decade)")?).map_err(wrong),
        "mask_suffix" | "mask_prefix" => {
            let side = if name == "mask_suffix" { Side::Suffix } else { Side::Prefix };
            match &args {
                None => Ok(Kind::Mask(side, None)),
                Some(_) => {
                    let counts = counts(&given(&format!("{name}(1, 2, 5), or stands without parentheses"))?);
                    let counts = counts.map_err(wrong)?;
                    match counts.windows(2).find(|w| w[0] >= w[1]) {
                        Some(w) => {
                            Err(wrong(format!("{} comes after {}: each level masks more characters", w[1], w[0])))
                        }
                        None => Ok(Kind::Mask(side, Some(counts))),
                    }
                }
            }
        }
        "prefix" => {
            let counts = counts(&given("prefix(3, 1)")?).map_err(wrong)?;
            match counts.windows(2).find(|w| w[0] <= w[1]) {
                Some(w) => Err(wrong(format!("{} comes after {}: each level keeps fewer characters", w[1], w[0]))),
                None => Ok(Kind::Prefix(counts)),
            }
        }
        _ => {
            let hint = closest(name, NAMES).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
            Err(wrong(format!("there is no rule '{name}'{hint} (rules: {})", list_names(NAMES))))
        }
    }
}

fn widths(args: &[&str]) -> Result<Kind, String> {
    let mut grids: Vec<Grid> = Vec::with_capacity(args.len());
    for arg in args {
        let width = Decimal::parse(arg).filter(|w| w.mantissa > 0);
        let width = width.ok_or_else(|| format!("the width '{arg}' is not a number above 0"))?;
        if let Some(before) = grids.last().map(Grid::width) {
            let larger = before.partial_cmp(&width).is_some_and(|o| o.is_lt());
            if !larger || !width.is_multiple_of(before) {
                return Err(format!(
                    "the width {width} comes after {before}: each width is a whole multiple of the one before"
                ));
            }
        }
        grids.push(Grid::of_width(width));
    }
    Ok(Kind::Widths(grids))
}

fn dates(args: &[&str]) -> Result<Kind, String> {
    let mut parts: Vec<Part> = Vec::with_capacity(args.len());
    for arg in args {
        if *arg == "week" {
            return Err("weeks cross the ends of months and years and are no level of dates".into());
        }
        let allowed = || list_names(PARTS.iter().map(|(_, name)| *name));
        let part = PARTS.iter().find(|(_, name)| name == arg).map(|(part, _)| *part);
        let part = part.ok_or_else(|| format!("'{arg}' is no part of a date, allowed are {}", allowed()))?;
        if let Some(before) = parts.last().filter(|before| **before >= part) {
            return Err(format!("{part} comes after {before}: the parts go from fine to coarse, {}", allowed()));
        }
        parts.push(part);
    }
    Ok(Kind::Dates(parts))
}

fn counts(args: &[&str]) -> Result<Vec<usize>, String> {
    let count = |arg: &&str| match arg.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("'{arg}' is no number of characters, allowed are 1, 2, 3, ...")),
    };
    args.iter().map(count).collect()
}
