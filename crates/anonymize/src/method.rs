//! The registry of anonymisation methods.

use lookalike_core::{Error, Frame, Job, Result, closest, list_names};

use crate::mondrian::Mondrian;
use crate::{Checked, Hierarchy, KAnonymizeParams, Release};

/// A way to make a table k-anonymous.
pub trait Method: Sync {
    /// Name in SQL, lower case with underscores.
    fn name(&self) -> &'static str;

    /// What it does, one sentence.
    fn summary(&self) -> &'static str;

    /// Paper it follows.
    fn source(&self) -> &'static str;

    /// Puts every row of the frame into a class of at least `k` persons (rows, for a frame without units), or drops
    /// it within the suppression limit. The frame's columns are exactly the quasi-identifiers; `hierarchies` holds
    /// one entry a column. The classes and their numbers do not depend on the order of the rows.
    ///
    /// Fails with an argument error when a column is an identifier or none is given, and with a data error when
    /// there are no rows or fewer than `k` persons.
    fn anonymize(
        &self,
        frame: &Frame,
        hierarchies: &[Option<Hierarchy>],
        params: &Checked<KAnonymizeParams>,
        job: &Job,
    ) -> Result<Release>;
}

/// Every method, the default first.
pub static METHODS: &[&dyn Method] = &[&Mondrian];

/// The method of that name; an argument error names the closest one and lists the others.
pub fn find_method(name: &str) -> Result<&'static dyn Method> {
    METHODS.iter().copied().find(|m| m.name() == name).ok_or_else(|| {
        let names = || METHODS.iter().map(|m| m.name());
        let hint = closest(name, names()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
        Error::argument(format!("there is no method '{name}'{hint} (methods: {})", list_names(names())))
    })
}
