use lookalike_core::Streams;

use super::*;
use crate::nn::Pool;

#[test]
fn sizes_count_the_weights() {
    let sizes = Sizes { noise: 3, condition: 2, hidden: 5, width: 4 };
    let mut params = Params::<f64>::new();
    Generator::new(&mut params, sizes, &mut Streams::new(1, "test").block(0));
    // 5 inputs to 5 units, 10 to 5, 15 to 4, gains and shifts, biases: 25 + 10 + 50 + 10 + 60 + 4.
    assert_eq!((params.len(), sizes.weights()), (159, Some(159)));
    assert_eq!(Sizes { hidden: usize::MAX / 2, ..sizes }.weights(), None);
}

#[test]
fn the_slope_of_the_critic_is_the_tapes_own_gradient() {
    let mut rng = Streams::new(2, "test").block(0);
    let mut params = Params::<f64>::new();
    let critic = Critic::new(&mut params, 6, 7, &mut rng);
    let kept: Vec<f64> = (0..21).map(|i| f64::from(i % 3)).collect();
    let mut pool = Pool::new();
    let mut t = Tape::new(&params, &mut pool);
    let x = t.wanted(3, 6, |x| x.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f64 * 0.7).sin()));
    let sums = t.dense(x, critic.first, Some(critic.bias), Activation::Identity);
    let pass = critic.above(&mut t, sums, Some(|out: &mut [f64]| out.copy_from_slice(&kept)));
    let slope = critic.slope(&mut t, &pass);
    let slope = t.dense_transposed(slope, critic.first);
    let slope = t.value(slope).clone();
    let score = t.sum(pass.score);
    let by_tape = t.backward_to(score, &mut vec![0.0; params.len()], &[x]).remove(0);
    assert!(slope.data.iter().any(|s| s.abs() > 1e-3));
    assert!(slope.data.iter().zip(&by_tape.data).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn fixed_moments_of_the_same_rows_change_nothing() {
    let sizes = Sizes { noise: 3, condition: 2, hidden: 5, width: 4 };
    let (mut params, mut rng) = (Params::<f64>::new(), Streams::new(1, "test").block(0));
    let generator = Generator::new(&mut params, sizes, &mut rng);
    let mut pool = Pool::new();
    let mut t = Tape::forward(&params, &mut pool);
    let noise = t.constant(6, 3, |z| z.iter_mut().enumerate().for_each(|(i, z)| *z = (i as f64 * 1.3).sin()));
    let asked = [0, 1, u32::MAX, 1, 0, 0];
    let (free, moments) = generator.logits(&mut t, noise, &asked, None);
    let fixed = generator.logits(&mut t, noise, &asked, Some(&moments)).0;
    assert!(t.value(free).data.iter().zip(&t.value(fixed).data).all(|(a, b)| (a - b).abs() < 1e-9));
}
