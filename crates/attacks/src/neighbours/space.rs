//! Columns, scales and the exact distance of two rows.

use lookalike_core::{Domain, Error, Frame, Job, MISSING, ParamKind, ParamSpec, Reservation, Result, Role, Values};

/// How far two rows are apart. Every metric adds one part a column:
///
/// * a category: 0 when equal, 1 when not;
/// * a number: the difference divided by the column's width, the largest minus the smallest value in the frames that
///   [`Space::fit`] was given; in a column of width 0 (or without any value there): 0 when equal, 1 when not;
/// * NULL beside NULL: 0; NULL beside a value: 1 (the rule of SDMetrics' DCR).
///
/// Parts of numbers are added in the order of the columns, then the number of unequal categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The mean of the parts, numbers capped at 1, so between 0 and 1 (Gower 1971, equal weights).
    Gower,
    /// The sum of the parts without the cap: range-scaled city block distance plus the number of unequal categories.
    L1,
    /// The root of the sum of the squared parts without the cap: range-scaled Euclidean distance in which a category
    /// is one-hot encoded and divided by the root of 2, so that a mismatch adds 1 to the square.
    Euclidean,
}

impl Metric {
    /// Names in SQL, in the order of the variants.
    pub const NAMES: &'static [&'static str] = &["gower", "l1", "euclidean"];

    /// The option that chooses a metric.
    pub const PARAM: ParamSpec = ParamSpec {
        name: "metric",
        kind: ParamKind::Choice(Self::NAMES),
        default: lookalike_core::Default::Text("gower"),
        purpose: "Distance between two rows: mean of range-scaled differences and mismatches, their sum, or Euclidean.",
    };

    /// The metric of a name, in lower case.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "gower" => Ok(Metric::Gower),
            "l1" => Ok(Metric::L1),
            "euclidean" => Ok(Metric::Euclidean),
            _ => Err(Error::argument(format!("option 'metric' is '{name}', allowed is {}", Self::PARAM.kind.range()))),
        }
    }

    /// The name in SQL.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// A number column: one with a width is scaled, one without compares as equal or unequal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NumberColumn {
    /// Half a width does not overflow where the width itself does.
    pub factor: f64,
    /// Middle of the range times `factor`; only the approximate search needs it.
    pub center: f64,
    /// Width times `factor`; 0 in a column that compares as equal or unequal.
    pub width: f64,
}

/// A category column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CodeColumn {
    /// Number of labels; codes are below.
    pub labels: usize,
}

/// Where a column of a frame went.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    name: String,
    role: Role,
}

/// Columns that are compared and their scales.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    pub(super) metric: Metric,
    pub(super) numbers: Vec<NumberColumn>,
    pub(super) codes: Vec<CodeColumn>,
    places: Vec<Place>,
}

impl Space {
    /// Compares all columns but the identifiers, scaled by the values of `scaling_frames` taken together. The frames
    /// were encoded together, as were those given to [`Space::encode`], so that equal values have equal codes.
    ///
    /// Fails (data) when no column is left to compare and (internal) without frames or with frames of different
    /// columns.
    pub fn fit(metric: Metric, scaling_frames: &[&Frame]) -> Result<Self> {
        let Some(first) = scaling_frames.first() else {
            return Err(Error::internal("distances are scaled by no relation"));
        };
        let mut space = Self { metric, numbers: vec![], codes: vec![], places: vec![] };
        for column in first.columns() {
            space.places.push(Place { name: column.name().to_string(), role: column.role() });
        }
        for frame in scaling_frames {
            space.same_columns(frame)?;
        }
        for (i, column) in first.columns().iter().enumerate() {
            match &column.domain {
                Domain::Number(_) => space.numbers.push(number_column(scaling_frames, i)),
                Domain::Category(domain) => space.codes.push(CodeColumn { labels: domain.labels.len() }),
                Domain::Identifier(_) => {}
            }
        }
        if space.numbers.is_empty() && space.codes.is_empty() {
            let names: Vec<&str> = space.places.iter().map(|p| p.name.as_str()).collect();
            return Err(Error::data(format!(
                "no column is left to compare: {}; name the columns to compare or cast an identifier to a number or a \
                 category",
                if names.is_empty() {
                    "there are none".to_string()
                } else {
                    format!("all are identifiers ({})", names.join(", "))
                }
            )));
        }
        Ok(space)
    }

    /// The metric.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Columns that are compared.
    pub fn columns(&self) -> usize {
        self.numbers.len() + self.codes.len()
    }

    fn same_columns(&self, frame: &Frame) -> Result<()> {
        let same = frame.columns().len() == self.places.len()
            && frame.columns().iter().zip(&self.places).all(|(c, p)| c.name() == p.name && c.role() == p.role);
        if same { Ok(()) } else { Err(Error::internal("relations with different columns are compared")) }
    }

    /// Rows of a frame with the columns of the space, side by side in memory.
    pub fn encode(&self, frame: &Frame, job: &Job) -> Result<Points> {
        self.same_columns(frame)?;
        let rows = frame.rows();
        let bytes = rows * (self.numbers.len() * 8 + self.codes.len() * 4 + 8);
        let memory = job.reserve(bytes, "rows to compare")?;
        let mut numbers = vec![0.0; rows * self.numbers.len()];
        let mut codes = vec![0; rows * self.codes.len()];
        let (mut n, mut c) = (0, 0);
        for column in frame.columns() {
            job.check()?;
            match &column.values {
                Values::Number(values) => {
                    values.iter().zip(numbers.chunks_exact_mut(self.numbers.len())).for_each(|(v, row)| row[n] = *v);
                    n += 1;
                }
                Values::Code(values) => {
                    values.iter().zip(codes.chunks_exact_mut(self.codes.len())).for_each(|(v, row)| row[c] = *v);
                    c += 1;
                }
                Values::Omitted => {}
            }
        }
        if rows > 0 && (n, c) != (self.numbers.len(), self.codes.len()) {
            return Err(Error::internal("a compared column has no values"));
        }
        Ok(Points {
            rows,
            width: (self.numbers.len(), self.codes.len()),
            numbers,
            codes,
            units: frame.units().map(|u| u.codes.clone()),
            canonical: frame.canonical_order(),
            _memory: memory,
        })
    }

    /// The exact distance of two rows: computed in f64 from the values themselves. It is 0 exactly when the rows are
    /// identical (NULLs included).
    pub fn distance(&self, queries: &Points, query: u32, references: &Points, reference: u32) -> f64 {
        self.exact(queries, query as usize, references, reference as usize).1
    }

    /// Sum of the parts (squared for the Euclidean metric) and the distance made of it.
    #[inline]
    pub(super) fn exact(&self, queries: &Points, q: usize, references: &Points, r: usize) -> (f64, f64) {
        let (mut sum, mut differs) = (0.0, false);
        let (cap, squared) = (self.cap(), self.metric == Metric::Euclidean);
        for ((a, b), column) in queries.numbers(q).iter().zip(references.numbers(r)).zip(&self.numbers) {
            if a == b || (a.is_nan() && b.is_nan()) {
                continue;
            }
            differs = true;
            let part = if column.width == 0.0 || a.is_nan() || b.is_nan() {
                1.0
            } else {
                ((a * column.factor - b * column.factor).abs() / column.width).min(cap)
            };
            sum += if squared { part * part } else { part };
        }
        let unequal = queries.codes(q).iter().zip(references.codes(r)).filter(|(a, b)| a != b).count();
        sum += unequal as f64;
        let distance = match self.metric {
            Metric::Gower => sum / self.columns() as f64,
            Metric::L1 => sum,
            Metric::Euclidean => sum.sqrt(),
        };
        // A difference of a tiny part of the range may underflow; it is a difference all the same.
        let distance = if distance == 0.0 && (differs || unequal > 0) { f64::MIN_POSITIVE } else { distance };
        (sum, distance)
    }

    /// Largest part of a number.
    pub(super) fn cap(&self) -> f64 {
        if self.metric == Metric::Gower { 1.0 } else { f64::INFINITY }
    }
}

fn number_column(frames: &[&Frame], column: usize) -> NumberColumn {
    let present = || {
        frames
            .iter()
            .flat_map(|f| match &f.columns()[column].values {
                Values::Number(values) => values.as_slice(),
                _ => &[],
            })
            .copied()
            .filter(|v| !v.is_nan())
    };
    let (Some(min), Some(max)) = (present().reduce(f64::min), present().reduce(f64::max)) else {
        return NumberColumn { factor: 1.0, center: 0.0, width: 0.0 };
    };
    let factor = if (max - min).is_finite() { 1.0 } else { 0.5 };
    NumberColumn {
        factor,
        center: (min * 0.5 + max * 0.5) * factor,
        width: if min == max { 0.0 } else { max * factor - min * factor },
    }
}

/// Rows ready to be compared: the values of a row lie side by side.
#[derive(Debug)]
pub struct Points {
    rows: usize,
    width: (usize, usize),
    numbers: Vec<f64>,
    codes: Vec<u32>,
    units: Option<Vec<u32>>,
    canonical: Vec<u32>,
    _memory: Reservation,
}

impl Points {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The person of each row, when the unit of privacy is not the row.
    pub fn units(&self) -> Option<&[u32]> {
        self.units.as_deref()
    }

    /// Rows in canonical order; see [`Frame::canonical_order`].
    pub fn canonical(&self) -> &[u32] {
        &self.canonical
    }

    /// Numbers of a row; NaN is NULL.
    pub(super) fn numbers(&self, row: usize) -> &[f64] {
        &self.numbers[row * self.width.0..][..self.width.0]
    }

    /// Codes of a row; [`MISSING`] is NULL.
    pub(super) fn codes(&self, row: usize) -> &[u32] {
        &self.codes[row * self.width.1..][..self.width.1]
    }

    /// Whether any row of a number column is NULL, or farther than half a width from the middle.
    pub(super) fn number_traits(&self, columns: &[NumberColumn]) -> Vec<(bool, bool)> {
        let mut traits = vec![(false, false); columns.len()];
        if self.width.0 > 0 {
            for row in self.numbers.chunks_exact(self.width.0) {
                for ((value, column), (missing, outside)) in row.iter().zip(columns).zip(&mut traits) {
                    *missing |= value.is_nan();
                    // The tolerance keeps the rounding of the middle apart from values outside.
                    *outside |= (value * column.factor - column.center).abs() > column.width * (0.5 + 1e-12);
                }
            }
        }
        traits
    }
}

/// NULL or not, as a code of its own.
pub(super) fn is_missing(code: u32) -> bool {
    code == MISSING
}
