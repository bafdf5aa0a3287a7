//! Layers that are matrix products.

use super::real::wide;
use super::simd::multiply;
use super::tape::{Mat, Sweep, add};
use super::{Real, Tape, Var, Weight};

/// What a dense layer ends with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Activation {
    Identity,
    Relu,
    /// Slope below zero.
    Leaky(f64),
    Tanh,
    Sigmoid,
}

impl Activation {
    pub(super) fn apply<T: Real>(self, y: &mut [T]) {
        wide(|| match self {
            Activation::Identity => {}
            Activation::Relu => y.iter_mut().for_each(|y| *y = y.at_least(T::ZERO)),
            Activation::Leaky(a) => {
                let a = T::of(a);
                y.iter_mut().for_each(|y| *y = if *y > T::ZERO { *y } else { *y * a });
            }
            Activation::Tanh => y.iter_mut().for_each(|y| *y = y.tanh()),
            Activation::Sigmoid => y.iter_mut().for_each(|y| *y = y.sigmoid()),
        });
    }

    /// Multiplies the gradient of the output `y` by the slope at it: all these slopes follow from the output.
    pub(super) fn back<T: Real>(self, g: &mut [T], y: &[T]) {
        wide(|| match self {
            Activation::Identity => {}
            Activation::Relu => g.iter_mut().zip(y).for_each(|(g, y)| *g = if *y > T::ZERO { *g } else { T::ZERO }),
            Activation::Leaky(a) => {
                let a = T::of(a);
                g.iter_mut().zip(y).for_each(|(g, y)| *g = if *y > T::ZERO { *g } else { *g * a });
            }
            Activation::Tanh => g.iter_mut().zip(y).for_each(|(g, y)| *g *= T::ONE - *y * *y),
            Activation::Sigmoid => g.iter_mut().zip(y).for_each(|(g, y)| *g *= *y * (T::ONE - *y)),
        });
    }
}

/// c (m x n) = a b, or c += a b; a is m x k, or its transpose k x m is given, b likewise k x n. On one thread.
pub(crate) fn product<T: Real>(
    c: &mut [T],
    [m, n, k]: [usize; 3],
    (a, a_transposed): (&[T], bool),
    (b, b_transposed): (&[T], bool),
    accumulate: bool,
) {
    assert!(c.len() == m * n && a.len() == m * k && b.len() == k * n, "shapes of a matrix product");
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !accumulate {
            c.fill(T::ZERO);
        }
        return;
    }
    let (a_row, a_col) = if a_transposed { (1, m) } else { (k, 1) };
    let (b_row, b_col) = if b_transposed { (1, k) } else { (n, 1) };
    let (a, b) = ((a.as_ptr(), a_col as isize, a_row as isize), (b.as_ptr(), b_col as isize, b_row as isize));
    // SAFETY: the three slices hold what the strides reach, as asserted above, and `c` is borrowed alone.
    unsafe { multiply([m, n, k], (c.as_mut_ptr(), 1, n as isize), a, b, accumulate) };
}

/// Adds the sums of the columns of `g`.
pub(super) fn add_column_sums<T: Real>(sum: &mut [T], g: &Mat<T>) {
    g.data.chunks_exact(g.cols.max(1)).for_each(|row| add(sum, row));
}

impl<T: Real> Tape<'_, T> {
    /// act(x w + b): x is rows x inputs; `b`, 1 x outputs, may be missing.
    pub fn dense(&mut self, x: Var, w: Weight, b: Option<Weight>, act: Activation) -> Var {
        let rows = self.value(x).rows;
        let mut y = self.dirty(rows, w.cols);
        self.start(&mut y, b);
        product(&mut y.data, [rows, w.cols, w.rows], (&self.value(x).data, false), (self.weight(w), false), true);
        act.apply(&mut y.data);
        let out = self.next();
        self.push(y, true, move |mut g, sweep| {
            act.back(&mut g.data, &sweep.values[out.0].data);
            dense_back(x, w, b, g, sweep);
        })
    }

    /// act(x1 w1 + x2 w2 + ... + rows of w + b): a dense layer on inputs that lie apart, so that nothing is copied to lie side by
    /// side. `hot`, as in [`Tape::gather`], are the ones of a one-hot input: the rows of `w` by record, and how many a record.
    pub fn joined(
        &mut self,
        parts: &[(Var, Weight)],
        hot: Option<(Vec<u32>, usize, Weight)>,
        b: Option<Weight>,
        act: Activation,
    ) -> Var {
        let rows = self.value(parts[0].0).rows;
        let mut y = self.dirty(rows, parts[0].1.cols);
        self.start(&mut y, b);
        if let Some((hot, ones, w)) = &hot {
            add_rows(&mut y, hot, *ones, self.weight(*w));
        }
        for (x, w) in parts {
            product(&mut y.data, [rows, w.cols, w.rows], (&self.value(*x).data, false), (self.weight(*w), false), true);
        }
        act.apply(&mut y.data);
        let (out, parts) = (self.next(), parts.to_vec());
        self.push(y, true, move |mut g, sweep| {
            act.back(&mut g.data, &sweep.values[out.0].data);
            if let Some(b) = b {
                add_column_sums(&mut sweep.weights[b.range()], &g);
            }
            if let Some((hot, ones, w)) = hot {
                add_to_rows(&mut sweep.weights[w.range()], &hot, ones, &g);
            }
            for (x, w) in parts {
                dense_back_part(x, w, &g, sweep);
            }
            sweep.give(g);
        })
    }

    /// x w^T: what carries a gradient from the outputs of a dense layer to its inputs.
    pub fn dense_transposed(&mut self, x: Var, w: Weight) -> Var {
        let rows = self.value(x).rows;
        let mut y = self.dirty(rows, w.rows);
        product(&mut y.data, [rows, w.rows, w.cols], (&self.value(x).data, false), (self.weight(w), true), false);
        self.push(y, true, move |g, sweep| {
            product(
                &mut sweep.weights[w.range()],
                [w.rows, w.cols, rows],
                (&g.data, true),
                (&sweep.values[x.0].data, false),
                true,
            );
            if sweep.needs(x) {
                let mut gx = sweep.dirty(rows, w.cols);
                product(&mut gx.data, [rows, w.cols, w.rows], (&g.data, false), (sweep.params.get(w), false), false);
                sweep.add(x, gx);
            }
            sweep.give(g);
        })
    }

    /// The slope of a piecewise linear activation at its output `y`, as a constant.
    pub fn slope(&mut self, y: Var, act: Activation) -> Var {
        let (rows, cols) = (self.value(y).rows, self.value(y).cols);
        let mut slope = self.dirty(rows, cols);
        slope.data.fill(T::ONE);
        act.back(&mut slope.data, &self.value(y).data);
        self.push(slope, false, |_, _| {})
    }

    /// act(sum of rows of w + scalars times rows of w + b): a dense layer on inputs that are one-hot but for a few scalars, at the
    /// cost of the ones. Record r has the ones `hot[r * ones..][..ones]` (rows of w; `u32::MAX` for none) and the
    /// scalars, rows x (number of scalars), which stand at the rows `at` of w.
    pub fn gather(
        &mut self,
        (hot, ones): (Vec<u32>, usize),
        scalars: Option<(Var, Vec<u32>)>,
        w: Weight,
        b: Option<Weight>,
        act: Activation,
    ) -> Var {
        let rows = match &scalars {
            Some((s, _)) => self.value(*s).rows,
            None => hot.len() / ones.max(1),
        };
        let mut y = self.dirty(rows, w.cols);
        self.start(&mut y, b);
        let weight = self.weight(w);
        add_rows(&mut y, &hot, ones, weight);
        if let Some((s, at)) = &scalars {
            let scalars = &self.value(*s).data;
            wide(|| {
                for (y, s) in y.data.chunks_exact_mut(w.cols).zip(scalars.chunks_exact(at.len().max(1))) {
                    for (&x, &at) in s.iter().zip(at) {
                        let row = &weight[at as usize * w.cols..][..w.cols];
                        y.iter_mut().zip(row).for_each(|(y, w)| *y += x * *w);
                    }
                }
            });
        }
        act.apply(&mut y.data);
        let out = self.next();
        self.push(y, true, move |mut g, sweep| {
            act.back(&mut g.data, &sweep.values[out.0].data);
            if let Some(b) = b {
                add_column_sums(&mut sweep.weights[b.range()], &g);
            }
            let into = &mut sweep.weights[w.range()];
            add_to_rows(into, &hot, ones, &g);
            if let Some((s, at)) = &scalars {
                let scalars = &sweep.values[s.0].data;
                wide(|| {
                    for (g, s) in g.data.chunks_exact(w.cols).zip(scalars.chunks_exact(at.len().max(1))) {
                        for (&x, &at) in s.iter().zip(at) {
                            let row = &mut into[at as usize * w.cols..][..w.cols];
                            row.iter_mut().zip(g).for_each(|(w, g)| *w += x * *g);
                        }
                    }
                });
            }
            if let Some((s, at)) = scalars.filter(|(s, _)| sweep.needs(*s)) {
                let mut gs = sweep.dirty(rows, at.len());
                let weight = sweep.params.get(w);
                for (g, gs) in g.data.chunks_exact(w.cols).zip(gs.data.chunks_exact_mut(at.len())) {
                    for (gs, &at) in gs.iter_mut().zip(&at) {
                        let row = &weight[at as usize * w.cols..][..w.cols];
                        *gs = g.iter().zip(row).map(|(g, w)| *g * *w).sum();
                    }
                }
                sweep.add(s, gs);
            }
            sweep.give(g);
        })
    }

    /// Row `index[r]` of w in row r.
    pub fn embed(&mut self, index: Vec<u32>, w: Weight) -> Var {
        let mut y = self.dirty(index.len(), w.cols);
        let weight = self.weight(w);
        for (y, &i) in y.data.chunks_exact_mut(w.cols).zip(&index) {
            y.copy_from_slice(&weight[i as usize * w.cols..][..w.cols]);
        }
        self.push(y, true, move |g, sweep| {
            let into = &mut sweep.weights[w.range()];
            for (g, &i) in g.data.chunks_exact(w.cols).zip(&index) {
                add(&mut into[i as usize * w.cols..][..w.cols], g);
            }
            sweep.give(g);
        })
    }

    /// The product of two values, each possibly transposed.
    pub fn matmul(&mut self, (a, a_t): (Var, bool), (b, b_t): (Var, bool)) -> Var {
        let (ma, mb) = (self.value(a), self.value(b));
        let (m, k) = if a_t { (ma.cols, ma.rows) } else { (ma.rows, ma.cols) };
        let n = if b_t { mb.rows } else { mb.cols };
        let mut y = self.dirty(m, n);
        product(&mut y.data, [m, n, k], (&self.value(a).data, a_t), (&self.value(b).data, b_t), false);
        let needed = self.needs(a) || self.needs(b);
        self.push(y, needed, move |g, sweep| {
            if sweep.needs(a) {
                let (rows, cols) = (sweep.values[a.0].rows, sweep.values[a.0].cols);
                let mut ga = sweep.dirty(rows, cols);
                let b = &sweep.values[b.0].data;
                // g b^T, or its transpose b g^T.
                if a_t {
                    product(&mut ga.data, [k, m, n], (b, b_t), (&g.data, true), false);
                } else {
                    product(&mut ga.data, [m, k, n], (&g.data, false), (b, !b_t), false);
                }
                sweep.add(a, ga);
            }
            if sweep.needs(b) {
                let (rows, cols) = (sweep.values[b.0].rows, sweep.values[b.0].cols);
                let mut gb = sweep.dirty(rows, cols);
                let a = &sweep.values[a.0].data;
                if b_t {
                    product(&mut gb.data, [n, k, m], (&g.data, true), (a, a_t), false);
                } else {
                    product(&mut gb.data, [k, n, m], (a, !a_t), (&g.data, false), false);
                }
                sweep.add(b, gb);
            }
            sweep.give(g);
        })
    }

    /// The variable that the next value will be.
    pub(super) fn next(&self) -> Var {
        Var(self.len())
    }

    /// Every row the bias, or zero.
    pub(super) fn start(&self, y: &mut Mat<T>, b: Option<Weight>) {
        match b {
            Some(b) => {
                let bias = self.weight(b);
                y.data.chunks_exact_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(bias));
            }
            None => y.data.fill(T::ZERO),
        }
    }
}

/// From the gradient of x w + b to those of its parts.
pub(super) fn dense_back<T: Real>(x: Var, w: Weight, b: Option<Weight>, g: Mat<T>, sweep: &mut Sweep<T>) {
    if let Some(b) = b {
        add_column_sums(&mut sweep.weights[b.range()], &g);
    }
    dense_back_part(x, w, &g, sweep);
    sweep.give(g);
}

/// From the gradient of x w + ... to those of x and w.
fn dense_back_part<T: Real>(x: Var, w: Weight, g: &Mat<T>, sweep: &mut Sweep<T>) {
    let input = &sweep.values[x.0];
    let rows = input.rows;
    product(&mut sweep.weights[w.range()], [w.rows, w.cols, rows], (&input.data, true), (&g.data, false), true);
    if sweep.needs(x) {
        let mut gx = sweep.dirty(rows, w.rows);
        product(&mut gx.data, [rows, w.rows, w.cols], (&g.data, false), (sweep.params.get(w), true), false);
        sweep.add(x, gx);
    }
}

/// Adds to row r of `y` the rows `hot[r * ones..][..ones]` of w.
fn add_rows<T: Real>(y: &mut Mat<T>, hot: &[u32], ones: usize, w: &[T]) {
    let cols = y.cols;
    wide(|| {
        for (y, hot) in y.data.chunks_exact_mut(cols).zip(hot.chunks_exact(ones.max(1))) {
            for &h in hot.iter().filter(|h| **h != u32::MAX) {
                y.iter_mut().zip(&w[h as usize * cols..][..cols]).for_each(|(y, w)| *y += *w);
            }
        }
    });
}

/// The way back: adds row r of `g` to the rows `hot[r * ones..][..ones]` of the gradient of w.
fn add_to_rows<T: Real>(w: &mut [T], hot: &[u32], ones: usize, g: &Mat<T>) {
    let cols = g.cols;
    wide(|| {
        for (g, hot) in g.data.chunks_exact(cols).zip(hot.chunks_exact(ones.max(1))) {
            for &h in hot.iter().filter(|h| **h != u32::MAX) {
                w[h as usize * cols..][..cols].iter_mut().zip(g).for_each(|(w, g)| *w += *g);
            }
        }
    });
}
