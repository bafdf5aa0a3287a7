//! One row of the report, and the verdict on it.

/// What was found by one attack in one figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What the attacker is after: `similarity`, `membership`, `singling_out`, `linkability`, `attribute_inference`,
    /// `memorisation`, or `all` for what concerns all of these.
    pub criterion: &'static str,
    /// The attack, by the name it has elsewhere.
    pub attack: String,
    /// The figure.
    pub figure: String,
    /// Its value; `None` where it cannot be measured, and then the caveat says why.
    pub value: Option<f64>,
    /// Lower end of its interval.
    pub lo: Option<f64>,
    /// Upper end of its interval.
    pub hi: Option<f64>,
    /// What to expect of a release that gives nobody away.
    pub null_value: Option<f64>,
    /// One-sided p-value of the value against the null value; `None` for figures that only describe.
    pub p_value: Option<f64>,
    /// The same, corrected for the number of tests in the report (Holm 1979).
    pub p_adjusted: Option<f64>,
    /// What follows.
    pub verdict: Verdict,
    /// What the attacker is taken to have.
    pub threat_model: &'static str,
    /// Which targets were attacked: all, or how many of how many.
    pub targets: String,
    /// What the figure does not say.
    pub caveat: String,
}

/// The verdict on a finding, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The attack does better than chance after correction for all tests.
    Leak,
    /// The attack does not do better than chance, as far as the sizes can tell.
    NoLeakFound,
    /// The sizes do not suffice.
    NotMeasurable,
    /// There is no test: the figure describes.
    Descriptive,
}

impl Verdict {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Leak => "leak",
            Verdict::NoLeakFound => "no leak found",
            Verdict::NotMeasurable => "not measurable",
            Verdict::Descriptive => "descriptive",
        }
    }
}

impl Finding {
    /// A finding without value: what was looked for, whose figures the other fields become.
    pub(super) fn new(criterion: &'static str, attack: impl Into<String>, figure: impl Into<String>) -> Self {
        Self {
            criterion,
            attack: attack.into(),
            figure: figure.into(),
            value: None,
            lo: None,
            hi: None,
            null_value: None,
            p_value: None,
            p_adjusted: None,
            verdict: Verdict::NotMeasurable,
            threat_model: "",
            targets: String::new(),
            caveat: String::new(),
        }
    }
}

/// Corrects all p-values for their number and decides at level `alpha`: the probability that any clean release is
/// called leaky at all is at most that.
pub(super) fn judge(findings: &mut [Finding], alpha: f64) {
    let tested: Vec<usize> = (0..findings.len()).filter(|&i| findings[i].p_value.is_some()).collect();
    let p_values: Vec<f64> = tested.iter().filter_map(|&i| findings[i].p_value).collect();
    for (&i, adjusted) in tested.iter().zip(crate::holm(&p_values)) {
        findings[i].p_adjusted = Some(adjusted);
    }
    for finding in findings {
        finding.verdict = match (finding.value, finding.p_adjusted) {
            (None, _) => Verdict::NotMeasurable,
            (Some(_), None) => Verdict::Descriptive,
            (Some(_), Some(p)) if p <= alpha => Verdict::Leak,
            (Some(_), Some(_)) => Verdict::NoLeakFound,
        };
    }
}
