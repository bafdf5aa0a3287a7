//! The dense loop in plain Rust, written so that compilers can vectorise it.

use std::ops::Range;

use super::{Dense, GROUP, Group, LANES};

pub(super) fn scan(packed: &Dense, group: &mut Group, panels: Range<usize>) -> Option<usize> {
    for panel in panels {
        let (first, rest) = packed.panel(panel).split_first()?;
        let mut hit = false;
        for g in 0..GROUP {
            let mut scores = first.0;
            for (y, x) in rest.iter().zip(&group.numbers) {
                let x = x[g];
                scores.iter_mut().zip(&y.0).for_each(|(score, y)| *score += x * y);
            }
            let limit = group.limits[g];
            let near = |hits, (lane, &score): (usize, &f32)| hits | (u32::from(score >= limit) << lane);
            group.hits[g] = scores[..LANES].iter().enumerate().fold(0, near);
            group.values[g].0 = scores;
            hit |= group.hits[g] != 0;
        }
        if hit {
            return Some(panel);
        }
    }
    None
}
