//! Encoded rows on disk: frames written away while rows still arrive, and read back in one encoding.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::builder::{gcd, persons};
use crate::{
    CategoryDomain, Column, Domain, EncodeSpec, Error, Frame, Job, Keeper, MISSING, NumberDomain, NumberKind, Result,
    StoredColumn, Units, Values,
};

/// A temporary file that vanishes with its last handle.
pub struct Scratch {
    path: PathBuf,
    _guard: Box<dyn std::any::Any + Send + Sync>,
}

impl Scratch {
    /// The file at `path`, which exists as long as `guard` does.
    pub fn new(path: PathBuf, guard: Box<dyn std::any::Any + Send + Sync>) -> Self {
        Self { path, _guard: guard }
    }

    /// A file in the system's folder for temporary files.
    pub fn temporary() -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("lookalike-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        File::create_new(&path).map_err(|e| Error::resources(format!("creating {}: {e}", path.display())))?;
        Ok(Self { path: path.clone(), _guard: Box::new(Removed(path)) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it to be written from the start.
    pub fn create(&self) -> Result<File> {
        File::create(&self.path).map_err(|e| self.failed("writing", &e))
    }

    /// Opens it to be read.
    pub fn open(&self) -> Result<File> {
        File::open(&self.path).map_err(|e| self.failed("reading", &e))
    }

    /// The error of an operation on it, with the way out.
    pub fn failed(&self, doing: &str, error: &std::io::Error) -> Error {
        Error::resources(format!("{doing} the temporary file {}: {error}", self.path.display()))
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scratch({})", self.path.display())
    }
}

/// Removes a file when dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Nothing can be done about a file that somebody else has removed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A temporary file that pieces are appended to and read from, by any number of threads.
#[derive(Debug)]
pub struct ScratchFile {
    scratch: Scratch,
    /// The file and where it ends.
    end: Mutex<(File, u64)>,
    job: Job,
}

impl ScratchFile {
    /// An empty file; `purpose` says what it is for, should there be none.
    pub fn new(purpose: &str, job: &Job) -> Result<Self> {
        let scratch = job.scratch(purpose)?;
        let end = Mutex::new((scratch.create()?, 0));
        Ok(Self { scratch, end, job: job.clone() })
    }

    /// Appends what `write` writes; where it begins. Fails with a resources error when the disk does not take it.
    pub fn append(&self, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<u64> {
        // A thread that panicked while it wrote leaves nothing that anybody reads.
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let start = end.1;
        let length = write(&mut end.0).and_then(|()| end.0.stream_position());
        end.1 = length.map_err(|e| self.scratch.failed("writing", &e))?;
        self.job.count("spilled_bytes", (end.1 - start) as usize);
        Ok(start)
    }

    /// Opens it for reading.
    pub fn reader(&self) -> Result<ScratchReader<'_>> {
        Ok(ScratchReader { file: self.scratch.open()?, scratch: &self.scratch })
    }
}

/// A [`ScratchFile`] open for reading.
#[derive(Debug)]
pub struct ScratchReader<'a> {
    file: File,
    scratch: &'a Scratch,
}

impl ScratchReader<'_> {
    /// Fills `bytes` from `start` on.
    pub fn read(&mut self, start: u64, bytes: &mut [u8]) -> Result<()> {
        let read = self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.read_exact(bytes));
        read.map_err(|e| self.scratch.failed("reading", &e))
    }
}

/// Writes the bytes of every item.
pub fn write_items<X, const N: usize>(
    file: &mut impl Write,
    items: &[X],
    bytes: impl Fn(&X) -> [u8; N],
) -> std::io::Result<()> {
    /// Items written at once.
    const PORTION: usize = 1 << 16;
    let mut buffer = Vec::with_capacity(items.len().min(PORTION) * N);
    for items in items.chunks(PORTION) {
        buffer.clear();
        items.iter().for_each(|item| buffer.extend_from_slice(&bytes(item)));
        file.write_all(&buffer)?;
    }
    Ok(())
}

/// A frame on disk; the domains of its columns stay in memory.
#[derive(Debug)]
pub struct SpilledFrame {
    rows: usize,
    columns: Vec<StoredColumn>,
}

impl SpilledFrame {
    /// Writes a frame without units. Fails with a resources error when the disk does not take it.
    pub fn write(frame: &Frame, job: &Job) -> Result<Self> {
        if frame.units().is_some() {
            return Err(Error::internal("frames with units are not written to disk"));
        }
        let keeper = Keeper::on_disk(job)?;
        let columns = frame.columns().iter().map(|column| keeper.write(column)).collect::<Result<_>>()?;
        Ok(Self { rows: frame.rows(), columns })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn load(&self, column: usize) -> Result<Values> {
        Ok(self.columns[column].read()?.into_owned().values)
    }
}

/// From the values of one frame to those of all.
#[derive(Debug, Clone)]
enum Recode {
    Same,
    Codes(Vec<u32>),
    Linear { factor: f64, offset: f64 },
}

/// Frames of one relation or of several, encoded one by one, read back as if they had been encoded together.
#[derive(Debug)]
pub struct SpilledRows {
    frames: Vec<SpilledFrame>,
    columns: Vec<Column>,
    /// A list a frame, one entry a column.
    recodes: Vec<Vec<Recode>>,
}

impl SpilledRows {
    /// Of frames with the same columns; one that ends earlier lacks the others.
    pub fn new(mut frames: Vec<SpilledFrame>) -> Result<Self> {
        let Some(first) = frames.first() else { return Err(Error::internal("no frame was written to disk")) };
        let mut columns = Vec::with_capacity(first.columns.len());
        let mut recodes: Vec<Vec<Recode>> = vec![vec![]; frames.len()];
        for (c, column) in first.columns.iter().map(StoredColumn::header).enumerate() {
            let domains: Vec<&Domain> =
                frames.iter().filter_map(|f| f.columns.get(c)).map(|c| &c.header().domain).collect();
            let (domain, recode) = merge(&domains)
                .ok_or_else(|| Error::internal(format!("column '{}' has domains of different kinds", column.name())))?;
            let holders = (0..frames.len()).filter(|&f| c < frames[f].columns.len());
            holders.zip(recode).for_each(|(frame, recode)| recodes[frame].push(recode));
            columns.push(Column { domain, ..column.without_values() });
        }
        // The labels of each are known by those of all.
        frames.iter_mut().flat_map(|f| &mut f.columns).for_each(StoredColumn::forget_labels);
        Ok(Self { frames, columns, recodes })
    }

    /// The columns with the domains of all frames, without values.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The persons that rows encoded in pieces ([`crate::FrameBuilder::plain`]) belong to, where `spec` says what names them.
    ///
    /// # Errors
    /// Those of [`crate::encode`].
    pub fn units(&self, spec: &EncodeSpec) -> Result<Option<Units>> {
        spec.unit.as_ref().map(|_| persons(&self.whole(self.columns.len() - 1)?, spec.unit_names())).transpose()
    }

    /// Rows of each frame.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.frames.iter().map(SpilledFrame::rows)
    }

    /// Reads one column of a frame.
    pub fn load(&self, frame: usize, column: usize) -> Result<Column> {
        let values = match (self.frames[frame].load(column)?, &self.recodes[frame][column]) {
            (Values::Code(mut codes), Recode::Codes(of)) => {
                codes.iter_mut().filter(|c| **c != MISSING).for_each(|c| *c = of[*c as usize]);
                Values::Code(codes)
            }
            (Values::Number(mut values), Recode::Linear { factor, offset }) => {
                values.iter_mut().for_each(|v| *v = *v * factor + offset);
                Values::Number(values)
            }
            (values, _) => values,
        };
        Ok(Column { values, ..self.columns[column].without_values() })
    }

    /// Reads one column of all frames.
    pub fn whole(&self, column: usize) -> Result<Column> {
        let mut values = self.columns[column].values.clone();
        for frame in 0..self.frames.len() {
            match (&mut values, self.load(frame, column)?.values) {
                (Values::Number(all), Values::Number(part)) => all.extend(part),
                (Values::Code(all), Values::Code(part)) => all.extend(part),
                (all, part) => *all = part,
            }
        }
        Ok(Column { values, ..self.columns[column].without_values() })
    }

    /// The distinct numbers of a column, ascending; none for other columns.
    pub fn numbers(&self, column: usize) -> Result<Vec<f64>> {
        let mut all: Vec<f64> = vec![];
        for frame in 0..self.frames.len() {
            let Values::Number(values) = self.load(frame, column)?.values else { return Ok(vec![]) };
            all.extend(values.into_iter().filter(|v| !v.is_nan()));
            all.sort_unstable_by(f64::total_cmp);
            all.dedup();
        }
        Ok(all)
    }

    /// A column that holds each of its values once.
    pub fn distinct(&self, column: usize) -> Result<Column> {
        let values = match &self.columns[column].domain {
            Domain::Category(domain) => Values::Code((0..domain.labels.len() as u32).collect()),
            _ => Values::Number(self.numbers(column)?),
        };
        Ok(Column { values, ..self.columns[column].without_values() })
    }
}

/// The domain of the union, and the way to it from each.
fn merge(domains: &[&Domain]) -> Option<(Domain, Vec<Recode>)> {
    match domains.first()? {
        Domain::Category(_) => {
            let all: Option<Vec<&CategoryDomain>> = domains
                .iter()
                .map(|d| if let Domain::Category(domain) = d { Some(domain.as_ref()) } else { None })
                .collect();
            let all = all?;
            let mut labels: Vec<&String> = all.iter().flat_map(|d| &d.labels).collect();
            labels.par_sort_unstable();
            labels.dedup();
            let code = |label: &String| labels.binary_search(&label).map_or(MISSING, |code| code as u32);
            let recodes = all.iter().map(|d| Recode::Codes(d.labels.iter().map(code).collect())).collect();
            let labels = labels.into_iter().cloned().collect();
            Some((Domain::Category(Arc::new(CategoryDomain { labels })), recodes))
        }
        Domain::Number(_) => {
            let all: Option<Vec<NumberDomain>> =
                domains.iter().map(|d| if let Domain::Number(domain) = d { Some(*domain) } else { None }).collect();
            let (domain, recodes) = merge_numbers(&all?);
            Some((Domain::Number(domain), recodes))
        }
        Domain::Identifier(_) => None,
    }
}

fn merge_numbers(all: &[NumberDomain]) -> (NumberDomain, Vec<Recode>) {
    let integers = all.iter().all(|d| matches!(d.kind, NumberKind::Integer { .. }));
    let parts = |d: &NumberDomain| match d.kind {
        NumberKind::Integer { base, step } => (base, step),
        NumberKind::Float { .. } => (0, 1),
    };
    let kind = if integers {
        let filled = || all.iter().filter(|d| !d.min.is_nan());
        let base = filled().map(|d| parts(d).0).min().unwrap_or(0);
        let step = filled().fold(0, |g, d| {
            let (own_base, own_step) = parts(d);
            // A single value that is the base says nothing about the distance of neighbours.
            let own_step = if d.max == 0.0 && own_base != 0 { 0 } else { own_step.unsigned_abs() };
            gcd(gcd(g, own_step), own_base.abs_diff(base))
        });
        NumberKind::Integer { base, step: i64::try_from(step.max(1)).unwrap_or(1) }
    } else {
        let decimals = |d: &NumberDomain| match d.kind {
            NumberKind::Float { decimals, .. } => decimals,
            NumberKind::Integer { .. } => Some(0),
        };
        let bits = |d: &NumberDomain| if let NumberKind::Float { bits, .. } = d.kind { Some(bits) } else { None };
        let filled = all.iter().filter(|d| !d.min.is_nan());
        let decimals = filled.map(decimals).try_fold(0, |most, d| d.map(|d| most.max(d)));
        NumberKind::Float { decimals, bits: all.iter().find_map(bits).unwrap_or(64) }
    };
    let (base, step) = match kind {
        NumberKind::Integer { base, step } => (base, step),
        NumberKind::Float { .. } => (0, 1),
    };
    let recode = |d: &NumberDomain| {
        let (own_base, own_step) = parts(d);
        if matches!(d.kind, NumberKind::Float { .. }) || (own_base, own_step) == (base, step) {
            return Recode::Same;
        }
        let offset = i128::from(own_base) - i128::from(base);
        Recode::Linear { factor: own_step as f64 / step as f64, offset: (offset / i128::from(step)) as f64 }
    };
    let recodes: Vec<Recode> = all.iter().map(recode).collect();
    let ends = |pick: fn(&NumberDomain) -> f64| {
        let moved = all.iter().zip(&recodes).map(move |(d, recode)| match recode {
            Recode::Linear { factor, offset } => pick(d) * factor + offset,
            _ => pick(d),
        });
        moved.filter(|v| !v.is_nan())
    };
    let min = ends(|d| d.min).reduce(f64::min).unwrap_or(f64::NAN);
    let max = ends(|d| d.max).reduce(f64::max).unwrap_or(f64::NAN);
    (NumberDomain { kind, min, max }, recodes)
}

#[cfg(test)]
mod tests;
