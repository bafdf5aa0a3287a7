//! Options of a call: one table of specifications drives parsing, error messages and the docs.

use std::fmt;

use crate::{Error, Result};

/// A constant given for an option.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// true or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string.
    Text(String),
    /// `['a', 'b']`.
    List(Vec<Value>),
    /// `{key: value}`, in the order written.
    Map(Vec<(String, Value)>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Bool(v) => write!(f, "{v}"),
            Value::Int(v) => write!(f, "{v}"),
            // With a point or an exponent, so that 2.0 is not taken for an integer.
            Value::Float(v) => write!(f, "{v:?}"),
            Value::Text(v) => write!(f, "'{}'", v.replace('\'', "''")),
            Value::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Type and range of an option.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamKind {
    /// true or false.
    Bool,
    /// An integer between the bounds, both included.
    Int {
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
    },
    /// A number between the bounds, both included.
    Float {
        /// Smallest value allowed.
        min: f64,
        /// Largest value allowed.
        max: f64,
    },
    /// Any string.
    Text,
    /// One of the strings.
    Choice(&'static [&'static str]),
    /// A list of strings; a single string is a list of one.
    Names,
    /// A relation: a name, a sub-query or a string holding a table name.
    Relation,
    /// `{column: relation, ...}`.
    Relations,
    /// `{column: 'string', ...}`.
    Texts,
    /// `{column: [constant, ...], ...}`.
    Lists,
    /// What columns may hold: `{column: constant, column: [constant, ...], column: {min: constant, max: constant}, ...}`, NULL among
    /// the constants.
    Conditions,
    /// Shares of values: `{column: {value: number from 0 to 1, ...}, ...}`.
    Shares,
}

impl ParamKind {
    /// The type in words, for listings.
    pub fn type_name(&self) -> &'static str {
        match self {
            ParamKind::Bool => "boolean",
            ParamKind::Int { .. } => "integer",
            ParamKind::Float { .. } => "number",
            ParamKind::Text | ParamKind::Choice(_) => "string",
            ParamKind::Names => "list of strings",
            ParamKind::Relation => "relation",
            ParamKind::Relations => "{column: relation}",
            ParamKind::Texts => "{column: string}",
            ParamKind::Lists => "{column: list}",
            ParamKind::Conditions => "{column: constant, list or {min, max}}",
            ParamKind::Shares => "{column: {value: share}}",
        }
    }

    /// The allowed values in words, for listings and errors.
    pub fn range(&self) -> String {
        match self {
            ParamKind::Bool => "true or false".into(),
            ParamKind::Int { min: i64::MIN, max: i64::MAX } => "any integer".into(),
            ParamKind::Int { min, max: i64::MAX } => format!("an integer of at least {min}"),
            ParamKind::Int { min, max } => format!("an integer from {min} to {max}"),
            ParamKind::Float { min, max } => format!("a number from {min} to {max}"),
            ParamKind::Text => "a string".into(),
            ParamKind::Choice(choices) => choices.iter().map(|c| format!("'{c}'")).collect::<Vec<_>>().join(" or "),
            ParamKind::Names => "a list of strings such as ['age', 'sex']".into(),
            ParamKind::Relation => "a table name, a sub-query or a string holding a table name".into(),
            ParamKind::Relations => "a struct of table names such as {age: 'age_levels'}".into(),
            ParamKind::Texts => "a struct of strings such as {age: 'widths(5, 10)'}".into(),
            ParamKind::Lists => "a struct of lists such as {age: [18, 90], city: ['Bonn', 'Ulm', 'other']}".into(),
            ParamKind::Conditions => {
                "a struct of constants, lists or ranges such as {sex: 'F', city: ['Bonn', 'Ulm'], age: {min: 18, max: 40}}".into()
            }
            ParamKind::Shares => "a struct of structs of shares from 0 to 1 such as {sex: {F: 0.5, M: 0.5}}".into(),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (ParamKind::Bool, Value::Bool(_)) => true,
            (ParamKind::Int { min, max }, Value::Int(v)) => min <= v && v <= max,
            (ParamKind::Float { min, max }, Value::Int(v)) => *min <= *v as f64 && *v as f64 <= *max,
            (ParamKind::Float { min, max }, Value::Float(v)) => min <= v && v <= max,
            (ParamKind::Text | ParamKind::Relation | ParamKind::Names, Value::Text(_)) => true,
            (ParamKind::Choice(choices), Value::Text(v)) => choices.contains(&v.to_lowercase().as_str()),
            (ParamKind::Names, Value::List(items)) => items.iter().all(|i| matches!(i, Value::Text(_))),
            (ParamKind::Relations | ParamKind::Texts, Value::Map(entries)) => {
                entries.iter().all(|(_, v)| matches!(v, Value::Text(_)))
            }
            (ParamKind::Lists, Value::Map(entries)) => entries.iter().all(|(_, v)| match v {
                Value::List(items) => items.iter().all(|i| !matches!(i, Value::Null | Value::List(_) | Value::Map(_))),
                _ => false,
            }),
            (ParamKind::Conditions, Value::Map(entries)) => entries.iter().all(|(_, v)| match v {
                Value::List(items) => {
                    !items.is_empty() && items.iter().all(|i| !matches!(i, Value::List(_) | Value::Map(_)))
                }
                Value::Map(ends) => {
                    let is_end = |(name, end): &(String, Value)| {
                        matches!(name.as_str(), "min" | "max")
                            && !matches!(end, Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_))
                    };
                    (1..=2).contains(&ends.len())
                        && ends.iter().all(is_end)
                        && (ends.len() == 1 || ends[0].0 != ends[1].0)
                }
                _ => true,
            }),
            (ParamKind::Shares, Value::Map(entries)) => entries.iter().all(|(_, v)| match v {
                Value::Map(shares) => {
                    let share = ParamKind::Float { min: 0.0, max: 1.0 };
                    !shares.is_empty() && shares.iter().all(|(_, s)| share.accepts(s))
                }
                _ => false,
            }),
            _ => false,
        }
    }
}

/// What holds when an option is not given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// The call fails.
    Required,
    /// Nothing is set; the text says what that means.
    Unset(&'static str),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Float(f64),
    /// A string.
    Text(&'static str),
}

impl Default {
    /// The default in words, for listings.
    pub fn text(&self) -> String {
        match self {
            Default::Required => "required".into(),
            Default::Unset(meaning) => (*meaning).into(),
            Default::Bool(v) => v.to_string(),
            Default::Int(v) => v.to_string(),
            Default::Float(v) => v.to_string(),
            Default::Text(v) => format!("'{v}'"),
        }
    }

    fn value(&self) -> Option<Value> {
        match self {
            Default::Required | Default::Unset(_) => None,
            Default::Bool(v) => Some(Value::Bool(*v)),
            Default::Int(v) => Some(Value::Int(*v)),
            Default::Float(v) => Some(Value::Float(*v)),
            Default::Text(v) => Some(Value::Text((*v).into())),
        }
    }
}

/// One option: name, type with range, default, purpose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamSpec {
    /// Name in SQL.
    pub name: &'static str,
    /// Type and range.
    pub kind: ParamKind,
    /// Default.
    pub default: Default,
    /// What it is for, one sentence.
    pub purpose: &'static str,
}

/// Checked options of one call: every name known, every value of its type and in its range, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    values: Vec<(&'static str, Value)>,
}

impl Options {
    /// Checks what was given against the specifications. NULL counts as not given.
    pub fn check(specs: &[ParamSpec], given: &[(String, Value)]) -> Result<Self> {
        Self::check_pending(specs, given, &[])
    }

    /// The same while the values of the `pending` options are still unknown: they are neither required nor set.
    pub fn check_pending(specs: &[ParamSpec], given: &[(String, Value)], pending: &[String]) -> Result<Self> {
        if let Some(name) = pending.iter().find(|name| specs.iter().all(|s| s.name != **name)) {
            return Err(unknown_option(specs, name));
        }
        let mut values: Vec<(&'static str, Value)> = Vec::with_capacity(specs.len());
        for (i, (name, value)) in given.iter().enumerate() {
            let Some(spec) = specs.iter().find(|s| s.name == name) else {
                return Err(unknown_option(specs, name));
            };
            if given[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::argument(format!("option '{name}' is given twice")));
            }
            if *value == Value::Null {
                continue;
            }
            if !spec.kind.accepts(value) {
                return Err(Error::argument(format!("option '{name}' is {value}, allowed is {}", spec.kind.range())));
            }
            values.push((spec.name, value.clone()));
        }
        for spec in specs {
            if values.iter().any(|(name, _)| *name == spec.name) || pending.iter().any(|name| name == spec.name) {
                continue;
            }
            match spec.default.value() {
                Some(value) => values.push((spec.name, value)),
                None if spec.default == Default::Required => {
                    return Err(Error::argument(format!(
                        "option '{0}' is required: {0} => {1}",
                        spec.name,
                        spec.kind.range()
                    )));
                }
                None => {}
            }
        }
        Ok(Self { values })
    }

    /// The value of an option, if set.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Every option that is set, with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }

    /// A boolean option; false when not set.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(true)))
    }

    /// An integer option, if set.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Int(v)) => Some(*v),
            _ => None,
        }
    }

    /// A number option, if set.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(Value::Float(v)) => Some(*v),
            Some(Value::Int(v)) => Some(*v as f64),
            _ => None,
        }
    }

    /// A string option, if set.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(v)) => Some(v),
            _ => None,
        }
    }

    /// A string option of fixed choices in lower case, if set.
    pub fn choice(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_lowercase)
    }

    /// A struct of strings as keys and values in the order written, empty when not set.
    pub fn texts(&self, name: &str) -> Vec<(&str, &str)> {
        let Some(Value::Map(entries)) = self.get(name) else { return vec![] };
        entries
            .iter()
            .filter_map(|(key, value)| match value {
                Value::Text(value) => Some((key.as_str(), value.as_str())),
                _ => None,
            })
            .collect()
    }

    /// A struct of lists as keys and constants in the order written, empty when not set.
    pub fn lists(&self, name: &str) -> Vec<(&str, &[Value])> {
        let Some(Value::Map(entries)) = self.get(name) else { return vec![] };
        entries
            .iter()
            .filter_map(|(key, value)| match value {
                Value::List(items) => Some((key.as_str(), items.as_slice())),
                _ => None,
            })
            .collect()
    }

    /// A list of strings, empty when not set.
    pub fn names(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Text(v)) => vec![v.clone()],
            Some(Value::List(items)) => items
                .iter()
                .filter_map(|i| match i {
                    Value::Text(v) => Some(v.clone()),
                    _ => None,
                })
                .collect(),
            _ => vec![],
        }
    }
}

fn unknown_option(specs: &[ParamSpec], name: &str) -> Error {
    if specs.is_empty() {
        return Error::argument(format!("unknown option '{name}': this function takes no options"));
    }
    let names = specs.iter().map(|s| s.name);
    let hint = closest(name, names.clone()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
    Error::argument(format!("unknown option '{name}'{hint} (allowed: {})", list_names(names)))
}

/// The candidate nearest to `name` by edit distance, if it is near enough to be a slip.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (edit_distance(&wanted, &c.to_lowercase()), c))
        .filter(|(d, c)| {
            *d <= 1.max(c.chars().count().max(wanted.chars().count()) / 3) || c.to_lowercase().starts_with(&wanted)
        })
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// `a, b, c`.
pub fn list_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Levenshtein distance in which two neighbours that changed places count once (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substitution = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitution.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[ParamSpec] = &[
        ParamSpec {
            name: "k",
            kind: ParamKind::Int { min: 2, max: i64::MAX },
            default: Default::Required,
            purpose: "",
        },
        ParamSpec {
            name: "seed",
            kind: ParamKind::Int { min: 0, max: i64::MAX },
            default: Default::Unset("fresh"),
            purpose: "",
        },
        ParamSpec {
            name: "metric",
            kind: ParamKind::Choice(&["gower", "l1"]),
            default: Default::Text("gower"),
            purpose: "",
        },
        ParamSpec { name: "columns", kind: ParamKind::Names, default: Default::Unset("all"), purpose: "" },
        ParamSpec { name: "rules", kind: ParamKind::Texts, default: Default::Unset("none"), purpose: "" },
        ParamSpec { name: "bounds", kind: ParamKind::Lists, default: Default::Unset("none"), purpose: "" },
        ParamSpec { name: "condition", kind: ParamKind::Conditions, default: Default::Unset("none"), purpose: "" },
        ParamSpec { name: "shares", kind: ParamKind::Shares, default: Default::Unset("none"), purpose: "" },
    ];

    fn map(entries: &[(&str, Value)]) -> Value {
        Value::Map(entries.iter().map(|(k, v)| (k.to_string(), v.clone())).collect())
    }

    fn check(given: &[(&str, Value)]) -> Result<Options> {
        Options::check(SPECS, &given.iter().map(|(n, v)| (n.to_string(), v.clone())).collect::<Vec<_>>())
    }

    #[test]
    fn defaults_and_conversions() {
        let rules = Value::Map(vec![("age".into(), Value::Text("widths(5)".into()))]);
        let ends = vec![Value::Int(18), Value::Float(90.5)];
        let bounds = Value::Map(vec![("age".into(), Value::List(ends.clone()))]);
        let given =
            [("k", Value::Int(5)), ("columns", Value::Text("age".into())), ("rules", rules), ("bounds", bounds)];
        let options = check(&given).unwrap();
        assert_eq!(options.lists("bounds"), [("age", ends.as_slice())]);
        assert_eq!(options.texts("rules"), [("age", "widths(5)")]);
        assert_eq!(options.texts("metric"), []);
        assert_eq!(options.int("k"), Some(5));
        assert_eq!(options.int("seed"), None);
        assert_eq!(options.choice("metric").as_deref(), Some("gower"));
        assert_eq!(options.names("columns"), ["age"]);
    }

    #[test]
    fn messages_name_argument_value_and_range() {
        for (given, message) in [
            (
                vec![("sed", Value::Int(1))],
                "unknown option 'sed'; did you mean 'seed'? (allowed: k, seed, metric, columns, rules, bounds, \
                 condition, shares)",
            ),
            (vec![("k", Value::Int(1))], "option 'k' is 1, allowed is an integer of at least 2"),
            (vec![("k", Value::Text("x".into()))], "option 'k' is 'x', allowed is an integer of at least 2"),
            (vec![], "option 'k' is required: k => an integer of at least 2"),
            (vec![("k", Value::Int(2)), ("k", Value::Int(3))], "option 'k' is given twice"),
            (
                vec![("k", Value::Int(2)), ("metric", Value::Text("l2".into()))],
                "option 'metric' is 'l2', allowed is 'gower' or 'l1'",
            ),
            (
                vec![("k", Value::Int(2)), ("rules", Value::Map(vec![("age".into(), Value::Int(5))]))],
                "option 'rules' is {age: 5}, allowed is a struct of strings such as {age: 'widths(5, 10)'}",
            ),
            (
                vec![
                    ("k", Value::Int(2)),
                    ("bounds", Value::Map(vec![("age".into(), Value::List(vec![Value::Null]))])),
                ],
                "option 'bounds' is {age: [NULL]}, allowed is a struct of lists such as {age: [18, 90], city: ['Bonn', \
                 'Ulm', 'other']}",
            ),
            (
                vec![("k", Value::Int(2)), ("condition", map(&[("age", map(&[("from", Value::Int(1))]))]))],
                "option 'condition' is {age: {from: 1}}, allowed is a struct of constants, lists or ranges such as {sex: 'F', \
                 city: ['Bonn', 'Ulm'], age: {min: 18, max: 40}}",
            ),
            (
                vec![("k", Value::Int(2)), ("shares", map(&[("sex", map(&[("F", Value::Float(1.5))]))]))],
                "option 'shares' is {sex: {F: 1.5}}, allowed is a struct of structs of shares from 0 to 1 such as {sex: {F: \
                 0.5, M: 0.5}}",
            ),
        ] {
            assert_eq!(check(&given).unwrap_err().message(), message);
        }
    }

    #[test]
    fn conditions_are_constants_lists_and_ranges() {
        let given = |v: Value| check(&[("k", Value::Int(2)), ("condition", map(&[("x", v)]))]).is_ok();
        let (one, null) = (Value::Int(1), Value::Null);
        for allowed in [
            one.clone(),
            null.clone(),
            Value::Bool(true),
            Value::List(vec![one.clone(), null.clone()]),
            map(&[("min", one.clone())]),
            map(&[("max", one.clone()), ("min", Value::Text("a".into()))]),
        ] {
            assert!(given(allowed.clone()), "{allowed}");
        }
        for refused in [
            Value::List(vec![]),
            Value::List(vec![Value::List(vec![])]),
            map(&[]),
            map(&[("min", null)]),
            map(&[("min", one.clone()), ("min", one)]),
        ] {
            assert!(!given(refused.clone()), "{refused}");
        }
    }

    #[test]
    fn closest_is_a_slip_not_a_guess() {
        assert_eq!(closest("qasi_identifiers", ["k", "quasi_identifiers"]), Some("quasi_identifiers"));
        assert_eq!(closest("modle", ["rows", "model"]), Some("model"));
        assert_eq!(closest("zebra", ["k", "quasi_identifiers"]), None);
    }
}
