//! Reads inputs completely: all partitions at once, encoded on the way, every byte reserved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::runtime::{JoinSet, SpawnedTask};
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::StreamExt;
use lookalike_core::{Error, ErrorKind, Frame, FrameBuilder, Job, Reservation, SpilledFrame, encode};

use super::host::Host;
use super::kept::{BatchFile, Kept};
use crate::error::engine_error;
use crate::function::{Gathered, Spilled, Want};

/// Rows of a chunk on disk.
const CHUNK: usize = 1 << 16;

/// Rows of one partition.
#[derive(Default)]
struct Part {
    pieces: Vec<Piece>,
    spilled: Option<Spilled>,
    memory: Option<Reservation>,
}

/// Rows in memory.
#[derive(Default)]
struct Piece {
    builder: Option<FrameBuilder>,
    batches: Vec<RecordBatch>,
}

/// Inputs on their way in.
pub(super) struct Streams {
    tasks: JoinSet<Result<(usize, usize, Part)>>,
    inputs: usize,
    host: Arc<Host>,
}

/// Starts reading every partition of every input.
pub(super) fn start(
    function: &str,
    roles: &[String],
    inputs: &[Arc<dyn ExecutionPlan>],
    wants: Vec<Want>,
    host: &Arc<Host>,
    context: &Arc<TaskContext>,
) -> Result<Streams> {
    let mut pending = Vec::new();
    for (i, ((role, input), want)) in roles.iter().zip(inputs).zip(wants).enumerate() {
        for partition in 0..input.output_partitioning().partition_count() {
            let stream = input.execute(partition, Arc::clone(context))?;
            pending.push((i, partition, role.clone(), stream, want.clone()));
        }
    }
    // Once one partition goes to disk, all do: the memory of the others is what it lacks.
    let scarce = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for (i, partition, role, stream, want) in pending {
        let time = host.time("input_time");
        let place = format!("{function}: relation '{role}'");
        let reader = Reader { want, place, host: Arc::clone(host), scarce: Arc::clone(&scarce) };
        tasks.spawn(async move {
            let _timer = time.timer();
            reader.read(stream).await.map(|part| (i, partition, part))
        });
    }
    Ok(Streams { tasks, inputs: inputs.len(), host: Arc::clone(host) })
}

struct Reader {
    want: Want,
    place: String,
    host: Arc<Host>,
    scarce: Arc<AtomicBool>,
}

impl Reader {
    async fn read(&self, mut stream: SendableRecordBatchStream) -> Result<Part> {
        let place = |e: Error| engine_error(e.within(&self.place));
        let job = self.host.job(self.host.cancel());
        let target = self.want.like.as_ref().map(|like| common_schema(&stream.schema(), like));
        let schema = target.clone().unwrap_or_else(|| stream.schema());
        let fresh = || {
            let encode = self.want.encode.clone();
            encode.map(|spec| FrameBuilder::new(Arc::clone(&schema), spec)).transpose().map_err(place)
        };
        let mut part = Part::default();
        let mut piece = Piece { builder: fresh()?, batches: vec![] };
        let mut memory = job.reserve(0, "input rows").map_err(place)?;
        // Bytes of full pieces, and of the kept rows in the one that is being filled.
        let (mut full, mut kept) = (0, 0);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            if let Some(builder) = &mut piece.builder {
                let converted = match &target {
                    Some(target) => convert(&batch, target).map_err(place)?,
                    None => batch.clone(),
                };
                builder.push(&converted).map_err(place)?;
            }
            if let Some(columns) = &self.want.keep {
                let batch = batch.project(columns)?;
                kept += get_record_batch_memory_size(&batch);
                piece.batches.push(batch);
            }
            let filled = kept + piece.builder.as_ref().map_or(0, FrameBuilder::memory);
            let reserved = memory.resize(full + filled, "input rows");
            if !self.want.spill {
                reserved.map_err(place)?;
                continue;
            }
            if filled > self.host.piece() {
                part.pieces.push(std::mem::replace(&mut piece, Piece { builder: fresh()?, batches: vec![] }));
                (full, kept) = (full + filled, 0);
            }
            match reserved {
                Err(error) if error.kind() != ErrorKind::Resources => return Err(place(error)),
                Err(_) => self.scarce.store(true, Ordering::Relaxed),
                Ok(()) if self.host.is_crowded() => self.scarce.store(true, Ordering::Relaxed),
                Ok(()) => {}
            }
            if self.scarce.load(Ordering::Relaxed) && !part.pieces.is_empty() {
                part = self.spill(part, &job).await?;
                full = 0;
            }
            // The piece being filled is small: if even that is not to be had, nothing is.
            let filled = kept + piece.builder.as_ref().map_or(0, FrameBuilder::memory);
            memory.resize(full + filled, "input rows").map_err(place)?;
        }
        part.pieces.push(piece);
        part.memory = Some(memory);
        Ok(part)
    }

    /// Writes the pieces of a partition to disk.
    async fn spill(&self, part: Part, job: &Job) -> Result<Part> {
        let (job, place) = (job.clone(), self.place.clone());
        let task = SpawnedTask::spawn_blocking(move || spill(part, &job));
        let part = task.join().await.map_err(|e| DataFusionError::Internal(format!("writing rows panicked: {e}")))?;
        part.map_err(|e| engine_error(e.within(place)))
    }
}

fn spill(mut part: Part, job: &Job) -> Result<Part, Error> {
    let spilled = part.spilled.get_or_insert_default();
    for piece in part.pieces.drain(..) {
        job.check()?;
        if let Some(builder) = piece.builder {
            // Pieces are small, and there is no memory left to ask for.
            let frame = encode(vec![vec![builder.plain()]], &Job::unbounded())?.pop();
            spilled.frames.extend(frame.map(|frame| SpilledFrame::write(&frame, job)).transpose()?);
        }
        match piece.batches.first() {
            None => {}
            // Rows without columns are numbers.
            Some(first) if first.num_columns() == 0 => spilled.kept.extend(piece.batches.into_iter().map(Kept::Here)),
            Some(_) => spilled.kept.extend(BatchFile::write(&piece.batches, CHUNK, job)?.into_kept()),
        }
    }
    Ok(part)
}

/// The columns of `schema` with the types that `like` gives to those of the same name.
fn common_schema(schema: &Schema, like: &Schema) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|f| match like.field_with_name(f.name()) {
            Ok(wanted) => Arc::new(f.as_ref().clone().with_data_type(wanted.data_type().clone())),
            Err(_) => Arc::clone(f),
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn convert(batch: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch, Error> {
    let options = CastOptions { safe: false, ..Default::default() };
    let columns = batch
        .columns()
        .iter()
        .zip(target.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast_with_options(column, field.data_type(), &options)
                .map_err(|e| Error::data(format!("column '{}' does not fit {}: {e}", field.name(), field.data_type())))
        })
        .collect::<Result<Vec<ArrayRef>, Error>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(target), columns, &options)?)
}

impl Streams {
    /// Waits for the inputs. Where one partition of an input is on disk, all of them go there.
    pub async fn finish(mut self) -> Result<Vec<Gathered>> {
        let mut parts: Vec<(usize, usize, Part)> = Vec::new();
        while let Some(part) = self.tasks.join_next().await {
            parts.push(part.map_err(|e| DataFusionError::Internal(format!("reading an input panicked: {e}")))??);
        }
        parts.sort_by_key(|(input, partition, _)| (*input, *partition));
        let mut on_disk = vec![false; self.inputs];
        parts.iter().for_each(|(input, _, part)| on_disk[*input] |= part.spilled.is_some());
        let job = self.host.job(self.host.cancel());
        let task = SpawnedTask::spawn_blocking(move || {
            let mut gathered: Vec<Gathered> = on_disk.iter().map(|_| Gathered::default()).collect();
            for (input, _, mut part) in parts {
                let into = &mut gathered[input];
                if on_disk[input] {
                    let memory = part.memory.take();
                    let spilled = into.spilled.get_or_insert_default();
                    let more = spill(part, &job)?.spilled.unwrap_or_default();
                    drop(memory);
                    spilled.frames.extend(more.frames);
                    spilled.kept.extend(more.kept);
                    continue;
                }
                into.memory.extend(part.memory);
                for piece in part.pieces {
                    into.builders.extend(piece.builder);
                    into.batches.extend(piece.batches);
                }
            }
            Ok::<_, Error>(gathered)
        });
        let gathered =
            task.join().await.map_err(|e| DataFusionError::Internal(format!("writing rows panicked: {e}")))?;
        gathered.map_err(engine_error)
    }
}

/// One encoded input with its memory.
#[derive(Debug)]
pub(crate) struct Relation {
    /// Encoded rows.
    pub frame: Frame,
    /// The rows themselves, when kept.
    pub batches: Vec<RecordBatch>,
    /// What both occupy.
    pub memory: Vec<Reservation>,
}

/// Encodes inputs so that equal values have equal codes in all of them.
pub(crate) fn encode_together(inputs: Vec<Gathered>, job: &Job) -> Result<Vec<Relation>, Error> {
    let (mut builders, mut rest) = (Vec::new(), Vec::new());
    for input in inputs {
        builders.push(input.builders);
        rest.push((input.batches, input.memory));
    }
    let frames = encode(builders, job)?;
    frames
        .into_iter()
        .zip(rest)
        .map(|(frame, (batches, mut memory))| {
            let kept: usize = batches.iter().map(get_record_batch_memory_size).sum();
            let mut all = match memory.pop() {
                Some(last) => last,
                None => job.reserve(0, "encoded rows")?,
            };
            memory.clear();
            all.resize(kept + frame.memory(), "encoded rows")?;
            Ok(Relation { frame, batches, memory: vec![all] })
        })
        .collect()
}
