//! Attacks that train generators, with generators whose behaviour is known.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lookalike_core::{ErrorKind, Host, Streams, Value, standard_normal};
use rand::RngCore;

use super::*;
use crate::MiaSummary;
use crate::test_frames::{codes, frame, numbers, shuffled, stacked, stream, with_units};

/// Labels of the category; targets have one each, others have label 0.
const LABELS: usize = 64;

/// Rows of people in `columns` numbers, row i with label `label(i)`.
fn people(rows: usize, seed: u64, label: impl Fn(usize) -> u32) -> Frame {
    let mut rng = stream(seed);
    let mut columns: Vec<_> = (0..4)
        .map(|c| {
            let values: Vec<f64> = (0..rows).map(|_| standard_normal(&mut rng)[0]).collect();
            numbers(&format!("x{c}"), &values)
        })
        .collect();
    columns.push(codes("label", LABELS, &(0..rows).map(label).collect::<Vec<_>>()));
    frame(columns)
}

/// Gives back rows it was trained on, as many as wanted where it has them.
struct Memorising;
/// Gives other people's rows, whatever it was trained on.
struct Oblivious;

struct Rows(Frame, u64);

impl Trained for Rows {
    fn sample(&self, rows: usize, _: &Job) -> Result<Frame> {
        let mut rng = Streams::new(self.1, "toy").block(0);
        let mut order = self.0.canonical_order();
        order.sort_by_cached_key(|_| rng.next_u64());
        order.truncate(rows);
        let columns = self.0.gather(&order).into_parts().0;
        Ok(Frame::new(order.len(), columns, None))
    }

    fn log_likelihood(&self, _: &Frame, _: &Job) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}

impl Trainer for Memorising {
    fn model(&self) -> &str {
        "memorising"
    }

    fn train(&self, rows: &Frame, seed: u64, _: &Job) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Rows(rows.clone(), seed)))
    }
}

impl Trainer for Oblivious {
    fn model(&self) -> &str {
        "oblivious"
    }

    fn train(&self, _: &Frame, seed: u64, _: &Job) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Rows(people(400, seed, |i| (i % LABELS) as u32), seed)))
    }
}

/// Targets: 30 members, then 30 others, each with a label of its own; reference rows; what the trainer makes of the
/// members and 170 more rows.
struct World {
    targets: Frame,
    reference: Frame,
    synthetic: Frame,
}

fn world(trainer: &dyn Trainer) -> World {
    let targets = people(60, 1, |i| i as u32 + 1);
    let members = targets.gather(&(0..30).collect::<Vec<_>>());
    let trained = trainer.train(&stacked(&members, &people(170, 2, |_| 0)), 3, &Job::unbounded()).unwrap();
    let synthetic = trained.sample(200, &Job::unbounded()).unwrap();
    World { targets, reference: people(400, 4, |_| 0), synthetic }
}

/// Attacks that train the generator on rows of the population; `surrogate` trains one on the synthetic rows.
fn shadow_attacks() -> impl Iterator<Item = &'static dyn Attack> {
    ATTACKS.iter().copied().filter(|a| a.needs_trainer() && a.needs_reference())
}

fn options(attack: &dyn Attack, more: &[(&str, Value)]) -> Options {
    let own = |name: &str| attack.params().iter().any(|p| p.name == name);
    let given = more.iter().filter(|(name, _)| own(name)).map(|(name, value)| (name.to_string(), value.clone()));
    Options::check(attack.params(), &given.collect::<Vec<_>>()).unwrap()
}

impl World {
    fn evidence<'a>(&'a self, trainer: &'a dyn Trainer) -> Evidence<'a> {
        Evidence { synthetic: &self.synthetic, reference: Some(&self.reference), trainer: Some(trainer) }
    }

    fn score(&self, attack: &dyn Attack, trainer: &dyn Trainer, more: &[(&str, Value)]) -> Vec<f64> {
        let evidence = self.evidence(trainer);
        attack.score(&self.targets, &evidence, &options(attack, more), 5, &Job::unbounded()).unwrap()
    }
}

fn auc(scores: &[f64]) -> f64 {
    let truth: Vec<bool> = (0..scores.len()).map(|i| i < scores.len() / 2).collect();
    let mut summary = MiaSummary::default();
    summary.update(scores, &truth).unwrap();
    summary.finish().auc.unwrap()
}

/// An attack and options of it.
type Variant = (&'static dyn Attack, Vec<(&'static str, Value)>);

/// Every attack with the options that change what it looks at.
fn variants() -> Vec<Variant> {
    let text = |name, value: &str| vec![(name, Value::Text(value.into()))];
    let mut all = vec![];
    for attack in shadow_attacks() {
        all.push((attack, vec![]));
        match attack.name() {
            "lira" => all.push((attack, text("variant", "offline"))),
            "groundhog" => all.push((attack, text("features", "histogram"))),
            _ => {}
        }
    }
    all
}

#[test]
fn a_generator_that_memorises_is_found_out() {
    let world = world(&Memorising);
    for (attack, more) in variants() {
        let found = auc(&world.score(attack, &Memorising, &more));
        assert!(found > 0.99, "{} {more:?}: {found}", attack.name());
    }
}

#[test]
fn a_generator_that_knows_nobody_gives_nobody_away() {
    // The area of a blind attack has sd sqrt((m + n + 1) / (12 m n)) = 0.0751 for 30 and 30; 4.9 sd have probability 1e-6.
    let bound = 4.9 * (61.0f64 / (12.0 * 900.0)).sqrt();
    let world = world(&Oblivious);
    for (attack, more) in variants() {
        let found = auc(&world.score(attack, &Oblivious, &more));
        assert!((found - 0.5).abs() < bound, "{} {more:?}: {found}", attack.name());
    }
}

#[test]
fn order_of_rows_does_not_matter_but_the_seed_does() {
    let mut world = world(&Memorising);
    // Equal rows on both sides, of which a shadow may have either.
    world.targets = stacked(&world.targets, &world.targets.gather(&[0, 0, 40]));
    let order = shuffled(63, 1);
    let moved = World {
        targets: world.targets.gather(&order),
        reference: world.reference.gather(&shuffled(400, 2)),
        synthetic: world.synthetic.gather(&shuffled(200, 3)),
    };
    let few = [("shadow_models", Value::Int(12))];
    for attack in shadow_attacks() {
        let (once, again) = (world.score(attack, &Memorising, &few), moved.score(attack, &Memorising, &few));
        let expected: Vec<f64> = order.iter().map(|&row| once[row as usize]).collect();
        assert_eq!(again, expected, "{}", attack.name());
        assert!(once[0] == once[60] && once[0] == once[61] && once[40] == once[62]);
        let evidence = world.evidence(&Memorising);
        let other = attack.score(&world.targets, &evidence, &options(attack, &few), 6, &Job::unbounded()).unwrap();
        assert_ne!(other, once, "{}", attack.name());
    }
}

/// Remembers what shadows were trained on.
#[derive(Default)]
struct Watching(Mutex<Vec<Frame>>);

impl Trainer for Watching {
    fn model(&self) -> &str {
        "watching"
    }

    fn train(&self, rows: &Frame, seed: u64, job: &Job) -> Result<Box<dyn Trained>> {
        self.0.lock().unwrap().push(rows.clone());
        Memorising.train(rows, seed, job)
    }
}

#[test]
fn shadows_train_on_half_of_the_targets_and_reference_rows() {
    let world = world(&Memorising);
    // Two rows a person.
    let targets = with_units(world.targets.clone(), (0..60).map(|i| i / 2).collect());
    let reference = with_units(world.reference.clone(), (0..400).map(|i| i / 2).collect());
    let watching = Watching::default();
    let evidence = Evidence { synthetic: &world.synthetic, reference: Some(&reference), trainer: Some(&watching) };
    let few = options(&LiraAttack, &[("shadow_models", Value::Int(7)), ("training_rows", Value::Int(100))]);
    LiraAttack.score(&targets, &evidence, &few, 1, &Job::unbounded()).unwrap();
    let trained = watching.0.into_inner().unwrap();
    assert_eq!(trained.len(), 7);
    let labels = |frame: &Frame| -> Vec<u32> {
        let mut labels = frame.columns()[4].values.codes().unwrap().to_vec();
        labels.retain(|&l| l > 0);
        labels.sort_unstable();
        labels
    };
    for (i, rows) in trained.iter().enumerate() {
        // Persons stay whole and are numbered without gaps: both rows of each, and 100 rows in all.
        assert_eq!((rows.rows(), rows.unit_count()), (100, 50));
        assert!(labels(rows).chunks(2).all(|l| l[0] % 2 == 1 && l[1] == l[0] + 1));
        if i % 2 == 1 {
            let mut both = [labels(&trained[i - 1]), labels(rows)].concat();
            both.sort_unstable();
            assert_eq!(both, (1..=60).collect::<Vec<_>>());
        }
    }
    assert_ne!(labels(&trained[0]), labels(&trained[2]));
}

/// Counts progress of the shadows, and cancels after some of it.
struct Counting {
    done: AtomicU64,
    reports: AtomicUsize,
    limit: u64,
}

impl Host for Counting {
    fn cancelled(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.limit
    }
    fn grow(&self, _: usize, _: &str) -> Result<()> {
        Ok(())
    }
    fn shrink(&self, _: usize) {}
    fn count(&self, _: &'static str, _: usize) {}
    fn progress(&self, phase: &'static str, done: u64, total: u64) {
        if phase == "shadow generators" {
            assert_eq!(total, 8);
            self.done.store(done, Ordering::Relaxed);
            self.reports.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn progress_counts_shadows_and_cancelling_stops_them() {
    let world = world(&Memorising);
    for attack in shadow_attacks() {
        let run = |limit| {
            let host = Arc::new(Counting { done: AtomicU64::new(0), reports: AtomicUsize::new(0), limit });
            let job = Job::new(Arc::clone(&host) as Arc<dyn Host>);
            let few = options(attack, &[("shadow_models", Value::Int(8))]);
            let result = attack.score(&world.targets, &world.evidence(&Memorising), &few, 1, &job);
            (
                result.map_err(|e| e.kind()).err(),
                host.done.load(Ordering::Relaxed),
                host.reports.load(Ordering::Relaxed),
            )
        };
        assert_eq!(run(u64::MAX), (None, 8, 9), "{}", attack.name());
        assert_eq!(run(3), (Some(ErrorKind::Cancelled), 3, 4), "{}", attack.name());
    }
}

#[test]
fn what_shadows_lack_is_named() {
    let world = world(&Memorising);
    let none = world.targets.gather(&[]);
    for attack in shadow_attacks() {
        let whole = world.evidence(&Memorising);
        let fails = |evidence: Evidence<'_>, more: &[(&str, Value)]| {
            let error =
                attack.score(&world.targets, &evidence, &options(attack, more), 1, &Job::unbounded()).unwrap_err();
            (error.kind(), error.message().to_string())
        };
        let (kind, message) = fails(Evidence { trainer: None, ..whole }, &[]);
        assert!(kind == ErrorKind::Argument && message.contains("model =>"), "{message}");
        let (kind, message) = fails(Evidence { reference: None, ..whole }, &[]);
        assert!(kind == ErrorKind::Argument && message.contains("reference =>"), "{message}");
        let (kind, message) = fails(Evidence { synthetic: &none, ..whole }, &[]);
        assert!(kind == ErrorKind::Data && message.starts_with("synthetic"), "{message}");
        let (kind, message) = fails(whole, &[("training_rows", Value::Int(29))]);
        assert!(kind == ErrorKind::Argument && message.contains("'training_rows' is 29"), "{message}");
        let found = attack.score(&none, &whole, &options(attack, &[]), 1, &Job::unbounded()).unwrap();
        assert!(found.is_empty());
    }
}

#[test]
fn a_surrogate_that_smooths_shows_whose_rows_came_through() {
    let world = world(&Memorising);
    // A surrogate that has the population's labels in equal shares: members' labels are too many among the synthetic rows.
    let linear = [("classifier", Value::Text("logistic".into()))];
    let found = auc(&world.score(&SurrogateAttack, &Oblivious, &linear));
    // 4.9 sd above a blind attack; see a_generator_that_knows_nobody_gives_nobody_away.
    assert!(found > 0.5 + 4.9 * (61.0f64 / (12.0 * 900.0)).sqrt(), "{found}");
    // One that repeats its rows shows nothing: all odds are even.
    let none = world.score(&SurrogateAttack, &Memorising, &linear);
    assert!(none.iter().all(|odds| odds.abs() < 0.5), "{none:?}");
}
