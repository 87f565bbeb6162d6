//! Figures as exact fractions, and as decimal text rounded half up.

use std::fmt;

use huiliu_core::model::Unit;
use serde::Serialize;

/// A fraction in lowest terms with a denominator above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    /// `numerator / denominator`; none when the denominator is zero.
    pub fn of(numerator: i64, denominator: i64) -> Option<Self> {
        (denominator != 0).then(|| Self::reduced(numerator.into(), denominator.into()))
    }

    fn reduced(numerator: i128, denominator: i128) -> Self {
        let divisor = common_divisor(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).unwrap_or(1).max(1) * denominator.signum();
        Self { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// `self - other`. Both come from counts of rows, so their products fit.
    pub fn minus(self, other: Self) -> Self {
        let numerator = self.numerator * other.denominator - other.numerator * self.denominator;
        Self::reduced(numerator, self.denominator * other.denominator)
    }

    /// In `unit`, rounded half away from zero to `digits` after the point.
    pub fn decimal(self, unit: Unit, digits: u8) -> String {
        let scale = 10_u128.pow(u32::from(digits)) * if unit == Unit::Percent { 100 } else { 1 };
        let (numerator, denominator) =
            (self.numerator.unsigned_abs(), self.denominator.unsigned_abs());
        // The whole part apart, so that scaling cannot overflow.
        let whole = (numerator / denominator) * scale;
        let rest = numerator % denominator;
        let rounded = whole + round_half_up(rest, denominator, scale);
        let power = 10_u128.pow(u32::from(digits));
        let sign = if self.numerator < 0 && rounded > 0 { "-" } else { "" };
        match digits {
            0 => format!("{sign}{rounded}"),
            _ => format!(
                "{sign}{}.{:0width$}",
                rounded / power,
                rounded % power,
                width = usize::from(digits)
            ),
        }
    }
}

/// `rest * scale / denominator`, rounded half up, for `rest` below `denominator`. One decimal digit
/// at a time, so that no product grows.
fn round_half_up(mut rest: u128, denominator: u128, scale: u128) -> u128 {
    let mut quotient = 0;
    let mut left = scale;
    while left > 1 {
        rest *= 10;
        quotient = quotient * 10 + rest / denominator;
        rest %= denominator;
        left /= 10;
    }
    quotient + u128::from(rest >= denominator - rest)
}

fn common_divisor(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            _ => write!(f, "{}/{}", self.numerator, self.denominator),
        }
    }
}

impl Serialize for Ratio {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The value of a figure as decimal text in its unit; none when the denominator is zero.
pub(crate) fn value(
    unit: Unit,
    digits: u8,
    numerator: i64,
    denominator: Option<i64>,
) -> Option<String> {
    let denominator = denominator.unwrap_or(1);
    Ratio::of(numerator, denominator).map(|ratio| ratio.decimal(unit, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(numerator: i64, denominator: i64, digits: u8) -> Option<String> {
        value(Unit::Percent, digits, numerator, Some(denominator))
    }

    #[test]
    fn ratios_round_half_up_exactly() {
        assert_eq!(percent(52_337, 52_353, 2).as_deref(), Some("99.97"));
        assert_eq!(percent(45_144, 52_353, 2).as_deref(), Some("86.23"));
        // The report's own bounds: one item more or less and the figure would differ.
        assert_eq!(percent(52_334, 52_353, 2).as_deref(), Some("99.96"));
        assert_eq!(percent(52_335, 52_353, 2).as_deref(), Some("99.97"));
        assert_eq!(percent(52_340, 52_353, 2).as_deref(), Some("99.98"));
        assert_eq!(percent(45_141, 52_353, 2).as_deref(), Some("86.22"));
        assert_eq!(percent(45_147, 52_353, 2).as_deref(), Some("86.24"));
        assert_eq!(percent(1, 8, 2).as_deref(), Some("12.50"));
        assert_eq!(percent(1, 200, 0).as_deref(), Some("1"));
        assert_eq!(percent(0, 0, 2), None);
        assert_eq!(percent(i64::MAX, i64::MAX - 1, 2).as_deref(), Some("100.00"));
        assert_eq!(value(Unit::Count, 0, 346_499, None).as_deref(), Some("346499"));
        assert_eq!(value(Unit::Count, 2, 7, None).as_deref(), Some("7.00"));
    }

    #[test]
    fn differences_are_exact_and_rounded_away_from_zero() {
        let (before, after) = (Ratio::of(52_337, 52_353), Ratio::of(52_336, 52_353));
        let change = after.zip(before).map(|(after, before)| after.minus(before));
        assert_eq!(change.map(|c| c.to_string()).as_deref(), Some("-1/52353"));
        assert_eq!(change.map(|c| c.decimal(Unit::Percent, 2)).as_deref(), Some("0.00"));
        let half = Ratio::of(-1, 200);
        assert_eq!(half.map(|h| h.decimal(Unit::Percent, 0)).as_deref(), Some("-1"));
        assert_eq!(half.map(|h| h.decimal(Unit::Percent, 1)).as_deref(), Some("-0.5"));
        assert_eq!(Ratio::of(4, -6).map(|r| r.to_string()).as_deref(), Some("-2/3"));
        assert_eq!(Ratio::of(6, 3).map(|r| r.to_string()).as_deref(), Some("2"));
    }
}
