//! The standard normal distribution: quantiles, tails, and a fast stream of draws.

use lookalike_core::Stream;
use rand::RngCore;

/// Quantile of the standard normal at `p` in (0, 1), to about 16 digits: algorithm AS 241, PPND16 (Wichura 1988).
/// 0 gives minus infinity, 1 infinity.
pub(crate) fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * ratio(
            r,
            [
                2.509_080_928_730_122_7e3,
                3.343_057_558_358_813e4,
                6.726_577_092_700_87e4,
                4.592_195_393_154_987e4,
                1.373_169_376_550_946e4,
                1.971_590_950_306_551_3e3,
                1.331_416_678_917_843_8e2,
                3.387_132_872_796_366_5,
            ],
            [
                5.226_495_278_852_545e3,
                2.872_908_573_572_194_3e4,
                3.930_789_580_009_271e4,
                2.121_379_430_158_659_7e4,
                5.394_196_021_424_751e3,
                6.871_870_074_920_579e2,
                4.231_333_070_160_091e1,
                1.0,
            ],
        );
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail <= 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = libm::sqrt(-libm::log(tail));
    let z = if r <= 5.0 {
        ratio(
            r - 1.6,
            [
                7.745_450_142_783_414e-4,
                2.272_384_498_926_918_4e-2,
                2.417_807_251_774_506e-1,
                1.270_458_252_452_368_4,
                3.647_848_324_763_204_5,
                5.769_497_221_460_691,
                4.630_337_846_156_546,
                1.423_437_110_749_683_5,
            ],
            [
                1.050_750_071_644_416_9e-9,
                5.475_938_084_995_345e-4,
                1.519_866_656_361_645_7e-2,
                1.481_039_764_274_800_8e-1,
                6.897_673_349_851e-1,
                1.676_384_830_183_803_8,
                2.053_191_626_637_759,
                1.0,
            ],
        )
    } else {
        ratio(
            r - 5.0,
            [
                2.010_334_399_292_288_1e-7,
                2.711_555_568_743_487_6e-5,
                1.242_660_947_388_078_4e-3,
                2.653_218_952_657_612_4e-2,
                2.965_605_718_285_048_7e-1,
                1.784_826_539_917_291_3,
                5.463_784_911_164_114,
                6.657_904_643_501_103,
            ],
            [
                2.044_263_103_389_939_8e-15,
                1.421_511_758_316_446e-7,
                1.846_318_317_510_054_8e-5,
                7.868_691_311_456_133e-4,
                1.487_536_129_085_061_5e-2,
                1.369_298_809_227_358e-1,
                5.998_322_065_558_88e-1,
                1.0,
            ],
        )
    };
    z.copysign(q)
}

/// Quotient of two polynomials in `r`, coefficients from the highest power down.
fn ratio(r: f64, over: [f64; 8], under: [f64; 8]) -> f64 {
    let horner = |c: [f64; 8]| c.into_iter().fold(0.0, |sum, c| sum * r + c);
    horner(over) / horner(under)
}

/// Density of the standard normal; 0 at either infinity.
pub(crate) fn density(z: f64) -> f64 {
    libm::exp(-0.5 * z * z) * 0.398_942_280_401_432_7
}

/// Probability that a standard normal is below `z`.
pub(crate) fn cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Bits of a draw that choose an entry of the table.
const INDEX_BITS: u32 = 12;
/// Entries at either end where a straight line misses the quantile: those draws are computed exactly.
const TAIL: u32 = 16;

/// Draws standard normals by inversion: quantiles tabled at 4,096 steps with straight lines between (error below 2e-4),
/// AS 241 in the tails. 32 random bits a draw, so the largest is about 6.3.
pub(crate) struct Normals {
    lines: Box<[[f32; 2]]>,
}

impl Normals {
    /// Computes the table.
    pub fn new() -> Self {
        let steps = 1u32 << INDEX_BITS;
        let at = |i: u32| quantile(f64::from(i) / f64::from(steps));
        let lines = (0..steps).map(|i| [at(i) as f32, (at(i + 1) - at(i)) as f32]).collect();
        Self { lines }
    }

    /// Fills `out` with independent standard normals.
    pub fn fill(&self, out: &mut [f32], rng: &mut Stream) {
        let lines: &Lines = (&*self.lines).try_into().expect("the table has 2^12 entries by construction");
        let (mut bytes, mut random) = ([0u8; 4 * DRAWS], [0u32; DRAWS]);
        for chunk in out.chunks_mut(DRAWS) {
            let bytes = &mut bytes[..chunk.len() * 4];
            rng.fill_bytes(bytes);
            random.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(x, b)| *x = u32::from_le_bytes(*b));
            let random = &random[..chunk.len()];
            read_lines(lines, random, chunk);
            for (z, &x) in chunk.iter_mut().zip(random) {
                if (x >> FRACTION_BITS).wrapping_sub(TAIL) >= (1 << INDEX_BITS) - 2 * TAIL {
                    *z = quantile((f64::from(x) + 0.5) / 4_294_967_296.0) as f32;
                }
            }
        }
    }
}

/// Draws at a time.
const DRAWS: usize = 256;
/// Bits of a draw that choose the place on the line.
const FRACTION_BITS: u32 = 32 - INDEX_BITS;

type Lines = [[f32; 2]; 1 << INDEX_BITS];

/// The line's value at each draw. Vector units do the same multiplications and additions (no fused ones): the same bits.
fn read_lines(lines: &Lines, random: &[u32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512F, as just asked.
            return unsafe { read_lines_avx512(lines, random, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as just asked.
            return unsafe { read_lines_avx2(lines, random, out) };
        }
    }
    read_lines_each(lines, random, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn read_lines_avx512(lines: &Lines, random: &[u32], out: &mut [f32]) {
    read_lines_each(lines, random, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn read_lines_avx2(lines: &Lines, random: &[u32], out: &mut [f32]) {
    read_lines_each(lines, random, out);
}

#[inline(always)]
fn read_lines_each(lines: &Lines, random: &[u32], out: &mut [f32]) {
    for (z, &x) in out.iter_mut().zip(random) {
        let [base, rise] = lines[(x >> FRACTION_BITS) as usize];
        let fraction = (x & ((1 << FRACTION_BITS) - 1)) as i32 as f32;
        *z = base + rise * (fraction * (1.0 / (1u32 << FRACTION_BITS) as f32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookalike_core::Streams;

    #[test]
    fn quantiles_agree_with_scipy() {
        // scipy.stats.norm.ppf and .pdf; tests/golden/make/models_normal.py
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/golden/models_normal.json")).unwrap();
        let list = |name: &str| -> Vec<f64> {
            golden[name].as_array().unwrap().iter().map(|v| v.as_str().unwrap().parse().unwrap()).collect()
        };
        let (p, z, density_at_z) = (list("p"), list("quantile"), list("density"));
        assert!(p.len() > 30);
        for i in 0..p.len() {
            let ours = quantile(p[i]);
            assert!((ours - z[i]).abs() <= 1e-13 * z[i].abs().max(0.01), "{} {ours} {}", p[i], z[i]);
            assert!((cumulative(z[i]) - p[i]).abs() <= 1e-11 * p[i], "{}", p[i]);
            assert!((density(z[i]) - density_at_z[i]).abs() <= 1e-12 * density_at_z[i].max(1e-300), "{}", z[i]);
        }
        assert_eq!((quantile(0.0), quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn every_path_gives_the_same_bits() {
        let normals = Normals::new();
        let lines: &Lines = (&*normals.lines).try_into().unwrap();
        let random: Vec<u32> = (0..1000u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        let (mut plain, mut fast) = (vec![0f32; 1000], vec![0f32; 1000]);
        read_lines_each(lines, &random, &mut plain);
        read_lines(lines, &random, &mut fast);
        assert_eq!(
            plain.iter().map(|z| z.to_bits()).collect::<Vec<_>>(),
            fast.iter().map(|z| z.to_bits()).collect::<Vec<_>>()
        );
        // The line against the quantile itself, away from the tails.
        let x = 0x4321_0000u32;
        let mut z = [0f32];
        read_lines(lines, &[x], &mut z);
        assert!((f64::from(z[0]) - quantile(f64::from(x) / 4_294_967_296.0)).abs() < 1e-6);
    }

    #[test]
    fn draws_follow_the_normal() {
        // Kolmogorov-Smirnov: P(sqrt(n) D > x) ~ 2 exp(-2 x^2) is below 1e-6 at x = 2.69.
        let n = 200_000;
        let mut draws = vec![0f32; n];
        Normals::new().fill(&mut draws, &mut Streams::new(11, "test").block(0));
        draws.sort_unstable_by(f32::total_cmp);
        let cdf = |z: f32| cumulative(f64::from(z));
        let distance = draws
            .iter()
            .enumerate()
            .map(|(i, &z)| (cdf(z) - i as f64 / n as f64).abs().max((cdf(z) - (i + 1) as f64 / n as f64).abs()))
            .fold(0.0, f64::max);
        assert!(distance * (n as f64).sqrt() < 2.69, "{distance}");
    }
}
