//! Symmetric matrices, dense and row-major: eigenvectors and the Cholesky factor.

use lookalike_core::{Error, Job, Result};

/// A square matrix, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Square {
    pub n: usize,
    pub data: Vec<f64>,
}

impl Square {
    pub fn zeros(n: usize) -> Self {
        Self { n, data: vec![0.0; n * n] }
    }

    pub fn identity(n: usize) -> Self {
        let mut matrix = Self::zeros(n);
        (0..n).for_each(|i| matrix.data[i * n + i] = 1.0);
        matrix
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.n + j]
    }

    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.n..(i + 1) * self.n]
    }

    /// Sets element (i, j) and its mirror image.
    pub fn set(&mut self, i: usize, j: usize, value: f64) {
        self.data[i * self.n + j] = value;
        self.data[j * self.n + i] = value;
    }

    /// The rows and columns listed.
    pub fn select(&self, indices: &[usize]) -> Square {
        let data = indices.iter().flat_map(|&i| indices.iter().map(move |&j| self.at(i, j))).collect();
        Square { n: indices.len(), data }
    }

    /// V f(D) V' over all eigenvalues: a function of a symmetric matrix.
    pub fn map_eigenvalues(&self, f: impl Fn(f64) -> f64, job: &Job) -> Result<Square> {
        let (values, vectors) = eigen(self, job)?;
        let n = self.n;
        let mut out = Square::zeros(n);
        for (value, vector) in values.iter().zip(vectors.data.chunks_exact(n.max(1))) {
            let weight = f(*value);
            for i in 0..n {
                axpy(weight * vector[i], &vector[..=i], &mut out.data[i * n..i * n + i + 1]);
            }
        }
        for i in 0..n {
            (0..i).for_each(|j| out.data[j * n + i] = out.data[i * n + j]);
        }
        Ok(out)
    }
}

fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
}

/// Inner product in eight running sums: a fixed order that vector units can follow.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (x, y) in x.iter().zip(y) {
        (0..8).for_each(|k| sums[k] += x[k] * y[k]);
    }
    sums.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f64>()
}

/// Eigenvalues of a symmetric matrix and its eigenvectors as rows, in no particular order: Householder reflections to
/// tridiagonal form, then implicit QL with Wilkinson's shift (Golub & Van Loan, Matrix Computations, sec. 8.3).
pub(crate) fn eigen(matrix: &Square, job: &Job) -> Result<(Vec<f64>, Square)> {
    let n = matrix.n;
    let mut a = matrix.clone();
    let (mut diagonal, mut off) = (vec![0.0; n], vec![0.0; n]);
    let mut reflectors: Vec<(Vec<f64>, f64)> = vec![];
    for (k, off) in off.iter_mut().enumerate().take(n.saturating_sub(2)) {
        if k % 16 == 0 {
            job.check()?;
        }
        let mut v: Vec<f64> = a.row(k)[k + 1..].to_vec();
        let norm = libm::sqrt(dot(&v, &v));
        let alpha = -norm.copysign(v[0]);
        v[0] -= alpha;
        let length = dot(&v, &v);
        *off = alpha;
        if norm == 0.0 || length == 0.0 {
            reflectors.push((vec![], 0.0));
            *off = a.at(k, k + 1);
            continue;
        }
        let beta = 2.0 / length;
        // A <- H A H with H = I - beta v v', as a rank-two update.
        let mut w: Vec<f64> = (0..v.len()).map(|i| beta * dot(&a.row(k + 1 + i)[k + 1..], &v)).collect();
        let shift = 0.5 * beta * dot(&w, &v);
        axpy(-shift, &v, &mut w);
        for i in 0..v.len() {
            let row = &mut a.data[(k + 1 + i) * n + k + 1..(k + 2 + i) * n];
            axpy(-v[i], &w, row);
            axpy(-w[i], &v, row);
        }
        reflectors.push((v, beta));
    }
    (0..n).for_each(|i| diagonal[i] = a.at(i, i));
    if n >= 2 {
        off[n - 2] = a.at(n - 2, n - 1);
    }
    // Rows of `vectors` are the columns of Q = H_0 H_1 ...: row i <- row i times H, reflector by reflector from the last.
    let mut vectors = Square::identity(n);
    for (k, (v, beta)) in reflectors.iter().enumerate().rev() {
        if v.is_empty() {
            continue;
        }
        for i in k + 1..n {
            let row = &mut vectors.data[i * n + k + 1..(i + 1) * n];
            let scale = -beta * dot(row, v);
            axpy(scale, v, row);
        }
    }
    implicit_ql(&mut diagonal, &mut off, &mut vectors, job)?;
    Ok((diagonal, vectors))
}

fn implicit_ql(d: &mut [f64], e: &mut [f64], vectors: &mut Square, job: &Job) -> Result<()> {
    const MAX_STEPS: usize = 80;
    let n = d.len();
    for low in 0..n {
        job.check()?;
        for step in 0.. {
            let high =
                (low..n - 1).find(|&m| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs())).unwrap_or(n - 1);
            if high == low {
                break;
            }
            if step == MAX_STEPS {
                return Err(Error::internal("the eigenvalues of a correlation matrix did not converge"));
            }
            let g = (d[low + 1] - d[low]) / (2.0 * e[low]);
            let mut g = d[high] - d[low] + e[low] / (g + libm::hypot(g, 1.0).copysign(g));
            let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
            let mut deflated = false;
            for i in (low..high).rev() {
                let (f, b) = (sine * e[i], cosine * e[i]);
                let r = libm::hypot(f, g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= shift;
                    e[high] = 0.0;
                    deflated = true;
                    break;
                }
                (sine, cosine) = (f / r, g / r);
                let g2 = d[i + 1] - shift;
                let r2 = (d[i] - g2) * sine + 2.0 * cosine * b;
                shift = sine * r2;
                d[i + 1] = g2 + shift;
                g = cosine * r2 - b;
                let (left, right) = vectors.data.split_at_mut((i + 1) * n);
                for (x, y) in left[i * n..].iter_mut().zip(&mut right[..n]) {
                    (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                }
            }
            if !deflated {
                d[low] -= shift;
                e[low] = g;
                e[high] = 0.0;
            }
        }
    }
    Ok(())
}

/// Lower triangle, packed by rows (row i starts at i(i+1)/2), of a factor L with L L' near the correlation matrix given.
/// Columns that depend on earlier ones (pivot at most 1e-9) get a zero pivot; rows are scaled to length one, so that
/// every variable has variance one whatever rounding did.
pub(crate) fn correlation_factor(matrix: &Square, job: &Job) -> Result<Vec<f32>> {
    let n = matrix.n;
    let start = |i: usize| i * (i + 1) / 2;
    let mut l = vec![0.0f64; start(n)];
    for i in 0..n {
        if i % 16 == 0 {
            job.check()?;
        }
        for j in 0..i {
            let (above, row) = l.split_at(start(i));
            let sum = dot(&row[..j], &above[start(j)..start(j) + j]);
            let pivot = above[start(j) + j];
            l[start(i) + j] = if pivot > 0.0 { (matrix.at(i, j) - sum) / pivot } else { 0.0 };
        }
        let row = &mut l[start(i)..=start(i) + i];
        let rest = matrix.at(i, i) - dot(&row[..i], &row[..i]);
        row[i] = if rest > 1e-9 { libm::sqrt(rest) } else { 0.0 };
        let length = libm::sqrt(dot(row, row));
        if length > 0.0 {
            row.iter_mut().for_each(|x| *x /= length);
        } else {
            row[i] = 1.0;
        }
    }
    Ok(l.into_iter().map(|x| x as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize) -> Square {
        let mut a = Square::zeros(n);
        for i in 0..n {
            (0..=i).for_each(|j| a.set(i, j, libm::sin((3 * i + 7 * j + i * j) as f64)));
        }
        a
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        for n in [1, 2, 3, 8, 57] {
            let a = wave(n);
            let back = a.map_eigenvalues(|v| v, &Job::unbounded()).unwrap();
            let (values, vectors) = eigen(&a, &Job::unbounded()).unwrap();
            for i in 0..n {
                for j in 0..n {
                    assert!((a.at(i, j) - back.at(i, j)).abs() < 1e-12 * n as f64, "{n} {i} {j}");
                    let product = dot(vectors.row(i), vectors.row(j));
                    assert!((product - f64::from(i == j)).abs() < 1e-12 * n as f64);
                }
            }
            assert!((values.iter().sum::<f64>() - (0..n).map(|i| a.at(i, i)).sum::<f64>()).abs() < 1e-11 * n as f64);
        }
        // [[2, 1], [1, 2]] has eigenvalues 1 and 3.
        let mut values = eigen(&Square { n: 2, data: vec![2.0, 1.0, 1.0, 2.0] }, &Job::unbounded()).unwrap().0;
        values.sort_unstable_by(f64::total_cmp);
        assert!((values[0] - 1.0).abs() < 1e-15 && (values[1] - 3.0).abs() < 1e-15);
    }

    #[test]
    fn factor_of_a_singular_matrix() {
        // The third variable equals the first: by hand L = [[1], [.6, .8], [1, 0, 0]].
        let a = Square { n: 3, data: vec![1.0, 0.6, 1.0, 0.6, 1.0, 0.6, 1.0, 0.6, 1.0] };
        let l = correlation_factor(&a, &Job::unbounded()).unwrap();
        for (x, y) in l.iter().zip([1.0f32, 0.6, 0.8, 1.0, 0.0, 0.0]) {
            assert!((x - y).abs() < 1e-7, "{l:?}");
        }
    }
}
