//! Rows that are zero in most places, and the layer that they enter a network by.

use lookalike_core::Result;

use super::real::wide;
use super::{Activation, Mat, Real, Tape, Var, Weight};

/// A matrix whose rows hold few elements that are not zero.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sparse<T = f32> {
    /// Elements of row r: `starts[r]..starts[r + 1]`.
    starts: Vec<usize>,
    places: Vec<u32>,
    values: Vec<T>,
}

impl<T: Real> Sparse<T> {
    /// From what `each` puts into `(row, place, value)`: it is called twice and puts the same both times, each place of a row
    /// at most once. Fails where it does.
    pub fn build(rows: usize, each: impl Fn(&mut dyn FnMut(usize, usize, T)) -> Result<()>) -> Result<Self> {
        let mut starts = vec![0usize; rows + 1];
        each(&mut |row, _, _| starts[row + 1] += 1)?;
        (0..rows).for_each(|r| starts[r + 1] += starts[r]);
        let (mut next, all) = (starts.clone(), starts[rows]);
        let (mut places, mut values) = (vec![0u32; all], vec![T::ZERO; all]);
        each(&mut |row, place, value| {
            (places[next[row]], values[next[row]]) = (place as u32, value);
            next[row] += 1;
        })?;
        Ok(Self { starts, places, values })
    }

    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Places of a row's elements, and their values.
    pub fn row(&self, r: usize) -> (&[u32], &[T]) {
        let range = self.starts[r]..self.starts[r + 1];
        (&self.places[range.clone()], &self.values[range])
    }

    /// The given rows, in that order.
    pub fn take(&self, rows: &[u32]) -> Self {
        let mut taken = Self { starts: vec![0], places: vec![], values: vec![] };
        for &row in rows {
            let (places, values) = self.row(row as usize);
            taken.places.extend_from_slice(places);
            taken.values.extend_from_slice(values);
            taken.starts.push(taken.places.len());
        }
        taken
    }

    /// Adds the elements to those of a dense matrix; places from its width on are left out.
    pub fn add_to(&self, dense: &mut [T], cols: usize) {
        for (r, dense) in dense.chunks_exact_mut(cols.max(1)).enumerate() {
            let (places, values) = self.row(r);
            for (&place, &value) in places.iter().zip(values).filter(|(p, _)| (**p as usize) < cols) {
                dense[place as usize] += value;
            }
        }
    }

    /// The mean of the rows, of so many places.
    pub fn means(&self, cols: usize) -> Vec<T> {
        let (mut means, share) = (vec![T::ZERO; cols], T::of(1.0 / self.rows().max(1) as f64));
        self.places.iter().zip(&self.values).for_each(|(&place, &value)| means[place as usize] += value);
        means.iter_mut().for_each(|m| *m *= share);
        means
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.starts.len() * 8 + self.places.len() * (4 + size_of::<T>())
    }
}

impl<T: Real> Tape<'_, T> {
    /// act(x w + b), as [`Tape::dense`] at the cost of the elements that are not zero; nothing is learned through x.
    pub fn sparse(&mut self, x: Sparse<T>, w: Weight, b: Option<Weight>, act: Activation) -> Var {
        let mut y = self.dirty(x.rows(), w.cols);
        self.start(&mut y, b);
        let weight = self.weight(w);
        wide(|| {
            for (r, y) in y.data.chunks_exact_mut(w.cols).enumerate() {
                let (places, values) = x.row(r);
                for (&place, &value) in places.iter().zip(values) {
                    let row = &weight[place as usize * w.cols..][..w.cols];
                    y.iter_mut().zip(row).for_each(|(y, w)| *y += value * *w);
                }
            }
        });
        act.apply(&mut y.data);
        let out = self.next();
        self.push(y, true, move |mut g: Mat<T>, sweep| {
            act.back(&mut g.data, &sweep.values[out.0].data);
            if let Some(b) = b {
                super::dense::add_column_sums(&mut sweep.weights[b.range()], &g);
            }
            let into = &mut sweep.weights[w.range()];
            wide(|| {
                for (r, g) in g.data.chunks_exact(w.cols).enumerate() {
                    let (places, values) = x.row(r);
                    for (&place, &value) in places.iter().zip(values) {
                        let row = &mut into[place as usize * w.cols..][..w.cols];
                        row.iter_mut().zip(g).for_each(|(w, g)| *w += value * *g);
                    }
                }
            });
            sweep.give(g);
        })
    }
}
