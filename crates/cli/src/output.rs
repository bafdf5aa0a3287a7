//! Rows on stdout, everything else on stderr.

use std::{
    fmt,
    io::{self, IsTerminal},
    time::Instant,
};

use datafusion::{
    arrow::datatypes::DataType, common::cast::as_uint64_array, error::Result, physical_plan::SendableRecordBatchStream,
    prelude::SessionContext,
};
use datafusion_cli::{print_format::PrintFormat, print_options::MaxRows};
use futures::StreamExt;

use crate::{printer::Printer, progress::ProgressLine};

/// How results are shown.
#[derive(Debug, Clone)]
pub struct Output {
    /// Format of rows; `Automatic` is a table.
    pub format: PrintFormat,
    /// Rows alone, without counts and times.
    pub quiet: bool,
    /// Rows of a table that are shown. The other formats always give all.
    pub max_rows: usize,
    /// The line that has to make room for results.
    pub progress: ProgressLine,
}

/// Rows that a table shows on a terminal unless told otherwise.
const ROWS_ON_A_TERMINAL: usize = 40;

impl Output {
    /// Output to this process's stdout.
    pub fn new(format: PrintFormat, quiet: bool, max_rows: Option<MaxRows>) -> Self {
        let max_rows = match max_rows {
            Some(MaxRows::Limited(rows)) => rows,
            None if io::stdout().is_terminal() => ROWS_ON_A_TERMINAL,
            Some(MaxRows::Unlimited) | None => usize::MAX,
        };
        Self { format, quiet, max_rows, progress: ProgressLine::new(!quiet && io::stderr().is_terminal()) }
    }

    /// Prints the rows of a query. A table is held until its widths are known; the other formats stream.
    pub async fn rows(&self, ctx: &SessionContext, mut rows: SendableRecordBatchStream, start: Instant) -> Result<()> {
        if rows.schema().fields().is_empty() {
            while rows.next().await.transpose()?.is_some() {}
            return Ok(());
        }
        let mut printer = Printer::new(self.format, self.max_rows, ctx, rows.schema())?;
        let mut count = 0;
        while let Some(batch) = rows.next().await.transpose()? {
            self.progress.clear();
            count += batch.num_rows();
            printer.batch(&batch)?;
        }
        self.progress.clear();
        let shown = printer.finish()?;
        if shown < count {
            eprintln!("{shown} of {count} rows shown; --max-rows inf shows all");
        }
        self.note(format_args!("{}", Rows(count as u64)), start);
        Ok(())
    }

    /// Runs a statement that answers with the number of rows it wrote.
    pub async fn written(&self, mut counts: SendableRecordBatchStream, start: Instant) -> Result<()> {
        let mut total = 0;
        while let Some(batch) = counts.next().await.transpose()? {
            let counts = datafusion::arrow::compute::cast(batch.column(0), &DataType::UInt64)?;
            total += as_uint64_array(&counts)?.iter().flatten().sum::<u64>();
        }
        self.progress.clear();
        self.note(format_args!("{} written", Rows(total)), start);
        Ok(())
    }

    fn note(&self, what: fmt::Arguments<'_>, start: Instant) {
        if !self.quiet {
            eprintln!("{what} ({:.3} s)", start.elapsed().as_secs_f64());
        }
    }
}

struct Rows(u64);

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} row{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}
