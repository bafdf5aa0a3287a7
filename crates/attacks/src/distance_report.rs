//! The family of figures about distances between synthetic and real rows, each beside the same figure of a holdout.
//!
//! The figures describe similarity; none is a guarantee, and tables that pass all of them have been attacked (Yao et al.
//! 2025, "The DCR Delusion"). What a figure says, it says beside its holdout figure or its null value: a table of few
//! values has close rows whether or not anybody's row was copied.

mod adversarial;
mod baseline;
mod closest;
mod hits;
mod identifiability;
mod measure;

use lookalike_core::{Error, Frame, Job, Result};

use crate::{Metric, Neighbour, Points, SearchOptions, Space, nearest};

/// Parameters of [`distance_report`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceParams {
    /// Distance between rows.
    pub metric: Metric,
    /// Seed of what is drawn: resamples of persons, rows where relations must be of one size, noise to compare with.
    pub seed: u64,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct DistanceFigure {
    /// Its name.
    pub metric: &'static str,
    /// The figure; `None` where the sizes do not allow it.
    pub value: Option<f64>,
    /// Lower end of its 95 % interval, where there is one: synthetic rows (or training rows, where the figure is about
    /// these) are taken as drawn independently, persons where they have units; the other relations are as they are.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
    /// The same figure with the holdout in place of the training rows.
    pub holdout: Option<f64>,
    /// What to expect when the training rows had no influence; `None` where that is not known.
    pub null_value: Option<f64>,
    /// The chance of a figure as bad or worse when the training rows had no influence, where there is a test.
    pub p_value: Option<f64>,
    /// What the figure means, what to mind, and why something is missing.
    pub note: String,
}

impl DistanceFigure {
    fn new(metric: &'static str, value: Option<f64>, note: impl Into<String>) -> Self {
        Self { metric, value, lo: None, hi: None, holdout: None, null_value: None, p_value: None, note: note.into() }
    }

    fn within(mut self, interval: Option<(f64, f64)>) -> Self {
        (self.lo, self.hi) = interval.unzip();
        self
    }

    fn beside(mut self, holdout: Option<f64>) -> Self {
        self.holdout = holdout;
        self
    }

    fn expecting(mut self, null_value: Option<f64>) -> Self {
        self.null_value = null_value;
        self
    }

    fn tested(mut self, p_value: Option<f64>) -> Self {
        self.p_value = p_value;
        self
    }
}

/// Real rows, the training rows or the holdout, and how near they are.
struct Side<'a> {
    frame: &'a Frame,
    points: Points,
    /// For every synthetic row its neighbours here.
    of_synthetic: Vec<Neighbour>,
    /// For every row here its neighbours among the others here, without those of its own person.
    of_itself: Vec<Neighbour>,
}

/// All that the figures look at.
struct Tables<'a> {
    space: Space,
    synthetic: &'a Frame,
    points: Points,
    train: Side<'a>,
    holdout: Option<Side<'a>>,
    params: DistanceParams,
}

impl Tables<'_> {
    /// Training rows / (training + holdout rows).
    fn null_share(&self) -> Option<f64> {
        let holdout = self.holdout.as_ref()?;
        let (t, h) = (self.train.frame.rows() as f64, holdout.frame.rows() as f64);
        Some(t / (t + h))
    }
}

/// All figures, in a fixed order; figures that need a holdout are `None` without one, and say so.
///
/// Numbers are scaled by the range of the training rows, for every distance. The frames were encoded together. The result
/// does not depend on the order of any rows. Costs seven nearest-neighbour searches, a few more where sizes differ, and
/// one comparison of all training rows (and holdout rows) with all synthetic rows and with each other.
///
/// Fails (data) when a relation is empty or no column is left to compare.
pub fn distance_report(
    synthetic: &Frame,
    train: &Frame,
    holdout: Option<&Frame>,
    params: DistanceParams,
    job: &Job,
) -> Result<Vec<DistanceFigure>> {
    for (name, frame) in [("synthetic", Some(synthetic)), ("train", Some(train)), ("holdout", holdout)] {
        if frame.is_some_and(|f| f.rows() == 0) {
            return Err(Error::data(format!("{name}: the relation has no rows to measure distances between")));
        }
    }
    let rows = synthetic.rows() + train.rows() + holdout.map_or(0, Frame::rows);
    let _memory = job.reserve(rows * 3 * size_of::<Neighbour>(), "distances between rows")?;
    let space = Space::fit(params.metric, &[train])?;
    let points = space.encode(synthetic, job)?;
    let side = |frame| -> Result<Side> {
        let real = space.encode(frame, job)?;
        let of_synthetic = nearest(&space, &points, &real, SearchOptions::default(), job)?;
        let of_itself = nearest(&space, &real, &real, SearchOptions { exclude_self: true }, job)?;
        Ok(Side { frame, points: real, of_synthetic, of_itself })
    };
    let (train, holdout) = (side(train)?, holdout.map(side).transpose()?);
    let tables = Tables { space, synthetic, points, train, holdout, params };
    let mut figures = closest::figures(&tables, job)?;
    figures.extend(baseline::figures(&tables, job)?);
    figures.extend(hits::figures(&tables, job)?);
    figures.extend(identifiability::figures(&tables, job)?);
    figures.extend(adversarial::figures(&tables, job)?);
    Ok(figures)
}

/// What a figure that compares with a holdout says without one.
const NO_HOLDOUT: &str = "NULL: it needs a holdout, and none was given";

#[cfg(test)]
mod tests;
