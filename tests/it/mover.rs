//! Moving data by contract: refreshes, guards, deletes and wider types, through the program.

use std::path::PathBuf;

use serde_json::Value;

use crate::hub::{Hub, step};
use crate::lake;

/// A hub with one more system: CSV files in a folder of the project.
struct Folder(Hub);

impl Folder {
    fn new(settings: &str) -> Self {
        let folder = Self(Hub::edited());
        std::fs::create_dir_all(folder.path()).unwrap();
        folder.configure(settings);
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.project().join("box")
    }

    fn configure(&self, settings: &str) {
        let text = format!(
            "version = 1\nkind = \"files\"\ntitle = \"文件夹\"\nowner = \"测试科\"\npath = \"box\"\n\n\
             [[streams]]\nname = \"t\"\npattern = \"*.csv\"\nkey = [\"id\"]\n{settings}\n"
        );
        std::fs::write(self.0.project().join("config/systems/box.toml"), text).unwrap();
    }

    /// The one file of the folder.
    fn put(&self, header: &str, lines: impl Iterator<Item = String>) {
        let lines: Vec<String> = lines.map(|line| line + "\n").collect();
        std::fs::write(self.path().join("a.csv"), format!("{header}\n{}", lines.concat())).unwrap();
    }

    fn run(&self, code: i32, arguments: &[&str]) -> Value {
        self.0.run_json(&[&["run", "box.t"], arguments].concat()).expect(code).json()
    }

    fn count(&self) -> i64 {
        self.0.query("select count(*) as n from current.box_t")[0]["n"].as_i64().unwrap()
    }
}

fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|id| format!("{id},x"))
}

#[test]
fn a_refresh_that_shrinks_the_table_waits_for_its_hash() {
    let folder = Folder::new("write = \"replace\"");
    folder.put("id,name", numbered(100));
    folder.run(0, &[]);
    folder.put("id,name", numbered(10));
    let report = folder.run(5, &[]);
    let stopped = step(&report, "streams", "box.t");
    assert_eq!((&stopped["state"], &stopped["code"]), (&"failed".into(), &"E-SHRINK".into()));
    assert_eq!(folder.count(), 100);
    let plan = &report["plans"][0];
    assert_eq!((&plan["rows_before"], &plan["rows_after"]), (&100.into(), &10.into()));
    let hash = plan["hash"].as_str().unwrap();
    let text = folder.0.run(&["run", "box.t"]).expect(5).out;
    assert!(text.contains(&format!("--accept {hash}")), "{text}");
    folder.run(5, &["--accept", "0123456789ab"]);
    folder.run(0, &["--accept", hash]);
    assert_eq!(folder.count(), 10);
    let duckdb = lake::duckdb(
        &folder.0.database(),
        &["select count(*), min(name), max(id::int) from lake.current.box_t".to_owned()],
    );
    assert_eq!(duckdb, ["10\tx\t9"]);
}

#[test]
fn rows_gone_from_the_file_are_deleted_up_to_the_guard() {
    let folder = Folder::new("deletes = \"key_scan\"");
    folder.put("id,name", numbered(100));
    folder.run(0, &[]);
    folder.put("id,name", numbered(85));
    let report = folder.run(0, &[]);
    assert_eq!(step(&report, "streams", "box.t")["deleted"], 15);
    assert_eq!(folder.count(), 85);
    folder.put("id,name", numbered(20));
    let report = folder.run(5, &[]);
    assert_eq!(step(&report, "streams", "box.t")["code"], "E-MASS-DELETE");
    assert_eq!(folder.count(), 85);
    folder.configure("deletes = \"key_scan\"\nguard = { delete_percent = 80 }");
    folder.run(0, &[]);
    assert_eq!(folder.count(), 20);
}

#[test]
fn a_wider_decimal_is_followed_and_duckdb_reads_old_and_new_files_alike() {
    let typed = |kind: &str| {
        format!("contract = {{ types = \"evolve\" }}\ncolumns.fee = {{ type = \"{kind}\" }}")
    };
    let folder = Folder::new(&typed("decimal(5,2)"));
    folder.put("id,fee", ["1,999.99", "2,0.50"].map(str::to_owned).into_iter());
    folder.run(0, &[]);
    folder.configure(&typed("decimal(12,2)"));
    folder.put("id,fee", ["2,1234567890.25", "3,1.00"].map(str::to_owned).into_iter());
    folder.run(0, &[]);
    let rows = folder.0.query("select id, fee from current.box_t order by id");
    let fees: Vec<&str> = rows.iter().map(|row| row["fee"].as_str().unwrap()).collect();
    assert_eq!(fees, ["999.99", "1234567890.25", "1.00"]);
    let sql = "select string_agg(fee::varchar, ' ' order by id) from lake.current.box_t";
    let duckdb = lake::duckdb(&folder.0.database(), &[sql.to_owned()]);
    assert_eq!(duckdb, ["999.99 1234567890.25 1.00"]);
    let history = folder.0.query("select fee from history.box_t");
    assert_eq!(history[0]["fee"], "0.50");
    folder.configure(&typed("int"));
    let report = folder.run(3, &[]);
    assert_eq!(step(&report, "streams", "box.t")["code"], "E-DRIFT");
}

#[test]
fn rows_marked_as_deleted_in_the_file_leave_the_table() {
    let folder =
        Folder::new("deletes = \"soft\"\ndeleted = \"gone\"\ncolumns.gone = { type = \"bool\" }");
    folder.put("id,gone", (0..30).map(|id| format!("{id},否")));
    folder.run(0, &[]);
    folder.put("id,gone", (0..30).map(|id| format!("{id},{}", if id < 3 { "是" } else { "否" })));
    let report = folder.run(0, &[]);
    assert_eq!(step(&report, "streams", "box.t")["deleted"], 3);
    assert_eq!(folder.count(), 27);
}

#[test]
fn settings_that_do_not_go_together_are_refused_by_check() {
    let folder = Folder::new(
        "read = \"incremental\"\nwrite = \"snapshot\"\ndeletes = \"soft\"\n\
         guard = { shrink_percent = -1 }",
    );
    let said = folder.0.run(&["check"]).expect(2).said();
    assert!(said.contains("must be at least 0"), "{said}");
    folder.configure("read = \"incremental\"\nwrite = \"snapshot\"\ndeletes = \"soft\"");
    let said = folder.0.run(&["check"]).expect(2).said();
    for words in ["`snapshot` needs `read = \"full\"`", "`soft` needs `deleted`"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    folder.configure("read = \"changes\"");
    let said = folder.0.run(&["check"]).expect(2).said();
    assert!(said.contains("reading a change log is not available"), "{said}");
}
