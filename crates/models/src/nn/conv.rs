//! Convolutions of square images, as matrix products of patches.

use super::dense::product;
use super::{Real, Tape, Var, Weight};

/// Images of `channels` x `side` x `side`, a row each, channel after channel; convolved by square kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    pub channels: usize,
    pub side: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Image {
    /// Side of the convolved image.
    pub fn out(&self) -> usize {
        (self.side + 2 * self.padding - self.kernel) / self.stride + 1
    }

    fn patch(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Each patch a row: (out * out) x (channels * kernel * kernel), and what lies outside the image is zero. `f(patch element, image element)`.
    fn patches(&self, mut f: impl FnMut(usize, usize)) {
        let (out, k) = (self.out(), self.kernel);
        for oy in 0..out {
            for ox in 0..out {
                for c in 0..self.channels {
                    for ky in 0..k {
                        let y = (oy * self.stride + ky).wrapping_sub(self.padding);
                        for kx in 0..k {
                            let x = (ox * self.stride + kx).wrapping_sub(self.padding);
                            if y < self.side && x < self.side {
                                let patch = (oy * out + ox) * self.patch() + (c * k + ky) * k + kx;
                                f(patch, (c * self.side + y) * self.side + x);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<T: Real> Tape<'_, T> {
    /// Convolution: `w` is (channels * kernel * kernel) x new channels, `b` 1 x new channels. The result has `image.out()` a side.
    pub fn conv(&mut self, x: Var, image: Image, w: Weight, b: Option<Weight>) -> Var {
        let rows = self.value(x).rows;
        let (places, patch) = (image.out() * image.out(), image.patch());
        let mut y = self.zeros(rows, w.cols * places);
        let mut patches = vec![T::ZERO; places * patch];
        for r in 0..rows {
            let input = self.value(x).row(r);
            image.patches(|p, i| patches[p] = input[i]);
            let out = &mut y.data[r * w.cols * places..][..w.cols * places];
            if let Some(b) = b {
                let bias = self.weight(b);
                out.chunks_exact_mut(places).zip(bias).for_each(|(out, b)| out.fill(*b));
            }
            product(out, [w.cols, places, patch], (self.weight(w), true), (&patches, true), true);
        }
        self.push(y, true, move |g, sweep| {
            let needs = sweep.needs(x);
            let mut gx = sweep.zeros(rows, image.channels * image.side * image.side);
            let mut patches = vec![T::ZERO; places * patch];
            let mut gp = vec![T::ZERO; places * patch];
            for r in 0..rows {
                let g = g.row(r);
                let input = sweep.values[x.0].row(r);
                image.patches(|p, i| patches[p] = input[i]);
                product(&mut sweep.weights[w.range()], [patch, w.cols, places], (&patches, true), (g, true), true);
                if let Some(b) = b {
                    let into = &mut sweep.weights[b.range()];
                    into.iter_mut().zip(g.chunks_exact(places)).for_each(|(b, g)| *b += g.iter().copied().sum::<T>());
                }
                if needs {
                    product(&mut gp, [places, patch, w.cols], (g, true), (sweep.params.get(w), true), false);
                    let gx = &mut gx.data[r * image.channels * image.side * image.side..];
                    image.patches(|p, i| gx[i] += gp[p]);
                }
            }
            sweep.give(g);
            sweep.add(x, gx);
        })
    }

    /// The transposed convolution: from images of `w.rows` channels and `image.out()` a side to images of the shape `image`; `w` is
    /// channels of x by (image.channels * kernel * kernel), `b` 1 x image.channels.
    pub fn conv_transposed(&mut self, x: Var, image: Image, w: Weight, b: Option<Weight>) -> Var {
        let rows = self.value(x).rows;
        let (places, patch, area) = (image.out() * image.out(), image.patch(), image.side * image.side);
        let mut y = self.zeros(rows, image.channels * area);
        let mut patches = vec![T::ZERO; places * patch];
        for r in 0..rows {
            product(
                &mut patches,
                [places, patch, w.rows],
                (self.value(x).row(r), true),
                (self.weight(w), false),
                false,
            );
            let out = &mut y.data[r * image.channels * area..][..image.channels * area];
            if let Some(b) = b {
                let bias = self.weight(b);
                out.chunks_exact_mut(area).zip(bias).for_each(|(out, b)| out.fill(*b));
            }
            image.patches(|p, i| out[i] += patches[p]);
        }
        self.push(y, true, move |g, sweep| {
            let needs = sweep.needs(x);
            let mut gx = sweep.zeros(rows, w.rows * places);
            let mut gp = vec![T::ZERO; places * patch];
            for r in 0..rows {
                let g = g.row(r);
                image.patches(|p, i| gp[p] = g[i]);
                let input = sweep.values[x.0].row(r);
                product(&mut sweep.weights[w.range()], [w.rows, patch, places], (input, false), (&gp, false), true);
                if let Some(b) = b {
                    let into = &mut sweep.weights[b.range()];
                    into.iter_mut().zip(g.chunks_exact(area)).for_each(|(b, g)| *b += g.iter().copied().sum::<T>());
                }
                if needs {
                    let gx = &mut gx.data[r * w.rows * places..][..w.rows * places];
                    product(gx, [w.rows, places, patch], (sweep.params.get(w), false), (&gp, true), false);
                }
            }
            sweep.give(g);
            sweep.add(x, gx);
        })
    }
}
