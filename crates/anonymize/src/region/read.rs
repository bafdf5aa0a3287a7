//! Released cells that are no texts: values, and structs of two ends.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use lookalike_core::{Error, Result};

use super::keys::Key;
use super::{RawColumn, Region};
use crate::plain_values;

impl RawColumn {
    /// Regions of released values that stand for themselves.
    pub(super) fn read_values(&self, released: &ArrayRef, role: &str) -> Result<Vec<Region>> {
        let values = plain_values(released)?;
        let codes: Vec<Option<u32>> = match &self.keys {
            Some(keys) => {
                let keyed = keys.convert(&values, self.data_type())?;
                keyed.into_iter().map(|key| key.and_then(|key| self.code_of(key))).collect()
            }
            None => {
                let Ok(texts) = cast(&values, &DataType::Utf8) else {
                    return Err(Error::argument(format!(
                        "column '{}' is {} in the relation '{role}' and {} in the relation '{}': cast one of them",
                        self.field.name(),
                        released.data_type(),
                        self.field.data_type(),
                        self.relation,
                    )));
                };
                let codes = texts.as_string::<i32>().iter();
                codes.map(|text| text.and_then(|text| self.by_text.get(text).copied())).collect()
            }
        };
        (0..values.len())
            .map(|row| match codes[row] {
                _ if values.is_null(row) => Ok(self.null_region()),
                None if self.complete => {
                    let text = cast(&values.slice(row, 1), &DataType::Utf8)?;
                    Err(self.unreadable(role, text.as_string::<i32>().value(0)))
                }
                code => Ok(self.value_region(code)),
            })
            .collect()
    }

    /// Code of the raw value with a key.
    pub(super) fn code_of(&self, key: Key) -> Option<u32> {
        let keys = self.keys.as_ref()?;
        let code = keys.below(key, false);
        (keys.below(key, true) > code).then_some(code)
    }

    /// Region of a single value, which may be one that no row has.
    pub(super) fn value_region(&self, code: Option<u32>) -> Region {
        let ranges = self.ranges(code.into_iter().collect(), false);
        Region { ranges, loss: 0.0, level: self.tree.as_ref().map(|_| 0) }
    }

    /// Region of a closed interval of numbers.
    pub(super) fn interval(&self, lower: (Key, bool), upper: (Key, bool), null: bool) -> Option<Region> {
        let keys = self.keys.as_ref()?;
        // Ends that are included count as inside: below the lower end, or not above the upper.
        let (from, to) = (keys.below(lower.0, !lower.1), keys.below(upper.0, upper.1));
        Some(Region { ranges: self.span(from..to, null), loss: keys.width(lower.0, upper.0), level: None })
    }

    /// Regions of structs `{lower, upper, has_null}`.
    pub(super) fn read_structs(&self, released: &ArrayRef, role: &str) -> Result<Vec<Region>> {
        let structs = released.as_struct();
        let (lower, upper) = (structs.column_by_name("lower"), structs.column_by_name("upper"));
        let (Some(lower), Some(upper), Some(keys)) = (lower, upper, &self.keys) else {
            return Err(Error::argument(format!(
                "column '{}' is {} in the relation '{role}': allowed is a struct {{lower, upper, has_null}} of numbers, \
                 dates or times, or one value a cell",
                self.field.name(),
                released.data_type(),
            )));
        };
        let convert = |ends: &ArrayRef| keys.convert(&plain_values(ends)?, self.data_type());
        let (lower, upper) = (convert(lower)?, convert(upper)?);
        let has_null = structs.column_by_name("has_null").and_then(|a| a.as_boolean_opt());
        let mixed = |flags: &BooleanArray, row: usize| !flags.is_null(row) && flags.value(row);
        (0..structs.len())
            .map(|row| {
                if structs.is_null(row) {
                    return Ok(self.null_region());
                }
                let null = has_null.is_some_and(|flags| mixed(flags, row));
                let region = match (lower[row], upper[row]) {
                    (Some(lower), Some(upper)) => self.interval((lower, true), (upper, true), null),
                    _ => None,
                };
                region.ok_or_else(|| {
                    Error::data(format!(
                        "column '{}' of the relation '{role}' holds an interval with an end that is NULL or does not fit \
                         {}",
                        self.field.name(),
                        self.field.data_type(),
                    ))
                })
            })
            .collect()
    }
}
