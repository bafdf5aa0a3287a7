//! Which vector instructions matrix products use, and how a lower level than the machine's is pinned.

use std::any::TypeId;
use std::sync::OnceLock;

use lookalike_core::{Error, Result, list_names};

use super::Real;

/// Environment variable that pins the level.
const PIN: &str = "LOOKALIKE_SIMD";

/// Instructions of matrix products, the widest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Portable,
    /// On ARM.
    Neon,
    /// With FMA.
    Avx2,
    Avx512,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            Level::Neon => "neon",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// Those of this machine, the widest last.
    pub fn available() -> Vec<Level> {
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2") {
                levels.push(Level::Avx2);
            }
            if std::arch::is_x86_feature_detected!("avx512f") {
                levels.push(Level::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Level::Neon);
        levels
    }

    /// The level of a name, the widest for none.
    fn pinned(name: Option<&str>) -> Result<Level> {
        let levels = Self::available();
        let Some(name) = name else { return Ok(levels[levels.len() - 1]) };
        levels.iter().copied().find(|level| level.name() == name).ok_or_else(|| {
            let allowed = list_names(levels.iter().map(|level| level.name()));
            Error::argument(format!("environment variable {PIN} is '{name}', allowed on this machine: {allowed}"))
        })
    }
}

/// The level of this process, found once.
fn level() -> Result<Level> {
    static LEVEL: OnceLock<Result<Level, String>> = OnceLock::new();
    let found = LEVEL.get_or_init(|| Level::pinned(std::env::var(PIN).ok().as_deref()).map_err(|e| e.to_string()));
    found.clone().map_err(Error::argument)
}

/// The instructions that matrix products use here: `avx512`, `avx2` (with FMA), `neon` or `portable`; the widest of the machine
/// unless the environment variable `LOOKALIKE_SIMD` names a lower one. Models trained at one level have the same bits at
/// the same level.
///
/// # Errors
/// `LOOKALIKE_SIMD` is none of them (argument).
pub(crate) fn simd_level() -> Result<&'static str> {
    level().map(Level::name)
}

/// A matrix for [`multiply`]: where it begins, and how far its columns and rows lie apart.
pub(super) type Strided<P> = (P, isize, isize);

/// c += a b or c = a b at the level of the process: c is m x n, a is m x k.
///
/// # Safety
/// The pointers reach what sizes and strides say, and nothing else uses `c`.
pub(super) unsafe fn multiply<T: Real>(
    sizes: [usize; 3],
    c: Strided<*mut T>,
    a: Strided<*const T>,
    b: Strided<*const T>,
    accumulate: bool,
) {
    static LOWER: OnceLock<Option<Level>> = OnceLock::new();
    // What is wrong with the pin has been said where a model begins to learn or was loaded.
    let lower = *LOWER.get_or_init(|| level().ok().filter(|level| Level::available().last() != Some(level)));
    let [m, n, k] = sizes;
    for start in (0..k.max(1)).step_by(TERMS) {
        let (sizes, accumulate) = ([m, n, TERMS.min(k - start)], accumulate || start > 0);
        // SAFETY: terms below k are within what the caller vouches for.
        let (a, b) = unsafe {
            let start = start as isize;
            ((a.0.offset(start * a.1), a.1, a.2), (b.0.offset(start * b.2), b.1, b.2))
        };
        match lower {
            Some(level) if TypeId::of::<T>() == TypeId::of::<f32>() => {
                let cast = |(p, cs, rs): Strided<*const T>| (p.cast::<f32>(), cs, rs);
                // SAFETY: T is f32, and the caller vouches for the rest.
                unsafe { multiply_at(level, sizes, (c.0.cast(), c.1, c.2), cast(a), cast(b), accumulate) }
            }
            // SAFETY: as the caller vouches.
            _ => unsafe { widest_product(sizes, c, a, b, accumulate) },
        }
    }
}

/// Terms of a product that are summed up in one go. Of more, the crate sums up as many at a time as the processor's caches hold,
/// and the order of the sum would be the machine's.
const TERMS: usize = 512;

/// The same by the crate's own choice of instructions.
unsafe fn widest_product<T: Real>(
    [m, n, k]: [usize; 3],
    (c, c_cs, c_rs): Strided<*mut T>,
    (a, a_cs, a_rs): Strided<*const T>,
    (b, b_cs, b_rs): Strided<*const T>,
    accumulate: bool,
) {
    let one_thread = gemm::Parallelism::None;
    // SAFETY: as the caller vouches.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            c_cs,
            c_rs,
            accumulate,
            a,
            a_cs,
            a_rs,
            b,
            b_cs,
            b_rs,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            one_thread,
        );
    }
}

/// The same at a level below the widest, with the kernels that the crate takes on a machine of that level.
unsafe fn multiply_at(
    level: Level,
    sizes: [usize; 3],
    c: Strided<*mut f32>,
    a: Strided<*const f32>,
    b: Strided<*const f32>,
    accumulate: bool,
) {
    use gemm_common::simd::{MixedSimd, Scalar};
    macro_rules! with {
        ($simd:ty, $kernels:ident, $width:literal) => {{
            use gemm_f32::microkernel::$kernels::f32::*;
            if let Some(simd) = <$simd as MixedSimd<f32, f32, f32, f32>>::try_new() {
                let [m, n, k] = sizes;
                // The kernels want columns of c: the transposes are multiplied where its rows are contiguous.
                let by_rows = c.1.abs() < c.2.abs();
                let flip = |(p, cs, rs): Strided<*const f32>| (p, rs, cs);
                let (m, n, a, b) = if by_rows { (n, m, flip(b), flip(a)) } else { (m, n, a, b) };
                let (c_cs, c_rs) = if by_rows { (c.2, c.1) } else { (c.1, c.2) };
                // SAFETY: as the caller vouches.
                return unsafe {
                    gemm_common::gemm::gemm_basic_generic::<
                        _, f32, $width, { MR_DIV_N * $width }, NR, MR_DIV_N, H_M, H_N,
                    >(
                        simd, m, n, k, c.0, c_cs, c_rs, accumulate, a.0, a.1, a.2, b.0, b.1, b.2, 1.0, 1.0, false, false, false,
                        |a, b, c| a * b + c, &UKR, &H_UKR, false, gemm::Parallelism::None,
                    )
                };
            }
        }};
    }
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx2 {
        with!(gemm_common::simd::V3, fma, 8);
    }
    let _ = level;
    with!(Scalar, scalar, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_at_every_level() {
        // Sizes for the kernels of single rows and columns, of few terms, of small and of large results.
        for [m, n, k] in [[1, 1, 1], [1, 40, 30], [40, 1, 30], [33, 17, 2], [9, 7, 20], [70, 130, 600]] {
            let value = |i: usize| ((i * 7919 % 101) as f32 - 50.0) / 25.0;
            let a: Vec<f32> = (0..m * k).map(value).collect();
            let b: Vec<f32> = (0..k * n).map(|i| value(i + 3)).collect();
            for level in Level::available() {
                let mut c = vec![1f32; m * n];
                let by_rows = |p: &[f32], cols: usize| (p.as_ptr(), 1, cols as isize);
                let to = (c.as_mut_ptr(), 1, n as isize);
                // SAFETY: row-major matrices of these sizes.
                unsafe { multiply_at(level.min(Level::Avx2), [m, n, k], to, by_rows(&a, k), by_rows(&b, n), true) };
                for (i, c) in c.iter().enumerate() {
                    let (row, col) = (i / n, i % n);
                    let terms = (0..k).map(|t| f64::from(a[row * k + t]) * f64::from(b[t * n + col]));
                    let exact = 1.0 + terms.sum::<f64>();
                    assert!((f64::from(*c) - exact).abs() < 1e-3, "{level:?} {m} {n} {k}: {c} {exact}");
                }
            }
        }
    }

    #[test]
    fn long_sums_are_taken_in_parts_of_the_same_size_everywhere() {
        let [m, n, k] = [9, 33, 2 * TERMS + 76];
        let value = |i: usize| ((i * 7919 % 101) as f32 - 50.0) / 25.0;
        let (a, b): (Vec<f32>, Vec<f32>) =
            ((0..m * k).map(value).collect(), (0..k * n).map(|i| value(i + 3)).collect());
        let product = |terms: std::ops::Range<usize>, c: &mut Vec<f32>, accumulate| {
            let sizes = [m, n, terms.len()];
            // SAFETY: row-major matrices of m x k, k x n and m x n elements.
            unsafe {
                let (a, b) = (a.as_ptr().add(terms.start), b.as_ptr().add(terms.start * n));
                let (a, b) = ((a, 1, k as isize), (b, 1, n as isize));
                multiply(sizes, (c.as_mut_ptr(), 1, n as isize), a, b, accumulate);
            }
        };
        let (mut whole, mut parts) = (vec![0.0; m * n], vec![0.0; m * n]);
        product(0..k, &mut whole, false);
        for start in (0..k).step_by(TERMS) {
            product(start..(start + TERMS).min(k), &mut parts, start > 0);
        }
        assert_eq!(whole, parts);
    }

    #[test]
    fn names_of_levels() {
        assert_eq!(Level::pinned(Some("portable")).unwrap(), Level::Portable);
        assert_eq!(Some(Level::pinned(None).unwrap()), Level::available().last().copied());
        let error = Level::pinned(Some("sse9")).unwrap_err().to_string();
        assert!(
            error.starts_with("environment variable LOOKALIKE_SIMD is 'sse9', allowed on this machine: portable"),
            "{error}"
        );
    }
}
