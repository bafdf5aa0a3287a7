//! Which columns share one latent tree: categories so strongly associated that a bivariate normal cannot follow them.

use lookalike_core::{Job, MISSING, Result};
use rayon::prelude::*;

use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::marginal::{Marginal, NO_PIECE};
use crate::rows::{Rows, persons};

/// Mutual information over the smaller entropy from which two groups are joined.
const MIN_ASSOCIATION: f64 = 0.15;
/// Share of the rows that must lie in combinations held by enough persons.
const MIN_COVERAGE: f64 = 0.95;
/// Most combinations of a group.
const MAX_CELLS: usize = 512;
/// Largest contingency table counted while looking for pairs.
const MAX_TABLE: usize = 1 << 20;
/// Numeric columns of at most so many values, all of them atoms, can join a group.
const MAX_NUMBERS: usize = 64;

/// Level of a column that its cell leaves open: it is drawn from the rare combinations' own frequencies.
pub(crate) const OPEN: u32 = u32::MAX;

/// Values of a column's levels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Levels {
    /// Codes, maybe with `MISSING`.
    Codes(Vec<u32>),
    /// Numbers, maybe with NaN.
    Numbers(Vec<f64>),
}

impl Levels {
    pub fn len(&self) -> usize {
        match self {
            Levels::Codes(codes) => codes.len(),
            Levels::Numbers(values) => values.len(),
        }
    }

    pub fn save(&self, w: &mut Writer) {
        match self {
            Levels::Codes(codes) => {
                w.u32(0);
                w.u32s(codes);
            }
            Levels::Numbers(values) => {
                w.u32(1);
                w.f64s(values);
            }
        }
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        match r.u32()? {
            0 => Ok(Levels::Codes(r.u32s()?)),
            1 => Ok(Levels::Numbers(r.f64s()?)),
            _ => Err(inconsistent()),
        }
    }
}

/// One column of a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub column: u32,
    pub levels: Levels,
    /// Rows of each level among those whose cell leaves this column open; empty when no cell does.
    pub open: Vec<u64>,
}

impl Member {
    pub fn save(&self, w: &mut Writer) {
        w.u32(self.column);
        self.levels.save(w);
        w.list(&self.open, |w, c| w.u64(*c));
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let member = Member { column: r.u32()?, levels: Levels::load(r)?, open: r.counts()? };
        ensure(member.open.is_empty() || member.open.len() == member.levels.len())?;
        Ok(member)
    }
}

/// Columns that are drawn together, as one of the combinations (cells) seen.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub members: Vec<Member>,
    /// Cell-major: level of each member in each cell.
    pub cells: Vec<u32>,
    /// Rows of each cell.
    pub count: Vec<u64>,
    /// Cell of each training row.
    pub code: Vec<u32>,
    /// Level of each training row, by member; none of a single one, whose levels are its cells.
    levels: Vec<Vec<u32>>,
}

impl Group {
    /// A group of one column whose rows hold the given levels.
    fn single(column: usize, levels: Levels, code: Vec<u32>) -> Self {
        let mut count = vec![0; levels.len()];
        code.iter().for_each(|&c| count[c as usize] += 1);
        let cells = (0..levels.len() as u32).collect();
        Group {
            members: vec![Member { column: column as u32, levels, open: vec![] }],
            cells,
            count,
            levels: vec![],
            code,
        }
    }

    /// A category: its codes in use, and `MISSING`.
    pub fn of_codes(column: usize, codes: &[u32]) -> Self {
        let size = codes.iter().filter(|&&c| c != MISSING).max().map_or(0, |&c| c as usize + 1);
        let mut used = vec![false; size + 1];
        let slot = |code: u32| (code as usize).min(size);
        codes.iter().for_each(|&c| used[slot(c)] = true);
        let mut levels = vec![];
        let mut level_of = vec![0u32; size + 1];
        for (i, _) in used.iter().enumerate().filter(|(_, used)| **used) {
            level_of[i] = levels.len() as u32;
            levels.push(if i == size { MISSING } else { i as u32 });
        }
        Self::single(column, Levels::Codes(levels), codes.iter().map(|&c| level_of[slot(c)]).collect())
    }

    /// A numeric column of few values; `None` when it has more, or any that are no atoms.
    pub fn of_numbers(column: usize, marginal: &Marginal, pieces: &[u32]) -> Option<Self> {
        if !marginal.is_discrete() || marginal.len() > MAX_NUMBERS {
            return None;
        }
        let mut values = marginal.low.clone();
        let missing = values.len() as u32;
        if marginal.missing > 0 {
            values.push(f64::NAN);
        }
        let code = pieces.iter().map(|&p| if p == NO_PIECE { missing } else { p }).collect();
        Some(Self::single(column, Levels::Numbers(values), code))
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.count.len()
    }

    /// Both groups as one; combinations of fewer than `min_persons` persons share one cell that leaves all columns open.
    fn join(self, other: Group, all: &Rows) -> Group {
        let width = other.len() as u32;
        let levels = |group: &Group| match group.levels.as_slice() {
            [] => vec![group.code.clone()],
            levels => levels.to_vec(),
        };
        let levels = [levels(&self), levels(&other)].concat();
        let mut order: Vec<(u32, u32)> =
            self.code.iter().zip(&other.code).map(|(a, b)| a * width + b).zip(0..all.len() as u32).collect();
        order.par_sort_unstable();
        let members: Vec<Member> = self.members.into_iter().chain(other.members).collect();
        let mut joint = Group { cells: vec![], count: vec![], code: vec![0; all.len()], levels, members };
        let (left, right) = (self.cells.len() / self.count.len(), other.cells.len() / other.count.len());
        let mut open_rows: Vec<u32> = vec![];
        for rows in order.chunk_by(|a, b| a.0 == b.0) {
            let holders = persons(rows.iter().map(|r| r.1), all.units());
            if holders < all.min_persons() as usize {
                open_rows.extend(rows.iter().map(|r| r.1));
                continue;
            }
            let cell = joint.count.len() as u32;
            rows.iter().for_each(|r| joint.code[r.1 as usize] = cell);
            joint.count.push(rows.len() as u64);
            let (a, b) = ((rows[0].0 / width) as usize, (rows[0].0 % width) as usize);
            joint.cells.extend_from_slice(&self.cells[a * left..(a + 1) * left]);
            joint.cells.extend_from_slice(&other.cells[b * right..(b + 1) * right]);
        }
        if !open_rows.is_empty() {
            let cell = joint.count.len() as u32;
            open_rows.iter().for_each(|&r| joint.code[r as usize] = cell);
            joint.count.push(open_rows.len() as u64);
            joint.cells.extend(std::iter::repeat_n(OPEN, left + right));
        }
        joint
    }

    /// Drops what is known of single training rows.
    pub fn forget_rows(&mut self) {
        (self.code, self.levels) = (vec![], vec![]);
    }

    /// Counts, for every member, the levels of the rows whose cell leaves it open.
    fn count_open(&mut self) {
        let width = self.members.len();
        for (m, member) in self.members.iter_mut().enumerate() {
            let mut open = vec![0; member.levels.len()];
            let rows = self.code.iter().zip(self.levels.get(m).unwrap_or(&self.code));
            rows.filter(|(cell, _)| self.cells[**cell as usize * width + m] == OPEN)
                .for_each(|(_, &level)| open[level as usize] += 1);
            member.open = if open.iter().any(|&c| c > 0) { open } else { vec![] };
        }
    }
}

/// Contingency table of two codings of the same rows, row-major.
pub(crate) fn contingency<A, B>(a: &[A], a_size: usize, b: &[B], b_size: usize) -> Vec<u32>
where
    A: Copy + Into<u32>,
    B: Copy + Into<u32>,
{
    let mut table = vec![0u32; a_size * b_size];
    a.iter().zip(b).for_each(|(&a, &b)| table[a.into() as usize * b_size + b.into() as usize] += 1);
    table
}

/// Joins groups, strongest mutual information first, while it pays.
pub(crate) fn join_groups(groups: Vec<Group>, all: &Rows, job: &Job) -> Result<Vec<Group>> {
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    let gain = |groups: &[Option<Group>], (a, b): (usize, usize)| match (&groups[a], &groups[b]) {
        (Some(x), Some(y)) => benefit(x, y, all).map(|gain| (gain, a, b)),
        _ => None,
    };
    let pairs: Vec<(usize, usize)> = (0..groups.len()).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
    let mut gains = vec![];
    for part in pairs.chunks(64) {
        job.check()?;
        gains.par_extend(part.par_iter().filter_map(|&pair| gain(&groups, pair)));
    }
    loop {
        job.check()?;
        // The first of the largest: pairs stand in a fixed order.
        let Some(&(_, a, b)) = gains.iter().reduce(|best, g| if g.0 > best.0 { g } else { best }) else { break };
        if let (Some(x), Some(y)) = (groups[a].take(), groups[b].take()) {
            groups.push(Some(x.join(y, all)));
        }
        gains.retain(|&(_, x, y)| ![a, b].contains(&x) && ![a, b].contains(&y));
        let last = groups.len() - 1;
        gains.par_extend((0..last).into_par_iter().filter_map(|k| gain(&groups, (k, last))));
    }
    let mut groups: Vec<Group> = groups.into_iter().flatten().collect();
    groups.iter_mut().for_each(Group::count_open);
    Ok(groups)
}

/// Mutual information in nats, less its bias (Miller & Madow 1955), when joining the two is allowed.
fn benefit(a: &Group, b: &Group, all: &Rows) -> Option<f64> {
    let (rows, columns) = (a.len(), b.len());
    if rows < 2 || columns < 2 || rows * columns > MAX_TABLE {
        return None;
    }
    let counts = contingency(&a.code, rows, &b.code, columns);
    let n = all.len() as f64;
    let entropy = |counts: &mut dyn Iterator<Item = u64>| -> f64 {
        counts.filter(|&c| c > 0).map(|c| c as f64 / n).map(|p| -p * libm::log(p)).sum()
    };
    let (h_a, h_b) = (entropy(&mut a.count.iter().copied()), entropy(&mut b.count.iter().copied()));
    let joint = entropy(&mut counts.iter().map(|&c| u64::from(c)));
    let bias = ((rows - 1) * (columns - 1)) as f64 / (2.0 * n);
    let information = h_a + h_b - joint - bias;
    let kept = || counts.iter().filter(|&&c| c >= all.min_persons().max(1));
    let coverage = kept().map(|&c| f64::from(c)).sum::<f64>() / n;
    let is_allowed =
        information >= MIN_ASSOCIATION * h_a.min(h_b) && coverage >= MIN_COVERAGE && kept().count() <= MAX_CELLS;
    (is_allowed && information > 0.0).then_some(information)
}
