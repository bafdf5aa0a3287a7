//! The convolutional networks (Radford, Metz & Chintala 2016, DCGAN).

use lookalike_core::Stream;

use crate::nn::{Activation, Image, Moments, Params, Real, Tape, Var, Weight};

/// Sizes of the networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Of the image: a power of two, 4 or more.
    pub side: usize,
    /// Channels next to the image; twice as many with each halving of the side, down to 2.
    pub channels: usize,
    pub noise: usize,
}

impl Shape {
    /// Of the smallest square that holds so many cells.
    pub fn of(cells: usize, channels: usize, noise: usize) -> Self {
        let mut side = 4usize;
        while side * side < cells {
            side *= 2;
        }
        Self { side, channels, noise }
    }

    pub fn area(&self) -> usize {
        self.side * self.side
    }

    fn steps(&self) -> usize {
        self.side.ilog2() as usize - 1
    }

    /// The convolution of step `i`, from the image inwards, and its channels.
    fn step(&self, i: usize) -> (Image, usize) {
        let channels = if i == 0 { 1 } else { self.channels << (i - 1) };
        (Image { channels, side: self.side >> i, kernel: 4, stride: 2, padding: 1 }, self.channels << i)
    }

    /// Weights of the generator; `None` when no computer has so many.
    pub fn weights(&self) -> Option<usize> {
        let top = self.channels.checked_shl(self.steps() as u32 - 1)?.checked_mul(4)?;
        let mut sum = self.noise.checked_add(2)?.checked_mul(top)?;
        for i in 0..self.steps() {
            let inner = self.channels.checked_shl(i as u32)?;
            let outer = if i == 0 { 1 } else { self.channels.checked_shl(i as u32 - 1)? };
            sum = sum.checked_add(inner.checked_mul(outer)?.checked_mul(16)?)?;
            let side = self.side >> i;
            let norm = if i == 0 { 1 } else { outer.checked_mul(side * side)?.checked_mul(2)? };
            sum = sum.checked_add(norm)?;
        }
        Some(sum)
    }
}

/// Weights with the normalisation behind them.
struct Normed {
    weights: Weight,
    gain: Weight,
    shift: Weight,
}

impl Normed {
    fn new<T: Real>(params: &mut Params<T>, [rows, cols, units]: [usize; 3], rng: &mut Stream) -> Self {
        Self {
            weights: params.normal(rows, cols, 0.02, rng),
            gain: params.constant(1, units, 1.0),
            shift: params.constant(1, units, 0.0),
        }
    }
}

/// From noise to images in -1..1, by transposed convolutions.
pub(super) struct Generator {
    shape: Shape,
    first: Normed,
    /// From the inside outwards, without the last.
    inner: Vec<Normed>,
    last: Weight,
    bias: Weight,
}

impl Generator {
    pub fn new<T: Real>(params: &mut Params<T>, shape: Shape, rng: &mut Stream) -> Self {
        let units = shape.step(shape.steps() - 1).1 * 4;
        let first = Normed::new(params, [shape.noise, units, units], rng);
        let inner = (1..shape.steps()).rev().map(|i| {
            let (image, channels) = shape.step(i);
            let sizes = [channels, image.channels * 16, image.channels * image.side * image.side];
            Normed::new(params, sizes, rng)
        });
        let inner = inner.collect();
        let last = params.normal(shape.channels, 16, 0.02, rng);
        Self { shape, first, inner, last, bias: params.constant(1, 1, 0.0) }
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Images from noise; layers are normalised by `fixed` moments, or by those of these rows, which are returned.
    pub fn images<T: Real>(&self, t: &mut Tape<T>, noise: Var, fixed: Option<&[Moments<T>]>) -> (Var, Vec<Moments<T>>) {
        let mut seen = vec![];
        let mut normalise = |t: &mut Tape<T>, x: Var, layer: &Normed, l: usize| {
            let y = match fixed {
                Some(moments) => t.batch_norm_fixed(x, &moments[l], layer.gain, layer.shift),
                None => {
                    let (y, moments) = t.batch_norm(x, layer.gain, layer.shift);
                    seen.push(moments);
                    y
                }
            };
            t.hinge(y)
        };
        let x = t.dense(noise, self.first.weights, None, Activation::Identity);
        let mut x = normalise(t, x, &self.first, 0);
        for (l, layer) in self.inner.iter().enumerate() {
            let image = self.shape.step(self.inner.len() - l).0;
            let y = t.conv_transposed(x, image, layer.weights, None);
            x = normalise(t, y, layer, l + 1);
        }
        let y = t.conv_transposed(x, self.shape.step(0).0, self.last, Some(self.bias));
        (t.tanh(y), seen)
    }

    /// Units of each normalised layer.
    pub fn units(&self) -> Vec<usize> {
        std::iter::once(&self.first).chain(&self.inner).map(|l| l.gain.cols).collect()
    }
}

/// From images to one figure each, by convolutions: discriminator and classifier.
pub(super) struct Reader {
    shape: Shape,
    first: Weight,
    first_bias: Weight,
    inner: Vec<Normed>,
    last: Weight,
    bias: Weight,
}

const LEAKY: Activation = Activation::Leaky(0.2);

impl Reader {
    pub fn new<T: Real>(params: &mut Params<T>, shape: Shape, rng: &mut Stream) -> Self {
        let (first, first_bias) =
            (params.normal(16, shape.channels, 0.02, rng), params.constant(1, shape.channels, 0.0));
        let inner = (1..shape.steps()).map(|i| {
            let (image, channels) = shape.step(i);
            Normed::new(params, [image.channels * 16, channels, channels * image.out() * image.out()], rng)
        });
        let inner = inner.collect();
        let units = shape.step(shape.steps() - 1).1 * 4;
        let (last, bias) = (params.normal(units, 1, 0.02, rng), params.constant(1, 1, 0.0));
        Self { shape, first, first_bias, inner, last, bias }
    }

    /// The features of each image, and the figure read from them.
    pub fn read<T: Real>(&self, t: &mut Tape<T>, images: Var) -> (Var, Var) {
        let leaky = |t: &mut Tape<T>, x: Var| {
            let slope = t.slope(x, LEAKY);
            t.mul(x, slope)
        };
        let x = t.conv(images, self.shape.step(0).0, self.first, Some(self.first_bias));
        let mut x = leaky(t, x);
        for (i, layer) in self.inner.iter().enumerate() {
            let y = t.conv(x, self.shape.step(i + 1).0, layer.weights, None);
            let y = t.batch_norm(y, layer.gain, layer.shift).0;
            x = leaky(t, y);
        }
        (x, t.dense(x, self.last, Some(self.bias), Activation::Identity))
    }
}

#[cfg(test)]
mod tests {
    use lookalike_core::Streams;

    use super::*;
    use crate::nn::Pool;

    #[test]
    fn shapes_fit_one_another() {
        let mut rng = Streams::new(1, "test").block(0);
        for (cells, side) in [(1, 4), (16, 4), (17, 8), (64, 8), (65, 16)] {
            let shape = Shape::of(cells, 3, 5);
            assert_eq!(shape.side, side);
            let mut params = Params::<f64>::new();
            let generator = Generator::new(&mut params, shape, &mut rng);
            assert_eq!(Some(params.len()), shape.weights(), "{side}");
            let reader = Reader::new(&mut params, shape, &mut rng);
            let mut pool = Pool::new();
            let mut t = Tape::forward(&params, &mut pool);
            let noise = t.constant(6, 5, |z| z.iter_mut().enumerate().for_each(|(i, z)| *z = (i as f64 * 1.3).sin()));
            let (free, moments) = generator.images(&mut t, noise, None);
            assert_eq!(generator.units(), moments.iter().map(Vec::len).collect::<Vec<_>>());
            let fixed = generator.images(&mut t, noise, Some(&moments)).0;
            assert_eq!((t.value(free).rows, t.value(free).cols), (6, side * side));
            assert!(t.value(free).data.iter().zip(&t.value(fixed).data).all(|(a, b)| (a - b).abs() < 1e-9));
            let (features, score) = reader.read(&mut t, free);
            assert_eq!((t.value(features).rows, t.value(score).rows, t.value(score).cols), (6, 6, 1));
        }
    }
}
