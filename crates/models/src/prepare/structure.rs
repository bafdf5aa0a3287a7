//! Between the input and what a model learns: columns that others give are left out, and put back in what it makes.

mod saved;

use std::sync::Arc;

use lookalike_core::{
    CategoryDomain, Column, ColumnStore, Domain, Job, Keeper, Result, Role, StoredColumn, Stream, Values,
};

use super::Restore;
use super::constraints::{Rule, parse};
use super::determined::{Lookup, Refined, detect};
use super::emitted::Emitted;
use super::fixed::Fixed;
use super::levels::{Level, Levels};
use super::order;
use super::order::{Edge, Ranges, Sum, range};

/// Where a column of the model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A column of the input as it is.
    Column(usize),
    /// The difference of [`Step::Sum`], by step.
    Difference(usize),
    /// The combination of [`Step::Fixed`], by step.
    Combination(usize),
}

/// How input columns come about. Each step needs columns of the model and of earlier steps only.
#[derive(Debug)]
enum Step {
    Constant(usize, Level),
    Fixed(Fixed),
    Refined(Refined),
    Sum(Sum),
    Same { column: usize, of: usize },
    Lookup(Lookup),
}

/// What is kept between columns, whatever the model.
#[derive(Debug)]
pub(crate) struct Structure {
    /// The input's columns, without values.
    columns: Vec<Column>,
    /// By column of the model.
    origins: Vec<Origin>,
    steps: Vec<Step>,
    /// Rules by hand, which the steps keep already or rows are drawn again for.
    rules: Vec<Rule>,
    /// Their texts.
    texts: Vec<String>,
}

/// What a condition on an input column is to the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    /// One of these values of a column of the model, in proportion to these rows; the values are the structured frame's, before
    /// [`super::Restore::undo`].
    Column { column: usize, values: Values, rows: Vec<u64> },
    /// It always holds.
    Always,
    /// It never does.
    Never,
    /// Only rows that come out can tell.
    Rejection,
}

impl Structure {
    /// Finds the structure of rows in canonical order and takes it out of them; columns that stand for others are kept by `keeper`.
    ///
    /// # Errors
    /// Constraints that cannot be read or contradict each other (argument); rows that break them (data); memory;
    /// cancellation.
    pub fn fit(
        all: ColumnStore,
        (texts, detected): (&[String], bool),
        min_persons: u32,
        keeper: &Keeper,
        job: &Job,
    ) -> Result<(ColumnStore, Self)> {
        let columns = all.headers().to_vec();
        let rules = parse(texts, &columns)?;
        for (rule, text) in rules.iter().zip(texts) {
            job.check()?;
            rule.check(text, &all)?;
        }
        let width = columns.len();
        let mut taken = vec![false; width];
        let mut steps = vec![];
        let mut made: Vec<(usize, Origin, StoredColumn)> = vec![];
        for rule in &rules {
            let Rule::Fixed { columns } = rule else { continue };
            // Columns of two combinations are one.
            let mut members = columns.clone();
            if members.iter().any(|&c| taken[c]) {
                continue;
            }
            for other in rules.iter().cycle().take(rules.len() * rules.len()) {
                if let Rule::Fixed { columns } = other
                    && columns.iter().any(|c| members.contains(c))
                {
                    columns.iter().for_each(|&c| {
                        if !members.contains(&c) {
                            members.push(c)
                        }
                    });
                }
            }
            members.iter().for_each(|&c| taken[c] = true);
            let place = members[0];
            let (fixed, column) = Fixed::fit(&all, members, min_persons)?;
            made.push((place, Origin::Combination(steps.len()), keeper.keep(column)?));
            steps.push(Step::Fixed(fixed));
        }
        let mut named = vec![false; width];
        for rule in &rules {
            if let Rule::Order { low, high, .. } = rule {
                (named[*low], named[*high]) = (true, true);
            }
        }
        let mut lookups = vec![];
        if detected {
            let may_drop: Vec<bool> = (0..width).map(|c| !taken[c] && !named[c]).collect();
            let mut found = detect(&all, &may_drop, min_persons, job)?;
            // What is fixed together is drawn together: nothing of it is drawn again.
            found.refined.retain(|t| !taken[t.of] && !taken[t.column]);
            steps.extend(found.constant.iter().map(|&(c, level)| Step::Constant(c, level)));
            lookups.extend(found.lookups.into_iter().map(Step::Lookup));
            // Of a column that may be looked up, or moved to a value that a lookup knows.
            lookups.extend(found.same.iter().map(|&(column, of)| Step::Same { column, of }));
            for step in steps.iter().chain(&lookups) {
                if let Step::Constant(c, _) | Step::Same { column: c, .. } = step {
                    taken[*c] = true;
                }
                if let Step::Lookup(table) = step {
                    taken[table.column] = true;
                }
            }
            steps.extend(found.refined.into_iter().map(|t| Step::Refined(Refined::new(t))));
        }
        // Numbers that a lookup moves to known values keep to themselves.
        let mut movable = taken.clone();
        for step in steps.iter().chain(&lookups) {
            match step {
                Step::Refined(refined) => movable[refined.table.column] = true,
                Step::Lookup(table) => movable[table.of] = true,
                _ => {}
            }
        }
        let free: Vec<usize> = (0..width)
            .filter(|&c| columns[c].role() == Role::Number && (!movable[c] || named[c] && !taken[c]))
            .collect();
        let mut edges: Vec<Edge> = rules
            .iter()
            .filter_map(|rule| match *rule {
                Rule::Order { low, high, strict } if !taken[low] && !taken[high] => Some(Edge { low, high, strict }),
                _ => None,
            })
            .collect();
        if detected {
            for edge in order::detect(&all, &free, job)? {
                if edges.iter().all(|e| (e.low, e.high) != (edge.low, edge.high)) {
                    edges.push(edge);
                }
            }
        }
        for (sum, column) in sums(&all, edges, min_persons, keeper)? {
            taken[sum.column] = true;
            made.push((sum.column, Origin::Difference(steps.len()), column));
            steps.push(Step::Sum(sum));
        }
        steps.extend(lookups);
        let rows = all.rows();
        let (given, units) = all.into_parts();
        let given = given.into_iter().enumerate().filter(|(c, _)| !taken[*c]);
        let mut model = made;
        model.extend(given.map(|(c, column)| (c, Origin::Column(c), column)));
        model.sort_by_key(|m| m.0);
        let (origins, model) = model.into_iter().map(|(_, origin, column)| (origin, column)).unzip();
        let mut structure = Self { columns, origins, steps, rules, texts: texts.to_vec() };
        structure.prune();
        Ok((ColumnStore::new(rows, model, units), structure))
    }

    /// Leaves out of the tables what never comes out of the columns before them: values that only rare ones determine.
    fn prune(&mut self) {
        for i in 0..self.steps.len() {
            let (before, rest) = self.steps.split_at_mut(i);
            let Some(Step::Lookup(table)) = rest.first_mut() else { continue };
            let made = before.iter().find_map(|step| match step {
                Step::Lookup(other) if other.column == table.of => Some(&other.values),
                Step::Fixed(fixed) => fixed.cells_of(table.of),
                _ => None,
            });
            if let Some(made) = made {
                table.retain(made);
            }
        }
    }

    /// What comes out of each column of the input, around what is restored of the model's.
    pub fn emitted(&self, restore: &[Restore]) -> Vec<Emitted> {
        let mut all: Vec<Emitted> = self.columns.iter().map(|_| Emitted::default()).collect();
        for (origin, restore) in self.origins.iter().zip(restore) {
            if let Origin::Column(c) = *origin {
                all[c] = Emitted::of_model(&self.columns[c], restore);
            }
        }
        for step in &self.steps {
            match step {
                Step::Constant(c, level) => all[*c] = Emitted::of_levels(&self.columns[*c], &Levels::from(*level)),
                Step::Fixed(fixed) => {
                    for (&c, cells) in fixed.columns.iter().zip(&fixed.cells) {
                        all[c] = Emitted::of_levels(&self.columns[c], cells);
                    }
                }
                Step::Lookup(table) => {
                    all[table.column] = Emitted::of_levels(&self.columns[table.column], &table.values)
                }
                Step::Sum(sum) => all[sum.column] = Emitted::of_range(&self.columns[sum.column], sum.min, sum.max),
                Step::Same { column, of } => all[*column] = all[*of].clone(),
                Step::Refined(_) => {}
            }
        }
        all
    }

    /// Values of the input's columns from those of the model's columns, which are restored already.
    pub fn apply(&self, model: Vec<Values>, rows: usize, rng: &mut Stream) -> Vec<Values> {
        let mut out: Vec<Values> = vec![Values::Omitted; self.columns.len()];
        // Of steps, what a model's column gives.
        let mut given: Vec<Values> = vec![Values::Omitted; self.steps.len()];
        for (origin, values) in self.origins.iter().zip(model) {
            match *origin {
                Origin::Column(c) => out[c] = values,
                Origin::Difference(step) | Origin::Combination(step) => given[step] = values,
            }
        }
        for (step, given) in self.steps.iter().zip(given) {
            match step {
                Step::Constant(column, level) => out[*column] = level.repeat(rows),
                Step::Fixed(fixed) => {
                    if let Values::Code(codes) = given {
                        fixed.apply(&codes).into_iter().for_each(|(c, values)| out[c] = values);
                    }
                }
                Step::Refined(refined) => {
                    let (of, column) = (refined.table.of, refined.table.column);
                    let mut category = std::mem::replace(&mut out[of], Values::Omitted);
                    refined.apply(&mut category, &mut out[column], rng);
                    out[of] = category;
                    self.follow(column, &mut out);
                }
                Step::Sum(sum) => {
                    let others: Option<Vec<&[f64]>> = sum.of.iter().map(|(c, _)| out[*c].numbers()).collect();
                    if let (Some(others), Values::Number(difference)) = (others, given) {
                        out[sum.column] = Values::Number(sum.apply(&self.columns, &others, &difference));
                    }
                }
                Step::Same { column, of } => out[*column] = out[*of].clone(),
                Step::Lookup(table) => {
                    if table.is_one_to_one() && self.may_snap(table.of) {
                        table.snap(&mut out[table.of]);
                    }
                    out[table.column] = table.apply(&out[table.of]);
                }
            }
        }
        out
    }

    /// Puts right what a refined category determines, after its values changed.
    fn follow(&self, of: usize, out: &mut [Values]) {
        let tables = self.steps.iter().filter_map(|step| match step {
            Step::Refined(refined) if refined.table.of == of => Some(&refined.table),
            _ => None,
        });
        for table in tables {
            let mut column = std::mem::replace(&mut out[table.column], Values::Omitted);
            for (row, key) in Level::all(&out[of]).enumerate() {
                if let Some(value) = table.value(key) {
                    value.put(&mut column, row);
                }
            }
            out[table.column] = column;
            self.follow(table.column, out);
        }
    }

    /// Whether a column is the model's own, so that no other depends on its value before lookups.
    fn may_snap(&self, column: usize) -> bool {
        let used = |step: &Step| match step {
            Step::Sum(sum) => sum.column == column || sum.of.iter().any(|(c, _)| *c == column),
            Step::Refined(refined) => refined.table.column == column,
            Step::Fixed(fixed) => fixed.columns.contains(&column),
            _ => false,
        };
        self.origins.contains(&Origin::Column(column)) && !self.steps.iter().any(used)
    }

    /// Whether rows keep a density in closed form on the way.
    pub fn has_density(&self) -> bool {
        !self.steps.iter().any(|step| matches!(step, Step::Sum(Sum { is_filled: true, .. })))
    }

    /// The way in: values of the input's columns as values of the model's, before [`super::Restore::undo`], and what is added to
    /// the logarithm of each row's density: minus infinity where the row breaks what always holds.
    pub fn undo(&self, values: &[&Values], rows: usize) -> (Vec<Values>, Vec<f64>) {
        let mut added = vec![0.0; rows];
        let mut given: Vec<Values> = vec![Values::Omitted; self.steps.len()];
        for rule in &self.rules {
            rule.broken(&self.columns, values).into_iter().for_each(|r| added[r] = f64::NEG_INFINITY);
        }
        for (step, given) in self.steps.iter().zip(&mut given) {
            let mut refuse = |breaks: &dyn Fn(usize) -> bool| {
                (0..rows).filter(|&r| breaks(r)).for_each(|r| added[r] = f64::NEG_INFINITY);
            };
            match step {
                Step::Constant(column, level) => refuse(&|r| Level::at(values[*column], r) != *level),
                Step::Same { column, of } => refuse(&|r| Level::at(values[*column], r) != Level::at(values[*of], r)),
                Step::Lookup(table) | Step::Refined(Refined { table, .. }) => {
                    refuse(&|r| table.contradicts(Level::at(values[table.of], r), Level::at(values[table.column], r)));
                }
                Step::Fixed(fixed) => {
                    let members: Vec<&Values> = fixed.columns.iter().map(|&c| values[c]).collect();
                    *given = Values::Code(fixed.undo(&members));
                }
                Step::Sum(sum) => {
                    let others: Option<Vec<&[f64]>> = sum.of.iter().map(|(c, _)| values[*c].numbers()).collect();
                    if let (Some(others), Some(own)) = (others, values[sum.column].numbers()) {
                        let mut difference = sum.undo(&self.columns, &others, own);
                        let steps = sum.log_steps(&self.columns);
                        for (d, added) in difference.iter_mut().zip(&mut added) {
                            if d.is_infinite() {
                                (*d, *added) = (sum.difference.min, f64::NEG_INFINITY);
                            } else if !d.is_nan() {
                                *added += steps;
                            }
                        }
                        *given = Values::Number(difference);
                    }
                }
            }
        }
        let model = self.origins.iter().map(|origin| match *origin {
            Origin::Column(c) => values[c].clone(),
            Origin::Difference(step) | Origin::Combination(step) => {
                std::mem::replace(&mut given[step], Values::Omitted)
            }
        });
        (model.collect(), added)
    }

    /// What it means to the model that an input column has one of the values.
    pub fn given(&self, column: usize, values: &Values) -> Given {
        self.given_weighted(column, Levels::of(values), None)
    }

    fn given_weighted(&self, column: usize, values: Levels, rows: Option<Vec<u64>>) -> Given {
        if values.len() == 0 {
            return Given::Never;
        }
        for (s, step) in self.steps.iter().enumerate() {
            match step {
                Step::Constant(c, level) if *c == column => {
                    let holds = (0..values.len()).any(|i| values.get(i) == *level);
                    return if holds { Given::Always } else { Given::Never };
                }
                Step::Same { column: c, of } if *c == column => return self.given_weighted(*of, values, rows),
                Step::Lookup(table) if table.column == column => {
                    let (keys, rows) = table.keys_of(&values);
                    return self.given_weighted(table.of, keys, Some(rows));
                }
                Step::Sum(sum) if sum.column == column => return Given::Rejection,
                // What is drawn again afterwards cannot be imposed before.
                Step::Refined(refined) if refined.table.of == column => return Given::Rejection,
                Step::Fixed(fixed) if fixed.columns.contains(&column) => {
                    let (codes, rows) = fixed.with(column, &values);
                    let Some(m) = self.origins.iter().position(|o| *o == Origin::Combination(s)) else { continue };
                    return match codes.is_empty() {
                        true => Given::Never,
                        false => Given::Column { column: m, values: Values::Code(codes), rows },
                    };
                }
                _ => {}
            }
        }
        match self.origins.iter().position(|o| *o == Origin::Column(column)) {
            Some(m) => {
                let rows = rows.unwrap_or_else(|| vec![1; values.len()]);
                Given::Column { column: m, values: values.into_values(), rows }
            }
            None => Given::Rejection,
        }
    }

    /// Rows of restored values that break a rule by hand, in ascending order.
    pub fn broken(&self, values: &[Values]) -> Vec<usize> {
        let values: Vec<&Values> = values.iter().collect();
        let mut rows: Vec<usize> = self.rules.iter().flat_map(|rule| rule.broken(&self.columns, &values)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The model's columns before they are prepared, without values.
    pub fn model_columns(&self) -> Vec<Column> {
        let column = |origin: &Origin| match *origin {
            Origin::Column(c) => self.columns[c].without_values(),
            Origin::Difference(step) | Origin::Combination(step) => match &self.steps[step] {
                Step::Sum(sum) => {
                    let domain = Domain::Number(sum.difference);
                    Column { domain, ..self.columns[sum.column].without_values() }
                }
                Step::Fixed(fixed) => {
                    let labels = (0..fixed.rows.len()).map(super::fixed::label).collect();
                    let domain = Domain::Category(Arc::new(CategoryDomain { labels }));
                    Column { domain, ..self.columns[fixed.columns[0]].without_values() }
                }
                _ => self.columns[0].without_values(),
            },
        };
        self.origins.iter().map(column).collect()
    }

    /// What is kept, a sentence each.
    pub fn describe(&self) -> Vec<String> {
        let name = |c: usize| format!("'{}'", self.columns[c].name());
        let list = |all: &mut dyn Iterator<Item = usize>| all.map(name).collect::<Vec<_>>().join(", ");
        let sentence = |step: &Step| match step {
            Step::Constant(column, _) => format!("{} has one value", name(*column)),
            Step::Fixed(fixed) => {
                format!("{} have {} combinations", list(&mut fixed.columns.iter().copied()), fixed.rows.len())
            }
            Step::Refined(Refined { table, .. }) | Step::Lookup(table) => {
                format!("{} determines {}", name(table.of), name(table.column))
            }
            Step::Sum(sum) => {
                format!("{} is never below {}", name(sum.column), list(&mut sum.of.iter().map(|(c, _)| *c)))
            }
            Step::Same { column, of } => format!("{} equals {}", name(*column), name(*of)),
        };
        self.steps.iter().map(sentence).collect()
    }

    /// Texts of the rules by hand.
    pub fn constraints(&self) -> &[String] {
        &self.texts
    }
}

/// Differences for as many of the edges as go together, each after those of the columns below.
fn sums(all: &ColumnStore, edges: Vec<Edge>, min_persons: u32, keeper: &Keeper) -> Result<Vec<(Sum, StoredColumn)>> {
    // a <= c says nothing beside a <= b and b <= c, unless it is strict.
    let has = |low, high| edges.iter().any(|e| (e.low, e.high) == (low, high));
    let needed = |e: &&Edge| {
        // Of columns that are equal throughout, the first is below.
        let is_mirror = has(e.high, e.low) && e.high < e.low;
        let between = |m: &Edge| m.low == e.low && m.high != e.high && has(m.high, e.high) && !has(m.high, e.low);
        !is_mirror && (e.strict || !edges.iter().any(between))
    };
    let mut open: Vec<Edge> = edges.iter().filter(needed).copied().collect();
    let mut ranges: Ranges = vec![None; all.headers().len()];
    for c in (0..ranges.len()).filter(|&c| open.iter().any(|e| e.low == c)) {
        let column = all.column(c)?;
        if let (Domain::Number(domain), Values::Number(values)) = (&column.domain, &column.values) {
            ranges[c] = Some(range(values, *domain, all.units(), min_persons));
        }
    }
    let mut found = vec![];
    // Columns without anything below go first; what stands in a circle stays as it is.
    while let Some(column) = open
        .iter()
        .map(|e| e.high)
        .filter(|&h| open.iter().all(|e| e.high != h || open.iter().all(|f| f.high != e.low)))
        .min()
    {
        let of = open.iter().filter(|e| e.high == column).map(|e| (e.low, e.strict)).collect();
        if let Some((sum, difference)) = Sum::fit(all, column, of, &mut ranges, min_persons)? {
            found.push((sum, keeper.keep(difference)?));
        }
        open.retain(|e| e.high != column);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
