//! Weights in one flat vector.

use lookalike_core::{Result, Stream, standard_normal, uniform};

use super::Real;
use crate::codec::{Reader, Writer, ensure};

/// A matrix among the weights: inputs in rows, outputs in columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(super) start: usize,
    pub rows: usize,
    pub cols: usize,
}

impl Weight {
    /// Where it lies.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.start + self.rows * self.cols
    }

    /// So many of its rows from one on: the weights of some of a layer's inputs.
    pub fn part(self, first: usize, rows: usize) -> Self {
        debug_assert!(first + rows <= self.rows);
        Self { start: self.start + first * self.cols, rows, cols: self.cols }
    }
}

/// All weights of a network.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Params<T = f32> {
    pub values: Vec<T>,
}

impl<T: Real> Params<T> {
    pub fn new() -> Self {
        Self { values: vec![] }
    }

    fn add(&mut self, rows: usize, cols: usize, mut each: impl FnMut() -> f64) -> Weight {
        let weight = Weight { start: self.values.len(), rows, cols };
        self.values.extend((0..rows * cols).map(|_| T::of(each())));
        weight
    }

    /// All of one value.
    pub fn constant(&mut self, rows: usize, cols: usize, value: f64) -> Weight {
        self.add(rows, cols, || value)
    }

    /// Uniform within +-1 / sqrt(inputs): the customary start of a dense layer (He et al. 2015 with a = sqrt 5).
    pub fn uniform(&mut self, rows: usize, cols: usize, rng: &mut Stream) -> Weight {
        let bound = 1.0 / (rows.max(1) as f64).sqrt();
        self.add(rows, cols, || (2.0 * uniform(rng) - 1.0) * bound)
    }

    /// Normal of the given standard deviation.
    pub fn normal(&mut self, rows: usize, cols: usize, deviation: f64, rng: &mut Stream) -> Weight {
        self.add(rows, cols, || standard_normal(rng)[0] * deviation)
    }

    pub fn get(&self, weight: Weight) -> &[T] {
        &self.values[weight.range()]
    }

    pub fn get_mut(&mut self, weight: Weight) -> &mut [T] {
        &mut self.values[weight.range()]
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True when every weight is a finite number.
    pub fn finite(&self) -> bool {
        self.values.iter().all(|v| v.f64().is_finite())
    }
}

impl Params<f32> {
    pub fn save(&self, w: &mut Writer) {
        w.f32s(&self.values);
    }

    /// Puts saved weights into a network of the same layout (built anew from its sizes).
    pub fn load(&mut self, r: &mut Reader) -> Result<()> {
        self.values = Self::load_values(r, Some(self.values.len()))?;
        Ok(())
    }

    /// Saved weights of a network that has so many (`None` when no computer has so many): for networks that are built only once
    /// it is known that the weights fill them.
    pub fn load_values(r: &mut Reader, count: Option<usize>) -> Result<Vec<f32>> {
        let values = r.f32s()?;
        ensure(count == Some(values.len()) && values.iter().all(|v| v.is_finite()))?;
        Ok(values)
    }
}
