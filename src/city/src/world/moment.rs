//! Wall times as seconds, and the working days of 2017..2019.

use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate, Weekday};

/// The holidays and make-up workdays that the state announced.
const HOLIDAYS: &str = include_str!("../../facts/holidays.csv");
/// Days from 2017-01-01 to 2019-12-31.
const DAYS: u32 = 1095;
const SECONDS_PER_DAY: u32 = 86_400;

/// A wall time in Asia/Shanghai: seconds since 2017-01-01 00:00:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(pub(crate) u32);

struct Calendar {
    days: Vec<String>,
    workdays: Vec<bool>,
}

static CALENDAR: LazyLock<Calendar> = LazyLock::new(|| {
    let first = NaiveDate::default().with_year(2017).unwrap_or_default();
    let mut calendar = Calendar { days: Vec::new(), workdays: Vec::new() };
    for date in first.iter_days().take(DAYS as usize) {
        let text = date.format("%Y-%m-%d").to_string();
        let rule = HOLIDAYS.lines().find_map(|line| line.strip_prefix(&format!("{text},")));
        let weekend = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
        calendar.workdays.push(rule.map_or(!weekend, |is_off_day| is_off_day == "false"));
        calendar.days.push(text);
    }
    calendar
});

/// The day number of a date such as `2018-06-27`; only for dates of 2017..2019.
pub(crate) fn day_of(date: &str) -> u32 {
    let found = CALENDAR.days.binary_search_by(|day| day.as_str().cmp(date));
    u32::try_from(found.unwrap_or(0)).unwrap_or(0)
}

/// Whether offices work on `day`.
pub(crate) fn is_workday(day: u32) -> bool {
    CALENDAR.workdays[day.min(DAYS - 1) as usize]
}

/// The day `count` working days after `day`, which is not counted itself.
pub(crate) fn add_workdays(day: u32, count: u32) -> u32 {
    let mut day = day;
    let mut left = count;
    while left > 0 && day < DAYS - 1 {
        day += 1;
        if is_workday(day) {
            left -= 1;
        }
    }
    day
}

/// The working days after `from` up to `to`; negative when `to` comes first.
pub(crate) fn workdays_between(from: u32, to: u32) -> i64 {
    let (first, last) = (from.min(to), from.max(to));
    let count = (first + 1..=last).filter(|day| is_workday(*day)).count();
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if from <= to { count } else { -count }
}

/// A day as `2018-06-27`.
pub(crate) fn date_text(day: u32) -> &'static str {
    &CALENDAR.days[day.min(DAYS - 1) as usize]
}

impl Moment {
    /// A time of `day`.
    pub(crate) fn at(day: u32, second: u32) -> Self {
        Self(day * SECONDS_PER_DAY + second)
    }

    /// The number of its day.
    pub(crate) fn day(self) -> u32 {
        self.0 / SECONDS_PER_DAY
    }

    /// Later by `seconds`, which may be negative.
    pub(crate) fn plus(self, seconds: i64) -> Self {
        Self(u32::try_from(i64::from(self.0) + seconds).unwrap_or(0))
    }

    /// As `2018-06-27 09:30:00`.
    pub(crate) fn text(self) -> String {
        let second = self.0 % SECONDS_PER_DAY;
        let mut text = String::with_capacity(19);
        text.push_str(date_text(self.day()));
        for (separator, value) in
            [(' ', second / 3600), (':', second / 60 % 60), (':', second % 60)]
        {
            text.push(separator);
            text.push(digit(value / 10));
            text.push(digit(value % 10));
        }
        text
    }
}

fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn make_up_days_work_and_holidays_do_not() {
        assert!(is_workday(day_of("2018-02-24")) && !is_workday(day_of("2018-02-20")));
        assert_eq!(date_text(add_workdays(day_of("2018-02-09"), 5)), "2018-02-22");
        assert_eq!(date_text(add_workdays(day_of("2018-09-28"), 3)), "2018-10-08");
        assert_eq!(date_text(add_workdays(day_of("2018-09-17"), 20)), "2018-10-19");
        assert_eq!(Moment::at(day_of("2018-12-13"), 64_800).text(), "2018-12-13 18:00:00");
    }
}
