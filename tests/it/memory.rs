//! Sources that would fill the memory: huge cells, wide rows, many large rows.

use std::process::Command;

use serde_json::Value;

use crate::hub::{Done, step};
use crate::office::Office;

/// The most memory a run may take, in KiB.
const CAP: u64 = 1400 << 10;

/// Runs the program and says what it took at its peak, in KiB, as the kernel counts it.
fn measured(office: &Office, arguments: &[&str]) -> (Done, u64) {
    const SCRIPT: &str = "import resource, subprocess, sys\n\
        code = subprocess.call(sys.argv[1:])\n\
        sys.stderr.write('\\npeak %d' % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
        sys.exit(code)";
    let command = office.hub.command(arguments);
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT]).arg(command.get_program()).args(command.get_args());
    python.env("LC_ALL", "C.UTF-8");
    let done = Done::of(python.output().expect("python3 is missing; ./test needs it"), arguments);
    let peak = done.err.rsplit("peak ").next().unwrap().trim().parse().unwrap();
    (done, peak)
}

fn report(office: &Office) -> Value {
    let (done, peak) = measured(office, &["--output", "json", "run"]);
    let report = done.expect(0).json();
    println!("peak {} MiB", peak >> 10);
    assert!(peak < CAP, "{} MiB", peak >> 10);
    report
}

#[tokio::test]
async fn a_huge_cell_sets_its_row_aside_and_many_large_rows_stay_within_memory() {
    let system = "path = \"office.db\"\n[[streams]]\nname = \"scans\"\ntable = \"scans\"\n\
        key = [\"id\"]\n\
        quarantine = { rows = 10, percent = 100.0 }\n";
    let office = Office::new("sqlite", system);
    // A cell of 200 MB among rows of 32 MB, together more than may be in memory, and of a kind
    // that cannot be compressed.
    office
        .edit(
            "pragma journal_mode = off; pragma synchronous = off;
             create table scans (id integer primary key, scan blob);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 51)
             insert into scans
               select i, randomblob(case i when 7 then 200000000 else 32000000 end) from n",
        )
        .await;
    let report = report(&office);
    let step = step(&report, "streams", "office.scans");
    assert_eq!((&step["read"], &step["written"]), (&51.into(), &50.into()), "{step}");
    let list = office.hub.run_json(&["quarantine", "list"]).expect(0).json();
    assert_eq!(list["rows"][0]["code"], "E-ROW-SIZE", "{list}");
    // Of the row is kept which one it is, and nothing that fills the hub's database.
    let shown = office.hub.run(&["quarantine", "show", "1", "--reveal"]).expect(0).out;
    assert!(shown.contains("id = 7") && shown.contains("(200000000 bytes, not kept)"), "{shown}");
    assert!(std::fs::metadata(office.hub.database()).unwrap().len() < 4 << 20);
}

#[tokio::test]
async fn a_table_of_five_thousand_columns_is_read_within_memory() {
    const COLUMNS: usize = 5_000;
    let header: Vec<String> = (0..COLUMNS).map(|column| format!("c{column:04}")).collect();
    let system = "path = \".\"\n[[streams]]\nname = \"wide\"\npattern = \"wide.csv\"\n\
        key = [\"c0000\"]\n";
    let office = Office::new("files", system);
    let mut text = header.join(",") + "\n";
    for row in 0..2_000 {
        let cells: Vec<String> =
            (0..COLUMNS).map(|column| format!("{}", row * COLUMNS + column)).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    std::fs::write(office.hub.project().join("wide.csv"), &text).unwrap();
    let report = report(&office);
    let step = step(&report, "streams", "office.wide");
    assert_eq!((&step["read"], &step["written"]), (&2_000.into(), &2_000.into()), "{step}");
    let row = office.hub.query("select c0000, c4999 from current.office_wide where c0000 = '5000'");
    assert_eq!(row[0]["c4999"], "9999");
}
