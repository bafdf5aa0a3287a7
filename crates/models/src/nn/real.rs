//! The numbers networks compute with, and loops over them.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// f32 for training, f64 for checking gradients.
pub(crate) trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + 'static
{
    const ZERO: Self;
    const ONE: Self;
    fn of(value: f64) -> Self;
    fn f64(self) -> f64;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    fn at_least(self, floor: Self) -> Self;
    fn tanh(self) -> Self {
        // Exact at the ends: exp saturates, and 2 / infinity is 0.
        Self::ONE - Self::of(2.0) / ((self + self).exp() + Self::ONE)
    }
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exp())
    }
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    fn of(value: f64) -> f32 {
        value as f32
    }
    fn f64(self) -> f64 {
        f64::from(self)
    }
    /// Without branches, so that loops over it vectorise: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (the Taylor terms up
    /// to the sixth), within 2e-7 of the value; saturates at 2^127, and at 0 below -87.3.
    #[inline(always)]
    fn exp(self) -> f32 {
        let x = if self < 88.0 { self } else { 88.0 }; // NaN becomes 88 here and NaN again below.
        let x = if x > -87.3 { x } else { -87.3 };
        // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
        let magic = 12_582_912.0f32;
        let n = (x * std::f32::consts::LOG2_E + magic) - magic;
        let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
        let p =
            1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))));
        let scale = f32::from_bits(((n as i32 + 127) as u32) << 23);
        let y = if self > -87.3 { p * scale } else { 0.0 };
        if self.is_nan() { self } else { y }
    }
    /// Without branches, as `exp`: x = 2^n (1 + f) with 1 + f in [sqrt 1/2, sqrt 2), and the polynomial of Cephes (Moshier 1992)
    /// for ln(1 + f), within 1e-7 of the value or of 1. Minus infinity at 0 and at subnormal numbers, NaN below.
    #[inline(always)]
    fn ln(self) -> f32 {
        let root = std::f32::consts::FRAC_1_SQRT_2.to_bits();
        let n = (self.to_bits() as i32).wrapping_sub(root as i32) >> 23;
        let f = f32::from_bits((self.to_bits() as i32).wrapping_sub(n << 23) as u32) - 1.0;
        let p = f * (f * (f * (f * 7.037_683_6e-2 - 1.151_461e-1) + 1.167_699_8e-1) - 1.242_014_1e-1) + 1.424_932_3e-1;
        let p = f * (f * (f * (f * p - 1.666_805_8e-1) + 2.000_071_5e-1) - 2.499_999_4e-1) + 0.333_333_3;
        let n = n as f32;
        let low = n * -2.121_944_4e-4 - 0.5 * f * f;
        let y = f + (f * f * f * p + low) + n * 0.693_359_4;
        let y = if self < f32::MIN_POSITIVE { f32::NEG_INFINITY } else { y };
        let y = if self < f32::INFINITY { y } else { self }; // Infinity and NaN.
        if self < 0.0 { f32::NAN } else { y }
    }
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    fn at_least(self, floor: f32) -> f32 {
        if self > floor { self } else { floor }
    }
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    fn of(value: f64) -> f64 {
        value
    }
    fn f64(self) -> f64 {
        self
    }
    fn exp(self) -> f64 {
        libm::exp(self)
    }
    fn ln(self) -> f64 {
        libm::log(self)
    }
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    fn at_least(self, floor: f64) -> f64 {
        if self > floor { self } else { floor }
    }
}

/// Runs a loop compiled for the widest vectors of the machine. The compiler fuses no multiplication with an addition, so the
/// bits are the same at any width.
#[inline(always)]
pub(crate) fn wide<R>(run: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_of_f32_is_near_that_of_f64() {
        let mut worst: f64 = 0.0;
        let mut x = -87.0f32;
        while x < 88.0 {
            worst = worst.max((f64::from(Real::exp(x)) / libm::exp(f64::from(x)) - 1.0).abs());
            x += 0.001_7;
        }
        assert!(worst < 3e-7, "{worst}");
        assert_eq!(Real::exp(f32::NEG_INFINITY), 0.0);
        assert!(Real::exp(f32::NAN).is_nan());
        assert!(Real::exp(1000f32) > 1e38);
        assert_eq!((Real::tanh(50f32), Real::tanh(-50f32), Real::tanh(0f32)), (1.0, -1.0, 0.0));
        assert_eq!((Real::sigmoid(200f32), Real::sigmoid(0f32)), (1.0, 0.5));
    }

    #[test]
    fn ln_of_f32_is_near_that_of_f64() {
        let (mut worst, mut x): (f64, _) = (0.0, 1.2e-38f32);
        while x < 3e38 {
            let exact = libm::log(f64::from(x));
            worst = worst.max((f64::from(Real::ln(x)) - exact).abs() / exact.abs().max(1.0));
            x *= 1.000_9;
        }
        assert!(worst < 2e-7, "{worst}");
        assert_eq!((Real::ln(1f32), Real::ln(0f32), Real::ln(f32::INFINITY)), (0.0, f32::NEG_INFINITY, f32::INFINITY));
        assert!(Real::ln(-1f32).is_nan() && Real::ln(f32::NAN).is_nan() && Real::ln(f32::NEG_INFINITY).is_nan());
    }
}
