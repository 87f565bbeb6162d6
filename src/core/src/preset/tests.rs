use std::path::Path;

use huiliu_sdk::{Capabilities, ReadMode, Spec, StreamSettings};
use serde_json::json;

use super::*;
use crate::config::{Resolver, SystemConfig, parse_system, system_schema};

/// The columns of the tables, as those who exchange them describe them.
const TABLES: &str = include_str!("../../tests/data/front_tables.csv");

/// Table, column, whether it must have a value.
fn described() -> Vec<(String, String, bool)> {
    let mut reader = csv::Reader::from_reader(TABLES.as_bytes());
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| (row[0].to_owned(), row[1].to_owned(), &row[3] == "1")).collect()
}

fn presets() -> Presets {
    Presets::load(&[]).map_err(|faults| faults.render()).unwrap()
}

/// A kind of system with tables, like those of the SQL connectors.
fn spec() -> Spec {
    let text = json!({ "type": "string" });
    Spec {
        kind: "test",
        title: "test",
        capabilities: Capabilities {
            source: true,
            incremental: true,
            flagged: true,
            sink: true,
            loader: true,
            ..Default::default()
        },
        system_schema: json!({ "properties": { "path": text } }),
        stream_schema: json!({
            "properties": {
                "table": text, "flag": text, "flag_new": text, "flag_done": text,
                "flag_null_is_new": { "type": "boolean" }, "flag_claimed": text,
                "select": { "type": "array", "items": text },
            },
            "required": ["table"],
        }),
        push_schema: json!({ "properties": { "to": text }, "required": ["to"] }),
    }
}

fn parse_with(presets: &Presets, body: &str) -> Result<SystemConfig, Faults> {
    let file = Path::new("config/systems/front.toml");
    let head = "version = 1\nkind = \"test\"\ntitle = \"前置库\"\nowner = \"中心\"\n";
    let document = Document::parse(file, &format!("{head}{body}"))?;
    let zone = chrono_tz::Asia::Shanghai;
    parse_system(&document, file, &spec(), presets, &Resolver::default(), Path::new("."), zone)
}

fn parse(body: &str) -> SystemConfig {
    parse_with(&presets(), body).map_err(|faults| faults.render()).unwrap()
}

fn refused(body: &str) -> String {
    parse_with(&presets(), body).err().map(|faults| faults.render()).unwrap()
}

fn stream<'a>(config: &'a SystemConfig, name: &str) -> (&'a StreamSettings, &'a Value) {
    let at = config.streams.iter().position(|(stream, _)| stream.name == name).unwrap();
    (&config.streams[at].0, &config.raw.streams[at].options)
}

#[test]
fn every_table_has_a_preset_with_exactly_its_columns() {
    let presets = presets();
    let mut seen = std::collections::BTreeSet::new();
    for (table, column, required) in described() {
        let (family, preset) = presets.table(&table.to_lowercase()).expect(&table);
        assert!(preset.table.eq_ignore_ascii_case(&table));
        let found = preset.columns.iter().find(|known| known.name == column.to_lowercase());
        let found = found.unwrap_or_else(|| panic!("{table} has no {column}"));
        let there = family.names.column(&found.name, found.camel.as_deref());
        assert_eq!(there, column, "{table}");
        // What a preset calls necessary is necessary there.
        assert!(required || found.declared.get("nullable") != Some(&json!(false)), "{column}");
        seen.insert((preset.name.clone(), found.name.clone()));
    }
    let all = presets.tables().flat_map(|(_, table)| {
        table.columns.iter().map(move |column| (table.name.clone(), column.name.clone()))
    });
    assert_eq!(all.collect::<std::collections::BTreeSet<_>>(), seen);
}

#[test]
fn every_preset_makes_a_stream_in_every_way_it_can_be_read() {
    let presets = presets();
    for (family, table) in presets.tables() {
        let name = &table.name;
        for mode in ["", "read = \"incremental\"", "read = \"full\""] {
            let config = parse(&format!("[[streams]]\npreset = \"{name}\"\n{mode}\n"));
            let (settings, options) = stream(&config, &table.stream_name);
            assert_eq!(options["table"], table.table, "{name}");
            assert!(!settings.key.is_empty() && settings.zone.is_some(), "{name}");
            let is_incremental = settings.read == ReadMode::Incremental;
            assert_eq!(settings.cursor.is_some(), is_incremental, "{name} {mode}");
            assert_eq!(config.raw.streams[0].settings.key.len(), settings.key.len());
            assert_eq!(config.fields.is_empty(), family.names == Spelling::Lower, "{name}");
        }
        if table.flagged.contains_key("flag") {
            let config = parse(&format!("[[streams]]\npreset = \"{name}\"\nread = \"flagged\"\n"));
            let (settings, options) = stream(&config, &table.stream_name);
            assert_eq!((settings.read, &settings.cursor), (ReadMode::Flagged, &None), "{name}");
            assert!(!settings.group.is_empty() && options["flag_new"] == "0", "{name}");
            let flag = options["flag"].as_str().unwrap();
            assert!(described().iter().any(|row| row.1 == flag), "{name}: {flag}");
            let config = parse(&format!("[[streams]]\npreset = \"{name}\"\nreceipts = true\n"));
            let (settings, options) = stream(&config, &format!("{}_receipts", table.stream_name));
            let select = options["select"].as_array().unwrap();
            assert!(select.contains(&json!(flag)), "{name}");
            let raw = &config.raw.streams[0].settings;
            assert!(raw.key.iter().all(|key| select.contains(&json!(key))), "{name}");
            assert!(settings.columns.len() <= select.len(), "{name}");
        }
        if table.push.is_some() {
            let config = parse(&format!("[[pushes]]\npreset = \"{name}\"\nfrom = \"a.b\"\n"));
            let push = &config.pushes[0];
            assert_eq!(config.raw.pushes[0].options["to"], table.table);
            assert!(!push.key.is_empty() && push.name == table.stream_name, "{name}");
        }
    }
}

#[test]
fn a_family_at_the_top_is_all_its_tables_and_a_stream_below_changes_one() {
    let config = parse(
        "preset = \"up_pro\"\nsuffix = \"_rsj\"\n[[streams]]\npreset = \"up_pro_accept\"\n\
         overlap = \"1h\"\n[[streams]]\nname = \"other\"\ntable = \"t\"\nkey = [\"id\"]\n",
    );
    let names: Vec<&str> = config.streams.iter().map(|(s, _)| s.name.as_str()).collect();
    assert_eq!(names[..2], ["accept_rsj", "other"]);
    assert_eq!(names[2..], ["process_rsj", "result_rsj", "special_procedure_rsj", "material_rsj"]);
    let (accept, options) = stream(&config, "accept_rsj");
    assert_eq!(accept.overlap.as_deref(), Some("1h"));
    assert_eq!(options["table"], "up_pro_accept_rsj");
    assert_eq!(stream(&config, "process_rsj").0.overlap.as_deref(), Some("10m"));
    let two = parse("preset = [\"up_pro_accept\", \"dn_task\"]\nsuffix = [\"\", \"_v3_bdc\"]\n");
    let names: Vec<&str> = two.streams.iter().map(|(s, _)| s.name.as_str()).collect();
    assert_eq!(names, ["accept", "accept_v3_bdc", "directory", "directory_v3_bdc"]);
}

#[test]
fn suffixes_of_one_stream_are_streams() {
    let config = parse(
        "[[streams]]\nname = \"cases\"\npreset = \"up_pro_accept\"\nsuffix = [\"_rsj\", \"_ZJJ\"]\n",
    );
    let tables: Vec<(&str, &Value)> = ["cases_rsj", "cases_zjj"]
        .iter()
        .map(|name| (*name, &stream(&config, name).1["table"]))
        .collect();
    assert_eq!(
        tables,
        [("cases_rsj", &json!("up_pro_accept_rsj")), ("cases_zjj", &json!("up_pro_accept_ZJJ"))]
    );
}

#[test]
fn what_the_operator_writes_goes_before_the_preset() {
    let config = parse(
        "[[streams]]\nname = \"a\"\npreset = \"up_pro_accept\"\nkey = [\"project_no\"]\n\
         zone = \"UTC\"\ntable = \"front.x\"\nwithout = [\"legal\"]\n\
         columns.address = { tag = \"none\" }\ncolumns.row_guid = { type = \"text\" }\n",
    );
    let (settings, options) = stream(&config, "a");
    assert_eq!(
        (settings.key.as_slice(), options["table"].as_str()),
        (&["project_no".to_owned()][..], Some("front.x"))
    );
    assert_eq!(settings.zone.as_deref(), Some("UTC"));
    assert_eq!(settings.columns["address"].tag.as_deref(), Some("none"));
    let row_guid = &settings.columns["row_guid"];
    assert_eq!((row_guid.data_type.as_deref(), row_guid.nullable), (Some("text"), Some(false)));
    assert!(!settings.columns.contains_key("legal"));
    assert_eq!(settings.columns["contact_mobile"].tag.as_deref(), Some("mobile"));
}

#[test]
fn wire_names_and_a_vendors_own_are_the_sources_and_the_lakes_stay() {
    let config = parse(
        "[[streams]]\npreset = \"up_pro_accept\"\nnames = \"camel\"\nread = \"flagged\"\n\
         fields = { project_no = \"PROJNO\", own = \"ZDY\" }\ncolumns.own = { tag = \"name\" }\n",
    );
    let raw = &config.raw.streams[0];
    assert_eq!(raw.settings.group, ["PROJNO"]);
    assert_eq!(raw.settings.key, ["RowGuid"]);
    assert_eq!(raw.options["flag"], "is_sync");
    assert!(raw.settings.columns.contains_key("ZDY"));
    assert_eq!(stream(&config, "accept").0.group, ["project_no"]);
    let fields = &config.fields["accept"];
    assert_eq!(fields.at_source("cd_time"), "Cd_time");
    assert_eq!(fields.at_source("data_source"), "Cd_source");
    assert_eq!(fields.at_source("applyer_page_code"), "ApplyerPageCode");
    let upper = parse("[[streams]]\npreset = \"ea_jc_step_done\"\n");
    assert_eq!(upper.raw.streams[0].settings.version.as_deref(), Some("DATAVER"));
    assert_eq!(upper.raw.streams[0].options["table"], "EA_JC_STEP_DONE");
    let lower = parse("[[streams]]\npreset = \"ea_jc_step_done\"\nnames = \"lower\"\n");
    assert_eq!(lower.raw.streams[0].options["table"], "ea_jc_step_done");
    assert!(lower.fields.is_empty());
}

#[test]
fn a_push_brings_its_flag_under_the_targets_names() {
    let config = parse(
        "[[pushes]]\nname = \"done\"\nfrom = \"standard.done\"\npreset = \"ea_jc_step_done\"\n\
         set = { region_id = \"340500\", isfee = 0 }\n",
    );
    let push = &config.pushes[0];
    assert_eq!(push.key, ["orgbusno", "projid", "dataver"]);
    assert_eq!(config.raw.pushes[0].key, ["ORGBUSNO", "PROJID", "DATAVER"]);
    assert_eq!(config.raw.pushes[0].options, json!({ "to": "EA_JC_STEP_DONE" }));
    assert_eq!(
        Value::Object(push.shape.set.clone()),
        json!({ "SIGNSTATE": "0", "REGION_ID": "340500", "ISFEE": 0 })
    );
}

#[test]
fn faults_name_the_operators_line_and_the_preset_they_are_from() {
    // Line 5 is the first after the head.
    for (body, line, wanted) in [
        ("[[streams]]\npreset = \"up_pro_acept\"\n", 6, "did you mean `up_pro_accept`?"),
        ("[[streams]]\npreset = \"up_pro\"\n", 6, "here use one of: up_pro_accept, up_pro_process"),
        ("preset = \"up_prro\"\n", 5, "did you mean `up_pro`?"),
        ("[[streams]]\npreset = \"up_pro_accept\"\ncursr = \"a\"\n", 7, "did you mean `cursor`?"),
        ("[[streams]]\npreset = \"up_pro_accept\"\nsufix = \"_x\"\n", 7, "did you mean `suffix`?"),
        (
            "[[streams]]\npreset = \"up_pro_accept\"\nnames = \"camell\"\n",
            7,
            "did you mean `camel`?",
        ),
        (
            "[[streams]]\npreset = \"up_pro_accept\"\nwithout = [\"legall\"]\n",
            7,
            "did you mean `legal`?",
        ),
        ("[[streams]]\npreset = \"up_pro_accept\"\nwrite = \"replace\"\n", 7, "`replace` needs"),
        (
            "[[streams]]\npreset = \"up_pro_accept\"\nsuffix = \"_办\"\n",
            6,
            "(preset `up_pro_accept`)",
        ),
        (
            "[[streams]]\npreset = \"up_pro_accept\"\nsuffix = \"_x\"\ntable = \"t\"\n",
            7,
            "`table` is a whole name",
        ),
        ("[[streams]]\npreset = \"up_pro_result\"\nreceipts = true\n", 7, "could be read back"),
        (
            "[[pushes]]\nname = \"p\"\nfrom = \"a.b\"\nkey = [\"a\"]\nto = \"t\"\nload = \"upsert\"\n\
             before = \"a.c\"\n",
            11,
            "about single records",
        ),
        (
            "[[pushes]]\nname = \"p\"\nfrom = \"a.b\"\nkey = [\"a\"]\nto = \"t\"\n\
             receipts = { from = \"a.c\", accepted = [\"1\"] }\n",
            10,
            "missing beside `accepted`",
        ),
        (
            "[[streams]]\nname = \"t\"\ntable = \"t\"\nkey = [\"a\"]\necho = { pushes = [\"q\"] }\n",
            9,
            "no push `q`",
        ),
        ("[[pushes]]\npreset = \"dn_task_directory\"\nfrom = \"a.b\"\n", 6, "nothing is pushed"),
        (
            "[[pushes]]\npreset = \"up_pro_accept\"\nfrom = \"a.b\"\nset = { is_sync = [1] }\n",
            8,
            "must be text",
        ),
        (
            "[[streams]]\npreset = 3\nname = \"a\"\ntable = \"t\"\nkey = [\"a\"]\n",
            6,
            "expected text",
        ),
        ("[[streams]]\nname = \"a\"\n", 5, "the key `table` is missing"),
    ] {
        let said = refused(body);
        assert!(said.contains(&format!("front.toml:{line}:")), "{body}: {said}");
        assert!(said.contains(wanted), "{body}: {said}");
    }
    // A key of the preset that does not go with what the operator wrote.
    let said =
        refused("preset = \"pre_node\"\n[[streams]]\npreset = \"pre_node\"\nwrite = \"append\"\n");
    assert!(said.contains("`group` needs") && said.contains("front.toml:7:"), "{said}");
    assert!(said.contains("(preset `pre_node`)"), "{said}");
}

#[test]
fn a_projects_own_presets_are_like_those_that_come_along() {
    let own =
        |text: &str| Presets::load(&[(PathBuf::from("config/presets/bdc.toml"), text.to_owned())]);
    let text = "version = 1\ntitle = \"不动产\"\n[stream]\nkey = [\"id\"]\n\
                [tables.bdc_case]\ntitle = \"办件\"\n[tables.bdc_case.columns]\n\
                id = {}\nname = { tag = \"name\" }\n";
    let presets = own(text).map_err(|faults| faults.render()).unwrap();
    let config = parse_with(&presets, "preset = \"bdc\"\n").map_err(|f| f.render()).unwrap();
    assert_eq!(stream(&config, "case").1["table"], "bdc_case");
    for (from, to, line, wanted) in [
        ("key = [\"id\"]", "key = [\"idd\"]", 5, "`key` names `idd`, which is no column of it"),
        ("tables.bdc_case", "tables.up_pro_accept", 5, "is a preset of the family `up_pro` too"),
        ("title = \"办件\"", "tilte = \"办件\"", 6, "did you mean `title`?"),
        ("version = 1", "version = 2", 1, "version 1 of preset files"),
    ] {
        let said = own(&text.replace(from, to)).err().map(|faults| faults.render()).unwrap();
        assert!(said.contains(&format!("config/presets/bdc.toml:{line}:")), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    // One with the name of a shipped family stands in its place.
    let file = (PathBuf::from("config/presets/up_pro.toml"), text.replace("bdc_", "up_pro_"));
    let presets = Presets::load(&[file]).map_err(|faults| faults.render()).unwrap();
    assert!(presets.table("up_pro_case").is_some() && presets.table("up_pro_accept").is_none());
}

#[test]
fn the_own_preset_of_the_page_is_one() {
    let page = include_str!("../../../../docs/presets.md");
    let example = page.split("```toml").find(|block| block.contains("[tables.bdc_slxx]")).unwrap();
    let text = example.split("```").next().unwrap().to_owned();
    let presets = Presets::load(&[(PathBuf::from("config/presets/bdc.toml"), text)]);
    let presets = presets.map_err(|faults| faults.render()).unwrap();
    let body = "[[streams]]\npreset = \"bdc_slxx\"\nread = \"flagged\"\n";
    let config = parse_with(&presets, body).map_err(|faults| faults.render()).unwrap();
    assert_eq!(stream(&config, "accepted").1["table"], "BDC_SLXX");
    assert_eq!(config.raw.streams[0].settings.group, ["SLBH"]);
}

#[test]
fn tables_are_recognised_by_name_and_columns() {
    let presets = presets();
    for (family, table) in presets.tables() {
        for names in Spelling::ALL {
            let there = |column: &Column| names.column(&column.name, column.camel.as_deref());
            let columns: Vec<String> = table.columns.iter().map(there).collect();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let own =
                if names == family.names { table.table.clone() } else { names.table(&table.table) };
            let name = format!("{own}_rsj");
            let found = presets.recognise(&name, &columns).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(
                (found.preset.as_str(), found.suffix.as_str()),
                (table.name.as_str(), "_rsj")
            );
            assert_eq!(found.names, (names != family.names).then_some(names), "{name}");
            assert!(found.without.is_empty() && found.table.is_none(), "{name}");
        }
    }
    let few = ["row_guid", "project_no", "accept_date"];
    assert_eq!(presets.recognise("up_pro_accept", &few), None);
    assert_eq!(presets.recognise("up_pro_accepted", &few), None);
    let (_, process) = presets.table("up_pro_process").unwrap();
    let columns: Vec<&str> =
        process.columns.iter().map(|c| c.name.as_str()).filter(|c| *c != "remark").collect();
    let found = presets.recognise("front.up_pro_process", &columns).unwrap();
    assert_eq!(found.table.as_deref(), Some("front.up_pro_process"));
    assert_eq!(found.without, ["remark"]);
}

#[test]
fn editors_are_told_of_presets() {
    let schema = system_schema(&spec());
    assert!(schema.pointer("/properties/preset").is_some());
    let stream = schema.pointer("/properties/streams/items").unwrap();
    for key in ["preset", "suffix", "names", "without", "receipts", "fields"] {
        assert!(stream.pointer(&format!("/properties/{key}")).is_some(), "{key}");
    }
    assert_eq!(stream["anyOf"][0]["required"], json!(["preset"]));
    assert!(stream.get("required").is_none());
}

/// The page for people has a row for each preset, and it says what the preset does.
#[test]
fn the_page_of_presets_is_what_they_are() {
    let page = include_str!("../../../../docs/presets.md");
    let mut table = String::from(
        "| preset | table | holds | key | read | cursor | flag | pushed key |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (_, preset) in presets().tables() {
        let text = |keys: &family::Keys, key: &str| match keys.get(key) {
            Some(Value::String(text)) => format!("`{text}`"),
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                format!("`{}`", names.join(", "))
            }
            _ => String::new(),
        };
        let none = family::Keys::new();
        let push = preset.push.as_ref().unwrap_or(&none);
        let flag = match preset.flagged.contains_key("flag") {
            true => format!(
                "{}: {} → {}",
                text(&preset.flagged, "flag"),
                text(&preset.flagged, "flag_new"),
                text(&preset.flagged, "flag_done")
            ),
            false => String::new(),
        };
        table += &format!(
            "| `{}` | `{}` | {} | {} | {} | {} | {flag} | {} |\n",
            preset.name,
            preset.table,
            preset.title,
            text(&preset.stream, "key"),
            text(&preset.stream, "read").trim_matches('`'),
            text(&preset.incremental, "cursor"),
            text(push, "key"),
        );
    }
    assert!(page.contains(&table), "docs/presets.md lacks this table:\n{table}");
}
