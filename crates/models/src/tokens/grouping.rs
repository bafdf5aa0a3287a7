//! Members (pieces of a number, categories) that share tokens.

use lookalike_core::Result;

use crate::alias::Alias;
use crate::codec::{Reader, Writer, ensure};

/// The token of a member without rows.
pub(crate) const NONE: u32 = u32::MAX;

/// More rows than any table has; saved counts above it are damage.
pub(super) const MOST_ROWS: u64 = 1 << 48;

/// Which members share a token, and how often each comes up within it.
#[derive(Debug)]
pub(crate) struct Grouping {
    token_of: Vec<u32>,
    /// Rows of each token.
    count: Vec<u64>,
    /// Members of token t: `members[start[t]..start[t + 1]]`.
    start: Vec<u32>,
    members: Vec<u32>,
    /// For tokens of several members.
    draws: Vec<Option<Alias>>,
}

impl Grouping {
    /// From the token of each member ([`NONE`] exactly for those without rows) and its rows. Tokens are numbered without
    /// gaps; a data error otherwise.
    pub fn new(token_of: Vec<u32>, rows: &[u64]) -> Result<Self> {
        ensure(token_of.len() == rows.len() && rows.iter().all(|&r| r <= MOST_ROWS))?;
        ensure(token_of.iter().zip(rows).all(|(&t, &r)| (t == NONE) == (r == 0)))?;
        let used = token_of.iter().filter(|&&t| t != NONE);
        let size = used.clone().max().map_or(0, |&t| t as usize + 1);
        ensure(size <= token_of.len())?;
        let mut start = vec![0u32; size + 1];
        used.for_each(|&t| start[t as usize + 1] += 1);
        ensure(start[1..].iter().all(|&n| n > 0))?;
        (0..size).for_each(|t| start[t + 1] += start[t]);
        let (mut next, mut members, mut count) = (start.clone(), vec![0u32; start[size] as usize], vec![0u64; size]);
        for (member, &token) in token_of.iter().enumerate().filter(|(_, t)| **t != NONE) {
            let slot = &mut next[token as usize];
            members[*slot as usize] = member as u32;
            *slot += 1;
            count[token as usize] = count[token as usize].saturating_add(rows[member]);
        }
        ensure(count.iter().all(|&c| c <= MOST_ROWS))?;
        let draws = (0..size).map(|t| {
            let members = &members[start[t] as usize..start[t + 1] as usize];
            let weights: Vec<u64> = members.iter().map(|&m| rows[m as usize]).collect();
            if weights.len() > 1 { Alias::new(&weights) } else { None }
        });
        Ok(Self { draws: draws.collect(), token_of, count, start, members })
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.count.len()
    }

    /// Rows of each token.
    pub fn counts(&self) -> &[u64] {
        &self.count
    }

    /// The token of a member.
    pub fn token(&self, member: u32) -> u32 {
        self.token_of[member as usize]
    }

    /// A member of the token by frequency; `None` for a token that is not one of the grouping's.
    #[inline]
    pub fn draw(&self, token: u32, rng: &mut lookalike_core::Stream) -> Option<u32> {
        let start = *self.start.get(token as usize)?;
        let within = self.draws.get(token as usize)?.as_ref().map_or(0, |draw| draw.draw(rng));
        Some(self.members[(start + within) as usize])
    }

    /// The logarithm of the share that so many rows are of the token's.
    pub fn log_share(&self, rows: u64, token: u32) -> f64 {
        libm::log(rows as f64 / self.count[token as usize] as f64)
    }

    pub fn save(&self, w: &mut Writer) {
        w.u32s(&self.token_of);
    }

    pub fn load(r: &mut Reader, rows: &[u64]) -> Result<Self> {
        Self::new(r.u32s()?, rows)
    }
}

/// Puts members into at most `max` tokens: those that may stand alone and have more rows than an average token of the others
/// get one of their own, the others share tokens of about equal mass with their neighbours in `order`. The order names
/// every member with rows; tokens are numbered by it.
pub(crate) fn merge(order: &[u32], rows: &[u64], may_stand_alone: impl Fn(u32) -> bool, max: usize) -> Vec<u32> {
    let mut token_of = vec![NONE; rows.len()];
    if order.len() <= max {
        order.iter().zip(0..).for_each(|(&member, token)| token_of[member as usize] = token);
        return token_of;
    }
    let count = |member: u32| u128::from(rows[member as usize]);
    let (mut mass, mut free) = (order.iter().map(|&m| count(m)).sum::<u128>(), max as u128);
    let mut largest: Vec<u32> = order.iter().copied().filter(|&m| may_stand_alone(m)).collect();
    largest.sort_by_key(|&m| std::cmp::Reverse(rows[m as usize]));
    let mut alone = vec![false; rows.len()];
    for member in largest {
        if free <= 1 || count(member) * free < mass {
            break;
        }
        alone[member as usize] = true;
        mass -= count(member);
        free -= 1;
    }
    // `mass` and `free` are what the tokens from the open one on have to hold, and how many they are.
    let (mut next, mut open, mut held) = (0, None, 0);
    let mut close = |held: &mut u128, open: &mut Option<u32>, is_full: &dyn Fn(u128, u128, u128) -> bool| {
        if open.is_some() && free > 1 && is_full(*held, mass, free) {
            mass -= *held;
            free -= 1;
            (*held, *open) = (0, None);
        }
    };
    for &member in order {
        let mut fresh = || {
            next += 1;
            next - 1
        };
        if alone[member as usize] {
            // A token rather ends than reaches past.
            close(&mut held, &mut open, &|held, mass, free| 2 * held * free >= mass);
            token_of[member as usize] = fresh();
        } else {
            let more = count(member);
            close(&mut held, &mut open, &|held, mass, free| (2 * held + more) * free > 2 * mass);
            token_of[member as usize] = *open.get_or_insert_with(fresh);
            held += more;
        }
    }
    token_of
}
