//! The dense loop with AVX-512: 12 queries x 32 references in 24 accumulators.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{Dense, GROUP, Group, Lanes};

#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &Lanes) -> [__m512; 2] {
    // SAFETY: Lanes are 32 numbers, aligned to 64 bytes.
    unsafe { [_mm512_load_ps(lanes.0.as_ptr()), _mm512_load_ps(lanes.0.as_ptr().add(16))] }
}

#[target_feature(enable = "avx512f")]
pub(super) fn scan(packed: &Dense, group: &mut Group, panels: Range<usize>) -> Option<usize> {
    for panel in panels {
        let (first, rest) = packed.panel(panel).split_first()?;
        let mut scores = [load(first); GROUP];
        for (y, x) in rest.iter().zip(&group.numbers) {
            let [low, high] = load(y);
            for (score, &x) in scores.iter_mut().zip(x) {
                let x = _mm512_set1_ps(x);
                score[0] = _mm512_fmadd_ps(x, low, score[0]);
                score[1] = _mm512_fmadd_ps(x, high, score[1]);
            }
        }
        let mut any = 0;
        for ((score, hits), &limit) in scores.iter().zip(&mut group.hits).zip(&group.limits) {
            let limit = _mm512_set1_ps(limit);
            let near = score.map(|s| _mm512_cmp_ps_mask::<_CMP_GE_OQ>(s, limit));
            *hits = u32::from(near[0]) | (u32::from(near[1]) << 16);
            any |= *hits;
        }
        if any != 0 {
            for (score, values) in scores.iter().zip(&mut group.values) {
                // SAFETY: Lanes have room for 32 numbers.
                unsafe {
                    _mm512_storeu_ps(values.0.as_mut_ptr(), score[0]);
                    _mm512_storeu_ps(values.0.as_mut_ptr().add(16), score[1]);
                }
            }
            return Some(panel);
        }
    }
    None
}
