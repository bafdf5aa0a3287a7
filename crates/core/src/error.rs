//! The one error type of the engine-free crates.

use std::fmt;

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// An argument is wrong: the caller changes the call.
    Argument,
    /// The data does not allow what was asked: the caller changes the data or the call.
    Data,
    /// Memory or another limit was reached.
    Resources,
    /// The query was cancelled.
    Cancelled,
    /// A broken promise of this library.
    Internal,
}

/// An error: its kind and a message that names the argument or column, the value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// Result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The caller's mistake in an argument.
    pub fn argument(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Argument, message: message.into() }
    }

    /// Data that does not allow what was asked.
    pub fn data(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Data, message: message.into() }
    }

    /// A limit was reached.
    pub fn resources(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Resources, message: message.into() }
    }

    /// The job was told to stop.
    pub fn cancelled() -> Self {
        Self { kind: ErrorKind::Cancelled, message: "the query was cancelled".into() }
    }

    /// A broken promise of this library.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Internal, message: message.into() }
    }

    /// Who has to act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text without the kind.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error with the place it happened in front of its message.
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Error::internal(format!("arrow: {error}"))
    }
}
