//! How much synthetic rows look like real ones: one figure a row.

mod pairs;
mod pmse;
mod shapes;
mod support;
mod two_sample;

use lookalike_core::{Error, Frame, Job, Result, closest, list_names};

use crate::figure::{Better, Figure};
use crate::measured::Columns;
use crate::persons::drawn;

/// A group of figures that are asked for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QualityMetric {
    /// SDMetrics' overall score and its two properties.
    Score,
    /// SDMetrics' column shapes, and distances between distributions of single columns.
    Shapes,
    /// SDMetrics' column pair trends, and differences of correlations and contingency.
    Pairs,
    /// The propensity score mean-squared error.
    Pmse,
    /// The classifier two-sample test.
    TwoSample,
    /// Precision, recall, authenticity, density and coverage, by nearest neighbours.
    Support,
}

impl QualityMetric {
    /// All, in the order of the report.
    pub const ALL: [QualityMetric; 6] = [
        QualityMetric::Score,
        QualityMetric::Shapes,
        QualityMetric::Pairs,
        QualityMetric::Pmse,
        QualityMetric::TwoSample,
        QualityMetric::Support,
    ];

    /// Those that count alone is enough for: they look at all rows in one pass a pair of columns.
    pub const COUNTED: [QualityMetric; 3] = [QualityMetric::Score, QualityMetric::Shapes, QualityMetric::Pairs];

    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            QualityMetric::Score => "score",
            QualityMetric::Shapes => "shapes",
            QualityMetric::Pairs => "pairs",
            QualityMetric::Pmse => "pmse",
            QualityMetric::TwoSample => "two_sample",
            QualityMetric::Support => "support",
        }
    }

    /// The group of a name, in any case.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names = || Self::ALL.iter().map(|m| m.name());
            let hint = closest(name, names()).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            Error::argument(format!("metrics: there is no group '{name}'{hint} (allowed: {})", list_names(names())))
        })
    }
}

/// What is measured, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityParams {
    /// Groups of figures.
    pub metrics: Vec<QualityMetric>,
    /// Most rows of either relation that [`QualityMetric::Pmse`], [`QualityMetric::TwoSample`] and
    /// [`QualityMetric::Support`] look at, drawn by content and seed; all of them when `None`.
    pub max_rows: Option<usize>,
    /// Seed of draws, folds and resamples.
    pub seed: u64,
}

impl Default for QualityParams {
    fn default() -> Self {
        Self { metrics: QualityMetric::COUNTED.into(), max_rows: None, seed: 0 }
    }
}

/// Figures of the groups asked for, in the order of [`QualityMetric::ALL`], columns and pairs in the order of the frames.
///
/// The frames were encoded together; identifiers are left out. Scores of SDMetrics are those of sdmetrics 0.32.0, NULL
/// where it has NaN, but exact where it draws rows. The result does not depend on the order of the rows or the number of
/// threads.
///
/// Fails (data) when a relation is empty or no column is left to compare.
pub fn quality_report(real: &Frame, synthetic: &Frame, params: &QualityParams, job: &Job) -> Result<Vec<Figure>> {
    for (name, frame) in [("real", real), ("synthetic", synthetic)] {
        if frame.rows() == 0 {
            return Err(Error::data(format!("{name}: the relation has no rows to compare")));
        }
    }
    let wanted = |metric| params.metrics.contains(&metric);
    let mut figures = vec![];
    let columns = Columns::new(real, synthetic, job)?;
    if columns.all.is_empty() {
        return Err(Error::data("no column is left to compare: all are identifiers"));
    }
    let score = wanted(QualityMetric::Score);
    let shapes = if score || wanted(QualityMetric::Shapes) { shapes::scores(&columns) } else { vec![] };
    let pairs = match score || wanted(QualityMetric::Pairs) {
        true => Some(pairs::pairs(&columns, job)?),
        false => None,
    };
    if let Some(pairs) = pairs.as_ref().filter(|_| score) {
        figures.extend(scores(&shapes, &pairs.scores));
    }
    if wanted(QualityMetric::Shapes) {
        figures.extend(shapes);
        figures.extend(shapes::distances(&columns));
    }
    if let Some(pairs) = pairs.filter(|_| wanted(QualityMetric::Pairs)) {
        figures.extend(pairs.scores);
        figures.extend(pairs.differences);
    }
    drop(columns);
    if ![QualityMetric::Pmse, QualityMetric::TwoSample, QualityMetric::Support].into_iter().any(wanted) {
        return Ok(figures);
    }
    let draws = [(real, "draw of real"), (synthetic, "draw of synthetic")]
        .map(|(frame, purpose)| drawn(frame, params.max_rows, params.seed, purpose));
    let remark = match &draws {
        [None, None] => String::new(),
        draws => {
            let part = |side: usize, all: &Frame| match &draws[side] {
                Some(draw) => format!("{} of {}", draw.rows(), all.rows()),
                None => format!("all {}", all.rows()),
            };
            format!("max_rows: of {} real and {} synthetic rows, drawn by seed", part(0, real), part(1, synthetic))
        }
    };
    let (real, synthetic) = (draws[0].as_ref().unwrap_or(real), draws[1].as_ref().unwrap_or(synthetic));
    if wanted(QualityMetric::Pmse) {
        figures.extend(pmse::figures(real, synthetic, &remark, job)?);
    }
    if wanted(QualityMetric::TwoSample) {
        figures.extend(two_sample::figures(real, synthetic, params.seed, &remark, job)?);
    }
    if wanted(QualityMetric::Support) {
        figures.extend(support::figures(real, synthetic, params.seed, &remark, job)?);
    }
    Ok(figures)
}

/// The mean of the scores of all columns, that of all pairs, and the mean of the two; what has no score is left out.
fn scores(shapes: &[Figure], pairs: &[Figure]) -> [Figure; 3] {
    let mean = |values: &[Option<f64>]| {
        let present: Vec<f64> = values.iter().flatten().copied().collect();
        present.iter().sum::<f64>() / present.len() as f64
    };
    let of = |figures: &[Figure]| mean(&figures.iter().map(|f| f.value).collect::<Vec<_>>());
    let left_out = |figures: &[Figure], what: &str| match figures.iter().filter(|f| f.value.is_none()).count() {
        0 => String::new(),
        n => format!("{n} of {} {what} have no score and are left out", figures.len()),
    };
    let perfect = (1.0, Better::Higher);
    let [shape, trend] = [
        Figure::new("column_shapes", of(shapes), perfect)
            .noting(left_out(shapes, "columns"))
            .because("no column has a score"),
        Figure::new("column_pair_trends", of(pairs), perfect)
            .noting(left_out(pairs, "pairs"))
            .because("no pair of columns has a score"),
    ];
    let all = mean(&[shape.value, trend.value]);
    [Figure::new("quality_score", all, perfect).because("neither columns nor pairs have a score"), shape, trend]
}

#[cfg(test)]
mod tests;
