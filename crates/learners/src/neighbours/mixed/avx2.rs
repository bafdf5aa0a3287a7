//! The mixed loop with AVX2: 32 mismatch counters in a register, 8 sums in one.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{ByteLanes, GROUP, Group, LANES, Mixed, NumberLanes};

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_bytes(lanes: &ByteLanes, half: usize) -> __m256i {
    let part = &lanes.0[half * 32..][..32];
    // SAFETY: half of ByteLanes is 32 bytes, aligned to 32.
    unsafe { _mm256_load_si256(part.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_numbers(lanes: &NumberLanes, eighth: usize) -> __m256 {
    let part = &lanes.0[eighth * 8..][..8];
    // SAFETY: an eighth of NumberLanes is 8 numbers, aligned to 32 bytes.
    unsafe { _mm256_load_ps(part.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn scan<const SQUARED: bool>(
    packed: &Mixed<SQUARED>,
    group: &mut Group,
    blocks: Range<usize>,
) -> Option<usize> {
    for block in blocks {
        let mut hit = false;
        for g in 0..GROUP {
            group.hits[g] = 0;
            if group.limits[g] < 0.0 {
                continue;
            }
            let most = _mm256_set1_epi8(group.most[g] as i8);
            let counts = [counts(packed, group, g, block, 0), counts(packed, group, g, block, 1)];
            let open = counts.map(|c| _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(c, most), c)));
            if open == [0, 0] {
                continue;
            }
            let sums = sums(packed, group, g, block, counts);
            let limit = _mm256_set1_ps(group.limits[g]);
            for (eighth, sum) in sums.iter().enumerate() {
                let near = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(*sum, limit)) as u64;
                group.hits[g] |= near << (8 * eighth);
            }
            if group.hits[g] != 0 {
                hit = true;
                for (sum, values) in sums.iter().zip(group.values[g].as_chunks_mut::<8>().0) {
                    // SAFETY: the chunk has room for 8 numbers.
                    unsafe { _mm256_storeu_ps(values.as_mut_ptr(), *sum) };
                }
            }
        }
        if hit {
            return Some(block);
        }
    }
    None
}

/// Mismatches of one query and half of the references of one block.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn counts<const SQUARED: bool>(packed: &Mixed<SQUARED>, group: &Group, g: usize, block: usize, half: usize) -> __m256i {
    let one = _mm256_set1_epi8(1);
    let (narrow, wide) = packed.block_bytes(block);
    let (query_narrow, query_wide) = group.bytes(narrow.len());
    let mut count = _mm256_setzero_si256();
    for (r, q) in narrow.iter().zip(query_narrow) {
        let equal = _mm256_cmpeq_epi8(load_bytes(r, half), _mm256_set1_epi32(q[g] as i32));
        count = _mm256_adds_epu8(count, _mm256_andnot_si256(equal, one));
    }
    for ([low, high], [q_low, q_high]) in wide.iter().zip(query_wide) {
        let equal = _mm256_and_si256(
            _mm256_cmpeq_epi8(load_bytes(low, half), _mm256_set1_epi32(q_low[g] as i32)),
            _mm256_cmpeq_epi8(load_bytes(high, half), _mm256_set1_epi32(q_high[g] as i32)),
        );
        count = _mm256_adds_epu8(count, _mm256_andnot_si256(equal, one));
    }
    count
}

/// Sums of one query and the references of one block, 8 to a register.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sums<const SQUARED: bool>(
    packed: &Mixed<SQUARED>,
    group: &Group,
    g: usize,
    block: usize,
    counts: [__m256i; 2],
) -> [__m256; LANES / 8] {
    let mut bytes = [0u8; LANES];
    for (count, half) in counts.iter().zip(bytes.as_chunks_mut::<32>().0) {
        // SAFETY: the chunk has room for 32 bytes.
        unsafe { _mm256_storeu_si256(half.as_mut_ptr().cast(), *count) };
    }
    let mut sums = [_mm256_setzero_ps(); LANES / 8];
    for (sum, eight) in sums.iter_mut().zip(bytes.as_chunks::<8>().0) {
        let wide = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(*eight)));
        *sum = _mm256_cvtepi32_ps(wide);
    }
    let sign = _mm256_set1_ps(-0.0);
    let (plain, guarded) = packed.block_numbers(block);
    let (query_plain, query_guarded) = group.numbers(plain.len());
    for (r, q) in plain.iter().zip(query_plain) {
        let q = _mm256_set1_ps(q[g]);
        for (eighth, sum) in sums.iter_mut().enumerate() {
            let part = _mm256_sub_ps(q, load_numbers(r, eighth));
            *sum = if SQUARED {
                _mm256_fmadd_ps(part, part, *sum)
            } else {
                _mm256_add_ps(*sum, _mm256_andnot_ps(sign, part))
            };
        }
    }
    let (zero, cap) = (_mm256_setzero_ps(), _mm256_set1_ps(packed.cap));
    for (r, q) in guarded.iter().zip(query_guarded) {
        let q = _mm256_set1_ps(q[g]);
        for (eighth, sum) in sums.iter_mut().enumerate() {
            let part = _mm256_andnot_ps(sign, _mm256_sub_ps(q, load_numbers(r, eighth)));
            // The second operand is the result where the first is NaN.
            let part = _mm256_min_ps(_mm256_max_ps(part, zero), cap);
            *sum = if SQUARED { _mm256_fmadd_ps(part, part, *sum) } else { _mm256_add_ps(*sum, part) };
        }
    }
    sums
}
