//! Nearest-neighbour adversarial accuracy (Yale et al. 2020): can rows of two tables be told apart by where their
//! nearest neighbours are?

use lookalike_core::{Frame, Job, Result, Streams, below};

use super::{DistanceFigure, NO_HOLDOUT, Tables};
use crate::{Points, SearchOptions, Space, nearest};

/// How often rows are drawn where the relations differ in size.
const REPEATS: u64 = 5;

pub(super) fn figures(tables: &Tables<'_>, job: &Job) -> Result<Vec<DistanceFigure>> {
    let frames: Vec<&Frame> =
        [Some(tables.synthetic), Some(tables.train.frame), tables.holdout.as_ref().map(|h| h.frame)]
            .into_iter()
            .flatten()
            .collect();
    let size = frames.iter().map(|f| f.rows()).min().unwrap_or(0);
    let same = frames.iter().all(|f| f.rows() == size);
    let repeats = if same { 1 } else { REPEATS };
    let mut sums = [0.0; 2];
    for repeat in 0..repeats {
        let points = frames
            .iter()
            .enumerate()
            .map(|(i, frame)| match frame.rows() == size {
                true => tables.space.encode(frame, job),
                false => tables.space.encode(&frame.gather(&drawn(frame, size, tables.params.seed, repeat, i)), job),
            })
            .collect::<Result<Vec<Points>>>()?;
        for (sum, real) in sums.iter_mut().zip(&points[1..]) {
            *sum += accuracy(&tables.space, real, &points[0], job)?;
        }
    }
    let [train, holdout] = sums.map(|sum| Some(sum / repeats as f64).filter(|a| !a.is_nan()));
    let holdout = holdout.filter(|_| tables.holdout.is_some());
    let how = match same {
        true => String::new(),
        false => format!("; the mean of {REPEATS} draws of {size} rows of every relation, because their sizes differ"),
    };
    let missing = |value: Option<f64>| match value {
        Some(_) => "",
        None => "; NULL: a relation has the rows of one person alone",
    };
    let note = format!(
        "how well nearest neighbours tell training rows from synthetic ones (Yale et al. 2020): 1/2 not at all, below it \
         copies, above it poor fidelity{how}{}",
        missing(train)
    );
    let mut figures = vec![DistanceFigure::new("nnaa_train", train, note).beside(holdout)];
    if tables.holdout.is_none() {
        figures.extend(["nnaa_holdout", "privacy_loss"].map(|name| DistanceFigure::new(name, None, NO_HOLDOUT)));
        return Ok(figures);
    }
    figures.push(DistanceFigure::new(
        "nnaa_holdout",
        holdout,
        format!("the same of the holdout{how}{}", missing(holdout)),
    ));
    let loss = holdout.zip(train).map(|(h, t)| h - t);
    figures.push(
        DistanceFigure::new(
            "privacy_loss",
            loss,
            format!(
                "nnaa_holdout less nnaa_train; above 0 the synthetic rows are nearer to train{how}{}",
                missing(loss)
            ),
        )
        .expecting(Some(0.0)),
    );
    Ok(figures)
}

/// The mean of two shares: real rows that are nearer to another real row than to any synthetic one, and synthetic rows
/// that are nearer to another synthetic row than to any real one. NaN where either has no other person.
fn accuracy(space: &Space, real: &Points, synthetic: &Points, job: &Job) -> Result<f64> {
    let share = |own: &Points, other: &Points| -> Result<f64> {
        let across = nearest(space, own, other, SearchOptions::default(), job)?;
        let among = nearest(space, own, own, SearchOptions { exclude_self: true }, job)?;
        if among.iter().any(|n| n.distance.is_nan()) {
            return Ok(f64::NAN);
        }
        let farther = across.iter().zip(&among).filter(|(across, among)| across.distance > among.distance).count();
        Ok(farther as f64 / own.rows() as f64)
    };
    Ok((share(real, synthetic)? + share(synthetic, real)?) / 2.0)
}

/// Rows of a frame, the same by content whatever their order.
fn drawn(frame: &Frame, size: usize, seed: u64, repeat: u64, relation: usize) -> Vec<u32> {
    let mut rng = Streams::new(seed, "equal sizes").block(repeat * 4 + relation as u64);
    let mut rows = frame.canonical_order();
    for i in 0..size {
        let other = i + below(&mut rng, rows.len() - i);
        rows.swap(i, other);
    }
    rows.truncate(size);
    rows
}
