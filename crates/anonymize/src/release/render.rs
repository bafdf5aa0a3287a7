//! The values a class shows, in three forms.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use lookalike_core::{CategoryDomain, Column, Domain, Error, Frame, MISSING, NumberDomain, NumberKind, Result, Values};
use rayon::prelude::*;

use crate::{Hierarchy, Release};

/// How the quasi-identifiers of a class are shown. The two ends of a range are values that occur in the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputForm {
    /// Text. A single value as `CAST(column AS VARCHAR)` prints it; `[20, 29]` for numbers, dates and times; `{a, b}`,
    /// sorted, for categories; the label of the node for hierarchies, of numbers too. Where missing values are mixed
    /// in, ` or NULL` follows; a class of missing values is NULL.
    #[default]
    Interval,
    /// Numbers, dates and times become `{lower, upper, has_null}`: the ends in the column's type, and whether missing
    /// values are mixed in; NULL for a class of missing values. A hierarchy has no influence on them. Categories as
    /// in `Interval`.
    Range,
    /// Numbers, dates and times keep their type and show the mean of the values present in the class, rounded half
    /// away from zero to what the type can hold; NULL where more rows are missing than present, so that all rows of a
    /// class show what most of them have. A hierarchy has no influence on them. Categories as in `Interval`.
    Mean,
}

impl Release {
    /// The field of a released quasi-identifier. `is_category` is true for what is encoded as a category: strings,
    /// booleans and columns of type NULL.
    pub fn output_field(field: &Field, is_category: bool, form: OutputForm) -> Field {
        // NaN in a NOT NULL column counts as missing.
        let nullable = field.is_nullable() || holds_nan(field.data_type());
        match form {
            OutputForm::Mean if !is_category => field.clone(),
            OutputForm::Range if !is_category => {
                Field::new(field.name(), DataType::Struct(range_fields(field.data_type())), nullable)
            }
            _ => Field::new(field.name(), DataType::Utf8, nullable),
        }
    }

    /// What each class shows of a quasi-identifier: one entry a class, of the type of [`Release::output_field`].
    /// `frame` is the one that was anonymised.
    pub fn render(&self, column: usize, frame: &Frame, form: OutputForm) -> Result<ArrayRef> {
        let (Some(column), Some(hierarchy)) = (frame.columns().get(column), self.hierarchies.get(column)) else {
            return Err(Error::internal(format!("there is no quasi-identifier {column}")));
        };
        if frame.rows() != self.class_of.len() {
            return Err(Error::internal("the frame is not the one that was anonymised"));
        }
        match (&column.domain, &column.values, hierarchy, form) {
            (Domain::Number(domain), Values::Number(values), _, OutputForm::Mean) => self.means(column, domain, values),
            (Domain::Number(_), Values::Number(values), _, OutputForm::Range) => self.ranges(column, values),
            (_, _, Some(hierarchy), _) => self.nodes(column, hierarchy),
            (Domain::Number(_), Values::Number(values), None, _) => self.intervals(column, values),
            (Domain::Category(domain), Values::Code(codes), None, _) => Ok(self.label_sets(domain, codes)),
            _ => Err(Error::internal(format!("column '{}' has no values to show", column.name()))),
        }
    }

    /// Applies `show` to the rows of every class, in the order of the classes.
    fn map<T: Send>(&self, show: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
        self.classes.par_iter().with_min_len(64).map(|class| show(&self.order[class.members()])).collect()
    }

    fn spans(&self, values: &[f64]) -> Vec<Span> {
        self.map(|rows| {
            let mut span = Span { low: f64::NAN, high: f64::NAN, present: 0, missing: 0 };
            for value in rows.iter().map(|&r| values[r as usize]) {
                // f64::min and max pass NaN over.
                span.low = span.low.min(value);
                span.high = span.high.max(value);
                span.missing += usize::from(value.is_nan());
            }
            span.present = rows.len() - span.missing;
            span
        })
    }

    fn ranges(&self, column: &Column, values: &[f64]) -> Result<ArrayRef> {
        let spans = self.spans(values);
        let mixed: BooleanArray = spans.iter().map(|s| Some(s.missing > 0)).collect();
        let present: NullBuffer = spans.iter().map(|s| s.present > 0).collect();
        let lower = observed(column, spans.iter().map(|s| s.low))?;
        let upper = observed(column, spans.iter().map(|s| s.high))?;
        let fields = range_fields(column.field.data_type());
        Ok(Arc::new(StructArray::try_new(fields, vec![lower, upper, Arc::new(mixed)], Some(present))?))
    }

    fn intervals(&self, column: &Column, values: &[f64]) -> Result<ArrayRef> {
        let spans = self.spans(values);
        let lows = cast(&observed(column, spans.iter().map(|s| s.low))?, &DataType::Utf8)?;
        let highs = cast(&observed(column, spans.iter().map(|s| s.high))?, &DataType::Utf8)?;
        let ends = lows.as_string::<i32>().iter().zip(highs.as_string::<i32>());
        let texts = spans.iter().zip(ends).map(|(span, ends)| {
            let (low, high) = (ends.0?, ends.1?);
            let text = if span.low == span.high { low.to_string() } else { format!("[{low}, {high}]") };
            (span.present > 0).then(|| or_null(text, span.missing > 0))
        });
        Ok(Arc::new(texts.collect::<StringArray>()))
    }

    fn label_sets(&self, domain: &CategoryDomain, codes: &[u32]) -> ArrayRef {
        let texts = self.map(|rows| {
            let mut present: Vec<u32> = rows.iter().map(|&r| codes[r as usize]).collect();
            present.sort_unstable();
            present.dedup();
            let mixed = present.pop_if(|c| *c == MISSING).is_some();
            let mut labels = present.iter().filter_map(|&c| domain.labels.get(c as usize)).map(String::as_str);
            match present.len() {
                0 => None,
                1 => labels.next().map(|l| or_null(l.to_string(), mixed)),
                _ => Some(or_null(format!("{{{}}}", labels.collect::<Vec<_>>().join(", ")), mixed)),
            }
        });
        Arc::new(StringArray::from(texts))
    }

    fn nodes(&self, column: &Column, hierarchy: &Hierarchy) -> Result<ArrayRef> {
        let leaves = hierarchy.leaves_of(&column.values)?;
        let texts = self.map(|rows| {
            let leaf = || rows.iter().map(|&r| leaves[r as usize]);
            let present = || leaf().filter(|l| *l != MISSING);
            let (low, high) = (present().min()?, present().max()?);
            let label = hierarchy.label(hierarchy.common(low, high)).to_string();
            Some(or_null(label, leaf().any(|l| l == MISSING)))
        });
        Ok(Arc::new(StringArray::from(texts)))
    }

    fn means(&self, column: &Column, domain: &NumberDomain, values: &[f64]) -> Result<ArrayRef> {
        let present = |rows: &[u32]| -> Option<Vec<f64>> {
            let present: Vec<f64> = rows.iter().map(|&r| values[r as usize]).filter(|v| !v.is_nan()).collect();
            (!present.is_empty() && present.len() * 2 >= rows.len()).then_some(present)
        };
        match domain.kind {
            NumberKind::Integer { base, step } => {
                let stored = self.map(|rows| {
                    let values = present(rows)?;
                    let count = values.len() as i128;
                    // Encoded integers are exact, and so is their sum.
                    let sum: i128 = values.iter().map(|v| *v as i128).sum();
                    i64::try_from(rounded_quotient(i128::from(base) * count + i128::from(step) * sum, count)).ok()
                });
                column.decode_stored(&stored)
            }
            NumberKind::Float { .. } => {
                let means = self.map(|rows| {
                    let Some(mut values) = present(rows) else { return f64::NAN };
                    // The bits of a sum depend on its order: ascending, whatever the order of the rows.
                    values.sort_unstable_by(f64::total_cmp);
                    let sum: f64 = values.iter().sum();
                    if sum.is_finite() {
                        return sum / values.len() as f64;
                    }
                    values.iter().map(|v| v / values.len() as f64).sum()
                });
                unrounded(column).decode(&Values::Number(means), 0, self.classes.len())
            }
        }
    }
}

/// What a class holds of a numeric column.
struct Span {
    low: f64,
    high: f64,
    present: usize,
    missing: usize,
}

fn or_null(text: String, mixed: bool) -> String {
    if mixed { text + " or NULL" } else { text }
}

fn range_fields(data_type: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("lower", data_type.clone(), true),
        Field::new("upper", data_type.clone(), true),
        Field::new("has_null", DataType::Boolean, false),
    ])
}

fn holds_nan(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => holds_nan(values),
        DataType::RunEndEncoded(_, values) => holds_nan(values.data_type()),
        other => other.is_floating(),
    }
}

/// Observed values in the column's type; NaN becomes NULL even where the column is NOT NULL.
fn observed(column: &Column, values: impl Iterator<Item = f64>) -> Result<ArrayRef> {
    let values: Vec<f64> = values.collect();
    let rows = values.len();
    let mut column = unrounded(column);
    column.field = Arc::new(column.field.as_ref().clone().with_nullable(true));
    column.decode(&Values::Number(values), 0, rows)
}

/// The column with floats that leave as they are instead of on the grid of decimals seen in the data.
fn unrounded(column: &Column) -> Column {
    let mut column = column.without_values();
    if let Domain::Number(NumberDomain { kind: NumberKind::Float { decimals, .. }, .. }) = &mut column.domain
        && holds_nan(column.field.data_type())
    {
        *decimals = None;
    }
    column
}

/// Quotient rounded to the nearest integer, halves away from zero.
fn rounded_quotient(sum: i128, count: i128) -> i128 {
    sum.signum() * ((2 * sum.abs() + count) / (2 * count))
}
