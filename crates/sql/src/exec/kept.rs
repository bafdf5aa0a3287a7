//! Rows that leave unchanged, in memory or on disk.

use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use lookalike_core::{Error, Job, Result, Scratch};

/// Rows of one chunk.
#[derive(Debug)]
pub(crate) enum Kept {
    /// In memory.
    Here(RecordBatch),
    /// On disk.
    There { file: Arc<BatchFile>, chunk: usize },
}

impl Kept {
    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        match self {
            Kept::Here(batch) => batch.num_rows(),
            Kept::There { file, chunk } => file.chunks[*chunk].rows,
        }
    }

    /// The rows.
    pub fn load(&self) -> Result<RecordBatch> {
        match self {
            Kept::Here(batch) => Ok(batch.clone()),
            Kept::There { file, chunk } => file.load(*chunk),
        }
    }
}

/// Batches on disk, each a stream of its own.
#[derive(Debug)]
pub(crate) struct BatchFile {
    scratch: Scratch,
    schema: SchemaRef,
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
struct Chunk {
    start: u64,
    bytes: u64,
    rows: usize,
}

impl BatchFile {
    /// Writes batches of one schema, several to a chunk.
    pub fn write(batches: &[RecordBatch], chunk_rows: usize, job: &Job) -> Result<Self> {
        let Some(first) = batches.first() else { return Err(Error::internal("no rows to write")) };
        let schema = first.schema();
        let plain = Arc::new(Schema::new(schema.fields().iter().map(|f| plain_field(f)).collect::<Vec<Field>>()));
        let scratch = job.scratch("rows")?;
        let mut file = BufWriter::with_capacity(1 << 20, scratch.create()?);
        let (mut chunks, mut start, mut from) = (vec![], 0, 0);
        while from < batches.len() {
            let mut rows = 0;
            let more = |b: &&RecordBatch| {
                let fits = rows < chunk_rows;
                rows += b.num_rows();
                fits
            };
            let together = batches[from..].iter().take_while(more).count();
            let batch = concat_batches(&schema, &batches[from..from + together])?;
            from += together;
            let columns = batch.columns().iter().map(compact).collect::<Result<Vec<_>>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&plain), columns, &options)?;
            let mut bytes = Vec::new();
            let mut writer = StreamWriter::try_new(&mut bytes, &plain)?;
            writer.write(&batch)?;
            writer.finish()?;
            drop(writer);
            file.write_all(&bytes).map_err(|e| scratch.failed("writing", &e))?;
            chunks.push(Chunk { start, bytes: bytes.len() as u64, rows: batch.num_rows() });
            start += bytes.len() as u64;
        }
        file.flush().map_err(|e| scratch.failed("writing", &e))?;
        job.count("spilled_bytes", start as usize);
        drop(file);
        Ok(Self { scratch, schema, chunks })
    }

    /// Its chunks in order.
    pub fn into_kept(self) -> Vec<Kept> {
        let file = Arc::new(self);
        (0..file.chunks.len()).map(|chunk| Kept::There { file: Arc::clone(&file), chunk }).collect()
    }

    fn load(&self, chunk: usize) -> Result<RecordBatch> {
        let Chunk { start, bytes, .. } = self.chunks[chunk];
        let mut file = self.scratch.open()?;
        file.seek(SeekFrom::Start(start)).map_err(|e| self.scratch.failed("reading", &e))?;
        let mut reader = StreamReader::try_new(BufReader::new(file.take(bytes)), None)?;
        let batch = reader.next().ok_or_else(|| Error::internal("a temporary file of rows ends early"))??;
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            let same = column.data_type() == field.data_type();
            Ok(if same { Arc::clone(column) } else { cast(column, field.data_type())? })
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// Dictionaries differ from batch to batch: their values are written.
fn plain_field(field: &Field) -> Field {
    match field.data_type() {
        DataType::Dictionary(_, values) => field.clone().with_data_type(values.as_ref().clone()),
        _ => field.clone(),
    }
}

/// Values without what they do not refer to.
fn compact(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(match column.data_type() {
        DataType::Dictionary(_, values) => cast(column, values)?,
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int32Array, ListArray, StringArray, StringViewArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let batch = |from: i32| {
            let numbers = Int32Array::from_iter((from..from + 10).map(|i| (i % 3 > 0).then_some(i)));
            let texts: StringArray = (from..from + 10).map(|i| Some(format!("a text of {i}"))).collect();
            let dictionary = cast(&texts, &DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into()));
            let lists = (from..from + 10).map(|i| (i % 4 > 0).then(|| vec![Some(i64::from(i)), None]));
            RecordBatch::try_from_iter_with_nullable([
                ("n", Arc::new(numbers) as ArrayRef, true),
                ("v", Arc::new(StringViewArray::from_iter(texts.iter())) as ArrayRef, true),
                ("d", dictionary.unwrap(), true),
                ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)) as ArrayRef, true),
            ])
            .unwrap()
        };
        let batches: Vec<RecordBatch> = (0..5).map(|i| batch(i * 10)).collect();
        let kept = BatchFile::write(&batches, 25, &Job::unbounded()).unwrap().into_kept();
        assert_eq!(kept.iter().map(Kept::num_rows).collect::<Vec<_>>(), [30, 20]);
        let loaded: Vec<RecordBatch> = kept.iter().map(|k| k.load().unwrap()).collect();
        let schema = batches[0].schema();
        assert_eq!(concat_batches(&schema, &loaded).unwrap(), concat_batches(&schema, &batches).unwrap());
    }
}
