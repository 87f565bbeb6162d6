//! Numbers as JSON writes them, digit by digit: nothing is rounded on the way.

use std::borrow::Cow;

/// Exponents beyond this are of no column.
const EXPONENT: i64 = 400;

/// A float tells any number of so many digits from all others.
const SURE_DIGITS: usize = 15;
/// A float is written with at most so many digits.
const MOST_DIGITS: usize = 17;

/// A number apart: its sign, its digits without zeros at either end, and the power of ten of the
/// last of them.
struct Parts {
    negative: bool,
    digits: String,
    power: i64,
}

fn parts(text: &str) -> Option<Parts> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if exponent.abs() > EXPONENT {
        return None;
    }
    let kept = all.trim_end_matches('0');
    let zeros = all.len() - kept.len();
    let power = exponent + i64::try_from(zeros).ok()? - i64::try_from(fraction.len()).ok()?;
    let digits = kept.trim_start_matches('0').to_owned();
    Some(Parts { negative, power: if digits.is_empty() { 0 } else { power }, digits })
}

/// A JSON number without exponent and without zeros behind its last digit; nothing if it is none,
/// or one that no column could hold.
pub(crate) fn plain(text: &str) -> Option<Cow<'_, str>> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return (!text.is_empty()).then_some(text.into());
    }
    let Parts { negative, digits, power } = parts(text)?;
    let sign = if negative && !digits.is_empty() { "-" } else { "" };
    if digits.is_empty() {
        return Some("0".into());
    }
    if let Ok(zeros) = usize::try_from(power) {
        return Some(format!("{sign}{digits}{}", "0".repeat(zeros)).into());
    }
    let places = usize::try_from(power.unsigned_abs()).ok()?;
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    Some(format!("{sign}{whole}.{fraction}").into())
}

/// Whether a float holds a JSON number exactly as far as it is written.
pub(crate) fn fits_float(text: &str) -> bool {
    let Some(written) = parts(text) else { return false };
    let count = written.digits.len();
    let Ok(value) = text.parse::<f64>() else { return false };
    if !value.is_finite() || (value == 0.0 && count > 0) {
        return false;
    }
    if count <= SURE_DIGITS {
        return true;
    }
    if count > MOST_DIGITS {
        return false;
    }
    let held = parts(&format!("{value:.*e}", count - 1));
    held.is_some_and(|held| held.digits == written.digits && held.power == written.power)
}

/// How many digits a number has before its point, for bounds of whole numbers.
pub(crate) fn whole_digits(text: &str) -> Option<usize> {
    let plain = plain(text)?;
    let whole = plain.trim_start_matches('-').split('.').next()?;
    Some(whole.len())
}

/// How many places behind the point a number is written with, at least.
pub(crate) fn places(text: &str) -> Option<usize> {
    let plain = plain(text)?;
    Some(plain.split_once('.').map_or(0, |(_, fraction)| fraction.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_written_out_and_nothing_is_lost() {
        for (text, expected) in [
            ("12", "12"),
            ("-12.50", "-12.5"),
            ("1e3", "1000"),
            ("1.5E+2", "150"),
            ("1e-10", "0.0000000001"),
            ("-0.0", "0"),
            ("100.00", "100"),
            ("1234567890123456789012345678.1234567890", "1234567890123456789012345678.123456789"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in ["1e999999", "x", "", "1e"] {
            assert_eq!(plain(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_float_takes_what_it_can_tell_and_no_more() {
        for fits in ["0.1", "1e30", "-2.5e-308", "0.1234567890123456", "0.10000000000000001", "0"] {
            assert!(fits_float(fits), "{fits}");
        }
        for unfit in [
            "9007199254740993",
            "12345678901234567890.123456789",
            "1e400",
            "1e-400",
            "0.12345678901234567",
        ] {
            assert!(!fits_float(unfit), "{unfit}");
        }
    }

    #[test]
    fn bounds_and_steps_say_how_long_a_number_is() {
        assert_eq!(whole_digits("18446744073709551615"), Some(20));
        assert_eq!(whole_digits("-1e18"), Some(19));
        assert_eq!((places("0.01"), places("1e-10"), places("5")), (Some(2), Some(10), Some(0)));
    }
}
