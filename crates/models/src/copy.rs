//! Training rows as they are: what every attack has to see.

use lookalike_core::{Job, Options, ParamSpec, Result, Stream, Values, below};

use crate::codec::{Reader, Writer};
use crate::model::{FitReport, Fitted, Model};
use crate::rows::Rows;
use crate::stored::{CONTROL, Stored, require_control};

/// Rows drawn from the training rows, with replacement: the positive control of attacks. Only what stands around every model is
/// still done: rare categories are replaced and extremes blunted.
///
/// The saved state holds the training rows.
pub(crate) struct Copy;

const NAME: &str = "copy";

impl Model for Copy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Training rows verbatim: a positive control for attacks, never for release."
    }

    fn source(&self) -> &'static str {
        "none (the bootstrap)"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[CONTROL]
    }

    fn fit(&self, rows: &Rows, options: &Options, _seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        require_control(NAME, "repeats training rows", options)?;
        let _memory = rows.encoding(8, 4, job)?;
        job.count("rows_trained", rows.len());
        let report = rows.report();
        Ok(Box::new(Copies { report, stored: Stored::new(rows, job)? }))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let units = r.u64()?;
        let stored = Stored::load(&mut r)?;
        r.finish()?;
        Ok(Box::new(Copies { report: FitReport { rows: stored.rows as u64, units, epochs: 0 }, stored }))
    }
}

struct Copies {
    report: FitReport,
    stored: Stored,
}

impl Fitted for Copies {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let drawn: Vec<u32> = (0..rows).map(|_| below(rng, self.stored.rows) as u32).collect();
        Ok(self.stored.columns.iter().map(|values| values.gather(&drawn)).collect())
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        w.u64(self.report.units);
        self.stored.save(&mut w);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.report
    }
}
