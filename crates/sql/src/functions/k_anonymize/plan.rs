//! What options and schema decide, before any row is read.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use lookalike_anonymize::{METHODS, Method, Rule, find_method, output_field};
use lookalike_core::{EncodeSpec, Error, FrameBuilder, Options, Result, Value};

use super::options::form;
use crate::function::Call;
use crate::functions::common::{distinct, require_column, rules};

#[derive(Debug)]
pub(super) struct Plan {
    pub schema: SchemaRef,
    /// Quasi-identifiers, then sensitive columns.
    pub spec: EncodeSpec,
    pub quasi: usize,
    pub sensitive: usize,
    pub leaving: Vec<Leaving>,
    pub class_id: bool,
    /// Input of the hierarchy of each quasi-identifier and each sensitive column.
    pub hierarchies: Vec<Option<usize>>,
    /// Rule of each of them.
    pub rules: Vec<Option<Rule>>,
    /// Input of the population.
    pub population: Option<usize>,
    /// Columns to keep of each input: those that leave unchanged, and all of a hierarchy.
    pub kept: Vec<Vec<usize>>,
    /// Kept columns whose content orders equal rows.
    pub ordering: Vec<usize>,
}

/// Where a column that leaves comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaving {
    /// What the classes show of this quasi-identifier.
    Generalised(usize),
    /// This one of the kept columns.
    Unchanged(usize),
}

pub(super) fn method(options: &Options) -> Result<&'static dyn Method> {
    options.text("method").map_or(Ok(METHODS[0]), |name| find_method(&name.to_lowercase()))
}

impl Plan {
    pub fn new(call: &Call) -> Result<Self> {
        let input = call.required("input")?;
        let options = &call.options;
        let quasi = options.names("quasi_identifiers");
        if quasi.is_empty() {
            return Err(Error::argument("option 'quasi_identifiers' is empty, allowed is at least one column"));
        }
        let (sensitive, identifiers) = (options.names("sensitive"), options.names("identifiers"));
        for (option, names) in [("quasi_identifiers", &quasi), ("sensitive", &sensitive), ("identifiers", &identifiers)]
        {
            distinct(option, names)?;
            names.iter().try_for_each(|name| require_column(option, name, input))?;
        }
        let unit = options.text("privacy_unit").map(str::to_string);
        if let Some(unit) = &unit {
            require_column("privacy_unit", unit, input)?;
        }
        if let Some(both) = quasi.iter().find(|q| identifiers.contains(q) || unit.as_ref() == Some(q)) {
            return Err(Error::argument(format!(
                "quasi_identifiers: column '{both}' is also named as identifier or privacy unit, which no class can share"
            )));
        }
        if let Some(both) = sensitive.iter().find(|s| quasi.contains(s) || unit.as_ref() == Some(s)) {
            return Err(Error::argument(format!(
                "sensitive: column '{both}' is also named as quasi-identifier or privacy unit: a column is one of them"
            )));
        }
        let generalised: Vec<String> = quasi.iter().chain(&sensitive).cloned().collect();
        let rules = rules(options, &generalised, input)?;
        let (hierarchies, population) = other_inputs(call, &quasi, &sensitive, &rules)?;
        let form = form(options);
        let class_id = options.bool("class_id");
        if class_id && input.column_with_name("class_id").is_some() {
            return Err(Error::argument("class_id: the input has a column 'class_id' already: rename it with AS"));
        }
        let (mut fields, mut leaving, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
        for (i, field) in input.fields().iter().enumerate().filter(|(_, f)| !identifiers.contains(f.name())) {
            match quasi.iter().position(|q| q == field.name()) {
                Some(place) => {
                    leaving.push(Leaving::Generalised(place));
                    fields.push(Arc::new(output_field(field, is_category(field.data_type()), form)));
                }
                None => {
                    leaving.push(Leaving::Unchanged(unchanged.len()));
                    unchanged.push(i);
                    fields.push(Arc::clone(field));
                }
            }
        }
        if class_id {
            fields.push(Arc::new(Field::new("class_id", DataType::Int64, false)));
        }
        let (quasi_count, sensitive_count) = (quasi.len(), sensitive.len());
        let columns = quasi.into_iter().chain(sensitive).collect();
        let spec = EncodeSpec { columns: Some(columns), identifiers: vec![], unit, detect_identifiers: false };
        FrameBuilder::new(Arc::clone(input), spec.clone())?;
        let sortable = |column: &usize| {
            let data_type = input.field(unchanged[*column]).data_type();
            RowConverter::supports_fields(&[SortField::new(data_type.clone())])
        };
        let ordering = (0..unchanged.len()).filter(sortable).collect();
        let tables = call.inputs[1..].iter().map(|(_, schema)| (0..schema.fields().len()).collect());
        let kept = std::iter::once(unchanged).chain(tables).collect();
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            spec,
            quasi: quasi_count,
            sensitive: sensitive_count,
            leaving,
            class_id,
            hierarchies,
            rules,
            population,
            kept,
            ordering,
        })
    }

    /// How the population is encoded: the quasi-identifiers alone.
    pub fn population_spec(&self) -> EncodeSpec {
        let columns = self.spec.columns.iter().flatten().take(self.quasi).cloned().collect();
        EncodeSpec { columns: Some(columns), unit: None, ..self.spec.clone() }
    }
}

/// Inputs that hold hierarchies, one entry a quasi-identifier and sensitive column, and the population's.
fn other_inputs(
    call: &Call,
    quasi: &[String],
    sensitive: &[String],
    rules: &[Option<Rule>],
) -> Result<(Vec<Option<usize>>, Option<usize>)> {
    let mut hierarchies = vec![None; quasi.len() + sensitive.len()];
    if let Some(Value::Map(entries)) = call.options.get("hierarchies") {
        for (column, _) in entries {
            let Some(place) = quasi.iter().chain(sensitive).position(|q| q == column) else {
                return Err(Error::argument(format!(
                    "hierarchies: column '{column}' is neither a quasi-identifier nor sensitive"
                )));
            };
            hierarchies[place] = call.position(&format!("hierarchies.{column}"));
        }
    }
    let distance = call.options.choice("t_distance");
    for (place, column) in (quasi.len()..).zip(sensitive) {
        match (distance.as_deref(), hierarchies[place].is_some() || rules[place].is_some()) {
            (Some("hierarchical"), false) => {
                return Err(Error::argument(format!(
                    "option 't_distance' is 'hierarchical', which needs a hierarchy of column '{column}': \
                     hierarchies => {{'{column}': 'table'}} or rules"
                )));
            }
            (Some("equal" | "ordered"), true) => {
                return Err(Error::argument(format!(
                    "hierarchies: the one of sensitive column '{column}' has no effect where t_distance is '{}'",
                    distance.unwrap_or_default()
                )));
            }
            _ => {}
        }
    }
    let population = call.position("population");
    if let Some((_, schema)) = population.map(|p| &call.inputs[p]) {
        quasi.iter().try_for_each(|name| require_column("population", name, schema))?;
    }
    Ok((hierarchies, population))
}

pub(super) fn is_category(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_category(values),
        DataType::Boolean | DataType::Null => true,
        other => other.is_string(),
    }
}
