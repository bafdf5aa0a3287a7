//! Record batches as text.

use std::{
    io::{self, BufWriter, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, StringArray},
        csv,
        datatypes::{DataType, Field, Schema, SchemaRef},
        error::ArrowError,
        json,
        util::{
            display::{ArrayFormatter, FormatOptions},
            pretty::pretty_format_batches_with_options,
        },
    },
    config,
    error::Result,
    execution::memory_pool::{MemoryConsumer, MemoryReservation},
    prelude::SessionContext,
};
use datafusion_cli::print_format::PrintFormat;

/// Set once a write to stdout has failed because nobody reads it.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether stdout has lost its reader (`| head`). The writers above it turn that into errors of their own kinds, some of
/// which keep only the text.
pub fn stdout_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Stdout that remembers a reader's going.
struct Stdout;

impl Stdout {
    fn watched<T>(result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
            CLOSED.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Stdout {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        Self::watched(io::stdout().write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::watched(io::stdout().flush())
    }
}

/// Writes the batches of one result to stdout.
pub struct Printer {
    schema: SchemaRef,
    format: config::FormatOptions,
    shown: usize,
    sink: Sink,
}

enum Sink {
    Table { held: Vec<RecordBatch>, max_rows: usize, reservation: MemoryReservation },
    Separated(Box<csv::Writer<Stdout>>),
    JsonArray(json::ArrayWriter<BufWriter<Stdout>>),
    JsonLines(json::LineDelimitedWriter<BufWriter<Stdout>>),
}

impl Printer {
    /// A printer for results of `schema`; a table shows the first `max_rows` and holds them in the session's memory.
    pub fn new(format: PrintFormat, max_rows: usize, ctx: &SessionContext, schema: SchemaRef) -> Result<Self> {
        let sink = match format {
            PrintFormat::Table | PrintFormat::Automatic => {
                let reservation =
                    MemoryConsumer::new("rows of a printed table").register(&ctx.runtime_env().memory_pool);
                Sink::Table { held: Vec::new(), max_rows, reservation }
            }
            PrintFormat::Csv => separated(b',', &schema)?,
            PrintFormat::Tsv => separated(b'\t', &schema)?,
            PrintFormat::Json => Sink::JsonArray(json_builder().build(BufWriter::new(Stdout))),
            PrintFormat::NdJson => Sink::JsonLines(json_builder().build(BufWriter::new(Stdout))),
        };
        Ok(Self { schema, format: ctx.copied_config().options().format.clone(), shown: 0, sink })
    }

    /// Prints or holds one batch.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut rows = batch.num_rows();
        match &mut self.sink {
            Sink::Table { held, max_rows, reservation } => {
                rows = rows.min(*max_rows - self.shown);
                if rows > 0 {
                    reservation.try_grow(batch.get_array_memory_size())?;
                    held.push(batch.slice(0, rows));
                }
            }
            Sink::Separated(writer) => writer.write(&flat(batch, &self.format)?)?,
            Sink::JsonArray(writer) => writer.write(batch)?,
            Sink::JsonLines(writer) => writer.write(batch)?,
        }
        self.shown += rows;
        Ok(())
    }

    /// Prints what is held and gives the number of rows printed.
    pub fn finish(self) -> Result<usize> {
        match self.sink {
            Sink::Table { mut held, .. } => {
                if held.is_empty() {
                    held.push(RecordBatch::new_empty(self.schema));
                }
                let options: FormatOptions<'_> = (&self.format).try_into()?;
                let table = pretty_format_batches_with_options(&held, &options)?;
                let mut stdout = BufWriter::new(Stdout);
                writeln!(stdout, "{table}")?;
                stdout.flush()?;
            }
            Sink::Separated(writer) => writer.into_inner().flush()?,
            Sink::JsonArray(mut writer) => {
                writer.finish()?;
                let mut stdout = writer.into_inner();
                writeln!(stdout)?;
                stdout.flush()?;
            }
            Sink::JsonLines(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
        }
        Ok(self.shown)
    }
}

/// The header is written at once so that an empty result has one too.
fn separated(delimiter: u8, schema: &SchemaRef) -> Result<Sink> {
    let mut writer = csv::WriterBuilder::new().with_delimiter(delimiter).build(Stdout);
    writer.write(&RecordBatch::new_empty(flat_schema(schema)))?;
    Ok(Sink::Separated(Box::new(writer)))
}

/// Every row names every column, NULL or not.
fn json_builder() -> json::WriterBuilder {
    json::WriterBuilder::new().with_explicit_nulls(true)
}

/// Separated values have no notation for structs and lists: they become text.
fn flat(batch: &RecordBatch, format: &config::FormatOptions) -> Result<RecordBatch> {
    if !batch.schema().fields().iter().any(|f| f.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let options: FormatOptions<'_> = format.try_into()?;
    let columns = batch.columns().iter().map(|column| match column.data_type().is_nested() {
        true => text(column, &options),
        false => Ok(Arc::clone(column)),
    });
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    Ok(RecordBatch::try_new(flat_schema(&batch.schema()), columns)?)
}

fn flat_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type().is_nested() {
        true => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn text(column: &ArrayRef, options: &FormatOptions<'_>) -> Result<ArrayRef, ArrowError> {
    let formatter = ArrayFormatter::try_new(column.as_ref(), options)?;
    let texts = (0..column.len()).map(|row| {
        let value = (!column.is_null(row)).then(|| formatter.value(row).try_to_string());
        value.transpose()
    });
    Ok(Arc::new(texts.collect::<Result<StringArray, _>>()?))
}
