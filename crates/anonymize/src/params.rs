//! Parameters that passed their check.

use std::ops::Deref;

/// Parameters that passed their check; nothing else makes one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked<P>(P);

impl<P> Checked<P> {
    pub(crate) fn new(params: P) -> Self {
        Self(params)
    }
}

impl<P> Deref for Checked<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}
