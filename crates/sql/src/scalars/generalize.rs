//! `generalize(value, hierarchy, level)`: the label of a value at a level of a rule or of a table of generalisations.

pub(crate) mod tables;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use lookalike_anonymize::Rule;
use lookalike_core::Error;

use self::tables::Table;
use super::{cast_exactly, check_count, constant, on_values, texts};
use crate::error::engine_error;

const NAME: &str = "generalize";
const USAGE: &str = "generalize(value, hierarchy, level)";

/// `generalize(value, hierarchy VARCHAR, level BIGINT) -> VARCHAR`. Calls that name a table get it while the query is
/// planned: see [`tables::resolve`].
#[derive(Debug, Clone)]
pub(crate) struct Generalize {
    signature: Signature,
    table: Option<Arc<Table>>,
}

impl Default for Generalize {
    fn default() -> Self {
        // Stable: a table may change between two statements.
        Self { signature: Signature::user_defined(Volatility::Stable), table: None }
    }
}

impl Generalize {
    /// The function with the table that its calls name.
    fn with_table(table: Arc<Table>) -> Self {
        Self { table: Some(table), ..Self::default() }
    }
}

impl PartialEq for Generalize {
    fn eq(&self, other: &Self) -> bool {
        match (&self.table, &other.table) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Generalize {}

impl Hash for Generalize {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.table.as_ref().map(|table| &table.name).hash(state);
    }
}

fn place(error: Error) -> DataFusionError {
    engine_error(error.within(NAME))
}

/// The rule a hierarchy's text is, unless it names a table. Checks type and level.
fn rule(hierarchy: &str, data_type: &DataType, level: Option<i64>) -> Result<Option<Rule>> {
    if !Rule::is_meant(hierarchy) {
        return Ok(None);
    }
    let rule = Rule::parse(hierarchy).map_err(place)?;
    rule.check_type(data_type).map_err(place)?;
    if let Some(level) = level {
        check_level(level, rule.height(), &format!("rule '{rule}'"))?;
    }
    Ok(Some(rule))
}

fn check_level(level: i64, height: Option<usize>, of: &str) -> Result<usize> {
    match (usize::try_from(level), height) {
        (Ok(level), Some(height)) if level <= height => Ok(level),
        (Ok(level), None) => Ok(level),
        (_, Some(height)) => Err(DataFusionError::Plan(format!(
            "{NAME}: level is {level}, allowed are 0 to {height}, the levels of {of}"
        ))),
        (Err(_), None) => Err(DataFusionError::Plan(format!("{NAME}: level is {level}, allowed are 0, 1, 2, ..."))),
    }
}

fn integer(value: &ScalarValue) -> Result<i64> {
    match value {
        ScalarValue::Int64(Some(level)) => Ok(*level),
        other => Err(DataFusionError::Internal(format!("{NAME}: the level {other} is no BIGINT"))),
    }
}

impl ScalarUDFImpl for Generalize {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        check_count(types.len(), 3..=3, USAGE)?;
        if types[0].is_nested() {
            return Err(DataFusionError::Plan(format!("{NAME}: values of type {} have no text", types[0])));
        }
        if !types[1].is_string() && !types[1].is_null() {
            return Err(DataFusionError::Plan(format!(
                "{NAME}: hierarchy is {}, allowed is a string: a rule such as 'widths(5, 10)' or the name of a table",
                types[1]
            )));
        }
        if !types[2].is_integer() && !types[2].is_null() {
            return Err(DataFusionError::Plan(format!("{NAME}: level is {}, allowed is an integer", types[2])));
        }
        Ok(vec![types[0].clone(), DataType::Utf8, DataType::Int64])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(Some(hierarchy)) = args.scalar_arguments.get(1)
            && let Some(hierarchy) = hierarchy.try_as_str().flatten()
        {
            let level = args.scalar_arguments.get(2).copied().flatten().filter(|level| !level.is_null());
            rule(hierarchy, args.arg_fields[0].data_type(), level.and_then(|level| integer(level).ok()))?;
        }
        // NaN counts as missing.
        let value = &args.arg_fields[0];
        Ok(Arc::new(Field::new(NAME, DataType::Utf8, value.is_nullable() || value.data_type().is_floating())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let hierarchy = constant(NAME, "hierarchy", &args.args[1])?.try_as_str().flatten().unwrap_or_default();
        let level = integer(constant(NAME, "level", &args.args[2])?)?;
        let value = args.args[0].clone();
        if let Some(rule) = rule(hierarchy, &value.data_type(), Some(level))? {
            let level = check_level(level, None, "")?;
            return on_values(value, |values| by_rule(&rule, level, values));
        }
        let Some(table) = self.table.as_ref().filter(|table| table.name == hierarchy) else {
            return Err(DataFusionError::Plan(format!(
                "{NAME}: the table '{hierarchy}' is not loaded: hierarchy has to be a constant, and the query planner that \
                 of Lookalike"
            )));
        };
        let level = check_level(level, Some(table.levels.height()), &format!("table '{hierarchy}'"))?;
        on_values(value, |values| by_table(table, level, values))
    }
}

/// Texts of the values; NaN is missing.
fn present(values: &ArrayRef) -> Result<datafusion::arrow::array::StringArray> {
    if values.data_type().is_floating() {
        let wide = cast_exactly(values, &DataType::Float64)?;
        let nan = wide.as_primitive::<Float64Type>().iter().map(|v| Some(v.is_some_and(f64::is_nan))).collect();
        return texts(NAME, &nullif(values, &nan)?);
    }
    texts(NAME, values)
}

fn by_rule(rule: &Rule, level: usize, values: &ArrayRef) -> Result<ArrayRef> {
    let values = present(values)?;
    let mut labels = StringBuilder::with_capacity(values.len(), values.len() * 8);
    let mut label = String::new();
    for value in &values {
        let Some(value) = value else {
            labels.append_null();
            continue;
        };
        label.clear();
        rule.write_label(value, level, &mut label).map_err(place)?;
        labels.append_value(&label);
    }
    Ok(Arc::new(labels.finish()))
}

fn by_table(table: &Table, level: usize, values: &ArrayRef) -> Result<ArrayRef> {
    let values = present(values)?;
    let mut labels = StringBuilder::with_capacity(values.len(), values.len() * 8);
    for value in &values {
        let Some(value) = value else {
            labels.append_null();
            continue;
        };
        let label = table.levels.label_at(value, level).ok_or_else(|| {
            DataFusionError::Execution(format!("{NAME}: the table '{}' has no row for the value '{value}'", table.name))
        })?;
        labels.append_value(label);
    }
    Ok(Arc::new(labels.finish()))
}
