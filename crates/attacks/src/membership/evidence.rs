//! What an attacker holds: synthetic rows, perhaps reference rows, perhaps the training algorithm.

use lookalike_core::{Error, Frame, Job, Result};

/// What an attacker holds. All frames were encoded together with the targets.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The synthetic rows.
    pub synthetic: &'a Frame,
    /// Real rows of the same population, none of them a target.
    pub reference: Option<&'a Frame>,
    /// The algorithm that made the synthetic rows, as far as the attacker knows.
    pub trainer: Option<&'a dyn Trainer>,
}

impl<'a> Evidence<'a> {
    /// The synthetic rows; a data error when there are none.
    pub fn synthetic(&self) -> Result<&'a Frame> {
        if self.synthetic.rows() == 0 {
            return Err(Error::data("synthetic: the relation has no rows to attack with"));
        }
        Ok(self.synthetic)
    }

    /// The reference rows; an argument error that names the attack when none were given, a data error when there are
    /// none.
    pub fn reference(&self, attack: &str) -> Result<&'a Frame> {
        match self.reference {
            None => {
                Err(Error::argument(format!("attack '{attack}' compares with reference rows: reference => relation")))
            }
            Some(frame) if frame.rows() == 0 => Err(Error::data("reference: the relation has no rows to compare with")),
            Some(frame) => Ok(frame),
        }
    }

    /// The training algorithm; an argument error that names the attack when there is none.
    pub fn trainer(&self, attack: &str) -> Result<&'a dyn Trainer> {
        self.trainer.ok_or_else(|| {
            Error::argument(format!("attack '{attack}' trains generators of its own: model => name of the generator"))
        })
    }

    /// All rows that the attacker holds: scales and encodings come from these, never from the targets.
    pub fn held(&self) -> Vec<&'a Frame> {
        std::iter::once(self.synthetic).chain(self.reference).collect()
    }
}

/// A generator that can be trained. The crate of the generators is not known here; whoever knows both connects them.
pub trait Trainer: Sync {
    /// Name of the model.
    fn model(&self) -> &str;
    /// Trains on rows. The same rows in any order and the same seed give the same generator.
    fn train(&self, rows: &Frame, seed: u64, job: &Job) -> Result<Box<dyn Trained>>;
}

/// A trained generator.
pub trait Trained: Send + Sync {
    /// So many new rows, encoded like the rows it was trained on; identifiers are omitted and there are no units.
    fn sample(&self, rows: usize, job: &Job) -> Result<Frame>;
    /// The logarithm of the density of each row under the model; `None` where the model has none.
    fn log_likelihood(&self, rows: &Frame, job: &Job) -> Result<Option<Vec<f64>>>;
}
