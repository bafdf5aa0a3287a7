//! The second set of quasi-identifiers of K_ANONYMIZE: columns that leave through local differential privacy.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use lookalike_anonymize::epsilon::{Bounds, EpsilonParams, EpsilonPlan, MAX_EPSILON};
use lookalike_core::{
    Default, Error, Frame, Guarantee, Job, Options, ParamKind, ParamSpec, Reservation, Result, SecretRng, Value,
    closest,
};

use super::options::no_effect;
use super::plan::is_category;
use crate::functions::common::{distinct, require_column};

pub(super) const OPTIONS: [ParamSpec; 6] = [
    ParamSpec {
        name: "epsilon",
        kind: ParamKind::Float { min: 0.0, max: MAX_EPSILON },
        default: Default::Unset("none"),
        purpose: "Epsilon of local differential privacy of a person's (or row's) values in all epsilon_columns together.",
    },
    ParamSpec {
        name: "epsilon_columns",
        kind: ParamKind::Names,
        default: Default::Unset("none"),
        purpose: "Quasi-identifiers that leave with random noise instead of being generalised.",
    },
    ParamSpec {
        name: "bounds",
        kind: ParamKind::Lists,
        default: Default::Unset("required by epsilon"),
        purpose: "Public facts about epsilon_columns: [lower, upper] or [lower, upper, step] of numbers, dates and times; all \
                  labels of strings.",
    },
    ParamSpec {
        name: "bounds_from_data",
        kind: ParamKind::Bool,
        default: Default::Bool(false),
        purpose: "Takes bounds that are not given from the data: what leaves is then not differentially private.",
    },
    ParamSpec {
        name: "epsilon_nulls",
        kind: ParamKind::Names,
        default: Default::Unset("none"),
        purpose: "Columns of epsilon_columns in which NULL is one of the values that a row may have.",
    },
    ParamSpec {
        name: "rows_per_person",
        kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
        default: Default::Unset("required by epsilon with privacy_unit"),
        purpose: "Rows that a person has at most, a public fact: epsilon is divided among them.",
    },
];

/// The columns that the call names in `epsilon_columns`.
pub(super) fn columns(options: &Options, input: &SchemaRef) -> Result<Vec<String>> {
    let names = options.names("epsilon_columns");
    if names.is_empty() && options.get("epsilon_columns").is_some() {
        return Err(Error::argument("option 'epsilon_columns' is empty, allowed is at least one column"));
    }
    distinct("epsilon_columns", &names)?;
    names.iter().try_for_each(|name| require_column("epsilon_columns", name, input))?;
    Ok(names)
}

/// How the columns leave.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    params: EpsilonParams,
    by_person: bool,
    attributes: Vec<(FieldRef, Bounds)>,
}

impl Noise {
    /// What a call asks for; everything that can be checked without the data is.
    pub fn new(options: &Options, columns: &[String], input: &SchemaRef) -> Result<Option<Self>> {
        let Some(epsilon) = options.float("epsilon") else {
            no_effect(options, &["epsilon_columns", "bounds", "epsilon_nulls", "rows_per_person"], "epsilon")?;
            if options.bool("bounds_from_data") {
                return Err(Error::argument("option 'bounds_from_data' has no effect here: it belongs to epsilon"));
            }
            return Ok(None);
        };
        if columns.is_empty() {
            return Err(Error::argument(
                "option 'epsilon' needs the columns that leave with noise: epsilon_columns => ['weight']",
            ));
        }
        let by_person = options.text("privacy_unit").is_some();
        if !by_person {
            no_effect(options, &["rows_per_person"], "privacy_unit")?;
        }
        let rows_per_person = match options.int("rows_per_person") {
            None if by_person => {
                return Err(Error::argument(
                    "epsilon with a privacy_unit needs rows_per_person: the number of rows that a person has at most, a \
                     public fact, among which epsilon is divided",
                ));
            }
            rows => rows.unwrap_or(1) as usize,
        };
        let bounds = options.lists("bounds");
        let nulls = options.names("epsilon_nulls");
        distinct("epsilon_nulls", &nulls)?;
        let named = bounds.iter().map(|(name, _)| ("bounds", *name));
        for (option, name) in named.chain(nulls.iter().map(|name| ("epsilon_nulls", name.as_str()))) {
            if !columns.iter().any(|c| c == name) {
                let hint = closest(name, columns.iter().map(String::as_str));
                let hint = hint.map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
                return Err(Error::argument(format!("{option}: column '{name}' is not in epsilon_columns{hint}")));
            }
        }
        if options.bool("bounds_from_data") && bounds.len() == columns.len() {
            return Err(Error::argument("option 'bounds_from_data' has no effect here: every column has bounds"));
        }
        let attributes = columns
            .iter()
            .map(|name| {
                let at = input.index_of(name).map_err(|e| Error::internal(e.to_string()))?;
                let field = input.fields()[at].clone();
                let nullable = nulls.contains(name);
                let bounds = match bounds.iter().find(|(column, _)| column == name) {
                    Some((_, list)) => read(&field, list, nullable)?,
                    None if options.bool("bounds_from_data") => Bounds::FromData,
                    None => return Err(without_bounds(&field)),
                };
                Ok((field, bounds))
            })
            .collect::<Result<Vec<_>>>()?;
        let noise = Self { params: EpsilonParams { epsilon, rows_per_person }, by_person, attributes };
        noise.plan(1)?;
        Ok(Some(noise))
    }

    fn plan(&self, k: usize) -> Result<EpsilonPlan> {
        EpsilonPlan::new(self.params, k, self.by_person, self.attributes.clone())
    }

    /// The columns of the frame, which holds them in order, as they leave beside classes of at least `k`, with the claim.
    pub fn release(&self, frame: &Frame, k: usize, job: &Job) -> Result<(Vec<ArrayRef>, Guarantee, Reservation)> {
        let mut plan = self.plan(k)?;
        let (mut rng, mut held) = (SecretRng::new(), job.reserve(0, "columns with noise")?);
        let mut released: Vec<ArrayRef> = Vec::with_capacity(frame.columns().len());
        for column in frame.columns() {
            let array = plan.release(column, frame.units(), &mut rng, job)?;
            held.resize(held.bytes() + array.get_array_memory_size(), "columns with noise")?;
            released.push(array);
        }
        Ok((released, plan.guarantee(), held))
    }
}

fn without_bounds(field: &FieldRef) -> Error {
    let (name, data_type) = (field.name(), field.data_type());
    let example = if is_category(data_type) { "['all', 'its', 'labels']" } else { "[lower, upper]" };
    Error::argument(format!(
        "bounds: column '{name}' of type {data_type} has none: bounds => {{'{name}': {example}}} from public knowledge; \
         bounds_from_data => true takes them from the data, and then nothing is differentially private"
    ))
}

/// Bounds as the call writes them.
fn read(field: &FieldRef, list: &[Value], nullable: bool) -> Result<Bounds> {
    let shown = || Value::List(list.to_vec());
    let name = field.name();
    if is_category(field.data_type()) {
        let label = |value: &Value| match value {
            Value::Text(text) => Ok(text.clone()),
            Value::Bool(truth) => Ok(truth.to_string()),
            _ => Err(Error::argument(format!(
                "bounds: {} of column '{name}' of type {}, allowed is a list of all its labels",
                shown(),
                field.data_type()
            ))),
        };
        return Ok(Bounds::Labels { labels: list.iter().map(label).collect::<Result<_>>()?, nullable });
    }
    let wrong = || {
        Error::argument(format!(
            "bounds: {} of column '{name}', allowed is [lower, upper] or [lower, upper, step]",
            shown()
        ))
    };
    let (lower, upper, step) = match list {
        [lower, upper] => (lower, upper, None),
        [lower, upper, step] => (lower, upper, Some(number(step).ok_or_else(wrong)?)),
        _ => return Err(wrong()),
    };
    Ok(Bounds::Number { lower: written(lower), upper: written(upper), step, nullable })
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(v) => Some(*v as f64),
        Value::Float(v) => Some(*v),
        Value::Text(v) => v.trim().parse().ok(),
        _ => None,
    }
}

/// A bound as the column's type reads it: beside a fraction in the same list, an integer is a float as well.
fn written(value: &Value) -> String {
    match value {
        Value::Text(v) => v.clone(),
        Value::Float(v) => v.to_string(),
        other => other.to_string(),
    }
}
