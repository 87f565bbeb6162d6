//! Whether something was done when the jobs say, and whether a stream still brings new rows.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use huiliu_core::timetable::Timetable;
use huiliu_page::{News, Timing};
use huiliu_sdk::Result;

use super::moment::Today;
use crate::hub::Hub;

/// How long a job may take before what it should have done is late.
const GRACE: Duration = Duration::minutes(30);
/// On how many days a stream must have brought something before its pauses mean anything.
const KNOWN_DAYS: usize = 5;

/// The jobs with what each of them does.
pub(super) struct Jobs<'a> {
    jobs: Vec<(&'a str, Timetable, BTreeSet<&'a str>)>,
    /// Nothing was due before the first run.
    first_run: Option<DateTime<Utc>>,
}

impl<'a> Jobs<'a> {
    pub(super) fn of(hub: &'a Hub, first_run: Option<DateTime<Utc>>) -> Result<Self> {
        let mut jobs = Vec::new();
        for job in &hub.project.jobs.jobs {
            if job.run.trim() == crate::maintain::SELECTOR {
                continue;
            }
            let nodes = hub.project.graph.select(&job.run)?;
            let nodes = nodes.into_iter().map(|node| node.name.as_str()).collect();
            let timetable = Timetable::of(job, hub.project.zone, &hub.project.calendar)?;
            jobs.push((job.name.as_str(), timetable, nodes));
        }
        Ok(Self { jobs, first_run })
    }

    /// Whether `node`, which was last done well at `done`, was done when it should have been.
    pub(super) fn timing(
        &self,
        node: &str,
        done: Option<DateTime<Utc>>,
        today: &Today<'_>,
    ) -> Timing {
        let of_node = self.jobs.iter().filter(|(_, _, nodes)| nodes.contains(node));
        let by = today.now.to_utc() - GRACE;
        let due = of_node.clone().filter_map(|(name, timetable, _)| {
            let at = timetable.last_before(by)?.to_utc();
            (self.first_run.is_some_and(|first| first <= at)).then_some((at, *name))
        });
        let latest = due.max();
        let is_late = latest.is_some_and(|(at, _)| done.is_none_or(|done| done < at));
        let job = latest.map(|(_, name)| name);
        let job = job.or_else(|| of_node.map(|(name, ..)| *name).next());
        Timing {
            job: job.map(str::to_owned),
            due_at: latest.map(|(at, _)| today.text(at)),
            done_at: done.map(|done| today.text(done)),
            is_late,
            late_workdays: done
                .filter(|_| is_late)
                .and_then(|done| today.workdays(today.day_of(done), today.day())),
        }
    }
}

/// When a stream last brought something new, of the days on which it did.
pub(super) fn news(days: &BTreeSet<NaiveDate>, today: &Today<'_>) -> News {
    let Some(last) = days.last() else { return News::default() };
    let each: Vec<NaiveDate> = days.iter().copied().collect();
    let pauses = each.windows(2).map(|pair| today.workdays(pair[0], pair[1]));
    let usual = pauses.collect::<Option<Vec<i64>>>().and_then(|pauses| pauses.into_iter().max());
    News {
        last_day: Some(last.to_string()),
        workdays: today.workdays(*last, today.day()),
        usual: usual.filter(|_| days.len() >= KNOWN_DAYS),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use chrono_tz::Asia::Shanghai;
    use huiliu_core::calendar::Calendar;

    use super::*;

    fn calendar() -> Calendar {
        let text = "date,name,is_off_day\n2018-01-01,元旦,true\n2018-10-01,国庆节,true\n";
        Calendar::parse(text, "test").unwrap()
    }

    fn at(day: u32, hour: u32, minute: u32) -> DateTime<chrono_tz::Tz> {
        Shanghai.with_ymd_and_hms(2018, 12, day, hour, minute, 0).unwrap()
    }

    /// Two jobs of one stream: every morning at 7:30, and every hour of the day.
    fn jobs(first_run: Option<DateTime<Utc>>) -> Jobs<'static> {
        let calendar = std::sync::Arc::new(calendar());
        let job = |name, cron| {
            let keys = serde_json::json!({ "name": name, "cron": cron, "run": "*" });
            let config = serde_json::from_value(keys).unwrap();
            let timetable = Timetable::of(&config, Shanghai, &calendar).unwrap();
            (name, timetable, BTreeSet::from(["a.cases"]))
        };
        Jobs { jobs: vec![job("morning", "30 7 * * *"), job("hourly", "5 9-18 * * *")], first_run }
    }

    #[test]
    fn a_stream_is_late_when_it_was_not_read_since_it_was_due() {
        let calendar = calendar();
        let jobs = jobs(Some(at(1, 0, 0).to_utc()));
        let judge = |now, done: Option<DateTime<chrono_tz::Tz>>| {
            let timing =
                jobs.timing("a.cases", done.map(|d| d.to_utc()), &Today::at(now, &calendar));
            (timing.is_late, timing.due_at.unwrap(), timing.job.unwrap(), timing.late_workdays)
        };
        let due = |text: &str, job: &str| (text.to_owned(), job.to_owned());
        // Read this morning; the morning's time of the same day is not due for half an hour yet.
        let (late, at_text, job, _) = judge(at(13, 8, 5), Some(at(13, 7, 31)));
        assert_eq!((late, (at_text, job)), (false, due("2018-12-13 07:30", "morning")));
        let (late, at_text, job, _) = judge(at(13, 7, 45), Some(at(12, 18, 6)));
        assert_eq!((late, (at_text, job)), (false, due("2018-12-12 18:05", "hourly")));
        // Last read on Monday the 10th: three working days until Thursday the 13th.
        let (late, at_text, job, days) = judge(at(13, 12, 0), Some(at(10, 18, 6)));
        assert_eq!((late, (at_text, job)), (true, due("2018-12-13 11:05", "hourly")));
        assert_eq!(days, Some(3));
        assert!(judge(at(13, 12, 0), None).0, "it was never read");
    }

    #[test]
    fn nothing_is_late_before_the_first_run_or_without_a_job() {
        let calendar = calendar();
        let today = Today::at(at(13, 8, 5), &calendar);
        let new = jobs(Some(at(13, 8, 0).to_utc())).timing("a.cases", None, &today);
        assert_eq!((new.is_late, new.due_at, new.job.as_deref()), (false, None, Some("morning")));
        let other = jobs(Some(at(1, 0, 0).to_utc())).timing("b.cases", None, &today);
        assert_eq!((other.is_late, other.job), (false, None));
    }

    #[test]
    fn a_pause_is_long_by_what_the_stream_used_to_do_in_working_days() {
        let calendar = calendar();
        let days = |days: &[u32]| -> BTreeSet<NaiveDate> {
            days.iter().map(|day| at(*day, 0, 0).date_naive()).collect()
        };
        // Friday the 7th to Monday the 10th is one working day.
        let daily = days(&[3, 4, 5, 6, 7, 10]);
        let said = news(&daily, &Today::at(at(11, 8, 0), &calendar));
        assert_eq!((said.workdays, said.usual, said.is_long_ago()), (Some(1), Some(1), false));
        let said = news(&daily, &Today::at(at(13, 8, 0), &calendar));
        assert_eq!((said.workdays, said.usual, said.is_long_ago()), (Some(3), Some(1), true));
        let few = news(&days(&[3, 4]), &Today::at(at(28, 8, 0), &calendar));
        assert_eq!((few.usual, few.is_long_ago()), (None, false));
        assert_eq!(news(&BTreeSet::new(), &Today::at(at(28, 8, 0), &calendar)).last_day, None);
        // No calendar of 2019: nothing is guessed.
        let later = Shanghai.with_ymd_and_hms(2019, 3, 1, 8, 0, 0).unwrap();
        let unknown = news(&daily, &Today::at(later, &calendar));
        assert_eq!((unknown.workdays, unknown.is_long_ago()), (None, false));
    }
}
