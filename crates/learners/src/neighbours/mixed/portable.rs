//! The mixed loop in plain Rust, written so that compilers can vectorise it.

use std::ops::Range;

use super::{GROUP, Group, LANES, Mixed};

pub(super) fn scan<const SQUARED: bool>(
    packed: &Mixed<SQUARED>,
    group: &mut Group,
    blocks: Range<usize>,
) -> Option<usize> {
    for block in blocks {
        let mut hit = false;
        for g in 0..GROUP {
            group.hits[g] = scan_one(packed, group, g, block);
            hit |= group.hits[g] != 0;
        }
        if hit {
            return Some(block);
        }
    }
    None
}

fn scan_one<const SQUARED: bool>(packed: &Mixed<SQUARED>, group: &mut Group, g: usize, block: usize) -> u64 {
    if group.limits[g] < 0.0 {
        return 0;
    }
    let mut counts = [0u8; LANES];
    let (narrow, wide) = packed.block_bytes(block);
    let (query_narrow, query_wide) = group.bytes(narrow.len());
    for (r, q) in narrow.iter().zip(query_narrow) {
        let q = q[g] as u8;
        counts.iter_mut().zip(&r.0).for_each(|(count, &r)| *count = count.saturating_add(u8::from(r != q)));
    }
    for ([low, high], [q_low, q_high]) in wide.iter().zip(query_wide) {
        let (q_low, q_high) = (q_low[g] as u8, q_high[g] as u8);
        for ((count, &l), &h) in counts.iter_mut().zip(&low.0).zip(&high.0) {
            *count = count.saturating_add(u8::from((l != q_low) | (h != q_high)));
        }
    }
    if counts.iter().all(|&count| count > group.most[g]) {
        return 0;
    }
    let mut sums = counts.map(f32::from);
    let (plain, guarded) = packed.block_numbers(block);
    let (query_plain, query_guarded) = group.numbers(plain.len());
    for (r, q) in plain.iter().zip(query_plain) {
        let q = q[g];
        for (sum, &r) in sums.iter_mut().zip(&r.0) {
            let part = (q - r).abs();
            *sum += if SQUARED { part * part } else { part };
        }
    }
    for (r, q) in guarded.iter().zip(query_guarded) {
        let q = q[g];
        for (sum, &r) in sums.iter_mut().zip(&r.0) {
            // The larger of NaN and 0 is 0.
            let part = (q - r).abs().max(0.0).min(packed.cap);
            *sum += if SQUARED { part * part } else { part };
        }
    }
    group.values[g] = sums;
    let limit = group.limits[g];
    sums.iter().enumerate().fold(0, |hits, (lane, &sum)| hits | (u64::from(sum <= limit) << lane))
}
