//! Reads inputs completely: all partitions at once, encoded on the way, every byte reserved.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::runtime::JoinSet;
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::StreamExt;
use lookalike_core::{Error, Frame, FrameBuilder, Job, Reservation, encode};

use super::host::Host;
use crate::error::engine_error;
use crate::function::{Gathered, Want};

struct Part {
    builder: Option<FrameBuilder>,
    batches: Vec<RecordBatch>,
    memory: Reservation,
}

/// Inputs on their way in.
pub(super) struct Streams {
    tasks: JoinSet<Result<(usize, usize, Part)>>,
    inputs: usize,
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
    let mut tasks = JoinSet::new();
    for (i, partition, role, stream, want) in pending {
        let job = host.job(host.cancel());
        let time = host.time("input_time");
        let place = format!("{function}: relation '{role}'");
        tasks.spawn(async move {
            let _timer = time.timer();
            read(stream, want, &place, &job).await.map(|part| (i, partition, part))
        });
    }
    Ok(Streams { tasks, inputs: inputs.len() })
}

async fn read(mut stream: SendableRecordBatchStream, want: Want, place: &str, job: &Job) -> Result<Part> {
    let place = |e: Error| engine_error(e.within(place));
    let target = want.like.as_ref().map(|like| common_schema(&stream.schema(), like));
    let schema = target.clone().unwrap_or_else(|| stream.schema());
    let mut builder = want.encode.map(|spec| FrameBuilder::new(schema, spec)).transpose().map_err(place)?;
    let mut memory = job.reserve(0, "input rows").map_err(place)?;
    let (mut batches, mut kept) = (Vec::new(), 0);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if let Some(builder) = &mut builder {
            let converted = match &target {
                Some(target) => convert(&batch, target).map_err(place)?,
                None => batch.clone(),
            };
            builder.push(&converted).map_err(place)?;
        }
        if let Some(columns) = &want.keep {
            let batch = batch.project(columns)?;
            kept += get_record_batch_memory_size(&batch);
            batches.push(batch);
        }
        let bytes = kept + builder.as_ref().map_or(0, FrameBuilder::memory);
        memory.resize(bytes, "input rows").map_err(place)?;
    }
    Ok(Part { builder, batches, memory })
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
    /// Waits for the inputs.
    pub async fn finish(mut self) -> Result<Vec<Gathered>> {
        let mut parts: Vec<(usize, usize, Part)> = Vec::new();
        while let Some(part) = self.tasks.join_next().await {
            parts.push(part.map_err(|e| DataFusionError::Internal(format!("reading an input panicked: {e}")))??);
        }
        parts.sort_by_key(|(input, partition, _)| (*input, *partition));
        let mut gathered: Vec<Gathered> = (0..self.inputs).map(|_| Gathered::default()).collect();
        for (input, _, part) in parts {
            let into = &mut gathered[input];
            into.builders.extend(part.builder);
            into.batches.extend(part.batches);
            into.memory.push(part.memory);
        }
        Ok(gathered)
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
