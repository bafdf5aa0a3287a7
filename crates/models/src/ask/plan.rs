//! What is asked, in the terms of a fitted model: checked against the values that it emits.

use lookalike_core::{
    Column, Constant, Domain, Error, MISSING, NumberDomain, Result, Role, Value, Values, closest, list_names,
};

use super::quota::{Quota, largest_remainder};
use super::{Ask, Condition};
use crate::Synthesizer;

/// A value of a column as bits: equal for equal values, NULL among them.
pub(super) type Cell = u64;

const NULL_NUMBER: Cell = u64::MAX;

/// The bits of a number; NaN is NULL.
fn number_cell(number: f64) -> Cell {
    if number.is_nan() { NULL_NUMBER } else { (number + 0.0).to_bits() }
}

/// The value of a row.
pub(super) fn cell(values: &Values, row: usize) -> Cell {
    match values {
        Values::Number(v) => number_cell(v[row]),
        Values::Code(v) => u64::from(v[row]),
        Values::Omitted => 0,
    }
}

/// The cells as values of the column.
pub(super) fn values_of(column: &Column, cells: impl Iterator<Item = Cell>) -> Values {
    match column.role() {
        Role::Number => {
            Values::Number(cells.map(|c| if c == NULL_NUMBER { f64::NAN } else { f64::from_bits(c) }).collect())
        }
        Role::Category => Values::Code(cells.map(|c| c as u32).collect()),
        Role::Identifier => Values::Omitted,
    }
}

/// The NULL of a column.
fn null_cell(column: &Column) -> Cell {
    if column.role() == Role::Number { NULL_NUMBER } else { u64::from(MISSING) }
}

/// What one column may hold.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub column: usize,
    allowed: Allowed,
    text: String,
}

#[derive(Debug, Clone)]
enum Allowed {
    /// In ascending order.
    Any(Vec<Cell>),
    /// Both ends included.
    Between(f64, f64),
}

impl Test {
    fn passes(&self, values: &[Values], row: usize) -> bool {
        match (&self.allowed, &values[self.column]) {
            (Allowed::Any(cells), values) => cells.binary_search(&cell(values, row)).is_ok(),
            (Allowed::Between(min, max), Values::Number(v)) => *min <= v[row] && v[row] <= *max,
            _ => false,
        }
    }

    /// The only value that passes.
    pub fn single(&self) -> Option<Cell> {
        match &self.allowed {
            Allowed::Any(cells) if cells.len() == 1 => cells.first().copied(),
            _ => None,
        }
    }

    /// Whether NULL passes.
    pub fn takes_null(&self, columns: &[Column]) -> bool {
        let null = null_cell(&columns[self.column]);
        matches!(&self.allowed, Allowed::Any(cells) if cells.binary_search(&null).is_ok())
    }
}

/// How many rows hold each value of one column.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    pub column: usize,
    values: Vec<Cell>,
    texts: Vec<String>,
    /// Values and their places in `values`, in ascending order.
    order: Vec<(Cell, u32)>,
    /// Rows of each value; one more for all other values, where they have a share.
    counts: Vec<u64>,
    quota: Quota,
}

impl Shares {
    fn class(&self, values: &[Values], row: usize) -> Option<u32> {
        let cell = cell(&values[self.column], row);
        match self.order.binary_search_by_key(&cell, |o| o.0) {
            Ok(i) => Some(self.order[i].1),
            Err(_) => (self.counts.len() > self.values.len()).then_some(self.values.len() as u32),
        }
    }
}

/// What every row and each row has to hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub tests: Vec<Test>,
    pub shares: Vec<Shares>,
}

impl Plan {
    /// Checks what is asked against what the model emits.
    pub fn new(ask: &Ask, synthesizer: &Synthesizer) -> Result<Self> {
        let mut plan = Self::default();
        for (i, (name, condition)) in ask.conditions.iter().enumerate() {
            if ask.conditions[..i].iter().any(|c| c.0 == *name) {
                return Err(Error::argument(format!("condition: column '{name}' is named twice")));
            }
            plan.tests.push(test(name, condition, synthesizer).map_err(|e| e.within("condition"))?);
        }
        let balance = ask.balance.iter().map(|name| ("balance", name, None));
        let proportions = ask.proportions.iter().map(|(name, shares)| ("proportions", name, Some(shares)));
        let mut combinations = 1u64;
        for (number, (option, name, shares)) in balance.chain(proportions).enumerate() {
            let place = |e: Error| e.within(option);
            let column = find(synthesizer, name).map_err(place)?;
            if plan.tests.iter().any(|t| t.column == column) {
                return Err(Error::argument(format!(
                    "{option}: column '{name}' has a condition as well, allowed is one of them: give the shares of the wanted \
                     values with proportions"
                )));
            }
            if plan.shares.iter().any(|s| s.column == column) {
                return Err(Error::argument(format!(
                    "{option}: column '{name}' is named twice in balance and proportions, allowed is once"
                )));
            }
            let (values, texts, shares) = match shares {
                None => balanced(name, column, synthesizer),
                Some(given) => shared(name, column, given, synthesizer),
            }
            .map_err(place)?;
            let counts = largest_remainder(&shares, synthesizer.rows());
            let quota = Quota::new(&counts, &synthesizer.streams().part("quota"), number as u64);
            let mut order: Vec<(Cell, u32)> = values.iter().copied().zip(0..).collect();
            order.sort_unstable();
            combinations = combinations.checked_mul(counts.len() as u64).ok_or_else(|| {
                Error::argument(format!(
                    "{option}: the columns have more than 2^64 combinations of values: ask for fewer"
                ))
            })?;
            plan.shares.push(Shares { column, values, texts, order, counts, quota });
        }
        Ok(plan)
    }

    /// Whether every row will do.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.shares.is_empty()
    }

    /// The combination of values that a row of the output is asked for.
    pub fn wanted(&self, row: u64) -> u64 {
        self.shares.iter().fold(0, |class, s| class * s.counts.len() as u64 + u64::from(s.quota.of(row)))
    }

    /// The combination of values that a row has; `None` when no row of the output may have it.
    pub fn class(&self, values: &[Values], row: usize) -> Option<u64> {
        if !self.tests.iter().all(|t| t.passes(values, row)) {
            return None;
        }
        self.shares
            .iter()
            .try_fold(0, |class, s| s.class(values, row).map(|own| class * s.counts.len() as u64 + u64::from(own)))
    }

    /// Whether some row of the output may hold what this row holds.
    pub fn allows(&self, values: &[Values], row: usize) -> bool {
        self.tests.iter().all(|t| t.passes(values, row))
            && self.shares.iter().all(|s| s.class(values, row).is_some_and(|own| s.counts[own as usize] > 0))
    }

    /// The place of a class among the values of each column.
    fn parts(&self, mut class: u64) -> impl Iterator<Item = (&Shares, usize)> {
        let mut parts: Vec<(&Shares, usize)> = vec![];
        for shares in self.shares.iter().rev() {
            let n = shares.counts.len() as u64;
            parts.push((shares, (class % n) as usize));
            class /= n;
        }
        parts.into_iter().rev()
    }

    /// Columns whose value is known beforehand in rows of a class, in ascending order, with the value.
    pub fn given(&self, class: u64) -> Vec<(usize, Cell)> {
        let singles = self.tests.iter().filter_map(|t| t.single().map(|cell| (t.column, cell)));
        let shares = self.parts(class).filter_map(|(s, i)| s.values.get(i).map(|cell| (s.column, *cell)));
        let mut given: Vec<(usize, Cell)> = singles.chain(shares).collect();
        given.sort_unstable();
        given
    }

    /// What rows of a class hold, in words.
    pub fn describe(&self, class: u64) -> String {
        let shares = self.parts(class).map(|(s, i)| s.texts[i].clone());
        self.tests.iter().map(|t| t.text.clone()).chain(shares).collect::<Vec<_>>().join(", ")
    }
}

/// The column of that name; an argument error that names the closest, or says that it is an identifier.
pub(super) fn find(synthesizer: &Synthesizer, name: &str) -> Result<usize> {
    let columns = synthesizer.columns();
    let Some(found) = columns.iter().position(|c| c.name() == name) else {
        let names = || columns.iter().map(Column::name);
        let hint = closest(name, names()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
        return Err(Error::argument(format!("there is no column '{name}'{hint} (columns: {})", list_names(names()))));
    };
    if columns[found].role() == Role::Identifier {
        return Err(Error::argument(format!(
            "column '{name}' is an identifier: its values are made up afresh, so nothing can be asked of them"
        )));
    }
    Ok(found)
}

fn test(name: &str, condition: &Condition, synthesizer: &Synthesizer) -> Result<Test> {
    let column = find(synthesizer, name)?;
    let (allowed, text) = match condition {
        Condition::Any(values) => {
            let mut cells = values.iter().map(|v| emitted(column, v, synthesizer)).collect::<Result<Vec<Cell>>>()?;
            cells.sort_unstable();
            cells.dedup();
            let texts: Vec<String> = values.iter().map(Value::to_string).collect();
            let text = match texts.as_slice() {
                [one] => format!("{name}: {one}"),
                all => format!("{name}: [{}]", all.join(", ")),
            };
            (Allowed::Any(cells), text)
        }
        Condition::Between { min, max } => {
            let field = &synthesizer.columns()[column];
            let Some(domain) = &synthesizer.emitted(column).numbers else {
                return Err(Error::argument(format!(
                    "column '{name}' holds categories, which have no range: list those wanted, {name}: ['...', '...']"
                )));
            };
            let end = |value: &Option<Value>, open: f64| match value {
                None => Ok(open),
                Some(value) => match field.constant(value)? {
                    Constant::Number(number) => Ok(number),
                    _ => Err(Error::argument(format!("{value} is no end of a range of column '{name}'"))),
                },
            };
            let (low, high) = (end(min, f64::NEG_INFINITY)?, end(max, f64::INFINITY)?);
            let ends = [("min", min), ("max", max)];
            let shown = ends.iter().filter_map(|(end, v)| v.as_ref().map(|v| format!("{end}: {v}")));
            let text = format!("{name}: {{{}}}", shown.collect::<Vec<_>>().join(", "));
            if low > high {
                return Err(Error::argument(format!("{text}: no number is so large and so small")));
            }
            if domain.min.is_nan() || high < domain.min || domain.max < low {
                return Err(outside(field, domain, &text));
            }
            (Allowed::Between(low, high), text)
        }
    };
    Ok(Test { column, allowed, text })
}

fn outside(column: &Column, domain: &NumberDomain, asked: &str) -> Error {
    let name = column.name();
    if domain.min.is_nan() {
        return Error::argument(format!("column '{name}' is NULL in every row, so it never is {asked}"));
    }
    Error::argument(format!(
        "{asked} is never made: column '{name}' goes from {} to {}",
        column.show(domain.min),
        column.show(domain.max)
    ))
}

/// The constant as a value that comes out of a column. An argument error with the nearest that does otherwise.
fn emitted(column: usize, value: &Value, synthesizer: &Synthesizer) -> Result<Cell> {
    let (field, emitted) = (&synthesizer.columns()[column], synthesizer.emitted(column));
    let name = field.name();
    match (field.constant(value)?, &field.domain) {
        (Constant::Null, _) => Ok(null_cell(field)),
        (Constant::Number(number), _) => {
            let domain =
                emitted.numbers.as_ref().ok_or_else(|| Error::internal(format!("column '{name}' has no range")))?;
            if !(domain.min <= number && number <= domain.max) {
                return Err(outside(field, domain, &format!("{name}: {value}")));
            }
            let nearest = domain.snap(number);
            if nearest != number {
                return Err(Error::argument(format!(
                    "{name}: {value} is never made: the values of the column lie on a grid, the nearest is {}",
                    field.show(nearest)
                )));
            }
            if synthesizer.never(column, &Values::Number(vec![number])) {
                return Err(Error::argument(format!(
                    "{name}: {value} is never made: other columns determine the column"
                )));
            }
            Ok(number_cell(number))
        }
        (Constant::Label(label), Domain::Category(domain)) => {
            let known = &emitted.categories;
            let code = domain.labels.binary_search(&label).ok().map(|code| code as u32);
            if let Some(code) = code.filter(|code| known.binary_search(code).is_ok()) {
                return Ok(u64::from(code));
            }
            let labels = || known.iter().map(|&c| domain.labels[c as usize].as_str());
            let hint = closest(&label, labels()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
            let some: Vec<&str> = labels().take(MAX_LISTED + 1).collect();
            let listed = if some.len() > MAX_LISTED { String::new() } else { format!(" ({})", list_names(some)) };
            Err(Error::argument(format!(
                "{name}: {value} is never made{hint}; only categories of min_category_count persons leave{listed}"
            )))
        }
        (Constant::Label(_), _) => Err(Error::internal(format!("column '{name}': a label for numbers"))),
    }
}

/// Categories listed in a message at most.
const MAX_LISTED: usize = 20;

type Wanted = (Vec<Cell>, Vec<String>, Vec<f64>);

/// Every category equally often.
fn balanced(name: &str, column: usize, synthesizer: &Synthesizer) -> Result<Wanted> {
    let Domain::Category(domain) = &synthesizer.columns()[column].domain else {
        return Err(Error::argument(format!(
            "column '{name}' holds numbers, dates or times, which are too many to be balanced: bin it before synthesising, as with \
             generalize({name}, 'widths(10)', 1), or name the values wanted with proportions"
        )));
    };
    let codes = &synthesizer.emitted(column).categories;
    if codes.is_empty() {
        return Err(Error::argument(format!("column '{name}' is NULL in every row: there is nothing to balance")));
    }
    let texts = codes.iter().map(|&c| format!("{name}: '{}'", domain.labels[c as usize])).collect();
    Ok((codes.iter().map(|&c| u64::from(c)).collect(), texts, vec![1.0 / codes.len() as f64; codes.len()]))
}

/// How near to 1 the shares have to come.
const TOLERANCE: f64 = 1e-9;

/// The shares given, and what they leave for other values.
fn shared(name: &str, column: usize, given: &[(String, f64)], synthesizer: &Synthesizer) -> Result<Wanted> {
    let (mut values, mut texts, mut shares): Wanted = Default::default();
    for (label, share) in given {
        let value = Value::Text(label.clone());
        let cell = emitted(column, &value, synthesizer)?;
        if values.contains(&cell) {
            return Err(Error::argument(format!("{name}: {value} is named twice")));
        }
        values.push(cell);
        texts.push(format!("{name}: {value}"));
        shares.push(*share);
    }
    let sum: f64 = shares.iter().sum();
    if sum > 1.0 + TOLERANCE {
        return Err(Error::argument(format!("{name}: the shares sum to {sum}, allowed is at most 1")));
    }
    if sum < 1.0 - TOLERANCE {
        let field = &synthesizer.columns()[column];
        let is_all = field.role() == Role::Category && values.len() == synthesizer.emitted(column).categories.len();
        if is_all && !field.field.is_nullable() {
            return Err(Error::argument(format!(
                "{name}: the shares of all {} categories sum to {sum}, allowed is 1",
                values.len()
            )));
        }
        texts.push(format!("another {name}"));
        shares.push(1.0 - sum);
    } else {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
    Ok((values, texts, shares))
}
