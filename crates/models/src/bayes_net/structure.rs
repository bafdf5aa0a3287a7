//! Which variables tell most about which.

use lookalike_core::{Job, Result};
use rayon::prelude::*;

use crate::rows::Rows;
use crate::tokens::{Bins, merge, order_by_profile};

/// What the network draws: the tokens of a column, or the bins that the tokens of a number lie in.
pub(super) struct Variable {
    pub column: usize,
    /// Value of every training row.
    pub codes: Vec<u32>,
    pub size: usize,
    /// The variable of the bins that these tokens lie in.
    pub within: Option<usize>,
    /// Of a variable of bins: the bin of each token of the column.
    pub bin_of: Option<Vec<u32>>,
    /// Whether neighbouring values are alike: a number.
    pub is_ordered: bool,
}

/// What of an earlier variable is asked.
#[derive(Clone)]
pub(super) struct Parent {
    pub variable: usize,
    /// The group of each of its values; as many as values when it is asked exactly.
    pub group_of: Vec<u32>,
    pub groups: usize,
}

/// A variable in the order of drawing, and what it is drawn given, the most telling first.
pub(super) struct Choice {
    pub variable: usize,
    pub parents: Vec<Parent>,
}

/// Rows that the structure is learned from; of more, every n-th.
const ROWS: usize = 1 << 15;
/// Parents that are tried: so many with the most mutual information.
const CANDIDATES: usize = 12;
/// Groups that the values of a parent may be told apart in, besides exactly.
const GROUPS: [usize; 3] = [2, 4, 8];
/// Rows that a distribution given less is worth beside the one given more.
pub(super) const PRIOR_ROWS: f64 = 4.0;
/// Nats that another parent has to add.
const LEAST_GAIN: f64 = 4.0;

/// The order of drawing and the parents of each variable.
///
/// The order is Prim's on the spanning tree of most mutual information (Chow & Liu 1968), bins before the tokens inside
/// them. Parents, exactly or in groups of values (PrivBayes, section 5.3), are then found greedily among the earlier variables (PrivBayes, algorithm 4): the one that adds most to the
/// log-likelihood of rows left out of the counts one by one, smoothed as the tables are, as long as one adds enough.
/// That is the mutual information less what chance would add.
pub(super) fn learn(variables: &[Variable], rows: &Rows, max_parents: usize, job: &Job) -> Result<Vec<Choice>> {
    let step = rows.len().div_ceil(ROWS).max(1);
    let sample = |v: &Variable| v.codes.iter().copied().step_by(step).collect::<Vec<u32>>();
    let codes: Vec<Vec<u32>> = variables.par_iter().map(sample).collect();
    let n = variables.len();
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    let shared: Vec<f64> = pairs
        .par_iter()
        .map(|&(a, b)| {
            job.check()?;
            Ok(mutual_information(&codes[a], variables[a].size, &codes[b], variables[b].size))
        })
        .collect::<Result<_>>()?;
    let shared = |a: usize, b: usize| if a > b { shared[a * (a - 1) / 2 + b] } else { shared[b * (b - 1) / 2 + a] };

    // Tokens inside bins follow their bins.
    let (mut order, mut open): (Vec<usize>, Vec<usize>) =
        (vec![], (0..n).filter(|&v| variables[v].within.is_none()).collect());
    while !open.is_empty() {
        let score = |v: usize| match order.as_slice() {
            [] => open.iter().filter(|&&o| o != v).map(|&o| shared(o, v)).sum::<f64>(),
            order => order.iter().map(|&o| shared(o, v)).fold(f64::NEG_INFINITY, f64::max),
        };
        let best = (0..open.len()).map(|i| (i, score(open[i]))).reduce(|a, b| if b.1 > a.1 { b } else { a });
        let v = open.remove(best.map_or(0, |b| b.0));
        order.push(v);
        order.extend((0..n).filter(|&t| variables[t].within == Some(v)));
    }
    let views = views(variables, rows, job)?;
    let persons_rows = rows.len() as f64 / rows.unit_count().max(1) as f64;
    let choices = order.par_iter().enumerate().map(|(place, &variable)| {
        let mut candidates: Vec<usize> = order[..place].to_vec();
        candidates.sort_by(|&a, &b| shared(b, variable).total_cmp(&shared(a, variable)));
        candidates.truncate(CANDIDATES);
        let search = Search {
            variables,
            codes: &codes,
            views: &views,
            min: f64::from(rows.min_persons().max(1)),
            own: persons_rows,
        };
        Ok(Choice { variable, parents: search.parents(variable, &candidates, max_parents, job)? })
    });
    choices.collect()
}

/// The mutual information in nats, less its expectation where there is none (Miller 1955).
fn mutual_information(a: &[u32], size_a: usize, b: &[u32], size_b: usize) -> f64 {
    let mut cells = Counter::new(a.len());
    let (mut count_a, mut count_b) = (vec![0u32; size_a], vec![0u32; size_b]);
    for (&a, &b) in a.iter().zip(b) {
        cells.add(u64::from(a) << 32 | u64::from(b), 0);
        count_a[a as usize] += 1;
        count_b[b as usize] += 1;
    }
    let n = a.len() as f64;
    let sum = |counts: &mut dyn Iterator<Item = u32>| {
        counts
            .filter(|&c| c > 0)
            .fold((0.0, 0.0), |(sum, used), c| (sum + f64::from(c) * libm::log(f64::from(c)), used + 1.0))
    };
    let (ab, used) = sum(&mut cells.cells.iter().map(|c| c.count));
    let ((a, used_a), (b, used_b)) = (sum(&mut count_a.iter().copied()), sum(&mut count_b.iter().copied()));
    (ab - a - b) / n + libm::log(n) - (used - used_a - used_b + 1.0) / (2.0 * n)
}

/// What may be asked of each variable: its value, or which group that lies in. Numbers are grouped in their order, categories
/// with those most like them in the other variables.
fn views(variables: &[Variable], rows: &Rows, job: &Job) -> Result<Vec<Vec<Parent>>> {
    let counts: Vec<Vec<u64>> = variables
        .par_iter()
        .map(|v| {
            let mut count = vec![0u64; v.size];
            v.codes.iter().for_each(|&c| count[c as usize] += 1);
            count
        })
        .collect();
    let _memory = job.reserve(rows.len() * variables.len(), "the profiles of categories")?;
    let bins: Vec<Bins> = variables.par_iter().zip(&counts).map(|(v, count)| Bins::of_codes(&v.codes, count)).collect();
    let view = |(v, variable): (usize, &Variable)| {
        let exactly = Parent { variable: v, group_of: (0..variable.size as u32).collect(), groups: variable.size };
        let mut views = vec![exactly];
        if variable.within.is_some() || variable.size <= GROUPS[0] {
            return Ok(views);
        }
        let mut order: Vec<u32> = (0..variable.size as u32).collect();
        if !variable.is_ordered {
            let others: Vec<&Bins> = (0..variables.len())
                .filter(|&o| variables[o].within.is_none() && variables[o].column != variable.column)
                .map(|o| &bins[o])
                .collect();
            order_by_profile(&mut order, &variable.codes, &counts[v], &others, job)?;
        }
        for groups in GROUPS.into_iter().filter(|&g| g < variable.size) {
            views.push(Parent { variable: v, group_of: merge(&order, &counts[v], |_| true, groups), groups });
        }
        Ok(views)
    };
    variables.par_iter().enumerate().map(view).collect()
}

struct Search<'a> {
    variables: &'a [Variable],
    codes: &'a [Vec<u32>],
    /// What may be asked of each variable.
    views: &'a [Vec<Parent>],
    /// Rows of a cell that is kept.
    min: f64,
    /// Rows that are left out with a row: those of its person.
    own: f64,
}

impl Search<'_> {
    fn parents(&self, variable: usize, candidates: &[usize], most: usize, job: &Job) -> Result<Vec<Parent>> {
        let child = &self.codes[variable];
        let rows = child.len();
        // Probability of each row's value given the parents so far, when it is left out.
        let mut likely = vec![0.0; rows];
        let mut context = vec![0u32; rows];
        let mut parents = vec![];
        let mut count = vec![0u32; self.variables[variable].size];
        child.iter().for_each(|&c| count[c as usize] += 1);
        for (p, &c) in likely.iter_mut().zip(child) {
            let left = (f64::from(count[c as usize]) - self.own).max(0.0) + PRIOR_ROWS / count.len() as f64;
            *p = left / ((rows as f64 - self.own).max(0.0) + PRIOR_ROWS);
        }
        let mut best_log: f64 = likely.iter().map(|p| libm::log(*p)).sum();
        let (mut contexts, mut cells) = (Counter::new(rows), Counter::new(rows));
        if let Some(bins) = self.variables[variable].within {
            // Inside the bin the token is drawn by share, before anything else is asked.
            let exactly = &self.views[bins][0];
            context = self.enter(&context, exactly, &mut contexts);
            best_log = self.score(&context, child, &likely, 0.0, &contexts, &mut cells);
            likely = self.likely(&context, child, &likely, 0.0, &contexts, &mut cells);
            parents.push(exactly.clone());
        }
        let most = most + parents.len();
        while parents.len() < most {
            let mut best: Option<(f64, &Parent)> = None;
            for candidate in candidates.iter().flat_map(|&c| &self.views[c]) {
                job.check()?;
                let inner = self.enter(&context, candidate, &mut contexts);
                let log = self.score(&inner, child, &likely, PRIOR_ROWS, &contexts, &mut cells);
                if best.is_none_or(|b| log > b.0) {
                    best = Some((log, candidate));
                }
            }
            let Some((log, parent)) = best.filter(|b| b.0 >= best_log + LEAST_GAIN * self.own) else { break };
            context = self.enter(&context, parent, &mut contexts);
            likely = self.likely(&context, child, &likely, PRIOR_ROWS, &contexts, &mut cells);
            best_log = log;
            parents.push(parent.clone());
        }
        Ok(parents)
    }

    /// The context of each row once the parent is known too; `contexts` holds their rows.
    fn enter(&self, context: &[u32], parent: &Parent, contexts: &mut Counter) -> Vec<u32> {
        contexts.clear();
        let groups = self.codes[parent.variable].iter().map(|&code| parent.group_of[code as usize]);
        context.iter().zip(groups).map(|(&c, group)| contexts.add(u64::from(c) << 32 | u64::from(group), 0)).collect()
    }

    /// Counts cells and finds their probabilities, each `(row that lies in it, rows, probability when left out)`.
    fn cells<'a>(
        &'a self,
        context: &[u32],
        child: &[u32],
        likely: &'a [f64],
        prior: f64,
        contexts: &'a Counter,
        cells: &'a mut Counter,
    ) -> impl Iterator<Item = f64> + 'a {
        cells.clear();
        for (row, (&c, &x)) in context.iter().zip(child).enumerate() {
            cells.add(u64::from(c) << 32 | u64::from(x), row as u32);
        }
        // Rows of each context in cells too small to be kept, and how likely the others are given less.
        let mut small = vec![[0.0, 0.0]; contexts.cells.len()];
        let least = if prior == 0.0 { 0.0 } else { self.min };
        for cell in &cells.cells {
            let [rows, kept] = &mut small[(cell.key >> 32) as usize];
            match f64::from(cell.count) {
                n if n < least => *rows += n,
                _ => *kept += likely[cell.first as usize],
            }
        }
        cells.cells.iter().map(move |cell| {
            let (n, c) = (f64::from(cell.count), (cell.key >> 32) as usize);
            let (all, lower) = (f64::from(contexts.cells[c].count), likely[cell.first as usize]);
            let left = (all - self.own).max(0.0) + prior;
            let [dropped, kept] = small[c];
            // Dropped rows come up in what is not kept, as in the tables.
            let rows = match n < least {
                true => (dropped - self.own).max(0.0) / (1.0 - kept).max(dropped / all) * lower,
                false => (n - self.own).max(0.0),
            };
            if left > 0.0 { ((rows + prior * lower) / left).max(1e-9) } else { lower }
        })
    }

    fn score(
        &self,
        context: &[u32],
        child: &[u32],
        likely: &[f64],
        prior: f64,
        contexts: &Counter,
        cells: &mut Counter,
    ) -> f64 {
        let logs: Vec<f64> = self.cells(context, child, likely, prior, contexts, cells).map(libm::log).collect();
        logs.iter().zip(&cells.cells).map(|(log, cell)| log * f64::from(cell.count)).sum()
    }

    fn likely(
        &self,
        context: &[u32],
        child: &[u32],
        likely: &[f64],
        prior: f64,
        contexts: &Counter,
        cells: &mut Counter,
    ) -> Vec<f64> {
        let each: Vec<f64> = self.cells(context, child, likely, prior, contexts, cells).collect();
        context.iter().zip(child).map(|(&c, &x)| each[cells.find(u64::from(c) << 32 | u64::from(x)) as usize]).collect()
    }
}

/// Counts keys, which get numbers in the order they come up in.
struct Counter {
    /// Number of a cell plus one; 0 is free. Its length is a power of two above twice the keys.
    slots: Vec<u32>,
    cells: Vec<Cell>,
}

struct Cell {
    key: u64,
    count: u32,
    /// Tag of the first row.
    first: u32,
}

impl Counter {
    fn new(keys: usize) -> Self {
        Self { slots: vec![0; (keys * 2 + 1).next_power_of_two()], cells: vec![] }
    }

    fn clear(&mut self) {
        self.slots.fill(0);
        self.cells.clear();
    }

    /// Where the key is, or the free slot for it.
    fn slot(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.slots[slot] != 0 && self.cells[self.slots[slot] as usize - 1].key != key {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn add(&mut self, key: u64, tag: u32) -> u32 {
        let slot = self.slot(key);
        if self.slots[slot] == 0 {
            self.cells.push(Cell { key, count: 0, first: tag });
            self.slots[slot] = self.cells.len() as u32;
        }
        let number = self.slots[slot] - 1;
        self.cells[number as usize].count += 1;
        number
    }

    /// The number of a key that was added.
    fn find(&self, key: u64) -> u32 {
        self.slots[self.slot(key)] - 1
    }
}
