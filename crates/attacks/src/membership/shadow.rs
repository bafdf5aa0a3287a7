//! Shadow generators: the attacker trains the generator again and again, each time knowing who was among the rows.
//!
//! What the attacker knows: the algorithm and its options, reference rows of the same population, and the rows of the
//! targets. Not who is a member. Each shadow trains on a random half of the targets and on reference rows; what it
//! samples shows how the synthetic rows look with and without each target, and the rows under attack are held against
//! that (Shokri et al. 2017). All targets share the shadows, as in Carlini et al. 2022, LiRA, section VI-A.

use lookalike_core::{Default, Error, Frame, Job, Options, ParamKind, ParamSpec, Result, Streams, below};
use rand::RngCore;

use super::{Evidence, Trainer};
use crate::targets::rows_of_persons;

/// `shadow_models`
pub(super) const SHADOW_MODELS: ParamSpec = ParamSpec {
    name: "shadow_models",
    kind: ParamKind::Int { min: 4, max: 65_536 },
    default: Default::Int(64),
    purpose: "Generators that the attacker trains: each target is among the rows of one half of them.",
};

/// `training_rows`
pub(super) const TRAINING_ROWS: ParamSpec = ParamSpec {
    name: "training_rows",
    kind: ParamKind::Int { min: 1, max: u32::MAX as i64 },
    default: Default::Unset(
        "as many as the synthetic rows, as far as half of the targets and the reference rows reach",
    ),
    purpose: "Rows that the attacker believes the generator was trained on, and trains each shadow on.",
};

/// Shadows of one attack.
pub(super) struct Shadows<'a> {
    targets: &'a Frame,
    reference: &'a Frame,
    trainer: &'a dyn Trainer,
    sample_rows: usize,
    training_rows: usize,
    /// Rows of each target person and of each reference person, in an order that does not depend on that of the rows.
    target_persons: Vec<Vec<u32>>,
    reference_persons: Vec<Vec<u32>>,
    count: usize,
    seed: u64,
}

impl<'a> Shadows<'a> {
    /// Plans the shadows of an attack.
    ///
    /// Fails (argument) without reference rows or a trainer, or when `training_rows` does not hold half of the targets;
    /// (data) without rows.
    pub fn new(
        attack: &str,
        targets: &'a Frame,
        evidence: &Evidence<'a>,
        options: &Options,
        seed: u64,
        job: &Job,
    ) -> Result<Self> {
        let synthetic = evidence.synthetic()?;
        let (reference, trainer) = (evidence.reference(attack)?, evidence.trainer(attack)?);
        let half = targets.rows().div_ceil(2);
        let reach = half + reference.rows();
        let training_rows = match options.int("training_rows").map(|n| n as usize) {
            Some(rows) if rows < half => {
                return Err(Error::argument(format!(
                    "option 'training_rows' is {rows}, but half of the targets are {half} rows, and each shadow trains on \
                     such a half: give more, or score fewer targets with max_targets"
                )));
            }
            Some(rows) => rows,
            None => synthetic.rows().clamp(half, reach.max(half)),
        };
        if training_rows > reach || options.int("training_rows").is_none() && training_rows != synthetic.rows() {
            job.warn(&format!(
                "attack '{attack}' trains shadows on about {} rows (half of the {} rows of targets, the rest from {} \
                 reference rows); the synthetic rows are {}",
                training_rows.min(reach),
                targets.rows(),
                reference.rows(),
                synthetic.rows()
            ));
        }
        Ok(Self {
            targets,
            reference,
            trainer,
            sample_rows: synthetic.rows(),
            training_rows,
            target_persons: rows_of_persons(targets),
            reference_persons: rows_of_persons(reference),
            count: options.int("shadow_models").unwrap_or(64) as usize,
            seed,
        })
    }

    /// Number of shadows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Which rows of the targets a shadow trains on. Two shadows that follow each other, an even one and the next, have
    /// complementary halves, so that every target is in exactly one of them.
    pub fn included(&self, shadow: usize) -> Vec<bool> {
        let mut coins = Streams::new(self.seed, "shadow targets").block(shadow as u64 / 2);
        let mut included = vec![false; self.targets.rows()];
        for rows in &self.target_persons {
            let is_in = (coins.next_u32() & 1 == 1) != (shadow % 2 == 1);
            rows.iter().for_each(|&row| included[row as usize] = is_in);
        }
        included
    }

    /// Trains every shadow, and hands over its number and a sample of as many rows as the synthetic rows are.
    pub fn run(&self, job: &Job, mut each: impl FnMut(usize, &Frame) -> Result<()>) -> Result<()> {
        let seeds = Streams::new(self.seed, "shadow seeds");
        let inner = job.quiet();
        for shadow in 0..self.count {
            job.check()?;
            job.progress("shadow generators", shadow as u64, self.count as u64);
            let rows = self.training(shadow)?;
            let _memory = job.reserve(rows.memory(), "rows of a shadow generator")?;
            let seed = seeds.block(shadow as u64).next_u64() >> 1;
            let trained = self.trainer.train(&rows, seed, &inner)?;
            drop(rows);
            each(shadow, &trained.sample(self.sample_rows, &inner)?)?;
        }
        job.progress("shadow generators", self.count as u64, self.count as u64);
        Ok(())
    }

    /// The rows a shadow trains on: its half of the targets, filled up with reference persons.
    fn training(&self, shadow: usize) -> Result<Frame> {
        let included = self.included(shadow);
        let own: Vec<u32> =
            self.target_persons.iter().flatten().copied().filter(|&row| included[row as usize]).collect();
        let mut draw = Streams::new(self.seed, "shadow reference").block(shadow as u64);
        let mut persons: Vec<&Vec<u32>> = self.reference_persons.iter().collect();
        let (mut filled, mut drawn) = (vec![], 0);
        // Fisher & Yates, as far as rows are wanted.
        while own.len() + filled.len() < self.training_rows && drawn < persons.len() {
            let next = drawn + below(&mut draw, persons.len() - drawn);
            persons.swap(drawn, next);
            filled.extend(persons[drawn]);
            drawn += 1;
        }
        Frame::stack(&[&self.targets.gather_persons(&own), &self.reference.gather_persons(&filled)])
    }

    /// Makes a score a row one that equal rows share: which of them was in which shadow is an accident of their order.
    pub fn level(&self, mut scores: Vec<f64>) -> Vec<f64> {
        if self.targets.units().is_some() {
            return scores;
        }
        let hashes = self.targets.row_hashes();
        let order: Vec<u32> = self.target_persons.iter().flatten().copied().collect();
        for equal in order.chunk_by(|&a, &b| hashes[a as usize] == hashes[b as usize]) {
            if equal.len() > 1 {
                // Sorted, because the order among them is the accident.
                let mut sorted: Vec<f64> = equal.iter().map(|&row| scores[row as usize]).collect();
                sorted.sort_unstable_by(f64::total_cmp);
                let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
                equal.iter().for_each(|&row| scores[row as usize] = mean);
            }
        }
        scores
    }
}
