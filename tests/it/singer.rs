//! From a Singer tap through the lake to Singer targets, by the real program.

use serde_json::Value;

use crate::beginning::Begun;
use crate::databases::{Kind, Source};
use crate::hub::{Hub, step};

const TABLES: &str = "create table cases (id int primary key, name text, update_time timestamp); \
    create table items (id int primary key, code text, update_time timestamp); \
    insert into cases values (1, '王\"芳', '2018-06-12 09:00:00'), (2, null, '2018-06-12 09:05:00'); \
    insert into items select n, lpad(n::text, 6, '0'), '2018-06-12 09:00:00' \
      from generate_series(1, 3000) n";

/// The program of a real tap or target.
fn installed(name: &str) -> String {
    let folder = std::env::var_os("HUILIU_TEST_SINGER").map(|text| text.into_string().unwrap());
    let folder = folder.expect("HUILIU_TEST_SINGER must name the folder that `./test` makes");
    format!("{folder}/{name}/bin/{name}")
}

/// The configuration of a tap or target of the database, as keys of a system file.
fn connection(source: &Source) -> Vec<(&'static str, String)> {
    let url = source.url();
    let (login, place) = url.split_once("://").unwrap().1.split_once('@').unwrap();
    let (host, database) = place.split_once('/').unwrap();
    let (host, port) = host.split_once(':').unwrap();
    vec![
        ("host", format!("\"{host}\"")),
        ("port", port.to_owned()),
        ("user", format!("\"{}\"", login.split(':').next().unwrap())),
        ("password", "\"${secret:plan}\"".to_owned()),
        ("database", format!("\"{database}\"")),
    ]
}

fn system(hub: &Hub, name: &str, text: &str) {
    let head = "version = 1\nkind = \"singer\"\ntitle = \"共享平台\"\nowner = \"数据局\"\nstage = \"live\"\n";
    let file = hub.project().join(format!("config/systems/{name}.toml"));
    std::fs::write(file, format!("{head}{text}")).unwrap();
}

fn model(hub: &Hub, name: &str, sql: &str) {
    let folder = hub.project().join("pipelines/models/standard");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "/* +++\nkind = \"table\"\ndescription = \"共享\"\nkey = [\"id\"]\n+++ */\n{sql}\n"
    );
    std::fs::write(folder.join(format!("{name}.sql")), text).unwrap();
}

fn written(report: &Value, stream: &str) -> i64 {
    step(report, "streams", stream)["written"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_tap_reach_the_lake_together_and_go_on_to_targets() {
    let source = Source::new(Kind::Postgres, TABLES).await;
    let hub = &source.office.hub;
    std::fs::write(hub.data().join("secrets"), "plan=canary-4711\n").unwrap();

    // The tap is found out and its streams are written down, without a word of a person.
    let mut arguments: Vec<String> =
        ["discover", "plan", "--kind", "singer", "--owner", "规划科", "--write"]
            .map(str::to_owned)
            .into();
    let mut set = |key: &str, value: &str| {
        arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
    };
    set("command", &format!("[\"{}\"]", installed("tap-postgres")));
    set("config.filter_schemas", "[\"public\"]");
    for (key, value) in connection(&source) {
        set(&format!("config.{key}"), &value);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let time = Begun::now();
    hub.run(&arguments).expect(0);
    let text = std::fs::read_to_string(hub.project().join("config/systems/plan.toml")).unwrap();
    assert!(!text.contains("canary") && text.matches("[[streams]]").count() == 2, "{text}");
    let shown = hub.run(&["preview", "plan.public_items", "--rows", "2"]).expect(0);
    assert!(shown.out.contains("000001") && !shown.said().contains("canary"), "{}", shown.said());

    let first = hub.run_json(&["run", "plan.*"]).expect(0).json();
    time.has_rows("singer");
    let counts = |report: &Value| {
        (written(report, "plan.public_cases"), written(report, "plan.public_items"))
    };
    assert_eq!(counts(&first), (2, 3000));
    source
        .execute(
            "update items set code = 'x', update_time = '2018-06-13' where id = 7; \
             insert into cases values (3, '李', '2018-06-13 08:00:00')",
        )
        .await;
    let second = hub.run_json(&["run", "plan.*"]).expect(0).json();
    assert_eq!(counts(&second), (1, 1));
    assert_eq!(source.query("select code from current.plan_public_items where id = 7"), ["x"]);

    // A whole table and single records to one target, and records to another.
    model(hub, "cases_out", "select id, name from current.plan_public_cases");
    model(hub, "items_out", "select id, code from current.plan_public_items where id <= 20");
    let config: Vec<String> =
        connection(&source).iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let share = format!(
        "command = [\"{}\"]\n[config]\n{}default_target_schema = \"share\"\nhard_delete = true\n\
         [[pushes]]\nname = \"cases\"\nfrom = \"standard.cases_out\"\nkey = [\"id\"]\nload = \"replace\"\n\
         [[pushes]]\nname = \"items\"\nfrom = \"standard.items_out\"\nkey = [\"id\"]\nrepeatable = true\n",
        installed("target-postgres"),
        config.concat()
    );
    system(hub, "share", &share);
    let folder = hub.data().join("files");
    std::fs::create_dir(&folder).unwrap();
    let files = format!(
        "command = [\"{}\"]\n[config]\ndestination_path = \"{}\"\ndo_timestamp_file = false\n\
         [[pushes]]\nname = \"items\"\nfrom = \"standard.items_out\"\nkey = [\"id\"]\n",
        installed("target-jsonl"),
        folder.display()
    );
    system(hub, "files", &files);
    hub.run(&["check"]).expect(0);
    hub.run(&["run"]).expect(0);
    let cases = "select count(*) from share.cases where name is null or name in ('王\"芳', '李')";
    assert_eq!(source.number(cases).await, 3);
    assert_eq!(source.number("select count(*) from share.items").await, 20);
    let lines = || {
        let text = std::fs::read_to_string(folder.join("items.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    assert_eq!(lines().len(), 20);
    assert!(lines().iter().any(|record| record["code"] == "x"));

    // What changes goes on, and nothing else moves.
    source
        .execute("update items set code = 'y', update_time = '2018-06-14' where id in (8, 9)")
        .await;
    hub.run(&["run"]).expect(0);
    assert_eq!(source.number("select count(*) from share.items where code = 'y'").await, 2);
    assert_eq!(source.number("select count(*) from share.items").await, 20);
    assert_eq!(lines().len(), 22, "only the two that changed were sent again");
}
