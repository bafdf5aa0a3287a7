//! Released cells that are texts.

use std::ops::Range;

use super::keys::Key;
use super::{RawColumn, Region};

const OR_NULL: &str = " or NULL";

impl RawColumn {
    /// The region of a text; `None` if it is nothing that is known.
    pub(super) fn read_text(&self, text: &str) -> Option<Region> {
        self.read_form(text, false).or_else(|| {
            let inner = text.strip_suffix(OR_NULL)?;
            self.read_form(inner, true)
        })
    }

    fn read_form(&self, text: &str, null: bool) -> Option<Region> {
        if let Some(region) = self.node(text, null) {
            return Some(region);
        }
        if let Some(&code) = self.by_text.get(text) {
            return Some(self.set(vec![code], 1, null));
        }
        if text == "*" {
            // Anything, missing values included; the root of a hierarchy stands for values alone.
            let null = null || self.tree.is_none();
            let ranges = self.span(0..self.present, null);
            let loss = if self.cardinality() > 1 { 1.0 } else { 0.0 };
            return Some(Region { ranges, loss, level: self.height() });
        }
        if let Some(region) = self.interval_text(text, null) {
            return Some(region);
        }
        if let Some(inner) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            return self.set_text(inner, null);
        }
        if text.contains('*') {
            let codes = self.masked(text);
            let count = codes.len();
            return (count > 0 || !self.complete).then(|| self.set(codes, count, null));
        }
        let keys = self.keys.as_ref()?;
        let code = self.code_of(keys.parse(text, self.data_type())?);
        match code {
            Some(code) => Some(self.set(vec![code], 1, null)),
            None => (!self.complete).then(|| self.set(vec![], 1, null)),
        }
    }

    /// Region of `values` listed values, of which those with codes occur.
    fn set(&self, codes: Vec<u32>, values: usize, null: bool) -> Region {
        let counts_null = usize::from(null && self.keys.is_none());
        let loss = match &self.keys {
            // Numbers lie apart: from the least to the largest.
            Some(keys) => codes.first().zip(codes.last()).map_or(0.0, |(&low, &high)| {
                let key = |code: u32| match keys {
                    super::Keys::Whole(keys) => Key::Whole(keys[code as usize]),
                    super::Keys::Real(keys) => Key::Real(keys[code as usize]),
                };
                keys.width(key(low), key(high))
            }),
            None => self.set_loss(values + counts_null),
        };
        let level = self.tree.as_ref().filter(|_| values == 1).map(|_| 0);
        Region { ranges: self.ranges(codes, null), loss, level }
    }

    /// Region of the node of a label.
    fn node(&self, label: &str, null: bool) -> Option<Region> {
        let tree = self.tree.as_ref()?;
        let &(level, index) = tree.nodes.get(label)?;
        let nodes = tree.hierarchy.nodes_at(level);
        let first = nodes.partition_point(|&n| n < index) as u32;
        let last = nodes.partition_point(|&n| n <= index) as u32;
        let from = tree.leaves.partition_point(|l| l.0 < first);
        let to = tree.leaves.partition_point(|l| l.0 < last);
        let mut codes: Vec<u32> = match level == tree.hierarchy.height() {
            // Below the root are values that the hierarchy does not list as well.
            true => (0..self.present).collect(),
            false => tree.leaves[from..to].iter().map(|l| l.1).collect(),
        };
        codes.sort_unstable();
        let all = tree.hierarchy.leaf_count() as usize + usize::from(self.has_null());
        let below = (last - first) as usize + usize::from(null);
        let loss = if all > 1 { (below.saturating_sub(1)) as f64 / (all - 1) as f64 } else { 0.0 };
        Some(Region { ranges: self.ranges(codes, null), loss: loss.min(1.0), level: Some(level) })
    }

    /// `[a, b]`, with `(` and `)` for ends that are left out.
    fn interval_text(&self, text: &str, null: bool) -> Option<Region> {
        let keys = self.keys.as_ref()?;
        let lower_in = match text.chars().next()? {
            '[' => true,
            '(' => false,
            _ => return None,
        };
        let upper_in = match text.chars().last()? {
            ']' => true,
            ')' => false,
            _ => return None,
        };
        let (lower, upper) = text.get(1..text.len() - 1)?.split_once(", ")?;
        let lower = keys.parse(lower, self.data_type())?;
        let upper = keys.parse(upper, self.data_type())?;
        self.interval((lower, lower_in), (upper, upper_in), null)
    }

    /// Labels between braces.
    fn set_text(&self, inner: &str, null: bool) -> Option<Region> {
        let parts = self.split(inner);
        let mut codes = vec![];
        for part in &parts {
            let code = match (self.by_text.get(*part), &self.keys) {
                (Some(&code), _) => Some(code),
                (None, Some(keys)) => self.code_of(keys.parse(part, self.data_type())?),
                (None, None) => None,
            };
            match code {
                Some(code) => codes.push(code),
                None if self.complete => return None,
                None => {}
            }
        }
        codes.sort_unstable();
        Some(self.set(codes, parts.len(), null))
    }

    /// Labels of a set. Where labels hold `, ` themselves, the longest known label at each place, as long as the rest
    /// is made of known labels too; without such a reading every `, ` separates.
    fn split<'t>(&self, inner: &'t str) -> Vec<&'t str> {
        let plain: Vec<&str> = inner.split(", ").collect();
        if !self.commas {
            return plain;
        }
        let mut starts = vec![0];
        plain.iter().for_each(|p| starts.push(starts[starts.len() - 1] + p.len() + 2));
        let segment = |from: usize, to: usize| &inner[starts[from]..starts[to] - 2];
        // From the end: where the longest known label from each place leads, if the rest can be read.
        let mut next: Vec<Option<usize>> = vec![None; plain.len()];
        for from in (0..plain.len()).rev() {
            let readable = |to: &usize| *to == plain.len() || next[*to].is_some();
            next[from] =
                (from + 1..=plain.len()).rev().find(|to| readable(to) && self.by_text.contains_key(segment(from, *to)));
        }
        let (mut labels, mut place) = (vec![], 0);
        while let Some(to) = next.get(place).copied().flatten() {
            labels.push(segment(place, to));
            place = to;
        }
        if labels.is_empty() { plain } else { labels }
    }

    /// Codes of the values that a mask fits: `*` is any one character.
    fn masked(&self, mask: &str) -> Vec<u32> {
        let fits = |value: &str| {
            let (mut mask, mut value) = (mask.chars(), value.chars());
            loop {
                match (mask.next(), value.next()) {
                    (None, None) => return true,
                    (Some(m), Some(v)) if m == '*' || m == v => {}
                    _ => return false,
                }
            }
        };
        let prefix = mask.split('*').next().unwrap_or_default();
        self.with_prefix(prefix).filter(|&code| fits(self.texts.value(code as usize))).collect()
    }

    /// Codes of values that may begin with a prefix.
    fn with_prefix(&self, prefix: &str) -> Range<u32> {
        if self.keys.is_some() {
            return 0..self.present;
        }
        // Texts stand in the order of their bytes.
        let mut range = 0..self.present;
        let place = |wanted: &dyn Fn(&str) -> bool| {
            let (mut low, mut high) = (0, self.present);
            while low < high {
                let middle = low + (high - low) / 2;
                if wanted(self.texts.value(middle as usize)) { low = middle + 1 } else { high = middle }
            }
            low
        };
        range.start = place(&|text| text < prefix);
        range.end = place(&|text| text < prefix || text.starts_with(prefix));
        range
    }
}
