//! Records as square images, a number in -1..1 a column, and the way back.

use std::ops::Range;

use lookalike_core::{Column, Domain, Job, MISSING, Result, Values};

use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::encoded::{Compact, EncodedRows, Track};
use crate::rows::Rows;

/// What the columns are in the image, cell by cell from the top left; cells beyond the last column are 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells {
    columns: Vec<Cell>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Omitted,
    /// From the smallest value at -1 to the largest at 1. With missing values a second cell: 1 for missing, -1 for present.
    Number {
        min: f64,
        max: f64,
        missing: bool,
    },
    /// No value at all: no cell.
    Empty,
    /// From the first code at -1 to the last at 1; missing is one more code behind.
    Category {
        codes: u32,
        missing: bool,
    },
}

impl Cell {
    /// What the cells hold, row by row.
    fn encode(&self, values: &Values) -> Vec<Track> {
        match (*self, values) {
            (Cell::Number { min, max, missing }, Values::Number(values)) => {
                let scale = |v: &f64| match v.is_nan() || max <= min {
                    true => 0.0,
                    false => ((v - min) / (max - min) * 2.0 - 1.0) as f32,
                };
                let gaps = || values.iter().map(|v| if v.is_nan() { 1.0 } else { -1.0 }).collect();
                let scaled = Track::Scalar(values.iter().map(scale).collect());
                std::iter::once(scaled).chain(missing.then(|| Track::Scalar(gaps()))).collect()
            }
            (Cell::Category { codes, missing }, Values::Code(values)) => {
                let last = (codes + u32::from(missing)).saturating_sub(1).max(1);
                let scale = |v: &u32| (f64::from((*v).min(codes)) / f64::from(last) * 2.0 - 1.0) as f32;
                vec![Track::Scalar(values.iter().map(scale).collect())]
            }
            _ => vec![],
        }
    }
}

/// Rows `rows` of encoded ones as images of `area` cells each, one after the other into `out`.
pub(super) fn images(encoded: &Compact, rows: Range<usize>, area: usize, out: &mut [f32]) {
    for (cell, track) in encoded.tracks.iter().enumerate() {
        let images = out.chunks_exact_mut(area.max(1));
        images.zip(&track.scalars()[rows.clone()]).for_each(|(image, value)| image[cell] = *value);
    }
}

impl Cells {
    /// Of the columns of all rows.
    pub fn fit(rows: &Rows, job: &Job) -> Result<Self> {
        let cell = |column: &Column| match (&column.values, &column.domain) {
            (Values::Number(values), _) => {
                let present = || values.iter().copied().filter(|v| !v.is_nan());
                let (min, max) = (present().fold(f64::INFINITY, f64::min), present().fold(f64::NEG_INFINITY, f64::max));
                let missing = values.iter().any(|v| v.is_nan());
                if min > max { Cell::Empty } else { Cell::Number { min, max, missing } }
            }
            (Values::Code(codes), Domain::Category(domain)) => {
                Cell::Category { codes: domain.labels.len() as u32, missing: codes.contains(&MISSING) }
            }
            _ => Cell::Omitted,
        };
        Ok(Self { columns: rows.map(job, |_, column| Ok(cell(column)))? })
    }

    /// Cells in use.
    pub fn len(&self) -> usize {
        self.columns.iter().map(Cell::len).sum()
    }

    /// The first cell of a column, if it has one.
    pub fn place(&self, column: usize) -> Option<usize> {
        (self.columns[column].len() > 0).then(|| self.columns[..column].iter().map(Cell::len).sum())
    }

    /// The rows, a track of scalars each cell.
    pub fn encode(&self, rows: &Rows, job: &Job) -> Result<EncodedRows> {
        let encode = |c: usize| Ok(self.columns[c].encode(&rows.column(c)?.values));
        EncodedRows::of(rows.len(), self.columns.len(), 4 * self.len(), rows.is_on_disk(), job, encode)
    }

    /// The values of images: the nearest code, and numbers off their grid.
    pub fn decode(&self, images: &[f32], rows: usize, area: usize) -> Vec<Values> {
        let mut at = 0;
        let mut decode = |cell: &Cell| {
            let share = |place: usize| {
                let images = images.chunks_exact(area.max(1)).take(rows);
                images.map(move |image| ((f64::from(image[place]) + 1.0) / 2.0).clamp(0.0, 1.0))
            };
            let values = match *cell {
                Cell::Omitted => Values::Omitted,
                Cell::Empty => Values::Number(vec![f64::NAN; rows]),
                Cell::Number { min, max, missing } => {
                    let mut values: Vec<f64> = share(at).map(|s| min + s * (max - min)).collect();
                    if missing {
                        values.iter_mut().zip(share(at + 1)).filter(|(_, s)| *s > 0.5).for_each(|(v, _)| *v = f64::NAN);
                    }
                    Values::Number(values)
                }
                Cell::Category { codes, missing } => {
                    let last = (codes + u32::from(missing)).saturating_sub(1);
                    let code = |share: f64| Some((share * f64::from(last)).round() as u32).filter(|c| *c < codes);
                    Values::Code(share(at).map(|s| code(s).unwrap_or(MISSING)).collect())
                }
            };
            at += cell.len();
            values
        };
        self.columns.iter().map(&mut decode).collect()
    }

    pub fn save(&self, w: &mut Writer) {
        w.list(&self.columns, |w, cell| match *cell {
            Cell::Omitted => w.u32(0),
            Cell::Empty => w.u32(1),
            Cell::Number { min, max, missing } => {
                w.u32(2 + u32::from(missing));
                w.f64(min);
                w.f64(max);
            }
            Cell::Category { codes, missing } => {
                w.u32(4 + u32::from(missing));
                w.u32(codes);
            }
        });
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let columns = r.list(4, |r| {
            Ok(match r.u32()? {
                0 => Cell::Omitted,
                1 => Cell::Empty,
                kind @ 2..=3 => {
                    let (min, max) = (r.f64()?, r.f64()?);
                    ensure(min.is_finite() && max.is_finite() && min <= max)?;
                    Cell::Number { min, max, missing: kind == 3 }
                }
                kind @ 4..=5 => {
                    let codes = r.u32()?;
                    ensure(codes < MISSING)?;
                    Cell::Category { codes, missing: kind == 5 }
                }
                _ => return Err(inconsistent()),
            })
        })?;
        Ok(Self { columns })
    }
}

impl Cell {
    fn len(&self) -> usize {
        match self {
            Cell::Omitted | Cell::Empty => 0,
            Cell::Number { missing, .. } => 1 + usize::from(*missing),
            Cell::Category { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, RecordBatch, StringArray};
    use lookalike_core::{EncodeSpec, FrameBuilder, Job, encode};

    use super::*;

    #[test]
    fn records_come_back_from_their_images() {
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(Float64Array::from(vec![Some(2.0), None, Some(6.0), Some(3.0)])) as _),
            ("s", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None, Some("c")])) as _),
            ("k", Arc::new(Float64Array::from(vec![7.0; 4])) as _),
        ]);
        let batch = batch.unwrap();
        let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
        builder.push(&batch).unwrap();
        let frame = encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0);
        let (rows, job) = (Rows::new(frame.clone(), 1), Job::unbounded());
        let cells = Cells::fit(&rows, &job).unwrap();
        assert_eq!((cells.len(), cells.place(1), cells.place(2)), (4, Some(2), Some(3)));
        let mut images = vec![0.0; 20];
        super::images(&cells.encode(&rows, &job).unwrap().range(0..4).unwrap(), 0..4, 5, &mut images);
        // By hand: 2 to 6 is -1 to 1; codes 0, 1, 2 and missing at -1, -1/3, 1/3, 1; a constant is 0, and so is what lies beyond.
        let third = 1.0 / 3.0;
        #[rustfmt::skip]
        let expected = [
            -1.0, -1.0, -1.0, 0.0, 0.0,
            0.0, 1.0, -third, 0.0, 0.0,
            1.0, -1.0, 1.0, 0.0, 0.0,
            -0.5, -1.0, third, 0.0, 0.0,
        ];
        assert!(images.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6), "{images:?}");
        let back = cells.decode(&images, 4, 5);
        for (values, column) in back.iter().zip(frame.columns()) {
            assert_eq!(format!("{values:?}"), format!("{:?}", column.values));
        }
    }
}
