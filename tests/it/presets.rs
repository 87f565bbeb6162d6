//! Presets for front databases (前置库): on real tables, over every kind of database.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::databases::{Kind, Source};
use crate::hub::{Hub, root, step};

/// The columns of all tables, as those who exchange them describe them.
fn described() -> BTreeMap<String, Vec<(String, String)>> {
    let file = root().join("src/core/tests/data/front_tables.csv");
    let text = std::fs::read_to_string(file).unwrap();
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut parts = line.split(',').map(str::to_owned);
        let mut next = || parts.next().unwrap();
        let (table, column, kind) = (next(), next(), next());
        tables.entry(table).or_default().push((column, kind));
    }
    tables
}

/// The table, with one row in it.
fn table_sql(table: &str, columns: &[(String, String)]) -> String {
    let declared: Vec<String> =
        columns.iter().map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
    let values: Vec<&str> = columns
        .iter()
        .map(|(_, kind)| match kind.split('(').next().unwrap() {
            "datetime" => "'2018-06-12 09:00:00'",
            "int" | "decimal" => "1",
            _ => "'甲1'",
        })
        .collect();
    format!(
        "create table \"{table}\" ({}); insert into \"{table}\" values ({});",
        declared.join(", "),
        values.join(", ")
    )
}

/// What a system file says of where a database is.
type Place = fn(&Source, Kind) -> String;

/// For the connector of its kind.
fn own(_: &Source, kind: Kind) -> String {
    let key = if kind == Kind::Sqlite { "path" } else { "url" };
    format!("kind = \"{}\"\n{key} = \"${{env:OFFICE}}\"\n", kind.word())
}

/// For its ODBC driver.
#[cfg(feature = "odbc")]
fn driver(source: &Source, kind: Kind) -> String {
    let connection = if kind == Kind::Sqlite {
        let file = source.office.source();
        format!("Driver={{SQLite3}};Database={};NoCreat=1", file.display())
    } else {
        let url = source.url();
        let (_, place) = url.rsplit_once('@').unwrap();
        let (server, name) = place.split_once('/').unwrap();
        let (host, port) = server.split_once(':').unwrap_or((server, "5432"));
        format!(
            "Driver={{PostgreSQL Unicode}};Server={host};Port={port};Database={name};\
             Uid=postgres;UseDeclareFetch=1;Fetch=100"
        )
    };
    format!("kind = \"odbc\"\nconnection = \"{connection}\"\n")
}

/// A system file over the hub's only database.
fn system(source: &Source, place: &str, id: &str, body: &str) {
    let text = format!("version = 1\ntitle = \"前置库\"\nowner = \"政务中心\"\n{place}{body}");
    let file = source.office.hub.project().join(format!("config/systems/{id}.toml"));
    std::fs::write(file, text).unwrap();
}

/// In a SQLite file.
async fn every_preset_reads_the_table_it_describes(place: Place) {
    let tables = described();
    let sql: String = tables.iter().map(|(name, columns)| table_sql(name, columns)).collect();
    let source = Source::new(Kind::Sqlite, &sql).await;
    let place = place(&source, Kind::Sqlite);
    let hub = &source.office.hub;
    let listed = hub.run_json(&["presets"]).expect(0).json();
    let mut counted = 0;
    for family in listed["presets"].as_array().unwrap() {
        let id = family["family"].as_str().unwrap();
        let mut body = String::new();
        for table in family["tables"].as_array().unwrap() {
            // Nothing is marked here.
            let preset = &table["name"];
            write!(body, "[[streams]]\npreset = {preset}\nread = \"incremental\"\n").unwrap();
            counted += 1;
        }
        system(&source, &place, id, &body);
    }
    assert_eq!(counted, tables.len());
    let report = hub.run_json(&["run"]).expect(0).json();
    assert_eq!(report["streams"].as_array().unwrap().len(), counted);
    for family in listed["presets"].as_array().unwrap() {
        for table in family["tables"].as_array().unwrap() {
            let (id, stream) = (family["family"].as_str(), table["stream"].as_str());
            let node = format!("{}.{}", id.unwrap(), stream.unwrap());
            assert_eq!(step(&report, "streams", &node)["written"], 1, "{node}");
            // All columns came, in small letters.
            let current = format!("current.{}_{}", id.unwrap(), stream.unwrap());
            let row = hub.query(&format!("select * from {current}"));
            for column in table["columns"].as_array().unwrap() {
                let name = column["name"].as_str().unwrap();
                assert!(!row[0][name].is_null(), "{node} lacks {name}: {}", row[0]);
            }
        }
    }
    let again = hub.run_json(&["run"]).expect(0).json();
    for stream in again["streams"].as_array().unwrap() {
        assert_eq!(stream["written"], 0, "{stream}");
    }
}

#[tokio::test]
async fn every_preset_reads_the_table_it_describes_in_sqlite() {
    every_preset_reads_the_table_it_describes(own).await;
}

#[cfg(feature = "odbc")]
#[tokio::test]
async fn every_preset_reads_the_table_it_describes_over_odbc() {
    every_preset_reads_the_table_it_describes(driver).await;
}

/// In a SQLite file.
async fn a_department_has_its_own_tables_in_its_own_spelling(place: Place) {
    let tables = described();
    let accept = &tables["up_pro_accept"];
    let camel = |name: &str| -> String {
        match name {
            "cd_operation" | "cd_time" | "cd_batch" => format!("C{}", &name[1..]),
            "data_source" => "Cd_source".to_owned(),
            "is_sync" => name.to_owned(),
            _ => name
                .split('_')
                .map(|part| part[..1].to_uppercase() + &part[1..])
                .collect::<Vec<String>>()
                .concat(),
        }
    };
    let wire: Vec<(String, String)> =
        accept.iter().map(|(name, kind)| (camel(name), kind.clone())).collect();
    let other: Vec<(String, String)> = accept
        .iter()
        .filter(|(name, _)| name != "legal")
        .map(|(name, kind)| {
            (if name == "project_no" { "BJBH".to_owned() } else { name.clone() }, kind.clone())
        })
        .collect();
    let sql = table_sql("up_pro_accept_v3_bdc", &wire) + &table_sql("up_pro_accept_rsj", &other);
    let source = Source::new(Kind::Sqlite, &sql).await;
    let place = place(&source, Kind::Sqlite);
    let body = "[[streams]]\npreset = \"up_pro_accept\"\nsuffix = \"_v3_bdc\"\nnames = \"camel\"\n\
                [[streams]]\npreset = \"up_pro_accept\"\nsuffix = \"_rsj\"\nwithout = [\"legal\"]\n\
                fields.project_no = \"BJBH\"\n";
    system(&source, &place, "front", body);
    let hub = &source.office.hub;
    hub.run(&["run", "front.*"]).expect(0);
    for table in ["accept_v3_bdc", "accept_rsj"] {
        let sql = format!("select project_no from current.front_{table} where data_source = '甲1'");
        assert_eq!(source.query(&sql), ["甲1"], "{table}");
    }
    // A row that does not fit is set aside under the lake's names, and fits once it may be null.
    source
        .execute(
            "insert into up_pro_accept_v3_bdc (RowGuid, ProjectNo, UpdateTime) \
             values ('2', 'B', '2018-06-12 09:00:00')",
        )
        .await;
    let report = hub.run_json(&["run", "front.*"]).expect(0).json();
    assert_eq!(step(&report, "streams", "front.accept_v3_bdc")["quarantined"], 1, "{report}");
    let body = body.replacen(
        "[[streams]]\n",
        "[[streams]]\ncolumns.accept_date = { nullable = true }\n",
        1,
    );
    system(&source, &place, "front", &body);
    hub.run(&["quarantine", "replay", "--stream", "front.accept_v3_bdc"]).expect(0);
    let sql = "select project_no from current.front_accept_v3_bdc where row_guid = '2'";
    assert_eq!(source.query(sql), ["B"]);
}

#[tokio::test]
async fn a_department_has_its_own_tables_in_its_own_spelling_in_sqlite() {
    a_department_has_its_own_tables_in_its_own_spelling(own).await;
}

#[cfg(feature = "odbc")]
#[tokio::test]
async fn a_department_has_its_own_tables_in_its_own_spelling_over_odbc() {
    a_department_has_its_own_tables_in_its_own_spelling(driver).await;
}

/// The table of a department's cases, as its own programs see it.
const STEPS: &str = "ORGBUSNO varchar(50) not null, PROJID varchar(50) not null, \
    DATAVER int not null, SN int not null, NODESTATE varchar(2) not null, \
    NODEPROCERNAME varchar(50), SIGNSTATE varchar(2) not null default '0', \
    primary key (ORGBUSNO, PROJID, DATAVER, SN, NODESTATE)";

/// Cases are fetched whole and marked; what is sent again counts by its version.
async fn cases_are_fetched_whole_and_marked(kind: Kind, place: Place, table: &str, more: &str) {
    let insert = |rows: &str| {
        let columns = "ORGBUSNO, PROJID, DATAVER, SN, NODESTATE, NODEPROCERNAME";
        format!("insert into {table} ({columns}) values {rows};")
    };
    let first = insert(
        "('o', 'P1', 1, 1, '01', '王芳'), ('o', 'P1', 1, 2, '01', '李娜'), ('o', 'P2', 1, 1, '01', null)",
    );
    let source = Source::new(kind, &format!("create table {table} ({STEPS}); {first}")).await;
    let body = format!(
        "[[streams]]\nname = \"t\"\npreset = \"ea_jc_step_proc\"\nsuffix = \"_zjj\"\n\
         read = \"flagged\"\n{more}"
    );
    system(&source, &place(&source, kind), "office", &body);
    let open = async |source: &Source| {
        let sql = format!("select count(*) from {table} where SIGNSTATE <> '1'");
        source.number(&sql).await
    };
    assert_eq!(open(&source).await, 3);
    assert_eq!(source.run(0, &[])["written"], 3);
    assert_eq!(open(&source).await, 0);
    assert_eq!(source.run(0, &[])["read"], 0);
    // The whole case is taken away and sent again, higher and with fewer steps.
    let again = insert("('o', 'P1', 2, 1, '01', '王芳')");
    source.execute(&format!("delete from {table} where PROJID = 'P1'; {again}")).await;
    let sent = source.run(0, &[]);
    assert_eq!((&sent["read"], &sent["deleted"]), (&1.into(), &1.into()), "{sent}");
    let current =
        "select sn || ':' || dataver from current.office_t where projid = 'P1' order by 1";
    assert_eq!(source.query(current), ["1:2"]);
    assert_eq!(open(&source).await, 0);
    // Another version beside the one that is there; then an old one comes late.
    source.execute(&insert("('o', 'P1', 3, 1, '01', '王芳')")).await;
    source.run(0, &[]);
    assert_eq!(source.query(current), ["1:3"]);
    source.execute(&insert("('o', 'P1', 1, 1, '01', '旧')")).await;
    source.run(0, &[]);
    assert_eq!(source.query(current), ["1:3"]);
    assert_eq!(open(&source).await, 0);
    let all = "select count(distinct dataver) from raw.office_t where projid = 'P1' and sn = 1";
    assert_eq!(source.query(all), ["3"]);
    // Of the other case nothing was touched, and a preview shows no names.
    assert_eq!(source.query("select count(*) from current.office_t where projid = 'P2'"), ["1"]);
    source.execute(&insert("('o', 'P3', 1, 1, '01', '赵敏')")).await;
    let shown = source.office.hub.run(&["preview", "office.t"]).expect(0).out;
    assert!(shown.contains("赵*") && !shown.contains("赵敏"), "{shown}");
    assert_eq!(open(&source).await, 1);
}

#[tokio::test]
async fn cases_of_postgres_are_fetched_whole_and_marked() {
    let more = "names = \"lower\"\n";
    cases_are_fetched_whole_and_marked(Kind::Postgres, own, "ea_jc_step_proc_zjj", more).await;
}

#[tokio::test]
async fn cases_of_mysql_are_fetched_whole_and_marked() {
    cases_are_fetched_whole_and_marked(Kind::Mysql, own, "EA_JC_STEP_PROC_zjj", "").await;
}

#[tokio::test]
async fn cases_of_sqlite_are_fetched_whole_and_marked() {
    cases_are_fetched_whole_and_marked(Kind::Sqlite, own, "EA_JC_STEP_PROC_zjj", "").await;
}

#[cfg(feature = "odbc")]
#[tokio::test]
async fn cases_of_postgres_are_fetched_whole_and_marked_over_odbc() {
    let more = "names = \"lower\"\n";
    cases_are_fetched_whole_and_marked(Kind::Postgres, driver, "ea_jc_step_proc_zjj", more).await;
}

#[cfg(feature = "odbc")]
#[tokio::test]
async fn cases_of_sqlite_are_fetched_whole_and_marked_over_odbc() {
    cases_are_fetched_whole_and_marked(Kind::Sqlite, driver, "EA_JC_STEP_PROC_zjj", "").await;
}

/// Of `up_*` nothing tells a row's version, and other readers set the flag per case.
#[cfg(feature = "odbc")]
async fn accepted_cases_are_fetched_whole_and_marked_over_odbc(kind: Kind) {
    let table = "up_pro_accept_rsj";
    let columns: Vec<String> = described()["up_pro_accept"]
        .iter()
        .map(|(name, declared)| {
            let declared = match declared.as_str() {
                "datetime" => "timestamp",
                "int(10)" => "int",
                other => other,
            };
            format!("{name} {declared}")
        })
        .collect();
    let row = |guid: &str, case: &str, name: &str, flag: &str| {
        let at = "'2018-06-12 09:00:00'";
        format!("('{guid}', '{case}', '{name}', {at}, {at}, {flag})")
    };
    let sql = format!(
        "create table {table} ({}); \
         insert into {table} (row_guid, project_no, project_name, accept_date, update_time, is_sync) \
         values {}, {}, {};",
        columns.join(", "),
        row("1", "A", "甲", "null"),
        row("2", "A", "乙", "'0'"),
        row("3", "B", "丙", "'1'"),
    );
    let source = Source::new(kind, &sql).await;
    let body = "[[streams]]\nname = \"t\"\npreset = \"up_pro_accept\"\nsuffix = \"_rsj\"\n\
                read = \"flagged\"\n";
    system(&source, &driver(&source, kind), "office", body);
    let open = format!("select count(*) from {table} where is_sync is null or is_sync <> '1'");
    let first = source.run(0, &[]);
    assert_eq!((&first["read"], &first["written"]), (&2.into(), &2.into()), "{first}");
    assert_eq!(source.number(&open).await, 0);
    // One row is sent again, and the case is read as a whole.
    let again =
        format!("update {table} set project_name = '改', is_sync = '0' where row_guid = '2'");
    source.execute(&again).await;
    let second = source.run(0, &[]);
    assert_eq!((&second["read"], &second["written"]), (&2.into(), &1.into()), "{second}");
    // The other one is taken away.
    let gone = format!(
        "delete from {table} where row_guid = '1'; \
         update {table} set is_sync = '0' where row_guid = '2'"
    );
    source.execute(&gone).await;
    let third = source.run(0, &[]);
    assert_eq!((&third["read"], &third["deleted"]), (&1.into(), &1.into()), "{third}");
    assert_eq!(source.number(&open).await, 0);
    let current = "select row_guid || project_name from current.office_t order by 1";
    assert_eq!(source.query(current), ["2改"]);
}

#[cfg(feature = "odbc")]
#[tokio::test]
async fn accepted_cases_of_postgres_are_fetched_whole_and_marked_over_odbc() {
    accepted_cases_are_fetched_whole_and_marked_over_odbc(Kind::Postgres).await;
}

#[cfg(feature = "odbc")]
#[tokio::test]
async fn accepted_cases_of_sqlite_are_fetched_whole_and_marked_over_odbc() {
    accepted_cases_are_fetched_whole_and_marked_over_odbc(Kind::Sqlite).await;
}

/// Records are pushed with their flag; what the reader there makes of them is read back.
async fn pushed_records_are_read_back_with_their_marks(
    kind: Kind,
    place: Place,
    table: &str,
    more: &str,
) {
    let source = Source::new(
        kind,
        &format!(
            "create table {table} (no varchar(20) primary key, no_ord int, internal_no varchar(20), \
             tache_name varchar(20), sync_date timestamp null, sync_sign char(1) not null, \
             sync_error_desc varchar(50)); \
             create table t (id varchar(20) primary key, ord int); \
             insert into t values ('a', 1), ('b', 2)"
        ),
    )
    .await;
    let body = format!(
        "[[streams]]\nname = \"t\"\ntable = \"t\"\nkey = [\"id\"]\n\
         [[streams]]\nname = \"returned\"\npreset = \"inf_apply_process\"\nreceipts = true\n{more}\
         [[pushes]]\nname = \"steps\"\nfrom = \"standard.steps\"\npreset = \"inf_apply_process\"\n\
         set = {{ tache_name = \"受理\" }}\n{more}"
    );
    system(&source, &place(&source, kind), "office", &body);
    let hub = &source.office.hub;
    let folder = hub.project().join("pipelines/models/standard");
    std::fs::create_dir_all(&folder).unwrap();
    let model = "/* +++\nkind = \"table\"\ndescription = \"上报\"\nkey = [\"no\"]\n+++ */\n\
                 select id as \"no\", ord as no_ord, 'I' || id as internal_no from current.office_t\n";
    std::fs::write(folder.join("steps.sql"), model).unwrap();
    hub.run(&["run"]).expect(0);
    let there =
        format!("select count(*) from {table} where sync_sign = '0' and tache_name = '受理'");
    assert_eq!(source.number(&there).await, 2);
    source
        .execute(&format!(
            "update {table} set sync_sign = '1', sync_date = '2018-06-12 09:00:00' where no = 'a'; \
             update {table} set sync_sign = '3', sync_date = '2018-06-12 09:00:00', \
             sync_error_desc = '事项不存在' where no = 'b'"
        ))
        .await;
    hub.run(&["run"]).expect(0);
    let sql = "select sync_sign || coalesce(sync_error_desc, '') from current.office_returned r \
               join standard.steps s on s.\"no\" = r.\"no\" order by 1";
    assert_eq!(source.query(sql), ["1", "3事项不存在"]);
    // A record that is corrected is new there again.
    source.execute("update t set ord = 3 where id = 'b'").await;
    hub.run(&["run"]).expect(0);
    let again = format!("select count(*) from {table} where sync_sign = '0' and no_ord = 3");
    assert_eq!(source.number(&again).await, 1);
}

#[tokio::test]
async fn records_pushed_into_postgres_are_read_back_with_their_marks() {
    let more = "names = \"lower\"\n";
    let table = "inf_apply_process";
    pushed_records_are_read_back_with_their_marks(Kind::Postgres, own, table, more).await;
}

#[tokio::test]
async fn records_pushed_into_mysql_are_read_back_with_their_marks() {
    pushed_records_are_read_back_with_their_marks(Kind::Mysql, own, "INF_APPLY_PROCESS", "").await;
}

#[tokio::test]
async fn records_pushed_into_sqlite_are_read_back_with_their_marks() {
    pushed_records_are_read_back_with_their_marks(Kind::Sqlite, own, "INF_APPLY_PROCESS", "").await;
}

#[cfg(feature = "odbc")]
#[tokio::test]
async fn records_pushed_into_postgres_over_odbc_are_read_back_with_their_marks() {
    let more = "names = \"lower\"\n";
    let table = "inf_apply_process";
    pushed_records_are_read_back_with_their_marks(Kind::Postgres, driver, table, more).await;
}

#[cfg(feature = "odbc")]
#[tokio::test]
async fn records_pushed_into_sqlite_over_odbc_are_read_back_with_their_marks() {
    let more = "names = \"lower\"\n";
    let table = "inf_apply_process";
    pushed_records_are_read_back_with_their_marks(Kind::Sqlite, driver, table, more).await;
}

#[tokio::test]
async fn discovered_tables_of_a_family_get_its_preset() {
    let tables = described();
    let mut sql = String::new();
    for (name, table) in [("up_pro_accept_rsj", "up_pro_accept"), ("PRE_NODE", "PRE_NODE")] {
        sql += &table_sql(name, &tables[table]);
    }
    sql += "create table up_pro_accept_old (row_guid text primary key, note text);";
    let source = Source::new(Kind::Sqlite, &sql).await;
    let hub = &source.office.hub;
    let base = ["discover", "box", "--kind", "sqlite", "--path", "${env:OFFICE}", "--write"];
    hub.run(&base).expect(0);
    let file = hub.project().join("config/systems/box.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("preset = \"up_pro_accept\"\nsuffix = \"_rsj\"\n"), "{text}");
    // Marking rows of others is for a person to decide.
    assert!(text.contains("preset = \"pre_node\"\nread = \"incremental\"\n"), "{text}");
    assert!(text.contains("table = \"up_pro_accept_old\""), "{text}");
    assert_eq!(text.matches("preset = ").count(), 2, "{text}");
    let report = hub.run_json(&["run", "box.*"]).expect(0).json();
    assert_eq!(report["streams"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(source.query("select unid from current.box_pre_node"), ["甲1"]);
    hub.run(&["discover", "box", "--write"]).expect(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "what is known is not added again");
}

/// The demo's first two front databases without presets, as they are to be read.
const WRITTEN_OUT: &str = r#"
[[streams]]
name = "accepted"
table = "up_pro_accept"
key = ["row_guid"]
read = "incremental"
cursor = "update_time"
overlap = "10m"
zone = "Asia/Shanghai"
quarantine = { rows = 1000, percent = 0.1 }
columns.row_guid = { nullable = false }
columns.project_no = { nullable = false }
columns.accept_date = { nullable = false }
columns.update_time = { nullable = false }
columns.applyer_name = { tag = "name" }
columns.applyer_page_code = { tag = "id_number" }
columns.contact_name = { tag = "name" }
columns.contact_code = { tag = "id_number" }
columns.contact_mobile = { tag = "mobile" }
columns.legal = { tag = "name" }
columns.address = { tag = "address" }
columns.handle_user_name = { tag = "name" }
columns.org_code = { tag = "department" }

[[streams]]
name = "results"
table = "up_pro_result"
key = ["row_guid"]
read = "incremental"
cursor = "cd_time"
overlap = "10m"
zone = "Asia/Shanghai"
columns.row_guid = { nullable = false }
columns.project_no = { nullable = false }
columns.cd_time = { nullable = false }
columns.handle_user_name = { tag = "name" }

[[streams]]
name = "process"
table = "up_pro_process"
key = ["row_guid"]
read = "incremental"
cursor = "cd_time"
overlap = "10m"
zone = "Asia/Shanghai"
columns.row_guid = { nullable = false }
columns.project_no = { nullable = false }
columns.handle_user_name = { tag = "name" }

[[streams]]
name = "special_procedures"
table = "up_pro_special_procedure"
key = ["row_guid"]
read = "incremental"
cursor = "cd_time"
overlap = "10m"
zone = "Asia/Shanghai"
columns.row_guid = { nullable = false }
columns.project_no = { nullable = false }
columns.applyer_user_name = { tag = "name" }
columns.handle_user = { tag = "name" }

[[streams]]
name = "charges"
table = "pro_charge"
key = ["charge_no"]
read = "incremental"
cursor = "update_time"
overlap = "10m"
zone = "Asia/Shanghai"
columns.charge_no = { nullable = false }
columns.project_no = { nullable = false }
columns.amount = { type = "int", nullable = false }
columns.pay_time = { type = "timestamp" }
columns.update_time = { type = "timestamp", nullable = false }
"#;

/// What a file comes to, whatever it says for people.
fn expanded(hub: &Hub, system: &str) -> Value {
    let mut shown = hub.run_json(&["check", "--expanded", system]).expect(0).json();
    for stream in shown["streams"].as_array_mut().unwrap() {
        stream.as_object_mut().unwrap().remove("description");
    }
    shown
}

#[test]
fn the_shipped_files_come_to_what_they_would_be_written_out() {
    let hub = Hub::edited();
    let short = expanded(&hub, "city_cases");
    let file = hub.project().join("config/systems/city_cases.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let head = text.split_once("[[streams]]").unwrap().0;
    std::fs::write(&file, format!("{head}{WRITTEN_OUT}")).unwrap();
    assert_eq!(short, expanded(&hub, "city_cases"));
    let directory = &expanded(&hub, "city_catalog")["streams"][0];
    assert_eq!(
        *directory,
        json!({
            "name": "directory", "table": "dn_task_directory", "key": ["row_guid"],
            "read": "incremental", "cursor": "cd_time", "overlap": "10m", "zone": "Asia/Shanghai",
            "columns": { "row_guid": { "nullable": false }, "catalog_code": { "nullable": false } },
        })
    );
    let items = expanded(&hub, "city_items");
    let shown: Vec<(&Value, &Value, &Value)> = (items["streams"].as_array().unwrap().iter())
        .map(|stream| (&stream["name"], &stream["table"], &stream["columns"]))
        .collect();
    let child = json!({ "row_guid": { "nullable": false }, "task_guid": { "nullable": false } });
    let basic = json!({
        "row_guid": { "nullable": false }, "task_code": { "nullable": false },
        "link_way": { "tag": "landline" }, "supervise_way": { "tag": "landline" },
        "dept_code": { "tag": "department" },
    });
    for (stream, name, table, columns) in [
        (shown[0], "items", "up_task_general_basic", &basic),
        (shown[1], "extensions", "up_task_general_extend", &child),
        (shown[2], "questions", "up_task_general_questions", &child),
        (shown[3], "fees", "up_task_general_fee_project", &child),
    ] {
        assert_eq!(stream, (&json!(name), &json!(table), columns));
    }
}

#[test]
fn presets_are_listed_shown_and_guessed() {
    let hub = Hub::edited();
    let all = hub.run(&["presets"]).expect(0).out;
    assert!(all.contains("up_pro_accept") && !all.contains("applyer_name"), "{all}");
    let one = hub.run(&["presets", "up_pro_accept"]).expect(0).out;
    assert!(one.contains("flag = \"is_sync\"") && one.contains("[id_number]"), "{one}");
    assert!(!one.contains("up_pro_result"), "{one}");
    let near = hub.run(&["presets", "up_pro_accpt"]).expect(2);
    assert!(near.err.contains("did you mean `up_pro_accept`?"), "{}", near.err);
    let text = hub.run(&["check", "--expanded", "city_cases"]).expect(0).out;
    assert!(text.contains("[[streams]]\nname = \"accepted\"\n"), "{text}");
    assert!(text.contains("columns.address = { tag = \"address\" }"), "{text}");
    let none = hub.run(&["check", "--expanded", "province"]).expect(2);
    assert!(none.err.contains("E-PRESET"), "{}", none.err);
}
