//! Exposure of planted rows: does a generator remember single rows it was trained on?
//!
//! Canaries are rows of random values, planted among the training rows. A generator that learns the population finds them no
//! likelier than other random rows made in the same way; one that memorises does (Carlini et al. 2019, The Secret Sharer).

use std::f64::consts::LOG2_E;
use std::sync::Arc;

use lookalike_core::{Domain, Error, Frame, Job, Result, Streams, Units, Values, below, uniform};
use rand::RngCore;

use crate::{Metric, SearchOptions, SkewNormal, Space, Trainer, nearest};

/// How canaries and references are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExposureMethod {
    /// The negative log likelihood under the generator.
    Likelihood,
    /// The distance (Gower) to the nearest of as many synthetic rows as there are training rows.
    Distance,
}

/// Arguments of [`exposure`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExposureParams {
    /// Canaries, at least 1.
    pub canaries: usize,
    /// Rows of each canary, at least 1.
    pub repeats: usize,
    /// References M, at least 1; exposure is at most log2 M.
    pub references: usize,
    /// How they are measured; by likelihood where the generator has one when `None`.
    pub method: Option<ExposureMethod>,
}

/// One canary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canary {
    /// Negative log likelihood in nats, or distance: lower is better known.
    pub score: f64,
    /// 1 plus the number of references with at most this score: ties favour the reference.
    pub rank: usize,
    /// log2 M - log2 rank, in bits.
    pub exposure: f64,
    /// -log2 of the probability of at most this score under a skew-normal fitted to the references' scores, in bits; `None`
    /// where none is fitted or the score is infinite.
    pub extrapolated: Option<f64>,
    /// rank / (M + 1): uniform, or above, when the canary is no better known than a reference.
    pub p_value: f64,
}

/// What the canaries show.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    /// One entry a canary, in the order they were drawn.
    pub canaries: Vec<Canary>,
    /// How they were measured.
    pub method: ExposureMethod,
    /// Mean exposure in bits; 1.44 = 1/ln 2 is expected of uniform ranks among many references.
    pub mean: f64,
    /// Fisher's combination of the canaries' p-values. It takes ranks for independent; they share their references, which
    /// matters little while those are many more than the canaries.
    pub p_value: f64,
    /// Why no exposure is extrapolated.
    pub reason: Option<&'static str>,
}

/// Mean exposure in bits of canaries that nobody remembers, among many references: the mean of -log2 of a uniform variable.
pub const NULL_EXPOSURE: f64 = LOG2_E;

/// Plants canaries among the training rows, trains the generator on both, and ranks every canary among references.
///
/// Canaries and references have a uniform category of the column's domain or a uniform number of its range, on its grid, in
/// every column but the identifiers, and no NULL. With units a canary is a person of its own. The result does not depend on
/// the order of the rows.
///
/// Fails (data) without training rows, (argument) when the likelihood is asked for and the generator has none.
pub fn exposure(
    train: &Frame,
    trainer: &dyn Trainer,
    params: ExposureParams,
    seed: u64,
    job: &Job,
) -> Result<Exposure> {
    if train.rows() == 0 {
        return Err(Error::data("train: the relation has no rows to plant canaries among"));
    }
    let (canaries, references) = (
        random_rows(train, params.canaries, seed, "canaries"),
        random_rows(train, params.references, seed, "references"),
    );
    let planted: Vec<u32> = (0..params.canaries as u32).flat_map(|c| std::iter::repeat_n(c, params.repeats)).collect();
    let planted = Frame::stack(&[train, &canaries.gather(&planted)])?;
    let _memory =
        job.reserve(planted.memory() + canaries.memory() + references.memory(), "canaries among training rows")?;
    let trained = trainer.train(&planted, Streams::new(seed, "exposure").block(0).next_u64() >> 1, job)?;
    let likelihood = |rows: &Frame| -> Result<Option<Vec<f64>>> {
        let found = trained.log_likelihood(rows, job)?;
        Ok(found.map(|logs| logs.into_iter().map(|l| -l).collect()))
    };
    let by_likelihood = match params.method {
        Some(ExposureMethod::Distance) => None,
        _ => likelihood(&canaries)?.zip(likelihood(&references)?),
    };
    let (method, scores, others) = match by_likelihood {
        Some((scores, others)) => (ExposureMethod::Likelihood, scores, others),
        None if params.method == Some(ExposureMethod::Likelihood) => {
            return Err(Error::argument(format!(
                "method => 'likelihood': the likelihood of a row under '{}' has no closed form for these columns; use method => \
                 'distance'",
                trainer.model()
            )));
        }
        None => {
            let sample = trained.sample(train.rows(), job)?;
            let space = Space::fit(Metric::Gower, &[train, &sample])?;
            let points = space.encode(&sample, job)?;
            let distances = |rows: &Frame| -> Result<Vec<f64>> {
                let found = nearest(&space, &space.encode(rows, job)?, &points, SearchOptions::default(), job)?;
                Ok(found.into_iter().map(|n| n.distance).collect())
            };
            (ExposureMethod::Distance, distances(&canaries)?, distances(&references)?)
        }
    };
    Ok(rank(&scores, others, method))
}

/// Exposures of scores among those of references.
fn rank(scores: &[f64], mut references: Vec<f64>, method: ExposureMethod) -> Exposure {
    references.sort_unstable_by(f64::total_cmp);
    let size = references.len() as f64;
    let distinct = 1 + references.windows(2).filter(|w| w[0] != w[1]).count();
    let (fit, reason) = match SkewNormal::fit(&references) {
        _ if references.iter().any(|r| !r.is_finite()) => {
            (None, Some("references have a likelihood of 0: no skew-normal is fitted"))
        }
        _ if 2 * distinct < references.len() => {
            (None, Some("fewer than half of the references have a score of their own: no skew-normal is fitted"))
        }
        None => (None, Some("no skew-normal fits the scores of the references")),
        fit => (fit, None),
    };
    let canary = |&score: &f64| {
        let rank = 1 + references.partition_point(|r| *r <= score);
        Canary {
            score,
            rank,
            exposure: libm::log2(size) - libm::log2(rank as f64),
            extrapolated: fit.filter(|_| score.is_finite()).map(|f| 0.0 - f.log_cdf(score) * LOG2_E),
            p_value: rank as f64 / (size + 1.0),
        }
    };
    let canaries: Vec<Canary> = scores.iter().map(canary).collect();
    let mean = canaries.iter().map(|c| c.exposure).sum::<f64>() / canaries.len() as f64;
    let evidence = canaries.iter().map(|c| -libm::log(c.p_value)).sum::<f64>();
    Exposure { p_value: erlang_tail(canaries.len(), evidence), mean, method, reason, canaries }
}

/// The probability that a sum of `n` standard exponentials exceeds `x`: Fisher's combination of n p-values.
fn erlang_tail(n: usize, x: f64) -> f64 {
    let (mut term, mut sum) = (libm::exp(-x), 0.0);
    for i in 0..n {
        sum += term;
        term *= x / (i + 1) as f64;
    }
    sum.min(1.0)
}

/// Rows of independent uniform values of each column's domain; with units each row is a person of its own.
fn random_rows(like: &Frame, rows: usize, seed: u64, purpose: &str) -> Frame {
    let mut rng = Streams::new(seed, purpose).block(0);
    let columns = like.columns().iter().map(|column| {
        let values = match &column.domain {
            Domain::Number(domain) => Values::Number(
                (0..rows).map(|_| domain.snap(domain.min + domain.width() * uniform(&mut rng))).collect(),
            ),
            Domain::Category(domain) => {
                let labels = domain.labels.len();
                let mut draw = || below(&mut rng, labels) as u32;
                Values::Code((0..rows).map(|_| if labels == 0 { lookalike_core::MISSING } else { draw() }).collect())
            }
            Domain::Identifier(_) => Values::Omitted,
        };
        lookalike_core::Column { field: Arc::clone(&column.field), domain: column.domain.clone(), values }
    });
    let columns = columns.collect();
    let units = like.units().map(|_| Units { codes: (0..rows as u32).collect(), count: rows as u32 });
    Frame::new(rows, columns, units)
}

#[cfg(test)]
mod tests {
    use lookalike_core::{ErrorKind, Stream};

    use super::*;
    use crate::Trained;
    use crate::test_frames::{Kind, random, shuffled, stream, with_units};

    #[test]
    fn exposures_of_the_reference_sheet() {
        // References 1..16. 20 is above all: log2 16 - log2 17.
        let found = rank(&[0.0, 3.5, 20.0, 3.0], (1..=16).map(f64::from).collect(), ExposureMethod::Likelihood);
        let bits: Vec<f64> = found.canaries.iter().map(|c| c.exposure).collect();
        for (found, expected) in bits.iter().zip([4.0, 2.0, -0.087463, 2.0]) {
            assert!((found - expected).abs() < 5e-7, "{bits:?}");
        }
        assert_eq!(found.canaries.iter().map(|c| c.rank).collect::<Vec<_>>(), [1, 4, 17, 4]);
        assert!((found.canaries[1].p_value - 4.0 / 17.0).abs() < 1e-15);
        // Two p-values of product w: w (1 - ln w). Worked by hand for 1/4 each.
        assert!((erlang_tail(2, 16f64.ln()) - (1.0 + 16f64.ln()) / 16.0).abs() < 1e-15);
    }

    #[test]
    fn scores_that_no_skew_normal_describes() {
        let discrete = rank(&[1.0], (0..100).map(|i| f64::from(i % 3)).collect(), ExposureMethod::Distance);
        assert!(discrete.canaries[0].extrapolated.is_none() && discrete.reason.is_some());
        let infinite = rank(&[1.0], vec![f64::INFINITY; 30], ExposureMethod::Likelihood);
        assert!(infinite.reason.unwrap().contains("likelihood of 0"));
    }

    /// Gives back its training rows, or rows that have nothing to do with them.
    struct Toy {
        memorises: bool,
    }

    struct Rows(Frame);

    impl Trained for Rows {
        fn sample(&self, _: usize, _: &Job) -> Result<Frame> {
            Ok(self.0.clone())
        }
        fn log_likelihood(&self, _: &Frame, _: &Job) -> Result<Option<Vec<f64>>> {
            Ok(None)
        }
    }

    impl Trainer for Toy {
        fn model(&self) -> &str {
            "toy"
        }
        fn train(&self, rows: &Frame, seed: u64, _: &Job) -> Result<Box<dyn Trained>> {
            let frame = if self.memorises { rows.clone() } else { people(200, &mut stream(seed)) };
            Ok(Box::new(Rows(Frame::new(frame.rows(), frame.into_parts().0, None))))
        }
    }

    fn people(rows: usize, rng: &mut Stream) -> Frame {
        random(&[Kind::Uniform, Kind::Uniform, Kind::Codes(5), Kind::Uniform], rows, 0, rng)
    }

    const PARAMS: ExposureParams = ExposureParams { canaries: 20, repeats: 1, references: 999, method: None };

    #[test]
    fn a_generator_that_memorises_is_exposed_and_one_that_does_not_is_not() {
        let train = people(200, &mut stream(1));
        let job = Job::unbounded();
        let leak = exposure(&train, &Toy { memorises: true }, PARAMS, 1, &job).unwrap();
        // Nothing but the canary itself is at distance 0.
        assert!(leak.canaries.iter().all(|c| c.score == 0.0 && c.rank == 1 && (c.p_value - 0.001).abs() < 1e-12));
        assert!((leak.mean - 999f64.log2()).abs() < 1e-12 && leak.p_value < 1e-6);
        // Under the null the p-value is below 1e-6 with that probability, and the mean of 20 exposures of sd 1.44 is near 1.44.
        let none = exposure(&train, &Toy { memorises: false }, PARAMS, 1, &job).unwrap();
        assert!(
            none.p_value > 1e-6 && (none.mean - NULL_EXPOSURE).abs() < 7.0 * NULL_EXPOSURE / 20f64.sqrt(),
            "{none:?}"
        );
    }

    #[test]
    fn ranks_are_uniform_without_memory() {
        // Mean of 40 p-values: 1/2 with sd sqrt(1/12/40), and at most as much again from shared references (1/12/999 a set).
        let train = people(200, &mut stream(2));
        let run = |seed| exposure(&train, &Toy { memorises: false }, PARAMS, seed, &Job::unbounded()).unwrap();
        let p: Vec<f64> = [1, 2].into_iter().flat_map(|seed| run(seed).canaries).map(|c| c.p_value).collect();
        let mean = p.iter().sum::<f64>() / 40.0;
        assert!((mean - 0.5).abs() < 4.9 * (1.0f64 / 12.0 / 40.0 + 1.0 / 12.0 / 999.0).sqrt(), "{mean}");
    }

    #[test]
    fn order_and_units() {
        let train = people(150, &mut stream(3));
        let run = |train: &Frame| exposure(train, &Toy { memorises: true }, PARAMS, 4, &Job::unbounded()).unwrap();
        assert_eq!(run(&train), run(&train.gather(&shuffled(150, 1))));
        assert_eq!(run(&with_units(train.clone(), (0..150).map(|i| i / 3).collect())), run(&train));
        let wanted = ExposureParams { method: Some(ExposureMethod::Likelihood), ..PARAMS };
        let error = exposure(&train, &Toy { memorises: true }, wanted, 1, &Job::unbounded()).unwrap_err();
        assert!(error.kind() == ErrorKind::Argument && error.message().contains("'distance'"));
        let error = exposure(&train.gather(&[]), &Toy { memorises: true }, PARAMS, 1, &Job::unbounded()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
    }
}
