//! From gradients to steps.

use rayon::prelude::*;

use super::real::wide;

/// Changes weights along a gradient.
pub(crate) trait Optimiser: Send {
    /// One step down the gradient.
    fn step(&mut self, weights: &mut [f32], gradient: &[f32]);
    /// Scales the steps from now on.
    fn set_rate(&mut self, rate: f64);
}

/// Adam (Kingma & Ba 2015), with weight decay added to the gradient.
pub(crate) struct Adam {
    pub rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub decay: f64,
    steps: i32,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    /// With beta1 = 0.9, beta2 = 0.999, no decay.
    pub fn new(rate: f64) -> Self {
        Self { rate, beta1: 0.9, beta2: 0.999, decay: 0.0, steps: 0, first: vec![], second: vec![] }
    }

    /// With other averages of the gradient and of its square.
    pub fn with_betas(self, beta1: f64, beta2: f64) -> Self {
        Self { beta1, beta2, ..self }
    }

    /// With weights that shrink.
    pub fn with_decay(self, decay: f64) -> Self {
        Self { decay, ..self }
    }
}

/// Weights a task: the update is memory-bound.
const RANGE: usize = 1 << 15;

impl Optimiser for Adam {
    fn step(&mut self, weights: &mut [f32], gradient: &[f32]) {
        self.first.resize(weights.len(), 0.0);
        self.second.resize(weights.len(), 0.0);
        self.steps += 1;
        let (beta1, beta2, decay) = (self.beta1 as f32, self.beta2 as f32, self.decay as f32);
        let rate = (self.rate / (1.0 - self.beta1.powi(self.steps))) as f32;
        let unbias = (1.0 / (1.0 - self.beta2.powi(self.steps))) as f32;
        let parts = weights.par_chunks_mut(RANGE).zip(gradient.par_chunks(RANGE));
        let state = self.first.par_chunks_mut(RANGE).zip(self.second.par_chunks_mut(RANGE));
        parts.zip(state).for_each(|((w, g), (m, v))| {
            wide(|| {
                for i in 0..w.len() {
                    let g = g[i] + decay * w[i];
                    m[i] = beta1 * m[i] + (1.0 - beta1) * g;
                    v[i] = beta2 * v[i] + (1.0 - beta2) * (g * g);
                    w[i] -= rate * m[i] / ((v[i] * unbias).sqrt() + 1e-8);
                }
            });
        });
    }

    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }
}

/// RMSProp (Hinton 2012), the optimiser of the weight-clipped Wasserstein GAN.
pub(crate) struct RmsProp {
    rate: f64,
    second: Vec<f32>,
}

impl RmsProp {
    /// With a decay of 0.99.
    pub fn new(rate: f64) -> Self {
        Self { rate, second: vec![] }
    }
}

impl Optimiser for RmsProp {
    fn step(&mut self, weights: &mut [f32], gradient: &[f32]) {
        self.second.resize(weights.len(), 0.0);
        let rate = self.rate as f32;
        for ((w, g), v) in weights.iter_mut().zip(gradient).zip(&mut self.second) {
            *v = 0.99 * *v + 0.01 * (g * g);
            *w -= rate * g / (v.sqrt() + 1e-8);
        }
    }

    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_of_adam_worked_by_hand() {
        // The first step of Adam is the rate against the sign. Second, gradient 2 after 1: m = 0.29 / 0.19, v = 0.004999 /
        // 0.001999, so the step is 0.1 * 1.526316 / 1.581376 = 0.096518.
        let mut adam = Adam::new(0.1);
        let mut w = vec![1.0, 1.0];
        adam.step(&mut w, &[1.0, -3.0]);
        assert!((w[0] - 0.9).abs() < 1e-6 && (w[1] - 1.1).abs() < 1e-6, "{w:?}");
        adam.step(&mut w, &[2.0, 0.0]);
        assert!((w[0] - (0.9 - 0.096_518)).abs() < 1e-5, "{w:?}");
    }

    #[test]
    fn the_first_step_of_rmsprop_worked_by_hand() {
        // v = 0.01 * 4, so the step is 0.1 * 2 / 0.2 = 1.
        let mut w = vec![3.0];
        RmsProp::new(0.1).step(&mut w, &[2.0]);
        assert!((w[0] - 2.0).abs() < 1e-5, "{w:?}");
    }
}
