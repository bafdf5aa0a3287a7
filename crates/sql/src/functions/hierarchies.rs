//! Tables of generalisations, as every function that takes hierarchies reads them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use lookalike_anonymize::{Hierarchy, Levels};
use lookalike_core::{Column, Error, Result};

/// Columns of a table in long form.
const LONG: [&str; 3] = ["value", "level", "label"];

/// The hierarchy of a column from a table: of one column a level, or in long form when its columns are named value,
/// level and label.
pub(crate) fn hierarchy(column: &Column, table: &[RecordBatch]) -> Result<Hierarchy> {
    let place = || format!("hierarchies: the table for column '{}'", column.name());
    match Texts::read(&place, column.field.data_type(), table)? {
        Texts::Wide(levels) => Hierarchy::from_levels(column, &levels),
        Texts::Long(values, levels, labels) => Hierarchy::from_long(column, &values, &levels, &labels),
    }
}

/// The labels of a table by themselves, for values of the given type. `place` names the table in messages.
pub(crate) fn levels(place: &str, data_type: &DataType, table: &[RecordBatch]) -> Result<Levels> {
    match Texts::read(&|| place.to_string(), data_type, table)? {
        Texts::Wide(levels) => Levels::from_levels(place, &levels),
        Texts::Long(values, levels, labels) => Levels::from_long(place, &values, &levels, &labels),
    }
}

/// A table as texts.
enum Texts {
    Wide(Vec<Vec<Option<String>>>),
    Long(Vec<Option<String>>, Vec<Option<i64>>, Vec<Option<String>>),
}

impl Texts {
    fn read(place: &dyn Fn() -> String, data_type: &DataType, table: &[RecordBatch]) -> Result<Self> {
        let Some(first) = table.first() else {
            return Err(Error::data(format!("{} has no rows", place())));
        };
        let schema = first.schema();
        let position = |name: &str| schema.fields().iter().position(|f| f.name() == name);
        let columns: Vec<usize> = LONG.iter().filter_map(|name| position(name)).collect();
        let &[value, level, label] = columns.as_slice() else {
            return Ok(Self::Wide(wide(data_type, table)?));
        };
        if schema.fields().len() != LONG.len() {
            return Ok(Self::Wide(wide(data_type, table)?));
        }
        let level_type = schema.field(level).data_type();
        if !level_type.is_integer() && !level_type.is_string() {
            return Err(Error::data(format!("{}: the column 'level' is {level_type}, allowed are integers", place())));
        }
        let (mut values, mut levels, mut labels) = (vec![], vec![], vec![]);
        for batch in table {
            let printed = canonical(batch.column(label), data_type)?;
            values.extend(texts(&canonical(batch.column(value), data_type)?)?);
            let numbers = cast(batch.column(level), &DataType::Int64)?;
            if let Some(bad) = (0..numbers.len()).find(|&i| numbers.is_null(i) && batch.column(level).is_valid(i)) {
                let found = texts(batch.column(level))?.swap_remove(bad).unwrap_or_default();
                return Err(Error::data(format!("{}: the level '{found}' is no integer", place())));
            }
            let numbers = numbers.as_primitive::<Int64Type>();
            // The label of level 0 is the value, written like it.
            let of_level = texts(batch.column(label))?.into_iter().zip(texts(&printed)?).zip(numbers);
            labels.extend(of_level.map(|((label, value), level)| if level == Some(0) { value } else { label }));
            levels.extend(numbers.iter());
        }
        Ok(Self::Long(values, levels, labels))
    }
}

fn wide(data_type: &DataType, table: &[RecordBatch]) -> Result<Vec<Vec<Option<String>>>> {
    let levels = table.first().map_or(0, RecordBatch::num_columns);
    (0..levels)
        .map(|level| {
            let mut labels = Vec::new();
            for batch in table {
                labels.extend(match level {
                    0 => texts(&canonical(batch.column(level), data_type)?)?,
                    _ => texts(batch.column(level))?,
                });
            }
            Ok(labels)
        })
        .collect()
}

/// Values written as a column of the given type prints them, whatever type the table gives them; those that are none of
/// that type stay as they are.
fn canonical(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if data_type.is_null() {
        return Ok(Arc::clone(values));
    }
    let printed = cast(values, data_type)?;
    if printed.null_count() == values.null_count() {
        return Ok(printed);
    }
    let (printed, given) = (texts(&printed)?, texts(values)?);
    let all = printed.into_iter().zip(given).map(|(printed, given)| printed.or(given));
    Ok(Arc::new(all.collect::<StringArray>()))
}

fn texts(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    let texts = cast(array, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().iter().map(|l| l.map(str::to_string)).collect())
}
