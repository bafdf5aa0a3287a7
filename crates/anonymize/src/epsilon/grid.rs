//! Where released values lie: a grid or a list of labels that is known without the data.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use hashbrown::{HashMap, HashSet};
use lookalike_core::{
    CategoryDomain, Column, Domain, EncodeSpec, Error, FrameBuilder, Job, MISSING, NumberDomain, NumberKind, Result,
    Values, encode,
};

use super::Bounds;

/// Steps of a float column without a step of its own.
const FLOAT_STEPS: u64 = 1 << 20;

/// Steps of a float column at most: far from where grid points would no longer be told apart.
const MAX_FLOAT_STEPS: f64 = (1u64 << 40) as f64;

/// Integers up to here are exact as f64.
const EXACT: f64 = (1u64 << 53) as f64;

/// The released values of a column: points `0..=steps` of a grid, or labels.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Grid {
    /// Stored integers `lower + step * point`.
    Integer { lower: i64, step: u64, steps: u64 },
    /// Numbers between the bounds.
    Float { lower: f64, upper: f64, step: f64, steps: u64 },
    /// The public labels.
    Labels(Arc<CategoryDomain>),
}

impl Grid {
    /// The grid of explicit bounds; `None` for those of the data.
    pub fn new(field: &FieldRef, bounds: &Bounds) -> Result<Option<Grid>> {
        let is_number = matches!(empty(field)?.domain, Domain::Number(_));
        let (name, data_type) = (field.name(), field.data_type());
        let nullable = match bounds {
            Bounds::Number { nullable, .. } | Bounds::Labels { nullable, .. } => *nullable,
            Bounds::FromData => return Ok(None),
        };
        if nullable && !field.is_nullable() {
            return Err(Error::argument(format!("bounds: column '{name}' is NOT NULL, its bounds cannot allow NULL")));
        }
        match bounds {
            Bounds::Number { .. } if !is_number => Err(Error::argument(format!(
                "bounds: column '{name}' is of type {data_type}, it needs the list of all labels it may hold, not a \
                 lower and an upper bound"
            ))),
            Bounds::Labels { .. } if is_number => Err(Error::argument(format!(
                "bounds: column '{name}' is of type {data_type}, it needs a lower and an upper bound, not a list of \
                 labels"
            ))),
            Bounds::Number { lower, upper, step, .. } => Self::of_numbers(field, lower, upper, *step).map(Some),
            Bounds::Labels { labels, .. } => Self::of_labels(field, labels).map(Some),
            Bounds::FromData => Ok(None),
        }
    }

    fn of_numbers(field: &FieldRef, lower: &str, upper: &str, step: Option<f64>) -> Result<Grid> {
        let (name, data_type) = (field.name(), field.data_type());
        let (domain, ends) = parse(field, [lower, upper])?;
        let above = || {
            Error::argument(format!(
                "bounds: the lower bound {lower} of column '{name}' is above its upper bound {upper}"
            ))
        };
        if let NumberKind::Integer { .. } = domain.kind {
            let step = match step {
                None => 1,
                Some(s) if (1.0..=EXACT).contains(&s) && s.fract() == 0.0 => s as u64,
                Some(s) => {
                    return Err(Error::argument(format!(
                        "bounds: the step of column '{name}' is {s}, allowed for {data_type} is a whole number of at \
                         least 1 (days of a date, ticks of a timestamp, units of the last decimal place)"
                    )));
                }
            };
            let [Some(low), Some(high)] = ends.map(|v| domain.stored(v)) else {
                return Err(Error::internal("epsilon: bounds of an integer column are no integers"));
            };
            if low > high {
                return Err(above());
            }
            return Ok(Grid::Integer { lower: low, step, steps: high.abs_diff(low) / step });
        }
        if !data_type_is_float(data_type) {
            return Err(Error::argument(format!(
                "bounds: [{lower}, {upper}] of column '{name}' do not fit 64 bits, allowed are signed integers of 64 bits"
            )));
        }
        let [low, high] = ends;
        if low > high {
            return Err(above());
        }
        let width = high - low;
        let (step, steps) = match step {
            None => (width / FLOAT_STEPS as f64, FLOAT_STEPS),
            // The margin undoes the binary representation of steps such as 0.1.
            Some(s) if s > 0.0 && width / s <= MAX_FLOAT_STEPS => (s, (width / s + 1e-9).floor() as u64),
            Some(s) => {
                return Err(Error::argument(format!(
                    "bounds: the step of column '{name}' is {s}, allowed is a number above 0 that divides the bounds \
                     into at most {MAX_FLOAT_STEPS} steps"
                )));
            }
        };
        let steps = if width == 0.0 { 0 } else { steps };
        if !width.is_finite() {
            return Err(Error::argument(format!("bounds: [{lower}, {upper}] of column '{name}' are too far apart")));
        }
        Ok(Grid::Float { lower: low, upper: high, step, steps })
    }

    fn of_labels(field: &FieldRef, labels: &[String]) -> Result<Grid> {
        let name = field.name();
        if labels.is_empty() || labels.len() >= (MISSING - 1) as usize {
            return Err(Error::argument(format!("bounds: the labels of column '{name}' are empty, give at least one")));
        }
        let mut seen = HashSet::new();
        if let Some(label) = labels.iter().find(|l| !seen.insert(l.as_str())) {
            return Err(Error::argument(format!("bounds: label '{label}' of column '{name}' is given twice")));
        }
        let is_truth = |l: &&String| *l != "true" && *l != "false";
        if let (DataType::Boolean, Some(label)) = (field.data_type(), labels.iter().find(is_truth)) {
            return Err(Error::argument(format!(
                "bounds: label '{label}' of column '{name}' of type Boolean, allowed are 'true' and 'false'"
            )));
        }
        Ok(Grid::Labels(Arc::new(CategoryDomain { labels: labels.to_vec() })))
    }

    /// The grid that the column's own values span; `None` when all are missing. Nothing about it is private.
    pub fn of_data(column: &Column) -> Result<Option<Grid>> {
        Ok(match &column.domain {
            Domain::Category(domain) => (!domain.labels.is_empty()).then(|| Grid::Labels(Arc::clone(domain))),
            Domain::Number(domain) if domain.min.is_nan() => None,
            Domain::Number(domain) => Some(match domain.kind {
                NumberKind::Integer { .. } => {
                    let end = |v| domain.stored(v).unwrap_or_default();
                    let (lower, upper) = (end(domain.min), end(domain.max));
                    Grid::Integer { lower, step: 1, steps: upper.abs_diff(lower) }
                }
                NumberKind::Float { .. } => {
                    let width = domain.max - domain.min;
                    let steps = if width == 0.0 { 0 } else { FLOAT_STEPS };
                    let step = width / FLOAT_STEPS as f64;
                    Grid::Float { lower: domain.min, upper: domain.max, step, steps }
                }
            }),
            Domain::Identifier(_) => return Err(identifier(column.name())),
        })
    }

    /// Number of the last point.
    pub fn last(&self) -> u64 {
        match self {
            Grid::Integer { steps, .. } | Grid::Float { steps, .. } => *steps,
            Grid::Labels(domain) => domain.labels.len() as u64 - 1,
        }
    }

    /// The point nearest to each value of the column, within the bounds; `None` for missing ones. Depends, row by row,
    /// on that row alone. A data error for labels that are not public.
    pub fn points(&self, column: &Column) -> Result<Vec<Option<u64>>> {
        match (self, &column.domain, &column.values) {
            (Grid::Integer { lower, step, steps }, Domain::Number(domain), Values::Number(values)) => {
                if matches!(domain.kind, NumberKind::Float { .. }) {
                    return Err(Error::data(format!(
                        "column '{}' holds integers beyond 64 bits signed: cast it to a floating-point type",
                        column.name()
                    )));
                }
                // Beyond that the encoding of a value would depend on the others.
                if domain.min.abs().max(domain.max.abs()) > EXACT {
                    return Err(Error::data(format!(
                        "the values of column '{}' lie more than 2^53 units apart, too far to be held exactly: cast it \
                         to a coarser type, such as DATE or a TIMESTAMP of milliseconds",
                        column.name()
                    )));
                }
                let point = |v: &f64| {
                    let offset = i128::from(domain.stored(*v).filter(|_| !v.is_nan())?) - i128::from(*lower);
                    let nearest = (offset.max(0) * 2 + i128::from(*step)) / (i128::from(*step) * 2);
                    Some(nearest.min(i128::from(*steps)) as u64)
                };
                Ok(values.iter().map(point).collect())
            }
            (Grid::Float { lower, upper, step, steps }, Domain::Number(_), Values::Number(values)) => {
                let point = |v: &f64| {
                    let offset = if *steps == 0 { 0.0 } else { (v.clamp(*lower, *upper) - lower) / step };
                    (!v.is_nan()).then(|| (offset.round() as u64).min(*steps))
                };
                Ok(values.iter().map(point).collect())
            }
            (Grid::Labels(public), Domain::Category(domain), Values::Code(codes)) => {
                let known: HashMap<&str, u64> = public.labels.iter().map(String::as_str).zip(0..).collect();
                let point_of: Vec<Option<u64>> = domain.labels.iter().map(|l| known.get(l.as_str()).copied()).collect();
                let unknown = codes.iter().filter(|&&c| c != MISSING && point_of[c as usize].is_none()).min();
                if let Some(&code) = unknown {
                    return Err(Error::data(format!(
                        "bounds: column '{}' holds '{}', which is not among the {} labels of its bounds: add it to them, \
                         or replace it in the input",
                        column.name(),
                        domain.labels[code as usize],
                        public.labels.len()
                    )));
                }
                Ok(codes.iter().map(|&c| point_of.get(c as usize).copied().flatten()).collect())
            }
            (_, Domain::Identifier(_), _) => Err(identifier(column.name())),
            _ => Err(Error::internal(format!("epsilon: bounds of another type for column '{}'", column.name()))),
        }
    }

    /// Points as an array of the column's type; `None` is NULL.
    pub fn decode(&self, field: &FieldRef, points: &[Option<u64>]) -> Result<ArrayRef> {
        let column = |domain| Column { field: Arc::clone(field), domain, values: Values::Omitted };
        match self {
            Grid::Integer { lower, step, .. } => {
                // Inside the bounds, which fit.
                let stored = |p: u64| (i128::from(*lower) + i128::from(p) * i128::from(*step)) as i64;
                let stored: Vec<Option<i64>> = points.iter().map(|p| p.map(stored)).collect();
                let kind = NumberKind::Integer { base: 0, step: 1 };
                column(Domain::Number(NumberDomain { kind, min: f64::NAN, max: f64::NAN })).decode_stored(&stored)
            }
            Grid::Float { lower, upper, .. } => {
                let values = points.iter().map(|p| p.map_or(f64::NAN, |p| self.float(p))).collect();
                // Bounds of the mechanism, not of the data.
                let kind = NumberKind::Float { decimals: None, bits: 64 };
                let domain = NumberDomain { kind, min: *lower, max: *upper };
                column(Domain::Number(domain)).decode(&Values::Number(values), 0, points.len())
            }
            Grid::Labels(domain) => {
                let codes = points.iter().map(|p| p.map_or(MISSING, |p| p as u32)).collect();
                column(Domain::Category(Arc::clone(domain))).decode(&Values::Code(codes), 0, points.len())
            }
        }
    }

    /// The number of a point of a float grid. Steps such as 0.1 are taken as one tenth, so that 3 of them are 0.3.
    fn float(&self, point: u64) -> f64 {
        let Grid::Float { lower, upper, step, steps } = *self else { return f64::NAN };
        let parts = (1.0 / step).round();
        let first = (lower * parts).round();
        let value = if (parts * step - 1.0).abs() < 1e-12 && (lower * parts - first).abs() < 1e-9 {
            (first + point as f64) / parts
        } else if point == steps && steps == FLOAT_STEPS {
            upper
        } else {
            lower + step * point as f64
        };
        value.clamp(lower, upper)
    }
}

fn identifier(name: &str) -> Error {
    Error::argument(format!("bounds: column '{name}' is an identifier, which cannot be released"))
}

fn data_type_is_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => data_type_is_float(values),
        DataType::RunEndEncoded(_, values) => data_type_is_float(values.data_type()),
        other => other.is_floating(),
    }
}

/// A column of the field's type without rows, to learn how the type is encoded.
fn empty(field: &FieldRef) -> Result<Column> {
    encoded(field, None)
}

fn encoded(field: &FieldRef, values: Option<ArrayRef>) -> Result<Column> {
    let field = Field::new(field.name(), field.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let mut builder = FrameBuilder::new(Arc::clone(&schema), EncodeSpec::default())?;
    if let Some(values) = values {
        builder.push(&RecordBatch::try_new(schema, vec![values])?)?;
    }
    let frame = encode(vec![vec![builder]], &Job::unbounded())?.pop();
    let column = frame.and_then(|f| f.columns().first().cloned());
    column.ok_or_else(|| Error::internal("epsilon: a column got lost"))
}

/// The two bounds as the column's type reads them, encoded.
fn parse(field: &FieldRef, bounds: [&str; 2]) -> Result<(NumberDomain, [f64; 2])> {
    let wrong = |bound: &str, why: String| {
        let (name, data_type) = (field.name(), field.data_type());
        Error::argument(format!("bounds: '{bound}' of column '{name}' is no {data_type}{why}"))
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    for bound in bounds {
        let text: ArrayRef = Arc::new(StringArray::from(vec![bound]));
        let one = cast_with_options(&text, field.data_type(), &options).map_err(|e| wrong(bound, format!(": {e}")))?;
        match encoded(field, Some(one)).map(|c| c.domain) {
            Ok(Domain::Number(domain)) if domain.min.is_finite() => {}
            _ => return Err(wrong(bound, " that has a distance to others".into())),
        }
    }
    let text: ArrayRef = Arc::new(StringArray::from(bounds.to_vec()));
    let column = encoded(field, Some(cast_with_options(&text, field.data_type(), &options)?))?;
    match (column.domain, &column.values) {
        (Domain::Number(domain), Values::Number(v)) if v.len() == 2 => Ok((domain, [v[0], v[1]])),
        _ => Err(Error::internal("epsilon: bounds that are no numbers")),
    }
}
