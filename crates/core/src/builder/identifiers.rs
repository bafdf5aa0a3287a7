//! Columns that name records or persons: how they are told, and what stands in for them.

use arrow::datatypes::{DataType, FieldRef};

use super::EXACT;
use crate::column::value_type;
use crate::{Column, Domain, Error, IdentifierDomain, MISSING, NumberDomain, NumberKind, Result, Units, Values};

/// Fewer rows than this say nothing about uniqueness.
const MIN_ROWS_FOR_DETECTION: usize = 20;

/// Integers that all differ, under a name that speaks of keys, or numbering at least a thousand rows without gaps.
pub(super) fn is_integer_key(field: &FieldRef, mut values: Vec<i64>) -> bool {
    let stored_as_number =
        matches!(
            value_type(field.data_type()),
            DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::UInt8
                | DataType::UInt16
                | DataType::UInt32
                | DataType::UInt64
        ) || matches!(value_type(field.data_type()), DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0));
    if !stored_as_number || values.len() < MIN_ROWS_FOR_DETECTION {
        return false;
    }
    values.sort_unstable();
    if values.windows(2).any(|w| w[0] == w[1]) {
        return false;
    }
    let dense = values.len() >= 1000 && values[values.len() - 1].abs_diff(values[0]) < values.len() as u64;
    dense || is_key_name(field.name())
}

fn is_key_name(name: &str) -> bool {
    const WORDS: [&str; 14] = [
        "id", "key", "uuid", "guid", "mrn", "ssn", "nr", "no", "number", "record", "subject", "patient", "person",
        "pid",
    ];
    let lower = name.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).any(|word| WORDS.contains(&word)) || lower.ends_with("id")
}

/// Strings of which more than half are different.
pub(super) fn is_text_identifier(codes: &[u32], labels: usize) -> bool {
    let mut seen = vec![false; labels];
    let (mut present, mut distinct) = (0usize, 0usize);
    for &code in codes.iter().filter(|&&c| c != MISSING) {
        present += 1;
        distinct += usize::from(!std::mem::replace(&mut seen[code as usize], true));
    }
    present >= MIN_ROWS_FOR_DETECTION && distinct * 2 > present
}

/// Integers beside those present.
pub(super) fn fresh_integers<I: Iterator<Item = i64>>(present: impl Fn() -> I) -> IdentifierDomain {
    let (min, max) = (present().min().unwrap_or(0), present().max().unwrap_or(0));
    IdentifierDomain::Integer { first: max.saturating_add(1), direction: 1 }.or_below(min, max)
}

impl IdentifierDomain {
    /// Counts down from the smallest value when hardly any room is left above the largest.
    fn or_below(self, min: i64, max: i64) -> Self {
        if max > i64::MAX - (1 << 40) {
            IdentifierDomain::Integer { first: min.saturating_sub(1), direction: -1 }
        } else {
            self
        }
    }
}

/// Texts that none of the labels begins like.
pub(super) fn fresh_texts(labels: &[String]) -> IdentifierDomain {
    let taken = |prefix: &str| labels.iter().any(|l| l.starts_with(prefix));
    let mut prefix = String::from("SYN-");
    for n in 1u32.. {
        if !taken(&prefix) {
            break;
        }
        prefix = format!("SYN{n}-");
    }
    IdentifierDomain::Text { prefix }
}

/// Whether labels of the type are texts.
pub(super) fn is_text(field: &FieldRef) -> bool {
    !matches!(value_type(field.data_type()), DataType::Boolean | DataType::Null)
}

/// The error for a column of a type that names nothing.
pub(super) fn no_identifier(field: &FieldRef) -> Error {
    let name = field.name();
    Error::argument(match is_text(field) {
        true => format!(
            "identifiers: column '{name}' holds floating-point numbers: cast it to a string or an integer, or leave it out"
        ),
        false => format!("identifiers: column '{name}' is {}", field.data_type()),
    })
}

/// The column as an identifier, where it is one: known as such, or recognised.
pub(crate) fn identify(column: &Column, known: bool, detect: bool) -> Result<Option<Column>> {
    let field = &column.field;
    let domain = match (&column.domain, &column.values) {
        (
            &Domain::Number(domain @ NumberDomain { kind: NumberKind::Integer { step, .. }, .. }),
            Values::Number(values),
        ) => {
            let present = || values.iter().filter(|v| !v.is_nan()).filter_map(|v| domain.stored(*v));
            let is_one = known || detect && is_integer_key(field, present().collect());
            // Encoded numbers beyond what f64 holds exactly are off by a step or more: fresh ones keep clear of that.
            let off =
                if domain.width() <= EXACT as f64 { 0 } else { (domain.width() / EXACT as f64) as i64 * step + step };
            let around = move |v: i64| [v.saturating_sub(off), v.saturating_add(off)];
            is_one.then(|| fresh_integers(|| present().flat_map(around)))
        }
        (Domain::Category(domain), Values::Code(codes)) if is_text(field) => {
            let is_one = known || detect && is_text_identifier(codes, domain.labels.len());
            is_one.then(|| fresh_texts(&domain.labels))
        }
        _ if known => return Err(no_identifier(field)),
        _ => None,
    };
    Ok(domain.map(|domain| Column { domain: Domain::Identifier(domain), ..column.without_values() }))
}

/// The persons that the last column of [`crate::FrameBuilder::plain`] names, a row.
///
/// # Errors
/// A row without a person (data); a column of numbers that are no integers (argument).
pub(crate) fn persons(column: &Column, unit: [&str; 2]) -> Result<Units> {
    match (&column.domain, &column.values) {
        (Domain::Category(_), Values::Code(codes)) => labelled_persons(unit, codes.clone()),
        _ => Err(no_person(unit)),
    }
}

/// Persons by the codes of their sorted labels.
pub(super) fn labelled_persons(unit: [&str; 2], codes: Vec<u32>) -> Result<Units> {
    match codes.iter().filter(|c| **c == MISSING).count() {
        0 => {
            let count = codes.iter().max().map_or(0, |most| most + 1);
            Ok(Units { codes, count })
        }
        missing => Err(person_missing(unit, missing)),
    }
}

/// Persons by integers.
pub(super) fn numbered_persons(values: &[i64]) -> Units {
    let mut distinct = values.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let codes = values.iter().map(|v| distinct.partition_point(|d| d < v) as u32).collect();
    Units { codes, count: distinct.len() as u32 }
}

/// The error for rows without a person.
pub(super) fn person_missing([argument, name]: [&str; 2], rows: usize) -> Error {
    Error::data(format!(
        "{argument}: column '{name}' is NULL in {rows} rows; every row needs its person: filter them out with WHERE {name} IS NOT \
         NULL"
    ))
}

/// The error for a column of numbers that name no one.
pub(super) fn no_person([argument, name]: [&str; 2]) -> Error {
    Error::argument(format!(
        "{argument}: column '{name}' holds floating-point or very wide numbers: cast it to a string"
    ))
}
