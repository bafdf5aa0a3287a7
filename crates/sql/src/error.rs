//! The one conversion from this library's errors to the engine's: the kind decides the class.

use datafusion::error::DataFusionError;
use lookalike_core::{Error, ErrorKind};

/// An engine error of the matching class, the message unchanged.
pub(crate) fn engine_error(error: Error) -> DataFusionError {
    let message = error.message().to_string();
    match error.kind() {
        ErrorKind::Argument => DataFusionError::Plan(message),
        ErrorKind::Data | ErrorKind::Cancelled => DataFusionError::Execution(message),
        ErrorKind::Resources => DataFusionError::ResourcesExhausted(message),
        ErrorKind::Internal => {
            DataFusionError::Internal(format!("{message} (a defect of Lookalike, please report it)"))
        }
    }
}
