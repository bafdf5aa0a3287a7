//! The gated recurrent unit (Cho et al. 2014), in the form whose reset gate follows the matrix product.

use super::dense::Activation;
use super::{Real, Tape, Var, Weight};

impl<T: Real> Tape<'_, T> {
    /// The next state from input `x` and state `h` (rows x width): with gates beside one another in the order reset, update,
    /// new, `w` is inputs x 3 width, `u` width x 3 width, `b` and `c` 1 x 3 width:
    /// r = sigmoid(x w_r + b_r + h u_r + c_r), z likewise, n = tanh(x w_n + b_n + r (h u_n + c_n)), h' = (1 - z) n + z h.
    pub fn gru(&mut self, x: Var, h: Var, [w, u, b, c]: [Weight; 4]) -> Var {
        let width = u.rows;
        let a = self.dense(x, w, Some(b), Activation::Identity);
        let s = self.dense(h, u, Some(c), Activation::Identity);
        let rows = self.value(h).rows;
        let mut gates = self.dirty(rows, 3 * width);
        let mut y = self.dirty(rows, width);
        for r in 0..rows {
            let (a, s, h) = (self.value(a).row(r), self.value(s).row(r), self.value(h).row(r));
            let gates = &mut gates.data[r * 3 * width..][..3 * width];
            for i in 0..width {
                let reset = (a[i] + s[i]).sigmoid();
                let update = (a[width + i] + s[width + i]).sigmoid();
                let new = (a[2 * width + i] + reset * s[2 * width + i]).tanh();
                (gates[i], gates[width + i], gates[2 * width + i]) = (reset, update, new);
                y.data[r * width + i] = (T::ONE - update) * new + update * h[i];
            }
        }
        self.push(y, true, move |g, sweep| {
            let mut ga = sweep.dirty(rows, 3 * width);
            let mut gs = sweep.dirty(rows, 3 * width);
            let mut gh = sweep.dirty(rows, width);
            for r in 0..rows {
                let (g, s, h) = (g.row(r), sweep.values[s.0].row(r), sweep.values[h.0].row(r));
                let gates = gates.row(r);
                let (ga, gs) = (&mut ga.data[r * 3 * width..][..3 * width], &mut gs.data[r * 3 * width..][..3 * width]);
                for i in 0..width {
                    let (reset, update, new) = (gates[i], gates[width + i], gates[2 * width + i]);
                    let g_new = g[i] * (T::ONE - update) * (T::ONE - new * new);
                    let g_update = g[i] * (h[i] - new) * update * (T::ONE - update);
                    let g_reset = g_new * s[2 * width + i] * reset * (T::ONE - reset);
                    (ga[i], ga[width + i], ga[2 * width + i]) = (g_reset, g_update, g_new);
                    (gs[i], gs[width + i], gs[2 * width + i]) = (g_reset, g_update, g_new * reset);
                    gh.data[r * width + i] = g[i] * update;
                }
            }
            sweep.give(g);
            sweep.give(gates);
            sweep.add(h, gh);
            sweep.add(a, ga);
            sweep.add(s, gs);
        })
    }
}
