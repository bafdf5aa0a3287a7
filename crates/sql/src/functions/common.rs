//! What several functions share: common options and the columns that relations are compared on.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use lookalike_anonymize::Rule;
use lookalike_core::{
    Default, EncodeSpec, Error, FrameBuilder, Options, ParamKind, ParamSpec, Result, Value, closest, list_names,
};

use crate::function::Call;

/// `seed`
pub(crate) const SEED: ParamSpec = ParamSpec {
    name: "seed",
    kind: ParamKind::Int { min: 0, max: i64::MAX },
    default: Default::Unset("fresh randomness from the operating system"),
    purpose: "Same seed, same rows: at any number of partitions, any batch size and any order of the input.",
};

/// `privacy_unit`
pub(crate) const PRIVACY_UNIT: ParamSpec = ParamSpec {
    name: "privacy_unit",
    kind: ParamKind::Text,
    default: Default::Unset("the row"),
    purpose: "Column that identifies the person; persons are counted and compared instead of rows.",
};

/// `identifiers`
pub(crate) const IDENTIFIERS: ParamSpec = ParamSpec {
    name: "identifiers",
    kind: ParamKind::Names,
    default: Default::Unset("columns recognised as identifiers"),
    purpose: "Columns that name a record or person: never learned, never compared.",
};

/// `columns`
pub(crate) const COLUMNS: ParamSpec = ParamSpec {
    name: "columns",
    kind: ParamKind::Names,
    default: Default::Unset("all columns but identifiers and the privacy unit"),
    purpose: "Columns to compare; all relations need them, and no column is taken for an identifier.",
};

/// `rules`
pub(crate) const RULES: ParamSpec = ParamSpec {
    name: "rules",
    kind: ParamKind::Texts,
    default: Default::Unset("none"),
    purpose: "Rules that generalise quasi-identifiers by name: widths(...), dates(...), mask_suffix, mask_prefix, prefix(...).",
};

/// The rule of each quasi-identifier that option `rules` names, in the order of `quasi`. A column that has a table in
/// option `hierarchies` as well is an error, and so is a type that the rule cannot read.
pub(crate) fn rules(options: &Options, quasi: &[String], input: &SchemaRef) -> Result<Vec<Option<Rule>>> {
    let mut rules = vec![None; quasi.len()];
    for (column, text) in options.texts("rules") {
        let Some(place) = quasi.iter().position(|q| q == column) else {
            let hint = closest(column, quasi.iter().map(String::as_str));
            let hint = hint.map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
            return Err(Error::argument(format!("rules: column '{column}' is not a quasi-identifier{hint}")));
        };
        let tables = options.get("hierarchies");
        if matches!(tables, Some(Value::Map(tables)) if tables.iter().any(|(c, _)| c == column)) {
            return Err(Error::argument(format!(
                "rules: column '{column}' has a table in hierarchies as well, allowed is one of them"
            )));
        }
        let field = input.field_with_name(column).map_err(|e| Error::internal(e.to_string()))?;
        let rule = Rule::parse(text).and_then(|rule| rule.check_type(field.data_type()).map(|()| rule));
        rules[place] = Some(rule.map_err(|e| e.within(format!("rules: column '{column}'")))?);
    }
    Ok(rules)
}

/// Fails unless a named column is in the schema.
pub(crate) fn require_column(option: &str, name: &str, schema: &SchemaRef) -> Result<()> {
    if schema.column_with_name(name).is_some() {
        return Ok(());
    }
    let names = || schema.fields().iter().map(|f| f.name().as_str());
    let hint = closest(name, names()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
    Err(Error::argument(format!("{option}: there is no column '{name}'{hint} (columns: {})", list_names(names()))))
}

/// The options that a part of a function (a model, an attack) takes, out of those of the call.
pub(crate) fn options_of(params: &[ParamSpec], options: &Options) -> Result<Options> {
    let given = |p: &ParamSpec| options.get(p.name).map(|v| (p.name.to_string(), v.clone()));
    Options::check(params, &params.iter().filter_map(given).collect::<Vec<_>>())
}

/// Fails when the call sets an option that none of the chosen parts takes: it would do nothing. `all` are the parts
/// with their options, `chosen` says whether a part is used.
pub(crate) fn refuse_unused<'a>(
    options: &Options,
    all: impl Iterator<Item = (&'a str, &'a [ParamSpec])> + Clone,
    chosen: impl Fn(&str) -> bool,
) -> Result<()> {
    let takes = |params: &[ParamSpec], name: &str| params.iter().any(|p| p.name == name);
    for param in all.clone().flat_map(|(_, params)| params) {
        if all.clone().any(|(part, params)| chosen(part) && takes(params, param.name)) {
            continue;
        }
        let defaults = Options::check(&[*param], &[])?;
        let value = options.get(param.name);
        if value.is_some() && value != defaults.get(param.name) {
            let takers = all.clone().filter(|(_, params)| takes(params, param.name)).map(|(part, _)| part);
            return Err(Error::argument(format!(
                "option '{}' has no effect here: it belongs to {}",
                param.name,
                list_names(takers)
            )));
        }
    }
    Ok(())
}

/// Fails when a name is given twice.
pub(crate) fn distinct(option: &str, names: &[String]) -> Result<()> {
    match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        Some((_, twice)) => Err(Error::argument(format!("{option}: '{twice}' is named twice"))),
        None => Ok(()),
    }
}

/// How the relations of a call are encoded to be compared: on the columns of `base`, which all others must have in
/// comparable types. The unit's column may be missing from the relations in `without_unit`.
pub(crate) fn comparison(call: &Call, base: &str, without_unit: &[&str]) -> Result<Vec<EncodeSpec>> {
    let schema = call.required(base)?;
    let unit = call.options.text("privacy_unit").map(str::to_string);
    let identifiers = call.options.names("identifiers");
    let given = call.options.names("columns");
    for (option, names) in [("identifiers", &identifiers), ("columns", &given)] {
        distinct(option, names)?;
        names.iter().try_for_each(|name| require_column(option, name, schema))?;
    }
    if given.is_empty() && call.options.get("columns").is_some() {
        return Err(Error::argument("option 'columns' is empty, allowed is at least one column"));
    }
    if let Some(unit) = &unit {
        require_column("privacy_unit", unit, schema)?;
    }
    let compared: Vec<String> = if given.is_empty() {
        let is_compared = |name: &&String| Some(*name) != unit.as_ref() && !identifiers.contains(name);
        schema.fields().iter().map(|f| f.name()).filter(is_compared).cloned().collect()
    } else {
        given.clone()
    };
    if compared.is_empty() {
        return Err(Error::argument("no column is left to compare: all are identifiers or the privacy unit"));
    }
    call.inputs
        .iter()
        .map(|(role, other)| {
            same_columns(base, schema, role, other, &compared, given.is_empty(), &identifiers, unit.as_deref())?;
            let has_unit = unit.as_ref().is_some_and(|u| other.column_with_name(u).is_some());
            if let Some(unit) = unit.as_ref().filter(|_| !has_unit && !without_unit.contains(&role.as_str())) {
                return Err(Error::argument(format!("privacy_unit: the relation '{role}' has no column '{unit}'")));
            }
            let spec = EncodeSpec {
                columns: Some(compared.clone()),
                identifiers: vec![],
                unit: unit.clone().filter(|_| has_unit),
                detect_identifiers: given.is_empty(),
                ..EncodeSpec::default()
            };
            // Types are checked here, while planning.
            FrameBuilder::new(other.clone(), spec.clone()).map_err(|e| e.within(format!("relation '{role}'")))?;
            Ok(spec)
        })
        .collect()
}

/// The compared columns in types that hold the values of all relations: an integer beside a fraction becomes a fraction,
/// a date beside a timestamp a timestamp. Cast to the type of one relation, different values could become equal.
pub(crate) fn common_types(call: &Call, base: &str, specs: &[EncodeSpec]) -> Result<SchemaRef> {
    let schema = call.required(base)?;
    let compared = specs.first().and_then(|s| s.columns.as_deref()).unwrap_or_default();
    let fields = compared
        .iter()
        .map(|name| {
            let field = schema.field_with_name(name).map_err(|e| Error::internal(e.to_string()))?;
            let others = call.inputs.iter().filter_map(|(_, s)| s.field_with_name(name).ok()).map(|f| f.data_type());
            let widest = others.fold(field.data_type().clone(), |widest, other| {
                if widest == *other { widest } else { comparison_coercion(&widest, other).unwrap_or(widest) }
            });
            Ok(field.clone().with_data_type(widest))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

#[allow(clippy::too_many_arguments)]
fn same_columns(
    base: &str,
    schema: &SchemaRef,
    role: &str,
    other: &SchemaRef,
    compared: &[String],
    all: bool,
    identifiers: &[String],
    unit: Option<&str>,
) -> Result<()> {
    let way_out = "name the columns to compare with columns => [...]";
    for name in compared {
        let Some((_, field)) = other.column_with_name(name) else {
            return Err(Error::argument(format!(
                "column '{name}' of '{base}' is missing in '{role}' (its columns: {}): {way_out}",
                list_names(other.fields().iter().map(|f| f.name().as_str()))
            )));
        };
        let wanted = schema.field_with_name(name).map_err(|e| Error::internal(e.to_string()))?.data_type();
        if !comparable(wanted, field.data_type()) {
            return Err(Error::argument(format!(
                "column '{name}' is {wanted} in '{base}' and {} in '{role}': cast one of them",
                field.data_type()
            )));
        }
    }
    let known = |name: &str| {
        compared.iter().chain(identifiers).any(|c| c == name)
            || unit == Some(name)
            || schema.column_with_name(name).is_some()
    };
    match other.fields().iter().find(|f| all && !known(f.name())) {
        Some(extra) => Err(Error::argument(format!(
            "column '{}' of '{role}' is missing in '{base}' (its columns: {}): {way_out}",
            extra.name(),
            list_names(schema.fields().iter().map(|f| f.name().as_str()))
        ))),
        None => Ok(()),
    }
}

/// Whether values of two types mean the same kind of thing.
pub(crate) fn comparable(a: &DataType, b: &DataType) -> bool {
    fn family(t: &DataType) -> u8 {
        match t {
            DataType::Dictionary(_, values) => family(values),
            t if t.is_numeric() => 1,
            t if t.is_string() => 2,
            DataType::Boolean => 3,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => 4,
            DataType::Time32(_) | DataType::Time64(_) => 5,
            DataType::Duration(_) => 6,
            _ => 0,
        }
    }
    a == b || (family(a) != 0 && family(a) == family(b)) || matches!(b, DataType::Null)
}
