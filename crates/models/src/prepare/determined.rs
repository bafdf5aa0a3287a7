//! Columns that another column determines: found in the rows, left out of what the model learns, looked up afterwards.
//!
//! Exact functional dependencies between single columns (Huhtala, Kärkkäinen, Porkka & Toivonen 1999, TANE), of the values that
//! enough persons hold.

use std::sync::Arc;

use lookalike_core::{Column, ColumnStore, Domain, Job, MISSING, Result, Role, Stream, Units, Values, below};
use rayon::prelude::*;

use super::levels::{Level, Levels};
use crate::codec::{Reader, Writer, ensure};

/// Share of the rows that have to hold values of enough persons.
const MIN_COVERAGE: f64 = 0.95;
/// Logarithm of the probability, were the columns independent, below which a dependence counts as found: 1e-9.
const MAX_CHANCE: f64 = -20.7;
/// A category of more values than this tells a model little of its own: the column that it determines is kept beside it.
const MAX_LEVELS: usize = 512;

/// A table from the values of one column to those of another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lookup {
    /// The determined column.
    pub column: usize,
    /// The column that determines it.
    pub of: usize,
    /// Distinct values of `of`, ascending, missing last.
    pub keys: Levels,
    /// Value of `column` for each.
    pub values: Levels,
    /// Rows that hold each.
    pub rows: Vec<u64>,
}

/// How columns hang together, by index.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// One value everywhere.
    pub constant: Vec<(usize, Level)>,
    /// `(column, of)`: equal in every row.
    pub same: Vec<(usize, usize)>,
    /// Determined columns, each after the one that determines it.
    pub lookups: Vec<Lookup>,
    /// Categories that keep what they determine beside them: a value is drawn again where the two do not fit.
    pub refined: Vec<Lookup>,
}

/// A column as dense levels.
struct Coded {
    column: usize,
    /// Levels of the first rows.
    head: Vec<u32>,
    levels: Levels,
    rows: Vec<u64>,
    /// Whether enough persons hold the level.
    frequent: Vec<bool>,
    /// Number of frequent levels.
    size: usize,
    /// Share of rows in frequent levels.
    coverage: f64,
}

/// Rows whose levels are held of all columns at once: nearly all pairs that do not determine one another show it in these.
pub(super) const HEAD: usize = 1 << 16;

/// Looks for columns determined by others among those that `may_drop`; any may determine. `all` are in canonical order.
pub(crate) fn detect(all: &ColumnStore, may_drop: &[bool], min_persons: u32, job: &Job) -> Result<Found> {
    let (rows, persons) = (all.rows(), all.unit_count());
    let mut found = Found::default();
    if persons < min_persons.max(2) as usize {
        return Ok(found);
    }
    let columns = all.headers();
    let mut open: Vec<usize> = (0..columns.len()).filter(|&c| columns[c].role() != Role::Identifier).collect();
    let read = (0..columns.len()).into_par_iter().map(|c| {
        job.check()?;
        let column = all.column(c)?;
        Ok((constant(&column.values), fingerprint(&column.values)))
    });
    let (constants, prints): (Vec<Option<Level>>, Vec<u64>) = read.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    // A model has to have something to learn.
    let spare = open.iter().all(|&c| constants[c].is_some()).then(|| open.first().copied()).flatten();
    open.retain(|&c| match constants[c] {
        Some(level) if may_drop[c] && spare != Some(c) => {
            found.constant.push((c, level));
            false
        }
        _ => constants[c].is_none(),
    });
    let mut kept: Vec<usize> = vec![];
    for &c in &open {
        let mut same = None;
        for &of in kept.iter().filter(|&&of| may_drop[c] && prints[c] == prints[of]) {
            if is_same(&*all.column(c)?, &*all.column(of)?, persons) {
                same = Some(of);
                break;
            }
        }
        match same {
            Some(of) => found.same.push((c, of)),
            None => kept.push(c),
        }
    }
    job.check()?;
    // Rows of each person together, so that persons of a level are counted in one pass.
    let by_person: Option<Vec<u32>> = all.units().map(|units| {
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.par_sort_unstable_by_key(|&r| (units.codes[r as usize], r));
        order
    });
    let threads = rayon::current_num_threads() + 1;
    let bytes = 4 * (rows.min(HEAD) * kept.len() + rows * threads.min(kept.len()));
    let _memory = job.reserve(bytes, "columns that determine each other")?;
    let coded: Vec<Option<Coded>> = kept
        .par_iter()
        .map(|&c| {
            job.check()?;
            Ok(Coded::of(&*all.column(c)?, c, all.units(), by_person.as_deref(), min_persons))
        })
        .collect::<Result<_>>()?;
    let mut coded: Vec<Coded> = coded.into_iter().flatten().collect();
    // Most values first; of columns that determine each other, categories before numbers.
    let is_number = |c: &Coded| matches!(c.levels, Levels::Numbers(_));
    let used = |c: &Coded| c.rows.iter().filter(|r| **r > 0).count();
    coded.sort_by_cached_key(|c| (std::cmp::Reverse(used(c)), is_number(c), c.column));
    let pairs: Vec<(usize, usize)> = (0..coded.len()).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
    let mut found_pairs = vec![];
    for part in pairs.chunks(256) {
        job.check()?;
        let image = |&(a, b): &(usize, usize)| {
            let values = image(&coded[a], &coded[a].head, &coded[b].head)?;
            // Of more rows, the others have to say so too.
            let values =
                if rows <= HEAD { is_evident(&coded[a], &coded[b], values, persons, min_persons)? } else { vec![] };
            Some((a, b, values))
        };
        found_pairs.par_extend(part.par_iter().filter_map(image));
    }
    if rows > HEAD {
        let mut confirmed = vec![];
        for part in found_pairs.chunk_by(|x, y| x.1 == y.1) {
            job.check()?;
            let b = &coded[part[0].1];
            let level = b.levels_of(&*all.column(b.column)?, min_persons);
            let image = |&(a, of, _): &(usize, usize, Vec<u32>)| {
                let own = coded[a].levels_of(&*all.column(coded[a].column)?, min_persons);
                let values = image(&coded[a], &own, &level);
                let values = values.and_then(|values| is_evident(&coded[a], b, values, persons, min_persons));
                Ok(values.map(|values| (a, of, values)))
            };
            let images: Vec<Option<_>> = part.par_iter().map(image).collect::<Result<_>>()?;
            confirmed.extend(images.into_iter().flatten());
        }
        found_pairs = confirmed;
    }
    found.arrange(&coded, found_pairs, may_drop);
    Ok(found)
}

impl Found {
    /// Chooses what is dropped: of all columns that determine one, the one of fewest values.
    fn arrange(&mut self, coded: &[Coded], pairs: Vec<(usize, usize, Vec<u32>)>, may_drop: &[bool]) {
        let is_wide = |a: &Coded, b: &Coded| {
            let many = matches!(a.levels, Levels::Codes(_)) && a.size > MAX_LEVELS;
            many && (b.size <= MAX_LEVELS || a.coverage < MIN_COVERAGE)
        };
        let mut parent: Vec<Option<usize>> = vec![None; coded.len()];
        for (i, &(a, b, _)) in pairs.iter().enumerate() {
            let allowed =
                may_drop[coded[b].column] && coded[a].coverage >= MIN_COVERAGE && !is_wide(&coded[a], &coded[b]);
            // Pairs of one b stand in order of a: the last has fewest values.
            if allowed {
                parent[b] = Some(i);
            }
        }
        // A wide category refines the column of most values among those kept that it determines.
        let mut refines: Vec<Option<usize>> = vec![None; coded.len()];
        for (i, &(a, b, _)) in pairs.iter().enumerate() {
            let finer = refines[a].is_none_or(|j| coded[pairs[j].1].size < coded[b].size);
            if is_wide(&coded[a], &coded[b]) && parent[a].is_none() && parent[b].is_none() && finer {
                refines[a] = Some(i);
            }
        }
        for (i, &(a, b, _)) in pairs.iter().enumerate() {
            let chosen = refines[a].is_some_and(|j| pairs[j].1 == b);
            let is_base = refines.iter().flatten().any(|&j| pairs[j].1 == b);
            let allowed = may_drop[coded[b].column] && coded[a].coverage >= MIN_COVERAGE;
            if is_wide(&coded[a], &coded[b]) && parent[b].is_none() && !chosen && !is_base && allowed {
                parent[b] = Some(i);
            }
        }
        let table = |&i: &usize| {
            let (a, b, values) = &pairs[i];
            lookup(&coded[*a], &coded[*b], values)
        };
        // Coarse before fine: what refines another is drawn after it.
        self.refined = refines.iter().rev().flatten().map(table).collect();
        self.lookups = parent.iter().flatten().map(table).collect();
    }
}

fn lookup(a: &Coded, b: &Coded, values: &[u32]) -> Lookup {
    let mut known: Vec<u32> = (0..a.levels.len() as u32).filter(|&l| values[l as usize] != u32::MAX).collect();
    known.sort_unstable_by(|&x, &y| a.levels.compare(x, y));
    let image: Vec<u32> = known.iter().map(|&l| values[l as usize]).collect();
    let rows = known.iter().map(|&l| a.rows[l as usize]).collect();
    Lookup { column: b.column, of: a.column, keys: a.levels.gather(&known), values: b.levels.gather(&image), rows }
}

/// The only value of a column.
fn constant(values: &Values) -> Option<Level> {
    match values {
        Values::Number(v) => {
            let first = *v.first()?;
            v.iter().all(|x| *x == first || x.is_nan() && first.is_nan()).then_some(Level::Number(first))
        }
        Values::Code(v) => {
            let first = *v.first()?;
            v.iter().all(|x| *x == first).then_some(Level::Code(first))
        }
        Values::Omitted => None,
    }
}

/// A hash of all values in their order: equal columns have equal ones.
fn fingerprint(values: &Values) -> u64 {
    let fold = |hash: u64, bits: u64| (hash ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    match values {
        Values::Number(v) => v.iter().map(|&v| bits(v)).fold(1, fold),
        Values::Code(v) => v.iter().map(|&c| u64::from(c)).fold(2, fold),
        Values::Omitted => 0,
    }
}

/// Bits that are equal for equal numbers, missing ones among them.
fn bits(v: f64) -> u64 {
    if v.is_nan() { u64::MAX } else { (v + 0.0).to_bits() }
}

/// Whether the columns are of one type and hold the same in every row, of enough persons.
fn is_same(a: &Column, b: &Column, persons: usize) -> bool {
    let alike = a.field.data_type() == b.field.data_type();
    let equal = match (&a.domain, &b.domain, &a.values, &b.values) {
        (Domain::Number(x), Domain::Number(y), Values::Number(v), Values::Number(w)) => {
            let equal = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
            x.kind == y.kind && v.iter().zip(w).all(equal)
        }
        (Domain::Category(x), Domain::Category(y), Values::Code(v), Values::Code(w)) => {
            x.labels.len() == y.labels.len() && v == w && (Arc::ptr_eq(x, y) || x == y)
        }
        _ => false,
    };
    // The commonest value may be all they share.
    alike && equal && (persons - 1) as f64 * libm::log(commonest(&a.values)) <= MAX_CHANCE
}

/// Share of the commonest value, at least: that of the most frequent among the first thousand rows.
fn commonest(values: &Values) -> f64 {
    const SAMPLE: usize = 1000;
    let mut keys: Vec<u64> = match values {
        Values::Number(v) => v.iter().take(SAMPLE).map(|v| v.to_bits()).collect(),
        Values::Code(v) => v.iter().take(SAMPLE).map(|&c| u64::from(c)).collect(),
        Values::Omitted => vec![],
    };
    keys.sort_unstable();
    let most = keys.chunk_by(|a, b| a == b).map(<[u64]>::len).max().unwrap_or(0);
    most as f64 / keys.len().max(1) as f64
}

impl Coded {
    /// `None` for a column of too many values to determine another or be determined.
    fn of(
        values: &Column,
        column: usize,
        units: Option<&Units>,
        by_person: Option<&[u32]>,
        min_persons: u32,
    ) -> Option<Self> {
        let rows = values.values.len();
        let (mut level, levels) = code(values, min_persons)?;
        let mut count = vec![0u64; levels.len()];
        level.iter().for_each(|&l| count[l as usize] += 1);
        let persons = match (units, by_person) {
            (Some(units), Some(order)) => persons_of_levels(&level, levels.len(), units, order),
            _ => count.clone(),
        };
        let frequent: Vec<bool> = persons.iter().map(|&p| p >= u64::from(min_persons.max(1))).collect();
        let covered: u64 = count.iter().zip(&frequent).filter(|(_, f)| **f).map(|(c, _)| c).sum();
        let size = frequent.iter().filter(|f| **f).count();
        let coverage = covered as f64 / rows as f64;
        level.truncate(HEAD);
        level.shrink_to_fit();
        Some(Self { column, head: level, levels, rows: count, frequent, size, coverage })
    }

    /// The levels of all rows.
    fn levels_of(&self, column: &Column, min_persons: u32) -> Vec<u32> {
        code(column, min_persons).map_or(vec![], |(level, _)| level)
    }
}

/// A column as levels; `None` for one of too many values.
fn code(column: &Column, min_persons: u32) -> Option<(Vec<u32>, Levels)> {
    match (&column.values, &column.domain) {
        (Values::Code(codes), Domain::Category(domain)) => {
            let missing = domain.labels.len() as u32;
            let level = codes.iter().map(|&c| c.min(missing)).collect();
            Some((level, Levels::Codes((0..missing).chain([MISSING]).collect())))
        }
        (Values::Number(values), _) => {
            // Frequent values, and rare ones in what coverage leaves over.
            let limit = values.len() / min_persons.max(2) as usize + values.len() / 20 + 2;
            let (level, levels) = code_numbers(values, limit)?;
            Some((level, Levels::Numbers(levels)))
        }
        _ => None,
    }
}

fn persons_of_levels(level: &[u32], size: usize, units: &Units, by_person: &[u32]) -> Vec<u64> {
    let (mut count, mut last) = (vec![0u64; size], vec![u32::MAX; size]);
    for &row in by_person {
        let (level, person) = (level[row as usize] as usize, units.codes[row as usize]);
        if last[level] != person {
            last[level] = person;
            count[level] += 1;
        }
    }
    count
}

/// Numbers as levels in order of appearance; `None` when there are more than `limit`.
fn code_numbers(values: &[f64], limit: usize) -> Option<(Vec<u32>, Vec<f64>)> {
    let mut slots: Vec<u32> = vec![u32::MAX; 1024];
    let mut levels: Vec<f64> = vec![];
    let start = |v: f64, size: usize| (bits(v).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (size - 1);
    let mut coded = Vec::with_capacity(values.len());
    for &value in values {
        if levels.len() * 2 >= slots.len() {
            let mut wider = vec![u32::MAX; slots.len() * 4];
            for (&level, i) in levels.iter().zip(0..) {
                let mut slot = start(level, wider.len());
                while wider[slot] != u32::MAX {
                    slot = (slot + 1) & (wider.len() - 1);
                }
                wider[slot] = i;
            }
            slots = wider;
        }
        let mut slot = start(value, slots.len());
        let level = loop {
            match slots[slot] {
                u32::MAX if levels.len() == limit => return None,
                u32::MAX => {
                    slots[slot] = levels.len() as u32;
                    levels.push(value + 0.0);
                    break levels.len() as u32 - 1;
                }
                level if bits(levels[level as usize]) == bits(value) => break level,
                _ => slot = (slot + 1) & (slots.len() - 1),
            }
        };
        coded.push(level);
    }
    Some((coded, levels))
}

/// The value of another column for each frequent value of `a` (`u32::MAX` elsewhere) in these rows, given as levels, when each goes
/// with one value only.
fn image(a: &Coded, own: &[u32], other: &[u32]) -> Option<Vec<u32>> {
    let mut values = vec![u32::MAX; a.levels.len()];
    if a.size < 2 {
        return None;
    }
    for (&x, &y) in own.iter().zip(other) {
        let value = &mut values[x as usize];
        if !a.frequent[x as usize] || *value == y {
            continue;
        }
        if *value != u32::MAX {
            return None;
        }
        *value = y;
    }
    Some(values)
}

/// The image of `a` in all rows of `b`, when that it has one is not to be expected.
fn is_evident(a: &Coded, b: &Coded, values: Vec<u32>, persons: usize, min_persons: u32) -> Option<Vec<u32>> {
    let mut shares = vec![0u64; b.levels.len()];
    values.iter().zip(&a.rows).filter(|(v, _)| **v != u32::MAX).for_each(|(&v, rows)| shares[v as usize] += rows);
    let covered = shares.iter().sum::<u64>();
    let most = *shares.iter().max()?;
    // Persons in the rows of frequent values; as in the rows at large.
    let persons = covered.min(persons as u64) as f64;
    let support = persons / a.size as f64;
    // Were they independent, the values of `a` would each be of one value of `b` with about (share of the commonest)^(persons - values).
    let chance = (persons - a.size as f64) * libm::log(most as f64 / covered as f64);
    (support >= f64::from((2 * min_persons).max(5)) && chance <= MAX_CHANCE).then_some(values)
}

impl Lookup {
    /// Index of a value of `of`: of a number, the nearest known one; `None` for a category that is not known.
    fn find(&self, key: Level) -> Option<usize> {
        let key = match (&self.keys, key) {
            (Levels::Numbers(known), Level::Number(value)) if !value.is_nan() => Level::Number(nearest(known, value)),
            _ => key,
        };
        let range = self.keys.range(key);
        (!range.is_empty()).then_some(range.start)
    }

    /// The value that goes with a value of `of`; `None` where that is not known.
    pub fn value(&self, key: Level) -> Option<Level> {
        self.find(key).map(|i| self.values.get(i))
    }

    /// Keeps what goes with the given values of `of`, if with any.
    pub fn retain(&mut self, of: &Levels) {
        let mut order: Vec<u32> = (0..of.len() as u32).collect();
        order.sort_unstable_by(|&x, &y| of.compare(x, y));
        let known = of.gather(&order);
        let kept: Vec<u32> =
            (0..self.keys.len() as u32).filter(|&i| !known.range(self.keys.get(i as usize)).is_empty()).collect();
        if !kept.is_empty() {
            self.rows = kept.iter().map(|&i| self.rows[i as usize]).collect();
            (self.keys, self.values) = (self.keys.gather(&kept), self.values.gather(&kept));
        }
    }

    /// The values of `of` that go with the given values of `column`, and the rows of each.
    pub fn keys_of(&self, values: &Levels) -> (Levels, Vec<u64>) {
        let wanted: Vec<u32> = (0..self.values.len())
            .filter(|&i| (0..values.len()).any(|j| values.get(j) == self.values.get(i)))
            .map(|i| i as u32)
            .collect();
        (self.keys.gather(&wanted), wanted.iter().map(|&i| self.rows[i as usize]).collect())
    }

    /// The commonest value, for what is not known.
    fn commonest(&self) -> Level {
        let best = (0..self.rows.len()).reduce(|best, i| if self.rows[i] > self.rows[best] { i } else { best });
        self.values.get(best.unwrap_or(0))
    }

    /// The determined column from the one that determines it.
    pub fn apply(&self, of: &Values) -> Values {
        let fallback = self.commonest();
        Levels::collect(&self.values, Level::all(of).map(|key| self.value(key).unwrap_or(fallback)))
    }

    /// Whether each value goes with one value of a number only, so that the number has to be one of those known.
    pub fn is_one_to_one(&self) -> bool {
        let mut order: Vec<u32> = (0..self.keys.len() as u32).collect();
        order.sort_unstable_by(|&x, &y| self.values.compare(x, y));
        order.windows(2).all(|w| self.values.compare(w[0], w[1]).is_ne())
    }

    /// Moves numbers that are not known to the nearest that are.
    pub fn snap(&self, of: &mut Values) {
        if let (Levels::Numbers(known), Values::Number(values)) = (&self.keys, of) {
            values.iter_mut().filter(|v| !v.is_nan()).for_each(|v| *v = nearest(known, *v));
        }
    }

    /// Rows of which both values are known and do not go together.
    pub fn contradicts(&self, of: Level, value: Level) -> bool {
        self.value(of).is_some_and(|v| v != value)
    }

    pub fn save(&self, w: &mut Writer) {
        w.u32(self.column as u32);
        w.u32(self.of as u32);
        self.keys.save(w);
        self.values.save(w);
        w.list(&self.rows, |w, r| w.u64(*r));
    }

    /// `columns` are the input's.
    pub fn load(r: &mut Reader, columns: &[Column]) -> Result<Self> {
        let (column, of) = (r.u32()? as usize, r.u32()? as usize);
        let lookup =
            Self { column, of, keys: Levels::load(r)?, values: Levels::load(r)?, rows: r.list(8, Reader::u64)? };
        let fits = |c: usize, levels: &Levels| columns.get(c).is_some_and(|c| levels.fit(c));
        ensure(column != of && fits(column, &lookup.values) && fits(of, &lookup.keys))?;
        let size = lookup.keys.len();
        ensure(size > 0 && lookup.values.len() == size && lookup.rows.len() == size)?;
        ensure((1..size as u32).all(|i| lookup.keys.compare(i - 1, i).is_lt()))?;
        let total = lookup.rows.iter().try_fold(0u64, |sum, &r| sum.checked_add(r));
        ensure(total.is_some_and(|t| t < 1 << 53) && lookup.rows.iter().all(|&r| r > 0))?;
        Ok(lookup)
    }
}

/// The nearest of sorted numbers (missing last).
fn nearest(known: &[f64], value: f64) -> f64 {
    let present = known.partition_point(|k| !k.is_nan());
    let right = known[..present].partition_point(|k| *k < value);
    match (right.checked_sub(1).map(|i| known[i]), known[..present].get(right).copied()) {
        (Some(left), Some(right)) if value - left <= right - value => left,
        (_, Some(right)) => right,
        (left, None) => left.unwrap_or(value),
    }
}

/// A category of many values that keeps the column it determines beside it: where a model's two values do not go together, the
/// category is drawn again among those that go with the other.
#[derive(Debug)]
pub(crate) struct Refined {
    pub table: Lookup,
    /// Indices into the table in order of the determined value, those values, and the rows up to and with each.
    order: Vec<u32>,
    image: Levels,
    sums: Vec<u64>,
}

impl Refined {
    pub fn new(table: Lookup) -> Self {
        let mut order: Vec<u32> = (0..table.keys.len() as u32).collect();
        order.sort_by(|&x, &y| table.values.compare(x, y).then(x.cmp(&y)));
        let image = table.values.gather(&order);
        let mut total = 0;
        let sums = order.iter().map(|&i| (total += table.rows[i as usize], total).1).collect();
        Self { table, order, image, sums }
    }

    /// Puts rows right whose values do not go together. A number that no category goes with becomes the nearest that one does; a
    /// category stays where none of enough persons goes with its partner, which then follows it.
    pub fn apply(&self, of: &mut Values, column: &mut Values, rng: &mut Stream) {
        let (Values::Code(codes), Levels::Codes(keys)) = (of, &self.table.keys) else { return };
        for (row, code) in codes.iter_mut().enumerate() {
            let value = match (&self.image, Level::at(column, row)) {
                (Levels::Numbers(known), Level::Number(v)) if !v.is_nan() => Level::Number(nearest(known, v)),
                (_, level) => level,
            };
            let fitting = self.image.range(value);
            if fitting.is_empty() {
                if let Some(value) = self.table.value(Level::Code(*code)) {
                    value.put(column, row);
                }
                continue;
            }
            value.put(column, row);
            if self.table.value(Level::Code(*code)) != Some(value) {
                let before = fitting.start.checked_sub(1).map_or(0, |i| self.sums[i]);
                let drawn = before + below(rng, (self.sums[fitting.end - 1] - before) as usize) as u64;
                *code = keys[self.order[self.sums.partition_point(|&s| s <= drawn)] as usize];
            }
        }
    }
}
