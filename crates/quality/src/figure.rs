//! One figure of a report.

/// Which way a figure should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
    /// Nearer to the ideal is better, from either side.
    Nearer,
}

impl Better {
    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Better::Higher => "higher",
            Better::Lower => "lower",
            Better::Nearer => "nearer",
        }
    }
}

/// One figure: what it is about, its value and what to expect.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name.
    pub metric: &'static str,
    /// The column it is about; `None` where it is about the whole table.
    pub column: Option<String>,
    /// The second column of a pair.
    pub other_column: Option<String>,
    /// The figure; `None` where it is not defined, and the note says why.
    pub value: Option<f64>,
    /// Ends of its 95 % interval, where there is one.
    pub interval: Option<(f64, f64)>,
    /// What the best table has; `None` where that depends on the data.
    pub ideal: Option<f64>,
    /// Which way it should go.
    pub better: Better,
    /// What it means, what to mind, why it is missing.
    pub note: String,
}

impl Figure {
    /// A figure about the whole table with its ideal. NaN is neither value nor ideal.
    pub(crate) fn new(metric: &'static str, value: f64, (ideal, better): (f64, Better)) -> Self {
        let ideal = Some(ideal).filter(|v| !v.is_nan());
        let value = Some(value).filter(|v| !v.is_nan());
        Self { metric, column: None, other_column: None, value, interval: None, ideal, better, note: String::new() }
    }

    /// The same figure about a column.
    pub(crate) fn of_column(mut self, name: &str) -> Self {
        self.column = Some(name.to_string());
        self
    }

    /// The same figure about a pair of columns.
    pub(crate) fn of_pair(mut self, name: &str, other: &str) -> Self {
        self.column = Some(name.to_string());
        self.other_column = Some(other.to_string());
        self
    }

    /// With an interval, where there is one; NaN is no end.
    pub(crate) fn within(mut self, interval: Option<(f64, f64)>) -> Self {
        self.interval = interval.filter(|(low, high)| self.value.is_some() && !low.is_nan() && !high.is_nan());
        self
    }

    /// With one more remark.
    pub(crate) fn noting(mut self, remark: impl AsRef<str>) -> Self {
        let remark = remark.as_ref();
        if !remark.is_empty() {
            self.note = if self.note.is_empty() { remark.to_string() } else { format!("{}; {remark}", self.note) };
        }
        self
    }

    /// With the reason why there is no value, where there is none.
    pub(crate) fn because(self, reason: impl AsRef<str>) -> Self {
        match self.value {
            Some(_) => self,
            None => self.noting(format!("NULL: {}", reason.as_ref())),
        }
    }
}
