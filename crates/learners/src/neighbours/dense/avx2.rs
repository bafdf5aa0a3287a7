//! The dense loop with AVX2: 2 queries x 32 references in 8 accumulators, six times a panel.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{Dense, GROUP, Group, LANES, Lanes};

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(lanes: &Lanes) -> [__m256; LANES / 8] {
    let mut all = [_mm256_setzero_ps(); LANES / 8];
    for (register, part) in all.iter_mut().zip(lanes.0.as_chunks::<8>().0) {
        // SAFETY: a part is 8 numbers.
        *register = unsafe { _mm256_loadu_ps(part.as_ptr()) };
    }
    all
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn scan(packed: &Dense, group: &mut Group, panels: Range<usize>) -> Option<usize> {
    for panel in panels {
        let (first, rest) = packed.panel(panel).split_first()?;
        let mut any = 0;
        for pair in (0..GROUP).step_by(2) {
            let mut scores = [load(first); 2];
            for (y, x) in rest.iter().zip(&group.numbers) {
                let y = load(y);
                for (score, &x) in scores.iter_mut().zip(&x[pair..pair + 2]) {
                    let x = _mm256_set1_ps(x);
                    for (score, y) in score.iter_mut().zip(y) {
                        *score = _mm256_fmadd_ps(x, y, *score);
                    }
                }
            }
            for (g, score) in (pair..).zip(scores) {
                let limit = _mm256_set1_ps(group.limits[g]);
                let mut hits = 0u32;
                for (eighth, score) in score.iter().enumerate() {
                    let near = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(*score, limit)) as u32;
                    hits |= near << (8 * eighth);
                }
                group.hits[g] = hits;
                any |= hits;
                for (score, part) in score.iter().zip(group.values[g].0.as_chunks_mut::<8>().0) {
                    // SAFETY: a part has room for 8 numbers.
                    unsafe { _mm256_storeu_ps(part.as_mut_ptr(), *score) };
                }
            }
        }
        if any != 0 {
            return Some(panel);
        }
    }
    None
}
