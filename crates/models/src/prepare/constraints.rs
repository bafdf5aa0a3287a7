//! Rules between columns written by hand: their text, what contradicts, and which rows break them.

use std::borrow::Cow;
use std::cmp::Ordering;

use lookalike_core::{Amount, Column, ColumnStore, Error, Measure, Result, Role, Scale, Values, closest, list_names};

/// A rule that every generated row keeps. Columns by index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    /// The first is below the second, or equal unless strict. Rows in which one is missing keep it.
    Order { low: usize, high: usize, strict: bool },
    /// A column is on one side of a constant: below when `Ordering::Less`; or equal unless strict.
    Bound { column: usize, side: Ordering, strict: bool, amount: Amount },
    /// Only combinations that enough persons hold.
    Fixed { columns: Vec<usize> },
}

/// What the argument allows, for messages.
const ALLOWED: &str =
    "allowed are comparisons such as 'start <= stop', 'start < stop' and 'age >= 18', and 'fixed(city, zip)'";

/// Reads the constraints of a call.
///
/// # Errors
/// Arguments: text that is no rule, columns that do not exist or do not compare, rules that contradict each other.
pub(crate) fn parse(texts: &[String], columns: &[Column]) -> Result<Vec<Rule>> {
    let mut rules = vec![];
    for text in texts {
        rules.push(parse_one(text, columns).map_err(|e| e.within(format!("constraints: '{text}'")))?);
    }
    contradictions(&rules, texts, columns)?;
    Ok(rules)
}

fn parse_one(text: &str, columns: &[Column]) -> Result<Rule> {
    let trimmed = text.trim();
    if let Some(inside) = call(trimmed) {
        let names: Vec<&str> = inside.split(',').map(str::trim).collect();
        if names.len() < 2 {
            return Err(Error::argument("fixed(...) takes two columns or more"));
        }
        let mut members: Vec<usize> = vec![];
        for name in names {
            let column = find(name, columns)?;
            if columns[column].role() == Role::Identifier {
                return Err(Error::argument(format!("'{name}' is an identifier, of which no value comes out")));
            }
            if members.contains(&column) {
                return Err(Error::argument(format!("column '{name}' stands there twice")));
            }
            members.push(column);
        }
        return Ok(Rule::Fixed { columns: members });
    }
    let Some((left, operator, right)) = split(trimmed) else {
        return Err(Error::argument(ALLOWED));
    };
    let (side, strict) = match operator {
        "<=" => (Ordering::Less, false),
        "<" => (Ordering::Less, true),
        ">=" => (Ordering::Greater, false),
        _ => (Ordering::Greater, true),
    };
    let is_column = |operand: &str| columns.iter().any(|c| c.name() == unquoted(operand));
    match (constant(left).filter(|_| !is_column(left)), constant(right).filter(|_| !is_column(right))) {
        (None, None) => {
            let (left, right) = (find(left, columns)?, find(right, columns)?);
            let (a, b) = (measure(&columns[left])?, measure(&columns[right])?);
            if a != b {
                let words = |c: usize, m| format!("'{}' is {}", columns[c].name(), words(m));
                return Err(Error::argument(format!(
                    "{} and {}, which do not compare",
                    words(left, a),
                    words(right, b)
                )));
            }
            if left == right {
                return Err(Error::argument("a column is compared with itself"));
            }
            let (low, high) = if side.is_lt() { (left, right) } else { (right, left) };
            Ok(Rule::Order { low, high, strict })
        }
        (None, Some(value)) => bound(left, value, side, strict, columns),
        (Some(value), None) => bound(right, value, side.reverse(), strict, columns),
        (Some(_), Some(_)) => Err(Error::argument(format!("there is no column in it; {ALLOWED}"))),
    }
}

fn bound(name: &str, value: &str, side: Ordering, strict: bool, columns: &[Column]) -> Result<Rule> {
    let column = find(name, columns)?;
    measure(&columns[column])?;
    let amount = scale(&columns[column])?.parse(value)?;
    Ok(Rule::Bound { column, side, strict, amount })
}

/// What stands between the brackets of `fixed(...)`.
fn call(text: &str) -> Option<&str> {
    let rest = text.get(..5).filter(|head| head.eq_ignore_ascii_case("fixed")).map(|_| text[5..].trim())?;
    rest.strip_prefix('(')?.strip_suffix(')')
}

/// Operands and operator, of which there is one outside quotes.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) => quote = (open != c).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '<' | '>') => {
                let width = if text[i + 1..].starts_with('=') { 2 } else { 1 };
                let (left, right) = (text[..i].trim(), text[i + width..].trim());
                let is_operand = |side: &str| {
                    let bare = !side.starts_with(['"', '\'']);
                    !(side.is_empty() || bare && side.contains(['<', '>', '=', '!']))
                };
                return (is_operand(left) && is_operand(right)).then(|| (left, &text[i..i + width], right));
            }
            _ => {}
        }
    }
    None
}

fn unquoted(operand: &str) -> &str {
    operand.strip_prefix('"').and_then(|o| o.strip_suffix('"')).unwrap_or(operand)
}

/// The constant that an operand is: in quotes, or a number.
fn constant(operand: &str) -> Option<&str> {
    let quoted = operand.strip_prefix('\'').and_then(|o| o.strip_suffix('\''));
    quoted.or_else(|| operand.parse::<f64>().ok().map(|_| operand))
}

fn find(name: &str, columns: &[Column]) -> Result<usize> {
    let name = unquoted(name);
    columns.iter().position(|c| c.name() == name).ok_or_else(|| {
        let names = || columns.iter().map(Column::name);
        let hint = closest(name, names()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
        Error::argument(format!("there is no column '{name}'{hint} (columns: {})", list_names(names())))
    })
}

fn scale(column: &Column) -> Result<Scale> {
    Scale::of(column).ok_or_else(|| {
        let what = if column.role() == Role::Identifier { "an identifier" } else { "a category" };
        Error::argument(format!("column '{}' is {what}, which has no order", column.name()))
    })
}

fn measure(column: &Column) -> Result<Measure> {
    Ok(scale(column)?.measure)
}

fn words(measure: Measure) -> &'static str {
    match measure {
        Measure::Number => "a number",
        Measure::Instant => "a date or timestamp",
        Measure::Time => "a time of day",
        Measure::Duration => "a duration",
    }
}

/// Rules that no row with values could keep: columns that would be below themselves, bounds that leave nothing between.
fn contradictions(rules: &[Rule], texts: &[String], columns: &[Column]) -> Result<()> {
    // What is known to lie at or below each column, with whether strictly, and the rules that say so.
    for start in 0..columns.len() {
        let mut reached: Vec<Option<(bool, Vec<usize>)>> = vec![None; columns.len()];
        let mut open = vec![(start, false, vec![])];
        while let Some((at, strictly, path)) = open.pop() {
            for (r, rule) in rules.iter().enumerate() {
                let Rule::Order { low, high, strict } = *rule else { continue };
                let strictly = strictly || strict;
                let improves = reached[high].as_ref().is_none_or(|(known, _)| strictly && !known);
                if low == at && improves {
                    let path: Vec<usize> = path.iter().copied().chain([r]).collect();
                    reached[high] = Some((strictly, path.clone()));
                    open.push((high, strictly, path));
                }
            }
        }
        let quoted = |path: &[usize]| path.iter().map(|&r| format!("'{}'", texts[r])).collect::<Vec<_>>().join(" and ");
        if let Some((true, path)) = &reached[start] {
            return Err(Error::argument(format!("constraints: {} contradict each other", quoted(path))));
        }
        reached[start] = Some((false, vec![]));
        for (below, lower) in rules.iter().enumerate() {
            let Rule::Bound { column, side: Ordering::Greater, strict, amount } = lower else { continue };
            if *column != start {
                continue;
            }
            for (above, upper) in rules.iter().enumerate() {
                let Rule::Bound { column, side: Ordering::Less, strict: too, amount: limit } = upper else { continue };
                let Some((strictly, path)) = &reached[*column] else { continue };
                let empty = match amount.partial_cmp(limit) {
                    Some(Ordering::Greater) => true,
                    Some(Ordering::Equal) => *strict || *too || *strictly,
                    _ => false,
                };
                if empty {
                    let path: Vec<usize> = [below].into_iter().chain(path.iter().copied()).chain([above]).collect();
                    return Err(Error::argument(format!("constraints: {} contradict each other", quoted(&path))));
                }
            }
        }
    }
    Ok(())
}

impl Rule {
    /// The columns that it names.
    fn columns(&self) -> Vec<usize> {
        match self {
            Rule::Order { low, high, .. } => vec![*low, *high],
            Rule::Bound { column, .. } => vec![*column],
            Rule::Fixed { columns } => columns.clone(),
        }
    }

    /// Rows that break it, of values encoded like the input, in ascending order. None break [`Rule::Fixed`] here.
    pub fn broken(&self, columns: &[Column], values: &[&Values]) -> Vec<usize> {
        match self {
            Rule::Order { low, high, strict } => {
                let Some(pair) = Pair::of(&columns[*low], &columns[*high]) else { return vec![] };
                let (Some(a), Some(b)) = (values[*low].numbers(), values[*high].numbers()) else { return vec![] };
                (0..a.len()).filter(|&r| pair.breaks(a[r], b[r], *strict)).collect()
            }
            Rule::Bound { column, side, strict, amount } => {
                let (Some(scale), Some(v)) = (Scale::of(&columns[*column]), values[*column].numbers()) else {
                    return vec![];
                };
                let breaks = |v: f64| match scale.compare(v, *amount) {
                    Some(Ordering::Equal) => *strict,
                    Some(order) => order != *side,
                    None => false,
                };
                (0..v.len()).filter(|&r| breaks(v[r])).collect()
            }
            Rule::Fixed { .. } => vec![],
        }
    }

    /// Fails (data) when training rows break it.
    pub fn check(&self, text: &str, rows: &ColumnStore) -> Result<()> {
        let named = self.columns();
        let read = |c: usize| if named.contains(&c) { rows.column(c).map(Some) } else { Ok(None) };
        let columns = (0..rows.headers().len()).map(read).collect::<Result<Vec<Option<Cow<Column>>>>>()?;
        let values: Vec<&Values> = columns.iter().map(|c| c.as_ref().map_or(&Values::Omitted, |c| &c.values)).collect();
        let broken = self.broken(rows.headers(), &values).len();
        if broken == 0 {
            return Ok(());
        }
        Err(Error::data(format!(
            "constraints: '{text}' does not hold in {broken} of {} rows: correct them or leave them out with WHERE, or drop the \
             constraint",
            rows.rows()
        )))
    }
}

/// Two columns of one measure, ready to be compared.
pub(crate) enum Pair {
    Exact([(i128, i128); 2]),
    Float([(f64, f64); 2]),
}

impl Pair {
    /// `None` for columns of different measures.
    pub fn of(a: &Column, b: &Column) -> Option<Self> {
        let (a, b) = (Scale::of(a)?, Scale::of(b)?);
        if a.measure != b.measure {
            return None;
        }
        let places = a.places.max(b.places);
        Some(match (a.line(places), b.line(places)) {
            (Some(a), Some(b)) => Pair::Exact([a, b]),
            _ => Pair::Float([a.float_line(), b.float_line()]),
        })
    }

    /// Whether both are present and the first is above the second, or not below it.
    pub fn breaks(&self, a: f64, b: f64, strict: bool) -> bool {
        if a.is_nan() || b.is_nan() {
            return false;
        }
        let order = match self {
            Pair::Exact([x, y]) => amount(*x, a).cmp(&amount(*y, b)),
            Pair::Float([x, y]) => (x.0 + x.1 * a).total_cmp(&(y.0 + y.1 * b)),
        };
        order.is_gt() || strict && order.is_eq()
    }
}

/// The amount on an exact line.
pub(crate) fn amount(line: (i128, i128), value: f64) -> i128 {
    line.0 + line.1 * value.round() as i128
}
