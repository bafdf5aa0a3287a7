//! What a network's file tells of its training.

use lookalike_core::Result;

use super::simd_level;
use crate::codec::{Reader, Writer};
use crate::model::{Epoch, FitReport};
use crate::rows::Rows;

/// How a network came to be.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub report: FitReport,
    pub epochs: Vec<Epoch>,
    /// Vector instructions of the training, see [`simd_level`].
    level: String,
}

impl History {
    /// Before the first epoch on these rows, on this machine.
    pub fn of(rows: &Rows) -> Self {
        let report = rows.report();
        Self { report, epochs: vec![], level: simd_level().unwrap_or_default().into() }
    }

    /// Training rows.
    pub fn rows(&self) -> usize {
        self.report.rows as usize
    }

    /// Adds epochs.
    pub fn extend(&mut self, epochs: Vec<Epoch>) {
        self.epochs.extend(epochs);
        self.report.epochs = self.epochs.len() as u32;
    }

    /// Writes what [`History::load`] reads: losses, not times, so that equal trainings are equal bytes.
    pub fn save(&self, w: &mut Writer) {
        w.u64(self.report.rows);
        w.u64(self.report.units);
        w.u32(self.report.epochs);
        w.text(&self.level);
        w.list(&self.epochs, |w, e| {
            w.f64(e.loss);
            w.f64(e.held_out);
        });
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let report = FitReport { rows: r.u64()?, units: r.u64()?, epochs: r.u32()? };
        let level = r.text()?;
        let epochs = r.list(16, |r| Ok(Epoch { loss: r.f64()?, held_out: r.f64()?, seconds: f64::NAN }))?;
        Ok(Self { report, epochs, level })
    }
}
