//! What electronic supervision must find, counted from the files by rules and a calendar that share
//! nothing with the city's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, Weekday};
use sqlx::{AssertSqlSafe, Row};

use crate::City;

const CITIES: [(u64, f64); 3] = [(1, 0.02), (20_181_213, 0.05), (42, 0.02)];
/// Working days that each step may take.
const STEPS: [(&str, i64); 4] = [("1", 1), ("2", 10), ("3", 5), ("4", 3)];

fn moment(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
}

/// All working days around the city's year, in order.
struct Calendar(Vec<NaiveDate>);

impl Calendar {
    fn new() -> Self {
        let facts = concat!(env!("CARGO_MANIFEST_DIR"), "/facts/holidays.csv");
        let text = fs::read_to_string(facts).unwrap();
        let is_off = |day: &NaiveDate| {
            let listed = text.lines().find_map(|line| line.strip_prefix(&format!("{day},")));
            listed.map_or(matches!(day.weekday(), Weekday::Sat | Weekday::Sun), |l| l == "true")
        };
        let days = NaiveDate::from_ymd_opt(2017, 6, 1).unwrap().iter_days().take(800);
        Self(days.filter(|day| !is_off(day)).collect())
    }

    /// Working days after `from` up to `to`; negative if `to` is the earlier one.
    fn between(&self, from: NaiveDateTime, to: NaiveDateTime) -> i64 {
        let until = |day: NaiveDate| self.0.partition_point(|workday| *workday <= day) as i64;
        until(to.date()) - until(from.date())
    }
}

/// A case as the platform's tables show it.
struct Seen {
    item: String,
    is_promised: bool,
    accept: NaiveDateTime,
    promise: NaiveDateTime,
    result: Option<NaiveDateTime>,
    /// For which span the clock stood.
    waited: Option<(NaiveDateTime, NaiveDateTime)>,
    is_paused: bool,
    /// Working days after the promise.
    late: i64,
}

async fn rows(city: &City, file: &str, sql: &str) -> Vec<Vec<Option<String>>> {
    let mut connection = city.open(file).await;
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (0..row.len()).map(|column| row.get(column)).collect()).collect()
}

async fn cases(city: &City, calendar: &Calendar) -> (BTreeMap<String, Seen>, NaiveDateTime) {
    let sql = "select a.project_no, coalesce(a.task_handle_item, a.task_code), a.project_type, \
               a.accept_date, a.promise_date, r.result_date, s.special_time, s.end_time, \
               (select max(accept_date) from up_pro_accept where typeof(applyer_name) = 'text') \
               from up_pro_accept a left join up_pro_result r on r.project_no = a.project_no \
               left join up_pro_special_procedure s on s.project_no = a.project_no \
               where typeof(a.applyer_name) = 'text' and a.cd_operation <> 'D' \
               and coalesce(r.result_type, '') <> '3'";
    let mut now = NaiveDateTime::default();
    let mut cases = BTreeMap::new();
    for row in rows(city, "operation.db", sql).await {
        let at = |column: usize| row[column].as_deref().map(moment);
        now = at(8).unwrap();
        let (accept, promise, result) = (at(3).unwrap(), at(4).unwrap(), at(5));
        let (start, end) = (at(6), at(7));
        let has_end = end > start;
        let waited = start.and_then(|start| {
            let goes_on = !has_end && result.is_none() && now - start < Duration::days(60);
            let end = if goes_on { Some(now) } else { end.filter(|_| has_end) };
            Some((start, end?.min(result.unwrap_or(now))))
        });
        let off = waited.map_or(0, |(from, to)| calendar.between(from, to));
        let late = calendar.between(promise, result.unwrap_or(now)) - off;
        let seen = Seen {
            item: row[1].clone().unwrap(),
            is_promised: row[2].as_deref() == Some("2"),
            accept,
            promise,
            result,
            waited,
            is_paused: waited.is_some() && !has_end,
            late,
        };
        cases.insert(row[0].clone().unwrap(), seen);
    }
    (cases, now)
}

/// By item its legal limit, whether it has a fee, and how much, of its latest version.
async fn items(city: &City) -> BTreeMap<String, (i64, bool, Option<i64>)> {
    let sql = "select coalesce(b.task_handle_item, b.task_code), cast(b.anticipate_day as text), \
               b.is_fee, f.fee_standard from up_task_general_basic b \
               left join up_task_general_fee_project f on f.task_guid = b.row_guid \
               order by b.task_version";
    let mut items = BTreeMap::new();
    for row in rows(city, "items.db", sql).await {
        let fee = row[3].as_deref().map(|text| text.strip_suffix("元/件").unwrap());
        let fee = fee.map(|yuan| yuan.parse::<i64>().unwrap() * 100);
        let legal = row[1].as_deref().unwrap().parse().unwrap();
        items.insert(row[0].clone().unwrap(), (legal, row[2].as_deref() == Some("1"), fee));
    }
    items
}

fn expect(city: &City, rule: &str, found: BTreeSet<String>) {
    let planted: BTreeSet<String> = city.keys_of("cards", rule).into_iter().collect();
    assert!(!found.is_empty(), "{rule}");
    let lacks: Vec<_> = planted.difference(&found).take(3).collect();
    let extra: Vec<_> = found.difference(&planted).take(3).collect();
    assert!(lacks.is_empty() && extra.is_empty(), "{rule}: lacks {lacks:?}, extra {extra:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_for_being_late_follow_from_promises_legal_limits_and_waits() {
    let calendar = Calendar::new();
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let (cases, now) = cases(&city, &calendar).await;
        let items = items(&city).await;
        let is_past_legal = |seen: &Seen| {
            let off = seen.waited.map_or(0, |(from, to)| calendar.between(from, to));
            let taken = calendar.between(seen.accept, seen.result.unwrap_or(now));
            taken - off > items[&seen.item].0
        };
        let those = |has: &dyn Fn(&Seen) -> bool| -> BTreeSet<String> {
            let found = cases.iter().filter(|(_, seen)| has(seen));
            found.map(|(number, _)| number.clone()).collect()
        };
        let serious = those(&|seen| seen.late > 2 || is_past_legal(seen));
        // Some are red only because the legal limit is over.
        assert!(serious.iter().any(|number| (1..3).contains(&cases[number].late)));
        let yellow = those(&|seen| (1..3).contains(&seen.late) && !is_past_legal(seen));
        let due = |seen: &Seen| (-1..1).contains(&seen.late) && seen.result.is_none();
        expect(&city, "remind", those(&|seen| due(seen) && !seen.is_paused));
        expect(&city, "overdue_promise", yellow);
        expect(&city, "overdue_serious", serious);

        let finished = those(&|seen| seen.result.is_some()).len() as i64;
        let in_time = those(&|seen| seen.result.is_some() && seen.late < 1).len() as i64;
        let number = |part: &str| city.true_number(&format!("/figures/on_time_ratio/{part}"));
        assert_eq!((number("numerator"), number("denominator")), (in_time, finished));
        // The clock that stands makes a difference.
        let without = |seen: &Seen| {
            seen.result.is_some_and(|result| calendar.between(seen.promise, result) < 1)
        };
        assert!((those(&without).len() as i64) < in_time);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_for_steps_waits_fees_and_times_follow_from_the_tables() {
    let calendar = Calendar::new();
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let (cases, now) = cases(&city, &calendar).await;
        let items = items(&city).await;

        let (mut slow, mut at_once, mut travels) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let sql = "select project_no, event_name, event_start_time, event_end_time, cd_time, \
                   min(event_start_time) over (partition by project_no), \
                   max(event_end_time) over (partition by project_no), \
                   cast(count(*) over (partition by project_no) as text) from up_pro_process";
        for row in rows(&city, "operation.db", sql).await {
            let number = row[0].clone().unwrap();
            let at = |column: usize| moment(row[column].as_deref().unwrap());
            let Some(seen) = cases.get(&number) else { continue };
            let (start, mut end) = (at(2), at(3));
            if end > at(4) || seen.result.is_some_and(|result| end > result) {
                travels.insert(number.clone());
            }
            let took = at(6) - at(5);
            let is_several = row[7].as_deref() != Some("1");
            let is_done = seen.is_promised && seen.result.is_some();
            if is_done && is_several && took <= Duration::seconds(60) {
                at_once.insert(number.clone());
            }
            if end == start && seen.result.is_none() {
                end = now;
            }
            let off = seen.waited.map_or(0, |(from, to)| {
                let (from, to) = (from.max(start), to.min(end));
                if to > from { calendar.between(from, to) } else { 0 }
            });
            let days = calendar.between(start, end) - off;
            let event = row[1].as_deref().unwrap();
            let (_, most) = STEPS.iter().find(|(known, _)| *known == event).unwrap();
            if days > *most && seen.late < 1 {
                slow.insert(number);
            }
        }
        expect(&city, "step_overdue", slow);
        expect(&city, "backfill", at_once);

        let sql = "select r.project_no, r.result_date, r.cd_time from up_pro_result r";
        for row in rows(&city, "operation.db", sql).await {
            let Some(seen) = cases.get(row[0].as_deref().unwrap()) else { continue };
            let result = moment(row[1].as_deref().unwrap());
            if result < seen.accept || result > moment(row[2].as_deref().unwrap()) {
                travels.insert(row[0].clone().unwrap());
            }
        }
        expect(&city, "time_travel", travels);

        let sql =
            "select project_no, cast(sum(amount) as text) from pro_charge group by project_no";
        let mut illegal = BTreeSet::new();
        for row in rows(&city, "operation.db", sql).await {
            let Some(seen) = cases.get(row[0].as_deref().unwrap()) else { continue };
            let paid: i64 = row[1].as_deref().unwrap().parse().unwrap();
            let (_, has_fee, standard) = items[&seen.item];
            if !has_fee || standard.is_some_and(|standard| paid > standard) {
                illegal.insert(row[0].clone().unwrap());
            }
        }
        expect(&city, "illegal_fee", illegal);

        let sql = "select project_no, special_type, special_time, end_time \
                   from up_pro_special_procedure";
        let mut long: BTreeSet<String> =
            city.keys_of("planted", "linked_endless_wait").into_iter().collect();
        for row in rows(&city, "operation.db", sql).await {
            let number = row[0].clone().unwrap();
            let Some(seen) = cases.get(&number) else { continue };
            let at = |column: usize| moment(row[column].as_deref().unwrap());
            let (start, end) = (at(2), at(3));
            let is_endless = end == start && now - start >= Duration::days(60);
            let until = if end > start { end } else { seen.result.unwrap_or(now) };
            let is_hearing = row[1].as_deref() == Some("1");
            if is_endless || is_hearing && calendar.between(start, until) > 20 {
                long.insert(number);
            }
        }
        expect(&city, "suspend_too_long", long);
    }
}
