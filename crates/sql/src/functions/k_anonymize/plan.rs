//! What options and schema decide, before any row is read.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use lookalike_anonymize::{METHODS, Method, Rule, find_method, output_field};
use lookalike_core::{EncodeSpec, Error, FrameBuilder, Options, Result, Value};

use super::items::ListColumn;
use super::options::form;
use super::{claim, noise};
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
    /// Whether the guarantee leaves as a column.
    pub guarantee: bool,
    /// The list column, with its place among the kept columns.
    pub items: Option<(ListColumn, usize)>,
    /// Columns that leave with noise, and the unit where they or the lists need it, out of the kept columns.
    pub apart: EncodeSpec,
    /// Schema of the kept columns of the input.
    pub kept_schema: SchemaRef,
    /// Input of the hierarchy of each quasi-identifier, each sensitive column and the list column.
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
    /// The recoded lists.
    Lists,
    /// This one of the columns with noise.
    Noise(usize),
}

pub(super) fn method(options: &Options) -> Result<&'static dyn Method> {
    options.text("method").map_or(Ok(METHODS[0]), |name| find_method(&name.to_lowercase()))
}

impl Plan {
    pub fn new(call: &Call) -> Result<Self> {
        let input = call.required("input")?;
        let options = &call.options;
        let quasi = options.names("quasi_identifiers");
        let items = ListColumn::new(options, input)?;
        let with_noise = noise::columns(options, input)?;
        if quasi.is_empty() && (items.is_none() || options.get("quasi_identifiers").is_some()) {
            return Err(Error::argument(match options.get("quasi_identifiers") {
                Some(_) => "option 'quasi_identifiers' is empty, allowed is at least one column",
                None => {
                    "option 'quasi_identifiers' is required: quasi_identifiers => a list of strings such as ['age', 'sex']"
                }
            }));
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
        let list = items.as_ref().map(|items| &items.name);
        let of_parts = list.iter().map(|l| ("items", *l)).chain(with_noise.iter().map(|n| ("epsilon_columns", n)));
        for (option, name) in of_parts {
            let is_list = option == "epsilon_columns" && Some(name) == list;
            if is_list
                || unit.as_ref() == Some(name)
                || [&quasi, &sensitive, &identifiers].iter().any(|o| o.contains(name))
            {
                return Err(Error::argument(format!(
                    "{option}: column '{name}' is also named as quasi-identifier, sensitive, identifier, privacy unit or \
                     items: a column is one of them"
                )));
            }
        }
        let generalised: Vec<String> = quasi.iter().chain(&sensitive).chain(list).cloned().collect();
        let rules = rules(options, &generalised, &with_elements(input, items.as_ref()))?;
        let (hierarchies, population) = other_inputs(call, &quasi, &sensitive, &generalised, &rules)?;
        let form = form(options);
        let class_id = options.bool("class_id");
        if class_id && quasi.is_empty() {
            return Err(Error::argument("class_id: there are no classes without quasi_identifiers"));
        }
        let guarantee = options.bool("guarantee");
        for (added, name) in [(class_id, "class_id"), (guarantee, "guarantee")] {
            if added && input.column_with_name(name).is_some() {
                return Err(Error::argument(format!(
                    "{name}: the input has a column '{name}' already: rename it with AS"
                )));
            }
        }
        let (mut fields, mut leaving, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
        let mut kept_list = None;
        for (i, field) in input.fields().iter().enumerate().filter(|(_, f)| !identifiers.contains(f.name())) {
            match quasi.iter().position(|q| q == field.name()) {
                Some(place) => {
                    leaving.push(Leaving::Generalised(place));
                    fields.push(Arc::new(output_field(field, is_category(field.data_type()), form)));
                }
                None => {
                    let of_items = items.as_ref().filter(|items| items.name == *field.name());
                    let noise = with_noise.iter().position(|n| n == field.name()).map(Leaving::Noise);
                    if let Some(items) = of_items {
                        kept_list = Some((items.clone(), unchanged.len()));
                        leaving.push(Leaving::Lists);
                        fields.push(items.output_field(field));
                    } else {
                        leaving.push(noise.unwrap_or(Leaving::Unchanged(unchanged.len())));
                        fields.push(Arc::clone(field));
                    }
                    unchanged.push(i);
                }
            }
        }
        if class_id {
            fields.push(Arc::new(Field::new("class_id", DataType::Int64, false)));
        }
        if guarantee {
            fields.push(claim::field());
        }
        let (quasi_count, sensitive_count) = (quasi.len(), sensitive.len());
        let columns = quasi.into_iter().chain(sensitive).collect();
        // The noise of a column must not be drawn for rows that its own values have put in an order.
        let leaves_as_it_is = |column: &usize| !with_noise.contains(input.field(unchanged[*column]).name());
        let ordering: Vec<usize> = (0..unchanged.len()).filter(leaves_as_it_is).collect();
        let needs_unit = !with_noise.is_empty() || items.is_some();
        let unit_apart = unit.clone().filter(|_| needs_unit);
        let apart = EncodeSpec { columns: Some(with_noise), unit: unit_apart, ..EncodeSpec::default() };
        if let Some(at) = apart.unit.as_ref().and_then(|unit| input.index_of(unit).ok())
            && !unchanged.contains(&at)
        {
            unchanged.push(at);
        }
        let spec = EncodeSpec {
            columns: Some(columns),
            identifiers: vec![],
            unit,
            detect_identifiers: false,
            ..EncodeSpec::default()
        };
        FrameBuilder::new(Arc::clone(input), spec.clone())?;
        let sortable = |column: &usize| {
            let data_type = input.field(unchanged[*column]).data_type();
            RowConverter::supports_fields(&[SortField::new(data_type.clone())])
        };
        let ordering = ordering.into_iter().filter(sortable).collect();
        let kept_schema = Arc::new(input.project(&unchanged).map_err(|e| Error::internal(e.to_string()))?);
        let tables = call.inputs[1..].iter().map(|(_, schema)| (0..schema.fields().len()).collect());
        let kept = std::iter::once(unchanged).chain(tables).collect();
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            spec,
            quasi: quasi_count,
            sensitive: sensitive_count,
            leaving,
            class_id,
            guarantee,
            items: kept_list,
            apart,
            kept_schema,
            hierarchies,
            rules,
            population,
            kept,
            ordering,
        })
    }

    /// Whether the codes of the list column have a hierarchy, which stands last.
    pub fn lists_have_hierarchy(&self) -> bool {
        self.items.is_some()
            && (self.hierarchies.last().is_some_and(Option::is_some) || self.rules.last().is_some_and(Option::is_some))
    }

    /// How the population is encoded: the quasi-identifiers alone.
    pub fn population_spec(&self) -> EncodeSpec {
        let columns = self.spec.columns.iter().flatten().take(self.quasi).cloned().collect();
        EncodeSpec { columns: Some(columns), unit: None, ..self.spec.clone() }
    }
}

/// The input with the elements of the list column in its place, as rules see it.
fn with_elements(input: &SchemaRef, items: Option<&ListColumn>) -> SchemaRef {
    let Some(items) = items else { return Arc::clone(input) };
    let element = |field: &Arc<Field>| match *field.name() == items.name {
        true => Arc::new(Field::new(field.name(), items.element.clone(), true)),
        false => Arc::clone(field),
    };
    Arc::new(Schema::new(input.fields().iter().map(element).collect::<Vec<_>>()))
}

/// Inputs that hold hierarchies, one entry for each of the generalised columns (quasi-identifiers, sensitive columns, the
/// list column), and the population's.
fn other_inputs(
    call: &Call,
    quasi: &[String],
    sensitive: &[String],
    generalised: &[String],
    rules: &[Option<Rule>],
) -> Result<(Vec<Option<usize>>, Option<usize>)> {
    let mut hierarchies = vec![None; generalised.len()];
    if let Some(Value::Map(entries)) = call.options.get("hierarchies") {
        for (column, _) in entries {
            let Some(place) = generalised.iter().position(|q| q == column) else {
                return Err(Error::argument(format!(
                    "hierarchies: column '{column}' is neither a quasi-identifier nor sensitive nor the list of items"
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
