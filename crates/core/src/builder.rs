//! From Arrow batches to frames: every partition of every relation fills a builder, then all are encoded together so
//! that equal values have equal codes everywhere.

mod identifiers;

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};

use crate::column::value_type;
use crate::raw::{Raw, new_raw};
use crate::{
    CategoryDomain, Column, Domain, Error, Frame, Job, MISSING, NumberDomain, NumberKind, Result, Units, Values,
    closest, list_names,
};
use identifiers::{
    fresh_integers, fresh_texts, is_integer_key, is_text, is_text_identifier, labelled_persons, no_identifier,
    no_person, numbered_persons, person_missing,
};
pub(crate) use identifiers::{identify, persons};

/// Which columns of a relation are encoded, and as what.
#[derive(Debug, Clone, Default)]
pub struct EncodeSpec {
    /// Columns to encode, in this order; all but the unit when `None`.
    pub columns: Option<Vec<String>>,
    /// Columns known to be identifiers.
    pub identifiers: Vec<String>,
    /// Column that names the person a row belongs to.
    pub unit: Option<String>,
    /// The argument that named this column, for errors; `privacy_unit` unless given.
    pub unit_argument: Option<&'static str>,
    /// Whether unique strings and keys are recognised as identifiers.
    pub detect_identifiers: bool,
}

/// Rows of one partition of one relation on their way into a [`Frame`].
#[derive(Debug)]
pub struct FrameBuilder {
    fields: Vec<FieldRef>,
    indices: Vec<usize>,
    raws: Vec<Raw>,
    unit: Option<(FieldRef, usize, Raw)>,
    spec: EncodeSpec,
    rows: usize,
}

impl EncodeSpec {
    /// The argument that names persons, and their column, for errors.
    pub(crate) fn unit_names(&self) -> [&str; 2] {
        [self.unit_argument.unwrap_or("privacy_unit"), self.unit.as_deref().unwrap_or_default()]
    }
}

impl FrameBuilder {
    /// A builder for batches of the given schema. Fails when a named column does not exist or has a type that has no
    /// encoding.
    pub fn new(schema: SchemaRef, spec: EncodeSpec) -> Result<Self> {
        let find = |name: &str| {
            schema.fields().iter().position(|f| f.name() == name).ok_or_else(|| {
                let names = || schema.fields().iter().map(|f| f.name().as_str());
                let hint = closest(name, names()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
                Error::argument(format!("there is no column '{name}'{hint} (columns: {})", list_names(names())))
            })
        };
        let unit = spec.unit.as_deref().map(find).transpose()?;
        let indices = match &spec.columns {
            Some(names) => names.iter().map(|n| find(n)).collect::<Result<Vec<_>>>()?,
            None => (0..schema.fields().len()).filter(|i| unit.is_none_or(|u| u != *i)).collect(),
        };
        for name in &spec.identifiers {
            find(name)?;
        }
        let new = |i: usize| {
            let field = schema.field(i);
            new_raw(field.data_type()).ok_or_else(|| unsupported(field.name(), field.data_type()))
        };
        let raws = indices.iter().map(|&i| new(i)).collect::<Result<_>>()?;
        let unit = unit.map(|i| new(i).map(|raw| (Arc::clone(&schema.fields()[i]), i, raw))).transpose()?;
        let fields = indices.iter().map(|&i| Arc::clone(&schema.fields()[i])).collect();
        Ok(Self { fields, indices, raws, unit, spec, rows: 0 })
    }

    /// Takes in a batch.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        for ((raw, &i), field) in self.raws.iter_mut().zip(&self.indices).zip(&self.fields) {
            raw.push(batch.column(i), field.name())?;
        }
        if let Some((field, i, raw)) = &mut self.unit {
            raw.push(batch.column(*i), field.name())?;
        }
        self.rows += batch.num_rows();
        if self.rows >= MISSING as usize {
            return Err(Error::resources(format!("more than {} rows in one relation", MISSING - 1)));
        }
        Ok(())
    }

    /// The same rows with identifiers and persons as columns like any others, the person's last: of a part of a relation,
    /// where the whole has to be seen before these are told ([`crate::ColumnStore::sorted`]).
    pub fn plain(mut self) -> Self {
        if let Some((field, index, raw)) = self.unit.take() {
            self.fields.push(field);
            self.indices.push(index);
            self.raws.push(raw.into_texts());
        }
        self.spec = EncodeSpec { columns: self.spec.columns, ..EncodeSpec::default() };
        self
    }

    /// Rows taken in.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.raws.iter().chain(self.unit.iter().map(|u| &u.2)).map(Raw::memory).sum()
    }
}

fn unsupported(name: &str, data_type: &DataType) -> Error {
    let way_out = match data_type {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..) => {
            format!("unnest({name}) gives one row an element")
        }
        DataType::Struct(_) => format!("select its fields, such as {name}['field']"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            format!("encode({name}, 'hex') makes it a string")
        }
        DataType::Interval(_) => "cast it to a number of days or seconds".to_string(),
        _ => "cast it to a number or string".to_string(),
    };
    let data_type = match data_type {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "a list".into(),
        DataType::Struct(_) => "a struct".into(),
        DataType::Map(..) => "a map".into(),
        other => format!("of type {other}"),
    };
    Error::argument(format!(
        "column '{name}' is {data_type}, which is not supported: {way_out}, or leave it out with SELECT * EXCEPT ({name})"
    ))
}

/// Encodes relations together, one frame each. Each relation is its partitions in order; all builders were made
/// with the same columns in the same order and of the same types, but a relation may end earlier than the first one.
/// Domains are those of the union of all relations.
pub fn encode(relations: Vec<Vec<FrameBuilder>>, job: &Job) -> Result<Vec<Frame>> {
    let Some(first) = relations.iter().flatten().next() else {
        return Ok(vec![]);
    };
    let (fields, spec, columns) = (first.fields.clone(), first.spec.clone(), first.raws.len());
    let widths: Vec<usize> = relations.iter().map(|r| r.first().map_or(columns, |b| b.raws.len())).collect();
    if relations.iter().zip(&widths).any(|(r, width)| *width > columns || r.iter().any(|b| b.raws.len() != *width)) {
        return Err(Error::internal("relations with different numbers of columns are encoded together"));
    }
    let rows: Vec<usize> = relations.iter().map(|r| r.iter().map(|b| b.rows).sum()).collect();
    let mut relations = relations;
    let mut frames: Vec<Vec<Column>> = rows.iter().map(|_| Vec::with_capacity(columns)).collect();
    for (c, field) in fields.iter().enumerate() {
        job.check()?;
        let has = |relation: &usize| c < widths[*relation];
        let holders: Vec<usize> = (0..relations.len()).filter(has).collect();
        let raws: Vec<Vec<Raw>> = holders
            .iter()
            .map(|&relation| relations[relation].iter_mut().map(|b| take_raw(&mut b.raws[c])).collect())
            .collect();
        let largest = raws.iter().map(|r| r.iter().map(Raw::memory).sum::<usize>()).max().unwrap_or(0);
        let _working = job.reserve(largest, "encoding a column")?;
        let known = spec.identifiers.iter().any(|n| n == field.name());
        let columns = encode_column(field, raws, known, spec.detect_identifiers)?;
        holders.into_iter().zip(columns).for_each(|(relation, column)| frames[relation].push(column));
    }
    // Some of the relations may have a unit and others none.
    let mut units: Vec<Option<Units>> = Vec::with_capacity(relations.len());
    for builders in &mut relations {
        let parts: Vec<(FieldRef, usize, Raw)> = builders.iter_mut().filter_map(|b| b.unit.take()).collect();
        let raws: Vec<Raw> = parts.into_iter().map(|(.., raw)| raw).collect();
        units.push((!raws.is_empty()).then(|| encode_units(spec.unit_names(), raws)).transpose()?);
    }
    Ok(frames
        .into_iter()
        .zip(rows)
        .zip(units)
        .map(|((columns, rows), units)| Frame::new(rows, columns, units))
        .collect())
}

fn take_raw(raw: &mut Raw) -> Raw {
    std::mem::replace(raw, Raw::Float(vec![]))
}

fn encode_column(field: &FieldRef, mut raws: Vec<Vec<Raw>>, known: bool, detect: bool) -> Result<Vec<Column>> {
    let relations = raws.len();
    let column = |domain: Domain, values: Values| Column { field: Arc::clone(field), domain, values };
    // One wide partition makes all partitions wide.
    let kinds = |wanted: fn(&Raw) -> bool, raws: &Vec<Vec<Raw>>| raws.iter().flatten().any(wanted);
    if kinds(|r| matches!(r, Raw::Float(_)), &raws) {
        raws.iter_mut().flatten().for_each(Raw::widen);
        let mut all: Vec<Vec<f64>> = raws.into_iter().map(|parts| concat(parts.into_iter().map(floats))).collect();
        let domain =
            if matches!(value_type(field.data_type()), DataType::Float16 | DataType::Float32 | DataType::Float64) {
                float_domain(field, &all)
            } else {
                let (min, max) = range(&all);
                NumberDomain { kind: NumberKind::Float { decimals: Some(0), bits: 64 }, min, max }
            };
        if known {
            return Err(no_identifier(field));
        }
        return Ok(all.iter_mut().map(|v| column(Domain::Number(domain), Values::Number(take(v)))).collect());
    }
    if kinds(|r| matches!(r, Raw::Integer { .. }), &raws) {
        let all: Vec<(Vec<i64>, Vec<u32>)> = raws.into_iter().map(concat_integers).collect();
        let present = |part: &(Vec<i64>, Vec<u32>)| present_integers(&part.0, &part.1).collect();
        if known || (detect && all.iter().any(|part| is_integer_key(field, present(part)))) {
            let domain = Domain::Identifier(fresh_integers(|| {
                all.iter().flat_map(|(values, missing)| present_integers(values, missing))
            }));
            return Ok((0..relations).map(|_| column(domain.clone(), Values::Omitted)).collect());
        }
        let domain = integer_domain(field, &all);
        return Ok(all
            .into_iter()
            .map(|(v, m)| column(Domain::Number(domain), Values::Number(relative(v, &m, &domain))))
            .collect());
    }
    let labels: Vec<String> = raws
        .iter()
        .flatten()
        .flat_map(|r| match r {
            Raw::Text { labels, .. } => labels.codes.keys().map(String::as_str).collect(),
            _ => vec![],
        })
        .collect::<BTreeSet<&str>>()
        .into_iter()
        .map(String::from)
        .collect();
    let all: Vec<Vec<u32>> =
        raws.into_iter().map(|parts| concat(parts.into_iter().map(|raw| recode(raw, &labels)))).collect();
    let is_text = is_text(field);
    if known || (detect && is_text && all.iter().any(|codes| is_text_identifier(codes, labels.len()))) {
        if !is_text {
            return Err(no_identifier(field));
        }
        let domain = Domain::Identifier(fresh_texts(&labels));
        return Ok((0..relations).map(|_| column(domain.clone(), Values::Omitted)).collect());
    }
    let domain = Arc::new(CategoryDomain { labels });
    Ok(all.into_iter().map(|codes| column(Domain::Category(Arc::clone(&domain)), Values::Code(codes))).collect())
}

fn concat<T>(parts: impl Iterator<Item = Vec<T>>) -> Vec<T> {
    parts
        .reduce(|mut all, part| {
            all.extend(part);
            all
        })
        .unwrap_or_default()
}

fn floats(raw: Raw) -> Vec<f64> {
    match raw {
        Raw::Float(values) => values,
        _ => vec![],
    }
}

fn concat_integers(parts: Vec<Raw>) -> (Vec<i64>, Vec<u32>) {
    let mut all: (Vec<i64>, Vec<u32>) = (vec![], vec![]);
    for part in parts {
        if let Raw::Integer { values, missing } = part {
            let start = all.0.len() as u32;
            if all.0.is_empty() {
                all.0 = values;
            } else {
                all.0.extend(values);
            }
            all.1.extend(missing.into_iter().map(|i| start + i));
        }
    }
    all
}

/// Codes of the sorted labels instead of those of first appearance.
fn recode(raw: Raw, labels: &[String]) -> Vec<u32> {
    let Raw::Text { mut codes, labels: mine } = raw else { return vec![] };
    let mut to_sorted = vec![MISSING; mine.codes.len()];
    for (label, code) in &mine.codes {
        if let Ok(sorted) = labels.binary_search_by(|l| l.cmp(label)) {
            to_sorted[*code as usize] = sorted as u32;
        }
    }
    for code in &mut codes {
        if *code != MISSING {
            *code = to_sorted[*code as usize];
        }
    }
    codes
}

fn range(all: &[Vec<f64>]) -> (f64, f64) {
    let present = || all.iter().flatten().copied().filter(|v| !v.is_nan());
    (present().reduce(f64::min).unwrap_or(f64::NAN), present().reduce(f64::max).unwrap_or(f64::NAN))
}

/// More decimal places than this are taken as "any".
const MAX_DECIMALS: u8 = 9;

fn float_domain(field: &FieldRef, all: &[Vec<f64>]) -> NumberDomain {
    let (min, max) = range(all);
    let bits = match value_type(field.data_type()) {
        DataType::Float16 => 16,
        DataType::Float32 => 32,
        _ => 64,
    };
    let tolerance = match bits {
        16 => 1e-3,
        32 => 1e-6,
        _ => 1e-13,
    };
    let mut places = 0u8;
    'values: for v in all.iter().flatten().copied().filter(|v| !v.is_nan()) {
        loop {
            let scaled = v * 10f64.powi(i32::from(places));
            if (scaled - scaled.round()).abs() <= tolerance * scaled.abs() {
                break;
            }
            places += 1;
            if places > MAX_DECIMALS {
                break 'values;
            }
        }
    }
    let decimals = (places <= MAX_DECIMALS).then_some(places);
    NumberDomain { kind: NumberKind::Float { decimals, bits }, min, max }
}

/// Integers up to here are exact as f64.
const EXACT: u64 = 1 << 53;

fn integer_domain(field: &FieldRef, all: &[(Vec<i64>, Vec<u32>)]) -> NumberDomain {
    let present = || all.iter().flat_map(|(values, missing)| present_integers(values, missing));
    let (mut base, mut step) = (0i64, 1i64);
    let (Some(min), Some(max)) = (present().min(), present().max()) else {
        return NumberDomain { kind: NumberKind::Integer { base, step }, min: f64::NAN, max: f64::NAN };
    };
    let is_time = matches!(
        value_type(field.data_type()),
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) | DataType::Duration(_) | DataType::Date64
    );
    if is_time || min.unsigned_abs() > EXACT || max.unsigned_abs() > EXACT {
        base = min;
        let mut divisor = 0u64;
        for v in present() {
            divisor = gcd(v.abs_diff(min), divisor);
            if divisor == 1 {
                break;
            }
        }
        step = i64::try_from(divisor.max(1)).unwrap_or(1);
    }
    let encoded = |v: i64| v.abs_diff(base) as f64 / step as f64 * if v < base { -1.0 } else { 1.0 };
    NumberDomain { kind: NumberKind::Integer { base, step }, min: encoded(min), max: encoded(max) }
}

pub(crate) fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn present_integers<'a>(values: &'a [i64], missing: &'a [u32]) -> impl Iterator<Item = i64> + 'a {
    let mut missing = missing.iter().copied().peekable();
    values.iter().enumerate().filter_map(move |(i, &v)| {
        if missing.peek() == Some(&(i as u32)) {
            missing.next();
            None
        } else {
            Some(v)
        }
    })
}

fn relative(values: Vec<i64>, missing: &[u32], domain: &NumberDomain) -> Vec<f64> {
    let NumberKind::Integer { base, step } = domain.kind else { return vec![] };
    let mut encoded: Vec<f64> = if base == 0 && step == 1 {
        values.into_iter().map(|v| v as f64).collect()
    } else {
        let step = step.unsigned_abs();
        values.into_iter().map(|v| if v < base { 0.0 } else { (v.abs_diff(base) / step) as f64 }).collect()
    };
    for &i in missing {
        encoded[i as usize] = f64::NAN;
    }
    encoded
}

fn encode_units(unit: [&str; 2], parts: Vec<Raw>) -> Result<Units> {
    if parts.iter().any(|p| matches!(p, Raw::Text { .. })) {
        let labels: Vec<String> = parts
            .iter()
            .flat_map(|r| match r {
                Raw::Text { labels, .. } => labels.codes.keys().map(String::as_str).collect(),
                _ => vec![],
            })
            .collect::<BTreeSet<&str>>()
            .into_iter()
            .map(String::from)
            .collect();
        let codes = concat(parts.into_iter().map(|raw| recode(raw, &labels)));
        return labelled_persons(unit, codes);
    }
    if parts.iter().any(|p| matches!(p, Raw::Float(_))) {
        return Err(no_person(unit));
    }
    let (values, nulls) = concat_integers(parts);
    if !nulls.is_empty() {
        return Err(person_missing(unit, nulls.len()));
    }
    Ok(numbered_persons(&values))
}

#[cfg(test)]
mod tests;
