//! How sensitive values are spread within a class, and how far that is from the whole table.
//!
//! A class is given as [`Counts`]: how many persons hold each value, by ascending code, without zeros. A person with
//! several values counts once for each of them. Sums run in the order of the codes, so that equal classes give equal
//! bits.

use crate::Hierarchy;

/// Persons holding each value of a class, by ascending code; no count is 0.
pub type Counts<'a> = &'a [(u32, u64)];

/// What rounding may add to a figure before it is compared with a limit: a t of 0.2 admits a distance that is 0.2 but
/// for its last bits.
pub const TOLERANCE: f64 = 1e-9;

fn total(counts: Counts) -> f64 {
    counts.iter().map(|c| c.1).sum::<u64>() as f64
}

/// Effective number of values, `exp(H)` of the entropy H (Machanavajjhala et al. 2007, definition 4.1): entropy
/// l-diversity asks for at least l. 0 for an empty class. A number that is whole but for its last bits is given as whole,
/// so that a class of l equally frequent values reaches l.
pub fn entropy(counts: Counts) -> f64 {
    let all = total(counts);
    if all == 0.0 {
        return 0.0;
    }
    let number = counts.iter().map(|c| c.1 as f64).map(|n| n / all * (all / n).ln()).sum::<f64>().exp();
    if (number - number.round()).abs() <= TOLERANCE { number.round() } else { number }
}

/// `r_1 / (r_l + ... + r_m)` with r_1 the largest count: recursive (c, l)-diversity asks for less than c
/// (Machanavajjhala et al. 2007, definition 4.2). Infinite where there are fewer than l values.
pub fn recursive(counts: Counts, l: usize) -> f64 {
    let mut sizes: Vec<u64> = counts.iter().map(|c| c.1).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let rest: u64 = sizes.iter().skip(l.saturating_sub(1)).sum();
    match (sizes.first(), rest) {
        (None, _) | (_, 0) => f64::INFINITY,
        (Some(&first), rest) => first as f64 / rest as f64,
    }
}

/// Share of the most frequent value among `persons`: (alpha, k)-anonymity asks for at most alpha (Wong et al. 2006).
/// 0 for an empty class.
pub fn largest_share(counts: Counts, persons: u64) -> f64 {
    let largest = counts.iter().map(|c| c.1).max().unwrap_or(0);
    if largest == 0 { 0.0 } else { largest as f64 / persons as f64 }
}

/// The values of a sensitive column in the whole table: what classes are compared with.
#[derive(Debug, Clone)]
pub struct Whole {
    shares: Vec<f64>,
    /// Shares of codes below: one entry more than codes.
    below: Vec<f64>,
    /// Running sums of `below[1..]`.
    areas: Vec<f64>,
}

impl Whole {
    /// From the persons that hold each code, zeros included.
    pub fn new(counts: &[u64]) -> Self {
        let all = counts.iter().sum::<u64>().max(1) as f64;
        let shares = counts.iter().map(|&n| n as f64 / all).collect();
        // From whole numbers, so that no rounding adds up over the codes.
        let running = |sum: &mut u64, n: &u64| {
            *sum += n;
            Some(*sum as f64 / all)
        };
        let below: Vec<f64> = std::iter::once(0.0).chain(counts.iter().scan(0, running)).collect();
        let mut areas = vec![0.0];
        let mut area = 0.0;
        for share in &below[1..] {
            area += share;
            areas.push(area);
        }
        Self { shares, below, areas }
    }

    /// Number of codes.
    pub fn len(&self) -> usize {
        self.shares.len()
    }

    /// Whether there is no code.
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Share of a code in the whole table.
    pub fn share(&self, code: u32) -> f64 {
        self.shares[code as usize]
    }

    /// Earth mover's distance with all values equally far apart, half the sum of `|q - p|`, 0 to 1 (Li, Li &
    /// Venkatasubramanian 2007, section 3.2).
    pub fn equal_distance(&self, counts: Counts) -> f64 {
        let all = total(counts);
        if all == 0.0 {
            return 0.0;
        }
        // What the class has too much of is what it has too little of elsewhere.
        counts.iter().map(|&(code, n)| (n as f64 / all - self.share(code)).max(0.0)).sum()
    }

    /// Earth mover's distance with values in the order of their codes, neighbours `1 / (m - 1)` apart, 0 to 1 (ibid.,
    /// section 3.1).
    pub fn ordered_distance(&self, counts: Counts) -> f64 {
        let all = total(counts);
        if all == 0.0 || self.len() < 2 {
            return 0.0;
        }
        let (mut sum, mut seen, mut from) = (0.0, 0, 0);
        for &(code, n) in counts {
            sum += self.gap(from, code as usize, seen as f64 / all);
            seen += n;
            from = code as usize;
        }
        sum += self.gap(from, self.len(), 1.0);
        sum / (self.len() - 1) as f64
    }

    /// Sum of `|level - below[i + 1]|` over the codes i of a stretch: shares below rise, so that the terms change
    /// their sign once.
    fn gap(&self, from: usize, to: usize, level: f64) -> f64 {
        let turn = from + self.below[from + 1..=to].partition_point(|b| *b <= level);
        let lower = level * (turn - from) as f64 - (self.areas[turn] - self.areas[from]);
        let upper = (self.areas[to] - self.areas[turn]) - level * (to - turn) as f64;
        // Differences of running sums: a distance of nothing must not come out below 0.
        lower.max(0.0) + upper.max(0.0)
    }

    /// Earth mover's distance where moving between two values costs the height of their lowest common node over the
    /// height of the tree, 0 to 1 (ibid., section 3.2). Codes are the leaves of the hierarchy; codes beyond them
    /// (missing values) hang below the root.
    pub fn hierarchical_distance(&self, counts: Counts, hierarchy: &Hierarchy) -> f64 {
        let all = total(counts);
        let height = hierarchy.height();
        if all == 0.0 || height == 0 {
            return 0.0;
        }
        let mut excess: Vec<f64> = self.shares.iter().map(|p| -p).collect();
        counts.iter().for_each(|&(code, n)| excess[code as usize] += n as f64 / all);
        let leaves = hierarchy.leaf_count() as usize;
        let (outside, mut nodes) = (excess.split_off(leaves.min(excess.len())), excess);
        let mut sum = 0.0;
        for level in 1..=height {
            let parents = hierarchy.parents(level);
            let count = hierarchy.node_count(level);
            let (mut over, mut under) = (vec![0.0; count], vec![0.0; count]);
            let mut add = |parent: u32, excess: f64| {
                if excess > 0.0 {
                    over[parent as usize] += excess;
                } else {
                    under[parent as usize] -= excess;
                }
            };
            nodes.iter().zip(parents).for_each(|(&excess, parent)| add(parent, excess));
            if level == height {
                outside.iter().for_each(|&excess| add(0, excess));
            }
            let moved: f64 = over.iter().zip(&under).map(|(o, u)| o.min(*u)).sum();
            sum += moved * level as f64 / height as f64;
            nodes = over.iter().zip(&under).map(|(o, u)| o - u).collect();
        }
        sum
    }

    /// Largest `|ln(q / p)|` over the values of the class: delta-disclosure privacy asks for less than delta (Brickell &
    /// Shmatikov 2008). Values that the class does not have are not counted.
    pub fn disclosure(&self, counts: Counts) -> f64 {
        let all = total(counts);
        counts.iter().map(|&(code, n)| (n as f64 / all / self.share(code)).ln().abs()).fold(0.0, f64::max)
    }

    /// Largest gain `(q - p) / p` over the values of the class: basic beta-likeness asks for at most beta (Cao & Karras
    /// 2012, definition 2).
    pub fn gain(&self, counts: Counts) -> f64 {
        let all = total(counts);
        counts.iter().map(|&(code, n)| (n as f64 / all / self.share(code)) - 1.0).fold(0.0, f64::max)
    }

    /// Whether every gain is at most `min(beta, -ln p)`: enhanced beta-likeness (ibid., definition 3).
    pub fn gains_within(&self, counts: Counts, beta: f64) -> bool {
        let all = total(counts);
        counts.iter().all(|&(code, n)| {
            let p = self.share(code);
            (n as f64 / all) / p - 1.0 <= beta.min(-p.ln()) + TOLERANCE
        })
    }
}

#[cfg(test)]
mod tests;
