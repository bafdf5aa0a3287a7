//! The mixed loop with AVX-512: 64 mismatch counters in one register, 16 sums in one.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{ByteLanes, GROUP, Group, LANES, Mixed, NumberLanes};

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_bytes(lanes: &ByteLanes) -> __m512i {
    // SAFETY: ByteLanes are 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(lanes.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_numbers(lanes: &NumberLanes, quarter: usize) -> __m512 {
    let part = &lanes.0[quarter * 16..][..16];
    // SAFETY: a quarter of NumberLanes is 16 numbers, aligned to 64 bytes.
    unsafe { _mm512_load_ps(part.as_ptr()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn scan<const SQUARED: bool>(
    packed: &Mixed<SQUARED>,
    group: &mut Group,
    blocks: Range<usize>,
) -> Option<usize> {
    let one = _mm512_set1_epi8(1);
    for block in blocks {
        let mut counts = [_mm512_setzero_si512(); GROUP];
        let (narrow, wide) = packed.block_bytes(block);
        let (query_narrow, query_wide) = group.bytes(narrow.len());
        for (r, q) in narrow.iter().zip(query_narrow) {
            let r = load_bytes(r);
            for (count, &q) in counts.iter_mut().zip(q) {
                let unequal = _mm512_cmpneq_epi8_mask(r, _mm512_set1_epi32(q as i32));
                *count = _mm512_mask_adds_epu8(*count, unequal, *count, one);
            }
        }
        for ([low, high], [q_low, q_high]) in wide.iter().zip(query_wide) {
            let (low, high) = (load_bytes(low), load_bytes(high));
            for ((count, &q_low), &q_high) in counts.iter_mut().zip(q_low).zip(q_high) {
                let unequal = _mm512_cmpneq_epi8_mask(low, _mm512_set1_epi32(q_low as i32))
                    | _mm512_cmpneq_epi8_mask(high, _mm512_set1_epi32(q_high as i32));
                *count = _mm512_mask_adds_epu8(*count, unequal, *count, one);
            }
        }
        let mut open = [0u64; GROUP];
        for ((open, count), &most) in open.iter_mut().zip(&counts).zip(&group.most) {
            *open = _mm512_cmple_epu8_mask(*count, _mm512_set1_epi8(most as i8));
        }
        if open == [0; GROUP] {
            continue;
        }
        let mut hit = false;
        for g in 0..GROUP {
            group.hits[g] = 0;
            if open[g] == 0 || group.limits[g] < 0.0 {
                continue;
            }
            let sums = sums(packed, group, g, block, counts[g]);
            let limit = _mm512_set1_ps(group.limits[g]);
            for (quarter, sum) in sums.iter().enumerate() {
                let near = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(*sum, limit);
                group.hits[g] |= u64::from(near) << (16 * quarter);
            }
            if group.hits[g] != 0 {
                hit = true;
                for (sum, values) in sums.iter().zip(group.values[g].as_chunks_mut::<16>().0) {
                    // SAFETY: the chunk has room for 16 numbers.
                    unsafe { _mm512_storeu_ps(values.as_mut_ptr(), *sum) };
                }
            }
        }
        if hit {
            return Some(block);
        }
    }
    None
}

/// Sums of one query and the references of one block, 16 to a register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn sums<const SQUARED: bool>(
    packed: &Mixed<SQUARED>,
    group: &Group,
    g: usize,
    block: usize,
    counts: __m512i,
) -> [__m512; LANES / 16] {
    let widen = |bytes| _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
    let mut sums = [
        widen(_mm512_castsi512_si128(counts)),
        widen(_mm512_extracti32x4_epi32::<1>(counts)),
        widen(_mm512_extracti32x4_epi32::<2>(counts)),
        widen(_mm512_extracti32x4_epi32::<3>(counts)),
    ];
    let (plain, guarded) = packed.block_numbers(block);
    let (query_plain, query_guarded) = group.numbers(plain.len());
    for (r, q) in plain.iter().zip(query_plain) {
        let q = _mm512_set1_ps(q[g]);
        for (quarter, sum) in sums.iter_mut().enumerate() {
            let part = _mm512_sub_ps(q, load_numbers(r, quarter));
            *sum = if SQUARED { _mm512_fmadd_ps(part, part, *sum) } else { _mm512_add_ps(*sum, _mm512_abs_ps(part)) };
        }
    }
    let (zero, cap) = (_mm512_setzero_ps(), _mm512_set1_ps(packed.cap));
    for (r, q) in guarded.iter().zip(query_guarded) {
        let q = _mm512_set1_ps(q[g]);
        for (quarter, sum) in sums.iter_mut().enumerate() {
            let part = _mm512_abs_ps(_mm512_sub_ps(q, load_numbers(r, quarter)));
            // The second operand is the result where the first is NaN.
            let part = _mm512_min_ps(_mm512_max_ps(part, zero), cap);
            *sum = if SQUARED { _mm512_fmadd_ps(part, part, *sum) } else { _mm512_add_ps(*sum, part) };
        }
    }
    sums
}
