//! Numbers and times as they are read in an office.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use maud::{Markup, html};

use crate::web::Language;

/// A whole number with a comma after each three digits.
pub(crate) fn count(number: impl Into<i128>) -> String {
    grouped(&number.into().to_string())
}

/// Digits with a comma after each three before the point; what is no number stays as it is.
pub(crate) fn grouped(number: &str) -> String {
    let (sign, rest) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, part) = rest.split_once('.').map_or((rest, None), |(a, b)| (a, Some(b)));
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut out = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(part) = part {
        out.push('.');
        out.push_str(part);
    }
    out
}

/// What is needed to write a time: now, where, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Now.
    pub(crate) now: DateTime<Utc>,
    /// The hub's zone.
    pub(crate) zone: Tz,
    /// The language.
    pub(crate) language: Language,
}

impl Times {
    fn t<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        self.language.pick(zh, en)
    }

    /// A stored time: an instant with its offset, or wall time of the hub without one.
    fn local(&self, stored: &str) -> Option<NaiveDateTime> {
        if let Ok(time) = DateTime::parse_from_rfc3339(stored) {
            return Some(time.with_timezone(&self.zone).naive_local());
        }
        let plain = stored.replace('T', " ");
        ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(&plain, format).ok())
    }

    fn here(&self) -> NaiveDateTime {
        self.now.with_timezone(&self.zone).naive_local()
    }

    /// A time with how long ago it was; a dash without one, and what is no time as it is.
    pub(crate) fn moment(&self, stored: Option<&str>) -> Markup {
        let Some(stored) = stored.filter(|text| !text.is_empty()) else {
            return html! { span.nothing { "—" } };
        };
        let Some(time) = self.local(stored) else { return html! { (stored) } };
        html! {
            time.moment datetime=(time.format("%Y-%m-%dT%H:%M:%S").to_string())
                title=(time.format("%Y-%m-%d %H:%M:%S").to_string()) {
                (self.short(time)) " " span.ago { (self.ago(self.here() - time)) }
            }
        }
    }

    /// A time to the second.
    pub(crate) fn exact(&self, stored: &str) -> String {
        let exact = |time: NaiveDateTime| time.format("%Y-%m-%d %H:%M:%S").to_string();
        self.local(stored).map_or_else(|| stored.to_owned(), exact)
    }

    /// The day of a time.
    pub(crate) fn day(&self, stored: &str) -> String {
        let day = |time: NaiveDateTime| time.format("%Y-%m-%d").to_string();
        self.local(stored).map_or_else(|| stored.to_owned(), day)
    }

    /// `今天 07:31`, `12-13 07:31`, or with its year where that is another one.
    fn short(&self, time: NaiveDateTime) -> String {
        let today = self.here().date();
        let clock = time.format("%H:%M");
        let days = (time.date() - today).num_days();
        let word = match days {
            0 => self.t("today", "今天"),
            -1 => self.t("yesterday", "昨天"),
            1 => self.t("tomorrow", "明天"),
            _ => "",
        };
        match (word, time.year() == today.year()) {
            ("", true) => time.format("%m-%d %H:%M").to_string(),
            ("", false) => time.format("%Y-%m-%d %H:%M").to_string(),
            (word, _) => format!("{word} {clock}"),
        }
    }

    /// `12 分钟前`, or `12 分钟后` for what is to come.
    fn ago(&self, passed: TimeDelta) -> String {
        let is_past = passed >= TimeDelta::zero();
        let text = self.span(passed.abs());
        if text.is_empty() {
            return self.t("just now", "刚刚").to_owned();
        }
        match (self.language, is_past) {
            (Language::Zh, true) => format!("{text}前"),
            (Language::Zh, false) => format!("{text}后"),
            (Language::En, true) => format!("{text} ago"),
            (Language::En, false) => format!("in {text}"),
        }
    }

    /// The largest unit of a time; nothing below half a minute.
    fn span(&self, span: TimeDelta) -> String {
        let minutes = (span.num_seconds() + 30) / 60;
        let (number, en, zh) = match minutes {
            0 => return String::new(),
            1..60 => (minutes, "min", "分钟"),
            60..2880 => (minutes / 60, "h", "小时"),
            _ if minutes < 2880 * 30 => (minutes / 1440, "days", "天"),
            _ if minutes < 1440 * 730 => (minutes / (1440 * 30), "months", "个月"),
            _ => (minutes / (1440 * 365), "years", "年"),
        };
        format!("{number} {}", self.t(en, zh))
    }

    /// How long something took, or has been going on.
    pub(crate) fn took(&self, from: &str, to: Option<&str>) -> String {
        let end = to.map_or_else(|| Some(self.here()), |to| self.local(to));
        let (Some(start), Some(end)) = (self.local(from), end) else { return String::new() };
        self.length((end - start).num_milliseconds().max(0).unsigned_abs())
    }

    /// A length in milliseconds.
    pub(crate) fn length(&self, milliseconds: u64) -> String {
        let (ms, s) = (milliseconds, milliseconds / 1000);
        let (second, minute, hour) = (self.t("s", "秒"), self.t("min", "分"), self.t("h", "小时"));
        match s {
            0..10 => format!("{}.{} {second}", s, ms % 1000 / 100),
            10..60 => format!("{s} {second}"),
            60..3600 => format!("{} {minute} {} {second}", s / 60, s % 60),
            _ => format!("{} {hour} {} {minute}", s / 3600, s % 3600 / 60),
        }
    }

    /// Today, as a heading has it: `2018年12月13日 星期四`.
    pub(crate) fn today(&self) -> String {
        long_day(self.here().date(), self.language)
    }

    /// The greeting of the hour.
    pub(crate) fn greeting(&self) -> &'static str {
        use chrono::Timelike;
        match self.here().hour() {
            5..=8 => self.t("Good morning", "早上好"),
            9..=11 => self.t("Good morning", "上午好"),
            12..=13 => self.t("Good day", "中午好"),
            14..=17 => self.t("Good afternoon", "下午好"),
            _ => self.t("Good evening", "晚上好"),
        }
    }
}

fn long_day(day: NaiveDate, language: Language) -> String {
    const NAMES: [&str; 7] = ["一", "二", "三", "四", "五", "六", "日"];
    match language {
        Language::Zh => {
            let weekday = NAMES.get(day.weekday().num_days_from_monday() as usize);
            let weekday = weekday.copied().unwrap_or_default();
            format!("{}年{}月{}日 星期{weekday}", day.year(), day.month(), day.day())
        }
        Language::En => day.format("%A, %-d %B %Y").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(language: Language) -> Times {
        let now = "2018-12-13T02:00:00Z".parse().unwrap();
        Times { now, zone: chrono_tz::Asia::Shanghai, language }
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        for (number, text) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567", "-1,234,567"),
            ("52353.125", "52,353.125"),
            ("99.97", "99.97"),
            ("", ""),
            ("2018-12-13", "2018-12-13"),
            ("-", "-"),
        ] {
            assert_eq!(grouped(number), text, "{number}");
        }
        assert_eq!((count(346_499_u32), count(-1)), ("346,499".to_owned(), "-1".to_owned()));
    }

    #[test]
    fn times_say_when_and_how_long_ago() {
        let zh = times(Language::Zh);
        let said = |stored: &str| zh.moment(Some(stored)).into_string();
        assert!(said("2018-12-13T01:48:00Z").contains("今天 09:48 <span class=\"ago\">12 分钟前"));
        assert!(said("2018-12-12 09:48").contains("昨天 09:48 <span class=\"ago\">24 小时前"));
        assert!(said("2018-12-13 12:00:00").contains("今天 12:00 <span class=\"ago\">2 小时后"));
        assert!(said("2018-12-13T02:00:10Z").contains("刚刚"));
        assert!(said("2017-01-01 00:00").contains("2017-01-01 00:00"));
        assert_eq!(said("<soon>"), "&lt;soon&gt;");
        assert!(zh.moment(None).into_string().contains("—"));
        let en = times(Language::En).moment(Some("2018-12-10T02:00:00Z")).into_string();
        assert!(en.contains("12-10 10:00") && en.contains("3 days ago"), "{en}");
    }

    #[test]
    fn lengths_are_short() {
        let en = times(Language::En);
        assert_eq!(en.took("2018-12-13T01:00:00Z", Some("2018-12-13T01:00:01.250Z")), "1.2 s");
        assert_eq!(en.took("2018-12-13T01:00:00Z", Some("2018-12-13T01:02:05Z")), "2 min 5 s");
        assert_eq!(en.took("2018-12-13T01:00:00Z", None), "1 h 0 min");
        assert_eq!(en.took("?", None), "");
    }

    #[test]
    fn the_day_is_written_out() {
        assert_eq!(times(Language::Zh).today(), "2018年12月13日 星期四");
        assert_eq!(times(Language::En).today(), "Thursday, 13 December 2018");
        assert_eq!(times(Language::Zh).greeting(), "上午好");
    }
}
