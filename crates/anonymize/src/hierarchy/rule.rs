//! Hierarchies that follow from the values themselves: intervals of numbers, parts of dates, characters of strings.

mod parse;

use std::fmt::{self, Write};

use arrow::datatypes::DataType;
use lookalike_core::{Column, Error, Result};

use super::leaves::Held;
use super::{Hierarchy, Levels};
use crate::calendar::days_from_civil;
use crate::decimal::Decimal;
use crate::grid::Grid;

/// Label of everything: the root of every rule, and a value whose characters are all masked.
const ANY: &str = "*";

/// Values longer than this have more levels than anybody can use.
const LONGEST: usize = 256;

/// A rule that makes a hierarchy. It works value by value on the text that `CAST(value AS VARCHAR)` prints, so that the
/// label of a value at a level is the same everywhere, whatever other values there are. Level 0 is the value, levels
/// from 1 on are those of the rule, and the level above them is the root `*`.
///
/// | rule | values | label of a level |
/// |---|---|---|
/// | `widths(5, 10, 20)` | numbers | the interval of that width, multiples of it as edges: `[20, 25)`; each width is a multiple of the one before |
/// | `dates(month, quarter, year, decade)` | dates, timestamps | `2013-05-17` (`day`), `2013-05`, `2013-Q2`, `2013`, `2010s`; any of them, finest first |
/// | `mask_suffix(1, 2, 5)` | texts | that many last characters are `*`: `1234*`; a value masked completely is `*` |
/// | `mask_suffix` | texts | one character more at each level, up to the length of the longest value, where the root is |
/// | `mask_prefix(1, 2, 5)`, `mask_prefix` | texts | the same for the first characters |
/// | `prefix(3, 1)` | texts | that many first characters: `E11` of `E11.9`; fewer at each level |
///
/// Masks keep the number of characters, so that texts of different lengths do not meet before they are masked
/// completely; for codes of different lengths there is `prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Widths(Vec<Grid>),
    Dates(Vec<Part>),
    /// Numbers of masked characters; without them 1, 2, 3, ...
    Mask(Side, Option<Vec<usize>>),
    /// Numbers of kept characters.
    Prefix(Vec<usize>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Day,
    Month,
    Quarter,
    Year,
    Decade,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Prefix,
    Suffix,
}

impl Rule {
    /// Reads a rule. An argument error names the rule, what is wrong and what is allowed.
    pub fn parse(text: &str) -> Result<Self> {
        parse::kind(text).map(|kind| Self { kind })
    }

    /// Whether a string is meant as a rule, right or wrong, rather than as the name of a table.
    pub fn is_meant(text: &str) -> bool {
        text.contains('(') || parse::NAMES.contains(&text.trim().to_lowercase().as_str())
    }

    /// Level of the root: levels 1 to one below it are the rule's. Nothing for masks without numbers, whose root lies
    /// at the length of the longest value.
    pub fn height(&self) -> Option<usize> {
        match &self.kind {
            Kind::Widths(grids) => Some(grids.len() + 1),
            Kind::Dates(parts) => Some(parts.len() + 1),
            Kind::Mask(_, counts) => counts.as_ref().map(|c| c.len() + 1),
            Kind::Prefix(counts) => Some(counts.len() + 1),
        }
    }

    /// Fails with an argument error for types whose values the rule cannot read.
    pub fn check_type(&self, data_type: &DataType) -> Result<()> {
        let value_type = match data_type {
            DataType::Dictionary(_, values) => values,
            other => other,
        };
        let as_text = value_type.is_string() || value_type.is_null();
        let (fits, what) = match self.kind {
            Kind::Widths(_) => (as_text || value_type.is_numeric(), "numbers"),
            Kind::Dates(_) => {
                let date = matches!(value_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
                (as_text || date, "dates and timestamps")
            }
            Kind::Mask(..) | Kind::Prefix(_) => (!value_type.is_nested(), "texts and what prints as one"),
        };
        match fits {
            true => Ok(()),
            false => Err(Error::argument(format!("rule '{self}' generalises {what}, not {data_type}"))),
        }
    }

    /// Appends the label of a value at a level; levels above the root's are the root. A data error names a value that
    /// the rule cannot read.
    pub fn write_label(&self, value: &str, level: usize, label: &mut String) -> Result<()> {
        let Some(index) = level.checked_sub(1) else {
            label.push_str(value);
            return Ok(());
        };
        let done = match &self.kind {
            Kind::Widths(grids) => match grids.get(index) {
                Some(grid) => self.write_interval(grid, value, label)?,
                None => label.write_str(ANY),
            },
            Kind::Dates(parts) => match parts.get(index) {
                Some(part) => self.write_date(*part, value, label)?,
                None => label.write_str(ANY),
            },
            Kind::Mask(side, counts) => {
                let count = match counts {
                    Some(counts) => counts.get(index).copied(),
                    None => Some(level),
                };
                match count {
                    Some(count) => write_masked(*side, value, count, label),
                    None => label.write_str(ANY),
                }
            }
            Kind::Prefix(counts) => match counts.get(index) {
                Some(&count) => {
                    label.write_str(value.char_indices().nth(count).map_or(value, |(end, _)| &value[..end]))
                }
                None => label.write_str(ANY),
            },
        };
        done.map_err(|e| Error::internal(e.to_string()))
    }

    /// Labels of the values at every level, the values themselves first and the root last.
    pub fn levels(&self, values: &[String]) -> Result<Vec<Vec<Option<String>>>> {
        let longest = || values.iter().map(|v| v.chars().count()).max().unwrap_or(0).max(1);
        let height = match self.height() {
            Some(height) => height,
            None if longest() > LONGEST => {
                return Err(Error::data(format!(
                    "rule '{self}' has a level for each character, and a value has {} of them, allowed are {LONGEST}: \
                     name the numbers of characters, as in {self}(1, 2, 5)",
                    longest()
                )));
            }
            None => longest(),
        };
        (0..=height)
            .map(|level| {
                values
                    .iter()
                    .map(|value| {
                        let mut label = String::new();
                        self.write_label(value, level, &mut label)?;
                        Ok(Some(label))
                    })
                    .collect()
            })
            .collect()
    }

    /// The texts of the values that the rows of a column hold, in the column's order, and their labels at every level
    /// as [`Rule::levels`] gives them.
    pub fn levels_of(&self, column: &Column) -> Result<Vec<Vec<Option<String>>>> {
        self.labels(column, &Held::new(column)?)
    }

    /// The hierarchy of a column: its leaves are the values that the column's rows hold.
    pub fn hierarchy(&self, column: &Column) -> Result<Hierarchy> {
        let held = Held::new(column)?;
        let levels = Levels::from_levels(&format!("rule '{self}'"), &self.labels(column, &held)?)?;
        Hierarchy::new(column, held, levels)
    }

    fn labels(&self, column: &Column, held: &Held) -> Result<Vec<Vec<Option<String>>>> {
        let labels = self.check_type(column.field.data_type()).and_then(|()| self.levels(held.texts()));
        labels.map_err(|e| e.within(format!("column '{}'", column.name())))
    }

    fn write_interval(&self, grid: &Grid, value: &str, label: &mut String) -> Result<fmt::Result> {
        let number = Decimal::parse(value).ok_or_else(|| {
            Error::data(format!("rule '{self}': the value '{value}' is no number of at most 38 digits"))
        })?;
        let cell = grid.cell(number);
        let edges = cell.and_then(|c| Some((grid.edge(c)?, grid.edge(c.checked_add(1)?)?)));
        let (lower, upper) = edges.ok_or_else(|| {
            Error::data(format!(
                "rule '{self}': the value '{value}' is too large for intervals of width {}",
                grid.width()
            ))
        })?;
        Ok(write!(label, "[{lower}, {upper})"))
    }

    fn write_date(&self, part: Part, value: &str, label: &mut String) -> Result<fmt::Result> {
        let (year, month, day) = date(value)
            .ok_or_else(|| Error::data(format!("rule '{self}': the value '{value}' is no date such as 2013-05-17")))?;
        Ok(match part {
            Part::Day => write!(label, "{}-{month:02}-{day:02}", Year(year)),
            Part::Month => write!(label, "{}-{month:02}", Year(year)),
            Part::Quarter => write!(label, "{}-Q{}", Year(year), (month + 2) / 3),
            Part::Year => write!(label, "{}", Year(year)),
            Part::Decade => write!(label, "{}s", Year(year.div_euclid(10) * 10)),
        })
    }
}

/// A year as timestamps print it.
struct Year(i64);

impl fmt::Display for Year {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if (0..10_000).contains(&self.0) { write!(f, "{:04}", self.0) } else { write!(f, "{:+05}", self.0) }
    }
}

/// Year, month and day at the beginning of a date or timestamp that is written out.
fn date(text: &str) -> Option<(i64, i64, i64)> {
    let end = text.find(['T', ' ']).unwrap_or(text.len());
    let (year_month, day) = text[..end].rsplit_once('-')?;
    let (year, month) = year_month.rsplit_once('-')?;
    let two = |digits: &str| {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
    };
    let digits = year.strip_prefix(['+', '-']).unwrap_or(year);
    let plain = (4..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let year: i64 = if plain { year.parse().ok()? } else { return None };
    let (month, day): (i64, i64) = (two(month)?, two(day)?);
    let length = days_from_civil(year, month + 1, 1) - days_from_civil(year, month, 1);
    ((1..=12).contains(&month) && (1..=length).contains(&day)).then_some((year, month, day))
}

/// A value with `count` characters masked.
fn write_masked(side: Side, value: &str, count: usize, label: &mut String) -> fmt::Result {
    let length = value.chars().count();
    if count >= length {
        return label.write_str(ANY);
    }
    let cut = |kept: usize| value.char_indices().nth(kept).map_or(value.len(), |(at, _)| at);
    let masked = || std::iter::repeat_n('*', count);
    match side {
        Side::Suffix => {
            label.push_str(&value[..cut(length - count)]);
            label.extend(masked());
        }
        Side::Prefix => {
            label.extend(masked());
            label.push_str(&value[cut(count)..]);
        }
    }
    Ok(())
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| items.join(", ");
        let counts = |counts: &[usize]| list(counts.iter().map(usize::to_string).collect());
        match &self.kind {
            Kind::Widths(grids) => write!(f, "widths({})", list(grids.iter().map(|g| g.width().to_string()).collect())),
            Kind::Dates(parts) => write!(f, "dates({})", list(parts.iter().map(Part::to_string).collect())),
            Kind::Mask(Side::Prefix, None) => f.write_str("mask_prefix"),
            Kind::Mask(Side::Suffix, None) => f.write_str("mask_suffix"),
            Kind::Mask(Side::Prefix, Some(c)) => write!(f, "mask_prefix({})", counts(c)),
            Kind::Mask(Side::Suffix, Some(c)) => write!(f, "mask_suffix({})", counts(c)),
            Kind::Prefix(c) => write!(f, "prefix({})", counts(c)),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(parse::PARTS.iter().find(|(part, _)| part == self).map_or("", |(_, name)| name))
    }
}
