use chrono_tz::Asia::Shanghai;

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn timetable(keys: &str) -> Timetable {
    // 2018 as its notice had it around the end of the year: off on Monday 31 December, and the
    // Saturday before it is worked instead.
    let days = "date,name,is_off_day\n2018-01-01,元旦,true\n2018-10-01,国庆节,true\n\
                2018-12-29,元旦,false\n2018-12-31,元旦,true\n2019-01-01,元旦,true\n";
    let calendar = Arc::new(Calendar::parse(days, "days.csv").unwrap());
    let text = format!("name = \"a\"\nrun = \"*\"\n{keys}");
    Timetable::of(&toml_edit::de::from_str(&text).unwrap(), Shanghai, &calendar).unwrap()
}

fn shown(times: Vec<DateTime<Tz>>) -> Vec<String> {
    times.iter().map(|time| time.format("%m-%d %H:%M").to_string()).collect()
}

#[test]
fn working_days_have_make_up_days_among_them() {
    let job = timetable("cron = \"0 9 * * *\"\ncalendar = \"workdays\"");
    let from = utc("2018-12-27T00:00:00Z");
    let times = job.upcoming(from, 3).unwrap();
    assert_eq!(shown(times), ["12-27 09:00", "12-28 09:00", "12-29 09:00"]);
    assert_eq!(
        job.last_before(utc("2018-12-31T12:00:00Z")).unwrap().to_string()[..10],
        *"2018-12-29"
    );
    let every_day = timetable("cron = \"0 9 * * *\"");
    assert_eq!(shown(every_day.upcoming(utc("2018-12-29T12:00:00Z"), 1).unwrap()), ["12-30 09:00"]);
}

#[test]
fn a_year_that_is_not_in_the_calendar_is_an_error_that_names_it_and_no_sooner() {
    let job = timetable("cron = \"0 9 * * *\"\ncalendar = \"workdays\"");
    assert_eq!(job.known_until(), Some(2018));
    let error = job.upcoming(utc("2018-12-27T00:00:00Z"), 4).unwrap_err();
    assert_eq!(error.code(), "E-CALENDAR-UNKNOWN");
    assert!(error.to_string().contains("2019"), "{error}");
    let last = Some(utc("2018-12-29T01:00:00Z"));
    for policy in [CatchUpWord::None, CatchUpWord::Latest, CatchUpWord::All] {
        assert!(job.due(last, utc("2018-12-31T15:59:00Z"), policy).unwrap().is_empty());
        let error = job.due(last, utc("2019-01-01T01:00:00Z"), policy).unwrap_err();
        assert_eq!(error.code(), "E-CALENDAR-UNKNOWN");
    }
    // What was due before is run for all that.
    let last = Some(utc("2018-12-28T01:00:00Z"));
    for policy in [CatchUpWord::Latest, CatchUpWord::All] {
        let due = job.due(last, utc("2019-01-01T01:00:00Z"), policy).unwrap();
        assert_eq!(due, [Due { at: utc("2018-12-29T01:00:00Z"), missed: 0 }]);
    }
}

#[test]
fn missed_occurrences_are_run_as_the_policy_says_and_counted() {
    use CatchUpWord::{All, Latest, None as Nothing};
    let job = timetable("cron = \"0 * * * *\"");
    let due = |last, now, policy| -> Vec<(String, u32)> {
        let due = job.due(last, now, policy).unwrap();
        due.iter().map(|due| (due.at.format("%H:%M").to_string(), due.missed)).collect()
    };
    let at = |text: &str, missed| (text.to_owned(), missed);
    let now = utc("2018-12-13T10:20:00Z");
    let last = Some(utc("2018-12-13T07:00:00Z"));
    assert!(due(last, now, Nothing).is_empty());
    assert_eq!(due(last, now, Latest), [at("10:00", 2)]);
    assert_eq!(due(last, now, All), [at("08:00", 0), at("09:00", 0), at("10:00", 0)]);
    let on_time = utc("2018-12-13T10:00:30Z");
    assert_eq!(due(last, on_time, Nothing), [at("10:00", 2)]);
    for policy in [Nothing, Latest, All] {
        assert!(due(None, now, policy).is_empty());
        assert_eq!(due(None, on_time, policy), [at("10:00", 0)]);
        assert_eq!(due(Some(utc("2018-12-13T09:00:00Z")), on_time, policy), [at("10:00", 0)]);
        let current = utc("2018-12-13T10:00:00Z");
        assert!(due(Some(current), on_time, policy).is_empty());
        assert!(due(Some(now), current, policy).is_empty(), "the clock went back");
    }
}
