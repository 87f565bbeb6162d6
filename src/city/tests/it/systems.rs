//! The smaller systems: their figures and faults counted from the files by plain SQL.

use std::collections::BTreeSet;
use std::fs;

use chrono::{Datelike, NaiveDate, Weekday};
use sqlx::{AssertSqlSafe, Row};

use crate::City;

const CITIES: [(u64, f64); 3] = [(1, 0.02), (20_181_213, 0.05), (42, 0.02)];

async fn count(city: &City, file: &str, sql: &str) -> i64 {
    let mut connection = city.open(file).await;
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap().get(0)
}

async fn texts(city: &City, file: &str, sql: &str) -> BTreeSet<String> {
    let mut connection = city.open(file).await;
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn planted(city: &City, name: &str) -> BTreeSet<String> {
    city.keys_of("planted", name).into_iter().collect()
}

/// Accounts that were in use on a day, each person once.
fn in_use(day: &str, kind: &str) -> String {
    format!(
        "select count(distinct cert_no) from accounts where user_type = '{kind}' \
         and substr(register_time, 1, 10) <= '{day}' \
         and (cancel_time is null or substr(cancel_time, 1, 10) > '{day}')"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_has_the_users_and_visits_of_the_report_and_the_province_knows_them() {
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let new = "select count(distinct cert_no) from accounts where cancel_time is null \
                   and register_time >= '2018-01-01'";
        assert_eq!(count(&city, "portal.db", new).await, city.true_number("/figures/new_users"));
        let full = 115_326.0 * scale;
        assert!((city.true_number("/figures/new_users") as f64 - full).abs() < 1.0);
        let visits = "select sum(visits) from visits where visit_date < '2018-12-01'";
        let numerator = city.true_number("/figures/monthly_active/numerator");
        assert_eq!(count(&city, "portal.db", visits).await, numerator);
        let twice = "select b.account_id from accounts a join accounts b on a.cert_no = b.cert_no \
                     and a.cancel_time is null and b.cancel_time is null \
                     and (a.register_time, a.account_id) < (b.register_time, b.account_id)";
        let duplicates = texts(&city, "portal.db", twice).await;
        assert_eq!(duplicates, planted(&city, "duplicate_accounts"));
        for day in ["2018-11-30", "2018-12-12"] {
            for (kind, column) in [("1", "registered_persons"), ("2", "registered_legal_persons")] {
                let published = format!(
                    "select {column} from city_statistics where city_code = '340500' \
                     and stat_date = '{day}'"
                );
                let published = count(&city, "province.db", &published).await;
                assert_eq!(count(&city, "portal.db", &in_use(day, kind)).await, published);
            }
        }
        for (key, value, base) in [
            ("rank_person_reg", "registered_persons", "population"),
            ("rank_legal_reg", "registered_legal_persons", "legal_persons"),
            ("rank_activity", "visits", "population"),
        ] {
            let better = format!(
                "select 1 + count(*) from city_statistics a join city_statistics o \
                 on o.city_code = '340500' and o.stat_date = a.stat_date \
                 and a.{value} * o.{base} > o.{value} * a.{base} \
                 where a.stat_date = '2018-12-12'"
            );
            let rank = count(&city, "province.db", &better).await;
            assert_eq!(rank, city.true_number(&format!("/figures/{key}")), "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_has_the_interfaces_of_the_report() {
    let city = City::new(5, 0.02).await;
    let newest = "from interfaces a where version = (select max(version) from interfaces b \
                  where b.interface_id = a.interface_id)";
    let published = format!("select count(*) {newest} and state = 'published'");
    assert_eq!(count(&city, "app.db", &published).await, 39);
    let withdrawn = format!("select interface_id {newest} and state = 'withdrawn'");
    let withdrawn = texts(&city, "app.db", &withdrawn).await;
    assert_eq!(withdrawn, planted(&city, "withdrawn_interfaces"));
    // Wrong definitions give other numbers.
    let versions = "select count(*) from interfaces where state = 'published'";
    assert!(count(&city, "app.db", versions).await > 39);
    assert!(
        count(&city, "app.db", "select count(distinct interface_id) from interfaces").await > 39
    );
}

/// The working days of the city's years, by the published list.
fn workdays() -> BTreeSet<String> {
    let facts = concat!(env!("CARGO_MANIFEST_DIR"), "/facts/holidays.csv");
    let text = fs::read_to_string(facts).unwrap();
    let is_listed =
        |day: &str| text.lines().find_map(|line| line.strip_prefix(day)?.strip_prefix(','));
    NaiveDate::from_ymd_opt(2018, 1, 1)
        .unwrap()
        .iter_days()
        .take(365)
        .filter(|date| match is_listed(&date.to_string()) {
            Some(is_off_day) => is_off_day == "false",
            None => !matches!(date.weekday(), Weekday::Sat | Weekday::Sun),
        })
        .map(|date| date.to_string())
        .collect()
}

/// Working days after the day of `from` up to and including that of `to`.
fn between(workdays: &BTreeSet<String>, from: &str, to: &str) -> i64 {
    let (from, to) = (&from[..10], &to[..10]);
    let days = workdays.iter().filter(|day| day.as_str() > from && day.as_str() <= to);
    i64::try_from(days.count()).unwrap()
}

/// Of each case its start, its end and the span for which it waited.
async fn spans(city: &City, file: &str, sql: &str) -> Vec<[Option<String>; 5]> {
    let mut connection = city.open(file).await;
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| [0, 1, 2, 3, 4].map(|column| row.get(column))).collect()
}

fn took(workdays: &BTreeSet<String>, span: &[Option<String>; 5]) -> i64 {
    let [start, end, from, to, _] = span.each_ref().map(Option::as_deref);
    let waited = from.zip(to).map_or(0, |(from, to)| between(workdays, from, to));
    between(workdays, start.unwrap(), end.unwrap()) - waited
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_cases_cross_levels_and_take_a_fifth_of_the_time() {
    let workdays = workdays();
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let items = "select count(*) from linked_item where state = '1'";
        assert_eq!(count(&city, "linked.db", items).await, 92);
        let categories = "select count(distinct category) from linked_item where state = '1'";
        assert_eq!(count(&city, "linked.db", categories).await, 7);
        let linked = "from linked_root r join linked_item i on i.item_no = r.item_no \
                      and i.state = '1' left join linked_suspension s on s.root_no = r.root_no \
                      where r.state <> '作废' and r.accept_time >= '2018-09-17' \
                      and (select count(distinct use_level) from linked_step t \
                      where t.root_no = r.root_no) > 1";
        let counted = count(&city, "linked.db", &format!("select count(*) {linked}")).await;
        assert_eq!(counted, city.true_number("/figures/linked_cases"));
        assert!((counted as f64 - 7_766.0 * scale).abs() < 1.0);
        let columns = "select r.accept_time, r.finish_time, s.suspend_time, s.resume_time, \
                       cast(i.baseline_days as text)";
        let finished = format!(
            "{columns} {linked} and r.finish_time is not null and i.baseline_days is not null"
        );
        let cases = spans(&city, "linked.db", &finished).await;
        let (mut ratios, mut cut, mut before) = (0, 0, 0);
        for span in &cases {
            let baseline: i64 = span[4].as_deref().unwrap().parse().unwrap();
            let less = baseline - took(&workdays, span);
            ratios += less * 100_000_000 / baseline;
            cut += less;
            before += baseline;
        }
        let numerator = |key: &str| city.true_number(&format!("/figures/{key}/numerator"));
        let denominator = |key: &str| city.true_number(&format!("/figures/{key}/denominator"));
        let parts = (numerator("linked_cycle_cut"), denominator("linked_cycle_cut"));
        assert_eq!(parts, (ratios, cases.len() as i64 * 100_000_000));
        let parts = (numerator("linked_cycle_cut_total"), denominator("linked_cycle_cut_total"));
        assert_eq!(parts, (cut, before));
        let percent = ratios as f64 / cases.len() as f64 / 1e6;
        assert!((79.5..80.5).contains(&percent), "{percent}");
        let missing = "select root_no from linked_root r where sub_count > \
                       (select count(*) from linked_step s where s.root_no = r.root_no)";
        let missing = texts(&city, "linked.db", missing).await;
        assert_eq!(missing, planted(&city, "linked_missing_sub"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn enterprises_start_within_three_days_and_real_estate_takes_five() {
    let workdays = workdays();
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let bundles = "select b.accept_time, max(s.finish_time), null, null, null from bundles b \
                       join steps s on s.bundle_id = b.bundle_id where b.state = 'finished' \
                       group by b.bundle_id having count(s.finish_time) = 4";
        let longest = |spans: Vec<[Option<String>; 5]>| {
            spans.iter().map(|span| took(&workdays, span)).max().unwrap()
        };
        assert_eq!(longest(spans(&city, "enterprise.db", bundles).await), 3);
        let claimed = "select b.bundle_id from bundles b join steps s on s.bundle_id = b.bundle_id \
                       where b.state = 'finished' and s.finish_time is null";
        let claimed = texts(&city, "enterprise.db", claimed).await;
        assert_eq!(claimed, planted(&city, "claimed_bundles"));

        let cases = "select distinct a.accept_date, r.result_date, p.start_time, p.end_time, \
                     r.internal_no from inf_apply a join inf_apply_result r \
                     on r.internal_no = a.internal_no and r.result_code = '0' \
                     left join inf_apply_process p on p.internal_no = a.internal_no \
                     and p.event_code = 'S'";
        let spans = spans(&city, "realestate.db", cases).await;
        let waits_counted = spans.iter().map(|span| {
            between(&workdays, span[0].as_deref().unwrap(), span[1].as_deref().unwrap())
        });
        assert!(waits_counted.max().unwrap() > 5, "nothing waits");
        assert_eq!(longest(spans), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_on_trial_have_the_platforms_cases_and_a_few_of_their_own() {
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let platform = "select distinct project_no from up_pro_accept";
        let platform = texts(&city, "operation.db", platform).await;
        let mut outside = BTreeSet::new();
        for (system, file, sql) in [
            ("dept_hrss", "hrss.db", "select sblsh_short from spbanjie"),
            ("dept_fund", "fund.db", "select distinct projid from pre_apasinfo"),
            ("dept_housing", "housing.db", "select distinct projid from ea_jc_step_basicinfo"),
        ] {
            let theirs = texts(&city, file, sql).await;
            let own: Vec<&String> = theirs.difference(&platform).collect();
            assert!(own.len() * 2 < theirs.len(), "{system}: {} of {}", own.len(), theirs.len());
            outside.extend(own.into_iter().map(|number| format!("{system}|{number}")));
        }
        assert_eq!(outside, planted(&city, "trial_not_on_platform"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_compiling_gives_the_stock_of_june_and_that_of_today() {
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let new = "select count(distinct item_id) from item_compile_log where action = '新增' \
                   and action_date >= '2018-01-01' and task_type not in ('02', '03', '04', '06')";
        let compiled = count(&city, "items.db", new).await;
        assert_eq!(compiled, city.true_number("/figures/new_items_compiled"));
        let on = |day: &str| {
            format!(
                "from item_compile_log a where action in ('新增', '变更') and action_date <= '{day}' \
                 and task_type not in ('02', '03', '04', '06') and not exists (select 1 \
                 from item_compile_log b where b.item_id = a.item_id and b.action_date <= '{day}' \
                 and (b.logged_at, b.log_id) > (a.logged_at, a.log_id))"
            )
        };
        let june = format!("select count(*) {}", on("2018-06-27"));
        let stock = count(&city, "items.db", &june).await;
        assert_eq!(stock, city.true_number("/figures/items_2018_06"));
        let able = "(handle_type like '%2%' or (is_online = '1' and (\
                    '^' || online_handle_depth || '^' like '%^2^%' \
                    or online_handle_depth like '%3%' or online_handle_depth like '%4%' \
                    or online_handle_depth like '%5%' or online_handle_depth like '%6%' \
                    or online_handle_depth like '%7%')))";
        let online = count(&city, "items.db", &format!("{june} and {able}")).await;
        assert_eq!(online, city.true_number("/figures/online_2018_06/numerator"));
        assert_eq!(stock, city.true_number("/figures/online_2018_06/denominator"));
        let logged = format!("select item_id {}", on("2018-12-13"));
        let logged = texts(&city, "items.db", &logged).await;
        let mut connection = city.open("items.db").await;
        let newest = "with newest as (select coalesce(task_handle_item, task_code) as item, \
                      max(task_version) as version from up_task_general_basic group by 1) \
                      select n.item from newest n join up_task_general_basic a \
                      on coalesce(a.task_handle_item, a.task_code) = n.item \
                      and a.task_version = n.version \
                      where a.task_state = '1' and a.task_type not in ('02', '03', '04', '06')";
        let rows = sqlx::query(newest).fetch_all(&mut connection).await.unwrap();
        let present: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(logged, present);
        assert_eq!(present.len() as i64, city.true_number("/figures/items_total"));
    }
}
