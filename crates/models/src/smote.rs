//! Rows between neighbours.

mod neighbours;

use lookalike_core::{Default, Job, MISSING, Options, ParamKind, ParamSpec, Result, Stream, Values, below, uniform};

use crate::codec::{Reader, Writer, ensure};
use crate::model::{FitReport, Fitted, Model};
use crate::rows::Rows;
use crate::stored::{CONTROL, Stored, require_control};

/// SMOTE for mixed columns (SMOTE-NC): a training row is drawn, one of its nearest neighbours, and a point on the line between
/// them. A category is the most frequent among the neighbours, the row's own among equals, else the first. Missing is what is
/// missing in the row drawn.
///
/// Distances are Euclidean over numbers divided by their standard deviations; another category, or a value beside a
/// missing one, counts as one standard deviation. The source takes the median of the standard deviations of numbers as they are,
/// which is the same once these are equal, and oversamples the rows of one class, where here all rows are one.
///
/// A positive control: every row lies near a training row. The saved state holds the training rows.
pub(crate) struct Smote;

const NAME: &str = "smote";

const NEIGHBOURS: ParamSpec = ParamSpec {
    name: "neighbours",
    kind: ParamKind::Int { min: 1, max: 100 },
    default: Default::Int(5),
    purpose: "Nearest neighbours of a row that new rows lie between.",
};

impl Model for Smote {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Points between a training row and its neighbours: a positive control for attacks, never for release."
    }

    fn source(&self) -> &'static str {
        "Chawla, Bowyer, Hall & Kegelmeyer 2002, SMOTE: Synthetic Minority Over-sampling Technique"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[CONTROL, NEIGHBOURS]
    }

    fn fit(&self, rows: &Rows, options: &Options, _seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        require_control(NAME, "puts every row near a training row", options)?;
        let _memory = rows.encoding(8, 4, job)?;
        job.count("rows_trained", rows.len());
        let report = rows.report();
        let stored = Stored::new(rows, job)?;
        let k = options.int("neighbours").unwrap_or(5) as usize;
        let neighbours = neighbours::nearest(&stored, k, job)?;
        Ok(Box::new(Between { report, stored, neighbours }))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let units = r.u64()?;
        let stored = Stored::load(&mut r)?;
        let neighbours = r.u32s()?;
        r.finish()?;
        ensure(neighbours.len() % stored.rows == 0 && neighbours.iter().all(|n| (*n as usize) < stored.rows))?;
        Ok(Box::new(Between { report: FitReport { rows: stored.rows as u64, units, epochs: 0 }, stored, neighbours }))
    }
}

struct Between {
    report: FitReport,
    stored: Stored,
    /// Nearest rows of each row, equally many; none of a single row.
    neighbours: Vec<u32>,
}

impl Between {
    fn neighbours(&self, row: usize) -> &[u32] {
        let k = self.neighbours.len() / self.stored.rows;
        &self.neighbours[row * k..(row + 1) * k]
    }
}

impl Fitted for Between {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        // The row, the neighbour, and how far towards it.
        let drawn: Vec<(usize, usize, f64)> = (0..rows)
            .map(|_| {
                let row = below(rng, self.stored.rows);
                let near = self.neighbours(row);
                let other = if near.is_empty() { row } else { near[below(rng, near.len())] as usize };
                (row, other, uniform(rng))
            })
            .collect();
        let between = |values: &Values| match values {
            Values::Omitted => Values::Omitted,
            Values::Number(v) => Values::Number(
                drawn
                    .iter()
                    .map(
                        |&(row, other, gap)| {
                            if v[other].is_nan() { v[row] } else { v[row] + gap * (v[other] - v[row]) }
                        },
                    )
                    .collect(),
            ),
            Values::Code(codes) => {
                let code = |&(row, _, _): &(usize, usize, f64)| majority(codes[row], self.neighbours(row), codes);
                Values::Code(drawn.iter().map(code).collect())
            }
        };
        Ok(self.stored.columns.iter().map(between).collect())
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        w.u64(self.report.units);
        self.stored.save(&mut w);
        w.u32s(&self.neighbours);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.report
    }
}

/// The most frequent code of the neighbours: `own` among equals, else the first.
fn majority(own: u32, near: &[u32], codes: &[u32]) -> u32 {
    if own == MISSING {
        return MISSING;
    }
    let times = |code: u32| near.iter().filter(|&&n| codes[n as usize] == code).count();
    near.iter()
        .map(|&n| codes[n as usize])
        .filter(|&c| c != MISSING)
        .max_by_key(|&c| (times(c), c == own, std::cmp::Reverse(c)))
        .unwrap_or(own)
}

#[cfg(test)]
mod tests;
