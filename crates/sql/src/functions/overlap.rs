//! People and rows that are in two relations of one call, where attacks take them for different ones.

use std::collections::HashSet;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::row::{RowConverter, SortField};
use lookalike_attacks::common_rows_note;
use lookalike_core::{Error, Frame, Job, Result};

/// How many persons two columns of keys have in common; the only key is the person.
fn common_persons(persons: &[ArrayRef], others: &[ArrayRef]) -> Result<usize> {
    let (Some(persons), Some(others)) = (persons.first(), others.first()) else { return Ok(0) };
    let converter = RowConverter::new(vec![SortField::new(others.data_type().clone())])?;
    let rows = |key: &ArrayRef| converter.convert_columns(std::slice::from_ref(key));
    let (persons, others) = (rows(persons)?, rows(others)?);
    let others: HashSet<_> = others.iter().collect();
    Ok(persons.iter().filter(|person| others.contains(person)).collect::<HashSet<_>>().len())
}

/// Fails when somebody is on both sides.
pub(super) fn no_common_person(members: (&str, &[ArrayRef]), others: (&str, &[ArrayRef])) -> Result<()> {
    match common_persons(members.1, others.1)? {
        0 => Ok(()),
        n => Err(Error::data(format!(
            "privacy_unit: {n} of the persons are among both {} and {}: split by person, for example by md5 of the \
             person's identifier",
            members.0, others.0
        ))),
    }
}

const KNOWN: &str = "attacks compare such targets with themselves, leave them out";

/// Warns when persons of the reference are targets.
pub(super) fn warn_of_known_persons(reference: &[ArrayRef], targets: (&str, &[ArrayRef]), job: &Job) -> Result<()> {
    let count = common_persons(reference, targets.1)?;
    if count > 0 {
        job.warn(&format!("{count} of the persons are among both reference and {}: {KNOWN}", targets.0));
    }
    Ok(())
}

/// Warns when reference rows have the content of targets, as strangers may have.
pub(super) fn warn_of_known_rows(reference: &Frame, targets: (&str, &Frame), job: &Job) -> Result<()> {
    if let Some(note) = common_rows_note(("reference", reference), targets, job)? {
        job.warn(&format!("{note}: {KNOWN}"));
    }
    Ok(())
}

/// Warns when control rows have the content of training rows.
pub(super) fn warn_of_copies(train: &Frame, control: &Frame, job: &Job) -> Result<()> {
    if let Some(note) = common_rows_note(("control", control), ("train", train), job)? {
        job.warn(&format!("{note}: by chance, or because the control holds people of train"));
    }
    Ok(())
}
