//! How many rows hold each of some values, and which rows: exact, and known of a row without the rows before it.

use lookalike_core::Streams;
use rand::RngCore;

/// Whole numbers that add up to `total` and are as near to its shares as they can be: each share rounded down, and the rows left
/// over go to the largest remainders, of equal ones to the first (Hamilton's method of apportionment). `shares` sum to 1.
pub(super) fn largest_remainder(shares: &[f64], total: u64) -> Vec<u64> {
    let exact: Vec<f64> = shares.iter().map(|s| s * total as f64).collect();
    // A share of .29 of 100 rows is 28.999999999999996 in floating point, and means 29.
    let floor = |x: f64| if (x - x.round()).abs() < 1e-9 * x.max(1.0) { x.round() } else { x.floor() };
    let mut counts: Vec<u64> = exact.iter().map(|&x| floor(x) as u64).collect();
    let mut order: Vec<usize> = (0..shares.len()).filter(|&i| shares[i] > 0.0).collect();
    order.sort_by(|&a, &b| {
        let rest = |i: usize| exact[i] - counts[i] as f64;
        rest(b).total_cmp(&rest(a)).then(a.cmp(&b))
    });
    let mut sum: u64 = counts.iter().sum();
    // Beyond 2^53 rows a product is off by more than a row: whatever it takes, the sum is right.
    while sum < total && !order.is_empty() {
        for &i in &order {
            if sum < total {
                counts[i] += 1;
                sum += 1;
            }
        }
    }
    for count in counts.iter_mut().rev() {
        let cut = (sum - total).min(*count);
        *count -= cut;
        sum -= cut;
    }
    counts
}

/// A random permutation of 0..n in constant memory: a Feistel network over the next power of four, walked until it is back inside
/// (cycle walking: Black & Rogaway 2002, Ciphers with arbitrary finite domains).
#[derive(Debug, Clone)]
pub(super) struct Permutation {
    n: u64,
    half: u32,
    keys: [u64; 8],
}

impl Permutation {
    /// The permutation of 0..n that the streams decide, the `number`-th of them.
    pub fn new(n: u64, streams: &Streams, number: u64) -> Self {
        let mut rng = streams.block(number);
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        Self { n, half: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| rng.next_u64()) }
    }

    /// Where `x`, which is below n, goes.
    pub fn of(&self, mut x: u64) -> u64 {
        loop {
            x = self.round_trip(x);
            if x < self.n {
                return x;
            }
        }
    }

    fn round_trip(&self, x: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let (mut left, mut right) = (x >> self.half, x & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half | right
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Which of some values each row of an output holds.
#[derive(Debug, Clone)]
pub(super) struct Quota {
    /// Rows before those of each value, in the order of the permutation.
    starts: Vec<u64>,
    permutation: Permutation,
}

impl Quota {
    /// `counts` rows of each value.
    pub fn new(counts: &[u64], streams: &Streams, number: u64) -> Self {
        let (mut total, mut starts) = (0, Vec::with_capacity(counts.len()));
        for count in counts {
            starts.push(total);
            total += count;
        }
        Self { starts, permutation: Permutation::new(total, streams, number) }
    }

    /// The value of a row.
    pub fn of(&self, row: u64) -> u32 {
        let place = self.permutation.of(row);
        // The last of those that begin at the place or before it: values without rows begin where the next one does.
        self.starts.partition_point(|&start| start <= place) as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookalike_core::uniform;

    #[test]
    fn remainders_worked_by_hand() {
        // 10 rows at .5, .25, .25: 5, 2.5, 2.5; the one left over goes to the first of the two.
        assert_eq!(largest_remainder(&[0.5, 0.25, 0.25], 10), [5, 3, 2]);
        assert_eq!(largest_remainder(&[0.29, 0.71], 100), [29, 71]);
        assert_eq!(largest_remainder(&[1.0 / 3.0; 3], 1), [1, 0, 0]);
        assert_eq!(largest_remainder(&[0.0, 1.0], 7), [0, 7]);
        assert_eq!(largest_remainder(&[0.5, 0.5], 0), [0, 0]);
        let tenths = largest_remainder(&[0.1; 10], 1_000_000_000_000);
        assert_eq!(tenths, [100_000_000_000; 10]);
    }

    #[test]
    fn random_shares_are_met_row_by_row() {
        let mut rng = Streams::new(1, "test").block(0);
        for n in [1u64, 2, 5, 64, 65, 1000, 10_007] {
            let weights: Vec<f64> = (0..1 + n % 7).map(|_| uniform(&mut rng)).collect();
            let sum: f64 = weights.iter().sum();
            let shares: Vec<f64> = weights.iter().map(|w| w / sum).collect();
            let counts = largest_remainder(&shares, n);
            assert_eq!(counts.iter().sum::<u64>(), n);
            assert!(
                counts.iter().zip(&shares).all(|(c, s)| (*c as f64 - s * n as f64).abs() < 1.0),
                "{counts:?} {shares:?}"
            );
            let quota = Quota::new(&counts, &Streams::new(n, "test"), 3);
            let mut found = vec![0; counts.len()];
            (0..n).for_each(|row| found[quota.of(row) as usize] += 1);
            assert_eq!(found, counts);
        }
    }

    #[test]
    fn permutations_are_whole_and_even() {
        for n in [1u64, 2, 3, 4, 5, 17, 4096, 4097] {
            let permutation = Permutation::new(n, &Streams::new(1, "test"), 0);
            let mut places: Vec<u64> = (0..n).map(|x| permutation.of(x)).collect();
            places.sort_unstable();
            assert!(places.iter().copied().eq(0..n), "{n}");
        }
        // Of 10,000 rows, half are of the first value; of the first 1,000 about half: hypergeometric, sd 15.0 (4.9 of them).
        let quota = |number| Quota::new(&[5000, 5000], &Streams::new(2, "test"), number);
        let (one, two) = (quota(0), quota(1));
        let first = (0..1000).filter(|&row| one.of(row) == 0).count() as f64;
        assert!((first - 500.0).abs() < 4.9 * 15.0, "{first}");
        // Two quotas know nothing of one another: both of the first value in a quarter of the rows, sd 25.
        let both = (0..10_000).filter(|&row| one.of(row) == 0 && two.of(row) == 0).count() as f64;
        assert!((both - 2500.0).abs() < 4.9 * 25.0, "{both}");
        // Far out there is no table.
        assert!(Quota::new(&[1 << 39, 1 << 39], &Streams::new(2, "test"), 0).of((1 << 40) - 1) < 2);
    }
}
