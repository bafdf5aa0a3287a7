//! What an attack on those a table was made from comes to, beside the same attack on others and beside guessing.

use lookalike_learners::{Risk, SuccessRate, newcombe, residual_risk, wilson};

/// Attempts of an attack, and how many succeeded. Successes need not be whole: where several guesses are equally good,
/// the share of right ones counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Guesses made.
    pub attempts: u64,
    /// Guesses that were right, expected ones where chance decides.
    pub successes: f64,
}

impl Tally {
    /// Successes by attempts; `None` without attempts.
    pub fn rate(&self) -> Option<f64> {
        (self.attempts > 0).then(|| self.successes / self.attempts as f64)
    }

    fn pair(&self) -> (f64, f64) {
        (self.successes, self.attempts as f64)
    }
}

/// Fewer attempts than this say nothing about a risk: its interval comes from a normal approximation.
pub const MIN_ATTEMPTS: u64 = 30;

/// The outcome of one attack.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttackOutcome {
    /// Name of the attack.
    pub attack: &'static str,
    /// Guesses asked for.
    pub requested: u64,
    /// Against those the table was made from.
    pub train: Tally,
    /// Guessing without looking at the target.
    pub baseline: Tally,
    /// Against others of the same population.
    pub control: Option<Tally>,
    /// What the reader must know beside the figures.
    pub notes: Vec<String>,
}

/// A share with its Wilson interval; all `None` without attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Share {
    /// Successes by attempts.
    pub rate: Option<f64>,
    /// Lower end.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
}

/// Figures of an [`AttackOutcome`] at a confidence.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeFigures {
    /// Rate against those the table was made from.
    pub train: Share,
    /// Rate of guessing.
    pub baseline: Share,
    /// Rate against others; empty without a control.
    pub control: Share,
    /// Risk, see [`residual_risk`]; `None` with fewer than [`MIN_ATTEMPTS`] attempts, also of the control.
    pub risk: Option<Risk>,
    /// Rate less control rate with its Newcombe interval: at odds with 0 only when the table betrays those it was made
    /// from. `None` without a control.
    pub leakage: Option<(f64, f64, f64)>,
    /// Notes in words, joined by "; ".
    pub note: Option<String>,
}

impl AttackOutcome {
    /// The figures at a confidence such as 0.95.
    pub fn figures(&self, confidence: f64) -> OutcomeFigures {
        let share = |tally: &Tally| match tally.rate() {
            None => Share::default(),
            Some(rate) => {
                let (lo, hi) = wilson(tally.successes, tally.attempts as f64, confidence);
                Share { rate: Some(rate), lo: Some(lo), hi: Some(hi) }
            }
        };
        let success = |tally: &Tally| SuccessRate::new(tally.successes, tally.attempts as f64, confidence);
        let mut notes = self.notes.clone();
        let enough = |tally: &Tally| tally.attempts >= MIN_ATTEMPTS;
        let mut measurable = true;
        for (tally, of) in [(Some(&self.train), "attempts"), (self.control.as_ref(), "attempts on the control")] {
            if let Some(tally) = tally.filter(|t| !enough(t)) {
                measurable = false;
                notes.push(format!("too few {of} for a risk: {}, needed are {MIN_ATTEMPTS}", tally.attempts));
            }
        }
        let risk = measurable.then(|| residual_risk(success(&self.train), self.control.as_ref().map(success)));
        let control = self.control.as_ref().and_then(Tally::rate);
        if let (Some(rate), Some(baseline)) = (self.train.rate(), self.baseline.rate())
            && rate <= baseline
        {
            notes.push("attack no better than the baseline: the attack failed, which says nothing about safety".into());
        }
        match (self.train.rate(), control) {
            (Some(_), None) if self.control.is_none() => {
                notes.push("no control: risk includes what anybody could infer".into());
            }
            (Some(rate), Some(control)) if control > rate => {
                notes.push("the control succeeds more often: risk is cut off at 0".into());
            }
            _ => {}
        }
        OutcomeFigures {
            train: share(&self.train),
            baseline: share(&self.baseline),
            control: self.control.as_ref().map(share).unwrap_or_default(),
            risk,
            leakage: self
                .control
                .filter(|c| c.attempts > 0 && self.train.attempts > 0)
                .map(|control| newcombe(self.train.pair(), control.pair(), confidence)),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_missing_where_they_mean_nothing() {
        let tally = |successes, attempts| Tally { attempts, successes };
        let outcome = |train, baseline, control| AttackOutcome { train, baseline, control, ..Default::default() };
        let none = outcome(tally(0.0, 0), tally(0.0, 0), None).figures(0.95);
        assert_eq!((none.train, none.risk, none.leakage), (Share::default(), None, None));
        assert_eq!(none.note.as_deref(), Some("too few attempts for a risk: 0, needed are 30"));
        let few = outcome(tally(9.0, 100), tally(1.0, 100), Some(tally(2.0, 29))).figures(0.95);
        assert_eq!(few.risk, None);
        assert_eq!(few.note.as_deref(), Some("too few attempts on the control for a risk: 29, needed are 30"));
        let failed = outcome(tally(5.0, 100), tally(5.0, 100), Some(tally(60.0, 100))).figures(0.95);
        // (.05 - .60)/(1 - .60) is far below 0.
        assert_eq!(failed.risk, Some(Risk { risk: 0.0, lo: 0.0, hi: 0.0 }));
        let note = failed.note.unwrap();
        assert!(note.contains("no better than the baseline") && note.contains("cut off at 0"), "{note}");
        let alone = outcome(tally(50.0, 100), tally(5.0, 100), None).figures(0.95);
        assert_eq!(alone.note.as_deref(), Some("no control: risk includes what anybody could infer"));
    }
}
