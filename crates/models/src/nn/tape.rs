//! The tape: values in the order they were made, and the way back over them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::{Params, Real, Weight};

/// A matrix, row after row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mat<T = f32> {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<T>,
}

impl<T: Real> Mat<T> {
    pub fn row(&self, r: usize) -> &[T] {
        &self.data[r * self.cols..(r + 1) * self.cols]
    }
}

/// A value on the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Var(pub(super) usize);

/// Buffers by length, to be used again.
#[derive(Default)]
pub(crate) struct Pool<T = f32> {
    free: BTreeMap<usize, Vec<Vec<T>>>,
}

impl<T: Real> Pool<T> {
    pub fn new() -> Self {
        Self { free: BTreeMap::new() }
    }

    /// A buffer whose content is arbitrary.
    fn dirty(&mut self, len: usize) -> Vec<T> {
        self.free.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| vec![T::ZERO; len])
    }

    fn zeros(&mut self, len: usize) -> Vec<T> {
        let mut buffer = self.dirty(len);
        buffer.fill(T::ZERO);
        buffer
    }

    fn give(&mut self, buffer: Vec<T>) {
        self.free.entry(buffer.len()).or_default().push(buffer);
    }
}

/// From the gradient of a value to those of what it was made from.
type Back<T> = Box<dyn FnOnce(Mat<T>, &mut Sweep<T>)>;

struct Node<T: Real> {
    /// None where no weight or wanted input lies before it.
    back: Option<Back<T>>,
    needed: bool,
}

/// Layers on one shard of a batch, recorded for the way back.
pub(crate) struct Tape<'a, T: Real = f32> {
    params: &'a Params<T>,
    pool: &'a mut Pool<T>,
    values: Vec<Mat<T>>,
    nodes: Vec<Node<T>>,
    learning: bool,
}

/// What backward passes work on.
pub(super) struct Sweep<'a, T: Real> {
    pub params: &'a Params<T>,
    pub values: &'a [Mat<T>],
    needed: Vec<bool>,
    grads: Vec<Option<Mat<T>>>,
    pub weights: &'a mut [T],
    pool: &'a mut Pool<T>,
}

impl<'a, T: Real> Tape<'a, T> {
    /// A tape that can go back.
    pub fn new(params: &'a Params<T>, pool: &'a mut Pool<T>) -> Self {
        Self { params, pool, values: vec![], nodes: vec![], learning: true }
    }

    /// A tape that only goes forward: it records no way back.
    pub fn forward(params: &'a Params<T>, pool: &'a mut Pool<T>) -> Self {
        Self { learning: false, ..Self::new(params, pool) }
    }

    /// The value of a variable.
    pub fn value(&self, v: Var) -> &Mat<T> {
        &self.values[v.0]
    }

    /// Values so far.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The only element of a variable.
    pub fn scalar(&self, v: Var) -> T {
        self.values[v.0].data[0]
    }

    pub(super) fn weight(&self, w: Weight) -> &'a [T] {
        self.params.get(w)
    }

    /// A buffer of arbitrary content for a value of this shape.
    pub(super) fn dirty(&mut self, rows: usize, cols: usize) -> Mat<T> {
        Mat { rows, cols, data: self.pool.dirty(rows * cols) }
    }

    pub(super) fn zeros(&mut self, rows: usize, cols: usize) -> Mat<T> {
        Mat { rows, cols, data: self.pool.zeros(rows * cols) }
    }

    /// A value that nothing is learned through.
    pub fn constant(&mut self, rows: usize, cols: usize, fill: impl FnOnce(&mut [T])) -> Var {
        let mut value = self.zeros(rows, cols);
        fill(&mut value.data);
        self.push(value, false, |_, _| {})
    }

    /// A copy of a value without its way back: what "detach" or "stop-gradient" mean elsewhere.
    pub fn detached(&mut self, x: Var) -> Var {
        let mut value = self.dirty(self.values[x.0].rows, self.values[x.0].cols);
        value.data.copy_from_slice(&self.values[x.0].data);
        self.push(value, false, |_, _| {})
    }

    /// An input whose gradient [`Tape::backward_to`] gives.
    pub fn wanted(&mut self, rows: usize, cols: usize, fill: impl FnOnce(&mut [T])) -> Var {
        let mut value = self.zeros(rows, cols);
        fill(&mut value.data);
        let learning = self.learning;
        self.push(value, learning, |_, _| {})
    }

    /// Weights as a value.
    pub fn param(&mut self, w: Weight) -> Var {
        let mut value = self.dirty(w.rows, w.cols);
        value.data.copy_from_slice(self.params.get(w));
        self.push(value, true, move |g, sweep| {
            add(&mut sweep.weights[w.range()], &g.data);
            sweep.give(g);
        })
    }

    pub(super) fn needs(&self, v: Var) -> bool {
        self.nodes[v.0].needed
    }

    pub(super) fn push(
        &mut self,
        value: Mat<T>,
        needed: bool,
        back: impl FnOnce(Mat<T>, &mut Sweep<T>) + 'static,
    ) -> Var {
        let needed = needed && self.learning;
        self.nodes.push(Node { back: if needed { Some(Box::new(back)) } else { None }, needed });
        self.values.push(value);
        Var(self.values.len() - 1)
    }

    /// Adds the gradient of the scalar `loss` with respect to all weights to `weights`.
    pub fn backward(self, loss: Var, weights: &mut [T]) {
        self.backward_to(loss, weights, &[]);
    }

    /// The same, and the gradients with respect to the wanted inputs (zeros where the loss does not depend on one).
    pub fn backward_to(self, loss: Var, weights: &mut [T], wanted: &[Var]) -> Vec<Mat<T>> {
        let Self { params, pool, values, mut nodes, .. } = self;
        let mut grads: Vec<Option<Mat<T>>> = vec![];
        grads.resize_with(values.len(), || None);
        let mut seed = pool.dirty(values[loss.0].data.len());
        seed.fill(T::ONE);
        grads[loss.0] = Some(Mat { rows: values[loss.0].rows, cols: values[loss.0].cols, data: seed });
        let needed = nodes.iter().map(|n| n.needed).collect();
        let mut sweep = Sweep { params, values: &values, needed, grads, weights, pool: &mut *pool };
        let mut out: Vec<Option<Mat<T>>> = wanted.iter().map(|_| None).collect();
        for v in (0..=loss.0).rev() {
            let Some(grad) = sweep.grads[v].take() else { continue };
            if let Some(at) = wanted.iter().position(|w| w.0 == v) {
                out[at] = Some(grad);
                continue;
            }
            match nodes[v].back.take() {
                Some(back) => back(grad, &mut sweep),
                None => sweep.give(grad),
            }
        }
        drop(sweep);
        let zero = |w: &Var| {
            let Mat { rows, cols, .. } = values[w.0];
            Mat { rows, cols, data: vec![T::ZERO; rows * cols] }
        };
        let out: Vec<Mat<T>> = out.into_iter().zip(wanted).map(|(g, w)| g.unwrap_or_else(|| zero(w))).collect();
        values.into_iter().for_each(|v| pool.give(v.data));
        out
    }

    /// Ends a forward tape: the value, and the buffers back to the pool.
    pub fn finish(mut self, v: Var) -> Mat<T> {
        let value = std::mem::replace(&mut self.values[v.0], Mat { rows: 0, cols: 0, data: vec![] });
        self.values.drain(..).for_each(|v| self.pool.give(v.data));
        value
    }
}

impl<T: Real> Sweep<'_, T> {
    pub fn needs(&self, v: Var) -> bool {
        self.needed[v.0]
    }

    pub fn dirty(&mut self, rows: usize, cols: usize) -> Mat<T> {
        Mat { rows, cols, data: self.pool.dirty(rows * cols) }
    }

    pub fn zeros(&mut self, rows: usize, cols: usize) -> Mat<T> {
        Mat { rows, cols, data: self.pool.zeros(rows * cols) }
    }

    pub fn give(&mut self, mat: Mat<T>) {
        self.pool.give(mat.data);
    }

    /// Adds to the gradient of a value, or gives the buffer back where nobody needs it.
    pub fn add(&mut self, v: Var, g: Mat<T>) {
        debug_assert_eq!((g.rows, g.cols), (self.values[v.0].rows, self.values[v.0].cols));
        if !self.needed[v.0] {
            return self.give(g);
        }
        match &mut self.grads[v.0] {
            Some(sum) => {
                add(&mut sum.data, &g.data);
                self.give(g);
            }
            none => *none = Some(g),
        }
    }
}

/// sum += part.
pub(super) fn add<T: Real>(sum: &mut [T], part: &[T]) {
    super::real::wide(|| sum.iter_mut().zip(part).for_each(|(s, p)| *s += *p));
}

/// Parts that a batch is cut into, whatever the number of threads.
pub(crate) const SHARDS: usize = 4;

/// Buffers of the shards, kept from step to step.
pub(crate) struct Workers<T: Real = f32> {
    shards: Vec<Mutex<(Pool<T>, Vec<T>)>>,
}

impl<T: Real> Workers<T> {
    pub fn new() -> Self {
        Self::of(SHARDS)
    }

    /// For another number of shards: fewer where weights are many and a batch is small.
    pub fn of(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Mutex::new((Pool::new(), vec![]))).collect() }
    }
}

/// The gradient of a loss that is a sum over shards: `loss` records the part of shard `s` of the workers', already
/// divided by the size of the whole batch; `gradient` is overwritten. Shards run in parallel and are added in order. Returns the
/// loss and what else each shard said.
pub(crate) fn gradient<T: Real, X: Send>(
    params: &Params<T>,
    workers: &Workers<T>,
    gradient: &mut Vec<T>,
    loss: impl Fn(&mut Tape<T>, usize) -> (Var, X) + Sync,
) -> (f64, Vec<X>) {
    let parts: Vec<(f64, X)> = workers
        .shards
        .par_iter()
        .enumerate()
        .with_max_len(1)
        .map(|(s, shard)| {
            let (pool, weights) = &mut *shard.lock().unwrap_or_else(PoisonError::into_inner);
            weights.clear();
            weights.resize(params.len(), T::ZERO);
            let mut tape = Tape::new(params, pool);
            let (var, extra) = loss(&mut tape, s);
            let value = tape.scalar(var).f64();
            tape.backward(var, weights);
            (value, extra)
        })
        .collect();
    gradient.clear();
    gradient.resize(params.len(), T::ZERO);
    // Adding is memory-bound: in parallel by ranges, in the order of the shards within each.
    let shards: Vec<_> = workers.shards.iter().map(|s| s.lock().unwrap_or_else(PoisonError::into_inner)).collect();
    let sources: Vec<&[T]> = shards.iter().map(|s| s.1.as_slice()).collect();
    gradient.par_chunks_mut(1 << 16).enumerate().for_each(|(c, sum)| {
        for source in &sources {
            add(sum, &source[c << 16..][..sum.len()]);
        }
    });
    let value = parts.iter().map(|p| p.0).sum();
    (value, parts.into_iter().map(|p| p.1).collect())
}
