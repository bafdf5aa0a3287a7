//! What a search keeps of the pairs it looks at: the best two, the best k, or counts.

use std::collections::BinaryHeap;

/// A reference row at its exact distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub distance: f64,
    /// Sum that the distance was made of.
    pub sum: f64,
    /// Place in the canonical order.
    pub position: u32,
    /// Person, or the position where the unit is the row.
    pub unit: u32,
}

impl Candidate {
    fn before(&self, other: &Candidate) -> bool {
        self.distance < other.distance || (self.distance == other.distance && self.position < other.position)
    }
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then(self.position.cmp(&other.position))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Which pairs can still change what was collected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reach {
    /// Any pair.
    All,
    /// Pairs that come before this candidate: nearer, or as far and earlier in canonical order.
    Before(Candidate),
    /// Pairs with a sum up to this one.
    UpTo(f64),
    /// None.
    Nothing,
}

/// What is kept for one query; the same whatever the order of the candidates.
pub(super) trait Collector: Send {
    /// Takes a candidate in; whether the reach may have changed.
    fn offer(&mut self, candidate: Candidate) -> bool;
    /// Which pairs are of interest from now on; never more than before.
    fn reach(&self) -> Reach;
    /// Pairs with a sum below this one only count, whatever their distance; negative when there are none. Never changes.
    fn sure(&self) -> f64 {
        -1.0
    }
    /// Takes so many pairs in that only count.
    fn count(&mut self, _pairs: u32) {}
}

/// The two best candidates of different units.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopTwo {
    pub first: Option<Candidate>,
    pub second: Option<Candidate>,
    /// Whether a second unit exists; else the reach follows the best.
    has_second: bool,
}

impl TopTwo {
    pub fn new(has_second: bool) -> Self {
        Self { first: None, second: None, has_second }
    }
}

impl Collector for TopTwo {
    fn offer(&mut self, new: Candidate) -> bool {
        let Some(first) = self.first else {
            self.first = Some(new);
            return true;
        };
        if new.before(&first) {
            if new.unit != first.unit {
                self.second = Some(first);
            }
            self.first = Some(new);
            return true;
        }
        if new.unit != first.unit && self.second.is_none_or(|second| new.before(&second)) {
            self.second = Some(new);
            return true;
        }
        false
    }

    fn reach(&self) -> Reach {
        let last = if self.has_second { self.second } else { self.first };
        last.map_or(Reach::All, Reach::Before)
    }
}

/// The k best candidates.
#[derive(Debug)]
pub(super) struct TopK {
    k: usize,
    best: BinaryHeap<Candidate>,
}

impl TopK {
    pub fn new(k: usize) -> Self {
        Self { k, best: BinaryHeap::with_capacity(k) }
    }

    /// The candidates, nearest first.
    pub fn into_sorted(self) -> Vec<Candidate> {
        self.best.into_sorted_vec()
    }
}

impl Collector for TopK {
    fn offer(&mut self, new: Candidate) -> bool {
        if self.best.len() < self.k {
            self.best.push(new);
            return self.best.len() == self.k;
        }
        match self.best.peek_mut() {
            Some(mut worst) if new < *worst => {
                *worst = new;
                true
            }
            _ => false,
        }
    }

    fn reach(&self) -> Reach {
        match self.best.peek() {
            _ if self.k == 0 => Reach::Nothing,
            Some(worst) if self.best.len() == self.k => Reach::Before(*worst),
            _ => Reach::All,
        }
    }
}

/// How many candidates are nearer than a radius, and how many as far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    radius: f64,
    reach: Reach,
    sure: f64,
    pub nearer: u32,
    pub tied: u32,
}

impl Counts {
    /// `most` is the largest sum of a distance up to the radius; sums below `sure` make distances below it.
    pub fn new(radius: f64, most: f64, sure: f64) -> Self {
        let reach = if radius >= 0.0 { Reach::UpTo(most) } else { Reach::Nothing };
        Self { radius, reach, sure, nearer: 0, tied: 0 }
    }
}

impl Collector for Counts {
    fn offer(&mut self, new: Candidate) -> bool {
        self.nearer += u32::from(new.distance < self.radius);
        self.tied += u32::from(new.distance == self.radius);
        false
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    fn sure(&self) -> f64 {
        self.sure
    }

    fn count(&mut self, pairs: u32) {
        self.nearer += pairs;
    }
}
