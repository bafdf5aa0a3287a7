//! Levels that two columns need of each other.

use lookalike_core::Result;
use rayon::prelude::*;

use super::search::Clock;
use crate::full_domain::{FullDomain, Scratch, Test};

/// For every level of a column the lowest level of each other that fits with it, all further columns at their top: no
/// transformation with a lower one fits.
#[derive(Debug)]
pub(super) struct Pairs {
    /// By column, its level and the other column; above the height where none fits.
    lowest: Vec<Vec<Vec<usize>>>,
}

impl Pairs {
    /// Looks at all pairs; those that the clock leaves no time for are taken to fit.
    pub fn new(domain: &FullDomain<'_>, test: Test, clock: &Clock<'_>) -> Result<Self> {
        let columns = domain.columns();
        let pairs: Vec<(usize, usize)> = (0..columns).flat_map(|a| (a + 1..columns).map(move |b| (a, b))).collect();
        let stairs: Vec<Vec<usize>> = pairs
            .par_iter()
            .with_max_len(1)
            .map_init(Scratch::default, |scratch, &(a, b)| stairs(domain, a, b, test, clock, scratch))
            .collect::<Result<_>>()?;
        let mut lowest: Vec<Vec<Vec<usize>>> =
            (0..columns).map(|c| vec![vec![0; columns]; domain.height(c) + 1]).collect();
        for (&(a, b), stairs) in pairs.iter().zip(&stairs) {
            for (level, &needed) in stairs.iter().enumerate() {
                lowest[a][level][b] = needed;
            }
            for (level, needed_by_b) in lowest[b].iter_mut().enumerate() {
                needed_by_b[a] = stairs.iter().position(|&needed| needed <= level).unwrap_or(stairs.len());
            }
        }
        Ok(Self { lowest })
    }

    /// Raises levels to what a level of one column needs; false when that cannot be.
    pub fn raise(&self, domain: &FullDomain<'_>, column: usize, level: usize, levels: &mut [usize]) -> bool {
        let needed = &self.lowest[column][level];
        for (c, (level, &needed)) in levels.iter_mut().zip(needed).enumerate() {
            *level = needed.max(*level);
            if *level > domain.height(c) {
                return false;
            }
        }
        true
    }
}

/// For every level of a column the lowest level of another one that fits with it. The higher the one, the lower the
/// other.
fn stairs(
    domain: &FullDomain<'_>,
    a: usize,
    b: usize,
    test: Test,
    clock: &Clock<'_>,
    scratch: &mut Scratch,
) -> Result<Vec<usize>> {
    let mut levels = domain.top();
    let mut stairs = vec![0; domain.height(a) + 1];
    if !clock.go_on()? {
        return Ok(stairs);
    }
    let both = domain.project(&domain.all, &[a, b], scratch);
    let mut needed = 0;
    for level in (0..=domain.height(a)).rev() {
        levels[a] = level;
        while needed <= domain.height(b) && clock.go_on()? {
            levels[b] = needed;
            clock.checked();
            if domain.look(&both, &levels, test, scratch)?.is_some() {
                break;
            }
            needed += 1;
        }
        stairs[level] = needed;
    }
    Ok(stairs)
}
