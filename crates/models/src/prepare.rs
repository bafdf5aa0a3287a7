//! What is taken out of the rows before any model sees them, and put right afterwards.

mod constraints;
mod determined;
mod emitted;
mod fixed;
mod levels;
mod order;
mod structure;

use std::sync::Arc;

use lookalike_core::{
    CategoryDomain, Column, ColumnStore, Domain, Error, Job, Keeper, MISSING, NumberDomain, NumberKind, Result,
    StoredColumn, Stream, Units, Values, category_units,
};
use rayon::prelude::*;

use crate::alias::Alias;
use crate::codec::{Reader, Writer, ensure, inconsistent};
pub(crate) use emitted::Emitted;
pub(crate) use levels::{Level, Levels};
pub(crate) use structure::{Given, Structure};

/// From a model's values of one column to values of the input's column.
pub(crate) enum Restore {
    /// Nothing but the model's own domain to snap to (numbers), or nothing at all.
    Keep(Option<NumberDomain>),
    /// As above for integers counted from a base of their own: `by` is added to reach the input's.
    Moved { domain: NumberDomain, by: f64 },
    /// Input code of each of the model's codes; the code after the last stands for rare ones and is replaced by a draw.
    Codes { to_input: Vec<u32>, has_rare: bool, frequent: Option<Alias> },
}

/// Replaces rare categories by one code, and extreme numbers by values that tell little more than the mean of enough
/// persons'. `rows` are in canonical order; what becomes of them is kept by `keeper`.
pub(crate) fn prepare(
    rows: ColumnStore,
    min_persons: u32,
    keeper: &Keeper,
    job: &Job,
) -> Result<(ColumnStore, Vec<Restore>)> {
    let count = rows.rows();
    let (columns, units) = rows.into_parts();
    let prepared: Vec<(StoredColumn, Restore)> = columns
        .into_par_iter()
        .map(|column| {
            job.check()?;
            let (column, restore) = prepare_column(column.into_column()?, units.as_ref(), min_persons)?;
            Ok((keeper.keep(column)?, restore))
        })
        .collect::<Result<_>>()?;
    let (columns, restore) = prepared.into_iter().unzip();
    Ok((ColumnStore::new(count, columns, units), restore))
}

fn prepare_column(column: Column, units: Option<&Units>, min_persons: u32) -> Result<(Column, Restore)> {
    match (&column.domain, &column.values) {
        (Domain::Number(domain), Values::Number(values)) => {
            let (mut values, domain) = blunt(values, *domain, units, min_persons as usize);
            let (domain, by) = move_base(domain);
            if by != 0.0 {
                values.iter_mut().for_each(|v| *v -= by);
            }
            let restore = if by == 0.0 { Restore::Keep(Some(domain)) } else { Restore::Moved { domain, by } };
            let domain = Domain::Number(domain);
            Ok((Column { domain, values: Values::Number(values), ..column }, restore))
        }
        (Domain::Category(domain), Values::Code(codes)) => {
            recode(&column, domain, codes, &category_units(&column, units), min_persons)
        }
        _ => Ok((column, Restore::Keep(None))),
    }
}

fn recode(
    column: &Column,
    domain: &CategoryDomain,
    codes: &[u32],
    persons: &[u32],
    min_persons: u32,
) -> Result<(Column, Restore)> {
    let to_input: Vec<u32> = (0..persons.len() as u32).filter(|&c| persons[c as usize] >= min_persons.max(1)).collect();
    let used = persons.iter().filter(|&&p| p > 0).count();
    if to_input.is_empty() && used > 0 && !column.field.is_nullable() {
        let name = column.name();
        return Err(Error::data(format!(
            "column '{name}' is NOT NULL and none of its {used} categories is held by at least {min_persons} persons, so none may \
             be emitted: if it names records, say identifiers => ['{name}']; to emit rare categories, min_category_count => 1"
        )));
    }
    let has_rare = to_input.len() < used && !to_input.is_empty();
    let rare = to_input.len() as u32;
    let mut to_model = vec![if has_rare { rare } else { MISSING }; persons.len()];
    to_input.iter().zip(0..).for_each(|(&input, model)| to_model[input as usize] = model);
    let codes: Vec<u32> = codes.iter().map(|&c| to_model.get(c as usize).copied().unwrap_or(MISSING)).collect();
    let mut labels: Vec<String> = to_input.iter().map(|&c| domain.labels[c as usize].clone()).collect();
    // A label that sorts behind all others; models never look at labels.
    labels.extend(has_rare.then(|| char::MAX.to_string().repeat(2)));
    let mut count = vec![0u64; to_input.len()];
    codes.iter().filter(|&&c| c < rare).for_each(|&c| count[c as usize] += 1);
    let domain = Domain::Category(Arc::new(CategoryDomain { labels }));
    let column = Column { domain, values: Values::Code(codes), ..column.without_values() };
    Ok((column, Restore::Codes { to_input, has_rare, frequent: Alias::new(&count) }))
}

/// The lowest values of so many persons become evenly spaced ones of the same mean, and the highest likewise; of few
/// persons, a quarter at most.
fn blunt(
    values: &[f64],
    mut domain: NumberDomain,
    units: Option<&Units>,
    min_persons: usize,
) -> (Vec<f64>, NumberDomain) {
    let mut values = values.to_vec();
    let mut order: Vec<u32> = (0..values.len() as u32).filter(|&r| !values[r as usize].is_nan()).collect();
    let persons = crate::rows::persons(order.iter().copied(), units);
    let tail = min_persons.min(persons / 4);
    if tail >= 2 {
        for from_top in [false, true] {
            let compare = |a: &u32, b: &u32| {
                let by_value = values[*a as usize].total_cmp(&values[*b as usize]);
                (if from_top { by_value.reverse() } else { by_value }).then(a.cmp(b))
            };
            let end = match units {
                None => {
                    order.select_nth_unstable_by(tail, compare);
                    order[..tail].sort_unstable_by(compare);
                    tail
                }
                Some(units) => {
                    order.par_sort_unstable_by(compare);
                    let mut seen: Vec<u32> = vec![];
                    let is_enough = |row: &u32| {
                        let person = units.codes[*row as usize];
                        if !seen.contains(&person) {
                            seen.push(person);
                        }
                        seen.len() == tail
                    };
                    order.iter().position(is_enough).map_or(order.len(), |p| p + 1)
                }
            };
            // A quarter of the persons at most: another row follows unless these persons hold all rows between them.
            let Some(&next) = order.get(end) else { continue };
            flatten(&mut values, &order[..end], next, &domain);
        }
    }
    let present = || values.iter().copied().filter(|v| !v.is_nan());
    domain.min = present().reduce(f64::min).unwrap_or(f64::NAN);
    domain.max = present().reduce(f64::max).unwrap_or(f64::NAN);
    (values, domain)
}

/// The domain with a base that tells no more of the smallest value than its distance to the others: integers that are counted
/// from a base are counted from one record's value. Also how far its numbers are moved.
fn move_base(domain: NumberDomain) -> (NumberDomain, f64) {
    /// Integers up to here, and sums of two of them, are exact as f64.
    const EXACT: f64 = (1u64 << 51) as f64;
    let NumberKind::Integer { base, step } = domain.kind else { return (domain, 0.0) };
    let (low, width) = (domain.min, domain.width());
    if base == 0 || low.is_nan() || low.abs() > EXACT || width > EXACT {
        return (domain, 0.0);
    }
    // The range begins in the first of two cells of a grid from the type's zero, each a power of two wide.
    let cell = i128::from((width as u64 + 1).next_power_of_two());
    let (step, offset) = (i128::from(step), i128::from(base).rem_euclid(i128::from(step)));
    let number = (i128::from(base) - offset) / step;
    let moved = (number + low as i128).div_euclid(cell) * cell;
    let (by, base) = ((moved - number) as f64, i64::try_from(offset + moved * step));
    let kind = match base {
        Ok(base) => NumberKind::Integer { base, step: step as i64 },
        Err(_) => return (domain, 0.0),
    };
    (NumberDomain { kind, min: domain.min - by, max: domain.max - by }, by)
}

/// Replaces the values of a tail, whose rows stand from the outermost inwards, by evenly spaced ones around their mean. They
/// reach towards the `next` value inside as far as towards the end of the range, and are narrowed by halves until they
/// stay inside it: what comes out tells the mean, and the outermost value within a factor of two.
fn flatten(values: &mut [f64], tail: &[u32], next: u32, domain: &NumberDomain) {
    let (outermost, innermost) = (values[tail[0] as usize], values[tail[tail.len() - 1] as usize]);
    if outermost == innermost {
        return;
    }
    let size = tail.len() as f64;
    // Measured from one of them, so that the sum cannot overflow.
    let mean = outermost + tail.iter().map(|&r| values[r as usize] - outermost).sum::<f64>() / size;
    let mut reach = mean - values[next as usize];
    if !reach.is_finite() {
        return; // Values near the limits of f64, further apart than it can say.
    }
    while reach.abs() > (outermost - mean).abs() {
        reach *= 0.5;
    }
    for (i, &row) in tail.iter().enumerate() {
        values[row as usize] = domain.snap(mean + reach * (size - 1.0 - 2.0 * i as f64) / size);
    }
}

impl Restore {
    /// A model's values as values of the input's column: on its grid, inside its range, no rare category.
    pub fn apply(&self, values: Values, rng: &mut Stream) -> Values {
        match (self, values) {
            (Restore::Keep(Some(domain)), Values::Number(mut values)) => {
                snap_all(domain, &mut values);
                Values::Number(values)
            }
            (Restore::Moved { domain, by }, Values::Number(mut values)) => {
                values.iter_mut().for_each(|v| *v = domain.snap(*v) + by);
                Values::Number(values)
            }
            (Restore::Codes { to_input, frequent, .. }, Values::Code(mut codes)) => {
                for code in &mut codes {
                    *code = match to_input.get(*code as usize) {
                        Some(input) => *input,
                        None if *code == MISSING => MISSING,
                        None => frequent.as_ref().map_or(MISSING, |f| to_input[f.draw(rng) as usize]),
                    };
                }
                Values::Code(codes)
            }
            (_, values) => values,
        }
    }
}

impl Restore {
    /// The way in: values of the input's column as the model knows them. A category that it does not know is the rare one,
    /// or missing where none is rare and none is frequent.
    pub fn undo(&self, values: &Values) -> Values {
        match (self, values) {
            (Restore::Codes { to_input, has_rare, .. }, Values::Code(codes)) => {
                let known = to_input.len() as u32;
                // Behind the rare code lies one that no model makes.
                let other = if to_input.is_empty() { MISSING } else { known + u32::from(!has_rare) };
                let code =
                    |&c: &u32| to_input.binary_search(&c).map_or(if c == MISSING { c } else { other }, |i| i as u32);
                Values::Code(codes.iter().map(code).collect())
            }
            (Restore::Moved { by, .. }, Values::Number(values)) => {
                Values::Number(values.iter().map(|v| v - by).collect())
            }
            (_, values) => values.clone(),
        }
    }
}

impl Restore {
    /// The model's own range and grid of numbers.
    pub fn numbers(&self) -> Option<NumberDomain> {
        match self {
            Restore::Keep(domain) => *domain,
            Restore::Moved { domain, .. } => Some(*domain),
            Restore::Codes { .. } => None,
        }
    }

    /// The way back to a column of a file ([`Emitted::saved`]).
    pub fn save(&self, w: &mut Writer) {
        match self {
            Restore::Keep(_) | Restore::Moved { .. } => w.u32(0),
            Restore::Codes { has_rare, frequent, .. } => {
                w.u32(1);
                w.u32(u32::from(*has_rare));
                w.list(frequent.as_slice(), |w, alias| alias.save(w));
            }
        }
    }

    /// Reads what [`Restore::save`] wrote, for a column of the model in the file.
    pub fn load(r: &mut Reader, domain: &Domain) -> Result<Self> {
        match (r.u32()?, domain) {
            (0, Domain::Number(domain)) => Ok(Restore::Keep(Some(*domain))),
            (0, Domain::Identifier(_)) => Ok(Restore::Keep(None)),
            (1, Domain::Category(domain)) => {
                let has_rare = r.u32()? != 0;
                let mut frequent = r.list(1, Alias::load)?;
                let labels = domain.labels.len();
                ensure(frequent.len() <= 1 && frequent.iter().all(|alias| alias.len() == labels))?;
                Ok(Restore::Codes { to_input: (0..labels as u32).collect(), has_rare, frequent: frequent.pop() })
            }
            _ => Err(inconsistent()),
        }
    }
}

/// [`NumberDomain::snap`] of every value.
pub(crate) fn snap_all(domain: &NumberDomain, values: &mut [f64]) {
    values.iter_mut().for_each(|v| *v = domain.snap(*v));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(max: f64) -> NumberDomain {
        NumberDomain { kind: NumberKind::Integer { base: 0, step: 1 }, min: 0.0, max }
    }

    #[test]
    fn extremes_are_flattened_worked_by_hand() {
        // Twelve rows, three persons. The highest three, 90, 95, 1000, have mean 395, which is 350 from the next value 45: they
        // become 395 and 395 -+ 350 * 2/3. The lowest three, 0, 1, 5, have mean 2; 38 from 40, halved to 1.1875, gives 2 -+ 0.79.
        let values = [5.0, 40.0, 0.0, 41.0, 1000.0, 1.0, 42.0, 95.0, 43.0, 90.0, 44.0, 45.0, f64::NAN];
        let (blunted, range) = blunt(&values, domain(1000.0), None, 3);
        assert_eq!(blunted[..12], [3.0, 40.0, 1.0, 41.0, 628.0, 2.0, 42.0, 395.0, 43.0, 162.0, 44.0, 45.0]);
        assert!(blunted[12].is_nan());
        assert_eq!((range.min, range.max), (1.0, 628.0));
    }

    #[test]
    fn extremes_are_counted_in_persons() {
        // Person 0 holds the five lowest values, so two persons reach down to 10: six rows of mean 3.33, 16.67 from the next
        // value 20, halved three times to 2.08. The highest two, 80 and 70, have mean 75, 15 from 60, halved twice to 3.75.
        let values: Vec<f64> =
            [0.0, 1.0, 2.0, 3.0, 4.0].into_iter().chain((1..9).map(|i| f64::from(i) * 10.0)).collect();
        let codes = [0; 5].into_iter().chain(1..9).collect();
        let (blunted, range) = blunt(&values, domain(80.0), Some(&Units { codes, count: 9 }), 2);
        assert_eq!(blunted, [2.0, 2.0, 3.0, 4.0, 4.0, 5.0, 20.0, 30.0, 40.0, 50.0, 60.0, 73.0, 77.0]);
        assert_eq!((range.min, range.max), (2.0, 77.0));
    }

    #[test]
    fn the_base_of_a_column_tells_no_smallest_value() {
        // Minutes from 1,000,020 s, which is 60 * 16,667. What is left after blunting reaches from minute 1 to minute 6: cells of
        // 8, and 16,668 = 8 * 2,083 + 4. Below zero: -60 * 16,667 is the base, and -16,666 = -8 * 2,084 + 6.
        for (base, moved, by) in [(1_000_020, 16_664, -3.0), (-1_000_020, -16_672, -5.0)] {
            let kind = |base| NumberKind::Integer { base, step: 60 };
            let (domain, found) = move_base(NumberDomain { kind: kind(base), min: 1.0, max: 6.0 });
            assert_eq!((domain.kind, found), (kind(60 * moved), by));
            assert_eq!((domain.min, domain.max), (1.0 - by, 6.0 - by));
            assert_eq!(domain.stored(domain.min), Some(base + 60));
        }
        let own = NumberDomain { kind: NumberKind::Integer { base: i64::MIN, step: 1 }, min: 0.0, max: 1.8e19 };
        assert_eq!(move_base(own), (own, 0.0));
    }

    #[test]
    fn few_persons_are_left_alone() {
        let (blunted, _) = blunt(&[1.0, 2.0, 3.0, 4.0], domain(4.0), None, 5);
        assert_eq!(blunted, [1.0, 2.0, 3.0, 4.0]);
    }
}
