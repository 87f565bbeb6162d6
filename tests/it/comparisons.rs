//! What a reconciliation takes for equal, by each way of comparing, and over as many systems as it
//! may have.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use crate::hub::{Hub, step};
use crate::office::Office;

fn put(hub: &Hub, file: &str, text: &str) {
    let path = hub.project().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The streams of these tables, whose columns have these types.
fn streams(tables: &[&str], types: &str) -> String {
    let mut text = String::from("path = \"office.db\"\n");
    for table in tables {
        write!(
            text,
            "\n[[streams]]\nname = \"{table}\"\ntable = \"{table}\"\nkey = [\"id\"]\n\
             read = \"full\"\n{types}"
        )
        .unwrap();
    }
    text
}

/// A file that reconciles these tables.
fn reconcile(tables: &[&str], fields: &str) -> String {
    let mut text =
        String::from("version = 1\nentity = \"case\"\ntitle = \"办件\"\nkey = [\"no\"]\n");
    for table in tables {
        write!(text, "[systems.{table}]\ntable = \"current.office_{table}\"\nowner = \"甲\"\n")
            .unwrap();
    }
    text + fields
}

const SIDES: [&str; 2] = ["here", "there"];
const TYPES: &str = "columns.day = { type = \"date\" }\ncolumns.fee = { type = \"decimal(10,2)\" }\n\
                     columns.at = { type = \"timestamp\" }\n";
const COMPARED: &str = r#"
[fields.state]
compare = "code:kind"
codes = { there = "kind_there" }
[fields.day]
compare = { workdays = 2 }
[fields.name]
normalise = ["width", "trim", "case", "empty"]
[fields.phone]
normalise = ["spaces"]
[fields.tags]
compare = { set = "," }
[fields.fee]
compare = { within = 0.01 }
[fields.at]
compare = { within = "60s" }
"#;
/// The fields, and what both sides say where nothing else is tried.
const FIELDS: [(&str, [&str; 2]); 7] = [
    ("state", ["1", "A"]),
    ("day", ["2018-09-28", "2018-09-28"]),
    ("name", ["王", "王"]),
    ("phone", ["1", "1"]),
    ("tags", ["a", "a"]),
    ("fee", ["1.00", "1.00"]),
    ("at", ["2018-09-28 09:00:00", "2018-09-28 09:00:00"]),
];
/// A field, what each side says, and whether that is the same.
const TRIED: [(&str, Option<&str>, Option<&str>, bool); 25] = [
    ("state", Some("9"), Some("B"), true),
    ("state", Some("1"), Some("B"), false),
    ("state", Some("1"), Some("Z"), false),
    // Saturday and Sunday are worked, the week of the National Day is not.
    ("day", Some("2018-09-28"), Some("2018-09-30"), true),
    ("day", Some("2018-09-28"), Some("2018-10-08"), false),
    ("day", Some("2018-10-08"), Some("2018-09-28"), false),
    ("day", Some("2018-09-30"), Some("2018-10-07"), true),
    // Nobody knows yet which days of that year are worked.
    ("day", Some("2030-03-01"), Some("2030-03-02"), false),
    ("day", Some("2030-03-01"), Some("2030-03-01"), true),
    ("day", Some("2018-09-28"), None, false),
    ("name", Some("ＡＢＣ１"), Some(" abc1 "), true),
    ("name", Some("王 芳"), Some("王芳"), false),
    ("name", Some(""), None, true),
    ("name", None, None, true),
    ("name", None, Some("王"), false),
    ("phone", Some("0555 123 456"), Some("0555123456"), true),
    ("phone", Some("0555 123 456"), Some("0555123457"), false),
    ("tags", Some("b,a,a"), Some("a, b"), true),
    ("tags", Some("a,b"), Some("a"), false),
    ("fee", Some("1.00"), Some("1.01"), true),
    ("fee", Some("1.01"), Some("1.00"), true),
    ("fee", Some("1.00"), Some("1.02"), false),
    ("at", Some("2018-09-28 09:01:00"), Some("2018-09-28 09:00:00"), true),
    ("at", Some("2018-09-28 09:00:00"), Some("2018-09-28 09:01:01"), false),
    ("at", None, Some("2018-09-28 09:01:00"), false),
];

/// The table of one side: a row for each try, whose number is its key.
fn table(side: usize) -> String {
    let columns = FIELDS.map(|(name, _)| format!("{name} text")).join(", ");
    let mut sql = format!("create table {} (id text, no text, {columns});", SIDES[side]);
    for (number, (field, here, there, _)) in TRIED.iter().enumerate() {
        let cells = FIELDS.map(|(name, usual)| {
            let value = if name == *field { [*here, *there][side] } else { Some(usual[side]) };
            value.map_or_else(|| "null".to_owned(), |value| format!("'{value}'"))
        });
        let cells = cells.join(", ");
        write!(sql, "insert into {} values ('{number}', '{number}', {cells});", SIDES[side])
            .unwrap();
    }
    sql
}

/// Number and field of the tries that are open differences.
fn different(hub: &Hub) -> BTreeSet<(usize, String)> {
    let ledger = hub.run_json(&["reconcile", "ledger", "--limit", "1000"]).expect(0).json();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = ledger["differences"].as_array().unwrap().iter();
    rows.map(|row| {
        assert_eq!(row["rule"], "mismatch", "{row}");
        (text(row, "entity_key").parse().unwrap(), text(row, "field"))
    })
    .collect()
}

#[tokio::test]
async fn each_way_of_comparing_accepts_what_it_says_and_nothing_else() {
    let office = Office::new("sqlite", &streams(&SIDES, TYPES));
    let hub = &office.hub;
    put(hub, "config/codes/kind.csv", "code,value\n1,受理\n9,办结\n");
    put(hub, "config/codes/kind_there.csv", "code,value\nA,1\nB,9\n");
    put(hub, "pipelines/reconcile/case.toml", &reconcile(&SIDES, COMPARED));
    office.edit(&(table(0) + &table(1))).await;
    hub.run(&["run"]).expect(0);
    let tried = TRIED.iter().enumerate();
    let expected: BTreeSet<(usize, String)> = tried
        .filter(|(_, (.., agree))| !agree)
        .map(|(number, (field, ..))| (number, (*field).to_owned()))
        .collect();
    assert_eq!(different(hub), expected);

    // The codes that are used, and the one that no table knows.
    let show = hub.run_json(&["reconcile", "show"]).expect(0).json();
    let unknown = show["unknown_codes"].as_array().unwrap();
    let parts = ["field", "system", "code", "code_table", "row_count"];
    assert_eq!(unknown.len(), 1, "{show}");
    assert_eq!(
        parts.map(|part| unknown[0][part].as_str().unwrap()),
        ["state", "there", "Z", "kind_there", "1"]
    );
    let known = "select count(*) as n from reconciled.case_coverage where is_known";
    assert_eq!(hub.query(known)[0]["n"], 4);

    // Once its table knows the code, everything is looked at again.
    put(hub, "config/codes/kind_there.csv", "code,value\nA,1\nB,9\nZ,1\n");
    hub.run(&["run"]).expect(0);
    let fewer = expected.iter().filter(|(number, _)| TRIED[*number].2 != Some("Z"));
    assert_eq!(different(hub), fewer.cloned().collect::<BTreeSet<_>>());
    let show = hub.run_json(&["reconcile", "show"]).expect(0).json();
    assert_eq!(show["unknown_codes"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn eight_systems_are_the_most_and_each_of_them_counts() {
    const SYSTEMS: [&str; 9] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];
    let eight = &SYSTEMS[..8];
    let office = Office::new("sqlite", &streams(eight, ""));
    let hub = &office.hub;
    put(hub, "pipelines/reconcile/case.toml", &reconcile(eight, "[fields.state]\n"));
    let mut sql = String::new();
    for (number, system) in eight.iter().enumerate() {
        let is_last = number == 7;
        let says = if is_last { "y" } else { "x" };
        write!(
            sql,
            "create table {system} (id text, no text, state text);
             insert into {system} values ('all', 'all', 'x'), ('twice', 'twice', 'x'),
               ('differs', 'differs', '{says}');"
        )
        .unwrap();
        // Each of eight other cases is in all systems but one.
        for lacking in (0..8).filter(|lacking| *lacking != number) {
            write!(sql, "insert into {system} values ('m{lacking}', 'm{lacking}', 'x');").unwrap();
        }
        if is_last {
            write!(sql, "insert into {system} values ('again', 'twice', 'x');").unwrap();
        }
    }
    office.edit(&sql).await;
    hub.run(&["run"]).expect(0);
    let classes = || hub.run_json(&["reconcile", "show"]).expect(0).json()["classes"].clone();
    let of = |classes: &Value, name: &str| classes[name].as_u64().unwrap();
    let first = classes();
    for class in ["matched", "mismatch", "duplicate_key"] {
        assert_eq!(of(&first, class), 1, "{class}: {first}");
    }
    for system in eight {
        assert_eq!(of(&first, &format!("missing_in_{system}")), 1, "{system}: {first}");
    }

    office
        .edit(
            "insert into s3 values ('m3', 'm3', 'x'); update s7 set state = 'x' where no = 'differs'",
        )
        .await;
    let report = hub.run_json(&["run"]).expect(0).json();
    let message = &step(&report, "reconciliations", "reconciled.cases")["message"];
    assert!(message.as_str().unwrap().contains("11 keys, 2 looked at"), "{message}");
    let second = classes();
    assert_eq!((of(&second, "matched"), of(&second, "mismatch")), (3, 0), "{second}");
    assert_eq!((of(&second, "missing_in_s3"), of(&second, "missing_in_s7")), (0, 1), "{second}");

    put(hub, "pipelines/reconcile/case.toml", &reconcile(&SYSTEMS, "[fields.state]\n"));
    let said = hub.run(&["check"]).expect(2).said();
    assert!(said.contains("9 systems are compared; it must be 2 to 8"), "{said}");
}
