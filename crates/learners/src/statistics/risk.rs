//! The risk of an attack: how much more often it succeeds against those the table was made from than against others.

use super::{normal_quantile, wilson};

/// Share of successes as a privacy risk needs it: the centre of Wilson's interval and half its width.
///
/// The centre is drawn towards 1/2, so that a share of 0 or 1 keeps an uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessRate {
    /// Centre of the interval.
    pub centre: f64,
    /// Half its width.
    pub half_width: f64,
}

impl SuccessRate {
    /// Of `successes` in `attempts`, each a number of at least 0, at a confidence such as 0.95 (Wilson 1927). NaN without
    /// attempts. Expected successes, which need not be whole, are allowed.
    pub fn new(successes: f64, attempts: f64, confidence: f64) -> Self {
        let z = normal_quantile(0.5 + confidence / 2.0);
        let denominator = attempts + z * z;
        let spread = successes * (attempts - successes).max(0.0) / attempts;
        Self {
            centre: (successes + z * z / 2.0) / denominator,
            half_width: z / denominator * (spread + z * z / 4.0).sqrt(),
        }
    }
}

/// A risk between 0 and 1 with its interval, both cut off there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Risk {
    /// The risk.
    pub risk: f64,
    /// Lower end of its interval.
    pub lo: f64,
    /// Upper end of its interval.
    pub hi: f64,
}

/// The risk of an attack (Giomi et al. 2023, section 4): with a control, the share (r - c)/(1 - c) of the successes that
/// general knowledge does not explain, r being the rate against those the table was made from and c that against
/// others; without one, r itself. The half width is propagated to first order, as if both rates were independent.
///
/// Where the control succeeds much more often than the attack, risk and interval are cut off to 0.
pub fn residual_risk(attack: SuccessRate, control: Option<SuccessRate>) -> Risk {
    let (risk, half_width) = match control {
        None => (attack.centre, attack.half_width),
        Some(control) => {
            let margin = 1.0 - control.centre;
            let by_attack = attack.half_width / margin;
            let by_control = control.half_width * (attack.centre - 1.0) / (margin * margin);
            ((attack.centre - control.centre) / margin, (by_attack * by_attack + by_control * by_control).sqrt())
        }
    };
    let cut = |v: f64| v.clamp(0.0, 1.0);
    Risk { risk: cut(risk), lo: cut(risk - half_width), hi: cut(risk + half_width) }
}

/// The difference of two independent shares with its interval by Newcombe's hybrid of score intervals (1998, method 10):
/// `(difference, low, high)`, each between -1 and 1. NaN where there are no trials.
pub fn newcombe(first: (f64, f64), second: (f64, f64), confidence: f64) -> (f64, f64, f64) {
    let (p, q) = (first.0 / first.1, second.0 / second.1);
    let (p_low, p_high) = wilson(first.0, first.1, confidence);
    let (q_low, q_high) = wilson(second.0, second.1, confidence);
    let norm = |a: f64, b: f64| (a * a + b * b).sqrt();
    (p - q, p - q - norm(p - p_low, q_high - q), p - q + norm(p_high - p, q - q_low))
}
