//! The whole program with its database in Postgres: every verb, the same figures, DuckDB.

use std::process::Command;

use serde_json::Value;

use crate::databases::{Kind, on_postgres, server};
use crate::hub::{Hub, root, step};

/// A hub whose database is a schema of the test server.
struct PostgresHub {
    hub: Hub,
    schema: String,
}

impl PostgresHub {
    fn new() -> Self {
        let hub = Hub::edited();
        let folder = hub.data().parent().unwrap().file_name().unwrap().to_owned();
        let folder: String =
            folder.to_string_lossy().bytes().map(|byte| format!("{byte:02x}")).collect();
        let schema = format!("it_{folder}");
        let file = hub.project().join("config/hub.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let store =
            format!("\n[store]\nurl = \"${{secret:hub_database}}\"\nschema = \"{schema}\"\n");
        std::fs::write(&file, text + &store).unwrap();
        std::fs::create_dir_all(hub.data()).unwrap();
        let secrets = format!("hub_database={}\n", server(Kind::Postgres));
        std::fs::write(hub.data().join("secrets"), secrets).unwrap();
        Self { hub, schema }
    }

    fn duckdb(&self, sql: &str) -> Vec<String> {
        let python = std::env::var_os("HUILIU_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let output = Command::new(python)
            .arg(root().join("tests/duckdb_oracle.py"))
            .args([&server(Kind::Postgres), "--schema", &self.schema, sql])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "DuckDB: {errors}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for PostgresHub {
    fn drop(&mut self) {
        let sql = format!("drop schema if exists {} cascade", self.schema);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(on_postgres(&server(Kind::Postgres), &sql));
        });
        drop(dropping.join());
    }
}

fn written(report: &Value) -> i64 {
    let streams = report["streams"].as_array().unwrap();
    streams.iter().map(|stream| stream["written"].as_i64().unwrap()).sum()
}

#[test]
fn every_verb_works_with_the_database_in_postgres() {
    let place = PostgresHub::new();
    let hub = &place.hub;
    hub.run(&["check"]).expect(0);
    for early in ["doctor", "runs", "maintain"] {
        assert!(hub.run(&[early]).expect(2).err.contains("E-NO-DATA"), "{early}");
    }
    let first = hub.demo(7);
    assert!(written(&first) > 10_000, "{first}");
    assert!(!hub.database().exists(), "there is no SQLite file beside it");
    let secrets = std::fs::read_to_string(hub.data().join("secrets")).unwrap();
    assert!(secrets.contains("hub_database=") && secrets.contains("province_app_key="));
    let second = hub.demo(7);
    assert_eq!((written(&second), &second["figures"]), (0, &first["figures"]));
    hub.run(&["demo", "change", "--rows", "20"]).expect(0);
    let third = hub.demo(7);
    assert_eq!(step(&third, "streams", "city_cases.accepted")["written"], 20);

    let count = "select count(*) as n from current.city_cases_accepted";
    let rows = hub.query(count)[0]["n"].as_i64().unwrap();
    let sql = "select count(*) from lake.current.city_cases_accepted";
    assert_eq!(place.duckdb(sql), [rows.to_string()]);
    assert_eq!(hub.query("select count(*) as n from history.city_cases_accepted")[0]["n"], 20);
    let figures = hub.run_json(&["metric", "show"]).expect(0).json();
    assert_eq!(figures["figures"].as_array().unwrap().len(), 53);
    let behind = hub.run_json(&["metric", "rows", "cases_ytd", "--limit", "3"]).expect(0).json();
    assert_eq!(behind.as_array().unwrap().len(), 3);
    assert_eq!(hub.run_json(&["runs", "show", "1"]).expect(0).json()["balanced"], true);

    let aside = hub.run_json(&["quarantine", "list"]).expect(0).json();
    let id = aside["rows"][0]["quarantine_id"].to_string();
    hub.run(&["quarantine", "show", &id, "--reveal", "--reason", "试"]).expect(0);
    hub.run(&["quarantine", "replay", &id]).expect(1);
    hub.run(&["quarantine", "discard", &id, "--reason", "试"]).expect(0);
    hub.run(&["state", "reset", "province.cases", "--reason", "试"]).expect(0);
    let checkpoint = hub.run_json(&["state", "show", "city_items.items"]).expect(0).json()["state"]
        ["checkpoint"]
        .to_string();
    let set = ["state", "set", "city_items.items", "--checkpoint", &checkpoint, "--reason", "试"];
    hub.run(&set).expect(0);
    let deeds = hub.run_json(&["audit", "verify"]).expect(0).json();
    assert!(deeds["rows"].as_i64().unwrap() >= 5, "{deeds}");

    hub.run(&["maintain", "--grace", "0s"]).expect(0);
    assert_eq!(hub.query(count)[0]["n"], rows);
    assert_eq!(hub.run_json(&["doctor"]).expect(0).json()["lake"]["torn"], Value::Array(vec![]));
    hub.run(&["query", "select count(*) from ops.steps"]).expect(0);
}
