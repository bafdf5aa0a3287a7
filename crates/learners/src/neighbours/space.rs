//! Columns, scales and the exact distance of two rows.

use lookalike_core::{Domain, Error, Frame, Job, MISSING, ParamKind, ParamSpec, Reservation, Result, Role, Values};

/// How far two rows are apart. Gower, L1 and Euclidean add one part a column:
///
/// * a category: 0 when equal, 1 when not;
/// * a number: the difference divided by the column's width, the largest minus the smallest value in the frames that
///   [`Space::fit`] was given; in a column of width 0 (or without any value there): 0 when equal, 1 when not;
/// * NULL beside NULL: 0; NULL beside a value: 1 (the rule of SDMetrics' DCR).
///
/// Parts of numbers are added in the order of the columns, then the number of unequal categories. These three metrics
/// and [`Metric::Masked`] are 0 exactly where the rows are identical, NULLs included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The mean of the parts, numbers capped at 1, so between 0 and 1 (Gower 1971, equal weights).
    Gower,
    /// The sum of the parts without the cap: range-scaled city block distance plus the number of unequal categories.
    L1,
    /// The root of the sum of the squared parts without the cap: range-scaled Euclidean distance in which a category
    /// is one-hot encoded and divided by the root of 2, so that a mismatch adds 1 to the square.
    Euclidean,
    /// One minus the cosine of the angle between rows as vectors, from 0 to 2: a number is its difference from the
    /// middle of the range divided by the width, 0 when NULL; a category, also a number column of width 0, is one-hot
    /// encoded and divided by the root of 2, NULL a category of its own. Length plays no role: rows that are no copies
    /// can be at distance 0. A row of nothing but zeros is at 1 from others and at 0 from another such row. Numbers
    /// farther than 1e150 widths from the middle count as that far. Computed as half the square of the distance of the
    /// two vectors at length 1, which keeps the digits of small angles and makes identical rows exactly 0.
    Cosine,
    /// For rows with many NULLs, as measurements on a grid of times: the mean of the parts, numbers capped at 1, over
    /// the columns in which both rows have a value (Gower 1971, with weight 0 for comparisons that cannot be made; 1
    /// where there is no such column), plus the share of all columns in which one row has a value and the other NULL,
    /// weighted by [`Metric::MASK_WEIGHT`]. From 0 to 2; two rows of nothing but NULLs are at 0. No triangle inequality.
    Masked,
}

impl Metric {
    /// Names in SQL, in the order of the variants.
    pub const NAMES: &'static [&'static str] = &["gower", "l1", "euclidean", "cosine", "masked"];

    /// What the share of columns with a value in one row alone counts in [`Metric::Masked`]: rows whose values agree
    /// but that were measured at quite different times are as far apart as rows whose values differ by the whole range.
    pub const MASK_WEIGHT: f64 = 1.0;

    /// The option that chooses a metric.
    pub const PARAM: ParamSpec = ParamSpec {
        name: "metric",
        kind: ParamKind::Choice(Self::NAMES),
        default: lookalike_core::Default::Text("gower"),
        purpose: "Distance between two rows: mean of range-scaled differences and mismatches, their sum, Euclidean, cosine of \
                  the angle, or the mean over the columns that both have values in (masked).",
    };

    /// The metric of a name, in lower case.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "gower" => Ok(Metric::Gower),
            "l1" => Ok(Metric::L1),
            "euclidean" => Ok(Metric::Euclidean),
            "cosine" => Ok(Metric::Cosine),
            "masked" => Ok(Metric::Masked),
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
        let directions = self.metric == Metric::Cosine;
        let bytes = rows * (self.numbers.len() * 8 + self.codes.len() * 4 + 8 + if directions { 8 } else { 0 });
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
        let mut inverse = vec![];
        if directions {
            inverse.extend((0..rows).map(|row| self.direction(&mut numbers[row * n..][..n])));
        }
        Ok(Points {
            rows,
            width: (self.numbers.len(), self.codes.len()),
            numbers,
            codes,
            inverse,
            units: frame.units().map(|u| u.codes.clone()),
            canonical: frame.canonical_order(),
            _memory: memory,
        })
    }

    /// Divides the vector of a row by its length, of which one over is returned. Columns of width 0 keep their values.
    fn direction(&self, values: &mut [f64]) -> f64 {
        let categories = self.codes.len() + self.numbers.iter().filter(|c| c.width == 0.0).count();
        let mut largest = if categories > 0 { 1.0f64 } else { 0.0 };
        for (value, column) in values.iter_mut().zip(&self.numbers).filter(|(_, c)| c.width > 0.0) {
            let x = (*value * column.factor - column.center) / column.width;
            *value = if x.is_nan() { 0.0 } else { x.clamp(-FARTHEST, FARTHEST) };
            largest = largest.max(value.abs());
        }
        if largest == 0.0 {
            return 0.0;
        }
        let scaled = || values.iter().zip(&self.numbers).filter(|(_, c)| c.width > 0.0);
        let squares: f64 = scaled().map(|(x, _)| (x / largest) * (x / largest)).sum();
        let length = largest * (squares + 0.5 * categories as f64 / (largest * largest)).sqrt();
        for (value, _) in values.iter_mut().zip(&self.numbers).filter(|(_, c)| c.width > 0.0) {
            *value /= length;
        }
        1.0 / length
    }

    /// The exact distance of two rows: computed in f64 from the values themselves.
    pub fn distance(&self, queries: &Points, query: u32, references: &Points, reference: u32) -> f64 {
        self.exact(queries, query as usize, references, reference as usize).1
    }

    /// The distance and what it is made of, which orders pairs in the same way: the sum of the parts (of their squares
    /// for the Euclidean metric), the square of the distance of directions for the cosine, else the distance itself.
    #[inline]
    pub(super) fn exact(&self, queries: &Points, q: usize, references: &Points, r: usize) -> (f64, f64) {
        match self.metric {
            Metric::Cosine => self.cosine(queries, q, references, r),
            Metric::Masked => self.masked(queries, q, references, r),
            Metric::Gower | Metric::L1 | Metric::Euclidean => self.parts(queries, q, references, r),
        }
    }

    #[inline]
    fn parts(&self, queries: &Points, q: usize, references: &Points, r: usize) -> (f64, f64) {
        let (mut sum, mut differs) = (0.0, false);
        let (cap, squared) = (self.cap(), self.metric == Metric::Euclidean);
        for ((a, b), column) in queries.numbers(q).iter().zip(references.numbers(r)).zip(&self.numbers) {
            if a == b || (a.is_nan() && b.is_nan()) {
                continue;
            }
            differs = true;
            let part = if a.is_nan() || b.is_nan() { 1.0 } else { column.part(*a, *b).min(cap) };
            sum += if squared { part * part } else { part };
        }
        let unequal = queries.codes(q).iter().zip(references.codes(r)).filter(|(a, b)| a != b).count();
        sum += unequal as f64;
        let distance = match self.metric {
            Metric::Gower => sum / self.columns() as f64,
            Metric::Euclidean => sum.sqrt(),
            _ => sum,
        };
        (sum, apart(distance, differs || unequal > 0))
    }

    fn cosine(&self, queries: &Points, q: usize, references: &Points, r: usize) -> (f64, f64) {
        let (x, y) = (queries.inverse(q), references.inverse(r));
        if (x == 0.0) != (y == 0.0) {
            return (2.0, 1.0);
        }
        let (mut sum, mut equal, mut unequal) = (0.0, 0u32, 0u32);
        for ((a, b), column) in queries.numbers(q).iter().zip(references.numbers(r)).zip(&self.numbers) {
            if column.width > 0.0 {
                sum += (a - b) * (a - b);
            } else if a == b || (a.is_nan() && b.is_nan()) {
                equal += 1;
            } else {
                unequal += 1;
            }
        }
        for (a, b) in queries.codes(q).iter().zip(references.codes(r)) {
            *if a == b { &mut equal } else { &mut unequal } += 1;
        }
        sum += 0.5 * f64::from(equal) * (x - y) * (x - y) + 0.5 * f64::from(unequal) * (x * x + y * y);
        (sum, (0.5 * sum).min(2.0))
    }

    fn masked(&self, queries: &Points, q: usize, references: &Points, r: usize) -> (f64, f64) {
        let (mut sum, mut common, mut one_sided, mut differs) = (0.0, 0u32, 0u32, false);
        for ((a, b), column) in queries.numbers(q).iter().zip(references.numbers(r)).zip(&self.numbers) {
            match (a.is_nan(), b.is_nan()) {
                (false, false) => {
                    common += 1;
                    if a != b {
                        differs = true;
                        sum += column.part(*a, *b).min(1.0);
                    }
                }
                (true, true) => {}
                _ => one_sided += 1,
            }
        }
        let mut unequal = 0u32;
        for (a, b) in queries.codes(q).iter().zip(references.codes(r)) {
            match (is_missing(*a), is_missing(*b)) {
                (false, false) => {
                    common += 1;
                    unequal += u32::from(a != b);
                }
                (true, true) => {}
                _ => one_sided += 1,
            }
        }
        sum += f64::from(unequal);
        let mean = match common {
            0 if one_sided == 0 => 0.0,
            0 => 1.0,
            _ => sum / f64::from(common),
        };
        let distance = mean + Metric::MASK_WEIGHT * f64::from(one_sided) / self.columns() as f64;
        let distance = apart(distance, differs || unequal > 0 || one_sided > 0);
        (distance, distance)
    }

    /// A sum that no pair within a distance exceeds.
    pub(super) fn largest_sum(&self, distance: f64) -> f64 {
        let sum = match self.metric {
            Metric::Gower => distance * self.columns() as f64,
            Metric::L1 | Metric::Masked => distance,
            Metric::Euclidean => distance * distance,
            Metric::Cosine if distance >= 2.0 => f64::INFINITY,
            Metric::Cosine => 2.0 * distance,
        };
        sum * (1.0 + 8.0 * f64::EPSILON) + 1e-300
    }

    /// A sum below which every pair is nearer than a distance; negative when that is not known of any sum.
    pub(super) fn sure_sum(&self, distance: f64) -> f64 {
        // Smaller distances may be those of sums that underflow.
        match self.metric {
            Metric::Cosine | Metric::Masked => -1.0,
            _ if distance < 1e-100 || distance.is_nan() => -1.0,
            Metric::Gower => distance * self.columns() as f64 * (1.0 - 8.0 * f64::EPSILON),
            Metric::L1 => distance * (1.0 - 8.0 * f64::EPSILON),
            Metric::Euclidean => distance * distance * (1.0 - 8.0 * f64::EPSILON),
        }
    }

    /// Largest part of a number.
    pub(super) fn cap(&self) -> f64 {
        if self.metric == Metric::Gower { 1.0 } else { f64::INFINITY }
    }
}

impl NumberColumn {
    /// Part of two different numbers.
    #[inline]
    fn part(&self, a: f64, b: f64) -> f64 {
        if self.width == 0.0 { 1.0 } else { (a * self.factor - b * self.factor).abs() / self.width }
    }
}

/// A difference of a tiny part of the range may underflow; it is a difference all the same.
fn apart(distance: f64, differs: bool) -> f64 {
    if distance == 0.0 && differs { f64::MIN_POSITIVE } else { distance }
}

/// Farthest place of a number on the scale of its column, so that squares stay finite.
const FARTHEST: f64 = 1e150;

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
    /// One over the length of each row as a vector, for the cosine; 0 for a row of zeros.
    inverse: Vec<f64>,
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

    /// One over the length of a row as a vector.
    pub(super) fn inverse(&self, row: usize) -> f64 {
        self.inverse[row]
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
