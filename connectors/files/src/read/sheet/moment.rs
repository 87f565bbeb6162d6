//! Numbers that are dates and times, by how their cell shows them.

use chrono::{Duration, NaiveDate};

/// The day after the last one that Excel knows, 9999-12-31.
const LAST_DAY: f64 = 2_958_466.0;

/// How a number is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) enum Shown {
    Number,
    Date,
    Time,
    DateTime,
}

/// What a number format shows, by its built-in number.
pub(in crate::read) fn shown_by_number(id: u32) -> Shown {
    match id {
        14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Shown::Date,
        18..=21 | 32..=35 | 45 | 47 | 55 | 56 => Shown::Time,
        22 => Shown::DateTime,
        _ => Shown::Number,
    }
}

/// What a number format shows, by its code such as `yyyy"年"m"月"d"日"`.
pub(in crate::read) fn shown_by_code(code: &str) -> Shown {
    let (mut day, mut clock, mut month) = (false, false, false);
    let mut chars = code.split(';').next().unwrap_or_default().chars();
    while let Some(c) = chars.next() {
        match c.to_ascii_lowercase() {
            '"' => drop(chars.by_ref().find(|c| *c == '"')),
            '\\' | '_' | '*' => drop(chars.next()),
            '[' => {
                let inner: String = chars.by_ref().take_while(|c| *c != ']').collect();
                // Hours that go on beyond a day are a length of time, and no moment.
                if matches!(inner.to_ascii_lowercase().trim_matches(['h', 'm', 's']), "")
                    && !inner.is_empty()
                {
                    return Shown::Number;
                }
            }
            'y' | 'd' | 'e' if c != 'E' => day = true,
            'h' | 's' => clock = true,
            'm' => month = true,
            'g' if code.eq_ignore_ascii_case("general") => return Shown::Number,
            _ => {}
        }
    }
    match (day, clock, month) {
        (true, true, _) => Shown::DateTime,
        (true, false, _) | (false, false, true) => Shown::Date,
        (false, true, _) => Shown::Time,
        (false, false, false) => Shown::Number,
    }
}

/// A number as the moment it is shown as.
pub(super) fn moment(serial: f64, shown: Shown, from_1904: bool) -> Option<String> {
    if !(0.0..LAST_DAY).contains(&serial) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)] // within the days that Excel knows
    let millis = (serial * 86_400_000.0).round() as i64;
    let epoch = match (from_1904, serial < 60.0) {
        (true, _) => NaiveDate::from_ymd_opt(1904, 1, 1)?,
        // The 29th of February 1900, which Excel believes in, makes later days one more.
        (false, true) => NaiveDate::from_ymd_opt(1899, 12, 31)?,
        (false, false) => NaiveDate::from_ymd_opt(1899, 12, 30)?,
    };
    let at = epoch.and_hms_opt(0, 0, 0)?.checked_add_signed(Duration::milliseconds(millis))?;
    let fraction = millis % 1000 != 0;
    let clock = if fraction { "%H:%M:%S%.3f" } else { "%H:%M:%S" };
    let is_whole_day = millis % 86_400_000 == 0;
    Some(match shown {
        Shown::Time if serial < 1.0 => at.format(clock).to_string(),
        Shown::Date if is_whole_day => at.format("%Y-%m-%d").to_string(),
        _ => at.format(&format!("%Y-%m-%d {clock}")).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_the_moments_they_are_shown_as() {
        for (serial, shown, from_1904, expected) in [
            (43_252.0, Shown::Date, false, "2018-06-01"),
            (43_252.395_833_333_336, Shown::DateTime, false, "2018-06-01 09:30:00"),
            (43_252.395_833_333_336, Shown::Date, false, "2018-06-01 09:30:00"),
            (41_790.0, Shown::Date, true, "2018-06-01"),
            (1.0, Shown::Date, false, "1900-01-01"),
            (59.0, Shown::Date, false, "1900-02-28"),
            (61.0, Shown::Date, false, "1900-03-01"),
            (0.75, Shown::Time, false, "18:00:00"),
        ] {
            assert_eq!(moment(serial, shown, from_1904).as_deref(), Some(expected));
        }
        assert_eq!(moment(-1.0, Shown::Date, false), None);
        assert_eq!(moment(3e6, Shown::Date, false), None);
        assert_eq!(moment(f64::NAN, Shown::Date, false), None);
    }

    #[test]
    fn formats_say_whether_a_number_is_a_date() {
        for (code, shown) in [
            ("General", Shown::Number),
            ("0.00", Shown::Number),
            ("0.00E+00", Shown::Number),
            ("#,##0\"元\"", Shown::Number),
            ("yyyy\"年\"m\"月\"d\"日\"", Shown::Date),
            ("[$-804]yyyy/m/d;@", Shown::Date),
            ("yyyy-mm-dd hh:mm:ss", Shown::DateTime),
            ("h:mm", Shown::Time),
            ("[h]:mm:ss", Shown::Number),
            ("[Red]0", Shown::Number),
            ("\"day\"0", Shown::Number),
            ("@", Shown::Number),
        ] {
            assert_eq!(shown_by_code(code), shown, "{code}");
        }
    }
}
