//! Plans: what edited files would do is shown, written nowhere, and done exactly when it is asked for.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::hub::{Hub, step};
use crate::office::Office;

const CASES: &str = "path = \"office.db\"\n
[[streams]]\nname = \"cases\"\ntable = \"cases\"\nkey = [\"id\"]\nread = \"full\"\n
[streams.columns]\nperson = { tag = \"name\" }\n
[[streams]]\nname = \"asked\"\ntable = \"asked\"\nkey = [\"id\"]\nread = \"full\"\n";

const MODEL: &str = "/* +++\nkind = \"table\"\ndescription = \"办件\"\nkey = [\"id\"]\n+++ */\n";
const VIEW: &str = "/* +++\nkind = \"view\"\ndescription = \"在办\"\n+++ */\n";

fn metric(table: &str, numerator: &str) -> String {
    format!(
        "version = 1\ntitle = \"网上办理比例\"\nunit = \"percent\"\nowner = \"政务中心\"\nfrom = \
         \"{table}\"\n\n[[definition]]\nvalid_from = \"2018-01-01\"\ntext = \"网上办理的办件\"\n\
         denominator = \"fee >= 0\"\nnumerator = \"{numerator}\"\n"
    )
}

/// An office with cases, models on each other, figures and a reconciliation, all of it run once.
struct Desk(Office);

impl Desk {
    async fn new() -> Self {
        let office = Office::new("sqlite", CASES);
        office
            .edit(
                "create table cases (id integer primary key, person text, kind text, fee integer,
                                     online integer);
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
                 insert into cases select i, '王小明', case i % 4 when 0 then 'a' else 'b' end, i % 10,
                                          i % 3 = 0 from n;
                 create table asked (id integer primary key, fee integer);
                 insert into asked select id, fee from cases where id <= 90;",
            )
            .await;
        let desk = Self(office);
        desk.put("config/codes/kinds.csv", "code,value\na,甲\nb,乙\n");
        desk.model(
            "cases",
            &format!(
                "{MODEL}select c.id, c.person as who, c.fee, c.online, k.value as kind\nfrom \
                 current.office_cases as c\nleft join codes.kinds as k on k.code = c.kind"
            ),
        );
        desk.model("dear", &format!("{VIEW}select * from standard.cases where fee > 5"));
        desk.model(
            "kinds",
            &format!(
                "{}select kind, count(*) as cases from standard.dear group by kind",
                MODEL.replace("\"id\"", "\"kind\"")
            ),
        );
        desk.model("asked", &format!("{MODEL}select id, fee from current.office_asked"));
        desk.metric("online", &metric("standard.cases", "online = 1"));
        desk.metric("dear", &metric("standard.dear", "online = 1"));
        desk.metric("asked", &metric("standard.asked", "fee > 5"));
        desk.metric("agreed", &metric("reconciled.cases", "class = 'matched'"));
        desk.put(
            "pipelines/reconcile/case.toml",
            "version = 1\ntitle = \"核对\"\nentity = \"case\"\nkey = [\"id\"]\n\
             [systems.city]\ntable = \"standard.cases\"\ntitle = \"市\"\nowner = \"甲\"\n\
             [systems.asked]\ntable = \"standard.asked\"\ntitle = \"问\"\nowner = \"乙\"\n\
             [fields.fee]\ntitle = \"费用\"\ncompare = \"exact\"\ntrust = [\"city\", \"asked\"]\n",
        );
        desk.0.run(0, "office.cases");
        desk
    }

    fn hub(&self) -> &Hub {
        &self.0.hub
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.hub().project().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn remove(&self, file: &str) {
        std::fs::remove_file(self.hub().project().join(file)).unwrap();
    }

    fn model(&self, name: &str, text: &str) {
        self.put(&format!("pipelines/models/standard/{name}.sql"), text);
    }

    fn metric(&self, key: &str, text: &str) {
        self.put(&format!("pipelines/metrics/{key}.toml"), text);
    }

    /// The plan, which must leave everything as it is.
    async fn plan(&self, code: i32) -> Value {
        let before = self.everything().await;
        let plan = self.hub().run_json(&["plan"]).expect(code).json();
        assert_eq!(self.everything().await, before, "a plan wrote something");
        plan
    }

    /// All files of the lake, and everything that the hub's database holds.
    async fn everything(&self) -> (BTreeMap<String, u64>, BTreeMap<String, Vec<String>>) {
        let mut files = BTreeMap::new();
        let mut open = vec![self.hub().data().join("lake"), self.hub().data().join("spill")];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let metadata = entry.metadata().unwrap();
                if metadata.is_dir() {
                    open.push(entry.path());
                } else {
                    files.insert(entry.path().display().to_string(), metadata.len());
                }
            }
        }
        (files, crate::lake::database_rows(&self.hub().database()).await)
    }

    /// Does what the plan says, and makes sure that the figures are those it showed.
    async fn apply(&self, plan: &Value) -> Value {
        let hash = plan["hash"].as_str().unwrap();
        let report = self.hub().run_json(&["run", "--plan", hash]).expect(0).json();
        let stored = self.hub().query("select * from metrics.figures");
        let figures = plan["figures"].as_array().unwrap();
        assert_eq!(stored.len(), figures.len());
        for figure in figures {
            let is = stored.iter().find(|row| row["key"] == figure["key"]).unwrap();
            let side = if figure["state"] == "unchanged" { "before" } else { "after" };
            for part in ["value", "numerator", "denominator"] {
                assert_eq!(is[part], figure[side][part], "{part} of {figure}");
            }
        }
        for table in plan["tables"].as_array().unwrap() {
            let name = table["name"].as_str().unwrap();
            let count = self.hub().query(&format!("select count(*) as n from {name}"));
            if !table["diff"].is_null() {
                assert_eq!(count[0]["n"], table["diff"]["rows_after"], "{name}");
            }
        }
        assert!(report["streams"].as_array().unwrap().is_empty(), "{report}");
        let again = self.plan(0).await;
        assert!(states(&again).values().all(|state| state == "unchanged"), "{again}");
        report
    }
}

/// The state of each table and figure.
fn states(plan: &Value) -> BTreeMap<String, String> {
    let mut states = BTreeMap::new();
    for (list, name) in [("tables", "name"), ("figures", "key")] {
        for node in plan[list].as_array().unwrap() {
            let text = |part: &str| node[part].as_str().unwrap().to_owned();
            states.insert(format!("{list} {}", text(name)), text("state"));
        }
    }
    states
}

#[track_caller]
fn table<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let tables = plan["tables"].as_array().unwrap();
    tables.iter().find(|table| table["name"] == name).unwrap_or_else(|| panic!("{name}: {plan}"))
}

#[track_caller]
fn figure<'a>(plan: &'a Value, key: &str) -> &'a Value {
    let figures = plan["figures"].as_array().unwrap();
    figures.iter().find(|figure| figure["key"] == key).unwrap_or_else(|| panic!("{key}: {plan}"))
}

fn causes(node: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let causes = node["causes"].as_array().unwrap();
    causes.iter().map(|cause| (text(&cause["kind"]), text(&cause["of"]))).collect()
}

fn counts(table: &Value) -> (i64, i64, i64) {
    let count = |part: &str| table["diff"][part].as_i64().unwrap();
    (count("added"), count("removed"), count("changed"))
}

fn cause(kind: &str, of: &str) -> Vec<(String, String)> {
    vec![(kind.to_owned(), of.to_owned())]
}

#[tokio::test]
async fn nothing_edited_is_an_empty_plan() {
    let desk = Desk::new().await;
    let plan = desk.plan(0).await;
    assert!(states(&plan).values().all(|state| state == "unchanged"), "{plan}");
    assert_eq!(states(&plan).len(), 8);
    let said = desk.hub().run(&["--lang", "zh", "plan"]).expect(0).out;
    assert!(said.contains("没有需要重新计算的内容"), "{said}");
}

#[tokio::test]
async fn an_edited_model_is_followed_to_the_figures_and_done_as_shown() {
    let desk = Desk::new().await;
    let before = desk.hub().query("select * from metrics.figures order by key");
    desk.hub().edit("pipelines/models/standard/cases.sql", "c.fee,", "c.fee + 1 as fee,");
    let plan = desk.plan(0).await;
    let cases = table(&plan, "standard.cases");
    assert_eq!(causes(cases), cause("definition", "standard.cases"));
    assert_eq!(counts(cases), (0, 0, 100));
    let examples = cases["diff"]["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 5);
    for example in examples {
        let cells = example["cells"].as_array().unwrap();
        let names: Vec<&str> = cells.iter().map(|cell| cell["column"].as_str().unwrap()).collect();
        assert_eq!(names, ["id", "fee"], "only the key and what changes: {example}");
    }
    // Through the view, and by the rows that a table now has.
    assert_eq!(causes(table(&plan, "standard.kinds")), cause("input", "standard.cases"),);
    assert_eq!(states(&plan)["tables standard.asked"], "unchanged");
    let golden = table(&plan, "reconciled.cases");
    assert_eq!(golden["reconcile"]["classes_before"]["matched"], 90);
    assert_eq!(golden["reconcile"]["classes_after"]["matched"], 0);
    assert_eq!(golden["reconcile"]["ledger"]["opened"], 90);
    assert_eq!(counts(golden), (0, 0, 100));
    let dear = figure(&plan, "dear");
    assert_eq!(
        (&dear["before"]["denominator"], &dear["after"]["denominator"]),
        (&40.into(), &50.into())
    );
    assert_eq!(dear["is_moved"], true);
    assert!(dear["change"].is_string() && dear["exact_change"].is_string(), "{dear}");
    assert_eq!(figure(&plan, "agreed")["after"]["numerator"], 0);
    assert_eq!(states(&plan)["figures asked"], "unchanged");
    for row in &before {
        let planned = figure(&plan, row["key"].as_str().unwrap());
        assert_eq!(planned["before"]["value"], row["value"], "{planned}");
    }
    let report = desk.apply(&plan).await;
    assert_eq!(step(&report, "models", "standard.cases")["state"], "succeeded");
    assert_eq!(step(&report, "models", "standard.asked")["state"], "unchanged");
    assert_eq!(step(&report, "reconciliations", "reconciled.cases")["state"], "succeeded");
}

#[tokio::test]
async fn what_the_systems_hold_now_is_planned_without_being_taken_in() {
    let desk = Desk::new().await;
    desk.0
        .edit("update cases set fee = 9 where id = 11; insert into cases values (101, '李', 'a', 1, 1)")
        .await;
    let before = desk.everything().await;
    let plan = desk.hub().run_json(&["plan", "--live"]).expect(0).json();
    assert_eq!(desk.everything().await, before, "a plan wrote something");
    assert_eq!(plan["hash"], Value::Null, "nobody can run what the systems had a moment ago");
    let live: Vec<_> = plan["live"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| (stream["stream"].as_str().unwrap(), stream["rows"].as_u64().unwrap()))
        .collect();
    assert_eq!(live, [("office.cases", 101), ("office.asked", 90)]);
    assert_eq!(counts(table(&plan, "standard.cases")), (1, 0, 1));
    let golden = table(&plan, "reconciled.cases");
    assert_eq!(golden["reconcile"]["classes_after"]["matched"], 89);
    assert_eq!(golden["reconcile"]["ledger"]["opened"], 2);
    assert_eq!(figure(&plan, "agreed")["after"]["numerator"], 89);
    let run = desk.hub().run_json(&["run", "office.*", "standard.*", "reconciled.*", "metrics.*"]);
    run.expect(0);
    let figures = desk.hub().query("select * from metrics.figures");
    for row in figures {
        let planned = &figure(&plan, row["key"].as_str().unwrap())["after"];
        assert_eq!(planned["value"], row["value"], "{planned}");
    }
    let one = desk.hub().run_json(&["plan", "--live", "office.asked"]).expect(0).json();
    assert_eq!(one["live"].as_array().unwrap().len(), 1);
    let wrong = desk.hub().run(&["plan", "--live", "office.askd"]).expect(2);
    assert!(wrong.err.contains("did you mean `office.asked`?"), "{}", wrong.err);
    let said = desk.hub().run(&["--lang", "zh", "plan", "--live"]).expect(0).out;
    assert!(said.contains("各系统当前数据") && !said.contains("run --plan"), "{said}");
}

#[tokio::test]
async fn of_rows_with_one_key_the_last_one_is_planned() {
    let office = Office::new("sqlite", &CASES.replace("[\"id\"]", "[\"kind\"]"));
    office
        .edit(
            "create table cases (id integer, person text, kind text, fee integer, online integer);
             insert into cases values (1, '王', 'a', 1, 1), (2, '李', 'b', 2, 1), (3, '张', 'a', 3, 1),
                                      (4, '赵', null, 4, 1);
             create table asked (kind text, fee integer); insert into asked values ('a', 1);",
        )
        .await;
    let model = office.hub.project().join("pipelines/models/standard/cases.sql");
    std::fs::create_dir_all(model.parent().unwrap()).unwrap();
    let text = MODEL.replace("\"id\"", "\"kind\"");
    std::fs::write(model, format!("{text}select kind, fee from current.office_cases")).unwrap();
    let metric_file = office.hub.project().join("pipelines/metrics/online.toml");
    std::fs::create_dir_all(metric_file.parent().unwrap()).unwrap();
    std::fs::write(metric_file, metric("standard.cases", "fee = 3")).unwrap();
    let plan = office.hub.run_json(&["plan", "--live", "office.cases"]).expect(0).json();
    let live = &plan["live"][0];
    assert_eq!(
        (&live["rows"], &live["repeated"], &live["set_aside"]),
        (&3.into(), &1.into(), &1.into())
    );
    let after = &figure(&plan, "online")["after"];
    assert_eq!((&after["numerator"], &after["denominator"]), (&1.into(), &2.into()), "{plan}");
}

#[tokio::test]
async fn an_edited_definition_is_shown_as_text_and_builds_no_table() {
    let desk = Desk::new().await;
    desk.metric("online", &metric("standard.cases", "online = 0"));
    let plan = desk.plan(0).await;
    assert!(plan["tables"].as_array().unwrap().iter().all(|table| table["state"] == "unchanged"));
    let online = figure(&plan, "online");
    assert_eq!(causes(online), cause("definition", "metrics.online"));
    let definition = &online["definition"];
    assert_eq!(definition["before"]["definition"]["numerator"], "online = 1");
    assert_eq!(definition["after"]["definition"]["numerator"], "online = 0");
    assert_eq!(
        (&online["before"]["numerator"], &online["after"]["numerator"]),
        (&33.into(), &67.into())
    );
    assert_eq!((&online["change"], &online["exact_change"]), (&"34.00".into(), &"17/50".into()));
    let said = desk.hub().run(&["plan"]).expect(0).out;
    for words in
        ["- online = 1", "+ online = 0", "33.00 % = 33 / 100", "+34.00 (+17/50)", "run --plan"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    desk.apply(&plan).await;
}

#[tokio::test]
async fn an_edited_code_table_is_named_and_its_effect_counted() {
    let desk = Desk::new().await;
    desk.put("config/codes/kinds.csv", "code,value\na,丙\nb,乙\n");
    let plan = desk.plan(0).await;
    let cases = table(&plan, "standard.cases");
    assert_eq!(causes(cases), cause("file", "codes.kinds"));
    assert_eq!(counts(cases), (0, 0, 25));
    // Its key is the value that changed.
    assert_eq!(counts(table(&plan, "standard.kinds")), (1, 1, 0));
    assert_eq!(counts(table(&plan, "standard.asked")), (0, 0, 0));
    assert!(plan["figures"].as_array().unwrap().iter().all(|figure| figure["is_moved"] == false));
    desk.apply(&plan).await;
}

#[tokio::test]
async fn a_new_model_and_a_removed_one() {
    let desk = Desk::new().await;
    desk.model(
        "online",
        &format!("{MODEL}select id, who, fee, online from standard.cases where online = 1"),
    );
    desk.metric("fresh", &metric("standard.online", "fee > 5"));
    desk.remove("pipelines/models/standard/kinds.sql");
    desk.remove("pipelines/metrics/dear.toml");
    let plan = desk.plan(0).await;
    let online = table(&plan, "standard.online");
    assert_eq!(causes(online), cause("new", "standard.online"));
    assert_eq!((counts(online), &online["diff"]["rows_before"]), ((33, 0, 0), &Value::Null));
    assert_eq!(causes(figure(&plan, "fresh")), cause("new", "metrics.fresh"));
    assert!(figure(&plan, "fresh")["before"].is_null());
    assert_eq!(plan["removed_figures"], serde_json::json!(["dear"]));
    assert_eq!(plan["no_longer_built"][0]["table"], "standard.kinds");
    // The name is the city's, whatever the model calls it.
    let text = plan.to_string();
    assert!(text.contains("王**") && !text.contains("王小明"), "{text}");
    desk.apply(&plan).await;
    assert_eq!(desk.plan(0).await["no_longer_built"], serde_json::json!([]));
    assert!(!desk.hub().query("select * from standard.kinds").is_empty(), "its table stays");
}

#[tokio::test]
async fn a_plan_that_is_not_the_present_one_is_refused() {
    let desk = Desk::new().await;
    let refused = async |hash: &str, why: &str| {
        let before = desk.everything().await;
        let said = desk.hub().run(&["run", "--plan", hash]).expect(5).said();
        assert!(said.contains("E-PLAN-STALE") && said.contains(why), "{why}: {said}");
        assert_eq!(desk.everything().await, before, "something was written");
    };
    desk.hub().edit("pipelines/models/standard/cases.sql", "c.fee,", "c.fee + 1 as fee,");
    let first = desk.plan(0).await["hash"].as_str().unwrap().to_owned();
    desk.hub().edit("pipelines/models/standard/cases.sql", "c.fee + 1", "c.fee + 2");
    refused(&first, "files").await;
    let second = desk.plan(0).await["hash"].as_str().unwrap().to_owned();
    desk.0.edit("insert into cases values (101, '李四', 'a', 1, 1)").await;
    desk.hub().run(&["run", "office.cases"]).expect(0);
    refused(&second, "snapshot").await;
    let third = desk.plan(0).await["hash"].as_str().unwrap().to_owned();
    desk.hub().run(&["run", "--plan", &third]).expect(0);
    refused(&third, "built").await;
    let said = desk.hub().run(&["run", "--plan", "abc"]).expect(2).said();
    assert!(said.contains("E-PLAN"), "{said}");
    desk.hub().run(&["run", "standard.cases", "--plan", &third]).expect(2);
}

#[tokio::test]
async fn what_cannot_be_computed_is_said_and_what_needs_it_has_no_number() {
    let desk = Desk::new().await;
    desk.hub().edit("pipelines/models/standard/cases.sql", "c.fee,", "c.fees,");
    desk.metric("asked", &metric("standard.asked", "fee > 6"));
    let plan = desk.plan(1).await;
    let cases = table(&plan, "standard.cases");
    assert_eq!((&cases["state"], &cases["error"]["code"]), (&"failed".into(), &"E-SQL".into()));
    assert_eq!(table(&plan, "reconciled.cases")["state"], "blocked");
    for key in ["online", "dear", "agreed"] {
        let figure = figure(&plan, key);
        assert_eq!(
            (&figure["state"], &figure["after"]),
            (&"blocked".into(), &Value::Null),
            "{key}"
        );
    }
    assert_eq!(figure(&plan, "asked")["after"]["numerator"], 27);
    let said = desk.hub().run(&["plan"]).expect(1).out;
    assert!(said.contains("not computed, depends on standard.cases"), "{said}");
}

#[tokio::test]
async fn settings_of_a_stream_that_are_others_are_listed() {
    let desk = Desk::new().await;
    let edited = CASES.replace(
        "read = \"full\"\n\n[streams.columns]",
        "read = \"full\"\nwrite = \"replace\"\n\n[streams.columns]",
    );
    assert_ne!(edited, CASES);
    desk.0.describe("sqlite", &edited);
    let plan = desk.plan(0).await;
    let streams = plan["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 1, "{plan}");
    assert_eq!(
        (&streams[0]["stream"], &streams[0]["state"]),
        (&"office.cases".into(), &"changed".into())
    );
    let setting = &streams[0]["settings"][0];
    assert_eq!(
        (&setting["name"], &setting["before"], &setting["after"]),
        (&"write".into(), &"upsert".into(), &"replace".into())
    );
    desk.0.describe("sqlite", CASES);
    assert!(desk.plan(0).await["streams"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_figure_follows_its_table_and_not_sql_that_could_not_run_yet() {
    let desk = Desk::new().await;
    desk.hub().edit("pipelines/models/standard/cases.sql", "c.online,", "0 as online,");
    desk.hub().edit("pipelines/models/standard/cases.sql", "codes.kinds", "codes.none");
    desk.metric("asked", &metric("standard.asked", "fee > 6"));
    desk.hub().run(&["run", "standard.*", "metrics.*"]).expect(4);
    desk.hub().edit("pipelines/models/standard/cases.sql", "codes.none", "codes.kinds");
    let plan = desk.plan(0).await;
    assert_eq!(figure(&plan, "online")["after"]["numerator"], 0, "{plan}");
    desk.apply(&plan).await;
}
