//! The options that say what is asked of a generator, for every function that lets one make rows.

use datafusion::arrow::datatypes::SchemaRef;
use lookalike_core::{Default, Error, Options, ParamKind, ParamSpec, Result, Value, check_constant};
use lookalike_models::{Anonymity, Ask, Condition};

use super::common::{distinct, require_column};

const CONDITION: ParamSpec = ParamSpec {
    name: "condition",
    kind: ParamKind::Conditions,
    default: Default::Unset("none"),
    purpose: "What every row holds: a value, one of several, NULL among them, or a number from min to max.",
};

const BALANCE: ParamSpec = ParamSpec {
    name: "balance",
    kind: ParamKind::Names,
    default: Default::Unset("none"),
    purpose: "Columns whose categories come equally often, exactly.",
};

const PROPORTIONS: ParamSpec = ParamSpec {
    name: "proportions",
    kind: ParamKind::Shares,
    default: Default::Unset("those of the model"),
    purpose: "Shares of the values of columns, kept exactly; what they leave of 1 goes to the other values.",
};

const MAX_TRIES: ParamSpec = ParamSpec {
    name: "max_tries",
    kind: ParamKind::Int { min: 1, max: 1_000_000 },
    default: Default::Int(1000),
    purpose: "Rows drawn at most for each row that has to be as asked, at least 100000 for 8192 rows.",
};

const K: ParamSpec = ParamSpec {
    name: "k",
    kind: ParamKind::Int { min: 2, max: 1_000_000_000 },
    default: Default::Unset("no rows are added"),
    purpose: "Rows that hold each combination of quasi_identifiers: more are made, or the combination is dropped.",
};

const QUASI_IDENTIFIERS: ParamSpec = ParamSpec {
    name: "quasi_identifiers",
    kind: ParamKind::Names,
    default: Default::Unset("none"),
    purpose: "Columns of which each combination is held by k rows.",
};

const SENSITIVE: ParamSpec = ParamSpec {
    name: "sensitive",
    kind: ParamKind::Names,
    default: Default::Unset("none"),
    purpose: "Columns of which each combination of quasi_identifiers shows l different values.",
};

const L: ParamSpec = ParamSpec {
    name: "l",
    kind: ParamKind::Int { min: 2, max: 1_000_000 },
    default: Default::Unset("1"),
    purpose: "Different values of each sensitive column in each combination of quasi_identifiers.",
};

const MAX_PADDING: ParamSpec = ParamSpec {
    name: "max_padding",
    kind: ParamKind::Float { min: 0.0, max: 1000.0 },
    default: Default::Float(1.0),
    purpose: "Rows added for k at most, as a share of rows: the call fails where more are needed.",
};

/// All of them.
pub(crate) const ASK: [ParamSpec; 9] =
    [CONDITION, BALANCE, PROPORTIONS, MAX_TRIES, K, QUASI_IDENTIFIERS, SENSITIVE, L, MAX_PADDING];

/// What the options ask for, checked as far as they go together.
pub(crate) fn ask(options: &Options) -> Result<Ask> {
    let balance = options.names(BALANCE.name);
    distinct(BALANCE.name, &balance)?;
    let ask = Ask {
        conditions: entries(options, CONDITION.name).map(|(c, v)| (c.clone(), condition(v))).collect(),
        balance,
        proportions: entries(options, PROPORTIONS.name).map(|(c, v)| (c.clone(), shares(v))).collect(),
        max_tries: options.int(MAX_TRIES.name).unwrap_or(1000).unsigned_abs(),
        anonymity: anonymity(options)?,
    };
    let asks = !ask.conditions.is_empty() || !ask.balance.is_empty() || !ask.proportions.is_empty();
    if !asks && ask.anonymity.is_none() {
        no_effect(options, &MAX_TRIES, "condition, balance, proportions, k")?;
    }
    Ok(ask)
}

/// What the options ask for, checked against the input's columns as far as their types go: what a model emits is known once it has
/// learned.
pub(crate) fn check(options: &Options, input: &SchemaRef) -> Result<()> {
    let ask = ask(options)?;
    let constant = |option: &str, name: &str, value: &Value| -> Result<()> {
        require_column(option, name, input)?;
        let field = input.field_with_name(name).map_err(|e| Error::internal(e.to_string()))?;
        check_constant(field, value).map_err(|e| e.within(option))
    };
    for (name, condition) in &ask.conditions {
        let values: Vec<&Value> = match condition {
            Condition::Any(values) => values.iter().collect(),
            Condition::Between { min, max } => min.iter().chain(max).collect(),
        };
        values.into_iter().try_for_each(|value| constant(CONDITION.name, name, value))?;
    }
    for (name, shares) in &ask.proportions {
        shares.iter().try_for_each(|(value, _)| constant(PROPORTIONS.name, name, &Value::Text(value.clone())))?;
    }
    let anonymity = ask.anonymity.iter();
    let named = anonymity.clone().flat_map(|a| &a.quasi_identifiers).map(|n| (QUASI_IDENTIFIERS.name, n));
    let named = named.chain(anonymity.flat_map(|a| &a.sensitive).map(|n| (SENSITIVE.name, n)));
    let mut named = named.chain(ask.balance.iter().map(|n| (BALANCE.name, n)));
    named.try_for_each(|(option, name)| require_column(option, name, input))
}

/// Columns and values of a struct, none when not given.
fn entries<'a>(options: &'a Options, name: &str) -> impl Iterator<Item = &'a (String, Value)> {
    match options.get(name) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    }
    .iter()
}

fn condition(value: &Value) -> Condition {
    match value {
        Value::List(values) => Condition::Any(values.clone()),
        Value::Map(ends) => {
            let end = |name: &str| ends.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
            Condition::Between { min: end("min"), max: end("max") }
        }
        value => Condition::Any(vec![value.clone()]),
    }
}

fn shares(value: &Value) -> Vec<(String, f64)> {
    let Value::Map(shares) = value else { return vec![] };
    let share = |value: &Value| match value {
        Value::Int(v) => *v as f64,
        Value::Float(v) => *v,
        _ => 0.0,
    };
    shares.iter().map(|(name, value)| (name.clone(), share(value))).collect()
}

fn anonymity(options: &Options) -> Result<Option<Anonymity>> {
    let quasi_identifiers = options.names(QUASI_IDENTIFIERS.name);
    let sensitive = options.names(SENSITIVE.name);
    let Some(k) = options.int(K.name) else {
        for spec in [&QUASI_IDENTIFIERS, &SENSITIVE, &L, &MAX_PADDING] {
            no_effect(options, spec, K.name)?;
        }
        return Ok(None);
    };
    if quasi_identifiers.is_empty() {
        return Err(Error::argument(format!(
            "option 'quasi_identifiers' is required with k: quasi_identifiers => {}",
            QUASI_IDENTIFIERS.kind.range()
        )));
    }
    distinct(QUASI_IDENTIFIERS.name, &quasi_identifiers)?;
    distinct(SENSITIVE.name, &sensitive)?;
    let l = options.int(L.name);
    match (l, sensitive.is_empty()) {
        (Some(_), true) => return Err(Error::argument("option 'l' has no effect here: it belongs to sensitive")),
        (None, false) => return Err(Error::argument("option 'sensitive' has no effect here: it belongs to l")),
        _ => {}
    }
    Ok(Some(Anonymity {
        k: k.unsigned_abs(),
        quasi_identifiers,
        sensitive,
        l: l.unwrap_or(1).unsigned_abs(),
        max_padding: options.float(MAX_PADDING.name).unwrap_or(1.0),
    }))
}

/// Fails when an option is set that would do nothing.
fn no_effect(options: &Options, spec: &ParamSpec, belongs_to: &str) -> Result<()> {
    let defaults = Options::check(&[*spec], &[])?;
    match options.get(spec.name) {
        Some(value) if defaults.get(spec.name) != Some(value) => {
            Err(Error::argument(format!("option '{}' has no effect here: it belongs to {belongs_to}", spec.name)))
        }
        _ => Ok(()),
    }
}
