//! Today and moments, in the hub's zone and its working days.

use chrono::{DateTime, Days, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use huiliu_core::calendar::Calendar;

use crate::hub::Hub;

/// Today, as the hub's zone and calendar have it.
pub(super) struct Today<'a> {
    pub(super) now: DateTime<Tz>,
    calendar: &'a Calendar,
}

impl<'a> Today<'a> {
    pub(super) fn of(hub: &'a Hub) -> Self {
        let now = hub.clock().now().with_timezone(&hub.project.zone);
        Self { now, calendar: &hub.project.calendar }
    }

    pub(super) fn day(&self) -> NaiveDate {
        self.now.date_naive()
    }

    /// The day `count` days ago.
    pub(super) fn days_ago(&self, count: u64) -> Option<NaiveDate> {
        self.day().checked_sub_days(Days::new(count))
    }

    /// The end of `day`, which is the beginning of the next one.
    pub(super) fn end_of(&self, day: NaiveDate) -> Option<DateTime<Utc>> {
        end_of(self.now.timezone(), day)
    }

    /// A stored moment, for people; text that is none stays as it is.
    pub(super) fn text_of(&self, stored: &str) -> String {
        self.moment(stored).map_or_else(|| stored.to_owned(), |moment| self.text(moment))
    }

    /// A moment, for people.
    pub(super) fn text(&self, moment: DateTime<Utc>) -> String {
        moment.with_timezone(&self.now.timezone()).format("%Y-%m-%d %H:%M").to_string()
    }

    /// A stored moment.
    pub(super) fn moment(&self, stored: &str) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(stored).ok().map(|moment| moment.to_utc())
    }

    /// The day of a moment.
    pub(super) fn day_of(&self, moment: DateTime<Utc>) -> NaiveDate {
        moment.with_timezone(&self.now.timezone()).date_naive()
    }

    /// Working days from one day to another; none in years without a calendar.
    pub(super) fn workdays(&self, from: NaiveDate, to: NaiveDate) -> Option<i64> {
        self.calendar.workdays_between(from, to).ok()
    }

    #[cfg(test)]
    pub(super) fn at(now: DateTime<Tz>, calendar: &'a Calendar) -> Self {
        Self { now, calendar }
    }
}

/// The end of a day in `zone`, which is the beginning of the next one; where that begins twice,
/// the earlier one, and nothing where it has no beginning.
pub(crate) fn end_of(zone: Tz, day: NaiveDate) -> Option<DateTime<Utc>> {
    let next = day.succ_opt()?.and_hms_opt(0, 0, 0)?;
    zone.from_local_datetime(&next).earliest().map(|end| end.to_utc())
}
