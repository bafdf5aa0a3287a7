//! Progress of long work, for whoever shows it.

use std::fmt;
use std::sync::Arc;

use datafusion::prelude::SessionConfig;
pub use lookalike_core::Training;

/// Receives the progress of running functions. Called from worker threads; must return quickly.
pub trait ProgressSink: Send + Sync {
    /// `done` of `total` steps of `phase` are behind us.
    fn update(&self, phase: &str, done: u64, total: u64);
    /// An epoch of the training of a model is over.
    fn training(&self, _state: &Training) {}
    /// Something that the user should know about the result of a function, which the message names: a search that was
    /// cut short, a claim that does not hold.
    fn warn(&self, _message: &str) {}
    /// The function has finished or failed.
    fn finish(&self);
}

/// The sink of a session.
#[derive(Clone)]
pub(crate) struct Progress(pub(crate) Arc<dyn ProgressSink>);

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Installs a progress sink in a session's configuration.
pub fn with_progress(config: SessionConfig, sink: Arc<dyn ProgressSink>) -> SessionConfig {
    config.with_extension(Arc::new(Progress(sink)))
}
