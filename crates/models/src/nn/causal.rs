//! Layers of models that make a record token by token in an order: every token sees those before it, not itself.
//!
//! Their matrices are token after token: with R records, row `t * R + r` is token t of record r, so that what happens to
//! one token of all records is one block of rows.

use super::dense::{add_column_sums, product};
use super::loss::softmax;
use super::real::wide;
use super::tape::Mat;
use super::{Real, Tape, Var, Weight};

/// Records that attention handles side by side, one in each lane of a vector.
pub(crate) const LANES: usize = 16;

/// One figure for each of the records side by side.
pub(crate) type Lane<T> = [T; LANES];

/// Rows to mean 0 and variance 1, in place; gives each row's 1 / standard deviation.
pub(crate) fn standardise_rows<T: Real>(x: &mut [T], cols: usize, mut each: impl FnMut(T)) {
    let share = T::of(1.0 / cols.max(1) as f64);
    wide(|| {
        for row in x.chunks_exact_mut(cols.max(1)) {
            let mean = sum16(row) * share;
            row.iter_mut().for_each(|x| *x -= mean);
            let scale = T::ONE / (dot16(row, row) * share + T::of(1e-5)).sqrt();
            row.iter_mut().for_each(|x| *x *= scale);
            each(scale);
        }
    });
}

/// Sixteen sums side by side, then one: the order is fixed, and vector units can follow it.
#[inline(always)]
fn sum16<T: Real>(x: &[T]) -> T {
    let mut sums = [T::ZERO; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    chunks.iter().for_each(|x| sums.iter_mut().zip(x).for_each(|(s, x)| *s += *x));
    sums.into_iter().sum::<T>() + rest.iter().copied().sum::<T>()
}

#[inline(always)]
fn dot16<T: Real>(x: &[T], y: &[T]) -> T {
    let mut sums = [T::ZERO; LANES];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    xs.iter().zip(ys).for_each(|(x, y)| sums.iter_mut().zip(x.iter().zip(y)).for_each(|(s, (x, y))| *s += *x * *y));
    sums.into_iter().sum::<T>() + x_rest.iter().zip(y_rest).map(|(x, y)| *x * *y).sum::<T>()
}

/// Puts columns `at..at + width` of up to sixteen rows of `cols` columns side by side; lanes without a row are zero.
pub(crate) fn to_lanes<T: Real>(rows: &[T], cols: usize, at: usize, into: &mut [Lane<T>]) {
    if rows.len() < LANES * cols {
        into.fill([T::ZERO; LANES]);
    }
    for (lane, row) in rows.chunks_exact(cols).take(LANES).enumerate() {
        into.iter_mut().zip(&row[at..]).for_each(|(into, x)| into[lane] = *x);
    }
}

/// The way back.
pub(crate) fn from_lanes<T: Real>(lanes: &[Lane<T>], cols: usize, at: usize, rows: &mut [T]) {
    for (lane, row) in rows.chunks_exact_mut(cols).take(LANES).enumerate() {
        row[at..].iter_mut().zip(lanes).for_each(|(x, from)| *x = from[lane]);
    }
}

/// What token `t` attends to among `t` tokens before it, one head: `q` has `head` lanes, `k` and `v` those of all tokens, one
/// token every `stride`. Leaves the weights (softmax over tokens of q k / sqrt(head)) in `w`, and adds to `out`.
#[inline(always)]
pub(crate) fn attend<T: Real>([q, k, v]: [&[Lane<T>]; 3], stride: usize, w: &mut [Lane<T>], out: &mut [Lane<T>]) {
    let scale = T::of(1.0 / (q.len() as f64).sqrt());
    let mut top = [T::of(-1e30); LANES];
    for (w, k) in w.iter_mut().zip(k.chunks(stride)) {
        let mut sum = [T::ZERO; LANES];
        for (q, k) in q.iter().zip(k) {
            (0..LANES).for_each(|l| sum[l] += q[l] * k[l]);
        }
        (0..LANES).for_each(|l| sum[l] *= scale);
        (0..LANES).for_each(|l| top[l] = top[l].at_least(sum[l]));
        *w = sum;
    }
    let mut total = [T::ZERO; LANES];
    for w in w.iter_mut() {
        (0..LANES).for_each(|l| w[l] = (w[l] - top[l]).exp());
        (0..LANES).for_each(|l| total[l] += w[l]);
    }
    for (w, v) in w.iter_mut().zip(v.chunks(stride)) {
        (0..LANES).for_each(|l| w[l] = w[l] / total[l]);
        for (out, v) in out.iter_mut().zip(v) {
            (0..LANES).for_each(|l| out[l] += w[l] * v[l]);
        }
    }
}

/// Adds to the gradients of q, k and v from that of what [`attend`] gave.
#[inline(always)]
fn attend_back<T: Real>(
    [q, k, v]: [&[Lane<T>]; 3],
    stride: usize,
    (w, go): (&[Lane<T>], &[Lane<T>]),
    [gq, gk, gv]: [&mut [Lane<T>]; 3],
    gw: &mut [Lane<T>],
) {
    let scale = T::of(1.0 / (q.len() as f64).sqrt());
    let mut mean = [T::ZERO; LANES];
    for ((gw, w), (v, gv)) in gw.iter_mut().zip(w).zip(v.chunks(stride).zip(gv.chunks_mut(stride))) {
        let mut sum = [T::ZERO; LANES];
        for ((go, v), gv) in go.iter().zip(v).zip(gv) {
            (0..LANES).for_each(|l| sum[l] += go[l] * v[l]);
            (0..LANES).for_each(|l| gv[l] += go[l] * w[l]);
        }
        (0..LANES).for_each(|l| mean[l] += sum[l] * w[l]);
        *gw = sum;
    }
    for ((gw, w), (k, gk)) in gw.iter_mut().zip(w).zip(k.chunks(stride).zip(gk.chunks_mut(stride))) {
        (0..LANES).for_each(|l| gw[l] = w[l] * (gw[l] - mean[l]) * scale);
        for ((gq, q), (k, gk)) in gq.iter_mut().zip(q).zip(k.iter().zip(gk)) {
            (0..LANES).for_each(|l| gq[l] += gw[l] * k[l]);
            (0..LANES).for_each(|l| gk[l] += gw[l] * q[l]);
        }
    }
}

impl<T: Real> Tape<'_, T> {
    /// Each row to mean 0 and variance 1: layer normalisation (Ba, Kiros & Hinton 2016) whose gain and shift are left to the dense
    /// layer that follows.
    pub fn standardise(&mut self, x: Var) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut z = self.dirty(rows, cols);
        z.data.copy_from_slice(&self.value(x).data);
        let mut scale = Vec::with_capacity(rows);
        standardise_rows(&mut z.data, cols, |s| scale.push(s));
        let (out, needed) = (self.next(), self.needs(x));
        self.push(z, needed, move |mut g, sweep| {
            let share = T::of(1.0 / cols.max(1) as f64);
            let z = &sweep.values[out.0].data;
            wide(|| {
                for ((g, z), scale) in g.data.chunks_exact_mut(cols).zip(z.chunks_exact(cols)).zip(&scale) {
                    let (mean, along) = (sum16(g) * share, dot16(g, z) * share);
                    g.iter_mut().zip(z).for_each(|(g, z)| *g = *scale * (*g - mean - *z * along));
                }
            });
            sweep.add(x, g);
        })
    }

    /// For token t of a record the sum over tokens s before it of `gates[row(s, t)]` times x of token s, element by element: a
    /// layer whose weights depend on the kinds of both tokens. `x` has `records` rows a token; the first token gets zeros.
    pub fn gated_sums(&mut self, x: Var, records: usize, gates: Weight, row: impl Fn(usize, usize) -> usize) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let tokens = rows / records.max(1);
        let pairs: Vec<(usize, usize, usize)> =
            (0..tokens).flat_map(|t| (0..t).map(move |s| (t, s))).map(|(t, s)| (t, s, row(s, t))).collect();
        let mut y = self.zeros(rows, cols);
        let (input, weight) = (&self.value(x).data, self.weight(gates));
        let size = records * cols;
        wide(|| {
            for &(t, s, row) in &pairs {
                let gate = &weight[row * cols..][..cols];
                let (y, x) = (&mut y.data[t * size..][..size], &input[s * size..][..size]);
                for (y, x) in y.chunks_exact_mut(cols).zip(x.chunks_exact(cols)) {
                    y.iter_mut().zip(x.iter().zip(gate)).for_each(|(y, (x, g))| *y += *x * *g);
                }
            }
        });
        self.push(y, true, move |g, sweep| {
            let mut gx = sweep.zeros(rows, cols);
            let (input, weight) = (&sweep.values[x.0].data, sweep.params.get(gates));
            let into = &mut sweep.weights[gates.range()];
            wide(|| {
                for &(t, s, row) in &pairs {
                    let (gate, g_gate) = (&weight[row * cols..][..cols], &mut into[row * cols..][..cols]);
                    let (g, x) = (&g.data[t * size..][..size], &input[s * size..][..size]);
                    let gx = &mut gx.data[s * size..][..size];
                    for ((g, x), gx) in g.chunks_exact(cols).zip(x.chunks_exact(cols)).zip(gx.chunks_exact_mut(cols)) {
                        for c in 0..cols {
                            gx[c] += g[c] * gate[c];
                            g_gate[c] += g[c] * x[c];
                        }
                    }
                }
            });
            sweep.give(g);
            sweep.add(x, gx);
        })
    }

    /// Attention (Vaswani et al. 2017, section 3.2) of each token to those before it: `queries` of width columns, `keys_values`
    /// of keys and values beside one another, `records` rows a token. The first token gets zeros.
    pub fn causal_attention(&mut self, queries: Var, keys_values: Var, records: usize, heads: usize) -> Var {
        let (rows, width) = (self.value(queries).rows, self.value(queries).cols);
        let tokens = rows / records.max(1);
        let (head, pairs) = (width / heads, tokens * tokens.saturating_sub(1) / 2);
        let blocks = records.div_ceil(LANES);
        let mut y = self.zeros(rows, width);
        let mut weights = vec![[T::ZERO; LANES]; blocks * heads * pairs];
        let mut work = Lanes::new(tokens, width);
        let (q, kv) = (&self.value(queries).data, &self.value(keys_values).data);
        wide(|| {
            for block in 0..blocks {
                work.load(q, kv, records, block);
                work.y.fill([T::ZERO; LANES]);
                let mut at = block * heads * pairs;
                for h in (0..width).step_by(head.max(1)) {
                    for t in 1..tokens {
                        let w = &mut weights[at..at + t];
                        let out = &mut work.y[t * width + h..][..head];
                        attend([&work.q[t * width + h..][..head], &work.k[h..], &work.v[h..]], width, w, out);
                        at += t;
                    }
                }
                work.y.chunks_exact(width).enumerate().for_each(|(t, lanes)| {
                    from_lanes(lanes, width, 0, rows_of(&mut y.data, t, records, block, width));
                });
            }
        });
        let needed = self.needs(queries) || self.needs(keys_values);
        self.push(y, needed, move |g, sweep| {
            let (mut gq, mut gkv) = (sweep.dirty(rows, width), sweep.dirty(rows, 2 * width));
            let (q, kv) = (&sweep.values[queries.0].data, &sweep.values[keys_values.0].data);
            let zero = || vec![[T::ZERO; LANES]; tokens * width];
            let (mut lq, mut lk, mut lv) = (zero(), zero(), zero());
            let mut gw = vec![[T::ZERO; LANES]; tokens];
            wide(|| {
                for block in 0..blocks {
                    work.load(q, kv, records, block);
                    for (t, lanes) in work.y.chunks_exact_mut(width).enumerate() {
                        to_lanes(part_of(&g.data, t, records, block, width), width, 0, lanes);
                    }
                    [&mut lq, &mut lk, &mut lv].into_iter().for_each(|l| l.fill([T::ZERO; LANES]));
                    let mut first = block * heads * pairs;
                    for h in (0..width).step_by(head.max(1)) {
                        for t in 1..tokens {
                            let w = &weights[first..first + t];
                            let at = t * width + h;
                            attend_back(
                                [&work.q[at..][..head], &work.k[h..], &work.v[h..]],
                                width,
                                (w, &work.y[at..][..head]),
                                [&mut lq[at..][..head], &mut lk[h..], &mut lv[h..]],
                                &mut gw[..t],
                            );
                            first += t;
                        }
                    }
                    for t in 0..tokens {
                        let lanes = t * width..(t + 1) * width;
                        from_lanes(&lq[lanes.clone()], width, 0, rows_of(&mut gq.data, t, records, block, width));
                        let rows = rows_of(&mut gkv.data, t, records, block, 2 * width);
                        from_lanes(&lk[lanes.clone()], 2 * width, 0, rows);
                        from_lanes(&lv[lanes], 2 * width, width, rows);
                    }
                }
            });
            sweep.give(g);
            sweep.add(queries, gq);
            sweep.add(keys_values, gkv);
        })
    }

    /// -ln(probability of the target) of each token, a column: token t of every record is predicted by the layer `heads[t]`
    /// (weights, bias) from its row of `x`.
    pub fn choices(&mut self, x: Var, records: usize, heads: Vec<(Weight, Weight)>, targets: Vec<u32>) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.dirty(rows, 1);
        let mut slopes: Vec<Mat<T>> = vec![];
        for (t, (w, b)) in heads.iter().enumerate() {
            let mut p = self.dirty(records, w.cols);
            p.data.chunks_exact_mut(w.cols).for_each(|row| row.copy_from_slice(self.weight(*b)));
            let x = &self.value(x).data[t * records * cols..][..records * cols];
            product(&mut p.data, [records, w.cols, cols], (x, false), (self.weight(*w), false), true);
            let token = t * records..(t + 1) * records;
            for ((p, y), target) in p.data.chunks_exact_mut(w.cols).zip(&mut y.data[token.clone()]).zip(&targets[token])
            {
                let logit = p[*target as usize];
                *y = softmax(p) - logit;
                p[*target as usize] += -T::ONE;
            }
            slopes.push(p);
        }
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            let mut gx = sweep.dirty(rows, cols);
            for (t, ((w, b), mut slope)) in heads.into_iter().zip(slopes).enumerate() {
                for (slope, g) in slope.data.chunks_exact_mut(w.cols).zip(&g.data[t * records..]) {
                    wide(|| slope.iter_mut().for_each(|s| *s *= *g));
                }
                add_column_sums(&mut sweep.weights[b.range()], &slope);
                let at = t * records * cols..(t + 1) * records * cols;
                let input = &sweep.values[x.0].data[at.clone()];
                product(
                    &mut sweep.weights[w.range()],
                    [cols, w.cols, records],
                    (input, true),
                    (&slope.data, false),
                    true,
                );
                let into = &mut gx.data[at];
                product(into, [records, cols, w.cols], (&slope.data, false), (sweep.params.get(w), true), false);
                sweep.give(slope);
            }
            sweep.give(g);
            sweep.add(x, gx);
        })
    }
}

/// Queries, keys and values of sixteen records in lanes, and what attention makes of them.
struct Lanes<T> {
    width: usize,
    q: Vec<Lane<T>>,
    k: Vec<Lane<T>>,
    v: Vec<Lane<T>>,
    y: Vec<Lane<T>>,
}

impl<T: Real> Lanes<T> {
    fn new(tokens: usize, width: usize) -> Self {
        let zero = || vec![[T::ZERO; LANES]; tokens * width];
        Self { width, q: zero(), k: zero(), v: zero(), y: zero() }
    }

    #[inline(always)]
    fn load(&mut self, q: &[T], kv: &[T], records: usize, block: usize) {
        let width = self.width;
        let lanes = self.q.chunks_exact_mut(width).zip(self.k.chunks_exact_mut(width));
        for (t, ((lq, lk), lv)) in lanes.zip(self.v.chunks_exact_mut(width)).enumerate() {
            to_lanes(part_of(q, t, records, block, width), width, 0, lq);
            let rows = part_of(kv, t, records, block, 2 * width);
            to_lanes(rows, 2 * width, 0, lk);
            to_lanes(rows, 2 * width, width, lv);
        }
    }
}

/// The rows of a token that a block of lanes holds.
fn part_of<T>(data: &[T], token: usize, records: usize, block: usize, cols: usize) -> &[T] {
    let (first, end) = (block * LANES, ((block + 1) * LANES).min(records));
    &data[(token * records + first) * cols..(token * records + end) * cols]
}

fn rows_of<T>(data: &mut [T], token: usize, records: usize, block: usize, cols: usize) -> &mut [T] {
    let (first, end) = (block * LANES, ((block + 1) * LANES).min(records));
    &mut data[(token * records + first) * cols..(token * records + end) * cols]
}
