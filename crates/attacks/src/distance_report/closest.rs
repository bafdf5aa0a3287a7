//! Figures of the nearest real row of every synthetic row.

use lookalike_core::{Job, Result};

use super::measure::{mean, mean_estimate, quantile, quantile_interval, share_estimate, sorted};
use super::{DistanceFigure, NO_HOLDOUT, Side, Tables};
use crate::{Neighbour, normal_p_value, share_p_value};

/// What mostlyai-qa reports of the ratios: the 10th smallest.
const SMALLEST: usize = 10;

pub(super) fn figures(tables: &Tables<'_>, job: &Job) -> Result<Vec<DistanceFigure>> {
    let mut figures = vec![];
    let distances = |side: &Side| -> Vec<f64> { side.of_synthetic.iter().map(|n| n.distance).collect() };
    let ratios = |side: &Side| -> Vec<f64> { side.of_synthetic.iter().map(Neighbour::ratio).collect() };
    type Values<'a> = &'a dyn Fn(&Side) -> Vec<f64>;
    let lists: [(Values, [&'static str; 3], &str); 2] = [
        (
            &distances,
            ["dcr_mean", "dcr_median", "dcr_p05"],
            "distance of synthetic rows to the closest training row; depends on columns, scales and the number of rows, \
             so compare it with the holdout figure alone",
        ),
        (
            &ratios,
            ["nndr_mean", "nndr_median", "nndr_p05"],
            "closest over second closest distance, 1 where both are equal; near 0 where one training row stands out",
        ),
    ];
    for (values, [name_mean, name_median, name_p05], note) in lists {
        let train = values(&tables.train);
        let holdout = tables.holdout.as_ref().map(values);
        let estimate = mean_estimate(&tables.points, &train, tables.params.seed, job)?;
        let missing = if estimate.is_none() && mean(&tables.points, &train).is_none() {
            "; NULL: no row has a second neighbour"
        } else {
            ""
        };
        figures.push(
            DistanceFigure::new(name_mean, mean(&tables.points, &train), format!("mean {note}{missing}"))
                .within(estimate.map(|e| (e.low, e.high)))
                .beside(holdout.as_ref().and_then(|h| mean(&tables.points, h))),
        );
        let train = sorted(train.into_iter());
        let holdout = holdout.map(|h| sorted(h.into_iter()));
        for (name, q, what) in [(name_median, 0.5, "median"), (name_p05, 0.05, "5th percentile of the")] {
            // Order statistics need independent rows.
            let independent = tables.points.units().is_none();
            figures.push(
                DistanceFigure::new(name, quantile(&train, q), format!("{what} {note}{missing}"))
                    .within(quantile_interval(&train, q).filter(|_| independent))
                    .beside(holdout.as_ref().and_then(|h| quantile(h, q))),
            );
        }
        if name_mean == "nndr_mean" {
            let few = if train.len() < SMALLEST { "; NULL: fewer than 10 synthetic rows have one" } else { "" };
            figures.push(
                DistanceFigure::new(
                    "nndr_10th",
                    train.get(SMALLEST - 1).copied(),
                    format!("10th smallest ratio of closest to second closest distance (mostlyai-qa){few}"),
                )
                .beside(holdout.as_ref().and_then(|h| h.get(SMALLEST - 1)).copied()),
            );
        }
    }
    figures.push(identical(tables, job)?);
    figures.extend(shares(tables, job)?);
    figures.push(ratio(tables));
    figures.push(authenticity(tables, job)?);
    Ok(figures)
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// Share of copies, and the sign test between rows that match on one side alone.
fn identical(tables: &Tables<'_>, job: &Job) -> Result<DistanceFigure> {
    let copies = |side: &Side| -> Vec<f64> { side.of_synthetic.iter().map(|n| flag(n.distance == 0.0)).collect() };
    let train = copies(&tables.train);
    let holdout = tables.holdout.as_ref().map(copies);
    let estimate = share_estimate(&tables.points, &train, tables.params.seed, job)?;
    let mut note =
        "share of synthetic rows that are equal to a training row; tables of few values match by chance, so \
                    compare it with the holdout figure"
            .to_string();
    let mut p_value = None;
    if let Some(holdout) = &holdout {
        let count = |a: &[f64], b: &[f64]| a.iter().zip(b).filter(|(a, b)| **a > **b).count() as u64;
        let (ours, theirs) = (count(&train, holdout), count(holdout, &train));
        if tables.null_share() != Some(0.5) {
            note += "; p_value NULL: it needs a holdout as large as train";
        } else if tables.points.units().is_some() {
            note += "; p_value NULL: the test is of independent rows, and these have persons";
        } else {
            note += "; p_value of the sign test between rows that match on one side alone";
            p_value = Some(share_p_value(ours as f64, ours + theirs, 0.5));
        }
    }
    Ok(DistanceFigure::new("identical_match_share", mean(&tables.points, &train), note)
        .within(estimate.map(|e| (e.low, e.high)))
        .beside(holdout.and_then(|h| mean(&tables.points, &h)))
        .tested(p_value))
}

/// How often the training rows are nearer than the holdout.
fn shares(tables: &Tables<'_>, job: &Job) -> Result<Vec<DistanceFigure>> {
    let Some(holdout) = &tables.holdout else {
        return Ok(["dcr_share", "dcr_tied_share", "sdmetrics_overfitting_protection"]
            .map(|name| DistanceFigure::new(name, None, NO_HOLDOUT))
            .into());
    };
    let pairs = || tables.train.of_synthetic.iter().zip(&holdout.of_synthetic).map(|(t, h)| (t.distance, h.distance));
    let closer: Vec<f64> = pairs().map(|(t, h)| flag(t < h) + flag(t == h) / 2.0).collect();
    let tied: Vec<f64> = pairs().map(|(t, h)| flag(t == h)).collect();
    let strictly: Vec<f64> = pairs().map(|(t, h)| flag(t < h)).collect();
    let (points, seed, null) = (&tables.points, tables.params.seed, tables.null_share());
    let share = share_estimate(points, &closer, seed, job)?;
    let tied_share = share_estimate(points, &tied, seed, job)?;
    let mut note =
        "share of synthetic rows nearer to train than to the holdout, ties half; null value train / (train + \
                    holdout) rows. It does not see a few per cent of copies: see identical_match_share"
            .to_string();
    let ties = tied_share.is_some_and(|t| t.value > 0.0);
    let p_value = match (&share, null) {
        (Some(_), Some(null)) if ties && null != 0.5 => {
            note += "; p_value NULL: there are ties and the sizes differ, which moves the null value towards 1/2";
            None
        }
        (Some(_), Some(_)) => share_test(&tables.train, holdout),
        _ => None,
    };
    if p_value.is_none() && !(ties && null != Some(0.5)) {
        note += "; p_value NULL: it needs ten people on either side";
    }
    let protection = mean(points, &strictly).map(|s| (2.0 * (1.0 - s)).min(1.0));
    Ok(vec![
        DistanceFigure::new("dcr_share", mean(points, &closer), note)
            .within(share.map(|e| (e.low, e.high)))
            .expecting(null)
            .tested(p_value),
        DistanceFigure::new(
            "dcr_tied_share",
            mean(points, &tied),
            "share of synthetic rows as near to train as to the holdout: of these dcr_share says nothing",
        )
        .within(tied_share.map(|e| (e.low, e.high))),
        DistanceFigure::new(
            "sdmetrics_overfitting_protection",
            protection,
            "DCROverfittingProtection of SDMetrics: 2 (1 - share nearer to train), at most 1, where ties count as nearer \
             to the holdout, which flatters tables of few values; its null value supposes no ties",
        )
        .expecting(null.map(|n| (2.0 * (1.0 - n)).min(1.0))),
    ])
}

/// One-sided p-value of the share of synthetic rows nearer to the training rows, when who of the real people was trained
/// on is exchangeable: each carries as many synthetic rows as are nearest to it, and the variance is that of drawing so
/// many of them without putting back. Synthetic rows that crowd around one person count as the one accident they are.
fn share_test(train: &Side<'_>, holdout: &Side<'_>) -> Option<f64> {
    let [mut ours, mut theirs] = [train, holdout].map(|side| vec![0.0f64; side.frame.unit_count()]);
    let person = |side: &Side<'_>, row: u32| side.frame.units().map_or(row, |u| u.codes[row as usize]) as usize;
    for (t, h) in train.of_synthetic.iter().zip(&holdout.of_synthetic) {
        let weight = flag(t.distance < h.distance) + flag(t.distance == h.distance) / 2.0;
        ours[person(train, t.row)] += weight;
        theirs[person(holdout, h.row)] += 1.0 - weight;
    }
    let (m, n, rows) = (ours.len() as f64, theirs.len() as f64, train.of_synthetic.len() as f64);
    if m.min(n) < 10.0 {
        return None;
    }
    let all = m + n;
    // Weights are halves, so that the sums are exact in any order.
    let squares: f64 = ours.iter().chain(&theirs).map(|w| w * w).sum();
    let variance = m * n / (all * all * (all - 1.0)) * (all * squares - rows * rows);
    let p_value = normal_p_value(ours.iter().sum(), rows * m / all, variance.max(0.0).sqrt());
    Some(p_value).filter(|p| !p.is_nan())
}

fn ratio(tables: &Tables<'_>) -> DistanceFigure {
    let of = |side: &Side| {
        let median = |of: &[Neighbour]| quantile(&sorted(of.iter().map(|n| n.distance)), 0.5);
        let (synthetic, itself) = (median(&side.of_synthetic)?, median(&side.of_itself)?);
        (itself > 0.0).then(|| synthetic / itself)
    };
    let value = of(&tables.train);
    let mut note =
        "median distance of synthetic rows to train over the median distance of training rows to each other; \
                    below 1 synthetic rows are nearer than real ones"
            .to_string();
    if value.is_none() {
        note += "; NULL: most training rows are equal to another, or there is only one person";
    }
    DistanceFigure::new("median_dcr_ratio", value, note).beside(tables.holdout.as_ref().and_then(of))
}

/// Share of synthetic rows that are farther from their nearest real row than that is from the other real rows.
fn authenticity(tables: &Tables<'_>, job: &Job) -> Result<DistanceFigure> {
    let authentic = |side: &Side| -> Vec<f64> {
        let of = |n: &Neighbour| {
            let own = side.of_itself[n.row as usize].distance;
            if own.is_nan() { f64::NAN } else { flag(n.distance > own) }
        };
        side.of_synthetic.iter().map(of).collect()
    };
    let train = authentic(&tables.train);
    let estimate = share_estimate(&tables.points, &train, tables.params.seed, job)?;
    let note = match mean(&tables.points, &train) {
        Some(_) => {
            "share of synthetic rows that are farther from the closest training row than that is from the others \
                    (Alaa et al. 2022); 0 for copies, higher is better"
        }
        None => "NULL: the training rows are of one person",
    };
    Ok(DistanceFigure::new("authenticity", mean(&tables.points, &train), note)
        .within(estimate.map(|e| (e.low, e.high)))
        .beside(tables.holdout.as_ref().and_then(|h| mean(&tables.points, &authentic(h)))))
}
