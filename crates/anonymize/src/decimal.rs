//! Decimal numbers as they are printed: what intervals are computed on, so that 0.3 lies in `[0.3, 0.4)`.

use std::cmp::Ordering;
use std::fmt;

/// `mantissa / 10^scale`. Made by [`Decimal::new`] it has no trailing zeros behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub mantissa: i128,
    pub scale: u32,
}

impl Decimal {
    /// The number in its shortest form.
    pub fn new(mut mantissa: i128, mut scale: u32) -> Self {
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Self { mantissa, scale }
    }

    /// Reads `-12.50`, `7` or `1.5e-7`; nothing for what is no number or has more than 38 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits.strip_prefix('+').unwrap_or(digits)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut mantissa: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        match u32::try_from(scale) {
            Ok(scale) => Some(Self::new(mantissa, scale)),
            Err(_) if mantissa == 0 => Some(Self::new(0, 0)),
            Err(_) => Some(Self::new(mantissa.checked_mul(power(scale.unsigned_abs())?)?, 0)),
        }
    }

    /// The mantissa at a scale of at least that of the number; nothing where it does not fit.
    pub fn at_scale(self, scale: u32) -> Option<i128> {
        self.mantissa.checked_mul(power(scale.checked_sub(self.scale)?)?)
    }

    /// The largest integer that is at most `self / divisor`, for a divisor above 0; nothing where it does not fit.
    pub fn floor_div(self, divisor: Self) -> Option<i128> {
        if self.scale <= divisor.scale {
            return Some(self.at_scale(divisor.scale)?.div_euclid(divisor.mantissa));
        }
        match divisor.at_scale(self.scale) {
            Some(divisor) => Some(self.mantissa.div_euclid(divisor)),
            // The divisor has more digits than any mantissa.
            None => Some(if self.mantissa < 0 { -1 } else { 0 }),
        }
    }

    /// Whether the number is a whole multiple of `unit`, which is above 0.
    pub fn is_multiple_of(self, unit: Self) -> bool {
        let scale = self.scale.max(unit.scale);
        match (self.at_scale(scale), unit.at_scale(scale)) {
            (Some(number), Some(unit)) => number % unit == 0,
            _ => false,
        }
    }

    /// The nearest floating-point number.
    pub fn to_f64(self) -> f64 {
        // Exact operands within 2^53 and 10^22 make the quotient the nearest; the parser is right for all others.
        if self.mantissa.unsigned_abs() < 1 << 53 && self.scale <= 22 {
            return self.mantissa as f64 / 10f64.powi(self.scale as i32);
        }
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

fn power(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let scale = self.scale.max(other.scale);
        Some(self.at_scale(scale)?.cmp(&other.at_scale(scale)?))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let magnitude = self.mantissa.unsigned_abs();
        if self.scale == 0 {
            return write!(f, "{sign}{magnitude}");
        }
        let digits = format!("{magnitude:0>width$}", width = self.scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale as usize);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_read_as_printed() {
        for (text, mantissa, scale) in [
            ("0", 0, 0),
            ("-12.50", -125, 1),
            ("+7.", 7, 0),
            (".5", 5, 1),
            ("1.5e-7", 15, 8),
            ("1e20", 10i128.pow(20), 0),
            ("-2.5E1", -25, 0),
            ("0e99", 0, 0),
            ("1e-300", 1, 300),
        ] {
            assert_eq!(decimal(text), Decimal { mantissa, scale }, "{text}");
        }
        for text in ["", "-", ".", "NaN", "inf", "1e", "1e1.5", "1,5", "1e39", "0x1", "1 "] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        for text in ["-0.05", "12", "-3", "0.125"] {
            assert_eq!(decimal(text).to_string(), text);
        }
    }

    #[test]
    fn division_rounds_down() {
        for (number, divisor, quotient) in [
            ("0.3", "0.1", 3),
            ("-0.3", "0.1", -3),
            ("-0.31", "0.1", -4),
            ("7", "2.5", 2),
            ("-7", "2.5", -3),
            ("1e-300", "5", 0),
            ("-1e-300", "5", -1),
            ("99.999", "100", 0),
        ] {
            assert_eq!(decimal(number).floor_div(decimal(divisor)), Some(quotient), "{number} / {divisor}");
        }
        assert_eq!(decimal("1e38").floor_div(decimal("0.1")), None);
        assert!(decimal("1.5").is_multiple_of(decimal("0.5")) && !decimal("1.5").is_multiple_of(decimal("1")));
        assert!(decimal("0.5") < decimal("0.51") && decimal("2") > decimal("-3.5"));
        assert_eq!(decimal("0.3").to_f64(), 0.3);
        assert_eq!(decimal("123456789012345678901234567890.5").to_f64(), 123456789012345678901234567890.5);
    }
}
