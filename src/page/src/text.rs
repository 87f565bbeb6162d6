//! Dates and words as they are read in an office.

use chrono::{Datelike, NaiveDate};

use crate::daily::StepState;

/// `2018年12月13日`; what is no day stays as it is.
pub(crate) fn long_day(day: &str) -> String {
    match day.parse::<NaiveDate>() {
        Ok(date) => format!("{}年{}月{}日", date.year(), date.month(), date.day()),
        Err(_) => day.to_owned(),
    }
}

/// `12月13日`; what is no day stays as it is.
pub(crate) fn short_day(day: &str) -> String {
    match day.parse::<NaiveDate>() {
        Ok(date) => format!("{}月{}日", date.month(), date.day()),
        Err(_) => day.to_owned(),
    }
}

/// `星期四`; nothing for what is no day.
pub(crate) fn weekday(day: &str) -> &'static str {
    const NAMES: [&str; 7] = ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"];
    day.parse::<NaiveDate>()
        .ok()
        .and_then(|date| NAMES.get(date.weekday().num_days_from_monday() as usize).copied())
        .unwrap_or_default()
}

/// A moment without the day it shares with `day`, or without its year.
pub(crate) fn moment<'a>(at: &'a str, day: &str) -> &'a str {
    let same_day = at.strip_prefix(day).map(str::trim_start);
    let year = day.get(..5).unwrap_or_default();
    same_day.or_else(|| at.strip_prefix(year)).unwrap_or(at)
}

pub(crate) fn state(state: StepState) -> &'static str {
    match state {
        StepState::Running => "进行中",
        StepState::Succeeded => "成功",
        StepState::Unchanged => "无变化",
        StepState::Partial => "部分成功",
        StepState::Failed => "失败",
        StepState::Blocked => "未运行",
        StepState::Cancelled => "已中止",
    }
}

/// `3 个工作日`, or `不详` where no calendar tells.
pub(crate) fn workdays(days: Option<i64>) -> String {
    days.map_or_else(|| "不详".to_owned(), |days| format!("{days} 个工作日"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_people_read_them() {
        assert_eq!(long_day("2018-12-03"), "2018年12月3日");
        assert_eq!(short_day("2018-12-03"), "12月3日");
        assert_eq!(weekday("2018-12-13"), "星期四");
        assert_eq!((long_day("gestern"), weekday("gestern")), ("gestern".to_owned(), ""));
    }

    #[test]
    fn moments_leave_out_what_is_known() {
        assert_eq!(moment("2018-12-13 07:31", "2018-12-13"), "07:31");
        assert_eq!(moment("2018-12-12 07:31", "2018-12-13"), "12-12 07:31");
        assert_eq!(moment("2017-12-12 07:31", "2018-12-13"), "2017-12-12 07:31");
        assert_eq!(moment("", ""), "");
    }
}
