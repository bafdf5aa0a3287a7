//! Columns in the header of a saved model: field, type and domain as JSON that restores them exactly.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use lookalike_core::{
    CategoryDomain, Column, Domain, Error, IdentifierDomain, NumberDomain, NumberKind, Result, Values,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{ensure, inconsistent};

/// A column without values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedColumn {
    field: SavedField,
    domain: SavedDomain,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedField {
    name: String,
    r#type: SavedType,
    nullable: bool,
    metadata: BTreeMap<String, String>,
}

/// The types that have an encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum SavedType {
    Null,
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float16,
    Float32,
    Float64,
    Utf8,
    LargeUtf8,
    Utf8View,
    Date32,
    Date64,
    Timestamp(Unit, Option<String>),
    Time32(Unit),
    Time64(Unit),
    Duration(Unit),
    Decimal32(u8, i8),
    Decimal64(u8, i8),
    Decimal128(u8, i8),
    Decimal256(u8, i8),
    Dictionary(Box<SavedType>, Box<SavedType>),
    RunEndEncoded(Box<SavedField>, Box<SavedField>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Unit {
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl From<TimeUnit> for Unit {
    fn from(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::Second => Self::Second,
            TimeUnit::Millisecond => Self::Millisecond,
            TimeUnit::Microsecond => Self::Microsecond,
            TimeUnit::Nanosecond => Self::Nanosecond,
        }
    }
}

impl From<Unit> for TimeUnit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Second => Self::Second,
            Unit::Millisecond => Self::Millisecond,
            Unit::Microsecond => Self::Microsecond,
            Unit::Nanosecond => Self::Nanosecond,
        }
    }
}

impl SavedType {
    /// `None` for a type that has no encoding, of which there is no column.
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Int8,
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::UInt8 => Self::UInt8,
            DataType::UInt16 => Self::UInt16,
            DataType::UInt32 => Self::UInt32,
            DataType::UInt64 => Self::UInt64,
            DataType::Float16 => Self::Float16,
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Utf8 => Self::Utf8,
            DataType::LargeUtf8 => Self::LargeUtf8,
            DataType::Utf8View => Self::Utf8View,
            DataType::Date32 => Self::Date32,
            DataType::Date64 => Self::Date64,
            DataType::Timestamp(unit, zone) => Self::Timestamp((*unit).into(), zone.as_ref().map(|z| z.to_string())),
            DataType::Time32(unit) => Self::Time32((*unit).into()),
            DataType::Time64(unit) => Self::Time64((*unit).into()),
            DataType::Duration(unit) => Self::Duration((*unit).into()),
            DataType::Decimal32(p, s) => Self::Decimal32(*p, *s),
            DataType::Decimal64(p, s) => Self::Decimal64(*p, *s),
            DataType::Decimal128(p, s) => Self::Decimal128(*p, *s),
            DataType::Decimal256(p, s) => Self::Decimal256(*p, *s),
            DataType::Dictionary(key, value) => Self::Dictionary(Self::of(key)?.into(), Self::of(value)?.into()),
            DataType::RunEndEncoded(ends, values) => {
                Self::RunEndEncoded(SavedField::of(ends)?.into(), SavedField::of(values)?.into())
            }
            _ => return None,
        })
    }

    fn data_type(&self) -> Result<DataType> {
        Ok(match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt8 => DataType::UInt8,
            Self::UInt16 => DataType::UInt16,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::Float16 => DataType::Float16,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Utf8 => DataType::Utf8,
            Self::LargeUtf8 => DataType::LargeUtf8,
            Self::Utf8View => DataType::Utf8View,
            Self::Date32 => DataType::Date32,
            Self::Date64 => DataType::Date64,
            Self::Timestamp(unit, zone) => DataType::Timestamp((*unit).into(), zone.as_deref().map(Arc::from)),
            Self::Time32(unit @ (Unit::Second | Unit::Millisecond)) => DataType::Time32((*unit).into()),
            Self::Time64(unit @ (Unit::Microsecond | Unit::Nanosecond)) => DataType::Time64((*unit).into()),
            Self::Time32(_) | Self::Time64(_) => return Err(inconsistent()),
            Self::Duration(unit) => DataType::Duration((*unit).into()),
            Self::Decimal32(p, s) => DataType::Decimal32(*p, *s),
            Self::Decimal64(p, s) => DataType::Decimal64(*p, *s),
            Self::Decimal128(p, s) => DataType::Decimal128(*p, *s),
            Self::Decimal256(p, s) => DataType::Decimal256(*p, *s),
            Self::Dictionary(key, value) => {
                let (key, value) = (key.data_type()?, value.data_type()?);
                ensure(
                    key.is_dictionary_key_type() && !value.is_nested() && !matches!(value, DataType::Dictionary(..)),
                )?;
                DataType::Dictionary(key.into(), value.into())
            }
            Self::RunEndEncoded(ends, values) => {
                let (ends, values) = (ends.field()?, values.field()?);
                ensure(ends.data_type().is_run_ends_type() && !ends.is_nullable() && !values.data_type().is_nested())?;
                DataType::RunEndEncoded(ends.into(), values.into())
            }
        })
    }
}

impl SavedField {
    pub fn of(field: &Field) -> Option<Self> {
        Some(Self {
            name: field.name().clone(),
            r#type: SavedType::of(field.data_type())?,
            nullable: field.is_nullable(),
            metadata: field.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        })
    }

    pub fn field(&self) -> Result<Field> {
        let metadata = self.metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Field::new(&self.name, self.r#type.data_type()?, self.nullable).with_metadata(metadata))
    }
}

/// An end of a range as text, which is read back bit for bit; JSON's numbers are not.
#[derive(Debug, Clone, Copy, PartialEq)]
struct End(f64);

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// [`Domain`] with ends that are null where there is no value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum SavedDomain {
    Integer { base: i64, step: i64, min: Option<End>, max: Option<End> },
    Float { decimals: Option<u8>, bits: u8, min: Option<End>, max: Option<End> },
    Category { labels: Vec<String> },
    FreshIntegers { first: i64, direction: i64 },
    FreshTexts { prefix: String },
}

/// Bytes of a label: a block of them stays below the 2 GiB that an array of strings can hold.
const LONGEST_LABEL: usize = 1 << 17;

/// Bytes of the prefix of fresh identifiers, `SYN-` or `SYN` with a number.
const LONGEST_PREFIX: usize = 16;

impl SavedColumn {
    /// Of a column whose domain may be saved.
    pub fn of(column: &Column) -> Result<Self> {
        let field = SavedField::of(&column.field).ok_or_else(|| {
            Error::internal(format!("column '{}': {} cannot be saved", column.name(), column.field.data_type()))
        })?;
        let end = |v: f64| (!v.is_nan()).then_some(End(v));
        let domain = match &column.domain {
            Domain::Number(NumberDomain { kind: NumberKind::Integer { base, step }, min, max }) => {
                SavedDomain::Integer { base: *base, step: *step, min: end(*min), max: end(*max) }
            }
            Domain::Number(NumberDomain { kind: NumberKind::Float { decimals, bits }, min, max }) => {
                SavedDomain::Float { decimals: *decimals, bits: *bits, min: end(*min), max: end(*max) }
            }
            Domain::Category(domain) => {
                if let Some(long) = domain.labels.iter().find(|l| l.len() > LONGEST_LABEL) {
                    return Err(Error::data(format!(
                        "column '{}' has a category of {} bytes, a saved model holds at most {LONGEST_LABEL}: shorten it",
                        column.name(),
                        long.len()
                    )));
                }
                SavedDomain::Category { labels: domain.labels.clone() }
            }
            Domain::Identifier(IdentifierDomain::Integer { first, direction }) => {
                SavedDomain::FreshIntegers { first: *first, direction: *direction }
            }
            Domain::Identifier(IdentifierDomain::Text { prefix }) => SavedDomain::FreshTexts { prefix: prefix.clone() },
        };
        Ok(Self { field, domain })
    }

    /// The column; a data error where its domain holds what no column has.
    pub fn column(&self) -> Result<Column> {
        let number = |kind, min: Option<End>, max: Option<End>| {
            let (min, max) = match (min, max) {
                (None, None) => (f64::NAN, f64::NAN),
                (Some(End(min)), Some(End(max))) if min <= max && min.is_finite() && max.is_finite() => (min, max),
                _ => return Err(inconsistent()),
            };
            Ok(Domain::Number(NumberDomain { kind, min, max }))
        };
        let domain = match &self.domain {
            SavedDomain::Integer { base, step, min, max } => {
                // Every stored integer is one of 64 bits, or a little beyond where f64 rounds.
                let reach = |end: &Option<End>| end.map_or(0.0, |e| e.0.abs()) * *step as f64;
                ensure(*step >= 1 && reach(min).max(reach(max)) <= 2f64.powi(66))?;
                number(NumberKind::Integer { base: *base, step: *step }, *min, *max)?
            }
            SavedDomain::Float { decimals, bits, min, max } => {
                ensure(matches!(bits, 16 | 32 | 64) && decimals.is_none_or(|d| d <= 15))?;
                number(NumberKind::Float { decimals: *decimals, bits: *bits }, *min, *max)?
            }
            SavedDomain::Category { labels } => {
                ensure(labels.is_sorted_by(|a, b| a < b) && labels.iter().all(|l| l.len() <= LONGEST_LABEL))?;
                Domain::Category(Arc::new(CategoryDomain { labels: labels.clone() }))
            }
            SavedDomain::FreshIntegers { first, direction } => {
                ensure(direction.abs() == 1)?;
                Domain::Identifier(IdentifierDomain::Integer { first: *first, direction: *direction })
            }
            SavedDomain::FreshTexts { prefix } => {
                ensure(prefix.len() <= LONGEST_PREFIX)?;
                Domain::Identifier(IdentifierDomain::Text { prefix: prefix.clone() })
            }
        };
        let field = self.field.field()?;
        ensure(fits(field.data_type(), &domain))?;
        Ok(Column { field: Arc::new(field), domain, values: Values::Omitted })
    }
}

/// Whether columns of a type have such a domain.
fn fits(data_type: &DataType, domain: &Domain) -> bool {
    match (data_type, domain) {
        (DataType::Dictionary(_, values), domain) => fits(values, domain),
        (DataType::RunEndEncoded(_, values), domain) => fits(values.data_type(), domain),
        (DataType::Boolean | DataType::Null, Domain::Category(_)) => true,
        (DataType::Boolean | DataType::Null, _) => false,
        (t, Domain::Number(NumberDomain { kind: NumberKind::Integer { .. }, .. })) => {
            !t.is_string() && !t.is_floating()
        }
        (t, Domain::Number(_)) => t.is_numeric(),
        (t, Domain::Category(_) | Domain::Identifier(IdentifierDomain::Text { .. })) => t.is_string(),
        (t, Domain::Identifier(IdentifierDomain::Integer { .. })) => !t.is_string() && !t.is_floating(),
    }
}
