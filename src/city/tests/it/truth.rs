//! `truth.json` against what the files say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Duration, NaiveDateTime};
use sqlx::Row;

use crate::check::{is_credit_code, is_organisation_code, is_resident_number};
use crate::copies::{Copy, Departments, Seen, city, departments, province};
use crate::{City, copies};

const CITIES: [(u64, f64); 3] = [(1, 0.02), (20_181_213, 0.05), (42, 0.02)];

/// The latest version of each item, if it is in use and of a type with applications.
const LATEST: &str = "with versions as (select b.*, e.is_online, \
    '^' || coalesce(e.online_handle_depth, '') || '^' as depth, e.town_code, e.village_code, \
    '^' || coalesce(b.handle_type, '') || '^' as handle, \
    row_number() over (partition by coalesce(b.task_handle_item, b.task_code) \
    order by b.task_version desc) as age \
    from up_task_general_basic b join up_task_general_extend e on e.task_guid = b.row_guid), \
    items as (select *, (handle like '%^2^%' or (is_online = '1' and (depth like '%^2^%' or \
    depth like '%^3^%' or depth like '%^4^%' or depth like '%^5^%' or depth like '%^6^%' or \
    depth like '%^7^%'))) as able, (depth like '%^5^%' or depth like '%^6^%' or \
    depth like '%^7^%') as deep from versions where age = 1 and task_state = '1' \
    and task_type in ('01','05','07','08','09','10','20')) ";

async fn count_items(city: &City, what: &str, condition: &str) -> i64 {
    let mut connection = city.open("items.db").await;
    let sql = format!("{LATEST} select count({what}) from items where {condition}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn item_figures_and_units_follow_from_the_tables() {
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let able = "able";
        let full = "able and deep and limit_scene_num = 0";
        for (pointer, what, condition) in [
            ("/figures/items_total", "*", "1"),
            ("/figures/online_able_ratio/denominator", "*", "1"),
            ("/figures/online_able_ratio/numerator", "*", able),
            ("/figures/full_online_ratio/numerator", "*", full),
            ("/figures/townships", "distinct town_code", "use_level = '5'"),
            ("/figures/villages", "distinct village_code", "use_level = '6'"),
        ] {
            let counted = count_items(&city, what, condition).await;
            assert_eq!(counted, city.true_number(pointer), "{pointer}");
        }
        let counties = "substr(dept_code, 3, 6) between '340503' and '340523'";
        let parks = "substr(dept_code, 3, 6) between '340591' and '340593'";
        let units = "distinct substr(dept_code, 3, 6)";
        let local = "use_level = '4'";
        assert_eq!(count_items(&city, units, &format!("{local} and {counties}")).await, 6);
        assert_eq!(count_items(&city, units, &format!("{local} and {parks}")).await, 3);
        // Wrong definitions give other numbers.
        for wrong in ["able and deep", "deep and is_online = '1'", "able and limit_scene_num = 0"] {
            assert_ne!(
                count_items(&city, "*", wrong).await,
                city.true_number("/figures/full_online_ratio/numerator"),
                "{wrong}"
            );
        }
        let versions = city.number("items.db", "select count(*) from up_task_general_basic").await;
        assert!(versions > city.true_number("/figures/items_total") * 115 / 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_tenth_the_figures_are_those_of_the_report_rounded() {
    let city = City::new(3, 0.1).await;
    assert_eq!(city.true_number("/figures/items_total"), 5235);
    assert_eq!(city.true_number("/figures/online_able_ratio/numerator"), 5233);
    assert_eq!(city.true_number("/figures/full_online_ratio/numerator"), 4514);
    assert_eq!(city.true_number("/figures/cases_ytd"), 34_650);
    assert_eq!(city.true_number("/figures/cases_to_2018_06"), 2452);
    assert_eq!(count_items(&city, "*", "able").await, 5233);
}

fn moment(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
}

fn agree(one: &Seen, other: &Seen) -> bool {
    let apart = (moment(&one.accept) - moment(&other.accept)).abs();
    one.status == other.status && apart <= Duration::seconds(60)
}

/// Gives lines without a number the number of the case they are; what is left is nobody's.
fn attach(numbered: &mut Copy, lines: BTreeMap<String, Seen>, others: [&Copy; 2]) -> Vec<String> {
    let key = |seen: &Seen| {
        let day = seen.accept[..10].to_owned();
        (seen.org_code.clone(), seen.task_code.clone(), seen.cert_no.clone(), day)
    };
    let mut known: HashMap<_, BTreeSet<String>> = HashMap::new();
    for copy in others {
        for (number, (seen, _)) in copy {
            known.entry(key(seen)).or_default().insert(number.clone());
        }
    }
    let mut outside = Vec::new();
    for (internal, seen) in lines {
        match known.get(&key(&seen)) {
            Some(numbers) => {
                assert_eq!(numbers.len(), 1, "{internal} is not one case");
                let number = numbers.first().unwrap().clone();
                assert!(numbered.insert(number, (seen, 1)).is_none());
            }
            None => outside.push(internal),
        }
    }
    outside
}

fn own_departments(copy: &Copy) -> BTreeSet<String> {
    copy.values().map(|(seen, _)| seen.org_code.clone()).collect()
}

struct Classified {
    classes: BTreeMap<&'static str, Vec<String>>,
    countable: Vec<String>,
    outside: Vec<String>,
    quarantined: [u64; 2],
}

async fn classify(the_city: &City) -> Classified {
    let (city, unreadable) = city(the_city).await;
    let province = province(the_city).await;
    let Departments { numbered: mut department, unnumbered: lines, broken } =
        departments(the_city).await;
    let own = own_departments(&department);
    let outside = attach(&mut department, lines, [&city, &province]);
    let newest = city.values().map(|(seen, _)| moment(&seen.accept)).max().unwrap();
    let numbers: BTreeSet<&String> =
        city.keys().chain(province.keys()).chain(department.keys()).collect();
    let mut classes: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut countable = Vec::new();
    for number in numbers {
        let (c, p, d) = (city.get(number), province.get(number), department.get(number));
        let (any, _) = c.or(p).or(d).unwrap();
        let is_double = [c, p, d].into_iter().flatten().any(|(_, count)| *count > 1);
        let is_young = moment(&any.accept) > newest - Duration::hours(2);
        let class = if is_double {
            "duplicate_key"
        } else if p.is_none() && is_young {
            "pending"
        } else if c.is_none() {
            "missing_in_city"
        } else if p.is_none() {
            "missing_in_province"
        } else if d.is_none() && own.contains(&any.org_code) {
            "missing_in_department"
        } else if [p, d].into_iter().flatten().all(|(seen, _)| agree(any, seen)) {
            "matched"
        } else {
            "mismatch"
        };
        classes.entry(class).or_default().push(number.clone());
        if ![31, 53, 56].contains(&any.status) {
            countable.push(any.accept.clone());
        }
    }
    Classified { classes, countable, outside, quarantined: [unreadable, broken] }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_figures_and_classes_follow_from_the_copies() {
    for (seed, scale) in CITIES {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        let found = classify(&city).await;
        for class in [
            "matched",
            "mismatch",
            "missing_in_city",
            "missing_in_province",
            "missing_in_department",
            "duplicate_key",
            "pending",
        ] {
            let keys = found.classes.get(class).cloned().unwrap_or_default();
            assert!(!keys.is_empty(), "{class}");
            assert!(keys == city.true_keys(class), "{class} of seed {seed}: {}", keys.len());
            let count = city.truth["classes"][class]["count"].as_u64();
            assert_eq!(count, Some(keys.len() as u64));
        }
        assert!(!found.outside.is_empty());
        assert_eq!(found.outside, city.true_keys("outside_platform"));
        let within = |from: &str, to: &str| {
            let days = found.countable.iter().filter(|accept| (from..=to).contains(&&accept[..10]));
            i64::try_from(days.count()).unwrap()
        };
        let ytd = within("2018-01-01", "2018-12-13");
        assert_eq!(ytd, city.true_number("/figures/cases_ytd"));
        let early = within("2017-12-20", "2018-06-27");
        assert_eq!(early, city.true_number("/figures/cases_to_2018_06"));
        assert_eq!(within("2000-01-01", "2017-12-19") + within("2018-12-14", "2099-12-31"), 0);

        let quarantined = city.truth["quarantined"].as_object().unwrap();
        let sum = |prefix: &str| -> u64 {
            let streams = quarantined.iter().filter(|(name, _)| name.starts_with(prefix));
            streams.map(|(_, count)| count.as_u64().unwrap()).sum()
        };
        assert_eq!(found.quarantined, [sum("operation."), sum("department.")]);
        assert!(found.quarantined.iter().all(|count| *count > 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_applicants_are_valid_but_for_the_counted_ones() {
    let city = City::new(5, 0.05).await;
    let mut connection = city.open("operation.db").await;
    let rows = sqlx::query(
        "select distinct applyer_page_type, applyer_page_code, org_code from up_pro_accept",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut invalid = [BTreeSet::new(), BTreeSet::new()];
    for row in &rows {
        let number: String = row.get(1);
        match row.get::<&str, _>(0) {
            "111" if !is_resident_number(&number) => invalid[0].insert(number),
            "001" if !is_credit_code(&number) => invalid[1].insert(number),
            "111" | "001" => continue,
            other => panic!("certificate type {other}"),
        };
        assert!(is_credit_code(row.get(2)));
    }
    for (set, name) in invalid.iter().zip(["resident_numbers", "credit_codes"]) {
        assert!(!set.is_empty());
        assert_eq!(city.truth["invalid_ids"][name].as_u64(), Some(set.len() as u64), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn task_codes_have_valid_parts() {
    let city = City::new(6, 0.05).await;
    let mut connection = city.open("items.db").await;
    let sql = "select task_code, task_handle_item, catalog_code, use_level, dept_code, task_type, \
               handle_type from up_task_general_basic";
    let mistyped: BTreeSet<String> = ["code_length", "code_credit", "code_level", "code_catalog"]
        .into_iter()
        .flat_map(|rule| city.true_findings(rule))
        .collect();
    assert!(mistyped.len() >= 8, "{mistyped:?}");
    for row in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
        let code: String = row.get(0);
        let handle: Option<String> = row.get(1);
        if handle.as_ref().is_some_and(|handle| mistyped.contains(handle)) {
            assert!(!handle.is_some_and(|handle| handle.starts_with(&code)) || code.len() != 31);
            continue;
        }
        assert_eq!(code.len(), 31);
        assert!(is_credit_code(&code[..18]) && is_organisation_code(&code[8..17]), "{code}");
        assert_eq!(&code[..18], row.get::<&str, _>(4));
        assert_eq!(&code[18..19], row.get::<&str, _>(3));
        assert_eq!(&code[19..], row.get::<&str, _>(2));
        assert_eq!(&code[21..23], row.get::<&str, _>(5));
        assert!(handle.is_none_or(|handle| handle.len() == 33 && handle.starts_with(&code)));
        assert!(row.get::<Option<&str>, _>(6).is_none_or(|text| text.len() <= 5));
    }
    let shared = "select count(*) from (select distinct task_code from up_task_general_basic \
                  where task_handle_item is null) n join (select distinct task_code from \
                  up_task_general_basic where task_handle_item is not null) h using (task_code)";
    assert_eq!(city.number("items.db", shared).await, 0);
    let share = "select avg(task_handle_item is null) * 1000 from up_task_general_basic \
                 where task_type not in ('02','03','04','06')";
    let share: f64 = sqlx::query(share).fetch_one(&mut connection).await.unwrap().get::<f64, _>(0);
    assert!((250.0..370.0).contains(&share), "{share}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_exactly_the_published_columns() {
    let facts = include_str!("../../facts/up_columns.csv");
    let city = City::new(1, 0.02).await;
    for (file, table) in [
        ("items.db", "up_task_general_basic"),
        ("items.db", "up_task_general_extend"),
        ("items.db", "up_task_general_questions"),
        ("items.db", "up_task_general_fee_project"),
        ("catalog.db", "dn_task_directory"),
        ("operation.db", "up_pro_accept"),
        ("operation.db", "up_pro_result"),
        ("operation.db", "up_pro_process"),
        ("operation.db", "up_pro_special_procedure"),
    ] {
        let mut connection = city.open(file).await;
        let sql = sqlx::AssertSqlSafe(format!("pragma table_info({table})"));
        let mut columns = Vec::new();
        for row in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
            let (name, kind, required): (&str, &str, i64) = (row.get(1), row.get(2), row.get(3));
            columns.push(format!("{table},{name},{kind},{required}"));
        }
        let published: Vec<&str> =
            facts.lines().filter(|line| line.starts_with(&format!("{table},"))).collect();
        assert_eq!(columns, published);
        let rows = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let rows: i64 = sqlx::query(rows).fetch_one(&mut connection).await.unwrap().get(0);
        let name = format!("{}.{table}", file.trim_end_matches(".db"));
        assert_eq!(city.truth["rows"][name].as_i64(), Some(rows));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_grow_over_the_year_and_rest_on_days_off() {
    let city = City::new(9, 0.05).await;
    let (copy, _) = copies::city(&city).await;
    let on = |day: &str| copy.values().filter(|(seen, _)| seen.accept.starts_with(day)).count();
    // Working days of June, August and December; National Day; a Sunday that was worked.
    let (june, august, december) = (on("2018-06-12"), on("2018-08-14"), on("2018-12-11"));
    assert!(june * 3 < august && august < december, "{june} {august} {december}");
    assert!(on("2018-10-02") * 5 < on("2018-09-30"));
    let finished = city
        .number(
            "operation.db",
            "select count(*) * 1000 / \
        (select count(*) from up_pro_accept) from up_pro_result",
        )
        .await;
    assert!((890..950).contains(&finished), "{finished}");
}
