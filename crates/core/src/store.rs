//! Encoded rows column by column, in memory or on disk: every column is read whole, as often as it is needed.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use rayon::prelude::*;

use crate::builder::identify;
use crate::spill::write_items;
use crate::{
    Column, Domain, EncodeSpec, Frame, Job, MISSING, NumberDomain, NumberKind, Result, RowHashes, ScratchFile,
    SpilledRows, Units, Values,
};

/// How the values of a column lie in a file.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Codes as 4 bytes.
    Codes,
    /// Whole numbers as 4 bytes, counted from the smallest; [`MISSING`] for NaN.
    Offsets { min: f64 },
    /// Numbers as 8 bytes.
    Numbers,
    /// Nothing.
    Omitted,
}

impl Form {
    fn of(column: &Column) -> Self {
        match (&column.values, &column.domain) {
            (Values::Omitted, _) => Form::Omitted,
            (Values::Code(_), _) => Form::Codes,
            (
                Values::Number(_),
                Domain::Number(domain @ NumberDomain { kind: NumberKind::Integer { .. }, min, .. }),
            ) if domain.width() < f64::from(MISSING) => Form::Offsets { min: if min.is_nan() { 0.0 } else { *min } },
            (Values::Number(_), _) => Form::Numbers,
        }
    }

    fn width(self) -> usize {
        match self {
            Form::Codes | Form::Offsets { .. } => 4,
            Form::Numbers => 8,
            Form::Omitted => 0,
        }
    }

    fn write(self, values: &Values, file: &mut impl Write) -> std::io::Result<()> {
        match (values, self) {
            (Values::Code(codes), _) => write_items(file, codes, |c| c.to_le_bytes()),
            (Values::Number(values), Form::Offsets { min }) => {
                let offset = |v: &f64| if v.is_nan() { MISSING } else { (v - min) as u32 };
                write_items(file, values, |v| offset(v).to_le_bytes())
            }
            (Values::Number(values), _) => write_items(file, values, |v| v.to_le_bytes()),
            (Values::Omitted, _) => Ok(()),
        }
    }

    fn read(self, bytes: &[u8]) -> Values {
        let words = || bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b));
        match self {
            Form::Codes => Values::Code(words().collect()),
            Form::Offsets { min } => {
                Values::Number(words().map(|w| if w == MISSING { f64::NAN } else { min + f64::from(w) }).collect())
            }
            Form::Numbers => Values::Number(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
            Form::Omitted => Values::Omitted,
        }
    }
}

/// One column of encoded rows, in memory or on disk.
#[derive(Debug)]
pub struct StoredColumn {
    /// Without values where these are on disk.
    column: Column,
    place: Option<Place>,
}

/// Where the values are on disk.
#[derive(Debug, Clone)]
struct Place {
    file: Arc<ScratchFile>,
    start: u64,
    rows: usize,
    form: Form,
}

impl Place {
    fn load(&self, rows: usize) -> Result<Values> {
        let mut bytes = vec![0; self.form.width() * rows.min(self.rows)];
        self.file.reader()?.read(self.start, &mut bytes)?;
        Ok(self.form.read(&bytes))
    }
}

impl StoredColumn {
    /// Field and domain; not for its values.
    pub fn header(&self) -> &Column {
        &self.column
    }

    /// The column with its values.
    pub fn read(&self) -> Result<Cow<'_, Column>> {
        self.head(usize::MAX)
    }

    /// The column with its first `rows` values at least.
    pub fn head(&self, rows: usize) -> Result<Cow<'_, Column>> {
        Ok(match &self.place {
            None => Cow::Borrowed(&self.column),
            Some(place) => Cow::Owned(Column { values: place.load(rows)?, ..self.column.without_values() }),
        })
    }

    /// Drops the labels of categories, where another column knows them.
    pub(crate) fn forget_labels(&mut self) {
        if let Domain::Category(domain) = &mut self.column.domain {
            *domain = Arc::default();
        }
    }

    /// The column with its values, for good.
    pub fn into_column(self) -> Result<Column> {
        Ok(match self.place {
            None => self.column,
            Some(place) => Column { values: place.load(usize::MAX)?, ..self.column },
        })
    }
}

impl From<Column> for StoredColumn {
    fn from(column: Column) -> Self {
        Self { column, place: None }
    }
}

/// Where columns are kept; any number of threads may do so at once.
#[derive(Debug)]
pub struct Keeper {
    file: Option<Arc<ScratchFile>>,
}

impl Keeper {
    /// Keeps columns in memory, which the caller reserves.
    pub fn in_memory() -> Self {
        Self { file: None }
    }

    /// Keeps columns in a temporary file that vanishes with the last of them.
    pub fn on_disk(job: &Job) -> Result<Self> {
        Ok(Self { file: Some(Arc::new(ScratchFile::new("encoded rows", job)?)) })
    }

    /// Whether columns go to disk.
    pub fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// Keeps a column. Fails with a resources error when the disk does not take it.
    pub fn keep(&self, column: Column) -> Result<StoredColumn> {
        match &self.file {
            None => Ok(column.into()),
            Some(_) => self.write(&column),
        }
    }

    /// As [`Keeper::keep`], of a column that is needed elsewhere too.
    pub(crate) fn write(&self, column: &Column) -> Result<StoredColumn> {
        let Some(file) = &self.file else { return Ok(column.clone().into()) };
        let form = Form::of(column);
        let start = file.append(|file| form.write(&column.values, file))?;
        let place = Place { file: Arc::clone(file), start, rows: column.values.len(), form };
        Ok(StoredColumn { column: column.without_values(), place: Some(place) })
    }
}

/// Encoded rows of one relation whose columns are read one at a time. The persons of the rows are in memory.
#[derive(Debug)]
pub struct ColumnStore {
    rows: usize,
    headers: Vec<Column>,
    columns: Vec<StoredColumn>,
    units: Option<Units>,
}

impl From<Frame> for ColumnStore {
    fn from(frame: Frame) -> Self {
        let rows = frame.rows();
        let (columns, units) = frame.into_parts();
        Self::new(rows, columns.into_iter().map(StoredColumn::from).collect(), units)
    }
}

impl ColumnStore {
    /// A store of `rows` rows.
    pub fn new(rows: usize, columns: Vec<StoredColumn>, units: Option<Units>) -> Self {
        Self { rows, headers: columns.iter().map(|c| c.column.without_values()).collect(), columns, units }
    }

    /// The rows of a frame in this order, each column dropped from memory once `keeper` has it.
    pub fn gathered(frame: Frame, order: &[u32], keeper: &Keeper) -> Result<Self> {
        let (columns, units) = frame.into_parts();
        let gather = |column: Column| keeper.keep(Column { values: column.values.gather(order), ..column });
        let columns = columns.into_iter().map(gather).collect::<Result<_>>()?;
        let units = units.map(|u| Units { codes: order.iter().map(|&r| u.codes[r as usize]).collect(), ..u });
        Ok(Self::new(order.len(), columns, units))
    }

    /// Rows that were encoded piece by piece ([`crate::FrameBuilder::plain`]) as `spec` has it of the whole: in canonical order
    /// ([`Frame::canonical_order`]), kept by `keeper`. The same as of rows encoded in memory.
    ///
    /// # Errors
    /// Those of [`crate::encode`]; those of the disk.
    pub fn sorted(rows: SpilledRows, spec: &EncodeSpec, keeper: &Keeper, job: &Job) -> Result<Self> {
        let (count, width) = (rows.lengths().sum(), rows.columns().len() - usize::from(spec.unit.is_some()));
        let units = rows.units(spec)?;
        let mut hashes = RowHashes::new(count);
        // By column, what stands in for it where it is an identifier.
        let mut identifiers = vec![];
        for c in 0..width {
            job.check()?;
            let column = rows.whole(c)?;
            let known = spec.identifiers.iter().any(|name| name == column.name());
            identifiers.push(identify(&column, known, spec.detect_identifiers)?);
            if identifiers[c].is_none() {
                hashes.add(&column.values);
            }
        }
        let shown: Vec<usize> = (0..width).filter(|&c| identifiers[c].is_none()).collect();
        let order = canonical_order(hashes.finish(), units.as_ref(), &shown, &rows, job)?;
        let columns = identifiers.into_iter().enumerate().map(|(c, identifier)| {
            job.check()?;
            let Some(identifier) = identifier else {
                let column = rows.whole(c)?;
                return keeper.keep(Column { values: column.values.gather(&order), ..column });
            };
            Ok(identifier.into())
        });
        let columns = columns.collect::<Result<_>>()?;
        let units = units.map(|u| Units { codes: order.iter().map(|&r| u.codes[r as usize]).collect(), ..u });
        Ok(Self::new(count, columns, units))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Fields and domains in the input's order, without values.
    pub fn headers(&self) -> &[Column] {
        &self.headers
    }

    /// The person of each row; `None` when the unit is the row.
    pub fn units(&self) -> Option<&Units> {
        self.units.as_ref()
    }

    /// Number of units of privacy: persons, or rows without a `privacy_unit`.
    pub fn unit_count(&self) -> usize {
        self.units.as_ref().map_or(self.rows, |u| u.count as usize)
    }

    /// A column with its values.
    pub fn column(&self, column: usize) -> Result<Cow<'_, Column>> {
        self.columns[column].read()
    }

    /// A column with its first `rows` values at least.
    pub fn head(&self, column: usize, rows: usize) -> Result<Cow<'_, Column>> {
        self.columns[column].head(rows)
    }

    /// Whether any column is on disk.
    pub fn is_on_disk(&self) -> bool {
        self.columns.iter().any(|c| c.place.is_some())
    }

    /// Bytes in memory.
    pub fn memory(&self) -> usize {
        self.columns.iter().map(|c| c.column.values.memory()).sum::<usize>()
            + self.units.as_ref().map_or(0, |u| u.codes.capacity() * 4)
    }

    /// Bytes of the largest column in memory.
    pub fn widest(&self) -> usize {
        let width = |column: &Column| match column.domain {
            Domain::Number(_) => 8,
            Domain::Category(_) => 4,
            Domain::Identifier(_) => 0,
        };
        self.headers.iter().map(width).max().unwrap_or(0) * self.rows
    }

    /// The first rows as a frame. The number of persons stays what it was; see [`Frame::gather_persons`].
    pub fn first(&self, rows: usize) -> Result<Frame> {
        let all: Vec<u32> = (0..self.rows.min(rows) as u32).collect();
        let columns = self.columns.iter().map(|column| {
            let column = column.head(all.len())?;
            Ok(Column { values: column.values.gather(&all), ..column.without_values() })
        });
        let units = self.units.as_ref().map(|u| Units { codes: u.codes[..all.len()].to_vec(), count: u.count });
        Ok(Frame::new(all.len(), columns.collect::<Result<_>>()?, units))
    }

    /// The columns and the persons.
    pub fn into_parts(self) -> (Vec<StoredColumn>, Option<Units>) {
        (self.columns, self.units)
    }

    /// Moves what is in memory to where `keeper` keeps it.
    pub fn moved(self, keeper: &Keeper) -> Result<Self> {
        let columns = self.columns.into_iter().map(|c| if c.place.is_some() { Ok(c) } else { keeper.keep(c.column) });
        Ok(Self::new(self.rows, columns.collect::<Result<_>>()?, self.units))
    }
}

/// The order of [`Frame::canonical_order`] by the hashes of rows and, where these are equal, by the values of `columns`.
fn canonical_order(
    hashes: Vec<u64>,
    units: Option<&Units>,
    columns: &[usize],
    rows: &SpilledRows,
    job: &Job,
) -> Result<Vec<u32>> {
    let person = |row: u32| units.map_or(0, |u| u.codes[row as usize]);
    let mut order: Vec<(u64, u32)> = hashes.into_iter().zip(0..).collect();
    order.par_sort_unstable_by_key(|&(hash, row)| (hash, person(row), row));
    let is_tied =
        |i: usize| i > 0 && order[i - 1].0 == order[i].0 || order.get(i + 1).is_some_and(|o| o.0 == order[i].0);
    // Rows of one hash are equal but for collisions, which a second hash tells.
    let tied: Vec<(u64, u32)> = (0..order.len()).filter(|&i| is_tied(i)).map(|i| order[i]).collect();
    if tied.is_empty() {
        return Ok(order.into_iter().map(|(_, row)| row).collect());
    }
    let tied_rows: Vec<u32> = tied.iter().map(|t| t.1).collect();
    let mut second = RowHashes::new(tied.len());
    for &c in columns.iter().rev() {
        job.check()?;
        second.add(&rows.whole(c)?.values.gather(&tied_rows));
    }
    let second = second.finish();
    let differ = |i: &usize| tied[i - 1].0 == tied[*i].0 && second[i - 1] != second[*i];
    let collided: Vec<u64> = (1..tied.len()).filter(differ).map(|i| tied[i].0).collect();
    let has_collided = |o: &(u64, u32)| collided.binary_search(&o.0).is_ok();
    let found: Vec<u32> = tied.iter().filter(|t| has_collided(t)).map(|t| t.1).collect();
    if !found.is_empty() {
        let read = |&c: &usize| rows.whole(c).map(|column| Column { values: column.values.gather(&found), ..column });
        let persons = units.map(|u| Units { codes: found.iter().map(|&r| person(r)).collect(), count: u.count });
        let frame = Frame::new(found.len(), columns.iter().map(read).collect::<Result<_>>()?, persons);
        let sorted = frame.canonical_order().into_iter().map(|i| found[i as usize]);
        order.iter_mut().filter(|o| has_collided(o)).zip(sorted).for_each(|(place, row)| place.1 = row);
    }
    Ok(order.into_iter().map(|(_, row)| row).collect())
}

#[cfg(test)]
mod tests;
