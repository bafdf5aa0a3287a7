//! Intervals of one width: the cells of bucket() and of the rule `widths`.

use lookalike_core::{Error, Result};

use crate::decimal::Decimal;

/// Half-open intervals `[origin + k * width, origin + (k + 1) * width)`, one for every whole k. Their edges are decimal
/// numbers, and values are compared with them as they are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    width: Decimal,
    origin: Decimal,
}

impl Grid {
    /// The grid of a width above 0 and an origin, which is the lower edge of one interval, both in decimal digits. An
    /// argument error names what is wrong.
    pub fn parse(width: &str, origin: &str) -> Result<Self> {
        let positive = Decimal::parse(width).filter(|w| w.mantissa > 0);
        let width =
            positive.ok_or_else(|| Error::argument(format!("width is {width}, allowed is a number above 0")))?;
        let origin = Decimal::parse(origin)
            .ok_or_else(|| Error::argument(format!("origin is {origin}, allowed is a number of at most 38 digits")))?;
        Ok(Self { width, origin })
    }

    pub(crate) fn of_width(width: Decimal) -> Self {
        Self { width, origin: Decimal { mantissa: 0, scale: 0 } }
    }

    pub(crate) fn width(&self) -> Decimal {
        self.width
    }

    /// Decimal places of the edges.
    pub fn scale(&self) -> u32 {
        self.width.scale.max(self.origin.scale)
    }

    /// Number of the interval that holds a value; nothing where it does not fit.
    pub(crate) fn cell(&self, value: Decimal) -> Option<i128> {
        let scale = value.scale.max(self.origin.scale);
        let distance = match self.origin.mantissa {
            0 => value,
            _ => Decimal::new(value.at_scale(scale)?.checked_sub(self.origin.at_scale(scale)?)?, scale),
        };
        distance.floor_div(self.width)
    }

    /// Lower edge of an interval, with as many decimal places as all edges.
    pub(crate) fn edge(&self, cell: i128) -> Option<Decimal> {
        let scale = self.scale();
        let offset = cell.checked_mul(self.width.at_scale(scale)?)?;
        Some(Decimal { mantissa: self.origin.at_scale(scale)?.checked_add(offset)?, scale })
    }

    /// Lower edge of the interval that holds `value / 10^scale`, as such a numerator too: `scale` is at least
    /// [`Grid::scale`]. Nothing where the edge does not fit.
    pub fn lower(&self, value: i128, scale: u32) -> Option<i128> {
        self.edge(self.cell(Decimal::new(value, scale))?)?.at_scale(scale)
    }

    /// Lower edge of the interval that holds a floating-point value: the largest edge that, `round`ed to the value's
    /// type, does not exceed it. NaN, infinities and values too large for fractions of a width stay as they are.
    pub fn lower_float(&self, value: f64, round: impl Fn(f64) -> f64) -> f64 {
        let cells = (value - self.origin.to_f64()) / self.width.to_f64();
        if cells.is_nan() || cells.abs() >= 9e15 {
            return value;
        }
        let near = cells.floor() as i128;
        // Division and rounding may miss by one.
        let edges = [near + 1, near, near - 1].into_iter().filter_map(|cell| self.edge(cell));
        edges.map(|edge| round(edge.to_f64())).find(|edge| *edge <= value).unwrap_or(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_edge_is_the_one_a_reader_expects() {
        let tenths = Grid::parse("0.1", "0").unwrap();
        // Divided as binary fractions, 0.3 / 0.1 and 0.7 / 0.1 lie below 3 and 7.
        for (value, edge) in [(0.3, 0.3), (0.7, 0.7), (0.29, 0.2), (-0.05, -0.1), (-0.3, -0.3), (1e15, 1e15)] {
            assert_eq!(tenths.lower_float(value, |e| e), edge, "{value}");
        }
        let single = |v: f32| tenths.lower_float(v.into(), |e| f64::from(e as f32)) as f32;
        assert_eq!([single(0.7), single(0.3), single(0.65)], [0.7, 0.3, 0.6]);
        assert!(tenths.lower_float(f64::NAN, |e| e).is_nan());
        assert_eq!(tenths.lower_float(f64::INFINITY, |e| e), f64::INFINITY);

        let fives = Grid::parse("5", "2").unwrap();
        assert_eq!([fives.lower(1, 0), fives.lower(2, 0), fives.lower(-4, 0)], [Some(-3), Some(2), Some(-8)]);
        // 6.99 and 7.00 with two places.
        assert_eq!([fives.lower(699, 2), fives.lower(700, 2)], [Some(200), Some(700)]);
        assert_eq!(Grid::parse("1e30", "0").unwrap().lower(i128::MIN + 1, 0), None);
    }

    #[test]
    fn a_width_is_above_0() {
        for width in ["0", "-5", "five", ""] {
            let error = Grid::parse(width, "0").unwrap_err().to_string();
            assert_eq!(error, format!("width is {width}, allowed is a number above 0"));
        }
        assert_eq!(
            Grid::parse("1", "x").unwrap_err().to_string(),
            "origin is x, allowed is a number of at most 38 digits"
        );
    }
}
