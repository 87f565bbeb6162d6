//! `huiliu demo`: the figures of any city equal that city's own truth, and nothing moves twice.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::databases::{Kind, server};
use crate::hub::{Done, Hub, step};
use crate::lake;

/// Streams the city knows under its own names.
const PLANTED: [(&str, &str); 5] = [
    ("city_cases.accepted", "operation.up_pro_accept"),
    ("dept_education.cases", "department.education"),
    ("dept_land.cases", "department.land"),
    ("dept_planning.cases", "department.planning"),
    ("dept_quality.cases", "department.quality"),
];

fn check_figures(report: &Value, truth: &Value) {
    let figures = report["figures"].as_array().unwrap();
    for (key, expected) in truth["figures"].as_object().unwrap() {
        let figure = figures.iter().find(|figure| figure["key"] == *key);
        let figure = figure.unwrap_or_else(|| panic!("no figure {key}"));
        let (numerator, denominator) = match expected.as_object() {
            Some(ratio) => (&ratio["numerator"], &ratio["denominator"]),
            None => (expected, &Value::Null),
        };
        assert_eq!(&figure["numerator"], numerator, "{key}");
        assert_eq!(&figure["denominator"], denominator, "{key}");
        assert!(figure["value"].is_string(), "{key} has no value");
        assert!(!figure["definition"].as_str().unwrap().is_empty(), "{key} has no definition");
    }
}

fn keys_by_class(rows: Vec<Value>) -> BTreeMap<String, Vec<String>> {
    let mut classes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        classes.entry(text("class")).or_default().push(text("name"));
    }
    classes.values_mut().for_each(|keys| keys.sort_unstable());
    classes
}

/// Every case is in the class in which it was planted.
fn check_classes(hub: &Hub, truth: &Value) {
    let found = keys_by_class(hub.query(
        "select class, project_no as name from reconciled.cases \
         union all select 'outside_platform', internal_no from reconciled.outside_platform",
    ));
    for (class, planted) in truth["classes"].as_object().unwrap() {
        let planted: Vec<&str> =
            planted["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
        let found: Vec<&str> = found.get(class).into_iter().flatten().map(String::as_str).collect();
        if found == planted {
            continue;
        }
        let (was, is) = (BTreeSet::from_iter(planted), BTreeSet::from_iter(found));
        let lacks: Vec<_> = was.difference(&is).take(5).collect();
        let extra: Vec<_> = is.difference(&was).take(5).collect();
        panic!(
            "{class}: {} planted, {} found; lacks {lacks:?}, extra {extra:?}",
            was.len(),
            is.len()
        );
    }
    for class in found.keys() {
        assert!(truth["classes"].get(class).is_some(), "the class {class} was never planted");
    }
}

/// Every row read is accounted for, and those set aside are the ones that were broken.
fn check_balances(report: &Value, truth: &Value) {
    let streams = report["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 69, "{streams:?}");
    for stream in streams {
        let part = |name: &str| stream[name].as_u64().unwrap_or_else(|| panic!("{name}: {stream}"));
        let parts = ["written", "unchanged", "deduplicated", "filtered", "quarantined", "echoed"];
        assert_eq!(part("read"), parts.map(part).iter().sum::<u64>(), "{stream}");
        assert!(part("read") > 0, "{stream}");
        let node = stream["node"].as_str().unwrap();
        let planted = PLANTED.iter().find(|(name, _)| *name == node);
        let planted = planted.map_or(0, |(_, name)| truth["quarantined"][name].as_u64().unwrap());
        assert_eq!(part("quarantined"), planted, "{node}");
    }
}

async fn check_push(report: &Value, hub: &Hub) {
    let push = step(report, "pushes", "push.province.cases");
    let part = |name: &str| push[name].as_i64().unwrap();
    assert!(part("sent") > 10, "{push}");
    assert_eq!(part("sent"), part("accepted") + part("rejected"), "{push}");
    assert_eq!(part("waiting"), 0, "{push}");
    let received = lake::received(&hub.city()).await;
    assert_eq!(received.records, part("sent"));
    assert_eq!(received.cases, part("sent"), "a case reached the province twice");
    assert_eq!(received.accepted, part("accepted"));
    assert_eq!(received.rejected, part("rejected"));
}

/// A city gives its own truth: figures, classes, balances, what the province has received.
pub(crate) async fn check_city(hub: &Hub, report: &Value) {
    let truth = hub.truth();
    assert_eq!(report["exit_code"], 0);
    check_figures(report, &truth);
    check_classes(hub, &truth);
    check_balances(report, &truth);
    check_push(report, hub).await;
}

fn figures(report: &Value) -> BTreeMap<String, (Value, Value, Value)> {
    let figures = report["figures"].as_array().unwrap();
    assert!(!figures.is_empty());
    figures
        .iter()
        .map(|f| {
            let parts = (f["value"].clone(), f["numerator"].clone(), f["denominator"].clone());
            (f["key"].as_str().unwrap().to_owned(), parts)
        })
        .collect()
}

#[tokio::test]
async fn a_second_demo_finds_the_same_city_and_moves_nothing() {
    let hub = Hub::shipped();
    let first = hub.prepared(7);
    let snapshot = lake::newest_snapshot(&hub.database()).await;
    let received = lake::received(&hub.city()).await;
    let second = hub.demo(7);
    for part in ["streams", "models", "metrics", "pushes"] {
        for step in second[part].as_array().unwrap() {
            assert_eq!(step["state"], "unchanged", "{step}");
        }
    }
    for stream in second["streams"].as_array().unwrap() {
        assert_eq!(stream["written"], 0, "{stream}");
        assert_eq!(stream["deleted"], 0, "{stream}");
    }
    assert_eq!(step(&second, "pushes", "push.province.cases")["sent"], 0);
    assert_eq!(lake::newest_snapshot(&hub.database()).await, snapshot);
    assert_eq!(lake::received(&hub.city()).await, received);
    assert_eq!(figures(&second), figures(&first));
}

#[test]
fn a_hundred_changed_rows_move_exactly_a_hundred() {
    let hub = Hub::shipped();
    let first = hub.prepared(7);
    let changed = hub.run_json(&["demo", "change", "--rows", "100"]).expect(0).json();
    assert_eq!(changed["changed"], 100);
    let second = hub.demo(7);
    for stream in second["streams"].as_array().unwrap() {
        let expected = if stream["node"] == "city_cases.accepted" { 100 } else { 0 };
        assert_eq!(stream["written"], expected, "{stream}");
        assert_eq!(stream["deleted"], 0, "{stream}");
    }
    assert_eq!(figures(&second), figures(&first));
    let rows = hub.query("select count(*) as n from history.city_cases_accepted");
    assert_eq!(rows[0]["n"], 100, "each version that was replaced is kept");
}

#[tokio::test]
async fn front_databases_on_real_servers_give_the_city_its_own_truth() {
    let hub = Hub::shipped();
    let servers =
        huiliu_city::Servers { postgres: server(Kind::Postgres), mysql: server(Kind::Mysql) };
    let run = |arguments: &[&str]| {
        let arguments = [&["--output", "json", "demo", "--with-servers"], arguments].concat();
        let mut command = hub.command(&arguments);
        command.env("HUILIU_DEMO_POSTGRES_URL", &servers.postgres);
        command.env("HUILIU_DEMO_MYSQL_URL", &servers.mysql);
        Done::of(command.output().unwrap(), &arguments)
    };
    let demo = || run(&["--scale", "0.05", "--seed", "19"]);
    let (first, second) = (demo(), demo());
    // By night the other systems take in what was pushed, and the lake is another one.
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let (report, truth) = (first.json(), hub.truth());
        // A name in no encoding of the server's is no row there, as it is none in the hub.
        check_classes(&hub, &truth);
        crate::item_findings::check_findings(&hub, &report);
        crate::systems::check_systems(&hub, &report);
    }));
    let (night, third) = (run(&["night"]), demo());
    // Before anything fails, so that nothing stays there.
    let city = hub.city().canonicalize().unwrap();
    huiliu_city::remove_from_servers(&city, &servers).await.unwrap();
    if let Err(failure) = checked {
        std::panic::resume_unwind(failure);
    }
    let report = first.expect(0).json();
    let truth = hub.truth();
    check_figures(&report, &truth);
    let accepted = step(&report, "streams", "city_cases.accepted");
    let unreadable = truth["quarantined"]["operation.up_pro_accept"].as_i64().unwrap();
    let rows = truth["rows"]["operation.up_pro_accept"].as_i64().unwrap();
    assert_eq!(accepted["read"], rows - unreadable, "{accepted}");
    // All of what is read by a flag was there, and is marked.
    for (stream, table, lost) in [
        ("dept_planning.cases", "planning.up_pro_accept_ghj", "department.planning"),
        ("dept_land.cases", "land.inf_apply_gtj", "department.land"),
    ] {
        let rows = truth["rows"][table].as_i64().unwrap();
        let unreadable = truth["quarantined"][lost].as_i64().unwrap();
        assert_eq!(step(&report, "streams", stream)["read"], rows - unreadable, "{stream}");
    }
    let second = second.expect(0).json();
    for stream in second["streams"].as_array().unwrap() {
        assert_eq!(stream["written"], 0, "{stream}");
    }
    for stream in ["dept_planning.cases", "dept_land.cases", "dept_land.results"] {
        assert_eq!(step(&second, "streams", stream)["read"], 0, "{stream}");
    }
    // States that were pushed into a front database there are answered for there.
    let pushed = step(&report, "pushes", "push.parallel.states");
    assert_eq!((&pushed["sent"], &pushed["waiting"]), (&2.into(), &2.into()), "{pushed}");
    night.expect(0);
    let third = third.expect(0).json();
    let told = step(&third, "pushes", "push.parallel.states");
    assert_eq!((&told["accepted"], &told["rejected"]), (&1.into(), &1.into()), "{told}");
    assert_eq!(step(&third, "streams", "parallel.cases")["echoed"], 1);
}
