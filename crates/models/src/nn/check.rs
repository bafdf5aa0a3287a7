//! Every layer against finite differences, in f64.

use lookalike_core::{Stream, Streams};

use super::*;

const STEP: f64 = 1e-5;

fn rng() -> Stream {
    Streams::new(11, "test").block(0)
}

/// Compares the gradient of `loss` with respect to every weight with central differences. Errors of these are of order
/// STEP^2 times third derivatives, and 1e-16 / STEP: below 1e-8 at the sizes used; 1e-6 leaves room, and a wrong gradient is
/// off by its own size.
fn check(params: &Params<f64>, loss: impl Fn(&mut Tape<f64>) -> Var) {
    let value = |params: &Params<f64>| {
        let mut pool = Pool::new();
        let mut tape = Tape::forward(params, &mut pool);
        let var = loss(&mut tape);
        tape.scalar(var)
    };
    let mut pool = Pool::new();
    let mut tape = Tape::new(params, &mut pool);
    let var = loss(&mut tape);
    let mut gradient = vec![0.0; params.len()];
    tape.backward(var, &mut gradient);
    assert!(gradient.iter().any(|g| g.abs() > 1e-3), "a gradient that vanishes checks nothing");
    for (i, found) in gradient.iter().enumerate() {
        let at = |shift: f64| {
            let mut moved = params.clone();
            moved.values[i] += shift;
            value(&moved)
        };
        let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let allowed = 1e-6 * (1.0 + difference.abs());
        assert!((difference - found).abs() < allowed, "weight {i}: {difference} by differences, {found} by the tape");
    }
}

/// A loss that tells all elements apart: the sum of squares of y + 0.1, 0.2, ...
fn mixed(tape: &mut Tape<f64>, y: Var) -> Var {
    let (rows, cols) = (tape.value(y).rows, tape.value(y).cols);
    let shift = tape.constant(rows, cols, |s| s.iter_mut().zip(1..).for_each(|(s, i)| *s = 0.1 * f64::from(i)));
    let moved = tape.add(y, shift);
    let squared = tape.square(moved);
    tape.sum(squared)
}

#[test]
fn dense_layers() {
    for act in [Activation::Identity, Activation::Relu, Activation::Leaky(0.2), Activation::Tanh, Activation::Sigmoid] {
        let (mut params, mut rng) = (Params::new(), rng());
        let (x, w, b) =
            (params.normal(3, 4, 1.0, &mut rng), params.uniform(4, 5, &mut rng), params.normal(1, 5, 1.0, &mut rng));
        check(&params, |t| {
            let x = t.param(x);
            let y = t.dense(x, w, Some(b), act);
            mixed(t, y)
        });
    }
}

#[test]
fn transposed_products() {
    let (mut params, mut rng) = (Params::new(), rng());
    let (x, w) = (params.normal(3, 5, 1.0, &mut rng), params.normal(4, 5, 1.0, &mut rng));
    check(&params, |t| {
        let x = t.param(x);
        let y = t.dense_transposed(x, w);
        mixed(t, y)
    });
    for (a_t, b_t) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut params = Params::new();
        let a = if a_t { params.normal(4, 3, 1.0, &mut rng) } else { params.normal(3, 4, 1.0, &mut rng) };
        let b = if b_t { params.normal(2, 4, 1.0, &mut rng) } else { params.normal(4, 2, 1.0, &mut rng) };
        check(&params, |t| {
            let (a, b) = (t.param(a), t.param(b));
            let y = t.matmul((a, a_t), (b, b_t));
            mixed(t, y)
        });
    }
}

#[test]
fn gathered_rows() {
    let (mut params, mut rng) = (Params::new(), rng());
    let (s, w, b) =
        (params.normal(2, 2, 1.0, &mut rng), params.normal(6, 3, 1.0, &mut rng), params.normal(1, 3, 1.0, &mut rng));
    check(&params, |t| {
        let s = t.param(s);
        let y = t.gather((vec![0, 3, u32::MAX, 3], 2), Some((s, vec![4, 5])), w, Some(b), Activation::Tanh);
        mixed(t, y)
    });
    check(&params, |t| {
        let y = t.embed(vec![2, 2, 5], w);
        mixed(t, y)
    });
}

#[test]
fn sparse_rows() {
    let (mut params, mut rng) = (Params::new(), rng());
    let (w, b) = (params.normal(5, 3, 1.0, &mut rng), params.normal(1, 3, 1.0, &mut rng));
    // Rows 0 0 2 0 -1, 0 0 0 0 0 and 0.5 0 0 3 0.
    let elements = [(0, 2, 2.0), (0, 4, -1.0), (2, 0, 0.5), (2, 3, 3.0)];
    let put_all = |put: &mut dyn FnMut(usize, usize, f64)| {
        elements.iter().for_each(|(r, p, v)| put(*r, *p, *v));
        Ok(())
    };
    let x = Sparse::build(3, |put| put_all(put)).unwrap();
    for act in [Activation::Identity, Activation::Tanh] {
        check(&params, |t| {
            let y = t.sparse(x.clone(), w, Some(b), act);
            mixed(t, y)
        });
        let mut pool = Pool::new();
        let mut t = Tape::forward(&params, &mut pool);
        let dense = t.constant(3, 5, |out| x.add_to(out, 5));
        assert_eq!(t.value(dense).data[10..], [0.5, 0.0, 0.0, 3.0, 0.0]);
        let (dense, sparse) = (t.dense(dense, w, Some(b), act), t.sparse(x.clone(), w, Some(b), act));
        assert!(t.value(dense).data.iter().zip(&t.value(sparse).data).all(|(a, b)| (a - b).abs() < 1e-12));
    }
    assert_eq!(x.means(5), [0.5 / 3.0, 0.0, 2.0 / 3.0, 1.0, -1.0 / 3.0]);
    assert_eq!(x.take(&[2, 1]).row(0), (&[0, 3][..], &[0.5, 3.0][..]));
}

#[test]
fn joined_inputs() {
    let (mut params, mut rng) = (Params::new(), rng());
    let (x, y) = (params.normal(3, 2, 1.0, &mut rng), params.normal(3, 4, 1.0, &mut rng));
    let (w, b) = (params.normal(8, 3, 1.0, &mut rng), params.normal(1, 3, 1.0, &mut rng));
    check(&params, |t| {
        let (x, y) = (t.param(x), t.param(y));
        let hot = (vec![1, u32::MAX, 0], 1, w.part(6, 2));
        let y = t.joined(&[(x, w.part(0, 2)), (y, w.part(2, 4))], Some(hot), Some(b), Activation::Tanh);
        mixed(t, y)
    });
}

#[test]
fn a_gathered_layer_is_the_dense_one_on_one_hot_rows() {
    let (mut params, mut rng) = (Params::<f64>::new(), rng());
    let (w, b) = (params.normal(5, 3, 1.0, &mut rng), params.normal(1, 3, 1.0, &mut rng));
    let mut pool = Pool::new();
    let mut t = Tape::forward(&params, &mut pool);
    let hot = t.constant(2, 5, |x| x.copy_from_slice(&[1.0, 0.0, 0.0, 1.0, 0.5, 0.0, 0.0, 1.0, 0.0, -2.0]));
    let s = t.constant(2, 1, |x| x.copy_from_slice(&[0.5, -2.0]));
    let dense = t.dense(hot, w, Some(b), Activation::Relu);
    let gathered = t.gather((vec![0, 3, 2, u32::MAX], 2), Some((s, vec![4])), w, Some(b), Activation::Relu);
    let (dense, gathered) = (t.value(dense), t.value(gathered));
    assert!(dense.data.iter().zip(&gathered.data).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn elementwise_operations() {
    let (mut params, mut rng) = (Params::new(), rng());
    let (a, b) = (params.normal(3, 4, 1.0, &mut rng), params.normal(3, 4, 1.0, &mut rng));
    let (row, column) = (params.normal(1, 4, 1.0, &mut rng), params.normal(3, 1, 1.0, &mut rng));
    check(&params, |t| {
        let (a, b, row, column) = (t.param(a), t.param(b), t.param(row), t.param(column));
        let x = t.tanh(a);
        let y = t.sigmoid(b);
        let x = t.mul(x, row);
        let x = t.add(x, column);
        let z = t.exp(y);
        let z = t.div(x, z);
        let l = t.ln(y, 1e-9);
        let z = t.sub(z, l);
        let p = t.softplus(z);
        let q = t.sqrt(p, 1e-3);
        let h = t.hinge(z);
        let h = t.affine(h, 2.0, -1.0);
        let all = t.beside(&[q, h, x]);
        let part = t.columns(all, 2, 9);
        let again = t.take_rows(part, vec![2, 0, 2]);
        let again = t.reshape(again, 9);
        mixed(t, again)
    });
}

#[test]
fn softmax_and_cross_entropy() {
    let (mut params, mut rng) = (Params::new(), rng());
    let x = params.normal(3, 7, 1.0, &mut rng);
    let blocks = vec![Block { start: 0, size: 2 }, Block { start: 3, size: 4 }];
    check(&params, |t| {
        let x = t.param(x);
        let y = t.softmax(x, blocks.clone());
        mixed(t, y)
    });
    check(&params, |t| {
        let x = t.param(x);
        let y = t.cross_entropy(x, blocks.clone(), vec![1, 0, u32::MAX, 3, 0, 2]);
        mixed(t, y)
    });
}

#[test]
fn soft_choices() {
    let (mut params, mut rng) = (Params::new(), rng());
    let x = params.normal(3, 7, 1.0, &mut rng);
    let blocks = vec![Block { start: 1, size: 2 }, Block { start: 4, size: 3 }];
    let noise: Vec<f64> = (0..21).map(|i| f64::from(i * 5 % 7) * 0.3).collect();
    check(&params, |t| {
        let x = t.param(x);
        let y = t.soft_choices(x, blocks.clone(), noise.clone(), 0.6);
        mixed(t, y)
    });
    // What it is made of: tanh, and softmax of shifted logits.
    let mut pool = Pool::new();
    let mut t = Tape::forward(&params, &mut pool);
    let x = t.param(x);
    let y = t.soft_choices(x, blocks.clone(), noise.clone(), 0.6);
    let shift = t.constant(3, 7, |s| s.copy_from_slice(&noise));
    let z = t.add(x, shift);
    let z = t.affine(z, 1.0 / 0.6, 0.0);
    let (z, h) = (t.softmax(z, blocks), t.tanh(x));
    for (i, y) in t.value(y).data.iter().enumerate() {
        let expected = if [0, 3].contains(&(i % 7)) { t.value(h).data[i] } else { t.value(z).data[i] };
        assert!((y - expected).abs() < 1e-12, "{i}: {y} {expected}");
    }
}

#[test]
fn norms_of_rows() {
    let (mut params, mut rng) = (Params::new(), rng());
    let x = params.normal(3, 37, 1.0, &mut rng);
    check(&params, |t| {
        let x = t.param(x);
        let y = t.norms(x);
        mixed(t, y)
    });
}

#[test]
fn normalisation() {
    let (mut params, mut rng) = (Params::new(), rng());
    let (x, gain, shift) =
        (params.normal(4, 3, 1.0, &mut rng), params.normal(1, 3, 1.0, &mut rng), params.normal(1, 3, 1.0, &mut rng));
    check(&params, |t| {
        let x = t.param(x);
        let y = t.layer_norm(x, gain, shift);
        mixed(t, y)
    });
    check(&params, |t| {
        let x = t.param(x);
        let y = t.batch_norm(x, gain, shift).0;
        mixed(t, y)
    });
    // With the moments of the batch the fixed form is the same.
    let mut pool = Pool::new();
    let mut t = Tape::forward(&params, &mut pool);
    let x = t.param(x);
    let (y, moments) = t.batch_norm(x, gain, shift);
    let z = t.batch_norm_fixed(x, &moments, gain, shift);
    assert!(t.value(y).data.iter().zip(&t.value(z).data).all(|(a, b)| (a - b).abs() < 1e-9));
}

#[test]
fn attention_with_a_mask() {
    let (mut params, mut rng) = (Params::new(), rng());
    let x = params.normal(2 * 3, 3 * 4, 1.0, &mut rng);
    check(&params, |t| {
        let x = t.param(x);
        let y = t.attention(x, 3, 2, |record, query| (0..3).map(|key| key <= query && record + query > 0).collect());
        mixed(t, y)
    });
}

#[test]
fn layers_of_ordered_tokens() {
    // Three tokens of seventeen records: more than sixteen lanes hold.
    let (mut params, mut rng) = (Params::new(), rng());
    let (q, kv) = (params.normal(3 * 17, 4, 1.0, &mut rng), params.normal(3 * 17, 8, 1.0, &mut rng));
    check(&params, |t| {
        let (q, kv) = (t.param(q), t.param(kv));
        let y = t.causal_attention(q, kv, 17, 2);
        mixed(t, y)
    });
    let mut params = Params::new();
    let (x, gates) = (params.normal(3 * 2, 5, 1.0, &mut rng), params.normal(9, 5, 1.0, &mut rng));
    check(&params, |t| {
        let x = t.param(x);
        let x = t.standardise(x);
        let y = t.gated_sums(x, 2, gates, |s, t| [2, 0, 1][s] * 3 + [2, 0, 1][t]);
        mixed(t, y)
    });
    let heads = [4, 1, 3].map(|size| (params.normal(5, size, 1.0, &mut rng), params.normal(1, size, 1.0, &mut rng)));
    check(&params, |t| {
        let x = t.param(x);
        let y = t.choices(x, 2, heads.to_vec(), vec![0, 3, 0, 0, 2, 1]);
        mixed(t, y)
    });
}

#[test]
fn causal_attention_is_attention_with_a_mask() {
    let (mut params, mut rng) = (Params::<f64>::new(), rng());
    let x = params.normal(20 * 3, 3 * 4, 1.0, &mut rng);
    let mut pool = Pool::new();
    let mut t = Tape::forward(&params, &mut pool);
    let x = t.param(x);
    let masked = t.attention(x, 3, 2, |_, query| (0..3).map(|key| key < query).collect());
    // Record after record there, token after token here.
    let x = t.take_rows(x, (0..60).map(|i| (i % 20) * 3 + i / 20).collect());
    let (q, kv) = (t.columns(x, 0, 4), t.columns(x, 4, 8));
    let causal = t.causal_attention(q, kv, 20, 2);
    let causal = t.take_rows(causal, (0..60).map(|i| (i % 3) * 20 + i / 3).collect());
    let (masked, causal) = (t.value(masked), t.value(causal));
    assert!(masked.data.iter().zip(&causal.data).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn gated_recurrent_units() {
    let (mut params, mut rng) = (Params::new(), rng());
    let (x, h) = (params.normal(3, 2, 1.0, &mut rng), params.normal(3, 4, 1.0, &mut rng));
    let cell = [(2, 12), (4, 12), (1, 12), (1, 12)].map(|(r, c)| params.normal(r, c, 0.5, &mut rng));
    check(&params, |t| {
        let (x, h) = (t.param(x), t.param(h));
        let h = t.gru(x, h, cell);
        let h = t.gru(x, h, cell);
        mixed(t, h)
    });
}

#[test]
fn convolutions() {
    let (mut params, mut rng) = (Params::new(), rng());
    let image = Image { channels: 2, side: 4, kernel: 3, stride: 2, padding: 1 };
    let x = params.normal(2, 2 * 16, 1.0, &mut rng);
    let (w, b) = (params.normal(2 * 9, 3, 0.5, &mut rng), params.normal(1, 3, 0.5, &mut rng));
    check(&params, |t| {
        let x = t.param(x);
        let y = t.conv(x, image, w, Some(b));
        assert_eq!(t.value(y).cols, 3 * 4);
        mixed(t, y)
    });
    let mut params = Params::new();
    let x = params.normal(2, 3 * 4, 1.0, &mut rng);
    let (w, b) = (params.normal(3, 2 * 9, 0.5, &mut rng), params.normal(1, 2, 0.5, &mut rng));
    check(&params, |t| {
        let x = t.param(x);
        let y = t.conv_transposed(x, image, w, Some(b));
        assert_eq!(t.value(y).cols, 2 * 16);
        mixed(t, y)
    });
}

/// The critic of a Wasserstein GAN, two leaky layers and a linear one, and the gradient of its score by its input.
fn critic(t: &mut Tape<f64>, x: Var, [w1, b1, w2, b2, w3]: [Weight; 5]) -> (Var, Var) {
    let act = Activation::Leaky(0.2);
    let h1 = t.dense(x, w1, Some(b1), act);
    let h2 = t.dense(h1, w2, Some(b2), act);
    let score = t.dense(h2, w3, None, Activation::Identity);
    let (s1, s2) = (t.slope(h1, act), t.slope(h2, act));
    let rows = t.value(x).rows;
    let one = t.constant(rows, 1, |o| o.fill(1.0));
    let g = t.dense_transposed(one, w3);
    let g = t.mul(g, s2);
    let g = t.dense_transposed(g, w2);
    let g = t.mul(g, s1);
    (score, t.dense_transposed(g, w1))
}

#[test]
fn the_gradient_penalty_to_the_second_order() {
    let (mut params, mut rng) = (Params::new(), rng());
    let input = params.normal(4, 3, 1.0, &mut rng);
    let layers = [(3, 6), (1, 6), (6, 5), (1, 5), (5, 1)].map(|(r, c)| params.normal(r, c, 0.7, &mut rng));
    // First order: the closed form is the tape's own gradient by the input, row by row.
    let mut pool = Pool::new();
    let mut t = Tape::new(&params, &mut pool);
    let x = t.wanted(4, 3, |x| x.copy_from_slice(params.get(input)));
    let (score, closed) = critic(&mut t, x, layers);
    let closed = t.value(closed).clone();
    let sum = t.sum(score);
    let by_tape = t.backward_to(sum, &mut vec![0.0; params.len()], &[x]).remove(0);
    assert!(closed.data.iter().zip(&by_tape.data).all(|(a, b)| (a - b).abs() < 1e-12));
    // Second order: the penalty (|gradient| - 1)^2 by the weights. The inputs stay what they are: slopes are constant
    // near them, and so the penalty does not depend on them but at kinks.
    check(&params, |t| {
        let x =
            t.constant(4, 3, |x| x.copy_from_slice(&[0.3, -1.2, 0.8, 1.1, 0.4, -0.6, -0.9, 0.2, 1.7, 0.6, -0.3, -1.4]));
        let (_, g) = critic(t, x, layers);
        let g = t.square(g);
        let g = t.row_sums(g);
        let g = t.sqrt(g, 1e-12);
        let g = t.affine(g, 1.0, -1.0);
        let g = t.square(g);
        t.sum(g)
    });
}

#[test]
fn shards_give_the_same_bits_at_any_number_of_threads() {
    let (mut params, mut rng) = (Params::<f32>::new(), rng());
    let (w, b) = (params.uniform(7, 9, &mut rng), params.constant(1, 9, 0.1));
    let run = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let (workers, mut out) = (Workers::new(), vec![]);
            let loss = gradient(&params, &workers, &mut out, |t, shard| {
                let x = t.constant(5, 7, |x| x.iter_mut().zip(shard..).for_each(|(x, i)| *x = (i % 13) as f32 * 0.1));
                let y = t.dense(x, w, Some(b), Activation::Tanh);
                let y = t.square(y);
                (t.sum(y), ())
            });
            (loss.0.to_bits(), out)
        })
    };
    assert_eq!(run(1), run(3));
}
