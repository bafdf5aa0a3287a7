//! Numbering the different combinations of nodes.

use hashbrown::HashTable;

/// A column of the combinations to be numbered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digit<'a> {
    /// Value of every row of the table of combinations.
    pub values: &'a [u32],
    /// Node of each value.
    pub node_of: &'a [u32],
    /// Number of nodes.
    pub nodes: usize,
}

/// Groups of equal combinations; its buffers are used again.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// Group of each element, numbered in the order of the first occurrence.
    pub group_of: Vec<u32>,
    /// First element of each group.
    pub firsts: Vec<u32>,
    keys: Vec<u64>,
    slots: Vec<u32>,
    table: HashTable<(u64, u32)>,
}

/// No group has this number.
const FREE: u32 = u32::MAX;

impl Numbering {
    /// Numbers elements, each given as its row in the columns.
    ///
    /// A combination is a number of mixed radix in 64 bits; where all columns do not fit, groups of the first ones
    /// become a digit of the next round. At most 2^32 groups and 2^32 nodes a column always leave room for one column
    /// a round.
    pub fn run(&mut self, rows: &[u32], digits: &[Digit<'_>]) {
        self.keys.clear();
        self.keys.resize(rows.len(), 0);
        let (mut range, mut next) = (1u64, 0);
        loop {
            while let Some(digit) = digits.get(next) {
                let Some(wider) = range.checked_mul(digit.nodes as u64) else { break };
                if digit.nodes > 1 {
                    for (key, &row) in self.keys.iter_mut().zip(rows) {
                        *key += range * u64::from(digit.node_of[digit.values[row as usize] as usize]);
                    }
                }
                (range, next) = (wider, next + 1);
            }
            self.number(range);
            if next == digits.len() {
                return;
            }
            self.keys.iter_mut().zip(&self.group_of).for_each(|(key, group)| *key = u64::from(*group));
            range = self.firsts.len() as u64;
        }
    }

    /// Numbers the keys, all below `range`.
    fn number(&mut self, range: u64) {
        let Self { group_of, firsts, keys, slots, table } = self;
        group_of.clear();
        firsts.clear();
        // A table of all keys is faster than hashing unless it is much larger than the keys that occur.
        if range <= 4 * keys.len().max(256) as u64 {
            slots.clear();
            slots.resize(range as usize, FREE);
            for (place, &key) in (0..).zip(keys.iter()) {
                let slot = &mut slots[key as usize];
                if *slot == FREE {
                    *slot = firsts.len() as u32;
                    firsts.push(place);
                }
                group_of.push(*slot);
            }
            return;
        }
        table.clear();
        for (place, &key) in (0..).zip(keys.iter()) {
            let next = firsts.len() as u32;
            let entry = table.entry(hash(key), |e| e.0 == key, |e| hash(e.0)).or_insert((key, next));
            let group = entry.get().1;
            if group == next {
                firsts.push(place);
            }
            group_of.push(group);
        }
    }

    /// Bytes on the heap for so many elements, at its largest.
    pub fn bytes(elements: usize) -> usize {
        elements * (4 + 4 + 8 + 16 + 2 * 17)
    }
}

/// Both halves of a product by an odd number mixed, so that all bits of the key reach all bits of the hash.
fn hash(key: u64) -> u64 {
    let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (product >> 64) as u64 ^ product as u64
}
