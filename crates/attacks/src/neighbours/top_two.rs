//! The nearest row and the nearest of another person.

/// A reference row at its exact distance.
#[derive(Debug, Clone, Copy)]
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

/// The two best candidates of different units; the same whatever the order they are offered in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TopTwo {
    pub first: Option<Candidate>,
    pub second: Option<Candidate>,
}

impl TopTwo {
    /// Takes a candidate in; false when nothing changed.
    pub fn offer(&mut self, new: Candidate) -> bool {
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
}
