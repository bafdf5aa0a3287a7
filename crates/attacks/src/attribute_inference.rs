//! Attribute inference: synthetic rows that tell an unknown value of a person of whom other values are known.
//!
//! The third of the three risks of Opinion 05/2014 of the Article 29 Working Party. The nearest row as by Giomi et al. 2023
//! (PoPETs, section 5.3); correct attribution probabilities (CAP) after Elliot 2014 and Taub et al. 2018 ("Differential
//! Correct Attribution Probability for Synthetic Data").

mod cap;
mod guess;
mod learned;

use lookalike_core::{Error, Frame, Job, Result};

use crate::Metric;
use crate::outcome::AttackOutcome;
use crate::targets::{common_rows_note, positions, sample};
use guess::Secret;

/// How a secret is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InferenceMethod {
    /// The secret of the nearest synthetic row.
    Nearest,
    /// The share of the right secret among synthetic rows of the same key; targets whose key does not occur are no
    /// attempts.
    Cap,
    /// The same, targets whose key does not occur being failures.
    ZeroCap,
    /// The same among the synthetic rows of the nearest key, by the number of unequal columns.
    GeneralizedCap,
    /// The secret that nearly all synthetic rows of the same key share; other targets are no attempts.
    Tcap,
    /// What boosted trees say that learned the secret from the synthetic rows.
    Learned,
}

impl InferenceMethod {
    /// Names in SQL, in the order of the variants.
    pub const NAMES: &'static [&'static str] = &["nearest", "cap", "zero_cap", "generalized_cap", "tcap", "learned"];

    /// All methods.
    pub const ALL: [InferenceMethod; 6] = [
        InferenceMethod::Nearest,
        InferenceMethod::Cap,
        InferenceMethod::ZeroCap,
        InferenceMethod::GeneralizedCap,
        InferenceMethod::Tcap,
        InferenceMethod::Learned,
    ];

    /// The name in SQL.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The method of a name, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// Parameters of [`attribute_inference`].
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceParams {
    /// The column to infer.
    pub secret: String,
    /// Columns that the attacker knows; all others but identifiers when empty.
    pub known: Vec<String>,
    /// Ways to guess, one outcome each.
    pub methods: Vec<InferenceMethod>,
    /// A guess of a number is right when it is off by at most this share of the secret.
    pub tolerance: f64,
    /// Least share that one secret must have in a key for [`InferenceMethod::Tcap`].
    pub tau: f64,
    /// Distance of the nearest row, scaled by the synthetic rows.
    pub metric: Metric,
    /// Targets to draw, from the control as well; all when not set.
    pub max_targets: Option<usize>,
    /// Seed of the draw.
    pub seed: u64,
}

/// For every target the secret is guessed from the known columns and the synthetic rows, one outcome a method.
///
/// NULL is a secret like others: it is guessed right by NULL alone. A number is guessed right by the nearest row when
/// |guess - secret| <= tolerance * |secret|; dates and times, which have no natural zero, when the difference is at most
/// that share of the range of the training rows. Of equally near rows the share of right ones counts, exactly, so
/// successes need not be whole. Of a person with several rows the mean over the rows counts.
///
/// The CAP family compares equal values; numbers are put into ten bins of equal width over the range of the training
/// column, the outer ones open (SDMetrics' rule), and NULL is a class of its own.
///
/// The baseline is the secret of a random synthetic row; for [`InferenceMethod::Learned`] the most frequent secret of the
/// synthetic rows, of numbers their median; and for [`InferenceMethod::Tcap`] a secret drawn as often as
/// training rows have it, the sum of the squared shares (Taub et al. 2018); both as their exact expectation.
///
/// Fails (data) when a relation is empty, a column is an identifier or the secret has a single value in the training
/// rows, and (argument) when the secret is known.
pub fn attribute_inference(
    synthetic: &Frame,
    train: &Frame,
    control: Option<&Frame>,
    params: &InferenceParams,
    job: &Job,
) -> Result<Vec<AttackOutcome>> {
    for (role, frame) in [("synthetic", Some(synthetic)), ("train", Some(train)), ("control", control)] {
        if frame.is_some_and(|f| f.rows() == 0) {
            return Err(Error::data(format!("the relation '{role}' has no rows")));
        }
    }
    if params.known.contains(&params.secret) {
        return Err(Error::argument(format!("known: column '{}' is the secret", params.secret)));
    }
    let secret = positions("secret", std::slice::from_ref(&params.secret), synthetic)?[0];
    let known = if params.known.is_empty() {
        let is_known = |c: &usize| *c != secret && synthetic.columns()[*c].role() != lookalike_core::Role::Identifier;
        (0..synthetic.columns().len()).filter(is_known).collect()
    } else {
        positions("known", &params.known, synthetic)?
    };
    if known.is_empty() {
        return Err(Error::data("known: no column is left to infer the secret from"));
    }
    let secret = Secret::new(secret, train, params.tolerance);
    if secret.is_constant(train) {
        return Err(Error::data(format!(
            "secret: column '{}' has a single value in train, so there is nothing to infer",
            params.secret
        )));
    }
    let mut notes = vec![];
    let drawn = sample(train, params.max_targets, params.seed);
    if let Some(drawn) = &drawn {
        notes.push(format!("a sample of {} of {} targets", drawn.unit_count(), train.unit_count()));
    }
    let mut drawn_control = None;
    if let Some(control) = control {
        notes.extend(common_rows_note(("control", control), ("train", train), job)?);
        drawn_control = sample(control, params.max_targets, params.seed);
    }
    let targets = drawn.as_ref().unwrap_or(train);
    let control = drawn_control.as_ref().or(control);
    let mut outcomes = vec![];
    for &method in &params.methods {
        let mut outcome = match method {
            InferenceMethod::Nearest => guess::nearest(&secret, &known, synthetic, targets, control, params, job)?,
            InferenceMethod::Learned => learned::learned(&secret, &known, synthetic, targets, control, job)?,
            _ => cap::cap(method, secret.column, &known, synthetic, train, targets, control, params, job)?,
        };
        outcome.attack = method.name();
        outcome.notes.splice(0..0, notes.iter().cloned());
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests;
