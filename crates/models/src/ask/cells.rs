//! k-anonymity of the output by more rows: combinations of quasi-identifiers that few rows hold are filled up, or dropped.

use std::collections::{BTreeMap, HashMap, HashSet};

use lookalike_core::{Domain, Error, Job, Reservation, Result, Stream, Values};
use rayon::prelude::*;

use super::plan::{Cell, cell, find, values_of};
use super::rows::{LEAST_DRAWS, blank, push};
use super::{Anonymity, Asked};
use crate::Synthesizer;

/// A combination of quasi-identifiers.
type Key = Box<[Cell]>;

/// What is known of a combination.
#[derive(Debug, Default)]
struct Count {
    /// Rows before and now.
    before: u64,
    now: u64,
    /// Different values of each sensitive column, l at most.
    seen: Vec<Vec<Cell>>,
    /// Blocks that hold rows of it, with their number, as long as it may have to be dropped.
    blocks: Vec<(u64, u64)>,
    /// Rows to be added when counting was over, and rows drawn for it since.
    need: u64,
    tries: u64,
}

/// Rows that were added and rows that are left out.
pub(super) struct Filled {
    quasi: Vec<usize>,
    dropped_keys: HashSet<Key>,
    /// Blocks from which rows are dropped, and how many up to the end of each.
    dropped: Vec<(u64, u64)>,
    added: Vec<Values>,
    rows: usize,
    _memory: Vec<Reservation>,
}

/// What the combinations need.
struct Goal {
    k: u64,
    l: u64,
    quasi: Vec<usize>,
    sensitive: Vec<usize>,
}

impl Goal {
    fn key(&self, values: &[Values], row: usize) -> Key {
        self.quasi.iter().map(|&c| cell(&values[c], row)).collect()
    }

    /// Takes a row in, whatever it holds.
    fn add(&self, count: &mut Count, values: &[Values], row: usize) {
        count.now += 1;
        for (seen, &c) in count.seen.iter_mut().zip(&self.sensitive) {
            let value = cell(&values[c], row);
            if (seen.len() as u64) < self.l && !seen.contains(&value) {
                seen.push(value);
            }
        }
    }

    /// Rows that are missing at least.
    fn missing(&self, count: &Count) -> u64 {
        let values = count.seen.iter().map(|seen| self.l.saturating_sub(seen.len() as u64)).max();
        self.k.saturating_sub(count.now).max(values.unwrap_or(0))
    }

    /// Whether a row would bring the combination nearer to its goal.
    fn wants(&self, count: &Count, values: &[Values], row: usize) -> bool {
        let is_new =
            |(seen, &c): (&Vec<Cell>, &usize)| (seen.len() as u64) < self.l && !seen.contains(&cell(&values[c], row));
        count.now < self.k || count.seen.iter().zip(&self.sensitive).any(is_new)
    }
}

/// Blocks made at a time; fixed, so that no result depends on the number of threads.
const AT_A_TIME: u64 = 8;
/// Rows drawn for a combination at least, before it is given up.
const LEAST_TRIES: u64 = 1000;

impl Filled {
    /// Counts the combinations, fills those that are short, and finds out what has to be dropped.
    pub fn new(asked: &Asked, anonymity: &Anonymity, job: &Job) -> Result<Self> {
        let goal = Goal::new(asked, anonymity)?;
        let rows = asked.synthesizer().rows();
        let mut memory = job.reserve(0, "combinations of quasi-identifiers")?;
        let mut counts = goal.count(asked, anonymity, &mut memory, job)?;
        let mut short: Vec<Key> = counts.iter().filter(|c| c.1.need > 0).map(|c| c.0.clone()).collect();
        short.sort_unstable();
        let needed = short.iter().map(|key| counts[key].need).sum::<u64>();
        if needed as f64 > anonymity.max_padding * rows as f64 {
            return Err(too_much(&goal, asked, anonymity, counts.len(), short.len(), needed, ""));
        }
        let cells = counts.len();
        let (added, keys, how) = goal.fill(asked, &mut counts, &short, job)?;
        let dropped_keys: HashSet<Key> = short.iter().filter(|key| goal.missing(&counts[*key]) > 0).cloned().collect();
        let mut by_block: BTreeMap<u64, u64> = BTreeMap::new();
        for (block, n) in dropped_keys.iter().flat_map(|key| &counts[key].blocks) {
            *by_block.entry(*block).or_default() += n;
        }
        let mut dropped: Vec<(u64, u64)> = by_block.into_iter().collect();
        for i in 1..dropped.len() {
            dropped[i].1 += dropped[i - 1].1;
        }
        let kept: Vec<u32> =
            (0..keys.len() as u32).filter(|&i| !dropped_keys.contains(&short[keys[i as usize] as usize])).collect();
        let held = job.reserve(kept.len() * 8 * added.len(), "rows added for k-anonymity")?;
        let filled = Self {
            quasi: goal.quasi.clone(),
            dropped,
            added: added.iter().map(|v| v.gather(&kept)).collect(),
            rows: kept.len(),
            dropped_keys,
            _memory: vec![held],
        };
        if rows > 0 && filled.dropped() == rows {
            return Err(too_much(
                &goal,
                asked,
                anonymity,
                cells,
                short.len(),
                needed,
                " and none of them could be filled",
            ));
        }
        // Before against after, summed in the order of the combinations.
        let mut all: Vec<(&Key, &Count)> = counts.iter().collect();
        all.sort_unstable_by_key(|c| c.0);
        let after = (rows - filled.dropped() + filled.rows as u64) as f64;
        let distance = |(key, count): &(&Key, &Count)| {
            let now = if filled.dropped_keys.contains(*key) { 0.0 } else { count.now as f64 / after };
            (count.before as f64 / rows as f64 - now).abs()
        };
        let variation = if rows == 0 { 0.0 } else { 0.5 * all.iter().map(distance).sum::<f64>() };
        let dropped_cells = filled.dropped_keys.len();
        for (counter, n) in [
            ("cells", cells),
            ("cells_filled", short.len() - dropped_cells),
            ("rows_added", filled.rows),
            ("cells_dropped", dropped_cells),
            ("rows_dropped", filled.dropped() as usize),
            ("tv_millionths", (variation * 1e6).round() as usize),
        ] {
            job.count(counter, n);
        }
        if !short.is_empty() {
            job.warn(&format!(
                "k => {}: {} of {cells} combinations of {} were short of rows; {} were filled with {} more rows {how}, {dropped_cells} \
                 could not be filled and were dropped with their {} rows; total variation between the combinations before and \
                 after {variation:.4}",
                goal.k,
                short.len(),
                goal.names(asked),
                short.len() - dropped_cells,
                filled.rows,
                filled.dropped(),
            ));
        }
        Ok(filled)
    }

    /// Rows that were added.
    pub fn added(&self) -> usize {
        self.rows
    }

    /// Rows that are left out.
    pub fn dropped(&self) -> u64 {
        self.dropped.last().map_or(0, |d| d.1)
    }

    /// Rows left out of the blocks before this one.
    pub fn dropped_before(&self, block: u64) -> u64 {
        let i = self.dropped.partition_point(|d| d.0 < block);
        i.checked_sub(1).map_or(0, |i| self.dropped[i].1)
    }

    /// The rows of a block that stay.
    pub fn keep(&self, block: u64, values: Vec<Values>, rows: usize) -> (Vec<Values>, usize) {
        if self.dropped.binary_search_by_key(&block, |d| d.0).is_err() {
            return (values, rows);
        }
        let is_kept = |row: &u32| {
            let key: Key = self.quasi.iter().map(|&c| cell(&values[c], *row as usize)).collect();
            !self.dropped_keys.contains(&key)
        };
        let kept: Vec<u32> = (0..rows as u32).filter(is_kept).collect();
        (values.iter().map(|v| v.gather(&kept)).collect(), kept.len())
    }

    /// A block of added rows.
    pub fn block(&self, part: u64) -> Result<(Vec<Values>, usize)> {
        let first = part as usize * Synthesizer::BLOCK_ROWS;
        if first >= self.rows {
            return Err(Error::internal(format!("block {part} of the added rows was asked for")));
        }
        let rows: Vec<u32> = (first as u32..(first + Synthesizer::BLOCK_ROWS).min(self.rows) as u32).collect();
        Ok((self.added.iter().map(|v| v.gather(&rows)).collect(), rows.len()))
    }
}

/// More rows would be added than allowed.
fn too_much(
    goal: &Goal,
    asked: &Asked,
    anonymity: &Anonymity,
    cells: usize,
    short: usize,
    needed: u64,
    more: &str,
) -> Error {
    let rows = asked.synthesizer().rows();
    Error::data(format!(
        "k => {}: {short} of {cells} combinations of {} are held by fewer rows{more}; to fill them takes {needed} rows on top of \
         {rows}, max_padding => {} allows {}: bin quasi-identifiers before synthesising (generalize(age, 'widths(10)', 1)), name \
         fewer, make more rows, or raise max_padding",
        goal.k,
        goal.names(asked),
        anonymity.max_padding,
        (anonymity.max_padding * rows as f64) as u64,
    ))
}

impl Goal {
    fn new(asked: &Asked, anonymity: &Anonymity) -> Result<Self> {
        let columns = |option: &str, names: &[String]| {
            let found = names.iter().map(|n| find(asked.synthesizer(), n).map_err(|e| e.within(option)));
            let found = found.collect::<Result<Vec<usize>>>()?;
            match (1..found.len()).find(|&i| found[..i].contains(&found[i])) {
                Some(i) => Err(Error::argument(format!("{option}: '{}' is named twice", names[i]))),
                None => Ok(found),
            }
        };
        let quasi = columns("quasi_identifiers", &anonymity.quasi_identifiers)?;
        let sensitive = columns("sensitive", &anonymity.sensitive)?;
        if quasi.is_empty() {
            return Err(Error::argument("option 'quasi_identifiers' is empty, allowed is at least one column"));
        }
        let goal = Self { k: anonymity.k, l: anonymity.l, quasi, sensitive };
        for &c in &goal.sensitive {
            let column = &asked.columns()[c];
            if goal.quasi.contains(&c) {
                let name = column.name();
                return Err(Error::argument(format!("sensitive: column '{name}' is a quasi-identifier as well")));
            }
            let most = asked.synthesizer().emitted(c).categories.len() as u64 + u64::from(column.field.is_nullable());
            if matches!(column.domain, Domain::Category(_)) && most < goal.l {
                return Err(Error::argument(format!(
                    "option 'l' is {}, and sensitive column '{}' has {most} values at most, NULL among them",
                    goal.l,
                    column.name()
                )));
            }
        }
        Ok(goal)
    }

    fn names(&self, asked: &Asked) -> String {
        let names: Vec<&str> = self.quasi.iter().map(|&c| asked.columns()[c].name()).collect();
        format!("({})", names.join(", "))
    }

    /// Rows by combination, over all blocks.
    fn count(
        &self,
        asked: &Asked,
        anonymity: &Anonymity,
        memory: &mut Reservation,
        job: &Job,
    ) -> Result<HashMap<Key, Count>> {
        let (blocks, rows) = (asked.synthesizer().blocks(), asked.synthesizer().rows());
        let size = Synthesizer::BLOCK_ROWS;
        let _made = job.reserve(AT_A_TIME as usize * size * 16 * asked.columns().len(), "rows to be counted")?;
        let each = 160 + self.quasi.len() * 8 + self.sensitive.len() * (24 + 8 * self.l.min(64) as usize);
        let (mut counts, mut entries): (HashMap<Key, Count>, usize) = (HashMap::new(), 0);
        for start in (0..blocks).step_by(AT_A_TIME as usize) {
            job.progress("count combinations", start, blocks);
            let end = (start + AT_A_TIME).min(blocks);
            let made: Vec<Result<Vec<Values>>> =
                (start..end).into_par_iter().map(|b| asked.base(b, &job.quiet())).collect();
            for (b, values) in (start..end).zip(made) {
                let values = values?;
                for row in 0..asked.base_rows(b) {
                    let count = counts
                        .entry(self.key(&values, row))
                        .or_insert_with(|| Count { seen: vec![vec![]; self.sensitive.len()], ..Count::default() });
                    self.add(count, &values, row);
                    if self.missing(count) == 0 {
                        entries -= count.blocks.len();
                        count.blocks = vec![];
                    } else {
                        match count.blocks.last_mut() {
                            Some(last) if last.0 == b => last.1 += 1,
                            _ => {
                                count.blocks.push((b, 1));
                                entries += 1;
                            }
                        }
                    }
                }
            }
            memory.resize(counts.len() * each + entries * 32, "combinations of quasi-identifiers")?;
            // A row fills one place at most: where more places are open than rows are left and may be added, that is that.
            let left = rows.saturating_sub(end * size as u64);
            let open = counts.values().map(|c| self.missing(c)).sum::<u64>();
            if open.saturating_sub(left) as f64 > anonymity.max_padding * rows as f64 {
                let short = counts.values().filter(|c| self.missing(c) > 0).count();
                let more = if left > 0 { " after a part of the rows" } else { "" };
                return Err(too_much(self, asked, anonymity, counts.len(), short, open.saturating_sub(left), more));
            }
        }
        for count in counts.values_mut() {
            (count.before, count.need) = (count.now, self.missing(count));
        }
        Ok(counts)
    }

    /// Draws rows for the short combinations; gives the rows, the number of the combination of each, and says how they were had.
    fn fill(
        &self,
        asked: &Asked,
        counts: &mut HashMap<Key, Count>,
        short: &[Key],
        job: &Job,
    ) -> Result<(Vec<Values>, Vec<u32>, String)> {
        let number: HashMap<&Key, u32> = short.iter().zip(0..).collect();
        let streams = asked.synthesizer().streams().part("fill");
        let (mut added, mut keys) = (blank(asked.columns(), 0), vec![]);
        let needed: u64 = short.iter().map(|key| counts[key].need).sum();
        let mut memory = job.reserve(0, "rows added for k-anonymity")?;
        let width = asked.columns().len() * 8 + 4;
        let _fresh =
            job.reserve(AT_A_TIME as usize * Synthesizer::BLOCK_ROWS * width * 2, "rows drawn for k-anonymity")?;
        let by_model = self.quasi.iter().any(|&c| asked.givable[c]);
        let limit = needed.saturating_mul(asked.max_tries).max(LEAST_DRAWS);
        let (mut stream, mut drawn, mut each) = (0u64, 0u64, 1u64);
        loop {
            job.check()?;
            job.progress("fill combinations", keys.len() as u64, needed);
            let is_open = |count: &Count| {
                self.missing(count) > 0 && !(by_model && count.tries >= (count.need * asked.max_tries).max(LEAST_TRIES))
            };
            let open: Vec<u32> = (0..short.len() as u32).filter(|&i| is_open(&counts[&short[i as usize]])).collect();
            if open.is_empty() || (!by_model && drawn >= limit) {
                break;
            }
            // What each stream of draws is asked for: places of combinations, or whatever comes.
            let parts: Vec<Vec<u32>> = if by_model {
                let mut places: Vec<u32> = vec![];
                for &i in &open {
                    if let Some(count) = counts.get_mut(&short[i as usize]) {
                        let n = (self.missing(count) * each).min(Synthesizer::BLOCK_ROWS as u64);
                        count.tries += n;
                        places.extend(std::iter::repeat_n(i, n as usize));
                    }
                    if places.len() >= AT_A_TIME as usize * Synthesizer::BLOCK_ROWS {
                        break;
                    }
                }
                places.chunks(Synthesizer::BLOCK_ROWS).map(<[u32]>::to_vec).collect()
            } else {
                vec![vec![]; AT_A_TIME as usize]
            };
            let made: Vec<Result<(Vec<Values>, usize)>> = parts
                .par_iter()
                .enumerate()
                .map(|(i, places)| {
                    job.check()?;
                    self.draw(asked, short, places, &mut streams.block(stream + i as u64))
                })
                .collect();
            stream += parts.len() as u64;
            for made in made {
                let (fresh, rows) = made?;
                drawn += rows as u64;
                let mut is_refused: Option<Vec<bool>> = None;
                for row in 0..rows {
                    let key = self.key(&fresh, row);
                    let (Some(&i), Some(count)) = (number.get(&key), counts.get_mut(&key)) else { continue };
                    if !self.wants(count, &fresh, row) || !asked.plan.allows(&fresh, row) {
                        continue;
                    }
                    if !is_refused.get_or_insert_with(|| asked.are_refused(&fresh, rows))[row] {
                        self.add(count, &fresh, row);
                        push(&mut added, &fresh, row);
                        keys.push(i);
                    }
                }
            }
            memory.resize(keys.len() * width, "rows added for k-anonymity")?;
            each = (each * 2).min(64);
        }
        job.count("fill_rows_drawn", drawn as usize);
        let how = if by_model {
            "by the model itself, asked for each combination".to_string()
        } else {
            format!("by rejection (of {drawn} rows drawn)")
        };
        Ok((added, keys, how))
    }

    /// Rows for the given places, or any where there are none.
    fn draw(&self, asked: &Asked, short: &[Key], places: &[u32], rng: &mut Stream) -> Result<(Vec<Values>, usize)> {
        let synthesizer = asked.synthesizer();
        let rows = if places.is_empty() { Synthesizer::BLOCK_ROWS } else { places.len() };
        let mut given: Vec<(usize, Values)> = vec![];
        if !places.is_empty() {
            for (k, &c) in self.quasi.iter().enumerate().filter(|(_, c)| asked.givable[**c]) {
                let cells = places.iter().map(|&i| short[i as usize][k]);
                given.push((c, values_of(&asked.columns()[c], cells)));
            }
            for test in asked.plan.tests.iter().filter(|t| asked.givable[t.column] && !self.quasi.contains(&t.column)) {
                if let Some(cell) = test.single() {
                    given
                        .push((test.column, values_of(&asked.columns()[test.column], std::iter::repeat_n(cell, rows))));
                }
            }
            given.sort_unstable_by_key(|g| g.0);
        }
        let fresh = if given.is_empty() { None } else { synthesizer.draw_given(&given, rows, rng)? };
        match fresh {
            Some(fresh) => Ok((fresh, rows)),
            None => Ok((synthesizer.draw(rows, rng)?, rows)),
        }
    }
}
