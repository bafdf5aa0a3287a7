//! What a release has lost of its original.

use lookalike_core::{Error, Job, Result};

use super::risk::Prosecutor;
use super::{Figures, ReportInput};
use crate::{Classes, Region};

/// The table before anonymisation. Its rows need not be aligned with the released ones.
#[derive(Debug)]
pub struct OriginalTable<'a> {
    /// Rows by equal raw quasi-identifiers.
    pub classes: &'a Classes,
    /// Quasi-identifiers, in the order of the released classes' columns.
    pub columns: &'a [OriginalColumn],
}

/// A quasi-identifier before anonymisation.
#[derive(Debug)]
pub struct OriginalColumn {
    /// Name.
    pub name: String,
    /// Rows with each raw value, by code.
    pub counts: Vec<u64>,
    /// Region of each released cell, by code.
    pub regions: Vec<Region>,
    /// Height of the hierarchy, if there is one.
    pub height: Option<usize>,
}

/// Running sums over codes: of rows n, and of n log2 n.
struct Sums {
    rows: Vec<u64>,
    logs: Vec<f64>,
}

impl Sums {
    fn new(counts: &[u64]) -> Self {
        let (mut rows, mut logs) = (vec![0], vec![0.0]);
        for (i, &n) in counts.iter().enumerate() {
            rows.push(rows[i] + n);
            logs.push(logs[i] + if n > 0 { n as f64 * (n as f64).log2() } else { 0.0 });
        }
        Self { rows, logs }
    }

    /// Entropy in bits of the original's values within a region.
    fn entropy(&self, region: &Region) -> f64 {
        let within =
            |sums: &[f64]| -> f64 { region.ranges.iter().map(|r| sums[r.end as usize] - sums[r.start as usize]).sum() };
        let rows: u64 = region.ranges.iter().map(|r| self.rows[r.end as usize] - self.rows[r.start as usize]).sum();
        // Every code has rows: one alone leaves nothing open.
        if rows == 0 || region.ranges.iter().map(|r| r.len()).sum::<usize>() == 1 {
            return 0.0;
        }
        ((rows as f64).log2() - within(&self.logs) / rows as f64).max(0.0)
    }
}

pub(super) fn figures(original: &OriginalTable, input: &ReportInput, figures: &mut Figures, job: &Job) -> Result<()> {
    let classes = input.classes;
    let released: u64 = classes.rows.iter().sum();
    let all: u64 = original.classes.rows.iter().sum();
    let Some(suppressed) = all.checked_sub(released) else {
        return Err(Error::data(format!(
            "the relation 'released' has {released} rows, 'original' only {all}: it is not the table before anonymisation"
        )));
    };
    figures.add("rows_suppressed", suppressed as f64, "rows of the original that are not released");
    figures.add("share_suppressed", suppressed as f64 / all as f64, "their share of the original");
    let squares: f64 = classes.rows.iter().map(|&n| (n as f64).powi(2)).sum();
    figures.add(
        "discernibility",
        squares + suppressed as f64 * all as f64,
        "sum of squared class sizes in rows, and all rows for each suppressed one",
    );
    // Rows of each released cell; sums run over codes, so that the order of rows has no influence.
    let mut cells: Vec<Vec<u64>> = original.columns.iter().map(|c| vec![0; c.regions.len()]).collect();
    for (class, &rows) in classes.rows.iter().enumerate() {
        classes.tuple(class).iter().zip(&mut cells).for_each(|(&code, cells)| cells[code as usize] += rows);
    }
    let mean = |cells: &[u64], value: &dyn Fn(usize) -> f64| -> f64 {
        cells.iter().enumerate().map(|(code, &rows)| rows as f64 * value(code)).sum::<f64>() / released as f64
    };
    let mut sum = 0.0;
    for (column, cells) in original.columns.iter().zip(&cells) {
        let loss = mean(cells, &|code| column.regions[code].loss);
        sum += loss;
        figures.add_for(
            "ncp",
            &column.name,
            loss,
            "mean width of a cell: range over whole range, for categories and labels (values - 1) / (all values - 1)",
        );
    }
    let gcp = sum / original.columns.len() as f64;
    figures.add("gcp", gcp, "mean ncp of the quasi-identifiers over released rows: 0 is the original, 1 nothing left");
    figures.add(
        "gcp_with_suppression",
        (gcp * released as f64 + suppressed as f64) / all as f64,
        "gcp where each suppressed row counts 1",
    );
    let mut bits = 0.0;
    for (column, cells) in original.columns.iter().zip(&cells) {
        job.check()?;
        let sums = Sums::new(&column.counts);
        let entropy = mean(cells, &|code| sums.entropy(&column.regions[code]));
        bits += entropy;
        figures.add_for(
            "non_uniform_entropy",
            &column.name,
            entropy,
            "bits a row by which a cell leaves the value open, given the original's shares within it; an estimate for local \
             recoding, where a class need not be like them",
        );
    }
    figures.add("non_uniform_entropy", bits, "sum over the quasi-identifiers, in bits a released row");
    let mut precisions = vec![];
    for (column, cells) in original.columns.iter().zip(&cells) {
        let Some(height) = column.height.filter(|h| *h > 0) else { continue };
        if column.regions.iter().any(|r| r.level.is_none()) {
            continue;
        }
        let level = mean(cells, &|code| column.regions[code].level.unwrap_or(height) as f64 / height as f64);
        precisions.push(1.0 - level);
        figures.add_for(
            "precision",
            &column.name,
            1.0 - level,
            "1 - mean of level / height in the hierarchy; for columns whose cells are all nodes of theirs",
        );
    }
    if !precisions.is_empty() && precisions.len() == original.columns.len() {
        let precision = precisions.iter().sum::<f64>() / precisions.len() as f64;
        figures.add("precision", precision, "mean precision of the quasi-identifiers, all of which have hierarchies");
    }
    let before = Prosecutor::of(original.classes, input.risk_threshold);
    let k = original.classes.persons.iter().copied().min().unwrap_or(0);
    figures.add("k_before", k as f64, "k of the original on the same quasi-identifiers");
    figures.add("prosecutor_max_before", before.max, "prosecutor_max of the original");
    figures.add("prosecutor_average_before", before.average, "prosecutor_average of the original");
    figures.add("prosecutor_at_risk_before", before.at_risk, "prosecutor_at_risk of the original");
    Ok(())
}
