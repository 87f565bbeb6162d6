mod decade;

use chrono_tz::{Africa::Casablanca, America::New_York, Asia::Shanghai, Europe::Berlin};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn upcoming(text: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(text, zone).unwrap();
    schedule.upcoming(utc(from), count).iter().map(DateTime::to_rfc3339).collect()
}

#[test]
fn shanghai_runs_at_its_own_wall_time() {
    assert_eq!(
        upcoming("30 2 * * 1-5", Shanghai, "2018-12-13T18:30:00Z", 2),
        ["2018-12-17T02:30:00+08:00", "2018-12-18T02:30:00+08:00"]
    );
}

#[test]
fn a_skipped_wall_time_runs_once_after_the_gap() {
    assert_eq!(
        upcoming("30 2 * * *", New_York, "2018-03-10T00:00:00Z", 3),
        ["2018-03-10T02:30:00-05:00", "2018-03-11T03:00:00-04:00", "2018-03-12T02:30:00-04:00"]
    );
    assert_eq!(
        upcoming("*/20 2,3 * * *", Berlin, "2018-03-25T00:50:00Z", 4),
        [
            "2018-03-25T03:00:00+02:00",
            "2018-03-25T03:20:00+02:00",
            "2018-03-25T03:40:00+02:00",
            "2018-03-26T02:00:00+02:00"
        ]
    );
}

#[test]
fn a_day_the_calendar_skips_runs_at_the_start_of_the_next() {
    assert_eq!(
        upcoming("0 9 30 12 *", chrono_tz::Pacific::Apia, "2011-12-01T00:00:00Z", 1),
        ["2011-12-31T00:00:00+14:00"]
    );
}

#[test]
fn a_repeated_wall_time_runs_the_first_time_only() {
    assert_eq!(
        upcoming("30 1 * * *", New_York, "2018-11-03T12:00:00Z", 2),
        ["2018-11-04T01:30:00-04:00", "2018-11-05T01:30:00-05:00"]
    );
    assert_eq!(
        upcoming("30 1 * * *", New_York, "2018-11-04T06:10:00Z", 1),
        ["2018-11-05T01:30:00-05:00"]
    );
    assert_eq!(
        upcoming("*/30 * * * *", Berlin, "2018-10-28T00:00:00Z", 2),
        ["2018-10-28T02:30:00+02:00", "2018-10-28T03:00:00+01:00"]
    );
}

#[test]
fn restricted_day_and_weekday_are_alternatives() {
    assert_eq!(
        upcoming("0 9 13 * fri", Shanghai, "2018-04-06T02:00:00Z", 3),
        ["2018-04-13T09:00:00+08:00", "2018-04-20T09:00:00+08:00", "2018-04-27T09:00:00+08:00"]
    );
    assert_eq!(
        upcoming("0 9 13 6 Fri", Shanghai, "2018-06-08T02:00:00Z", 2),
        ["2018-06-13T09:00:00+08:00", "2018-06-15T09:00:00+08:00"]
    );
}

#[test]
fn leap_days_are_found_across_a_century() {
    assert_eq!(
        upcoming("0 0 29 feb *", Shanghai, "2096-03-01T00:00:00Z", 1),
        ["2104-02-29T00:00:00+08:00"]
    );
    assert_eq!(
        upcoming("0 0 29 2 *", Shanghai, "2018-01-01T00:00:00Z", 1),
        ["2020-02-29T00:00:00+08:00"]
    );
}

#[test]
fn sunday_is_zero_and_seven_and_a_name() {
    let zero = Schedule::parse("0 0 * * 0", Shanghai).unwrap();
    let from = utc("2018-01-01T00:00:00Z");
    assert_eq!(zero.next_after(from).unwrap().weekday(), chrono::Weekday::Sun);
    for text in ["0 0 * * 7", "0 0 * * sun"] {
        let other = Schedule::parse(text, Shanghai).unwrap();
        assert_eq!(other.upcoming(from, 5), zero.upcoming(from, 5));
    }
    assert_eq!(
        upcoming("0 0 * * 5-7", Shanghai, "2018-01-01T00:00:00Z", 3),
        ["2018-01-05T00:00:00+08:00", "2018-01-06T00:00:00+08:00", "2018-01-07T00:00:00+08:00"]
    );
}

#[test]
fn faults_name_the_field_and_what_it_allows() {
    for (text, message, hint) in [
        ("0 2 * *", "expected 5 fields, found 4", "such as `0 2 * * *`"),
        ("0 0 2 * * *", "expected 5 fields, found 6", "such as `0 2 * * *`"),
        ("60 2 * * *", "minute `60`: 60 is outside 0-59", "minute allows 0-59"),
        ("0 24 * * *", "hour `24`: 24 is outside 0-23", "hour allows 0-23"),
        ("0 2 0 * *", "day of month `0`: 0 is outside 1-31", "allows 1-31"),
        ("0 2 * 13 *", "month `13`: 13 is outside 1-12", "allows 1-12 and jan-dec"),
        ("0 2 * * 8", "weekday `8`: 8 is outside 0-7", "allows 0-7 and sun-sat"),
        ("0 2 * * fri-mon", "the range `fri-mon` runs backwards", "weekday allows"),
        ("*/0 2 * * *", "the step `0`", "minute allows"),
        ("1,,2 2 * * *", "a value is missing", "minute allows"),
        ("x 2 * * *", "`x` is not understood", "minute allows"),
        ("+5 2 * * *", "`+5` is not understood", "minute allows"),
        ("0 0 30 2 *", "it never fires", "30 February"),
        ("0 0 31 4,6,9,11 */2", "it never fires", "no month chosen"),
    ] {
        let error = Schedule::parse(text, Shanghai).unwrap_err();
        assert!(error.message().contains(message), "{text}: {error}");
        assert!(error.hint_text().unwrap().contains(hint), "{text}: {:?}", error.hint_text());
        assert_eq!(error.code(), "E-SCHEDULE");
    }
    assert!(Schedule::parse("0 0 30 2 1", Shanghai).is_ok(), "the weekday alone is enough");
}

#[test]
fn what_other_schedulers_add_is_refused() {
    for (text, message) in [
        ("@daily", "expected 5 fields, found 1"),
        ("0 2 * * * 2018", "expected 5 fields, found 6"),
        ("0 0 2 * * * 2018", "expected 5 fields, found 7"),
        ("0 2 ? * 1", "day of month `?`: `?` is not understood"),
        ("0 2 1 * ?", "weekday `?`: `?` is not understood"),
        ("0 2 ?/2 * *", "day of month `?/2`: `?` is not understood"),
        ("0 2 L * *", "day of month `L`: `L` is not understood"),
        ("0 2 15W * *", "day of month `15W`: `15W` is not understood"),
        ("0 2 * * 5L", "weekday `5L`: `5L` is not understood"),
        ("0 2 * * 5#2", "weekday `5#2`: `5#2` is not understood"),
        ("0 2 * * monday", "weekday `monday`: `monday` is not understood"),
        ("0 2 * january *", "month `january`: `january` is not understood"),
    ] {
        let error = Schedule::parse(text, Shanghai).unwrap_err();
        assert!(error.message().ends_with(message), "{text}: {error}");
    }
}

#[test]
fn a_broken_field_never_borrows_from_the_one_beside_it() {
    for (text, message) in [
        ("0 -5 * * *", "hour `-5`: a value is missing"),
        ("0, 7 * * *", "minute `0,`: a value is missing"),
        ("0- 7 * * *", "minute `0-`: a value is missing"),
        ("0 5* * * *", "hour `5*`: `5*` is not understood"),
        ("0 *5 * * *", "hour `*5`: `*5` is not understood"),
        ("0 1-2-3 * * *", "hour `1-2-3`: `1-2-3` is not understood"),
        ("0 2,*-5 * * *", "hour `2,*-5`: `*-5` is not understood"),
        ("0 5-* * * *", "hour `5-*`: `5-*` is not understood"),
        ("0 1/2/3 * * *", "hour `1/2/3`: the step `2/3` is not a number from 1 to 23"),
        ("0 */24 * * *", "hour `*/24`: the step `24` is not a number from 1 to 23"),
        ("0 2 9,5-1/2 * *", "day of month `9,5-1/2`: the range `5-1` runs backwards"),
    ] {
        let error = Schedule::parse(text, Shanghai).unwrap_err();
        assert!(error.message().ends_with(message), "{text}: {error}");
    }
}

#[test]
fn every_range_and_step_means_the_numbers_it_spans() {
    for (spec, low, high) in [
        (field::MINUTE, 0, 59),
        (field::HOUR, 0, 23),
        (field::DAY, 1, 31),
        (field::MONTH, 1, 12),
        (field::WEEKDAY, 0, 7),
    ] {
        let check = |text: &str, from: u32, to: u32, step: u32| {
            let found = parse_field(&spec, text).unwrap();
            let sunday = |number: u32| if high == 7 { number % 7 } else { number };
            let expected: Vec<u32> = (from..=to).step_by(step as usize).map(sunday).collect();
            for number in 0..64 {
                assert_eq!(found.has(number), expected.contains(&number), "{} {text}", spec.name);
            }
        };
        check("*", low, high, 1);
        for from in low..=high {
            check(&format!("{from}"), from, from, 1);
            check(&format!("*/{}", from.max(1)), low, high, from.max(1));
            for to in from..=high {
                check(&format!("{from}-{to}"), from, to, 1);
                for step in [1, 2, 5] {
                    check(&format!("{from}-{to}/{step}"), from, to, step);
                    check(&format!("{from}/{step}"), from, high, step);
                }
            }
        }
    }
    let days = |text| parse_field(&field::WEEKDAY, text).unwrap();
    assert_eq!(days("Mon-5/2,sun"), days("1,3,5,0"));
    assert_eq!(days("fri/1"), days("5-7"));
}

/// Fields as plain lists; an empty list is `*`.
#[derive(Debug, Clone)]
struct Model {
    fields: [Vec<u32>; 5],
}

impl Model {
    fn text(&self) -> String {
        let part = |numbers: &Vec<u32>| match numbers[..] {
            [] => "*".to_owned(),
            _ => numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        };
        self.fields.iter().map(part).collect::<Vec<_>>().join(" ")
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        let [minute, hour, day, month, weekday] = &self.fields;
        let among = |numbers: &Vec<u32>, number| numbers.is_empty() || numbers.contains(&number);
        let sunday_based = wall.weekday().num_days_from_sunday();
        let by_day = among(day, wall.day());
        let by_weekday = among(weekday, sunday_based) || sunday_based == 0 && weekday.contains(&7);
        let day_fits = if day.is_empty() || weekday.is_empty() {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        };
        among(minute, wall.minute())
            && among(hour, wall.hour())
            && among(month, wall.month())
            && day_fits
    }

    /// Walks the clock minute by minute, remembering what the wall has already shown.
    fn walk(&self, zone: Tz, from: DateTime<Utc>, days: i64) -> Vec<DateTime<Utc>> {
        let local = |instant: DateTime<Utc>| instant.with_timezone(&zone).naive_local();
        let minute = Duration::minutes(1);
        let mut shown = local(from - Duration::days(1));
        let mut occurrences = Vec::new();
        let mut instant = from - Duration::days(1) + minute;
        while instant <= from + Duration::days(days) {
            let mut fires = false;
            while shown < local(instant) {
                shown += minute;
                fires |= self.matches(shown);
            }
            if fires && instant > from {
                occurrences.push(instant);
            }
            instant += minute;
        }
        occurrences
    }
}

#[test]
fn any_expression_agrees_with_walking_the_clock() {
    let seed = [7_u8; 32];
    println!("seed {seed:?}");
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let some = |low: u32, high: u32| prop::collection::vec(low..=high, 0..4);
    let model = (some(0, 59), some(0, 5), some(1, 31), Just(Vec::new()), some(0, 7))
        .prop_map(|(a, b, c, d, e)| Model { fields: [a, b, c, d, e] });
    let changes = prop::sample::select(vec![
        (New_York, "2018-03-10T17:00:00Z"),
        (New_York, "2018-11-03T17:00:00Z"),
        (Berlin, "2018-03-24T23:00:00Z"),
        (Berlin, "2018-10-27T23:00:00Z"),
        (Casablanca, "2018-05-12T12:00:00Z"),
        (chrono_tz::Australia::Lord_Howe, "2018-04-07T00:00:00Z"),
        (chrono_tz::Australia::Lord_Howe, "2018-10-06T00:00:00Z"),
        (chrono_tz::Pacific::Apia, "2011-12-29T00:00:00Z"),
        (Shanghai, "2018-02-28T00:00:00Z"),
    ]);
    runner
        .run(&(model, changes, 0_i64..2880), |(model, (zone, start), shift)| {
            let from = utc(start) - Duration::minutes(shift);
            let expected = model.walk(zone, from, 4);
            let schedule = Schedule::parse(&model.text(), zone).unwrap();
            let found: Vec<DateTime<Utc>> = schedule
                .upcoming(from, expected.len() + 1)
                .into_iter()
                .map(|occurrence| occurrence.to_utc())
                .collect();
            prop_assert_eq!(&found[..expected.len()], &expected[..], "{}", model.text());
            if let Some(next) = found.get(expected.len()) {
                prop_assert!(*next > from + Duration::days(4));
            }
            Ok(())
        })
        .unwrap();
}
