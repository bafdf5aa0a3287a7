//! The handle of a running job: cancellation, memory, counters and progress.

use std::sync::Arc;

use crate::{Error, Result, Scratch};

/// What the surroundings of a job provide. The SQL layer connects it to the engine's memory pool and metrics.
pub trait Host: Send + Sync {
    /// True once nobody waits for the result any more.
    fn cancelled(&self) -> bool;
    /// Asks for `bytes` more; the error says what to do when they are not to be had.
    fn grow(&self, bytes: usize, purpose: &str) -> Result<()>;
    /// Gives `bytes` back.
    fn shrink(&self, bytes: usize);
    /// Adds to a named counter (`rows_trained`, `pairs_compared`, ...).
    fn count(&self, counter: &'static str, n: usize);
    /// Says how far a long phase has come.
    fn progress(&self, phase: &'static str, done: u64, total: u64);
    /// Says how the training of a model goes, after each epoch.
    fn training(&self, _state: &Training) {}
    /// Hands the user a message that the result does not hold, such as that a search was cut short.
    fn warn(&self, _message: &str) {}
    /// A temporary file for `purpose`; an error of kind resources says why there is none. In the system's folder unless
    /// the surroundings have one of their own.
    fn scratch(&self, _purpose: &str) -> Result<Scratch> {
        Scratch::temporary()
    }
    /// The bytes of a file that the user named; a data error says why they are not to be had.
    fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        Err(Error::internal(format!("'{path}' was to be read where there are no files")))
    }
    /// Writes a file that the user named, under its name at once and completely or not at all.
    fn write_file(&self, path: &str, _bytes: Vec<u8>) -> Result<()> {
        Err(Error::internal(format!("'{path}' was to be written where there are no files")))
    }
}

/// How far the training of a model has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// The epoch that just ended, from 1.
    pub epoch: u32,
    /// Epochs at most.
    pub epochs: u32,
    /// Mean loss over the rows learned from.
    pub loss: f64,
    /// The same over the rows held out; NaN without such.
    pub held_out: f64,
    /// Training rows a second.
    pub rows_per_second: f64,
    /// Seconds left at this pace, if no early stop comes.
    pub seconds_left: f64,
}

struct Unbounded;

impl Host for Unbounded {
    fn cancelled(&self) -> bool {
        false
    }
    fn grow(&self, _: usize, _: &str) -> Result<()> {
        Ok(())
    }
    fn shrink(&self, _: usize) {}
    fn count(&self, _: &'static str, _: usize) {}
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
}

/// The surroundings of a part of a job, whose progress and warnings the whole speaks for.
struct Quiet(Arc<dyn Host>);

impl Host for Quiet {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
    fn grow(&self, bytes: usize, purpose: &str) -> Result<()> {
        self.0.grow(bytes, purpose)
    }
    fn shrink(&self, bytes: usize) {
        self.0.shrink(bytes);
    }
    fn count(&self, counter: &'static str, n: usize) {
        self.0.count(counter, n);
    }
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
    fn warn(&self, _: &str) {}
    fn scratch(&self, purpose: &str) -> Result<Scratch> {
        self.0.scratch(purpose)
    }
    fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        self.0.read_file(path)
    }
    fn write_file(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.0.write_file(path, bytes)
    }
}

/// A cheap, cloneable handle that long loops ask whether to go on.
#[derive(Clone)]
pub struct Job {
    host: Arc<dyn Host>,
}

impl Job {
    /// A job in the given surroundings.
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { host }
    }

    /// A job without limits, for use without an engine.
    pub fn unbounded() -> Self {
        Self::new(Arc::new(Unbounded))
    }

    /// The same job for one of many parts of a phase: progress and warnings inside the part are not shown.
    pub fn quiet(&self) -> Self {
        Self::new(Arc::new(Quiet(Arc::clone(&self.host))))
    }

    /// Fails once the job is cancelled. Loops call it at least every few milliseconds of work.
    pub fn check(&self) -> Result<()> {
        if self.host.cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Reserves memory until the returned guard is dropped; `purpose` completes "memory for ...".
    pub fn reserve(&self, bytes: usize, purpose: &str) -> Result<Reservation> {
        self.host.grow(bytes, purpose)?;
        Ok(Reservation { job: self.clone(), bytes })
    }

    /// Adds to a named counter.
    pub fn count(&self, counter: &'static str, n: usize) {
        self.host.count(counter, n);
    }

    /// A temporary file for what memory does not hold; `purpose` says what.
    pub fn scratch(&self, purpose: &str) -> Result<Scratch> {
        self.host.scratch(purpose)
    }

    /// The bytes of a file that the user named; a data error says why they are not to be had.
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        self.host.read_file(path)
    }

    /// Writes a file that the user named, under its name at once and completely or not at all.
    pub fn write_file(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.host.write_file(path, bytes)
    }

    /// Hands the user a message that the result does not hold, such as that a search was cut short.
    pub fn warn(&self, message: &str) {
        self.host.warn(message);
    }

    /// Says how the training of a model goes, after each epoch.
    pub fn training(&self, state: &Training) {
        self.host.training(state);
    }

    /// Says how far a long phase has come.
    pub fn progress(&self, phase: &'static str, done: u64, total: u64) {
        self.host.progress(phase, done, total);
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

/// Reserved memory; dropping it gives it back.
#[derive(Debug)]
pub struct Reservation {
    job: Job,
    bytes: usize,
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the reservation to `bytes`.
    pub fn resize(&mut self, bytes: usize, purpose: &str) -> Result<()> {
        if bytes > self.bytes {
            self.job.host.grow(bytes - self.bytes, purpose)?;
        } else {
            self.job.host.shrink(self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.job.host.shrink(self.bytes);
    }
}
