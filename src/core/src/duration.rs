//! Lengths of time and sizes as people write them in configuration: `10m`, `64MB`.

use std::time::Duration;

use huiliu_sdk::{Error, ErrorKind, Result};

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Reads a whole number with one unit: `250ms`, `30s`, `10m`, `2h`, `1d`.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let milliseconds = parse(text, &DURATION_UNITS, |text| text == text.to_ascii_lowercase())
        .ok_or_else(|| {
            Error::new(ErrorKind::Config, "E-DURATION", format!("`{text}` is not a length of time"))
                .hint("write a whole number and one of ms, s, m, h, d, such as `10m`")
        })?;
    Ok(Duration::from_millis(milliseconds))
}

/// Reads a whole number of bytes with one unit: `64MB` is decimal, `1GiB` binary.
pub fn parse_size(text: &str) -> Result<u64> {
    parse(text, &SIZE_UNITS, |_| true).ok_or_else(|| {
        Error::new(ErrorKind::Config, "E-SIZE", format!("`{text}` is not a size"))
            .hint("write a whole number and one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB")
    })
}

fn parse(text: &str, units: &[(&str, u64)], accepts_case: fn(&str) -> bool) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    if !accepts_case(unit) {
        return None;
    }
    let unit = unit.to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_unit() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0s", 0),
            (" 5 m ", 300_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(milliseconds));
        }
    }

    #[test]
    fn sizes_tell_decimal_from_binary_units() {
        assert_eq!(parse_size("64MB").unwrap(), 64_000_000);
        assert_eq!(parse_size("1GiB").unwrap(), 1_073_741_824);
        assert_eq!(parse_size("64mb").unwrap(), 64_000_000);
        assert_eq!(parse_size("7B").unwrap(), 7);
    }

    #[test]
    fn what_is_not_understood_is_named_with_the_units_allowed() {
        for text in ["", "10", "m", "1.5h", "-1s", "10M", "1h30m", "1w", "99999999999999999999s"] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error.message(), format!("`{text}` is not a length of time"));
            assert!(error.hint_text().unwrap().contains("ms, s, m, h, d"));
        }
        for text in ["", "64", "MB", "1.5GB", "64 Mb/s", "99999999TiB"] {
            let error = parse_size(text).unwrap_err();
            assert_eq!(error.message(), format!("`{text}` is not a size"));
        }
    }
}
