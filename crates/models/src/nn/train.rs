//! The training loop of every iterative model: shuffling, early stopping, time limit, progress, divergence.

use std::time::Instant;

use lookalike_core::{
    Default, Error, Job, Options, ParamKind, ParamSpec, Result, Stream, Streams, Training, Units, below,
};

use crate::model::Epoch;

/// A model in training.
pub(crate) trait Learner {
    /// Learns from the batch of these rows (at least one); the mean loss over them. `step` numbers the batches of the
    /// whole training from 0: it keys whatever is random in a batch.
    fn step(&mut self, rows: &[u32], step: u64) -> Result<f64>;
    /// Mean loss over rows that are not learned from; `None` where the model's loss says nothing of its quality (GANs).
    fn held_out(&mut self, _rows: &[u32]) -> Result<Option<f64>> {
        Ok(None)
    }
    /// The weights now are the best so far.
    fn keep(&mut self) {}
    /// Goes back to the best weights.
    fn restore(&mut self) {}
    /// Called before each batch with the share of the training that is over, 0 to below 1: for learning-rate schedules.
    fn pace(&mut self, _share: f64) {}
    /// True when every weight is finite.
    fn finite(&self) -> bool;
}

/// How long and in what portions a model learns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schedule {
    pub epochs: u32,
    pub batch_size: usize,
    /// Step size, for the error message of a training that diverged.
    pub learning_rate: f64,
    /// Share of the persons whose rows are not learned from but measured after each epoch.
    pub held_out: f64,
    /// Epochs without a better held-out loss before training ends; 0 for never.
    pub patience: u32,
    /// Wall-clock seconds after which training ends, early.
    pub max_seconds: Option<f64>,
}

/// The `epochs` option of a model.
pub(crate) const fn epochs(default: i64) -> ParamSpec {
    ParamSpec {
        name: "epochs",
        kind: ParamKind::Int { min: 1, max: 100_000 },
        default: Default::Int(default),
        purpose: "Most passes over the training rows.",
    }
}

/// The `batch_size` option of a model.
pub(crate) const fn batch_size(default: i64) -> ParamSpec {
    ParamSpec {
        name: "batch_size",
        kind: ParamKind::Int { min: 2, max: 1 << 20 },
        default: Default::Int(default),
        purpose: "Rows a training step learns from.",
    }
}

/// The `learning_rate` option of a model.
pub(crate) const fn learning_rate(default: f64) -> ParamSpec {
    ParamSpec {
        name: "learning_rate",
        kind: ParamKind::Float { min: 1e-7, max: 10.0 },
        default: Default::Float(default),
        purpose: "Step size of the optimiser.",
    }
}

/// The `patience` option of a model whose held-out loss can stop it.
pub(crate) const fn patience(default: i64) -> ParamSpec {
    ParamSpec {
        name: "patience",
        kind: ParamKind::Int { min: 0, max: 100_000 },
        default: Default::Int(default),
        purpose: "Epochs without a better held-out loss before training stops; 0 trains all epochs.",
    }
}

/// The `held_out_share` option of a model whose held-out loss can stop it.
pub(crate) const HELD_OUT_SHARE: ParamSpec = ParamSpec {
    name: "held_out_share",
    kind: ParamKind::Float { min: 0.0, max: 0.5 },
    default: Default::Float(0.1),
    purpose: "Share of the persons that early stopping measures on and nothing is learned from.",
};

/// The `max_seconds` option.
pub(crate) const MAX_SECONDS: ParamSpec = ParamSpec {
    name: "max_seconds",
    kind: ParamKind::Float { min: 0.01, max: 1e7 },
    default: Default::Unset("no limit"),
    purpose: "Wall-clock seconds after which training stops early; where it binds, the machine's speed decides the result.",
};

impl Schedule {
    /// From the options above; those that a model does not declare are off.
    pub fn of(options: &Options) -> Self {
        Self {
            epochs: options.int("epochs").unwrap_or(1) as u32,
            batch_size: options.int("batch_size").unwrap_or(500) as usize,
            learning_rate: options.float("learning_rate").unwrap_or(0.0),
            held_out: options.float("held_out_share").unwrap_or(0.0),
            patience: options.int("patience").unwrap_or(0) as u32,
            max_seconds: options.float("max_seconds"),
        }
    }
}

/// Rows that are shuffled together, of so many: windows of consecutive ones, all of about one size. Batches reach over few of them,
/// wherever the rows are kept. Rows come in canonical order, which is that of their hashes, so that any run of them is a
/// random sample already.
pub(crate) fn window(rows: usize) -> usize {
    rows.div_ceil(rows.div_ceil(WINDOW).max(1)).max(1)
}

const WINDOW: usize = 1 << 17;

/// Trains until the epochs are over, the held-out loss has not fallen for `patience` epochs, or time is up; then goes back to
/// the weights of the best held-out loss. The seed decides what is held out and the order of the rows.
///
/// # Errors
/// A data error that names the epoch and the remedy when the loss or a weight is no finite number; cancellation, within
/// a batch.
pub(crate) fn train(
    learner: &mut impl Learner,
    rows: usize,
    units: Option<&Units>,
    schedule: &Schedule,
    seed: u64,
    job: &Job,
) -> Result<Vec<Epoch>> {
    let start = Instant::now();
    let (learned, held) = split(rows, units, if schedule.patience > 0 { schedule.held_out } else { 0.0 }, seed);
    let mut batch_count = learned.len() / schedule.batch_size;
    // A rest of less than half a batch waits for the next epoch's order.
    batch_count +=
        usize::from(learned.len() % schedule.batch_size >= schedule.batch_size.div_ceil(2) || batch_count == 0);
    let total = batch_count as u64 * u64::from(schedule.epochs);
    let streams = Streams::new(seed, "shuffle");
    let mut history: Vec<Epoch> = vec![];
    let (mut best, mut waited, mut step) = (f64::INFINITY, 0, 0u64);
    for epoch in 1..=schedule.epochs {
        let order = shuffled(&learned, &mut streams.block(u64::from(epoch)));
        let (mut sum, mut seen, mut over) = (0.0, 0usize, false);
        for batch in order.chunks(schedule.batch_size).take(batch_count) {
            job.check()?;
            let elapsed = start.elapsed().as_secs_f64();
            let of_time = schedule.max_seconds.map_or(0.0, |most| elapsed / most);
            if of_time >= 1.0 && step > 0 {
                over = true;
                break;
            }
            learner.pace((step as f64 / total as f64).max(of_time.min(0.999)));
            let loss = learner.step(batch, step)?;
            if !loss.is_finite() {
                return Err(diverged(epoch, schedule, &format!("the loss is {loss}")));
            }
            sum += loss * batch.len() as f64;
            seen += batch.len();
            step += 1;
            job.progress("training", step, total);
        }
        if seen == 0 {
            break;
        }
        if !learner.finite() {
            return Err(diverged(epoch, schedule, "a weight is no finite number"));
        }
        let held_loss = if held.is_empty() { None } else { learner.held_out(&held)? };
        let seconds = start.elapsed().as_secs_f64();
        let entry = Epoch { loss: sum / seen as f64, held_out: held_loss.unwrap_or(f64::NAN), seconds };
        history.push(entry);
        job.count("epochs_trained", 1);
        let left = seconds / step as f64 * (total - step) as f64;
        job.training(&Training {
            epoch,
            epochs: schedule.epochs,
            loss: entry.loss,
            held_out: entry.held_out,
            rows_per_second: step as f64 * schedule.batch_size as f64 / seconds.max(1e-9),
            seconds_left: schedule.max_seconds.map_or(left, |most| left.min((most - seconds).max(0.0))),
        });
        if let Some(loss) = held_loss {
            if !loss.is_finite() {
                return Err(diverged(epoch, schedule, &format!("the loss of the rows held out is {loss}")));
            }
            if loss < best {
                (best, waited) = (loss, 0);
                learner.keep();
            } else {
                waited += 1;
            }
            over |= waited >= schedule.patience;
        }
        if over {
            break;
        }
    }
    if best.is_finite() {
        learner.restore();
    }
    Ok(history)
}

fn diverged(epoch: u32, schedule: &Schedule, what: &str) -> Error {
    Error::data(format!(
        "training diverged in epoch {epoch} of {}: {what}; lower learning_rate (now {}), or take a larger batch_size (now {})",
        schedule.epochs, schedule.learning_rate, schedule.batch_size
    ))
}

/// Rows to learn from, and rows of a share of the persons that are held out; none where fewer than ten persons would be.
pub(crate) fn split(rows: usize, units: Option<&Units>, share: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let persons = units.map_or(rows, |u| u.count as usize);
    let out = (persons as f64 * share) as usize;
    if out < 10 {
        return ((0..rows as u32).collect(), vec![]);
    }
    let mut order: Vec<u32> = (0..persons as u32).collect();
    let mut rng = Streams::new(seed, "hold out").block(0);
    let mut is_out = vec![false; persons];
    for i in 0..out {
        let j = i + below(&mut rng, persons - i);
        order.swap(i, j);
        is_out[order[i] as usize] = true;
    }
    let person = |row: u32| units.map_or(row, |u| u.codes[row as usize]) as usize;
    (0..rows as u32).partition(|row| !is_out[person(*row)])
}

/// The rows in a new order: windows of consecutive ones in random order, each shuffled in itself.
fn shuffled(rows: &[u32], rng: &mut Stream) -> Vec<u32> {
    let mut windows: Vec<&[u32]> = rows.chunks(window(rows.len())).collect();
    shuffle(&mut windows, rng);
    let mut order = Vec::with_capacity(rows.len());
    for window in windows {
        let start = order.len();
        order.extend_from_slice(window);
        shuffle(&mut order[start..], rng);
    }
    order
}

/// Fisher & Yates.
pub(crate) fn shuffle<X>(items: &mut [X], rng: &mut Stream) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(rng, i + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves a number towards the mean of the rows' numbers; the held-out loss is worst from `turn` on.
    struct Mean {
        value: f64,
        best: f64,
        steps: Vec<Vec<u32>>,
        losses: Vec<f64>,
    }

    impl Learner for Mean {
        fn step(&mut self, rows: &[u32], _: u64) -> Result<f64> {
            self.steps.push(rows.to_vec());
            self.value += 1.0;
            Ok(self.value)
        }
        fn held_out(&mut self, _: &[u32]) -> Result<Option<f64>> {
            Ok(Some(self.losses.remove(0)))
        }
        fn keep(&mut self) {
            self.best = self.value;
        }
        fn restore(&mut self) {
            self.value = self.best;
        }
        fn finite(&self) -> bool {
            self.value.is_finite()
        }
    }

    fn schedule(epochs: u32) -> Schedule {
        Schedule { epochs, batch_size: 30, learning_rate: 0.1, held_out: 0.1, patience: 2, max_seconds: None }
    }

    fn learner(losses: &[f64]) -> Mean {
        Mean { value: 0.0, best: 0.0, steps: vec![], losses: losses.to_vec() }
    }

    #[test]
    fn stops_when_the_held_out_loss_rises_and_goes_back() {
        // 100 rows, 10 held out, 3 batches of 30 an epoch. Best after epoch 2; epochs 3 and 4 are worse: patience 2.
        let mut mean = learner(&[3.0, 1.0, 2.0, 2.0, 0.0]);
        let history = train(&mut mean, 100, None, &schedule(9), 1, &Job::unbounded()).unwrap();
        assert_eq!((history.len(), mean.value), (4, 6.0));
        assert_eq!(history[1].held_out, 1.0);
        assert_eq!(history[1].loss, 5.0); // Losses 4, 5, 6.
        let mut epoch: Vec<u32> = mean.steps[..3].concat();
        assert_ne!(mean.steps[..3], mean.steps[3..6]);
        epoch.sort_unstable();
        epoch.dedup();
        assert_eq!(epoch.len(), 90);
    }

    #[test]
    fn persons_are_held_out_whole() {
        let units = Units { codes: (0..200).map(|r| r / 2).collect(), count: 100 };
        let (learned, held) = split(200, Some(&units), 0.2, 5);
        assert_eq!((learned.len(), held.len()), (160, 40));
        assert!(held.iter().all(|r| held.contains(&(r ^ 1))));
    }

    #[test]
    fn divergence_names_the_epoch_and_the_remedy() {
        let mut mean = learner(&[1.0; 9]);
        mean.value = f64::INFINITY;
        let error = train(&mut mean, 100, None, &schedule(9), 1, &Job::unbounded()).unwrap_err().to_string();
        assert!(error.contains("diverged in epoch 1 of 9") && error.contains("learning_rate (now 0.1)"), "{error}");
    }

    #[test]
    fn the_order_is_that_of_the_seed() {
        let order = |seed| shuffled(&(0..1000).collect::<Vec<_>>(), &mut Streams::new(seed, "test").block(0));
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        // Two large windows: each stays together.
        let rows: Vec<u32> = (0..2 * WINDOW as u32).collect();
        let order = shuffled(&rows, &mut Streams::new(3, "test").block(0));
        let first = order[0] as usize / WINDOW;
        assert!(order[..WINDOW].iter().all(|r| *r as usize / WINDOW == first));
    }

    #[test]
    fn time_ends_a_training() {
        let mut slow = schedule(100_000);
        slow.max_seconds = Some(0.02);
        slow.patience = 0;
        let mut mean = learner(&[]);
        let history = train(&mut mean, 100_000, None, &slow, 1, &Job::unbounded()).unwrap();
        assert!(!history.is_empty() && history.len() < 100_000);
    }
}
