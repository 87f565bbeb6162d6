//! The operator's verbs, as a person types them.

use serde_json::Value;

use crate::hub::{Done, Hub, step};
use crate::office::{Office, execute};

const CASES: &str = "path = \"office.db\"\n\n[[streams]]\nname = \"cases\"\ntable = \"cases\"\n\
    key = [\"id\"]\nread = \"incremental\"\ncursor = \"changed\"\n";
const NOTES: &str = "\n[[streams]]\nname = \"notes\"\ntable = \"notes\"\nkey = [\"id\"]\n\
    read = \"incremental\"\ncursor = \"changed\"\n";

async fn office() -> Office {
    let office = Office::new("sqlite", CASES);
    office
        .edit(
            "create table cases (id text, name text, changed text);
             insert into cases values ('1', '王芳', '2018-01-01'), ('2', '李明', '2018-01-02');
             create table notes (id text, changed text);
             insert into notes values ('n', '2018-01-01');",
        )
        .await;
    office
}

fn state(hub: &Hub, stream: &str) -> Value {
    hub.run_json(&["state", "show", stream]).expect(0).json()["state"].clone()
}

fn reset(hub: &Hub, stream: &str, how: &[&str]) -> Done {
    let arguments = [&["state", "reset", stream, "--reason", "a test wants it"], how].concat();
    hub.run(&arguments)
}

#[tokio::test]
async fn a_stream_that_is_reset_reads_from_the_start_and_its_numbers_go_on() {
    let office = office().await;
    assert_eq!(office.run(0, "office.cases")["written"], 2);
    let before = state(&office.hub, "office.cases");
    assert_eq!(before["seq"], 1);
    assert!(before["checkpoint"]["state"].to_string().contains("2018-01-02"), "{before}");
    let list = office.hub.run(&["state", "list"]).expect(0).out;
    assert!(list.contains("office.cases") && list.contains("2018-01-02"), "{list}");

    let refused = office.hub.run(&["state", "reset", "office.cases"]).expect(2);
    assert!(refused.err.contains("--reason"), "{}", refused.err);
    reset(&office.hub, "office.cases", &[]).expect(0);
    let after = state(&office.hub, "office.cases");
    assert_eq!((&after["checkpoint"], &after["seq"]), (&Value::Null, &before["seq"]));
    let step = office.run(0, "office.cases");
    assert_eq!((&step["read"], &step["unchanged"]), (&2.into(), &2.into()), "{step}");
    assert_eq!(state(&office.hub, "office.cases")["seq"], 2);

    // A checkpoint set by hand is where the next read begins: nothing after it is left.
    let shown = before["checkpoint"]["state"].to_string();
    let moved = shown.replace("2018-01-02", "2018-01-09");
    assert_ne!(moved, shown);
    let set = ["state", "set", "office.cases", "--checkpoint", &moved, "--reason", "skip"];
    office.hub.run(&set).expect(0);
    let set = state(&office.hub, "office.cases");
    assert!(set["checkpoint"]["state"].to_string().contains("2018-01-09"), "{set}");
    let bad = ["state", "set", "office.cases", "--checkpoint", "{", "--reason", "x"];
    assert!(office.hub.run(&bad).expect(2).err.contains("E-STATE-JSON"));
    let unknown = reset(&office.hub, "office.casse", &[]).expect(2);
    assert!(unknown.err.contains("did you mean `office.cases`"), "{}", unknown.err);
}

#[tokio::test]
async fn a_new_stream_touches_no_other_and_neither_does_a_reset() {
    let office = office().await;
    office.run(0, "office.cases");
    let before = state(&office.hub, "office.cases");
    office.describe("sqlite", &format!("{CASES}{NOTES}"));
    let report = office.hub.run_json(&["run"]).expect(0).json();
    assert_eq!(step(&report, "streams", "office.notes")["written"], 1);
    assert_eq!(step(&report, "streams", "office.cases")["state"], "unchanged");
    assert_eq!(state(&office.hub, "office.cases"), before);
    reset(&office.hub, "office.notes", &["--from-start"]).expect(0);
    assert_eq!(state(&office.hub, "office.cases"), before);
}

#[tokio::test]
async fn an_append_stream_is_reset_only_by_somebody_who_knows() {
    let office = office().await;
    let append = CASES.replace("key = [\"id\"]", "write = \"append\"");
    // What comes again by a cursor is compared with what is there.
    office.describe("sqlite", &append);
    assert_eq!(office.run(0, "office.cases")["written"], 2);
    reset(&office.hub, "office.cases", &[]).expect(0);
    assert_eq!(office.run(0, "office.cases")["unchanged"], 2);
    // A whole read is there once for each time it was made.
    office
        .describe("sqlite", &append.replace("read = \"incremental\"\ncursor = \"changed\"\n", ""));
    let refused = reset(&office.hub, "office.cases", &[]).expect(2);
    assert!(refused.err.contains("E-DOUBLED") && refused.err.contains("--yes"), "{}", refused.err);
    reset(&office.hub, "office.cases", &["--yes"]).expect(0);
    assert_eq!(office.run(0, "office.cases")["written"], 2);
    assert_eq!(office.hub.query("select id from current.office_cases").len(), 4);
}

#[tokio::test]
async fn states_stay_as_they_are_while_somebody_writes() {
    let office = office().await;
    office.run(0, "office.cases");
    let lock =
        std::fs::File::options().write(true).open(office.hub.data().join("huiliu.lock")).unwrap();
    lock.lock().unwrap();
    let busy = reset(&office.hub, "office.cases", &[]).expect(5);
    assert!(busy.err.contains("E-LEASE-BUSY"), "{}", busy.err);
    drop(lock);
    let take = "update huiliu_lease set holder = 'process 4711', epoch = epoch + 1, \
                expires_at_ms = 4102444800000";
    execute(&office.hub.database(), take).await;
    let busy = reset(&office.hub, "office.cases", &[]).expect(5);
    assert!(busy.err.contains("process 4711"), "{}", busy.err);
    assert_ne!(state(&office.hub, "office.cases")["checkpoint"], Value::Null);
    assert!(
        office.hub.run_json(&["audit", "list"]).expect(0).json()["audit"] == Value::Array(vec![])
    );
}

#[tokio::test]
async fn the_audit_names_the_first_row_that_was_touched() {
    let office = office().await;
    office.run(0, "office.cases");
    for _ in 0..4 {
        reset(&office.hub, "office.cases", &[]).expect(0);
    }
    let check = office.hub.run_json(&["audit", "verify"]).expect(0).json();
    assert_eq!(check["rows"], 4);
    let hash = check["last_hash"].as_str().unwrap().to_owned();
    let list = office.hub.run_json(&["audit", "list"]).expect(0).json();
    let first = &list["audit"][0];
    assert_eq!(
        (&first["action"], &first["object"]),
        (&"state reset".into(), &"office.cases".into())
    );
    assert_eq!(first["reason"], "a test wants it");
    assert!(first["who"].as_str().unwrap().contains("uid "), "{first}");
    assert!(first["before"].as_str().unwrap().contains("2018-01-02"), "{first}");

    let verify = |words: &str| {
        let done = office.hub.run(&["audit", "verify", "--expect", &hash]).expect(3);
        assert!(done.err.contains("E-AUDIT") && done.err.contains(words), "{words}: {}", done.err);
    };
    execute(&office.hub.database(), "delete from huiliu_audit where audit_id = 4").await;
    verify("cut off");
    office.hub.run(&["audit", "verify"]).expect(0);
    execute(&office.hub.database(), "update huiliu_audit set reason = 'no' where audit_id = 3")
        .await;
    verify("row 3");
    execute(&office.hub.database(), "delete from huiliu_audit where audit_id = 2").await;
    verify("row 2");
}

/// Takes the lake's catalog back to a snapshot, as a restored backup of the catalog alone would.
async fn take_back(hub: &Hub, snapshot: i64) {
    let statements = format!(
        "delete from ducklake_file_column_stats where data_file_id in
           (select data_file_id from ducklake_data_file where begin_snapshot > {snapshot});
         delete from ducklake_data_file where begin_snapshot > {snapshot};
         delete from ducklake_delete_file where begin_snapshot > {snapshot};
         update ducklake_data_file set end_snapshot = null where end_snapshot > {snapshot};
         update ducklake_delete_file set end_snapshot = null where end_snapshot > {snapshot};
         delete from ducklake_snapshot_changes where snapshot_id > {snapshot};
         delete from ducklake_snapshot where snapshot_id > {snapshot};"
    );
    execute(&hub.database(), &statements).await;
}

#[tokio::test]
async fn a_lake_that_was_taken_back_is_noticed_and_one_command_follows_it() {
    let office = office().await;
    let first = office.run(0, "office.cases")["snapshot_id"].as_i64().unwrap();
    office.edit("insert into cases values ('3', '赵强', '2018-01-03')").await;
    assert_eq!(office.run(0, "office.cases")["written"], 1);
    take_back(&office.hub, first).await;

    // Another stream goes on, so that the number of the lost snapshot is taken again.
    for _ in 0..2 {
        let done = office.hub.run_json(&["run"]);
        let code = done.code;
        let report = done.json();
        let step = step(&report, "streams", "office.cases");
        assert_eq!(step["code"], "E-LAKE-REWOUND", "{step}");
        let hint = step["hint"].as_str().unwrap();
        let command = format!("huiliu state reset office.cases --to-snapshot {first} --reason");
        assert!(hint.contains(&command), "{hint}");
        assert!(matches!(code, Some(3 | 4)), "{code:?}");
        office.describe("sqlite", &format!("{CASES}{NOTES}"));
    }
    reset(&office.hub, "office.cases", &["--to-snapshot", &first.to_string()]).expect(0);
    let after = state(&office.hub, "office.cases");
    assert_eq!(after["snapshot_id"], first);
    assert!(after["checkpoint"]["state"].to_string().contains("2018-01-02"), "{after}");
    let step = office.run(0, "office.cases");
    assert_eq!((&step["written"], &step["unchanged"]), (&1.into(), &1.into()), "{step}");
    let ids = office.hub.query("select id from current.office_cases order by id");
    assert_eq!(ids.len(), 3);
    let none = reset(&office.hub, "office.cases", &["--to-snapshot", "0"]).expect(2);
    assert!(none.err.contains("E-NO-COMMIT"), "{}", none.err);
}

#[tokio::test]
async fn a_table_that_was_made_anew_stops_its_stream() {
    let office = office().await;
    office.run(0, "office.cases");
    let drop_table = "update ducklake_table set end_snapshot = \
                      (select max(snapshot_id) from ducklake_snapshot) \
                      where table_name = 'office_cases'";
    execute(&office.hub.database(), drop_table).await;
    let step = office.run(3, "office.cases");
    assert_eq!(step["code"], "E-TABLE-ID", "{step}");
    let hint = step["hint"].as_str().unwrap();
    assert!(hint.contains("huiliu state reset office.cases --from-start"), "{hint}");
    reset(&office.hub, "office.cases", &["--from-start"]).expect(0);
    assert_eq!(office.run(0, "office.cases")["written"], 2);
    assert_eq!(office.hub.query("select id from current.office_cases").len(), 2);
    assert_eq!(state(&office.hub, "office.cases")["seq"], 2);
}

#[tokio::test]
async fn the_balance_of_a_run_is_shown_as_a_sum_and_checked() {
    let office = office().await;
    office.run(0, "office.cases");
    let shown = office.hub.run(&["runs", "show", "1"]).expect(0).out;
    let sum = "read 2 = written 2 + unchanged 0 + deduplicated 0 + filtered 0 + quarantined 0";
    assert!(shown.contains(sum), "{shown}");
    assert_eq!(office.hub.run_json(&["runs", "show", "1"]).expect(0).json()["balanced"], true);
    execute(&office.hub.database(), "update huiliu_step set read = 3").await;
    assert!(office.hub.run(&["runs", "show", "1"]).expect(3).out.contains("DOES NOT BALANCE"));
}

const REQUIRED: &str = "columns.name = { nullable = false, tag = \"name\" }\n";

fn rows_of(hub: &Hub) -> Vec<Value> {
    let list = hub.run_json(&["quarantine", "list", "--stream", "office.cases"]).expect(0).json();
    list["rows"].as_array().unwrap().clone()
}

#[tokio::test]
async fn rows_in_quarantine_are_tried_again_without_their_source() {
    let office = office().await;
    office.describe("sqlite", &format!("{CASES}{REQUIRED}"));
    office.edit("insert into cases values ('3', null, '2018-01-03')").await;
    let step = office.run(0, "office.cases");
    assert_eq!((&step["written"], &step["quarantined"]), (&2.into(), &1.into()), "{step}");
    let rows = rows_of(&office.hub);
    assert_eq!((rows.len(), &rows[0]["code"]), (1, &"E-NULL".into()));
    let text = office.hub.run(&["quarantine", "list"]).expect(0).out;
    assert!(text.contains("office.cases") && text.contains("E-NULL"), "{text}");

    // Nothing changed, so the row stays.
    let replay = office.hub.run_json(&["quarantine", "replay"]).expect(1).json();
    let step = &replay["replays"][0]["step"];
    assert_eq!((&step["read"], &step["quarantined"]), (&1.into(), &1.into()), "{replay}");
    assert_eq!(rows_of(&office.hub).len(), 1);

    office.describe("sqlite", CASES);
    std::fs::remove_file(office.source()).unwrap();
    let replay = office.hub.run_json(&["quarantine", "replay", "--stream", "office.cases"]);
    let replay = replay.expect(0).json();
    let step = &replay["replays"][0]["step"];
    assert_eq!((&step["read"], &step["written"]), (&1.into(), &1.into()), "{replay}");
    assert!(rows_of(&office.hub).is_empty());
    let row =
        office.hub.query("select id, name, _source_pos from current.office_cases where id = '3'");
    assert_eq!(row[0]["name"], Value::Null);
    assert_eq!(row[0]["_source_pos"], "cases:3");
    let run = step["run_id"].to_string();
    let shown = office.hub.run(&["runs", "show", &run]).expect(0).out;
    assert!(shown.contains("read 1 = written 1"), "{shown}");
    assert!(office.hub.run(&["audit", "verify"]).expect(0).out.contains(": 2"));
}

#[tokio::test]
async fn a_replayed_row_never_overwrites_a_newer_one() {
    let office = office().await;
    office.describe("sqlite", &format!("{CASES}{REQUIRED}"));
    office.edit("insert into cases values ('3', null, '2018-01-03')").await;
    office.run(0, "office.cases");
    let newer = "update cases set name = '赵强', changed = '2018-01-05' where id = '3'";
    office.edit(newer).await;
    assert_eq!(office.run(0, "office.cases")["written"], 1);
    office.describe("sqlite", CASES);
    let id = rows_of(&office.hub)[0]["quarantine_id"].to_string();
    let replay = office.hub.run_json(&["quarantine", "replay", &id]).expect(0).json();
    let step = &replay["replays"][0]["step"];
    assert_eq!((&step["read"], &step["deduplicated"]), (&1.into(), &1.into()), "{replay}");
    let row = office.hub.query("select name from current.office_cases where id = '3'");
    assert_eq!(row[0]["name"], "赵强");
    assert!(rows_of(&office.hub).is_empty());

    // Without a column that orders versions, what arrived after the row was set aside is newer.
    let full = CASES.replace("read = \"incremental\"\ncursor = \"changed\"\n", "");
    office.describe("sqlite", &format!("{full}{REQUIRED}"));
    office.edit("insert into cases values ('4', null, '2018-01-09')").await;
    office.run(0, "office.cases");
    office.edit("update cases set name = '孙丽' where id = '4'").await;
    office.run(0, "office.cases");
    office.describe("sqlite", &full);
    let replay = office.hub.run_json(&["quarantine", "replay"]).expect(0).json();
    assert_eq!(replay["replays"][0]["step"]["deduplicated"], 1, "{replay}");
    let row = office.hub.query("select name from current.office_cases where id = '4'");
    assert_eq!(row[0]["name"], "孙丽");
}

#[tokio::test]
async fn what_is_read_of_persons_is_written_down_before_it_is_shown() {
    let office = office().await;
    office.describe("sqlite", &format!("{CASES}columns.name = {{ tag = \"name\" }}\n"));
    // There is no audit before there is a hub.
    office.hub.run(&["preview", "office.cases"]).expect(0);
    office.run(0, "office.cases");
    let rows = || {
        let list = office.hub.run_json(&["audit", "list"]).expect(0).json();
        list["audit"].as_array().unwrap().clone()
    };
    office.hub.query("select id, changed from current.office_cases");
    office.hub.query("select count(*) as n from current.office_cases");
    assert!(rows().is_empty(), "nobody's name was read");
    office.hub.query("select id from current.office_cases where name = '王芳'");
    let preview = office.hub.run(&["preview", "office.cases"]).expect(0).out;
    assert!(preview.contains("王*") && !preview.contains("王芳"), "{preview}");
    let noted: Vec<(String, Value)> = rows()
        .iter()
        .map(|row| {
            let after: Value = serde_json::from_str(row["after"].as_str().unwrap()).unwrap();
            (row["object"].as_str().unwrap().to_owned(), after)
        })
        .collect();
    assert_eq!(noted.len(), 2, "{noted:?}");
    let (query, preview) = (&noted[0], &noted[1]);
    assert_eq!(query.0, "current.office_cases");
    assert_eq!(query.1["columns"]["current.office_cases"], serde_json::json!(["id", "name"]));
    assert_eq!(query.1["rows"], 1);
    assert!(!query.1.to_string().contains("王芳"), "{}", query.1);
    assert_eq!((preview.0.as_str(), &preview.1["rows"]), ("preview office.cases", &2.into()));
    assert_eq!(preview.1["columns"], serde_json::json!(["id", "name", "changed"]));

    let broken = "create trigger broken before insert on huiliu_audit \
                  begin select raise(abort, 'no more'); end";
    execute(&office.hub.database(), broken).await;
    for command in
        [&["query", "select name from current.office_cases"][..], &["preview", "office.cases"]]
    {
        let refused = office.hub.run(command);
        assert!(
            refused.code != Some(0) && refused.err.contains("E-AUDIT-CLOSED"),
            "{}",
            refused.err
        );
        assert!(!refused.out.contains("王"), "{}", refused.out);
    }
    execute(&office.hub.database(), "drop trigger broken").await;
    office.hub.run(&["audit", "verify"]).expect(0);
}

#[tokio::test]
async fn a_row_in_quarantine_is_masked_unless_somebody_asks_and_is_written_down() {
    let office = office().await;
    let typed = "columns.name = { tag = \"name\" }\ncolumns.changed = { type = \"int\" }\n";
    let full = CASES.replace("read = \"incremental\"\ncursor = \"changed\"\n", "");
    office.describe("sqlite", &format!("{full}{typed}"));
    let step = office.run(0, "office.cases");
    assert_eq!(step["quarantined"], 2, "{step}");
    let id = rows_of(&office.hub)[1]["quarantine_id"].to_string();
    let masked = office.hub.run(&["quarantine", "show", &id]).expect(0).out;
    assert!(!masked.contains("王芳") && masked.contains("2018-01-01"), "{masked}");
    assert!(office.hub.run(&["audit", "verify"]).expect(0).out.contains(": 0"));
    let open = office.hub.run(&["quarantine", "show", &id, "--reveal", "--reason", "why"]);
    assert!(open.expect(0).out.contains("王芳"));
    let audit = office.hub.run_json(&["audit", "list"]).expect(0).json();
    assert_eq!(audit["audit"][0]["action"], "quarantine reveal");
    let after = audit["audit"][0]["after"].as_str().unwrap();
    assert!(after.contains("\"name\"") && !after.contains("王芳"), "{after}");
    office.hub.run(&["quarantine", "discard", &id]).expect(2);
    office.hub.run(&["quarantine", "discard", &id, "--reason", "wrong file"]).expect(0);
    assert_eq!(rows_of(&office.hub).len(), 1);
    let gone = office.hub.run(&["quarantine", "show", &id]).expect(2);
    assert!(gone.err.contains("E-NO-ROW"), "{}", gone.err);
}
