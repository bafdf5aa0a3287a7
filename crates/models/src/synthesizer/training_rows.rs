//! The rows that a synthesizer is given, and their canonical order: in memory where they fit, on disk where they do not.

use lookalike_core::{ColumnStore, EncodeSpec, Error, ErrorKind, Frame, Job, Keeper, Reservation, Result, SpilledRows};

/// Rows to learn from.
#[derive(Debug)]
pub enum TrainingRows {
    /// In memory, and what is reserved for them until they are in order.
    Frame(Frame, Vec<Reservation>),
    /// Encoded in pieces ([`lookalike_core::FrameBuilder::plain`]) that were written to disk, and what is to be told of the whole.
    Spilled(SpilledRows, EncodeSpec),
}

impl From<Frame> for TrainingRows {
    fn from(frame: Frame) -> Self {
        TrainingRows::Frame(frame, vec![])
    }
}

/// Rows in canonical order.
pub(super) struct Sorted {
    pub rows: ColumnStore,
    /// Keeps what is made of them.
    pub keeper: Keeper,
    pub memory: Reservation,
}

impl TrainingRows {
    pub(super) fn sorted(self, job: &Job) -> Result<Sorted> {
        let (frame, _given) = match self {
            TrainingRows::Frame(frame, memory) => (frame, memory),
            TrainingRows::Spilled(rows, spec) => {
                let count = rows.lengths().sum();
                some(count)?;
                let memory = job.reserve(count * SORTING, ORDER)?;
                let keeper = Keeper::on_disk(job)?;
                return Sorted::on_disk(ColumnStore::sorted(rows, &spec, &keeper, job)?, keeper, memory);
            }
        };
        let count = frame.rows();
        some(count)?;
        // The rows in canonical order, the prepared rows, and the order itself.
        let (keeper, memory) = match job.reserve(frame.memory() * 2 + count * 20, "rows to learn from") {
            Ok(memory) => (Keeper::in_memory(), memory),
            Err(error) if error.kind() == ErrorKind::Resources => {
                (Keeper::on_disk(job)?, job.reserve(count * SORTING, ORDER)?)
            }
            Err(error) => return Err(error),
        };
        let order = frame.canonical_order();
        job.check()?;
        if keeper.is_on_disk() {
            return Sorted::on_disk(ColumnStore::gathered(frame, &order, &keeper)?, keeper, memory);
        }
        Ok(Sorted { rows: frame.gather(&order).into(), keeper, memory })
    }
}

impl Sorted {
    /// What has been sorted is on disk; each thread will read a column, change it and write it.
    fn on_disk(rows: ColumnStore, keeper: Keeper, mut memory: Reservation) -> Result<Self> {
        let threads = rayon::current_num_threads().min(rows.headers().len());
        memory.resize(rows.memory() + rows.rows() * CHANGING * threads, "columns of rows to learn from")?;
        Ok(Self { rows, keeper, memory })
    }
}

/// Bytes a row while rows on disk are put in order: hashes, places, persons, and a column.
const SORTING: usize = 36;
/// Bytes a value of a column that is read, changed and written.
const CHANGING: usize = 28;
const ORDER: &str = "the order of rows to learn from";

fn some(rows: usize) -> Result<()> {
    match rows {
        0 => Err(Error::data("the input has no rows: there is nothing to learn from")),
        _ => Ok(()),
    }
}
