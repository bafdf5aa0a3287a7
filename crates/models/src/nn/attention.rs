//! Attention among the tokens of a record (Vaswani et al. 2017, section 3.2).

use super::dense::product;
use super::loss::softmax;
use super::{Real, Tape, Var};

/// Copies head `h` of one record out of rows of queries, keys and values beside one another, or adds it back.
struct Heads {
    tokens: usize,
    width: usize,
    head: usize,
}

impl Heads {
    fn each(&self, record: usize, part: usize, h: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.tokens).map(move |t| (record * self.tokens + t) * 3 * self.width + part * self.width + h * self.head)
    }
}

impl<T: Real> Tape<'_, T> {
    /// Scaled dot-product attention of `heads` heads. `x` holds queries, keys and values beside one another, 3 x width
    /// columns, `tokens` rows a record. `sees(record, query token)` says which keys a query sees, one flag a token; a
    /// query that sees nothing gives zeros. The result has width columns.
    pub fn attention(&mut self, x: Var, tokens: usize, heads: usize, sees: impl Fn(usize, usize) -> Vec<bool>) -> Var {
        let (rows, width) = (self.value(x).rows, self.value(x).cols / 3);
        let records = rows / tokens.max(1);
        let shape = Heads { tokens, width, head: width / heads };
        let head = shape.head;
        let scale = T::of(1.0 / (head as f64).sqrt());
        let mut y = self.zeros(rows, width);
        let mut weights = self.dirty(records * heads * tokens, tokens);
        let (mut q, mut k, mut v) =
            (vec![T::ZERO; tokens * head], vec![T::ZERO; tokens * head], vec![T::ZERO; tokens * head]);
        let mut out = vec![T::ZERO; tokens * head];
        for record in 0..records {
            let seen: Vec<Vec<bool>> = (0..tokens).map(|t| sees(record, t)).collect();
            for h in 0..heads {
                let input = &self.value(x).data;
                for (part, into) in [&mut q, &mut k, &mut v].into_iter().enumerate() {
                    for (at, into) in shape.each(record, part, h).zip(into.chunks_exact_mut(head)) {
                        into.copy_from_slice(&input[at..at + head]);
                    }
                }
                let w = &mut weights.data[(record * heads + h) * tokens * tokens..][..tokens * tokens];
                product(w, [tokens, tokens, head], (&q, false), (&k, true), false);
                for (w, seen) in w.chunks_exact_mut(tokens).zip(&seen) {
                    let hidden = T::of(-1e30);
                    w.iter_mut().zip(seen).for_each(|(w, s)| *w = if *s { *w * scale } else { hidden });
                    softmax(w);
                    w.iter_mut().zip(seen).for_each(|(w, s)| *w = if *s { *w } else { T::ZERO });
                }
                product(&mut out, [tokens, head, tokens], (w, false), (&v, false), false);
                for (t, out) in out.chunks_exact(head).enumerate() {
                    y.data[(record * tokens + t) * width + h * head..][..head].copy_from_slice(out);
                }
            }
        }
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            let mut gx = sweep.zeros(rows, 3 * width);
            let mut parts: [Vec<T>; 3] = std::array::from_fn(|_| vec![T::ZERO; tokens * head]);
            let mut grads: [Vec<T>; 3] = std::array::from_fn(|_| vec![T::ZERO; tokens * head]);
            let (mut go, mut gw) = (vec![T::ZERO; tokens * head], vec![T::ZERO; tokens * tokens]);
            for record in 0..records {
                for h in 0..heads {
                    let input = &sweep.values[x.0].data;
                    for (part, into) in parts.iter_mut().enumerate() {
                        for (at, into) in shape.each(record, part, h).zip(into.chunks_exact_mut(head)) {
                            into.copy_from_slice(&input[at..at + head]);
                        }
                    }
                    for (t, go) in go.chunks_exact_mut(head).enumerate() {
                        go.copy_from_slice(&g.data[(record * tokens + t) * width + h * head..][..head]);
                    }
                    let w = &weights.data[(record * heads + h) * tokens * tokens..][..tokens * tokens];
                    product(&mut grads[2], [tokens, head, tokens], (w, true), (&go, false), false);
                    product(&mut gw, [tokens, tokens, head], (&go, false), (&parts[2], true), false);
                    for (gw, w) in gw.chunks_exact_mut(tokens).zip(w.chunks_exact(tokens)) {
                        let mean: T = gw.iter().zip(w).map(|(g, w)| *g * *w).sum();
                        gw.iter_mut().zip(w).for_each(|(g, w)| *g = *w * (*g - mean) * scale);
                    }
                    product(&mut grads[0], [tokens, head, tokens], (&gw, false), (&parts[1], false), false);
                    product(&mut grads[1], [tokens, head, tokens], (&gw, true), (&parts[0], false), false);
                    for (part, grad) in grads.iter().enumerate() {
                        for (at, grad) in shape.each(record, part, h).zip(grad.chunks_exact(head)) {
                            gx.data[at..at + head].copy_from_slice(grad);
                        }
                    }
                }
            }
            sweep.give(g);
            sweep.give(weights);
            sweep.add(x, gx);
        })
    }
}
