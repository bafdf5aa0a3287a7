//! The rows that leave, in chunks made on demand.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{interleave, take};
use datafusion::arrow::datatypes::SchemaRef;
use lookalike_anonymize::{Release, SUPPRESSED};
use lookalike_core::{Error, ErrorKind, Job, Reservation, Result};

use super::items::Lists;
use super::plan::{Leaving, Plan};
use crate::exec::Kept;
use crate::function::{Output, starts};

/// Columns that leave with other values than they came with.
#[derive(Default)]
pub(super) struct Replaced {
    pub lists: Option<Lists>,
    pub noise: Vec<ArrayRef>,
    /// The guarantee in one row, where it leaves.
    pub guarantee: Option<ArrayRef>,
}

/// Classes whose texts are made in one piece.
const PIECE: usize = 1 << 16;

/// Bytes that what a class shows of a quasi-identifier is taken to need, before it is made.
const TEXT: usize = 32;

pub(super) struct Released {
    schema: SchemaRef,
    leaving: Vec<Leaving>,
    class_id: bool,
    batches: Vec<Kept>,
    starts: Vec<u64>,
    first_rows: Vec<u64>,
    release: Release,
    replaced: Replaced,
    /// What all classes show, a quasi-identifier each, in pieces; made for every chunk anew where memory does not hold it.
    ready: Option<Vec<Vec<ArrayRef>>>,
    _memory: Vec<Reservation>,
}

impl Released {
    pub fn new(
        plan: &Plan,
        batches: Vec<Kept>,
        release: Release,
        replaced: Replaced,
        mut memory: Vec<Reservation>,
        job: &Job,
    ) -> Result<Self> {
        memory.push(job.reserve(release.memory(), "classes")?);
        // Only where several times as much is left for those who take the rows.
        let estimate = release.classes.len() * release.columns() * TEXT;
        let ready = match job.reserve(4 * estimate, "what classes show") {
            Ok(mut held) => {
                let ready = (0..release.columns()).map(|c| pieces(&release, c)).collect::<Result<Vec<_>>>()?;
                let shown = ready.iter().flatten().map(|array| array.get_array_memory_size()).sum();
                held.resize(shown, "what classes show")?;
                memory.push(held);
                Some(ready)
            }
            Err(error) if error.kind() == ErrorKind::Resources => None,
            Err(error) => return Err(error),
        };
        let first_rows = starts(batches.iter().map(|b| b.num_rows() as u64));
        let kept = first_rows.iter().zip(&batches).map(|(&first, batch)| {
            let classes = &release.class_of[first as usize..][..batch.num_rows()];
            classes.iter().filter(|&&c| c != SUPPRESSED).count() as u64
        });
        let starts = starts(kept);
        let (schema, leaving, class_id) = (Arc::clone(&plan.schema), plan.leaving.clone(), plan.class_id);
        Ok(Self { schema, leaving, class_id, batches, starts, first_rows, release, replaced, ready, _memory: memory })
    }

    /// What the classes of some rows show of a quasi-identifier.
    fn shown(&self, column: usize, classes: &UInt32Array) -> Result<ArrayRef> {
        let Some(ready) = &self.ready else { return self.release.render(column, classes.values()) };
        match ready[column].as_slice() {
            [piece] => Ok(take(piece, classes, None)?),
            pieces => {
                let pieces: Vec<&dyn Array> = pieces.iter().map(|p| p.as_ref()).collect();
                let place = |&class: &u32| (class as usize / PIECE, class as usize % PIECE);
                Ok(interleave(&pieces, &classes.values().iter().map(place).collect::<Vec<_>>())?)
            }
        }
    }
}

/// What all classes show of a quasi-identifier.
fn pieces(release: &Release, column: usize) -> Result<Vec<ArrayRef>> {
    let classes: Vec<u32> = (0..release.classes.len() as u32).collect();
    if classes.is_empty() {
        return Ok(vec![release.render(column, &[])?]);
    }
    classes.chunks(PIECE).map(|some| release.render(column, some)).collect()
}

impl Replaced {
    /// Some rows of a column that follow one another.
    fn column(&self, leaving: Leaving, first: usize, rows: usize) -> Result<ArrayRef> {
        let found = match leaving {
            Leaving::Lists => self.lists.as_ref().map(|lists| lists.array(first, rows)).transpose()?,
            Leaving::Noise(column) => self.noise.get(column).map(|array| array.slice(first, rows)),
            Leaving::Generalised(_) | Leaving::Unchanged(_) => None,
        };
        found.ok_or_else(|| Error::internal("a column that leaves is missing"))
    }
}

impl Output for Released {
    fn chunks(&self) -> u64 {
        self.batches.len() as u64
    }

    fn start(&self, chunk: u64) -> u64 {
        self.starts[chunk as usize]
    }

    fn chunk(&self, chunk: u64, _: &Job) -> Result<RecordBatch> {
        let batch = self.batches[chunk as usize].load()?;
        let first = self.first_rows[chunk as usize] as usize;
        let all = &self.release.class_of[first..first + batch.num_rows()];
        let classes = UInt32Array::from_iter_values(all.iter().copied().filter(|&class| class != SUPPRESSED));
        let left = (classes.len() < all.len()).then(|| {
            let left = |(row, &class): (u32, &u32)| (class != SUPPRESSED).then_some(row);
            (0..).zip(all).filter_map(left).collect::<UInt32Array>()
        });
        let mut columns = self
            .leaving
            .iter()
            .map(|leaving| match (leaving, &left) {
                (Leaving::Generalised(place), _) => self.shown(*place, &classes),
                (Leaving::Unchanged(column), Some(rows)) => Ok(take(batch.column(*column), rows, None)?),
                (Leaving::Unchanged(column), None) => Ok(Arc::clone(batch.column(*column))),
                (replaced, left) => {
                    let all = self.replaced.column(*replaced, first, all.len())?;
                    left.as_ref().map_or(Ok(Arc::clone(&all)), |rows| Ok(take(&all, rows, None)?))
                }
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        if self.class_id {
            columns.push(Arc::new(Int64Array::from_iter_values(classes.values().iter().map(|&c| i64::from(c)))));
        }
        if let Some(guarantee) = &self.replaced.guarantee {
            columns.push(take(guarantee, &UInt32Array::from(vec![0; classes.len()]), None)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(classes.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
