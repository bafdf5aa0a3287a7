//! Operations element by element, sums, and cutting and joining.

use super::real::wide;
use super::tape::{Mat, add};
use super::{Real, Tape, Var};

impl<T: Real> Tape<'_, T> {
    /// f of every element; `slope` gives its derivative from the element and from f of it.
    pub fn map(&mut self, x: Var, f: impl Fn(T) -> T, slope: impl Fn(T, T) -> T + 'static) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.dirty(rows, cols);
        let input = &self.value(x).data;
        wide(|| y.data.iter_mut().zip(input).for_each(|(y, x)| *y = f(*x)));
        let (out, needed) = (self.next(), self.needs(x));
        self.push(y, needed, move |mut g, sweep| {
            let (xs, ys) = (&sweep.values[x.0].data, &sweep.values[out.0].data);
            wide(|| g.data.iter_mut().zip(xs.iter().zip(ys)).for_each(|(g, (x, y))| *g *= slope(*x, *y)));
            sweep.add(x, g);
        })
    }

    pub fn exp(&mut self, x: Var) -> Var {
        self.map(x, T::exp, |_, y| y)
    }

    /// The logarithm of x, of `floor` where x is below it.
    pub fn ln(&mut self, x: Var, floor: f64) -> Var {
        let floor = T::of(floor);
        self.map(x, move |x| x.at_least(floor).ln(), move |x, _| if x > floor { T::ONE / x } else { T::ZERO })
    }

    pub fn tanh(&mut self, x: Var) -> Var {
        self.map(x, T::tanh, |_, y| T::ONE - y * y)
    }

    pub fn sigmoid(&mut self, x: Var) -> Var {
        self.map(x, T::sigmoid, |_, y| y * (T::ONE - y))
    }

    /// ln(1 + e^x), which is -ln(1 - sigmoid(x)).
    pub fn softplus(&mut self, x: Var) -> Var {
        let f = |x: T| x.at_least(T::ZERO) + (T::ONE + (-(x.at_least(-x))).exp()).ln();
        self.map(x, f, |x, _| x.sigmoid())
    }

    pub fn square(&mut self, x: Var) -> Var {
        self.map(x, |x| x * x, |x, _| x + x)
    }

    /// The square root of x + `epsilon`; x is not negative.
    pub fn sqrt(&mut self, x: Var, epsilon: f64) -> Var {
        let epsilon = T::of(epsilon);
        self.map(x, move |x| (x + epsilon).sqrt(), |_, y| T::of(0.5) / y)
    }

    /// a x + b.
    pub fn affine(&mut self, x: Var, a: f64, b: f64) -> Var {
        let (a, b) = (T::of(a), T::of(b));
        self.map(x, move |x| a * x + b, move |_, _| a)
    }

    /// max(x, 0): the hinge.
    pub fn hinge(&mut self, x: Var) -> Var {
        self.map(x, |x| x.at_least(T::ZERO), |x, _| if x > T::ZERO { T::ONE } else { T::ZERO })
    }

    /// The elements of a and b together: f, and the derivatives with respect to both. `b` may be a single row, which then
    /// stands for every row, or a single column, which stands for every column.
    fn pair(&mut self, a: Var, b: Var, f: impl Fn(T, T) -> T, slopes: impl Fn(T, T) -> (T, T) + 'static) -> Var {
        let (rows, cols) = (self.value(a).rows, self.value(a).cols);
        let (b_rows, b_cols) = (self.value(b).rows, self.value(b).cols);
        assert!((b_rows == rows || b_rows == 1) && (b_cols == cols || b_cols == 1), "shapes of two values");
        let other = move |r: usize| if b_rows == 1 { 0 } else { r };
        let mut y = self.dirty(rows, cols);
        let (va, vb) = (self.value(a), self.value(b));
        for (r, y) in y.data.chunks_exact_mut(cols.max(1)).enumerate() {
            let (a, b) = (va.row(r), vb.row(other(r)));
            match b {
                [b] if b_cols != cols => wide(|| y.iter_mut().zip(a).for_each(|(y, a)| *y = f(*a, *b))),
                b => wide(|| y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| *y = f(*a, *b))),
            }
        }
        let needed = self.needs(a) || self.needs(b);
        self.push(y, needed, move |g, sweep| {
            let mut ga = sweep.dirty(rows, cols);
            let mut gb = sweep.zeros(b_rows, b_cols);
            let (va, vb) = (&sweep.values[a.0], &sweep.values[b.0]);
            for (r, g) in g.data.chunks_exact(cols.max(1)).enumerate() {
                let (va, vb) = (va.row(r), vb.row(other(r)));
                let ga = &mut ga.data[r * cols..][..cols];
                let gb = &mut gb.data[other(r) * b_cols..][..b_cols];
                if b_cols == cols {
                    wide(|| {
                        for c in 0..cols {
                            let (sa, sb) = slopes(va[c], vb[c]);
                            ga[c] = g[c] * sa;
                            gb[c] += g[c] * sb;
                        }
                    });
                } else {
                    for c in 0..cols {
                        let (sa, sb) = slopes(va[c], vb[0]);
                        ga[c] = g[c] * sa;
                        gb[0] += g[c] * sb;
                    }
                }
            }
            sweep.give(g);
            sweep.add(a, ga);
            sweep.add(b, gb);
        })
    }

    pub fn add(&mut self, a: Var, b: Var) -> Var {
        self.pair(a, b, |a, b| a + b, |_, _| (T::ONE, T::ONE))
    }

    pub fn sub(&mut self, a: Var, b: Var) -> Var {
        self.pair(a, b, |a, b| a - b, |_, _| (T::ONE, -T::ONE))
    }

    pub fn mul(&mut self, a: Var, b: Var) -> Var {
        self.pair(a, b, |a, b| a * b, |a, b| (b, a))
    }

    pub fn div(&mut self, a: Var, b: Var) -> Var {
        self.pair(a, b, |a, b| a / b, |a, b| (T::ONE / b, -a / (b * b)))
    }

    /// Each row's sum, a column.
    pub fn row_sums(&mut self, x: Var) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.dirty(rows, 1);
        let input = self.value(x);
        y.data.iter_mut().enumerate().for_each(|(r, y)| *y = input.row(r).iter().copied().sum());
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            let mut gx = sweep.dirty(rows, cols);
            gx.data.chunks_exact_mut(cols.max(1)).zip(&g.data).for_each(|(gx, g)| gx.fill(*g));
            sweep.give(g);
            sweep.add(x, gx);
        })
    }

    /// Each row's Euclidean norm, a column. The slope at a row of zeros is zero.
    pub fn norms(&mut self, x: Var) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.dirty(rows, 1);
        let input = self.value(x);
        y.data.iter_mut().enumerate().for_each(|(r, y)| *y = sum_of_squares(input.row(r)).sqrt());
        let (out, needed) = (self.next(), self.needs(x));
        self.push(y, needed, move |g, sweep| {
            let mut gx = sweep.dirty(rows, cols);
            let (xs, norms) = (&sweep.values[x.0], &sweep.values[out.0].data);
            for (r, gx) in gx.data.chunks_exact_mut(cols.max(1)).enumerate() {
                let factor = if norms[r] > T::ZERO { g.data[r] / norms[r] } else { T::ZERO };
                wide(|| gx.iter_mut().zip(xs.row(r)).for_each(|(gx, x)| *gx = factor * *x));
            }
            sweep.give(g);
            sweep.add(x, gx);
        })
    }

    /// Each column's sum, a row.
    pub fn column_sums(&mut self, x: Var) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.zeros(1, cols);
        super::dense::add_column_sums(&mut y.data, self.value(x));
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            let mut gx = sweep.dirty(rows, cols);
            gx.data.chunks_exact_mut(cols.max(1)).for_each(|gx| gx.copy_from_slice(&g.data));
            sweep.give(g);
            sweep.add(x, gx);
        })
    }

    /// The sum of all elements.
    pub fn sum(&mut self, x: Var) -> Var {
        let rows = self.row_sums(x);
        self.column_sums(rows)
    }

    /// Values beside one another.
    pub fn beside(&mut self, parts: &[Var]) -> Var {
        let rows = parts.first().map_or(0, |p| self.value(*p).rows);
        let widths: Vec<usize> = parts.iter().map(|p| self.value(*p).cols).collect();
        let cols = widths.iter().sum();
        let mut y = self.dirty(rows, cols);
        let mut at = 0;
        for (part, &width) in parts.iter().zip(&widths) {
            let part = self.value(*part);
            for r in 0..rows {
                y.data[r * cols + at..][..width].copy_from_slice(part.row(r));
            }
            at += width;
        }
        let needed = parts.iter().any(|p| self.needs(*p));
        let parts = parts.to_vec();
        self.push(y, needed, move |g, sweep| {
            let mut at = 0;
            for (part, width) in parts.into_iter().zip(widths) {
                if sweep.needs(part) {
                    let mut gp = sweep.dirty(rows, width);
                    for r in 0..rows {
                        gp.data[r * width..][..width].copy_from_slice(&g.row(r)[at..at + width]);
                    }
                    sweep.add(part, gp);
                }
                at += width;
            }
            sweep.give(g);
        })
    }

    /// Columns `start..start + width`.
    pub fn columns(&mut self, x: Var, start: usize, width: usize) -> Var {
        let (rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.dirty(rows, width);
        for r in 0..rows {
            y.data[r * width..][..width].copy_from_slice(&self.value(x).row(r)[start..start + width]);
        }
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            let mut gx = sweep.zeros(rows, cols);
            for r in 0..rows {
                gx.data[r * cols + start..][..width].copy_from_slice(g.row(r));
            }
            sweep.give(g);
            sweep.add(x, gx);
        })
    }

    /// The same elements in the same order as `rows` rows: records packed together (PacGAN), or images as records.
    pub fn reshape(&mut self, x: Var, rows: usize) -> Var {
        let (old_rows, old_cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.dirty(rows, old_rows * old_cols / rows.max(1));
        y.data.copy_from_slice(&self.value(x).data);
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            sweep.add(x, Mat { rows: old_rows, cols: old_cols, data: g.data });
        })
    }

    /// Rows of x, each possibly several times or never.
    pub fn take_rows(&mut self, x: Var, rows: Vec<u32>) -> Var {
        let (old_rows, cols) = (self.value(x).rows, self.value(x).cols);
        let mut y = self.dirty(rows.len(), cols);
        for (y, &r) in y.data.chunks_exact_mut(cols.max(1)).zip(&rows) {
            y.copy_from_slice(self.value(x).row(r as usize));
        }
        let needed = self.needs(x);
        self.push(y, needed, move |g, sweep| {
            let mut gx = sweep.zeros(old_rows, cols);
            for (g, &r) in g.data.chunks_exact(cols.max(1)).zip(&rows) {
                add(&mut gx.data[r as usize * cols..][..cols], g);
            }
            sweep.give(g);
            sweep.add(x, gx);
        })
    }
}

/// In sixteen sums side by side, then one: the order is fixed, and vector units can follow it.
fn sum_of_squares<T: Real>(x: &[T]) -> T {
    let mut sums = [T::ZERO; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    wide(|| chunks.iter().for_each(|x| sums.iter_mut().zip(x).for_each(|(s, x)| *s += *x * *x)));
    sums.into_iter().sum::<T>() + rest.iter().map(|x| *x * *x).sum::<T>()
}
