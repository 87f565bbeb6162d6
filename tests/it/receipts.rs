//! Pushes with proof: what targets say later, by flag, by file, by message and by list, and what they
//! show of ours when they are read again. Between two runs a night passes at the city's systems.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::hub::step;
use crate::lake;
use crate::office::execute;
use crate::world::World;

/// Pushes whose targets take records over by day and answer for them by night.
const LATER: [&str; 4] = [
    "push.investment.results",
    "push.parallel.states",
    "push.publish.results",
    "push.supervision.cases",
];
/// Pushes whose targets answer at once and list by night what they have accepted, with the stream
/// that reads it.
const AT_ONCE: [(&str, &str); 3] = [
    ("push.app.interfaces", "app.interfaces"),
    ("push.province.cases", "province.cases"),
    ("push.province.items", "province.items"),
];

fn run(world: &World, code: i32) -> Value {
    world.run(&["--output", "json", "run"]).expect(code).json()
}

fn night(world: &World) -> Value {
    world.run(&["--output", "json", "demo", "night"]).expect(0).json()
}

fn number(of: &Value, name: &str) -> i64 {
    of[name].as_i64().unwrap_or_else(|| panic!("no {name} in {of}"))
}

/// The keys of a push's records in one state.
fn keys(world: &World, push: &str, state: &str) -> BTreeSet<String> {
    let show = ["--output", "json", "push", "show", push, "--state", state, "--limit", "100000"];
    let shown = world.run(&show).expect(0).json();
    let records = shown["records"].as_array().unwrap().iter();
    records.map(|record| record["record_key"].as_str().unwrap().to_owned()).collect()
}

/// What a target has noted of a push: accepted and refused records.
async fn noted(world: &World, file: &str, push: &str) -> (i64, i64) {
    let mut target = lake::sqlite(&world.hub.city().join(file)).await;
    sqlx::query_as(
        "select sum(result = 'accepted'), sum(result = 'rejected') from pushed where push = $1",
    )
    .bind(push)
    .fetch_one(&mut target)
    .await
    .unwrap()
}

/// The cases of which approval in parallel does not know the state, or has no opinion.
fn behind(world: &World, rule: &str) -> BTreeSet<String> {
    let sql = format!("select subject from reconciled.parallel_findings where rule = '{rule}'");
    let rows = world.hub.query(&sql);
    rows.iter().map(|row| row["subject"].as_str().unwrap().to_owned()).collect()
}

/// The flag and the reason of a state in the front table of approval in parallel.
async fn flag_of(world: &World, number: &str) -> (String, String) {
    let mut front = lake::sqlite(&world.hub.city().join("parallel.db")).await;
    sqlx::query_as("select sjsczt, sbyy from spgl_xmspsxblxxb_sb where spsxslbm = $1")
        .bind(number)
        .fetch_one(&mut front)
        .await
        .unwrap()
}

/// The files of results that were published.
fn files(world: &World) -> BTreeSet<String> {
    let folder = std::fs::read_dir(world.hub.city().join("publish")).unwrap();
    let names = folder.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("results_") && name.ends_with(".csv")).collect()
}

fn missing_in_province(world: &World) -> BTreeSet<String> {
    let sql = "select project_no from reconciled.cases where class = 'missing_in_province'";
    let rows = world.hub.query(sql);
    rows.iter().map(|row| row["project_no"].as_str().unwrap().to_owned()).collect()
}

fn cards_not_issued(world: &World) -> BTreeSet<String> {
    let sql = "select subject from reconciled.supervision_findings where rule = 'card_not_issued'";
    let rows = world.hub.query(sql);
    rows.iter().map(|row| row["subject"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_answered_for_after_a_night_and_comes_back_as_ours() {
    let world = World::new(77).await;
    let first = run(&world, 0);
    for push in LATER {
        let told = step(&first, "pushes", push);
        assert!(number(told, "sent") > 0, "{told}");
        assert_eq!(told["waiting"], told["sent"], "{told}");
    }
    let (missing, without_card) = (missing_in_province(&world), cards_not_issued(&world));
    let night = night(&world);
    let second = run(&world, 0);

    // What was accepted is listed, as ours and not as a change of the system's.
    let mut listed = 0;
    let results = step(&second, "pushes", "push.investment.results");
    let approvals = ("investment.approvals", number(results, "accepted"));
    let states = step(&second, "pushes", "push.parallel.states");
    let states = ("parallel.cases", number(states, "accepted"));
    let accepted = |push| number(step(&first, "pushes", push), "accepted");
    let echoes = AT_ONCE.map(|(push, stream)| (stream, accepted(push)));
    for (stream, accepted) in echoes.into_iter().chain([approvals, states]) {
        let read = step(&second, "streams", stream);
        assert!(accepted > 0, "nothing was accepted for {stream}");
        assert_eq!((number(read, "echoed"), number(read, "written")), (accepted, 0), "{read}");
        listed += accepted;
    }
    assert_eq!(number(&night, "taken_in"), listed);

    // Each receipt has found its record, whatever the receipt is.
    let mut answered = 0;
    for push in LATER {
        let (sent, told) = (step(&first, "pushes", push), step(&second, "pushes", push));
        let (accepted, rejected) = (number(told, "accepted"), number(told, "rejected"));
        assert_eq!(accepted + rejected, number(sent, "sent"), "{told}");
        assert_eq!(number(told, "waiting"), 0, "{told}");
        let name = push.trim_start_matches("push.");
        for state in ["waiting", "delivered", "unknown"] {
            assert!(keys(&world, name, state).is_empty(), "{push}: {state}");
        }
        answered += rejected + if push == "push.investment.results" { 0 } else { accepted };
        let target = match push {
            "push.investment.results" => noted(&world, "investment.db", "results").await,
            "push.supervision.cases" => noted(&world, "supervision.db", "cases").await,
            _ => {
                assert!(rejected > 0, "{told}");
                continue;
            }
        };
        assert_eq!((accepted, rejected), target, "{told}");
    }
    assert_eq!(number(&night, "answered"), answered);
    let receipts = number(step(&second, "streams", "publish.receipts"), "written");
    assert_eq!(receipts, number(step(&first, "pushes", "push.publish.results"), "sent"));
    let refused =
        world.run(&["push", "show", "publish.results", "--state", "rejected"]).expect(0).out;
    assert!(refused.contains("未成年人"), "{refused}");

    // The province has what it was missing, and electronic supervision issues cards.
    let brought = keys(&world, "province.cases", "accepted");
    assert!(!brought.is_empty() && brought.is_subset(&missing), "{brought:?}");
    let left: BTreeSet<String> = missing.difference(&brought).cloned().collect();
    assert_eq!(missing_in_province(&world), left);
    let alerts = step(&second, "streams", "supervision.alerts");
    assert_eq!(alerts["written"], night["cards"], "{alerts}");
    let still = cards_not_issued(&world);
    assert!(still.is_subset(&without_card) && still.len() < without_card.len(), "{still:?}");

    // All days add up, those of whole tables too, and nothing is sent on because of what came back.
    let wrong = "select * from ops.push_days where missing <> 0 or waiting <> 0 or unknown <> 0";
    assert!(world.hub.query(wrong).is_empty(), "{:?}", world.hub.query(wrong));
    let loads = "select sum(sent) as sent, sum(accepted) as accepted from ops.push_days \
                 where system = 'publish' and push = 'figures'";
    let loads = &world.hub.query(loads)[0];
    assert!(number(loads, "sent") > 0);
    assert_eq!(loads["sent"], loads["accepted"]);
    let third = run(&world, 0);
    for part in ["streams", "models", "pushes"] {
        for step in third[part].as_array().unwrap() {
            assert_eq!(step["state"], "unchanged", "{step}");
        }
    }
    let again = serde_json::json!({ "taken_in": 0, "answered": 0, "cards": 0 });
    assert_eq!(self::night(&world), again, "a night does its work once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_which_nobody_knows_whether_it_arrived_is_known_by_its_receipts() {
    let world = World::new(78).await;
    run(&world, 0);
    let sent = files(&world);
    assert!(!sent.is_empty());
    // As after an answer that was lost.
    let lost = "update huiliu_outbox set state = 'unknown', code = 'E-PUSH-UNKNOWN' \
                where outbox_id in (select outbox_id from huiliu_outbox \
                  where system = 'publish' and push = 'results' order by outbox_id limit 3)";
    execute(&world.hub.database(), lost).await;
    let doubtful = run(&world, 5);
    let told = step(&doubtful, "pushes", "push.publish.results");
    assert_eq!(told["code"], "E-PUSH-UNKNOWN", "{told}");
    assert_eq!(keys(&world, "publish.results", "unknown").len(), 3);
    night(&world);
    run(&world, 0);
    for state in ["waiting", "delivered", "unknown"] {
        assert!(keys(&world, "publish.results", state).is_empty(), "{state}");
    }
    assert_eq!(files(&world), sent, "it was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_table_is_pushed_into_and_its_flags_are_the_receipts() {
    let world = World::new(79).await;
    let planted: BTreeSet<String> = world.hub.truth()["planted"]["parallel_state"]["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(planted.len(), 2);
    let first = run(&world, 0);
    assert_eq!(behind(&world, "parallel_state"), planted);
    let push = step(&first, "pushes", "push.parallel.states");
    assert_eq!((number(push, "sent"), number(push, "waiting")), (2, 2), "{push}");
    for number in &planted {
        assert_eq!(flag_of(&world, number).await, ("0".to_owned(), String::new()), "{number}");
    }
    let before = number(step(&first, "streams", "parallel.states"), "written");
    assert!(before > 0, "nothing was pushed before");

    // What nobody has looked at yet is ours and says nothing.
    let idle = run(&world, 0);
    let states = step(&idle, "streams", "parallel.states");
    assert_eq!((number(states, "echoed"), number(states, "written")), (2, 0), "{states}");
    assert_eq!(number(step(&idle, "pushes", "push.parallel.states"), "accepted"), 0);
    assert_eq!(keys(&world, "parallel.states", "delivered").len(), 2);

    let silent = behind(&world, "parallel_without_opinion");
    night(&world);
    let second = run(&world, 0);
    let push = step(&second, "pushes", "push.parallel.states");
    let told = (number(push, "accepted"), number(push, "rejected"), number(push, "waiting"));
    assert_eq!(told, (1, 1, 0), "{push}");
    // The refused one is still behind, and a person sees why.
    let left = behind(&world, "parallel_state");
    assert!(left.len() == 1 && left.is_subset(&planted), "{left:?}");
    let refused = left.first().unwrap();
    let reason = "办结时间早于受理时间";
    assert_eq!(flag_of(&world, refused).await, ("-1".to_owned(), reason.to_owned()));
    let shown = world.run(&["push", "show", "parallel.states", "--state", "rejected"]).expect(0);
    assert!(shown.out.contains(refused.as_str()) && shown.out.contains(reason), "{}", shown.out);
    for taken in planted.difference(&left) {
        assert_eq!(flag_of(&world, taken).await, ("1".to_owned(), String::new()), "{taken}");
        let sql = format!(
            "select blzt, blyj from current.parallel_cases as c inner join \
             current.parallel_opinions as o on o.spsxslbm = c.spsxslbm \
             where c.spsxslbm = '{taken}'"
        );
        let rows = world.hub.query(&sql);
        assert!(rows.len() == 1 && rows[0]["blzt"] != "受理", "{rows:?}");
        assert!(rows[0]["blyj"].as_str().unwrap().starts_with("市平台"), "{rows:?}");
    }
    // What was taken in is no change of theirs, and no new finding.
    let cases = step(&second, "streams", "parallel.cases");
    assert_eq!((number(cases, "echoed"), number(cases, "written")), (1, 0), "{cases}");
    assert_eq!(behind(&world, "parallel_without_opinion"), silent);
    // Nothing is sent again for that, and the refused record neither.
    let third = run(&world, 0);
    let push = step(&third, "pushes", "push.parallel.states");
    assert_eq!((number(push, "sent"), &push["state"]), (0, &"unchanged".into()), "{push}");
}
