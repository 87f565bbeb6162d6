//! A disk that is full: nothing is half done, what is there is still read, how a run ended is
//! known, and it goes on by itself once there is room.
//!
//! The data folder is a file system of its own, in a namespace that ends with its shell.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::hub::step;
use crate::office::{Office, execute};

const SYSTEM: &str = "path = \"office.db\"\n\n[[streams]]\nname = \"cases\"\ntable = \"cases\"\n\
    key = [\"id\"]\ndeletes = \"key_scan\"\nquarantine = { rows = 1000000, percent = 100.0 }\n\
    guard = { delete_percent = 100.0 }\n";

/// Leaves so many KiB free in the data folder.
const LEAVE: &str = "leave() { rm -f $data/filler; free=$(df -k --output=avail $data | tail -1); \
    head -c $(( (free - $1) * 1024 )) /dev/zero > $data/filler; }\n";

/// Runs a script in which `$data` is a data folder of `size` MiB, `$out` a folder for what is to
/// be looked at, and `huiliu` the program.
fn script(office: &Office, size: u32, lines: &str) -> PathBuf {
    let out = office.hub.project().join("out");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::create_dir_all(office.hub.data()).unwrap();
    let text = format!(
        "set -eu\ndata={data}\nout={out}\n\
         mount -t tmpfs -o size={size}m tmpfs $data\n\
         huiliu() {{ {program} --project {project} --data $data \"$@\"; }}\n{LEAVE}{lines}",
        data = office.hub.data().display(),
        out = out.display(),
        program = env!("CARGO_BIN_EXE_huiliu"),
        project = office.hub.project().display(),
    );
    let mut command = Command::new("unshare");
    // Root is root already; anybody else is root of a namespace of their own.
    command.args(["--mount", "--map-root-user", "bash", "-c", &text]).env("LC_ALL", "C.UTF-8");
    let done = command.output().expect("unshare is missing; it is part of util-linux");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stdout));
    out
}

fn json(out: &std::path::Path, name: &str) -> Value {
    let text = std::fs::read_to_string(out.join(name)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e} in: {text}"))
}

async fn office(rows: u32) -> Office {
    let office = Office::new("sqlite", SYSTEM);
    office.hub.edit("config/hub.toml", "parallel = 4", "parallel = 4\nretries = 1");
    office
        .edit(&format!(
            "create table cases (id integer primary key, name text, note text);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
             insert into cases select i, 'old', hex(randomblob(20)) from n"
        ))
        .await;
    office
}

/// A run on a full disk, as it was reported and as it was stored.
fn check_full(out: &std::path::Path, when: &str) {
    let report = json(out, &format!("{when}.json"));
    let step = step(&report, "streams", "office.cases");
    assert_eq!(
        (&step["state"], &step["code"]),
        (&"failed".into(), &"E-DISK-FULL".into()),
        "{step}"
    );
    assert!(step["hint"].as_str().unwrap().contains("free some space"), "{step}");
    assert_eq!((&step["written"], &step["snapshot_id"]), (&0.into(), &Value::Null), "{step}");
    assert_eq!(report["exit_code"], 3);
    let shown = json(out, &format!("{when}.shown"));
    assert_eq!(shown["run"]["run_id"], report["run_id"], "{shown}");
    assert_eq!((&shown["run"]["state"], &shown["run"]["exit_code"]), (&"failed".into(), &3.into()));
    assert_eq!(shown["steps"][0]["code"], "E-DISK-FULL", "{shown}");
    // Readers are served what was there.
    assert_eq!(json(out, &format!("{when}.query"))[0]["n"], 60_000);
}

/// Shell lines: a run that must fail for room, then what is stored and served of it.
fn full(when: &str, run: u32) -> String {
    format!(
        "huiliu --output json run > $out/{when}.json 2> $out/{when}.err && exit 9\n\
         huiliu --output json runs show {run} > $out/{when}.shown\n\
         huiliu --output json query \"select count(*) as n from current.office_cases \
         where name = 'old'\" > $out/{when}.query\n"
    )
}

#[tokio::test]
async fn a_full_disk_stops_every_kind_of_writing_cleanly_and_reads_go_on() {
    let office = office(60_000).await;
    // The source later: with other rows, and with rows that do not fit. Those fill the hub's own
    // database and no file of the lake.
    let source = office.source();
    let later = |name: &str| office.hub.project().join(name);
    let changes = [
        ("old.db", "id = id"),
        ("new.db", "name = 'new'"),
        ("bad.db", "note = cast(note as blob)"),
    ];
    for (name, change) in changes {
        std::fs::copy(&source, later(name)).unwrap();
        execute(&later(name), &format!("update cases set {change}")).await;
    }
    let (source, new, bad) = (source.display(), later("new.db"), later("bad.db"));
    // A good run in between makes the room again that the one before gave up.
    let good = format!("rm $data/filler\ncp {} {source}\nhuiliu run\n", later("old.db").display());
    let lines = format!(
        "huiliu run > $out/first 2>&1\n\
         test -e $data/ballast\n\
         cp {new} {source}\n\
         leave 600\n{parquet}{good}\
         cp {bad} {source}\n\
         leave 1500\n{quarantine}{good}\
         cp {new} {source}\n\
         leave 0\n{nothing}\
         rm $data/filler\n\
         cp {new} {source}\n\
         huiliu --output json run > $out/last.json\n\
         huiliu doctor > $out/doctor\n\
         test -e $data/ballast\n",
        new = new.display(),
        bad = bad.display(),
        parquet = full("parquet", 2),
        quarantine = full("quarantine", 4),
        nothing = full("nothing", 6),
    );
    let out = script(&office, 64, &lines);
    check_full(&out, "parquet");
    check_full(&out, "quarantine");
    check_full(&out, "nothing");
    let last = json(&out, "last.json");
    let step = step(&last, "streams", "office.cases");
    assert_eq!((&step["read"], &step["written"]), (&60_000.into(), &60_000.into()), "{step}");
}

#[tokio::test]
async fn a_run_goes_on_by_itself_when_there_is_room_again() {
    let office = office(60_000).await;
    office.hub.edit("config/hub.toml", "retries = 1", "retries = 20");
    let lines = "huiliu run office.nothing 2> /dev/null || true\n\
         leave 600\n\
         touch $out/run.err\n\
         huiliu -v --output json run > $out/run.json 2> $out/run.err &\n\
         until grep -q 'tried again' $out/run.err; do kill -0 $! || exit 8; done\n\
         rm $data/filler\n\
         wait $!\n";
    let out = script(&office, 32, lines);
    let report = json(&out, "run.json");
    let step = step(&report, "streams", "office.cases");
    assert_eq!((&step["state"], &step["written"]), (&"succeeded".into(), &60_000.into()), "{step}");
}
