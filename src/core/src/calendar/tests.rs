use super::*;

const HOLIDAYS: &str = include_str!("../../../../config/calendar/holidays.csv");
const VECTORS: &str = include_str!("../../../../tests/fixtures/workday_vectors.csv");

fn calendar() -> Calendar {
    Calendar::parse(HOLIDAYS, "config/calendar/holidays.csv").unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn every_published_deadline_is_met() {
    let calendar = calendar();
    let mut reader = csv::Reader::from_reader(VECTORS.as_bytes());
    let mut count = 0;
    for row in reader.records() {
        let row = row.unwrap();
        let (start, amount) = (date(&row[0]), row[1].parse().unwrap());
        let deadline = match &row[2] {
            "workday" => calendar.add_workdays(start, amount).unwrap(),
            "natural_day" => calendar.add_natural_days(start, amount).unwrap(),
            unit => panic!("unit {unit}"),
        };
        assert_eq!(deadline, date(&row[3]), "{} + {} {}", start, amount, &row[2]);
        if &row[2] == "workday" {
            assert_eq!(calendar.workdays_between(start, deadline).unwrap(), amount);
        }
        count += 1;
    }
    assert_eq!(count, 23);
}

#[test]
fn working_days_per_year_are_the_published_ones() {
    let calendar = calendar();
    assert_eq!(calendar.known_years(), (2017, 2026));
    let expected = [249, 250, 250, 249, 250, 249, 249, 251, 248, 248];
    for (year, expected) in (2017..=2026).zip(expected) {
        let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let last = NaiveDate::from_ymd_opt(year, 12, 31).unwrap();
        let after_first = calendar.workdays_between(first, last).unwrap();
        let of_first = i64::from(calendar.is_workday(first).unwrap());
        assert_eq!(of_first + after_first, expected, "{year}");
    }
}

#[test]
fn algebra_agrees_with_counting_day_by_day() {
    let calendar = calendar();
    let from = date("2018-01-20");
    let days: Vec<NaiveDate> = from.iter_days().take(420).collect();
    for (i, start) in days.iter().enumerate().step_by(7) {
        let mut count = 0;
        for end in &days[i + 1..] {
            if calendar.is_workday(*end).unwrap() {
                count += 1;
                assert_eq!(calendar.add_workdays(*start, count).unwrap(), *end);
            }
            assert_eq!(calendar.workdays_between(*start, *end).unwrap(), count);
            assert_eq!(calendar.workdays_between(*end, *start).unwrap(), -count);
        }
    }
}

#[test]
fn zero_working_days_roll_an_off_day_forward_and_negative_ones_count_back() {
    let calendar = calendar();
    let add = |text, n| calendar.add_workdays(date(text), n).unwrap();
    assert_eq!(add("2018-10-01", 0), date("2018-10-08"));
    assert_eq!(add("2018-10-08", 0), date("2018-10-08"));
    assert_eq!(add("2018-10-08", -1), date("2018-09-30"));
    assert_eq!(add("2018-10-03", -1), date("2018-09-30"));
}

#[test]
fn the_last_known_year_reaches_its_last_day_and_not_beyond() {
    let calendar = calendar();
    assert!(calendar.is_workday(date("2026-12-31")).unwrap());
    assert_eq!(calendar.add_workdays(date("2026-12-30"), 1).unwrap(), date("2026-12-31"));

    let crossing = calendar.add_workdays(date("2026-12-30"), 2).unwrap_err();
    assert_eq!(crossing.code(), "E-CALENDAR-UNKNOWN");
    assert!(crossing.message().contains("2027"), "{crossing}");
    assert!(crossing.hint_text().unwrap().contains("config/calendar/holidays.csv"));

    for result in [
        calendar.is_workday(date("2027-01-04")).map(|_| ()),
        calendar.workdays_between(date("2026-12-30"), date("2027-01-04")).map(|_| ()),
        calendar.add_natural_days(date("2026-12-30"), 5).map(|_| ()),
        calendar.add_workdays(date("2017-01-03"), -2).map(|_| ()),
        calendar.add_workdays(date("2018-01-03"), i64::MAX).map(|_| ()),
        calendar.add_workdays(date("2018-01-03"), i64::MIN).map(|_| ()),
        calendar.add_natural_days(date("2018-01-03"), i64::MIN).map(|_| ()),
        calendar.is_workday_epoch(i32::MAX).map(|_| ()),
    ] {
        assert_eq!(result.unwrap_err().code(), "E-CALENDAR-UNKNOWN");
    }
}

#[test]
fn days_listed_ahead_do_not_make_the_next_year_known() {
    let text = "date,name,is_off_day\n2018-01-01,a,true\n2018-10-01,b,true\n2019-01-01,c,true\n";
    let calendar = Calendar::parse(text, "h.csv").unwrap();
    assert_eq!(calendar.known_years(), (2018, 2018));
}

#[test]
fn faults_name_file_and_line() {
    let message = |text: &str| Calendar::parse(text, "h.csv").unwrap_err().message().to_owned();
    let head = "date,name,is_off_day\n2018-01-01,a,true\n";
    assert!(message(&format!("{head}2018-02-30,b,true\n")).starts_with("h.csv:3: `2018-02-30`"));
    assert!(message(&format!("{head}2018-01-02,b,maybe\n")).starts_with("h.csv:3: is_off_day"));
    assert!(message(&format!("{head}2018-01-01,b,true\n")).contains("listed twice"));
    assert!(message(&format!("{head}2018-01-02,b\n")).starts_with("h.csv:3:"));
    assert!(message("date,name\n").contains("`is_off_day` is missing"));
    assert!(message(head).contains("no year is complete"));
    let gap = "date,name,is_off_day\n2018-01-01,a,true\n2018-10-01,b,true\n\
               2020-01-01,a,true\n2020-10-01,b,true\n";
    assert!(message(gap).contains("2019 is missing"));
}
