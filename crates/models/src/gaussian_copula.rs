//! The Gaussian copula: every column's own distribution, joined by correlated normals.

mod classes;
mod dependence;
mod fitted;
mod groups;
mod latent;
mod tree;

use lookalike_core::{Column, Default, Job, Options, ParamKind, ParamSpec, Result, Values};
use rayon::prelude::*;

use crate::codec::Reader;
use crate::factor::Factor;
use crate::linalg::correlation_factor;
use crate::marginal::{Marginal, NO_PIECE};
use crate::model::{Fitted, Model};
use crate::rows::Rows;
use classes::Classes;
use dependence::{Scores, Seen, Source, correlations, repair};
use fitted::{GroupPart, NumberPart, Part};
use groups::{Group, contingency, join_groups};
use latent::Step;
use tree::{Child, Profile, Profiles, Tree};

/// Gaussian copula over mixed columns.
///
/// A row is a vector of correlated standard normals; each column reads its values off some of them.
///
/// - A **number** is its empirical quantile function at one normal: values that enough persons share are atoms with
///   their exact share, the rest is spread evenly inside bins of at least `min_category_count` persons and about one
///   `knots`-th of the rows. The training rows' normal scores give the correlations.
/// - A **category** is a tree of two-way splits, each decided by a normal of its own against a threshold that gives the exact
///   shares. Splits are chosen where they carry most chi-square with the other columns (divisive correspondence analysis), so the
///   order of categories is learned, not alphabetical. Below the last split worth a normal, categories are drawn by share. Of more
///   than 512 categories the most frequent 511 are told apart, and the others together.
/// - **Missing** is a category like any other; a number's missing flag is a normal of its own, so it may depend on
///   all other columns.
/// - **Groups**: categories (and numbers of few values) that share so much information that normals cannot
///   follow it, such as a code and its label, are joined first and treated as one category of the combinations seen.
///   Combinations of fewer than `min_category_count` persons are not kept: their columns are drawn one by one.
///
/// Correlations of coarsened normals understate those behind: every pair is corrected by solving Mehler's series for the
/// correlation that gives what is seen (polychoric and polyserial correlations as special cases), and pairs that are no clearer
/// than noise are shrunk to zero. The matrix is made positive definite by clipping eigenvalues.
///
/// Deviations from the source: it takes categories as ordered uniforms by frequency and parametric marginals.
///
/// The saved state holds quantile tables (observed values that enough persons share, means of neighbours at bin borders),
/// shares of categories and of their combinations, and the factor of the correlation matrix; no training rows.
pub(crate) struct GaussianCopula;

/// Latent variables a group may have, and about how many all groups may have together: the correlation matrix takes time that
/// grows with their cube.
const MAX_SPLITS: usize = 48;
const MAX_LATENTS: usize = 2048;
/// Bins that stand for another column while splits are chosen: quantile bins of numbers, most frequent cells of groups.
const NUMBER_BINS: u8 = 8;
const CELL_BINS: usize = 64;

pub(crate) const KNOTS: ParamSpec = ParamSpec {
    name: "knots",
    kind: ParamKind::Int { min: 8, max: 65_536 },
    default: Default::Int(1024),
    purpose: "Most bins, and most exact values, that the distribution of a numeric column is kept in.",
};

const NAME: &str = "gaussian_copula";

impl Model for GaussianCopula {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Each column's own distribution, joined by correlated normals; fast, and the default."
    }

    fn source(&self) -> &'static str {
        "Patki, Wedge & Veeramachaneni 2016, The Synthetic Data Vault"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[KNOTS]
    }

    fn fit(&self, rows: &Rows, options: &Options, _seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let knots = options.int("knots").unwrap_or(1024) as usize;
        // Pieces and bins of numbers; cells, classes and bins of groups.
        let _memory = rows.encoding(5, 7, job)?;
        job.count("rows_trained", rows.len());
        let (numbers, mut groups) = columns(rows, knots, job)?;
        let classes: Vec<Classes> = groups.par_iter().map(Classes::of).collect();
        // Every column as a few bins, the last for missing or infrequent.
        let mut binned: Vec<(Vec<u8>, usize)> = numbers.par_iter().map(|(n, _)| bin_number(n)).collect();
        binned.par_extend(groups.par_iter().map(bin_cells));
        groups.iter_mut().for_each(Group::forget_rows);
        let trees = trees(&classes, &binned, rows.unit_count(), job)?;
        drop(binned);

        let mut sources: Vec<Source> = vec![];
        let mut steps: Vec<Step> = vec![];
        let mut parts: Vec<Part> = vec![];
        let mut blocks: Vec<Vec<usize>> = vec![];
        for (number, step) in numbers {
            let block = blocks.len();
            let latent = steps.len() as u32;
            let missing = (number.marginal.missing > 0).then(|| {
                let code = number.pieces.iter().map(|&p| u16::from(p != NO_PIECE)).collect();
                Seen::Cells { code, size: 2, splits: vec![[vec![0], vec![1]]] }
            });
            sources.push(Source { block, seen: Seen::Scores(Scores::new(number.pieces, &step.scores)) });
            steps.push(step);
            if let Some(seen) = missing {
                sources.push(Source { block, seen });
                steps.push(Step::new(&[number.marginal.missing, number.marginal.count.iter().sum()]));
            }
            blocks.push((latent as usize..steps.len()).collect());
            parts.push(Part::Number(NumberPart { column: number.column as u32, latent, marginal: number.marginal }));
        }
        for ((group, classes), tree) in groups.into_iter().zip(classes).zip(trees) {
            let block = blocks.len();
            let latent = steps.len() as u32;
            let rows_in = |side: &[u32]| side.iter().map(|&c| classes.count[c as usize]).sum::<u64>();
            steps.extend(tree.splits.iter().map(|s| Step::new(&[rows_in(&s.left), rows_in(&s.right)])));
            blocks.push((latent as usize..steps.len()).collect());
            let splits = tree.splits.iter().map(|s| [s.left.clone(), s.right.clone()]).collect();
            let (size, tree) = (classes.len(), classes.expand(tree));
            sources.push(Source { block, seen: Seen::Cells { code: classes.code, size, splits } });
            let Group { members, cells, count, .. } = group;
            parts.push(Part::Group(GroupPart { latent, members, cells, count, tree }));
        }
        let independent = rows.unit_count() as f64 / rows.len().max(1) as f64;
        let size = steps.len();
        let _matrices = job.reserve(size * size * 8 * 4, "the correlation matrix")?;
        let matrix = repair(correlations(&sources, &steps, independent, job)?, &blocks, job)?;
        let factor = Factor::new(size, correlation_factor(&matrix, job)?);
        let report = rows.report();
        Ok(Box::new(fitted::Copula::new(report, rows.columns().len(), parts, factor)?))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut reader = Reader::new(bytes, NAME)?;
        let copula = fitted::Copula::load(&mut reader)?;
        reader.finish()?;
        Ok(Box::new(copula))
    }
}

/// A numeric column that stays on its own.
struct Number {
    column: usize,
    marginal: Marginal,
    pieces: Vec<u32>,
}

/// Numeric columns with their scores.
type Numbers = Vec<(Number, Step)>;

/// Numeric columns that stay on their own, and groups of all other columns.
fn columns(rows: &Rows, knots: usize, job: &Job) -> Result<(Numbers, Vec<Group>)> {
    let fit = |column: usize, c: &Column| {
        Ok(match &c.values {
            Values::Number(values) => {
                let (marginal, pieces) = Marginal::fit(values, rows.units(), rows.min_persons(), knots);
                let group = Group::of_numbers(column, &marginal, &pieces);
                (Some(Number { column, marginal, pieces }), group)
            }
            Values::Code(codes) => (None, Some(Group::of_codes(column, codes))),
            Values::Omitted => (None, None),
        })
    };
    let (numbers, groups): (Vec<_>, Vec<_>) = rows.map(job, fit)?.into_iter().unzip();
    let mut groups = join_groups(groups.into_iter().flatten().collect(), rows, job)?;
    // Numbers that joined nothing keep their order, unless two levels have none.
    let numeric: Vec<bool> = numbers.iter().map(Option::is_some).collect();
    groups.retain(|g| g.members.len() > 1 || g.len() <= 2 || !numeric[g.members[0].column as usize]);
    let mut grouped = vec![false; numeric.len()];
    groups.iter().flat_map(|g| &g.members).for_each(|m| grouped[m.column as usize] = true);
    let numbers: Vec<Number> = numbers.into_iter().flatten().filter(|n| !grouped[n.column]).collect();
    let numbers = numbers.into_par_iter().map(|n| (Step::new(&n.marginal.count), n)).map(|(s, n)| (n, s)).collect();
    Ok((numbers, groups))
}

/// The tree of every group's classes, chosen by its association with all other columns and groups, which are given in bins, those of
/// the groups last.
fn trees(classes: &[Classes], binned: &[(Vec<u8>, usize)], persons: usize, job: &Job) -> Result<Vec<Tree>> {
    let limit = (MAX_LATENTS / classes.len().max(1)).clamp(1, MAX_SPLITS);
    let first = binned.len() - classes.len();
    let mut trees = vec![];
    for (g, classes) in classes.iter().enumerate() {
        job.check()?;
        if classes.len() == 1 {
            trees.push(Tree { root: Child::Leaf(0), splits: vec![], leaves: vec![vec![0]] });
            continue;
        }
        let own = first + g;
        let tables: Vec<(Vec<u32>, usize)> = binned
            .par_iter()
            .enumerate()
            .filter(|(other, _)| *other != own)
            .map(|(_, (codes, bins))| (contingency(&classes.code, classes.len(), codes, *bins), *bins))
            .collect();
        let others: Vec<Profile> = tables.iter().map(|(counts, bins)| Profile { counts, bins: *bins }).collect();
        trees.push(Profiles::new(&classes.count, &others, persons).tree(limit));
    }
    Ok(trees)
}

fn bin_number(number: &Number) -> (Vec<u8>, usize) {
    let total = number.marginal.count.iter().sum::<u64>().max(1);
    let mut below = 0;
    // A piece goes where its middle lies.
    let bin_of: Vec<u8> = number
        .marginal
        .count
        .iter()
        .map(|c| {
            below += c;
            ((2 * below - c) * u64::from(NUMBER_BINS) / (2 * total)) as u8
        })
        .collect();
    let code = number.pieces.iter().map(|&p| bin_of.get(p as usize).copied().unwrap_or(NUMBER_BINS)).collect();
    (code, usize::from(NUMBER_BINS) + 1)
}

fn bin_cells(group: &Group) -> (Vec<u8>, usize) {
    if group.len() <= CELL_BINS {
        return (group.code.iter().map(|&cell| cell as u8).collect(), group.len());
    }
    let mut order: Vec<usize> = (0..group.len()).collect();
    order.sort_by_key(|&c| std::cmp::Reverse(group.count[c]));
    let mut bin_of = vec![CELL_BINS as u8 - 1; group.len()];
    order[..CELL_BINS - 1].iter().zip(0..).for_each(|(&cell, bin)| bin_of[cell] = bin);
    (group.code.iter().map(|&c| bin_of[c as usize]).collect(), CELL_BINS)
}
