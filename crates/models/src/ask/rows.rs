//! The rows of one block, as asked.

use std::collections::{BTreeMap, HashMap};

use lookalike_core::{Column, Error, Job, Result, Stream, Values, list_names};

use super::Asked;
use super::plan::{Cell, values_of};
use crate::prepare::Level;
use crate::{MODELS, Synthesizer};

/// Rows that may be drawn for a block, however few it has.
pub(super) const LEAST_DRAWS: u64 = 100_000;

/// How a block came about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Rows drawn.
    pub drawn: u64,
    /// Rows that were as asked but copies of training rows, or against a constraint.
    pub refused: u64,
    /// Whether values were given to the model.
    pub by_model: bool,
    /// Rows drawn of which some were not as asked, and how many of these were.
    pub rejected_draws: u64,
    pub rejected_kept: u64,
}

/// Rows of the block that are still to be made.
struct Open {
    out: Vec<Values>,
    left: usize,
    limit: u64,
    tally: Tally,
}

impl Asked {
    /// Block `b`, before any of its rows are dropped.
    pub(super) fn make(&self, b: u64, job: &Job) -> Result<(Vec<Values>, Tally)> {
        let rows = self.base_rows(b);
        let first_row = b * Synthesizer::BLOCK_ROWS as u64;
        let mut rng = self.synthesizer.streams().block(b);
        let limit = (rows as u64).saturating_mul(self.max_tries).max(LEAST_DRAWS);
        let mut open = Open { out: blank(self.columns(), rows), left: rows, limit, tally: Tally::default() };
        // Places of the block by the class of the row that is wanted there, the first one last.
        let mut places: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        (0..rows).rev().for_each(|p| places.entry(self.plan.wanted(first_row + p as u64)).or_default().push(p as u32));
        let mut rest: HashMap<u64, Vec<u32>> = HashMap::new();
        // Places around whose values the model makes rows, by the columns that are given.
        type Places = Vec<(u32, u64, Vec<Cell>)>;
        let mut groups: BTreeMap<Vec<usize>, Places> = BTreeMap::new();
        for (class, places) in places {
            let given: Vec<(usize, Cell)> =
                self.plan.given(class).into_iter().filter(|(c, _)| self.givable[*c]).collect();
            if given.is_empty() {
                rest.insert(class, places);
                continue;
            }
            let (columns, cells): (Vec<usize>, Vec<Cell>) = given.into_iter().unzip();
            let group = groups.entry(columns).or_default();
            group.extend(places.into_iter().rev().map(|p| (p, class, cells.clone())));
        }
        for (columns, mut places) in groups {
            places.sort_unstable();
            let failed = self.given(&columns, places, &mut open, &mut rng, job)?;
            for (place, class) in failed.into_iter().rev() {
                rest.entry(class).or_default().push(place);
            }
        }
        self.reject(rest, &mut open, &mut rng, job)?;
        job.count("condition_rows_drawn", open.tally.drawn as usize);
        job.count("condition_rows_kept", rows);
        Ok((open.out, open.tally))
    }

    /// Fills places with rows that the model makes around the given values; returns those that it cannot fill.
    fn given(
        &self,
        columns: &[usize],
        mut places: Vec<(u32, u64, Vec<Cell>)>,
        open: &mut Open,
        rng: &mut Stream,
        job: &Job,
    ) -> Result<Vec<(u32, u64)>> {
        let mut each = 1;
        while !places.is_empty() {
            job.check()?;
            self.check_budget(open, places[0].1)?;
            let each_now = each.min(Synthesizer::BLOCK_ROWS / places.len()).max(1);
            let draws = places.len() * each_now;
            let given: Vec<(usize, Values)> = columns
                .iter()
                .enumerate()
                .map(|(k, &c)| {
                    let cells = (0..draws).map(|i| places[i % places.len()].2[k]);
                    (c, values_of(&self.columns()[c], cells))
                })
                .collect();
            let Some(fresh) = self.synthesizer.draw_given(&given, draws, rng)? else {
                return Ok(places.into_iter().map(|(place, class, _)| (place, class)).collect());
            };
            let is_refused = self.are_refused(&fresh, draws);
            let (mut filled, mut met) = (vec![false; places.len()], 0);
            for (i, is_refused) in is_refused.into_iter().enumerate() {
                let k = i % places.len();
                let (place, class, _) = &places[k];
                if self.plan.class(&fresh, i) != Some(*class) {
                    continue;
                }
                met += 1;
                open.tally.refused += u64::from(is_refused);
                if !is_refused && !std::mem::replace(&mut filled[k], true) {
                    put(&mut open.out, *place as usize, &fresh, i);
                    open.left -= 1;
                }
            }
            open.tally.by_model = true;
            open.tally.drawn += draws as u64;
            if met < draws as u64 {
                open.tally.rejected_draws += draws as u64;
                open.tally.rejected_kept += met;
            }
            let mut filled = filled.into_iter();
            places.retain(|_| filled.next() == Some(false));
            each = (each * 2).min(Synthesizer::BLOCK_ROWS);
        }
        Ok(vec![])
    }

    /// Fills places with rows of the model that happen to be as asked.
    fn reject(&self, mut places: HashMap<u64, Vec<u32>>, open: &mut Open, rng: &mut Stream, job: &Job) -> Result<()> {
        let (mut drawn, mut used) = (0u64, 0u64);
        while open.left > 0 {
            job.check()?;
            if open.tally.drawn >= open.limit {
                let class = places.iter().filter(|p| !p.1.is_empty()).map(|p| *p.0).min();
                self.check_budget(open, class.unwrap_or_default())?;
            }
            // As many as are needed at the rate so far: most rounds then are the last.
            let need =
                if drawn == 0 { open.left as f64 } else { 1.2 * open.left as f64 * drawn as f64 / used.max(1) as f64 };
            let draws = (need as usize).clamp(64, Synthesizer::BLOCK_ROWS);
            let fresh = self.synthesizer.draw(draws, rng)?;
            let classes: Vec<Option<u64>> = (0..draws).map(|i| self.plan.class(&fresh, i)).collect();
            let any = classes.iter().any(Option::is_some);
            let is_refused = if any { self.are_refused(&fresh, draws) } else { vec![false; draws] };
            for (i, (class, is_refused)) in classes.into_iter().zip(is_refused).enumerate() {
                let Some(class) = class else { continue };
                let Some(places) = places.get_mut(&class) else { continue };
                if is_refused {
                    open.tally.refused += u64::from(!places.is_empty());
                } else if let Some(place) = places.pop() {
                    put(&mut open.out, place as usize, &fresh, i);
                    open.left -= 1;
                    used += 1;
                }
            }
            drawn += draws as u64;
            open.tally.drawn += draws as u64;
        }
        open.tally.rejected_draws += drawn;
        open.tally.rejected_kept += used;
        Ok(())
    }

    /// Fails once a block has had its draws.
    fn check_budget(&self, open: &Open, class: u64) -> Result<()> {
        if open.tally.drawn < open.limit {
            return Ok(());
        }
        let rows = open.out.iter().map(|v| match v {
            Values::Number(v) => v.len(),
            Values::Code(v) => v.len(),
            Values::Omitted => 0,
        });
        let (rows, tally) = (rows.max().unwrap_or(0), &open.tally);
        let refused = match (tally.refused, self.synthesizer.constraints().is_empty()) {
            (0, _) => String::new(),
            (n, true) => {
                format!(" ({n} more were, but are copies of training rows: filter_copies => false allows them)")
            }
            (n, false) => format!(" ({n} more were, but are copies of training rows, or break constraints)"),
        };
        let askable = list_names(MODELS.iter().filter(|m| m.conditions()).map(|m| m.name()));
        Err(Error::data(format!(
            "too few rows of the model '{}' are as asked, such as {{{}}}: of {} rows drawn, {} of the {rows} wanted were{refused}; ask \
             for less, raise max_tries, or take a model that can be asked ({askable})",
            self.synthesizer.model().name(),
            self.plan.describe(class),
            tally.drawn,
            rows - open.left,
        )))
    }

    /// Which rows equal a training row or break a constraint.
    pub(super) fn are_refused(&self, values: &[Values], rows: usize) -> Vec<bool> {
        let mut is_refused = vec![false; rows];
        self.synthesizer.refused(values, rows).into_iter().for_each(|row| is_refused[row] = true);
        is_refused
    }
}

/// Rows without values yet.
pub(super) fn blank(columns: &[Column], rows: usize) -> Vec<Values> {
    columns.iter().map(|c| Level::blank(c, rows)).collect()
}

fn put(out: &mut [Values], place: usize, fresh: &[Values], row: usize) {
    for (out, fresh) in out.iter_mut().zip(fresh) {
        match (out, fresh) {
            (Values::Number(out), Values::Number(fresh)) => out[place] = fresh[row],
            (Values::Code(out), Values::Code(fresh)) => out[place] = fresh[row],
            _ => {}
        }
    }
}

/// Adds a row at the end.
pub(super) fn push(out: &mut [Values], fresh: &[Values], row: usize) {
    for (out, fresh) in out.iter_mut().zip(fresh) {
        match (out, fresh) {
            (Values::Number(out), Values::Number(fresh)) => out.push(fresh[row]),
            (Values::Code(out), Values::Code(fresh)) => out.push(fresh[row]),
            _ => {}
        }
    }
}
